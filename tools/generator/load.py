"""Read the protocol tables and check them.

Everything that the writers of code rely on is checked here, so that a mistake in a table is an
error with the table's name and field, and never a strange compiler error later.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.generator.model import (
    EIP712_TYPE,
    Code,
    Constant,
    Enumeration,
    Field,
    Message,
    Protocol,
    SchemaError,
    Table,
    eip712_members,
    fail,
)

__all__ = ["load"]

TABLE_ALIGNMENT = 4096
RECORD_MULTIPLE = 32
SIGNATURE_BYTES = 65

_SCALAR_BYTES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i8": 1, "i16": 2, "i32": 4, "i64": 8}
_WIRE_TYPES = {"u8", "u16", "u32", "u64", "b16", "b20", "b32", "sig", "list"}
_IMAGE_TYPE = re.compile(r"(?P<base>[ui](?:8|16|32|64)|b(?:16|20|32))(?:\[(?P<count>[0-9]+)\])?")
_UPPER = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
_LOWER = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_EIP712_TYPES = {
    "uint8": {"u8"}, "uint16": {"u16"}, "uint32": {"u32"}, "uint64": {"u64"}, "address": {"b20"},
    "uint256[]": {"list"},
}  # fmt: skip


def align(offset: int, alignment: int) -> int:
    """`offset` rounded up to a multiple of `alignment`."""
    return -(-offset // alignment) * alignment


def _get(table: Mapping[str, Any], key: str, kind: type, place: str) -> Any:
    value = table.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise fail(f"{place}.{key}", f"a {kind.__name__}", value)
    return value


def _only(table: Mapping[str, Any], allowed: Iterable[str], place: str) -> None:
    unknown = sorted(set(table) - set(allowed))
    if unknown:
        raise fail(place, f"only {', '.join(sorted(allowed))}", unknown[0])


def _distinct(values: Iterable[tuple[str, object]], place: str, what: str) -> None:
    seen: dict[object, str] = {}
    for name, value in values:
        if value in seen:
            shown = hex(value) if what == "kind" and isinstance(value, int) else value
            raise SchemaError(f"{place}: {what} {shown} is used by {seen[value]} and by {name}")
        seen[value] = name


def _constants(data: Mapping[str, Any]) -> tuple[Constant, ...]:
    found = []
    for name, entry in _get(data, "constants", dict, "constants.toml").items():
        place = f"constants.toml [constants] {name}"
        if not _UPPER.fullmatch(name):
            raise fail(place, "an UPPER_CASE name", name)
        _only(entry, ("value", "unit", "why"), place)
        value = _get(entry, "value", int, place)
        if not 0 <= value < 1 << 63:
            raise fail(f"{place}.value", "a number from 0 to 2^63 - 1", value)
        found.append(
            Constant(name, value, _get(entry, "unit", str, place), _get(entry, "why", str, place))
        )
    return tuple(found)


def _presets(data: Mapping[str, Any]) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    units = _get(data, "preset_units", dict, "constants.toml")
    presets = _get(data, "presets", dict, "constants.toml")
    if not presets:
        raise fail("constants.toml [presets]", "at least one preset", presets)
    for preset, values in presets.items():
        place = f"constants.toml [presets.{preset}]"
        for name in units:
            value = values.get(name)
            if value is None:
                raise SchemaError(f"{place}: expected a value for {name}, found none")
            if not isinstance(value, int) or not 1 <= value < 1 << 32:
                raise fail(f"{place}.{name}", "a number from 1 to 2^32 - 1", value)
        unknown = sorted(set(values) - set(units))
        if unknown:
            raise SchemaError(f"{place}: {unknown[0]} has no unit in [preset_units]")
    return presets, units


def _codes(data: Mapping[str, Any]) -> tuple[Code, ...]:
    found = []
    for entry in _get(data, "code", list, "errors.toml"):
        name = _get(entry, "name", str, "errors.toml [[code]]")
        place = f"errors.toml {name}"
        _only(entry, ("name", "number", "text", "burn"), place)
        if not _UPPER.fullmatch(name):
            raise fail(place, "an UPPER_CASE name", name)
        number = _get(entry, "number", int, place)
        if not 0 <= number < 1 << 16:  # an event's `reason` is a u16 and may hold a code
            raise fail(f"{place}.number", "a number from 0 to 65535", number)
        found.append(Code(name, number, _get(entry, "text", str, place)))
    _distinct(((code.name, code.name) for code in found), "errors.toml", "name")
    _distinct(((code.name, code.number) for code in found), "errors.toml", "number")
    if not any(code.name == "OK" and code.number == 0 for code in found):
        raise SchemaError("errors.toml: expected OK with number 0, found none")
    return tuple(found)


def _name_and_type(entry: object, place: str) -> tuple[str, str]:
    if (
        not isinstance(entry, list)
        or len(entry) < 2
        or not all(isinstance(part, str) for part in entry[:2])
    ):
        raise fail(place, 'a field as ["name", "type"]', entry)
    if not _LOWER.fullmatch(entry[0]):
        raise fail(place, "a lower_case field name", entry[0])
    return entry[0], entry[1]


def _base_bytes(base: str) -> int:
    if base == "sig":
        return SIGNATURE_BYTES
    return _SCALAR_BYTES[base] if base in _SCALAR_BYTES else int(base[1:])


def record_fields(entries: Iterable[object], place: str) -> tuple[tuple[Field, ...], int]:
    """Fields of a record with natural alignment and no padding (P9), and the record's size."""
    fields: list[Field] = []
    offset, alignment_max = 0, 1
    for entry in entries:
        name, kind = _name_and_type(entry, place)
        match = _IMAGE_TYPE.fullmatch(kind)
        if not match:
            raise fail(f"{place}.{name}", "a type like u32, u32[8], i64 or b32", kind)
        base, count = match["base"], int(match["count"] or 0)
        if base[0] == "b" and count:
            raise fail(f"{place}.{name}", "no array of byte strings", kind)
        alignment = _SCALAR_BYTES.get(base, 1)
        if offset % alignment:
            raise fail(f"{place}.{name}", f"an offset that is a multiple of {alignment}", offset)
        alignment_max = max(alignment_max, alignment)
        size = _base_bytes(base) * max(count, 1)
        fields.append(Field(name, base, count, offset, size))
        offset += size
    _distinct(((field.name, field.name) for field in fields), place, "field")
    if offset % alignment_max:
        raise fail(place, f"a record size that is a multiple of {alignment_max}", offset)
    return tuple(fields), offset


