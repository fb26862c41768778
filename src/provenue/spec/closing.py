"""Chapter 6.3 step 2: the order that a rule makes to close a position. It takes no slot."""

from provenue.spec.constants import PRICE_TICKS_MAX, SIZE_LOTS_MAX, Side
from provenue.spec.margin import equity, row_maintenance
from provenue.spec.notation import ceil_div, clamp
from provenue.spec.state import Account, Order, State
from provenue.spec.trading import band_limit

__all__ = ["closing_order", "closing_side", "largest_position", "liquidation_limit"]


def largest_position(state: State, account: Account, among: list[int] | None = None) -> int | None:
    """The instrument with the largest maintenance margin, of equals the lowest; None if flat.

    `among` leaves out what is not in it.
    """
    largest, largest_margin = None, -1
    for index, row in sorted(account.rows.items()):
        if row.size_lots != 0 and (among is None or index in among):
            margin = row_maintenance(state, state.instruments[index], row)
            if margin > largest_margin:
                largest, largest_margin = index, margin
    return largest


def closing_side(size_lots: int) -> Side:
    return Side.SELL if size_lots > 0 else Side.BUY


def liquidation_limit(state: State, account: Account, index: int, kept: int = 0) -> int:
    """Within the band, and not beyond the bankruptcy price: below it others would pay.

    `kept` quote units of the equity are not for this position (12.4).
    """
    instrument = state.instruments[index]
    size = account.rows[index].size_lots
    side, mark, tick = closing_side(size), state.mark(instrument), instrument.tick_size
    room = max(0, equity(state, account) - kept) * instrument.lots_per_base // abs(size)
    band = band_limit(state, instrument, side, instrument.liquidation_band_ppm)
    if side == Side.SELL:
        return max(band, ceil_div(max(0, mark - room), tick))
    return min(band, (mark + room) // tick)


def closing_order(account: Account, index: int, limit: int) -> Order:
    """Of the whole position, as far as one order goes; its id is 0. The limit is clamped."""
    size = account.rows[index].size_lots
    lots = min(abs(size), SIZE_LOTS_MAX)
    return Order(
        slot=0,
        generation=0,
        account=account.index,
        instrument=index,
        side=closing_side(size),
        price_ticks=clamp(limit, 1, PRICE_TICKS_MAX),
        size_lots=lots,
        remaining_lots=lots,
        client_id=0,
        flags=0,
    )
