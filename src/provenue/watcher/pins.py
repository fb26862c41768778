"""The guest that the chain referees by, against our own: a watcher of another program is useless.

The DisputeGame holds what of an ELF a contract can use: the root of its memory quarter, entry, end
of text. Which of our ELFs has them also says which preset the venue runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from provenue._generated.layout import IMAGE_BYTES
from provenue._guest import committed_hash
from provenue.engine import GuestMissingError, guest_elf
from provenue.machine import Program, read_program
from provenue.settlement.contract import Contract

__all__ = ["GuestMismatchError", "Pinned", "match_guest", "read_pins"]


class GuestMismatchError(Exception):
    """None of our programs is the one that the chain referees by."""


class Pinned(msgspec.Struct, frozen=True):
    """The preset whose ELF the chain pins, and that ELF."""

    preset: str
    elf: bytes
    sha256: str


def read_pins(game: Contract) -> Program:
    """What the DisputeGame was deployed with."""
    return Program(
        bytes(game.call("program_root")), int(game.call("entry")), int(game.call("end_of_text"))
    )


def match_guest(pins: Program, *, preset: str | None = None, sha256: str | None = None) -> Pinned:
    """The one of our ELFs that has these pins; of one preset only, if it is given.

    `sha256`: what the ELF's hash must be, where a deployment says so. GuestMismatchError, which
    says what was expected and what came, when none fits.
    """
    found: dict[str, str] = {}
    for name in [preset] if preset is not None else list(IMAGE_BYTES):
        try:
            elf = guest_elf(name)
        except GuestMissingError as problem:
            found[name] = str(problem)
            continue
        ours = read_program(elf)
        if ours == pins:
            pinned = Pinned(name, elf, hashlib.sha256(elf).hexdigest())
            _check_hash(pinned, sha256)
            return pinned
        found[name] = (
            f"program root {ours.root.hex()}, entry {ours.entry:#x}, "
            f"end of text {ours.end_of_text:#x}"
        )
    raise GuestMismatchError(
        f"guest: the chain's game referees program root {pins.root.hex()}, entry {pins.entry:#x}, "
        f"end of text {pins.end_of_text:#x}; ours is {_listed(found)}. Run the version of provenue "
        "that the venue was deployed with"
    )


def _listed(found: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in found.items())


def _check_hash(pinned: Pinned, sha256: str | None) -> None:
    """The ELF's own hash, against the one that was committed and the one a deployment names."""
    for what, expected in (("deployment", sha256), ("checkout", committed_hash(pinned.preset))):
        if expected is not None and expected != pinned.sha256:
            raise GuestMismatchError(
                f"guest {pinned.preset}: the {what} names SHA-256 {expected}, ours has "
                f"{pinned.sha256}"
            )