def _list_entry(entry: object, place: str) -> tuple[Field, ...]:
    if not isinstance(entry, list) or len(entry) != 3 or not isinstance(entry[2], list):
        raise fail(place, 'a list as ["name", "list", [fields]]', entry)
    fields, offset = [], 0
    for part in entry[2]:
        name, kind = _name_and_type(part, place)
        if kind not in _WIRE_TYPES - {"sig", "list"}:
            raise fail(f"{place}.{name}", "a type of u8 to u64 or b16, b20, b32", kind)
        size = _base_bytes(kind)
        fields.append(Field(name, kind, 0, offset, size))
        offset += size
    return tuple(fields)


def _wire_fields(entries: Iterable[object], place: str) -> tuple[tuple[Field, ...], int]:
    """Fields of a message behind its kind byte; a list counts as no bytes."""
    fields: list[Field] = []
    offset = 1
    for entry in entries:
        name, kind = _name_and_type(entry, place)
        if kind not in _WIRE_TYPES:
            raise fail(f"{place}.{name}", "a type of u8 to u64, b16, b20, b32, sig or list", kind)
        if fields and fields[-1].base == "sig":
            raise fail(f"{place}.{name}", "no field behind the signature", kind)
        if fields and fields[-1].base == "list" and kind != "sig":
            raise fail(f"{place}.{name}", "only a signature behind a list", kind)
        if kind == "list":
            if not any(field.name == "count" and field.base == "u8" for field in fields):
                raise SchemaError(f"{place}.{name}: expected a u8 `count` before, found none")
            parts = _list_entry(entry, f"{place}.{name}")
            fields.append(Field(name, kind, 0, offset, sum(part.size for part in parts), parts))
        else:
            fields.append(Field(name, kind, 0, offset, _base_bytes(kind)))
            offset += _base_bytes(kind)
    _distinct(((field.name, field.name) for field in fields), place, "field")
    return tuple(fields), offset


