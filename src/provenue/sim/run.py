"""A whole run: venue, traders on recorded order flow, live view, a withdrawal, the summary.

`provenue run` calls `run`. The steps: start everything, deposit for each trader through the vault,
trade for the time asked, stop the traders, withdraw one trader's money through a final root, stop
the operator (which anchors what is left), recover its journal, and compare image and vault (P5).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live

from provenue.client import Client, ClientError
from provenue.settlement.tx import Account, Sender
from provenue.settlement.vault import VaultClient
from provenue.sim import screen
from provenue.sim.flow import open_flow
from provenue.sim.stack import ChainKind, Child, LocalVenue, StackError
from provenue.sim.summary import Summary, summarise
from provenue.sim.traders import Plan

__all__ = ["RunOptions", "run"]

USDC_UNITS = 20_000_000 * 10**6
BTC_UNITS = 20_000 * 10**8
WITHDRAWN_USDC = Decimal("1234.5")
SHOWN_ACCOUNTS = 5
# From the end of trading to the summary. Of it each step leaves so much to those behind it.
EXIT_S_MAX = 40.0
KEPT_BY_TRADERS_S = 30.0
KEPT_BY_WITHDRAWAL_S = 14.0
KEPT_BY_OPERATOR_S = 9.0
KEPT_BY_WATCHER_S = 7.0
KEPT_BY_RECOVERY_S = 6.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `provenue run` was asked for."""

    seconds: float
    replay: Path | None = None
    shared: Path = Path("../shared")
    chain: ChainKind = "auto"
    chain_rpc: str | None = None
    data: Path | None = None
    seed: int = 1
    replayers: int = 12
    makers: int = 6
    takers: int = 6
    rate_percent: int = 100
    live: bool = True


class _ExitClock:
    """Runs from the end of trading: one bound over all that follows, not one for each step."""

    def __init__(self) -> None:
        self._ends_s = time.monotonic() + EXIT_S_MAX

    def left_s(self, kept_s: float) -> float:
        """What a step may take; at least a second, so that it can say what it waits for."""
        return max(self._ends_s - time.monotonic() - kept_s, 1.0)


def run(options: RunOptions) -> Summary:
    """Do it all; StackError (and what its parts raise) when something does not start or ends."""
    events, flow = open_flow(options.replay, options.shared, options.seed)
    first = next(events)  # a bad file is told before anything is started
    console = Console(stderr=True)
    console.print(f"flow: {flow}")
    accounts = options.makers + options.takers + options.replayers
    with LocalVenue(
        data=options.data,
        chain=options.chain,
        chain_rpc=options.chain_rpc,
        accounts=accounts,
        price_source="http",
        start_price_units=first.price_units,
        seed=options.seed,
    ) as venue:
        kind = venue.chain.kind if venue.chain is not None else "given"
        console.print(f"chain: {kind} at {venue.rpc_url}   api: {venue.api_url}")
        _deposit_all(venue)
        console.print(f"deposits: {2 * accounts} into the vault; trading {options.seconds:.0f} s")
        traders, stats, seconds, clock = _trade(venue, options, flow, console)
        console.print("traders stopped; withdrawing through the vault")
        venue.check()
        try:
            _withdraw(venue, console, clock)
        except ClientError:
            venue.check()  # the operator's own last words say more than its closed socket
            raise
        assert venue.operator is not None
        venue.stop_signers()
        venue.operator.stop(timeout_s=clock.left_s(KEPT_BY_OPERATOR_S))
        watched = venue.stop_watcher(timeout_s=clock.left_s(KEPT_BY_WATCHER_S))
        traders.stop(timeout_s=clock.left_s(KEPT_BY_RECOVERY_S))
        return summarise(
            data=venue.data / "operator",
            preset="dev",
            deployment=venue.deployment,
            rpc_url=venue.rpc_url,
            traders=stats,
            watched=watched,
            seconds=seconds,
            chain=kind,
            flow=flow,
        )


def _deposit_all(venue: LocalVenue) -> None:
    """Every account brings USDC and BTC in through the vault."""
    vault = VaultClient(venue.deployment, venue.rpc)

    def one(account: tuple[str, str]) -> None:
        address, key = account
        sender = Sender(venue.rpc, Account(key))
        for asset, units in ((0, USDC_UNITS), (1, BTC_UNITS)):
            vault.deposit(sender, asset=asset, amount_units=units, owner=address)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, venue.accounts))


