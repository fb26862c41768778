"""Channels: what subscribers hear, made from durable outcomes only.

`take` is the service's subscriber: it follows a group of outcomes and publishes what is raw; the
slower intervals are collected and sent every 100 ms. A list of channels is never refused as a
whole: what cannot be subscribed is left out of the answer, as on Deribit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog

from provenue.gateway.book_feed import BookFeed
from provenue.gateway.books import LevelChange
from provenue.gateway.errors import WEBSOCKET_ONLY, ApiError, bad_param
from provenue.gateway.hub import Hub, key_of
from provenue.gateway.market import Market, batch_view
from provenue.gateway.session import Session
from provenue.gateway.user_channels import UserChannels
from provenue.gateway.venue import Taken, Venue, now_ms
from provenue.gateway.views import public_trade_view
from provenue.sequencer.sequencer import Outcome
from provenue.sequencer.tape import TradeRow
from provenue.wire import EventKind

__all__ = ["Channels"]

_log = structlog.get_logger(__name__)
FLUSH_INTERVAL_S = 0.1
BATCHES_EVERY = 5
BATCHES_LOOKED_AT = 64
CHANNELS_PER_CALL_MAX = 500
RAW = "raw"
INTERVALS = (RAW, "100ms", "agg2")
DEPTHS = ("1", "10", "20")

Params = dict[str, Any]


class Channels:
    """Subscribing, and everything that is then sent."""

    def __init__(self, venue: Venue, hub: Hub, market: Market, user: UserChannels) -> None:
        self._venue = venue
        self._hub = hub
        self._market = market
        self._user = user
        self._books: dict[tuple[int, str], BookFeed] = {}
        self._best: dict[int, Any] = {}
        self._dirty_tickers: set[int] = set()
        self._dirty_depths: set[int] = set()
        self._waiting_trades: dict[int, list[TradeRow]] = {}
        self._batches_seen: dict[int, bool] = {}
        self._flusher: asyncio.Task[None] | None = None
        hub.on_empty(self._emptied)

    def start(self) -> None:
        """Start the 100 ms rhythm."""
        self._flusher = asyncio.create_task(self._flush_regularly(), name="channels")

    async def stop(self) -> None:
        """End it."""
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)

    # --- subscribing -----------------------------------------------------------------------------

    def subscribe(self, session: Session, params: Params) -> list[str]:
        """public/subscribe and private/subscribe: the channels that are subscribed now."""
        if session.send is None:
            raise ApiError(
                WEBSOCKET_ONLY, "must_be_websocket_request", {"reason": "HTTP cannot notify"}
            )
        return [c for c in _names(params) if self._subscribe_one(session, c)]

    def _subscribe_one(self, session: Session, channel: str) -> bool:
        if channel.startswith("user."):
            return self._user.subscribe(session, channel)
        parts = channel.split(".")
        view = self._venue.instruments().get(parts[1]) if len(parts) > 1 else None
        number = view["instrument"] if view else -1
        match parts:
            case ["batches"]:
                self._seen_batches()
                return self._hub.add(session, channel)
            case ["book", _, interval] if view and interval in INTERVALS:
                return self._subscribe_book(session, channel, number, interval)
            case ["book", _, "none", depth, "100ms" | "agg2"] if view and depth in DEPTHS:
                return self._add(session, channel, lambda: self._depth(number, int(depth)))
            case ["ticker", _, interval] if view and interval in INTERVALS:
                return self._add(session, channel, lambda: self._market.ticker_of(number))
            case ["quote", _] if view:
                return self._add(session, channel, lambda: self._quote(number))
            case ["trades", _, interval] if view and interval in INTERVALS:
                return self._hub.add(session, channel)
        return False

    def _add(self, session: Session, channel: str, make: Any) -> bool:
        """Subscribe, and show how it stands right after the answer."""
        if not self._hub.add(session, channel):
            return False
        session.after_answer.append(lambda: self._hub.publish_to(session, channel, make()))
        return True

    def _subscribe_book(self, session: Session, channel: str, number: int, interval: str) -> bool:
        feed = self._books.get((number, interval))
        if feed is None:
            feed = BookFeed(self._venue, self._hub, number, channel)
        else:
            feed.publish()  # the others first: the snapshot continues where they stand
        if not self._hub.add(session, channel):
            return False
        self._books[number, interval] = feed
        # Nothing can come between: the answer is queued and the snapshot follows at once.
        session.after_answer.append(lambda: feed.snapshot_to(session))
        return True

    def unsubscribe(self, session: Session, params: Params) -> list[str]:
        """public/unsubscribe and private/unsubscribe: the channels that were left."""
        return [c for c in _names(params) if self._hub.remove(session, _key(session, c))]

    def unsubscribe_all(self, session: Session, _params: Params) -> str:
        """public/unsubscribe_all and private/unsubscribe_all"""
        self._hub.drop(session)
        return "ok"

    def forget_user(self, session: Session) -> None:
        """The session is somebody else's, or nobody's: it hears no user channel any more."""
        for key in [key for key in session.channels if key.startswith("user.")]:
            self._hub.remove(session, key)

    def _emptied(self, key: str) -> None:
        if key.startswith("user."):
            self._user.emptied(key)
        elif key.startswith("book."):
            for place, feed in list(self._books.items()):
                if feed.channel == key:
                    del self._books[place]

    # --- following -------------------------------------------------------------------------------

    def take(self, outcomes: list[Outcome]) -> None:
        """A group of durable outcomes, right after their commit."""
        taken = self._venue.take(outcomes)
        levels: dict[int, list[LevelChange]] = {}
        trades: dict[int, list[TradeRow]] = {}
        marked: set[int] = set()
        for one in taken:
            for instrument, changes in one.levels.items():
                levels.setdefault(instrument, []).extend(changes)
            for row in one.trades:
                trades.setdefault(row.instrument, []).append(row)
            for event in one.events:
                if event.kind is EventKind.PRICE_UPDATED:
                    marked.add(event.extra)
        self._publish_books(levels)
        self._publish_trades(trades)
        self._publish_tickers(levels.keys() | trades.keys() | self._fed_by(marked))
        self._publish_user(taken, marked)

    def _publish_user(self, taken: list[Taken], marked: set[int]) -> None:
        for one in taken:
            self._user.take(one)
        if marked:
            self._user.marks_moved()

    def _fed_by(self, feeds: set[int]) -> set[int]:
        if not feeds:
            return set()
        views = self._venue.instruments().values()
        return {view["instrument"] for view in views if view["feed"] in feeds}

    def _publish_books(self, levels: dict[int, list[LevelChange]]) -> None:
        for instrument, changes in levels.items():
            self._venue.books.of(instrument).change_id += 1
            self._dirty_depths.add(instrument)
            for interval in INTERVALS:
                feed = self._books.get((instrument, interval))
                if feed is not None:
                    feed.touch(changes)
                    if interval == RAW:
                        feed.publish()

    def _publish_trades(self, trades: dict[int, list[TradeRow]]) -> None:
        for instrument, rows in trades.items():
            channel = f"trades.{self._venue.name_of(instrument)}.raw"
            if self._hub.wanted(channel):
                views = [public_trade_view(self._venue, row) for row in rows]
                self._hub.publish(channel, views)
            if any(self._hub.wanted(c) for c in self._slow("trades.{}", instrument)):
                self._waiting_trades.setdefault(instrument, []).extend(rows)

    def _publish_tickers(self, instruments: Iterable[int]) -> None:
        for instrument in instruments:
            self._dirty_tickers.add(instrument)
            name = self._venue.name_of(instrument)
            if self._hub.wanted(f"ticker.{name}.raw"):
                self._hub.publish(f"ticker.{name}.raw", self._market.ticker_of(instrument))
            if self._hub.wanted(f"quote.{name}"):
                book = self._venue.books.of(instrument)
                best = (book.best_bid(), book.best_ask())
                if best != self._best.get(instrument):
                    self._best[instrument] = best
                    self._hub.publish(f"quote.{name}", self._quote(instrument))

    # --- every 100 ms ----------------------------------------------------------------------------

    async def _flush_regularly(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            try:
                self._flush()
                await self._user.flush()
                turn += 1
                if turn % BATCHES_EVERY == 0 and self._hub.wanted("batches"):
                    self._publish_batches()
            except Exception:  # a bug of ours: this round is lost, the next is tried
                _log.exception("channels: a flush failed")

    def _slow(self, pattern: str, instrument: int) -> list[str]:
        prefix = pattern.format(self._venue.name_of(instrument))
        return [f"{prefix}.{interval}" for interval in INTERVALS if interval != RAW]

    def _flush(self) -> None:
        for (_, interval), feed in self._books.items():
            if interval != RAW:
                feed.publish()
        trades, self._waiting_trades = self._waiting_trades, {}
        for instrument, rows in trades.items():
            views = [public_trade_view(self._venue, row) for row in rows]
            for channel in self._slow("trades.{}", instrument):
                self._hub.publish(channel, views)
        tickers, self._dirty_tickers = self._dirty_tickers, set()
        for instrument in tickers:
            wanted = [c for c in self._slow("ticker.{}", instrument) if self._hub.wanted(c)]
            if wanted:
                ticker = self._market.ticker_of(instrument)
                for channel in wanted:
                    self._hub.publish(channel, ticker)
        depths, self._dirty_depths = self._dirty_depths, set()
        for instrument in depths:
            self._publish_depths(instrument)

    def _publish_depths(self, instrument: int) -> None:
        for depth in DEPTHS:
            for channel in self._slow(f"book.{{}}.none.{depth}", instrument):
                if self._hub.wanted(channel):
                    self._hub.publish(channel, self._depth(instrument, int(depth)))

    def _seen_batches(self) -> None:
        if not self._hub.wanted("batches"):
            rows = self._venue.anchor_log.newest(BATCHES_LOOKED_AT)
            self._batches_seen = {row.number: bool(row.final) for row in rows}

    def _publish_batches(self) -> None:
        """Batches that were posted or became final since the last look."""
        rows = self._venue.anchor_log.newest(BATCHES_LOOKED_AT)
        for row in reversed(rows):
            if self._batches_seen.get(row.number) != bool(row.final):
                self._hub.publish("batches", batch_view(row))
        self._batches_seen = {row.number: bool(row.final) for row in rows}

    # --- views -----------------------------------------------------------------------------------

    def _quote(self, instrument: int) -> Params:
        book, scale = self._venue.books.of(instrument), self._venue.scale(instrument)
        bid, ask = book.best_bid() or (0, 0), book.best_ask() or (0, 0)
        return {
            "timestamp": now_ms(),
            "instrument_name": self._venue.name_of(instrument),
            "best_bid_price": scale.price(bid[0]),
            "best_bid_amount": scale.amount(bid[1]),
            "best_ask_price": scale.price(ask[0]),
            "best_ask_amount": scale.amount(ask[1]),
        }

    def _depth(self, instrument: int, depth: int) -> Params:
        book, scale = self._venue.books.of(instrument), self._venue.scale(instrument)
        return {
            "timestamp": now_ms(),
            "instrument_name": self._venue.name_of(instrument),
            "change_id": book.change_id,
            "bids": [[scale.price(p), scale.amount(q)] for p, q in book.bids(depth)],
            "asks": [[scale.price(p), scale.amount(q)] for p, q in book.asks(depth)],
        }


def _names(params: Params) -> list[str]:
    """The `channels` of a call, each once."""
    value = params.get("channels")
    if (
        not isinstance(value, list)
        or len(value) > CHANNELS_PER_CALL_MAX
        or not all(isinstance(name, str) for name in value)
    ):
        raise bad_param("channels", f"a list of at most {CHANNELS_PER_CALL_MAX} names", value)
    return list(dict.fromkeys(value))


def _key(session: Session, channel: str) -> str:
    return key_of(channel, session.owner if channel.startswith("user.") else None)
