"""Chapter 2.1 to 2.3: framing, fields and time of a message; 2.5: the digest that is signed."""

import struct
from collections.abc import Sequence
from types import SimpleNamespace

from provenue.spec.constants import Code, Kind
from provenue.spec.crypto import Crypto, keccak
from provenue.spec.formats import MESSAGES, Field, MessageFormat
from provenue.spec.notation import Reject, clamp, word
from provenue.spec.state import State

__all__ = ["check_framing", "decode", "digest", "message_time_ms", "struct_hash"]

_STRUCT_CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "b16": "16s", "b20": "20s",
                 "b32": "32s", "sig": "65s"}  # fmt: skip


def _struct_of(fields: Sequence[Field]) -> struct.Struct:
    return struct.Struct(">" + "".join(_STRUCT_CODES[field.type] for field in fields))


class _Layout:
    """How a kind's bytes are cut: fixed fields, then perhaps a counted list, then the rest."""

    def __init__(self, fields: tuple[Field, ...]) -> None:
        lists = [i for i, field in enumerate(fields) if field.type == "list"]
        first = lists[0] if lists else len(fields)
        self.head = fields[:first]
        self.list_name = fields[first].name if lists else None
        self.tail = fields[first + 1 :]
        self.head_struct = _struct_of(self.head)
        self.item_struct = _struct_of(fields[first].entries if lists else ())
        self.tail_struct = _struct_of(self.tail)

    def length(self, message: bytes) -> int | None:
        """The length this message must have; None if it is too short to hold its count."""
        fixed = 1 + self.head_struct.size + self.tail_struct.size
        if self.list_name is None:
            return fixed
        if len(message) < 1 + self.head_struct.size:
            return None
        count: int = message[self.head_struct.size]  # `count` is the last byte before the list
        return fixed + count * self.item_struct.size


_LAYOUTS: dict[int, _Layout] = {kind: _Layout(form.fields) for kind, form in MESSAGES.items()}
_TYPE_HASHES = {
    kind: keccak(form.eip712.encode()) for kind, form in MESSAGES.items() if form.eip712
}


def check_framing(state: State, message: bytes, *, from_inbox: bool) -> MessageFormat:
    """2.2: the kind's format, or the first reject that applies."""
    if not message:
        raise Reject(Code.EMPTY_MESSAGE)
    if message[0] not in _LAYOUTS:
        raise Reject(Code.UNKNOWN_KIND)
    form = MESSAGES[Kind(message[0])]
    if from_inbox != (form.source == "inbox"):
        raise Reject(Code.WRONG_SOURCE)
    if len(message) != _LAYOUTS[form.kind].length(message):
        raise Reject(Code.BAD_LENGTH)
    if not state.configured and form.kind != Kind.GENESIS:
        raise Reject(Code.NOT_CONFIGURED)
    if state.configured and form.kind == Kind.GENESIS:
        raise Reject(Code.ALREADY_CONFIGURED)
    return form


def decode(message: bytes) -> SimpleNamespace:
    """The fields by name; of a list, tuples. The length has been checked."""
    layout = _LAYOUTS[message[0]]
    head = layout.head_struct.unpack_from(message, 1)
    fields = {field.name: value for field, value in zip(layout.head, head, strict=True)}
    if layout.list_name is not None:
        end = len(message) - layout.tail_struct.size
        items = message[1 + layout.head_struct.size : end]
        fields[layout.list_name] = list(layout.item_struct.iter_unpack(items))
        tail = layout.tail_struct.unpack_from(message, end)
        fields |= {field.name: value for field, value in zip(layout.tail, tail, strict=True)}
    return SimpleNamespace(**fields)


def message_time_ms(
    state: State, form: MessageFormat, fields: SimpleNamespace, stamp_min_ms: int, stamp_max_ms: int
) -> int:
    """2.3: `now` of this message. The program knows no other time."""
    if form.kind == Kind.CONTINUE:
        return state.now_ms
    stamp = stamp_min_ms if form.source == "inbox" else fields.stamp_ms
    return max(state.now_ms, clamp(stamp, stamp_min_ms, stamp_max_ms))


def struct_hash(crypto: Crypto, form: MessageFormat, fields: SimpleNamespace) -> bytes:
    """2.5: hashStruct of EIP-712."""
    words = [_TYPE_HASHES[form.kind]]
    if form.kind == Kind.PRICES:
        entries = b"".join(word(feed << 64 | price) for feed, price in fields.entries)
        words += [word(fields.published_at_ms), crypto.keccak(entries)]
    else:
        names = [field.name for field in form.fields]
        members = names[names.index("account") : names.index("signature")]
        words += [word(getattr(fields, name)) for name in members]
    return crypto.keccak(b"".join(words))


def digest(
    crypto: Crypto, domain_separator: bytes, form: MessageFormat, fields: SimpleNamespace
) -> bytes:
    """2.5: what the key signs."""
    return crypto.keccak(b"\x19\x01" + domain_separator + struct_hash(crypto, form, fields))
