"""The venue of a drill: contracts on a local chain, three traders, batches put together by hand.

Batch 0 brings the listings, the deposits and the first prices. Batch 1 has one message of each kind
that somebody could want to lie about.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from provenue import wire
from provenue.client.signing import ActionSigner, NonceSource
from provenue.engine import Engine
from provenue.settlement.anchor import AnchorClient
from provenue.settlement.deploy import deploy_all
from provenue.settlement.deploy_config import DEV_DELAYS, Delays, dev_config
from provenue.settlement.dev_accounts import dev_accounts
from provenue.settlement.inbox import InboxClient
from provenue.settlement.local_chain import LocalChain
from provenue.settlement.tx import Account, Sender
from provenue.settlement.vault import VaultClient
from provenue.watcher.archive import ArchivedBatch

__all__ = ["DELAYS", "OPERATOR", "PRESET", "Market", "Step", "account_of"]

PRESET = "minimal"
DELAYS = Delays(
    challenge_window_s=900,
    inbox_delay_s=DEV_DELAYS.inbox_delay_s,
    forced_delay_s=DEV_DELAYS.forced_delay_s,
    admin_delay_s=DEV_DELAYS.admin_delay_s,
    stamp_ahead_ms=60_000,
    stamp_lag_ms=DEV_DELAYS.stamp_lag_ms,
    grace_s=300,
)
"""Short, and long enough that no clock runs out while a busy machine plays."""
OPERATOR = 0
_LONG, _SHORT, _LATE = 1, 2, 3  # the traders' accounts on the chain, and in the program
_MARK_UNITS, _CRASH_UNITS = 250_000_000, 240_000_000
_MARK_TICKS, _LOTS = 25_000, 2_000_000
_DEPOSITS = {_LONG: 3_000_000_000, _SHORT: 50_000_000_000}
_LATE_UNITS, _WITHDRAWN_UNITS = 5_000_000, 1_000_000_000
_SIGNER_KEYS = [wire.keccak256(f"drill price signer {i}".encode()) for i in range(3)]
_CONTINUE = wire.encode(wire.Continue())


def account_of(number: int) -> Account:
    """One of the funded accounts of the local chain."""
    return Account(dev_accounts(number + 1)[number][1])


@dataclass(frozen=True)
class Step:
    """Where in batch 1 something happens: indices of messages in order of execution."""

    deposit: int
    fill: int
    withdrawal: int
    bad_prices: int
    liquidation: int


class Market:
    """A deployment and what the operator has sequenced for it."""

    def __init__(self, chain: LocalChain) -> None:
        self.chain = chain
        self.operator = account_of(OPERATOR)
        signers = ["0x" + wire.address_of(key).hex() for key in _SIGNER_KEYS]
        config = dev_config(signers, delays=DELAYS, preset=PRESET)
        self.deployment = deploy_all(
            chain.rpc, self.operator, config, operator=self.operator.address
        )
        self.anchor = AnchorClient(self.deployment, chain.rpc, Sender(chain.rpc, self.operator))
        self.engine = Engine(PRESET)
        self._inbox = InboxClient(self.deployment, chain.rpc)
        self._vault = VaultClient(self.deployment, chain.rpc)
        self._now_ms = 0
        self._published_ms = 0
        self._sequence = 0
        self._items = 0
        self._batches = 0

    # --- batches ----------------------------------------------------------------------------------

    def opening(self) -> ArchivedBatch:
        """Batch 0."""
        for number, units in _DEPOSITS.items():
            self._deposit(number, units)
        self._look_at_the_clock()
        messages = [self._prices(signer, _MARK_UNITS) for signer in range(2)]
        return self._batch(messages)

    def lively(self) -> tuple[ArchivedBatch, Step]:
        """Batch 1: a deposit, a fill, a withdrawal, forged prices, a crash with a liquidation."""
        self._deposit(_LATE, _LATE_UNITS)
        self._look_at_the_clock()
        sell = self._signer(_SHORT).place(
            instrument=0, side=wire.Side.SELL, size_lots=_LOTS, price_ticks=_MARK_TICKS
        )
        buy = self._signer(_LONG).place(
            instrument=0, side=wire.Side.BUY, size_lots=_LOTS, price_ticks=_MARK_TICKS
        )
        out = self._signer(_SHORT).withdraw(
            asset=0, amount_units=_WITHDRAWN_UNITS, recipient=self._address(_SHORT)
        )
        forged = self._prices(0, 2 * _MARK_UNITS, key=wire.keccak256(b"not a price signer"))
        crash = [self._prices(signer, _CRASH_UNITS) for signer in range(2)]
        posted = [wire.encode(sell), wire.encode(buy), wire.encode(out), forged, *crash]
        batch = self._batch(posted)
        first = len(batch.inbox)
        return batch, Step(
            deposit=first - 1,
            fill=first + 1,
            withdrawal=first + 2,
            bad_prices=first + 3,
            liquidation=first + len(posted) - 1,
        )

    def garbage(self) -> tuple[ArchivedBatch, Step]:
        """Batch 1 of a mad operator: nothing in it is a message."""
        self._look_at_the_clock()
        noise = [wire.keccak256(bytes([n]))[: n % 33] for n in range(40)]
        batch = self._batch([*noise, bytes(300), b"\x01", b"\xff" * 200], go_on=False)
        return batch, Step(0, 0, 0, 0, 0)

    def truncated(self) -> tuple[ArchivedBatch, Step]:
        """Batch 1 cut off within its messages: what is not wholly there is empty (7.1)."""
        whole, step = self.lively()
        start = wire.posted_size_bytes(len(wire.decode_posted(whole.data)), 0)
        data = whole.data[: (start + len(whole.data)) // 2]
        head = dataclasses.replace(whole.head, posted_bytes=len(data))
        cut = msgspec.structs.replace(
            whole, header=head.encode(), data=data, data_hash=wire.keccak256(data),
            input_root=wire.input_root(data, head, whole.inbox),
        )  # fmt: skip
        return cut, step

    def post(self, batch: ArchivedBatch, claim: wire.ClaimTree) -> None:
        """As the operator."""
        start = self.anchor.start_root(batch.number)
        self.anchor.post(batch.head, batch.inbox, batch.data, start, claim)

    # --- parts ------------------------------------------------------------------------------------

    def trader(self, number: int) -> int:
        """The index of a trader's account in the program."""
        index = self.engine.find_account(self._address(number), 0)
        if index is None:
            raise LookupError(f"trader {number}: has no account")
        return index

    @property
    def price_signer(self) -> bytes:
        """Whose signature the forged prices should have had."""
        return wire.address_of(_SIGNER_KEYS[0])

    @property
    def long(self) -> int:
        """The account that is liquidated."""
        return self.trader(_LONG)

    @property
    def short(self) -> int:
        """The account on the other side of it."""
        return self.trader(_SHORT)

    @property
    def late(self) -> int:
        """The account whose deposit is in batch 1."""
        return self.trader(_LATE)

    def _address(self, number: int) -> bytes:
        return bytes.fromhex(account_of(number).address[2:])

    def _look_at_the_clock(self) -> None:
        self._now_ms = max(self._now_ms + 1, self.chain.rpc.head().timestamp * 1_000)

    def _deposit(self, number: int, units: int) -> None:
        sender = Sender(self.chain.rpc, account_of(number))
        self._vault.token(0).transact(sender, "mint", sender.address, units)
        self._vault.deposit(sender, asset=0, amount_units=units, owner=sender.address)

    def _signer(self, number: int) -> ActionSigner:
        view = self.engine.account(self.trader(number))
        assert view is not None
        key = dev_accounts(number + 1)[number][1]
        return ActionSigner(
            self.deployment.domain, view["account_id"], 0, bytes.fromhex(key.removeprefix("0x")),
            clock=lambda: self._now_ms, nonces=NonceSource(clock=lambda: self._now_ms),
        )  # fmt: skip

    def _prices(self, signer: int, price_units: int, *, key: bytes | None = None) -> bytes:
        self._published_ms = max(self._published_ms + 1, self._now_ms)
        unsigned = wire.Prices(
            signer=signer,
            published_at_ms=self._published_ms,
            entries=(wire.PricesEntry(feed=0, price=price_units),),
        )
        signed = wire.sign(unsigned, key or _SIGNER_KEYS[signer], self.deployment.domain)
        return wire.encode(signed)

    def _batch(self, messages: Sequence[bytes], *, go_on: bool = True) -> ArchivedBatch:
        """Apply what waits in the inbox and then the messages; the batch as it will be posted."""
        stamp_ms = self._now_ms
        inbox = [item.message for item in self._inbox.items(self._items)]
        for item in inbox:
            self.engine.apply(item, from_inbox=True, stamp_min_ms=stamp_ms, stamp_max_ms=2**64 - 1)
        posted: list[bytes] = []
        for message in messages:
            self._apply(message, posted)
            while go_on and self.engine.pending():
                self._apply(_CONTINUE, posted)
        return self._closed(inbox, posted, stamp_ms)

    def _apply(self, message: bytes, posted: list[bytes]) -> None:
        stamped = message
        if message[:1] in (bytes([wire.Kind.PRICES]), bytes([wire.Kind.PLACE]),
                           bytes([wire.Kind.WITHDRAW])) and len(message) > 9:  # fmt: skip
            # The operator's stamp is not signed.
            stamped = message[:1] + self._now_ms.to_bytes(8, "big") + message[9:]
        posted.append(stamped)
        self.engine.apply(
            stamped, from_inbox=False, stamp_min_ms=self._now_ms, stamp_max_ms=2**64 - 1
        )

    def _closed(self, inbox: list[bytes], posted: list[bytes], stamp_ms: int) -> ArchivedBatch:
        data = wire.encode_posted(posted)
        header = wire.Header(
            batch=self._batches,
            stamp_min_ms=stamp_ms,
            stamp_max_ms=self._now_ms,
            inbox_count=len(inbox),
            posted_bytes=len(data),
            inbox_first=self._items,
            sequence_first=self._sequence,
        )
        self._batches += 1
        self._items += len(inbox)
        self._sequence += len(inbox) + len(posted)
        return ArchivedBatch(
            number=header.batch, header=header.encode(), data=data, inbox=tuple(inbox),
            message_count=len(inbox) + len(posted),
            input_root=wire.input_root(data, header, inbox), data_hash=wire.keccak256(data),
            poster=self.operator.address, tx_hash="", block_number=0, block_hash="", inbox_block=0,
        )  # fmt: skip
