"""The C++ headers: numbers, codes, messages and events, and the layout of the image."""

from collections.abc import Iterator

from tools.generator.keccak import keccak256
from tools.generator.model import DOMAIN_TYPE, Field, Message, Protocol, Table
from tools.generator.names import HEADER, camel, comment, constant_name, wire_name

__all__ = ["layout_header", "protocol_header"]

_TYPES = {
    "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t",
    "i8": "int8_t", "i16": "int16_t", "i32": "int32_t", "i64": "int64_t",
}  # fmt: skip


def _number(value: int) -> str:
    """Decimal with digit marks; large powers stay readable as hexadecimal."""
    if (value >= 1 << 20 and value & (value - 1) == 0) or value >= 1 << 30:
        return f"{value:#x}"
    return f"{value:,}".replace(",", "'")


def _bytes(data: bytes) -> Iterator[str]:
    """A 32-byte initialiser, eight bytes a line."""
    for start in range(0, len(data), 8):
        yield "    " + " ".join(f"{byte:#04x}," for byte in data[start : start + 8])


def _hash(name: str, text: str, static: bool = False) -> list[str]:
    storage = "static constexpr" if static else "inline constexpr"
    indent = "  " if static else ""
    return [
        f"{indent}{storage} std::array<uint8_t, 32> {name} = {{",
        *(indent + line for line in _bytes(keccak256(text.encode()))),
        f"{indent}}};",
    ]


def _field_type(field: Field) -> str:
    if field.is_bytes:
        return f"std::array<uint8_t, {field.size}>"
    base = _TYPES[field.base]
    return f"std::array<{base}, {field.count}>" if field.count else base


def _constants(protocol: Protocol) -> Iterator[str]:
    """Signed, so that no comparison mixes signs and products are not 32 bits wide."""
    for constant in protocol.constants:
        kind = "uint64_t" if constant.unit == "address" else "int64_t"
        yield from comment(f"{constant.unit}: {constant.why}", "//")
        name = constant_name(constant.name)
        yield f"inline constexpr {kind} {name} = {_number(constant.value)};"


def _enums(protocol: Protocol) -> Iterator[str]:
    yield "enum class Code : uint32_t {"
    for code in protocol.codes:
        yield from comment(code.text, "  //")
        yield f"  {constant_name(code.name)} = {code.number},"
    yield from ("};", "", "enum class Kind : uint8_t {")
    for message in protocol.messages:
        text = f"  {constant_name(message.name)} = {message.kind:#04x},"
        yield f"{text}  // {message.source}: {message.doc}"
    yield "};"
    for enumeration in protocol.enums:
        yield ""
        if enumeration.is_flag:
            for name, value in enumeration.values.items():
                bit = constant_name(f"{enumeration.name}_{name}")
                yield f"inline constexpr uint8_t {bit} = {value};"
            continue
        yield f"enum class {camel(enumeration.name)} : uint8_t {{"
        for name, value in enumeration.values.items():
            yield f"  {constant_name(name)} = {value},"
        yield "};"


def _wire(message: Message) -> Iterator[str]:
    """Offsets (kField) and sizes (kFieldSize) of one message."""
    listed = message.entries
    yield from comment(f"{message.doc} ({message.source})", "//")
    yield f"struct {wire_name(message.name)} {{"
    yield f"  static constexpr Kind kKind = Kind::{constant_name(message.name)};"
    inbox = "true" if message.source == "inbox" else "false"
    yield f"  static constexpr bool kFromInbox = {inbox};"
    if listed:
        yield "  // The size is kSizeWithoutEntries + count * kEntrySize; fields behind the list"
        yield "  // are counted from its end."
        yield f"  static constexpr uint32_t kSizeWithoutEntries = {message.size};"
        yield f"  static constexpr uint32_t kEntrySize = {listed.size};"
        for part in listed.entries:
            name = constant_name("entry_" + part.name)
            yield f"  static constexpr uint32_t {name} = {part.offset};"
    else:
        yield f"  static constexpr uint32_t kSize = {message.size};"
    behind = False
    for field in message.fields:
        name = constant_name(field.name)
        if field.base == "list":
            yield f"  static constexpr uint32_t {name} = {field.offset};"
            behind = True
            continue
        if behind:
            assert listed is not None
            behind_bytes = field.offset - listed.offset
            yield f"  static constexpr uint32_t {name}BehindEntries = {behind_bytes};"
        else:
            yield f"  static constexpr uint32_t {name} = {field.offset};"
        yield f"  static constexpr uint32_t {name}Size = {field.size};"
    if message.eip712:
        yield from comment(message.eip712, "  //", 98)
        yield f"  static constexpr uint32_t kMembers = {len(message.members)};"
        yield from _hash("kTypeHash", message.eip712, static=True)
    yield "};"


