"""The watcher's own copy of every batch: posted bytes, header, inbox slice, one file a batch.

Nodes prune and operators vanish; what a dispute needs must be here before it is needed. A batch is
stored only after its bytes have made the hash and the input root that the Anchor holds, and is
checked again when it is read.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from provenue import wire
from provenue._durable import write_durably

__all__ = ["Archive", "ArchiveError", "ArchivedBatch"]

_IDENTITY = "archive.json"


class ArchiveError(Exception):
    """The folder cannot be used, or a file in it is not what was stored; the text says which.

    `number` is the batch whose file is damaged or missing: reading it from L1 again mends it.
    """

    def __init__(self, text: str, number: int | None = None) -> None:
        super().__init__(text)
        self.number = number


class ArchivedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as L1 has it. Times in L1 seconds, hashes 32 bytes."""

    number: int
    header: bytes
    """Ten words (chapter 7.2)."""
    data: bytes
    """The posted bytes."""
    inbox: tuple[bytes, ...]
    """Messages of its slice."""
    message_count: int
    input_root: bytes
    data_hash: bytes
    poster: str
    tx_hash: str
    block_number: int
    block_hash: str
    inbox_block: int
    """No inbox item behind the slice was enqueued before this L1 block."""

    @property
    def head(self) -> wire.Header:
        """The header by fields."""
        return wire.Header.decode(self.header)

    @property
    def next_sequence(self) -> int:
        """Sequence number of the message behind the last."""
        return self.head.sequence_first + self.message_count

    @property
    def messages(self) -> list[bytes]:
        """All messages in order of execution: the inbox slice first."""
        return [*self.inbox, *wire.decode_posted(self.data)]

    def check(self) -> None:
        """ArchiveError unless the bytes make the hash and the input root of the chain."""
        if wire.keccak256(self.data) != self.data_hash:
            raise ArchiveError(
                f"batch {self.number}: the posted bytes are not what was posted", self.number
            )
        if wire.input_root(self.data, self.head, self.inbox) != self.input_root:
            raise ArchiveError(
                f"batch {self.number}: header, posted bytes and {len(self.inbox)} inbox items do "
                "not make the input root that the Anchor stored",
                self.number,
            )
        if len(self.messages) != self.message_count:
            raise ArchiveError(
                f"batch {self.number}: expected {self.message_count} messages, the bytes hold "
                f"{len(self.messages)}",
                self.number,
            )


class _Identity(msgspec.Struct, frozen=True):
    chain_id: int
    anchor: str


class Archive:
    """Batches 0 to `count` - 1 of one venue, in one folder."""

    def __init__(self, folder: Path, *, chain_id: int, anchor: str) -> None:
        self.folder = folder
        self._batches = folder / "batches"
        self._batches.mkdir(parents=True, exist_ok=True)
        self._check_identity(_Identity(chain_id, anchor))
        numbers = {int(path.stem) for path in self._batches.glob("*.batch")}
        self.count = 0
        while self.count in numbers:
            self.count += 1

    def _check_identity(self, identity: _Identity) -> None:
        path = self.folder / _IDENTITY
        if not path.exists():
            write_durably(path, msgspec.json.encode(identity))
            return
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_Identity)
        except msgspec.MsgspecError as problem:
            raise ArchiveError(f"{path}: {problem}") from None
        if found != identity:
            raise ArchiveError(
                f"{self.folder}: expected an archive of Anchor {identity.anchor} on chain "
                f"{identity.chain_id}, was {found.anchor} on {found.chain_id}; use another folder"
            )

    def _path(self, number: int) -> Path:
        return self._batches / f"{number:010d}.batch"

    def store(self, batch: ArchivedBatch) -> None:
        """Keep the next batch; it is checked, and durable when this returns."""
        if batch.number != self.count:
            raise ArchiveError(f"batch: expected {self.count}, was {batch.number}")
        batch.check()
        write_durably(self._path(batch.number), msgspec.msgpack.encode(batch))
        self.count = batch.number + 1

    def load(self, number: int) -> ArchivedBatch:
        """A batch; ArchiveError when its file is damaged or was never stored."""
        path = self._path(number)
        try:
            batch = msgspec.msgpack.decode(path.read_bytes(), type=ArchivedBatch)
        except OSError as problem:
            raise ArchiveError(f"{path}: {problem.strerror}", number) from None
        except msgspec.MsgspecError as problem:
            raise ArchiveError(f"{path}: damaged ({problem})", number) from None
        if batch.number != number:
            raise ArchiveError(f"{path}: expected batch {number}, was {batch.number}", number)
        batch.check()
        return batch

    def truncate(self, count: int) -> None:
        """Forget batches from `count` on: L1 no longer has them, or a file is damaged."""
        for number in reversed(range(count, self.count)):
            self._path(number).unlink(missing_ok=True)
        self.count = min(self.count, count)
