"""Checks of single values against their fields; the texts name message and field."""

import struct
from collections.abc import Sequence
from typing import Any

from provenue._generated.messages import Field
from provenue.wire._base import EncodeError

__all__ = ["INTEGER_FORMATS", "pack_fields"]

INTEGER_FORMATS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}


def _explain(owner: str, fields: Sequence[Field], values: Sequence[Any]) -> EncodeError:
    """Which value did not fit; only looked for when one did not."""
    for field, value in zip(fields, values, strict=True):
        if field.type not in INTEGER_FORMATS:
            continue
        largest = (1 << 8 * field.size) - 1
        if not isinstance(value, int) or not 0 <= value <= largest:
            return EncodeError(
                f"{owner}.{field.name}: expected a whole number from 0 to {largest}, was {value!r}"
            )
    return EncodeError(f"{owner}: expected values of the types in messages.toml")


def pack_fields(
    packer: struct.Struct, owner: str, fields: Sequence[Field], values: Sequence[Any]
) -> bytes:
    """`packer.pack(*values)`, with an error that names the field that does not fit."""
    for field, value in zip(fields, values, strict=True):
        # `struct` would pad and cut byte strings silently.
        if field.type not in INTEGER_FORMATS and len(value) != field.size:
            raise EncodeError(
                f"{owner}.{field.name}: expected {field.size} bytes, was {len(value)}"
            )
    try:
        return packer.pack(*values)
    except struct.error:
        raise _explain(owner, fields, values) from None
