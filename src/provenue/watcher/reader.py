"""Reading the state of every dispute off the chain: Anchor and DisputeGame into a ChainState.

What is cached is what events say can only have changed with an event; after an L1 reorganisation
everything is read again. Clocks, matches that go on and reveals are read each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provenue.settlement.anchored import read_claims
from provenue.settlement.chain_types import Block
from provenue.settlement.contract import Contract, Event
from provenue.settlement.tx import RevertedError
from provenue.watcher.l1 import L1
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

__all__ = ["Reader"]

_DUEL = ("node_0", "node_1", "height", "position", "since", "used_0", "used_1", "stage")
_MATCH = ("batch", "index_0", "index_1", *_DUEL, "pre_root", "sealed_at", "live_0", "live_1")
_INNER_MATCH = ("match_id", "inner_0", "inner_1", *_DUEL, "pre_hash")
_INNER = ("owner", "root", "joined_at", "live")


class Reader:
    """One venue's disputes, as one account looks at them. `game` None: none is set yet."""

    def __init__(self, l1: L1, game: Contract | None, address: str) -> None:
        self._l1 = l1
        self._anchor = l1.anchor.contract
        self._game = game
        self._address = address
        self._head: Block | None = None
        self._reset()

    def _reset(self) -> None:
        self._head = None
        self._rules: Rules | None = None
        self._mine: Mine | None = None
        self._batches: dict[int, Batch] = {}
        self._matches: dict[bytes, int] = {}
        self._inner: dict[bytes, list[bytes]] = {}
        self._done: set[bytes] = set()
        self._children: dict[bytes, Sequence[bytes]] = {}
        self._own_claims: set[tuple[int, int]] = set()
        self._own_inner: set[tuple[bytes, int, int]] = set()

    # --- one look ---------------------------------------------------------------------------------

    def read(self) -> ChainState:
        """The state at the newest block. `now_s` is the time at which a move would be mined."""
        head = self._l1.rpc.head()
        if self._head is not None and not self._is_canonical(self._head):
            self._reset()
        first = self._l1.final_count(head.number)
        count = self._l1.batch_count(head.number)
        self._follow_events(head, first, count)
        self._head = head
        batches = tuple(self._batch(number) for number in range(first, count))
        self._batches = {batch.number: batch for batch in batches}
        matches = tuple(self._read_matches(self._batches))
        return ChainState(
            now_s=self._next_time_s(head),
            rules=self._read_rules(),
            mine=self._read_mine(first),
            final_count=first,
            batches=batches,
            matches=matches,
            revealed_at_s=self._read_reveals(matches),
            children=self._children,
        )

    def _is_canonical(self, block: Block) -> bool:
        found = self._l1.rpc.block(block.number)
        return found is not None and found.hash == block.hash

    def _next_time_s(self, head: Block) -> int:
        pending = self._l1.rpc.block("pending")
        return max(head.timestamp, pending.timestamp if pending is not None else 0)

    # --- events -----------------------------------------------------------------------------------

    def _follow_events(self, head: Block, first: int, count: int) -> None:
        if self._head is None:
            self._find_own(head)
            start = self._start_block(first, count, head)
        else:
            start = self._head.number + 1
        if start > head.number:
            return
        for event in self._events(self._anchor, start, head.number):
            self._mine = None
            self._take_anchor(event)
        for event in self._events(self._game, start, head.number):
            self._mine = None
            self._take_game(event)

    def _events(self, contract: Contract | None, first: int, last: int) -> list[Event]:
        if contract is None:
            return []
        logs = self._l1.rpc.logs(address=contract.address, from_block=first, to_block=last)
        return contract.events_in(logs)

    def _start_block(self, first: int, count: int, head: Block) -> int:
        """Where the oldest batch that is not final was posted: no dispute is older."""
        if first == count:
            return head.number
        start = self._l1.deployment.block
        events = self._anchor.events("BatchPosted", start, head.number, batch=first)
        return events[0].log.block_number if events else start

    def _find_own(self, head: Block) -> None:
        """Own claims and inner claims of all time: their bonds may still be out."""
        start = self._l1.deployment.block
        for event in self._anchor.events("Claimed", start, head.number, claimant=self._address):
            self._own_claims.add((int(event.args["batch"]), int(event.args["index"])))
        if self._game is not None:
            for event in self._game.events("InnerJoined", start, head.number, owner=self._address):
                self._take_game(event)

    def _take_anchor(self, event: Event) -> None:
        number = event.args.get("batch")
        if number is None:
            self._rules = None
            return
        self._batches.pop(int(number), None)
        if event.name == "Claimed" and event.args["claimant"] == self._address:
            self._own_claims.add((int(number), int(event.args["index"])))

    def _take_game(self, event: Event) -> None:
        args = event.args
        if event.name == "Opened":
            self._matches[bytes(args["match_id"])] = int(args["batch"])
        elif event.name == "InnerOpened":
            inner = self._inner.setdefault(bytes(args["match_id"]), [])
            if bytes(args["inner_match_id"]) not in inner:
                inner.append(bytes(args["inner_match_id"]))
        elif event.name == "Revealed":
            self._children[bytes(args["node"])] = [bytes(child) for child in args["children"]]
        elif event.name == "InnerJoined" and args["owner"] == self._address:
            place = (bytes(args["match_id"]), int(args["side"]), int(args["inner"]))
            self._own_inner.add(place)

    # --- claims -----------------------------------------------------------------------------------

    def _batch(self, number: int) -> Batch:
        if number in self._batches:
            return self._batches[number]
        found = read_claims(self._anchor, number)
        claims = tuple(
            Claim(
                index=claim.index,
                claim_root=claim.claim_root,
                start_root=claim.start_root,
                end_root=claim.end_root,
                claimant=claim.claimant,
                claimed_at_s=claim.claimed_at_s,
                status=claim.status,
                round=claim.round,
            )
            for claim in found
        )
        newest = found[-1]
        return Batch(
            number=number,
            forced=bool(self._anchor.call("batch_of", number)["forced"]),
            round=newest.round,
            round_started_at_s=newest.round_started_at_s,
            active=self._active(number),
            claims=claims,
        )

    def _active(self, number: int) -> int | None:
        try:
            return int(self._anchor.call("active_claim", number))
        except RevertedError:
            return None

    # --- matches ----------------------------------------------------------------------------------

    def _read_matches(self, batches: Mapping[int, Batch]) -> list[Match]:
        """Those of batches that are not final, both of whose claims live."""
        found = []
        for name, number in self._matches.items():
            if number not in batches or name in self._done:
                continue
            match = self._read_match(name)
            claims = batches[number].claims
            if all(claims[index].status == "live" for index in match.claims):
                found.append(match)
            if match.stage is Stage.DONE:
                self._done.add(name)
        return found

    def _read_match(self, name: bytes) -> Match:
        assert self._game is not None
        raw = _named(self._game.call("match_of", name), _MATCH)
        sealed = raw["stage"] == Stage.SEALED
        inner = (self._read_inner(name, 0), self._read_inner(name, 1)) if sealed else ((), ())
        names = self._inner.get(name, []) if sealed else []
        return Match(
            id=name,
            batch=int(raw["batch"]),
            claims=(int(raw["index_0"]), int(raw["index_1"])),
            nodes=(bytes(raw["node_0"]), bytes(raw["node_1"])),
            height=int(raw["height"]),
            position=int(raw["position"]),
            since_s=int(raw["since"]),
            used_s=(int(raw["used_0"]), int(raw["used_1"])),
            stage=Stage(raw["stage"]),
            sealed_at_s=int(raw["sealed_at"]),
            inner=inner,
            inner_matches=tuple(self._read_inner_match(inner_name) for inner_name in names),
        )

    def _read_inner(self, name: bytes, side: int) -> tuple[InnerClaim, ...]:
        assert self._game is not None
        claims = []
        for index in range(int(self._game.call("inner_count", name, side))):
            raw = _named(self._game.call("inner_of", name, side, index), _INNER)
            claims.append(
                InnerClaim(
                    index=index,
                    owner=str(raw["owner"]),
                    root=bytes(raw["root"]),
                    joined_at_s=int(raw["joined_at"]),
                    live=bool(raw["live"]),
                )
            )
        return tuple(claims)

    def _read_inner_match(self, name: bytes) -> InnerMatch:
        assert self._game is not None
        raw = _named(self._game.call("inner_match_of", name), _INNER_MATCH)
        return InnerMatch(
            id=name,
            inner=(int(raw["inner_0"]), int(raw["inner_1"])),
            nodes=(bytes(raw["node_0"]), bytes(raw["node_1"])),
            height=int(raw["height"]),
            position=int(raw["position"]),
            since_s=int(raw["since"]),
            used_s=(int(raw["used_0"]), int(raw["used_1"])),
            stage=Stage(raw["stage"]),
        )

    def _read_reveals(self, matches: Sequence[Match]) -> dict[bytes, int]:
        """When the nodes were revealed at which matches stand."""
        found = {}
        duels: list[Match | InnerMatch] = [*matches, *(m for x in matches for m in x.inner_matches)]
        for node in {node for duel in duels if duel.height > 0 for node in duel.nodes}:
            assert self._game is not None
            if time_s := int(self._game.call("revealed_at", node)):
                found[node] = time_s
        return found

    # --- rules, own accounts ----------------------------------------------------------------------

    def _read_rules(self) -> Rules:
        if self._rules is None:
            config = self._anchor.call("config")
            game = self._game
            self._rules = Rules(
                window_s=int(config["challenge_window_s"]),
                grace_s=0 if game is None else int(game.call("grace_s")),
                bond_wei=int(config["bond_wei"]),
                forced_bond_wei=int(config["forced_bond_wei"]),
                reserve_wei=int(config.get("claim_reserve_wei", 0)),
                inner_bond_wei=0 if game is None else int(game.call("inner_bond_wei")),
                operator=str(config["operator"]),
            )
        return self._rules

    def _drop_settled(
        self, first: int, free: set[tuple[int, int]], free_inner: set[tuple[bytes, int, int]]
    ) -> None:
        """Forget own claims and inner claims about final batches whose bonds are not to be had."""
        self._own_claims = {p for p in self._own_claims if p[0] >= first or p in free}
        self._own_inner = {
            p for p in self._own_inner if self._matches.get(p[0], -1) >= first or p in free_inner
        }

    def _read_mine(self, first: int) -> Mine:
        if self._mine is None:
            me = self._address
            free_claims = [p for p in self._own_claims if self._is_free(self._anchor, "release", p)]
            free_inner = [
                p for p in self._own_inner if self._is_free(self._game, "release_inner", p)
            ]
            self._drop_settled(first, set(free_claims), set(free_inner))
            self._mine = Mine(
                address=me,
                bond_wei=int(self._anchor.call("bond_of", me)),
                open_claims=int(self._anchor.call("open_claims_of", me)),
                anchor_credit_wei=int(self._anchor.call("credit_of", me)),
                game_credit_wei=0 if self._game is None else int(self._game.call("credit_of", me)),
                free_claims=tuple(sorted(free_claims)),
                free_inner=tuple(sorted(free_inner)),
            )
        return self._mine

    def _is_free(self, contract: Contract | None, function: str, place: tuple[Any, ...]) -> bool:
        """Whether a bond can be taken back now: the contract is asked by trying."""
        if contract is None:
            return False
        try:
            contract.call(function, *place, from_=self._address)
        except RevertedError:
            return False
        return True


def _named(value: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """A view's answer by the names of chapter 11's interface, be it a struct or several values."""
    return value if isinstance(value, Mapping) else dict(zip(names, value, strict=True))
