"""`apply(state, message) -> code, events`: total, deterministic, bounded (P3, P4)."""

from types import SimpleNamespace

from provenue.spec import (
    administration,
    amending,
    custody,
    leaving,
    matching,
    prices,
    sweep,
    trading,
)
from provenue.spec.authorisation import authorise, set_key
from provenue.spec.constants import Code, Kind, TimeInForce
from provenue.spec.events import Event
from provenue.spec.formats import MessageFormat
from provenue.spec.messages import check_framing, decode, message_time_ms
from provenue.spec.notation import Reject
from provenue.spec.state import State, undone_by_a_reject

__all__ = ["apply"]

_SIGNED = {
    Kind.PLACE: trading.place,
    Kind.AMEND: amending.amend,
    Kind.REPLACE: amending.replace_order,
    Kind.CANCEL: trading.cancel_one,
    Kind.CANCEL_LABEL: trading.cancel_label,
    Kind.CANCEL_ALL: trading.cancel_all,
    Kind.WITHDRAW: custody.withdraw,
    Kind.SET_KEY: set_key,
}
_INBOX = {
    Kind.GENESIS: administration.genesis,
    Kind.LIST_ASSET: administration.list_asset,
    Kind.LIST_INSTRUMENT: administration.list_instrument,
    Kind.SET_SIGNERS: administration.set_signers,
    Kind.DEPOSIT: custody.deposit,
    Kind.FORCED_WITHDRAW: custody.forced_withdraw,
    Kind.FORCED_CANCEL: custody.forced_cancel,
    Kind.FORCED_CLOSE: leaving.forced_close,
    Kind.FORCED_REVOKE: leaving.forced_revoke,
}


def apply(
    state: State, message: bytes, *, from_inbox: bool, stamp_min_ms: int, stamp_max_ms: int
) -> tuple[Code, list[Event]]:
    """Chapter 2.1: every byte string is a message. A reject changes nothing but a burnt nonce.

    Mostly all checks of a message come before its first update, so a reject has nothing to undo but
    the time. For the others see `_may_reject_late`.
    """
    assert stamp_min_ms <= stamp_max_ms
    state.events = []
    before_ms = state.now_ms
    try:
        form = check_framing(state, message, from_inbox=from_inbox)
        fields = decode(message)
        state.now_ms = message_time_ms(state, form, fields, stamp_min_ms, stamp_max_ms)
        _dispatch(state, form, fields)
    except Reject as reject:
        assert not state.events
        state.now_ms = before_ms
        return reject.code, []
    return Code.OK, state.events


def _dispatch(state: State, form: MessageFormat, fields: SimpleNamespace) -> None:
    kind = form.kind
    if kind in _SIGNED:
        account = authorise(state, form, fields)
        if _may_reject_late(form, fields):
            with undone_by_a_reject(state):
                _SIGNED[kind](state, account, fields)
        else:
            _SIGNED[kind](state, account, fields)
    elif kind in _INBOX:
        _INBOX[kind](state, fields)
    elif kind == Kind.PRICES:
        prices.prices(state, form, fields)
    elif kind == Kind.TICK:
        prices.tick(state)
    else:
        _continue(state)


def _may_reject_late(form: MessageFormat, fields: SimpleNamespace) -> bool:
    """2.4 step 10: fill-or-kill (4.2), an order that makes room for its successor (4.4, 4.5)."""
    if form.kind == Kind.PLACE:
        return bool(fields.time_in_force == TimeInForce.FILL_OR_KILL)
    return form.kind in (Kind.AMEND, Kind.REPLACE)


def _continue(state: State) -> None:
    """CONTINUE: a pending taker first (4.2), else the sweep (6.2)."""
    if state.pending_taker is not None:
        matching.continue_taker(state)
    elif state.sweep_remaining > 0:
        sweep.sweep_part(state)
    else:
        raise Reject(Code.NOTHING_TO_CONTINUE)
