"""What to deploy: tokens, instruments, price signers, delays. A TOML file or `dev_config`."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from provenue import wire
from provenue._generated.constants import ASSET_TOTAL_MAX, NONE_U16, PIPELINE_FORCED_MAX
from provenue.settlement.deploy_checks import ConfigError, check_config

__all__ = ["AssetConfig", "ConfigError", "Delays", "DeployConfig", "InstrumentConfig", "dev_config"]

ETHER = 10**18


class AssetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A collateral asset. Without `token`, a test token of that symbol is deployed."""

    symbol: str
    token_decimals: int
    unit_decimals: int
    feed: int = NONE_U16
    weight_ppm: int = 1_000_000
    opening_min_units: int = 1
    deposit_min_units: int = 1
    cap_units: int = ASSET_TOTAL_MAX
    token: str | None = None


class InstrumentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An instrument; fields as in LIST_INSTRUMENT (chapter 3.2). `base` is an asset's symbol."""

    name: str
    kind: str
    feed: int
    tick_size: int
    lots_per_base: int
    base: str | None = None
    initial_ppm: int = 0
    maintenance_ppm: int = 0
    taker_fee_ppm: int = 0
    maker_fee_ppm: int = 0
    liquidation_fee_ppm: int = 0
    market_band_ppm: int = 50_000
    liquidation_band_ppm: int = 30_000
    funding_cap_ppm: int = 0


