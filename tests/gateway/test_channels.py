"""Channels: what a subscriber can rebuild from them is what the engine holds."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.venue_world import (
    PERPETUAL,
    SPOT,
    Api,
    ApiFailure,
    Gateway,
    open_gateway,
    order_params,
    signed,
)

from provenue.sequencer.anchor_log import BatchRecord
from provenue.wire import Code, Side

BUY, SELL = Side.BUY, Side.SELL


class Replica:
    """A book as a client keeps it: snapshot, then changes, each naming the one before."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
        self.change_id: int | None = None
        self.messages = 0

    def take(self, data: dict[str, Any]) -> None:
        self.messages += 1
        if data["type"] == "snapshot":
            self.sides = {"bids": {}, "asks": {}}
        else:
            assert data["prev_change_id"] == self.change_id, "a gap"
            assert data["bids"] or data["asks"], "a change that changes nothing"
        self.change_id = data["change_id"]
        for side, levels in self.sides.items():
            for what, price, amount in data[side]:
                if what == "delete":
                    assert amount == 0
                    del levels[price]
                else:
                    assert (price in levels) == (what == "change"), (what, price)
                    assert amount > 0
                    levels[price] = amount

    def shown(self) -> tuple[list[Any], list[Any]]:
        bids = sorted(([p, q] for p, q in self.sides["bids"].items()), reverse=True)
        asks = sorted([p, q] for p, q in self.sides["asks"].items())
        return bids, asks


def engine_book(gateway: Gateway, instrument: int) -> tuple[list[Any], list[Any]]:
    view = gateway.venue.engine.book(instrument, 1 << 20)
    return tuple(  # type: ignore[return-value]
        [[level["price_ticks"] / 100, level["size_lots"] / 10_000] for level in view[side]]
        for side in ("bids", "asks")
    )


async def trade(gateway: Gateway, apis: list[Api], rng: random.Random, count: int) -> None:
    """Random signed orders, cancels and cancels of all, many on the way at once."""
    waiting = []
    for _ in range(count):
        api, roll = rng.choice(apis), rng.random()
        number = rng.randrange(4)
        if roll < 0.6:
            waiting.append(await api.send("public/submit", message=gateway.world.order().hex()))
        elif roll < 0.97:
            orders = gateway.venue.orders.of_account(number + 1)
            if orders and roll < 0.8:
                message = gateway.world.change(number, rng.choice(orders).id)
                waiting.append(await api.send("public/submit", message=message.hex()))
            elif orders:
                order_id = rng.choice(orders).id
                action = gateway.signers[number].cancel(order_id)
                waiting.append(
                    await api.send("private/cancel", order_id=order_id, **signed(action))
                )
        else:
            action = gateway.signers[number].cancel_all()
            waiting.append(await api.send("private/cancel_all", **signed(action)))
        if rng.random() < 0.3:
            await asyncio.sleep(0.005)
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert not isinstance(result, BaseException) or isinstance(result, ApiFailure), result


async def settle(apis: list[Api]) -> None:
    """Until every 100 ms channel has been flushed after the last change."""
    await asyncio.sleep(0.25)
    for api in apis:
        await api.call("public/test")


@pytest.mark.parametrize("preset", ["minimal", "dev"])
async def test_books_rebuilt_from_channels_are_the_engine_s(
    tmp_path: Path, preset: str, rng: random.Random, seed: int
) -> None:
    async with open_gateway(tmp_path, preset=preset, seed=seed) as gateway:
        apis = [await gateway.connect(number) for number in range(3)]
        channels = [
            f"book.{name}.{interval}" for name in (PERPETUAL, SPOT) for interval in
            ("raw", "100ms", "agg2")
        ]  # fmt: skip
        replicas: dict[tuple[int, str], Replica] = {}
        for round_ in range(4):
            # One more listener each round: a snapshot in the middle of everything.
            if round_ < 3:
                assert await apis[round_].call("public/subscribe", channels=channels) == channels
                replicas |= {(round_, channel): Replica() for channel in channels}
            await trade(gateway, apis, rng, 150)
            await settle(apis)
            for number, api in enumerate(apis):
                for notification in api.drain():
                    params = notification["params"]
                    replicas[number, params["channel"]].take(params["data"])
            for instrument, name in enumerate((PERPETUAL, SPOT)):
                expected = engine_book(gateway, instrument)
                shown = await apis[0].call(
                    "public/get_order_book", instrument_name=name, depth=1_000
                )
                assert ([*shown["bids"]], [*shown["asks"]]) == expected
                for (_, channel), replica in replicas.items():
                    if channel.split(".")[1] == name:
                        assert replica.shown() == expected, channel
        raw = replicas[0, f"book.{PERPETUAL}.raw"]
        slow = replicas[0, f"book.{PERPETUAL}.100ms"]
        assert raw.messages > slow.messages >= 3, "too little happened to test anything"
        assert gateway.venue.last_price_ticks(0), "nothing traded"


