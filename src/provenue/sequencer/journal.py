"""The journal: every sequenced input, hash-chained, durable before anything is acknowledged.

The journal is the truth (design section 6): state is what replaying it gives. One folder holds
segments `journal-<first index>.log`; a segment is a header and records:

    header   8 bytes magic, u64 index of the first record, 32 bytes chain hash before it
    record   u32 length of (type ‖ payload), u8 type, payload, 32 bytes chain hash
    chain    sha256(previous chain ‖ u64 index ‖ type ‖ payload)

All integers big-endian. `Writer.append` only buffers; `Writer.commit` writes and fdatasyncs
everything appended so far (group commit). A record is durable once a commit that began after its
append has returned.

After a crash the last record may be torn. `open_writer` cuts a torn tail; damage anywhere else is
an error, since a journal that lost acknowledged messages must not be continued.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

__all__ = [
    "Follower",
    "JournalError",
    "Record",
    "RecordType",
    "Writer",
    "first_index",
    "open_writer",
    "read",
    "segments",
]

MAGIC = b"PVNJRNL1"
HEADER = struct.Struct(">8sQ32s")
LENGTH = struct.Struct(">I")
INDEX = struct.Struct(">Q")
CHAIN_BYTES = 32
GENESIS_CHAIN = bytes(CHAIN_BYTES)
# A record holds at most one message of a batch (120,000 bytes) and a little framing.
RECORD_BYTES_MAX = 1 << 18
SEGMENT_BYTES_MAX = 256 << 20


class JournalError(Exception):
    """The journal cannot be read or continued; the text says which file, where, and what to do."""


class RecordType(IntEnum):
    """What a record means; payloads are defined by the sequencer."""

    BATCH_OPEN = 1
    INBOX_MESSAGE = 2
    POSTED_MESSAGE = 3
    BATCH_CLOSE = 4
    SKIP = 5
    STATE_ROOT = 6


@dataclass(frozen=True, slots=True)
class Record:
    """One durable record: its index in the whole journal, type, payload, and the chain hash after
    it.
    """

    index: int
    type: RecordType
    payload: bytes
    chain: bytes


def _next_chain(chain: bytes, index: int, body: bytes) -> bytes:
    return hashlib.sha256(chain + INDEX.pack(index) + body).digest()


def _segment_path(folder: Path, index: int) -> Path:
    return folder / f"journal-{index:016d}.log"


def segments(folder: Path) -> list[Path]:
    """The segment files of a journal folder, oldest first."""
    return sorted(folder.glob("journal-*.log"))


def first_index(path: Path) -> int:
    """Index of the first record that a segment may hold (from its name)."""
    return int(path.stem.removeprefix("journal-"))


@dataclass(slots=True)
class _Scan:
    """Where reading one segment ended: the state behind its last good record."""

    index: int
    chain: bytes
    good_bytes: int
    fault: str | None


def _read_header(path: Path, data: bytes) -> tuple[int, bytes]:
    if len(data) < HEADER.size:
        raise JournalError(f"{path}: header: expected {HEADER.size} bytes, got {len(data)}")
    magic, index, chain = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise JournalError(
            f"{path}: magic: expected {MAGIC!r}, got {magic!r}; not a journal of this version"
        )
    if index != first_index(path):
        raise JournalError(
            f"{path}: first index: the name says {first_index(path)}, the header {index}"
        )
    return index, chain


def _scan(data: memoryview, scan: _Scan) -> Iterator[Record]:
    """Yield good records from `scan` on; stop at the end or first fault, place in `scan`."""
    total = len(data)
    while scan.good_bytes < total:
        at = scan.good_bytes
        if at + LENGTH.size > total:
            scan.fault = "length cut short"
            return
        (length,) = LENGTH.unpack_from(data, at)
        end = at + LENGTH.size + length + CHAIN_BYTES
        if not 1 <= length <= RECORD_BYTES_MAX:
            scan.fault = f"length {length} is outside 1..{RECORD_BYTES_MAX}"
            return
        if end > total:
            scan.fault = "record cut short"
            return
        body = bytes(data[at + LENGTH.size : end - CHAIN_BYTES])
        chain = _next_chain(scan.chain, scan.index, body)
        if chain != bytes(data[end - CHAIN_BYTES : end]):
            scan.fault = "chain hash differs"
            return
        try:
            kind = RecordType(body[0])
        except ValueError:
            raise JournalError(
                f"journal record {scan.index}: type {body[0]} is unknown; "
                "written by a newer version?"
            ) from None
        yield Record(scan.index, kind, body[1:], chain)
        scan.index += 1
        scan.chain = chain
        scan.good_bytes = end


def read(folder: Path, *, start: int = 0) -> Iterator[Record]:
    """Yield the records with index >= start, verifying the chain of every segment that is read.

    A torn tail of the newest segment ends the reading silently (nothing in it was acknowledged);
    any other damage raises `JournalError`. Safe to call while a writer appends: a half-written tail
    is not yielded.
    """
    files = segments(folder)
    # Whole segments before `start` need not be read: each header carries the chain it continues.
    wanted = [
        f for i, f in enumerate(files) if i + 1 == len(files) or first_index(files[i + 1]) > start
    ]
    previous: _Scan | None = None
    for path in wanted:
        with path.open("rb") as file:
            data = file.read()
        if path == files[-1] and len(data) < HEADER.size:
            return  # the crash came while the segment was made; nothing in it was acknowledged
        index, chain = _read_header(path, data)
        if previous is not None and (index, chain) != (previous.index, previous.chain):
            raise JournalError(
                f"{path}: does not continue the segment before it (a file is missing or foreign)"
            )
        scan = _Scan(index, chain, HEADER.size, None)
        for record in _scan(memoryview(data), scan):
            if record.index >= start:
                yield record
        if scan.fault is not None and path != files[-1]:
            raise JournalError(
                f"{path}: byte {scan.good_bytes}: {scan.fault}, and later segments exist; "
                "restore the file from a copy"
            )
        previous = scan


class Follower:
    """Reads a journal that another process is writing, from a record index on.

    Each record is verified once; a half-written tail is left for the next call. What is read may
    not be durable yet: `sync` makes it so.
    """

    def __init__(self, folder: Path, *, start: int) -> None:
        self._folder = folder
        self._start = start
        self._path: Path | None = None
        self._scan: _Scan | None = None

    def read_new(self) -> list[Record]:
        """The records that have appeared since the last call, in order."""
        found: list[Record] = []
        while True:
            if self._path is None and not self._open(self._next_segment()):
                return found
            assert self._path is not None
            assert self._scan is not None
            found += self._read_segment()
            following = [p for p in segments(self._folder) if p > self._path]
            if not following:
                return found
            # The writer commits before it starts a segment, so the one before is whole now.
            found += self._read_segment()
            if not self._open(following[0]):
                return found

    def sync(self) -> None:
        """fdatasync the segment being read: what was returned so far survives a power loss."""
        if self._path is not None:
            fd = os.open(self._path, os.O_RDONLY)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)

    def _next_segment(self) -> Path | None:
        files = segments(self._folder)
        before = [p for p in files if first_index(p) <= self._start]
        return before[-1] if before else None

    def _open(self, path: Path | None) -> bool:
        if path is None or path.stat().st_size < HEADER.size:
            return False
        with path.open("rb") as file:
            index, chain = _read_header(path, file.read(HEADER.size))
        if self._scan is not None and (index, chain) != (self._scan.index, self._scan.chain):
            raise JournalError(f"{path}: does not continue the segment before it")
        self._path, self._scan = path, _Scan(index, chain, HEADER.size, None)
        return True

    def _read_segment(self) -> list[Record]:
        assert self._path is not None
        assert self._scan is not None
        offset = self._scan.good_bytes
        with self._path.open("rb") as file:
            file.seek(offset)
            data = file.read()
        scan = _Scan(self._scan.index, self._scan.chain, 0, None)
        found = [r for r in _scan(memoryview(data), scan) if r.index >= self._start]
        self._scan = _Scan(scan.index, scan.chain, offset + scan.good_bytes, None)
        return found


def _has_record_behind(data: bytes, scan: _Scan) -> bool:
    """Whether a whole record that once was valid stands behind the fault: then it is damage, not a
    torn tail.

    A torn group write can only cut the tail off, it cannot leave a good record behind the cut. The
    chain hash of a record proves its own bytes only together with the one before it, so the record
    behind is tried with both chains the faulty one may have had: the stored (its body is damaged)
    and the computed (its stored hash is damaged).
    """
    at = scan.good_bytes
    if at + LENGTH.size > len(data):
        return False
    (length,) = LENGTH.unpack_from(data, at)
    end = at + LENGTH.size + length + CHAIN_BYTES
    if not 1 <= length <= RECORD_BYTES_MAX or end >= len(data):
        return False
    stored = bytes(data[end - CHAIN_BYTES : end])
    computed = _next_chain(scan.chain, scan.index, data[at + LENGTH.size : end - CHAIN_BYTES])
    for chain in (stored, computed):
        try:
            if (
                next(_scan(memoryview(data), _Scan(scan.index + 1, chain, end, None)), None)
                is not None
            ):
                return True
        except JournalError:
            return True  # the chain agreed; only the type is unknown
    return False


def open_writer(folder: Path) -> Writer:
    """Open a journal for appending, creating it if it is new; cut a torn tail (after saving it
    beside).

    Raises JournalError on damage that is not a torn tail.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = segments(folder)
    if not files:
        return Writer(folder, 0, GENESIS_CHAIN, None)
    path = files[-1]
    data = path.read_bytes()
    if len(data) < HEADER.size:
        # Made and never written: the segment before it says where to go on.
        path.unlink()
        return open_writer(folder)
    index, chain = _read_header(path, data)
    scan = _Scan(index, chain, HEADER.size, None)
    for _ in _scan(memoryview(data), scan):
        pass
    if scan.fault is not None:
        if _has_record_behind(data, scan):
            raise JournalError(
                f"{path}: byte {scan.good_bytes} (record {scan.index}): {scan.fault}, "
                "with good records behind it: the file was damaged after it was written; "
                "restore it from a copy"
            )
        path.with_suffix(".torn").write_bytes(data[scan.good_bytes :])
        with path.open("r+b") as file:
            file.truncate(scan.good_bytes)
            os.fsync(file.fileno())
    return Writer(folder, scan.index, scan.chain, path)


