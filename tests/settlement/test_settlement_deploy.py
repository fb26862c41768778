"""Deploying: what is listed, what is written down, every mistake named before it is sent."""

import dataclasses
import hashlib
import itertools
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.settlement.venue import SIGNERS, config

from provenue import wire
from provenue.cli.main import main
from provenue.engine import guest_elf
from provenue.machine import program_root
from provenue.settlement.deploy import Deployment, deploy_all
from provenue.settlement.deploy_config import ConfigError, DeployConfig, dev_config
from provenue.settlement.inbox import InboxClient
from provenue.settlement.local_chain import LocalChain
from provenue.settlement.tx import Account, Sender
from provenue.settlement.vault import VaultClient

CONFIG_TOML = """
signers = [
    "0x0101010101010101010101010101010101010101",
    "0x0202020202020202020202020202020202020202",
]
quorum = 2

[delays]
challenge_window_s = 60
inbox_delay_s = 600
forced_delay_s = 1_200
admin_delay_s = 2_000

[[assets]]
symbol = "USDC"
token_decimals = 6
unit_decimals = 6
opening_min_units = 1_000_000

[[assets]]
symbol = "ETH"
token_decimals = 18
unit_decimals = 8
feed = 3
weight_ppm = 800_000

[[instruments]]
name = "ETH_USDC"
kind = "spot"
base = "ETH"
feed = 3
tick_size = 10_000
lots_per_base = 1_000
"""


@pytest.mark.chain
def test_inbox_begins_with_genesis_listings_and_signers(chain: LocalChain) -> None:
    owner = Account(chain.accounts[-1][1])
    deployment = deploy_all(chain.rpc, owner, config(), operator=owner.address)
    messages = [wire.decode(i.message) for i in InboxClient(deployment, chain.rpc).items(0)]
    anchor = bytes.fromhex(deployment.contracts["Anchor"][2:])
    assert messages[0] == wire.Genesis(chain_id=chain.chain_id, anchor=anchor)
    kinds = [message.KIND.name for message in messages[1:]]
    assert kinds == ["LIST_ASSET"] * 2 + ["LIST_INSTRUMENT"] * 2 + ["SET_SIGNERS"]
    usdc, btc = messages[1:3]
    assert isinstance(usdc, wire.ListAsset)
    assert isinstance(btc, wire.ListAsset)
    assert (usdc.feed, usdc.weight_ppm, usdc.unit_decimals) == (0xFFFF, 10**6, 6)
    assert (btc.feed, btc.weight_ppm, btc.unit_decimals) == (0, 900_000, 8)
    assert btc.token == bytes.fromhex(deployment.contracts["BTC"][2:])
    perpetual, spot = messages[3:5]
    assert isinstance(perpetual, wire.ListInstrument)
    assert isinstance(spot, wire.ListInstrument)
    assert (perpetual.base_asset, spot.base_asset) == (0xFFFF, 1)
    assert messages[5] == wire.SetSigners(
        quorum=2, signers=tuple(bytes.fromhex(s[2:]) for s in SIGNERS)
    )
    anchor_contract = deployment.contract("Anchor", chain.rpc)
    settings = anchor_contract.call("config")
    for name, value in msgspec.to_builtins(config().delays).items():
        if name in settings:
            assert settings[name] == value
    game = deployment.contract("DisputeGame", chain.rpc)
    assert settings["game"] == game.address
    assert game.call("anchor") == deployment.contracts["Anchor"]
    assert game.call("grace_s") == config().delays.dispute_grace_s
    assert game.call("inner_bond_wei") == config().delays.inner_bond_wei
    elf = guest_elf(config().preset)
    assert game.call("program_root") == program_root(elf)
    assert deployment.guest_sha256 == hashlib.sha256(elf).hexdigest()
    assert deployment.contract("Inbox", chain.rpc).call("sealed") is True
    bonded_wei = anchor_contract.call("bond_of", owner.address)
    assert bonded_wei == config().delays.operator_bond_wei
    assert VaultClient(deployment, chain.rpc).scale(0) == 1


