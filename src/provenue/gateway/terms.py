"""What kind of order is wanted: Deribit's parameters as the fields of PLACE and REPLACE."""

from __future__ import annotations

from typing import Any

from provenue.gateway.errors import bad_param
from provenue.gateway.numbers import InstrumentScale, parse_choice, parse_flag, parse_integer
from provenue.wire import (
    GOOD_TILL_S_MAX,
    SELF_TRADE_NAMES,
    TIME_NAMES,
    InstrumentKind,
    OrderFlag,
    OrderType,
    TimeInForce,
)

__all__ = ["check_supported", "order_terms", "parse_label"]

Params = dict[str, Any]
_TIMES = {name: time for time, name in TIME_NAMES.items()}
_SELF_TRADES = {name: mode for mode, name in SELF_TRADE_NAMES.items()}
_RESTING = (TimeInForce.GOOD_TILL_CANCELLED, TimeInForce.GOOD_TILL_TIME)
# Parameters that would change what the order does: ignoring them would be a lie.
_UNSUPPORTED = (
    "trigger",
    "trigger_price",
    "trigger_offset",
    "trigger_fill_condition",
    "max_show",
    "display_amount",
    "refresh_amount",
    "advanced",
    "mmp",
    "linked_order_type",
    "otoco_config",
)


def check_supported(params: Params) -> None:
    """ApiError if the order should do what no order of this venue does."""
    for name in _UNSUPPORTED:
        if params.get(name) not in (None, False, "false", ""):
            raise bad_param(name, "it to be left out: this venue has no such orders", params[name])


def parse_label(params: Params, *, least: int = 0) -> int:
    """The client id that `label` (ccxt: clientOrderId) is; 0 without one."""
    label = params.get("label", params.get("clientOrderId"))
    return parse_integer("label", 0 if label in (None, "") else label, least=least)


def order_terms(params: Params, scale: InstrumentScale, kind: int) -> dict[str, Any]:
    """The fields of an order, but for its instrument, its side and its size.

    `kind` is the instrument's.
    """
    check_supported(params)
    order_type, time_in_force = _kind(params)
    has_price = params.get("price") is not None
    if order_type is OrderType.LIMIT and not has_price:
        raise bad_param("price", "a price (a limit order needs one)", None)
    self_trade = parse_choice(params, "self_trade", _SELF_TRADES, "cancel_maker")
    return {
        "order_type": order_type,
        "time_in_force": time_in_force,
        "flags": _flags(params, time_in_force, kind),
        "self_trade": _SELF_TRADES[self_trade],
        "price_ticks": scale.ticks("price", params["price"]) if has_price else 0,
        "client_id": parse_label(params),
        "good_till_s": _good_till_s(params, time_in_force),
    }


def _kind(params: Params) -> tuple[OrderType, TimeInForce]:
    kind = parse_choice(params, "type", ("limit", "market"), "limit")
    name = parse_choice(params, "time_in_force", _TIMES, "good_til_cancelled")
    time_in_force = _TIMES[name]
    if kind == "limit":
        return OrderType.LIMIT, time_in_force
    if time_in_force is TimeInForce.GOOD_TILL_TIME:
        raise bad_param("time_in_force", "immediate_or_cancel or fill_or_kill (market)", name)
    if time_in_force is TimeInForce.FILL_OR_KILL:
        return OrderType.MARKET, time_in_force
    # The default of a market order, whatever a client's default says.
    return OrderType.MARKET, TimeInForce.IMMEDIATE_OR_CANCEL


def _flags(params: Params, time_in_force: TimeInForce, kind: int) -> OrderFlag:
    flags = OrderFlag(0)
    rejects = parse_flag(params, "reject_post_only")
    if parse_flag(params, "post_only"):
        if time_in_force not in _RESTING:
            expected = f"false with {TIME_NAMES[time_in_force]} (such an order never rests)"
            raise bad_param("post_only", expected, params["post_only"])
        flags |= OrderFlag.POST_ONLY if rejects else OrderFlag.POST_ONLY | OrderFlag.SLIDE
    if parse_flag(params, "reduce_only"):
        if kind == InstrumentKind.SPOT:
            expected = "false on a spot market (it has no positions)"
            raise bad_param("reduce_only", expected, params["reduce_only"])
        flags |= OrderFlag.REDUCE_ONLY
    return flags


def _good_till_s(params: Params, time_in_force: TimeInForce) -> int:
    name, value = "good_til_timestamp", params.get("good_til_timestamp")
    if time_in_force is not TimeInForce.GOOD_TILL_TIME:
        if value is not None:
            raise bad_param(name, "it to be left out without time_in_force good_til_date", value)
        return 0
    expected = "whole seconds in ms since 1970 (good_til_date needs it)"
    if value is None:
        raise bad_param(name, expected, None)
    seconds, rest = divmod(parse_integer(name, value, largest=GOOD_TILL_S_MAX * 1_000), 1_000)
    if rest or not seconds:
        raise bad_param(name, expected, value)
    return seconds
