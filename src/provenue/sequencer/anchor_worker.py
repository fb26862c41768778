"""The anchoring worker as a process: `python -m provenue.sequencer.anchor_worker`.

It ends with status 0 when its standard input ends (the operator has gone or asks it to), after
posting what is closed; with 1 when P1 or the chain stops it. The operator's key comes from the
environment variable PROVENUE_OPERATOR_KEY.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import time
from pathlib import Path

import structlog

from provenue.client.keys import KeyLoadError, load_key
from provenue.p1 import TwinError
from provenue.sequencer.anchor_log import AnchorLog
from provenue.sequencer.anchorer import Anchorer, ProofFailedError
from provenue.sequencer.journal import JournalError
from provenue.settlement.anchor import AnchorClient
from provenue.settlement.deploy import Deployment
from provenue.settlement.deploy_config import ConfigError
from provenue.settlement.rpc import ChainError, Rpc, RpcUnavailableError
from provenue.settlement.tx import Account, Sender

__all__ = ["KEY_VARIABLE", "main"]

KEY_VARIABLE = "PROVENUE_OPERATOR_KEY"
RETRY_S = 2.0
_log = structlog.get_logger(__name__)


def _stdin_ended() -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(readable) and not os.read(sys.stdin.fileno(), 4_096)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Prove and anchor the batches of a journal.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--deployment", type=Path, required=True)
    parser.add_argument("--rpc-url", required=True)
    parser.add_argument("--preset", default="dev")
    parser.add_argument("--finalize-every-s", type=float, default=2.0)
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> None:
    deployment = Deployment.load(options.deployment)
    key = load_key(f"env:{KEY_VARIABLE}")
    rpc = Rpc(options.rpc_url)
    client = AnchorClient(deployment, rpc, Sender(rpc, Account(key.secret())))
    ended = False

    def stopping() -> bool:
        nonlocal ended
        ended = ended or _stdin_ended()
        return ended

    while True:
        # A node that is away is waited for: the worker starts over from what the chain says then.
        try:
            Anchorer(
                options.data / "journal",
                preset=options.preset,
                chain=client,
                log=AnchorLog(options.data / "anchor.sqlite"),
                finalize_every_s=options.finalize_every_s,
            ).run(stopping)
            return
        except RpcUnavailableError as problem:
            _log.warning("node not reachable", problem=str(problem))
            if stopping():
                return
            time.sleep(RETRY_S)


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the process."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    options = _parse(arguments)
    try:
        _run(options)
    except (
        ProofFailedError, TwinError, JournalError, ChainError, ConfigError, KeyLoadError,
    ) as problem:  # fmt: skip
        print(f"anchoring worker: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
