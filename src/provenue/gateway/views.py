"""Orders and trades in Deribit's shape, with the fields that ccxt and nautilus need.

`commission` is left out of orders: clients that see trades take the fees from those.
"""

from __future__ import annotations

from typing import Any

from provenue.gateway.numbers import quote
from provenue.gateway.orders import CANCEL_REASONS, Order
from provenue.gateway.venue import Venue
from provenue.sequencer.tape import TradeRow
from provenue.wire import SELF_TRADE_NAMES, TIME_NAMES, CancelReason, FillFlag, Side

__all__ = ["order_view", "public_trade_view", "user_trade_view"]

View = dict[str, Any]


def _direction(sells: bool) -> str:
    return "sell" if sells else "buy"


def order_view(venue: Venue, order: Order) -> View:
    """One order as it stands."""
    scale = venue.scale(order.instrument)
    view: View = {
        "order_id": str(order.id),
        "instrument_name": venue.name_of(order.instrument),
        "direction": _direction(order.side == Side.SELL),
        "order_type": "market" if order.is_market else "limit",
        "order_state": order.state,
        "amount": scale.amount(order.size_lots),
        "filled_amount": scale.amount(order.filled_lots),
        "price": "market_price" if order.is_market else scale.price(order.price_ticks),
        "average_price": scale.average_price(order.filled_value, order.filled_lots),
        "time_in_force": TIME_NAMES[order.bits.time_in_force],
        "post_only": order.is_post_only,
        "reject_post_only": order.is_post_only and not order.is_sliding,
        "reduce_only": order.is_reduce_only,
        "self_trade": SELF_TRADE_NAMES[order.bits.self_trade],
        "label": str(order.client_id) if order.client_id else "",
        "creation_timestamp": order.created_ms,
        "last_update_timestamp": order.updated_ms,
        "max_show": scale.amount(order.size_lots),
        "api": True,
        "web": False,
        "replaced": order.is_amended,
        "is_liquidation": False,
        "account": str(order.account_id),
    }
    if order.good_till_s:
        view["good_til_timestamp"] = order.good_till_s * 1_000
    if order.state == "cancelled":
        view["cancel_reason"] = CANCEL_REASONS[CancelReason(order.reason)]
    return view


def public_trade_view(venue: Venue, row: TradeRow) -> View:
    """One trade as everyone sees it."""
    scale = venue.scale(row.instrument)
    view: View = {
        "trade_id": str(row.id),
        "trade_seq": row.id,
        "instrument_name": venue.name_of(row.instrument),
        "timestamp": row.stamp_ms,
        "direction": _direction(row.taker_sells),
        "price": scale.price(row.price_ticks),
        "amount": scale.amount(row.size_lots),
        "tick_direction": row.tick_direction,
        "index_price": quote(row.mark_units),
        "mark_price": quote(row.mark_units),
    }
    if row.flags & (FillFlag.LIQUIDATION | FillFlag.HOUSE_UNWIND):
        view["liquidation"] = "T"
    if row.flags & FillFlag.FORCED_CLOSE:
        view["forced_close"] = "T"
    return view


def user_trade_view(venue: Venue, row: TradeRow, account_id: int, order: Order | None) -> View:
    """One trade as one of its two accounts sees it; `order` is that account's order, if any. Of a
    deleveraging the account that leaves is the taker.
    """
    is_maker = row.maker == account_id
    view = public_trade_view(venue, row)
    view |= {
        "direction": _direction(row.taker_sells != is_maker),
        "order_id": row.maker_order if is_maker else row.taker_order,
        "liquidity": "M" if is_maker else "T",
        "fee": quote(row.maker_fee_units if is_maker else row.taker_fee_units),
        "fee_currency": venue.quote_currency,
        "order_type": "market" if order is not None and order.is_market else "limit",
        "state": order.state if order is not None else "filled",
        "label": str(order.client_id) if order is not None and order.client_id else "",
        "post_only": order is not None and order.is_post_only,
        "reduce_only": order is not None and order.is_reduce_only,
        "api": True,
        "account": str(account_id),
    }
    if row.is_deleveraging:
        view["deleveraging"] = True
    return view
