"""The order of the checks: of all that is wrong at once, the first in the chapters answers."""

from typing import Any

import pytest
from tests.differential.wire import encode, make_signers
from tests.spec.venue import BUY, COIN, MARK, PERPETUAL, SELL, SPOT, START_S, USDC, Venue

from provenue.spec.constants import Code, Kind
from provenue.spec.formats import MESSAGES

U32_MAX = (1 << 32) - 1
STRANGER = make_signers("stranger", 1)[0]

# --- framing (2.2) -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "from_inbox", "code"),
    [
        (b"", False, "EMPTY_MESSAGE"), (b"", True, "EMPTY_MESSAGE"),
        (b"\x00", False, "UNKNOWN_KIND"), (b"\x09" + bytes(128), True, "UNKNOWN_KIND"),
        (b"\xff", True, "UNKNOWN_KIND"),
        (b"\x12", True, "WRONG_SOURCE"), (b"\x80", False, "WRONG_SOURCE"),
        (b"\x01" + bytes(500), True, "WRONG_SOURCE"),
        (b"\x12\x00", False, "BAD_LENGTH"), (b"\x11", False, "BAD_LENGTH"),
        (b"\x11" + bytes(9), False, "BAD_LENGTH"), (b"\x10", False, "BAD_LENGTH"),
        (b"\x10" + bytes(17) + b"\x01" + bytes(65), False, "BAD_LENGTH"),
        (b"\x10" + bytes(17) + b"\xff" + bytes(2_550 + 64), False, "BAD_LENGTH"),
        (b"\x10" + bytes(17) + b"\xff" + bytes(2_550 + 65), False, "NOT_CONFIGURED"),
        (b"\x83\x01", True, "BAD_LENGTH"), (b"\x83\x01\x01" + bytes(19), True, "BAD_LENGTH"),
        (b"\x83\x00\x00", True, "NOT_CONFIGURED"), (b"\x12", False, "NOT_CONFIGURED"),
        (b"\x80" + bytes(27), True, "BAD_LENGTH"), (b"\x80" + bytes(28), True, "OK"),
    ],
)  # fmt: skip
def test_framing(engine_name: str, message: bytes, from_inbox: bool, code: str) -> None:
    venue = Venue(engine_name)
    assert venue.apply(message, from_inbox=from_inbox)[0].name == code


def test_every_kind_has_one_length(venue: Venue) -> None:
    for kind, form in MESSAGES.items():
        for size in (form.size - 1, form.size + 1):
            if size == 0:
                continue
            message = bytes([kind]) + bytes(size - 1)
            code, _ = venue.apply(message, from_inbox=kind >= 0x80)
            assert code == Code.BAD_LENGTH, kind.name


def test_genesis_happens_once(venue: Venue) -> None:
    assert venue.send(Kind.GENESIS, {"chain_id": 1, "anchor": bytes(20)})[0].name == (
        "ALREADY_CONFIGURED"
    )


# --- signed actions (2.4) and PLACE (4.1) --------------------------------------------------------

# From the last check to the first: each step makes one more thing wrong, and its code answers.
_PLACE_STEPS: list[tuple[str, dict[str, Any]]] = [
    ("OK", {}),
    ("MARGIN_INSUFFICIENT", {"size_lots": 1_000_000}),
    ("POSITION_TOO_LARGE", {"size_lots": 4_194_304_001, "price_ticks": 1}),
    ("NOTIONAL_TOO_LARGE", {"size_lots": 4_294_967_295, "price_ticks": 1 << 29}),
    ("BAD_SIZE", {"size_lots": 0}),
    ("BAD_PRICE", {"price_ticks": 1 << 30}),
    ("BAD_SELF_TRADE", {"self_trade": 4}),
    ("BAD_FLAGS", {"flags": 2}),
    ("BAD_GOOD_TILL", {"good_till_s": 1}),
    ("BAD_TIME_IN_FORCE", {"time_in_force": 4}),
    ("BAD_ORDER_TYPE", {"order_type": 2}),
    ("BAD_SIDE", {"side": 2}),
    ("INSTRUMENT_UNKNOWN", {"instrument": 3}),
    ("EXPIRED", {"expires_at_ms": 0}),
    ("NONCE_TOO_LARGE", {"nonce": 1 << 63}),
    ("BAD_SIGNATURE", {"signer": STRANGER}),
    ("KEY_UNKNOWN", {"key": 1}),
    ("ACCOUNT_UNKNOWN", {"account": 1}),
]


