"""A small venue for tests of the operator: genesis through the inbox, traders with keys, prices."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from provenue import wire
from provenue.client.signing import ActionSigner, NonceSource
from provenue.sequencer.sequencer import InboxItem

CHAIN_ID = 31_337
ANCHOR = bytes.fromhex("aa" * 20)
DOMAIN = wire.Domain(CHAIN_ID, ANCHOR)
MARK_UNITS = 250_000_000  # 250 USDC a whole base
MARK_TICKS = 25_000
DEPOSIT_UNITS = 50_000_000_000


def key_of(number: int) -> bytes:
    """The private key of trader (or signer) `number`."""
    return wire.keccak256(f"test key {number}".encode())


def address_of(number: int) -> bytes:
    return wire.address_of(key_of(number))


def listing_messages(signers: int = 3) -> list[wire.Message]:
    """What deployment puts into the inbox: genesis, USDC and BTC, a perpetual and a spot pair."""
    perpetual = wire.ListInstrument(
        instrument=0,
        instrument_kind=wire.InstrumentKind.PERPETUAL,
        base_asset=0xFFFF,
        feed=0,
        tick_size=10_000,
        lots_per_base=10_000,
        initial_ppm=50_000,
        maintenance_ppm=30_000,
        taker_fee_ppm=500,
        maker_fee_ppm=200,
        liquidation_fee_ppm=5_000,
        market_band_ppm=50_000,
        liquidation_band_ppm=30_000,
        funding_cap_ppm=5_000,
        name=b"BTC-PERPETUAL".ljust(16, b"\0"),
    )
    return [
        wire.Genesis(chain_id=CHAIN_ID, anchor=ANCHOR),
        wire.ListAsset(
            asset=0, chain=0, unit_decimals=6, feed=0xFFFF, weight_ppm=1_000_000,
            opening_min_units=1_000_000, token=b"\x01" * 20,
        ),
        wire.ListAsset(
            asset=1, chain=0, unit_decimals=8, feed=0, weight_ppm=900_000,
            opening_min_units=100_000, token=b"\x02" * 20,
        ),
        perpetual,
        wire.ListInstrument(
            instrument=1, instrument_kind=wire.InstrumentKind.SPOT, base_asset=1, feed=0,
            tick_size=10_000, lots_per_base=10_000, initial_ppm=0, maintenance_ppm=0,
            taker_fee_ppm=500, maker_fee_ppm=200, liquidation_fee_ppm=0, market_band_ppm=50_000,
            liquidation_band_ppm=30_000, funding_cap_ppm=0, name=b"BTC_USDC".ljust(16, b"\0"),
        ),
        wire.SetSigners(
            quorum=2,

            signers=tuple(address_of(1_000 + i) for i in range(signers)),
        ),
    ]  # fmt: skip


@dataclass
class World:
    """Makes inbox items and signed messages; knows no engine. Deterministic from its seed."""

    seed: int
    traders: int = 6
    now_ms: int = 1_760_000_000_000
    inbox: list[InboxItem] = field(default_factory=list)
    _published_ms: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.accumulator = bytes(32)
        for message in listing_messages():
            self._enqueue(message)
        for number in range(self.traders):
            for asset, units in ((0, DEPOSIT_UNITS), (1, 20_000_000_000)):
                self._enqueue(
                    wire.Deposit(
                        asset=asset, amount_units=units, owner=address_of(number), subaccount=0
                    )
                )
        # Accounts open in the order of the deposits; index 0 is the house.
        nonces = [NonceSource(clock=self.clock) for _ in range(self.traders)]
        self.signers = [
            ActionSigner(
                DOMAIN, 1 << 32 | i + 1, 0, key_of(i), clock=self.clock, nonces=nonces[i],
                valid_ms=3_600_000,
            )
            for i in range(self.traders)
        ]  # fmt: skip

    def clock(self) -> int:
        return self.now_ms

    def _enqueue(self, message: wire.Message) -> None:
        data = wire.encode(message)
        self.accumulator = wire.inbox_accumulator(self.accumulator, [data])
        self.inbox.append(InboxItem(len(self.inbox), data, self.accumulator))

    def deposit(self, number: int, units: int) -> InboxItem:
        """One more deposit of USDC."""
        self._enqueue(
            wire.Deposit(asset=0, amount_units=units, owner=address_of(number), subaccount=0)
        )
        return self.inbox[-1]

    def forced_close(self, number: int) -> InboxItem:
        """A trader closes every position through L1."""
        self._enqueue(wire.ForcedClose(owner=address_of(number), subaccount=0))
        return self.inbox[-1]

    def forced_withdraw(self, number: int, units: int) -> InboxItem:
        """A trader withdraws USDC through L1, to itself."""
        owner = address_of(number)
        self._enqueue(
            wire.ForcedWithdraw(
                owner=owner, subaccount=0, asset=0, amount_units=units, recipient=owner
            )
        )
        return self.inbox[-1]

    def prices(self, signer: int, price_units: int) -> bytes:
        """A signed vector of one feed."""
        self._published_ms = max(self._published_ms + 1, self.now_ms)
        message = wire.Prices(
            signer=signer,
            published_at_ms=self._published_ms,
            entries=(wire.PricesEntry(feed=0, price=price_units),),
        )
        return wire.encode(wire.sign(message, key_of(1_000 + signer), DOMAIN))

    def opening_prices(self) -> list[bytes]:
        """Two signers agree on the first mark."""
        return [self.prices(signer, MARK_UNITS) for signer in range(2)]

    def order(self, number: int | None = None, *, instrument: int | None = None) -> bytes:
        """A random limit order near the mark."""
        rng = self.rng
        signer = self.signers[rng.randrange(self.traders) if number is None else number]
        side = wire.Side(rng.randrange(2))
        distance = rng.randrange(-20, 60)
        price = MARK_TICKS + (distance if side is wire.Side.SELL else -distance)
        return wire.encode(
            signer.place(
                instrument=rng.randrange(2) if instrument is None else instrument,
                side=side,
                size_lots=rng.randrange(1, 3_000),
                price_ticks=price,
                **self._terms(),
            )
        )

    def _terms(self) -> dict[str, Any]:
        """Mostly plain orders that rest, some of every other kind."""
        rng, times = self.rng, wire.TimeInForce
        time_in_force = rng.choices(list(times), weights=(7, 2, 1, 1))[0]
        rests = time_in_force in (times.GOOD_TILL_CANCELLED, times.GOOD_TILL_TIME)
        ends = time_in_force is times.GOOD_TILL_TIME
        post_only = rests and rng.random() < 0.1
        return {
            "time_in_force": time_in_force,
            "good_till_s": self.now_ms // 1_000 + rng.randrange(2, 6) if ends else 0,
            "post_only": post_only,
            "slide": post_only and rng.random() < 0.5,
            "reduce_only": rng.random() < 0.1,
            "self_trade": rng.choice(list(wire.SelfTrade)),
            "client_id": rng.randrange(1, 16),
        }

    def change(self, number: int, order_id: int) -> bytes:
        """Amend or replace an order, if the trader has it, or cancel those of a label."""
        rng, signer = self.rng, self.signers[number]
        draw, price = rng.random(), MARK_TICKS + rng.randrange(-40, 40)
        size = rng.randrange(1, 3_000)
        if draw < 0.5:
            return wire.encode(signer.amend(order_id, price_ticks=price, size_lots=size))
        if draw < 0.9:
            terms = self._terms()
            return wire.encode(signer.replace(order_id, price_ticks=price, size_lots=size, **terms))
        return wire.encode(signer.cancel_label(rng.randrange(1, 16)))

    def cancel_all(self, number: int) -> bytes:
        return wire.encode(self.signers[number].cancel_all())

    def withdraw(self, number: int, units: int) -> bytes:
        return wire.encode(
            self.signers[number].withdraw(asset=0, amount_units=units, recipient=address_of(number))
        )

    def message(self) -> bytes:
        """One message of a lively mixture; time moves on."""
        self.now_ms += self.rng.randrange(0, 40)
        draw = self.rng.random()
        if draw < 0.03:
            move = self.rng.randrange(-3_000_000, 3_000_000)
            return self.prices(self.rng.randrange(3), MARK_UNITS + move)
        if draw < 0.10:
            return self.cancel_all(self.rng.randrange(self.traders))
        if draw < 0.12:
            return self.withdraw(self.rng.randrange(self.traders), self.rng.randrange(1, 10**6))
        if draw < 0.20:
            # Most ids are guessed wrong, and some right.
            order_id = self.rng.randrange(1, 4) << 32 | self.rng.randrange(24)
            return self.change(self.rng.randrange(self.traders), order_id)
        if draw < 0.22:
            return self.rng.randbytes(self.rng.randrange(0, 60))
        return self.order()
