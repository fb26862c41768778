"""The watcher works with the program that the chain referees by, and with no other."""

import hashlib
from typing import Any

import pytest

from provenue._guest import committed_hash
from provenue.engine import guest_elf
from provenue.machine import Program, read_program
from provenue.watcher.pins import GuestMismatchError, match_guest, read_pins


class FakeGame:
    """A DisputeGame's getters."""

    def __init__(self, program: Program) -> None:
        self._answers = {
            "program_root": program.root,
            "entry": program.entry,
            "end_of_text": program.end_of_text,
        }

    def call(self, name: str) -> Any:
        return self._answers[name]


@pytest.mark.parametrize("preset", ["minimal", "dev"])
def test_the_preset_is_found_by_what_the_chain_pins(preset: str) -> None:
    pins = read_pins(FakeGame(read_program(guest_elf(preset))))  # type: ignore[arg-type]
    pinned = match_guest(pins)
    assert (pinned.preset, pinned.elf) == (preset, guest_elf(preset))
    assert pinned.sha256 == committed_hash(preset) == hashlib.sha256(pinned.elf).hexdigest()


@pytest.mark.parametrize("field", ["root", "entry", "end_of_text"])
def test_any_pin_that_differs_is_another_program(field: str) -> None:
    program = read_program(guest_elf("minimal"))
    other: dict[str, Any] = {"root": bytes(32), "entry": program.entry + 4, "end_of_text": 4096}
    wrong = program._replace(**{field: other[field]})
    with pytest.raises(GuestMismatchError, match=r"Run the version of provenue"):
        match_guest(wrong)


def test_another_preset_than_the_one_that_is_asked_for_is_refused() -> None:
    program = read_program(guest_elf("minimal"))
    with pytest.raises(GuestMismatchError, match="ours is dev: program root"):
        match_guest(program, preset="dev")


def test_another_hash_than_the_deployments_is_refused() -> None:
    program = read_program(guest_elf("minimal"))
    sha256 = hashlib.sha256(guest_elf("minimal")).hexdigest()
    assert match_guest(program, sha256=sha256).sha256 == sha256
    with pytest.raises(GuestMismatchError, match="the deployment names SHA-256 00"):
        match_guest(program, sha256="00" * 32)
