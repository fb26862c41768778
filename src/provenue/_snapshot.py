"""The snapshot file: the pages of the image that are not zero, under a header. Private to us.

    magic 8 bytes | length of the header (u32 big-endian) | header (JSON) | SHA-256 of header and
    page numbers | page numbers (u64 little-endian) | pages of 4096 bytes

The image root in the header covers the pages; the digest covers the rest.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from provenue._generated.layout import IMAGE_BYTES, PLACES, TABLES

__all__ = ["PAGE_BYTES", "SnapshotError", "SnapshotHeader", "read_snapshot", "write_snapshot"]

PAGE_BYTES: Final = 4096
_MAGIC: Final = b"PROVSNP\x01"
_HEADER_MAX: Final = 1 << 16


class SnapshotError(ValueError):
    """The file is no snapshot that this program can use; the message says why."""


@dataclass(frozen=True, slots=True)
class SnapshotHeader:
    """What stands at the head of a snapshot. `layout` identifies the image's tables."""

    preset: str
    layout: str
    sequence: int
    root: str
    image_bytes: int
    pages: int


def layout_digest(preset: str) -> str:
    """Identifies names, fields and places of the tables of a preset."""
    text = repr([(name, TABLES[name].dtype, place) for name, place in PLACES[preset].items()])
    return hashlib.sha256(text.encode()).hexdigest()


def write_snapshot(
    path: Path,
    *,
    preset: str,
    sequence: int,
    root: bytes,
    image: memoryview,
    pages: npt.NDArray[np.uint64],
) -> SnapshotHeader:
    """Write a snapshot so that `path` holds either what it held before or all of the new one."""
    header = SnapshotHeader(
        preset, layout_digest(preset), sequence, root.hex(), len(image), len(pages)
    )
    text = json.dumps(asdict(header)).encode()
    numbers = pages.astype("<u8").tobytes()
    data = np.frombuffer(image, dtype=np.uint8).reshape(-1, PAGE_BYTES)[pages]
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + len(text).to_bytes(4, "big") + text)
            file.write(hashlib.sha256(text + numbers).digest() + numbers)
            file.write(data.tobytes())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return header


def read_snapshot(path: Path) -> tuple[SnapshotHeader, bytes, bytes]:
    """Header, page numbers (u64 little-endian) and pages; all but the root is checked."""
    data = path.read_bytes()
    start = len(_MAGIC) + 4
    if len(data) < start or data[: len(_MAGIC)] != _MAGIC:
        raise SnapshotError(f"{path}: expected a snapshot, found something else")
    length = int.from_bytes(data[len(_MAGIC) : start], "big")
    text = data[start : start + length]
    digest = data[start + length : start + length + 32]
    try:
        if length > _HEADER_MAX:
            raise ValueError
        header = SnapshotHeader(**json.loads(text))
        numbers_at = start + length + 32
        pages_at = numbers_at + 8 * header.pages
        numbers = data[numbers_at:pages_at]
        intact = hashlib.sha256(text + numbers).digest() == digest
    except (ValueError, TypeError):
        intact = False
    if not intact or len(data) != pages_at + PAGE_BYTES * header.pages:
        raise SnapshotError(f"{path}: the snapshot is damaged or cut short; use an older one")
    _check_header(path, header)
    return header, numbers, data[pages_at:]


def _check_header(path: Path, header: SnapshotHeader) -> None:
    if header.preset not in IMAGE_BYTES:
        known = ", ".join(IMAGE_BYTES)
        raise SnapshotError(f"{path}: preset: expected one of {known}, was {header.preset!r}")
    if header.layout != layout_digest(header.preset):
        raise SnapshotError(
            f"{path}: layout: the snapshot is of another version of the protocol; replay the "
            "journal from the start with this one"
        )
