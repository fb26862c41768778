"""Signed actions end to end: real sockets, journal and engine; the image says what happened."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.gateway.venue_world import (
    PERPETUAL,
    SPOT,
    Api,
    Gateway,
    open_gateway,
    order_params,
    refused,
    signed,
)
from tests.sequencer.world import DOMAIN, address_of, key_of

from provenue import wire
from provenue._generated.constants import NONCE_MAX, NONCE_WINDOW
from provenue.client.signing import ActionSigner
from provenue.gateway.venue import now_ms
from provenue.wire import Code, Side

BUY, SELL = Side.BUY, Side.SELL


async def test_an_order_rests_and_another_meets_it(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        maker, taker = gateway.signers[0], gateway.signers[1]
        resting = await api.call("private/buy", **order_params(maker, BUY, 700, 24_990))
        order = resting["order"]
        assert (order["order_state"], order["amount"], order["price"]) == ("open", 0.07, 249.9)
        assert resting["trades"] == []
        met = await api.call("private/sell", **order_params(taker, SELL, 200, 24_900, client_id=77))
        (trade,) = met["trades"]
        assert met["order"]["order_state"] == "filled"
        assert met["order"]["label"] == "77"
        assert met["order"]["average_price"] == 249.9
        assert (trade["price"], trade["amount"], trade["liquidity"]) == (249.9, 0.02, "T")
        # 0.02 * 249.9 at 500 ppm, rounded up to a unit.
        assert trade["fee"] == 0.002499
        engine = gateway.venue.engine
        assert [p["size_lots"] for p in engine.positions(1)] == [200]
        assert [p["size_lots"] for p in engine.positions(2)] == [-200]
        live = engine.order(int(order["order_id"]))
        assert live is not None
        assert live["remaining_lots"] == 500


async def test_a_taker_of_more_orders_than_one_message_fills_is_answered_in_full(
    tmp_path: Path,
) -> None:
    # The preset `minimal` fills four orders a message; CONTINUEs do the others.
    async with open_gateway(tmp_path, preset="minimal", traders=3) as gateway:
        api = await gateway.connect()
        for index in range(9):
            await api.call(
                "private/buy", **order_params(gateway.signers[0], BUY, 10, 24_900 + index)
            )
        met = await api.call(
            "private/sell", **order_params(gateway.signers[1], SELL, 100, 24_900, immediate=True)
        )
        assert [t["price"] for t in met["trades"]] == [(24_908 - i) / 100 for i in range(9)]
        assert met["order"]["filled_amount"] == 0.009
        assert met["order"]["order_state"] == "cancelled"
        assert met["order"]["cancel_reason"] == "immediate_or_cancel"
        assert gateway.venue.books.of(0).bids(9) == []


async def test_a_market_order_needs_no_price(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        await api.call("private/sell", **order_params(gateway.signers[0], SELL, 500, 25_010))
        met = await api.call(
            "private/buy", **order_params(gateway.signers[1], BUY, 100, 0, market=True)
        )
        assert met["order"]["price"] == "market_price"
        assert met["order"]["order_type"] == "market"
        assert [t["price"] for t in met["trades"]] == [250.1]


async def test_cancels(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        signer = gateway.signers[0]
        ids = []
        for index in range(5):
            instrument = index % 2
            placed = await api.call(
                "private/buy",
                **order_params(signer, BUY, 10, 24_000 + index, instrument=instrument),
            )
            ids.append(placed["order"]["order_id"])
        gone = await api.call(
            "private/cancel", order_id=ids[0], **signed(signer.cancel(int(ids[0])))
        )
        assert (gone["order_state"], gone["cancel_reason"]) == ("cancelled", "user_request")
        again = await refused(
            api, "private/cancel", order_id=ids[0], **signed(signer.cancel(int(ids[0])))
        )
        assert (again.code, again.data["reason"]) == (10004, "order_unknown")
        count = await api.call(
            "private/cancel_all_by_instrument",
            instrument_name=SPOT,
            **signed(signer.cancel_all(1)),
        )
        assert count == 2
        assert await api.call("private/cancel_all", **signed(signer.cancel_all())) == 2
        assert gateway.venue.engine.orders(1) == []


async def test_a_withdrawal_is_issued_with_an_id(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect(0)
        signer = gateway.signers[0]
        recipient = address_of(9)
        for number in range(2):
            action = signer.withdraw(asset=0, amount_units=1_500_000, recipient=recipient)
            result = await api.call(
                "private/withdraw",
                currency="USDC",
                amount="1.5",
                address="0x" + recipient.hex(),
                **signed(action),
            )
            assert (result["id"], result["amount"], result["currency"]) == (number, 1.5, "USDC")
        assert gateway.venue.engine.globals("withdrawal_count") == 2
        listed = await api.call("private/get_withdrawals")
        assert [row["id"] for row in listed["data"]] == [1, 0]
        proof = await api.call("public/get_withdrawal_proof", id=1)
        assert proof["final"] is False


async def test_a_session_key_trades_until_it_is_revoked(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect(0)
        owner = gateway.signers[0]
        session = ActionSigner(DOMAIN, owner.account_id, 2, key_of(50))
        order = order_params(session, BUY, 10, 24_000)
        assert (await refused(api, "private/buy", **order)).data["reason"] == "key_unknown"
        address = "0x" + address_of(50).hex()
        await api.call(
            "private/set_key",
            slot=2,
            key_address=address,
            scope=1,
            **signed(owner.set_key(slot=2, key_address=address_of(50), scope=1)),
        )
        keys = await api.call("private/get_keys")
        assert [(k["slot"], k["scope"]) for k in keys] == [(0, 15), (2, 1)]
        await api.call("private/buy", **order_params(session, BUY, 10, 24_000))
        action = session.withdraw(asset=0, amount_units=1_000_000, recipient=address_of(50))
        error = await refused(
            api, "private/withdraw", currency="USDC", amount=1, address=address, **signed(action)
        )
        assert error.data["reason"] == "scope_missing"
        await api.call(
            "private/set_key",
            slot=2,
            key_address="0x" + "00" * 20,
            scope=0,
            **signed(owner.revoke_key(2)),
        )
        error = await refused(api, "private/buy", **order_params(session, BUY, 10, 24_000))
        assert error.data["reason"] == "key_unknown"


async def test_what_admission_turns_away_is_not_sequenced(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        signer = gateway.signers[0]
        sequence = gateway.service.sequencer.next_sequence
        good = order_params(signer, BUY, 10, 24_000)
        cases: list[tuple[dict[str, Any], str]] = [
            (good | {"amount": 0.002}, "bad_signature"),
            (good | {"price": 240.01}, "bad_signature"),
            (good | {"nonce": good["nonce"] + 1}, "bad_signature"),
            (good | {"time_in_force": "immediate_or_cancel"}, "bad_signature"),
            (good | {"label": "5"}, "bad_signature"),
            (good | {"account": str(gateway.signers[1].account_id)}, "bad_signature"),
            (good | {"account": "99"}, "account_unknown"),
            (good | {"account": str(7 << 32 | 1)}, "account_unknown"),
            (good | {"key": 1}, "key_unknown"),
            (good | {"key": 200}, "key_unknown"),
            (order_params(signer, BUY, 10, 24_000, expires_at_ms=now_ms() - 1), "expired"),
        ]
        for params, reason in cases:
            error = await refused(api, "private/buy", **params)
            assert error.data["reason"] == reason, params
            assert "sequence" not in error.data
        assert gateway.service.sequencer.next_sequence == sequence
        # The untouched one still runs: nothing above has burnt its nonce.
        await api.call("private/buy", **good)


async def test_a_high_s_signature_is_turned_away(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        params = order_params(gateway.signers[0], BUY, 10, 24_000)
        raw = bytes.fromhex(params["signature"])
        n = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
        s = n - int.from_bytes(raw[32:64], "big")
        params["signature"] = (raw[:32] + s.to_bytes(32, "big") + bytes([55 - raw[64]])).hex()
        error = await refused(api, "private/buy", **params)
        assert error.data["reason"] == "bad_signature"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"instrument_name": "DOGE"}, "instrument_name"),
        ({"instrument_name": None}, "instrument_name"),
        ({"amount": "lots"}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 0.00001}, "amount"),
        ({"price": 240.001}, "price"),
        ({"price": None}, "price"),
        ({"price": True}, "price"),
        ({"price": 10**30}, "price"),
        ({"type": "stop_limit"}, "type"),
        ({"time_in_force": "good_til_day"}, "time_in_force"),
        ({"time_in_force": []}, "time_in_force"),
        ({"type": ["limit"]}, "type"),
        ({"post_only": "maybe"}, "post_only"),
        ({"post_only": True, "reject_post_only": 2}, "reject_post_only"),
        ({"post_only": True, "time_in_force": "fill_or_kill"}, "post_only"),
        ({"post_only": True, "type": "market"}, "post_only"),
        ({"reduce_only": 1}, "reduce_only"),
        ({"reduce_only": True, "instrument_name": SPOT}, "reduce_only"),
        ({"self_trade": "both"}, "self_trade"),
        ({"self_trade": 1}, "self_trade"),
        ({"time_in_force": "good_til_date"}, "good_til_timestamp"),
        ({"good_til_timestamp": 1_800_000_000_000}, "good_til_timestamp"),
        ({"time_in_force": "good_til_date", "type": "market"}, "time_in_force"),
        *(
            ({"time_in_force": "good_til_date", "good_til_timestamp": bad}, "good_til_timestamp")
            for bad in (0, 1_800_000_000_001, (1 << 32) * 1_000, "tomorrow", [], True)
        ),
        ({"max_show": 0.001}, "max_show"),
        ({"trigger_price": 5}, "trigger_price"),
        ({"label": "my order"}, "label"),
        ({"label": []}, "label"),
        ({"label": False}, "label"),
        ({"account": "x"}, "account"),
        ({"account": None}, "account"),
        ({"nonce": 1.5}, "nonce"),
        ({"nonce": 1 << 64}, "nonce"),
        ({"key": 256}, "key"),
        ({"expires_at": "later"}, "expires_at"),
        ({"valid_until": 5}, "valid_until"),
        ({"signature": "00"}, "signature"),
        ({"signature": 7}, "signature"),
    ],
)
async def test_a_wrong_parameter_is_named(
    tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    async with open_gateway(tmp_path, preset="minimal", traders=1) as gateway:
        api = await gateway.connect()
        params = order_params(gateway.signers[0], BUY, 10, 24_000) | change
        error = await refused(api, "private/buy", **params)
        assert error.data["param"] == field
        missing = {k: v for k, v in params.items() if k != field or change.get(field) is not None}
        assert (await refused(api, "private/buy", **missing)).data["param"] == field


@pytest.mark.parametrize(
    ("method", "field", "value"),
    [
        ("public/get_instruments", "kind", "futures"),
        ("public/get_instruments", "kind", []),
        ("public/get_instruments", "currency", ["BTC"]),
        ("public/get_book_summary_by_currency", "currency", 7),
        ("public/get_last_trades_by_instrument", "sorting", "up"),
        ("public/get_last_trades_by_instrument", "count", 0),
        ("public/get_last_trades_by_instrument", "start_timestamp", "yesterday"),
        ("public/get_order_book", "depth", 1_001),
        ("public/get_index_price", "index_name", {}),
        ("public/get_accounts", "address", "0x12"),
        ("public/get_withdrawal_proof", "id", -1),
        ("private/get_positions", "kind", 3),
        ("private/get_user_trades_by_currency", "sorting", True),
        ("private/get_order_history_by_currency", "include_unfilled", "maybe"),
        ("private/get_order_history_by_currency", "offset", 0.5),
        ("private/get_account_summary", "currency", "SOL"),
        ("private/get_order_state", "order_id", "mine"),
    ],
)
async def test_a_wrong_filter_is_named_and_not_ignored(
    tmp_path: Path, method: str, field: str, value: Any
) -> None:
    async with open_gateway(tmp_path, preset="minimal", traders=1) as gateway:
        api = await gateway.connect(0)
        await api.login(0)
        params = {"instrument_name": PERPETUAL, field: value}
        assert (await refused(api, method, **params)).data["param"] == field


async def test_rejects_of_the_program_say_where_they_stand(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        maker, taker = gateway.signers[0], gateway.signers[1]
        await api.call("private/sell", **order_params(maker, SELL, 10, 25_000))
        nonce = now_ms()
        used = order_params(taker, BUY, 10, 20_000, nonce=nonce)
        await api.call("private/buy", **used)
        spot = {"instrument": 1}
        cases: list[tuple[str, dict[str, Any], int, str]] = [
            ("buy", order_params(taker, BUY, 10, 25_000, post_only=True), 11054,
             "post_only_would_cross"),
            ("buy", order_params(taker, BUY, 4_000_000_000, 25_000), 10009, "margin_insufficient"),
            ("buy", order_params(taker, BUY, 0, 25_000), 10021, "bad_size"),
            ("buy", order_params(taker, BUY, 1, 0x4000_0000), 10011, "bad_price"),
            ("sell", order_params(taker, SELL, 3_000_000, 25_000, **spot), 10009,
             "insufficient_balance"),
        ]  # fmt: skip
        for side, params, code, reason in cases:
            sequence = gateway.service.sequencer.next_sequence
            error = await refused(api, f"private/{side}", **params)
            assert (error.code, error.data["reason"]) == (code, reason)
            assert error.data["sequence"] == sequence
            assert error.data["code"] == Code[reason.upper()]


async def test_what_the_image_knows_to_be_spent_is_not_sequenced(tmp_path: Path) -> None:
    """Nonces and prices that the program would refuse for sure, however they are sent."""
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        signer, first, near = gateway.signers[1], now_ms(), now_ms() + NONCE_WINDOW - 1
        for nonce in (first, near):
            await api.call("private/buy", **order_params(signer, BUY, 1, 20_000, nonce=nonce))
        sequence = gateway.service.sequencer.next_sequence
        cases = {
            first: "nonce_used",
            near: "nonce_used",
            first - 1: "nonce_too_old",
            5: "nonce_too_old",
            NONCE_MAX + 1: "nonce_too_large",
        }
        for nonce, reason in cases.items():
            params = order_params(signer, BUY, 1, 20_000, nonce=nonce)
            error = await refused(api, "private/buy", **params)
            assert (error.code, error.data["reason"]) == (11030, reason)
            assert "sequence" not in error.data
        # The program's checks come in its order: a wrong signature is told before the nonce.
        forged = order_params(signer, BUY, 1, 20_000, nonce=first) | {"amount": "0.0002"}
        assert (await refused(api, "private/buy", **forged)).data["reason"] == "bad_signature"
        price = gateway.world.prices(0, 250_000_000)
        assert (await api.call("public/relay_prices", message=price.hex()))["updated_feeds"] == [0]
        error = await refused(api, "public/relay_prices", message=price.hex())
        assert error.data["reason"] == "price_not_newer"
        assert "sequence" not in error.data
        assert gateway.service.sequencer.next_sequence == sequence + 1
        # Free places inside the window, and other keys, are not touched.
        for nonce in (first + 1, near - 1):
            await api.call("private/buy", **order_params(signer, BUY, 1, 20_000, nonce=nonce))
        other = order_params(gateway.signers[2], BUY, 1, 20_000, nonce=first)
        await api.call("private/buy", **other)


async def test_whole_messages(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        action = gateway.signers[0].place(instrument=0, side=BUY, size_lots=10, price_ticks=24_000)
        before = gateway.service.sequencer.next_sequence
        done = await api.call("public/submit", message="0x" + wire.encode(action).hex())
        assert done["sequence"] == before
        assert done["result"]["order"]["order_state"] == "open"
        order_id = int(done["result"]["order"]["order_id"])
        cancel = wire.encode(gateway.signers[0].cancel(order_id)).hex()
        gone = await api.call("public/submit", message=cancel)
        assert gone["result"]["order_state"] == "cancelled"
        again = await refused(api, "public/submit", message=cancel)
        assert again.data["reason"] == "nonce_used"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "empty_message"),
        ("7f", "unknown_kind"),
        ("01", "bad_length"),
        ("11" + "00" * 8, "wrong_source"),
        ("12", "wrong_source"),
        (wire.encode(wire.Deposit(asset=0, amount_units=1, owner=b"1" * 20, subaccount=0)).hex(),
         "wrong_source"),
    ],
)  # fmt: skip
async def test_only_signed_messages_of_clients_are_taken(
    tmp_path: Path, message: str, reason: str
) -> None:
    async with open_gateway(tmp_path, preset="minimal", traders=1) as gateway:
        api = await gateway.connect()
        error = await refused(api, "public/submit", message=message)
        assert error.data["reason"] == reason
        for bad in ("zz", 5, None, "00" * 2_000):
            assert (await refused(api, "public/submit", message=bad)).data["param"] == "message"


async def test_prices_are_relayed(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        gateway.world.now_ms = time.time_ns() // 1_000_000
        vectors = [gateway.world.prices(signer, 260_000_000) for signer in range(2)]
        results = [await api.call("public/relay_prices", message=v.hex()) for v in vectors]
        # Both signers' former prices count: the lower of two first, then both are new.
        assert [r["updated_feeds"] for r in results] == [[0], [0]]
        ticker = await api.call("public/ticker", instrument_name=PERPETUAL)
        assert (ticker["mark_price"], ticker["index_price"]) == (260, 260)
        stale = await refused(api, "public/relay_prices", message=vectors[0].hex())
        assert stale.data["reason"] == "price_not_newer"
        forged = wire.decode(vectors[0])
        assert isinstance(forged, wire.Prices)
        forged = msgspec.structs.replace(forged, entries=(wire.PricesEntry(0, 1),))
        error = await refused(api, "public/relay_prices", message=wire.encode(forged).hex())
        assert error.data["reason"] == "bad_signature"
        action = gateway.signers[0].cancel_all()
        error = await refused(api, "public/relay_prices", message=wire.encode(action).hex())
        assert error.data["param"] == "message"


async def read(gateway: Gateway, api: Api, method: str, **params: Any) -> Any:
    return await api.call(f"private/{method}", **params)


async def test_reads_agree_with_what_was_done(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api, other = await gateway.connect(0), await gateway.connect(1)
        maker, taker = gateway.signers[0], gateway.signers[1]
        placed = await api.call("private/buy", **order_params(maker, BUY, 300, 25_000))
        order_id = placed["order"]["order_id"]
        spot = await api.call("private/buy", **order_params(maker, BUY, 50, 24_000, instrument=1))
        met = await other.call("private/sell", **order_params(taker, SELL, 100, 25_000))
        assert [o["order_id"] for o in await api.call("private/get_open_orders")] == [
            order_id,
            spot["order"]["order_id"],
        ]
        by_name = await api.call("private/get_open_orders_by_instrument", instrument_name=SPOT)
        assert [o["order_id"] for o in by_name] == [spot["order"]["order_id"]]
        assert len(await api.call("private/get_open_orders_by_currency", currency="BTC")) == 2
        assert await api.call("private/get_open_orders_by_currency", currency="SOL") == []
        state = await api.call("private/get_order_state", order_id=order_id)
        assert (state["order_state"], state["filled_amount"]) == ("open", 0.01)
        error = await refused(other, "private/get_order_state", order_id=order_id)
        assert error.code == 10004
        history = await other.call(
            "private/get_order_history_by_instrument", instrument_name=PERPETUAL
        )
        assert [o["order_id"] for o in history] == [met["order"]["order_id"]]
        for client, liquidity, direction in ((api, "M", "buy"), (other, "T", "sell")):
            page = await client.call(
                "private/get_user_trades_by_instrument", instrument_name=PERPETUAL
            )
            (trade,) = page["trades"]
            assert (trade["liquidity"], trade["direction"]) == (liquidity, direction)
            assert trade["trade_id"] == met["trades"][0]["trade_id"]
            listed = await client.call(
                "private/get_user_trades_by_order", order_id=trade["order_id"]
            )
            assert listed == [trade]
        public = await api.call("public/get_last_trades_by_instrument", instrument_name=PERPETUAL)
        assert [t["trade_id"] for t in public["trades"]] == [met["trades"][0]["trade_id"]]
        (position,) = await api.call("private/get_positions")
        assert (position["size"], position["average_price"], position["direction"]) == (
            0.01, 250, "buy",
        )  # fmt: skip
        short = await other.call("private/get_position", instrument_name=PERPETUAL)
        assert (short["size"], short["average_price"], short["direction"]) == (-0.01, 250, "sell")
        assert (await other.call("private/get_positions", currency="SOL")) == []


async def test_account_summaries_are_the_engine_s_numbers(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect(0)
        await api.call("private/buy", **order_params(gateway.signers[0], BUY, 3_000, 25_000))
        await api.call("private/sell", **order_params(gateway.signers[1], SELL, 2_000, 25_000))
        await gateway.set_price(251_000_000)
        engine = gateway.venue.engine
        margins, account = engine.margins(1), engine.account(1)
        assert account is not None
        quote, base = (await api.call("private/get_account_summaries"))["summaries"]
        assert quote["margin_balance"] == margins.equity / 10**6
        assert quote["initial_margin"] == margins.initial / 10**6
        assert quote["maintenance_margin"] == margins.maintenance / 10**6
        assert quote["balance_units"] == account["balances"][0]
        # 0.2 BTC bought at 250, the mark is 251: 0.2 of profit beside the balance.
        assert quote["session_upl"] == 0.2
        assert base["balance"] == account["balances"][1] / 10**8
        single = await api.call("private/get_account_summary", currency="BTC")
        assert single["balance"] == base["balance"]
        error = await refused(api, "private/get_account_summary", currency="SOL")
        assert error.data["param"] == "currency"
