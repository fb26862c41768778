"""A whole venue with traders on recorded order flow, a live view, and a summary."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from provenue.client import ClientError
from provenue.sequencer.journal import JournalError
from provenue.settlement.rpc import ChainError
from provenue.sim.flow import FlowError
from provenue.sim.run import RunOptions, default_shared, run
from provenue.sim.stack import ChainKind, StackError
from provenue.sim.summary import Summary

__all__ = ["app"]

app = App(name="run", help=(__doc__ or ""))


@app.default
def run_command(
    *,
    seconds: float = 60.0,
    json: bool = False,
    replay: Path | None = None,
    chain: ChainKind = "auto",
    chain_rpc: Annotated[str | None, Parameter(name="--chain-rpc")] = None,
    data: Path | None = None,
    seed: int = 1,
    rate_percent: Annotated[int, Parameter(name="--rate-percent")] = 100,
) -> int:
    """Start everything, trade, withdraw, check image against vault; Ctrl-C ends the trading early.

    Parameters
    ----------
    seconds
        Trading time; the exit adds at most 40 s.
    json
        Print the summary as one JSON object, and no live view.
    replay
        A capture of Bitstamp order events (csv, csv.xz or csv.gz) to replay.
    chain
        anvil, eth-tester, or auto: anvil if it is there or can be had from npm.
    chain_rpc
        Use this node instead of starting one; it must fund the well-known test accounts.
    data
        Folder to keep (journal, read models, logs); a temporary one if left out.
    seed
        Seed of the traders, and of the flow where there is no recording.
    rate_percent
        Speed of the traders; 100 is about 300 orders a second.
    """
    try:
        if not 1 <= seconds <= 86_400:
            raise ValueError(f"seconds: expected 1 to 86400, was {seconds}")
        if not 1 <= rate_percent <= 1_000:
            raise ValueError(f"rate-percent: expected 1 to 1000, was {rate_percent}")
        summary = run(
            RunOptions(
                seconds=seconds,
                replay=replay,
                shared=default_shared(),
                chain=chain,
                chain_rpc=chain_rpc,
                data=data,
                seed=seed,
                rate_percent=rate_percent,
                live=not json,
            )
        )
    except (
        FlowError, StackError, ChainError, ClientError, JournalError, ValueError, OSError,
    ) as problem:  # fmt: skip
        print(f"provenue run: {problem}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(summary).decode() if json else _table(summary))
    return 0 if _sound(summary) else 1


def _sound(summary: Summary) -> bool:
    """What must hold after every run, whatever its length."""
    return (
        summary.root_mismatches == 0
        and summary.wrong_claims == 0
        and summary.recovered_root_matches
        and all(a.conserved and a.vault_balance == a.ledger_total for a in summary.assets)
    )


def _table(summary: Summary) -> str:
    rows = msgspec.structs.asdict(summary)
    rows.pop("assets")
    width = max(len(name) for name in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows.items()]
    for asset in summary.assets:
        sign = "=" if asset.vault_balance == asset.ledger_total else "DIFFERS FROM"
        lines.append(
            f"{asset.asset}: vault {asset.vault_balance} {sign} ledger {asset.ledger_total}"
        )
    return "\n".join(lines)
