"""Everything that this package makes is accepted by the program: specification and native."""

import pytest

from provenue import spec, wire
from provenue.client.keys import Key
from provenue.client.signing import ActionSigner
from provenue.engine import Engine
from provenue.prices import PriceSigner, RisingClock
from provenue.wire import Code, EventKind, OrderType, Side

DOMAIN = wire.Domain(31337, b"\xaa" * 20)
NOW_MS = 1_790_000_000_000
LIVE = {"stamp_min_ms": 0, "stamp_max_ms": wire.STAMP_MAX_LIVE}
TRADER, MAKER, SESSION = Key(b"\x01" * 32), Key(b"\x02" * 32), Key(b"\x03" * 32)
PRICER = PriceSigner(
    domain=DOMAIN, index=0, key=Key(b"\x04" * 32), feeds=[0], clock=RisingClock(None)
)
USDC, PERPETUAL = 0, 0


class Both:
    """The specification and the native engine side by side."""

    def __init__(self) -> None:
        self.state, self.engine = spec.State("minimal"), Engine("minimal")

    def apply(self, message: wire.AnyMessage) -> tuple[Code, list[wire.Event]]:
        data = wire.encode(message)
        inbox = message.KIND >= wire.Kind.GENESIS
        code, events = spec.apply(self.state, data, from_inbox=inbox, **LIVE)
        number, packed = self.engine.apply(data, from_inbox=inbox, **LIVE)
        assert number == code
        assert packed == spec.pack_events(events)
        return Code(number), wire.decode_events(packed)

    def accept(self, message: wire.AnyMessage) -> list[wire.Event]:
        code, events = self.apply(message)
        assert code is Code.OK, f"{message.KIND.name}: {code.name}: {code.text}"
        return events

    def global_field(self, name: str) -> bytes:
        return bytes(self.engine.tables["globals"][0][name].tobytes())


def stamped(message: wire.AnyMessage, stamp_ms: int = NOW_MS) -> wire.AnyMessage:
    """As the sequencer does it: the stamp is no part of the signature."""
    data = bytearray(wire.encode(message))
    data[1:9] = stamp_ms.to_bytes(8, "big")
    return wire.decode(bytes(data))


def action_signer(account: int, slot: int, key: Key) -> ActionSigner:
    return ActionSigner(DOMAIN, 1 << 32 | account, slot, key, clock=lambda: NOW_MS)


@pytest.fixture
def venue() -> Both:
    """One perpetual at 100 USDC, two accounts with money."""
    both = Both()
    both.accept(wire.Genesis(chain_id=DOMAIN.chain_id, anchor=DOMAIN.anchor))
    both.accept(
        wire.ListAsset(
            asset=USDC, chain=0, unit_decimals=6, feed=0xFFFF, weight_ppm=1_000_000,
            opening_min_units=1, token=b"\x0c" * 20,
        )
    )  # fmt: skip
    both.accept(
        wire.ListInstrument(
            instrument=PERPETUAL, instrument_kind=wire.InstrumentKind.PERPETUAL, base_asset=0xFFFF,
            feed=0, tick_size=10_000, lots_per_base=1_000, initial_ppm=100_000,
            maintenance_ppm=50_000, taker_fee_ppm=500, maker_fee_ppm=100,
            liquidation_fee_ppm=1_000, market_band_ppm=50_000, liquidation_band_ppm=50_000,
            funding_cap_ppm=1_000, name=b"BTC-PERPETUAL".ljust(16, b"\0"),
        )
    )  # fmt: skip
    both.accept(wire.SetSigners(quorum=1, signers=(PRICER.address,)))
    for owner in (TRADER, MAKER):
        both.accept(wire.Deposit(asset=USDC, amount_units=10**9, owner=owner.address, subaccount=0))
    prices = PRICER.sign({0: 100_000_000}, NOW_MS)
    assert prices is not None
    both.accept(stamped(prices))
    return both


def test_genesis_computes_the_domain_that_is_signed_for(venue: Both) -> None:
    assert venue.global_field("domain_separator") == DOMAIN.separator


def test_signed_orders_trade(venue: Both) -> None:
    maker, taker = action_signer(2, 0, MAKER), action_signer(1, 0, TRADER)
    venue.accept(
        stamped(
            maker.place(instrument=0, side=Side.SELL, size_lots=5, price_ticks=10_000, client_id=7)
        )
    )
    events = venue.accept(
        stamped(
            taker.place(
                instrument=0, side=Side.BUY, size_lots=5, price_ticks=0,
                order_type=OrderType.MARKET,
            )
        )
    )  # fmt: skip
    fill = next(event for event in events if event.kind is EventKind.FILL)
    assert (fill.account, fill.counter_account, fill.price, fill.size) == (1, 2, 10_000, 5)