@pytest.mark.parametrize("step", range(len(_PLACE_STEPS)))
def test_the_first_failing_check_answers(venue: Venue, step: int) -> None:
    trader = venue.trader()
    fields: dict[str, Any] = {}
    for _, wrong in _PLACE_STEPS[: step + 1]:
        fields |= wrong
    price, size = fields.pop("price_ticks", MARK), fields.pop("size_lots", 1)
    code, events = trader.place(fields.pop("side", BUY), price, size, **fields)
    assert code.name == _PLACE_STEPS[step][0]
    assert bool(events) == (code == Code.OK)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"order_type": 1, "time_in_force": 0}, "BAD_TIME_IN_FORCE"),
        ({"time_in_force": 1, "flags": 1}, "BAD_FLAGS"),
        ({"order_type": 1, "time_in_force": 1, "flags": 1}, "BAD_FLAGS"),
        ({"price_ticks": 0}, "BAD_PRICE"),
        ({"price_ticks": 0, "order_type": 1, "time_in_force": 1}, "OK"),
        ({"price_ticks": (1 << 30) - 1, "order_type": 1, "time_in_force": 1}, "OK"),
        ({"price_ticks": 1 << 30, "order_type": 1, "time_in_force": 1}, "BAD_PRICE"),
        ({"size_lots": 1 << 32, "price_ticks": 1}, "BAD_SIZE"),
        ({"instrument": 0, "side": SELL}, "INSUFFICIENT_BALANCE"),
        ({"instrument": 4}, "INSTRUMENT_UNKNOWN"),
    ],
)
def test_place_field_by_field(venue: Venue, fields: dict[str, Any], code: str) -> None:
    trader = venue.trader()
    fields = dict(fields)
    side, price = fields.pop("side", BUY), fields.pop("price_ticks", MARK)
    assert trader.place(side, price, fields.pop("size_lots", 1), **fields)[0].name == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"time_in_force": 4}, "BAD_TIME_IN_FORCE"),
        ({"time_in_force": 3, "order_type": 1, "good_till_s": U32_MAX}, "BAD_TIME_IN_FORCE"),
        ({"time_in_force": 2, "order_type": 1}, "OK"), ({"time_in_force": 3}, "BAD_GOOD_TILL"),
        ({"time_in_force": 3, "good_till_s": START_S}, "BAD_GOOD_TILL"),
        ({"time_in_force": 3, "good_till_s": START_S + 1}, "OK"),
        ({"good_till_s": U32_MAX}, "BAD_GOOD_TILL"), ({"flags": 8}, "BAD_FLAGS"),
        ({"flags": 2}, "BAD_FLAGS"), ({"flags": 6}, "BAD_FLAGS"),
        ({"flags": 3, "time_in_force": 1}, "BAD_FLAGS"),
        ({"flags": 1, "time_in_force": 2}, "BAD_FLAGS"),
        ({"flags": 3, "time_in_force": 3, "good_till_s": U32_MAX}, "OK"),
        ({"flags": 4, "instrument": 0}, "BAD_FLAGS"), ({"flags": 4}, "NOTHING_TO_REDUCE"),
        ({"self_trade": 3}, "OK"), ({"self_trade": 4}, "BAD_SELF_TRADE"),
        # Of two that are wrong the first check answers.
        ({"time_in_force": 4, "good_till_s": 1}, "BAD_TIME_IN_FORCE"),
        ({"good_till_s": 1, "flags": 8}, "BAD_GOOD_TILL"),
        ({"flags": 2, "self_trade": 4}, "BAD_FLAGS"),
        ({"self_trade": 4, "price_ticks": 0}, "BAD_SELF_TRADE"),
        ({"flags": 4, "size_lots": 0}, "BAD_SIZE"),
        ({"flags": 4, "size_lots": U32_MAX, "price_ticks": 1 << 29}, "NOTHING_TO_REDUCE"),
        ({"flags": 5, "price_ticks": 101}, "NOTHING_TO_REDUCE"),
    ],
)  # fmt: skip
def test_the_new_fields_of_place(venue: Venue, fields: dict[str, Any], code: str) -> None:
    trader = venue.trader(coin_units=10**8)
    if code == "OK" and fields.get("time_in_force") == 2:
        venue.trader().order(SELL, MARK, 1)
    base = {"price_ticks": MARK, "size_lots": 1} | fields
    answer, _ = trader.place(BUY, base.pop("price_ticks"), base.pop("size_lots"), **base)
    assert answer.name == code


