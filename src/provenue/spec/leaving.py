"""Chapter 12.1 to 12.5: an owner closes every position through L1, whatever the operator does.

On the book first. What the book does not take is closed against the open positions of the other
side, the most profitable first: a scan over all accounts, in parts, finds them.
"""

from types import SimpleNamespace

from provenue.spec.authorisation import clear_key
from provenue.spec.book import free_row_if_unused, opposite
from provenue.spec.clearing import clear
from provenue.spec.closing import (
    closing_order,
    closing_side,
    largest_position,
    liquidation_limit,
)
from provenue.spec.conditions import cut_reduce_only
from provenue.spec.constants import (
    KEYS_PER_ACCOUNT,
    PPM,
    SIZE_LOTS_MAX,
    Code,
    EventKind,
    FillFlag,
    Side,
)
from provenue.spec.custody import cancel_by_force, named_account
from provenue.spec.margin import feed_abandoned, feed_fresh, maintenance, row_maintenance
from provenue.spec.matching import match
from provenue.spec.notation import Reject, ceil_div, clamp, sign, trunc_div
from provenue.spec.state import QUOTE, Account, Row, Scan, State

__all__ = ["drop_scan", "forced_close", "forced_revoke", "visit_leaving"]

SCORE_MAX_PPM = 1 << 62


# --- 12.1 messages -------------------------------------------------------------------------------


def forced_close(state: State, m: SimpleNamespace) -> None:
    """12.1: the account leaves; without prices the sweep that closes it starts here."""
    # CHECK
    account = named_account(state, m)

    # UPDATE
    cancel_by_force(state, account)
    held = [index for index, row in account.rows.items() if row.size_lots != 0]
    if held and not account.leaving:
        account.leaving = True
        state.emit(EventKind.ACCOUNT_LEAVING, account=account.index)
    if any(feed_abandoned(state, state.instruments[index].feed) for index in held):
        state.sweep_remaining = state.accounts_used


def forced_revoke(state: State, m: SimpleNamespace) -> None:
    """12.1: a session key ends without the operator's consent."""
    # CHECK
    account = named_account(state, m)
    if not 1 <= m.slot < KEYS_PER_ACCOUNT:
        raise Reject(Code.BAD_KEY_SLOT)

    # UPDATE
    clear_key(state, account, m.slot)


# --- 12.3 the visit ------------------------------------------------------------------------------


def visit_leaving(state: State, account: Account) -> bool:
    """12.3: whether a closing step was done (then the cursor stays and the part ends)."""
    if not any(row.size_lots for row in account.rows.values()):
        account.leaving = False
        state.emit(EventKind.ACCOUNT_LEFT, account=account.index)
        return False
    closable = [index for index in account.rows if _is_closable(state, account, index)]
    if not closable:
        return False  # a mark that is stale waits
    _closing_step(state, account, closable)
    return True


def drop_scan(state: State) -> None:
    """When the cursor advances: no old ranks are acted upon later."""
    state.scan = None


def _is_closable(state: State, account: Account, index: int) -> bool:
    """12.2: a position whose mark is fresh or abandoned."""
    feed = state.instruments[index].feed
    has_mark = feed_fresh(state, feed) or feed_abandoned(state, feed)
    return account.rows[index].size_lots != 0 and has_mark


# --- 12.4 a closing step -------------------------------------------------------------------------


def _closing_step(state: State, account: Account, closable: list[int]) -> None:
    """The first that applies: a scan goes on; the book; a scan starts."""
    if state.scan is not None and state.scan.instrument not in closable:
        state.scan = None
    if state.scan is None:
        index = largest_position(state, account, closable)
        assert index is not None
        if _close_on_the_book(state, account, index):
            return
        state.scan = Scan(account.index, index, remaining=state.accounts_used)
    assert state.scan.account == account.index
    if state.scan.remaining > 0:
        _scan_part(state, state.scan)
    else:
        _deleverage(state, state.scan)
        state.scan = None


def _closing_limit(state: State, account: Account, index: int) -> int:
    """As a liquidation's, but not at the cost of what the other positions need.

    Else a friend could buy this one for all there is, and the house take the others for nothing.
    """
    own = row_maintenance(state, state.instruments[index], account.rows[index])
    return liquidation_limit(state, account, index, maintenance(state, account) - own)


