"""API errors: Deribit's numbers where it has one, so that clients map them; our code in `data`.

A reject of the program carries `data = {"reason": <code name>, "code": <number>, "text": ...}`.
"""

from __future__ import annotations

from typing import Any

from provenue._generated.codes import Code

__all__ = ["ApiError", "bad_param", "rejected"]

INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
PARSE_ERROR = -32700

ORDER_NOT_FOUND = 10004
PRICE_TOO_LOW_OR_HIGH = 10005
NOT_ENOUGH_FUNDS = 10009
INVALID_AMOUNT = 10014
TOO_MANY_REQUESTS = 10028
NOT_OWNER = 10029
INVALID_INSTRUMENT = 10047
UNAVAILABLE = 10040
BAD_SIGNATURE = 13004
UNAUTHORIZED = 13009
NOT_FOUND = 13020
POST_ONLY_REJECT = 11054
BAD_ARGUMENTS = 11029
LIMIT_EXCEEDED = 11051

# The nearest of Deribit's numbers for each reject; the default is "other reject".
OTHER_REJECT = 11036
_OF_CODE = {
    Code.ORDER_UNKNOWN: ORDER_NOT_FOUND,
    Code.INSTRUMENT_UNKNOWN: INVALID_INSTRUMENT,
    Code.ASSET_UNKNOWN: INVALID_INSTRUMENT,
    Code.BAD_PRICE: PRICE_TOO_LOW_OR_HIGH,
    Code.BAD_SIZE: INVALID_AMOUNT,
    Code.BAD_AMOUNT: INVALID_AMOUNT,
    Code.NOTIONAL_TOO_LARGE: INVALID_AMOUNT,
    Code.INSUFFICIENT_BALANCE: NOT_ENOUGH_FUNDS,
    Code.MARGIN_INSUFFICIENT: NOT_ENOUGH_FUNDS,
    Code.POST_ONLY_WOULD_CROSS: POST_ONLY_REJECT,
    Code.BAD_SIGNATURE: BAD_SIGNATURE,
    Code.KEY_UNKNOWN: UNAUTHORIZED,
    Code.KEY_EXPIRED: UNAUTHORIZED,
    Code.SCOPE_MISSING: UNAUTHORIZED,
    Code.ACCOUNT_UNKNOWN: UNAUTHORIZED,
    Code.ACCOUNT_ORDERS_FULL: LIMIT_EXCEEDED,
    Code.ORDER_TABLE_FULL: LIMIT_EXCEEDED,
    Code.LEVEL_TABLE_FULL: LIMIT_EXCEEDED,
    Code.POSITIONS_FULL: LIMIT_EXCEEDED,
    Code.MARK_MISSING: UNAVAILABLE,
    Code.MARK_STALE: UNAVAILABLE,
    Code.TAKER_PENDING: UNAVAILABLE,
    Code.SWEEP_PENDING: UNAVAILABLE,
}


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


def rejected(code: int, sequence: int | None) -> ApiError:
    """A reject of the program; `sequence` is None when it was turned away before sequencing."""
    try:
        known = Code(code)
        name, text = known.name, known.text
    except ValueError:
        name, text = "TRAPPED", "the message trapped and has no effect"
        known = None
    data: dict[str, Any] = {"reason": name.lower(), "code": code, "text": text}
    if sequence is not None:
        data["sequence"] = sequence
    return ApiError(
        _OF_CODE.get(known, OTHER_REJECT) if known else OTHER_REJECT, name.lower(), data
    )
