"""Signed actions in Deribit's naming: orders, cancels, withdrawals, keys.

A call carries the parameters that its owner signed (EIP-712) and the signature. The server writes
the message from them with integer ticks and lots, so what is sequenced is what was signed, or the
signature does not fit. Every handler does its checks and queues its message before it returns: what
one connection sends is sequenced in its order.

Beside Deribit's parameters: `account` (id), `key` (slot, default 0), `nonce`, `expires_at` (ms; or
`valid_until`), `signature` (65 bytes in hex).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from provenue import wire
from provenue._generated.constants import NONE_U16
from provenue.gateway.admission import Admission
from provenue.gateway.errors import bad_param, rejected
from provenue.gateway.numbers import number, parse_flag, parse_integer, units_of
from provenue.gateway.orders import Order
from provenue.gateway.session import Session
from provenue.gateway.terms import check_supported, order_terms, parse_label
from provenue.gateway.venue import Venue
from provenue.gateway.views import order_view, user_trade_view
from provenue.sequencer.sequencer import Outcome
from provenue.wire import (
    Action,
    Amend,
    Cancel,
    CancelAll,
    CancelLabel,
    Code,
    EventKind,
    Place,
    Prices,
    Replace,
    SetKey,
    Side,
    Withdraw,
)

__all__ = ["Trading"]

Params = dict[str, Any]


def _bytes(params: Params, name: str, size: int) -> bytes:
    value = params.get(name)
    try:
        raw = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else b""
    except ValueError:
        raw = b""
    if len(raw) != size:
        raise bad_param(name, f"{size} bytes in hex", value)
    return raw


def _integer(params: Params, name: str, largest: int = (1 << 64) - 1) -> int:
    if name not in params:
        raise bad_param(name, f"a whole number from 0 to {largest}", None)
    return parse_integer(name, params[name], largest=largest)


def _envelope(params: Params) -> dict[str, Any]:
    """What every signed action carries."""
    return {
        "account": _integer(params, "account"),
        "key": parse_integer("key", params.get("key", 0), largest=255),
        "nonce": _integer(params, "nonce"),
        "expires_at_ms": _expiry(params),
        "signature": _bytes(params, "signature", 65),
    }


def _expiry(params: Params) -> int:
    """Deribit's `valid_until` says the same as our `expires_at`: too late means never."""
    if params.get("valid_until") is None:
        return _integer(params, "expires_at")
    until_ms = _integer(params, "valid_until")
    if "expires_at" in params and _integer(params, "expires_at") != until_ms:
        raise bad_param("valid_until", "it to be left out, or expires_at", params["valid_until"])
    return until_ms


