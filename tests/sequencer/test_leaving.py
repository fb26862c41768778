"""Leaving through L1, as the operator runs it: nothing stays pending, the read models keep it."""

from __future__ import annotations

from pathlib import Path

from tests.sequencer.world import DEPOSIT_UNITS, MARK_TICKS, World

from provenue import wire
from provenue._generated.constants import MARK_ABANDONED_MS
from provenue.sequencer.read_model import ReadModel
from provenue.sequencer.sequencer import Outcome, Sequencer
from provenue.wire import EventKind, Side

LOTS = 12_000_000  # 1,200 BTC; three times that is 900,000 USDC


def _never(*_: object, **__: object) -> bool:
    raise AssertionError("no message may fault here")


def _open(folder: Path, world: World) -> Sequencer:
    sequencer = Sequencer(folder, preset="minimal", guest_traps=_never, clock=world.clock)
    sequencer.offer_inbox(world.inbox)
    sequencer.turn_batches()
    for message in world.opening_prices():
        sequencer.submit(message)
    return sequencer


def _trade(sequencer: Sequencer, world: World, buyer: int, seller: int, lots: int) -> None:
    for number, side in ((seller, Side.SELL), (buyer, Side.BUY)):
        order = world.signers[number].place(
            instrument=0, side=side, size_lots=lots, price_ticks=MARK_TICKS
        )
        assert sequencer.submit(wire.encode(order)).code == wire.Code.OK


def _say(sequencer: Sequencer, world: World, price_units: int) -> None:
    for signer in range(2):
        assert sequencer.submit(world.prices(signer, price_units)).code == wire.Code.OK


def _kinds(outcomes: list[Outcome]) -> list[EventKind]:
    return [event.kind for outcome in outcomes for event in wire.decode_events(outcome.events)]


def test_a_close_at_an_abandoned_mark_needs_no_price(tmp_path: Path, seed: int) -> None:
    world = World(seed)
    sequencer = _open(tmp_path, world)
    _trade(sequencer, world, buyer=0, seller=1, lots=LOTS)
    sequencer.close_batch()
    sequencer.drain()
    world.now_ms += MARK_ABANDONED_MS + 1
    sequencer.offer_inbox([world.forced_close(0)])
    sequencer.turn_batches()
    outcomes = sequencer.drain()
    # The item starts the sweep; the sequencer continues it by itself, in the same batch.
    assert outcomes[0].from_inbox
    assert {o.message for o in outcomes[1:]} == {wire.encode(wire.Continue())}
    kinds = _kinds(outcomes)
    assert kinds[0] == EventKind.ACCOUNT_LEAVING
    assert kinds.count(EventKind.DELEVERAGED) == 1
    assert kinds[-2:] == [EventKind.ACCOUNT_LEFT, EventKind.SWEEP_FINISHED]
    assert not sequencer.engine.pending()
    assert sequencer.engine.positions(1) == sequencer.engine.positions(2) == []
    for row in sequencer.engine.ledger():
        assert row["total"] == row["applied"]


def test_what_an_abandoned_venue_did_not_pay_is_in_the_read_models(
    tmp_path: Path, seed: int
) -> None:
    world = World(seed)
    sequencer = _open(tmp_path / "journal", world)
    for _ in range(3):
        _trade(sequencer, world, buyer=0, seller=1, lots=LOTS)
    _say(sequencer, world, 100_000_000)  # from 250 USDC: far beyond what trader 0 has
    house = sequencer.engine.account(0)
    assert house is not None
    missing = -house["balances"][0] - sequencer.engine.ledger()[0]["fees"]
    sequencer.close_batch()
    outcomes = sequencer.drain()
    kinds = _kinds(outcomes)
    assert EventKind.SHORTFALL in kinds
    assert missing > 0

    world.now_ms += MARK_ABANDONED_MS + 1
    asked = DEPOSIT_UNITS // 2
    sequencer.offer_inbox([world.forced_withdraw(number, asked) for number in (2, 3)])
    sequencer.turn_batches()
    outcomes += sequencer.drain()
    read_model = ReadModel(tmp_path / "read.sqlite")
    try:
        read_model.take(outcomes)
        read_model.flush()
        rows = read_model.withdrawals()
    finally:
        read_model.close()
    held = world.traders * DEPOSIT_UNITS
    paid = asked * held // (held + missing)
    assert [(row.amount_units, row.haircut_units) for row in rows] == [(paid, asked - paid)] * 2
    assert [row.forced for row in rows] == [1, 1]
