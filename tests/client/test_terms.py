"""Terms, amending, replacing and labels of the SDK against a real gateway."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.venue_world import PERPETUAL, SPOT, Gateway, open_gateway
from tests.sequencer.world import key_of

from provenue.client import AmountError, AsyncClient, Client, OrderTerms, RejectedError
from provenue.client._terms import signed_terms

UNTIL_MS = 1_900_000_000_000


def client_of(gateway: Gateway, trader: int) -> AsyncClient:
    return AsyncClient(gateway.url, private_key=key_of(trader))


async def test_every_term_does_what_it_says(tmp_path: Path) -> None:
    async with (
        open_gateway(tmp_path) as gateway,
        client_of(gateway, 0) as client,
        client_of(gateway, 1) as other,
    ):
        await other.sell(PERPETUAL, "0.01", 250)
        with pytest.raises(RejectedError, match="not_filled"):
            await client.buy(PERPETUAL, "0.02", 250, time_in_force="fill_or_kill")
        with pytest.raises(RejectedError, match="post_only_would_cross"):
            await client.buy(PERPETUAL, "0.01", 251, post_only=True)
        slid = await client.buy(PERPETUAL, "0.01", 251, post_only=True, slide=True)
        assert slid.price == Decimal("249.99")
        until = await client.buy(PERPETUAL, "0.01", 240, good_til_ms=UNTIL_MS)
        assert (until.time_in_force, until.good_til_ms) == ("good_til_date", UNTIL_MS)
        with pytest.raises(RejectedError, match="nothing_to_reduce"):
            await client.sell(PERPETUAL, "0.01", 260, reduce_only=True)
        filled = await client.buy(PERPETUAL, "0.01", time_in_force="fill_or_kill")
        assert (filled.state, filled.type) == ("filled", "market")
        cut = await client.sell(PERPETUAL, 1, 260, reduce_only=True)
        assert (cut.amount, cut.reduce_only) == (Decimal("0.01"), True)
        own = await client.sell(PERPETUAL, "0.01", 240, self_trade="cancel_taker")
        assert (own.state, own.cancel_reason) == ("cancelled", "self_trading")


async def test_amending_keeps_what_is_left_out(tmp_path: Path) -> None:
    async with (
        open_gateway(tmp_path) as gateway,
        client_of(gateway, 0) as client,
        client_of(gateway, 1) as other,
    ):
        order = await client.buy(PERPETUAL, "0.05", 240, label=7)
        smaller = await client.amend(order, amount="0.03")
        assert (smaller.id, smaller.amount, smaller.price) == (
            order.id, Decimal("0.03"), Decimal(240),
        )  # fmt: skip
        moved = await client.amend(order.id, price=241)
        assert (moved.amount, moved.price, moved.label) == (Decimal("0.03"), Decimal(241), "7")
        await other.sell(PERPETUAL, "0.01", 250)
        met = await client.amend(moved, price=250)
        assert [(t.price, t.amount) for t in met.trades] == [(Decimal(250), Decimal("0.01"))]
        assert (met.filled, met.is_open) == (Decimal("0.01"), True)
        with pytest.raises(RejectedError, match="bad_size"):
            await client.amend(met, amount="0.01")
        with pytest.raises(AmountError, match="price: expected a multiple"):
            await client.amend(met, price="250.001")
        with pytest.raises(ValueError, match="amend: expected amount or price"):
            await client.amend(met)
        done = await client.buy(PERPETUAL, "0.01")
        with pytest.raises(ValueError, match="price: expected one"):
            await client.amend(done, amount=1)


async def test_replacing_and_labels(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway, client_of(gateway, 0) as client:
        old = await client.sell(PERPETUAL, "0.05", 260, label=1)
        new = await client.replace(old, "0.04", 261, post_only=True, label=2)
        assert (new.direction, new.amount, new.price) == ("sell", Decimal("0.04"), Decimal(261))
        gone = await client.order(old.id)
        assert (gone.state, gone.cancel_reason) == ("cancelled", "replaced")
        with pytest.raises(RejectedError, match="order_unknown"):
            await client.replace(old.id, 1, 262)
        await client.buy(SPOT, "0.01", 240, label=2)
        assert await client.cancel_by_label(1) == 0
        assert await client.cancel_by_label(2, SPOT) == 1
        assert await client.cancel_by_label(2) == 1
        assert await client.open_orders() == []


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ({"time_in_force": "forever"}, "time_in_force: expected good_til_.* or .* 'forever'"),
        ({"self_trade": "both"}, "self_trade: expected cancel_maker or .*, was 'both'"),
        ({"slide": True}, "slide: expected post_only beside it"),
        ({"time_in_force": "good_til_date"}, "good_til_ms: expected whole seconds .*, was None"),
        ({"good_til_ms": 1_900_000_000_001}, "good_til_ms: expected whole seconds"),
        ({"good_til_ms": 0}, "good_til_ms: expected whole seconds .*, was 0"),
        ({"good_til_ms": (1 << 32) * 1_000}, "good_til_ms: expected whole seconds"),
        ({"good_til_ms": UNTIL_MS, "time_in_force": "fill_or_kill"},
         "good_til_ms: expected none with fill_or_kill"),
    ],
)  # fmt: skip
def test_a_wrong_term_is_named(terms: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        signed_terms(terms)


def test_an_unknown_term_is_named() -> None:
    wrong: Any = {"postonly": True}
    with pytest.raises(TypeError, match="postonly: expected one of time_in_force"):
        signed_terms(wrong)
    none: OrderTerms = {}
    assert signed_terms(none)["time_in_force"] is None


async def test_the_plain_client_does_the_same(tmp_path: Path) -> None:
    def script(url: str) -> None:
        with Client(url, private_key=key_of(0)) as client:
            order = client.buy(PERPETUAL, "0.02", 240, post_only=True, label=3)
            assert client.amend(order, amount="0.01").amount == Decimal("0.01")
            until_ms = (int(time.time()) + 60) * 1_000
            new = client.replace(order, "0.03", 241, good_til_ms=until_ms, label=3)
            assert (new.price, new.good_til_ms) == (Decimal(241), until_ms)
            assert client.cancel_by_label(3) == 1

    async with open_gateway(tmp_path) as gateway:
        await asyncio.to_thread(script, gateway.url)
