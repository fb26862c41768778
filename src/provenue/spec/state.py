"""What the venue knows: the tables of the image, said with plain Python objects.

Indexes, ids and capacities are those of the image; links and free lists are Python lists.
"""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from provenue.spec.constants import (
    KEYS_PER_ACCOUNT,
    NONE_U16,
    PRESETS,
    SIGNERS_MAX,
    EventKind,
    InstrumentKind,
    OrderFlag,
    SelfTrade,
    Side,
    TimeInForce,
)
from provenue.spec.crypto import CRYPTO, Crypto
from provenue.spec.events import Event
from provenue.spec.notation import Reject

__all__ = [
    "HOUSE", "PENDING", "QUOTE", "RESTING", "Account", "Asset", "Feed", "Instrument", "Key",
    "Order", "Row", "Scan", "Signer", "SignerPrice", "State", "undone_by_a_reject",
]  # fmt: skip

HOUSE = 0  # account 0: the insurance fund
QUOTE = 0  # asset 0: USDC
RESTING, PENDING = 1, 2  # values of Order.live
ZERO_ADDRESS = bytes(20)
ZERO_WORD = bytes(32)


@dataclass(slots=True)
class Asset:
    """Collateral; asset 0 is the quote. The three counters run for unlisted assets too."""

    listed: bool = False
    token: bytes = ZERO_ADDRESS
    weight_ppm: int = 0
    feed: int = 0
    unit_decimals: int = 0
    chain: int = 0
    opening_min_units: int = 0
    units_per_base: int = 0
    applied_units: int = 0
    issued_units: int = 0
    fees_units: int = 0


@dataclass(slots=True)
class Instrument:
    """A spot pair or a linear perpetual. `premium_ppm`, index and clearing are for perpetuals."""

    listed: bool = False
    kind: int = 0
    base_asset: int = NONE_U16
    feed: int = 0
    tick_size: int = 0
    lots_per_base: int = 0
    quote_per_tick_lot: int = 0
    base_units_per_lot: int = 0
    initial_ppm: int = 0
    maintenance_ppm: int = 0
    taker_fee_ppm: int = 0
    maker_fee_ppm: int = 0
    liquidation_fee_ppm: int = 0
    market_band_ppm: int = 0
    liquidation_band_ppm: int = 0
    funding_cap_ppm: int = 0
    name: bytes = bytes(16)
    premium_ppm: int = 0
    funding_index: int = 0
    funding_time_ms: int = 0
    clearing_units: int = 0

    @property
    def is_perpetual(self) -> bool:
        return self.kind == InstrumentKind.PERPETUAL


@dataclass(slots=True)
class Feed:
    """A price per whole base; 0 = never priced."""

    price: int = 0
    updated_at_ms: int = 0


@dataclass(slots=True)
class Signer:
    address: bytes
    last_published_at_ms: int = 0


@dataclass(slots=True)
class SignerPrice:
    price: int
    published_at_ms: int


@dataclass(slots=True)
class Key:
    """Who may sign, and which nonces are used: bit i of `window` is nonce `base + i`."""

    address: bytes = ZERO_ADDRESS
    scope: int = 0
    expires_at_ms: int = 0
    base: int = 0
    window: int = 0


@dataclass(slots=True)
class Row:
    """A position and the open orders of an account in one instrument."""

    size_lots: int = 0
    cash_leg_units: int = 0
    funding_index: int = 0
    open_buy_lots: int = 0
    open_sell_lots: int = 0
    open_buy_units: int = 0
    open_sell_units: int = 0
    reduce_orders: int = 0  # live reduce-only orders: they are in no sum (4.6)

    @property
    def in_use(self) -> bool:
        return bool(
            self.size_lots
            or self.cash_leg_units
            or self.open_buy_lots
            or self.open_sell_lots
            or self.open_buy_units
            or self.open_sell_units
            or self.reduce_orders
        )

    def reducible_lots(self, side: int) -> int:
        """How many lots an order of this side could take off the position; 0 if none."""
        return max(0, self.size_lots if side == Side.SELL else -self.size_lots)

    def with_order(self, side: int, lots: int, units: int) -> "Row":
        """This row with an order's lots and units added (or taken off: negative)."""
        if side == Side.BUY:
            return replace(
                self,
                open_buy_lots=self.open_buy_lots + lots,
                open_buy_units=self.open_buy_units + units,
            )
        return replace(
            self,
            open_sell_lots=self.open_sell_lots + lots,
            open_sell_units=self.open_sell_units + units,
        )


