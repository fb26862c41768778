"""A stream of all kinds of messages, recorded once, with what the specification says of each."""

import functools
from dataclasses import dataclass

from tests.differential.streams import Stream
from tests.differential.wire import Item

from provenue.engine import Engine
from provenue.spec import State, apply, dump, pack_events
from provenue.spec.margin import equity, initial_margin, maintenance

__all__ = ["Recorded", "Step", "engine_with_book", "play", "record", "resting"]


@dataclass(frozen=True)
class Step:
    """A message, what became of it, and (every 50th) the dump and the margins by account."""

    item: Item
    code: int
    events: bytes
    dump: str | None
    margins: dict[int, tuple[int, int, int]] | None


@dataclass(frozen=True)
class Recorded:
    """The steps of one stream."""

    preset: str
    seed: int
    steps: tuple[Step, ...]


def _margins(state: State) -> dict[int, tuple[int, int, int]]:
    return {
        account.index: (
            equity(state, account), initial_margin(state, account), maintenance(state, account)
        )
        for account in state.accounts
    }  # fmt: skip


@functools.lru_cache(maxsize=4)
def record(seed: int, count: int, preset: str = "minimal") -> Recorded:
    """Run the specification over a stream."""
    stream, state, steps = Stream(seed, preset, count), State(preset), []
    for index in range(count):
        item = stream.next(state)
        code, events = apply(
            state,
            item.message,
            from_inbox=item.from_inbox,
            stamp_min_ms=item.stamp_min_ms,
            stamp_max_ms=item.stamp_max_ms,
        )
        shown = index % 50 == 49
        steps.append(
            Step(
                item,
                int(code),
                pack_events(events),
                dump(state) if shown else None,
                _margins(state) if shown else None,
            )
        )
    return Recorded(preset, seed, tuple(steps))


def resting(engine: Engine) -> list[int]:
    """The slots of the orders that stand in a book."""
    orders = engine.tables["orders"]
    return [slot for slot in range(len(orders)) if int(orders[slot]["live"]) == 1]


def engine_with_book(seed: int) -> Engine:
    """An engine that has come so far that orders rest."""
    engine = Engine("minimal")
    for index, step in enumerate(record(seed, 1_500).steps):
        play(engine, step.item)
        if index > 300 and len(resting(engine)) > 4:
            return engine
    raise AssertionError(f"seed {seed}: expected resting orders somewhere in the stream")


def play(engine: Engine, item: Item) -> tuple[int, bytes]:
    """Apply one item."""
    return engine.apply(
        item.message,
        from_inbox=item.from_inbox,
        stamp_min_ms=item.stamp_min_ms,
        stamp_max_ms=item.stamp_max_ms,
    )
