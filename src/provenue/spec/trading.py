"""Chapter 4.1 to 4.3: PLACE with its checks in order, matching fill by fill, the cancels."""

from dataclasses import replace
from types import SimpleNamespace

from provenue.spec.book import (
    add_open,
    best_price,
    cancel,
    crosses,
    end_order,
    free_row_if_unused,
    opposite,
    remove_open,
    rest,
    row_for,
    slot_is_free,
    take_slot,
)
from provenue.spec.clearing import clear
from provenue.spec.constants import (
    MARK_STALE_MS,
    NONE_U16,
    NOTIONAL_MAX,
    POSITION_BASE_MAX,
    POSITION_NOTIONAL_MAX,
    PPM,
    PRICE_TICKS_MAX,
    SIZE_LOTS_MAX,
    CancelReason,
    Code,
    EventKind,
    FillFlag,
    OrderFlag,
    OrderType,
    Side,
    TimeInForce,
)
from provenue.spec.margin import (
    equity,
    fee_reserve,
    initial_margin,
    loss_against_mark,
    maintenance,
    place_margin_ok,
    prices_fresh,
    reserved,
    worst_size_lots,
)
from provenue.spec.notation import Reject, ceil_div, clamp
from provenue.spec.state import HOUSE, PENDING, QUOTE, Account, Instrument, Order, State

__all__ = ["band_limit", "cancel_all", "cancel_one", "continue_taker", "match", "place"]

_TIME_IN_FORCE_BIT = 1 << 4
_OWNED_BY_RULE = (FillFlag.LIQUIDATION, FillFlag.HOUSE_UNWIND, FillFlag.FORCED_CLOSE)
_FEE_TO_HOUSE = (FillFlag.LIQUIDATION, FillFlag.FORCED_CLOSE)


# --- 4.1 PLACE -----------------------------------------------------------------------------------


def place(state: State, account: Account, m: SimpleNamespace) -> None:
    """4.1: an accepted order always takes a slot, also one that never rests."""
    # CHECK
    if account.leaving:
        raise Reject(Code.ACCOUNT_LEAVING)
    instrument = _check_fields(state, m)
    limit = _limit(state, instrument, m)
    if limit * m.size_lots * instrument.quote_per_tick_lot > NOTIONAL_MAX:
        raise Reject(Code.NOTIONAL_TOO_LARGE)
    _check_room(state, account, m, limit)
    _check_risk(state, account, instrument, m, limit)

    # UPDATE
    slot = take_slot(state)
    order = Order(
        slot=slot,
        generation=state.slot_generations[slot],
        account=account.index,
        instrument=m.instrument,
        side=m.side,
        price_ticks=limit,
        size_lots=m.size_lots,
        remaining_lots=m.size_lots,
        client_id=m.client_id,
        flags=m.order_type << 5 | m.time_in_force << 4 | m.flags,
    )
    state.orders[slot] = order
    account.orders.append(order)
    add_open(state, order, order.size_lots)

    # EMIT
    state.emit(
        EventKind.ORDER_ACCEPTED,
        reason=order.flags,
        instrument=m.instrument,
        account=account.index,
        order_id=order.id,
        price=limit,
        size=m.size_lots,
        value=m.side,
        extra=m.client_id,
    )
    _match_order(state, order)


def _check_fields(state: State, m: SimpleNamespace) -> Instrument:
    """Checks 1 to 9: what the order says, and a mark to judge it by."""
    instrument = state.listed_instrument(m.instrument)
    if instrument is None:
        raise Reject(Code.INSTRUMENT_UNKNOWN)
    if m.side > Side.SELL:
        raise Reject(Code.BAD_SIDE)
    if m.order_type > OrderType.MARKET:
        raise Reject(Code.BAD_ORDER_TYPE)
    immediate = m.time_in_force == TimeInForce.IMMEDIATE_OR_CANCEL
    is_market = m.order_type == OrderType.MARKET
    if m.time_in_force > TimeInForce.IMMEDIATE_OR_CANCEL or (is_market and not immediate):
        raise Reject(Code.BAD_TIME_IN_FORCE)
    if m.flags not in (0, OrderFlag.POST_ONLY) or (m.flags and immediate):
        raise Reject(Code.BAD_FLAGS)
    if m.price_ticks > PRICE_TICKS_MAX or (m.price_ticks == 0 and not is_market):
        raise Reject(Code.BAD_PRICE)
    if not 1 <= m.size_lots <= SIZE_LOTS_MAX:
        raise Reject(Code.BAD_SIZE)
    feed = state.feeds[instrument.feed]
    if feed.price == 0:
        raise Reject(Code.MARK_MISSING)
    if state.now_ms - feed.updated_at_ms > MARK_STALE_MS:
        raise Reject(Code.MARK_STALE)
    return instrument


