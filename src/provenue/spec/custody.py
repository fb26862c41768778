"""Chapter 3.3 to 3.5, 12.6, 12.7: opening accounts, deposits, withdrawals, forced actions."""

from dataclasses import replace
from types import SimpleNamespace

from provenue.spec.book import cancel
from provenue.spec.constants import (
    AMOUNT_MAX,
    APPLIED_TOTAL_MAX,
    ASSET_TOTAL_MAX,
    SCOPE_ALL,
    CancelReason,
    Code,
    EventKind,
)
from provenue.spec.margin import equity, initial_margin, prices_fresh, reserved, venue_abandoned
from provenue.spec.notation import Reject
from provenue.spec.state import HOUSE, QUOTE, ZERO_ADDRESS, Account, Key, State
from provenue.spec.withdrawals import issue

__all__ = [
    "cancel_by_force", "deposit", "forced_cancel", "forced_withdraw", "named_account", "withdraw",
]  # fmt: skip


def find_account(state: State, owner: bytes, subaccount: int) -> Account | None:
    """The open account of an owner. The house has none, so it is never found."""
    for account in state.accounts[HOUSE + 1 :]:
        if account.owner == owner and account.subaccount == subaccount:
            return account
    return None


def _amount_ok(amount: int) -> bool:
    return 1 <= amount <= AMOUNT_MAX


# --- 3.3 opening ---------------------------------------------------------------------------------


def _is_empty(account: Account) -> bool:
    return not account.orders and not account.rows and not any(account.balances)


def _free_index(state: State) -> int | None:
    """The next unused index; with a full table, an empty account's, found by looking around."""
    if state.accounts_used < state.preset.accounts_max:
        return state.accounts_used
    look = state.reclaim_next
    for _ in range(state.preset.reclaim_scan_max):
        index = look
        look = index + 1 if index < state.preset.accounts_max - 1 else 1
        if _is_empty(state.accounts[index]):
            state.reclaim_next = look
            return index
    return None  # nothing of the look is kept


def _open_account(state: State, owner: bytes, subaccount: int) -> Account | None:
    """None if the table is full. The generation in an id outlives the reclaimed account."""
    index = _free_index(state)
    if index is None:
        return None
    is_new = index == state.accounts_used
    generation = 1 if is_new else state.accounts[index].generation + 1
    balances = [0] * state.preset.assets_max
    account = Account(index, owner, subaccount, generation, balances)
    account.keys[0] = Key(owner, SCOPE_ALL)
    if is_new:
        state.accounts.append(account)
    else:
        state.accounts[index] = account
    state.emit(EventKind.ACCOUNT_OPENED, account=index, extra=generation, value=subaccount)
    return account


# --- 3.4 deposits --------------------------------------------------------------------------------


def deposit(state: State, m: SimpleNamespace) -> None:
    """3.4: credited, or bounced as a withdrawal to the depositor; never lost (P5)."""
    # CHECK
    if m.asset >= state.preset.assets_max:
        raise Reject(Code.ASSET_UNKNOWN)
    asset = state.assets[m.asset]
    if not _amount_ok(m.amount_units) or asset.applied_units + m.amount_units > APPLIED_TOTAL_MAX:
        raise Reject(Code.BAD_AMOUNT)
    if m.owner == ZERO_ADDRESS:
        raise Reject(Code.BAD_RECIPIENT)

    # UPDATE
    asset.applied_units += m.amount_units
    account = find_account(state, m.owner, m.subaccount)
    if not asset.listed:
        return _bounce(state, m, Code.ASSET_UNKNOWN)
    if asset.applied_units - asset.issued_units > ASSET_TOTAL_MAX:
        return _bounce(state, m, Code.ASSET_CAP)
    if account is None and m.amount_units < asset.opening_min_units:
        return _bounce(state, m, Code.DEPOSIT_TOO_SMALL)
    if account is None:
        account = _open_account(state, m.owner, m.subaccount)
    if account is None:
        return _bounce(state, m, Code.ACCOUNT_TABLE_FULL)
    account.balances[m.asset] += m.amount_units

    # EMIT
    state.emit(EventKind.DEPOSITED, account=account.index, size=m.amount_units, extra=m.asset)
    return None


def _bounce(state: State, m: SimpleNamespace, reason: Code) -> None:
    id_ = issue(state, m.asset, m.amount_units, m.owner)
    state.emit(
        EventKind.DEPOSIT_BOUNCED, reason=reason, size=m.amount_units, extra=m.asset, value=id_
    )


# --- 3.5 withdrawals and forced actions ----------------------------------------------------------


