"""Watch a venue: re-execute every batch from L1 data, dispute what is wrong."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
from cyclopts import App, Parameter

from provenue._durable import held_folder
from provenue.cli._watching import Depth, Preset, find_venue, open_watcher
from provenue.client.keys import KeyLoadError, load_key
from provenue.engine import GuestMissingError
from provenue.settlement.deploy_config import ConfigError
from provenue.settlement.rpc import ChainError
from provenue.settlement.tx import Account
from provenue.watcher.archive import ArchiveError
from provenue.watcher.pins import GuestMismatchError
from provenue.watcher.player import Manners
from provenue.watcher.replay import BuildsDifferError

__all__ = ["app"]

app = App(name="watch", help=(__doc__ or ""))


@app.default
def watch(
    *,
    rpc_url: str,
    data: Path,
    anchor: str | None = None,
    deployment: Path | None = None,
    key: str | None = None,
    block: Depth = "safe",
    from_block: Annotated[int | None, Parameter(name="--from-block")] = None,
    preset: Preset | None = None,
    metrics_port: int = 0,
    claim: bool = True,
    finalize: bool = True,
    poll_ms: Annotated[int, Parameter(name="--poll-ms")] = 1_000,
) -> int:
    """Watch until interrupted; prints a line of JSON when it begins, and one when it ends.

    Parameters
    ----------
    rpc_url
        JSON-RPC URL of any node of the chain.
    data
        Folder of the archive, of states, and of what was sent; made if it is new.
    anchor
        Address of the venue's Anchor.
    deployment
        The JSON file that `provenue deploy` wrote, instead of --anchor.
    key
        The watcher's own key: env:NAME, file:PATH, or 0x... for keys that are worth nothing. It
        pays for gas and bonds. Left out: nothing is sent, only said.
    block
        How deep in the chain batches must be before they are archived.
    from_block
        No contract of the venue is older than this L1 block; searched for if left out.
    preset
        Capacities of the image; found out from the program that the chain pins if left out.
    metrics_port
        Port for Prometheus on 127.0.0.1; 0 takes a free one.
    claim
        Whether to bring claims of its own, under bond, where no live claim is right.
    finalize
        Whether to make batches final that others leave lying.
    poll_ms
        How often to ask for a new L1 block.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        if not 0 <= metrics_port < 1 << 16:
            raise ConfigError(f"metrics-port: expected 0 to 65535, was {metrics_port}")
        if poll_ms < 10:
            raise ConfigError(f"poll-ms: expected at least 10, was {poll_ms}")
        account = None if key is None else Account(load_key(key).secret())
        with held_folder("data", data):
            opened = open_watcher(
                find_venue(rpc_url, anchor, deployment, from_block),
                data,
                account=account,
                preset=preset,
                depth=block,
                manners=Manners(claims=claim, finalizes=finalize),
            )
            ready = opened.ready | {"metrics_url": opened.metrics.serve(metrics_port)}
            print(json.dumps(ready), flush=True)
            opened.watcher.run(stop.is_set, poll_s=poll_ms / 1_000)
            print(msgspec.json.encode(opened.watcher.summary()).decode(), flush=True)
    except (
        ConfigError, KeyLoadError, ChainError, ArchiveError, GuestMissingError, GuestMismatchError,
        BuildsDifferError, ValueError, OSError,
    ) as problem:  # fmt: skip
        print(f"provenue watch: {problem}", file=sys.stderr)
        return 1
    return 0
