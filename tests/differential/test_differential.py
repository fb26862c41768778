"""The specification and the native engine, driven by the same random and adversarial streams.

After every message: the same code, the same events, the same dump, and P5 exactly. The long mode
is `tools/differential.py`. The two writings share nothing but `protocol/`.
"""

import importlib.util
from collections.abc import Callable

import pytest
from tests.differential.compare import Difference, DumpEngine, MakeEngine, minimise, run
from tests.differential.coverage import BRANCHES, Coverage
from tests.differential.invariants import check_dump, check_reject
from tests.differential.streams import Stream
from tests.differential.wire import Item

from provenue.spec import State, apply, dump
from provenue.spec.constants import CancelReason, Code, EventKind, Kind

CHUNKS, CHUNK_MESSAGES = 10, 10_000  # 10^5 in all

# Answers that no message can get, with the reason. (`errors.toml` has no code without a use.)
UNREACHABLE_ANSWERS = {
    Code.DEPOSIT_TOO_SMALL: "the reason of a bounced deposit, which itself is OK (3.4)",
    Code.ACCOUNT_TABLE_FULL: "the reason of a bounced deposit, which itself is OK (3.4)",
    Code.ASSET_CAP: "the reason of a bounced deposit, which itself is OK (3.4)",
}


def _make_engine() -> MakeEngine:
    if importlib.util.find_spec("provenue.engine") is None:
        pytest.skip("the native engine is not built: make setup")
    from provenue.engine import Engine

    return Engine


def _drive(seed: int, messages: int, make_engine: MakeEngine, preset: str = "minimal") -> Coverage:
    try:
        return run(seed, messages, make_engine, preset).coverage
    except Difference as difference:
        items, what = minimise(difference, make_engine)
        pytest.fail(
            f"seed {seed}: {difference}\nminimised to {len(items)} messages: {what}\n"
            f"replay: .venv/bin/python tools/differential.py --preset {preset} --seed {seed}"
            f" --messages {messages} --chunk {messages}"
        )


def test_engine_and_specification_agree_on_a_short_stream(seed: int) -> None:
    coverage = _drive(seed - 1, 2_000, _make_engine())
    assert coverage.messages == 2_000


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_engine_and_specification_agree(seed: int, chunk: int) -> None:
    coverage = _drive(seed + chunk, CHUNK_MESSAGES, _make_engine())
    assert coverage.messages == CHUNK_MESSAGES


@pytest.mark.slow
def test_engine_and_specification_agree_on_a_larger_preset(seed: int) -> None:
    assert _drive(seed + CHUNKS, 3_000, _make_engine(), "dev").messages == 3_000


@pytest.mark.slow
def test_streams_reach_every_kind_code_event_reason_and_branch() -> None:
    coverage = Coverage()
    for seed in range(1, 11):
        coverage.merge(run(seed, 5_000, None).coverage)
    report = coverage.report()
    answers = {code for _, code in coverage.codes}
    reachable = {code.name for code in Code} - {code.name for code in UNREACHABLE_ANSWERS}
    assert {kind for kind, _ in coverage.codes} >= {kind.name for kind in Kind}, report
    assert {kind for kind, code in coverage.codes if code == "OK"} == {k.name for k in Kind}, report
    assert answers == reachable, f"{sorted(answers ^ reachable)}\n{report}"
    assert set(coverage.bounces) >= {code.name for code in UNREACHABLE_ANSWERS}, report
    assert set(coverage.events) == {kind.name for kind in EventKind}, report
    assert set(coverage.cancels) == {reason.name for reason in CancelReason}, report
    missed = set(BRANCHES) ^ set(coverage.branches)
    assert not missed, f"{sorted(missed)}\n{report}"


def test_a_stream_is_the_same_again() -> None:
    first, again = (_items(5, 400) for _ in range(2))
    assert first == again
    assert first != _items(6, 400)


def _items(seed: int, count: int) -> list[Item]:
    state, stream, items = State("minimal"), Stream(seed, "minimal", count), []
    for _ in range(count):
        item = stream.next(state)
        items.append(item)
        _apply(state, item)
    return items


def _apply(state: State, item: Item) -> Code:
    code, _ = apply(
        state,
        item.message,
        from_inbox=item.from_inbox,
        stamp_min_ms=item.stamp_min_ms,
        stamp_max_ms=item.stamp_max_ms,
    )
    return code


# --- the comparison itself can fail --------------------------------------------------------------


Lie = Callable[[int, int, bytes, str], tuple[int, bytes, str]]


class _Liar:
    """The specification behind the engine's interface, with one lie told at one message."""

    def __init__(self, preset: str, lie: Lie) -> None:
        self.state, self.lie, self.count, self.text = State(preset), lie, 0, ""

    def apply(
        self, message: bytes, *, from_inbox: bool, stamp_min_ms: int, stamp_max_ms: int
    ) -> tuple[int, bytes]:
        from provenue.spec import pack_events

        code, events = apply(
            self.state,
            message,
            from_inbox=from_inbox,
            stamp_min_ms=stamp_min_ms,
            stamp_max_ms=stamp_max_ms,
        )
        answer = self.lie(self.count, code, pack_events(events), dump(self.state))
        self.count += 1
        self.text = answer[2]
        return answer[0], answer[1]

    def dump(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("what", "lie"),
    [
        ("code", lambda n, code, events, text: (code ^ (n == 300), events, text)),
        ("events", lambda n, code, events, text: (code, events + bytes(64 * (n == 300)), text)),
        ("dump", lambda n, code, events, text: (code, events, text + "X" * (n == 300))),
    ],
)
def test_a_single_difference_is_found_and_minimised(what: str, lie: Lie) -> None:
    def make_engine(preset: str) -> DumpEngine:
        return _Liar(preset, lie)

    with pytest.raises(Difference, match=what) as caught:
        run(3, 400, make_engine)
    assert caught.value.index == 300
    assert len(minimise(caught.value, make_engine, rounds=5)[0]) <= 301


@pytest.mark.parametrize(
    ("line", "change", "names"),
    [
        ("U", lambda f: [*f[:7], str(int(f[7]) + 1), *f[8:]], "P5"),
        ("U", lambda f: [*f[:6], str(int(f[6]) + (1 << 32)), *f[7:]], "expiry"),
        ("R", lambda f: [*f[:2], str(int(f[2]) + 1), *f[3:]], "P5"),
        ("O", lambda f: [*f[:6], "0", *f[7:]], "P7"),
        ("R", lambda f: [*f[:5], str(int(f[5]) + 1), *f[6:]], "open sums"),
        ("R", lambda f: [*f[:9], str(int(f[9]) + 1)], "open sums"),
    ],
)
def test_a_broken_dump_breaks_an_invariant(
    line: str, change: Callable[[list[str]], list[str]], names: str
) -> None:
    text = run(1, 1_500, None).dump
    lines = text.splitlines()
    place = next(i for i, one in enumerate(lines) if one.startswith(f"{line} "))
    letter, *fields = lines[place].split(" ")
    lines[place] = " ".join([letter, *change(fields)])
    check_dump(text, 3)
    with pytest.raises(AssertionError, match=names):
        check_dump("\n".join(lines) + "\n", 3)
    with pytest.raises(AssertionError, match="P4"):
        check_reject(text, "\n".join(lines) + "\n")
