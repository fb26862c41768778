"""An operator's parts in one process, on a fresh local chain: what end-to-end tests share."""

from __future__ import annotations

from pathlib import Path

from provenue import wire
from provenue.client.keys import Key
from provenue.client.signing import ActionSigner, clock_ms
from provenue.engine import guest_elf, recover_callback
from provenue.prices import PriceSigner, RisingClock
from provenue.sequencer.anchor_log import AnchorLog
from provenue.sequencer.anchorer import Anchorer
from provenue.sequencer.guest_verdict import GuestVerdict
from provenue.sequencer.sequencer import InboxItem, Sequencer
from provenue.settlement.anchor import AnchorClient
from provenue.settlement.deploy import Deployment, deploy_all
from provenue.settlement.deploy_config import DEV_DELAYS, Delays, dev_config
from provenue.settlement.dev_accounts import dev_accounts
from provenue.settlement.inbox import InboxClient
from provenue.settlement.local_chain import LocalChain
from provenue.settlement.tx import Account, Sender
from provenue.settlement.vault import VaultClient, WithdrawalProof

__all__ = ["DEPOSIT_UNITS", "MARK_UNITS", "Bench"]

MARK_UNITS = 236_000_000
DEPOSIT_UNITS = 1_000_000_000_000
SIGNER_KEYS = [wire.keccak256(f"anchoring price signer {i}".encode()) for i in range(3)]


class Bench:
    """A deployment on a fresh chain, and an operator's parts around it."""

    def __init__(self, chain: LocalChain, folder: Path, delays: Delays = DEV_DELAYS) -> None:
        self.chain = chain
        self.folder = folder
        self.delays = delays
        self._signers: dict[int, ActionSigner] = {}
        keys = dev_accounts(4)
        self.owner = Account(keys[0][1])
        self.traders = keys[1:]
        signers = ["0x" + wire.address_of(key).hex() for key in SIGNER_KEYS]
        self.deployment: Deployment = deploy_all(
            chain.rpc,
            self.owner,
            dev_config(signers, delays=delays, preset="minimal"),
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

    def trade(self, count: int) -> None:
        """So many pairs of orders that meet."""
        buyer, seller = self.signer(0), self.signer(1)
        for n in range(count):
            price = 23_600 + n
            sell = seller.place(instrument=0, side=wire.Side.SELL, size_lots=500, price_ticks=price)
            buy = buyer.place(instrument=0, side=wire.Side.BUY, size_lots=500, price_ticks=price)
            assert self.submit(sell) == wire.Code.OK
            assert self.submit(buy) == wire.Code.OK

    def open(self) -> None:
        """Two traders with money, and a mark."""
        self.deposit(0)
        self.deposit(1)
        self.take_inbox()
        self.publish_prices()

    def close_batch(self) -> None:
        """Close the open batch, durably."""
        self.sequencer.close_batch()
        self.sequencer.journal.commit()

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
