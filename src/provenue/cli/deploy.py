"""Deploy the contracts to a chain and write the deployment file."""

import sys
from pathlib import Path

from cyclopts import App

from provenue._durable import make_folder
from provenue.client.keys import KeyLoadError, load_key
from provenue.settlement.chain_types import normalise_address
from provenue.settlement.deploy import deploy_all
from provenue.settlement.deploy_config import ConfigError, DeployConfig
from provenue.settlement.rpc import ChainError, Rpc
from provenue.settlement.tx import Account
from provenue.wire import WireError

__all__ = ["app"]

app = App(name="deploy", help=(__doc__ or ""))


@app.default
def deploy(*, rpc_url: str, key: str, config: Path, out: Path, operator: str = "") -> int:
    """Deploy vault, inbox, anchor and the dispute game, list what the file says, seal the setup.

    Parameters
    ----------
    rpc_url
        JSON-RPC URL of the chain's node.
    key
        The owner's key: env:NAME, file:PATH (also a keystore), or 0x... for worthless keys.
    config
        TOML file with assets, instruments, signers, delays, preset (see docs/contracts.md).
    out
        Where to write the deployment (JSON).
    operator
        Address that may post batches; the owner's if left out, who then also pays the bond in.
    """
    try:
        owner = Account(load_key(key).secret())
        wanted = DeployConfig.load(config)
        _check_writable(out)
        if operator:
            operator = normalise_address(operator, "operator")
        deployment = deploy_all(
            Rpc(rpc_url),
            owner,
            wanted,
            operator=operator or owner.address,
            bond=not operator,
        )
        deployment.save(out)
    except (ConfigError, KeyLoadError, ChainError, WireError, ValueError, OSError) as problem:
        print(f"provenue deploy: {problem}", file=sys.stderr)
        return 1
    for name, address in deployment.contracts.items():
        print(f"{name:<12} {address}")
    print(f"written      {out}")
    return 0


def _check_writable(out: Path) -> None:
    """OSError unless the deployment can be written: gas is not spent on what would be lost."""
    make_folder("out", out.parent)
    if out.is_file() or out.is_dir():
        # It names contracts that hold money, perhaps.
        raise OSError(f"out: expected a file that is not there yet, was {out}")
