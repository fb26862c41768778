"""Bad input of every kind: bytes that are no message, wrong sources, wrong fields, wrong keys.

Two or three things may be wrong at once, so that the order of the checks is compared as well.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.differential.wire import Item, encode, high_s, make_signers

from provenue.spec.constants import NONCE_MAX, PRICE_TICKS_MAX, SIZE_LOTS_MAX, Kind
from provenue.spec.formats import MESSAGES
from provenue.spec.state import Order, State

if TYPE_CHECKING:
    from tests.differential.streams import Stream

__all__ = ["make"]

U64_MAX = (1 << 64) - 1
STRANGER = make_signers("stranger", 1)[0]

# What may be wrong in the fields of an order, a withdrawal, ...
_PLACE: list[dict[str, Any]] = [
    {"instrument": 3}, {"instrument": 4}, {"instrument": 0xFFFF}, {"side": 2}, {"side": 255},
    {"order_type": 2}, {"order_type": 255},
    {"time_in_force": 4}, {"time_in_force": 99}, {"order_type": 1, "time_in_force": 0},
    {"order_type": 1, "time_in_force": 3}, {"time_in_force": 2}, {"time_in_force": 3},
    {"time_in_force": 3, "good_till_s": 1}, {"good_till_s": 1}, {"good_till_s": (1 << 32) - 1},
    {"time_in_force": 3, "good_till_s": (1 << 32) - 1}, {"self_trade": 4}, {"self_trade": 255},
    {"flags": 2}, {"flags": 6}, {"flags": 8}, {"flags": 4}, {"flags": 4, "instrument": 0},
    {"flags": 3, "time_in_force": 2}, {"flags": 7}, {"flags": 3, "time_in_force": 1},
    {"flags": 1, "time_in_force": 1}, {"flags": 255}, {"price_ticks": 0, "order_type": 0},
    {"price_ticks": PRICE_TICKS_MAX + 1}, {"price_ticks": U64_MAX}, {"size_lots": 0},
    {"size_lots": SIZE_LOTS_MAX + 1}, {"size_lots": U64_MAX},
    {"price_ticks": PRICE_TICKS_MAX, "size_lots": SIZE_LOTS_MAX},
    {"instrument": 1, "price_ticks": 1, "size_lots": SIZE_LOTS_MAX, "side": 0},
    {"instrument": 2, "price_ticks": 1, "size_lots": 100 << 22, "side": 0},
    {"instrument": 2, "price_ticks": 1, "size_lots": (100 << 22) + 1, "side": 0},
    {"instrument": 3, "price_ticks": 1 << 23, "size_lots": 1 << 30, "side": 0},
    {"instrument": 3, "price_ticks": 1 << 23, "size_lots": (1 << 30) + 1, "side": 0},
    {"instrument": 0, "side": 1, "size_lots": 10**8}, {"side": 1, "price_ticks": 1},
    {"side": 0, "price_ticks": PRICE_TICKS_MAX}, {"size_lots": 10**6},
    {"flags": 1, "time_in_force": 0, "order_type": 0, "side": 1, "price_ticks": 1},
]  # fmt: skip
_ANY_ACTION: list[dict[str, Any]] = [
    {"account": 0}, {"account": 1 << 32}, {"account": 0xFFFF_FFFF}, {"account": 99 << 32 | 1},
    {"account": U64_MAX}, {"key": 4}, {"key": 255}, {"key": 1}, {"key": 3},
    {"nonce": NONCE_MAX + 1}, {"nonce": U64_MAX}, {"nonce": 0}, {"nonce": 1},
    {"expires_at_ms": 0}, {"expires_at_ms": 1}, {"expires_at_ms": U64_MAX},
]  # fmt: skip
_WITHDRAW: list[dict[str, Any]] = [
    {"asset": 3}, {"asset": 0xFFFF}, {"asset": 2}, {"amount_units": 0},
    {"amount_units": (1 << 53) + 1}, {"amount_units": U64_MAX}, {"recipient": bytes(20)},
    {"amount_units": 1 << 53},
]  # fmt: skip
_SET_KEY: list[dict[str, Any]] = [
    {"slot": 0}, {"slot": 4}, {"slot": 255}, {"scope": 16}, {"scope": 32}, {"scope": 255},
    {"key_address": bytes(20)},
]  # fmt: skip
_REPLACE: list[dict[str, Any]] = [
    {name: x for name, x in wrong.items() if name not in ("instrument", "side")} for wrong in _PLACE
]
_CANCEL: list[dict[str, Any]] = [
    {"order_id": 0}, {"order_id": 40}, {"order_id": 1 << 32 | 40}, {"order_id": U64_MAX},
    {"order_id": 1 << 32 | 5}, {"order_id": 0xFFFF_FFFF},
]  # fmt: skip
_AMEND: list[dict[str, Any]] = [
    {"price_ticks": 0}, {"price_ticks": PRICE_TICKS_MAX + 1}, {"price_ticks": U64_MAX},
    {"size_lots": 0}, {"size_lots": SIZE_LOTS_MAX}, {"size_lots": SIZE_LOTS_MAX + 1},
    {"size_lots": U64_MAX}, {"price_ticks": PRICE_TICKS_MAX, "size_lots": SIZE_LOTS_MAX},
]  # fmt: skip
_WRONG: dict[Kind, list[dict[str, Any]]] = {
    Kind.PLACE: _PLACE,
    Kind.WITHDRAW: _WITHDRAW,
    Kind.SET_KEY: _SET_KEY,
    Kind.CANCEL: _CANCEL,
    Kind.CANCEL_ALL: [{"instrument": 4}, {"instrument": 0xFFFE}, {"instrument": 3}],
    Kind.CANCEL_LABEL: [{"instrument": 4}, {"instrument": 0xFFFE}, {"instrument": 3}],
    Kind.AMEND: _CANCEL + _AMEND,
    Kind.REPLACE: _CANCEL + _REPLACE,
}
_LIST_ASSET: list[dict[str, Any]] = [
    {"asset": 3}, {"asset": 0xFFFF}, {"unit_decimals": 9}, {"weight_ppm": 1_000_001},
    {"asset": 0, "feed": 0}, {"asset": 2, "feed": 0xFFFF}, {"asset": 2, "feed": 4},
    {"asset": 0, "weight_ppm": 1},
]  # fmt: skip
_LIST_INSTRUMENT: list[dict[str, Any]] = [
    {"instrument": 4}, {"instrument": 0xFFFF}, {"instrument_kind": 2}, {"base_asset": 3},
    {"base_asset": 0}, {"base_asset": 2}, {"feed": 4}, {"feed": 0xFFFF}, {"tick_size": 0},
    {"lots_per_base": 0}, {"tick_size": 3}, {"lots_per_base": 3}, {"tick_size": 1 << 41},
    {"tick_size": 1 << 41, "lots_per_base": 1 << 41}, {"initial_ppm": 0},
    {"maintenance_ppm": 999_999}, {"initial_ppm": 1_000_001}, {"taker_fee_ppm": 100_001},
    {"maker_fee_ppm": 100_000}, {"liquidation_fee_ppm": 100_001}, {"market_band_ppm": 0},
    {"market_band_ppm": 1_000_000}, {"liquidation_band_ppm": 0},
    {"liquidation_band_ppm": 1_000_000}, {"funding_cap_ppm": 100_001}, {"feed": 2},
]  # fmt: skip
_DEPOSIT: list[dict[str, Any]] = [
    {"asset": 3}, {"asset": 0xFFFF}, {"amount_units": 0}, {"amount_units": (1 << 53) + 1},
    {"owner": bytes(20)}, {"owner": b"\x99" * 20, "amount_units": 1},
]  # fmt: skip
_NAMED: list[dict[str, Any]] = [
    {"owner": bytes(20), "subaccount": 0}, {"owner": b"\x99" * 20}, {"subaccount": 254},
]  # fmt: skip
_SLOT: list[dict[str, Any]] = [{"slot": 0}, {"slot": 4}, {"slot": 255}]


def make(stream: "Stream", state: State) -> Item:
    """One bad item (a few turn out to be good ones: the check is the state's business)."""
    makers: list[Callable[[Stream, State], Item]] = [_noise, _noise, _mutated, _wrong_source]
    if state.configured:
        makers += [_wrong_prices, _wrong_inbox, _wrong_inbox, _mutated]
    if stream.history:
        makers += [_replay]
    if len(state.accounts) > 1:
        makers += [_wrong_action] * 5 + [_wrong_signature, _other_keys]
    if not state.configured:
        makers += [_too_early]
    item = stream.rng.choice(makers)(stream, state)
    # A random stamp must not carry the whole stream to the end of time.
    latest = max(item.stamp_min_ms, min(item.stamp_max_ms, stream.clock_ms + 60_000))
    return item._replace(tag=f"bad {item.tag}", stamp_max_ms=latest)


# --- bytes ---------------------------------------------------------------------------------------


def _noise(stream: "Stream", _: State) -> Item:
    """Random bytes, often behind a valid first byte and of the right length."""
    rng = stream.rng
    roll = rng.random()
    if roll < 0.1:
        return Item(b"", rng.random() < 0.5, stream.clock_ms, stream.clock_ms, "empty")
    if roll < 0.4:
        message = rng.randbytes(rng.randint(1, 200))
    else:
        form = rng.choice(list(MESSAGES.values()))
        message = bytes([form.kind]) + rng.randbytes(
            max(0, form.size - 1 + rng.choice((0, 0, 1, -1, 20)))
        )
    return stream.item(message, "noise")


def _valid(stream: "Stream", state: State) -> Item:
    if len(state.accounts) < 2:
        return stream.tick(state)
    makers = (stream.place, stream.cancel, stream.cancel_label, stream.amend, stream.replace,
              stream.withdraw, stream.set_key, stream.prices)  # fmt: skip
    return stream.rng.choice(makers)(state)


def _mutated(stream: "Stream", state: State) -> Item:
    """A good message with bits flipped, cut short or made longer."""
    rng = stream.rng
    item = _valid(stream, state)
    message = bytearray(item.message)
    roll = rng.random()
    if roll < 0.6:
        for _ in range(rng.choice((1, 1, 2, 8))):
            message[rng.randrange(len(message))] ^= 1 << rng.randrange(8)
    elif roll < 0.8:
        del message[rng.randrange(len(message)) :]
    else:
        message += rng.randbytes(rng.choice((1, 10, 65)))
    return item._replace(message=bytes(message), tag="mutated")


def _wrong_source(stream: "Stream", state: State) -> Item:
    """An inbox kind that the operator posts, or a posted kind through the inbox."""
    item = _valid(stream, state) if stream.rng.random() < 0.5 else stream.genesis()
    return item._replace(from_inbox=not item.from_inbox, tag="wrong source")


def _replay(stream: "Stream", _: State) -> Item:
    return stream.rng.choice(stream.history)._replace(tag="replay")


def _too_early(stream: "Stream", state: State) -> Item:
    """Before GENESIS."""
    if stream.rng.random() < 0.5:
        return stream.tick(state)
    return stream.set_signers(state)


# --- fields --------------------------------------------------------------------------------------


def _overrides(stream: "Stream", *choices: list[dict[str, Any]]) -> dict[str, Any]:
    """One to three wrong things; which check answers is the precedence of the chapters."""
    rng = stream.rng
    out: dict[str, Any] = {}
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        out |= rng.choice(rng.choice(choices))
    return out


def _wrong_action(stream: "Stream", state: State) -> Item:
    """A signed action with wrong fields, signed by the right key."""
    rng = stream.rng
    kind = rng.choices(list(_WRONG), (60, 12, 8, 10, 5, 5, 14, 25))[0]
    account = stream.account(state)
    old = Order(0, 0, 0, 1, 0, 1, 1, 1, 1, 0)
    if kind in (Kind.AMEND, Kind.REPLACE) and state.orders:
        old = rng.choice(list(state.orders.values()))
        account = state.accounts[old.account]
    base: dict[Kind, dict[str, Any]] = {
        Kind.PLACE: stream.trader.order(state, account, "trade"),
        Kind.WITHDRAW: {"asset": 0, "amount_units": 1, "recipient": account.owner},
        Kind.SET_KEY: {"slot": 1, "key_address": b"\x55" * 20, "scope": 1, "key_expires_at_ms": 0},
        Kind.CANCEL: {"order_id": 0},
        Kind.CANCEL_ALL: {"instrument": 0xFFFF},
        Kind.CANCEL_LABEL: {"instrument": 0xFFFF, "client_id": 0},
        Kind.AMEND: stream.trader.amended(state, old),
        Kind.REPLACE: stream.trader.replacement(state, old, account),
    }
    of_kind = _WRONG[kind]
    wrong = _overrides(stream, of_kind, of_kind, of_kind, _ANY_ACTION)
    if kind == Kind.CANCEL and state.orders and rng.random() < 0.4:
        wrong = {"order_id": rng.choice(list(state.orders.values())).id}  # perhaps another's
    fields: dict[str, Any] = base[kind] | wrong
    return stream.signed(state, kind, account, key=fields.pop("key", 0), **fields)


def _wrong_signature(stream: "Stream", state: State) -> Item:
    """High s, v outside 27 and 28, r or s zero or above the order."""
    rng = stream.rng
    item = stream.withdraw(state)
    body, signature = item.message[:-65], item.message[-65:]
    variants = [
        high_s(signature),
        signature[:64] + bytes([rng.choice((0, 1, 26, 29, 255))]),
        signature[:64] + bytes([55 - signature[64]]),
        bytes(32) + signature[32:],
        signature[:32] + bytes(32) + signature[64:],
        b"\xff" * 32 + signature[32:],
        rng.randbytes(32) + signature[32:],
        bytes(64) + b"\x1b",
    ]
    return item._replace(message=body + rng.choice(variants), tag="signature")


def _other_keys(stream: "Stream", state: State) -> Item:
    """Signed by another account's owner, by a session key of other rights, by a stranger."""
    rng = stream.rng
    account, other = stream.account(state), stream.account(state)
    signer = rng.choice((STRANGER, stream.secrets.get(other.owner, STRANGER)))
    kind = rng.choice((Kind.CANCEL_ALL, Kind.SET_KEY))
    fields: dict[str, Any] = {"instrument": 0xFFFF}
    if kind == Kind.SET_KEY:
        fields = {"slot": 2, "key_address": STRANGER.address, "scope": 15, "key_expires_at_ms": 0}
        if rng.random() < 0.5:  # a session key may not manage keys
            return stream.signed(state, kind, account, key=rng.randint(1, 3), **fields)
    return stream.signed(state, kind, account, signer=signer, **fields)


def _wrong_prices(stream: "Stream", state: State) -> Item:
    """Too few, too many, unknown, unordered, zero, stale, early, twice, by nobody."""
    clock, price = stream.clock_ms, stream.market.prices[0]
    entries_choices: list[list[tuple[int, int]]] = [
        [], [(0, price)] * 2, [(1, price), (0, price)], [(4, price)], [(0xFFFF, price)], [(0, 0)],
        [(0, (1 << 40) + 1)], [(0, U64_MAX)], [(f, 5) for f in range(32)], [(0, 0), (0, 0)],
    ]  # fmt: skip
    fields: dict[str, Any] = {}
    for _ in range(stream.rng.choice((1, 1, 2))):
        entries = stream.rng.choice(entries_choices)
        signer = stream.rng.choice((len(state.signers), 255))
        at = stream.rng.choice(
            (0, 1, clock + 2_000, clock + 2_001, U64_MAX, clock - 30_000, clock - 30_001)
        )
        fields |= stream.rng.choice(
            (
                {"entries": entries, "count": len(entries)},
                {"published_at_ms": min(U64_MAX, max(0, at))},
                {"published_at_ms": min(U64_MAX, max(0, at))},
                {"signer": signer},
            )
        )
    return stream.prices(state, **fields)


def _wrong_inbox(stream: "Stream", state: State) -> Item:
    """Administration, deposits and forced actions with fields outside their ranges."""
    rng = stream.rng
    kinds = (Kind.LIST_ASSET, Kind.LIST_INSTRUMENT, Kind.SET_SIGNERS, Kind.DEPOSIT,
             Kind.FORCED_WITHDRAW, Kind.FORCED_CANCEL, Kind.FORCED_CLOSE, Kind.FORCED_REVOKE,
             Kind.GENESIS)  # fmt: skip
    kind = rng.choices(kinds, (3, 6, 3, 3, 3, 1, 1, 1, 1))[0]
    if kind == Kind.GENESIS:
        return stream.genesis()
    if kind == Kind.SET_SIGNERS:
        return _wrong_signers(stream)
    owner = stream.account(state) if len(state.accounts) > 1 else None
    address = owner.owner if owner else b"\x01" * 20
    named = {"owner": address, "subaccount": owner.subaccount if owner else 0}
    bases: dict[Kind, tuple[dict[str, Any], list[dict[str, Any]]]] = {
        Kind.LIST_ASSET: (rng.choice(stream.market.assets()), _LIST_ASSET),
        Kind.LIST_INSTRUMENT: (rng.choice(stream.market.instruments()), _LIST_INSTRUMENT),
        Kind.DEPOSIT: (named | {"asset": 0, "amount_units": 5}, _DEPOSIT),
        Kind.FORCED_WITHDRAW: (
            named | {"asset": 0, "amount_units": 1, "recipient": address}, _NAMED + _WITHDRAW,
        ),
        Kind.FORCED_CANCEL: (named, _NAMED),
        Kind.FORCED_CLOSE: (named, _NAMED),
        Kind.FORCED_REVOKE: (named | {"slot": 1}, _NAMED + _SLOT),
    }  # fmt: skip
    fields, wrong = bases[kind]
    return stream.item(encode(kind, fields | _overrides(stream, wrong)), kind.name)


def _wrong_signers(stream: "Stream") -> Item:
    """Counts, quorums and addresses that are no set of signers."""
    a, zero = b"\x01" * 20, bytes(20)
    many = [bytes([n + 1]) * 20 for n in range(9)]
    quorum, signers = stream.rng.choice([
        (1, []), (0, []), (1, many), (0, [a]), (2, [a]), (1, [zero]), (1, [a, a]),
        (1, [a, a, zero]), (3, [zero, a]), (255, many),
    ])  # fmt: skip
    fields = {"quorum": quorum, "count": len(signers), "signers": signers}
    return stream.item(encode(Kind.SET_SIGNERS, fields), "SET_SIGNERS")
