"""Streams cut into batches as an operator would post them, one header each."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.differential.streams import Stream
from tests.differential.wire import Item

from provenue._generated.constants import BATCH_BYTES_MAX, BATCH_INBOX_MAX
from provenue.spec import State, apply, pack_events
from provenue.wire import Header, encode_posted, posted_size_bytes

__all__ = ["Batch", "batches"]

STAMP_MAX = (1 << 64) - 1


@dataclass
class Batch:
    """One batch and what the specification says of its messages."""

    number: int
    first_sequence: int
    stamp_min_ms: int
    stamp_max_ms: int
    inbox: list[bytes] = field(default_factory=list)
    posted: list[bytes] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    results: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def header(self) -> Header:
        """As the operator makes it before the contract does."""
        return Header(
            batch=self.number,
            stamp_min_ms=self.stamp_min_ms,
            stamp_max_ms=self.stamp_max_ms,
            inbox_count=len(self.inbox),
            posted_bytes=len(self.posted_bytes),
            sequence_first=self.first_sequence,
        )

    @property
    def posted_bytes(self) -> bytes:
        """Count, offsets, messages."""
        return encode_posted(self.posted)

    def takes(self, item: Item) -> bool:
        """Items of the inbox come first; both parts have a bound."""
        if item.from_inbox:
            return not self.posted and len(self.inbox) < BATCH_INBOX_MAX
        total = sum(map(len, self.posted)) + len(item.message)
        return posted_size_bytes(len(self.posted) + 1, total) <= BATCH_BYTES_MAX


def batches(seed: int, count: int, *, most: int, preset: str = "minimal") -> Iterator[Batch]:
    """The stream in batches of at most `most` messages, each with the bounds of its first one."""
    stream, state = Stream(seed, preset, count), State(preset)
    batch: Batch | None = None
    number = 0
    for sequence in range(count):
        item = stream.next(state)
        if item.from_inbox and len(item.message) > 480:  # no slot holds it
            item = item._replace(message=item.message[:480])
        if batch is None or not batch.takes(item) or len(batch.tags) >= most:
            if batch is not None:
                yield batch
                number += 1
            batch = Batch(number, sequence, item.stamp_min_ms, item.stamp_max_ms)
        code, events = apply(
            state,
            item.message,
            from_inbox=item.from_inbox,
            stamp_min_ms=batch.stamp_min_ms,
            stamp_max_ms=batch.stamp_max_ms,
        )
        (batch.inbox if item.from_inbox else batch.posted).append(item.message)
        batch.tags.append(item.tag)
        batch.results.append((int(code), pack_events(events)))
    if batch is not None:
        yield batch
