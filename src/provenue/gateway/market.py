"""Public methods: time, listings, books, tickers, trades, index prices, batches, proofs."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from provenue import __version__
from provenue._generated.constants import PPM
from provenue.gateway.errors import NOT_FOUND, ApiError, bad_param
from provenue.gateway.numbers import number, parse_choice, parse_integer, quote
from provenue.gateway.session import Session
from provenue.gateway.venue import Venue, now_ms
from provenue.gateway.views import public_trade_view
from provenue.sequencer.anchor_log import BatchRecord
from provenue.sequencer.read_model import ReadModel
from provenue.wire import InstrumentKind

__all__ = ["KINDS", "SORTINGS", "Market", "Params", "batch_view", "bounded"]

DEPTH_DEFAULT, DEPTH_MAX = 5, 1_000
COUNT_DEFAULT, COUNT_MAX = 10, 1_000
# Deribit's words; of most kinds nothing is listed here.
KINDS = ("any", "future", "spot", "option", "future_combo", "option_combo", "combo")
SORTINGS = ("asc", "desc", "default")

Params = dict[str, Any]


def bounded(params: Params, name: str, default: int, largest: int) -> int:
    """An optional count between 1 and `largest`."""
    value = params.get(name)
    return default if value is None else parse_integer(name, value, least=1, largest=largest)


def _rate(ppm: int) -> float | int:
    return number(ppm, PPM)


def batch_view(row: BatchRecord) -> Params:
    """One anchored batch."""
    return {
        "batch": row.number,
        "first_sequence": row.first_sequence,
        "messages": row.message_count,
        "posted_bytes": row.posted_bytes,
        "end_root": "0x" + row.end_root.hex(),
        "claim_root": "0x" + row.claim_root.hex(),
        "root_mismatches": row.root_mismatches,
        "steps_max": row.steps_max,
        "tx_hash": row.tx_hash,
        "gas_used": row.gas_used,
        "final": bool(row.final),
    }


class Market:
    """Handlers of `public/...` that need no account."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    # --- connection ------------------------------------------------------------------------------

    def hello(self, _session: Session, _params: Params) -> Params:
        """public/hello"""
        return {"version": __version__}

    def test(self, _session: Session, _params: Params) -> Params:
        """public/test"""
        return {"version": __version__}

    def get_time(self, _session: Session, _params: Params) -> int:
        """public/get_time"""
        return now_ms()

    async def status(self, _session: Session, _params: Params) -> Params:
        """public/status: how far sequencing and anchoring are."""
        sequencer = self._venue.service.sequencer
        batch = sequencer.open_batch
        shown = {
            "locked": "false",
            "sequence": sequencer.next_sequence,
            "inbox_consumed": sequencer.inbox_consumed,
            "open_batch": batch.head.number if batch else None,
        }
        closed = sequencer.closed_batches
        await self._venue.service.durable()
        newest = self._venue.anchor_log.newest(1)
        final = self._venue.anchor_log.newest_final()
        anchored_count = newest[0].number + 1 if newest else 0
        return shown | {
            "anchored_batch": newest[0].number if newest else None,
            "final_batch": final.number if final else None,
            "backlog_batches": max(0, closed - anchored_count),
            "unfinal_batches": anchored_count - (final.number + 1 if final else 0),
            "started_ms": self._venue.started_ms,
        }

    def set_heartbeat(self, session: Session, params: Params) -> str:
        """public/set_heartbeat"""
        session.heartbeat_interval_s = bounded(params, "interval", 30, 3_600)
        return "ok"

    def disable_heartbeat(self, session: Session, _params: Params) -> str:
        """public/disable_heartbeat"""
        session.heartbeat_interval_s = 0
        return "ok"

    def get_deployment(self, _session: Session, _params: Params) -> Params:
        """public/get_deployment: what a client needs to sign and to check (ours, not Deribit's)."""
        deployment = self._venue.deployment
        return {
            "chain_id": deployment.chain_id,
            "block": deployment.block,
            "contracts": dict(deployment.contracts),
            "assets": list(deployment.assets),
            "domain": {
                "name": "Provenue",
                "version": "1",
                "chainId": deployment.chain_id,
                "verifyingContract": deployment.contracts["Anchor"],
            },
            "preset": self._venue.engine.preset,
        }

    # --- listings --------------------------------------------------------------------------------

    def get_currencies(self, _session: Session, _params: Params) -> list[Params]:
        """public/get_currencies"""
        return [
            {
                "currency": self._venue.currency(view["asset"]),
                "currency_long": self._venue.currency(view["asset"]),
                "asset": view["asset"],
                "token": "0x" + bytes(view["token"]).hex(),
                "decimals": view["unit_decimals"],
                "fee_precision": view["unit_decimals"],
                "collateral_weight": _rate(view["weight_ppm"]),
                "withdrawal_fee": 0,
                "min_withdrawal_fee": 0,
                "min_confirmations": 1,
            }
            for view in self._venue.assets()
        ]

    def _index_name(self, view: Params) -> str:
        return f"{self._venue.base_currency(view)}_{self._venue.quote_currency}".lower()

    def _instrument(self, view: Params) -> Params:
        scale = self._venue.scale(view["instrument"])
        perpetual = view["kind"] == InstrumentKind.PERPETUAL
        base = self._venue.base_currency(view)
        shown: Params = {
            "instrument_name": view["name"],
            "instrument_id": view["instrument"],
            "kind": "future" if perpetual else "spot",
            "instrument_type": "linear",
            "base_currency": base,
            "quote_currency": self._venue.quote_currency,
            "counter_currency": self._venue.quote_currency,
            "price_index": self._index_name(view),
            "is_active": True,
            "state": "open",
            "contract_size": scale.amount(1),
            "min_trade_amount": scale.amount(1),
            "tick_size": scale.price(1),
            # Exact integers (ours, not Deribit's): quote units a tick, lots a whole base.
            "tick_size_units": view["tick_size"],
            "lots_per_base": view["lots_per_base"],
            "taker_commission": _rate(view["taker_fee_ppm"]),
            "maker_commission": _rate(view["maker_fee_ppm"]),
            "creation_timestamp": self._venue.started_ms,
            "expiration_timestamp": 32_503_708_800_000,
        }
        if perpetual:
            shown |= {
                "settlement_currency": self._venue.quote_currency,
                "settlement_period": "perpetual",
                "max_leverage": PPM // view["initial_ppm"],
            }
        return shown

    def get_instruments(self, _session: Session, params: Params) -> list[Params]:
        """public/get_instruments: `currency` matches base or settlement, `kind` future or spot."""
        shown = [self._instrument(view) for view in self._venue.instruments().values()]
        wanted = self._venue.instruments_of_currency(params)
        kind = parse_choice(params, "kind", KINDS, "any")
        return [
            s
            for s in shown
            if (wanted is None or s["instrument_id"] in wanted) and kind in ("any", s["kind"])
        ]

    def get_instrument(self, _session: Session, params: Params) -> Params:
        """public/get_instrument"""
        return self._instrument(self._venue.instrument(params))

    # --- market data -----------------------------------------------------------------------------

    def get_order_book(self, _session: Session, params: Params) -> Params:
        """public/get_order_book"""
        view = self._venue.instrument(params)
        depth = bounded(params, "depth", DEPTH_DEFAULT, DEPTH_MAX)
        scale = self._venue.scale(view["instrument"])
        book = self._venue.books.of(view["instrument"])
        shown = self._ticker(view)
        shown |= {
            "bids": [[scale.price(p), scale.amount(q)] for p, q in book.bids(depth)],
            "asks": [[scale.price(p), scale.amount(q)] for p, q in book.asks(depth)],
            "change_id": book.change_id,
        }
        return shown

    def ticker(self, _session: Session, params: Params) -> Params:
        """public/ticker"""
        return self._ticker(self._venue.instrument(params))

    def ticker_of(self, instrument: int) -> Params:
        """The ticker of an instrument number (for the ticker channel)."""
        return self._ticker(self._venue.view_of(instrument))

    def _ticker(self, view: Params) -> Params:
        venue, instrument = self._venue, view["instrument"]
        scale, book = venue.scale(instrument), venue.books.of(instrument)
        bid, ask = book.best_bid() or (0, 0), book.best_ask() or (0, 0)
        price, updated_ms = venue.mark(view["feed"])
        last = venue.last_price_ticks(instrument)
        shown: Params = {
            "instrument_name": view["name"],
            "timestamp": now_ms(),
            "state": "open",
            "best_bid_price": scale.price(bid[0]),
            "best_bid_amount": scale.amount(bid[1]),
            "best_ask_price": scale.price(ask[0]),
            "best_ask_amount": scale.amount(ask[1]),
            "last_price": scale.price(last) if last else None,
            "mark_price": quote(price),
            "index_price": quote(price),
            "index_timestamp": updated_ms,
            "settlement_price": quote(price),
            "open_interest": scale.amount(venue.open_interest.lots(instrument)),
            "stats": self._day(instrument),
        }
        if view["kind"] == InstrumentKind.PERPETUAL:
            funding = _rate(venue.premium_ppm(instrument))
            shown |= {"current_funding": funding, "funding_8h": funding}
        return shown

    def _day(self, instrument: int) -> Params:
        scale = self._venue.scale(instrument)
        day = self._venue.day(instrument).figures(now_ms())
        change = None
        if day.first_ticks:
            last = self._venue.last_price_ticks(instrument)
            change = round((last - day.first_ticks) * 100 / day.first_ticks, 4)
        return {
            "high": scale.price(day.high_ticks) if day.lots else None,
            "low": scale.price(day.low_ticks) if day.lots else None,
            "volume": scale.amount(day.lots),
            "volume_usd": scale.value(day.value),
            "volume_notional": scale.value(day.value),
            "price_change": change,
        }

    def get_book_summary_by_instrument(self, _session: Session, params: Params) -> list[Params]:
        """public/get_book_summary_by_instrument"""
        return [self._summary(self._venue.instrument(params))]

    def get_book_summary_by_currency(self, session: Session, params: Params) -> list[Params]:
        """public/get_book_summary_by_currency"""
        names = [view["instrument_name"] for view in self.get_instruments(session, params)]
        return [self._summary(self._venue.instruments()[name]) for name in names]

    def _summary(self, view: Params) -> Params:
        ticker = self._ticker(view)
        bid, ask = ticker["best_bid_price"] or None, ticker["best_ask_price"] or None
        shown = self._instrument(view)
        return {
            "instrument_name": view["name"],
            "creation_timestamp": ticker["timestamp"],
            "base_currency": shown["base_currency"],
            "quote_currency": self._venue.quote_currency,
            "bid_price": bid,
            "ask_price": ask,
            "mid_price": (bid + ask) / 2 if bid and ask else None,
            "mark_price": ticker["mark_price"],
            "last": ticker["last_price"],
            "open_interest": ticker["open_interest"],
            **{k: ticker["stats"][k] for k in ("high", "low", "volume", "volume_usd")},
        }

    def get_last_trades_by_instrument(self, _session: Session, params: Params) -> Awaitable[Params]:
        """public/get_last_trades_by_instrument, also _and_time: newest first unless `asc`."""
        instrument = self._venue.instrument(params)["instrument"]
        return self._last_trades([instrument], params)

    def get_last_trades_by_currency(self, _session: Session, params: Params) -> Awaitable[Params]:
        """public/get_last_trades_by_currency"""
        wanted = self._venue.instruments_of_currency(params)
        return self._last_trades(wanted, params)

    async def _last_trades(self, instruments: list[int] | None, params: Params) -> Params:
        count = bounded(params, "count", COUNT_DEFAULT, COUNT_MAX)
        start_ms = parse_integer("start_timestamp", params.get("start_timestamp", 0))
        end_ms = parse_integer("end_timestamp", params.get("end_timestamp", now_ms()))
        ascending = parse_choice(params, "sorting", SORTINGS, "default") == "asc"

        def query(model: ReadModel) -> list[Any]:
            return model.trades(
                instruments,
                count=count + 1,
                start_ms=min(start_ms, 1 << 62),
                end_ms=min(end_ms, 1 << 62),
                ascending=ascending and start_ms > 0,
            )

        rows = await self._venue.history(query)
        trades = [public_trade_view(self._venue, row) for row in rows[:count]]
        if ascending and start_ms == 0:
            trades.reverse()  # the newest, oldest of them first
        return {"trades": trades, "has_more": len(rows) > count}

    def get_index_price(self, _session: Session, params: Params) -> Params:
        """public/get_index_price: `index_name` like btc_usdc."""
        name = str(params.get("index_name", ""))
        for view in self._venue.instruments().values():
            if self._index_name(view) == name:
                price, updated_ms = self._venue.mark(view["feed"])
                return {"index_price": quote(price), "timestamp": updated_ms}
        raise bad_param("index_name", "the index of a listed instrument, like btc_usdc", name)

    def get_funding_rate_value(self, _session: Session, params: Params) -> float | int:
        """public/get_funding_rate_value: the premium now, over 8 hours."""
        view = self._venue.instrument(params)
        return _rate(self._venue.premium_ppm(view["instrument"]))

    # --- custody ---------------------------------------------------------------------------------

    def get_accounts(self, _session: Session, params: Params) -> list[Params]:
        """public/get_accounts: account ids of an `address` (they are public on L1 anyway)."""
        value = params.get("address")
        try:
            owner = bytes.fromhex(str(value).removeprefix("0x"))
        except ValueError:
            owner = b""
        if len(owner) != 20:
            raise bad_param("address", "20 bytes in hex", value)
        return [
            {
                "account": str(entry.account_id),
                "subaccount": entry.subaccount,
                "address": "0x" + owner.hex(),
            }
            for entry in self._venue.directory.of_owner(owner)
        ]

    def get_batches(self, _session: Session, params: Params) -> list[Params]:
        """public/get_batches: the newest anchored batches."""
        count = bounded(params, "count", COUNT_DEFAULT, COUNT_MAX)
        return [batch_view(row) for row in self._venue.anchor_log.newest(count)]

    async def get_withdrawal_proof(self, _session: Session, params: Params) -> Params:
        """public/get_withdrawal_proof: what `Vault.withdraw` takes, once its batch is final."""
        wanted = parse_integer("id", params.get("id"), largest=(1 << 32) - 1)
        row = await self._venue.history(lambda model: model.withdrawal(wanted))
        if row is None:
            raise ApiError(NOT_FOUND, "not_found", {"reason": f"no withdrawal has id {wanted}"})
        final = self._venue.anchor_log.newest_final()
        is_final = final is not None and final.number >= row.batch
        shown: Params = {
            "id": row.id,
            "asset": row.asset,
            "recipient": "0x" + row.recipient.hex(),
            "amount_units": row.amount_units,
            "batch": row.batch,
            "final": is_final,
        }
        if not is_final:
            return shown
        assert final is not None
        siblings = final.withdrawal_proof
        return shown | {
            "proof_batch": final.number,
            "withdrawal_root": "0x" + final.withdrawal_root.hex(),
            "withdrawal_siblings": [
                "0x" + s.hex() for s in self._venue.withdrawal_siblings(final, row)
            ],
            "image_siblings": [
                "0x" + siblings[at : at + 32].hex() for at in range(0, len(siblings), 32)
            ],
        }
