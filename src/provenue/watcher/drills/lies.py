"""Lies about one message: how a liar comes to another image, and its whole trace of getting there.

A liar's machine is the guest's until it is tampered with: bytes of the memory are changed as a step
begins, the answer to a call is made up, or the program is another one. So its trace is right as
far as it can be, which is the dearest lie to find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from provenue import wire
from provenue._generated.constants import (
    LEAF_BYTES,
    MESSAGE_INSTRUCTIONS_MAX,
    OUTPUT_BASE,
    PRESETS,
    QUARTER_BYTES,
    TEXT_BASE,
)
from provenue._generated.layout import IMAGE_BYTES, PLACES, TABLES
from provenue.engine import Engine
from provenue.machine import IMAGE_BASE, Machine, Status, Trace
from provenue.watcher.archive import ArchivedBatch
from provenue.watcher.history import History
from provenue.watcher.traces import ComputedTrees, machine_at
from provenue.watcher.trees import MessageTree

__all__ = ["Lie", "LyingTrees", "Teller"]

Poke = tuple[int, int, bytes]
_STATUS_WORD, _STATUS_SHIFT = 9, 128
_STORE_OPCODE, _RS2_MASK = 0x23, 0x1F << 20


@dataclass(frozen=True)
class Place:
    """A message of a batch, and what is known where it begins."""

    elf: bytes
    engine: Engine
    batch: ArchivedBatch
    index: int

    def machine(self, elf: bytes | None = None) -> Machine:
        """In the start state of the message."""
        return machine_at(elf or self.elf, self.engine, self.batch, self.index)

    def after(self) -> tuple[int, bytes, list[int]]:
        """Steps, image and written leaves of the honest run."""
        machine = self.machine()
        done = machine.run(MESSAGE_INSTRUCTIONS_MAX)
        image = machine.image(0, IMAGE_BYTES[self.engine.preset])
        return done.steps, image, machine.dirty_image_leaves()


Teller = Callable[[Place], Trace]
"""Makes a liar's trace of a message."""


@dataclass(frozen=True)
class Lie:
    """A wrong result of one message of a batch. `salt` tells liars of one kind apart."""

    batch: int
    message: int
    tell: Teller
    salt: int = 0
    right_claim: bool = False
    """Only the trace is wrong: the claim is the right one."""

    def trace(self, elf: bytes, history: History, batch: ArchivedBatch) -> Trace:
        """The liar's instruction tree."""
        engine = history.engine_at(batch.number, self.message)
        return self.tell(Place(elf, engine, batch, self.message))

    def roots(self, elf: bytes, history: History, batch: ArchivedBatch) -> list[bytes]:
        """The roots of the liar's claim: right before the message, made up behind it."""
        executed = history.executed[batch.number]
        right = executed.roots
        if self.right_claim:
            return right
        trace = self.trace(elf, history, batch)
        before = right[self.message - 1] if self.message else executed.start_root
        after = _root_after(trace, before)
        if after == right[self.message]:
            raise ValueError("lie: it changes nothing")
        behind = [wire.keccak256(bytes([self.salt]) + root) for root in right[self.message + 1 :]]
        return [*right[: self.message], after, *behind]


class LyingTrees(ComputedTrees):
    """What a liar plays with; see `provenue.watcher.trees.Trees`."""

    def __init__(self, history: History, elf: bytes, lie: Lie) -> None:
        super().__init__(history, elf)
        self._lie = lie
        self._lied: Trace | None = None
        self._claim: MessageTree | None = None

    def batch(self, number: int) -> MessageTree | None:
        right = super().batch(number)
        if number != self._lie.batch or right is None:
            return right
        if self._claim is None:
            archived = self._history.archive.load(number)
            roots = self._lie.roots(self._elf, self._history, archived)
            self._claim = MessageTree(right.start_root, roots)
        return self._claim

    def trace(self, number: int, message: int) -> Trace:
        if (number, message) != (self._lie.batch, self._lie.message):
            return super().trace(number, message)
        if self._lied is None:
            archived = self._history.archive.load(number)
            self._lied = self._lie.trace(self._elf, self._history, archived)
        return self._lied

    def confirm(self, number: int) -> None:
        """A liar has nothing to confirm."""


def _root_after(trace: Trace, before: bytes) -> bytes:
    """What the end of a trace says (chapter 10.4)."""
    end = trace.end()
    status = int.from_bytes(end.state[_STATUS_WORD], "big") >> _STATUS_SHIFT
    return end.q1 if status == Status.HALTED else before


# --- tellers --------------------------------------------------------------------------------------


def at_the_end(change: Callable[[Place, bytes, list[int]], list[tuple[int, bytes]]]) -> Teller:
    """Change bytes of the image (offset, bytes) as the last step begins."""

    def tell(place: Place) -> Trace:
        steps, image, leaves = place.after()
        pokes: list[Poke] = [
            (steps - 1, IMAGE_BASE + offset, data) for offset, data in change(place, image, leaves)
        ]
        return Trace(place.machine(), pokes)

    return tell


