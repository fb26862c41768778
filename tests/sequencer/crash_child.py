"""The victim of test_kill.py: an operator's core under load, telling what it has acknowledged.

Run as `python -m tests.sequencer.crash_child FOLDER SEED ROUND`. Writes lines
`ack <sequence> <state root>` after the journal is durable, until it is killed or its disk fails.

PROVENUE_DISK_FAULT: `file-bytes:N` (the kernel lets no file grow beyond N bytes), `sync-fails:N`
(sync number N of the journal fails and its pages are lost), `slow-sync:N` (a sync takes up to N ms,
and only then are the pages written).
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import resource
import sys
import time
from pathlib import Path

from tests.sequencer.world import World

from provenue import wire
from provenue.sequencer.sequencer import Limits, Outcome, Sequencer
from provenue.sequencer.service import SequencerService

IN_FLIGHT = 16
ROUND_MS = 3_600_000


def open_world(seed: int, number: int) -> World:
    """The same venue in every round, later in time, so that nonces and stamps rise."""
    world = World(seed)
    world.now_ms += number * ROUND_MS
    return world


def no_guest(*_: object, **__: object) -> bool:
    raise AssertionError("no message of this load may fail")


def break_disk(fault: str, seed: int) -> None:
    """Make the disk of this process fail as the fault says."""
    kind, _, number = fault.partition(":")
    if kind == "file-bytes":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(number), int(number)))
    elif kind == "sync-fails":
        _lose_pages_at_sync(int(number))
    elif kind == "slow-sync":
        _delay_syncs(int(number), random.Random(seed))
    elif kind:
        raise ValueError(f"PROVENUE_DISK_FAULT: {fault}")


def _lose_pages_at_sync(failing: int) -> None:
    sync, done, durable = os.fdatasync, 0, dict[int, int]()

    def fdatasync(file: int) -> None:
        nonlocal done
        done += 1
        size = os.fstat(file).st_size
        if done == failing:
            os.ftruncate(file, durable.get(os.fstat(file).st_ino, 0))
            raise OSError(errno.EIO, "Input/output error")
        sync(file)
        durable[os.fstat(file).st_ino] = size

    os.fdatasync = fdatasync  # type: ignore[assignment]


def _delay_syncs(delay_ms_max: int, rng: random.Random) -> None:
    """The writes of a journal wait in this process until their sync: a kill loses them."""
    write, sync = os.write, os.fdatasync
    waiting = dict[int, bytearray]()

    def delayed_write(file: int, data: bytes) -> int:
        if not Path(f"/proc/self/fd/{file}").readlink().name.startswith("journal-"):
            return write(file, data)
        waiting.setdefault(file, bytearray()).extend(data)
        return len(data)

    def delayed_sync(file: int) -> None:
        time.sleep(rng.uniform(0, delay_ms_max / 1000))
        write(file, waiting.pop(file, bytearray()))
        sync(file)

    os.write = delayed_write  # type: ignore[assignment]
    os.fdatasync = delayed_sync  # type: ignore[assignment]


async def run(folder: Path, seed: int, number: int) -> None:
    world = open_world(seed, number)
    world.rng.seed(f"{seed}:{number}")
    sequencer = Sequencer(
        folder,
        preset="minimal",
        guest_traps=no_guest,
        limits=Limits(batch_messages_max=60, batch_bytes_max=6_000, snapshot_batches=2),
        clock=world.clock,
    )
    service = SequencerService(sequencer, tick_interval_ms=50, tick=wire.encode(wire.Tick()))

    def tell(outcomes: list[Outcome]) -> None:
        # Nothing is sequenced between a commit and its subscribers: the root is the group's.
        root = sequencer.engine.root().hex()
        sys.stdout.write(f"ack {outcomes[-1].sequence} {root}\n")
        sys.stdout.flush()

    service.subscribe(tell)
    service.offer_inbox(world.inbox[service.next_inbox_index :])
    service.start()
    for message in world.opening_prices():
        await service.submit(message)

    async def trade() -> None:
        while True:
            await service.submit(world.message())

    await asyncio.gather(service.wait(), *(trade() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    break_disk(os.environ.get("PROVENUE_DISK_FAULT", ""), int(sys.argv[2]))
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
