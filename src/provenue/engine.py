"""The native engine: the production program as a Python object, live, in replay and in notebooks.

    engine = Engine("dev")
    code, events = engine.apply(message, from_inbox=False, stamp_min_ms=0, stamp_max_ms=2**64 - 1)
    engine.root()

Every amount is an integer: quote units and asset units, ticks, lots, milliseconds, parts per
million. An engine is for one thread at a time; another thread that enters is refused with a
RuntimeError. Long calls release the GIL.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from provenue import _native
from provenue._generated.constants import EVENT_BYTES, LEAF_BYTES
from provenue._generated.layout import IMAGE_BYTES
from provenue._guest import GuestMissingError, guest_elf
from provenue._image import (
    AccountView,
    AssetView,
    BookView,
    FeedView,
    ImageReader,
    InstrumentView,
    LedgerView,
    LevelView,
    OrderView,
    PositionView,
    locate,
)
from provenue._secp256k1 import library_path
from provenue._snapshot import SnapshotError, SnapshotHeader, read_snapshot, write_snapshot

__all__ = [
    "AccountView",
    "Applied",
    "AssetView",
    "BookView",
    "Engine",
    "EngineFault",
    "FeedView",
    "GuestMissingError",
    "InstrumentView",
    "LedgerView",
    "LevelView",
    "Margins",
    "OrderView",
    "PositionView",
    "SnapshotError",
    "SnapshotHeader",
    "claim_root",
    "guest_elf",
    "keccak256",
    "keccak_width",
    "locate",
    "native_twin",
    "pack",
    "preverify",
    "recover_callback",
    "recover_counters",
    "set_keccak_width",
]

BytesLike: TypeAlias = bytes | bytearray | memoryview

RECOVER_INPUT_BYTES = 128


class EngineFault(RuntimeError):  # noqa: N818 - a fault of the program, not of the call
    """The program broke one of its own rules. The image is exactly as before the message (P4).

    `rule` is the assertion that failed, `line` its place, `applied` (from `apply_many`) what came
    before it.
    """

    def __init__(self, rule: str, line: int, applied: Applied | None = None) -> None:
        super().__init__(f"{rule} (line {line})")
        self.rule = rule
        self.line = line
        self.applied = applied


_native.engine_set_fault_class(EngineFault)


@dataclass(frozen=True, slots=True)
class Margins:
    """Equity and margins of an account in quote units, at the marks in the image (chapter 5)."""

    equity: int
    initial: int
    maintenance: int


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of many messages: a code each, and all events as packed 64-byte records."""

    codes: npt.NDArray[np.uint32]
    event_ends: npt.NDArray[np.uint64]
    events: bytes
    roots: list[bytes]

    def events_of(self, index: int) -> bytes:
        """The packed events of one message."""
        start = int(self.event_ends[index - 1]) if index else 0
        return self.events[start * EVENT_BYTES : int(self.event_ends[index]) * EVENT_BYTES]


_native.engine_load_secp256k1(library_path())


