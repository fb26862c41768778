"""Archived histories without a chain: what a busy venue would have posted, batch by batch."""

from __future__ import annotations

from pathlib import Path

from tests.sequencer.world import ANCHOR, CHAIN_ID, DOMAIN, World

from provenue import wire
from provenue.engine import Engine, guest_elf
from provenue.sequencer.recovery import STAMPED_KINDS
from provenue.watcher.archive import Archive, ArchivedBatch
from provenue.watcher.history import History
from provenue.watcher.traces import GuestTraps

__all__ = ["PRESET", "make_archive", "make_batch", "make_history"]

PRESET = "minimal"
_CONTINUE = wire.encode(wire.Continue())


def make_batch(
    number: int, sequence: int, start_ms: int, end_ms: int, inbox: list[bytes], posted: list[bytes]
) -> ArchivedBatch:
    """As it would be read from L1."""
    data = wire.encode_posted(posted)
    header = wire.Header(
        batch=number,
        stamp_min_ms=start_ms,
        stamp_max_ms=end_ms,
        inbox_count=len(inbox),
        posted_bytes=len(data),
        sequence_first=sequence,
    )
    return ArchivedBatch(
        number=number,
        header=header.encode(),
        data=data,
        inbox=tuple(inbox),
        message_count=len(inbox) + len(posted),
        input_root=wire.input_root(data, header, inbox),
        data_hash=wire.keccak256(data),
        poster="",
        tx_hash="",
        block_number=number,
        block_hash="",
        inbox_block=0,
    )


def make_archive(folder: Path, seed: int, batches: int, messages: int = 40) -> Archive:
    """A venue with four traders; the first batch brings the inbox, each ends with CONTINUEs."""
    world, engine = World(seed, 4), Engine(PRESET)
    archive = Archive(folder, chain_id=CHAIN_ID, anchor="0x" + ANCHOR.hex())
    inbox = [item.message for item in world.inbox]
    sequence = 0
    for number in range(batches):
        start_ms = world.now_ms
        items = inbox if number == 0 else []
        posted: list[bytes] = []

        def post(message: bytes, into: list[bytes] = posted, start: int = start_ms) -> None:
            if message and message[0] in STAMPED_KINDS and len(message) >= 9:
                message = message[:1] + world.now_ms.to_bytes(8, "big") + message[9:]
            into.append(message)
            engine.apply(message, from_inbox=False, stamp_min_ms=start, stamp_max_ms=2**64 - 1)
            while engine.pending():
                post(_CONTINUE, into, start)

        for item in items:
            engine.apply(item, from_inbox=True, stamp_min_ms=start_ms, stamp_max_ms=2**64 - 1)
        for message in world.opening_prices() if number == 0 else []:
            post(message)
        while len(posted) < messages:
            post(world.message())
        batch = make_batch(number, sequence, start_ms, world.now_ms, items, posted)
        archive.store(batch)
        sequence = batch.next_sequence
    return archive


def make_history(archive: Archive) -> History:
    """Nothing of it executed yet."""
    return History(archive, preset=PRESET, domain=DOMAIN, traps=GuestTraps(guest_elf(PRESET)))
