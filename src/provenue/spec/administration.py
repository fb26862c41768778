"""Chapter 3.1 and 3.2: genesis, listings, price signers. All of it comes through the inbox."""

from types import SimpleNamespace

from provenue.spec.constants import (
    NONE_U16,
    PPM,
    PRICE_MAX,
    SIGNERS_MAX,
    Code,
    EventKind,
    InstrumentKind,
)
from provenue.spec.formats import DOMAIN_NAME, DOMAIN_TYPE, DOMAIN_VERSION
from provenue.spec.notation import Reject, word
from provenue.spec.state import (
    QUOTE,
    ZERO_ADDRESS,
    Account,
    Asset,
    Instrument,
    Signer,
    State,
)

__all__ = ["genesis", "list_asset", "list_instrument", "set_signers"]

FEE_MAX_PPM = 100_000
FUNDING_CAP_MAX_PPM = 100_000
UNIT_DECIMALS_MAX = 8


def genesis(state: State, m: SimpleNamespace) -> None:
    """3.1: binds the state to a chain and an Anchor and opens the house."""
    # COMPUTE
    keccak = state.crypto.keccak
    domain = [keccak(text.encode()) for text in (DOMAIN_TYPE, DOMAIN_NAME, DOMAIN_VERSION)]
    domain += [word(m.chain_id), word(m.anchor)]

    # UPDATE
    state.domain_separator = keccak(b"".join(domain))
    state.configured = True
    balances = [0] * state.preset.assets_max
    state.accounts.append(Account(0, ZERO_ADDRESS, 0, generation=1, balances=balances))
    state.reclaim_next = 1

    # EMIT
    state.emit(EventKind.CONFIGURED)


def list_asset(state: State, m: SimpleNamespace) -> None:
    """3.2: asset 0, the quote, comes first; the others are valued by a feed and a weight."""
    # CHECK
    if m.asset >= state.preset.assets_max:
        raise Reject(Code.ASSET_UNKNOWN)
    if state.assets[m.asset].listed:
        raise Reject(Code.ALREADY_LISTED)
    if m.asset == QUOTE:
        place_ok = m.feed == NONE_U16 and m.weight_ppm == PPM
    else:
        place_ok = m.feed < state.preset.feeds_max and state.assets[QUOTE].listed
    if m.unit_decimals > UNIT_DECIMALS_MAX or m.weight_ppm > PPM or not place_ok:
        raise Reject(Code.BAD_PARAMETER)

    # UPDATE: what bounced before the listing stays counted
    before = state.assets[m.asset]
    state.assets[m.asset] = Asset(
        listed=True,
        token=m.token,
        weight_ppm=m.weight_ppm,
        feed=m.feed,
        unit_decimals=m.unit_decimals,
        chain=m.chain,
        opening_min_units=m.opening_min_units,
        units_per_base=10**m.unit_decimals,
        applied_units=before.applied_units,
        issued_units=before.issued_units,
        fees_units=before.fees_units,
    )

    # EMIT
    state.emit(EventKind.ASSET_LISTED, extra=m.asset)


def list_instrument(state: State, m: SimpleNamespace) -> None:
    """3.2: the divisibility rules make every notional and every spot delivery exact (chapter 1)."""
    # CHECK
    if m.instrument >= state.preset.instruments_max:
        raise Reject(Code.INSTRUMENT_UNKNOWN)
    if state.instruments[m.instrument].listed:
        raise Reject(Code.ALREADY_LISTED)
    if not (_common_parameters_ok(state, m) and _kind_parameters_ok(state, m)):
        raise Reject(Code.BAD_PARAMETER)

    # COMPUTE
    base_units_per_lot = 0
    if m.instrument_kind == InstrumentKind.SPOT:
        base_units_per_lot = state.assets[m.base_asset].units_per_base // m.lots_per_base

    # UPDATE
    state.instruments[m.instrument] = Instrument(
        listed=True,
        kind=m.instrument_kind,
        base_asset=m.base_asset,
        feed=m.feed,
        tick_size=m.tick_size,
        lots_per_base=m.lots_per_base,
        quote_per_tick_lot=m.tick_size // m.lots_per_base,
        base_units_per_lot=base_units_per_lot,
        initial_ppm=m.initial_ppm,
        maintenance_ppm=m.maintenance_ppm,
        taker_fee_ppm=m.taker_fee_ppm,
        maker_fee_ppm=m.maker_fee_ppm,
        liquidation_fee_ppm=m.liquidation_fee_ppm,
        market_band_ppm=m.market_band_ppm,
        liquidation_band_ppm=m.liquidation_band_ppm,
        funding_cap_ppm=m.funding_cap_ppm,
        name=m.name,
        funding_time_ms=state.now_ms,
    )

    # EMIT
    state.emit(EventKind.INSTRUMENT_LISTED, instrument=m.instrument)


def _common_parameters_ok(state: State, m: SimpleNamespace) -> bool:
    fees = (m.taker_fee_ppm, m.maker_fee_ppm, m.liquidation_fee_ppm)
    bands = (m.market_band_ppm, m.liquidation_band_ppm)
    return bool(
        m.instrument_kind in (InstrumentKind.SPOT, InstrumentKind.PERPETUAL)
        and state.assets[QUOTE].listed
        and m.feed < state.preset.feeds_max
        and 1 <= m.tick_size <= PRICE_MAX
        and 1 <= m.lots_per_base <= PRICE_MAX
        and m.tick_size % m.lots_per_base == 0
        and max(fees) <= FEE_MAX_PPM
        and m.maker_fee_ppm <= m.taker_fee_ppm
        and all(1 <= band < PPM for band in bands)
        and m.funding_cap_ppm <= FUNDING_CAP_MAX_PPM
    )


def _kind_parameters_ok(state: State, m: SimpleNamespace) -> bool:
    if m.instrument_kind == InstrumentKind.PERPETUAL:
        margins_ok = 1 <= m.maintenance_ppm <= m.initial_ppm <= PPM
        return margins_ok and bool(m.base_asset == NONE_U16)
    if not 1 <= m.base_asset < state.preset.assets_max:
        return False
    base = state.assets[m.base_asset]
    return bool(
        base.listed
        and m.feed == base.feed
        and base.units_per_base % m.lots_per_base == 0
        and m.initial_ppm == 0
        and m.maintenance_ppm == 0
    )


def set_signers(state: State, m: SimpleNamespace) -> None:
    """3.2: a new set starts without prices of its own; the feeds keep theirs."""
    # CHECK
    addresses = [address for (address,) in m.signers]
    if not 1 <= m.count <= SIGNERS_MAX:
        raise Reject(Code.BAD_COUNT)
    if not 1 <= m.quorum <= m.count:
        raise Reject(Code.BAD_PARAMETER)
    if ZERO_ADDRESS in addresses:
        raise Reject(Code.BAD_RECIPIENT)
    if len(set(addresses)) != len(addresses):
        raise Reject(Code.BAD_PARAMETER)

    # UPDATE
    state.price_quorum = m.quorum
    state.signers = [Signer(address) for address in addresses]
    state.signer_prices = [{} for _ in range(SIGNERS_MAX)]

    # EMIT
    state.emit(EventKind.SIGNERS_SET, extra=m.count, value=m.quorum)
