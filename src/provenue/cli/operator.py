"""Run an operator: sequencer, API, inbox follower, anchoring worker."""

import asyncio
import contextlib
import json
import math
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import structlog
from cyclopts import App, Parameter

from provenue._durable import held_folder
from provenue.client.keys import KeyLoadError, load_key
from provenue.operator_node import Operator, OperatorConfig, WorkerStoppedError
from provenue.sequencer.anchor_worker import KEY_VARIABLE
from provenue.sequencer.journal import JournalError
from provenue.sequencer.pace import paced
from provenue.sequencer.sequencer import InboxItem, SequencerError
from provenue.settlement.anchor import AnchorClient
from provenue.settlement.chain_types import BlockId
from provenue.settlement.deploy import Deployment
from provenue.settlement.deploy_config import ConfigError
from provenue.settlement.inbox import InboxClient
from provenue.settlement.rpc import ChainError, Rpc

__all__ = ["app"]

app = App(name="operator", help=(__doc__ or ""))


class _InboxAtDepth:
    """The inbox at one block tag, as the follower wants it."""

    def __init__(self, client: InboxClient, tag: BlockId) -> None:
        self._client = client
        self._tag = tag

    def items(self, first: int) -> list[InboxItem]:
        found = self._client.items(first, to_block=self._tag)
        return [InboxItem(item.index, item.message, item.accumulator) for item in found]


@app.default
def operator(
    *,
    data: Path,
    deployment: Path,
    rpc_url: str,
    key: str = f"env:{KEY_VARIABLE}",
    preset: Literal["minimal", "dev", "main"] = "dev",
    host: str = "127.0.0.1",
    port: int = 0,
    anchor: bool = True,
    inbox_block: Literal["latest", "safe", "finalized"] = "safe",
    batch_age_ms: Annotated[int, Parameter(name="--batch-age-ms")] = 0,
    unpaced: bool = False,
    finalize_every_s: Annotated[float, Parameter(name="--finalize-every-s")] = 2.0,
) -> int:
    """Run an operator until interrupted; prints one line of JSON when it serves.

    Parameters
    ----------
    data
        Folder of journal and read models; made if it is new, recovered from if it is not.
    deployment
        The JSON file that `provenue deploy` wrote.
    rpc_url
        JSON-RPC URL of the chain's node.
    key
        The operator's key: env:NAME, file:PATH, or 0x... for keys that are worth nothing.
    preset
        Capacities of the image.
    host
        Address to serve on.
    port
        Port to serve on; 0 takes a free one.
    anchor
        Whether to prove and post batches (--no-anchor leaves it to another process).
    inbox_block
        How deep an inbox item must be before it is applied.
    batch_age_ms
        A batch is closed when it is this old. 0: 4 s, or a 48th of the challenge window if that is
        longer; faster is refused, since at most 64 batches may be unfinalised.
    unpaced
        Close batches as fast as --batch-age-ms says, though the pipeline may fill up and the
        backlog then waits for finality.
    finalize_every_s
        How often batches past their window are made final.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        if not 0 <= port < 1 << 16:
            raise ConfigError(f"port: expected 0 to 65535, was {port}")
        where = Deployment.load(deployment)
        rpc = Rpc(rpc_url)
        where.check_chain(rpc)
        if where.preset and preset != where.preset:
            raise ConfigError(
                f"preset: expected {where.preset}, which the deployment's disputes are refereed "
                f"by, was {preset}: its claims would be wrong"
            )
        limits = paced(batch_age_ms, AnchorClient(where, rpc).settings(), unpaced=unpaced)
        if not 0 < finalize_every_s < math.inf:
            raise ConfigError(
                f"finalize-every-s: expected a number of seconds above 0, was {finalize_every_s}"
            )
        if anchor:
            # The worker takes it from the environment, whatever form it came in.
            os.environ[KEY_VARIABLE] = "0x" + load_key(key).secret().hex()
        config = OperatorConfig(
            data=data,
            deployment_file=deployment,
            rpc_url=rpc_url,
            preset=preset,
            host=host,
            port=port,
            anchor=anchor,
            finalize_every_s=finalize_every_s,
            limits=limits,
        )
        inbox = _InboxAtDepth(InboxClient(where, rpc), inbox_block)
        import uvloop

        with held_folder("data", data):
            uvloop.run(_serve(config, where, inbox, AnchorClient(where, rpc).batch_count()))
    except (
        ConfigError, KeyLoadError, JournalError, SequencerError, WorkerStoppedError, ChainError,
        OSError,
    ) as problem:  # fmt: skip
        print(f"provenue operator: {problem}", file=sys.stderr)
        return 1
    return 0


async def _serve(
    config: OperatorConfig, deployment: Deployment, inbox: _InboxAtDepth, posted: int
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    node = Operator(config, deployment, inbox)
    if posted > node.closed_batches:
        # Whatever it acknowledged now could never be anchored.
        raise ConfigError(
            f"data: expected the journal of this venue, whose chain has {posted} batches; the one "
            f"in {config.data} has {node.closed_batches}"
        )
    await node.start()
    base = f"{config.host}:{node.server.port}"
    ready = {
        "api_url": f"http://{base}/api/v2",
        "ws_url": f"ws://{base}/ws/api/v2",
        "replayed_messages": node.recovered_messages,
    }
    print(json.dumps(ready), flush=True)
    running = asyncio.create_task(node.wait())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await running
        await node.stop()
