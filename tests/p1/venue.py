"""A venue set up message by message, for tests that need a certain state.

Two shapes of instrument, each dear in its own way: lots so small that a product with the mark needs
128 bits and its division the long way (WIDE), and prices of thirty bits, so that every order of the
book has five digits of its own (DEEP).
"""

import copy
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from provenue._generated.constants import (
    HEADER_BASE,
    INBOX_BASE,
    INPUT_BASE,
    MESSAGE_INSTRUCTIONS_MAX,
    NONE_U16,
    PRICE_FRESH_MS,
)
from provenue.engine import Engine, guest_elf, recover_callback
from provenue.machine import Machine, Status
from provenue.p1 import Twin
from provenue.wire import (
    Amend,
    AnyMessage,
    CancelAll,
    CancelLabel,
    Deposit,
    Domain,
    Event,
    ForcedCancel,
    ForcedClose,
    ForcedRevoke,
    ForcedWithdraw,
    Genesis,
    Header,
    InstrumentKind,
    ListAsset,
    ListInstrument,
    OrderType,
    Place,
    Prices,
    PricesEntry,
    Replace,
    SetSigners,
    Side,
    Signed,
    Tick,
    TimeInForce,
    Withdraw,
    address_of,
    decode_events,
    encode,
    encode_posted,
    encode_slot,
    sign,
)

__all__ = ["DEEP", "MARK", "WIDE", "Measured", "Shape", "Venue"]

FAR_MS = (1 << 63) - 1


@dataclass(frozen=True)
class Shape:
    """What distinguishes the instruments of the tests."""

    tick_size: int
    lots_per_base: int
    liquidation_band_ppm: int


# Divisors above 2^32, a mark of two ticks; the band leaves no room for a bid at one tick.
WIDE = Shape(32 * ((1 << 33) + 1), (1 << 33) + 1, 100_000)
MARK = 2 * WIDE.tick_size  # quote units per whole base, just above 2^39
# A mark of 2^29 ticks; a liquidation takes bids at nearly any price.
DEEP = Shape(1_024, 1_024, 999_999)


@dataclass(frozen=True)
class Measured:
    """What one message did. `leaves`: of the image, written by the guest."""

    code: int
    steps: int
    leaves: int
    events: list[Event]


def _secret(label: str) -> bytes:
    return hashlib.sha256(f"worst case {label}".encode()).digest()


