"""Deposit, trade, anchor, withdraw on both local chains, with the operator's parts in one process.

No API here (tests/e2e/test_venue.py has the whole venue): contracts, sequencer, anchoring worker
and vault, with every proof checked by the contracts themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.e2e.bench import DEPOSIT_UNITS, Bench

from provenue import wire
from provenue._generated.constants import PIPELINE_MAX
from provenue._generated.layout import PLACES
from provenue.sequencer.anchorer import Anchorer, ProofFailedError
from provenue.settlement.deploy_config import DEV_DELAYS
from provenue.settlement.local_chain import start_chain
from provenue.settlement.tx import Account, RevertedError, Sender

pytestmark = [pytest.mark.chain, pytest.mark.e2e]


@pytest.fixture(params=["anvil", "eth-tester"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    from provenue.settlement.anvil import find_anvil

    if request.param == "anvil" and find_anvil() is None:
        pytest.skip("anvil is neither on the path nor to be had from npm")
    with start_chain(kind=request.param, account_count=4) as chain:
        yield Bench(chain, tmp_path)


def test_a_deposit_trades_is_anchored_and_comes_back_through_the_vault(bench: Bench) -> None:
    bench.open()
    worker = bench.new_worker()
    bench.trade(5)
    address = bytes.fromhex(bench.traders[0][0][2:])
    units = 250_000_000
    withdraw = bench.signer(0).withdraw(asset=0, amount_units=units, recipient=address)
    assert bench.submit(withdraw) == wire.Code.OK
    bench.close_batch()
    worker.step()
    assert bench.anchor.batch_count() == 1
    assert bench.anchor.final_count() == 0
    batch = bench.log.batch(0)
    assert batch is not None
    assert batch.end_root == bench.sequencer.engine.root()
    assert batch.root_mismatches == 0

    leaves = [(0, 0, address, units)]
    bench.finalize()
    assert bench.anchor.final_root(0) == bench.sequencer.engine.root()
    # A later final root proves it too: one more batch before the payment.
    bench.trade(1)
    bench.close_batch()
    worker.step()
    bench.finalize()
    proof = bench.proof(leaves, 0)
    assert proof.batch == 1
    before = bench.vault.token(0).call("balanceOf", bench.traders[0][0])
    payer = Sender(bench.chain.rpc, Account(bench.traders[2][1]))
    assert bench.vault.withdraw(payer, proof) == units
    assert bench.vault.token(0).call("balanceOf", bench.traders[0][0]) == before + units
    with pytest.raises(RevertedError, match="already paid"):
        bench.vault.withdraw(payer, proof)
    (ledger,) = (row for row in bench.sequencer.engine.ledger() if row["asset"] == 0)
    assert ledger["total"] == ledger["applied"] == 2 * DEPOSIT_UNITS
    assert bench.vault.accounted_units(0) == ledger["applied"] - ledger["issued"]


def test_a_worker_started_again_goes_on_where_the_chain_stands(bench: Bench) -> None:
    bench.open()
    for number in range(3):
        bench.trade(2)
        bench.close_batch()
        bench.new_worker().step()
        assert bench.anchor.batch_count() == number + 1
    batch = bench.log.batch(2)
    assert batch is not None
    assert batch.end_root == bench.sequencer.engine.root()


def test_a_full_pipeline_makes_the_worker_wait_and_loses_nothing(tmp_path: Path) -> None:
    with start_chain(kind="auto", account_count=4) as chain:
        bench = Bench(chain, tmp_path, msgspec.structs.replace(DEV_DELAYS, challenge_window_s=600))
        bench.take_inbox()
        for _ in range(PIPELINE_MAX + 3):
            bench.sequencer.submit(wire.encode(wire.Tick()))
            bench.close_batch()
        worker = bench.new_worker()
        assert worker.step()
        assert bench.anchor.batch_count() == PIPELINE_MAX
        assert not worker.step()
        # The chain refuses even when the worker believes there is room.
        worker._final = 1
        worker._next_finalize_s = float("inf")
        assert not worker.step()
        assert bench.anchor.batch_count() == PIPELINE_MAX
        worker._next_finalize_s = 0.0
        bench.finalize()
        assert not worker.step()  # it learns of it
        assert worker.step()
        assert bench.anchor.batch_count() == PIPELINE_MAX + 3
        last = bench.log.batch(PIPELINE_MAX + 2)
        assert last is not None
        assert last.end_root == bench.sequencer.engine.root()


def test_a_difference_between_engine_and_guest_stops_the_worker_before_it_posts(
    bench: Bench,
) -> None:
    bench.open()
    bench.trade(2)
    bench.close_batch()
    worker = bench.new_worker()
    # A flipped bit in the native image, as a native-only bug would leave it: house balance.
    offset = PLACES["minimal"]["balances"][0]
    worker._twin._native.poke_native(offset, b"\x01")
    with pytest.raises(ProofFailedError, match="balances"):
        worker.step()
    assert bench.anchor.batch_count() == 0
    assert (bench.folder / "journal" / "mismatch-0.json").exists()


def test_a_worker_on_the_wrong_chain_refuses_to_start(bench: Bench) -> None:
    bench.deposit(0)
    bench.take_inbox()
    bench.close_batch()
    bench.new_worker().step()
    empty = bench.folder / "empty"
    with pytest.raises(ProofFailedError, match="not the journal that was anchored there"):
        Anchorer(
            empty / "journal", preset="minimal", chain=bench.anchor, log=bench.log,
            finalize_every_s=1.0,
        )  # fmt: skip
