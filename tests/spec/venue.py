"""A small venue for tests in the words of a trader, on the specification or on the native engine.

Perpetual 1 and 2 have lots of 1/1000 base and ticks of 1 USDC, so a fill of `size` lots at `price`
ticks moves `price * size * 1000` quote units. Spot 0 trades asset 1 (8 decimals) in lots of 1/1000.
"""

import importlib.util
import struct
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.differential.invariants import check_dump
from tests.differential.wire import Signer, encode, make_signers

from provenue.spec import State, apply, dump
from provenue.spec.constants import NONE_U16, PPM, Code, EventKind, Kind
from provenue.spec.events import Event

__all__ = [
    "BUY", "CANCEL_BOTH", "CANCEL_MAKER", "CANCEL_TAKER", "DECREMENT", "FOK", "GTC", "GTT", "IOC",
    "MARK", "POST_ONLY", "REDUCE_ONLY", "SELL", "SLIDE", "START_S", "CheckedVenue",
    "Trader", "Venue", "fills", "kinds",
]  # fmt: skip

BUY, SELL = 0, 1
GTC, IOC, FOK, GTT = 0, 1, 2, 3
POST_ONLY, SLIDE, REDUCE_ONLY = 1, 2, 4
CANCEL_MAKER, CANCEL_TAKER, CANCEL_BOTH, DECREMENT = 0, 1, 2, 3
U64_MAX = (1 << 64) - 1
START_S = 1_700_000_000
START_MS = START_S * 1_000
USD = 10**6
MARK = 100  # ticks: the first mark of both perpetuals and of the spot pair
FAR_MS = 10**12
_EVENT = struct.Struct("<HHIIIQQqqqq")
_CODES = {int(code): code for code in Code}

PERPETUAL: dict[str, Any] = {
    "instrument": 1, "instrument_kind": 1, "base_asset": NONE_U16, "feed": 0, "tick_size": USD,
    "lots_per_base": 1_000, "initial_ppm": 100_000, "maintenance_ppm": 50_000,
    "taker_fee_ppm": 500, "maker_fee_ppm": 100, "liquidation_fee_ppm": 5_000,
    "market_band_ppm": 50_000, "liquidation_band_ppm": 50_000, "funding_cap_ppm": 10_000,
    "name": b"BTC-PERP".ljust(16, b"\0"),
}  # fmt: skip
SPOT = PERPETUAL | {
    "instrument": 0, "instrument_kind": 0, "base_asset": 1, "initial_ppm": 0, "maintenance_ppm": 0,
}  # fmt: skip
USDC: dict[str, Any] = {
    "asset": 0, "chain": 0, "unit_decimals": 6, "feed": NONE_U16, "weight_ppm": PPM,
    "opening_min_units": USD, "token": b"\x0a" * 20,
}  # fmt: skip
COIN = USDC | {"asset": 1, "unit_decimals": 8, "feed": 0, "weight_ppm": 900_000}

_NAMES = make_signers("trader", 24)
_PRICE_SIGNERS = make_signers("price", 8)


class _Spec:
    def __init__(self, preset: str) -> None:
        self.state = State(preset)

    def apply(self, message: bytes, **how: Any) -> tuple[int, list[Event]]:
        return apply(self.state, message, **how)

    def dump(self) -> str:
        return dump(self.state)


class _Native:
    def __init__(self, preset: str) -> None:
        if importlib.util.find_spec("provenue.engine") is None:
            pytest.skip("the native engine is not built: make setup")
        from provenue.engine import Engine

        self.engine = Engine(preset)

    def apply(self, message: bytes, **how: Any) -> tuple[int, list[Event]]:
        code, packed = self.engine.apply(message, **how)
        return code, [Event(*record) for record in _EVENT.iter_unpack(packed)]

    def dump(self) -> str:
        return self.engine.dump()


def kinds(events: list[Event]) -> list[str]:
    """The names of events, in order."""
    return [EventKind(event.kind).name for event in events]


def fills(events: list[Event]) -> list[tuple[int, int]]:
    """(price, size) of each fill."""
    return [(event.price, event.size) for event in events if event.kind == EventKind.FILL]


