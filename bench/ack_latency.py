"""Signed order to acknowledgement over WebSocket, journal fsynced, one at a time.

    python bench/ack_latency.py [--orders 2000] [--folder DIR] [--json]

A venue (gateway, sequencer, engine, journal; no chain) runs in a process of its own. One client
sends a signed order, waits for its acknowledgement, cancels it, waits, and so on; both kinds are
measured from before sending to after decoding the answer. The journal lies in DIR (default: the
system's temporary folder): its disk is part of the figure, and so is all else the machine does.
Bar: p50 under 800 us, p99 under 5,000 us.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import aiohttp  # noqa: E402
import msgspec  # noqa: E402
from tests.gateway.venue_world import open_gateway  # noqa: E402
from tests.sequencer.world import DOMAIN, key_of  # noqa: E402

from provenue import wire  # noqa: E402
from provenue.client.signing import ActionSigner  # noqa: E402
from provenue.wire import Side  # noqa: E402

WARM_UP = 100
ACCOUNT_ID = 1 << 32 | 1


async def serve(folder: Path) -> None:
    """The venue, until standard input ends."""
    async with open_gateway(folder) as gateway:
        print(gateway.server.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


class Client:
    """One connection, one request at a time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._signer = ActionSigner(DOMAIN, ACCOUNT_ID, 0, key_of(0))
        self.acks_us: list[float] = []

    async def _submit(self, action: wire.Action) -> Any:
        body = {
            "id": 1,
            "method": "public/submit",
            "params": {"message": wire.encode(action).hex()},
        }
        raw = msgspec.json.encode(body)
        started_s = time.perf_counter()
        await self._socket.send_frame(raw, aiohttp.WSMsgType.TEXT)
        answer = msgspec.json.decode((await self._socket.receive()).data)
        self.acks_us.append((time.perf_counter() - started_s) * 1e6)
        if "error" in answer:
            raise SystemExit(f"the venue refused: {answer['error']}")
        return answer["result"]["result"]

    async def round(self, number: int) -> None:
        """An order that rests, and its cancel."""
        order = self._signer.place(
            instrument=0, side=Side.BUY, size_lots=10, price_ticks=20_000 + number % 1_000
        )
        placed = await self._submit(order)
        await self._submit(self._signer.cancel(int(placed["order"]["order_id"])))


async def measure(port: int, orders: int) -> list[float]:
    """Acknowledgement times in microseconds, sorted."""
    url = f"http://127.0.0.1:{port}/ws/api/v2"
    async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
        client = Client(socket)
        for number in range(WARM_UP + orders):
            if number == WARM_UP:
                client.acks_us.clear()
            await client.round(number)
        return sorted(client.acks_us)


def sync_us(folder: Path, count: int = 200) -> float:
    """What the disk alone takes: median of appending 300 bytes and syncing."""
    path = folder / "probe"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    times = []
    for _ in range(count):
        started_s = time.perf_counter()
        os.write(file, bytes(300))
        os.fdatasync(file)
        times.append((time.perf_counter() - started_s) * 1e6)
    os.close(file)
    path.unlink()
    return sorted(times)[count // 2]


def run(orders: int, folder: Path) -> dict[str, float]:
    """Start the venue, measure, stop it."""
    import uvloop

    command = [sys.executable, __file__, "--serve", str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as venue:
        assert venue.stdout is not None
        port = int(venue.stdout.readline())
        acks_us = uvloop.run(measure(port, orders))
        venue.communicate()
    places = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
    figures = {f"ack_{n}_us": round(acks_us[int(len(acks_us) * q)], 1) for n, q in places.items()}
    load = os.getloadavg()[0]
    return figures | {"acks": len(acks_us), "disk_sync_us": sync_us(folder), "load_average": load}


def main() -> int:
    """Command line."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        import uvloop

        uvloop.run(serve(options.serve))
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = run(options.orders, Path(folder))
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:>14} {value:>10}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
