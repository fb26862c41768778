"""Check a batch, or the whole history from genesis, from L1 data alone."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
from cyclopts import App, Parameter

from provenue._durable import held_folder
from provenue.cli._watching import Depth, Preset, find_venue, open_verifier
from provenue.engine import GuestMissingError
from provenue.settlement.deploy_config import ConfigError
from provenue.settlement.rpc import ChainError
from provenue.watcher.archive import ArchiveError
from provenue.watcher.pins import GuestMismatchError
from provenue.watcher.verify import BatchVerdict, HistoryVerdict, Verdict, Verifier

__all__ = ["app"]

app = App(name="verify", help=(__doc__ or ""))


@app.default
def verify(
    *,
    rpc_url: str,
    batch: int | None = None,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    anchor: str | None = None,
    deployment: Path | None = None,
    data: Path | None = None,
    block: Depth = "latest",
    from_block: Annotated[int | None, Parameter(name="--from-block")] = None,
    preset: Preset | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Exit status 0: right; 1: a claim that is live or final is wrong; 2: it cannot be told.

    Parameters
    ----------
    rpc_url
        JSON-RPC URL of any node of the chain.
    batch
        The batch to check.
    every
        Check every batch instead, from genesis on, and compare the last root with the chain's.
    anchor
        Address of the venue's Anchor.
    deployment
        The JSON file that `provenue deploy` wrote, instead of --anchor.
    data
        Folder that keeps what was read and executed (a watcher's will do); a temporary one if left
        out.
    block
        How deep in the chain batches must be.
    from_block
        No contract of the venue is older than this L1 block; searched for if left out.
    preset
        Capacities of the image; found out from the program that the chain pins if left out.
    json
        Print one JSON object.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        if (batch is None) == (not every) or (batch or 0) < 0:
            raise ConfigError("batch: expected --batch N (from 0 on) or --all, one of them")
        l1 = find_venue(rpc_url, anchor, deployment, from_block)
        with _folder(data) as folder:
            verifier = open_verifier(l1, folder, preset=preset, depth=block)
            if batch is None:
                return _show_history(verifier, json)
            return _show_batch(verifier.batch(batch), json)
    except (
        ConfigError,
        ChainError,
        ArchiveError,
        GuestMissingError,
        GuestMismatchError,
        ValueError,
        OSError,
    ) as problem:
        print(f"provenue verify: {problem}", file=sys.stderr)
        return Verdict.UNKNOWN


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        with held_folder("data", data):
            yield data
        return
    with tempfile.TemporaryDirectory(prefix="provenue-verify-") as scratch:
        yield Path(scratch)


def _show_batch(found: BatchVerdict, json: bool) -> int:
    if json:
        print(msgspec.json.encode(found).decode())
        return found.status
    print(f"batch {found.batch}: {found.verdict}" + (f": {found.reason}" if found.reason else ""))
    if found.end_root:
        print(f"  {found.messages} messages in {found.execution_seconds:.3f} s")
        print(f"  start root {found.start_root}")
        print(f"  claim root {found.claim_root}")
        print(f"  end root   {found.end_root}")
    for claim in found.claims:
        says = "right" if claim.right else "WRONG"
        print(f"  claim {claim.index} of {claim.claimant}, {claim.status}: {says}")
    return found.status


def _show_history(verifier: Verifier, json: bool) -> int:
    def shown() -> Iterator[BatchVerdict]:
        for found in verifier.each():
            if not json and (found.status is not Verdict.RIGHT or found.batch % 100 == 0):
                _show_batch(found, json=False)
            yield found

    whole: HistoryVerdict = verifier.everything(shown())
    if json:
        print(msgspec.json.encode(whole).decode())
        return whole.status
    print(
        f"{whole.batches} batches, {whole.messages} messages from genesis on in {whole.seconds} s: "
        f"{whole.verdict}" + (f": {whole.reason}" if whole.reason else "")
    )
    same = "the chain has the same" if whole.same_root else f"the chain has {whole.chain_root}"
    print(f"root {whole.root}; {same}; {whole.final_batches} batches are final")
    return whole.status
