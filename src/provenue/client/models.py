"""What the SDK returns: frozen records with decimals; times in milliseconds since 1970."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from provenue.client._units import decimal_of

__all__ = [
    "Account",
    "Balance",
    "Book",
    "Instrument",
    "Order",
    "Position",
    "PublicTrade",
    "Ticker",
    "Trade",
]


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(value or 0)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A listed instrument and its exact units."""

    name: str
    number: int
    kind: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    tick_size_units: int
    lots_per_base: int
    taker_fee: Decimal
    maker_fee: Decimal

    @classmethod
    def of(cls, view: dict[str, Any]) -> Self:
        """From the API."""
        return cls(
            name=view["instrument_name"],
            number=view["instrument_id"],
            kind=view["kind"],
            base=view["base_currency"],
            quote=view["quote_currency"],
            tick_size=_decimal(view["tick_size"]),
            lot_size=_decimal(view["min_trade_amount"]),
            tick_size_units=view["tick_size_units"],
            lots_per_base=view["lots_per_base"],
            taker_fee=_decimal(view["taker_commission"]),
            maker_fee=_decimal(view["maker_commission"]),
        )


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """A trade as everyone sees it; `direction` is the taker's."""

    id: int
    instrument: str
    direction: str
    price: Decimal
    amount: Decimal
    timestamp_ms: int

    @classmethod
    def of(cls, view: dict[str, Any]) -> Self:
        """From the API."""
        return cls(
            id=int(view["trade_id"]),
            instrument=view["instrument_name"],
            direction=view["direction"],
            price=_decimal(view["price"]),
            amount=_decimal(view["amount"]),
            timestamp_ms=view["timestamp"],
        )


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade of one's own; `direction` is one's own."""

    id: int
    order_id: int
    instrument: str
    direction: str
    price: Decimal
    amount: Decimal
    fee: Decimal
    is_maker: bool
    timestamp_ms: int

    @classmethod
    def of(cls, view: dict[str, Any]) -> Self:
        """From the API."""
        return cls(
            id=int(view["trade_id"]),
            order_id=int(view["order_id"]),
            instrument=view["instrument_name"],
            direction=view["direction"],
            price=_decimal(view["price"]),
            amount=_decimal(view["amount"]),
            fee=_decimal(view["fee"]),
            is_maker=view["liquidity"] == "M",
            timestamp_ms=view["timestamp"],
        )


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stands. `price` is None for a market order; `trades` are those that it made
    when it was placed or amended; `cancel_reason` says why it was cancelled.
    """

    id: int
    instrument: str
    direction: str
    type: str
    state: str
    price: Decimal | None
    amount: Decimal
    filled: Decimal
    average_price: Decimal
    time_in_force: str
    reduce_only: bool
    label: str
    created_ms: int
    updated_ms: int
    good_til_ms: int | None = None
    cancel_reason: str | None = None
    trades: tuple[Trade, ...] = ()

    @classmethod
    def of(cls, view: dict[str, Any], trades: list[dict[str, Any]] | None = None) -> Self:
        """From the API."""
        price = view["price"]
        return cls(
            id=int(view["order_id"]),
            instrument=view["instrument_name"],
            direction=view["direction"],
            type=view["order_type"],
            state=view["order_state"],
            price=None if price == "market_price" else _decimal(price),
            amount=_decimal(view["amount"]),
            filled=_decimal(view["filled_amount"]),
            average_price=_decimal(view["average_price"]),
            time_in_force=view["time_in_force"],
            reduce_only=view["reduce_only"],
            label=view["label"],
            created_ms=view["creation_timestamp"],
            updated_ms=view["last_update_timestamp"],
            good_til_ms=view.get("good_til_timestamp"),
            cancel_reason=view.get("cancel_reason"),
            trades=tuple(Trade.of(trade) for trade in trades or []),
        )

    @property
    def is_open(self) -> bool:
        """Whether it rests in the book."""
        return self.state == "open"


@dataclass(frozen=True, slots=True)
class Position:
    """A perpetual position; `size` is negative when short."""

    instrument: str
    size: Decimal
    average_price: Decimal
    mark_price: Decimal
    profit: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal

    @classmethod
    def of(cls, view: dict[str, Any]) -> Self:
        """From the API."""
        return cls(
            instrument=view["instrument_name"],
            size=_decimal(view["size"]),
            average_price=_decimal(view["average_price"]),
            mark_price=_decimal(view["mark_price"]),
            profit=_decimal(view["floating_profit_loss"]),
            initial_margin=_decimal(view["initial_margin"]),
            maintenance_margin=_decimal(view["maintenance_margin"]),
        )


@dataclass(frozen=True, slots=True)
class Balance:
    """How much of one currency an account holds, and may withdraw now."""

    currency: str
    amount: Decimal
    withdrawable: Decimal


@dataclass(frozen=True, slots=True)
class Account:
    """An account's worth in the quote currency (cross margin) and its balances by currency."""

    id: int
    address: str
    equity: Decimal
    free: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    balances: dict[str, Balance]
    is_leaving: bool
    """Its positions are being closed through L1; it places no orders meanwhile."""

    @classmethod
    def of(cls, view: dict[str, Any], decimals: dict[str, int]) -> Self:
        """From private/get_account_summaries; `decimals` of each currency's unit."""
        summaries = view["summaries"]
        quote = summaries[0]
        balances = {
            s["currency"]: Balance(
                s["currency"],
                decimal_of(s["balance_units"], 10 ** decimals[s["currency"]]),
                _decimal(s["available_withdrawal_funds"]),
            )
            for s in summaries
        }
        return cls(
            id=int(view["id"]),
            address=view["address"],
            equity=_decimal(quote["margin_balance"]),
            free=_decimal(quote["available_funds"]),
            initial_margin=_decimal(quote["initial_margin"]),
            maintenance_margin=_decimal(quote["maintenance_margin"]),
            balances=balances,
            is_leaving=view["leaving"],
        )

    def balance(self, currency: str) -> Decimal:
        """The balance of a currency; 0 when it holds none."""
        found = self.balances.get(currency)
        return found.amount if found is not None else Decimal(0)


@dataclass(frozen=True, slots=True)
class Book:
    """The best levels, best first: (price, amount)."""

    instrument: str
    change_id: int
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]

    @classmethod
    def of(cls, view: dict[str, Any]) -> Self:
        """From public/get_order_book."""
        bids, asks = (
            [(_decimal(price), _decimal(amount)) for price, amount in view[side]]
            for side in ("bids", "asks")
        )
        return cls(view["instrument_name"], view["change_id"], bids, asks)


@dataclass(frozen=True, slots=True)
class Ticker:
    """Best prices, mark and last; None where there is none yet."""

    instrument: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    mark: Decimal | None
    index: Decimal | None
    open_interest: Decimal
    timestamp_ms: int

    @classmethod
    def of(cls, view: dict[str, Any]) -> Self:
        """From public/ticker."""
        names = ("best_bid_price", "best_ask_price", "last_price", "mark_price", "index_price")
        bid, ask, last, mark, index = (_decimal(view[n]) if view[n] else None for n in names)
        return cls(
            instrument=view["instrument_name"],
            bid=bid,
            ask=ask,
            last=last,
            mark=mark,
            index=index,
            open_interest=_decimal(view["open_interest"]),
            timestamp_ms=view["timestamp"],
        )