class Delays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Time bounds of the contracts and their bonds; see docs/contracts.md.

    64 batches may be unfinalised, so the challenge window is also the throughput. `stamp_lag_ms` is
    the longest outage that a journal survives: a batch keeps the stamps it was sequenced with,
    whenever it is posted.
    """

    challenge_window_s: int = 3_600
    inbox_delay_s: int = 6 * 3_600
    forced_delay_s: int = 12 * 3_600
    admin_delay_s: int = 2 * 86_400
    stamp_ahead_ms: int = 15_000
    stamp_lag_ms: int = 7 * 86_400_000
    bond_wei: int = 10 * ETHER
    forced_bond_wei: int = ETHER
    forced_fee_wei: int = 10**15
    grace_s: int | None = None
    """What a side of a dispute gets once more for the instruction level; left out: half of the
    window, at most two hours."""
    inner_bond_wei: int = ETHER
    claim_reserve_wei: int = ETHER // 2
    """Half of it must pay the honest side of one dispute: 3 M gas at 80 gwei."""

    @property
    def dispute_grace_s(self) -> int:
        """`grace_s`, or what it is when it is left out."""
        if self.grace_s is not None:
            return self.grace_s
        return min(self.challenge_window_s // 2, 7_200)

    @property
    def operator_bond_wei(self) -> int:
        """What an operator needs who keeps the pipeline full."""
        return self.bond_wei + PIPELINE_FORCED_MAX * self.claim_reserve_wei


class DeployConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole deployment. Assets and instruments are numbered in their order; asset 0 is USDC."""

    assets: list[AssetConfig]
    instruments: list[InstrumentConfig]
    signers: list[str]
    quorum: int
    delays: Delays = Delays()
    preset: str = "main"
    """Of the guest that referees disputes; the operator must run the same."""

    @classmethod
    def load(cls, path: Path) -> DeployConfig:
        """From a TOML file; ConfigError names the field that is wrong."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            config = msgspec.convert(table, cls)
            config.check()
            return config
        except ConfigError as problem:
            raise ConfigError(f"{path}: {problem}") from None
        except OSError as problem:
            raise ConfigError(f"{path}: {problem.strerror}") from None
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as problem:
            raise ConfigError(f"{path}: {problem}") from None

    def check(self) -> None:
        """ConfigError, with the field, for what contracts or program would refuse later."""
        check_config(self)

    def asset_number(self, symbol: str) -> int:
        """Number of an asset by its symbol."""
        for number, asset in enumerate(self.assets):
            if asset.symbol == symbol:
                return number
        known = ", ".join(asset.symbol for asset in self.assets)
        raise ConfigError(f"base: expected one of {known}, was {symbol!r}")

    def list_asset(self, number: int, token: bytes) -> wire.ListAsset:
        """The LIST_ASSET message of an asset."""
        asset = self.assets[number]
        return wire.ListAsset(
            asset=number,
            chain=0,
            unit_decimals=asset.unit_decimals,
            feed=asset.feed,
            weight_ppm=asset.weight_ppm,
            opening_min_units=asset.opening_min_units,
            token=token,
        )

    def list_instrument(self, number: int) -> wire.ListInstrument:
        """The LIST_INSTRUMENT message of an instrument."""
        config = self.instruments[number]
        kinds = {
            "spot": wire.InstrumentKind.SPOT,
            "perpetual": wire.InstrumentKind.PERPETUAL,
        }
        if config.kind not in kinds:
            raise ConfigError(f"kind of {config.name}: expected spot or perpetual")
        name = config.name.encode()
        if not 1 <= len(name) <= 16:
            raise ConfigError(f"name: expected 1 to 16 bytes, was {config.name!r}")
        spot = config.kind == "spot"
        if spot and config.base is None:
            raise ConfigError(f"base of {config.name}: a spot pair needs one")
        return wire.ListInstrument(
            instrument=number,
            instrument_kind=kinds[config.kind],
            base_asset=self.asset_number(config.base or "") if spot else NONE_U16,
            feed=config.feed,
            tick_size=config.tick_size,
            lots_per_base=config.lots_per_base,
            initial_ppm=config.initial_ppm,
            maintenance_ppm=config.maintenance_ppm,
            taker_fee_ppm=config.taker_fee_ppm,
            maker_fee_ppm=config.maker_fee_ppm,
            liquidation_fee_ppm=config.liquidation_fee_ppm,
            market_band_ppm=config.market_band_ppm,
            liquidation_band_ppm=config.liquidation_band_ppm,
            funding_cap_ppm=config.funding_cap_ppm,
            name=name.ljust(16, b"\0"),
        )

    def set_signers(self) -> wire.SetSigners:
        """The SET_SIGNERS message."""
        addresses = [bytes.fromhex(signer.removeprefix("0x")) for signer in self.signers]
        return wire.SetSigners(quorum=self.quorum, signers=tuple(addresses))


# Short enough that a run on a laptop sees finality, in the right order of lengths.
DEV_DELAYS = Delays(
    challenge_window_s=4,
    inbox_delay_s=3_600,
    forced_delay_s=7_200,
    admin_delay_s=14_400,
    stamp_ahead_ms=15_000,
    stamp_lag_ms=3_600_000,
)


def dev_config(
    signers: list[str], *, delays: Delays = DEV_DELAYS, preset: str = "dev"
) -> DeployConfig:
    """USDC and BTC, a perpetual and a spot pair on one feed; two signers agree on a price."""
    return DeployConfig(
        assets=[
            AssetConfig("USDC", 6, 6, opening_min_units=1_000_000),
            AssetConfig("BTC", 8, 8, feed=0, weight_ppm=900_000, opening_min_units=100_000),
        ],
        instruments=[
            InstrumentConfig(
                name="BTC-PERPETUAL",
                kind="perpetual",
                feed=0,
                tick_size=10_000,
                lots_per_base=10_000,
                initial_ppm=50_000,
                maintenance_ppm=30_000,
                taker_fee_ppm=500,
                maker_fee_ppm=200,
                liquidation_fee_ppm=5_000,
                funding_cap_ppm=5_000,
            ),
            InstrumentConfig(
                name="BTC_USDC",
                kind="spot",
                base="BTC",
                feed=0,
                tick_size=10_000,
                lots_per_base=10_000,
                taker_fee_ppm=500,
                maker_fee_ppm=200,
            ),
        ],
        signers=signers,
        quorum=2,
        delays=delays,
        preset=preset,
    )