def test_a_slide_without_room_comes_before_what_is_to_be_reduced(venue: Venue) -> None:
    """4.1 step 10: the limit first, then the size, then what both are worth."""
    venue.trader().order(SELL, 1, 1)
    trader = venue.trader()
    assert trader.place(BUY, 9, 1, flags=7)[0] == Code.POST_ONLY_WOULD_CROSS
    assert trader.place(BUY, 9, 1, flags=4)[0] == Code.NOTHING_TO_REDUCE


def test_what_a_reduce_only_order_is_cut_to_is_what_it_is_worth(venue: Venue) -> None:
    """2^32 - 1 lots at 3,000,000 ticks are above NOTIONAL_MAX; the one lot it can sell is not."""
    long, short = venue.trader(), venue.trader()
    short.order(SELL, MARK, 1)
    long.order(BUY, MARK, 1)
    assert long.place(SELL, 3_000_000, U32_MAX)[0] == Code.NOTIONAL_TOO_LARGE
    assert long.place(SELL, 3_000_000, U32_MAX, flags=4)[0] == Code.OK
    for n in range(5):
        long.order(SELL, 110 + n, 1, flags=4)
    assert long.place(SELL, 3_000_000, U32_MAX, flags=4)[0] == Code.REDUCE_ONLY_FULL
    assert long.place(BUY, MARK, 1, flags=4)[0] == Code.NOTHING_TO_REDUCE


# --- AMEND (4.4) and REPLACE (4.5) ---------------------------------------------------------------

_AMEND_STEPS: list[tuple[str, dict[str, Any]]] = [
    ("OK", {}),
    ("MARGIN_INSUFFICIENT", {"size_lots": 1_000_000}),
    ("POSITION_TOO_LARGE", {"size_lots": 4_194_304_001, "price_ticks": 1}),
    ("NOTIONAL_TOO_LARGE", {"size_lots": 4_294_967_295, "price_ticks": 1 << 29}),
    ("BAD_SIZE", {"size_lots": 1 << 32}),
    ("BAD_PRICE", {"price_ticks": 1 << 30}),
    ("ORDER_UNKNOWN", {"order_id": 40}),
    ("EXPIRED", {"expires_at_ms": 0}),
    ("NONCE_TOO_LARGE", {"nonce": 1 << 63}),
    ("BAD_SIGNATURE", {"signer": STRANGER}),
    ("KEY_UNKNOWN", {"key": 1}),
    ("ACCOUNT_UNKNOWN", {"account": 1}),
]
_REPLACE_STEPS: list[tuple[str, dict[str, Any]]] = [
    ("OK", {}),
    ("NOT_FILLED", {"time_in_force": 2}),
    *_AMEND_STEPS[1:4],
    ("BAD_SIZE", {"size_lots": 1 << 32}),
    ("BAD_PRICE", {"price_ticks": 1 << 30}),
    ("BAD_SELF_TRADE", {"self_trade": 4}),
    ("BAD_FLAGS", {"flags": 2}),
    ("BAD_GOOD_TILL", {"good_till_s": 1}),
    ("BAD_TIME_IN_FORCE", {"time_in_force": 4}),
    ("BAD_ORDER_TYPE", {"order_type": 2}),
    ("BAD_SIZE", {"size_lots": 0}),
    *_AMEND_STEPS[6:],
]