def withdraw(state: State, account: Account, m: SimpleNamespace, *, forced: bool = False) -> None:
    """3.5: never below initial margin, never on stale prices where prices matter (P6).

    12.6: a venue without prices lets go by force alone, on the last marks, and pays pro rata.
    """
    # CHECK
    if m.asset >= state.preset.assets_max or not state.assets[m.asset].listed:
        raise Reject(Code.ASSET_UNKNOWN)
    if not _amount_ok(m.amount_units):
        raise Reject(Code.BAD_AMOUNT)
    if m.recipient == ZERO_ADDRESS:
        raise Reject(Code.BAD_RECIPIENT)
    amount = m.amount_units
    if forced:
        amount = _cut(state, account, m.asset, amount)
    if account.balances[m.asset] - reserved(state, account, m.asset) < amount:
        raise Reject(Code.INSUFFICIENT_BALANCE)
    if _needs_margin(account):
        _check_margin_after(state, account, m.asset, amount, on_last_marks=forced)
    paid = _paid(state, m.asset, amount, forced=forced)

    # UPDATE: what is not paid was bad debt of the house, and is so no more (P5)
    account.balances[m.asset] -= amount
    state.house.balances[m.asset] += amount - paid
    id_ = issue(state, m.asset, paid, m.recipient)

    # EMIT
    state.emit(
        EventKind.WITHDRAWN,
        reason=int(forced),
        account=account.index,
        size=paid,
        extra=m.asset,
        value=id_,
    )
    if amount != paid:
        state.emit(EventKind.HAIRCUT, account=account.index, size=amount - paid)


def _needs_margin(account: Account) -> bool:
    return bool(account.rows) or account.balances[QUOTE] < 0


def _check_margin_after(
    state: State, account: Account, asset: int, amount: int, *, on_last_marks: bool
) -> None:
    """Checks 5 and 6."""
    if not prices_fresh(state, account) and not (on_last_marks and venue_abandoned(state)):
        raise Reject(Code.MARK_STALE)
    balances = list(account.balances)
    balances[asset] -= amount
    after = replace(account, balances=balances)
    if equity(state, after) < initial_margin(state, after):
        raise Reject(Code.MARGIN_INSUFFICIENT)


def _cut(state: State, account: Account, asset: int, amount: int) -> int:
    """12.7: to what may leave, if that is anything: the fill of one lot must not void an exit."""
    most = account.balances[asset] - reserved(state, account, asset)
    if asset == QUOTE:
        abandoned = venue_abandoned(state)
        if _needs_margin(account) and (abandoned or prices_fresh(state, account)):
            most = min(most, equity(state, account) - initial_margin(state, account))
        if abandoned:
            most = min(most, sum(_held_and_missing(state)))
    return min(amount, most) if most > 0 else amount


# --- 12.6 pro rata -------------------------------------------------------------------------------


def _held_and_missing(state: State) -> tuple[int, int]:
    """What the vault holds of the quote, and what is missing of it: bad debt beyond the fees."""
    quote = state.assets[QUOTE]
    missing = -state.house.balances[QUOTE] - quote.fees_units
    return quote.applied_units - quote.issued_units, max(0, missing)


def _paid(state: State, asset: int, amount: int, *, forced: bool) -> int:
    """All of it; of an abandoned venue's quote everybody's same share, rounded down (P8)."""
    if asset != QUOTE or not venue_abandoned(state):
        return amount
    held, missing = _held_and_missing(state)
    if held <= 0 or (not forced and (missing > 0 or amount > held)):
        raise Reject(Code.INSUFFICIENT_BALANCE)
    paid = amount * held // (held + missing)
    if paid <= 0:
        raise Reject(Code.INSUFFICIENT_BALANCE)
    assert paid <= held  # an amount is cut to `held + missing` before
    return paid


# --- 3.5 forced ----------------------------------------------------------------------------------


def named_account(state: State, m: SimpleNamespace) -> Account:
    """The open account that an inbox item names."""
    account = find_account(state, m.owner, m.subaccount)
    if account is None:
        raise Reject(Code.ACCOUNT_UNKNOWN)
    return account


def forced_withdraw(state: State, m: SimpleNamespace) -> None:
    """3.5: the owner has asked on L1; the same checks, no signature.

    The remainder of an own taker may still cost what the account has, so it gates the exit.
    """
    account = named_account(state, m)
    if state.pending_taker is not None and state.pending_taker.account == account.index:
        raise Reject(Code.TAKER_PENDING)
    withdraw(state, account, m, forced=True)


def forced_cancel(state: State, m: SimpleNamespace) -> None:
    """3.5: all orders of the account, a pending taker among them."""
    cancel_by_force(state, named_account(state, m))


def cancel_by_force(state: State, account: Account) -> None:
    """3.5, 12.1: oldest first."""
    for order in list(account.orders):
        cancel(state, order, CancelReason.FORCED)
        if order is state.pending_taker:
            state.pending_taker = None
