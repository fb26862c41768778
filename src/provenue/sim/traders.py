"""A population of traders with their own keys: replayers, makers and takers, over the real API.

`python -m provenue.sim.traders` reads one JSON object from standard input (see `Plan`), trades
until that input ends, and writes one JSON line of counters each second and a last one with
`"done": true`.

Replayers place and cancel what the recording (or the seeded flow) says, faster than it happened;
makers quote both sides of both instruments around the index; takers hit what stands. The flow's own
mid is pushed to the price signers, which sign it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from sortedcontainers import SortedDict

from provenue.client.signing import ActionSigner
from provenue.sim.connection import Connection
from provenue.sim.flow import E8_PER_LOT, FlowEvent, bitstamp_events, seeded_events
from provenue.wire import Domain, OrderType, Place, Side, TimeInForce

__all__ = ["Plan", "main"]

IN_FLIGHT_MAX = 64
# An account of preset dev has 64 order slots; some are on their way.
STANDING_MAX = 48
BACKLOG_SLOW, BACKLOG_STOP = 4, 10
SECOND_NS = 1_000_000_000
LATENCY_SAMPLES_MAX = 500_000


class Plan(msgspec.Struct):
    """What to trade. Rates are per second at full pace; the pace falls when anchoring is behind."""

    ws_url: str
    keys: list[str]
    push_urls: list[str] = []
    replay: str | None = None
    seed: int = 1
    replay_events_per_s: int = 320
    taker_orders_per_s: int = 60
    makers: int = 6
    takers: int = 6
    perpetual: str = "BTC-PERPETUAL"
    spot: str = "BTC_USDC"


class Trader:
    """One account: a connection and a signer."""

    def __init__(self, stats: Stats, url: str, key: bytes) -> None:
        self.connection = Connection(url)
        self._stats = stats
        self._key = key
        self._units: dict[str, tuple[int, int, int]] = {}
        self.signer: ActionSigner | None = None
        # Ids of resting orders by their number in the flow, oldest first. Those that were filled
        # stay until the flow takes them away.
        self.standing: dict[int, str] = {}

    async def open(self, domain: Domain, instruments: dict[str, tuple[int, int, int]]) -> None:
        """Connect and find the account that the deposit has opened."""
        from provenue.wire import address_of

        self._units = instruments
        await self.connection.open()
        address = "0x" + address_of(self._key).hex()
        while True:
            accounts = await self.connection.call("public/get_accounts", {"address": address})
            if accounts:
                break
            await asyncio.sleep(0.2)
        self.signer = ActionSigner(domain, int(accounts[0]["account"]), 0, self._key)

    async def place(
        self,
        name: str,
        side: Side,
        lots: int,
        ticks: int,
        *,
        immediate: bool = False,
        flow_order: int | None = None,
    ) -> None:
        """Sign and send one limit order; remember its id under `flow_order` while it rests."""
        assert self.signer is not None
        number, tick_size, lots_per_base = self._units[name]
        action = self.signer.place(
            instrument=number,
            side=side,
            size_lots=lots,
            price_ticks=ticks,
            order_type=OrderType.LIMIT,
            time_in_force=(
                TimeInForce.IMMEDIATE_OR_CANCEL if immediate else TimeInForce.GOOD_TILL_CANCELLED
            ),
        )

        def reply(result: Any, error: dict[str, Any] | None, took_us: int) -> None:
            self._stats.answered(took_us, error)
            if result is None:
                return
            order = result["order"]
            self._stats.counts["fills_seen"] += len(result["trades"])
            if flow_order is not None and order["order_state"] == "open":
                self.standing[flow_order] = order["order_id"]

        self._stats.counts["orders"] += 1
        method = "private/buy" if side is Side.BUY else "private/sell"
        await self.connection.send(
            method, _order_params(name, action, tick_size, lots_per_base), reply
        )

    async def cancel(self, order_id: str) -> None:
        """Sign and send a cancel."""
        assert self.signer is not None
        action = self.signer.cancel(order_id=int(order_id))
        self._stats.counts["cancels"] += 1
        await self.connection.send(
            "private/cancel", {"order_id": order_id, **_signed(action)}, self._stats.cancelled
        )

    async def cancel_all(self) -> None:
        """Sign and send a cancel of everything."""
        assert self.signer is not None
        action = self.signer.cancel_all()
        self._stats.counts["cancels"] += 1
        await self.connection.send("private/cancel_all", _signed(action), self._stats.cancelled)


def _signed(action: Any) -> dict[str, Any]:
    return {
        "account": str(action.account),
        "key": action.key,
        "nonce": action.nonce,
        "expires_at": action.expires_at_ms,
        "signature": action.signature.hex(),
    }


def _order_params(name: str, action: Place, tick_size: int, lots_per_base: int) -> dict[str, Any]:
    # Decimal text keeps ticks and lots exact; the API takes numbers and strings alike.
    price_units = action.price_ticks * tick_size
    lots = action.size_lots
    return {
        "instrument_name": name,
        "amount": f"{lots // lots_per_base}.{lots % lots_per_base * 10**8 // lots_per_base:08d}",
        "price": f"{price_units // 10**6}.{price_units % 10**6:06d}",
        "type": "limit",
        "time_in_force": (
            "immediate_or_cancel"
            if action.time_in_force == TimeInForce.IMMEDIATE_OR_CANCEL
            else "good_til_cancelled"
        ),
        **_signed(action),
    }


class Stats:
    """Counters and acknowledgement times."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._rng = random.Random(0)
        self.ack_us: list[int] = []

    def answered(self, took_us: int, error: dict[str, Any] | None) -> None:
        """An order was answered."""
        if error is None:
            self.counts["accepted"] += 1
        else:
            self.counts["rejected"] += 1
            self.reasons[str((error.get("data") or {}).get("reason", error["message"]))] += 1
        if len(self.ack_us) < LATENCY_SAMPLES_MAX:
            self.ack_us.append(took_us)
        else:  # keep a uniform sample of a long run
            at = self._rng.randrange(self.counts["accepted"] + self.counts["rejected"])
            if at < LATENCY_SAMPLES_MAX:
                self.ack_us[at] = took_us

    def cancelled(self, _result: Any, error: dict[str, Any] | None, _took_us: int) -> None:
        """A cancel was answered; an order that is gone already is no news."""
        self.counts["cancel_misses" if error else "cancelled"] += 1

    def line(self, *, pace: float, mid_units: int, done: bool) -> str:
        """One JSON line."""
        ordered = sorted(self.ack_us)
        return json.dumps(
            {
                **self.counts,
                "reasons": dict(self.reasons.most_common(8)),
                "ack_p50_us": ordered[len(ordered) // 2] if ordered else 0,
                "ack_p99_us": ordered[len(ordered) * 99 // 100] if ordered else 0,
                "pace": pace,
                "mid_units": mid_units,
                "done": done,
            }
        )


class FlowBook:
    """The flow's own resting orders, for its mid price."""

    def __init__(self, mid_units: int) -> None:
        self._sides: tuple[SortedDict[int, int], SortedDict[int, int]] = (
            SortedDict(),
            SortedDict(),
        )
        self._orders: dict[int, tuple[int, int]] = {}
        self.mid_units = mid_units

    def take(self, event: FlowEvent) -> None:
        """Follow one event."""
        if event.created:
            side = 0 if event.is_buy else 1
            self._orders[event.order] = (side, event.price_units)
            levels = self._sides[side]
            levels[event.price_units] = levels.get(event.price_units, 0) + 1
        elif (known := self._orders.pop(event.order, None)) is not None:
            levels = self._sides[known[0]]
            levels[known[1]] -= 1
            if not levels[known[1]]:
                del levels[known[1]]
        bids, asks = self._sides
        if bids and asks:
            mid = (bids.peekitem(-1)[0] + asks.peekitem(0)[0]) // 2
            # A recording has stray orders; an index does not jump a hundredth in one event.
            step = self.mid_units // 100
            self.mid_units = min(max(mid, self.mid_units - step), self.mid_units + step)


def _endless(plan: Plan) -> Iterator[FlowEvent]:
    """The recording again and again (ids moved on), or the seeded flow, which has no end."""
    if plan.replay is None:
        yield from seeded_events(plan.seed)
    lap = 0
    while True:
        for event in bitstamp_events(Path(str(plan.replay))):
            yield FlowEvent(
                event.time_ms,
                event.order + (lap << 40),
                event.created,
                event.is_buy,
                event.price_units,
                event.amount_e8,
            )
        lap += 1


class Population:
    """All traders of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rng = random.Random(plan.seed)
        self.stats = Stats()
        self._traders = [
            Trader(self.stats, plan.ws_url, bytes.fromhex(key.removeprefix("0x")))
            for key in plan.keys
        ]
        self._makers = self._traders[: plan.makers]
        self._takers = self._traders[plan.makers : plan.makers + plan.takers]
        self._replayers = self._traders[plan.makers + plan.takers :]
        self._flow = _endless(plan)
        first = next(self._flow)
        self._book = FlowBook(first.price_units)
        self._book.take(first)
        self._ticks: dict[str, int] = {}
        self.pace = 1.0
        self.stopping = asyncio.Event()

    @property
    def mid_units(self) -> int:
        """The flow's mid, quote units per whole base."""
        return self._book.mid_units

    async def open(self) -> None:
        """Connect everyone."""
        desk = Connection(self._plan.ws_url)
        await desk.open()
        deployment = await desk.call("public/get_deployment", {})
        domain = Domain(
            int(deployment["chain_id"]),
            bytes.fromhex(deployment["contracts"]["Anchor"].removeprefix("0x")),
        )
        while True:
            listed = await desk.call("public/get_instruments", {})
            if {i["instrument_name"] for i in listed} >= {self._plan.perpetual, self._plan.spot}:
                break
            await asyncio.sleep(0.2)
        instruments = {}
        for view in listed:
            tick_size = round(view["tick_size"] * 10**6)
            self._ticks[view["instrument_name"]] = tick_size
            lots_per_base = round(1 / view["min_trade_amount"])
            instruments[view["instrument_name"]] = (
                view["instrument_id"],
                tick_size,
                lots_per_base,
            )
        await asyncio.gather(*(t.open(domain, instruments) for t in self._traders))
        self._desk = desk

    async def close(self) -> None:
        """Disconnect everyone."""
        await asyncio.gather(*(t.connection.close() for t in self._traders), self._desk.close())

    async def wait_for_mark(self) -> None:
        """Until the signers' first prices have been accepted."""
        while True:
            ticker = await self._desk.call(
                "public/ticker", {"instrument_name": self._plan.perpetual}
            )
            if ticker["index_price"]:
                return
            await asyncio.sleep(0.1)

    # --- what they do ----------------------------------------------------------------------------

    async def replay(self) -> None:
        """Walk through the flow, `replay_events_per_s` events a second at full pace."""
        slice_s, owed = 0.02, 0.0
        while not self.stopping.is_set():
            owed += self._plan.replay_events_per_s * self.pace * slice_s
            while owed >= 1:
                owed -= 1
                await self._replay_one(next(self._flow))
            await asyncio.sleep(slice_s)

    async def _replay_one(self, event: FlowEvent) -> None:
        self._book.take(event)
        trader = self._replayers[event.order % len(self._replayers)]
        if not event.created:
            known = trader.standing.pop(event.order, None)
            if known is not None:
                await trader.cancel(known)
            return
        name = self._plan.perpetual
        ticks = event.price_units // self._ticks[name]
        # Orders far from the market would only fill the accounts' order slots.
        if abs(event.price_units - self.mid_units) * 10 > self.mid_units or ticks == 0:
            self.stats.counts["flow_skipped"] += 1
            return
        if trader.connection.in_flight >= IN_FLIGHT_MAX:
            self.stats.counts["flow_skipped"] += 1
            return
        lots = max(event.amount_e8 // E8_PER_LOT, 1)
        side = Side.BUY if event.is_buy else Side.SELL
        if len(trader.standing) >= STANDING_MAX:
            # A recording leaves more orders standing than a dozen accounts may: the oldest go.
            await trader.cancel(trader.standing.pop(next(iter(trader.standing))))
        await trader.place(name, side, lots, ticks, flow_order=event.order)

    async def make(self, trader: Trader) -> None:
        """Quote both sides of both instruments, again and again."""
        while not self.stopping.is_set():
            await trader.cancel_all()
            for name in (self._plan.perpetual, self._plan.spot):
                mid = self.mid_units // self._ticks[name]
                for level in range(2):
                    away = max(mid * (2 + 3 * level) // 10_000, 1) + self._rng.randrange(3)
                    lots = self._rng.randrange(2_000, 20_000)
                    await trader.place(name, Side.BUY, lots, mid - away)
                    await trader.place(name, Side.SELL, lots, mid + away)
            await asyncio.sleep(0.7 / self.pace + self._rng.random() * 0.2)

    async def take(self) -> None:
        """Hit what stands, with immediate orders that reach a little through the mid."""
        while not self.stopping.is_set():
            trader = self._rng.choice(self._takers)
            name = self._plan.perpetual if self._rng.random() < 0.6 else self._plan.spot
            mid = self.mid_units // self._ticks[name]
            side = Side(self._rng.randrange(2))
            reach = mid * 15 // 10_000 + 1
            ticks = mid + reach if side is Side.BUY else mid - reach
            lots = self._rng.randrange(50, 4_000)
            if trader.connection.in_flight < IN_FLIGHT_MAX:
                await trader.place(name, side, lots, ticks, immediate=True)
            await asyncio.sleep(1 / (self._plan.taker_orders_per_s * self.pace))

    async def push_prices(self) -> None:
        """Tell the signers the flow's mid."""
        async with aiohttp.ClientSession() as http:
            while not self.stopping.is_set():
                body = {"prices": {"0": self.mid_units}}
                for url in self._plan.push_urls:
                    with contextlib.suppress(aiohttp.ClientError):
                        await http.post(url, json=body)
                await asyncio.sleep(0.25)

    async def keep_pace(self) -> None:
        """Slow down while anchoring is behind: execution must not run away from the chain."""
        while not self.stopping.is_set():
            status = await self._desk.call("public/status", {})
            opened, anchored = status["open_batch"], status["anchored_batch"]
            backlog = (opened or 0) - (anchored if anchored is not None else -1)
            if backlog >= BACKLOG_STOP:
                self.pace = 0.05
            elif backlog >= BACKLOG_SLOW:
                self.pace = max(self.pace * 0.85, 0.05)
            else:
                self.pace = min(self.pace * 1.1, 1.0)
            await asyncio.sleep(1)

    async def report(self) -> None:
        """One line a second."""
        while not self.stopping.is_set():
            print(self.stats.line(pace=self.pace, mid_units=self.mid_units, done=False), flush=True)
            await asyncio.sleep(1)

    async def run(self) -> None:
        """Trade until `stopping`."""
        await self.open()
        pushing = asyncio.create_task(self.push_prices())
        await self.wait_for_mark()
        print(json.dumps({"trading": True}), flush=True)
        tasks = [
            pushing,
            asyncio.create_task(self.replay()),
            asyncio.create_task(self.take()),
            asyncio.create_task(self.keep_pace()),
            asyncio.create_task(self.report()),
            *(asyncio.create_task(self.make(trader)) for trader in self._makers),
        ]
        stopped = asyncio.create_task(self.stopping.wait())
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
        self.stopping.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.3)  # answers on their way
        await self.close()
        print(self.stats.line(pace=self.pace, mid_units=self.mid_units, done=True), flush=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result


async def _run(plan: Plan) -> None:
    population = Population(plan)
    loop = asyncio.get_running_loop()

    def read_end() -> None:
        if not os.read(sys.stdin.fileno(), 65_536):
            loop.remove_reader(sys.stdin.fileno())
            population.stopping.set()

    loop.add_reader(sys.stdin.fileno(), read_end)
    await population.run()


def main() -> int:
    """Entry point of the process."""
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=Plan)
    try:
        import uvloop

        uvloop.run(_run(plan))
    except (OSError, RuntimeError, ValueError) as problem:
        print(f"traders: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