class Trading:
    """Handlers of signed actions."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._admission = Admission(venue)

    # --- actions by their parameters -------------------------------------------------------------

    def buy(self, _session: Session, params: Params) -> Awaitable[Any]:
        """private/buy"""
        return self._submit(self._place(params, Side.BUY))

    def sell(self, _session: Session, params: Params) -> Awaitable[Any]:
        """private/sell"""
        return self._submit(self._place(params, Side.SELL))

    def cancel(self, _session: Session, params: Params) -> Awaitable[Any]:
        """private/cancel"""
        order_id = _integer(params, "order_id")
        return self._submit(Cancel(order_id=order_id, **_envelope(params)))

    def cancel_all(self, _session: Session, params: Params) -> Awaitable[Any]:
        """private/cancel_all: the number of cancelled orders."""
        return self._submit(CancelAll(instrument=NONE_U16, **_envelope(params)))

    def cancel_all_by_instrument(self, _session: Session, params: Params) -> Awaitable[Any]:
        """private/cancel_all_by_instrument"""
        instrument = self._venue.instrument(params)["instrument"]
        return self._submit(CancelAll(instrument=instrument, **_envelope(params)))

    def cancel_by_label(self, _session: Session, params: Params) -> Awaitable[Any]:
        """private/cancel_by_label: those with a label, of one instrument or all; their number."""
        if str(params.get("currency") or "any").lower() != "any":
            expected = "it to be left out (instrument_name narrows)"
            raise bad_param("currency", expected, params["currency"])
        named = params.get("instrument_name") is not None
        # Without a label an order has client id 0: those are no group that anybody has named.
        return self._submit(
            CancelLabel(
                instrument=self._venue.instrument(params)["instrument"] if named else NONE_U16,
                client_id=parse_label(params, least=1),
                **_envelope(params),
            )
        )

    def withdraw(self, _session: Session, params: Params) -> Awaitable[Any]:
        """private/withdraw: to `address` on the chain, by a proof once its batch is final."""
        asset = self._venue.asset(params)
        return self._submit(
            Withdraw(
                asset=asset["asset"],
                amount_units=units_of("amount", params.get("amount"), asset["unit_decimals"]),
                recipient=_bytes(params, "address", 20),
                **_envelope(params),
            )
        )

    def set_key(self, _session: Session, params: Params) -> Awaitable[Any]:
        """private/set_key: give a session key its rights, or (address zero) take them."""
        return self._submit(
            SetKey(
                slot=_integer(params, "slot", 255),
                key_address=_bytes(params, "key_address", 20),
                scope=_integer(params, "scope", 255),
                key_expires_at_ms=parse_integer("key_expires_at", params.get("key_expires_at", 0)),
                **_envelope(params),
            )
        )

    def _place(self, params: Params, side: Side) -> Place:
        view = self._venue.instrument(params)
        scale = self._venue.scale(view["instrument"])
        return Place(
            instrument=view["instrument"],
            side=side,
            size_lots=scale.lots("amount", params.get("amount")),
            **order_terms(params, scale, view["kind"]),
            **_envelope(params),
        )

    def edit(self, _session: Session, params: Params) -> Awaitable[Any]:
        """private/edit: another price or amount; the order keeps its id and all its terms."""
        order = self._order(params)
        scale = self._venue.scale(order.instrument)
        check_supported(params)
        has = {
            "post_only": order.is_post_only,
            "reject_post_only": order.is_post_only and not order.is_sliding,
            "reduce_only": order.is_reduce_only,
        }
        for name, value in has.items():
            if parse_flag(params, name, default=value) != value:
                expected = f"{value} as the order has it (private/replace changes it)".lower()
                raise bad_param(name, expected, params[name])
        return self._submit(
            Amend(
                order_id=order.id,
                price_ticks=scale.ticks("price", params.get("price")),
                size_lots=scale.lots("amount", params.get("amount")),
                **_envelope(params),
            )
        )

    def replace(self, _session: Session, params: Params) -> Awaitable[Any]:
        """private/replace: cancel an order and place another in its book, or do neither."""
        order = self._order(params)
        scale = self._venue.scale(order.instrument)
        kind = self._venue.view_of(order.instrument)["kind"]
        return self._submit(
            Replace(
                order_id=order.id,
                size_lots=scale.lots("amount", params.get("amount")),
                **order_terms(params, scale, kind),
                **_envelope(params),
            )
        )

    def _order(self, params: Params) -> Order:
        """The order that `order_id` names: its book has the units that price and amount are in."""
        order = self._venue.orders.get(_integer(params, "order_id"))
        if order is None:
            raise rejected(Code.ORDER_UNKNOWN, None)
        return order

    # --- whole messages --------------------------------------------------------------------------

    def submit(self, _session: Session, params: Params) -> Awaitable[Any]:
        """public/submit: any signed message, in hex; what a fast client uses."""
        message = self._admission.decode(params.get("message"))
        return self._submit(message, wrapped=True)

    def relay_prices(self, _session: Session, params: Params) -> Awaitable[Any]:
        """public/relay_prices: a signer's vector; anyone may relay it."""
        message = self._admission.decode(params.get("message"))
        if not isinstance(message, Prices):
            raise bad_param("message", "a PRICES message", message.KIND.name)
        return self._submit(message)

    # --- sequencing ------------------------------------------------------------------------------

    def _submit(self, message: Action | Prices, *, wrapped: bool = False) -> Awaitable[Any]:
        """Check and queue now; what is awaited is only the journal."""
        self._admission.check(message)
        try:
            data = wire.encode(message)
        except wire.EncodeError as problem:
            raise bad_param("params", str(problem), message.KIND.name) from None
        future = self._venue.service.enqueue(data)
        self._admission.queued(message, future)
        return self._finish(message, future, wrapped)

    async def _finish(
        self, message: Action | Prices, future: asyncio.Future[list[Outcome]], wrapped: bool
    ) -> Any:
        outcomes = await future
        first = outcomes[0]
        if first.code != Code.OK:
            raise rejected(first.code, first.sequence)
        self._admission.accepted(message)
        result = _RESULTS[type(message)](self, message, outcomes)
        if not wrapped:
            return result
        return {"sequence": first.sequence, "batch": first.batch, "result": result}

    def _placed(self, message: Place, outcomes: list[Outcome]) -> Params:
        events = wire.decode_events(outcomes[0].events)
        accepted = next(event for event in events if event.kind is EventKind.ORDER_ACCEPTED)
        return self._with_trades(message.account, accepted.order_id, outcomes)

    def _amended(self, message: Amend, outcomes: list[Outcome]) -> Params:
        return self._with_trades(message.account, message.order_id, outcomes)

    def _replaced(self, message: Replace, outcomes: list[Outcome]) -> Params:
        events = wire.decode_events(outcomes[0].events)
        accepted = next(event for event in events if event.kind is EventKind.ORDER_ACCEPTED)
        gone = self._venue.orders.get(message.order_id)
        assert gone is not None
        placed = self._with_trades(message.account, accepted.order_id, outcomes)
        return {**placed, "cancelled": order_view(self._venue, gone)}

    def _with_trades(self, account_id: int, order_id: int, outcomes: list[Outcome]) -> Params:
        """An order, and the trades that it made as a taker."""
        order = self._venue.orders.get(order_id)
        assert order is not None
        rows = [
            row
            for outcome in outcomes
            for row in self._venue.trades_of(outcome.sequence)
            if row.taker_order == str(order_id)
        ]
        return {
            "order": order_view(self._venue, order),
            "trades": [user_trade_view(self._venue, row, account_id, order) for row in rows],
        }

    def _cancelled(self, message: Cancel, _: list[Outcome]) -> Params:
        order = self._venue.orders.get(message.order_id)
        assert order is not None
        return order_view(self._venue, order)

    def _all_cancelled(self, _: CancelAll | CancelLabel, outcomes: list[Outcome]) -> int:
        events = wire.decode_events(outcomes[0].events)
        return sum(event.kind is EventKind.ORDER_CANCELLED for event in events)

    def _withdrawn(self, message: Withdraw, outcomes: list[Outcome]) -> Params:
        (event,) = wire.decode_events(outcomes[0].events)
        decimals = self._venue.unit_decimals(message.asset)
        return {
            "id": event.value,
            "currency": self._venue.currency(message.asset),
            "amount": number(message.amount_units, 10**decimals),
            "address": "0x" + message.recipient.hex(),
            "fee": 0,
            "state": "confirmed",
            "transaction_id": None,
            "created_timestamp": outcomes[0].stamp_ms,
            "updated_timestamp": outcomes[0].stamp_ms,
            "batch": outcomes[0].batch,
        }

    def _key_set(self, message: SetKey, outcomes: list[Outcome]) -> Params:
        (event,) = wire.decode_events(outcomes[0].events)
        return {
            "account": str(message.account),
            "slot": message.slot,
            "key_address": "0x" + message.key_address.hex(),
            "scope": event.value,
            "key_expires_at": message.key_expires_at_ms,
        }

    def _priced(self, _: Prices, outcomes: list[Outcome]) -> Params:
        events = wire.decode_events(outcomes[0].events)
        updated = [e.extra for e in events if e.kind is EventKind.PRICE_UPDATED]
        return {"sequence": outcomes[0].sequence, "updated_feeds": updated}


_RESULTS: dict[type[Action | Prices], Callable[[Trading, Any, list[Outcome]], Any]] = {
    Place: Trading._placed,
    Amend: Trading._amended,
    Replace: Trading._replaced,
    Cancel: Trading._cancelled,
    CancelAll: Trading._all_cancelled,
    CancelLabel: Trading._all_cancelled,
    Withdraw: Trading._withdrawn,
    SetKey: Trading._key_set,
    Prices: Trading._priced,
}
