"""The typed message classes of src/provenue/wire/."""

from collections.abc import Iterator

from tools.generator.model import Field, Message, Protocol
from tools.generator.names import HEADER, camel
from tools.generator.python import file_text

__all__ = ["kinds_module"]


def _annotation(message: Message, field: Field) -> str:
    if field.base == "sig":
        return "bytes = UNSIGNED"
    if field.name == "stamp_ms":
        return "int = 0"
    if field.base == "list":
        if len(field.entries) == 1:
            return "tuple[bytes, ...]" if field.entries[0].is_bytes else "tuple[int, ...]"
        return f"tuple[{_entry_name(message)}, ...]"
    return "bytes" if field.is_bytes else "int"


def _entry_name(message: Message) -> str:
    return camel(message.name) + "Entry"


def _entry(message: Message) -> Iterator[str]:
    listed = message.entries
    if listed is None or len(listed.entries) == 1:
        return
    yield f"class {_entry_name(message)}(NamedTuple):"
    yield f'    """An entry of {camel(message.name)}.{listed.name}."""'
    yield ""
    for part in listed.entries:
        yield f"    {part.name}: {'bytes' if part.is_bytes else 'int'}"
    yield from ("", "")


def _class(message: Message) -> Iterator[str]:
    yield from _entry(message)
    yield f"class {camel(message.name)}(Message, frozen=True, kw_only=True):"
    yield f'    """{message.doc[0].upper()}{message.doc[1:]}."""'
    yield ""
    yield f"    KIND: ClassVar[Kind] = Kind.{message.name}"
    fields = [field for field in message.fields if not _is_count(message, field)]
    if fields:
        yield ""
    for field in fields:
        yield f"    {field.name}: {_annotation(message, field)}"
    if message.entries:
        yield from ("", "    @property", "    def count(self) -> int:")
        yield from ('        """The number of entries."""', "")
        yield f"        return len(self.{message.entries.name})"


def _is_count(message: Message, field: Field) -> bool:
    """A list knows its own length; framing (chapter 2.2) never lets the two differ."""
    return message.entries is not None and field.name == "count"


def _union(name: str, doc: str, messages: list[Message]) -> Iterator[str]:
    yield f"# {doc}"
    yield f"{name}: TypeAlias = ("
    for index, message in enumerate(messages):
        yield f"    {'| ' if index else ''}{camel(message.name)}"
    yield ")"


def kinds_module(protocol: Protocol) -> str:
    """wire/_kinds.py."""
    signed = [message for message in protocol.messages if message.eip712]
    actions = [message for message in signed if not message.entries]
    lines = ['"""One class per kind of message.', "", HEADER, '"""', "", "# fmt: off", ""]
    lines += ["from typing import ClassVar, Final, NamedTuple, TypeAlias", ""]
    lines += ["from provenue._generated.messages import Kind"]
    lines += ["from provenue.wire._base import UNSIGNED, Message", ""]
    lines += ["__all__ = ["]
    names = {
        "CLASSES",
        "Action",
        "AnyMessage",
        "Signed",
        *(camel(m.name) for m in protocol.messages),
    }
    entries = [m for m in protocol.messages if m.entries and len(m.entries.entries) > 1]
    names |= {_entry_name(message) for message in entries}
    lines += [f'    "{name}",' for name in sorted(names, key=lambda n: (not n.isupper(), n))]
    lines += ["]"]
    for message in protocol.messages:
        lines += ["", "", *_class(message)]
    lines += ["", "", *_union("Action", "What an account's key signs.", actions)]
    lines += _union("Signed", "Every signed kind.", signed)
    lines += [*_union("AnyMessage", "Every kind.", list(protocol.messages)), ""]
    lines += ["CLASSES: Final[dict[Kind, type[Message]]] = {"]
    lines += [f"    Kind.{message.name}: {camel(message.name)}," for message in protocol.messages]
    return file_text([*lines, "}"])