def _with_one_more_wrong(
    venue: Venue, kind: Kind, steps: list[tuple[str, dict[str, Any]]], step: int
) -> None:
    trader = venue.trader()
    order_id = trader.order(BUY, 90, 1)
    fields: dict[str, Any] = {"order_id": order_id, "price_ticks": MARK, "size_lots": 2}
    if kind == Kind.REPLACE:
        fields |= {"order_type": 0, "time_in_force": 0, "flags": 0, "self_trade": 0}
        fields |= {"client_id": 0, "good_till_s": 0}
    for _, wrong in steps[: step + 1]:
        fields |= wrong
    code, events = trader.act(kind, **fields)
    assert code.name == steps[step][0]
    assert bool(events) == (code == Code.OK)
    assert (venue.queue(BUY, 90) == [(order_id, 1)]) == (code != Code.OK)


@pytest.mark.parametrize("step", range(len(_AMEND_STEPS)))
def test_the_first_failing_check_of_an_amend_answers(venue: Venue, step: int) -> None:
    _with_one_more_wrong(venue, Kind.AMEND, _AMEND_STEPS, step)


@pytest.mark.parametrize("step", range(len(_REPLACE_STEPS)))
def test_the_first_failing_check_of_a_replace_answers(venue: Venue, step: int) -> None:
    _with_one_more_wrong(venue, Kind.REPLACE, _REPLACE_STEPS, step)


def test_a_leaving_account_neither_amends_nor_replaces(venue: Venue) -> None:
    """Also an order that it does not have, at no price."""
    long, short = venue.trader(), venue.trader()
    short.order(SELL, MARK, 1)
    long.order(BUY, MARK, 1)
    long.leave()
    assert long.amend(40, 0, 0)[0] == Code.ACCOUNT_LEAVING
    assert long.replace(40, 0, 0, order_type=2)[0] == Code.ACCOUNT_LEAVING


@pytest.mark.parametrize(
    ("scope", "entries", "cancels"), [(1, "OK", "OK"), (2, "SCOPE_MISSING", "OK")]
)
def test_a_session_key_that_may_only_cancel_may_not_amend(
    venue: Venue, scope: int, entries: str, cancels: str
) -> None:
    """SCOPE_TRADE is 1, SCOPE_CANCEL 2."""
    trader = venue.trader()
    key = {"slot": 1, "key_address": STRANGER.address, "scope": scope, "key_expires_at_ms": 0}
    trader.act(Kind.SET_KEY, **key)
    id_ = trader.order(BUY, 90, 2)
    session = {"key": 1, "signer": STRANGER}
    amend = {"order_id": id_, "price_ticks": 90, "size_lots": 1}
    rest = {"order_type": 0, "time_in_force": 0, "flags": 0, "self_trade": 0, "client_id": 0,
            "good_till_s": 0}  # fmt: skip
    assert trader.act(Kind.AMEND, nonce=0, **amend, **session)[0].name == entries
    assert trader.act(Kind.REPLACE, nonce=1, **amend, **rest, **session)[0].name == entries
    label = {"instrument": 0xFFFF, "client_id": 0}
    assert trader.act(Kind.CANCEL_LABEL, nonce=2, **label, **session)[0].name == cancels


def test_marks_must_be_there_and_fresh(engine_name: str) -> None:
    venue = Venue(engine_name)
    venue.ok(Kind.GENESIS, chain_id=31_337, anchor=b"\xaa" * 20)
    venue.domain = bytes.fromhex(venue.lines("G")[0][11])
    for asset in (USDC, COIN):
        venue.ok(Kind.LIST_ASSET, **asset)
    for instrument in (SPOT, PERPETUAL, PERPETUAL | {"instrument": 2, "feed": 1}):
        venue.ok(Kind.LIST_INSTRUMENT, **instrument)
    venue.signers(1, 1)
    trader = venue.trader()
    assert trader.place(BUY, MARK, 1)[0] == Code.MARK_MISSING
    venue.price({0: MARK, 1: MARK})
    trader.order(BUY, 90, 1, instrument=2)
    venue.now_ms += 60_000
    assert trader.place(BUY, 90, 1)[0] == Code.OK
    venue.now_ms += 1
    assert trader.place(BUY, 90, 1)[0] == Code.MARK_STALE
    venue.price({0: MARK})
    assert trader.place(BUY, 90, 1)[0] == Code.MARK_STALE  # of the other row's feed
    venue.price({1: MARK})
    assert trader.place(BUY, 90, 1)[0] == Code.OK