@dataclass
class Trader:
    """An account with its owner's key; `nonce` counts up by itself."""

    venue: "Venue"
    index: int
    signer: Signer
    generation: int = 1
    nonce: int = 0

    @property
    def id(self) -> int:
        return self.generation << 32 | self.index

    @property
    def quote(self) -> int:
        return self.balance(0)

    def balance(self, asset: int) -> int:
        """Of the account, from the dump."""
        return int(self.venue.line("U", self.index)[7 + asset])

    @property
    def open_ids(self) -> list[int]:
        """Its orders, oldest first."""
        return [int(x) for x in self.venue.line("U", self.index)[10:]]

    @property
    def next_expiry_s(self) -> int:
        return int(self.venue.line("U", self.index)[6])

    def row(self, instrument: int = 1) -> list[int]:
        """size, cash leg, funding index, open buy/sell lots, open buy/sell units, reduce-only
        orders; [] if none."""
        for fields in self.venue.lines("R"):
            if fields[:2] == [str(self.index), str(instrument)]:
                return [int(x) for x in fields[2:]]
        return []

    def act(self, kind: Kind, **fields: Any) -> tuple[Code, list[Event]]:
        """A signed action; fields may override account, key, nonce, expiry and the signer."""
        signer = fields.pop("signer", self.signer)
        if "nonce" not in fields:
            fields["nonce"] = self.nonce
            self.nonce += 1
        base = {"account": self.id, "key": 0, "expires_at_ms": FAR_MS * 10}
        return self.venue.send(kind, base | fields, signer=signer)

    def place(
        self, side: int, price: int, size: int, instrument: int = 1, **fields: Any
    ) -> tuple[Code, list[Event]]:
        """A limit order, good till cancelled unless said otherwise."""
        base = {
            "instrument": instrument, "side": side, "order_type": 0, "time_in_force": GTC,
            "flags": 0, "self_trade": CANCEL_MAKER, "price_ticks": price, "size_lots": size,
            "client_id": 0, "good_till_s": 0,
        }  # fmt: skip
        return self.act(Kind.PLACE, **(base | fields))

    def order(self, side: int, price: int, size: int, instrument: int = 1, **fields: Any) -> int:
        """An order that is accepted; its id."""
        code, events = self.place(side, price, size, instrument, **fields)
        assert code == Code.OK, f"place: {_CODES[int(code)].name}"
        return events[0].order_id

    def amend(self, order_id: int, price: int, size: int) -> tuple[Code, list[Event]]:
        """A new price and a new total size."""
        return self.act(Kind.AMEND, order_id=order_id, price_ticks=price, size_lots=size)

    def replace(
        self, order_id: int, price: int, size: int, **fields: Any
    ) -> tuple[Code, list[Event]]:
        """By a limit order, good till cancelled unless said otherwise."""
        base = {
            "order_id": order_id, "order_type": 0, "time_in_force": GTC, "flags": 0,
            "self_trade": CANCEL_MAKER, "price_ticks": price, "size_lots": size, "client_id": 0,
            "good_till_s": 0,
        }  # fmt: skip
        return self.act(Kind.REPLACE, **(base | fields))

    def force(self, kind: Kind, **fields: Any) -> tuple[Code, list[Event]]:
        """An item of the inbox in the owner's name."""
        return self.venue.send(kind, {"owner": self.signer.address, "subaccount": 0} | fields)

    def leave(self) -> list[Event]:
        """Through L1; the item is accepted."""
        code, events = self.force(Kind.FORCED_CLOSE)
        assert code == Code.OK, code.name
        return events

    @property
    def is_leaving(self) -> bool:
        return self.venue.line("U", self.index)[5] == "1"

    def cancel(self, order_id: int) -> tuple[Code, list[Event]]:
        """One order."""
        return self.act(Kind.CANCEL, order_id=order_id)


