"""Chapter 3.3 to 3.5: opening accounts, deposits, withdrawals, forced actions."""

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
from provenue.spec.margin import equity, initial_margin, prices_fresh, reserved
from provenue.spec.notation import Reject
from provenue.spec.state import HOUSE, QUOTE, ZERO_ADDRESS, Account, Key, State
from provenue.spec.withdrawals import issue

__all__ = ["deposit", "forced_cancel", "forced_withdraw", "withdraw"]


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
    """3.5: never below initial margin, never on stale prices where prices matter (P6)."""
    # CHECK
    if m.asset >= state.preset.assets_max or not state.assets[m.asset].listed:
        raise Reject(Code.ASSET_UNKNOWN)
    if not _amount_ok(m.amount_units):
        raise Reject(Code.BAD_AMOUNT)
    if m.recipient == ZERO_ADDRESS:
        raise Reject(Code.BAD_RECIPIENT)
    free, amount = account.balances[m.asset] - reserved(state, account, m.asset), m.amount_units
    if forced and free > 0:
        amount = min(amount, free)  # the fill of one lot must not void an exit
    if free < amount:
        raise Reject(Code.INSUFFICIENT_BALANCE)
    if account.rows or account.balances[QUOTE] < 0:
        if not prices_fresh(state, account):
            raise Reject(Code.MARK_STALE)
        balances = list(account.balances)
        balances[m.asset] -= amount
        after = replace(account, balances=balances)
        if equity(state, after) < initial_margin(state, after):
            raise Reject(Code.MARGIN_INSUFFICIENT)

    # UPDATE
    account.balances[m.asset] -= amount
    id_ = issue(state, m.asset, amount, m.recipient)

    # EMIT
    state.emit(
        EventKind.WITHDRAWN,
        reason=int(forced),
        account=account.index,
        size=amount,
        extra=m.asset,
        value=id_,
    )


def _named_account(state: State, m: SimpleNamespace) -> Account:
    account = find_account(state, m.owner, m.subaccount)
    if account is None:
        raise Reject(Code.ACCOUNT_UNKNOWN)
    return account


def forced_withdraw(state: State, m: SimpleNamespace) -> None:
    """3.5: the owner has asked on L1; the same checks, no signature.

    The remainder of an own taker may still cost what the account has, so it gates the exit.
    """
    account = _named_account(state, m)
    if state.pending_taker is not None and state.pending_taker.account == account.index:
        raise Reject(Code.TAKER_PENDING)
    withdraw(state, account, m, forced=True)


def forced_cancel(state: State, m: SimpleNamespace) -> None:
    """3.5: all orders of the account, a pending taker among them."""
    account = _named_account(state, m)
    for order in list(account.orders):
        cancel(state, order, CancelReason.FORCED)
        if order is state.pending_taker:
            state.pending_taker = None