class Engine:
    """One exchange: image, program, Merkle tree. Starts from the zero image."""

    __slots__ = ("_native", "_preset", "_reader")

    def __init__(
        self, preset: str = "dev", *, image_path: str | os.PathLike[str] | None = None
    ) -> None:
        """With `image_path` the image lies in that file, which other processes may map and read.

        The file always starts as zeros: a live mapping is no storage, snapshots are.
        """
        if preset not in IMAGE_BYTES:
            raise ValueError(f"preset: expected one of {', '.join(IMAGE_BYTES)}, was {preset!r}")
        self._preset = preset
        self._native = _native.Engine(preset, None if image_path is None else os.fspath(image_path))
        self._reader = ImageReader(preset, self._native.image())

    @property
    def preset(self) -> str:
        """The name of the capacities."""
        return self._preset

    # --- messages --------------------------------------------------------------------------------

    def apply(
        self, message: BytesLike, *, from_inbox: bool, stamp_min_ms: int, stamp_max_ms: int
    ) -> tuple[int, bytes]:
        """Apply one message: its code (0 is OK) and its events as packed 64-byte records.

        Raises EngineFault when an assertion of the program fails; nothing has changed then.
        """
        return self._native.apply(message, from_inbox, stamp_min_ms, stamp_max_ms)

    def apply_many(
        self,
        data: BytesLike,
        offsets: npt.NDArray[np.uint64] | Sequence[int],
        *,
        from_inbox: bool | Sequence[bool] | npt.NDArray[np.bool_],
        stamp_min_ms: int,
        stamp_max_ms: int,
        roots: bool = False,
    ) -> Applied:
        """Apply messages without the GIL: message i is `data[offsets[i]:offsets[i + 1]]`.

        With `roots`, also the image root after each. On EngineFault, `fault.applied` holds what was
        applied before it, and message `len(fault.applied.codes)` had no effect.
        """
        places = np.ascontiguousarray(offsets, dtype=np.uint64)
        count = max(len(places) - 1, 0)
        if isinstance(from_inbox, bool):
            sources = np.full(count, from_inbox, dtype=np.uint8)
        else:
            sources = np.ascontiguousarray(from_inbox, dtype=np.uint8)
        codes, ends, events, root_bytes, fault = self._native.apply_many(
            data, places, sources, stamp_min_ms, stamp_max_ms, roots
        )
        applied = Applied(
            np.frombuffer(codes, dtype=np.uint32),
            np.frombuffer(ends, dtype=np.uint64),
            events,
            [root_bytes[at : at + LEAF_BYTES] for at in range(0, len(root_bytes), LEAF_BYTES)],
        )
        if fault is not None:
            raise EngineFault(*fault, applied)
        return applied

    def pending(self) -> bool:
        """Whether a CONTINUE has work: a taker's remainder, or a sweep that is not finished."""
        return bool(self._reader.get("pending_order") or self._reader.get("sweep_remaining"))

    @property
    def now_ms(self) -> int:
        """The program's time: the stamp of the last message that was applied."""
        return self._reader.get("now_ms")

    # --- image, root, snapshot -------------------------------------------------------------------

    @property
    def image(self) -> memoryview:
        """The live image, read-only."""
        return self._native.image()

    @property
    def image_bytes(self) -> int:
        """The size of the image: the end of its last table."""
        return IMAGE_BYTES[self._preset]

    @property
    def tables(self) -> dict[str, npt.NDArray[Any]]:
        """The live tables of `protocol/image.toml` as read-only NumPy arrays, by name."""
        return self._reader.tables

    def root(self) -> bytes:
        """The state root; costs the leaves written since it was last asked for."""
        return self._native.root()

    def rehash(self) -> bytes:
        """The state root computed from all bytes anew; equal to `root()` (P1)."""
        return self._native.rehash()

    def leaf_proof(self, offset: int) -> list[bytes]:
        """The 29 siblings, lowest first, of the leaf that holds image byte `offset`."""
        if not 0 <= offset < self.image_bytes:
            raise ValueError(f"offset: expected 0 to {self.image_bytes - 1}, was {offset}")
        return self._native.leaf_proof(offset // LEAF_BYTES)

    def dump(self) -> str:
        """The canonical dump (chapter 8), to compare with the executable specification."""
        return self._native.dump()

    def snapshot(self, path: str | os.PathLike[str], *, sequence: int) -> SnapshotHeader:
        """Write the image to a file, atomically and durably; `sequence` is the next message's."""
        return write_snapshot(
            Path(path),
            preset=self._preset,
            sequence=sequence,
            root=self.root(),
            image=self.image,
            pages=self.pages(),
        )

    def pages(self) -> npt.NDArray[np.uint64]:
        """The numbers of the 4096-byte pages of the image that hold anything but zeros."""
        return np.frombuffer(self._native.pages(), dtype=np.uint64)

    @classmethod
    def restore(cls, path: str | os.PathLike[str]) -> Engine:
        """An engine from a snapshot; SnapshotError unless its root is the one in the header."""
        return cls.restore_with_header(path)[0]

    @classmethod
    def restore_with_header(cls, path: str | os.PathLike[str]) -> tuple[Engine, SnapshotHeader]:
        """The same, with the header, which knows the sequence number."""
        header, numbers, pages = read_snapshot(Path(path))
        engine = cls(header.preset)
        engine._native.load_pages(numbers, pages)
        if engine.root().hex() != header.root:
            raise SnapshotError(
                f"{os.fspath(path)}: root: expected {header.root}, the pages give "
                f"{engine.root().hex()}; the file is damaged, use an older one"
            )
        return engine, header

    # --- what is in it ---------------------------------------------------------------------------

    def margins(self, account: int) -> Margins:
        """Equity and margins by the program's own functions."""
        self._check_account(account)
        return Margins(*self._native.margins(account))

    def equity(self, account: int) -> int:
        """Quote units (5.3)."""
        return self.margins(account).equity

    def initial_margin(self, account: int) -> int:
        """Quote units (5.2)."""
        return self.margins(account).initial

    def maintenance_margin(self, account: int) -> int:
        """Quote units (5.3)."""
        return self.margins(account).maintenance

    def _check_account(self, account: int) -> None:
        limit = len(self._reader.tables["accounts"])
        if not 0 <= account < limit:
            raise ValueError(f"account: expected an index of 0 to {limit - 1}, was {account}")

    def find_account(self, owner: bytes, subaccount: int) -> int | None:
        """The index of the open account of an owner (20 bytes), or None."""
        if len(owner) != 20:
            raise ValueError(f"owner: expected 20 bytes, was {len(owner)}")
        return self._reader.find_account(owner, subaccount)

    def account(self, index: int) -> AccountView | None:
        """An account by index, or None if it is not open."""
        return self._reader.account(index)

    def positions(self, account: int) -> list[PositionView]:
        """The position rows in use of an account, by instrument."""
        self._check_account(account)
        return self._reader.positions(account)

    def orders(self, account: int) -> list[OrderView]:
        """The live orders of an account, oldest first."""
        self._check_account(account)
        return self._reader.orders(account)

    def order(self, order_id: int) -> OrderView | None:
        """A live order, or None if it has ended."""
        return self._reader.order(order_id)

    def book(self, instrument: int, depth: int = 20) -> BookView:
        """The best `depth` price levels of both sides, best first."""
        limit = len(self._reader.tables["instruments"])
        if not 0 <= instrument < limit:
            raise ValueError(f"instrument: expected 0 to {limit - 1}, was {instrument}")
        return self._reader.book(instrument, depth)

    def assets(self) -> list[AssetView]:
        """Every listed asset."""
        return self._reader.assets()

    def instruments(self) -> list[InstrumentView]:
        """Every listed instrument."""
        return self._reader.instruments()

    def feeds(self) -> list[FeedView]:
        """Every feed that has a price."""
        return self._reader.feeds()

    def ledger(self) -> list[LedgerView]:
        """P5 of every asset: `total` is `applied`, exactly."""
        return self._reader.ledger()

    def position_sums(self) -> dict[int, int]:
        """The sum of position sizes by instrument: all zero (P5)."""
        return self._reader.position_sums()

    def globals(self, name: str) -> int:
        """A number of the table `globals`, such as `withdrawal_count`."""
        return self._reader.get(name)

    @property
    def withdrawal_root(self) -> bytes:
        """The root of the withdrawal tree; zeros before the first withdrawal."""
        return self._reader.withdrawal_root

    @property
    def domain_separator(self) -> bytes:
        """Of every signature; zeros before GENESIS."""
        return self._reader.domain_separator

    @staticmethod
    def preverify(inputs: Sequence[bytes] | BytesLike, *, threads: int = 1) -> list[bytes]:
        """See the function of the same name: what it remembers serves every engine."""
        return preverify(inputs, threads=threads)


def pack(messages: Iterable[bytes]) -> tuple[bytes, npt.NDArray[np.uint64]]:
    """Messages as `apply_many` takes them: the bytes, and count + 1 offsets."""
    items = list(messages)
    offsets = np.zeros(len(items) + 1, dtype=np.uint64)
    np.cumsum([len(item) for item in items], out=offsets[1:])
    return b"".join(items), offsets


def preverify(inputs: Sequence[bytes] | BytesLike, *, threads: int = 1) -> list[bytes]:
    """Recover signers ahead of the sequencer, on other cores, and remember the results.

    Each input is what the program will ask: digest, v, r, s as words of 32 bytes. The results are
    20-byte addresses, empty where the signature is invalid. Thread-safe.
    """
    data = inputs if isinstance(inputs, bytes | bytearray | memoryview) else b"".join(inputs)
    if len(data) % RECOVER_INPUT_BYTES:
        raise ValueError(
            f"inputs: expected {RECOVER_INPUT_BYTES} bytes each, was {len(data)} in all"
        )
    words = _native.engine_recover(data, threads)
    addresses = (words[at + 12 : at + 32] for at in range(0, len(words), 32))
    return [address if any(address) else b"" for address in addresses]


def recover_callback() -> int:
    """The address of the native ecrecover, for `Machine.set_recover`."""
    return _native.engine_recover_address()


def recover_counters() -> tuple[int, int]:
    """(signatures computed, answered from memory) since the process began."""
    return _native.engine_recover_counters()


def claim_root(roots: Sequence[bytes]) -> bytes:
    """The root of the claim tree over the image roots of a batch (chapter 7.4)."""
    return _native.engine_claim_tree(b"".join(roots))[0]


def keccak256(data: BytesLike) -> bytes:
    """keccak-256, natively."""
    return _native.engine_keccak(data)


def keccak_width() -> int:
    """How many hashes one permutation computes: 1, 4 (AVX2) or 8 (AVX-512)."""
    return _native.engine_keccak_width()


def set_keccak_width(width: int) -> bool:
    """Choose the width, for tests and measurements; False if this CPU does not have it."""
    return _native.engine_set_keccak_width(width)


def native_twin(preset: str, elf: bytes) -> _native.Twin:
    """Engine and guest side by side in C++; use `provenue.p1.Twin`."""
    return _native.Twin(preset, elf)
