"""P1 as a check to run: native engine and guest side by side, the same bytes after every message.

    twin = Twin("dev")
    check = twin.check_batch(header, inbox_messages, posted)
    assert check.ok, check.mismatches
    claim = check.roots

The operator runs it before it posts a claim: no root is claimed that the guest has not reproduced.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from provenue._generated.constants import EVENT_BYTES, LEAF_BYTES
from provenue.engine import Engine, claim_root, guest_elf, locate, native_twin
from provenue.wire import Header, encode_slot

__all__ = ["BatchCheck", "Mismatch", "Twin", "TwinError"]


class TwinError(RuntimeError):
    """The twin cannot go on: its two sides have parted in an earlier batch."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where the two sides part. `kind` is outcome, code, event_count, event, image or root."""

    kind: str
    message: int
    place: str
    native: int
    guest: int

    def __str__(self) -> str:
        return (
            f"message {self.message}: {self.kind}: {self.place}: "
            f"native {self.native}, guest {self.guest}"
        )


@dataclass(frozen=True, slots=True)
class BatchCheck:
    """What a batch did on both sides."""

    roots: list[bytes]
    """Of the image, after each message; what the operator may claim if `ok`."""
    codes: npt.NDArray[np.uint32]
    """Reject codes; 0 too where `skipped`."""
    skipped: npt.NDArray[np.bool_]
    """Messages on which both sides broke off: they count as empty (P4)."""
    steps: npt.NDArray[np.uint64]
    """Guest instructions."""
    event_ends: npt.NDArray[np.uint64]
    events: bytes
    mismatches: tuple[Mismatch, ...]
    """Empty, or the first: the batch is not run on behind it."""

    @property
    def ok(self) -> bool:
        """Whether both sides did the same."""
        return not self.mismatches

    @property
    def steps_max(self) -> int:
        """Guest instructions of the dearest message."""
        return int(self.steps.max(initial=0))

    @property
    def steps_mean(self) -> int:
        """Guest instructions of a message, on average, rounded down."""
        return int(self.steps.sum()) // max(len(self.steps), 1)

    @property
    def claim_root(self) -> bytes:
        """The root of the claim tree over `roots` (chapter 7.4)."""
        return claim_root(self.roots)

    def events_of(self, index: int) -> bytes:
        """The packed events of one message."""
        start = int(self.event_ends[index - 1]) if index else 0
        return self.events[start * EVENT_BYTES : int(self.event_ends[index]) * EVENT_BYTES]


class Twin:
    """Both builds of the program, each with its own image, from the zero image on."""

    def __init__(self, preset: str = "dev", elf: bytes | None = None) -> None:
        self.preset = preset
        self._native = native_twin(preset, guest_elf(preset) if elf is None else elf)
        self._parted: Mismatch | None = None

    def load(self, engine: Engine) -> None:
        """Start both sides from the image of an engine."""
        if engine.preset != self.preset:
            raise ValueError(f"engine.preset: expected {self.preset}, was {engine.preset}")
        pages = engine.pages()
        image = np.frombuffer(engine.image, dtype=np.uint8).reshape(-1, 4096)
        self._native.load_pages(pages, np.ascontiguousarray(image[pages]).reshape(-1))
        self._parted = None

    def root(self) -> bytes:
        """The image root of the native side."""
        return self._native.root()

    def leaf_proof(self, offset: int) -> list[bytes]:
        """The siblings, leaf upwards, of the image leaf at `offset` (a multiple of 32)."""
        if offset % LEAF_BYTES:
            raise ValueError(f"offset: expected a multiple of {LEAF_BYTES}, was {offset}")
        return self._native.leaf_proof(offset // LEAF_BYTES)

    def image(self) -> memoryview:
        """The native side's image, read-only; it follows the twin."""
        return self._native.image()

    def dump(self) -> str:
        """The canonical dump of the native side."""
        return self._native.dump()

    def check_batch(
        self,
        header: Header | bytes,
        inbox: Sequence[bytes],
        posted: bytes,
        *,
        compare_every: int = 256,
    ) -> BatchCheck:
        """Run one batch on both sides, from where the last one ended.

        `inbox` are the messages of the slice, `posted` the posted bytes (chapter 7.1). After each
        message code, events and every leaf that either side wrote are compared; every
        `compare_every` messages and at the end the whole images, and the incremental root with the
        root of the image rehashed (0: neither). ValueError for what no contract would have made.
        """
        if self._parted is not None:
            raise TwinError(f"twin: the two sides have parted: {self._parted}")
        words = header.encode() if isinstance(header, Header) else header
        slots = b"".join(encode_slot(message) for message in inbox)
        report = self._native.check(words, slots, posted, compare_every)
        mismatches = tuple(self._mismatch(*found) for found in report["differences"])
        if mismatches:
            self._parted = mismatches[0]
        return BatchCheck(
            roots=report["roots"],
            codes=np.frombuffer(report["codes"], dtype=np.uint32),
            skipped=np.frombuffer(report["broke_off"], dtype=np.bool_),
            steps=np.frombuffer(report["steps"], dtype=np.uint64),
            event_ends=np.frombuffer(report["event_ends"], dtype=np.uint64),
            events=report["events"],
            mismatches=mismatches,
        )

    def _mismatch(
        self, kind: str, message: int, at: int, native: int, guest: int, note: str
    ) -> Mismatch:
        return Mismatch(kind, message, self._place(kind, at, note), native, guest)

    def _place(self, kind: str, at: int, note: str) -> str:
        places: dict[str, Any] = {
            "image": lambda: locate(self.preset, at),
            "event": lambda: f"event {at // EVENT_BYTES}, byte {at % EVENT_BYTES}",
            "outcome": lambda: (
                f"native broke off: {note}" if note else f"guest broke off at pc {at:#x}"
            ),
            "root": lambda: "incremental root is not the root of the image rehashed",
        }
        return str(places[kind]()) if kind in places else kind
