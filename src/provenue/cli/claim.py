"""Be paid by the vault out of L1 data alone: withdrawals of an address, and their proofs."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import structlog
from cyclopts import App

from provenue._durable import held_folder
from provenue.cli._watching import Depth, Preset, find_venue, open_verifier, pinned_guest
from provenue.client.keys import KeyLoadError, load_key
from provenue.engine import GuestMissingError
from provenue.settlement.deploy import Deployment
from provenue.settlement.deploy_config import ConfigError
from provenue.settlement.rpc import ChainError
from provenue.settlement.tx import Account, Sender
from provenue.settlement.vault import VaultClient
from provenue.watcher.archive import ArchiveError
from provenue.watcher.pins import GuestMismatchError
from provenue.watcher.withdrawals import Withdrawals

__all__ = ["app"]

app = App(name="claim", help=(__doc__ or ""))


@app.default
def claim(
    *,
    rpc_url: str,
    key: str,
    data: Path,
    deployment: Path,
    block: Depth = "latest",
    preset: Preset | None = None,
) -> int:
    """Pay out every withdrawal to the key's address that is in a final batch and not paid yet.

    Prints one JSON object a withdrawal: id, asset, amount_units, batch. Exit status 0:
    what could be paid was paid; 1: otherwise.

    Parameters
    ----------
    rpc_url
        JSON-RPC URL of the chain's node.
    key
        Of the recipient: env:NAME, file:PATH (also a keystore), or 0x... for worthless keys.
    data
        Folder for the archive; a watcher's may be used while it does not run.
    deployment
        The file that `provenue deploy` wrote.
    block
        How deep in the chain batches must be.
    preset
        Capacities of the image; found out from the program that the chain pins if left out.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        account = Account(load_key(key).secret())
        l1 = find_venue(rpc_url, None, deployment, None)
        guest = pinned_guest(l1, preset)
        with held_folder("data", data):
            verifier = open_verifier(l1, data, preset=preset, depth=block)
            verifier.source.update()
            final = min(l1.final_count(), verifier.source.checked)
            vault = VaultClient(Deployment.load(deployment), l1.rpc)
            found = Withdrawals(
                verifier.archive, final, preset=guest.preset, domain=l1.domain, elf=guest.elf
            )
            mine = found.of(bytes.fromhex(account.address[2:]))
            unpaid = [one for one in mine if not vault.is_paid(one.id)]
            if not unpaid:
                waiting = verifier.source.checked - final
                print(
                    f"provenue claim: nothing to pay to {account.address}: no withdrawal of the "
                    f"{final} batches that are final is unpaid; {waiting} more are not final yet",
                    file=sys.stderr,
                )
            for one in unpaid:
                paid_units = vault.withdraw(Sender(l1.rpc, account), found.proof(one))
                report = {
                    "id": one.id,
                    "asset": one.asset,
                    "amount_units": paid_units,
                    "batch": one.batch,
                }
                print(msgspec.json.encode(report).decode(), flush=True)
    except (
        ArchiveError,
        ChainError,
        ConfigError,
        GuestMismatchError,
        GuestMissingError,
        KeyLoadError,
        ValueError,
        OSError,
    ) as problem:
        print(f"provenue claim: {problem}", file=sys.stderr)
        return 1
    return 0
