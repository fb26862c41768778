"""Chapter 6.2 to 6.5: a walk over all accounts after prices moved; liquidation by rule (P6)."""

from provenue.spec.book import cancel, free_row_if_unused, row_for
from provenue.spec.clearing import change_position, settle_funding
from provenue.spec.closing import (
    closing_order,
    closing_side,
    largest_position,
    liquidation_limit,
)
from provenue.spec.conditions import cancel_expired
from provenue.spec.constants import CancelReason, EventKind, FillFlag
from provenue.spec.leaving import drop_scan, visit_leaving
from provenue.spec.margin import asset_value, equity, is_unsafe, maintenance
from provenue.spec.matching import match
from provenue.spec.notation import clamp, trunc_div
from provenue.spec.state import HOUSE, QUOTE, Account, State
from provenue.spec.trading import band_limit

__all__ = ["start_sweep", "sweep_part"]


# --- 6.2 the walk --------------------------------------------------------------------------------


def start_sweep(state: State) -> None:
    """Full circle from where the cursor stands, so that frequent prices starve nobody."""
    state.sweep_remaining = state.accounts_used


def sweep_part(state: State) -> None:
    """As much as one message does: some visits, or one step: of liquidation, closing, the house."""
    visits = 0
    while state.sweep_remaining > 0 and visits < state.preset.sweep_accounts_per_message:
        account = state.accounts[state.sweep_next]
        if cancel_expired(state, account):
            break
        if account.index != HOUSE and _is_exposed(account) and is_unsafe(state, account):
            _liquidation_step(state, account)
            break
        if account.leaving and visit_leaving(state, account):
            break
        is_house_step = account.index == HOUSE and largest_position(state, account) is not None
        if is_house_step:
            _house_step(state)
        _advance(state)
        visits += 1
        if is_house_step:
            break
    if state.sweep_remaining == 0:
        state.emit(EventKind.SWEEP_FINISHED, extra=visits)


def _advance(state: State) -> None:
    """A scan (12.5) belongs to the account that the cursor leaves."""
    drop_scan(state)
    state.sweep_next = (state.sweep_next + 1) % state.accounts_used
    state.sweep_remaining -= 1


def _is_exposed(account: Account) -> bool:
    return bool(account.rows) or account.balances[QUOTE] < 0


# --- 6.3 liquidation -----------------------------------------------------------------------------


def _liquidation_step(state: State, account: Account) -> None:
    """The first that applies: cancel its orders; close on the book; takeover."""
    if account.orders:
        for order in list(account.orders):
            cancel(state, order, CancelReason.LIQUIDATION)
        return
    index = largest_position(state, account)
    if index is not None:
        order = closing_order(account, index, liquidation_limit(state, account, index))
        state.emit(
            EventKind.LIQUIDATED,
            instrument=index,
            account=account.index,
            price=order.price_ticks,
            size=order.size_lots,
        )
        if match(state, order, FillFlag.LIQUIDATION) > 0:
            return
    _takeover(state, account)


# --- 6.4 takeover --------------------------------------------------------------------------------


def _takeover(state: State, account: Account) -> None:
    """The house takes positions at the mark, then collateral at its value, then the shortfall.

    Who leaves a position to the house leaves its maintenance margin too, as far as it has it.
    """
    penalty = clamp(equity(state, account), 0, maintenance(state, account))
    for index in sorted(account.rows):
        if account.rows[index].size_lots != 0:
            _take_position(state, account, index)
    if penalty > 0:
        _pay_house(state, account, penalty)
        state.emit(EventKind.COLLATERAL_TAKEN, account=account.index, size=penalty)
    for asset in range(QUOTE + 1, state.preset.assets_max):
        value = asset_value(state, account, asset)
        if account.balances[QUOTE] < 0 and value > 0:
            _take_collateral(state, account, asset, value)
    if account.balances[QUOTE] < 0:
        _cover_shortfall(state, account)


def _pay_house(state: State, account: Account, units: int) -> None:
    """Quote from the account to the house, or back if negative."""
    account.balances[QUOTE] -= units
    state.house.balances[QUOTE] += units


def _cover_shortfall(state: State, account: Account) -> None:
    """The house pays; the fees that the venue has earned stand behind the house."""
    shortfall = -account.balances[QUOTE]
    _pay_house(state, account, -shortfall)
    state.emit(EventKind.SHORTFALL, account=account.index, value=shortfall)
    quote = state.assets[QUOTE]
    covered = min(quote.fees_units, max(0, -state.house.balances[QUOTE]))
    quote.fees_units -= covered
    state.house.balances[QUOTE] += covered


def _take_position(state: State, account: Account, index: int) -> None:
    # UPDATE: funding of both sides first
    house = state.house
    row = account.rows[index]
    settle_funding(state, account, index, row)
    house_row = house.rows[index] = row_for(state, house, index)
    settle_funding(state, house, index, house_row)

    # COMPUTE
    instrument = state.instruments[index]
    size = row.size_lots
    value = size * state.mark(instrument) // instrument.lots_per_base
    closed = min(abs(size), abs(house_row.size_lots))
    closing_cash = trunc_div(-value * closed, abs(size))

    # UPDATE: the account is paid the mark, the house takes the position at it
    account.balances[QUOTE] += row.cash_leg_units + value
    del account.rows[index]
    change_position(house, house_row, size, -value, closing_cash)
    free_row_if_unused(house, index)

    # EMIT
    state.emit(
        EventKind.TAKEN_OVER, instrument=index, account=account.index, size=size, value=value
    )


def _take_collateral(state: State, account: Account, asset: int, value: int) -> None:
    units = account.balances[asset]
    account.balances[asset] = 0
    state.house.balances[asset] += units
    _pay_house(state, account, -value)
    state.emit(
        EventKind.COLLATERAL_TAKEN, account=account.index, size=units, value=value, extra=asset
    )


# --- 6.5 the house -------------------------------------------------------------------------------


def _house_step(state: State) -> None:
    """The house works its way out: its largest position, on the book, without a fee.

    At the mark or better, so that nobody is paid for waiting.
    """
    house = state.house
    index = largest_position(state, house)
    assert index is not None
    instrument = state.instruments[index]
    side = closing_side(house.rows[index].size_lots)
    limit = band_limit(state, instrument, side, 0)
    match(state, closing_order(house, index, limit), FillFlag.HOUSE_UNWIND)
