"""Whole disputes on both local chains: a wrong claim falls, the right one becomes final, the bonds
move; whoever is killed in between goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
from provenue.watcher.ledger import Ledger
from provenue.watcher.metrics import Metrics
from provenue.watcher.node import Watcher
from provenue.watcher.party import Party, find_game
from provenue.watcher.player import Manners
from provenue.watcher.replay import BuildsDifferError
from provenue.watcher.source import Source, open_archive
from provenue.watcher.traces import ComputedTrees, GuestTraps

pytestmark = [pytest.mark.chain, pytest.mark.e2e]

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


def _key(number: int) -> str:
    return dev_accounts(8)[number][1]


def _seat(
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
        account=None if number is None else Account(_key(number)),
        folder=folder, manners=Manners(claims=claims, finalize_patience_s=0),
    )  # fmt: skip
    source = Source(l1, archive, history, depth=depth)
    return Seat(l1, source, history, trees, party)


def _post(bench: Bench, lie: Lie | None = None, folder: Path | None = None) -> int:
    """Post what is in the open batch, as the operator, with a right claim or with a lie."""
    worker = bench.new_worker()
    bench.close_batch()
    proven = worker._next_proven()
    assert proven is not None
    claim, start = proven.claim, worker._root
    if lie is not None:
        assert folder is not None
        teller = _seat(bench, folder, None)
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


def _opened(bench: Bench) -> None:
    """A venue with one right batch, and money for everybody who will need it."""
    bench.open()
    bench.trade(2)
    assert _post(bench) == 0


def _play(bench: Bench, seats: list[Seat], done: Callable[[], bool], *, turns: int = 400) -> None:
    """Let everybody move in turn; when nobody has a move, time passes."""
    for _ in range(turns):
        if done():
            return
        if not sum(seat.step() for seat in seats):
            bench.chain.increase_time(30)
    pytest.fail("the dispute does not end")


def _is_final(bench: Bench, batch: int) -> Callable[[], bool]:
    return lambda: bench.anchor.final_count() > batch


def _held_by_contracts(bench: Bench, seat: Seat) -> int:
    """Bond and credits of a party on both contracts, in wei."""
    anchor, game, me = bench.anchor.contract, seat.party.game, seat.party.address
    assert game is not None
    return sum(
        int(contract.call(name, me))
        for contract, name in ((anchor, "bond_of"), (anchor, "credit_of"), (game, "credit_of"))
    )


LIES = {
    "at the first step of the first message": Lie(batch=1, message=0, step=0),
    "behind the last message": Lie(batch=1, message=9, step=5),
}


def test_a_wrong_claim_falls_and_the_right_one_becomes_final(
    each_bench: Bench, tmp_path: Path
) -> None:
    _dispute(each_bench, tmp_path, Lie(batch=1, message=2, step=700))


@pytest.mark.parametrize("place", LIES)
def test_a_lie_at_an_edge_falls_as_well(bench: Bench, tmp_path: Path, place: str) -> None:
    _dispute(bench, tmp_path, LIES[place])


def _dispute(bench: Bench, tmp_path: Path, lie: Lie) -> None:
    """A lying operator and a watcher, both playing as well as they can, to the last wei."""
    _opened(bench)
    bench.trade(2)
    assert _post(bench, lie, tmp_path / "teller") == 1
    honest = _seat(bench, tmp_path / "honest", WATCHER)
    liar = _seat(bench, tmp_path / "liar", OPERATOR, lie)
    before = bench.anchor.bond_wei(liar.party.address)
    held = bench.chain.rpc.balance(honest.party.address)
    _play(bench, [liar, honest], _is_final(bench, 1))
    claims = bench.anchor.claims(1)
    assert [claim.status for claim in claims] == ["void", "final"]
    assert claims[1].claimant == honest.party.address
    assert bench.anchor.final_root(1) == bench.sequencer.engine.root()
    lost = before - bench.anchor.bond_wei(liar.party.address)
    assert lost == bench.delays.bond_wei + bench.delays.claim_reserve_wei
    (cost,) = honest.party.ledger.disputes()
    print(f"{bench.chain.kind}: {cost.transactions} transactions, {cost.gas} gas")
    assert cost.transactions <= HONEST_MOVES_MAX
    assert cost.gas <= HONEST_GAS_MAX
    # Everything comes home by itself: half of what the liar lost, its own bonds, half inner bonds.
    for _ in range(5):
        honest.step()
    assert _held_by_contracts(bench, honest) == 0
    gained = bench.chain.rpc.balance(honest.party.address) - held
    assert gained > lost // 2 + bench.delays.inner_bond_wei // 2 - GAS_WEI_MAX
    done = _verify(bench, "--all")
    assert (done["verdict"], done["same_root"], done["wrong_batches"]) == ("right", True, [])


def _verify(bench: Bench, *options: str) -> dict[str, Any]:
    command = [*PROVENUE, "verify", "--rpc-url", bench.chain.url, "--json", "--anchor",
               bench.deployment.contracts["Anchor"], *options]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class LazySeat(Seat):
    """Reveals and joins, and leaves everything else to the others: the dearest opponent."""

    def step(self) -> int:
        self.catch_up()
        state, plan = self.party.look()
        moves = []
        for move in plan.moves:
            if move.function == "advance":
                # Of the two sets of children, those of its own node.
                match = next(m for m in state.matches if m.id == move.match)
                side = 0 if match.claims[0] == 0 else 1
                moves.append(replace(move, function="reveal", args=(move.args[1 + side],), then=()))
            elif move.function in ("reveal", "join_inner"):
                moves.append(replace(move, then=()))
            elif move.function in ("open", "open_inner"):
                moves += list(move.then)
        plan.moves = moves
        return self.party.move(plan)


def test_a_liar_who_leaves_every_move_to_the_honest_side_is_the_dearest(
    bench: Bench, tmp_path: Path
) -> None:
    _opened(bench)
    bench.trade(2)
    lie = Lie(batch=1, message=2, step=700)
    _post(bench, lie, tmp_path / "teller")
    honest = _seat(bench, tmp_path / "honest", WATCHER)
    lazy = _seat(bench, tmp_path / "liar", OPERATOR, lie)
    _play(bench, [honest, LazySeat(**vars(lazy))], _is_final(bench, 1))
    (cost,) = honest.party.ledger.disputes()
    moves = [made.moves for made in honest.party.ledger.made if made.counts]
    print(f"{bench.chain.kind}: {cost.transactions} transactions, {cost.gas} gas: {moves}")
    assert [claim.status for claim in bench.anchor.claims(1)] == ["void", "final"]
    # Where a move is known to be next, it goes along: three fewer than one by one.
    assert cost.transactions <= HONEST_MOVES_MAX - 3
    assert cost.gas <= HONEST_GAS_MAX


def test_batches_that_fell_with_a_wrong_one_are_claimed_again(bench: Bench, tmp_path: Path) -> None:
    """The operator lies in batch 1, and what it posts behind it stands on the lie."""
    _opened(bench)
    bench.trade(2)
    lie = Lie(batch=1, message=1, step=100)
    _post(bench, lie, tmp_path / "teller")
    for number in (2, 3):
        tick = wire.encode_posted([wire.encode(wire.Tick())])
        last_ms = int(bench.anchor.contract.call("batch_of", number - 1)["stamp_max_ms"])
        header = wire.Header(batch=number, stamp_min_ms=last_ms, stamp_max_ms=last_ms)
        claim = wire.ClaimTree([wire.keccak256(bytes([number]))])
        bench.anchor.post(header, [], tick, bench.anchor.start_root(number), claim)
    honest = _seat(bench, tmp_path / "honest", WATCHER)
    liar = _seat(bench, tmp_path / "liar", OPERATOR, lie, claims=False)
    _play(bench, [liar, honest], _is_final(bench, 3))
    assert [c.status for c in bench.anchor.claims(1)] == ["void", "final"]
    for number in (2, 3):
        assert [c.status for c in bench.anchor.claims(number)] == ["void", "final"]
        assert bench.anchor.claims(number)[1].claimant == honest.party.address
    assert bench.anchor.final_root(3) == honest.history.engine.root()
    for _ in range(5):
        honest.step()
    assert _held_by_contracts(bench, honest) == 0


def test_an_honest_operator_is_defended_with_its_own_bond(bench: Bench, tmp_path: Path) -> None:
    _opened(bench)
    bench.trade(2)
    _post(bench)
    operator = bench.anchor.claims(1)[0].claimant
    credit = int(bench.anchor.contract.call("credit_of", operator))
    liar = _seat(bench, tmp_path / "liar", LIAR, Lie(batch=1, message=3, step=50))
    honest = _seat(bench, tmp_path / "honest", WATCHER)
    _play(bench, [liar, honest], _is_final(bench, 1))
    claims = bench.anchor.claims(1)
    assert [(c.claimant, c.status) for c in claims] == [
        (operator, "final"), (liar.party.address, "void"),
    ]  # fmt: skip
    assert int(bench.anchor.contract.call("credit_of", operator)) - credit == (
        bench.delays.bond_wei // 2
    )
    assert "join" not in {made.moves for made in honest.party.ledger.made}


def test_a_dispute_goes_on_after_an_l1_reorganisation(
    bench: Bench, tmp_path: Path, rng: random.Random
) -> None:
    """Moves are taken back under the players, a rival's place among them; they play on."""
    _opened(bench)
    bench.trade(2)
    lie = Lie(batch=1, message=2, step=700)
    _post(bench, lie, tmp_path / "teller")
    honest = _seat(bench, tmp_path / "honest", WATCHER)
    liar = _seat(bench, tmp_path / "liar", OPERATOR, lie)
    other = _seat(bench, tmp_path / "other", LIAR, Lie(batch=1, message=3, step=9, salt=b"\x11"))
    for undone in (1, rng.randrange(2, 5)):
        snapshot = bench.chain.snapshot()
        for _ in range(undone):
            honest.step()
            liar.step()
        bench.chain.revert(snapshot)
        # Now another rival comes first: indices of claims are not what they were.
        other.step()
        bench.chain.mine(20)
    _play(bench, [other, liar, honest], _is_final(bench, 1))
    claims = {claim.claimant: claim.status for claim in bench.anchor.claims(1)}
    assert claims[honest.party.address] == "final"
    assert claims[liar.party.address] == claims[other.party.address] == "void"
    assert bench.anchor.final_root(1) == bench.sequencer.engine.root()


