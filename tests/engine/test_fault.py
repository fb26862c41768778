"""A failed assertion undoes the message exactly and leaves an engine that goes on (P4)."""

import random

import pytest
from tests.engine.recorded import engine_with_book, play, record, resting

from provenue.engine import Engine, EngineFault, pack


def _fail(engine: Engine, call: int) -> None:
    engine._native.fail_at_call(call)


def test_a_fault_anywhere_in_a_message_leaves_the_image_as_it_was(
    seed: int, rng: random.Random
) -> None:
    recorded, engine = record(seed, 1_500), Engine("minimal")
    faults = 0
    for index, step in enumerate(recorded.steps):
        if step.code == 0 or rng.random() < 0.2:
            before, root = bytes(engine.image), engine.root()
            for call in range(1, 120):  # every host call the message makes, each once
                _fail(engine, call)
                try:
                    result = play(engine, step.item)
                except EngineFault as fault:
                    assert fault.rule == "failure asked for by the host"  # noqa: PT017
                    assert bytes(engine.image) == before, f"message {index}, call {call}"
                    assert engine.root() == root
                    faults += 1
                else:
                    break
            else:
                pytest.fail(f"message {index}: more than 120 host calls")
        else:
            result = play(engine, step.item)
        assert result == (step.code, step.events), f"message {index}"
    assert faults > 1_000
    assert engine.root() == engine.rehash()


def test_a_damaged_image_is_an_assertion_and_not_a_wrong_result(seed: int) -> None:
    """The program itself stops: an order is made to point nowhere, then cancelled."""
    engine = engine_with_book(seed)
    faults = 0
    healthy = bytes(engine.image)
    orders = engine.tables["orders"]
    start, stride = 0xE000, orders.dtype.itemsize  # protocol/image.toml, preset minimal
    assert orders.tobytes() == healthy[start : start + orders.nbytes]
    field = orders.dtype.fields["level"][1]
    for slot in resting(engine):
        engine._native.poke(start + slot * stride + field, (10_000).to_bytes(4, "little"))
        damaged = bytes(engine.image)
        account = engine.account(int(orders[slot]["account"]))
        assert account is not None
        message = b"\x92" + account["owner"] + bytes([account["subaccount"]])
        try:
            engine.apply(message, from_inbox=True, stamp_min_ms=0, stamp_max_ms=(1 << 64) - 1)
        except EngineFault as fault:
            assert fault.line > 0  # noqa: PT017
            assert bytes(engine.image) == damaged
            faults += 1
        else:
            pytest.fail(f"order slot {slot}: cancelled with a broken link")
        old = healthy[start + slot * stride + field :][:4]
        engine._native.poke(start + slot * stride + field, old)
    assert faults > 0
    assert bytes(engine.image) == healthy
    assert engine.root() == engine.rehash()


def test_many_messages_stop_at_the_fault_and_say_what_came_before(seed: int) -> None:
    recorded = record(seed, 1_500)
    items = [step.item for step in recorded.steps[:40]]
    first = next(i for i, item in enumerate(items) if item.tag == "GENESIS")
    data, offsets = pack(item.message for item in items[first:])
    engine = Engine("minimal")
    bounds = {"from_inbox": [i.from_inbox for i in items[first:]], "stamp_min_ms": 0,
              "stamp_max_ms": 1 << 63}  # fmt: skip
    _fail(engine, 1)  # GENESIS hashes
    with pytest.raises(EngineFault, match="failure asked for") as caught:
        engine.apply_many(data, offsets, **bounds)
    assert caught.value.applied is not None
    assert len(caught.value.applied.codes) == 0
    assert not any(engine.image)
    applied = engine.apply_many(data, offsets, **bounds)
    assert len(applied.codes) == len(items) - first
