"""The command line: one file per command group, found by `provenue.cli.main`."""

__all__: list[str] = []