class Writer:
    """Appends records. `append` from one thread (the sequencer); `commit` from any one thread at a
    time.
    """

    def __init__(self, folder: Path, index: int, chain: bytes, path: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._index = index
        self._chain = chain
        self._buffer = bytearray()
        self._file_bytes = 0
        self._failed: str | None = None
        self._fd = -1
        if path is None:
            self._start_segment()
        else:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND)
            self._file_bytes = os.fstat(self._fd).st_size

    @property
    def next_index(self) -> int:
        """Index that the next appended record will get."""
        return self._index

    @property
    def chain(self) -> bytes:
        """Chain hash after the last appended record (32 bytes)."""
        return self._chain

    @property
    def has_uncommitted(self) -> bool:
        """Whether a `commit` has anything to write."""
        return bool(self._buffer)

    def append(self, kind: RecordType, payload: bytes) -> int:
        """Buffer one record; returns its index. Durable only after the next `commit`."""
        if len(payload) >= RECORD_BYTES_MAX:
            raise JournalError(
                f"record payload: expected less than {RECORD_BYTES_MAX} bytes, got {len(payload)}"
            )
        body = bytes((kind,)) + payload
        with self._lock:
            index = self._index
            self._chain = _next_chain(self._chain, index, body)
            self._buffer += LENGTH.pack(len(body)) + body + self._chain
            self._index = index + 1
        return index

    def commit(self) -> int:
        """Write and fdatasync what has been appended; returns the index below which everything is
        durable.

        A failed write or sync is final for this writer: what the disk then holds is unknown (a
        retried fsync may report success for lost pages), so the process must stop and recover from
        the file.
        """
        if self._failed is not None:
            raise JournalError(
                f"the journal failed before: {self._failed}; restart to recover from the file"
            )
        with self._lock:
            buffer, durable = self._buffer, self._index
            self._buffer = bytearray()
        if not buffer:
            return durable
        try:
            view = memoryview(buffer)
            while view:
                view = view[os.write(self._fd, view) :]
            os.fdatasync(self._fd)
        except OSError as error:
            self._failed = str(error)
            raise JournalError(
                f"{self._folder}: write failed: {error}; nothing since was acknowledged"
            ) from error
        self._file_bytes += len(buffer)
        return durable

    def rotate(self) -> None:
        """Start a new segment (committing first), at snapshots: old ones can be archived."""
        self.commit()
        if self._file_bytes > HEADER.size:
            os.close(self._fd)
            self._start_segment()

    def rotate_if_large(self) -> None:
        """Start a new segment when the present one has outgrown SEGMENT_BYTES_MAX."""
        if self._file_bytes > SEGMENT_BYTES_MAX:
            self.rotate()

    def close(self) -> None:
        """Commit and close."""
        if self._fd >= 0:
            if self._failed is None:
                self.commit()
            os.close(self._fd)
            self._fd = -1

    def _start_segment(self) -> None:
        path = _segment_path(self._folder, self._index)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        header = HEADER.pack(MAGIC, self._index, self._chain)
        os.write(self._fd, header)
        os.fsync(self._fd)
        folder_fd = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder_fd)  # the name must survive too
        finally:
            os.close(folder_fd)
        self._file_bytes = len(header)
