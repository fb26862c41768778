"""Deploying the contracts, and the record of a deployment that everyone else starts from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from provenue import wire
from provenue.engine import GuestMissingError, guest_elf
from provenue.machine import Program, read_program
from provenue.settlement.artifacts import compile_contract
from provenue.settlement.chain_types import normalise_address
from provenue.settlement.contract import Contract, created_address, deploy
from provenue.settlement.deploy_config import AssetConfig, ConfigError, Delays, DeployConfig
from provenue.settlement.rpc import ChainError, Rpc
from provenue.settlement.tx import Account, Sender

__all__ = ["Deployment", "deploy_all"]

CONTRACTS = ("Vault", "Inbox", "Anchor", "DisputeGame", "StepVerifier")


class Deployment(msgspec.Struct, frozen=True):
    """Where everything is. Saved as JSON; read by operators, clients, watchers."""

    chain_id: int
    block: int
    """The last block before the contracts: events are read from there."""
    contracts: dict[str, str]
    """Address by name: Vault, Inbox, Anchor, DisputeGame, StepVerifier, and each asset's token by
    its symbol."""
    assets: list[str]
    """Symbols in the order of their numbers."""
    preset: str = ""
    """Of the guest that the game referees by."""
    guest_sha256: str = ""
    """Of that guest's ELF."""

    @property
    def anchor_bytes(self) -> bytes:
        """Address of the Anchor (20 bytes): the verifying contract of the EIP-712 domain."""
        return bytes.fromhex(self.contracts["Anchor"].removeprefix("0x"))

    @property
    def domain(self) -> wire.Domain:
        """The EIP-712 domain of the venue."""
        return wire.Domain(self.chain_id, self.anchor_bytes)

    def contract(self, name: str, rpc: Rpc) -> Contract:
        """One of the contracts by its name, or a token by its symbol."""
        artifact = compile_contract(name if name in CONTRACTS else "TestToken")
        return Contract(self.contracts[name], artifact.abi, rpc)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Deployment:
        """Read what `save` wrote; ConfigError names the field that is wrong."""
        try:
            found = msgspec.json.decode(path.read_bytes(), type=cls)
            found._check()
            return found
        except OSError as problem:
            raise ConfigError(f"{path}: {problem.strerror}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as problem:
            raise ConfigError(f"{path}: {problem}") from None

    def _check(self) -> None:
        """ValueError, with the field, for what cannot be a deployment."""
        for name in ("Anchor", "Inbox", "Vault"):
            if name not in self.contracts:
                raise ValueError(f"contracts: expected the address of {name}, was left out")
        for name, address in self.contracts.items():
            normalise_address(address, f"contracts.{name}")
        for field, value in (("chain_id", self.chain_id), ("block", self.block)):
            if value < 0:
                raise ValueError(f"{field}: expected a number from 0 on, was {value}")

    def check_chain(self, rpc: Rpc) -> None:
        """ConfigError unless the node is one of this deployment's chain."""
        found = rpc.chain_id()
        if found != self.chain_id:
            raise ConfigError(
                f"chain_id: expected {found}, the chain of the node {rpc.name}; the deployment is "
                f"on chain {self.chain_id}"
            )


def deploy_all(
    rpc: Rpc, owner: Account, config: DeployConfig, *, operator: str, bond: bool = True
) -> Deployment:
    """Deploy, connect, list, seal. With `bond`, the owner's account pays the operator's bond in.

    The bond counts for the operator only when owner and operator are the same account. The game
    pins the guest of the configuration's preset, whose ELF must have been built.
    """
    config.check()
    guest = _pinned_guest(config.preset)
    before = rpc.block_number()
    sender = Sender(rpc, owner)
    delays = config.delays
    tokens = _tokens(sender, config)
    inbox = deploy(
        sender,
        compile_contract("Inbox"),
        owner.address,
        delays.admin_delay_s,
        delays.forced_fee_wei,
    )
    verifier = deploy(sender, compile_contract("StepVerifier"))
    game, anchor = _game_and_anchor(sender, delays, guest, operator, inbox, verifier)
    vault = deploy(sender, compile_contract("Vault"), owner.address, inbox.address, anchor.address)
    inbox.transact(sender, "bind", vault.address, anchor.address)
    for number, asset in enumerate(config.assets):
        vault.transact(
            sender,
            "register_asset",
            number,
            tokens[number],
            asset.unit_decimals,
            asset.cap_units,
            asset.deposit_min_units,
        )
    for message in _setup_messages(config, tokens):
        inbox.transact(sender, "enqueue_setup", wire.encode(message))
    inbox.transact(sender, "seal")
    if bond:
        anchor.transact(sender, "deposit_bond", value=delays.operator_bond_wei)
    symbols = [asset.symbol for asset in config.assets]
    return Deployment(
        chain_id=rpc.chain_id(),
        block=before,
        contracts={
            "Vault": vault.address,
            "Inbox": inbox.address,
            "Anchor": anchor.address,
            "DisputeGame": game.address,
            "StepVerifier": verifier.address,
            **dict(zip(symbols, tokens, strict=True)),
        },
        assets=symbols,
        preset=config.preset,
        guest_sha256=guest.sha256,
    )


class _Guest(msgspec.Struct, frozen=True):
    """What is pinned: on the chain the program, in the deployment's file the ELF's hash."""

    program: Program
    sha256: str


def _pinned_guest(preset: str) -> _Guest:
    try:
        elf = guest_elf(preset)
    except GuestMissingError as problem:
        raise ConfigError(f"preset {preset}: {problem}") from None
    return _Guest(read_program(elf), hashlib.sha256(elf).hexdigest())


def _game_and_anchor(
    sender: Sender,
    delays: Delays,
    guest: _Guest,
    operator: str,
    inbox: Contract,
    verifier: Contract,
) -> tuple[Contract, Contract]:
    """Each names the other and cannot be changed: the Anchor's address is known beforehand."""
    owner = sender.account.address
    nonce = sender.rpc.nonce(owner)
    game = deploy(
        sender,
        compile_contract("DisputeGame"),
        created_address(owner, nonce + 1),
        verifier.address,
        guest.program.root,
        guest.program.entry,
        guest.program.end_of_text,
        delays.dispute_grace_s,
        delays.inner_bond_wei,
        delays.challenge_window_s,
    )
    anchor = deploy(
        sender,
        compile_contract("Anchor"),
        owner,
        {
            "operator": normalise_address(operator),
            "inbox": inbox.address,
            "bond_wei": delays.bond_wei,
            "forced_bond_wei": delays.forced_bond_wei,
            "challenge_window_s": delays.challenge_window_s,
            "inbox_delay_s": delays.inbox_delay_s,
            "forced_delay_s": delays.forced_delay_s,
            "admin_delay_s": delays.admin_delay_s,
            "stamp_ahead_ms": delays.stamp_ahead_ms,
            "stamp_lag_ms": delays.stamp_lag_ms,
            "claim_reserve_wei": delays.claim_reserve_wei,
            "game": game.address,
        },
    )
    if normalise_address(game.call("anchor")) != anchor.address:
        raise ChainError(
            f"deploy: expected the Anchor at {game.call('anchor')}, the node put it at "
            f"{anchor.address}: another transaction of {owner} came between; deploy again"
        )
    return game, anchor


def _tokens(sender: Sender, config: DeployConfig) -> list[str]:
    """Token address of each asset; test tokens are deployed where none is named."""
    found = []
    for asset in config.assets:
        if asset.token is not None:
            found.append(_existing_token(sender.rpc, asset))
        else:
            artifact = compile_contract("TestToken")
            token = deploy(
                sender, artifact, f"Test {asset.symbol}", asset.symbol, asset.token_decimals
            )
            found.append(token.address)
    return found


def _existing_token(rpc: Rpc, asset: AssetConfig) -> str:
    """The address of a token that is there already, with the decimals that the file says."""
    address = normalise_address(asset.token or "", f"token of {asset.symbol}")
    token = Contract(address, compile_contract("TestToken").abi, rpc)
    try:
        decimals = int(token.call("decimals"))
    except ChainError as problem:
        raise ConfigError(f"token of {asset.symbol}: expected an ERC-20 ({problem})") from None
    if decimals != asset.token_decimals:
        raise ConfigError(
            f"token_decimals of {asset.symbol}: expected {decimals} as the token says, "
            f"was {asset.token_decimals}"
        )
    return address


def _setup_messages(config: DeployConfig, tokens: list[str]) -> list[wire.AnyMessage]:
    listed: list[wire.AnyMessage] = [
        config.list_asset(number, bytes.fromhex(token.removeprefix("0x")))
        for number, token in enumerate(tokens)
    ]
    listed += [config.list_instrument(number) for number in range(len(config.instruments))]
    return [*listed, config.set_signers()]
