"""What the chain says at one block about everything that is not final: the player's only memory.

Plain values, so that a test can write one down. Times are L1 seconds, sides of a match are 0 (the
older claim) and 1. `watcher/reader.py` fills it in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

__all__ = [
    "Batch",
    "ChainState",
    "Claim",
    "InnerClaim",
    "InnerMatch",
    "Match",
    "Mine",
    "Rules",
    "Stage",
]


class Stage(IntEnum):
    """Of a match. SEALED: inner claims may join; of an inner match: its step may be made."""

    NONE = 0
    REVEAL = 1
    SEALED = 2
    DONE = 3


@dataclass(frozen=True, slots=True)
class Rules:
    """Fixed at deployment."""

    window_s: int
    """A of chapter 11."""
    grace_s: int
    """G."""
    bond_wei: int
    forced_bond_wei: int
    reserve_wei: int
    inner_bond_wei: int
    operator: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim about a batch."""

    index: int
    claim_root: bytes
    start_root: bytes
    end_root: bytes
    claimant: str
    claimed_at_s: int
    status: Literal["live", "void", "final"]
    round: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that is not final. Its round is over when no claim of it lives."""

    number: int
    forced: bool
    round: int
    round_started_at_s: int
    active: int | None
    claims: tuple[Claim, ...]

    @property
    def live(self) -> list[Claim]:
        """The claims that compete."""
        return [claim for claim in self.claims if claim.status == "live"]

    def claim(self, index: int) -> Claim:
        """One claim."""
        return self.claims[index]


@dataclass(frozen=True, slots=True)
class InnerClaim:
    """An instruction tree for one side of a sealed match."""

    index: int
    owner: str
    root: bytes
    joined_at_s: int
    live: bool


@dataclass(frozen=True, slots=True)
class InnerMatch:
    """A match of two inner claims, by their indices on their sides."""

    id: bytes
    inner: tuple[int, int]
    nodes: tuple[bytes, bytes]
    height: int
    position: int
    since_s: int
    used_s: tuple[int, int]
    stage: Stage


@dataclass(frozen=True, slots=True)
class Match:
    """A match of two claims about one batch."""

    id: bytes
    batch: int
    claims: tuple[int, int]
    nodes: tuple[bytes, bytes]
    height: int
    position: int
    since_s: int
    used_s: tuple[int, int]
    stage: Stage
    sealed_at_s: int = 0
    inner: tuple[tuple[InnerClaim, ...], tuple[InnerClaim, ...]] = ((), ())
    inner_matches: tuple[InnerMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Mine:
    """What the party has on the chain. Amounts in wei."""

    address: str
    bond_wei: int = 0
    open_claims: int = 0
    anchor_credit_wei: int = 0
    game_credit_wei: int = 0
    free_claims: tuple[tuple[int, int], ...] = ()
    """(batch, index) of rival claims whose bond can be taken back."""
    free_inner: tuple[tuple[bytes, int, int], ...] = ()
    """(match, side, inner) of inner claims whose bond can be taken back."""


@dataclass(frozen=True, slots=True)
class ChainState:
    """Everything the player looks at."""

    now_s: int
    rules: Rules
    mine: Mine
    final_count: int
    batches: tuple[Batch, ...]
    """Batches final_count and up, in order."""
    matches: tuple[Match, ...] = ()
    revealed_at_s: Mapping[bytes, int] = field(default_factory=dict)
    """Of the nodes at which matches stand."""
    children: Mapping[bytes, Sequence[bytes]] = field(default_factory=dict)
    """Of revealed nodes."""

    def is_revealed(self, node: bytes) -> bool:
        """Whether anybody has revealed a node."""
        return node in self.revealed_at_s or node in self.children
