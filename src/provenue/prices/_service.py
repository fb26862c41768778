"""The signer as a running service: every interval, ask the source, sign, relay."""

import asyncio
import time
from collections.abc import Callable

import structlog

from provenue.prices._relay import Relay, RelayError
from provenue.prices._signer import PriceSigner
from provenue.prices._sources import PriceSource
from provenue.wire import encode

__all__ = ["run_signer"]

_log = structlog.get_logger(__name__)


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


async def run_signer(
    signer: PriceSigner,
    source: PriceSource,
    relay: Relay,
    *,
    interval_ms: int,
    stop: asyncio.Event,
    clock: Callable[[], int] = _wall_clock_ms,
) -> int:
    """Sign and relay until `stop` is set; returns how many vectors were accepted.

    A vector that did not arrive is not sent again: the next one is newer. Trouble is logged when
    it begins, changes or ends, not at every interval.
    """
    accepted, trouble = 0, ""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while not stop.is_set():
        problem = ""
        message = signer.sign(source.prices(clock()), clock())
        if message is None:
            problem = "the source has no fresh price of any feed"
        else:
            try:
                await relay.send(encode(message))
                accepted += 1
            except RelayError as error:
                problem = str(error)
        if problem != trouble:
            trouble = problem
            if problem:
                _log.warning("prices not relayed", signer=signer.index, problem=problem)
            else:
                _log.info("prices relayed again", signer=signer.index)
        # Steady, and without a burst after a pause.
        due = max(due + interval_ms / 1000, loop.time())
        try:
            async with asyncio.timeout_at(due):
                await stop.wait()
        except TimeoutError:
            pass
    return accepted
