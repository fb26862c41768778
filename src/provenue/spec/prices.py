"""Chapter 6.1: signed price vectors, the median per feed, the premium of perpetuals; TICK."""

from types import SimpleNamespace

from provenue.spec.authorisation import is_signed_by
from provenue.spec.book import best_price
from provenue.spec.clearing import accrue_funding
from provenue.spec.constants import (
    FEEDS_PER_MESSAGE,
    PPM,
    PRICE_AHEAD_MAX_MS,
    PRICE_FRESH_MS,
    PRICE_MAX,
    Code,
    EventKind,
    Side,
)
from provenue.spec.formats import MessageFormat
from provenue.spec.notation import Reject, clamp, trunc_div
from provenue.spec.state import Instrument, SignerPrice, State
from provenue.spec.sweep import start_sweep, sweep_part

__all__ = ["prices", "tick"]


def prices(state: State, form: MessageFormat, m: SimpleNamespace) -> None:
    """6.1: one signer's vector. Anyone may relay it; the signer's time only rises."""
    # CHECK
    if state.pending_taker is not None:
        raise Reject(Code.TAKER_PENDING)
    _check(state, form, m)

    # UPDATE
    accrue_funding(state)
    state.signers[m.signer].last_published_at_ms = m.published_at_ms
    for feed, price in m.entries:
        state.signer_prices[m.signer][feed] = SignerPrice(price, m.published_at_ms)
    updated = [feed for feed, _ in m.entries if _update_feed(state, feed)]
    for index, instrument in state.listed_perpetuals():
        if instrument.feed in updated:
            instrument.premium_ppm = _premium_ppm(state, index, instrument)
    if updated or state.sweep_remaining:  # funding has moved equity in any case (P6)
        start_sweep(state)
        sweep_part(state)


def _check(state: State, form: MessageFormat, m: SimpleNamespace) -> None:
    if not 1 <= m.count <= FEEDS_PER_MESSAGE:
        raise Reject(Code.BAD_COUNT)
    if m.signer >= len(state.signers):
        raise Reject(Code.SIGNER_UNKNOWN)
    feed_before = -1
    for feed, price in m.entries:
        if feed >= state.preset.feeds_max:
            raise Reject(Code.FEED_UNKNOWN)
        if feed <= feed_before:
            raise Reject(Code.BAD_FEED_ORDER)
        if not 1 <= price <= PRICE_MAX:
            raise Reject(Code.BAD_PRICE)
        feed_before = feed
    signer = state.signers[m.signer]
    if not is_signed_by(state, form, m, signer.address):
        raise Reject(Code.BAD_SIGNATURE)
    if m.published_at_ms <= signer.last_published_at_ms:
        raise Reject(Code.PRICE_NOT_NEWER)
    if m.published_at_ms > state.now_ms + PRICE_AHEAD_MAX_MS:
        raise Reject(Code.PRICE_FROM_FUTURE)
    if m.published_at_ms + PRICE_FRESH_MS < state.now_ms:
        raise Reject(Code.PRICE_TOO_OLD)


def _update_feed(state: State, feed: int) -> bool:
    """The median of what is fresh becomes the price, if a quorum is fresh."""
    # COMPUTE
    entries = [by_feed[feed] for by_feed in state.signer_prices if feed in by_feed]
    fresh = sorted(
        entry.price for entry in entries if entry.published_at_ms + PRICE_FRESH_MS >= state.now_ms
    )
    if len(fresh) < state.price_quorum:
        return False
    median = fresh[(len(fresh) - 1) // 2]  # of an even number the lower of the middle two

    # UPDATE
    state.feeds[feed].price = median
    state.feeds[feed].updated_at_ms = state.now_ms

    # EMIT
    state.emit(EventKind.PRICE_UPDATED, price=median, extra=feed)
    return True


def _premium_ppm(state: State, index: int, instrument: Instrument) -> int:
    """How far the middle of the book stands above the mark; 0 with a side empty."""
    bid = best_price(state, index, Side.BUY)
    ask = best_price(state, index, Side.SELL)
    if bid is None or ask is None:
        return 0
    mark = state.mark(instrument)
    above = (bid + ask) * instrument.tick_size - 2 * mark
    cap = instrument.funding_cap_ppm
    return clamp(trunc_div(above * PPM, 2 * mark), -cap, cap)


def tick(state: State) -> None:
    """6.1: time moves on, funding accrues, a sweep starts."""
    if state.pending_taker is not None:
        raise Reject(Code.TAKER_PENDING)
    accrue_funding(state)
    start_sweep(state)
    sweep_part(state)
