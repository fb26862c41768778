"""The Python modules: src/provenue/_generated/*.py, and one file for the specification."""

from collections.abc import Iterator

from tools.generator.keccak import keccak256
from tools.generator.model import DOMAIN_TYPE, Enumeration, Field, Message, Protocol, Table
from tools.generator.names import HEADER, camel, comment

__all__ = [
    "codes_module",
    "constants_module",
    "file_text",
    "layout_module",
    "messages_module",
    "spec_module",
]

_NUMPY = {
    "u8": "u1", "u16": "<u2", "u32": "<u4", "u64": "<u8",
    "i8": "i1", "i16": "<i2", "i32": "<i4", "i64": "<i8",
}  # fmt: skip


def _head(doc: str, *imports: str) -> list[str]:
    return [f'"""{doc}', "", HEADER, '"""', "", "# fmt: off", "", *imports]


def file_text(lines: list[str]) -> str:
    """The text; long strings of the tables are let through the linter where there are any."""
    if any(len(line) > 100 for line in lines):
        lines = ["# ruff: noqa: E501" if line == "# fmt: off" else line for line in lines]
        lines.insert(lines.index("# ruff: noqa: E501"), "# fmt: off")
    return "\n".join(lines) + "\n"


def _number(value: int) -> str:
    if (value >= 1 << 20 and value & (value - 1) == 0) or value >= 1 << 30:
        return f"{value:#x}"
    return f"{value:_}"


def _constants(protocol: Protocol) -> Iterator[str]:
    for constant in protocol.constants:
        yield from comment(f"unit {constant.unit}; {constant.why}", "#")
        yield f"{constant.name}: Final = {_number(constant.value)}"


def _presets(protocol: Protocol) -> Iterator[str]:
    yield from ("@dataclass(frozen=True, slots=True)", "class Preset:")
    yield from ('    """The capacities of a deployment."""', "", "    name: str")
    for name, unit in protocol.preset_units.items():
        yield from comment(unit, "    #")
        yield f"    {name}: int"
    yield from ("", "", "PRESETS: Final[dict[str, Preset]] = {")
    for preset, values in protocol.presets.items():
        yield f'    "{preset}": Preset('
        yield f'        name="{preset}",'
        for name in protocol.preset_units:
            yield f"        {name}={_number(values[name])},"
        yield "    ),"
    yield "}"


def _codes(protocol: Protocol) -> Iterator[str]:
    yield from ("class Code(IntEnum):", '    """Reject codes; OK is acceptance."""', "")
    yield from ("    text: str", "")
    yield "    def __new__(cls, number: int, text: str) -> Self:"
    yield "        member = int.__new__(cls, number)"
    yield "        member._value_ = number"
    yield "        member.text = text"
    yield from ("        return member", "")
    for code in protocol.codes:
        yield f"    {code.name} = {code.number}, {_quoted(code.text)}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _enum(enumeration: Enumeration) -> Iterator[str]:
    base = "IntFlag" if enumeration.is_flag else "IntEnum"
    yield f"class {camel(enumeration.name)}({base}):"
    yield f'    """Values of `{enumeration.name}`."""'
    yield ""
    for name, value in enumeration.values.items():
        yield f"    {name} = {value}"


def _enums(protocol: Protocol) -> Iterator[str]:
    yield from ("class Kind(IntEnum):", '    """The first byte of a message."""', "")
    for message in protocol.messages:
        yield f"    {message.name} = {message.kind:#04x}  # {message.source}: {message.doc}"
    for enumeration in protocol.enums:
        yield from ("", "", *_enum(enumeration))


def _field(field: Field) -> str:
    text = f'Field("{field.name}", "{field.base}", {field.offset}, {field.size}'
    if field.entries:
        text += ", (" + ", ".join(_field(part) for part in field.entries) + ",)"
    return text + ")"


def _message(message: Message) -> Iterator[str]:
    yield f"    Kind.{message.name}: MessageFormat("
    kind, doc = f"Kind.{message.name}", _quoted(message.doc)
    yield f'        {kind}, "{message.source}", {doc}, {message.size},'
    yield f"        {_quoted(message.eip712) if message.eip712 else None},"
    if message.fields:
        yield "        ("
        for field in message.fields:
            yield f"            {_field(field)},"
        yield "        ),"
    else:
        yield "        (),"
    yield "    ),"


def _formats(protocol: Protocol) -> Iterator[str]:
    yield from ("@dataclass(frozen=True, slots=True)", "class Field:")
    yield '    """A field at `offset`; one behind a list is moved on by the list\'s entries."""'
    yield from ("", "    name: str", "    type: str", "    offset: int", "    size: int")
    yield from ('    entries: tuple["Field", ...] = ()', "", "")
    yield from ("@dataclass(frozen=True, slots=True)", "class MessageFormat:")
    yield '    """A kind of message; `size` is without the entries of a list."""'
    yield from ("", "    kind: Kind", "    source: str", "    doc: str", "    size: int")
    yield from ("    eip712: str | None", "    fields: tuple[Field, ...]", "", "")
    yield "MESSAGES: Final[dict[Kind, MessageFormat]] = {"
    for message in protocol.messages:
        yield from _message(message)
    yield "}"


def _numpy(field: Field) -> str:
    if field.is_bytes:
        return f'("{field.name}", "V{field.size}")'
    shape = f", ({field.count},)" if field.count else ""
    return f'("{field.name}", "{_NUMPY[field.base]}"{shape})'