@dataclass(slots=True, eq=False)
class Order:
    """A live order. Liquidation and house orders are orders without a slot: their id is 0.

    `flags` are the order bits of 4.1: `order_type << 7 | self_trade << 5 | time_in_force << 3 |
    flags`.
    """

    slot: int
    generation: int
    account: int
    instrument: int
    side: int
    price_ticks: int
    size_lots: int
    remaining_lots: int
    client_id: int
    flags: int
    good_till_s: int = 0
    live: int = 0

    @property
    def id(self) -> int:
        return self.generation << 32 | self.slot

    @property
    def time_in_force(self) -> TimeInForce:
        return TimeInForce(self.flags >> 3 & 3)

    @property
    def self_trade(self) -> SelfTrade:
        return SelfTrade(self.flags >> 5 & 3)

    @property
    def is_reduce_only(self) -> bool:
        return bool(self.flags & OrderFlag.REDUCE_ONLY)


@dataclass(slots=True)
class Account:
    """A subaccount of an owner. `orders` oldest first; `rows` by instrument, none that is zero.

    `leaving`: it is being closed through L1 (12.1). `next_expiry_s`: none of its orders expires
    before it; 0 if it has none that does (4.6).
    """

    index: int
    owner: bytes
    subaccount: int
    generation: int
    balances: list[int]
    keys: list[Key] = field(default_factory=lambda: [Key() for _ in range(KEYS_PER_ACCOUNT)])
    rows: dict[int, Row] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    leaving: bool = False
    next_expiry_s: int = 0


@dataclass(slots=True)
class Scan:
    """12.5: the search for those against whom a leaving account is closed.

    `next` and `remaining` count accounts; `ranks` are (score in ppm, account), the best first.
    """

    account: int
    instrument: int
    remaining: int
    next: int = 0
    ranks: list[tuple[int, int]] = field(default_factory=list)


# The orders of one side by price; each list is a queue, oldest first.
BookSide = dict[int, list[Order]]


class State:
    """The whole exchange. `apply` (program.py) is the only function that changes it."""

    def __init__(self, preset: str = "minimal", crypto: Crypto = CRYPTO) -> None:
        if preset not in PRESETS:
            raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, was {preset!r}")
        self.preset = PRESETS[preset]
        self.crypto = crypto
        # Globals
        self.configured = False
        self.domain_separator = ZERO_WORD
        self.now_ms = 0
        self.sweep_next = 0
        self.sweep_remaining = 0
        self.reclaim_next = 0
        self.pending_taker: Order | None = None
        self.scan: Scan | None = None
        # Withdrawals
        self.withdrawal_count = 0
        self.withdrawal_root = ZERO_WORD
        self.withdrawal_frontier: dict[int, bytes] = {}
        # Prices
        self.price_quorum = 0
        self.signers: list[Signer] = []
        self.feeds = [Feed() for _ in range(self.preset.feeds_max)]
        self.signer_prices: list[dict[int, SignerPrice]] = [{} for _ in range(SIGNERS_MAX)]
        # Assets, instruments, accounts
        self.assets = [Asset() for _ in range(self.preset.assets_max)]
        self.instruments = [Instrument() for _ in range(self.preset.instruments_max)]
        self.accounts: list[Account] = []
        # Orders: live ones by slot; generations of all slots ever used; the free list is LIFO
        self.orders: dict[int, Order] = {}
        self.slot_generations: list[int] = []
        self.free_slots: list[int] = []
        self.books: list[tuple[BookSide, BookSide]] = [
            ({}, {}) for _ in range(self.preset.instruments_max)
        ]
        # What the message under way has emitted so far
        self.events: list[Event] = []

    @property
    def accounts_used(self) -> int:
        return len(self.accounts)

    @property
    def house(self) -> Account:
        return self.accounts[HOUSE]

    @property
    def levels_live(self) -> int:
        return sum(len(side) for book in self.books for side in book)

    def listed_instrument(self, instrument: int) -> Instrument | None:
        """The instrument, None if there is no such index or nothing is listed there."""
        if instrument >= len(self.instruments) or not self.instruments[instrument].listed:
            return None
        return self.instruments[instrument]

    def listed_perpetuals(self) -> list[tuple[int, Instrument]]:
        """Ascending."""
        return [(i, x) for i, x in enumerate(self.instruments) if x.listed and x.is_perpetual]

    def mark(self, instrument: Instrument) -> int:
        """The price of the instrument's feed; 0 if it has none (chapter 1)."""
        return self.feeds[instrument.feed].price

    def emit(self, kind: EventKind, **fields: int) -> None:
        self.events.append(Event(kind, **fields))

    # --- undoing ---------------------------------------------------------------------------------

    def copy(self) -> bytes:
        """All that a message may change; bytes, since making them costs least."""
        fixed = ("preset", "crypto")
        return pickle.dumps({name: x for name, x in vars(self).items() if name not in fixed})

    def restore(self, copy: bytes) -> None:
        """As it was when the copy was made. Objects taken from the state before are stale then."""
        vars(self).update(pickle.loads(copy))


@contextmanager
def undone_by_a_reject(state: State) -> Iterator[None]:
    """2.4 step 10: for what may reject after it has had effects."""
    before = state.copy()
    try:
        yield
    except Reject:
        state.restore(before)
        raise