def _check_eip712(message: Message) -> None:
    """The members of the type are the wire fields from `account` (or `published_at_ms`) on."""
    place = f"messages.toml {message.name}.eip712"
    signed = bool(message.fields) and message.fields[-1].base == "sig"
    if signed != (message.eip712 is not None):
        raise SchemaError(f"{place}: expected a type exactly when the last field is a signature")
    if message.eip712 is None:
        return
    match = EIP712_TYPE.fullmatch(message.eip712)
    if not match or not all(m.count(" ") == 1 for m in match["members"].split(",")):
        raise fail(place, "Name(type member,...)", message.eip712)
    members = eip712_members(message.eip712)
    if message.entries:
        return  # a vector: its members are written in the chapter
    signed_fields = [field for field in message.fields[:-1] if field.name != "stamp_ms"]
    if len(members) != len(signed_fields):
        raise fail(place, f"{len(signed_fields)} members", len(members))
    for (name, kind), field in zip(members, signed_fields, strict=True):
        if field.base not in _EIP712_TYPES.get(kind, set()):
            raise fail(f"{place} {name}", f"the type of the field {field.name} {field.base}", kind)


def _messages(data: Mapping[str, Any]) -> tuple[Message, ...]:
    found = []
    for entry in _get(data, "message", list, "messages.toml"):
        name = _get(entry, "name", str, "messages.toml [[message]]")
        place = f"messages.toml {name}"
        _only(entry, ("name", "kind", "source", "doc", "eip712", "fields"), place)
        if not _UPPER.fullmatch(name):
            raise fail(place, "an UPPER_CASE name", name)
        kind = _get(entry, "kind", int, place)
        if not 1 <= kind <= 255:
            raise fail(f"{place}.kind", "a number from 1 to 255", kind)
        source = _get(entry, "source", str, place)
        if source not in ("posted", "inbox"):
            raise fail(f"{place}.source", "posted or inbox", source)
        fields, size = _wire_fields(_get(entry, "fields", list, place), place)
        message = Message(
            name, kind, source, _get(entry, "doc", str, place), entry.get("eip712"), fields, size
        )
        _check_eip712(message)
        found.append(message)
    _distinct(((message.name, message.name) for message in found), "messages.toml", "name")
    _distinct(((message.name, message.kind) for message in found), "messages.toml", "kind")
    return tuple(found)


def _enums(data: Mapping[str, Any]) -> tuple[Enumeration, ...]:
    found = []
    for name, values in _get(data, "enums", dict, "messages.toml").items():
        place = f"messages.toml [enums.{name}]"
        if not _LOWER.fullmatch(name):
            raise fail(place, "a lower_case name", name)
        for value_name, value in values.items():
            if not _UPPER.fullmatch(value_name):
                raise fail(place, "UPPER_CASE names", value_name)
            if not isinstance(value, int) or not 0 <= value <= 255:
                raise fail(f"{place}.{value_name}", "a number from 0 to 255", value)
        enumeration = Enumeration(name, values)
        _distinct(values.items(), place, "value")
        if enumeration.is_flag and any(v.bit_count() != 1 for v in values.values()):
            raise fail(place, "one bit per flag", dict(values))
        found.append(enumeration)
    return tuple(found)


def evaluate(expression: str | int, names: Mapping[str, int], place: str) -> int:
    """A sum of products of numbers and names; nothing else is an expression."""
    total = 0
    for term in str(expression).split("+"):
        product = 1
        for factor in term.split("*"):
            word = factor.strip()
            if word.isdecimal():
                product *= int(word)
            elif word in names:
                product *= names[word]
            else:
                raise fail(place, "a number, a constant or a preset's name", word)
        total += product
    return total


def _record_name(table: str) -> str:
    """`orders` -> OrderRecord, `house_positions` -> HousePositionRecord."""
    singular = table
    if table.endswith("ies"):
        singular = table[:-3] + "y"
    elif table.endswith("s") and not table.endswith("ss"):
        singular = table[:-1]
    if table == "globals":
        singular = table
    return "".join(part.capitalize() for part in singular.split("_")) + "Record"


