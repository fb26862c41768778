"""The program as RV64IM ELFs: build them, show their hashes."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

from provenue._generated.layout import IMAGE_BYTES
from provenue._guest import GuestMissingError, build_guest, committed_hash, guest_hash

__all__ = ["app"]

app = App(name="guest", help="The program as RV64IM ELFs: build them, show their hashes.")

_Preset = Annotated[
    Literal["minimal", "dev", "main"] | None, Parameter(help="one preset; default: all")
]


def _chosen(preset: str | None) -> list[str]:
    return list(IMAGE_BYTES) if preset is None else [preset]


def _fail(error: Exception) -> int:
    import sys

    print(f"provenue guest: {error}", file=sys.stderr)
    return 1


@app.command(name="hash")
def show_hash(*, preset: _Preset = None) -> int:
    """Print `preset sha256` and whether the hash is the committed one; builds what is missing."""
    status = 0
    for name in _chosen(preset):
        try:
            found = guest_hash(name)
        except GuestMissingError as error:
            return _fail(error)
        committed = committed_hash(name)
        if committed is None:
            note = "not committed"
        elif committed == found:
            note = "as committed"
        else:
            note, status = f"expected {committed}", 1
        print(f"{name} {found} {note}")
    return status


@app.command
def build(*, preset: _Preset = None) -> int:
    """Build the ELFs in the checkout and print where they are."""
    for name in _chosen(preset):
        try:
            print(build_guest(name))
        except GuestMissingError as error:
            return _fail(error)
    return 0