def test_an_order_needs_fresh_prices_of_the_collateral_behind_it(venue: Venue) -> None:
    """Also the first order of an account that had no row: its coin backs it from now on."""
    rich, backed = venue.trader(10), venue.trader(10, coin_units=1)
    venue.price({1: MARK}, after_ms=60_001)  # feed 0, the coin's, is stale
    assert backed.place(BUY, 90, 1, instrument=2)[0] == Code.MARK_STALE
    assert rich.place(BUY, 90, 1, instrument=2)[0] == Code.OK
    venue.price({0: MARK})
    assert backed.place(BUY, 90, 1, instrument=2)[0] == Code.OK


def test_a_sweep_serves_cancels_before_orders(venue: Venue) -> None:
    traders = [venue.trader() for _ in range(4)]
    id_ = traders[0].order(BUY, 90, 1)
    venue.now_ms += 1
    venue.publish({0: MARK})
    owner = traders[0].signer.address
    assert traders[0].place(BUY, 90, 1)[0] == Code.SWEEP_PENDING
    leave = {"asset": 0, "amount_units": 1, "recipient": owner}
    assert traders[0].act(Kind.WITHDRAW, **leave)[0] == Code.SWEEP_PENDING
    assert traders[0].amend(id_, 90, 1)[0] == Code.SWEEP_PENDING
    assert traders[0].replace(id_, 90, 1)[0] == Code.SWEEP_PENDING
    assert traders[0].act(Kind.CANCEL_LABEL, instrument=0xFFFF, client_id=5) == (Code.OK, [])
    assert traders[0].cancel(id_)[0] == Code.OK
    assert traders[0].act(Kind.CANCEL_ALL, instrument=0xFFFF)[0] == Code.OK
    assert venue.ok(Kind.FORCED_WITHDRAW, owner=owner, subaccount=0, **leave)[0].reason == 1
    venue.finish()
    assert traders[0].place(BUY, 90, 1)[0] == Code.OK


# --- administration (3.2) ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"asset": 3, "unit_decimals": 9}, "ASSET_UNKNOWN"), ({"asset": 1}, "ALREADY_LISTED"),
        ({"unit_decimals": 9}, "BAD_PARAMETER"), ({"weight_ppm": 1_000_001}, "BAD_PARAMETER"),
        ({"feed": 4}, "BAD_PARAMETER"), ({"feed": 0xFFFF}, "BAD_PARAMETER"),
        ({"feed": 3, "unit_decimals": 8, "weight_ppm": 0}, "OK"),
    ],
)  # fmt: skip
def test_list_asset(venue: Venue, wrong: dict[str, Any], code: str) -> None:
    assert venue.send(Kind.LIST_ASSET, COIN | {"asset": 2} | wrong)[0].name == code


@pytest.mark.parametrize(
    "wrong",
    [{"feed": 0}, {"weight_ppm": 999_999}, {"asset": 1, "feed": 0}],
)
def test_the_quote_asset_comes_first_and_weighs_one(
    engine_name: str, wrong: dict[str, Any]
) -> None:
    venue = Venue(engine_name)
    venue.ok(Kind.GENESIS, chain_id=1, anchor=bytes(20))
    assert venue.send(Kind.LIST_ASSET, USDC | wrong)[0] == Code.BAD_PARAMETER
    assert venue.send(Kind.LIST_INSTRUMENT, PERPETUAL)[0] == Code.BAD_PARAMETER
    assert venue.send(Kind.LIST_ASSET, USDC)[0] == Code.OK
    assert venue.send(Kind.LIST_INSTRUMENT, PERPETUAL)[0] == Code.OK


_FOURTH = PERPETUAL | {"instrument": 3}
_FOURTH_SPOT = SPOT | {"instrument": 3}