def _table_shape(
    entry: Mapping[str, Any], known: Mapping[str, Table], place: str
) -> tuple[str, bool, str | None, tuple[Field, ...], int]:
    """(record name, declared here, packed type, fields, record size) of a table."""
    shapes = [key for key in ("fields", "packed", "same_as") if key in entry]
    if len(shapes) != 1:
        raise fail(place, "one of fields, packed, same_as", shapes)
    if "packed" in entry:
        packed = _get(entry, "packed", str, place)
        if packed not in _SCALAR_BYTES:
            raise fail(f"{place}.packed", "an integer type", packed)
        return packed, False, packed, (), _SCALAR_BYTES[packed]
    if "same_as" in entry:
        other = known.get(entry["same_as"])
        if other is None or other.packed:
            raise fail(f"{place}.same_as", "a table with a record, above", entry["same_as"])
        return other.record, False, None, other.fields, other.record_bytes
    fields, size = record_fields(_get(entry, "fields", list, place), place)
    if size == 0 or size % RECORD_MULTIPLE:
        raise fail(place, f"a record size that is a multiple of {RECORD_MULTIPLE}", size)
    return _record_name(entry["name"]), True, None, fields, size


def _tables(
    data: Mapping[str, Any], constants: Mapping[str, int], presets: Mapping[str, Mapping[str, int]]
) -> tuple[tuple[Table, ...], dict[str, int]]:
    found: dict[str, Table] = {}
    ends = dict.fromkeys(presets, 0)
    for entry in _get(data, "table", list, "image.toml"):
        name = _get(entry, "name", str, "image.toml [[table]]")
        place = f"image.toml {name}"
        _only(entry, ("name", "count", "doc", "fields", "packed", "same_as"), place)
        if not _LOWER.fullmatch(name) or name in found:
            raise fail(place, "a lower_case name that is not used yet", name)
        record, owner, packed, fields, size = _table_shape(entry, found, place)
        if "count" not in entry:
            raise SchemaError(f"{place}: expected a count, found none")
        counts, offsets = {}, {}
        for preset, values in presets.items():
            count = evaluate(entry["count"], {**constants, **values}, f"{place}.count")
            if not 1 <= count < 1 << 32:
                raise fail(f"{place}.count", f"1 to 2^32 - 1 records in {preset}", count)
            counts[preset], offsets[preset] = count, align(ends[preset], TABLE_ALIGNMENT)
            ends[preset] = offsets[preset] + count * size
        doc = entry.get("doc", "")
        found[name] = Table(
            name, doc, record, owner, packed, fields, size, str(entry["count"]), counts, offsets
        )
    records = ((t.name, t.record) for t in found.values() if t.owner)
    _distinct(records, "image.toml", "record")
    return tuple(found.values()), {p: align(end, TABLE_ALIGNMENT) for p, end in ends.items()}


def _read(folder: Path, name: str) -> dict[str, Any]:
    try:
        with (folder / name).open("rb") as handle:
            return tomllib.load(handle)
    except FileNotFoundError as error:
        raise SchemaError(f"{name}: expected a file in {folder}, found none") from error
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(f"{name}: {error}") from error


def load(folder: Path) -> Protocol:
    """Read and check all tables of a protocol folder."""
    numbers, wire = _read(folder, "constants.toml"), _read(folder, "messages.toml")
    constants = _constants(numbers)
    presets, units = _presets(numbers)
    by_name = {constant.name: constant.value for constant in constants}
    tables, image_bytes = _tables(_read(folder, "image.toml"), by_name, presets)
    quarter = by_name.get("QUARTER_BYTES")
    for preset, size in image_bytes.items():
        if quarter is not None and size > quarter:
            raise fail(f"image.toml in preset {preset}", f"at most {quarter} bytes", size)
    event = _get(_get(wire, "event", dict, "messages.toml"), "fields", list, "messages.toml")
    event_fields, event_bytes = record_fields(event, "messages.toml [event]")
    if event_bytes != by_name.get("EVENT_BYTES"):
        raise fail("messages.toml [event]", "EVENT_BYTES bytes", event_bytes)
    return Protocol(
        constants, presets, units, _codes(_read(folder, "errors.toml")), _messages(wire),
        _enums(wire), event_fields, event_bytes, tables, image_bytes,
    )  # fmt: skip