def _close_on_the_book(state: State, account: Account, index: int) -> bool:
    """12.4 step 2: whether the book has taken, or at least lost, an order."""
    if not feed_fresh(state, state.instruments[index].feed):
        return False
    order = closing_order(account, index, _closing_limit(state, account, index))
    state.emit(
        EventKind.CLOSING,
        instrument=index,
        account=account.index,
        price=order.price_ticks,
        size=order.size_lots,
    )
    return match(state, order, FillFlag.FORCED_CLOSE) > 0


# --- 12.5 the scan -------------------------------------------------------------------------------


def _is_candidate(state: State, scan: Scan, index: int) -> bool:
    """Whether an account holds what the leaving one could be closed against."""
    leaving_row = state.accounts[scan.account].rows[scan.instrument]
    row = state.accounts[index].rows.get(scan.instrument)
    return row is not None and sign(row.size_lots) == -sign(leaving_row.size_lots) != 0


def _score_ppm(state: State, scan: Scan, row: Row) -> int:
    """Profit by what the position is worth; funding is left aside."""
    instrument = state.instruments[scan.instrument]
    worth = row.size_lots * state.mark(instrument) // instrument.lots_per_base
    profit = worth + row.cash_leg_units
    score = trunc_div(profit * PPM, max(1, abs(worth)))
    return clamp(score, -SCORE_MAX_PPM, SCORE_MAX_PPM)


def _scan_part(state: State, scan: Scan) -> None:
    """Some accounts more; the ranks keep the best, of equals the lower account."""
    for _ in range(min(scan.remaining, state.preset.sweep_accounts_per_message)):
        if _is_candidate(state, scan, scan.next):
            row = state.accounts[scan.next].rows[scan.instrument]
            scan.ranks.append((_score_ppm(state, scan, row), scan.next))
            scan.ranks.sort(key=lambda rank: (-rank[0], rank[1]))
            del scan.ranks[state.preset.fills_per_message :]
        scan.next += 1
        scan.remaining -= 1


def _deleveraging_terms(state: State, account: Account, index: int) -> tuple[int, int]:
    """Price in ticks and the leaver's fee: never beyond the mark for those who are closed (P6)."""
    instrument = state.instruments[index]
    side = closing_side(account.rows[index].size_lots)
    mark, tick = state.mark(instrument), instrument.tick_size
    at_mark = mark // tick if side == Side.SELL else ceil_div(mark, tick)  # against the leaver (P8)
    if not feed_fresh(state, instrument.feed):
        return at_mark, 0
    limit = closing_order(account, index, _closing_limit(state, account, index)).price_ticks
    price = min(limit, at_mark) if side == Side.SELL else max(limit, at_mark)
    return price, instrument.taker_fee_ppm


def _deleverage(state: State, scan: Scan) -> None:
    """The leaving account against the ranks, as long as it has something to close."""
    account, index = state.accounts[scan.account], scan.instrument
    price, fee_ppm = _deleveraging_terms(state, account, index)
    for score, other in scan.ranks:
        if index not in account.rows or account.rows[index].size_lots == 0:
            break
        if _is_candidate(state, scan, other):
            _deleverage_one(state, scan, state.accounts[other], score, price, fee_ppm)


def _deleverage_one(
    state: State, scan: Scan, other: Account, score: int, price: int, fee_ppm: int
) -> None:
    # COMPUTE
    account, index = state.accounts[scan.account], scan.instrument
    size = account.rows[index].size_lots
    side = closing_side(size)
    quantity = min(abs(size), abs(other.rows[index].size_lots), SIZE_LOTS_MAX)

    # UPDATE: the candidate first; the fee is the house's, who may have to stand for it
    clear(state, other, index, opposite(side), quantity, price, 0)
    fee = clear(state, account, index, side, quantity, price, fee_ppm)
    state.house.balances[QUOTE] += fee

    # EMIT
    state.emit(
        EventKind.DELEVERAGED,
        reason=FillFlag.TAKER_SELLS if side == Side.SELL else 0,
        instrument=index,
        account=account.index,
        counter_account=other.index,
        price=price,
        size=quantity,
        value=fee,
        extra=score,
    )

    # UPDATE: what the positions were, their reduce-only orders may be no longer
    for party in (other, account):
        cut_reduce_only(state, party, index)
        free_row_if_unused(party, index)