@pytest.mark.parametrize(
    ("base", "wrong", "code"),
    [
        (_FOURTH, {"instrument": 4}, "INSTRUMENT_UNKNOWN"),
        (_FOURTH, {"instrument": 1, "tick_size": 0}, "ALREADY_LISTED"),
        *[(_FOURTH, wrong, "BAD_PARAMETER") for wrong in (
            {"instrument_kind": 2}, {"base_asset": 1}, {"feed": 4}, {"tick_size": 0},
            {"lots_per_base": 0}, {"tick_size": 1_500}, {"tick_size": (1 << 40) + 1_000},
            {"tick_size": 1 << 41, "lots_per_base": 1 << 41}, {"initial_ppm": 0},
            {"maintenance_ppm": 0}, {"maintenance_ppm": 100_001}, {"initial_ppm": 1_000_001},
            {"taker_fee_ppm": 100_001}, {"maker_fee_ppm": 501},
            {"liquidation_fee_ppm": 100_001}, {"market_band_ppm": 0},
            {"market_band_ppm": 1_000_000}, {"liquidation_band_ppm": 0},
            {"liquidation_band_ppm": 1_000_000}, {"funding_cap_ppm": 100_001},
        )],
        *[(_FOURTH_SPOT, wrong, "BAD_PARAMETER") for wrong in (
            {"base_asset": 0}, {"base_asset": 2}, {"base_asset": 3}, {"base_asset": 0xFFFF},
            {"feed": 1}, {"initial_ppm": 1}, {"maintenance_ppm": 1},
            {"lots_per_base": 3, "tick_size": 3_000_000},
            {"lots_per_base": 10**9, "tick_size": 10**9},
        )],
        (_FOURTH, {"maintenance_ppm": 100_000, "maker_fee_ppm": 500}, "OK"),
        (_FOURTH, {"initial_ppm": 1_000_000, "taker_fee_ppm": 100_000}, "OK"),
        (_FOURTH, {"tick_size": 1 << 40, "lots_per_base": 1 << 40}, "OK"),
        (_FOURTH_SPOT, {"lots_per_base": 10**8, "tick_size": 10**8}, "OK"),
    ],
)  # fmt: skip
def test_list_instrument(
    venue: Venue, base: dict[str, Any], wrong: dict[str, Any], code: str
) -> None:
    assert venue.send(Kind.LIST_INSTRUMENT, base | wrong)[0].name == code


_A, _B, _ZERO = b"\x01" * 20, b"\x02" * 20, bytes(20)


@pytest.mark.parametrize(
    ("quorum", "signers", "code"),
    [
        (0, [], "BAD_COUNT"), (1, [bytes([n + 1]) * 20 for n in range(9)], "BAD_COUNT"),
        (0, [_ZERO], "BAD_PARAMETER"), (2, [_A], "BAD_PARAMETER"), (1, [_ZERO], "BAD_RECIPIENT"),
        (1, [_A, _A, _ZERO], "BAD_RECIPIENT"), (1, [_A, _B, _A], "BAD_PARAMETER"),
        (2, [_A, _B], "OK"), (8, [bytes([n + 1]) * 20 for n in range(8)], "OK"),
    ],
)  # fmt: skip
def test_set_signers(venue: Venue, quorum: int, signers: list[bytes], code: str) -> None:
    fields = {"quorum": quorum, "count": len(signers), "signers": signers}
    assert venue.send(Kind.SET_SIGNERS, fields)[0].name == code


def test_a_sequenced_reject_does_not_move_time(venue: Venue) -> None:
    now = venue.lines("G")[0][1]
    late = encode(Kind.CONTINUE, {})
    assert venue.apply(late, from_inbox=False)[0] == Code.NOTHING_TO_CONTINUE
    venue.now_ms += 10_000
    assert venue.send(Kind.DEPOSIT, {"asset": 9, "amount_units": 1, "owner": _A,
                                     "subaccount": 0})[0] == Code.ASSET_UNKNOWN  # fmt: skip
    assert venue.lines("G")[0][1] == now