async def test_a_new_listener_gets_its_snapshot_after_the_answer(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        number = 99
        body = {
            "jsonrpc": "2.0",
            "id": number,
            "method": "public/subscribe",
            "params": {"channels": [f"book.{PERPETUAL}.raw", f"quote.{PERPETUAL}"]},
        }
        socket = await gateway.http.ws_connect(gateway.url + "/ws/api/v2")
        await socket.send_json(body)
        first = await socket.receive_json()
        assert first["id"] == number
        channels = [(await socket.receive_json())["params"]["channel"] for _ in range(2)]
        assert channels == [f"book.{PERPETUAL}.raw", f"quote.{PERPETUAL}"]
        await socket.close()


async def test_channels_that_do_not_exist_do_not_fail_the_list(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect(0)
        good = [
            f"book.{PERPETUAL}.100ms",
            f"book.{PERPETUAL}.none.10.100ms",
            f"ticker.{SPOT}.raw",
            f"quote.{SPOT}",
            f"trades.{SPOT}.agg2",
            "user.orders.any.any.raw",
            f"user.orders.{SPOT}.100ms",
            "user.trades.future.BTC.raw",
            "user.portfolio.usdc",
            "user.portfolio.any",
            "batches",
        ]
        bad = [
            "",
            ".",
            "book",
            "book.X.raw",
            f"book.{PERPETUAL}",
            f"book.{PERPETUAL}.1s",
            f"book.{PERPETUAL}.5.10.100ms",
            f"ticker.{PERPETUAL}",
            "user.portfolio.SOL",
            "user.orders.any.SOL.raw",
            "user.orders.option.BTC.raw",
            "user.trades.X.raw",
            "platform_state",
            "batches.x",
            "x" * 5_000,
        ]
        mixed = [name for pair in zip(bad, good * 2, strict=False) for name in pair]
        accepted = await api.call("private/subscribe", channels=mixed)
        assert sorted(accepted) == sorted(good)
        assert await api.call("public/unsubscribe", channels=[good[0], "nope"]) == [good[0]]
        assert await api.call("public/unsubscribe_all") == "ok"
        assert await api.call("public/unsubscribe", channels=good) == []
        for wrong in (None, "x", [1], ["a"] * 501):
            with pytest.raises(ApiFailure) as failure:
                await api.call("public/subscribe", channels=wrong)
            assert failure.value.data["param"] == "channels"


async def test_user_channels_need_a_login_and_tell_nobody_else(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        stranger = await gateway.connect()
        everything = [
            "user.orders.any.any.raw",
            "user.trades.any.any.raw",
            "user.portfolio.any",
        ]
        assert await stranger.call("public/subscribe", channels=everything) == []
        owner, other = await gateway.connect(0), await gateway.connect(1)
        for api in (owner, other):
            assert await api.call("private/subscribe", channels=everything) == everything
        await settle([owner, other])
        owner.drain()
        other.drain()
        await owner.call("private/buy", **order_params(gateway.signers[0], BUY, 100, 24_000))
        await settle([owner, other])
        heard = {n["params"]["channel"] for n in owner.drain()}
        assert heard == {"user.orders.any.any.raw", "user.portfolio.any"}
        assert other.drain() == []
        assert stranger.drain() == []
        # The connection becomes another's: it hears the new owner's, not the old one's.
        await owner.login(2, nonce="again")
        await other.call("private/sell", **order_params(gateway.signers[1], SELL, 100, 24_000))
        await settle([owner, other])
        assert owner.drain() == []
        assert {n["params"]["channel"] for n in other.drain()} == set(everything)


async def test_a_trade_is_told_to_both_sides_and_to_everyone(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        public, maker, taker = [await gateway.connect(n) for n in (None, 0, 1)]
        await public.call(
            "public/subscribe",
            channels=[f"trades.{PERPETUAL}.raw", f"trades.{PERPETUAL}.100ms", f"quote.{PERPETUAL}"],
        )
        for api in (maker, taker):
            await api.call(
                "private/subscribe",
                channels=["user.trades.any.any.raw", f"user.orders.{PERPETUAL}.raw"],
            )
        resting = await maker.call(
            "private/buy", **order_params(gateway.signers[0], BUY, 100, 25_000, client_id=5)
        )
        met = await taker.call("private/sell", **order_params(gateway.signers[1], SELL, 60, 25_000))
        expected = met["trades"][0]
        for channel in (f"trades.{PERPETUAL}.raw", f"trades.{PERPETUAL}.100ms"):
            (shown,) = await public.next(channel)
            assert {k: expected[k] for k in shown} == shown
        (own,) = await taker.next("user.trades.any.any.raw")
        assert own == expected
        (other,) = await maker.next("user.trades.any.any.raw")
        assert (other["liquidity"], other["direction"]) == ("M", "buy")
        assert (other["order_id"], other["label"]) == (resting["order"]["order_id"], "5")
        assert other["fee"] == 0.0003, "0.006 * 250 at 200 ppm"
        states = [n["params"]["data"] for n in maker.drain()]
        assert [(o["order_state"], o["filled_amount"]) for o in states] == [], "all were taken"


async def test_orders_are_told_as_they_change(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        maker = await gateway.connect(0)
        channel = "user.orders.any.any.raw"
        await maker.call("private/subscribe", channels=[channel, "user.orders.spot.BTC.100ms"])
        signer = gateway.signers[0]
        placed = await maker.call("private/buy", **order_params(signer, BUY, 100, 25_000))
        await maker.call("private/sell", **order_params(gateway.signers[1], SELL, 60, 25_000))
        order_id = placed["order"]["order_id"]
        await maker.call(
            "private/cancel", order_id=order_id, **signed(signer.cancel(int(order_id)))
        )
        seen = [await maker.next(channel) for _ in range(3)]
        assert [(o["order_state"], o["filled_amount"]) for o in seen] == [
            ("open", 0),
            ("open", 0.006),
            ("cancelled", 0.006),
        ]
        # The perpetual is no spot: that channel is silent until a spot order comes.
        await maker.call("private/buy", **order_params(signer, BUY, 5, 20_000, instrument=1))
        (spot,) = await maker.next("user.orders.spot.BTC.100ms")
        assert spot["instrument_name"] == SPOT


async def test_tickers_and_quotes_follow(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        names = [f"ticker.{PERPETUAL}.raw", f"ticker.{PERPETUAL}.100ms", f"quote.{PERPETUAL}"]
        await api.call("public/subscribe", channels=names)
        for name in names:
            assert (await api.next(name))["best_bid_price"] == 0
        await api.call("private/buy", **order_params(gateway.signers[0], BUY, 100, 24_950))
        # A deeper order does not move the quote.
        await api.call("private/buy", **order_params(gateway.signers[0], BUY, 100, 24_000))
        await api.call("private/sell", **order_params(gateway.signers[1], SELL, 100, 25_050))
        await settle([api])
        seen: dict[str, list[Any]] = {name: [] for name in names}
        for notification in api.drain():
            seen[notification["params"]["channel"]].append(notification["params"]["data"])
        quotes = [(q["best_bid_price"], q["best_ask_price"]) for q in seen[names[2]]]
        assert quotes == [(249.5, 0), (249.5, 250.5)]
        assert len(seen[names[0]]) == 3
        assert 1 <= len(seen[names[1]]) <= 3
        await gateway.set_price(251_000_000)
        assert (await api.next(names[0]))["mark_price"] in (250, 251)
        await settle([api])
        assert [n["params"]["data"]["mark_price"] for n in api.drain()][-1] == 251


async def test_portfolios_follow_deposits_and_marks(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect(0)
        await api.call("private/subscribe", channels=["user.portfolio.USDC"])
        start = await api.next("user.portfolio.USDC")
        gateway.service.offer_inbox([gateway.world.deposit(0, 1_000_000_000)])
        after = await api.next("user.portfolio.USDC")
        assert after["balance_units"] - start["balance_units"] == 1_000_000_000
        await gateway.set_price(300_000_000)
        moved = await api.next("user.portfolio.USDC")
        assert moved["margin_balance"] > after["margin_balance"], "its BTC is worth more"


async def test_batches_are_told_when_posted_and_when_final(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        record = BatchRecord(
            number=0, first_sequence=0, message_count=5, posted_bytes=10, inbox_count=1,
            withdrawal_count=0, withdrawal_root=bytes(32), withdrawal_proof=bytes(29 * 32),
            end_root=bytes(32), claim_root=bytes(32), root_mismatches=0, steps_max=1,
            tx_hash="0x", gas_used=1, posted_at_s=1, final=0,
        )  # fmt: skip
        gateway.anchor_log.record(record)
        await api.call("public/subscribe", channels=["batches"])
        assert api.drain() == [], "it was there before"
        gateway.anchor_log.mark_final(1)
        assert (await api.next("batches"))["final"] is True


async def test_the_house_and_liquidations_reach_the_books(tmp_path: Path) -> None:
    """A crash liquidates a long account: book, positions and open interest follow the engine."""
    async with open_gateway(tmp_path, preset="minimal", traders=3) as gateway:
        api = await gateway.connect(0)
        replica = Replica()
        await api.call(
            "public/subscribe", channels=[f"book.{PERPETUAL}.raw", f"trades.{PERPETUAL}.raw"]
        )
        # Trader 0 goes long with nearly all it has; trader 2 quotes below the next mark, above the
        # price at which trader 0 is bankrupt (a liquidation order goes no further, 6.3).
        for _ in range(3):
            size = 12_000_000
            await api.call("private/buy", **order_params(gateway.signers[0], BUY, size, 25_000))
            await api.call("private/sell", **order_params(gateway.signers[1], SELL, size, 25_000))
        await api.call("private/buy", **order_params(gateway.signers[2], BUY, 3_000_000, 22_900))
        await gateway.set_price(230_000_000)
        await settle([api])
        liquidations = 0
        for notification in api.drain():
            params = notification["params"]
            if params["channel"].startswith("book"):
                replica.take(params["data"])
            else:
                liquidations += sum("liquidation" in t for t in params["data"])
        assert replica.shown() == engine_book(gateway, 0)
        engine = gateway.venue.engine
        assert engine.positions(0), "the house took over what the book did not"
        rows = [row for index in range(4) for row in engine.positions(index)]
        long = sum(max(row["size_lots"], 0) for row in rows if row["instrument"] == 0)
        assert gateway.venue.open_interest.lots(0) == long > 0
        assert liquidations > 0


async def test_after_a_restart_everything_is_as_it_was(
    tmp_path: Path, rng: random.Random, seed: int
) -> None:
    async with open_gateway(tmp_path, seed=seed) as gateway:
        apis = [await gateway.connect(number) for number in range(3)]
        await trade(gateway, apis, rng, 300)
        reads = [
            ("public/get_order_book", {"instrument_name": PERPETUAL, "depth": 100}),
            ("public/ticker", {"instrument_name": SPOT}),
            ("public/get_last_trades_by_instrument", {"instrument_name": PERPETUAL, "count": 50}),
            ("private/get_open_orders", {}),
            ("private/get_positions", {}),
            ("private/get_account_summaries", {}),
            ("private/get_user_trades_by_currency", {"currency": "any", "count": 100}),
            ("private/get_order_history_by_currency", {"include_unfilled": True, "count": 100}),
        ]
        before = [await apis[0].call(method, **params) for method, params in reads]
        world, day = gateway.world, gateway.venue.day(0).figures(0)
    async with open_gateway(tmp_path, seed=seed, world=world) as gateway:
        api = await gateway.connect(0)
        after = [await api.call(method, **params) for method, params in reads]
        volatile = ("timestamp", "index_timestamp", "change_id")
        for (method, _), old, new in zip(reads, before, after, strict=True):
            if isinstance(old, dict):
                old, new = ({k: v for k, v in x.items() if k not in volatile} for x in (old, new))
            assert new == old, method
        assert gateway.venue.day(0).figures(0) == day
        # The restored trackers go on: more trading keeps them equal to the engine.
        await trade(gateway, [api], rng, 150)
        await settle([api])
        for instrument, name in enumerate((PERPETUAL, SPOT)):
            shown = await api.call("public/get_order_book", instrument_name=name, depth=1_000)
            assert ([*shown["bids"]], [*shown["asks"]]) == engine_book(gateway, instrument)
        for index in range(1, 5):
            live = {o["order_id"] for o in gateway.venue.engine.orders(index)}
            assert {o.id for o in gateway.venue.orders.of_account(index)} == live


async def test_rejects_are_durable_too(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        outcome = await gateway.service.submit(gateway.world.prices(0, 1)[:-1] + b"\x05")
        assert outcome.code == Code.BAD_SIGNATURE