def band_limit(state: State, instrument: Instrument, side: int, band_ppm: int) -> int:
    """The mark moved by a band against the taker, on the tick inside it; not yet clamped."""
    mark, ticks_per_mark = state.mark(instrument), PPM * instrument.tick_size
    if side == Side.BUY:
        return mark * (PPM + band_ppm) // ticks_per_mark
    return ceil_div(mark * (PPM - band_ppm), ticks_per_mark)


def _limit(state: State, instrument: Instrument, m: SimpleNamespace) -> int:
    """Check 10: from here on every order has a limit price."""
    if m.order_type == OrderType.LIMIT:
        return int(m.price_ticks)
    limit = band_limit(state, instrument, m.side, instrument.market_band_ppm)
    if m.price_ticks != 0:
        limit = (min if m.side == Side.BUY else max)(limit, m.price_ticks)
    return clamp(limit, 1, PRICE_TICKS_MAX)


def _check_room(state: State, account: Account, m: SimpleNamespace, limit: int) -> None:
    """Checks 11 to 15: post-only, and a place for the order in every table it may need."""
    best = best_price(state, m.instrument, opposite(m.side))
    if m.flags == OrderFlag.POST_ONLY and best is not None and crosses(m.side, limit, best):
        raise Reject(Code.POST_ONLY_WOULD_CROSS)
    if len(account.orders) >= state.preset.orders_per_account:
        raise Reject(Code.ACCOUNT_ORDERS_FULL)
    if not slot_is_free(state):
        raise Reject(Code.ORDER_TABLE_FULL)
    may_rest = m.time_in_force == TimeInForce.GOOD_TILL_CANCELLED
    has_level = limit in state.books[m.instrument][m.side]
    if may_rest and not has_level and state.levels_live >= state.preset.levels_max:
        raise Reject(Code.LEVEL_TABLE_FULL)
    rows = account.rows
    if m.instrument not in rows and len(rows) >= state.preset.positions_per_account:
        raise Reject(Code.POSITIONS_FULL)


def _check_risk(
    state: State, account: Account, instrument: Instrument, m: SimpleNamespace, limit: int
) -> None:
    """Checks 16 to 19: enough to deliver, not too large, fresh prices, margin (P6)."""
    notional = limit * m.size_lots * instrument.quote_per_tick_lot
    if not instrument.is_perpetual and not _can_deliver(state, account, instrument, m, notional):
        raise Reject(Code.INSUFFICIENT_BALANCE)
    row = row_for(state, account, m.instrument).with_order(m.side, m.size_lots, notional)
    if instrument.is_perpetual:
        worst = worst_size_lots(row)
        value = ceil_div(worst * state.mark(instrument), instrument.lots_per_base)
        if worst > POSITION_BASE_MAX * instrument.lots_per_base or value > POSITION_NOTIONAL_MAX:
            raise Reject(Code.POSITION_TOO_LARGE)
    if not prices_fresh(state, account, placing=True):
        raise Reject(Code.MARK_STALE)
    after = replace(account, rows=account.rows | {m.instrument: row})
    if not place_margin_ok(state, after, m.instrument, m.side, m.size_lots, notional):
        raise Reject(Code.MARGIN_INSUFFICIENT)


def _can_deliver(
    state: State, account: Account, instrument: Instrument, m: SimpleNamespace, notional: int
) -> bool:
    """Check 16: what a spot order gives away is there, beside what others may; no credit."""
    if m.side == Side.SELL:
        base = instrument.base_asset
        free = account.balances[base] - reserved(state, account, base)
        return bool(free >= m.size_lots * instrument.base_units_per_lot)
    rows = account.rows.items()
    bids = sum(r.open_buy_units for i, r in rows if not state.instruments[i].is_perpetual)
    return account.balances[QUOTE] - bids >= notional + fee_reserve(instrument, notional)


# --- 4.2 matching --------------------------------------------------------------------------------


def continue_taker(state: State) -> None:
    """4.2: CONTINUE with a taker pending."""
    order = state.pending_taker
    assert order is not None
    state.pending_taker = None
    _match_order(state, order)


def _match_order(state: State, order: Order) -> None:
    """Match a user's order; then it is pending, rests, is cancelled, or has ended."""
    match(state, order)
    if state.pending_taker is order:
        state.emit(
            EventKind.TAKER_CONTINUES,
            instrument=order.instrument,
            account=order.account,
            order_id=order.id,
            size=order.remaining_lots,
        )
    elif order.remaining_lots == 0:
        end_order(state, order)
    elif order.flags & _TIME_IN_FORCE_BIT:
        cancel(state, order, CancelReason.IMMEDIATE_REMAINDER)
    else:
        rest(state, order)
        state.emit(
            EventKind.ORDER_RESTING,
            instrument=order.instrument,
            account=order.account,
            order_id=order.id,
            price=order.price_ticks,
            size=order.remaining_lots,
            value=order.side,
        )