def _plan(venue: LocalVenue, options: RunOptions, flow: str) -> Plan:
    recorded = options.replay
    if recorded is None and not flow.startswith("seeded"):
        from provenue.sim.flow import BITSTAMP_FILE

        recorded = options.shared / BITSTAMP_FILE
    return Plan(
        ws_url=venue.ws_url,
        keys=[key for _, key in venue.accounts],
        push_urls=venue.push_urls,
        replay=str(recorded) if recorded is not None else None,
        seed=options.seed,
        makers=options.makers,
        takers=options.takers,
        replay_events_per_s=320 * options.rate_percent // 100,
        taker_orders_per_s=max(60 * options.rate_percent // 100, 1),
    )


def _trade(
    venue: LocalVenue, options: RunOptions, flow: str, console: Console
) -> tuple[Child, dict[str, Any], float, _ExitClock]:
    """Let the traders trade for the time asked; (their process, last counters, seconds, what is
    left for the exit).
    """
    plan = _plan(venue, options, flow)
    child = Child(
        "traders",
        [sys.executable, "-m", "provenue.sim.traders"],
        log=venue.data / "traders.log",
        first_line=msgspec.json.encode(plan).decode(),
    )
    try:
        child.next_line(30.0)  # {"trading": true}: everyone is connected and there is a mark
        began = time.monotonic()
        stop = threading.Event()
        with _interruptible(stop):
            stats = _watch(venue, child, options, flow, began, stop, console)
        seconds = time.monotonic() - began
        clock = _ExitClock()
        child.end_input()
        while not stats.get("done"):
            stats = child.next_line(clock.left_s(KEPT_BY_TRADERS_S))
    except BaseException:
        child.kill()
        raise
    return child, stats, seconds, clock


@contextlib.contextmanager
def _interruptible(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C ends the trading, not the run: the exit still withdraws and counts."""
    before = {n: signal.signal(n, lambda *_: stop.set()) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(
    venue: LocalVenue,
    child: Child,
    options: RunOptions,
    flow: str,
    began: float,
    stop: threading.Event,
    console: Console,
) -> dict[str, Any]:
    """Show the venue until the time is over; the traders' newest counters."""
    stats: dict[str, Any] = {}
    look = _Look(venue, options, flow) if options.live and console.is_terminal else None
    with contextlib.ExitStack() as stack:
        live = (
            stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
            if look is not None
            else None
        )
        while not stop.is_set() and time.monotonic() - began < options.seconds:
            venue.check()
            stats = _newest(child, stats)
            if live is not None and look is not None:
                live.update(screen.render(look.view(stats, time.monotonic() - began)), refresh=True)
            stop.wait(0.4)
    return stats


def _newest(child: Child, stats: dict[str, Any]) -> dict[str, Any]:
    while not child.lines.empty():
        stats = child.next_line(1.0)
    return stats


class _Look:
    """Asks the API for what the screen shows."""

    def __init__(self, venue: LocalVenue, options: RunOptions, flow: str) -> None:
        self._api_url = venue.api_url
        self._seconds = options.seconds
        self._flow = flow
        step = max(len(venue.accounts) // SHOWN_ACCOUNTS, 1)
        self._clients = [
            (f"trader {n}", Client(venue.api_url, private_key=venue.accounts[n][1]))
            for n in range(0, len(venue.accounts), step)
        ][:SHOWN_ACCOUNTS]

    def _get(self, method: str, query: str = "") -> Any:
        with urllib.request.urlopen(
            f"{self._api_url}/public/{method}?{query}", timeout=5
        ) as answer:
            return json.load(answer)["result"]

    def _account(self, name: str, client: Client) -> dict[str, Any]:
        account = client.account()
        position = next(
            (p for p in client.positions() if p.instrument == "BTC-PERPETUAL" and p.size), None
        )
        return {
            "name": name,
            "position": position.size if position else Decimal(0),
            "average": position.average_price if position else Decimal(0),
            "unrealised": position.profit if position else Decimal(0),
            "equity": account.equity,
            "initial": account.initial_margin,
        }

    def view(self, stats: dict[str, Any], elapsed_s: float) -> dict[str, Any]:
        """One picture of the venue."""
        names = ("BTC-PERPETUAL", "BTC_USDC")
        try:
            return {
                "flow": self._flow,
                "elapsed_s": elapsed_s,
                "seconds": self._seconds,
                "stats": stats,
                "books": [
                    self._get("get_order_book", f"instrument_name={n}&depth=8") for n in names
                ],
                "trades": self._get(
                    "get_last_trades_by_instrument", f"instrument_name={names[0]}&count=8"
                )["trades"],
                "accounts": [self._account(*shown) for shown in self._clients],
                "batches": self._get("get_batches", "count=6"),
            }
        except (urllib.error.URLError, ClientError, OSError) as problem:
            raise StackError(f"the API does not answer: {problem}") from problem


def _withdraw(venue: LocalVenue, console: Console, clock: _ExitClock) -> None:
    """One trader leaves with some money, through a proof in a final root."""
    _, key = venue.accounts[-1]
    with Client(venue.api_url, private_key=key, rpc_url=venue.rpc_url) as client:
        client.cancel_all()
        withdrawal = client.withdraw("USDC", WITHDRAWN_USDC)
        began = time.monotonic()
        # Waits for a final root that proves it, checks the proof here, then has the vault pay.
        paid = client.claim(withdrawal, timeout_s=clock.left_s(KEPT_BY_WITHDRAWAL_S))
        console.print(
            f"withdrawal {withdrawal}: {paid} USDC paid by the vault, "
            f"{time.monotonic() - began:.1f} s after it was asked for"
        )


def default_shared() -> Path:
    """Where recorded data may be: PROVENUE_SHARED, or `shared` beside the checkout."""
    named = os.environ.get("PROVENUE_SHARED")
    return Path(named) if named else Path(__file__).resolve().parents[3].parent / "shared"
