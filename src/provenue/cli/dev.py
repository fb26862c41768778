"""A whole venue on this machine: chain, contracts, operator, price signers, funded accounts."""

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from provenue.settlement.rpc import ChainError
from provenue.sim.stack import ChainKind, LocalVenue, StackError

__all__ = ["app"]

app = App(name="dev", help=(__doc__ or ""))


@app.default
def dev(
    *,
    chain: ChainKind = "auto",
    chain_rpc: Annotated[str | None, Parameter(name="--chain-rpc")] = None,
    data: Path | None = None,
    accounts: int = 10,
    port: int = 0,
    seed: int = 1,
) -> int:
    """Start everything, print one line of JSON when it is ready, run until Ctrl-C.

    Parameters
    ----------
    chain
        anvil, eth-tester, or auto: anvil if it is there or can be had from npm.
    chain_rpc
        Use this node instead of starting one; it must fund the well-known test accounts.
    data
        Folder for journal, read models and logs; a temporary one if left out.
    accounts
        How many funded accounts.
    port
        Port of the API; 0 takes a free one.
    seed
        Seed of the price walk.
    """
    stop = threading.Event()
    try:
        if not 1 <= accounts <= 200:
            raise ValueError(f"accounts: expected 1 to 200, was {accounts}")
        if not 0 <= port < 1 << 16:
            raise ValueError(f"port: expected 0 to 65535, was {port}")
        with LocalVenue(
            data=data, chain=chain, chain_rpc=chain_rpc, accounts=accounts, port=port, seed=seed
        ) as venue:
            # Until here either signal unwinds: what was started is ended.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            print(json.dumps(venue.ready_line()), flush=True)
            while not stop.wait(0.5):
                venue.check()
    except (StackError, ChainError, ValueError, OSError) as problem:
        print(f"provenue dev: {problem}", file=sys.stderr)
        return 1
    return 0
