"""The operator, assembled: sequencer, read models, API, inbox follower, anchoring worker.

Everything lives in one data folder: `journal/` (the truth, with snapshots), `read.sqlite`
(rebuildable), `anchor.sqlite` (what the worker did). The worker is a process of its own; if it
stops with an error (P1 broken, say), the operator stops too: nothing is sequenced that could not be
anchored.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from provenue import wire
from provenue.engine import guest_elf, recover_callback
from provenue.gateway.app import build
from provenue.gateway.auth import Authenticator
from provenue.gateway.server import Server
from provenue.gateway.venue import Venue
from provenue.sequencer.anchor_log import AnchorLog
from provenue.sequencer.guest_verdict import GuestVerdict
from provenue.sequencer.inbox_follower import InboxFollower, InboxSource
from provenue.sequencer.read_model import ReadModel
from provenue.sequencer.sequencer import Limits, Sequencer
from provenue.sequencer.service import SequencerService
from provenue.settlement.deploy import Deployment

__all__ = ["Operator", "OperatorConfig", "WorkerStoppedError"]

_log = structlog.get_logger(__name__)
_TICK = wire.encode(wire.Tick())
KEY_VARIABLE = "PROVENUE_OPERATOR_KEY"


class WorkerStoppedError(Exception):
    """The anchoring worker ended by itself; its own output says why."""


@dataclass(frozen=True, slots=True)
class OperatorConfig:
    """What an operator is started with."""

    data: Path
    deployment_file: Path
    rpc_url: str
    preset: str = "dev"
    host: str = "127.0.0.1"
    port: int = 0
    anchor: bool = True
    inbox_block_tag: str = "safe"
    finalize_every_s: float = 2.0
    tick_interval_ms: int = 5_000
    limits: Limits = field(default_factory=Limits)


class Operator:
    """One running operator. Start and stop on one event loop."""

    def __init__(self, config: OperatorConfig, deployment: Deployment, inbox: InboxSource) -> None:
        self._config = config
        config.data.mkdir(parents=True, exist_ok=True)
        self.read_model = ReadModel(config.data / "read.sqlite")
        self.anchor_log = AnchorLog(config.data / "anchor.sqlite")
        sequencer = Sequencer(
            config.data / "journal",
            preset=config.preset,
            guest_traps=GuestVerdict(guest_elf(config.preset), recover_callback()),
            limits=config.limits,
            published=self.read_model.last_sequence(),
            republish=self.read_model.take,
        )
        self.recovered_messages = sequencer.recovered.replayed_messages
        self.closed_batches = sequencer.closed_batches
        self.service = SequencerService(
            sequencer, tick_interval_ms=config.tick_interval_ms, tick=_TICK
        )
        self.service.subscribe(self.read_model.take)
        venue = Venue(self.service, self.read_model, self.anchor_log, deployment)
        authenticator = Authenticator(chain_id=deployment.chain_id, anchor=deployment.anchor_bytes)
        self.server: Server = build(venue, authenticator)
        self._inbox = InboxFollower(self.service, inbox)
        self._worker: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Serve. ChainError when the chain's node is not there to read the inbox from."""
        await self._inbox.read()
        self.service.start()
        await self.server.start(self._config.host, self._config.port)
        self._inbox.start()
        if self._config.anchor:
            self._worker = await self._start_worker()

    async def wait(self) -> None:
        """Until something ends by itself; raises why."""
        waiting = [asyncio.create_task(self.service.wait())]
        if self._worker is not None:
            waiting.append(asyncio.create_task(self._wait_worker(self._worker)))
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in waiting:
                task.cancel()

    async def stop(self) -> None:
        """Stop taking input, close the batch, let the worker anchor it, end everything."""
        await self._inbox.stop()
        await self.server.stop()
        await self.service.stop()
        if self._worker is not None and self._worker.returncode is None:
            # Its input ends: it anchors what is closed and stops.
            assert self._worker.stdin is not None
            self._worker.stdin.close()
            await self._worker.wait()
        self.read_model.close()
        if self.service.failed is not None:
            raise self.service.failed

    async def _start_worker(self) -> asyncio.subprocess.Process:
        config = self._config
        command = [
            sys.executable,
            "-m",
            "provenue.sequencer.anchor_worker",
            "--data",
            str(config.data),
            "--deployment",
            str(config.deployment_file),
            "--rpc-url",
            config.rpc_url,
            "--preset",
            config.preset,
            "--finalize-every-s",
            str(config.finalize_every_s),
        ]
        # The key travels in the environment: a command line is readable by every user.
        # A session of its own: Ctrl-C in a terminal is for the operator, which lets it finish.
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            env=dict(os.environ),
            start_new_session=True,
        )

    async def _wait_worker(self, worker: asyncio.subprocess.Process) -> None:
        code = await worker.wait()
        raise WorkerStoppedError(f"the anchoring worker ended with status {code}")
