"""Orders as clients may see them: live ones and those that ended lately, from durable events only.

Read at once, without the database: an answer to `private/buy` and the user channels come from here.
Seeded from the engine's image (and the read models, for what the image does not keep).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from provenue.engine import Engine
from provenue.sequencer.sequencer import Outcome
from provenue.sequencer.tape import TradeRow, good_till_s_of
from provenue.wire import CancelReason, Event, EventKind, OrderBits, OrderFlag, OrderType

__all__ = ["CANCEL_REASONS", "Order", "Orders"]

ENDED_KEPT = 20_000
CANCEL_REASONS = {
    CancelReason.USER: "user_request",
    CancelReason.IMMEDIATE_REMAINDER: "immediate_or_cancel",
    CancelReason.SELF_TRADE: "self_trading",
    CancelReason.MAKER_MARGIN: "insufficient_margin",
    CancelReason.LIQUIDATION: "liquidation",
    CancelReason.FORCED: "forced",
    CancelReason.REPLACED: "replaced",
    CancelReason.REDUCE_ONLY: "reduce_only",
    CancelReason.EXPIRED: "expired",
}
# What happens to an order beside fills.
_CHANGES = (EventKind.ORDER_AMENDED, EventKind.ORDER_REDUCED, EventKind.ORDER_CANCELLED)


@dataclass(slots=True)
class Order:
    """One order as it stands. `filled_value` is the sum of ticks times lots of its fills."""

    id: int
    account: int
    account_id: int
    instrument: int
    side: int
    bits: OrderBits
    price_ticks: int
    size_lots: int
    client_id: int
    good_till_s: int
    created_ms: int
    updated_ms: int
    filled_lots: int = 0
    filled_value: int = 0
    state: str = "open"
    reason: int = 0
    is_amended: bool = False

    @property
    def is_market(self) -> bool:
        """A market order (its price is the bound that the program gave it)."""
        return self.bits.order_type is OrderType.MARKET

    @property
    def is_post_only(self) -> bool:
        """It only makes: it is rejected, or with SLIDE moved, if it would trade at once."""
        return OrderFlag.POST_ONLY in self.bits.flags

    @property
    def is_sliding(self) -> bool:
        """Post-only that was placed a tick beside the best opposite price if it crossed it."""
        return OrderFlag.SLIDE in self.bits.flags

    @property
    def is_reduce_only(self) -> bool:
        """It never exceeds the position that it closes."""
        return OrderFlag.REDUCE_ONLY in self.bits.flags

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Order:
        """From a row of the read models."""
        return cls(
            id=int(row["id"]),
            account=row["account"] & 0xFFFF_FFFF,
            account_id=row["account"],
            instrument=row["instrument"],
            side=row["side"],
            bits=OrderBits.of(row["bits"]),
            price_ticks=row["price_ticks"],
            size_lots=row["size_lots"],
            client_id=int(row["client_id"]),
            good_till_s=row["good_till_s"],
            created_ms=row["created_ms"],
            updated_ms=row["updated_ms"],
            filled_lots=row["filled_lots"],
            filled_value=int(row["filled_value"]),
            state=row["state"],
            reason=row["reason"],
            is_amended=bool(row["amended"]),
        )


class Orders:
    """Live orders by id and by account, and the newest ended ones."""

    def __init__(self, engine: Engine, find_row: Callable[[int], dict[str, Any] | None]) -> None:
        self._live: dict[int, Order] = {}
        self._ended: OrderedDict[int, Order] = OrderedDict()
        self._of_account: dict[int, dict[int, Order]] = {}
        used = engine.tables["orders"][: engine.globals("orders_used")]
        for slot in used["live"].nonzero()[0].tolist():
            order_id = int(used[slot]["generation"]) << 32 | slot
            self._add(self._seed(engine, order_id, find_row(order_id)))

    def _seed(self, engine: Engine, order_id: int, row: dict[str, Any] | None) -> Order:
        if row is not None:
            return Order.of_row(row)
        # Without its row, when it came is unknown; what it was filled at is at worst its limit.
        view = engine.order(order_id)
        assert view is not None
        account = engine.account(view["account"])
        assert account is not None
        filled = view["size_lots"] - view["remaining_lots"]
        return Order(
            id=order_id,
            account=view["account"],
            account_id=account["account_id"],
            instrument=view["instrument"],
            side=view["side"],
            bits=OrderBits.of(view["bits"]),
            price_ticks=view["price_ticks"],
            size_lots=view["size_lots"],
            client_id=view["client_id"],
            good_till_s=view["good_till_s"],
            created_ms=engine.now_ms,
            updated_ms=engine.now_ms,
            filled_lots=filled,
            filled_value=filled * view["price_ticks"],
        )

    def get(self, order_id: int) -> Order | None:
        """An order that is live or ended lately."""
        return self._live.get(order_id) or self._ended.get(order_id)

    def of_account(self, account: int) -> list[Order]:
        """The live orders of an account, oldest first."""
        return list(self._of_account.get(account, {}).values())

    def take(
        self,
        outcome: Outcome,
        events: Sequence[Event],
        trades: Sequence[TradeRow],
        account_id: Callable[[int], int],
    ) -> list[Order]:
        """Take one durable message; the orders it touched, as they then stand."""
        touched: dict[int, Order] = {}
        fills = iter(trades)
        for event in events:
            if event.kind is EventKind.ORDER_ACCEPTED:
                order = self._accepted(outcome, event, account_id(event.account))
                touched[order.id] = order
            elif event.kind is EventKind.FILL:
                trade = next(fills)
                for order_id in (event.order_id, event.counter_order_id):
                    filled = self._live.get(order_id)
                    if filled is not None:  # an order of the program itself has no id
                        self._fill(filled, trade)
                        touched[order_id] = filled
            elif event.kind in _CHANGES:
                touched[event.order_id] = self._changed(outcome.stamp_ms, event)
        return list(touched.values())

    def _changed(self, stamp_ms: int, event: Event) -> Order:
        order = self._live[event.order_id]
        order.updated_ms = stamp_ms
        if event.kind is EventKind.ORDER_CANCELLED:
            order.reason = event.reason
            self._end(order, "cancelled")
            return order
        # What is filled counts into the size; the event has what is left.
        order.size_lots = order.filled_lots + event.size
        if event.kind is EventKind.ORDER_AMENDED:
            order.price_ticks, order.is_amended = event.price, True
        return order

    def _accepted(self, outcome: Outcome, event: Event, account_id: int) -> Order:
        bits = OrderBits.of(event.reason)
        order = Order(
            id=event.order_id,
            account=event.account,
            account_id=account_id,
            instrument=event.instrument,
            side=event.value,
            bits=bits,
            price_ticks=event.price,
            size_lots=event.size,
            client_id=event.extra & ((1 << 64) - 1),
            good_till_s=good_till_s_of(outcome.message, bits),
            created_ms=outcome.stamp_ms,
            updated_ms=outcome.stamp_ms,
        )
        self._add(order)
        return order

    def _fill(self, order: Order, trade: TradeRow) -> None:
        order.filled_lots += trade.size_lots
        order.filled_value += trade.size_lots * trade.price_ticks
        order.updated_ms = trade.stamp_ms
        assert order.filled_lots <= order.size_lots, order
        if order.filled_lots == order.size_lots:
            self._end(order, "filled")

    def _add(self, order: Order) -> None:
        self._live[order.id] = order
        self._of_account.setdefault(order.account, {})[order.id] = order

    def _end(self, order: Order, state: str) -> None:
        order.state = state
        del self._live[order.id]
        own = self._of_account[order.account]
        del own[order.id]
        if not own:
            del self._of_account[order.account]
        self._ended[order.id] = order
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