def test_a_session_key_works_until_it_is_revoked(venue: Both) -> None:
    owner, session = action_signer(1, 0, TRADER), action_signer(1, 2, SESSION)
    assert venue.apply(stamped(session.cancel_all()))[0] is Code.KEY_UNKNOWN
    venue.accept(stamped(owner.set_key(slot=2, key_address=SESSION.address, scope=1)))
    order = session.place(instrument=0, side=Side.BUY, size_lots=1, price_ticks=1, post_only=True)
    placed = venue.accept(stamped(order))
    assert venue.apply(stamped(order))[0] is Code.NONCE_USED
    venue.accept(stamped(session.cancel(placed[0].order_id)))
    venue.accept(stamped(owner.revoke_key(2)))
    assert venue.apply(stamped(session.cancel_all()))[0] is Code.KEY_UNKNOWN


def test_an_owner_revokes_a_key_and_leaves_through_l1(venue: Both) -> None:
    maker, taker = action_signer(2, 0, MAKER), action_signer(1, 0, TRADER)
    session = action_signer(1, 2, SESSION)
    venue.accept(stamped(taker.set_key(slot=2, key_address=SESSION.address, scope=1)))
    for signer, side in ((maker, Side.SELL), (taker, Side.BUY)):
        order = signer.place(instrument=0, side=side, size_lots=5, price_ticks=10_000)
        venue.accept(stamped(order))
    named = {"owner": TRADER.address, "subaccount": 0}
    assert venue.accept(wire.ForcedRevoke(**named, slot=2))[0].kind is EventKind.KEY_SET
    assert venue.apply(stamped(session.cancel_all()))[0] is Code.KEY_UNKNOWN
    assert venue.apply(wire.ForcedRevoke(**named, slot=0))[0] is Code.BAD_KEY_SLOT
    assert venue.accept(wire.ForcedClose(**named))[0].kind is EventKind.ACCOUNT_LEAVING
    late = taker.place(instrument=0, side=Side.SELL, size_lots=5, price_ticks=10_000)
    assert venue.apply(stamped(late))[0] is Code.ACCOUNT_LEAVING
    prices = PRICER.sign({0: 100_000_000}, NOW_MS + 1)
    assert prices is not None
    events = venue.accept(stamped(prices, NOW_MS + 1))
    while EventKind.SWEEP_FINISHED not in [event.kind for event in events]:
        events += venue.accept(wire.Continue())
    deal = next(event for event in events if event.kind is EventKind.DELEVERAGED)
    assert (deal.account, deal.counter_account, deal.price, deal.size) == (1, 2, 9_500, 5)
    left = next(event for event in events if event.kind is EventKind.ACCOUNT_LEFT)
    assert left.account == 1


def test_withdrawals_grow_the_tree_that_proves_them(venue: Both) -> None:
    owner, tree = action_signer(1, 0, TRADER), wire.WithdrawalTree()
    assert venue.global_field("withdrawal_root") == tree.image_root
    for amount in (5, 7, 11):
        venue.accept(
            stamped(owner.withdraw(asset=USDC, amount_units=amount, recipient=b"\x05" * 20))
        )
        tree.append(
            wire.withdrawal_leaf(
                number=len(tree), asset=USDC, recipient=b"\x05" * 20, amount_units=amount
            )
        )
        assert venue.global_field("withdrawal_root") == tree.image_root


def test_the_image_root_is_the_tree_over_the_image(venue: Both) -> None:
    assert wire.merkle_root(bytes(venue.engine.image), 29) == venue.engine.root()
    forced = wire.ForcedWithdraw(
        owner=TRADER.address, subaccount=0, asset=USDC, amount_units=3, recipient=b"\x05" * 20
    )
    venue.accept(forced)
    venue.accept(wire.ForcedCancel(owner=TRADER.address, subaccount=0))
    venue.accept(wire.Tick(stamp_ms=NOW_MS + 1))
    assert venue.apply(wire.Continue())[0] is Code.NOTHING_TO_CONTINUE
    assert wire.merkle_root(bytes(venue.engine.image), 29) == venue.engine.root()
    proof = venue.engine.leaf_proof(0)
    leaf = venue.global_field("withdrawal_root")
    assert wire.verify_proof(leaf, 0, proof, venue.engine.root())
