"""The order bits of chapter 4.1."""

import itertools

from provenue.wire import OrderBits, OrderFlag, OrderType, SelfTrade, TimeInForce


def test_each_part_stands_where_the_chapter_puts_it() -> None:
    assert int(OrderBits()) == 0
    assert int(OrderBits(order_type=OrderType.MARKET)) == 0x80
    assert int(OrderBits(self_trade=SelfTrade.DECREMENT)) == 0x60
    assert int(OrderBits(time_in_force=TimeInForce.GOOD_TILL_TIME)) == 0x18
    assert int(OrderBits(flags=OrderFlag.POST_ONLY | OrderFlag.SLIDE)) == 0x03
    assert int(OrderBits(flags=OrderFlag.REDUCE_ONLY)) == 0x04


def test_every_order_comes_back_from_its_bits_and_fits_a_byte() -> None:
    parts = (OrderType, TimeInForce, range(8), SelfTrade)
    seen = set()
    for order_type, time_in_force, flags, self_trade in itertools.product(*parts):
        bits = OrderBits(order_type, time_in_force, OrderFlag(flags), self_trade)
        assert OrderBits.of(int(bits)) == bits
        seen.add(int(bits))
    assert seen == set(range(256))
