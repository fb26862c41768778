"""Chapter 4.2: a taker against the book, fill by fill: price, then time (P7)."""

from provenue.spec.book import (
    best_price,
    cancel,
    crosses,
    end_order,
    free_row_if_unused,
    opposite,
    remove_open,
    rest,
)
from provenue.spec.clearing import clear
from provenue.spec.conditions import cut_reduce_only, has_expired, reduce_order
from provenue.spec.constants import (
    PPM,
    CancelReason,
    Code,
    EventKind,
    FillFlag,
    SelfTrade,
    Side,
    TimeInForce,
)
from provenue.spec.margin import equity, initial_margin, loss_against_mark, maintenance
from provenue.spec.notation import Reject, ceil_div
from provenue.spec.state import HOUSE, PENDING, QUOTE, Instrument, Order, State

__all__ = ["continue_taker", "match", "match_order"]

_OWNED_BY_RULE = (FillFlag.LIQUIDATION, FillFlag.HOUSE_UNWIND, FillFlag.FORCED_CLOSE)
_FEE_TO_HOUSE = (FillFlag.LIQUIDATION, FillFlag.FORCED_CLOSE)


# --- a user's order ------------------------------------------------------------------------------


def continue_taker(state: State) -> None:
    """CONTINUE with a taker pending."""
    order = state.pending_taker
    assert order is not None
    state.pending_taker = None
    match_order(state, order)


def match_order(state: State, order: Order) -> None:
    """Then it is pending, rests, is cancelled, or has ended; fill-or-kill is filled or rejected."""
    asked_lots = order.size_lots
    match(state, order)
    has_ended = state.orders.get(order.slot) is not order  # it has met an own order
    # An own order may have made it smaller: the lots that met that one were not filled.
    is_filled = order.remaining_lots == 0 and order.size_lots == asked_lots and not has_ended
    if order.time_in_force == TimeInForce.FILL_OR_KILL and not is_filled:
        raise Reject(Code.NOT_FILLED)
    if has_ended:
        return
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
    elif order.time_in_force == TimeInForce.IMMEDIATE_OR_CANCEL:
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


# --- any order -----------------------------------------------------------------------------------


def match(state: State, taker: Order, flag: int = 0) -> int:
    """A taker against the best opposite levels; the number of steps.

    `flag` is not 0 for an order that a rule has made: such an order has no slot, counts in no open
    sum and is never pending.
    """
    steps = 0
    while taker.remaining_lots > 0:
        price = best_price(state, taker.instrument, opposite(taker.side))
        if price is None or not crosses(taker.side, taker.price_ticks, price):
            break
        if steps == state.preset.fills_per_message:
            if flag not in _OWNED_BY_RULE and taker.time_in_force != TimeInForce.FILL_OR_KILL:
                taker.live = PENDING
                state.pending_taker = taker
            break
        maker = state.books[taker.instrument][opposite(taker.side)][price][0]
        steps += 1
        if has_expired(state, maker):
            cancel(state, maker, CancelReason.EXPIRED)
        elif maker.account == taker.account:
            if _ends_at_own_order(state, taker, maker):
                break
        else:
            quantity = min(taker.remaining_lots, maker.remaining_lots)
            if _may_make(state, maker, quantity):
                _fill(state, taker, maker, quantity, flag)
            else:
                cancel(state, maker, CancelReason.MAKER_MARGIN)
    return steps


def _ends_at_own_order(state: State, taker: Order, maker: Order) -> bool:
    """4.2 step 3: what the taker's mode does to the two; whether the taker is cancelled."""
    mode = taker.self_trade
    if mode == SelfTrade.DECREMENT:
        lots = min(taker.remaining_lots, maker.remaining_lots)
        ends = taker.remaining_lots == lots
        for order in (maker, taker):
            if order.remaining_lots == lots:
                cancel(state, order, CancelReason.SELF_TRADE)
            else:
                reduce_order(state, order, lots, CancelReason.SELF_TRADE)
        return ends
    if mode != SelfTrade.CANCEL_TAKER:
        cancel(state, maker, CancelReason.SELF_TRADE)
    if mode != SelfTrade.CANCEL_MAKER:
        cancel(state, taker, CancelReason.SELF_TRADE)
    return mode != SelfTrade.CANCEL_MAKER


def _may_make(state: State, maker: Order, quantity: int) -> bool:
    """4.2 step 4: at the touch a resting order is checked again, with what the fill costs (P6)."""
    account, instrument = state.accounts[maker.account], state.instruments[maker.instrument]
    notional = maker.price_ticks * quantity * instrument.quote_per_tick_lot
    fee = ceil_div(notional * instrument.maker_fee_ppm, PPM)
    loss = loss_against_mark(state, instrument, maker.side, quantity, notional)
    have = equity(state, account) - loss - fee
    if instrument.is_perpetual:
        if account.rows[maker.instrument].reducible_lots(maker.side) >= quantity:
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

    # UPDATE: what the positions were, their reduce-only orders may be no longer (4.6)
    for party in (maker_account, taker_account):
        cut_reduce_only(state, party, index)
        free_row_if_unused(party, index)


def _taker_fee_ppm(instrument: Instrument, flag: int) -> int:
    if flag == FillFlag.HOUSE_UNWIND:
        return 0
    if flag == FillFlag.LIQUIDATION:
        return instrument.liquidation_fee_ppm
    return instrument.taker_fee_ppm
