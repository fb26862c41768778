"""Hypothesis strategies for messages, from the generated tables."""

from typing import Any

from hypothesis import strategies as st

from provenue import wire
from provenue._generated.messages import MESSAGES, Field, Kind
from provenue.wire import _kinds

__all__ = ["DOMAINS", "PRIVATE_KEYS", "messages"]

_BITS = {"u8": 8, "u16": 16, "u32": 32, "u64": 64}

DOMAINS = st.builds(wire.Domain, st.integers(0, 2**64 - 1), st.binary(min_size=20, max_size=20))
PRIVATE_KEYS = st.integers(1, 2**255).map(lambda number: number.to_bytes(32, "big"))


def _field(field: Field) -> st.SearchStrategy[Any]:
    if field.type in _BITS:
        return st.integers(0, (1 << _BITS[field.type]) - 1)
    return st.binary(min_size=field.size, max_size=field.size)


def _entries(kind: Kind, field: Field) -> st.SearchStrategy[Any]:
    parts = [_field(part) for part in field.entries]
    if len(parts) == 1:
        return st.lists(parts[0], max_size=255).map(tuple)
    entry_type = getattr(_kinds, _kinds.CLASSES[kind].__name__ + "Entry")
    return st.lists(st.builds(entry_type, *parts), max_size=255).map(tuple)


def messages(kind: Kind) -> st.SearchStrategy[Any]:
    """Any message of a kind that can stand on the wire, sensible or not."""
    values = {
        field.name: _entries(kind, field) if field.type == "list" else _field(field)
        for field in MESSAGES[kind].fields
        if not (field.name == "count" and kind in (Kind.PRICES, Kind.SET_SIGNERS))
    }
    return st.builds(_kinds.CLASSES[kind], **values)
