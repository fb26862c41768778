"""What the API's handlers work on: the sequencer, the books, the read models, the deployment.

Everything that handlers show comes from durable outcomes, which `take` follows, or from the engine
after `service.durable()`: never ahead of the journal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from provenue import wire
from provenue.engine import Engine
from provenue.gateway.books import Books, LevelChange
from provenue.gateway.directory import Directory, Entry
from provenue.gateway.errors import (
    INVALID_INSTRUMENT,
    NOT_FOUND,
    NOT_OWNER,
    ApiError,
    bad_param,
    unauthorized,
)
from provenue.gateway.figures import DayWindow, OpenInterest
from provenue.gateway.numbers import InstrumentScale, parse_integer
from provenue.gateway.orders import Order, Orders
from provenue.gateway.session import Session
from provenue.sequencer.anchor_log import AnchorLog, BatchRecord
from provenue.sequencer.read_model import ReadModel, WithdrawalRow
from provenue.sequencer.sequencer import Outcome
from provenue.sequencer.service import SequencerService
from provenue.sequencer.tape import Tape, TradeRow
from provenue.wire import Domain, Event, EventKind

__all__ = ["DeploymentLike", "Taken", "Venue", "now_ms"]

DAY_MS = 86_400_000
# Messages with trades that an answer may still ask for; more than ever are on the way at once.
TRADES_KEPT = 10_000


T = TypeVar("T")


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class DeploymentLike(Protocol):
    """Where the contracts are."""

    @property
    def chain_id(self) -> int:
        """Id of the chain."""
        ...

    @property
    def contracts(self) -> Mapping[str, str]:
        """Addresses (hexadecimal) by contract name; `Anchor` is one."""
        ...

    @property
    def assets(self) -> Sequence[str]:
        """Symbols of the assets in the order of their numbers."""
        ...

    @property
    def block(self) -> int:
        """The block in which the deployment was complete."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """One durable outcome, and what it changed."""

    outcome: Outcome
    events: list[Event]
    trades: list[TradeRow]
    """Fills."""
    deleveragings: list[TradeRow]
    orders: list[Order]
    levels: dict[int, list[LevelChange]]


class Venue:
    """One place for everything that handlers need. Event-loop thread only."""

    def __init__(
        self,
        service: SequencerService,
        read_model: ReadModel,
        anchor_log: AnchorLog,
        deployment: DeploymentLike,
    ) -> None:
        """Make it before the service starts: it is seeded from the recovered image."""
        read_model.flush()
        self.service = service
        self.read_model = read_model
        self.anchor_log = anchor_log
        self.deployment = deployment
        anchor = bytes.fromhex(deployment.contracts["Anchor"].removeprefix("0x"))
        self.domain = Domain(deployment.chain_id, anchor)
        self.started_ms = now_ms()
        engine = self.engine
        self.books = Books(engine)
        self.directory = Directory(engine)
        self.orders = Orders(engine, read_model.order)
        self.open_interest = OpenInterest(engine)
        self._tape = self._seed_tape()
        self._trades_of: dict[int, list[TradeRow]] = {}
        self._premium_ppm: dict[int, int] = {}
        self._marked_ms = {view["feed"]: view["updated_at_ms"] for view in engine.feeds()}
        self._days: dict[int, DayWindow] = {}
        for instrument, stamp_ms, price, lots in read_model.trades_since(now_ms() - DAY_MS):
            self.day(instrument).add(stamp_ms, price, lots)
        self._scales: dict[int, InstrumentScale] = {}
        self._by_name: dict[str, dict[str, Any]] = {}
        self._names: dict[int, str] = {}
        self._assets: list[dict[str, Any]] = []
        self._read_listings()
        self._withdrawals = wire.WithdrawalTree()

    def _seed_tape(self) -> Tape:
        # The image decides; the read models only know what it does not keep.
        tape = self.read_model.tape()
        for view in self.engine.instruments():
            tape.feeds[view["instrument"]] = view["feed"]
        for feed in self.engine.feeds():
            tape.marks[feed["feed"]] = feed["price"]
        return tape

    @property
    def engine(self) -> Engine:
        """The engine; ahead of the journal by what is being committed (`service.durable`)."""
        return self.service.sequencer.engine

    # --- following -------------------------------------------------------------------------------

    def take(self, outcomes: list[Outcome]) -> list[Taken]:
        """Follow a group of durable outcomes. Call it right after their commit, in order."""
        return [self._take(outcome) for outcome in outcomes]

    def _take(self, outcome: Outcome) -> Taken:
        events = wire.decode_events(outcome.events) if outcome.events else []
        for event in events:
            if event.kind is EventKind.ACCOUNT_OPENED:
                self.directory.opened(event, outcome.message)
            elif event.kind is EventKind.PRICE_UPDATED:
                self._marked_ms[event.extra] = outcome.stamp_ms
            elif event.kind in (EventKind.INSTRUMENT_LISTED, EventKind.ASSET_LISTED):
                # The engine holds just what is durable while a group is being published.
                self._read_listings()
        self.open_interest.take(events)
        rows = self._tape.take(outcome.sequence, outcome.stamp_ms, outcome.message, events)
        trades = [row for row in rows if not row.is_deleveraging]
        if trades:
            self._trades_of[outcome.sequence] = trades
            if len(self._trades_of) > TRADES_KEPT:
                del self._trades_of[next(iter(self._trades_of))]
        for trade in trades:
            self.day(trade.instrument).add(trade.stamp_ms, trade.price_ticks, trade.size_lots)
        orders = self.orders.take(outcome, events, trades, self.directory.account_id)
        levels = self.books.take(events)
        if any(event.kind is EventKind.PRICE_UPDATED for event in events):
            self._read_premiums()
        deleveragings = [row for row in rows if row.is_deleveraging]
        return Taken(outcome, events, trades, deleveragings, orders, levels)

    def _read_listings(self) -> None:
        self._assets = [dict(view) for view in self.engine.assets()]
        for view in self.engine.instruments():
            if view["name"] in self._by_name:
                continue
            number = view["instrument"]
            self._by_name[view["name"]] = dict(view)
            self._names[number] = view["name"]
            self._scales[number] = InstrumentScale(view["tick_size"], view["lots_per_base"])
            self.open_interest.listed(number, view["kind"])
        self._read_premiums()

    def _read_premiums(self) -> None:
        records = self.engine.tables["instruments"]
        for number in self._names:
            self._premium_ppm[number] = int(records[number]["premium_ppm"])

    # --- instruments and assets ------------------------------------------------------------------

    def instruments(self) -> dict[str, dict[str, Any]]:
        """Listed instruments by name, as they were listed."""
        return self._by_name

    def instrument(self, params: dict[str, Any]) -> dict[str, Any]:
        """The instrument that `instrument_name` names."""
        name = params.get("instrument_name")
        found = self._by_name.get(name) if isinstance(name, str) else None
        if found is None:
            known = ", ".join(self._by_name)
            shown = repr(name)[:60]
            raise ApiError(
                INVALID_INSTRUMENT,
                "invalid_or_unsupported_instrument",
                {"param": "instrument_name", "reason": f"expected one of {known}, got {shown}"},
            )
        return found

    def view_of(self, instrument: int) -> dict[str, Any]:
        """The listing of an instrument number."""
        return self._by_name[self._names[instrument]]

    def name_of(self, instrument: int) -> str:
        """Name of an instrument number."""
        return self._names[instrument]

    def scale(self, instrument: int) -> InstrumentScale:
        """Units of an instrument."""
        return self._scales[instrument]

    def assets(self) -> list[dict[str, Any]]:
        """Listed assets, as they were listed."""
        return self._assets

    def currency(self, asset: int) -> str:
        """Name of an asset: the API speaks names, the protocol numbers."""
        names = self.deployment.assets
        return names[asset] if asset < len(names) else f"ASSET{asset}"

    @property
    def quote_currency(self) -> str:
        """Name of asset 0, which everything is priced in."""
        return self.currency(0)

    def unit_decimals(self, asset: int) -> int:
        """Decimals of an asset's unit."""
        return int(next(v["unit_decimals"] for v in self._assets if v["asset"] == asset))

    def asset(self, params: dict[str, Any], name: str = "currency") -> dict[str, Any]:
        """The listed asset that a currency names."""
        value = params.get(name)
        for view in self._assets:
            if self.currency(view["asset"]).upper() == str(value).upper():
                return view
        known = ", ".join(self.currency(view["asset"]) for view in self._assets)
        raise bad_param(name, f"one of {known}", value)

    def base_currency(self, view: dict[str, Any]) -> str:
        """Base currency of an instrument, from its name."""
        return str(view["name"]).replace("_", "-").split("-")[0]

    def currencies_of(self, view: dict[str, Any]) -> set[str]:
        """What a `currency` filter may say to mean this instrument: base or quote."""
        return {self.base_currency(view).upper(), self.quote_currency.upper()}

    def instruments_of_currency(self, params: dict[str, Any]) -> list[int] | None:
        """Instruments whose base or settlement is `currency`; None without a filter."""
        currency = params.get("currency")
        if currency is None:
            return None
        if not isinstance(currency, str):
            raise bad_param("currency", "the name of one, or any", currency)
        currency = currency.upper()
        if currency == "ANY":
            return None
        views = self._by_name.values()
        return [v["instrument"] for v in views if currency in self.currencies_of(v)]

    # --- marks and figures -----------------------------------------------------------------------

    def mark(self, feed: int) -> tuple[int, int]:
        """(price in quote units per whole base, updated_at_ms) of a feed; (0, 0) if unpriced."""
        return self._tape.marks.get(feed, 0), self._marked_ms.get(feed, 0)

    def mark_of(self, instrument: int) -> int:
        """The mark, quote units per whole base; 0 before the first price."""
        return self._tape.marks.get(self._tape.feeds[instrument], 0)

    def engine_mark(self, feed: int) -> int:
        """The price in the image, for what is computed from the image (0: none)."""
        feeds = self.engine.tables["feeds"]
        return int(feeds[feed]["price"]) if feed < len(feeds) else 0

    def premium_ppm(self, instrument: int) -> int:
        """The premium that funding accrues at."""
        return self._premium_ppm[instrument]

    def last_price_ticks(self, instrument: int) -> int:
        """Price of the newest trade; 0 before the first."""
        return self._tape.last.get(instrument, (0, 0))[0]

    def trades_of(self, sequence: int) -> list[TradeRow]:
        """The trades of a recent message (an answer asks right after it became durable)."""
        return self._trades_of.get(sequence, [])

    def day(self, instrument: int) -> DayWindow:
        """The last day's trading."""
        found = self._days.get(instrument)
        if found is None:
            found = self._days[instrument] = DayWindow()
        return found

    # --- accounts --------------------------------------------------------------------------------

    def own_account(self, session: Session, params: dict[str, Any]) -> Entry:
        """The account to read: `account` (id), else the caller's first one."""
        if session.owner is None:
            raise unauthorized()
        if "account" in params:
            entry = self.directory.by_id(parse_integer("account", params["account"]))
            if entry is None or entry.owner != session.owner:
                raise ApiError(
                    NOT_OWNER,
                    "not_owner_of_account",
                    {"param": "account", "reason": "no open account of yours has this id"},
                )
            return entry
        own = self.directory.of_owner(session.owner)
        if not own:
            raise ApiError(
                NOT_FOUND, "account_not_found", {"reason": "deposit first; no account is open"}
            )
        return own[0]

    # --- history ---------------------------------------------------------------------------------

    async def history(self, query: Callable[[ReadModel], T]) -> T:
        """Run a query of the read models in a thread, after all that is durable is in them."""

        def run() -> T:
            self.read_model.flush()
            return query(self.read_model)

        return await asyncio.to_thread(run)

    # --- withdrawals -----------------------------------------------------------------------------

    def withdrawal_siblings(self, final: BatchRecord, row: WithdrawalRow) -> list[bytes]:
        """Proof of a withdrawal under the root that a final batch ends with."""
        have = len(self._withdrawals)
        if have > final.withdrawal_count:
            tree = self._withdrawals.at(final.withdrawal_count)
            return tree.proof(row.id)
        # Final batches only move on, and the tree only grows: each leaf is hashed once.
        leaves = self.read_model.withdrawals(from_id=have, up_to_id=final.withdrawal_count)
        self._withdrawals.extend(
            wire.withdrawal_leaf(
                number=w.id, asset=w.asset, recipient=w.recipient, amount_units=w.amount_units
            )
            for w in leaves
        )
        assert self._withdrawals.root == final.withdrawal_root, final.number
        return self._withdrawals.proof(row.id)
