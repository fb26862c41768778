"""What the documents say, as data: tables, fenced blocks, named paths, fields of API results."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "ROOT",
    "Block",
    "Shape",
    "blocks",
    "named_paths",
    "rows",
    "section",
    "shape_of",
    "ticks",
]

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TICKS = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)\)")
_TOPS = (
    *("protocol", "core", "keccak", "machine", "bindings", "contracts", "src", "tests", "tools"),
    *("bench", "docs", "cmake", ".ci"),
)
_ROOT_FILE = re.compile(r"(?:[A-Z][\w.]*\.(?:md|txt)|Makefile|LICENSE|pyproject\.toml)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and text."""

    language: str
    text: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a document, in order."""
    return [Block(match[1], match[2]) for match in _BLOCK.finditer(text)]


def prose(text: str) -> str:
    """A document without its fenced blocks."""
    return _BLOCK.sub("", text)


def section(text: str, heading: str) -> str:
    """The text under a `## heading`, up to the next one."""
    _, found, rest = text.partition(f"\n## {heading}\n")
    assert found, f"expected a section {heading!r}"
    return rest.split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row but headings and rules."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("|")]
    found = []
    for number, line in enumerate(lines):
        is_rule = set(line) <= set("|-: ")
        is_heading = number + 1 < len(lines) and set(lines[number + 1]) <= set("|-: ")
        if not is_rule and not is_heading:
            found.append([cell.strip() for cell in line[1:-1].split("|")])
    return found


def ticks(text: str) -> list[str]:
    """What stands in backticks."""
    return _TICKS.findall(text)


def named_paths(text: str, *, document: Path) -> set[Path]:
    """Files and folders of this tree that a document names, as text or as a link."""
    plain = prose(text)
    found = {(document.parent / link).resolve() for link in _LINK.findall(plain) if ":" not in link}
    for word in ticks(plain):
        name = word.split(":")[0].rstrip("/")
        is_path = (name.split("/")[0] in _TOPS and "/" in word) or _ROOT_FILE.fullmatch(name)
        if is_path and not set(name) & set(" {<("):
            found.add(ROOT / name)
    return found


@dataclass
class Shape:
    """What a result is: a kind, and the fields of an object (or of each element of a list)."""

    kind: str
    needed: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    inside: dict[str, Shape] = field(default_factory=dict)

    def check(self, place: str, value: object, compared: set[str]) -> None:
        """AssertionError where a value is not of this shape; `compared` gets what was looked at."""
        kinds: dict[str, type | tuple[type, ...]] = {
            "number": (int, float), "text": str, "list": list, "list of": list, "object": dict,
        }  # fmt: skip
        assert isinstance(value, kinds[self.kind]), f"{place}: expected {self.kind}, was {value!r}"
        elements = value if isinstance(value, list) and self.kind == "list of" else [value]
        for element in elements:
            compared.add(place)
            if isinstance(element, dict):
                self._check_fields(place, element, compared)

    def _check_fields(self, place: str, value: dict[str, object], compared: set[str]) -> None:
        missing = self.needed - set(value)
        unknown = set(value) - self.needed - self.optional
        assert not missing, f"{place}: the document says {sorted(missing)}, the gateway does not"
        assert not unknown, f"{place}: the gateway gives {sorted(unknown)}, undocumented"
        for name, shape in self.inside.items():
            shape.check(f"{place}.{name}", value[name], compared)

    def places(self, place: str) -> set[str]:
        """Every place below that must be compared once: lists may be empty, but not always."""
        inside = [shape.places(f"{place}.{name}") for name, shape in self.inside.items()]
        return {place}.union(*inside)


def shape_of(cell: str, objects: dict[str, Shape]) -> Shape:
    """The shape that a result cell says; see docs/api.md for the notation."""
    if cell in ("number", "text", "list"):
        return Shape(cell)
    text = re.split(r"; |\. ", re.sub(r"\([^)]*\)", "", cell))[0]
    whole_list = text.startswith("list of ")
    shape = Shape("list of" if whole_list else "object")
    for part in text.removeprefix("list of ").split(","):
        _add(shape, part, objects)
    return shape


def _add(shape: Shape, part: str, objects: dict[str, Shape]) -> None:
    names = re.findall(r"`(\w+)`(\??)", part)
    for name, mark in names:
        (shape.optional if mark else shape.needed).add(name)
    named = re.search(r"(list of )?\*([^*]+)\*", part)
    if named is None:
        return
    other = objects[named[2]]
    if names:
        kind = "list of" if named[1] else "object"
        shape.inside[names[-1][0]] = Shape(kind, other.needed, other.optional, other.inside)
    else:
        shape.needed |= other.needed
        shape.optional |= other.optional
        shape.inside |= other.inside
