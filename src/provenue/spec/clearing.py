"""Chapter 5.1 and 5.6: what a fill does to money and positions; funding."""

from provenue.spec.constants import FUNDING_PERIOD_MS, FUNDING_SCALE, PPM, EventKind, Side
from provenue.spec.margin import feed_fresh, funding_due
from provenue.spec.notation import ceil_div, sign, trunc_div
from provenue.spec.state import QUOTE, Account, Row, State

__all__ = ["accrue_funding", "change_position", "clear", "settle_funding"]

_I64_MAX = (1 << 63) - 1


def clear(
    state: State, account: Account, index: int, side: int, quantity: int, price: int, fee_ppm: int
) -> int:
    """5.1: one side of a fill; the fee that was taken. Whoever calls says whom the fee is for."""
    # COMPUTE
    instrument = state.instruments[index]
    notional = price * quantity * instrument.quote_per_tick_lot
    fee = ceil_div(notional * fee_ppm, PPM)  # against the payer (P8)
    direction = 1 if side == Side.BUY else -1

    # UPDATE
    if instrument.is_perpetual:
        row = account.rows[index]
        settle_funding(state, account, index, row)
        closed = min(quantity, abs(row.size_lots))
        closing_cash = -direction * price * closed * instrument.quote_per_tick_lot
        change_position(account, row, direction * quantity, -direction * notional, closing_cash)
    else:
        account.balances[QUOTE] -= direction * notional
        account.balances[instrument.base_asset] += (
            direction * quantity * instrument.base_units_per_lot
        )
    account.balances[QUOTE] -= fee
    return fee


def change_position(account: Account, row: Row, d: int, c: int, c0: int) -> None:
    """5.1 step 2: a position change `d` with cash flow `c`.

    `c0` is the part of `c` that belongs to closing; it counts only on the way through zero. The
    cost basis of what remains of a position never changes when it shrinks.
    """
    if sign(row.size_lots) in (0, sign(d)):
        row.size_lots += d
        row.cash_leg_units += c
    elif abs(d) <= abs(row.size_lots):
        released = row.cash_leg_units * abs(d) // abs(row.size_lots)
        row.cash_leg_units -= released
        row.size_lots += d
        account.balances[QUOTE] += released + c
    else:
        account.balances[QUOTE] += row.cash_leg_units + c0
        row.size_lots += d
        row.cash_leg_units = c - c0


# --- 5.6 funding ---------------------------------------------------------------------------------


def accrue_funding(state: State) -> None:
    """5.6: every perpetual's index moves up to `now`, with premium and mark from before.

    On a mark that is stale only the time moves on: a feed that has died costs nobody funding.
    """
    for _, instrument in state.listed_perpetuals():
        dt = min(state.now_ms - instrument.funding_time_ms, FUNDING_PERIOD_MS)
        if not feed_fresh(state, instrument.feed):
            dt = 0
        instrument.funding_index += trunc_div(
            instrument.premium_ppm * state.mark(instrument) * dt * FUNDING_SCALE,
            PPM * FUNDING_PERIOD_MS * instrument.lots_per_base,
        )
        assert abs(instrument.funding_index) <= _I64_MAX
        instrument.funding_time_ms = state.now_ms


def settle_funding(state: State, account: Account, index: int, row: Row) -> None:
    """5.6: rounding dust stays in the instrument's clearing account (P5, P8)."""
    # COMPUTE
    instrument = state.instruments[index]
    due = funding_due(instrument, row)

    # UPDATE
    account.balances[QUOTE] -= due
    instrument.clearing_units += due
    row.funding_index = instrument.funding_index

    # EMIT
    if due != 0:
        state.emit(EventKind.FUNDING_PAID, instrument=index, account=account.index, value=due)
