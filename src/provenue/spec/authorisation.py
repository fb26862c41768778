"""Chapter 2.4: who may do what, and the nonce that every authentic action burns; 2.6: SET_KEY."""

from types import SimpleNamespace

from provenue.spec.constants import (
    KEYS_PER_ACCOUNT,
    NONCE_MAX,
    NONCE_WINDOW,
    SCOPE_ALL,
    SCOPE_CANCEL,
    SCOPE_TRADE,
    SCOPE_WITHDRAW,
    Code,
    EventKind,
    Kind,
)
from provenue.spec.crypto import CURVE_ORDER
from provenue.spec.formats import MessageFormat
from provenue.spec.messages import digest
from provenue.spec.notation import Reject
from provenue.spec.state import HOUSE, ZERO_ADDRESS, Account, Key, State

__all__ = ["authorise", "burn_nonce", "clear_key", "is_signed_by", "set_key"]

_SCOPES = {
    Kind.PLACE: SCOPE_TRADE,
    Kind.AMEND: SCOPE_TRADE,
    Kind.REPLACE: SCOPE_TRADE,
    Kind.CANCEL: SCOPE_TRADE | SCOPE_CANCEL,
    Kind.CANCEL_LABEL: SCOPE_TRADE | SCOPE_CANCEL,
    Kind.CANCEL_ALL: SCOPE_TRADE | SCOPE_CANCEL,
    Kind.WITHDRAW: SCOPE_WITHDRAW,
}
_DURING_A_SWEEP = (Kind.CANCEL, Kind.CANCEL_LABEL, Kind.CANCEL_ALL)


def authorise(state: State, form: MessageFormat, action: SimpleNamespace) -> Account:
    """2.4: the account that acts. From the burn on, the nonce stays used whatever follows (P4)."""
    # CHECK who signs
    account = _account_of_id(state, action.account)
    if action.key >= KEYS_PER_ACCOUNT or account.keys[action.key].address == ZERO_ADDRESS:
        raise Reject(Code.KEY_UNKNOWN)
    key = account.keys[action.key]
    if not is_signed_by(state, form, action, key.address):
        raise Reject(Code.BAD_SIGNATURE)
    if action.nonce > NONCE_MAX:
        raise Reject(Code.NONCE_TOO_LARGE)
    if action.nonce < key.base:
        raise Reject(Code.NONCE_TOO_OLD)
    if key.window >> (action.nonce - key.base) & 1:
        raise Reject(Code.NONCE_USED)

    # UPDATE, the burn
    burn_nonce(key, action.nonce)

    # CHECK whether it may act now
    if state.pending_taker is not None:
        raise Reject(Code.TAKER_PENDING)
    if state.sweep_remaining and form.kind not in _DURING_A_SWEEP:
        raise Reject(Code.SWEEP_PENDING)
    if state.now_ms >= action.expires_at_ms:
        raise Reject(Code.EXPIRED)
    if key.expires_at_ms != 0 and state.now_ms >= key.expires_at_ms:
        raise Reject(Code.KEY_EXPIRED)
    if form.kind == Kind.SET_KEY:
        allowed = action.key == 0
    else:
        allowed = key.scope & _SCOPES[form.kind] != 0
    if not allowed:
        raise Reject(Code.SCOPE_MISSING)
    return account


def _account_of_id(state: State, account_id: int) -> Account:
    """An id is generation << 32 | index. The house has no keys, so it never acts."""
    index = account_id & 0xFFFF_FFFF
    if index >= state.accounts_used or index == HOUSE:
        raise Reject(Code.ACCOUNT_UNKNOWN)
    account = state.accounts[index]
    if account.generation != account_id >> 32:
        raise Reject(Code.ACCOUNT_UNKNOWN)
    return account


def is_signed_by(
    state: State, form: MessageFormat, fields: SimpleNamespace, address: bytes
) -> bool:
    """Canonical (v 27 or 28, low s: one signature per message and key) and by this address."""
    r = int.from_bytes(fields.signature[:32], "big")
    s = int.from_bytes(fields.signature[32:64], "big")
    v = fields.signature[64]
    if v not in (27, 28) or s > (CURVE_ORDER - 1) // 2:
        return False
    signed = digest(state.crypto, state.domain_separator, form, fields)
    return state.crypto.recover(signed, v, r, s) == address


def burn_nonce(key: Key, nonce: int) -> None:
    """2.4 step 5: the window moves up to hold the nonce, then its bit is set."""
    if nonce >= key.base + NONCE_WINDOW:
        base = nonce - NONCE_WINDOW + 1
        key.window >>= base - key.base
        key.base = base
    key.window |= 1 << (nonce - key.base)


def set_key(state: State, account: Account, action: SimpleNamespace) -> None:
    """2.6: set, change or (address zero) revoke a session key."""
    # CHECK
    if not 1 <= action.slot < KEYS_PER_ACCOUNT:
        raise Reject(Code.BAD_KEY_SLOT)
    if action.scope & ~SCOPE_ALL:
        raise Reject(Code.BAD_SCOPE)

    # UPDATE: the nonce window stays, so an old action of the slot can never run again
    if action.key_address == ZERO_ADDRESS:
        return clear_key(state, account, action.slot)
    key = account.keys[action.slot]
    key.address = action.key_address
    key.scope = action.scope
    key.expires_at_ms = action.key_expires_at_ms

    # EMIT
    state.emit(EventKind.KEY_SET, account=account.index, extra=action.slot, value=key.scope)
    return None


def clear_key(state: State, account: Account, slot: int) -> None:
    """2.6 with address zero: the key may do nothing any more; its nonces stay used."""
    key = account.keys[slot]
    key.address, key.scope, key.expires_at_ms = ZERO_ADDRESS, 0, 0
    state.emit(EventKind.KEY_SET, account=account.index, extra=slot)