def match(state: State, taker: Order, flag: int = 0) -> int:
    """4.2: a taker against the best opposite levels; the number of steps.

    `flag` is not 0 for an order that a rule has made: such an order has no slot, counts in no open
    sum and is never pending.
    """
    steps = 0
    while taker.remaining_lots > 0:
        price = best_price(state, taker.instrument, opposite(taker.side))
        if price is None or not crosses(taker.side, taker.price_ticks, price):
            break
        if steps == state.preset.fills_per_message:
            if flag not in _OWNED_BY_RULE:
                taker.live = PENDING
                state.pending_taker = taker
            break
        maker = state.books[taker.instrument][opposite(taker.side)][price][0]
        steps += 1
        if maker.account == taker.account:
            cancel(state, maker, CancelReason.SELF_TRADE)
            continue
        quantity = min(taker.remaining_lots, maker.remaining_lots)
        if not _may_make(state, maker, quantity):
            cancel(state, maker, CancelReason.MAKER_MARGIN)
            continue
        _fill(state, taker, maker, quantity, flag)
    return steps


def _may_make(state: State, maker: Order, quantity: int) -> bool:
    """4.2 step 4: at the touch a resting order is checked again, with what the fill costs (P6)."""
    account, instrument = state.accounts[maker.account], state.instruments[maker.instrument]
    notional = maker.price_ticks * quantity * instrument.quote_per_tick_lot
    fee = ceil_div(notional * instrument.maker_fee_ppm, PPM)
    loss = loss_against_mark(state, instrument, maker.side, quantity, notional)
    have = equity(state, account) - loss - fee
    if instrument.is_perpetual:
        size = account.rows[maker.instrument].size_lots
        reducible = size if maker.side == Side.SELL else -size
        if reducible >= quantity:
            return have >= maintenance(state, account)
    elif maker.side == Side.BUY and account.balances[QUOTE] < notional + fee:
        return False
    return have >= initial_margin(state, account)


def _fill(state: State, taker: Order, maker: Order, quantity: int, flag: int) -> None:
    """4.2 step 5: at the maker's price (P7); maker first, then taker."""
    index, price = maker.instrument, maker.price_ticks
    instrument = state.instruments[index]
    maker_account, taker_account = state.accounts[maker.account], state.accounts[taker.account]

    # UPDATE: lots leave, then money moves
    remove_open(state, maker, quantity)
    maker.remaining_lots -= quantity
    if flag not in _OWNED_BY_RULE:
        remove_open(state, taker, quantity)
    taker.remaining_lots -= quantity
    maker_fee = clear(
        state, maker_account, index, maker.side, quantity, price, instrument.maker_fee_ppm
    )
    state.assets[QUOTE].fees_units += maker_fee
    taker_fee = clear(
        state, taker_account, index, taker.side, quantity, price, _taker_fee_ppm(instrument, flag)
    )
    if flag in _FEE_TO_HOUSE:
        state.accounts[HOUSE].balances[QUOTE] += taker_fee
    else:
        state.assets[QUOTE].fees_units += taker_fee
    free_row_if_unused(maker_account, index)
    free_row_if_unused(taker_account, index)

    # EMIT
    state.emit(
        EventKind.FILL,
        reason=flag + (FillFlag.TAKER_SELLS if taker.side == Side.SELL else 0),
        instrument=index,
        account=taker.account,
        counter_account=maker.account,
        order_id=taker.id,
        counter_order_id=maker.id,
        price=price,
        size=quantity,
        value=taker_fee,
        extra=maker_fee,
    )
    if maker.remaining_lots == 0:
        end_order(state, maker)


def _taker_fee_ppm(instrument: Instrument, flag: int) -> int:
    if flag == FillFlag.HOUSE_UNWIND:
        return 0
    if flag == FillFlag.LIQUIDATION:
        return instrument.liquidation_fee_ppm
    return instrument.taker_fee_ppm


# --- 4.3 cancels ---------------------------------------------------------------------------------


def cancel_one(state: State, account: Account, m: SimpleNamespace) -> None:
    """4.3: by id, so that a slot's next order is never hit by an old cancel."""
    order = state.orders.get(m.order_id & 0xFFFF_FFFF)
    if order is None or order.id != m.order_id or order.account != account.index:
        raise Reject(Code.ORDER_UNKNOWN)
    cancel(state, order, CancelReason.USER)


def cancel_all(state: State, account: Account, m: SimpleNamespace) -> None:
    """4.3: oldest first; an account without orders is fine."""
    if m.instrument != NONE_U16 and state.listed_instrument(m.instrument) is None:
        raise Reject(Code.INSTRUMENT_UNKNOWN)
    for order in list(account.orders):
        if m.instrument in (NONE_U16, order.instrument):
            cancel(state, order, CancelReason.USER)
