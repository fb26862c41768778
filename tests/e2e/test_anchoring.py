"""Deposit, trade, anchor, withdraw on both local chains, with the operator's parts in one process.

No API here (tests/e2e/test_venue.py has the whole venue): contracts, sequencer, anchoring worker
and vault, with every proof checked by the contracts themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from provenue import wire
from provenue._generated.constants import PIPELINE_MAX
from provenue._generated.layout import PLACES
from provenue.client.keys import Key
from provenue.client.signing import ActionSigner, clock_ms
from provenue.engine import guest_elf, recover_callback
from provenue.prices import PriceSigner, RisingClock
from provenue.sequencer.anchor_log import AnchorLog
from provenue.sequencer.anchorer import Anchorer, ProofFailedError
from provenue.sequencer.guest_verdict import GuestVerdict
from provenue.sequencer.sequencer import InboxItem, Sequencer
from provenue.settlement.anchor import AnchorClient
from provenue.settlement.deploy import Deployment, deploy_all
from provenue.settlement.deploy_config import DEV_DELAYS, Delays, dev_config
from provenue.settlement.dev_accounts import dev_accounts
from provenue.settlement.inbox import InboxClient
from provenue.settlement.local_chain import LocalChain, start_chain
from provenue.settlement.tx import Account, RevertedError, Sender
from provenue.settlement.vault import VaultClient, WithdrawalProof

pytestmark = [pytest.mark.chain, pytest.mark.e2e]

MARK_UNITS = 236_000_000
DEPOSIT_UNITS = 1_000_000_000_000
SIGNER_KEYS = [wire.keccak256(f"anchoring price signer {i}".encode()) for i in range(3)]


class Bench:
    """A deployment on a fresh chain, and an operator's parts around it."""

    def __init__(self, chain: LocalChain, folder: Path, delays: Delays = DEV_DELAYS) -> None:
        self.chain = chain
        self.folder = folder
        self._signers: dict[int, ActionSigner] = {}
        keys = dev_accounts(4)
        self.owner = Account(keys[0][1])
        self.traders = keys[1:]
        signers = ["0x" + wire.address_of(key).hex() for key in SIGNER_KEYS]
        self.deployment: Deployment = deploy_all(
            chain.rpc,
            self.owner,
            dev_config(signers, delays=delays),
            operator=self.owner.address,
        )
        self.inbox = InboxClient(self.deployment, chain.rpc)
        self.vault = VaultClient(self.deployment, chain.rpc)
        self.anchor = AnchorClient(self.deployment, chain.rpc, Sender(chain.rpc, self.owner))
        self.log = AnchorLog(folder / "anchor.sqlite")
        self.sequencer = Sequencer(
            folder / "journal",
            preset="minimal",
            guest_traps=GuestVerdict(guest_elf("minimal"), recover_callback()),
        )

    def new_worker(self) -> Anchorer:
        return Anchorer(
            self.folder / "journal",
            preset="minimal",
            chain=self.anchor,
            log=self.log,
            finalize_every_s=0.0,
        )

    def deposit(self, number: int, units: int = DEPOSIT_UNITS) -> None:
        address, key = self.traders[number]
        sender = Sender(self.chain.rpc, Account(key))
        self.vault.token(0).transact(sender, "mint", address, units)
        self.vault.deposit(sender, asset=0, amount_units=units, owner=address)

    def take_inbox(self) -> None:
        first = self.sequencer.next_inbox_index
        self.sequencer.offer_inbox(
            [InboxItem(i.index, i.message, i.accumulator) for i in self.inbox.items(first)]
        )
        self.sequencer.turn_batches()

    def publish_prices(self) -> None:
        for index in range(2):
            signer = PriceSigner(
                domain=self.deployment.domain,
                index=index,
                key=Key(SIGNER_KEYS[index]),
                feeds=[0],
                clock=RisingClock(self.folder / f"signer{index}"),
            )
            message = signer.sign({0: MARK_UNITS}, clock_ms())
            assert message is not None
            assert self.sequencer.submit(wire.encode(message)).code == wire.Code.OK

    def signer(self, number: int) -> ActionSigner:
        """One signer per key: two sources of nonces could meet in a millisecond."""
        if number not in self._signers:
            self._signers[number] = self._new_signer(number)
        return self._signers[number]

    def _new_signer(self, number: int) -> ActionSigner:
        address, key = self.traders[number]
        index = self.sequencer.engine.find_account(bytes.fromhex(address[2:]), 0)
        assert index is not None
        view = self.sequencer.engine.account(index)
        assert view is not None
        return ActionSigner(
            self.deployment.domain, view["account_id"], 0, bytes.fromhex(key.removeprefix("0x"))
        )

    def submit(self, action: wire.Action) -> int:
        return self.sequencer.submit(wire.encode(action)).code

    def finalize(self) -> None:
        self.chain.increase_time(self.anchor.challenge_window_s() + 1)
        self.anchor.finalize()
        self.log.mark_final(self.anchor.final_count())

    def proof(self, leaves: list[tuple[int, int, bytes, int]], number: int) -> WithdrawalProof:
        final = self.log.newest_final()
        assert final is not None
        tree = wire.WithdrawalTree()
        tree.extend(
            [
                wire.withdrawal_leaf(number=n, asset=a, recipient=r, amount_units=u)
                for n, a, r, u in leaves[: final.withdrawal_count]
            ]
        )
        assert tree.image_root == final.withdrawal_root
        _, asset, recipient, units = leaves[number]
        siblings = final.withdrawal_proof
        return WithdrawalProof(
            id=number,
            asset=asset,
            recipient=recipient,
            amount_units=units,
            batch=final.number,
            withdrawal_root=final.withdrawal_root,
            withdrawal_siblings=list(tree.proof(number)),
            image_siblings=[siblings[at : at + 32] for at in range(0, len(siblings), 32)],
        )


