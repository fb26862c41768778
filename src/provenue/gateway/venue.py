"""What the API's handlers work on: the sequencer, the books, the read models, the deployment."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from provenue.engine import Engine
from provenue.gateway.books import Books
from provenue.gateway.errors import (
    INVALID_INSTRUMENT,
    NOT_FOUND,
    NOT_OWNER,
    ApiError,
    bad_param,
)
from provenue.gateway.numbers import InstrumentScale
from provenue.gateway.session import Session
from provenue.sequencer.anchor_log import AnchorLog
from provenue.sequencer.read_model import ReadModel, TradeRow
from provenue.sequencer.sequencer import Outcome
from provenue.sequencer.service import SequencerService
from provenue.settlement.deploy import Deployment
from provenue.wire import Domain, Event, EventKind, decode_events

__all__ = ["CURRENCIES", "Venue", "account_index", "now_ms"]

# Names of the assets of a deployment by id; the API speaks names, the protocol numbers.
OPEN_INTEREST_AGE_MS = 1_000
CURRENCIES = ("USDC", "BTC", "ETH", "SOL")


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def account_index(account_id: int) -> int:
    """The table index in an account id."""
    return account_id & 0xFFFF_FFFF


@dataclass(slots=True)
class _Last:
    """What the newest trades of an instrument were."""

    price_ticks: int = 0
    trade_id: int = 0
    taker_sells: int = 0
    recent: list[TradeRow] = field(default_factory=list)


class Venue:
    """One place for everything that handlers need. Event-loop thread only."""

    def __init__(
        self,
        service: SequencerService,
        read_model: ReadModel,
        anchor_log: AnchorLog,
        deployment: Deployment,
    ) -> None:
        self.service = service
        self.read_model = read_model
        self.anchor_log = anchor_log
        self.deployment = deployment
        self.domain = Domain(deployment.chain_id, deployment.anchor_bytes)
        self.books = Books(self.engine)
        self.started_ms = now_ms()
        self._scales: dict[int, InstrumentScale] = {}
        self._by_name: dict[str, dict[str, Any]] = {}
        self._last: dict[int, _Last] = {}
        self._open_interest: dict[int, int] = {}
        self._open_interest_ms = 0

    @property
    def engine(self) -> Engine:
        """The engine; its image may be ahead of the journal by what is being committed."""
        return self.service.sequencer.engine

    def take(self, outcomes: list[Outcome]) -> list[tuple[Outcome, list[Event]]]:
        """Durable outcomes with their decoded events (the first subscriber of the service)."""
        decoded = [(outcome, decode_events(outcome.events)) for outcome in outcomes]
        for _, events in decoded:
            for event in events:
                if event.kind is EventKind.INSTRUMENT_LISTED:
                    self._by_name.clear()
        return decoded

    # --- instruments and assets ------------------------------------------------------------------

    def instruments(self) -> dict[str, dict[str, Any]]:
        """Listed instruments by name."""
        if not self._by_name:
            for view in self.engine.instruments():
                self._by_name[view["name"]] = dict(view)
                self._scales[view["instrument"]] = InstrumentScale.of(
                    tick_size=view["tick_size"], lots_per_base=view["lots_per_base"]
                )
        return self._by_name

    def instrument(self, params: dict[str, Any]) -> dict[str, Any]:
        """The instrument that `instrument_name` names."""
        name = params.get("instrument_name")
        found = self.instruments().get(str(name))
        if found is None:
            known = ", ".join(self.instruments())
            raise ApiError(
                INVALID_INSTRUMENT,
                "instrument_not_found",
                {"param": "instrument_name", "reason": f"expected one of {known}, got {name!r}"},
            )
        return found

    def name_of(self, instrument: int) -> str:
        """Name of an instrument number."""
        for name, view in self.instruments().items():
            if view["instrument"] == instrument:
                return name
        return str(instrument)

    def scale(self, instrument: int) -> InstrumentScale:
        """Units of an instrument."""
        self.instruments()
        return self._scales[instrument]

    def currency(self, asset: int) -> str:
        """Name of an asset."""
        return CURRENCIES[asset] if asset < len(CURRENCIES) else f"ASSET{asset}"

    def asset(self, params: dict[str, Any], name: str = "currency") -> dict[str, Any]:
        """The listed asset that a currency names."""
        value = params.get(name)
        for view in self.engine.assets():
            if self.currency(view["asset"]) == str(value).upper():
                return dict(view)
        known = ", ".join(self.currency(view["asset"]) for view in self.engine.assets())
        raise bad_param(name, f"one of {known}", value)

    def base_currency(self, view: dict[str, Any]) -> str:
        """Base currency of an instrument, from its name."""
        return str(view["name"]).replace("_", "-").split("-")[0]

    def live_instrument(self, instrument: int) -> dict[str, Any]:
        """An instrument with its premium and funding index as they are now."""
        for view in self.engine.instruments():
            if view["instrument"] == instrument:
                return dict(view)
        raise bad_param("instrument", "a listed instrument", instrument)

    def mark_of(self, instrument: int) -> int:
        """The mark, quote units per whole base; 0 before the first price."""
        return self.index_price(self.live_instrument(instrument)["feed"])[0]

    def open_interest_lots(self, instrument: int) -> int:
        """Sum of the long positions; counted at most once a second (it looks at every row)."""
        if now_ms() - self._open_interest_ms >= OPEN_INTEREST_AGE_MS:
            self._open_interest = self.engine.open_interest()
            self._open_interest_ms = now_ms()
        return self._open_interest.get(instrument, 0)

    def index_price(self, feed: int) -> tuple[int, int]:
        """(price in quote units per whole base, updated_at_ms) of a feed; (0, 0) if unpriced."""
        for view in self.engine.feeds():
            if view["feed"] == feed:
                return view["price"], view["updated_at_ms"]
        return 0, 0

    # --- accounts --------------------------------------------------------------------------------

    def accounts_of(self, owner: bytes) -> list[int]:
        """Indexes of the open accounts of an address."""
        found = []
        for subaccount in range(256):
            index = self.engine.find_account(owner, subaccount)
            if index is not None:
                found.append(index)
            elif subaccount >= 8 and not found:
                break
        return found

    def own_account(self, session: Session, params: dict[str, Any]) -> int:
        """Index of the account to read: `account` (id), else the caller's first one."""
        assert session.owner is not None
        if "account" in params:
            try:
                index = account_index(int(params["account"]))
            except (TypeError, ValueError):
                raise bad_param("account", "an account id", params["account"]) from None
            view = self.engine.account(index)
            if view is None or view["owner"] != session.owner:
                raise ApiError(NOT_OWNER, "not_owner_of_account", {"param": "account"})
            return index
        own = self.accounts_of(session.owner)
        if not own:
            raise ApiError(
                NOT_FOUND, "account_not_found", {"reason": "deposit first; no account is open"}
            )
        return own[0]

    # --- last trades -----------------------------------------------------------------------------

    def last(self, instrument: int) -> _Last:
        """The newest trade of an instrument."""
        found = self._last.get(instrument)
        if found is None:
            found = self._last[instrument] = _Last()
            rows = self.read_model.trades(instrument, count=1)
            if rows:
                found.price_ticks, found.trade_id = rows[0].price_ticks, rows[0].id
                found.taker_sells = rows[0].taker_sells
        return found
