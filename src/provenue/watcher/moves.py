"""Moves: calls of the Anchor and the DisputeGame, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Move", "Note", "Plan"]

_SHOWN_BYTES = 4


@dataclass(frozen=True, slots=True)
class Move:
    """One transaction. Two moves with the same function and arguments are the same move."""

    contract: Literal["anchor", "game"]
    function: str
    args: tuple[Any, ...]
    batch: int
    """Of the dispute it belongs to; -1 for none."""
    match: bytes = b""
    value_wei: int = 0
    then: tuple[Move, ...] = ()
    """Moves that are known already to be next, and ownerless: they fit into one transaction. Who
    leaves them out makes them at the next state."""

    def __str__(self) -> str:
        place = f" batch {self.batch}" if self.batch >= 0 else ""
        match = f" match {self.match[:_SHOWN_BYTES].hex()}" if self.match else ""
        names = "+".join((self.function, *(move.function for move in self.then)))
        return f"{names}{place}{match}"


@dataclass(frozen=True, slots=True)
class Note:
    """Why a move is not made that somebody could expect. `kind` is also the metric's label."""

    kind: Literal["unknown_batch", "too_late", "lost", "not_revealed", "stands_on_wrong"]
    batch: int
    text: str


@dataclass(slots=True)
class Plan:
    """What to do at this state of the chain: moves that do not depend on one another."""

    moves: list[Move] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    wrong: list[tuple[int, int]] = field(default_factory=list)
    """(batch, index) of live claims that are not right."""
    revealing: set[bytes] = field(default_factory=set)
    """Nodes that moves of this plan reveal: one reveal serves every match."""
