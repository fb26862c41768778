"""P1: after every message of every kind, guest bytes are native bytes."""

import collections

import pytest
from tests.p1.batches import batches

from provenue._generated.constants import MESSAGE_INSTRUCTIONS_MAX
from provenue.engine import Engine
from provenue.p1 import Twin
from provenue.wire import ClaimTree, Kind

STREAMS = 10
MESSAGES = 10_000  # a stream; 10^5 in all


def _run(seed: int, count: int, preset: str) -> tuple[collections.Counter[str], int]:
    twin, live = Twin(preset), Engine(preset)
    accepted: collections.Counter[str] = collections.Counter()
    steps_max = 0
    for batch in batches(seed, count, most=200, preset=preset):
        where = f"stream {seed}, message {batch.first_sequence}"
        check = twin.check_batch(batch.header, batch.inbox, batch.posted_bytes, compare_every=64)
        assert check.ok, f"{where}: {check.mismatches[0]}"
        found = [(int(code), check.events_of(i)) for i, code in enumerate(check.codes)]
        assert found == batch.results, where  # the specification says the same
        assert not check.skipped.any(), where
        # The engine that is live has reached the same root by its own way.
        for message in batch.inbox:
            live.apply(message, from_inbox=True, stamp_min_ms=batch.stamp_min_ms,
                       stamp_max_ms=batch.stamp_max_ms)  # fmt: skip
        for message in batch.posted:
            live.apply(message, from_inbox=False, stamp_min_ms=batch.stamp_min_ms,
                       stamp_max_ms=batch.stamp_max_ms)  # fmt: skip
        assert live.root() == check.roots[-1] == twin.root(), where
        assert len(check.roots) == len(batch.tags)
        steps_max = max(steps_max, check.steps_max)
        for message, (code, _) in zip([*batch.inbox, *batch.posted], batch.results, strict=True):
            if code == 0:
                accepted[Kind(message[0]).name] += 1
    assert check.claim_root == ClaimTree(check.roots).root
    assert twin.dump() == live.dump()
    return accepted, steps_max


def test_guest_bytes_are_native_bytes_over_a_stream(seed: int) -> None:
    accepted, steps_max = _run(seed, 2_000, "minimal")
    assert sum(accepted.values()) > 500
    # P3: sixteen times below the bound.
    assert steps_max * 16 < MESSAGE_INSTRUCTIONS_MAX


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("stream", range(STREAMS))
def test_guest_bytes_are_native_bytes_over_1e5_messages(stream: int, seed: int) -> None:
    accepted, steps_max = _run(seed + 1 + stream, MESSAGES, "minimal")
    kinds = {tag for tag, count in accepted.items() if count}
    missing = {kind.name for kind in Kind} - kinds
    # The rare ones need not be accepted in every stream.
    rare = {"FORCED_WITHDRAW", "FORCED_CANCEL", "FORCED_CLOSE", "FORCED_REVOKE", "SET_KEY"}
    assert not missing - rare, missing
    assert steps_max * 16 < MESSAGE_INSTRUCTIONS_MAX


@pytest.mark.slow
def test_guest_bytes_are_native_bytes_with_the_capacities_of_dev(seed: int) -> None:
    _, steps_max = _run(seed, 3_000, "dev")
    assert steps_max * 16 < MESSAGE_INSTRUCTIONS_MAX
