"""The victim of test_kill.py: an operator's core under load, telling what it has acknowledged.

Run as `python -m tests.sequencer.crash_child FOLDER SEED ROUND`. Writes lines
`ack <sequence> <state root>` after the journal is durable, until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
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
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
