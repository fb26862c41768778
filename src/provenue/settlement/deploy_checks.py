"""Checks of a deployment's configuration, before anything is sent.

The contracts check what they can when they are called; listings are checked by the program only
when the messages are applied (chapter 3.2), where a mistake is a reject that nobody sees. So the
same rules are asked here, with the field in the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provenue._generated.constants import (
    AMOUNT_MAX,
    ASSET_TOTAL_MAX,
    NONE_U16,
    PPM,
    PRESETS,
    PRICE_MAX,
    SIGNERS_MAX,
)
from provenue.settlement.chain_types import normalise_address

if TYPE_CHECKING:
    from provenue.settlement.deploy_config import (
        AssetConfig,
        Delays,
        DeployConfig,
        InstrumentConfig,
    )

__all__ = ["BATCHES_PER_WINDOW", "ConfigError", "check_config"]

_UNIT_DECIMALS_MAX = 8
_FEE_PPM_MAX = 100_000
_GWEI = 10**9
_DELAY_S_MAX = 10 * 365 * 86_400
# Of the 64 places in the pipeline, what an operator plans with: the rest is for late finality.
BATCHES_PER_WINDOW = 48


class ConfigError(ValueError):
    """A configuration cannot be used; the text names the field, and the file if there is one."""


def check_config(config: DeployConfig) -> None:
    """ConfigError for the first rule that the configuration breaks."""
    _require(bool(config.assets), "assets", "expected at least one, asset 0 being the quote")
    symbols = [asset.symbol for asset in config.assets]
    _require(len(set(symbols)) == len(symbols), "symbol", "expected each asset to have its own")
    for number, asset in enumerate(config.assets):
        _check_asset(number, asset)
    names = [instrument.name for instrument in config.instruments]
    _require(len(set(names)) == len(names), "name", "expected each instrument to have its own")
    for instrument in config.instruments:
        _check_instrument(config, instrument)
    _check_signers(config)
    _check_delays(config.delays)
    _require(
        config.preset in PRESETS, "preset", f"expected one of {', '.join(PRESETS)}, was "
        f"{config.preset!r}",
    )  # fmt: skip


def _require(holds: bool, field: str, problem: str) -> None:
    if not holds:
        raise ConfigError(f"{field}: {problem}")


def _within(field: str, value: int, low: int, high: int) -> None:
    _require(low <= value <= high, field, f"expected {low} to {high}, was {value}")


def _check_asset(number: int, asset: AssetConfig) -> None:
    of = f"of {asset.symbol}"
    reserved = asset.symbol in ("Vault", "Inbox", "Anchor", "DisputeGame", "StepVerifier")
    _require(not reserved and asset.symbol != "", "symbol", f"{asset.symbol!r} is taken")
    _within(f"unit_decimals {of}", asset.unit_decimals, 0, _UNIT_DECIMALS_MAX)
    _within(f"token_decimals {of}", asset.token_decimals, asset.unit_decimals, 36)
    _within(f"weight_ppm {of}", asset.weight_ppm, 0, PPM)
    _within(f"cap_units {of}", asset.cap_units, 0, ASSET_TOTAL_MAX)
    _within(f"deposit_min_units {of}", asset.deposit_min_units, 1, AMOUNT_MAX)
    _within(f"opening_min_units {of}", asset.opening_min_units, 0, 2**64 - 1)
    if number == 0:
        _require(asset.feed == NONE_U16, f"feed {of}", "expected none, the quote needs no price")
        _require(asset.weight_ppm == PPM, f"weight_ppm {of}", f"expected {PPM} for the quote")
    else:
        _within(f"feed {of}", asset.feed, 0, NONE_U16 - 1)
    if asset.token is not None:
        _check_address(f"token {of}", asset.token)


def _check_instrument(config: DeployConfig, instrument: InstrumentConfig) -> None:
    of = f"of {instrument.name}"
    _require(
        instrument.kind in ("spot", "perpetual"),
        f"kind {of}", f"expected spot or perpetual, was {instrument.kind!r}",
    )  # fmt: skip
    _require(
        1 <= len(instrument.name.encode()) <= 16,
        "name", f"expected 1 to 16 bytes, was {instrument.name!r}",
    )  # fmt: skip
    _within(f"feed {of}", instrument.feed, 0, NONE_U16 - 1)
    _within(f"tick_size {of}", instrument.tick_size, 1, PRICE_MAX)
    _within(f"lots_per_base {of}", instrument.lots_per_base, 1, PRICE_MAX)
    _require(
        instrument.tick_size % instrument.lots_per_base == 0,
        f"tick_size {of}",
        f"expected a multiple of lots_per_base ({instrument.lots_per_base}), "
        f"was {instrument.tick_size}",
    )
    for field in ("taker_fee_ppm", "maker_fee_ppm", "liquidation_fee_ppm", "funding_cap_ppm"):
        _within(f"{field} {of}", getattr(instrument, field), 0, _FEE_PPM_MAX)
    _require(
        instrument.maker_fee_ppm <= instrument.taker_fee_ppm,
        f"maker_fee_ppm {of}", "expected at most the taker's fee",
    )  # fmt: skip
    for field in ("market_band_ppm", "liquidation_band_ppm"):
        _within(f"{field} {of}", getattr(instrument, field), 1, PPM - 1)
    if instrument.kind == "spot":
        _check_spot(config, instrument)
    else:
        _require(instrument.base is None, f"base {of}", "expected none for a perpetual")
        _within(f"initial_ppm {of}", instrument.initial_ppm, 1, PPM)
        _within(f"maintenance_ppm {of}", instrument.maintenance_ppm, 1, instrument.initial_ppm)


def _check_spot(config: DeployConfig, instrument: InstrumentConfig) -> None:
    of = f"of {instrument.name}"
    _require(instrument.base is not None, f"base {of}", "expected the symbol of an asset")
    number = config.asset_number(instrument.base or "")
    _require(number != 0, f"base {of}", "expected another asset than the quote")
    asset = config.assets[number]
    _require(
        asset.feed == instrument.feed,
        f"feed {of}", f"expected {asset.feed}, the feed of {asset.symbol}, was {instrument.feed}",
    )  # fmt: skip
    _require(
        10**asset.unit_decimals % instrument.lots_per_base == 0,
        f"lots_per_base {of}",
        f"expected a divisor of 10^{asset.unit_decimals}, was {instrument.lots_per_base}",
    )
    for field in ("initial_ppm", "maintenance_ppm"):
        _within(f"{field} {of}", getattr(instrument, field), 0, 0)


def _check_signers(config: DeployConfig) -> None:
    _within("signers", len(config.signers), 1, SIGNERS_MAX)
    _within("quorum", config.quorum, 1, len(config.signers))
    addresses = [_check_address("signers", signer) for signer in config.signers]
    _require(len(set(addresses)) == len(addresses), "signers", "expected each address once")


def _check_address(field: str, text: str) -> str:
    try:
        address = normalise_address(text, field)
    except ValueError as problem:
        raise ConfigError(str(problem)) from None
    _require(int(address, 16) != 0, field, "expected another address than zero")
    return address


def _check_delays(delays: Delays) -> None:
    """As the constructor of the Anchor and the binding of the Inbox have them."""
    for field in ("challenge_window_s", "inbox_delay_s", "forced_delay_s", "admin_delay_s"):
        _within(field, getattr(delays, field), 0, _DELAY_S_MAX)
    _require(delays.challenge_window_s > 0, "challenge_window_s", "expected at least 1")
    _require(
        delays.forced_delay_s > delays.inbox_delay_s,
        "forced_delay_s", f"expected more than inbox_delay_s ({delays.inbox_delay_s})",
    )  # fmt: skip
    # A batch is open for a 48th of the window, and then half of the inbox delay must not be over.
    age_s = -(-delays.challenge_window_s // BATCHES_PER_WINDOW)
    _require(
        delays.inbox_delay_s >= 2 * age_s,
        "inbox_delay_s",
        f"expected at least {2 * age_s}, two batches' age, with a challenge_window_s of "
        f"{delays.challenge_window_s}, was {delays.inbox_delay_s}",
    )
    _require(
        0 < 2 * delays.dispute_grace_s <= delays.challenge_window_s,
        "grace_s",
        f"expected 1 to half of challenge_window_s ({delays.challenge_window_s}), was "
        f"{delays.dispute_grace_s}",
    )
    # Through a dispute too: it takes at most two windows and two graces.
    exit_window_s = delays.forced_delay_s + 3 * delays.challenge_window_s
    _require(
        delays.admin_delay_s > exit_window_s,
        "admin_delay_s", f"expected more than the exit window ({exit_window_s} s)",
    )  # fmt: skip
    for field in ("stamp_ahead_ms", "stamp_lag_ms"):
        _within(field, getattr(delays, field), 0, 1_000 * _DELAY_S_MAX)
    for field in ("bond_wei", "forced_bond_wei", "inner_bond_wei", "claim_reserve_wei"):
        value = getattr(delays, field)
        _require(value > 0 and value % _GWEI == 0, field, "expected whole gwei above zero")
        _within(field, value // _GWEI, 1, 2**56 - 1)
    _require(
        delays.forced_bond_wei <= delays.bond_wei,
        "forced_bond_wei", "expected at most bond_wei",
    )  # fmt: skip
    _within("forced_fee_wei", delays.forced_fee_wei, 0, 2**256 - 1)
