"""The watcher as it runs: archive, execute, look, play, again and again.

Each round starts from what the chain says then. What the node withholds is said aloud and never
held against a claim; a difference between our own two builds stops everything.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog

from provenue.settlement.chain_types import Block
from provenue.settlement.rpc import ChainError
from provenue.watcher.history import History
from provenue.watcher.l1 import L1, MissingDataError
from provenue.watcher.ledger import DisputeCost
from provenue.watcher.metrics import Metrics
from provenue.watcher.moves import Plan
from provenue.watcher.party import Party, find_game
from provenue.watcher.pins import match_guest, read_pins
from provenue.watcher.source import Source
from provenue.watcher.state import ChainState
from provenue.watcher.traces import ComputedTrees

__all__ = ["Summary", "Watcher"]

_log = structlog.get_logger(__name__)
_RETRY_S = 2.0
# A node can know a block before it has indexed its events: once is no alarm.
_MISSING_ROUNDS = 3


class Summary(msgspec.Struct, frozen=True):
    """What a watcher prints when it ends."""

    batches: int
    final_batches: int
    wrong_claims: list[tuple[int, int]]
    """(batch, index) of claims that were found wrong while they lived."""
    wrong_final: list[int]
    """Batches that became final with a wrong root: nothing undoes that."""
    disputes: list[DisputeCost]
    """What they cost this account, by batch, also before a restart."""
    refused_moves: int


@dataclass(slots=True)
class _Said:
    """What was logged last, so that a state that lasts is said once."""

    missing_rounds: int = 0
    notes: frozenset[tuple[str, int]] = frozenset()
    wrong: frozenset[tuple[int, int]] = frozenset()
    no_game: bool = False


class Watcher:
    """One venue, watched by one account (or none: then it only tells)."""

    def __init__(
        self,
        l1: L1,
        source: Source,
        history: History,
        trees: ComputedTrees,
        party: Party,
        metrics: Metrics,
    ) -> None:
        self._l1 = l1
        self._source = source
        self._history = history
        self._trees = trees
        self._party = party
        self._metrics = metrics
        self._said = _Said()
        self._wrong: set[tuple[int, int]] = set()
        self._head: Block | None = None
        self._started = False
        self._recorded = len(party.ledger.made)
        self._refused = 0
        self._wrong_final: list[int] = []

    def run(self, stopping: Callable[[], bool], *, poll_s: float) -> None:
        """Watch until told to stop; a node that is away is waited for."""
        while not stopping():
            try:
                moved = self.step()
                self._metrics.node_away.set(0)
                pause_s = 0.0 if moved else poll_s
            except ChainError as problem:
                self._metrics.node_away.set(1)
                _log.warning("node not usable, tried again", problem=str(problem))
                pause_s = _RETRY_S
            _sleep(pause_s, stopping)
        with contextlib.suppress(ChainError):
            self._look(self._l1.rpc.head())  # what came last is still judged, and no move made

    def step(self) -> bool:
        """One round, if there is a new L1 block; whether a move was made."""
        head = self._l1.rpc.head()
        if self._head is not None and head.hash == self._head.hash:
            return False
        state, plan = self._look(head)
        for batch in {move.batch for move in plan.moves if move.batch in self._history.executed}:
            # Before money or a verdict hangs on it: both builds must agree (P1).
            self._trees.confirm(batch)
        moved = self._party.move(plan) if self._party.mover is not None else 0
        self._count_moves()
        self._check_final(state.final_count)
        self._head = None if moved else head
        return moved > 0

    def _look(self, head: Block) -> tuple[ChainState, Plan]:
        self._find_game()
        self._archive()
        self._execute()
        state, plan = self._party.look()
        self._report(state, plan, head)
        return state, plan

    def summary(self) -> Summary:
        """What has happened so far."""
        mover = self._party.mover
        return Summary(
            batches=self._history.next_batch,
            final_batches=self._l1.final_count(),
            wrong_claims=sorted(self._wrong),
            wrong_final=self._wrong_final,
            disputes=self._party.ledger.disputes(),
            refused_moves=0 if mover is None else mover.refused,
        )

    # --- parts of a round -------------------------------------------------------------------------

    def _find_game(self) -> None:
        """A venue can begin without a game; once it is set, it is for good."""
        if self._party.game is not None:
            return
        game = find_game(self._l1)
        if game is None:
            if not self._said.no_game:
                _log.warning("no game is set: no claim can be disputed yet")
            self._said.no_game = True
            return
        match_guest(read_pins(game), preset=self._history.preset)
        self._party.take_game(game)
        _log.info("a game is set", game=game.address)

    def _archive(self) -> None:
        said = self._said
        try:
            self._source.update()
            if said.missing_rounds >= _MISSING_ROUNDS:
                _log.info("data is there again")
            said.missing_rounds = 0
        except MissingDataError as problem:
            said.missing_rounds += 1
            if said.missing_rounds == _MISSING_ROUNDS:
                _log.error("data is missing: no move is made about it", problem=str(problem))
        self._metrics.missing_data.set(1 if said.missing_rounds >= _MISSING_ROUNDS else 0)
        self._trees.count = self._source.checked

    def _execute(self) -> None:
        if not self._started:
            self._history.start(min(self._l1.final_count(), self._source.checked))
            self._started = True
        while self._history.next_batch < self._source.checked:
            done = self._source.run_next()
            self._metrics.execution_seconds.observe(done.seconds)
            _log.info(
                "batch executed",
                batch=done.number,
                messages=len(done.roots),
                seconds=round(done.seconds, 4),
                root=done.end_root.hex(),
            )

    def _report(self, state: ChainState, plan: Plan, head: Block) -> None:
        metrics, said = self._metrics, self._said
        metrics.l1_block.set(head.number)
        metrics.l1_time_s.set(head.timestamp)
        metrics.batches_posted.set(state.final_count + len(state.batches))
        metrics.batches_archived.set(self._source.checked)
        metrics.batches_executed.set(self._history.next_batch)
        metrics.batches_final.set(state.final_count)
        metrics.wrong_claims.set(len(plan.wrong))
        metrics.matches.set(len(state.matches))
        wrong = frozenset(plan.wrong)
        for batch, index in sorted(wrong - said.wrong):
            _log.error("claim is wrong", batch=batch, claim=index)
        said.wrong = wrong
        self._wrong |= wrong
        notes = frozenset((note.kind, note.batch) for note in plan.notes)
        for note in plan.notes:
            if (note.kind, note.batch) not in said.notes:
                metrics.notes.labels(note.kind).inc()
                # A batch that was posted a moment ago is simply not deep enough yet.
                log = _log.info if note.kind == "unknown_batch" else _log.warning
                log("no move", kind=note.kind, text=note.text)
        said.notes = notes
        if self._party.mover is None and plan.moves and wrong:
            _log.warning("no key: would move", moves=[str(move) for move in plan.moves])

    def _check_final(self, final_count: int) -> None:
        """Compare the roots of batches that have become final, and drop what only they need."""
        for number in sorted(n for n in self._history.executed if n < final_count):
            there = self._l1.anchor.final_root(number)
            here = self._history.executed[number].end_root
            if here != there:
                self._wrong_final.append(number)
                self._metrics.wrong_final.set(len(self._wrong_final))
                _log.error(
                    "a wrong root is final", batch=number, chain=there.hex(), executed=here.hex()
                )
        self._history.prune(final_count)

    def _count_moves(self) -> None:
        mover, ledger, metrics = self._party.mover, self._party.ledger, self._metrics
        if mover is None:
            return
        for made in ledger.made[self._recorded :]:
            metrics.moves.labels(made.moves).inc()
            metrics.gas.inc(made.gas)
        self._recorded = len(ledger.made)
        metrics.refused.inc(mover.refused - self._refused)
        self._refused = mover.refused
        disputes = ledger.disputes()
        metrics.dispute_transactions.set(max((d.transactions for d in disputes), default=0))
        metrics.dispute_gas.set(max((d.gas for d in disputes), default=0))
        metrics.balance_wei.set(self._l1.rpc.balance(self._party.address))


def _sleep(seconds: float, stopping: Callable[[], bool]) -> None:
    """In pieces, so that a signal is heeded."""
    until = time.monotonic() + seconds
    while not stopping() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
