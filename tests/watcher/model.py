"""Anchor's claims and the DisputeGame as far as a player can tell, in plain Python (chapter 11).

Every move is checked as the contracts check it: proofs, preimages, clocks, who may when. So a plan
that a contract would refuse is refused here, in microseconds. Bonds are only noted.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from provenue import wire
from provenue.watcher.moves import Move
from provenue.watcher.state import (
    Batch,
    ChainState,
    Claim,
    InnerClaim,
    InnerMatch,
    Match,
    Mine,
    Rules,
    Stage,
)

__all__ = ["RULES", "Game", "RefusedError", "Trace", "states_of"]

RULES = Rules(
    window_s=3_600,
    grace_s=600,
    bond_wei=100,
    forced_bond_wei=10,
    reserve_wei=5,
    inner_bond_wei=7,
    operator="operator",
)
HEIGHTS = (12, 24)


class RefusedError(Exception):
    """What a contract would revert with."""


def states_of(label: str, count: int) -> list[bytes]:
    """Made-up machine states; the last one is the fixed point."""
    return [wire.keccak256(f"{label} {n}".encode()) * 10 for n in range(count)]


class Trace:
    """An instruction tree over made-up states; see `provenue.watcher.trees.InstructionTree`."""

    def __init__(self, states: Sequence[bytes], end_root: bytes) -> None:
        self._states = list(states)
        self._end_root = end_root
        hashes = [wire.keccak256(state) for state in self._states]
        self._tree = wire.MerkleTree(24, fill=hashes[-1])
        self._tree.extend(hashes[1:])
        self.root = self._tree.root

    def node(self, height: int, index: int) -> bytes:
        return self._tree.node(height, index)

    def children(self, height: int, index: int) -> list[bytes]:
        return [self._tree.node(height - 3, 8 * index + k) for k in range(8)]

    def proof(self, index: int) -> list[bytes]:
        return self._tree.proof(index)

    def end(self) -> tuple[list[bytes], bytes, bytes, bytes]:
        last = self._states[-1]
        words = [last[at : at + 32] for at in range(0, 320, 32)]
        return words, bytes(32), self._end_root, bytes(32)

    def witness(self, index: int) -> bytes:
        return self._states[min(index, len(self._states) - 1)] + b"the rest"


def _node_above(children: Sequence[bytes]) -> bytes:
    if len(children) == 1:
        return children[0]
    half = len(children) // 2
    return wire.keccak256(_node_above(children[:half]) + _node_above(children[half:]))


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise RefusedError(reason)


@dataclass
class _Duel:
    """A match at either level."""

    nodes: list[bytes]
    height: int
    since: int
    position: int = 0
    used: list[int] = field(default_factory=lambda: [0, 0])
    stage: Stage = Stage.REVEAL


@dataclass
class _Inner:
    owner: str
    root: bytes
    joined: int
    live: bool = True


@dataclass
class _Match(_Duel):
    batch: int = 0
    claims: tuple[int, int] = (0, 0)
    sealed_at: int = 0
    inner: tuple[list[_Inner], list[_Inner]] = field(default_factory=lambda: ([], []))


@dataclass
class _InnerMatch(_Duel):
    match: bytes = b""
    pair: tuple[int, int] = (0, 0)
    pre_hash: bytes = b""


@dataclass
class _Claim:
    root: bytes
    end: bytes
    owner: str
    claimed: int
    round: int
    live: bool = True


class Game:
    """One batch (number 0), its claims, and every match about it."""

    def __init__(self, start_root: bytes, steps: dict[bytes, bytes], now_s: int = 1_000) -> None:
        self.now = now_s
        self.start_root = start_root
        self.round = 0
        self.round_started = 0
        self.active: int | None = None
        self.claims: list[_Claim] = []
        self.matches: dict[bytes, _Match] = {}
        self.inner_matches: dict[bytes, _InnerMatch] = {}
        self.revealed: dict[bytes, int] = {}
        self.children: dict[bytes, list[bytes]] = {}
        self.sent: Counter[str] = Counter()
        self.functions: dict[str, list[str]] = {}
        self.final = False
        self._steps = steps

    # --- what a party does ------------------------------------------------------------------------

    def send(self, move: Move, sender: str) -> None:
        """Make a move and those bundled with it: one transaction."""
        before = copy.deepcopy(self.__dict__) if move.then else {}
        try:
            for part in (move, *move.then):
                getattr(self, f"_{part.function}")(sender, *part.args)
        except RefusedError:
            self.__dict__.update(before)
            raise
        self.sent[sender] += 1
        names = "+".join(part.function for part in (move, *move.then))
        self.functions.setdefault(sender, []).append(names)

    def post(self, sender: str, claim: wire.ClaimTree) -> None:
        """The first claim of a round."""
        self.round += 1
        self.round_started = self.now
        self._add(sender, claim.root, claim.final_root)
        self.active = len(self.claims) - 1

    def _add(self, sender: str, root: bytes, end: bytes) -> None:
        self.claims.append(_Claim(root, end, sender, self.now, self.round))

    def _checked_claim(self, batch: int, claim: dict[str, Any]) -> tuple[bytes, bytes]:
        _require(batch == 0, "no such batch")
        _require(claim["start_root"] == self.start_root, "start root differs")
        opened = wire.root_of_proof(claim["end_root"], 4_095, claim["last_siblings"])
        _require(opened == claim["claim_root"], "claim does not open")
        return claim["claim_root"], claim["end_root"]

    def _live(self) -> list[int]:
        return [i for i, c in enumerate(self.claims) if c.live and c.round == self.round]

    def _join(self, sender: str, batch: int, claim: dict[str, Any]) -> None:
        root, end = self._checked_claim(batch, claim)
        _require(bool(self._live()), "no live round")
        _require(self.now < self.round_started + RULES.window_s, "too late")
        _require(all(c.root != root for c in self.claims if c.round == self.round), "seen")
        self._add(sender, root, end)

    def _deposit_bond(self, sender: str) -> None:
        pass

    def _claim_again(self, sender: str, batch: int, claim: dict[str, Any]) -> None:
        root, end = self._checked_claim(batch, claim)
        _require(not self._live(), "round is alive")
        self.round += 1
        self.round_started = self.now
        self._add(sender, root, end)
        self.active = len(self.claims) - 1

    def _promote(self, _sender: str, batch: int, index: int) -> None:
        _require(batch == 0 and self.active is None and index in self._live(), "promote")
        self.active = index

    def _finalize(self, _sender: str, count: int) -> None:
        _require(self.now >= self.round_started + RULES.window_s, "window")
        _require(count == 1 and self._live() == [self.active], "rivals")
        self.final = True

    def _open(self, _sender: str, batch: int, first: int, second: int) -> None:
        live = self._live()
        _require(first < second and first in live and second in live, "not live")
        name = wire.keccak256(f"{batch} {first} {second}".encode())
        _require(name not in self.matches, "opened")
        pair = (self.claims[first], self.claims[second])
        self.matches[name] = _Match(
            [c.root for c in pair], 12, max(c.claimed for c in pair),
            batch=batch, claims=(first, second),
        )  # fmt: skip

    # --- matches ----------------------------------------------------------------------------------

    def _reveal(self, _sender: str, children: Sequence[bytes]) -> None:
        _require(len(children) == 8, "eight")
        node = _node_above(children)
        self.revealed.setdefault(node, self.now)
        self.children[node] = list(children)

    def _duel(self, name: bytes) -> tuple[_Duel, list[int]]:
        """A match that goes on, with its allowances."""
        if name in self.matches:
            match = self.matches[name]
            _require(all(self.claims[i].live for i in match.claims), "a claim is dead")
            _require(match.stage is not Stage.DONE, "done")
            return match, self._allowances(match)
        inner = self.inner_matches[name]
        match = self.matches[inner.match]
        claims = [match.inner[s][inner.pair[s]] for s in (0, 1)]
        _require(match.stage is Stage.SEALED and inner.stage is not Stage.DONE, "done")
        _require(all(claim.live for claim in claims), "an inner claim is dead")
        left = self._left(match)
        allowed = [left[s] + RULES.grace_s - (claims[s].joined - match.sealed_at) for s in (0, 1)]
        return inner, allowed

    def _allowances(self, match: _Match) -> list[int]:
        return [
            RULES.window_s - (self.claims[i].claimed - self.round_started) for i in match.claims
        ]

    def _left(self, match: _Match) -> list[int]:
        return [a - u for a, u in zip(self._allowances(match), match.used, strict=True)]

    def _advance(
        self, sender: str, name: bytes, children_0: Any, children_1: Any, following: Any
    ) -> None:
        duel, allowed = self._duel(name)
        _require(duel.height > 0, "leaves")
        both = (children_0, children_1)
        for side in (0, 1):
            _require(_node_above(both[side]) == duel.nodes[side], "not its children")
            self._reveal(sender, both[side])
        way = next(k for k in range(8) if children_0[k] != children_1[k])
        times = [self.revealed[node] for node in duel.nodes]
        for side in (0, 1):
            duel.used[side] += max(0, times[side] - duel.since)
        duel.since = max(duel.since, *times)
        duel.nodes = [both[0][way], both[1][way]]
        duel.height -= 3
        duel.position = 8 * duel.position + way
        self._decide(name, [duel.used[side] > allowed[side] for side in (0, 1)])
        if following:
            _require(_node_above(following) in duel.nodes, "not below")
            self._reveal(sender, following)

    def _timeout(self, _sender: str, name: bytes) -> None:
        duel, allowed = self._duel(name)
        inner = name in self.inner_matches
        _require(duel.height > 0 or inner, "leaves")
        lost = []
        for side in (0, 1):
            seen = self.revealed.get(duel.nodes[side]) if duel.height > 0 else None
            spent = max(0, (self.now if seen is None else seen) - duel.since)
            lost.append(duel.used[side] + spent > allowed[side])
        _require(any(lost), "in time")
        self._decide(name, lost)

    def _decide(self, name: bytes, lost: list[bool]) -> None:
        if not any(lost):
            return
        if name in self.inner_matches:
            inner = self.inner_matches[name]
            inner.stage = Stage.DONE
            for side in (0, 1):
                if lost[side]:
                    self.matches[inner.match].inner[side][inner.pair[side]].live = False
            return
        match = self.matches[name]
        match.stage = Stage.DONE
        for side in (0, 1):
            if lost[side]:
                self.claims[match.claims[side]].live = False
        if self.active is not None and not self.claims[self.active].live:
            winner = next((match.claims[s] for s in (0, 1) if not lost[s]), None)
            self.active = winner

    def _seal(self, _sender: str, name: bytes, pre_root: bytes, siblings: Any) -> None:
        match = self.matches[name]
        self._duel(name)
        _require(match.height == 0 and match.stage is Stage.REVEAL, "not at the leaves")
        root = self.claims[match.claims[0]].root
        self._check_left(root, pre_root, match.position, siblings, 12, self.start_root)
        match.stage, match.sealed_at = Stage.SEALED, match.since

    def _check_left(
        self, root: bytes, leaf: bytes, position: int, siblings: Any, height: int, first: bytes
    ) -> None:
        if position == 0:
            _require(leaf == first and not siblings, "start")
            return
        _require(len(siblings) == height, "siblings")
        _require(wire.root_of_proof(leaf, position - 1, siblings) == root, "pre root")

    def _join_inner(
        self, sender: str, name: bytes, side: int, root: bytes, end: Any, siblings: Any
    ) -> None:
        match = self.matches[name]
        self._duel(name)
        _require(match.stage is Stage.SEALED, "not sealed")
        _require(self.now <= match.sealed_at + self._left(match)[side] + RULES.grace_s, "late")
        _require(all(inner.root != root for inner in match.inner[side]), "seen")
        words, _, q1, _ = end
        last = wire.keccak256(b"".join(word.to_bytes(32, "big") for word in words))
        _require(wire.root_of_proof(last, 2**24 - 1, siblings) == root, "end")
        _require(q1 == match.nodes[side], "post root")
        match.inner[side].append(_Inner(sender, root, self.now))

    def _open_inner(self, _sender: str, name: bytes, first: int, second: int) -> None:
        match = self.matches[name]
        self._duel(name)
        pair = (match.inner[0][first], match.inner[1][second])
        _require(all(inner.live for inner in pair), "dead")
        inner_name = wire.keccak256(name + bytes([first, second]))
        _require(inner_name not in self.inner_matches, "opened")
        self.inner_matches[inner_name] = _InnerMatch(
            [inner.root for inner in pair], 24, max(inner.joined for inner in pair),
            match=name, pair=(first, second),
        )  # fmt: skip

    def _seal_inner(self, _sender: str, name: bytes, pre_hash: bytes, siblings: Any) -> None:
        inner = self.inner_matches[name]
        self._duel(name)
        _require(inner.height == 0 and inner.stage is Stage.REVEAL, "not at the leaves")
        root = self.matches[inner.match].inner[0][inner.pair[0]].root
        _require(pre_hash in self._steps, "no such state")
        self._check_left(root, pre_hash, inner.position, siblings, 24, pre_hash)
        inner.stage, inner.pre_hash = Stage.SEALED, pre_hash

    def _step(self, _sender: str, name: bytes, witness: bytes) -> None:
        inner = self.inner_matches[name]
        self._duel(name)
        _require(inner.stage is Stage.SEALED, "not sealed")
        _require(wire.keccak256(witness[:320]) == inner.pre_hash, "witness")
        after = self._steps[inner.pre_hash]
        self._decide(name, [node != after for node in inner.nodes])

    def _settle(self, _sender: str, name: bytes) -> None:
        match = self.matches[name]
        self._duel(name)
        _require(match.stage is Stage.SEALED, "not sealed")
        left = self._left(match)
        live = [any(inner.live for inner in match.inner[s]) for s in (0, 1)]
        until = [match.sealed_at + left[s] + RULES.grace_s for s in (0, 1)]
        out = [not live[s] and self.now > until[s] for s in (0, 1)]
        _require(all(out) or (out[0] and live[1]) or (out[1] and live[0]), "not decided")
        self._decide(name, out)

    # --- what a party sees ------------------------------------------------------------------------

    def state(self, address: str) -> ChainState:
        """As the reader would find it."""
        claims = tuple(
            Claim(
                i, c.root, self.start_root, c.end, c.owner, c.claimed,
                "live" if c.live else "void", c.round,
            )
            for i, c in enumerate(self.claims)
        )  # fmt: skip
        batch = Batch(0, False, self.round, self.round_started, self.active, claims)
        return ChainState(
            now_s=self.now,
            rules=RULES,
            mine=Mine(address, bond_wei=1_000, open_claims=1),
            final_count=0,
            batches=() if self.final else (batch,),
            matches=tuple(self._match(name) for name in self.matches),
            revealed_at_s=dict(self.revealed),
            children=dict(self.children),
        )

    def _match(self, name: bytes) -> Match:
        m = self.matches[name]
        inner = tuple(
            tuple(InnerClaim(i, c.owner, c.root, c.joined, c.live) for i, c in enumerate(side))
            for side in m.inner
        )
        inner_matches = tuple(
            InnerMatch(
                key, d.pair, (d.nodes[0], d.nodes[1]), d.height, d.position, d.since,
                (d.used[0], d.used[1]), d.stage,
            )
            for key, d in self.inner_matches.items()
            if d.match == name
        )  # fmt: skip
        return Match(
            name, m.batch, m.claims, (m.nodes[0], m.nodes[1]), m.height, m.position, m.since,
            (m.used[0], m.used[1]), m.stage, m.sealed_at, (inner[0], inner[1]), inner_matches,
        )  # fmt: skip
