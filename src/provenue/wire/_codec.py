"""Messages to bytes and back: big-endian, fixed width, driven by the generated tables."""

import struct
from dataclasses import dataclass
from typing import Any, cast

from provenue._generated.codes import Code
from provenue._generated.messages import MESSAGES, Field, Kind
from provenue.wire import _kinds
from provenue.wire._base import DecodeError, Message
from provenue.wire._fields import INTEGER_FORMATS, pack_fields
from provenue.wire._kinds import CLASSES, AnyMessage

__all__ = ["decode", "encode", "size_bytes"]


def _format(field: Field) -> str:
    return INTEGER_FORMATS.get(field.type, f"{field.size}s")


@dataclass(frozen=True, slots=True)
class _Part:
    """Fields that are packed in one go: those before a list, and those behind it."""

    packer: struct.Struct
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, fields: tuple[Field, ...]) -> "_Part":
        return cls(struct.Struct(">" + "".join(map(_format, fields))), fields)

    def pack(self, owner: str, values: list[Any]) -> bytes:
        return pack_fields(self.packer, owner, self.fields, values)


@dataclass(frozen=True, slots=True)
class _Form:
    """How one kind is packed: `head` before the list, `entry` of it, `tail` behind it."""

    cls: type[Message]
    name: str
    kind_byte: bytes
    size: int
    head: _Part
    listed: Field | None
    entry: _Part | None
    entry_type: Any
    tail: _Part


def _form(kind: Kind) -> _Form:
    form = MESSAGES[kind]
    fields = form.fields
    at = next((i for i, field in enumerate(fields) if field.type == "list"), len(fields))
    listed = fields[at] if at < len(fields) else None
    return _Form(
        CLASSES[kind],
        kind.name,
        bytes([kind]),
        form.size,
        _Part.of(fields[:at]),
        listed,
        _Part.of(listed.entries) if listed else None,
        getattr(_kinds, CLASSES[kind].__name__ + "Entry", None),
        _Part.of(fields[at + 1 :]),
    )


_FORMS = {int(kind): _form(kind) for kind in Kind}


def size_bytes(message: Message) -> int:
    """The length of a message on the wire."""
    form = _FORMS[message.KIND]
    if form.listed is None:
        return form.size
    return form.size + len(getattr(message, form.listed.name)) * form.listed.size


def _entry_values(entry: Any, single: bool) -> list[Any]:
    return [entry] if single else list(entry)


def encode(message: Message) -> bytes:
    """The bytes of a message. EncodeError names the field that does not fit."""
    form = _FORMS[message.KIND]
    head = form.head.pack(form.name, [getattr(message, f.name) for f in form.head.fields])
    if form.listed is None or form.entry is None:
        return form.kind_byte + head
    entries = getattr(message, form.listed.name)
    single = len(form.entry.fields) == 1
    packed = [
        form.entry.pack(f"{form.name}.{form.listed.name}[{index}]", _entry_values(entry, single))
        for index, entry in enumerate(entries)
    ]
    tail = form.tail.pack(form.name, [getattr(message, f.name) for f in form.tail.fields])
    return b"".join([form.kind_byte, head, *packed, tail])


def decode(data: bytes) -> AnyMessage:
    """The message in some bytes. DecodeError says what is wrong and which code it means."""
    if not data:
        raise DecodeError(Code.EMPTY_MESSAGE, "message: expected at least one byte, was none")
    form = _FORMS.get(data[0])
    if form is None:
        raise DecodeError(
            Code.UNKNOWN_KIND, f"message.kind: expected a kind of messages.toml, was {data[0]:#04x}"
        )
    if form.listed is not None:
        return _decode_list(form, data)
    if len(data) != form.size:
        raise DecodeError(
            Code.BAD_LENGTH, f"{form.name}: expected {form.size} bytes, was {len(data)}"
        )
    values = form.head.packer.unpack_from(data, 1)
    named = {f.name: v for f, v in zip(form.head.fields, values, strict=True)}
    return cast("AnyMessage", form.cls(**named))


def _decode_list(form: _Form, data: bytes) -> AnyMessage:
    """A message with a list: its count says how long it must be."""
    assert form.listed is not None
    assert form.entry is not None
    start = form.listed.offset
    if len(data) < start:
        raise DecodeError(
            Code.BAD_LENGTH, f"{form.name}: expected at least {start} bytes, was {len(data)}"
        )
    values = form.head.packer.unpack_from(data, 1)
    named = {f.name: v for f, v in zip(form.head.fields, values, strict=True)}
    count = named.pop("count")
    end = start + count * form.listed.size
    if len(data) != form.size + count * form.listed.size:
        raise DecodeError(
            Code.BAD_LENGTH,
            f"{form.name}: expected {form.size + count * form.listed.size} bytes for "
            f"{count} entries, was {len(data)}",
        )
    rows = form.entry.packer.iter_unpack(data[start:end])
    if len(form.entry.fields) == 1:
        entries: tuple[Any, ...] = tuple(row[0] for row in rows)
    else:
        entries = tuple(form.entry_type(*row) for row in rows)
    named[form.listed.name] = entries
    tail = form.tail.packer.unpack_from(data, end)
    named.update({f.name: v for f, v in zip(form.tail.fields, tail, strict=True)})
    return cast("AnyMessage", form.cls(**named))
