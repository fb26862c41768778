"""Who leaves through L1 (chapter 12): trades, positions and portfolios show it as it happens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.gateway.venue_world import (
    PERPETUAL,
    ApiFailure,
    Gateway,
    open_gateway,
    order_params,
)

from provenue.sequencer.sequencer import Limits
from provenue.wire import Side

BUY, SELL = Side.BUY, Side.SELL
LIMITS = Limits(batch_age_ms_max=100)
LOTS = 3_000_000  # 300 BTC


async def _leave(gateway: Gateway, trader: int) -> None:
    gateway.service.offer_inbox([gateway.world.forced_close(trader)])
    async with asyncio.timeout(10):
        while True:
            account = gateway.venue.engine.account(trader + 1)
            if account is not None and account["leaving"]:
                return
            await asyncio.sleep(0.01)


async def test_a_forced_close_is_seen_by_all_whom_it_touches(tmp_path: Path) -> None:
    """Trader 0 leaves: a third meets a bid of trader 2, two thirds are closed against trader 1."""
    async with open_gateway(tmp_path, preset="minimal", traders=3, limits=LIMITS) as gateway:
        apis = [await gateway.connect(number) for number in range(3)]
        user_trades = f"user.trades.{PERPETUAL}.raw"
        for api in apis:
            channels = [f"trades.{PERPETUAL}.raw", user_trades, "user.portfolio.USDC"]
            assert await api.call("public/subscribe", channels=channels) == channels
        signers = gateway.signers
        await apis[0].call("private/buy", **order_params(signers[0], BUY, LOTS, 25_000))
        await apis[1].call("private/sell", **order_params(signers[1], SELL, LOTS, 25_000))
        await apis[2].call("private/buy", **order_params(signers[2], BUY, LOTS // 3, 24_900))
        await _leave(gateway, 0)
        with pytest.raises(ApiFailure) as refused:
            await apis[0].call("private/buy", **order_params(signers[0], BUY, 1, 25_000))
        assert refused.value.data["reason"] == "account_leaving"
        assert (await apis[0].call("private/get_account_summaries"))["leaving"] is True
        await asyncio.sleep(0.25)
        seen = [n["params"] for n in apis[0].drain()]
        assert [p["data"] for p in seen if p["channel"] == "user.portfolio.USDC"][-1]["leaving"]
        for api in apis[1:]:
            api.drain()

        await gateway.set_price(250_000_000)
        await asyncio.sleep(0.25)
        found = []
        for api in apis:
            heard = [n["params"] for n in api.drain()]
            public = [t for p in heard if p["channel"].startswith("trades") for t in p["data"]]
            own = [t for p in heard if p["channel"] == user_trades for t in p["data"]]
            # Only what met the book is the market's.
            assert [(t["amount"], t["price"]) for t in public] == [(100.0, 249.0)]
            assert all(t["forced_close"] == "T" and "liquidation" not in t for t in public)
            found.append(own)
        leaver, closed, bidder = found
        assert [t["amount"] for t in leaver] == [100.0, 200.0]
        assert ["deleveraging" in t for t in leaver] == [False, True]
        assert leaver[1]["price"] == 242.5  # the edge of a band of 3 %
        assert leaver[1]["fee"] == 24.25  # 500 ppm
        (against,) = closed
        assert against["deleveraging"] is True
        assert (against["direction"], against["fee"], against["liquidity"]) == ("buy", 0, "M")
        assert len(bidder) == 1
        assert "deleveraging" not in bidder[0]

        for api, own in zip(apis, found, strict=True):
            page = await api.call("private/get_user_trades_by_instrument",
                                  instrument_name=PERPETUAL, sorting="asc")  # fmt: skip
            assert page["trades"][-len(own) :] == own
        listed = await apis[0].call(
            "public/get_last_trades_by_instrument", instrument_name=PERPETUAL
        )
        assert [t["amount"] for t in listed["trades"]] == [100.0, 300.0]
        assert (await apis[0].call("private/get_account_summaries"))["leaving"] is False
        assert await apis[0].call("private/get_positions") == []
        ticker = await apis[0].call("public/ticker", instrument_name=PERPETUAL)
        assert ticker["last_price"] == 249.0
        assert ticker["open_interest"] == 100.0
        assert ticker["stats"]["low"] == 249.0
        engine, day = gateway.venue.engine, gateway.venue.day(0).figures(0)
        for account in range(4):
            rows = {row["instrument"]: row["size_lots"] for row in engine.positions(account)}
            assert gateway.venue.open_interest.size(account, 0) == rows.get(0, 0)
        world = gateway.world
    async with open_gateway(
        tmp_path, preset="minimal", traders=3, limits=LIMITS, world=world
    ) as gateway:
        assert gateway.venue.day(0).figures(0) == day
        assert gateway.venue.last_price_ticks(0) == 24_900
        assert gateway.venue.open_interest.lots(0) == LOTS // 3