def test_what_the_guest_does_not_reproduce_is_not_disputed(bench: Bench, tmp_path: Path) -> None:
    """As a native-only bug would have it: the right claim looks wrong, and no money is moved."""
    _opened(bench)
    seat = _seat(bench, tmp_path / "honest", WATCHER)
    watcher = Watcher(seat.l1, seat.source, seat.history, seat.trees, seat.party, Metrics())
    watcher._archive()
    watcher._execute()
    executed = seat.history.executed[0]
    roots = [wire.keccak256(root) for root in executed.roots]
    seat.history.executed[0] = replace(executed, roots=roots, claim_root=wire.ClaimTree(roots).root)
    with pytest.raises(BuildsDifferError, match="batch 0: engine and guest differ"):
        watcher.step()
    assert seat.party.ledger.made == []


def test_a_batch_that_is_not_deep_enough_is_not_judged_by_what_stood_there_before(
    bench: Bench, tmp_path: Path
) -> None:
    """L1 was reorganised deeper than the depth of the archive, and the new batch is not safe."""
    _opened(bench)
    snapshot = bench.chain.snapshot()
    old = bench.sequencer.engine.now_ms
    tick = wire.encode_posted([wire.encode(wire.Tick(stamp_ms=old + 5))])
    seat = _seat(bench, tmp_path / "honest", WATCHER, depth="safe")
    watcher = Watcher(seat.l1, seat.source, seat.history, seat.trees, seat.party, Metrics())
    last_ms = int(bench.anchor.contract.call("batch_of", 0)["stamp_max_ms"])
    header = wire.Header(batch=1, stamp_min_ms=last_ms, stamp_max_ms=last_ms + 9)
    start = bench.anchor.start_root(1)
    bench.anchor.post(header, [], tick, start, wire.ClaimTree([bytes([7]) * 32]))
    bench.chain.mine(3)
    assert watcher.step(), "it joins beside the wrong claim"
    bench.chain.revert(snapshot)
    bench.trade(1)
    _post(bench)
    before = len(seat.party.ledger.made)
    watcher.step()
    assert len(seat.party.ledger.made) == before
    bench.chain.mine(3)
    watcher.step()
    assert len(seat.party.ledger.made) == before
    assert watcher.summary().batches == 2
    assert seat.history.engine.root() == bench.sequencer.engine.root()