def _event(protocol: Protocol) -> Iterator[str]:
    yield "# The 64-byte event record as a NumPy dtype specification."
    yield "EVENT_FIELDS: Final[tuple[tuple[str, str], ...]] = ("
    for field in protocol.event_fields:
        yield f"    {_numpy(field)},"
    yield ")"


def _signed(protocol: Protocol, hashes: bool) -> Iterator[str]:
    yield f"DOMAIN_TYPE: Final = {_quoted(DOMAIN_TYPE)}"
    yield 'DOMAIN_NAME: Final = "Provenue"'
    yield 'DOMAIN_VERSION: Final = "1"'
    if not hashes:
        return
    for name, text in (("TYPE", DOMAIN_TYPE), ("NAME", "Provenue"), ("VERSION", "1")):
        digest = keccak256(text.encode()).hex()
        yield f'DOMAIN_{name}_HASH: Final = bytes.fromhex("{digest}")'
    yield ""
    yield "# keccak of the EIP-712 type string, by kind."
    yield "TYPE_HASHES: Final[dict[Kind, bytes]] = {"
    for message in protocol.messages:
        if message.eip712:
            yield f'    Kind.{message.name}: bytes.fromhex("{message.type_hash.hex()}"),'
    yield "}"


def constants_module(protocol: Protocol) -> str:
    """_generated/constants.py."""
    head = _head(
        "Numbers and presets.", "from dataclasses import dataclass", "from typing import Final", ""
    )
    return file_text([*head, *_constants(protocol), "", "", *_presets(protocol)])


def codes_module(protocol: Protocol) -> str:
    """_generated/codes.py."""
    head = _head("Reject codes.", "from enum import IntEnum", "from typing import Self", "", "")
    return file_text([*head, *_codes(protocol)])


_MESSAGE_IMPORTS = (
    "from dataclasses import dataclass", "from enum import IntEnum, IntFlag",
    "from typing import Final", "", "",
)  # fmt: skip


def messages_module(protocol: Protocol) -> str:
    """_generated/messages.py."""
    lines = _head("Messages, enumerated values, events, EIP-712 types.", *_MESSAGE_IMPORTS)
    lines += [*_enums(protocol), "", "", *_formats(protocol), "", *_event(protocol), ""]
    return file_text([*lines, *_signed(protocol, hashes=True)])


def _table(table: Table) -> Iterator[str]:
    yield f'    "{table.name}": TableFormat('
    yield f'        "{table.name}", "{table.record}", {table.record_bytes}, {_quoted(table.doc)},'
    if table.packed:
        yield f'        "{_NUMPY[table.packed]}",'
    else:
        yield "        ("
        for field in table.fields:
            yield f"            {_numpy(field)},"
        yield "        ),"
    yield "    ),"


def layout_module(protocol: Protocol) -> str:
    """_generated/layout.py."""
    lines = _head(
        "Layout of the image: records as NumPy dtype specifications, tables by preset.",
        "from dataclasses import dataclass", "from typing import Final", "",
    )  # fmt: skip
    lines += ["DtypeField = tuple[str, str] | tuple[str, str, tuple[int]]", "", ""]
    lines += ["@dataclass(frozen=True, slots=True)", "class TableFormat:"]
    lines += ['    """A table; `dtype` is a NumPy specification (a scalar for plain arrays)."""']
    lines += ["", "    name: str", "    record: str", "    record_bytes: int", "    doc: str"]
    lines += ["    dtype: str | tuple[DtypeField, ...]", "", ""]
    lines += ["TABLES: Final[dict[str, TableFormat]] = {"]
    for table in protocol.tables:
        lines += _table(table)
    lines += ["}", "", "# (offset in bytes, number of records) of each table, by preset."]
    lines += ["PLACES: Final[dict[str, dict[str, tuple[int, int]]]] = {"]
    for preset in protocol.presets:
        lines.append(f'    "{preset}": {{')
        for table in protocol.tables:
            place = f"({table.offsets[preset]:#x}, {_number(table.counts[preset])})"
            lines.append(f'        "{table.name}": {place},')
        lines.append("    },")
    lines += ["}", "", "IMAGE_BYTES: Final[dict[str, int]] = {"]
    lines += [f'    "{preset}": {size:#x},' for preset, size in protocol.image_bytes.items()]
    return file_text([*lines, "}"])


def spec_module(protocol: Protocol) -> str:
    """spec/constants.py: the same numbers for the specification, which imports nothing of ours."""
    lines = _head(
        "Numbers, presets, codes and enumerations for the specification.",
        "from dataclasses import dataclass", "from enum import IntEnum, IntFlag",
        "from typing import Final, Self", "",
    )  # fmt: skip
    lines += [*_constants(protocol), "", "", *_presets(protocol), "", "", *_codes(protocol)]
    return file_text([*lines, "", "", *_enums(protocol)])


def spec_formats_module(protocol: Protocol) -> str:
    """spec/formats.py: what lies where in messages and events."""
    lines = _head(
        "Formats of messages, events and EIP-712 types for the specification.",
        "from dataclasses import dataclass", "from typing import Final", "",
        "from provenue.spec.constants import Kind", "", "",
    )  # fmt: skip
    lines += [*_formats(protocol), "", *_event(protocol)]
    return file_text([*lines, "", *_signed(protocol, hashes=False)])