class Venue:
    """An engine with perpetuals, collateral and price signers; `now_ms` stamps the messages."""

    def __init__(
        self, preset: str, *, assets: int, feeds: int, shapes: list[Shape], signers: int
    ) -> None:
        self._start(preset, feeds, signers)
        self.inbox(self.genesis())
        for asset in range(assets):
            self.inbox(self.asset(asset))
        for instrument, shape in enumerate(shapes):
            self.inbox(self.perpetual(instrument, shape))
        self.inbox(self.signer_set())

    def _start(self, preset: str, feeds: int, signers: int) -> None:
        self.engine = Engine(preset)
        self.now_ms = 1_700_000_000_000
        self.domain = Domain(chain_id=31_337, anchor=b"\xa4" * 20)
        self.feeds = feeds
        self._secrets: dict[int, bytes] = {}
        self._nonces: dict[int, int] = {}
        self._signers = [_secret(f"signer {i}") for i in range(signers)]

    @classmethod
    def blank(cls, preset: str) -> "Venue":
        """The zero image: not even GENESIS has come."""
        venue = cls.__new__(cls)
        venue._start(preset, 1, 1)
        return venue

    def copy(self) -> "Venue":
        """The same venue again, so that a test may go on from here and leave this as it is."""
        other = copy.copy(self)
        other.engine = Engine(self.engine.preset)
        pages = self.engine.pages()
        image = np.frombuffer(self.engine.image, dtype=np.uint8).reshape(-1, 4096)
        other.engine._native.load_pages(pages, np.ascontiguousarray(image[pages]).reshape(-1))
        other._secrets, other._nonces = dict(self._secrets), dict(self._nonces)
        return other

    # --- sending ---------------------------------------------------------------------------------

    def _send(self, data: bytes, *, from_inbox: bool) -> bytes:
        code, events = self.engine.apply(
            data, from_inbox=from_inbox, stamp_min_ms=self.now_ms, stamp_max_ms=(1 << 64) - 1
        )
        assert code == 0, f"message {data[:1].hex()}: code {code}"
        return events

    def inbox(self, message: AnyMessage) -> bytes:
        """An item of the inbox; it must be accepted."""
        return self._send(encode(message), from_inbox=True)

    def post(self, message: AnyMessage) -> bytes:
        """A posted message; it must be accepted. CONTINUE follows while anything is pending."""
        events = self._send(encode(message), from_inbox=False)
        while self.engine.pending():
            self._send(b"\x12", from_inbox=False)
        return events

    def post_only(self, message: AnyMessage) -> None:
        """A posted message that may leave a sweep pending."""
        self._send(encode(message), from_inbox=False)

    def check(self, message: AnyMessage, *, from_inbox: bool = False) -> Measured:
        """The message on both sides, from the state of the engine, which stays as it is."""
        twin = Twin(self.engine.preset)
        twin.load(self.engine)
        inbox = [encode(message)] if from_inbox else []
        posted = encode_posted([] if from_inbox else [encode(message)])
        header = Header(stamp_min_ms=self.now_ms, inbox_count=len(inbox), posted_bytes=len(posted))
        check = twin.check_batch(header, inbox, posted, compare_every=0)
        assert check.ok, check.mismatches
        assert not check.skipped.any(), "the message trapped on both sides"
        steps, leaves = self._run_guest(header, inbox, posted)
        assert steps == check.steps_max
        events = list(decode_events(check.events))
        return Measured(int(check.codes[0]), steps, leaves, events)

    def _run_guest(self, header: Header, inbox: list[bytes], posted: bytes) -> tuple[int, int]:
        machine = Machine()
        machine.load_elf(guest_elf(self.engine.preset))
        machine.set_recover(recover_callback())
        image = self.engine.image
        for page in self.engine.pages().tolist():
            machine.set_image(page * 4096, image[page * 4096 : (page + 1) * 4096])
        machine.set_input(0, posted)
        machine.set_input(HEADER_BASE - INPUT_BASE, header.encode())
        machine.set_input(INBOX_BASE - INPUT_BASE, b"".join(map(encode_slot, inbox)))
        machine.begin_message(a0=0, a1=0)
        result = machine.run(MESSAGE_INSTRUCTIONS_MAX)
        assert result.status is Status.HALTED
        return result.steps, len(machine.dirty_image_leaves())

    # --- messages of the inbox -------------------------------------------------------------------

    def genesis(self) -> Genesis:
        """The first message."""
        return Genesis(chain_id=self.domain.chain_id, anchor=self.domain.anchor)

    def asset(self, asset: int) -> ListAsset:
        """The quote, or collateral that counts half."""
        feed, weight = (asset % self.feeds, 500_000) if asset else (NONE_U16, 1_000_000)
        return ListAsset(asset=asset, chain=0, unit_decimals=8 if asset else 6, feed=feed,
                         weight_ppm=weight, opening_min_units=1, token=bytes(20))  # fmt: skip

    def perpetual(self, instrument: int, shape: Shape) -> ListInstrument:
        """A perpetual on one of the feeds."""
        return ListInstrument(
            instrument=instrument, instrument_kind=InstrumentKind.PERPETUAL, base_asset=NONE_U16,
            feed=instrument % self.feeds, tick_size=shape.tick_size,
            lots_per_base=shape.lots_per_base, initial_ppm=100_000, maintenance_ppm=50_000,
            taker_fee_ppm=500, maker_fee_ppm=200, liquidation_fee_ppm=5_000,
            market_band_ppm=50_000, liquidation_band_ppm=shape.liquidation_band_ppm,
            funding_cap_ppm=100_000, name=f"PERP-{instrument}".encode().ljust(16, b"\0"),
        )  # fmt: skip

    def signer_set(self) -> SetSigners:
        """All must agree before a feed has a price."""
        return SetSigners(quorum=len(self._signers), signers=tuple(map(address_of, self._signers)))

    def deposit(self, account: int, asset: int, amount_units: int) -> Deposit:
        """Into an account that is open."""
        owner = address_of(self._secrets[account])
        return Deposit(asset=asset, amount_units=amount_units, owner=owner, subaccount=0)

    def forced_withdraw(self, account: int, asset: int, amount_units: int) -> ForcedWithdraw:
        """To the owner."""
        owner = address_of(self._secrets[account])
        return ForcedWithdraw(owner=owner, subaccount=0, asset=asset, amount_units=amount_units,
                              recipient=owner)  # fmt: skip

    def forced_cancel(self, account: int) -> ForcedCancel:
        """Every order of the account."""
        return ForcedCancel(owner=address_of(self._secrets[account]), subaccount=0)

    def forced_close(self, account: int) -> ForcedClose:
        """Every position of the account, as prices come."""
        return ForcedClose(owner=address_of(self._secrets[account]), subaccount=0)

    def forced_revoke(self, account: int, slot: int) -> ForcedRevoke:
        """A session key of the account."""
        return ForcedRevoke(owner=address_of(self._secrets[account]), subaccount=0, slot=slot)

    def open(self, amounts_units: list[int]) -> int:
        """A new account with so much of each asset; its index."""
        secret = _secret(f"trader {len(self._secrets)}")
        owner = address_of(secret)
        for asset, amount in enumerate(amounts_units):
            self.inbox(Deposit(asset=asset, amount_units=amount, owner=owner, subaccount=0))
        index = self.engine.find_account(owner, 0)
        assert index is not None
        self._secrets[index] = secret
        return index

    # --- signed messages -------------------------------------------------------------------------

    def signed(self, account: int, message: Signed) -> Signed:
        """With the owner's signature."""
        return sign(message, self._secrets[account], self.domain)

    def head(self, account: int) -> dict[str, Any]:
        """The fields that every signed action begins with; a fresh nonce."""
        nonce = self._nonces[account] = self._nonces.get(account, -1) + 1
        return {"stamp_ms": self.now_ms, "account": 1 << 32 | account, "key": 0, "nonce": nonce,
                "expires_at_ms": FAR_MS}  # fmt: skip

    def order(
        self, account: int, instrument: int, side: Side, price_ticks: int, size_lots: int,
        *, flags: int = 0,
    ) -> Signed:  # fmt: skip
        """A limit order that rests if it does not trade."""
        order = Place(
            **self.head(account), instrument=instrument, side=side, order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GOOD_TILL_CANCELLED, flags=flags, price_ticks=price_ticks,
            self_trade=0, size_lots=size_lots, client_id=0, good_till_s=0,
        )  # fmt: skip
        return self.signed(account, order)

    def amend(self, account: int, order_id: int, price_ticks: int, size_lots: int) -> Signed:
        """Another price or size."""
        action = Amend(**self.head(account), order_id=order_id, price_ticks=price_ticks,
                       size_lots=size_lots)  # fmt: skip
        return self.signed(account, action)

    def replace(self, account: int, order_id: int, price_ticks: int, size_lots: int) -> Signed:
        """Another limit order in its place."""
        action = Replace(
            **self.head(account), order_id=order_id, order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GOOD_TILL_CANCELLED, flags=0, self_trade=0,
            price_ticks=price_ticks, size_lots=size_lots, client_id=0, good_till_s=0,
        )  # fmt: skip
        return self.signed(account, action)

    def cancel_label(self, account: int, client_id: int) -> Signed:
        """Every order with a label."""
        action = CancelLabel(**self.head(account), instrument=NONE_U16, client_id=client_id)
        return self.signed(account, action)

    def cancel_all(self, account: int) -> Signed:
        """Every order of the account."""
        return self.signed(account, CancelAll(**self.head(account), instrument=NONE_U16))

    def withdraw(self, account: int, asset: int, amount_units: int) -> Signed:
        """To anybody."""
        action = Withdraw(**self.head(account), asset=asset, amount_units=amount_units,
                          recipient=b"\x77" * 20)  # fmt: skip
        return self.signed(account, action)

    # --- prices and sweeps -----------------------------------------------------------------------

    def prices(self, signer: int, price: int, first: int = 0) -> Signed:
        """A vector of as many feeds as a message may have, all at one price."""
        entries = tuple(PricesEntry(feed, price) for feed in range(first, first + self.feeds))
        message = Prices(stamp_ms=self.now_ms, signer=signer, published_at_ms=self.now_ms,
                         entries=entries)  # fmt: skip
        return sign(message, self._signers[signer], self.domain)

    def price_round(self, price: int = MARK) -> None:
        """All signers, one after the other, and the sweeps that follow."""
        self.now_ms += 1_000
        for signer in range(len(self._signers)):
            self.post(self.prices(signer, price))

    def last_of_round(self, price: int) -> Signed:
        """All signers but the last are heard; its message, not yet applied, makes the medians."""
        self.now_ms += PRICE_FRESH_MS + 1  # what they said before counts no more
        for signer in range(len(self._signers) - 1):
            self.post_only(self.prices(signer, price))
        self.now_ms += 1  # so that funding accrues in the last one too
        return self.prices(len(self._signers) - 1, price)

    def tick(self) -> Tick:
        """The clock moves on."""
        self.now_ms += 1
        return Tick(stamp_ms=self.now_ms)

    def stand_at(self, account: int) -> None:
        """Ticks until the sweep's cursor stands at the account, then a full circle: none pending.

        Every tick starts a circle anew and visits some; a full circle ends where it began.
        """
        for _ in range(2 * self.engine.globals("accounts_used")):
            if self.engine.globals("sweep_next") == account:
                self.post(self.tick())
                assert self.engine.globals("sweep_next") == account
                return
            self.post_only(self.tick())
        raise AssertionError(f"the sweep never stands at account {account}")
