"""The sequencer: batches keep the chain's bounds, nothing stays pending, files bring all back."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from tests.sequencer.world import World

from provenue import wire
from provenue._generated import constants
from provenue.engine import guest_elf, recover_callback
from provenue.sequencer import journal, recovery
from provenue.sequencer.batches import BatchReader, ClosedBatch
from provenue.sequencer.guest_verdict import GuestVerdict
from provenue.sequencer.journal import JournalError
from provenue.sequencer.pace import paced
from provenue.sequencer.sequencer import GuestTrap, Limits, Outcome, Sequencer, SequencerError
from provenue.settlement.anchor import AnchorSettings


@pytest.fixture(scope="module")
def verdict() -> GuestVerdict:
    return GuestVerdict(guest_elf("minimal"), recover_callback())


def _open(folder: Path, world: World, verdict: GuestTrap, **limits: int) -> Sequencer:
    return Sequencer(
        folder,
        preset="minimal",
        guest_traps=verdict,
        limits=Limits(**limits),
        clock=world.clock,
    )


def _start(folder: Path, world: World, verdict: GuestTrap, **limits: int) -> Sequencer:
    sequencer = _open(folder, world, verdict, **limits)
    sequencer.offer_inbox(world.inbox)
    sequencer.turn_batches()
    for message in world.opening_prices():
        sequencer.submit(message)
    return sequencer


def _closed(folder: Path) -> list[ClosedBatch]:
    reader = BatchReader()
    return [b for r in journal.read(folder) if (b := reader.take(r)) is not None]


def _trade(sequencer: Sequencer, world: World, count: int) -> list[Outcome]:
    for _ in range(count):
        sequencer.submit(world.message())
        sequencer.turn_batches()
    return sequencer.drain()


def test_deposits_open_accounts_and_orders_trade(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    world = World(seed)
    sequencer = _start(tmp_path, world, verdict)
    assert all(o.code == wire.Code.OK for o in sequencer.drain())
    outcomes = _trade(sequencer, world, 500)
    kinds = [e.kind for o in outcomes for e in wire.decode_events(o.events)]
    assert kinds.count(wire.EventKind.FILL) > 20
    assert kinds.count(wire.EventKind.WITHDRAWN) > 1
    for row in sequencer.engine.ledger():
        assert row["total"] == row["applied"]


def test_outcomes_are_numbered_without_gaps_and_nothing_stays_pending(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    world = World(seed)
    sequencer = _start(tmp_path, world, verdict)
    outcomes = sequencer.drain() + _trade(sequencer, world, 300)
    assert [o.sequence for o in outcomes] == list(range(len(outcomes)))
    assert not sequencer.engine.pending()


def test_batches_keep_the_bounds_of_the_chain(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    world = World(seed)
    sequencer = _start(
        tmp_path, world, verdict, batch_bytes_max=4_000, batch_messages_max=24, batch_age_ms_max=700
    )
    for turn in range(8):
        _trade(sequencer, world, 50)
        sequencer.offer_inbox([world.deposit(turn % 3, 5_000_000)])
    world.now_ms += 350
    sequencer.turn_batches()
    sequencer.close_batch()
    sequencer.journal.close()
    batches = _closed(tmp_path)
    assert len(batches) > 10
    sequence = stamp_ms = item = 0
    accumulator = bytes(32)
    for number, batch in enumerate(batches):
        head = batch.head
        assert (head.number, head.first_sequence, head.inbox_first) == (number, sequence, item)
        assert stamp_ms <= head.stamp_min_ms <= batch.stamp_max_ms
        assert 1 <= batch.message_count <= 24
        assert len(wire.encode_posted(batch.posted)) <= 4_000
        assert len(batch.inbox) <= constants.BATCH_INBOX_MAX
        accumulator = wire.inbox_accumulator(accumulator, batch.inbox)
        assert head.inbox_accumulator == accumulator
        sequence += batch.message_count
        item += len(batch.inbox)
        stamp_ms = batch.stamp_max_ms
    assert item == len(world.inbox)


def test_inbox_items_wait_for_the_next_batch_and_come_first_in_it(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    world = World(seed)
    sequencer = _start(tmp_path, world, verdict, batch_age_ms_max=4_000)
    sequencer.drain()
    sequencer.offer_inbox([world.deposit(0, 7_000_000)])
    world.now_ms += 1_999
    sequencer.turn_batches()
    assert sequencer.drain() == []
    world.now_ms += 1  # half of the age
    sequencer.turn_batches()
    outcomes = sequencer.drain()
    assert outcomes[0].from_inbox
    assert outcomes[0].batch == 1
    # Without a batch they do not wait.
    sequencer.close_batch()
    sequencer.offer_inbox([world.deposit(1, 7_000_000)])
    sequencer.turn_batches()
    assert [o.batch for o in sequencer.drain()] == [2]
    sequencer.offer_inbox([])
    with pytest.raises(SequencerError, match="expected index"):
        sequencer.offer_inbox([world.inbox[0]])


def test_items_close_a_batch_no_faster_than_the_pipeline_carries(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    """One dust deposit a second through two challenge windows."""
    world = World(seed)
    settings = AnchorSettings(challenge_window_s=300, inbox_delay_s=600, stamp_lag_ms=0)
    limits = paced(0, settings)
    sequencer = Sequencer(
        tmp_path, preset="minimal", guest_traps=verdict, limits=limits, clock=world.clock
    )
    sequencer.offer_inbox(world.inbox)
    for _ in range(600):
        sequencer.turn_batches()
        world.now_ms += 1_000
        sequencer.offer_inbox([world.deposit(0, 1)])
    batch = sequencer.open_batch
    assert batch is not None
    # 7 s a batch: 300 s / 48, rounded up to the next look at the clock.
    assert 80 <= batch.head.number <= 2 * 48


def test_a_batch_left_open_by_an_outage_is_closed_before_anything_new(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    """Filled on, it would leave behind what came to the inbox meanwhile and is due by now."""
    world = World(seed)
    sequencer = _start(tmp_path, world, verdict)
    before = world.now_ms
    sequencer.journal.close()
    world.now_ms += 86_400_000
    sequencer = _open(tmp_path, world, verdict)
    sequencer.offer_inbox([world.deposit(0, 5_000_000)])
    sequencer.turn_batches()
    sequencer.submit(world.order())
    sequencer.close_batch()
    sequencer.journal.close()
    old, new = _closed(tmp_path)
    assert old.stamp_max_ms <= before
    assert new.head.stamp_min_ms == world.now_ms
    assert new.inbox == [world.inbox[-1].message]


def test_an_empty_batch_left_open_by_a_crash_is_closed_too(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    world = World(seed)
    sequencer = _start(tmp_path, world, verdict)
    sequencer.close_batch()
    sequencer._open_batch()
    opened_ms = world.now_ms
    sequencer.journal.close()
    world.now_ms += 86_400_000
    sequencer = _open(tmp_path, world, verdict)
    sequencer.turn_batches()
    sequencer.submit(world.order())
    sequencer.close_batch()
    sequencer.journal.close()
    _, empty, new = _closed(tmp_path)
    assert empty.message_count == 1
    assert empty.stamp_max_ms == opened_ms
    assert new.head.stamp_min_ms == world.now_ms


@pytest.mark.parametrize("snapshot_batches", [3, 1_000])
def test_restart_gives_the_same_root_and_goes_on(
    tmp_path: Path, seed: int, verdict: GuestVerdict, snapshot_batches: int
) -> None:
    world = World(seed)
    limits = {"batch_messages_max": 40, "snapshot_batches": snapshot_batches}
    sequencer = _start(tmp_path, world, verdict, **limits)
    for _ in range(4):
        _trade(sequencer, world, 150)
        root, dump, next_sequence = (
            sequencer.engine.root(),
            sequencer.engine.dump(),
            sequencer.next_sequence,
        )
        sequencer.journal.close()
        sequencer = _open(tmp_path, world, verdict, **limits)
        assert sequencer.engine.dump() == dump
        assert sequencer.engine.root() == sequencer.engine.rehash() == root
        assert sequencer.next_sequence == next_sequence
    assert bool(recovery.snapshots(tmp_path)) == (snapshot_batches == 3)


def test_a_cut_anywhere_recovers_to_the_state_behind_the_last_whole_record(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    world = World(seed)
    whole = tmp_path / "whole"
    sequencer = _start(whole, world, verdict, batch_messages_max=50, snapshot_batches=2)
    dumps = {sequencer.next_sequence: sequencer.engine.dump()}
    for _ in range(200):
        sequencer.submit(world.message())
        sequencer.turn_batches()
        dumps[sequencer.next_sequence] = sequencer.engine.dump()
    sequencer.journal.close()
    newest = journal.segments(whole)[-1]
    size = newest.stat().st_size
    rng = random.Random(seed)
    for cut in sorted(rng.randrange(journal.HEADER.size, size) for _ in range(15)):
        folder = tmp_path / f"cut{cut}"
        shutil.copytree(whole, folder)
        with (folder / newest.name).open("r+b") as file:
            file.truncate(cut)
        recovered = _open(folder, world, verdict)
        # A cut may fall between an order and its CONTINUE: then it is continued on the way.
        if recovered.next_sequence in dumps:
            assert recovered.engine.dump() == dumps[recovered.next_sequence]
        assert recovered.engine.root() == recovered.engine.rehash()
        recovered.submit(world.message())


def test_a_snapshot_that_does_not_verify_is_passed_over(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    world = World(seed)
    limits = {"batch_messages_max": 30, "snapshot_batches": 2}
    sequencer = _start(tmp_path, world, verdict, **limits)
    _trade(sequencer, world, 300)
    dump = sequencer.engine.dump()
    sequencer.journal.close()
    newest = recovery.snapshots(tmp_path)[0].with_suffix(".img")
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 0x40
    newest.write_bytes(data)
    recovered = _open(tmp_path, world, verdict, **limits)
    assert recovered.engine.dump() == dump


def test_a_journal_of_another_program_is_refused(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    world = World(seed)
    limits = {"batch_messages_max": 30, "snapshot_batches": 2}
    sequencer = _start(tmp_path, world, verdict, **limits)
    _trade(sequencer, world, 100)
    sequencer.journal.close()
    for path in recovery.snapshots(tmp_path):
        path.unlink()
    writer_folder = tmp_path / "changed"
    writer = journal.open_writer(writer_folder)
    for record in journal.read(tmp_path):
        payload = record.payload
        if record.type is journal.RecordType.STATE_ROOT:
            payload = bytes(32)
        writer.append(record.type, payload)
    writer.close()
    with pytest.raises(JournalError, match="the program differs"):
        _open(writer_folder, world, verdict)


def test_read_models_catch_up_from_the_journal(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    world = World(seed)
    limits = {"batch_messages_max": 30, "snapshot_batches": 3}
    sequencer = _start(tmp_path, world, verdict, **limits)
    published = sequencer.drain() + _trade(sequencer, world, 300)
    sequencer.journal.close()
    for last in (-1, 57, published[-1].sequence - 1, published[-1].sequence):
        missed: list[Outcome] = []
        Sequencer(
            tmp_path,
            preset="minimal",
            guest_traps=verdict,
            limits=Limits(**limits),
            clock=world.clock,
            published=last,
            republish=missed.extend,
        ).journal.close()
        wanted = [o for o in published if o.sequence > last]
        assert [(o.sequence, o.code, o.events, o.batch) for o in missed] == [
            (o.sequence, o.code, o.events, o.batch) for o in wanted
        ]


def test_a_message_that_fails_natively_and_traps_in_the_guest_is_skipped_for_good(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    world = World(seed)
    sequencer = _start(tmp_path, world, lambda *_, **__: True)
    sequencer.drain()
    before = sequencer.engine.dump()
    sequencer.engine._native.fail_at_call(1)
    outcome = sequencer.submit(world.order())
    assert outcome.code == recovery.SKIPPED_CODE
    assert sequencer.engine.dump() == before
    sequencer.submit(world.order())
    after = sequencer.engine.dump()
    sequencer.close_batch()
    sequencer.journal.close()
    assert _closed(tmp_path)[0].skipped == [outcome.sequence]
    # Replay does not run it, though now it would not fail any more.
    assert _open(tmp_path, world, verdict).engine.dump() == after


def test_a_message_that_fails_natively_but_not_in_the_guest_stops_the_venue(
    tmp_path: Path, seed: int, verdict: GuestVerdict
) -> None:
    world = World(seed)
    sequencer = _start(tmp_path, world, verdict)
    sequencer.engine._native.fail_at_call(1)
    with pytest.raises(SequencerError, match="the two builds differ"):
        sequencer.submit(world.order())
