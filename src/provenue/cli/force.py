"""Act through the Inbox when the operator does not answer: cancel, close, revoke, withdraw."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from cyclopts import App

from provenue._generated.constants import AMOUNT_MAX
from provenue.client.keys import KeyLoadError, load_key
from provenue.settlement.chain_types import normalise_address
from provenue.settlement.deploy import Deployment
from provenue.settlement.deploy_config import ConfigError
from provenue.settlement.inbox import InboxClient
from provenue.settlement.rpc import ChainError, Rpc
from provenue.settlement.tx import Account, Sender

__all__ = ["app"]

app = App(
    name="force",
    help=(__doc__ or "")
    + """

Needs nothing of the operator's. Each burns the venue's `forced_fee_wei` and prints one JSON object.
Overdue items are anchored by anyone (`provenue anchor --forced`); what is withdrawn is paid by
`provenue claim`. See docs/leaving.md.""",
)

_BYTE = 1 << 8


@app.command
def cancel(*, rpc_url: str, key: str, deployment: Path, subaccount: int = 0) -> int:
    """Cancel all orders of an account.

    Parameters
    ----------
    rpc_url
        JSON-RPC URL of the chain's node.
    key
        Of the account's owner: env:NAME, file:PATH, or 0x... for worthless keys.
    deployment
        The file that `provenue deploy` wrote.
    subaccount
        Number of the subaccount.
    """

    def act(inbox: InboxClient, sender: Sender, _venue: Deployment) -> str:
        return inbox.forced_cancel(sender, subaccount=subaccount)

    return _run("cancel", rpc_url, key, deployment, act, subaccount=subaccount)


@app.command
def close(*, rpc_url: str, key: str, deployment: Path, subaccount: int = 0) -> int:
    """Close every position of an account, when the next prices come. Options as of `cancel`."""

    def act(inbox: InboxClient, sender: Sender, _venue: Deployment) -> str:
        return inbox.forced_close(sender, subaccount=subaccount)

    return _run("close", rpc_url, key, deployment, act, subaccount=subaccount)


@app.command
def revoke(*, rpc_url: str, key: str, deployment: Path, slot: int, subaccount: int = 0) -> int:
    """Revoke the session key in a slot. Other options as of `cancel`."""

    def act(inbox: InboxClient, sender: Sender, _venue: Deployment) -> str:
        return inbox.forced_revoke(sender, subaccount=subaccount, slot=slot)

    return _run("revoke", rpc_url, key, deployment, act, subaccount=subaccount, slot=slot)


@app.command
def withdraw(
    *,
    rpc_url: str,
    key: str,
    deployment: Path,
    asset: str,
    amount_units: int = AMOUNT_MAX,
    to: str | None = None,
    subaccount: int = 0,
) -> int:
    """Withdraw what balance and margin leave. Other options as of `cancel`.

    Parameters
    ----------
    asset
        Symbol of the asset, as in the deployment's file.
    amount_units
        In the asset's smallest units; everything if left out.
    to
        Address that the vault pays to; the key's own if left out.
    """

    def act(inbox: InboxClient, sender: Sender, venue: Deployment) -> str:
        if asset not in venue.assets:
            known = ", ".join(venue.assets)
            raise ConfigError(f"asset: expected one of {known}, was {asset!r}")
        if not 0 < amount_units <= AMOUNT_MAX:
            raise ConfigError(f"amount-units: expected 1 to {AMOUNT_MAX}, was {amount_units}")
        return inbox.forced_withdraw(
            sender,
            subaccount=subaccount,
            asset=venue.assets.index(asset),
            amount_units=amount_units,
            recipient=sender.address if to is None else normalise_address(to, "to"),
        )

    return _run("withdraw", rpc_url, key, deployment, act, subaccount=subaccount)


def _run(
    action: str,
    rpc_url: str,
    key: str,
    deployment: Path,
    act: Callable[[InboxClient, Sender, Deployment], str],
    **bytes_: int,
) -> int:
    """Send one action; what it is called, and where it is, in JSON."""
    try:
        for name, value in bytes_.items():
            if not 0 <= value < _BYTE:
                raise ConfigError(f"{name}: expected 0 to {_BYTE - 1}, was {value}")
        account = Account(load_key(key).secret())
        venue, rpc = Deployment.load(deployment), Rpc(rpc_url)
        venue.check_chain(rpc)
        sender = Sender(rpc, account)
        tx_hash = act(InboxClient(venue, rpc), sender, venue)
    except (ChainError, ConfigError, KeyLoadError, ValueError, OSError) as problem:
        print(f"provenue force {action}: {problem}", file=sys.stderr)
        return 1
    report = {"action": action, "owner": account.address, **bytes_, "tx_hash": tx_hash}
    print(msgspec.json.encode(report).decode())
    return 0