def balance(account: int, units: int, *, applied: bool = False, asset: int = 0) -> Teller:
    """Add to a balance; with `applied`, as if it had been deposited."""

    def change(place: Place, image: bytes, _leaves: list[int]) -> list[tuple[int, bytes]]:
        preset = place.engine.preset
        row = account * PRESETS[preset].assets_max + asset
        found = [_added(image, PLACES[preset]["balances"][0] + 8 * row, units)]
        if applied:
            found.append(_added(image, _field(preset, "assets", asset, "applied_units"), units))
        return found

    return at_the_end(change)


def cash_legs(loser: int, winner: int, units: int) -> Teller:
    """Shift the price of a fill between two accounts' first rows: what one pays the other gets."""

    def change(place: Place, image: bytes, _leaves: list[int]) -> list[tuple[int, bytes]]:
        preset = place.engine.preset
        rows = PRESETS[preset].positions_per_account
        return [
            _added(image, _field(preset, "positions", loser * rows, "cash_leg_units"), -units),
            _added(image, _field(preset, "positions", winner * rows, "cash_leg_units"), units),
        ]

    return at_the_end(change)


def undone(place: Place, _image: bytes, leaves: list[int]) -> list[tuple[int, bytes]]:
    """Everything that the message wrote is as it was: a liquidation that did not happen."""
    before = place.engine.image
    return [(leaf, bytes(before[leaf : leaf + LEAF_BYTES])) for leaf in leaves]


def withdrawal_root(root: bytes) -> Teller:
    """Put another tree of withdrawals in."""
    return at_the_end(lambda _place, _image, _leaves: [(0, root)])


def recovered(address: bytes) -> Teller:
    """The call that recovers a signer answers with an address of the liar's choice."""

    def tell(place: Place) -> Trace:
        machine = place.machine()
        machine.set_recover(lambda _input: address.rjust(32, b"\0"))
        return Trace(machine)

    return tell


def badly_proven(place: Place) -> Trace:
    """A trace that ends in the right image and is wrong on the way: a byte of output too much."""
    machine = place.machine()
    steps = place.after()[0]
    return Trace(machine, [(steps // 2, OUTPUT_BASE + QUARTER_BYTES - 1, b"\x01")])


def other_program(place: Place) -> Trace:
    """One instruction of the program is another: its last store to the image stores zero."""
    elf = _patched(place)
    return Trace(place.machine(elf))


def _patched(place: Place) -> bytes:
    """The guest with one store changed that decides what is left of this message."""
    honest = Trace(place.machine())
    right = honest.end().q1
    tried: set[int] = set()
    for step in range(honest.steps - 1, -1, -1):
        pc = int.from_bytes(honest.state(step)[-8:], "big")
        if pc in tried:
            continue
        tried.add(pc)
        word = int.from_bytes(place.machine().read(pc, 4), "little")
        if word & 0x7F != _STORE_OPCODE or word & _RS2_MASK == 0:
            continue
        elf = _with_word(place.elf, pc, word & ~_RS2_MASK)
        machine = place.machine(elf)
        if machine.run(MESSAGE_INSTRUCTIONS_MAX).status is not Status.HALTED:
            continue
        if machine.quarter_roots()[1] != right:
            return elf
    raise ValueError("lie: no store of the program decides this message")


def _with_word(elf: bytes, address: int, word: int) -> bytes:
    """An ELF with another instruction; its segments are found in the program headers."""
    start = int.from_bytes(elf[32:40], "little")
    size, count = int.from_bytes(elf[54:56], "little"), int.from_bytes(elf[56:58], "little")
    for at in range(start, start + size * count, size):
        offset, base = (int.from_bytes(elf[at + n : at + n + 8], "little") for n in (8, 16))
        length = int.from_bytes(elf[at + 32 : at + 40], "little")
        if base <= address < base + length and TEXT_BASE <= address < QUARTER_BYTES:
            place = offset + address - base
            return elf[:place] + word.to_bytes(4, "little") + elf[place + 4 :]
    raise ValueError(f"address: expected a loaded one, was {address:#x}")


def _field(preset: str, table: str, row: int, field: str) -> int:
    """The offset of a field in the image."""
    form = TABLES[table]
    dtype = np.dtype(list(form.dtype))
    fields = dtype.fields
    assert fields is not None
    return PLACES[preset][table][0] + row * form.record_bytes + int(fields[field][1])


def _added(image: bytes, offset: int, units: int) -> tuple[int, bytes]:
    value = int.from_bytes(image[offset : offset + 8], "little", signed=True) + units
    return offset, value.to_bytes(8, "little", signed=True)
