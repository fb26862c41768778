"""Sign prices as one of the venue's price signers, and relay them to an operator.

Prices are integers in quote units (1e-6) per whole base. Sources:

    walk    a random walk around --prices, the same for all signers with one --seed
    fixed   always --prices
    stdin   lines of JSON {"prices": {"FEED": UNITS, ...}}; ends when the pipe ends
    http    POST the same to /prices on 127.0.0.1 (port --listen, 0 takes a free one)

When it runs, it prints one line of JSON: signer, address, feeds, and push_url for `http`.
"""

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from provenue.client.keys import load_key, parse_address
from provenue.prices import (
    FixedPrices,
    PriceSigner,
    PriceSource,
    PushedPrices,
    Relay,
    RisingClock,
    WalkingPrices,
    parse_prices,
    run_signer,
)
from provenue.wire import Domain

__all__ = ["app"]

app = App(name="price-signer", help=(__doc__ or ""), help_format="plaintext")

Source = Literal["walk", "fixed", "stdin", "http"]
_EXIT_USAGE = 2


@app.default
def price_signer(
    *,
    key: str,
    index: int,
    chain_id: int,
    anchor: str,
    api: str,
    source: Source = "walk",
    prices: str = "",
    feeds: str = "",
    seed: int = 1,
    swing_ppm: int = 10_000,
    listen: int = 0,
    interval_ms: Annotated[int, Parameter(name="--interval-ms")] = 1_000,
    state: Path | None = None,
) -> int:
    """Sign prices until interrupted.

    Parameters
    ----------
    key
        Where the private key is: env:NAME, file:PATH, or 0x... for keys that are worth nothing.
    index
        Which of the venue's signers this is.
    chain_id
        The chain of the venue's contracts.
    anchor
        The address of the venue's Anchor on that chain.
    api
        An operator's API: a http or ws URL.
    source
        walk, fixed, stdin or http; see above.
    prices
        Start or fixed prices: FEED=UNITS,FEED=UNITS,...
    feeds
        The feeds to sign, separated by commas; those of --prices if left out.
    seed
        Seed of the walk.
    swing_ppm
        Standard deviation of the walk over an hour, in ppm of the start price.
    listen
        Port for pushed prices.
    interval_ms
        Time between two vectors.
    state
        File that keeps the time of the last vector; below run/ if left out.
    """
    try:
        table = parse_prices(prices) if prices else {}
        wanted = _feeds(feeds) if feeds else sorted(table)
        if interval_ms < 10:
            raise ValueError(f"interval-ms: expected at least 10, was {interval_ms}")
        if not 0 <= listen < 1 << 16:
            raise ValueError(f"listen: expected a port from 0 to 65535, was {listen}")
        private = load_key(key)
        state = state or Path("run") / f"price-signer-{private.address.hex()}.time"
        signer = PriceSigner(
            domain=_domain(chain_id, anchor),
            index=index,
            key=private,
            feeds=wanted,
            clock=RisingClock(state),
        )
        origin = _source(source, table, seed, swing_ppm)
        return asyncio.run(_run(signer, origin, source, Relay(api), interval_ms, listen))
    except (ValueError, OSError) as error:
        print(f"provenue price-signer: {error}", file=sys.stderr)
        return _EXIT_USAGE


def _domain(chain_id: int, anchor: str) -> Domain:
    if not 0 <= chain_id < 1 << 64:
        raise ValueError(f"chain-id: expected 0 to 2^64 - 1, was {chain_id}")
    try:
        return Domain(chain_id, parse_address(anchor))
    except ValueError as problem:
        raise ValueError(f"anchor: {problem}") from None


def _feeds(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ValueError(f"feeds: expected numbers separated by commas, was {text!r}")
    return [int(part) for part in parts]


def _source(source: Source, table: dict[int, int], seed: int, swing_ppm: int) -> PriceSource:
    if source in ("stdin", "http"):
        return PushedPrices()
    if not table:
        raise ValueError(f"prices: expected FEED=UNITS,... for the source {source}, was empty")
    if source == "fixed":
        return FixedPrices(table)
    return WalkingPrices(table, seed=seed, swing_ppm=swing_ppm)


async def _run(
    signer: PriceSigner, origin: PriceSource, source: Source, relay: Relay, interval_ms: int,
    listen: int,
) -> int:  # fmt: skip
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    ready: dict[str, object] = {
        "signer": signer.index, "address": "0x" + signer.address.hex(), "feeds": signer.feeds,
    }  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(relay)
        if isinstance(origin, PushedPrices) and source == "http":
            runner, port = await origin.serve(listen)
            stack.push_async_callback(runner.cleanup)
            ready["push_url"] = f"http://127.0.0.1:{port}/prices"
        if isinstance(origin, PushedPrices) and source == "stdin":
            reading = asyncio.create_task(_read_stdin(origin, stop))
            stack.callback(reading.cancel)
        print(json.dumps(ready), flush=True)
        await run_signer(signer, origin, relay, interval_ms=interval_ms, stop=stop)
    return 0


async def _read_stdin(origin: PushedPrices, stop: asyncio.Event) -> None:
    """Take pushes until the pipe ends, then stop the signer."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    try:
        await origin.read_lines(reader, lambda text: print(text, file=sys.stderr))
    finally:
        stop.set()
