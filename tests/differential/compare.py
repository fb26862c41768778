"""Drive the specification and another engine with one stream; stop at the first difference."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tests.differential.coverage import Coverage, Seen
from tests.differential.invariants import (
    check_dump,
    check_nobody_unsafe,
    check_reject,
    check_state,
)
from tests.differential.streams import Stream
from tests.differential.wire import Item

from provenue.spec import State, apply, dump, pack_events
from provenue.spec.constants import Code, EventKind
from provenue.spec.events import Event

__all__ = ["Difference", "DumpEngine", "Result", "minimise", "replay", "run"]

CHECK_EVERY = 16


class DumpEngine(Protocol):
    """What another writing of the rules offers (`provenue.engine.Engine` does)."""

    def apply(
        self, message: bytes, *, from_inbox: bool, stamp_min_ms: int, stamp_max_ms: int
    ) -> tuple[int, bytes]: ...

    def dump(self) -> str: ...


MakeEngine = Callable[[str], DumpEngine]


@dataclass
class Difference(Exception):  # noqa: N818
    """The first message after which the two do not agree, and all that came before it."""

    preset: str
    index: int
    what: str
    items: list[Item] = field(repr=False)

    def __str__(self) -> str:
        item = self.items[-1]
        return (
            f"message {self.index} ({item.tag}, from_inbox={item.from_inbox},"
            f" stamps {item.stamp_min_ms}..{item.stamp_max_ms}): {self.what}\n"
            f"  bytes {item.message.hex()}"
        )


@dataclass
class Result:
    """What a run without a difference has reached."""

    coverage: Coverage
    dump: str


def run(
    seed: int, messages: int, make_engine: MakeEngine | None, preset: str = "minimal"
) -> Result:
    """One stream. Without an engine the specification runs alone, with all its invariants."""
    state, stream = State(preset), Stream(seed, preset, messages)
    engine = make_engine(preset) if make_engine else None
    coverage = Coverage()
    items: list[Item] = []
    text = dump(state)
    for index in range(messages):
        item = stream.next(state)
        items.append(item)
        seen = Seen.of(state)
        try:
            code, events = _apply(state, item)
            coverage.add(seen, item, code, events, state)
            before, text = text, dump(state)
            if engine is not None:
                _compare(engine, item, code, events, text)
            check_state(state)
            if code != Code.OK:
                check_reject(before, text)
            if any(event.kind == EventKind.SWEEP_FINISHED for event in events):
                check_nobody_unsafe(state)
            if index % CHECK_EVERY == 0:
                check_dump(text, state.preset.assets_max)
        except AssertionError as error:
            raise Difference(preset, index, str(error), items) from error
        except Exception as error:  # a fault of either is a difference as well
            raise Difference(preset, index, f"{type(error).__name__}: {error}", items) from error
    return Result(coverage, text)


def _apply(state: State, item: Item) -> tuple[Code, list[Event]]:
    return apply(
        state,
        item.message,
        from_inbox=item.from_inbox,
        stamp_min_ms=item.stamp_min_ms,
        stamp_max_ms=item.stamp_max_ms,
    )


def _compare(engine: DumpEngine, item: Item, code: Code, events: list[Event], text: str) -> None:
    other_code, other_events = engine.apply(
        item.message,
        from_inbox=item.from_inbox,
        stamp_min_ms=item.stamp_min_ms,
        stamp_max_ms=item.stamp_max_ms,
    )
    assert other_code == code, f"code: spec {code.name} ({int(code)}), engine {other_code}"
    packed = pack_events(events)
    assert other_events == packed, f"events:\n{_events_difference(packed, other_events)}"
    other_text = engine.dump()
    assert other_text == text, f"dump:\n{_lines_difference(text, other_text)}"


def _lines_difference(spec: str, engine: str) -> str:
    """The lines that only one of the two has."""
    a, b = spec.splitlines(), engine.splitlines()
    only_spec = [f"  spec   {line}" for line in a if line not in set(b)]
    only_engine = [f"  engine {line}" for line in b if line not in set(a)]
    return "\n".join(only_spec + only_engine) or "  the same lines in another order"


def _events_difference(spec: bytes, engine: bytes) -> str:
    def records(packed: bytes) -> list[str]:
        return [packed[at : at + 64].hex() for at in range(0, len(packed), 64)]

    lines = [f"  spec   {record}" for record in records(spec)]
    return "\n".join(lines + [f"  engine {record}" for record in records(engine)])


# --- replay and minimise -------------------------------------------------------------------------


def replay(items: list[Item], make_engine: MakeEngine, preset: str) -> str | None:
    """What differs after the last item that does, None if nothing does."""
    state, engine = State(preset), make_engine(preset)
    for item in items:
        try:
            code, events = _apply(state, item)
            _compare(engine, item, code, events, dump(state))
            check_state(state)
        except AssertionError as error:
            return str(error)
        except Exception as error:  # a fault of the engine is a difference as well
            return f"{type(error).__name__}: {error}"
    return None


def minimise(
    difference: Difference, make_engine: MakeEngine, rounds: int = 400
) -> tuple[list[Item], str]:
    """Fewer items that still differ: halves, then quarters, ... are left out while it does."""
    items, what = difference.items, difference.what
    size = len(items) // 2
    while size >= 1 and rounds > 0:
        at = 0
        while at < len(items) - 1 and rounds > 0:
            fewer = items[:at] + items[min(at + size, len(items) - 1) :]
            rounds -= 1
            found = replay(fewer, make_engine, difference.preset)
            if found is not None:
                items, what = fewer, found
            else:
                at += size
        size //= 2
    return items, what