@dataclass
class Venue:
    """One engine, listed and priced; quorum 1 unless `signers` are set anew."""

    engine_name: str
    preset: str = "minimal"
    now_ms: int = START_MS
    traders: list[Trader] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = (_Spec if self.engine_name == "spec" else _Native)(self.preset)
        self.domain = bytes(32)

    @classmethod
    def listed(cls, engine_name: str, **perpetual: Any) -> "Venue":
        """With USDC, a coin, a spot pair, two perpetuals on two feeds, and a price."""
        venue = cls(engine_name)
        venue.ok(Kind.GENESIS, chain_id=31_337, anchor=b"\xaa" * 20)
        venue.domain = bytes.fromhex(venue.lines("G")[0][11])
        venue.ok(Kind.LIST_ASSET, **USDC)
        venue.ok(Kind.LIST_ASSET, **COIN)
        venue.ok(Kind.LIST_INSTRUMENT, **SPOT)
        venue.ok(Kind.LIST_INSTRUMENT, **(PERPETUAL | perpetual))
        venue.ok(Kind.LIST_INSTRUMENT, **(PERPETUAL | {"instrument": 2, "feed": 1}))
        venue.signers(1, 1)
        venue.price({0: MARK, 1: MARK})
        return venue

    def send(
        self, kind: Kind, fields: dict[str, Any], *, signer: Signer | None = None
    ) -> tuple[Code, list[Event]]:
        """A message at `now_ms`."""
        message = encode(
            kind, {"stamp_ms": self.now_ms} | fields, signer=signer, domain=self.domain
        )
        return self.apply(message, from_inbox=kind >= 0x80)

    def apply(self, message: bytes, *, from_inbox: bool) -> tuple[Code, list[Event]]:
        """Bytes at `now_ms`, live bounds."""
        code, events = self.engine.apply(
            message, from_inbox=from_inbox, stamp_min_ms=self.now_ms, stamp_max_ms=U64_MAX
        )
        return _CODES[int(code)], events

    def ok(self, kind: Kind, **fields: Any) -> list[Event]:
        """A message that must be accepted."""
        code, events = self.send(kind, fields)
        assert code == Code.OK, f"{kind.name}: {code.name}"
        return events

    def signers(self, quorum: int, count: int) -> None:
        """A new set of price signers."""
        addresses = [signer.address for signer in _PRICE_SIGNERS[:count]]
        self.ok(Kind.SET_SIGNERS, quorum=quorum, count=count, signers=addresses)

    def publish(
        self, ticks: dict[int, int], signer: int = 0, **fields: Any
    ) -> tuple[Code, list[Event]]:
        """One signer's prices, in whole USDC a base."""
        entries = [(feed, price * USD) for feed, price in ticks.items()]
        base = {
            "signer": signer, "published_at_ms": self.now_ms, "count": len(entries),
            "entries": entries,
        }  # fmt: skip
        key = _PRICE_SIGNERS[signer % len(_PRICE_SIGNERS)]
        return self.send(Kind.PRICES, base | fields, signer=key)

    def price(self, ticks: dict[int, int], after_ms: int = 1) -> list[Event]:
        """Prices that are accepted, and the sweep they start, to its end."""
        self.now_ms += after_ms
        code, events = self.publish(ticks)
        assert code == Code.OK, code.name
        return events + self.finish()

    def finish(self) -> list[Event]:
        """CONTINUE until there is nothing to continue."""
        out: list[Event] = []
        for _ in range(200):
            code, events = self.send(Kind.CONTINUE, {})
            if code == Code.NOTHING_TO_CONTINUE:
                return out
            assert code == Code.OK
            out += events
        raise AssertionError("CONTINUE: no end after 200 messages")

    def trader(self, usdc: int = 1_000, coin_units: int = 0) -> Trader:
        """A new account with whole USDC and units of the coin."""
        signer = _NAMES[len(self.traders)]
        fields = {"asset": 0, "amount_units": usdc * USD, "owner": signer.address, "subaccount": 0}
        events = self.ok(Kind.DEPOSIT, **fields)
        trader = Trader(self, events[0].account, signer, events[0].extra)
        self.traders.append(trader)
        if coin_units:
            self.ok(Kind.DEPOSIT, **(fields | {"asset": 1, "amount_units": coin_units}))
        return trader

    # --- the dump --------------------------------------------------------------------------------

    def house_balance(self, asset: int = 0) -> int:
        """Of the insurance fund."""
        return int(self.line("U", 0)[7 + asset])

    def lines(self, letter: str) -> list[list[str]]:
        """The fields of all lines of a kind."""
        lines = (line.split(" ") for line in self.engine.dump().splitlines())
        return [fields for first, *fields in lines if first == letter]

    def line(self, letter: str, index: int) -> list[str]:
        """The line of one record."""
        return next(fields for fields in self.lines(letter) if fields[0] == str(index))

    def order_line(self, order_id: int) -> list[str]:
        """instrument, side, price, size, remaining, client id, bits, live, good till; [] if it has
        ended."""
        return next((fields[2:] for fields in self.lines("O") if fields[0] == str(order_id)), [])

    def queue(self, side: int, price: int, instrument: int = 1) -> list[tuple[int, int]]:
        """(order id, remaining) at a price, in the order they will trade."""
        for fields in self.lines("B"):
            if fields[:3] == [str(instrument), str(side), str(price)]:
                return [(int(a), int(b)) for a, b in (x.split(":") for x in fields[3:])]
        return []

    def best(self, side: int, instrument: int = 1) -> int | None:
        """The best price of a side."""
        prices = [int(f[2]) for f in self.lines("B") if f[:2] == [str(instrument), str(side)]]
        return prices[0] if prices else None


class CheckedVenue(Venue):
    """Judged after every message: P5, P7, open sums, reserves."""

    def apply(self, message: bytes, *, from_inbox: bool) -> tuple[Code, list[Event]]:
        answer = super().apply(message, from_inbox=from_inbox)
        if self.lines("G")[0][0] == "1":
            check_dump(self.engine.dump(), 3)
        return answer
