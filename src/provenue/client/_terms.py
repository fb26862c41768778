"""How an order behaves, in the API's words, as what is signed."""

from typing import Any, Final, TypedDict

from provenue.wire import GOOD_TILL_S_MAX, SELF_TRADE_NAMES, TIME_NAMES

__all__ = ["OrderTerms", "signed_terms"]

_TIMES: Final = {name: time for time, name in TIME_NAMES.items()}
_SELF_TRADES: Final = {name: mode for mode, name in SELF_TRADE_NAMES.items()}


class OrderTerms(TypedDict, total=False):
    """How an order behaves. Each may be left out."""

    time_in_force: str | None
    """`good_til_cancelled` (limit orders without it), `immediate_or_cancel` (market orders without
    it), `fill_or_kill` (in full within one message, or rejected), `good_til_date`."""
    good_til_ms: int
    """When a good-til-date order ends, in ms since 1970, whole seconds. Implies `good_til_date`."""
    post_only: bool
    """Rejected if it would trade at once."""
    slide: bool
    """With `post_only`: not rejected, but placed a tick beside the best opposite price."""
    reduce_only: bool
    """Cut to the position that it closes, and kept cut."""
    self_trade: str
    """When it meets an order of its own account: `cancel_maker` (without it), `cancel_taker`,
    `cancel_both` or `decrement` (both become smaller by the smaller one)."""
    label: int
    """A number of yours; `cancel_by_label` takes it."""


def _choice(name: str, value: str, choices: dict[str, Any]) -> Any:
    if value not in tuple(choices):  # whatever its type, also what has no hash
        raise ValueError(f"{name}: expected {' or '.join(choices)}, was {value!r}")
    return choices[value]


def signed_terms(terms: OrderTerms) -> dict[str, Any]:
    """Arguments of ActionSigner.place and .replace; ValueError names what does not fit."""
    unknown = set(terms) - set(OrderTerms.__annotations__)
    if unknown:
        known = ", ".join(OrderTerms.__annotations__)
        raise TypeError(f"{', '.join(sorted(unknown))}: expected one of {known}")
    name, good_til_ms = terms.get("time_in_force"), terms.get("good_til_ms")
    if name is None and good_til_ms is not None:
        name = "good_til_date"
    if terms.get("slide") and not terms.get("post_only"):
        raise ValueError("slide: expected post_only beside it, was without")
    return {
        "time_in_force": None if name is None else _choice("time_in_force", name, _TIMES),
        "good_till_s": _good_till_s(name, good_til_ms),
        "post_only": terms.get("post_only", False),
        "slide": terms.get("slide", False),
        "reduce_only": terms.get("reduce_only", False),
        "self_trade": _choice("self_trade", terms.get("self_trade", "cancel_maker"), _SELF_TRADES),
        "client_id": terms.get("label", 0),
    }


def _good_till_s(time_in_force: str | None, good_til_ms: int | None) -> int:
    if time_in_force != "good_til_date":
        if good_til_ms is not None:
            raise ValueError(f"good_til_ms: expected none with {time_in_force}, was {good_til_ms}")
        return 0
    if (
        not isinstance(good_til_ms, int)
        or good_til_ms % 1_000
        or not 0 < good_til_ms <= GOOD_TILL_S_MAX * 1_000
    ):
        raise ValueError(f"good_til_ms: expected whole seconds in ms since 1970, was {good_til_ms}")
    return good_til_ms // 1_000
