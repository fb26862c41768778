"""Anchor a batch without the operator: overdue inbox items, relayed prices, CONTINUE."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
from cyclopts import App, Parameter

from provenue import wire
from provenue._durable import held_folder
from provenue.cli._watching import Depth, Preset, find_venue, open_verifier, pinned_guest
from provenue.client.keys import KeyLoadError, load_key
from provenue.engine import GuestMissingError
from provenue.settlement.deploy_config import ConfigError
from provenue.settlement.rpc import ChainError
from provenue.settlement.tx import Account, Sender
from provenue.watcher.archive import ArchiveError
from provenue.watcher.forced import post_forced
from provenue.watcher.pins import GuestMismatchError
from provenue.watcher.replay import BuildsDifferError

__all__ = ["app"]

app = App(name="anchor", help=(__doc__ or ""))


@app.default
def anchor(
    *,
    rpc_url: str,
    key: str,
    data: Path,
    forced: Annotated[bool, Parameter(negative="")] = False,
    anchor: str | None = None,
    deployment: Path | None = None,
    prices: Path | None = None,
    block: Depth = "latest",
    from_block: int | None = None,
    preset: Preset | None = None,
) -> int:
    """Post the next batch of a venue whose operator leaves an overdue item in the inbox.

    Everything but the prices is read from the chain. Prints one JSON object: batch, messages,
    codes of rejected ones, whether work is left, gas. Exit status 0: posted; 1: not.

    Parameters
    ----------
    rpc_url
        JSON-RPC URL of the chain's node.
    key
        Pays bond and gas: env:NAME, file:PATH (also a keystore), or 0x... for worthless keys.
    data
        Folder for the archive; a watcher's may be used while it does not run.
    forced
        Must be given: it says that this is not the operator.
    anchor
        Address of the Anchor, or else --deployment.
    deployment
        The file that `provenue deploy` wrote.
    prices
        Signed PRICES messages, one in hex a line; they are posted in this order.
    block
        How deep in the chain earlier batches must be.
    from_block
        No contract of the venue is older than this L1 block; searched for if left out.
    preset
        Capacities of the image; found out from the program that the chain pins if left out.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        if not forced:
            raise ConfigError(
                "forced: expected --forced; the operator's batches are anchored by `provenue "
                "operator`"
            )
        messages = _read_prices(prices)
        account = Account(load_key(key).secret())
        l1 = find_venue(rpc_url, anchor, deployment, from_block)
        guest = pinned_guest(l1, preset)
        with held_folder("data", data):
            verifier = open_verifier(l1, data, preset=preset, depth=block)
            verifier.source.update()
            verifier.history.start(verifier.l1.final_count())
            while verifier.history.next_batch < verifier.source.checked:
                verifier.source.run_next()
            batch, posted = post_forced(
                l1, verifier.history, guest.elf, Sender(l1.rpc, account), messages
            )
    except (
        ArchiveError,
        BuildsDifferError,
        ChainError,
        ConfigError,
        GuestMismatchError,
        GuestMissingError,
        KeyLoadError,
        ValueError,
        OSError,
    ) as problem:
        print(f"provenue anchor: {problem}", file=sys.stderr)
        return 1
    names = {int(code): code.name for code in wire.Code}
    rejected = [names[code] for code in batch.codes if code]
    report = {
        "batch": batch.header.batch,
        "inbox_items": len(batch.inbox),
        "messages": len(batch.codes),
        "rejected": rejected,
        "work_left": batch.pending,
        "tx_hash": posted.tx_hash,
        "gas_used": posted.gas_used,
    }
    print(msgspec.json.encode(report).decode())
    return 0


def _read_prices(path: Path | None) -> list[bytes]:
    if path is None:
        return []
    messages = []
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"prices: {path}: expected lines of hex: {problem}") from None
    for number, line in enumerate(lines, start=1):
        try:
            message = bytes.fromhex(line.removeprefix("0x"))
            if not isinstance(wire.decode(message), wire.Prices):
                raise ConfigError("another kind of message")
        except (ValueError, wire.DecodeError) as problem:
            raise ConfigError(
                f"prices: {path}, line {number}: expected a signed PRICES message in hex, was "
                f"{line[:20]!r} ({problem})"
            ) from None
        messages.append(message)
    return messages
