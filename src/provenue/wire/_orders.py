"""The order bits (chapter 4.1): what kind of order it is, in one number."""

from typing import NamedTuple, Self

from provenue._generated.messages import OrderFlag, OrderType, SelfTrade, TimeInForce

__all__ = ["OrderBits"]

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
