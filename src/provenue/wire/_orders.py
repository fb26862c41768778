"""The order bits (chapter 4.1), and what the API calls the terms of an order."""

from typing import Final, NamedTuple, Self

from provenue._generated.messages import OrderFlag, OrderType, SelfTrade, TimeInForce

__all__ = ["GOOD_TILL_S_MAX", "SELF_TRADE_NAMES", "TIME_NAMES", "OrderBits"]

# Deribit's words, which gateway and client must agree on.
TIME_NAMES: Final = {
    TimeInForce.GOOD_TILL_CANCELLED: "good_til_cancelled",
    TimeInForce.IMMEDIATE_OR_CANCEL: "immediate_or_cancel",
    TimeInForce.FILL_OR_KILL: "fill_or_kill",
    TimeInForce.GOOD_TILL_TIME: "good_til_date",
}
SELF_TRADE_NAMES: Final = {mode: mode.name.lower() for mode in SelfTrade}
# Of the field good_till_s, u32.
GOOD_TILL_S_MAX: Final = (1 << 32) - 1

# order_type << 7 | self_trade << 5 | time_in_force << 3 | flags
_ORDER_TYPE_AT, _SELF_TRADE_AT, _TIME_IN_FORCE_AT = 7, 5, 3


class OrderBits(NamedTuple):
    """What ORDER_ACCEPTED has as its reason and the image as an order's flags.

    The only place that knows where each part stands.
    """

    order_type: OrderType = OrderType.LIMIT
    time_in_force: TimeInForce = TimeInForce.GOOD_TILL_CANCELLED
    flags: OrderFlag = OrderFlag(0)
    self_trade: SelfTrade = SelfTrade.CANCEL_MAKER

    @classmethod
    def of(cls, number: int) -> Self:
        """The parts of the bits of an accepted order."""
        return cls(
            order_type=OrderType(number >> _ORDER_TYPE_AT),
            time_in_force=TimeInForce(number >> _TIME_IN_FORCE_AT & 3),
            flags=OrderFlag(number & 7),
            self_trade=SelfTrade(number >> _SELF_TRADE_AT & 3),
        )

    def __int__(self) -> int:
        return int(
            self.order_type << _ORDER_TYPE_AT
            | self.self_trade << _SELF_TRADE_AT
            | self.time_in_force << _TIME_IN_FORCE_AT
            | self.flags
        )