def _asserts(name: str, fields: tuple[Field, ...], size: int) -> Iterator[str]:
    yield f"static_assert(sizeof({name}) == {size});"
    for field in fields:
        yield f"static_assert(offsetof({name}, {field.name}) == {field.offset});"
    yield f"static_assert(std::is_standard_layout_v<{name}>);"
    yield f"static_assert(std::is_trivially_copyable_v<{name}>);"
    yield f"static_assert(std::has_unique_object_representations_v<{name}>);  // P9"


def _struct(name: str, doc: str, fields: tuple[Field, ...], size: int) -> Iterator[str]:
    if doc:
        yield from comment(doc, "//")
    yield f"struct {name} {{"
    for field in fields:
        yield f"  {_field_type(field)} {field.name};"
    yield "};"
    yield from _asserts(name, fields, size)


_INCLUDES = [f"#include <{name}>" for name in ("array", "cstddef", "cstdint", "type_traits")]


def protocol_header(protocol: Protocol) -> str:
    """core/base/generated/protocol.hpp."""
    lines = [f"// {HEADER}", "#pragma once", "", *_INCLUDES, "", "namespace provenue {", ""]
    lines += [*_constants(protocol), "", *_enums(protocol)]
    lines += ["", "// One record for every kind of event."]
    lines += _struct("Event", "", protocol.event_fields, protocol.event_bytes)
    lines += ["", "}  // namespace provenue"]
    return "\n".join(lines) + "\n"


def wire_header(protocol: Protocol) -> str:
    """core/base/generated/wire.hpp."""
    lines = [f"// {HEADER}", "#pragma once", "", "#include <array>", "#include <cstdint>", ""]
    lines += ['#include "core/base/generated/protocol.hpp"', "", "namespace provenue {"]
    lines += ["", '// EIP-712 domain: hashes of its type, of "Provenue" and of "1".']
    lines += _hash("kDomainTypeHash", DOMAIN_TYPE)
    lines += _hash("kDomainNameHash", "Provenue")
    lines += _hash("kDomainVersionHash", "1")
    for message in protocol.messages:
        lines += ["", *_wire(message)]
    lines += ["", "}  // namespace provenue"]
    return "\n".join(lines) + "\n"


def _preset(protocol: Protocol, preset: str) -> Iterator[str]:
    yield f"namespace preset_{preset} {{"
    yield f'inline constexpr const char* kPresetName = "{preset}";'
    for name, value in protocol.presets[preset].items():
        yield from comment(protocol.preset_units[name], "//")
        yield f"inline constexpr uint32_t {constant_name(name)} = {_number(value)};"
    for table in protocol.tables:
        name = constant_name(table.name)
        yield f"inline constexpr uint64_t {name}Offset = {table.offsets[preset]:#x};"
        yield f"inline constexpr uint32_t {name}Count = {_number(table.counts[preset])};"
    yield f"inline constexpr uint64_t kImageBytes = {protocol.image_bytes[preset]:#x};"
    yield f"}}  // namespace preset_{preset}"


def _selection(protocol: Protocol) -> Iterator[str]:
    """The preset of this translation unit, chosen by its macro."""
    word = "#if"
    for preset in protocol.presets:
        yield f"{word} defined(PROVENUE_PRESET_{preset.upper()})"
        yield f"#define PROVENUE_PRESET_NAMESPACE preset_{preset}"
        word = "#elif"
    yield "#endif"


def _table_doc(table: Table) -> str:
    return f"{table.name}: {table.doc}" if table.doc else table.name


def layout_header(protocol: Protocol) -> str:
    """core/image/generated/layout.hpp."""
    lines = [f"// {HEADER}", "#pragma once", "", *_INCLUDES, "", *_selection(protocol)]
    lines += ["", "namespace provenue {"]
    for table in protocol.tables:
        if table.owner:
            doc = _table_doc(table)
            lines += ["", *_struct(table.record, doc, table.fields, table.record_bytes)]
    lines += [""]
    for table in protocol.tables:
        shared = f"array of {_TYPES[table.packed]}" if table.packed else table.record
        if not table.owner:
            lines += comment(f"{_table_doc(table)} ({shared})", "//")
    for preset in protocol.presets:
        lines += ["", *_preset(protocol, preset)]
    lines += ["", "}  // namespace provenue"]
    return "\n".join(lines) + "\n"
