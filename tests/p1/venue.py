"""A venue set up message by message, for tests that need a certain state."""

import hashlib

from provenue._generated.constants import NONE_U16, PRICE_FRESH_MS
from provenue.engine import Engine
from provenue.p1 import BatchCheck, Twin
from provenue.wire import (
    AnyMessage,
    CancelAll,
    Deposit,
    Domain,
    Genesis,
    Header,
    InstrumentKind,
    ListAsset,
    ListInstrument,
    OrderType,
    Place,
    Prices,
    PricesEntry,
    SetSigners,
    Side,
    Signed,
    Tick,
    TimeInForce,
    address_of,
    encode,
    encode_posted,
    sign,
)

__all__ = ["MARK", "MARK_TICKS", "Venue"]

MARK = 100_000_000  # quote units per whole base
TICK = 1_000
MARK_TICKS = MARK // TICK
FAR_MS = (1 << 63) - 1


def _secret(label: str) -> bytes:
    return hashlib.sha256(f"worst case {label}".encode()).digest()


class Venue:
    """An engine with perpetuals, collateral and price signers; `now_ms` stamps the messages."""

    def __init__(
        self, preset: str, *, assets: int, feeds: int, instruments: int, signers: int
    ) -> None:
        self.engine = Engine(preset)
        self.now_ms = 1_700_000_000_000
        self.domain = Domain(chain_id=31_337, anchor=b"\xa4" * 20)
        self.feeds = feeds
        self._secrets: dict[int, bytes] = {}
        self._nonces: dict[int, int] = {}
        self._signers = [_secret(f"signer {i}") for i in range(signers)]
        self.inbox(Genesis(chain_id=31_337, anchor=self.domain.anchor))
        for asset in range(assets):
            self.inbox(self._asset(asset))
        for instrument in range(instruments):
            self.inbox(self._perpetual(instrument))
        addresses = tuple(map(address_of, self._signers))
        self.inbox(SetSigners(quorum=signers, signers=addresses))

    def _asset(self, asset: int) -> ListAsset:
        feed, weight = (asset % self.feeds, 500_000) if asset else (NONE_U16, 1_000_000)
        return ListAsset(asset=asset, chain=0, unit_decimals=8 if asset else 6, feed=feed,
                         weight_ppm=weight, opening_min_units=1, token=bytes(20))  # fmt: skip

    def _perpetual(self, instrument: int) -> ListInstrument:
        return ListInstrument(
            instrument=instrument, instrument_kind=InstrumentKind.PERPETUAL, base_asset=NONE_U16,
            feed=instrument % self.feeds, tick_size=TICK, lots_per_base=1_000,
            initial_ppm=100_000, maintenance_ppm=50_000, taker_fee_ppm=500, maker_fee_ppm=200,
            liquidation_fee_ppm=5_000, market_band_ppm=50_000, liquidation_band_ppm=50_000,
            funding_cap_ppm=1_000, name=f"PERP-{instrument}".encode().ljust(16, b"\0"),
        )  # fmt: skip

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

    def check(self, message: AnyMessage) -> BatchCheck:
        """The message on both sides, from the state of the engine, which stays as it is."""
        twin = Twin(self.engine.preset)
        twin.load(self.engine)
        posted = encode_posted([encode(message)])
        header = Header(stamp_min_ms=self.now_ms, posted_bytes=len(posted))
        check = twin.check_batch(header, [], posted, compare_every=1)
        assert check.ok, check.mismatches
        assert check.codes.tolist() == [0]
        return check

    # --- messages --------------------------------------------------------------------------------

    def open(self, assets: int, amount_units: int) -> int:
        """A new account with so much of each asset; its index."""
        secret = _secret(f"trader {len(self._secrets)}")
        owner = address_of(secret)
        for asset in range(assets):
            self.inbox(Deposit(asset=asset, amount_units=amount_units, owner=owner, subaccount=0))
        index = self.engine.find_account(owner, 0)
        assert index is not None
        self._secrets[index] = secret
        return index

    def signed(self, account: int, message: Signed) -> Signed:
        """With the owner's signature."""
        return sign(message, self._secrets[account], self.domain)

    def _nonce(self, account: int) -> int:
        self._nonces[account] = self._nonces.get(account, -1) + 1
        return self._nonces[account]

    def order(
        self, account: int, instrument: int, side: Side, price_ticks: int, size_lots: int
    ) -> Signed:
        """A limit order that rests if it does not trade."""
        order = Place(
            stamp_ms=self.now_ms, account=1 << 32 | account, key=0, nonce=self._nonce(account),
            expires_at_ms=FAR_MS, instrument=instrument, side=side, order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GOOD_TILL_CANCELLED, flags=0, price_ticks=price_ticks,
            size_lots=size_lots, client_id=0,
        )  # fmt: skip
        return self.signed(account, order)

    def cancel_all(self, account: int) -> Signed:
        """Every order of the account."""
        action = CancelAll(
            stamp_ms=self.now_ms, account=1 << 32 | account, key=0, nonce=self._nonce(account),
            expires_at_ms=FAR_MS, instrument=NONE_U16,
        )  # fmt: skip
        return self.signed(account, action)

    def prices(self, signer: int, price: int) -> Signed:
        """A vector of all feeds at one price."""
        entries = tuple(PricesEntry(feed, price) for feed in range(self.feeds))
        message = Prices(stamp_ms=self.now_ms, signer=signer, published_at_ms=self.now_ms,
                         entries=entries)  # fmt: skip
        return sign(message, self._signers[signer], self.domain)

    def price_round(self, price: int = MARK) -> None:
        """All signers, one after the other."""
        self.now_ms += 1_000
        for signer in range(len(self._signers)):
            self.post(self.prices(signer, price))

    def sweep_to(self, account: int) -> None:
        """Ticks until a sweep stands at the account; it stays pending."""
        for _ in range(2 * self.engine.globals("accounts_used")):
            self.now_ms += 1
            self._send(encode(Tick(stamp_ms=self.now_ms)), from_inbox=False)
            if self.engine.globals("sweep_next") == account:
                return
        raise AssertionError(f"the sweep never stands at account {account}")

    def last_of_round(self, price: int) -> Signed:
        """All signers but the last are heard; its message, not yet applied, makes the medians."""
        self.now_ms += PRICE_FRESH_MS + 1  # what they said before counts no more
        for signer in range(len(self._signers) - 1):
            self._send(encode(self.prices(signer, price)), from_inbox=False)
        return self.prices(len(self._signers) - 1, price)
