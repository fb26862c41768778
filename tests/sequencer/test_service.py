"""The service: a bad message fails its sender only; with the inbox unseen, nothing is taken."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.sequencer.world import World

from provenue import wire
from provenue.sequencer.inbox_follower import InboxFollower
from provenue.sequencer.sequencer import (
    InboxItem,
    Limits,
    MessageTooLongError,
    Sequencer,
    SequencerError,
)
from provenue.sequencer.service import SequencerService
from provenue.settlement.rpc import RpcUnavailableError

TICK = wire.encode(wire.Tick())
DAY_MS = 86_400_000


class _Source:
    """An inbox on a node that can be away."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.away = False

    def items(self, first: int) -> list[InboxItem]:
        if self.away:
            raise RpcUnavailableError("http://node: away")
        return self.world.inbox[first:]


def _service(folder: Path, world: World, **limits: int) -> SequencerService:
    sequencer = Sequencer(
        folder, preset="minimal", guest_traps=lambda *_, **__: True, clock=world.clock,
        limits=Limits(**limits),
    )  # fmt: skip
    return SequencerService(sequencer, tick_interval_ms=DAY_MS, tick=TICK)


async def test_a_message_that_fits_no_batch_fails_its_sender_only(
    tmp_path: Path, seed: int
) -> None:
    world = World(seed)
    service = _service(tmp_path, world)
    service.offer_inbox(world.inbox)
    service.start()
    good = [service.submit(message) for message in world.opening_prices()]
    with pytest.raises(MessageTooLongError, match="expected at most 119988 bytes, got 119989"):
        await service.submit(bytes(119_989))
    outcomes = await asyncio.gather(*good, service.submit(world.order()))
    assert [outcome.code for outcome in outcomes] == [wire.Code.OK] * 3
    await service.stop()
    assert service.failed is None


async def test_nothing_is_taken_while_the_inbox_cannot_be_seen(tmp_path: Path, seed: int) -> None:
    """A batch stamped when an unseen item is due could never be posted, nor any behind it."""
    world = World(seed)
    service = _service(tmp_path, world, inbox_silence_ms_max=10_000)
    source = _Source(world)
    follower = InboxFollower(service, source, interval_s=0.01)
    await follower.read()
    service.start()
    follower.start()
    for message in world.opening_prices():
        await service.submit(message)
    source.away = True
    await asyncio.sleep(0.1)  # a look may be under way
    world.now_ms += 10_000
    await service.submit(world.order())
    world.now_ms += 1
    with pytest.raises(SequencerError, match="the inbox has not been read for 10 s"):
        await service.submit(world.order())
    source.away = False
    await asyncio.sleep(0.1)
    await service.submit(world.order())
    await follower.stop()
    await service.stop()


async def test_what_came_while_the_operator_was_away_is_in_its_first_batch(
    tmp_path: Path, seed: int
) -> None:
    world = World(seed)
    for _ in range(2):
        service = _service(tmp_path, world)
        await InboxFollower(service, _Source(world)).read()
        service.start()
        outcome = await service.submit(world.prices(0, 250_000_000))
        assert service.sequencer.inbox_consumed == len(world.inbox)
        await service.stop()
        world.now_ms += DAY_MS
        world.deposit(0, 5_000_000)
    assert outcome.batch == 1
