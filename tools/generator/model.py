"""The protocol tables as Python objects."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tools.generator.keccak import keccak256

__all__ = [
    "DOMAIN_TYPE", "EIP712_TYPE", "Code", "Constant", "Enumeration", "Field", "Message", "Protocol",
    "SchemaError", "Table", "eip712_members", "fail",
]  # fmt: skip

DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
EIP712_TYPE = re.compile(r"(?P<name>[A-Z][A-Za-z]*)\((?P<members>[^()]*)\)")


def eip712_members(eip712: str) -> tuple[tuple[str, str], ...]:
    """(name, type) of the members of `Name(type member,...)`."""
    match = EIP712_TYPE.fullmatch(eip712)
    assert match is not None
    return tuple((name, kind) for kind, name in (m.split(" ") for m in match["members"].split(",")))


class SchemaError(Exception):
    """A protocol table is wrong: the file, the entry, what was expected and what was found."""


def fail(place: str, expected: str, found: object) -> SchemaError:
    """An error in one form: where, what was expected, what was there."""
    return SchemaError(f"{place}: expected {expected}, was {found!r}")


@dataclass(frozen=True)
class Constant:
    """A number of the protocol."""

    name: str
    value: int
    unit: str
    why: str


@dataclass(frozen=True)
class Code:
    """A reject code."""

    name: str
    number: int
    text: str


@dataclass(frozen=True)
class Field:
    """A field of a record or a message. `offset` counts from the start of what holds it."""

    name: str
    base: str
    count: int
    offset: int
    size: int
    entries: tuple["Field", ...] = ()

    @property
    def is_bytes(self) -> bool:
        """Whether it is a byte string and not an integer (or an array of integers)."""
        return self.base[0] == "b" or self.base == "sig"


@dataclass(frozen=True)
class Message:
    """A kind of message. For a message with a list, `size` is the size without entries."""

    name: str
    kind: int
    source: str
    doc: str
    eip712: str | None
    fields: tuple[Field, ...]
    size: int

    @property
    def entries(self) -> Field | None:
        """The list, if there is one."""
        return next((field for field in self.fields if field.base == "list"), None)

    @property
    def type_hash(self) -> bytes:
        """EIP-712 hash of the type string; only signed kinds have one."""
        assert self.eip712 is not None
        return keccak256(self.eip712.encode())

    @property
    def members(self) -> tuple[tuple[str, str], ...]:
        """(name, type) of the EIP-712 members, in order."""
        return eip712_members(self.eip712) if self.eip712 else ()


@dataclass(frozen=True)
class Table:
    """A table of the image. `record` names the struct; `owner` says that it is declared here."""

    name: str
    doc: str
    record: str
    owner: bool
    packed: str | None
    fields: tuple[Field, ...]
    record_bytes: int
    count: str
    counts: Mapping[str, int]
    offsets: Mapping[str, int]


@dataclass(frozen=True)
class Enumeration:
    """Named values of a field; a flag's values are bits."""

    name: str
    values: Mapping[str, int]

    @property
    def is_flag(self) -> bool:
        """Whether the values may be combined."""
        return self.name.endswith("_flag")


@dataclass(frozen=True)
class Protocol:
    """All tables."""

    constants: tuple[Constant, ...]
    presets: Mapping[str, Mapping[str, int]]
    preset_units: Mapping[str, str]
    codes: tuple[Code, ...]
    messages: tuple[Message, ...]
    enums: tuple[Enumeration, ...]
    event_fields: tuple[Field, ...]
    event_bytes: int
    tables: tuple[Table, ...]
    image_bytes: Mapping[str, int]

    def constant(self, name: str) -> int:
        """The value of a constant."""
        return next(constant.value for constant in self.constants if constant.name == name)
