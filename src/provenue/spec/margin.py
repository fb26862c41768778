"""Chapter 5.2 to 5.5: pure functions of balances, rows and marks. They change nothing."""

from provenue.spec.constants import (
    FUNDING_SCALE,
    MARK_ABANDONED_MS,
    MARK_STALE_MS,
    PPM,
    Side,
)
from provenue.spec.notation import ceil_div
from provenue.spec.state import QUOTE, Account, Instrument, Row, State

__all__ = [
    "asset_value",
    "equity",
    "fee_reserve",
    "feed_abandoned",
    "feed_fresh",
    "funding_due",
    "initial_margin",
    "is_unsafe",
    "loss_against_mark",
    "maintenance",
    "only_reduces",
    "place_margin_ok",
    "prices_fresh",
    "reserved",
    "row_maintenance",
    "venue_abandoned",
    "worst_size_lots",
]  # fmt: skip


# --- 3.5, 5.3 what an account has ----------------------------------------------------------------


def reserved(state: State, account: Account, asset: int) -> int:
    """3.5: base units that open spot sells may deliver; of the quote nothing is reserved."""
    total = 0
    for index, row in account.rows.items():
        instrument = state.instruments[index]
        if not instrument.is_perpetual and instrument.base_asset == asset:
            total += row.open_sell_lots * instrument.base_units_per_lot
    return total


def asset_value(state: State, account: Account, asset: int) -> int:
    """5.3: a balance other than the quote, weighted, rounded down (P8)."""
    a = state.assets[asset]
    balance = account.balances[asset]
    if balance == 0:
        return 0
    assert balance > 0
    assert a.listed
    return balance * state.feeds[a.feed].price * a.weight_ppm // (a.units_per_base * PPM)


def funding_due(instrument: Instrument, row: Row) -> int:
    """5.3, 5.6: what the row owes since it was settled; the payer's side rounds up (P8)."""
    return ceil_div(row.size_lots * (instrument.funding_index - row.funding_index), FUNDING_SCALE)


def equity(state: State, account: Account) -> int:
    """5.3"""
    total = account.balances[QUOTE]
    for asset in range(QUOTE + 1, state.preset.assets_max):
        total += asset_value(state, account, asset)
    for index, row in account.rows.items():
        instrument = state.instruments[index]
        if instrument.is_perpetual:
            value = row.size_lots * state.mark(instrument) // instrument.lots_per_base
            total += value + row.cash_leg_units - funding_due(instrument, row)
    return total


# --- 5.2, 5.3 what it must have ------------------------------------------------------------------


def worst_size_lots(row: Row) -> int:
    """5.2: the largest position the open orders could lead to."""
    return max(abs(row.size_lots + row.open_buy_lots), abs(row.size_lots - row.open_sell_lots))


def _row_initial_margin(state: State, instrument: Instrument, row: Row) -> int:
    if not instrument.is_perpetual:
        return row.open_buy_units
    notional = ceil_div(worst_size_lots(row) * state.mark(instrument), instrument.lots_per_base)
    return ceil_div(notional * instrument.initial_ppm, PPM)


def initial_margin(state: State, account: Account) -> int:
    """5.2: with all open orders counted, but not what they may lose (see `loss_against_mark`)."""
    rows = account.rows.items()
    return sum(_row_initial_margin(state, state.instruments[index], row) for index, row in rows)


def row_maintenance(state: State, instrument: Instrument, row: Row) -> int:
    """5.3: of one perpetual position."""
    notional = ceil_div(abs(row.size_lots) * state.mark(instrument), instrument.lots_per_base)
    return ceil_div(notional * instrument.maintenance_ppm, PPM)


def maintenance(state: State, account: Account) -> int:
    """5.3"""
    total = 0
    for index, row in account.rows.items():
        instrument = state.instruments[index]
        if instrument.is_perpetual:
            total += row_maintenance(state, instrument, row)
    return total


def is_unsafe(state: State, account: Account) -> bool:
    """5.3: exactly on the line is safe."""
    return equity(state, account) < maintenance(state, account)


# --- 5.4 freshness -------------------------------------------------------------------------------


def feed_fresh(state: State, feed: int) -> bool:
    """5.4: no new risk, and no funding, on a mark older than this."""
    f = state.feeds[feed]
    return f.price != 0 and state.now_ms - f.updated_at_ms <= MARK_STALE_MS


def feed_abandoned(state: State, feed: int) -> bool:
    """12.2: it had a price, and nobody has renewed it for so long that nobody will."""
    f = state.feeds[feed]
    return f.price != 0 and state.now_ms - f.updated_at_ms > MARK_ABANDONED_MS


def venue_abandoned(state: State) -> bool:
    """12.2: something is listed, and nothing that is has a price that anybody keeps."""
    feeds = [instrument.feed for instrument in state.instruments if instrument.listed]
    return bool(feeds) and all(
        state.feeds[feed].price == 0 or feed_abandoned(state, feed) for feed in feeds
    )


def prices_fresh(state: State, account: Account, *, placing: bool = False) -> bool:
    """5.4: every price that this account's margin needs.

    The row of an order that is being placed counts as in use already: collateral backs it.
    """
    if not placing and not account.rows and account.balances[QUOTE] >= 0:
        return True
    feeds = [state.instruments[index].feed for index in account.rows]
    held = [a for a, balance in enumerate(account.balances) if a != QUOTE and balance != 0]
    feeds += [state.assets[asset].feed for asset in held]
    return all(feed_fresh(state, feed) for feed in feeds)


# --- 5.5 the margin check of PLACE ---------------------------------------------------------------


def loss_against_mark(
    state: State, instrument: Instrument, side: int, quantity: int, notional: int
) -> int:
    """5.5: what these lots for this money lose at once. Never a gain: it would hide a loss."""
    mark = state.mark(instrument)
    if instrument.is_perpetual:
        worth = quantity * mark
        if side == Side.BUY:
            return max(0, notional - worth // instrument.lots_per_base)
        return max(0, ceil_div(worth, instrument.lots_per_base) - notional)
    if side == Side.BUY:
        return 0  # the whole cost is reserved
    base = state.assets[instrument.base_asset]
    price = state.feeds[base.feed].price
    worth = quantity * instrument.base_units_per_lot * price * base.weight_ppm
    return max(0, worth // (base.units_per_base * PPM) - notional)


def fee_reserve(instrument: Instrument, notional: int) -> int:
    """5.5: the taker's fee, were the order filled at once at its limit."""
    return ceil_div(notional * instrument.taker_fee_ppm, PPM)


def only_reduces(instrument: Instrument, side: int, row_with_order: Row) -> bool:
    """5.5: nothing that the orders of this side do can make the position larger."""
    size = row_with_order.size_lots
    if not instrument.is_perpetual:
        return False
    if side == Side.SELL:
        return size > 0 and row_with_order.open_sell_lots <= size
    return size < 0 and row_with_order.open_buy_lots <= -size


def place_margin_ok(
    state: State,
    account_with_order: Account,
    index: int,
    side: int,
    lots: int,
    notional: int,
    *,
    reduce_only: bool = False,
) -> bool:
    """5.5: P6 for a new order; `lots` and `notional` are the order's, at its limit.

    A reduce-only order is in no sum of its row.
    """
    instrument = state.instruments[index]
    have = equity(state, account_with_order) - fee_reserve(instrument, notional)
    have -= loss_against_mark(state, instrument, side, lots, notional)
    if reduce_only or only_reduces(instrument, side, account_with_order.rows[index]):
        return have >= maintenance(state, account_with_order)
    return have >= initial_margin(state, account_with_order)
