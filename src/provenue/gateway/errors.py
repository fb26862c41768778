"""API errors: Deribit's numbers where it has one, so that clients map them; our code in `data`.

A reject of the program carries `data = {"reason": <code name>, "code": <number>, "text": ...}`.
"""

from __future__ import annotations

from typing import Any

from provenue._generated.codes import Code

__all__ = ["ApiError", "bad_param", "rejected", "unauthorized"]

INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
PARSE_ERROR = -32700

ORDER_NOT_FOUND = 10004
NOT_ENOUGH_FUNDS = 10009
PRICE_NOT_ALLOWED = 10011
TOO_MANY_ORDERS = 10013
POSITION_LIMIT = 10018
INVALID_INSTRUMENT = 10020
INVALID_AMOUNT = 10021
TOO_MANY_REQUESTS = 10028
NOT_OWNER = 10029
WEBSOCKET_ONLY = 10030
RETRY = 10040
OTHER_REJECT = 11030
POST_ONLY_REJECT = 11054
INVALID_CREDENTIALS = 13004
UNAUTHORIZED = 13009
NOT_FOUND = 13020

# The nearest of Deribit's numbers for each reject; the default is "other reject".
_OF_CODE = {
    Code.ORDER_UNKNOWN: ORDER_NOT_FOUND,
    Code.INSTRUMENT_UNKNOWN: INVALID_INSTRUMENT,
    Code.ASSET_UNKNOWN: NOT_FOUND,
    Code.BAD_PRICE: PRICE_NOT_ALLOWED,
    Code.BAD_SIZE: INVALID_AMOUNT,
    Code.BAD_AMOUNT: INVALID_AMOUNT,
    Code.NOTIONAL_TOO_LARGE: INVALID_AMOUNT,
    Code.POSITION_TOO_LARGE: POSITION_LIMIT,
    Code.INSUFFICIENT_BALANCE: NOT_ENOUGH_FUNDS,
    Code.MARGIN_INSUFFICIENT: NOT_ENOUGH_FUNDS,
    Code.POST_ONLY_WOULD_CROSS: POST_ONLY_REJECT,
    Code.BAD_SIGNATURE: INVALID_CREDENTIALS,
    Code.KEY_UNKNOWN: UNAUTHORIZED,
    Code.KEY_EXPIRED: UNAUTHORIZED,
    Code.SCOPE_MISSING: UNAUTHORIZED,
    Code.ACCOUNT_UNKNOWN: UNAUTHORIZED,
    Code.ACCOUNT_ORDERS_FULL: TOO_MANY_ORDERS,
    Code.REDUCE_ONLY_FULL: TOO_MANY_ORDERS,
    Code.ORDER_TABLE_FULL: RETRY,
    Code.LEVEL_TABLE_FULL: RETRY,
    Code.MARK_MISSING: RETRY,
    Code.MARK_STALE: RETRY,
    Code.TAKER_PENDING: RETRY,
    Code.SWEEP_PENDING: RETRY,
}


_CODES = {int(code): code for code in Code}


class ApiError(Exception):
    """An error that the client is told: JSON-RPC code, message, and data."""

    def __init__(self, code: int, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def body(self) -> dict[str, Any]:
        """The JSON-RPC `error` member."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        return error


def bad_param(name: str, expected: str, got: object) -> ApiError:
    """Invalid params: the field, what was expected, what came."""
    shown = repr(got)
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return ApiError(
        INVALID_PARAMS,
        "Invalid params",
        {"param": name, "reason": f"expected {expected}, got {shown}"},
    )


def unauthorized() -> ApiError:
    """Somebody who has not logged in asks for an account."""
    reason = "call public/auth first, or send a signed action"
    return ApiError(UNAUTHORIZED, "unauthorized", {"reason": reason})


def rejected(code: int, sequence: int | None) -> ApiError:
    """A reject of the program; `sequence` is None when it was turned away before sequencing."""
    known = _CODES.get(code)
    if known is not None:
        name, text = known.name, known.text
    else:
        name, text = "TRAPPED", "the message trapped and has no effect"
    data: dict[str, Any] = {"reason": name.lower(), "code": code, "text": text}
    if sequence is not None:
        data["sequence"] = sequence
    return ApiError(
        _OF_CODE.get(known, OTHER_REJECT) if known else OTHER_REJECT, name.lower(), data
    )