@pytest.mark.chain
def test_command_deploys_from_a_file(
    chain: LocalChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("DEPLOY_KEY", chain.accounts[-2][1])
    wanted, out = tmp_path / "venue.toml", tmp_path / "run" / "deployment.json"
    wanted.write_text(CONFIG_TOML)
    arguments = ["deploy", "--rpc-url", chain.url, "--key", "env:DEPLOY_KEY"]
    arguments += ["--config", str(wanted), "--out", str(out)]
    assert main(arguments) == 0
    deployment = Deployment.load(out)
    assert deployment.chain_id == chain.chain_id
    assert deployment.assets == ["USDC", "ETH"]
    assert deployment.contracts["Anchor"] in capsys.readouterr().out
    assert VaultClient(deployment, chain.rpc).scale(1) == 10**10
    assert chain.accounts[-2][1] not in out.read_text()

    wanted.write_text(CONFIG_TOML.replace("weight_ppm = 800_000", "weight_ppm = 1_000_001"))
    assert main(arguments) == 1
    assert "weight_ppm of ETH: expected 0 to 1000000, was 1000001" in capsys.readouterr().err


@pytest.mark.chain
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"--out": "venue.toml"}, "out: expected a file that is not there yet"),
        ({"--out": "."}, "out: expected a file that is not there yet"),
        ({"--out": "venue.toml/deployment.json"}, "out: expected a folder"),
        ({"--operator": "0x12"}, "operator: expected an address of 20 bytes"),
        ({"--operator": "me"}, "operator: expected 0x"),
    ],
)
def test_what_would_fail_behind_the_deployment_is_told_before_any_gas_is_spent(
    chain: LocalChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any,
    options: dict[str, str], problem: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    address, key = chain.accounts[-4]
    Path("venue.toml").write_text(CONFIG_TOML)
    before = chain.rpc.nonce(address)
    settings = {
        "--rpc-url": chain.url, "--key": key, "--config": "venue.toml", "--out": "new.json",
    } | options  # fmt: skip
    assert main(["deploy", *itertools.chain(*settings.items())]) == 1
    assert problem in capsys.readouterr().err
    assert chain.rpc.nonce(address) == before


@pytest.mark.chain
def test_token_that_is_there_must_have_the_decimals_of_the_file(chain: LocalChain) -> None:
    owner = Account(chain.accounts[-3][1])
    first = deploy_all(chain.rpc, owner, config(), operator=owner.address, bond=False)
    token = first.contracts["BTC"]
    wanted = config()
    usdc = msgspec.structs.replace(wanted.assets[0], token=token)
    spoiled = msgspec.structs.replace(wanted, assets=[usdc, wanted.assets[1]])
    sender = Sender(chain.rpc, owner)
    before = chain.rpc.nonce(sender.address)
    with pytest.raises(ConfigError, match=r"token_decimals of USDC: expected 8 .* was 6"):
        deploy_all(chain.rpc, owner, spoiled, operator=owner.address)
    usdc = msgspec.structs.replace(usdc, token=owner.address)
    spoiled = msgspec.structs.replace(wanted, assets=[usdc, wanted.assets[1]])
    with pytest.raises(ConfigError, match="token of USDC: expected an ERC-20"):
        deploy_all(chain.rpc, owner, spoiled, operator=owner.address)
    assert chain.rpc.nonce(sender.address) == before
    btc = msgspec.structs.replace(wanted.assets[1], token=token)
    good = msgspec.structs.replace(wanted, assets=[wanted.assets[0], btc])
    second = deploy_all(chain.rpc, owner, good, operator=owner.address, bond=False)
    assert second.contracts["BTC"] == token


def test_deployment_is_written_and_read_back(tmp_path: Path) -> None:
    deployment = Deployment(
        chain_id=7,
        block=3,
        contracts=dict.fromkeys(("Anchor", "Inbox", "Vault"), "0x" + "ab" * 20),
        assets=["USDC"],
    )
    path = tmp_path / "new" / "deployment.json"
    deployment.save(path)
    assert Deployment.load(path) == deployment
    path.write_text('{"chain_id": "x"}')
    with pytest.raises(ConfigError, match=r"deployment.json: .*chain_id"):
        Deployment.load(path)
    with pytest.raises(ConfigError, match="No such file"):
        Deployment.load(tmp_path / "absent.json")
    known = msgspec.to_builtins(deployment)
    for change, problem in (
        ({"contracts": {}}, "contracts: expected the address of Anchor"),
        ({"contracts": known["contracts"] | {"Vault": "zz"}}, "contracts.Vault: expected 0x"),
        ({"contracts": known["contracts"] | {"USDC": "0x12"}}, "contracts.USDC: expected"),
        ({"chain_id": -1}, "chain_id: expected"),
        ({"block": -1}, "block: expected"),
    ):
        path.write_bytes(msgspec.json.encode(known | change))
        with pytest.raises(ConfigError, match=f"deployment.json: {problem}"):
            Deployment.load(path)


# --- configurations -------------------------------------------------------------------------------


def test_development_configuration_passes_its_own_checks() -> None:
    dev_config(SIGNERS).check()
    config().check()


def test_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "venue.toml"
    path.write_text(CONFIG_TOML)
    read = DeployConfig.load(path)
    assert (read.delays.admin_delay_s, read.assets[1].symbol) == (2_000, "ETH")
    assert read.instruments[0].base == "ETH"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("quorum = 2", "quorum = 3", "quorum: expected 1 to 2, was 3"),
        ("quorum = 2", "", "missing required field `quorum`"),
        ("quorum = 2", 'quorum = "two"', r"Expected `int`, got `str` - at `\$.quorum`"),
        ("[delays]", "[delay]", "unknown field `delay`"),
        ("symbol = \"ETH\"", "symbol = \"USDC\"", "symbol: expected each asset to have its own"),
        ("symbol = \"ETH\"", "symbol = \"Vault\"", "symbol: 'Vault' is taken"),
        ("unit_decimals = 8", "unit_decimals = 9", "unit_decimals of ETH: expected 0 to 8"),
        ("token_decimals = 18", "token_decimals = 7", "token_decimals of ETH: expected 8 to 36"),
        ("feed = 3\nweight", "weight", "feed of ETH: expected 0 to 65534, was 65535"),
        ("opening_min_units = 1_000_000", "feed = 0", "feed of USDC: expected none"),
        ("kind = \"spot\"", "kind = \"future\"", "kind of ETH_USDC: expected spot or perpetual"),
        ("base = \"ETH\"", "", "base of ETH_USDC: expected the symbol of an asset"),
        ("base = \"ETH\"", "base = \"XYZ\"", "base: expected one of USDC, ETH, was 'XYZ'"),
        ("base = \"ETH\"", "base = \"USDC\"", "base of ETH_USDC: expected another asset"),
        ("feed = 3\ntick", "feed = 4\ntick", "feed of ETH_USDC: expected 3, the feed of ETH"),
        ("tick_size = 10_000", "tick_size = 10_001", "tick_size of ETH_USDC: expected a multiple"),
        ("lots_per_base = 1_000", "lots_per_base = 0", "lots_per_base of ETH_USDC: expected 1 to"),
        ("tick_size = 10_000\nlots_per_base = 1_000", "tick_size = 3\nlots_per_base = 3",
         "lots_per_base of ETH_USDC: expected a divisor of 10"),
        ("kind = \"spot\"", "kind = \"spot\"\ninitial_ppm = 5", "initial_ppm of ETH_USDC: exp"),
        ("kind = \"spot\"", "kind = \"spot\"\nmaker_fee_ppm = 5", "maker_fee_ppm of ETH_USDC"),
        ("kind = \"spot\"", "kind = \"spot\"\nmarket_band_ppm = 0", "market_band_ppm of ETH_USDC"),
        ("kind = \"spot\"\nbase = \"ETH\"", "kind = \"perpetual\"", "initial_ppm of ETH_USDC"),
        ("forced_delay_s = 1_200", "forced_delay_s = 600", "forced_delay_s: expected more than"),
        ("admin_delay_s = 2_000", "admin_delay_s = 1_260", "admin_delay_s: expected more than the"),
        ("challenge_window_s = 60", "challenge_window_s = 0", "challenge_window_s: expected at"),
        ("challenge_window_s = 60", "challenge_window_s = 14_401", "inbox_delay_s: expected at le"),
        ("[delays]", "[delays]\nbond_wei = 1", "bond_wei: expected whole gwei"),
        ("[delays]", "[delays]\nbond_wei = 1_000_000_000", "forced_bond_wei: expected at most"),
        ("0x0202020202020202020202020202020202020202", "0x00", "signers: expected an address"),
        ("signers =", "signers == ", "Invalid value"),
    ],
)  # fmt: skip
def test_mistake_in_a_file_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = tmp_path / "venue.toml"
    assert CONFIG_TOML.count(old) >= 1
    path.write_text(CONFIG_TOML.replace(old, new, 1))
    with pytest.raises(ConfigError, match=f"venue.toml: .*({problem})"):
        DeployConfig.load(path)


def test_signers_are_different_and_not_nobody() -> None:
    one = SIGNERS[0]
    with pytest.raises(ConfigError, match="signers: expected each address once"):
        dev_config([one, one]).check()
    with pytest.raises(ConfigError, match="signers: expected another address than zero"):
        dev_config(["0x" + "00" * 20, one]).check()
    with pytest.raises(ConfigError, match="signers: expected 1 to 8, was 9"):
        dev_config(["0x" + f"{n:040x}" for n in range(1, 10)]).check()


def test_config_is_made_of_plain_values() -> None:
    """So that it can be printed, compared and sent."""
    assert not dataclasses.is_dataclass(config())
    assert msgspec.convert(msgspec.to_builtins(config()), DeployConfig) == config()