# --- missing data --------------------------------------------------------------------------------


class ForgetfulRpc(Rpc):
    """A node that does not hand out one transaction, as long as it is told so."""

    transaction = ""

    def call(self, method: str, *params: Any) -> Any:
        answer = super().call(method, *params)
        hidden = method == "eth_getTransactionByHash" and params[0] == self.transaction
        return None if hidden else answer


def test_on_missing_data_no_claim_is_disputed_until_the_data_is_there(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _opened(bench)
    bench.trade(2)
    _post(bench, Lie(batch=1, message=2, step=3), tmp_path / "teller")
    rpc = ForgetfulRpc(bench.chain.url)
    rpc.transaction = bench.anchor.batches()[1].tx_hash
    seat = _seat(bench, tmp_path / "honest", WATCHER, rpc=rpc)
    metrics = Metrics()
    watcher = Watcher(seat.l1, seat.source, seat.history, seat.trees, seat.party, metrics)
    for _ in range(4):
        watcher.step()
        bench.chain.mine()
    value = metrics.registry.get_sample_value
    assert value("provenue_watcher_missing_data") == 1
    assert value("provenue_watcher_wrong_claims") == 0
    assert seat.party.ledger.made == []
    assert "data is missing: no move is made about it" in capsys.readouterr().out
    rpc.transaction = ""
    watcher.step()
    assert value("provenue_watcher_missing_data") == 0
    assert value("provenue_watcher_wrong_claims") == 1
    assert [made.moves for made in seat.party.ledger.made] == ["join"]


def test_a_wrong_claim_that_nobody_opposed_in_time_is_called_by_its_name(
    bench: Bench, tmp_path: Path
) -> None:
    _opened(bench)
    bench.trade(2)
    _post(bench, Lie(batch=1, message=2, step=3), tmp_path / "teller")
    seat = _seat(bench, tmp_path / "honest", WATCHER)
    watcher = Watcher(seat.l1, seat.source, seat.history, seat.trees, seat.party, Metrics())
    bench.chain.increase_time(bench.delays.challenge_window_s)
    watcher.step()
    # Right before it, so only that one is helped along; then somebody else makes it final.
    assert [made.moves for made in seat.party.ledger.made] == ["finalize"]
    assert bench.anchor.final_count() == 1
    bench.anchor.finalize()
    watcher.step()
    assert watcher.summary().wrong_final == [1]
    assert watcher.summary().wrong_claims == [(1, 0)]


# --- the process ---------------------------------------------------------------------------------


@contextmanager
def _watching(bench: Bench, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`provenue watch` with an account of its own; killed at the end if it still runs."""
    command = [*PROVENUE, "watch", "--rpc-url", bench.chain.url, "--anchor",
               bench.deployment.contracts["Anchor"], "--data", str(folder), "--key", "env:KEY",
               "--block", "latest", "--poll-ms", "30", *options]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "KEY": _key(WATCHER)},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@pytest.mark.slow
def test_killed_at_many_points_of_a_dispute_it_goes_on_and_wins(
    each_bench: Bench, tmp_path: Path, rng: random.Random
) -> None:
    bench = each_bench
    _opened(bench)
    bench.trade(2)
    lie = Lie(batch=1, message=2, step=700)
    _post(bench, lie, tmp_path / "teller")
    liar = _seat(bench, tmp_path / "liar", OPERATOR, lie)
    folder = tmp_path / "watched"
    points = sorted(rng.sample(range(1, 12), 4))
    deadline = time.monotonic() + 150
    final = _is_final(bench, 1)
    while not final() and time.monotonic() < deadline:
        point = points.pop(0) if points else 99

        def killed_now(point: int = point) -> bool:
            return final() or _moves(folder) >= point

        with _watching(bench, folder) as process:
            _play_beside(bench, liar, process, killed_now)
    assert final(), "it did not win in time"
    assert not points, "it was not killed often enough"
    assert [claim.status for claim in bench.anchor.claims(1)] == ["void", "final"]


def _moves(folder: Path) -> int:
    return len(Ledger(folder).made) if folder.exists() else 0


def _play_beside(
    bench: Bench, liar: Seat, process: subprocess.Popen[str], done: Callable[[], bool]
) -> None:
    """The liar plays while the watcher runs; when neither moves for a while, time passes."""
    assert process.stdout is not None
    assert process.stdout.readline(), "it did not begin"
    quiet_since, height = time.monotonic(), bench.chain.rpc.block_number()
    while not done():
        assert process.poll() is None, process.stderr and process.stderr.read()
        liar.step()
        newest = bench.chain.rpc.block_number()
        if newest != height:
            quiet_since, height = time.monotonic(), newest
        elif time.monotonic() - quiet_since > 3:
            bench.chain.increase_time(400)
        time.sleep(0.05)


def test_it_says_what_it_is_and_what_it_did_and_serves_its_figures(
    bench: Bench, tmp_path: Path
) -> None:
    _opened(bench)
    with _watching(bench, tmp_path / "watched") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["anchor"] == bench.deployment.contracts["Anchor"]
        assert ready["game"] == bench.deployment.contracts["DisputeGame"]
        assert (ready["preset"], ready["guest_sha256"]) == (PRESET, bench.deployment.guest_sha256)
        deadline = time.monotonic() + 20
        text = ""
        while "provenue_watcher_batches_executed 1.0" not in text and time.monotonic() < deadline:
            with urllib.request.urlopen(ready["metrics_url"], timeout=5) as answer:
                text = answer.read().decode()
            time.sleep(0.05)
        assert "provenue_watcher_batches_executed 1.0" in text
        assert "provenue_watcher_wrong_claims 0.0" in text
        process.send_signal(signal.SIGINT)
        summary = json.loads(process.stdout.readline())
        assert process.wait(20) == 0
        assert summary == {
            "batches": 1, "final_batches": 0, "wrong_claims": [], "wrong_final": [],
            "disputes": [], "refused_moves": 0,
        }  # fmt: skip


def test_another_program_than_the_chains_stops_it(bench: Bench, tmp_path: Path) -> None:
    with _watching(bench, tmp_path / "watched", "--preset", "dev") as process:
        assert process.wait(60) == 1
        assert process.stderr is not None
        said = process.stderr.read()
    assert "guest: the chain's game referees program root" in said
    assert "ours is dev: program root" in said
