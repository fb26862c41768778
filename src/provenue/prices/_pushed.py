"""Prices that somebody pushes: a replay's mid prices, over a pipe or over HTTP on this machine."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from aiohttp import web

from provenue._generated.constants import PRICE_MAX

__all__ = ["PushedPrices"]

# A pushed price older than this is not signed: whoever pushes is gone.
FRESH_MS: Final = 5_000
_BODY_BYTES_MAX: Final = 64 * 1024


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class _Push(msgspec.Struct, forbid_unknown_fields=True):
    prices: dict[int, int]


class PushedPrices:
    """The newest pushed price of each feed, as long as it is fresh.

    A push is one JSON object, `{"prices": {"FEED": UNITS, ...}}`: a line of a pipe, or the body of
    `POST /prices`. Age is measured by this process's own clock, from the arrival.
    """

    def __init__(
        self, *, fresh_ms: int = FRESH_MS, clock: Callable[[], int] = _monotonic_ms
    ) -> None:
        self._fresh_ms = fresh_ms
        self._clock = clock
        self._decoder = msgspec.json.Decoder(_Push)
        self._newest: dict[int, tuple[int, int]] = {}  # feed: price, arrival

    def prices(self, now_ms: int) -> Mapping[int, int]:
        """Price by feed; stale ones are left out."""
        del now_ms
        oldest = self._clock() - self._fresh_ms
        return {feed: price for feed, (price, at) in self._newest.items() if at >= oldest}

    def push(self, text: bytes) -> None:
        """Take one push; ValueError says what is wrong, and nothing of it is kept then."""
        try:
            prices = self._decoder.decode(text).prices
        except msgspec.DecodeError as error:
            raise ValueError(f"push: expected {{'prices': {{feed: units}}}}, was {error}") from None
        for feed, price in prices.items():
            if not 0 <= feed < 1 << 16 or not 1 <= price <= PRICE_MAX:
                raise ValueError(
                    f"push.prices[{feed}]: expected a feed below 2^16 and a price of 1 to "
                    f"{PRICE_MAX}, was {price}"
                )
        arrival = self._clock()
        self._newest.update({feed: (price, arrival) for feed, price in prices.items()})

    async def read_lines(
        self, reader: asyncio.StreamReader, complain: Callable[[str], None]
    ) -> None:
        """Take pushes from a pipe until it ends; bad lines are complained about and skipped."""
        while line := await reader.readline():
            if line.strip():
                try:
                    self.push(line)
                except ValueError as error:
                    complain(str(error))

    async def serve(self, port: int) -> tuple[web.AppRunner, int]:
        """Take pushes over HTTP on 127.0.0.1; returns the runner to clean up, and the port."""
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.router.add_post("/prices", self._post)
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner, int(runner.addresses[0][1])

    async def _post(self, request: web.Request) -> web.Response:
        # A page in a browser on this machine can post as text/plain without asking; JSON it cannot.
        if request.content_type != "application/json":
            return web.json_response(
                {"error": "content type: expected application/json"}, status=415
            )
        try:
            self.push(await request.read())
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.Response(status=204)
