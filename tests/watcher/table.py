"""Parties at one table: each with its own archive and account, taking turns."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.bench import Bench
from tests.watcher.conftest import PRESET
from tests.watcher.liar import Lie, LyingTrees

from provenue import wire
from provenue.engine import guest_elf
from provenue.settlement.chain_types import BlockId
from provenue.settlement.dev_accounts import dev_accounts
from provenue.settlement.rpc import Rpc
from provenue.settlement.tx import Account
from provenue.watcher.archive import ArchivedBatch
from provenue.watcher.history import History
from provenue.watcher.l1 import L1
from provenue.watcher.party import Party, find_game
from provenue.watcher.player import Manners
from provenue.watcher.source import Source, open_archive
from provenue.watcher.traces import ComputedTrees, GuestTraps

PROVENUE = [sys.executable, "-m", "provenue.cli.main"]
HONEST_MOVES_MAX = 20
HONEST_GAS_MAX = 3_000_000
GAS_WEI_MAX = 10**17
# Accounts of the chain; 1 to 3 trade.
OPERATOR, WATCHER, LIAR = 0, 5, 6


@dataclass
class Seat:
    """A party with its own archive; `step` brings it up to date and lets it move."""

    l1: L1
    source: Source
    history: History
    trees: ComputedTrees
    party: Party

    def step(self) -> int:
        self.catch_up()
        _, plan = self.party.look()
        return self.party.move(plan)

    def catch_up(self) -> None:
        self.source.update()
        self.trees.count = self.source.checked
        while self.history.next_batch < self.source.checked:
            self.history.run_next()


def key_of(number: int) -> str:
    return dev_accounts(8)[number][1]


def seat_of(
    bench: Bench, folder: Path, number: int | None, lie: Lie | None = None,
    rpc: Rpc | None = None, claims: bool = True, depth: BlockId = "latest",
) -> Seat:  # fmt: skip
    l1 = L1.from_anchor(rpc or Rpc(bench.chain.url), bench.deployment.contracts["Anchor"])
    archive = open_archive(folder, l1)
    elf = guest_elf(PRESET)
    history = History(archive, preset=PRESET, domain=l1.domain, traps=GuestTraps(elf))
    trees = ComputedTrees(history, elf) if lie is None else LyingTrees(history, elf, lie)
    party = Party(
        "party", l1, find_game(l1), trees,
        account=None if number is None else Account(key_of(number)),
        folder=folder, manners=Manners(claims=claims, finalize_patience_s=0),
    )  # fmt: skip
    source = Source(l1, archive, history, depth=depth)
    return Seat(l1, source, history, trees, party)


def post_batch(bench: Bench, lie: Lie | None = None, folder: Path | None = None) -> int:
    """Post what is in the open batch, as the operator, with a right claim or with a lie."""
    worker = bench.new_worker()
    bench.close_batch()
    proven = worker._next_proven()
    assert proven is not None
    claim, start = proven.claim, worker._root
    if lie is not None:
        assert folder is not None
        teller = seat_of(bench, folder, None)
        teller.catch_up()
        # Of the header the program reads what is known before posting.
        batch = ArchivedBatch(
            number=lie.batch, header=proven.header.encode(), data=proven.posted,
            inbox=tuple(proven.batch.inbox), message_count=len(proven.check.roots),
            input_root=wire.input_root(proven.posted, proven.header, proven.batch.inbox),
            data_hash=wire.keccak256(proven.posted), poster="", tx_hash="", block_number=0,
            block_hash="", inbox_block=0,
        )  # fmt: skip
        teller.history.archive.store(batch)
        after = lie.trace(guest_elf(PRESET), teller.history, batch).end().q1
        claim = wire.ClaimTree(lie.roots(proven.check.roots, after))
    bench.anchor.post(proven.header, proven.batch.inbox, proven.posted, start, claim)
    return proven.header.batch


def open_venue(bench: Bench) -> None:
    """A venue with one right batch, and money for everybody who will need it."""
    bench.open()
    bench.trade(2)
    assert post_batch(bench) == 0


def play(bench: Bench, seats: list[Seat], done: Callable[[], bool], *, turns: int = 400) -> None:
    """Let everybody move in turn; when nobody has a move, time passes."""
    for _ in range(turns):
        if done():
            return
        if not sum(seat.step() for seat in seats):
            bench.chain.increase_time(30)
    pytest.fail("the dispute does not end")


def is_final(bench: Bench, batch: int) -> Callable[[], bool]:
    return lambda: bench.anchor.final_count() > batch


def held_by_contracts(bench: Bench, seat: Seat) -> int:
    """Bond and credits of a party on both contracts, in wei."""
    anchor, game, me = bench.anchor.contract, seat.party.game, seat.party.address
    assert game is not None
    return sum(
        int(contract.call(name, me))
        for contract, name in ((anchor, "bond_of"), (anchor, "credit_of"), (game, "credit_of"))
    )
