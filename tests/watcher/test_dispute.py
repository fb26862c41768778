"""Whole disputes on both local chains: a wrong claim falls, the right one becomes final, the bonds
move; whoever is killed in between goes on."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.bench import Bench
from tests.watcher.liar import Lie
from tests.watcher.table import (
    GAS_WEI_MAX,
    HONEST_GAS_MAX,
    HONEST_MOVES_MAX,
    LIAR,
    OPERATOR,
    PROVENUE,
    WATCHER,
    Seat,
    held_by_contracts,
    is_final,
    open_venue,
    play,
    post_batch,
    seat_of,
)

from provenue import wire
from provenue.settlement.rpc import Rpc
from provenue.watcher.metrics import Metrics
from provenue.watcher.node import Watcher
from provenue.watcher.replay import BuildsDifferError

pytestmark = [pytest.mark.chain, pytest.mark.e2e]

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
    open_venue(bench)
    bench.trade(2)
    assert post_batch(bench, lie, tmp_path / "teller") == 1
    honest = seat_of(bench, tmp_path / "honest", WATCHER)
    liar = seat_of(bench, tmp_path / "liar", OPERATOR, lie)
    before = bench.anchor.bond_wei(liar.party.address)
    held = bench.chain.rpc.balance(honest.party.address)
    play(bench, [liar, honest], is_final(bench, 1))
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
    assert held_by_contracts(bench, honest) == 0
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
    open_venue(bench)
    bench.trade(2)
    lie = Lie(batch=1, message=2, step=700)
    post_batch(bench, lie, tmp_path / "teller")
    honest = seat_of(bench, tmp_path / "honest", WATCHER)
    lazy = seat_of(bench, tmp_path / "liar", OPERATOR, lie)
    play(bench, [honest, LazySeat(**vars(lazy))], is_final(bench, 1))
    (cost,) = honest.party.ledger.disputes()
    moves = [made.moves for made in honest.party.ledger.made if made.counts]
    print(f"{bench.chain.kind}: {cost.transactions} transactions, {cost.gas} gas: {moves}")
    assert [claim.status for claim in bench.anchor.claims(1)] == ["void", "final"]
    # Where a move is known to be next, it goes along: three fewer than one by one.
    assert cost.transactions <= HONEST_MOVES_MAX - 3
    assert cost.gas <= HONEST_GAS_MAX


def test_batches_that_fell_with_a_wrong_one_are_claimed_again(bench: Bench, tmp_path: Path) -> None:
    """The operator lies in batch 1, and what it posts behind it stands on the lie."""
    open_venue(bench)
    bench.trade(2)
    lie = Lie(batch=1, message=1, step=100)
    post_batch(bench, lie, tmp_path / "teller")
    for number in (2, 3):
        tick = wire.encode_posted([wire.encode(wire.Tick())])
        last_ms = int(bench.anchor.contract.call("batch_of", number - 1)["stamp_max_ms"])
        header = wire.Header(batch=number, stamp_min_ms=last_ms, stamp_max_ms=last_ms)
        claim = wire.ClaimTree([wire.keccak256(bytes([number]))])
        bench.anchor.post(header, [], tick, bench.anchor.start_root(number), claim)
    honest = seat_of(bench, tmp_path / "honest", WATCHER)
    liar = seat_of(bench, tmp_path / "liar", OPERATOR, lie, claims=False)
    play(bench, [liar, honest], is_final(bench, 3))
    assert [c.status for c in bench.anchor.claims(1)] == ["void", "final"]
    for number in (2, 3):
        assert [c.status for c in bench.anchor.claims(number)] == ["void", "final"]
        assert bench.anchor.claims(number)[1].claimant == honest.party.address
    assert bench.anchor.final_root(3) == honest.history.engine.root()
    for _ in range(5):
        honest.step()
    assert held_by_contracts(bench, honest) == 0


def test_an_honest_operator_is_defended_with_its_own_bond(bench: Bench, tmp_path: Path) -> None:
    open_venue(bench)
    bench.trade(2)
    post_batch(bench)
    operator = bench.anchor.claims(1)[0].claimant
    credit = int(bench.anchor.contract.call("credit_of", operator))
    liar = seat_of(bench, tmp_path / "liar", LIAR, Lie(batch=1, message=3, step=50))
    honest = seat_of(bench, tmp_path / "honest", WATCHER)
    play(bench, [liar, honest], is_final(bench, 1))
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
    open_venue(bench)
    bench.trade(2)
    lie = Lie(batch=1, message=2, step=700)
    post_batch(bench, lie, tmp_path / "teller")
    honest = seat_of(bench, tmp_path / "honest", WATCHER)
    liar = seat_of(bench, tmp_path / "liar", OPERATOR, lie)
    other = seat_of(bench, tmp_path / "other", LIAR, Lie(batch=1, message=3, step=9, salt=b"\x11"))
    for undone in (1, rng.randrange(2, 5)):
        snapshot = bench.chain.snapshot()
        for _ in range(undone):
            honest.step()
            liar.step()
        bench.chain.revert(snapshot)
        # Now another rival comes first: indices of claims are not what they were.
        other.step()
        bench.chain.mine(20)
    play(bench, [other, liar, honest], is_final(bench, 1))
    claims = {claim.claimant: claim.status for claim in bench.anchor.claims(1)}
    assert claims[honest.party.address] == "final"
    assert claims[liar.party.address] == claims[other.party.address] == "void"
    assert bench.anchor.final_root(1) == bench.sequencer.engine.root()


def test_what_the_guest_does_not_reproduce_is_not_disputed(bench: Bench, tmp_path: Path) -> None:
    """As a native-only bug would have it: the right claim looks wrong, and no money is moved."""
    open_venue(bench)
    seat = seat_of(bench, tmp_path / "honest", WATCHER)
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
    open_venue(bench)
    snapshot = bench.chain.snapshot()
    old = bench.sequencer.engine.now_ms
    tick = wire.encode_posted([wire.encode(wire.Tick(stamp_ms=old + 5))])
    seat = seat_of(bench, tmp_path / "honest", WATCHER, depth="safe")
    watcher = Watcher(seat.l1, seat.source, seat.history, seat.trees, seat.party, Metrics())
    last_ms = int(bench.anchor.contract.call("batch_of", 0)["stamp_max_ms"])
    header = wire.Header(batch=1, stamp_min_ms=last_ms, stamp_max_ms=last_ms + 9)
    start = bench.anchor.start_root(1)
    bench.anchor.post(header, [], tick, start, wire.ClaimTree([bytes([7]) * 32]))
    bench.chain.mine(3)
    assert watcher.step(), "it joins beside the wrong claim"
    bench.chain.revert(snapshot)
    bench.trade(1)
    post_batch(bench)
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
    open_venue(bench)
    bench.trade(2)
    post_batch(bench, Lie(batch=1, message=2, step=3), tmp_path / "teller")
    rpc = ForgetfulRpc(bench.chain.url)
    rpc.transaction = bench.anchor.batches()[1].tx_hash
    seat = seat_of(bench, tmp_path / "honest", WATCHER, rpc=rpc)
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
    open_venue(bench)
    bench.trade(2)
    post_batch(bench, Lie(batch=1, message=2, step=3), tmp_path / "teller")
    seat = seat_of(bench, tmp_path / "honest", WATCHER)
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
