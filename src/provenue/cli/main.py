"""The entry point of the `provenue` command.

Convention: each file `provenue/cli/NAME.py` is the command group `provenue NAME`. It exposes a
module attribute `app`, a `cyclopts.App` named like the file, and the first line of its docstring
is the line that `provenue --help` shows. An underscore in the file name is a dash on the command
line; files that begin with an underscore, and this file, are no groups.

A group is imported only when it is called. So help stays fast, and a group that cannot be
imported (a missing optional package, say) does not take the others down.
"""

import ast
import contextlib
import difflib
import errno
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from provenue import __version__

__all__ = ["command_groups", "main"]

_FOLDER = Path(__file__).parent
_EXIT_USAGE = 2
_EXIT_INTERRUPTED = 128 + signal.SIGINT
_EXIT_TERMINATED = 128 + signal.SIGTERM
_EXIT_NO_READER = 128 + signal.SIGPIPE


def command_groups() -> dict[str, Path]:
    """The file of each command group, by the name used on the command line."""
    return {
        path.stem.replace("_", "-"): path
        for path in sorted(_FOLDER.glob("*.py"))
        if not path.stem.startswith("_") and path.stem != "main"
    }


def _summary(path: Path) -> str:
    """The first docstring line of a group, read without importing (and so running) the group."""
    try:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError):
        return "(cannot be read)"
    return (docstring or "").partition("\n")[0]


def _help() -> str:
    groups = command_groups()
    width = max((len(name) for name in groups), default=0)
    lines = [
        "Usage: provenue COMMAND [ARGS]",
        "",
        "An off-chain execution environment for derivatives, provable on an EVM chain.",
        "",
        "Commands:",
        *(f"  {name:<{width}}  {_summary(path)}" for name, path in groups.items()),
        "",
        "Options:",
        "  --help, -h   this text; `provenue COMMAND --help` for a command",
        "  --version    the version of provenue",
    ]
    return "\n".join(lines)


def _fail(message: str) -> int:
    print(f"provenue: {message}", file=sys.stderr)
    return _EXIT_USAGE


def _unknown(name: str) -> int:
    groups = command_groups()
    near = difflib.get_close_matches(name, groups, n=1)
    hint = f"did you mean `{near[0]}`?" if near else "see `provenue --help`"
    return _fail(f"command: expected one of {', '.join(groups) or '(none)'}, was {name!r}; {hint}")


def _call(name: str, arguments: Sequence[str]) -> int:
    module = importlib.import_module(f"provenue.cli.{name.replace('-', '_')}")
    from cyclopts import App

    root = App(name="provenue", help_flags=["--help", "-h"], version=__version__)
    root.command(module.app, name=name)
    result = root([name, *arguments], result_action="return_value")
    return result if isinstance(result, int) else 0


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C does, so that children, sockets and scratch folders are ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise SystemExit(_EXIT_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _unwritten(problem: OSError) -> int:
    """The exit status when standard output cannot be written."""
    # The interpreter would try again at its end, and complain in its own words.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(problem, BrokenPipeError):
        return _EXIT_NO_READER
    print(f"provenue: standard output: cannot be written: {problem}", file=sys.stderr)
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit status of the process."""
    try:
        status = _run(sys.argv[1:] if arguments is None else arguments)
    except OSError as problem:
        # Commands tell of their own files and sockets themselves: this was the output, unbuffered.
        if problem.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        return _unwritten(problem)
    try:
        if sys.stdout is not None:  # it is None where the shell has closed it
            sys.stdout.flush()
    except OSError as problem:
        return _unwritten(problem)
    return status


def _run(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(_help())
        return 0
    name, rest = arguments[0], arguments[1:]
    if name in ("--version", "-V"):
        print(f"provenue {__version__}")
        return 0
    if name.startswith("-"):
        return _fail(f"option: expected --help or --version before the command, was {name!r}")
    if name not in command_groups():
        return _unknown(name)
    try:
        with _orderly_end():
            return _call(name, rest)
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