@pytest.fixture(params=["anvil", "eth-tester"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    from provenue.settlement.anvil import find_anvil

    if request.param == "anvil" and find_anvil() is None:
        pytest.skip("anvil is neither on the path nor to be had from npm")
    with start_chain(kind=request.param, account_count=4) as chain:
        yield Bench(chain, tmp_path)


def _trade(bench: Bench, count: int) -> None:
    buyer, seller = bench.signer(0), bench.signer(1)
    for n in range(count):
        sell = seller.place(
            instrument=0, side=wire.Side.SELL, size_lots=500, price_ticks=23_600 + n
        )
        buy = buyer.place(instrument=0, side=wire.Side.BUY, size_lots=500, price_ticks=23_600 + n)
        assert bench.submit(sell) == wire.Code.OK
        assert bench.submit(buy) == wire.Code.OK


def test_a_deposit_trades_is_anchored_and_comes_back_through_the_vault(bench: Bench) -> None:
    bench.deposit(0)
    bench.deposit(1)
    bench.take_inbox()
    bench.publish_prices()
    worker = bench.new_worker()
    _trade(bench, 5)
    address = bytes.fromhex(bench.traders[0][0][2:])
    units = 250_000_000
    withdraw = bench.signer(0).withdraw(asset=0, amount_units=units, recipient=address)
    assert bench.submit(withdraw) == wire.Code.OK
    bench.sequencer.close_batch()
    bench.sequencer.journal.commit()
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
    _trade(bench, 1)
    bench.sequencer.close_batch()
    bench.sequencer.journal.commit()
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
    bench.deposit(0)
    bench.deposit(1)
    bench.take_inbox()
    bench.publish_prices()
    for number in range(3):
        _trade(bench, 2)
        bench.sequencer.close_batch()
        bench.sequencer.journal.commit()
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
            bench.sequencer.close_batch()
        bench.sequencer.journal.commit()
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
    bench.deposit(0)
    bench.deposit(1)
    bench.take_inbox()
    bench.publish_prices()
    _trade(bench, 2)
    bench.sequencer.close_batch()
    bench.sequencer.journal.commit()
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
    bench.sequencer.close_batch()
    bench.sequencer.journal.commit()
    bench.new_worker().step()
    empty = bench.folder / "empty"
    with pytest.raises(ProofFailedError, match="not the journal that was anchored there"):
        Anchorer(
            empty / "journal", preset="minimal", chain=bench.anchor, log=bench.log,
            finalize_every_s=1.0,
        )  # fmt: skip
