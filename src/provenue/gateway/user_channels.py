"""User channels: an owner's orders, trades and portfolio.

user.orders.{instrument}.{interval}   user.orders.{kind}.{currency}.{interval}
user.trades.{instrument}.{interval}   user.trades.{kind}.{currency}.{interval}
user.portfolio.{currency or any}

Orders and trades are sent with the group of outcomes that made them, whatever the interval; `raw`
orders come one by one, others as a list. Portfolios are sent when something moved them, at most
every 100 ms (every second when only prices moved).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from provenue.gateway.hub import Hub, key_of
from provenue.gateway.portfolio import Portfolio
from provenue.gateway.session import Session
from provenue.gateway.venue import Taken, Venue
from provenue.gateway.views import order_view, user_trade_view
from provenue.sequencer.tape import TradeRow
from provenue.wire import InstrumentKind

__all__ = ["UserChannels"]

INTERVALS = ("raw", "100ms", "agg2")
KINDS = {"future": InstrumentKind.PERPETUAL, "spot": InstrumentKind.SPOT}
MARKS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Channel:
    """A parsed channel. `instruments` None means all, also those listed later."""

    name: str
    what: str
    instruments: frozenset[int] | None
    raw: bool
    currency: str


class UserChannels:
    """Subscribing to user channels and publishing on them."""

    def __init__(self, venue: Venue, hub: Hub, portfolio: Portfolio) -> None:
        self._venue = venue
        self._hub = hub
        self._portfolio = portfolio
        self._of_owner: dict[bytes, dict[str, _Channel]] = {}
        self._dirty: set[bytes] = set()
        self._marks_moved = False
        self._marks_at_s = 0.0

    # --- subscribing -----------------------------------------------------------------------------

    def subscribe(self, session: Session, channel: str) -> bool:
        """Whether the session hears the channel now."""
        parsed = self._parse(channel)
        if session.owner is None or parsed is None:
            return False
        if not self._hub.add(session, key_of(channel, session.owner)):
            return False
        self._of_owner.setdefault(session.owner, {})[channel] = parsed
        if parsed.what == "portfolio":
            self._dirty.add(session.owner)  # the first one comes with the next flush
        return True

    def emptied(self, key: str) -> None:
        """Nobody listens to a key any more."""
        channel, _, owner = key.rpartition("@")
        channels = self._of_owner.get(bytes.fromhex(owner), {})
        channels.pop(channel, None)
        if not channels:
            self._of_owner.pop(bytes.fromhex(owner), None)

    def _parse(self, channel: str) -> _Channel | None:
        match channel.split("."):
            case ["user", "portfolio", currency]:
                known = {self._venue.currency(view["asset"]) for view in self._venue.assets()}
                if currency.upper() not in {*known, "ANY"}:
                    return None
                return _Channel(channel, "portfolio", None, True, currency.upper())
            case ["user", "orders" | "trades" as what, name, interval] if interval in INTERVALS:
                view = self._venue.instruments().get(name)
                if view is None:
                    return None
                instruments = frozenset((view["instrument"],))
                return _Channel(channel, what, instruments, interval == "raw", "")
            case ["user", "orders" | "trades" as what, kind, currency, interval] if (
                interval in INTERVALS and kind in (*KINDS, "any")
            ):
                if kind == "any" and currency.lower() == "any":
                    return _Channel(channel, what, None, interval == "raw", "")
                wanted = self._narrow(kind, currency)
                if not wanted:
                    return None
                return _Channel(channel, what, wanted, interval == "raw", "")
        return None

    def _narrow(self, kind: str, currency: str) -> frozenset[int]:
        views = self._venue.instruments().values()
        named = self._venue.instruments_of_currency({"currency": currency})
        return frozenset(
            view["instrument"]
            for view in views
            if (kind == "any" or view["kind"] == KINDS[kind])
            and (named is None or view["instrument"] in named)
        )

    # --- publishing ------------------------------------------------------------------------------

    def take(self, taken: Taken) -> None:
        """One durable outcome."""
        if not self._of_owner or not taken.events:
            return
        for event in taken.events:
            for index in (event.account, event.counter_account):
                entry = self._venue.directory.at(index)
                if entry is not None and entry.owner in self._of_owner:
                    self._dirty.add(entry.owner)
        if taken.orders:
            self._publish_orders(taken)
        if taken.trades or taken.deleveragings:
            self._publish_trades(taken.trades + taken.deleveragings)

    def _publish_orders(self, taken: Taken) -> None:
        lists: dict[tuple[bytes, str], list[Any]] = {}
        for order in taken.orders:
            entry = self._venue.directory.by_id(order.account_id)
            channels = self._of_owner.get(entry.owner) if entry is not None else None
            if entry is None or not channels:
                continue
            view = order_view(self._venue, order)
            for channel in channels.values():
                if channel.what != "orders" or not _hears(channel, order.instrument):
                    continue
                if channel.raw:
                    self._hub.publish(channel.name, view, owner=entry.owner)
                else:
                    lists.setdefault((entry.owner, channel.name), []).append(view)
        for (owner, name), views in lists.items():
            self._hub.publish(name, views, owner=owner)

    def _publish_trades(self, rows: list[TradeRow]) -> None:
        lists: dict[tuple[bytes, str], list[Any]] = {}
        for row in rows:
            for account_id, order_id in (
                (row.taker, row.taker_order),
                (row.maker, row.maker_order),
            ):
                entry = self._venue.directory.by_id(account_id)
                channels = self._of_owner.get(entry.owner) if entry is not None else None
                if entry is None or not channels:
                    continue
                order = self._venue.orders.get(int(order_id))
                view = user_trade_view(self._venue, row, account_id, order)
                for channel in channels.values():
                    if channel.what == "trades" and _hears(channel, row.instrument):
                        lists.setdefault((entry.owner, channel.name), []).append(view)
        for (owner, name), views in lists.items():
            self._hub.publish(name, views, owner=owner)

    def marks_moved(self) -> None:
        """Prices have changed what everyone is worth."""
        self._marks_moved = True

    async def flush(self) -> None:
        """Send the portfolios that have moved."""
        now_s = time.monotonic()
        if self._marks_moved and now_s - self._marks_at_s >= MARKS_EVERY_S:
            self._marks_moved, self._marks_at_s = False, now_s
            self._dirty.update(self._of_owner)
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, set()
        # Taken now, sent when it is durable: the engine may move on meanwhile.
        waiting = [message for owner in dirty for message in self._portfolios(owner)]
        await self._venue.service.durable()
        for owner, channel, summary in waiting:
            self._hub.publish(channel, summary, owner=owner)

    def _portfolios(self, owner: bytes) -> list[tuple[bytes, str, Any]]:
        channels = [c for c in self._of_owner.get(owner, {}).values() if c.what == "portfolio"]
        accounts = self._venue.directory.of_owner(owner)
        if not channels or not accounts:
            return []
        return [
            (owner, channel.name, summary)
            for summary in self._portfolio.summaries(accounts[0].index)
            for channel in channels
            if channel.currency in ("ANY", summary["currency"])
        ]


def _hears(channel: _Channel, instrument: int) -> bool:
    return channel.instruments is None or instrument in channel.instruments
