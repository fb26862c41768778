"""Public methods: time, listings, books, tickers, trades, index prices, batches, proofs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from provenue import __version__, wire
from provenue.gateway.errors import NOT_FOUND, ApiError, bad_param
from provenue.gateway.numbers import QUOTE_DECIMALS, number
from provenue.gateway.session import Session
from provenue.gateway.venue import Venue, now_ms
from provenue.sequencer.read_model import TradeRow
from provenue.wire import InstrumentKind

__all__ = ["Market"]

DEPTH_DEFAULT, DEPTH_MAX = 5, 1_000
COUNT_DEFAULT, COUNT_MAX = 10, 1_000
DAY_MS = 86_400_000
PPM = Decimal(1_000_000)

Params = dict[str, Any]


def bounded(params: Params, name: str, default: int, largest: int) -> int:
    """An optional count between 1 and `largest`."""
    value = params.get(name, default)
    try:
        count = int(value)
    except (TypeError, ValueError):
        raise bad_param(name, f"1 to {largest}", value) from None
    if not 1 <= count <= largest:
        raise bad_param(name, f"1 to {largest}", value)
    return count


def quote(units: int) -> float | int:
    """Quote units as a JSON number of USDC."""
    return number(Decimal(units).scaleb(-QUOTE_DECIMALS))


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

    def status(self, _session: Session, _params: Params) -> Params:
        """public/status: how far sequencing and anchoring are."""
        sequencer = self._venue.service.sequencer
        newest = self._venue.anchor_log.newest(1)
        final = self._venue.anchor_log.newest_final()
        batch = sequencer.open_batch
        return {
            "locked": "false",
            "sequence": sequencer.next_sequence,
            "open_batch": batch.head.number if batch else None,
            "anchored_batch": newest[0].number if newest else None,
            "final_batch": final.number if final else None,
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
            "contracts": deployment.contracts,
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
                "collateral_weight": number(Decimal(view["weight_ppm"]) / PPM),
                "withdrawal_fee": 0,
                "min_withdrawal_fee": 0,
                "min_confirmations": 1,
            }
            for view in self._venue.engine.assets()
        ]

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
            "quote_currency": "USDC",
            "counter_currency": "USDC",
            "price_index": f"{base.lower()}_usdc",
            "is_active": True,
            "state": "open",
            "contract_size": scale.amount(1),
            "min_trade_amount": scale.amount(1),
            "tick_size": scale.price(1),
            "taker_commission": number(Decimal(view["taker_fee_ppm"]) / PPM),
            "maker_commission": number(Decimal(view["maker_fee_ppm"]) / PPM),
            "creation_timestamp": self._venue.started_ms,
            "expiration_timestamp": 32_503_708_800_000,
        }
        if perpetual:
            leverage = Decimal(1_000_000) / Decimal(view["initial_ppm"])
            shown |= {
                "settlement_currency": "USDC",
                "settlement_period": "perpetual",
                "max_leverage": int(leverage),
            }
        return shown

    def get_instruments(self, _session: Session, params: Params) -> list[Params]:
        """public/get_instruments: `currency` matches base or settlement, `kind` future or spot."""
        shown = [self._instrument(view) for view in self._venue.instruments().values()]
        currency, kind = params.get("currency", "any"), params.get("kind", "any")
        if currency != "any":
            names = ("base_currency", "quote_currency", "settlement_currency")
            shown = [s for s in shown if str(currency).upper() in {s.get(n) for n in names}]
        if kind not in ("any", None):
            shown = [s for s in shown if s["kind"] == kind]
        return shown

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
        return self._ticker(self._venue.instruments()[self._venue.name_of(instrument)])

    def _ticker(self, view: Params) -> Params:
        instrument = view["instrument"]
        scale = self._venue.scale(instrument)
        book = self._venue.books.of(instrument)
        bid, ask = next(iter(book.bids(1)), None), next(iter(book.asks(1)), None)
        price, updated_ms = self._venue.index_price(view["feed"])
        last = self._venue.last(instrument).price_ticks
        high, low, lots, value = self._venue.read_model.day_stats(instrument, now_ms() - DAY_MS)
        shown: Params = {
            "instrument_name": view["name"],
            "timestamp": now_ms(),
            "state": "open",
            "best_bid_price": scale.price(bid[0]) if bid else 0,
            "best_bid_amount": scale.amount(bid[1]) if bid else 0,
            "best_ask_price": scale.price(ask[0]) if ask else 0,
            "best_ask_amount": scale.amount(ask[1]) if ask else 0,
            "last_price": scale.price(last) if last else None,
            "mark_price": quote(price),
            "index_price": quote(price),
            "index_timestamp": updated_ms,
            "settlement_price": quote(price),
            "open_interest": scale.amount(self._venue.open_interest_lots(instrument)),
            "stats": {
                "high": scale.price(high) if high else None,
                "low": scale.price(low) if low else None,
                "volume": scale.amount(lots),
                "volume_usd": number(Decimal(value) * scale.tick * scale.lot),
                "volume_notional": number(Decimal(value) * scale.tick * scale.lot),
                "price_change": None,
            },
        }
        if view["kind"] == InstrumentKind.PERPETUAL:
            live = self._venue.live_instrument(instrument)
            funding = number(Decimal(live["premium_ppm"]) / PPM)
            shown |= {"current_funding": funding, "funding_8h": funding}
        return shown

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
            "quote_currency": "USDC",
            "bid_price": bid,
            "ask_price": ask,
            "mid_price": (bid + ask) / 2 if bid and ask else None,
            "mark_price": ticker["mark_price"],
            "last": ticker["last_price"],
            "open_interest": ticker["open_interest"],
            **{k: ticker["stats"][k] for k in ("high", "low", "volume", "volume_usd")},
        }

    def trade(self, row: TradeRow) -> Params:
        """One public trade in Deribit's shape."""
        scale = self._venue.scale(row.instrument)
        return {
            "trade_id": str(row.id),
            "trade_seq": row.id,
            "instrument_name": self._venue.name_of(row.instrument),
            "timestamp": row.stamp_ms,
            "direction": "sell" if row.taker_sells else "buy",
            "price": scale.price(row.price_ticks),
            "amount": scale.amount(row.size_lots),
            "tick_direction": 0,
            "index_price": quote(self._venue.mark_of(row.instrument)),
            "mark_price": quote(self._venue.mark_of(row.instrument)),
        }

    def get_last_trades_by_instrument(self, _session: Session, params: Params) -> Params:
        """public/get_last_trades_by_instrument"""
        view = self._venue.instrument(params)
        count = bounded(params, "count", COUNT_DEFAULT, COUNT_MAX)
        rows = self._venue.read_model.trades(view["instrument"], count=count + 1)
        trades = [self.trade(row) for row in rows[:count]]
        if params.get("sorting") == "asc":
            trades.reverse()
        return {"trades": trades, "has_more": len(rows) > count}

    def get_index_price(self, _session: Session, params: Params) -> Params:
        """public/get_index_price: `index_name` like btc_usdc."""
        name = str(params.get("index_name", ""))
        for view in self._venue.instruments().values():
            if f"{self._venue.base_currency(view).lower()}_usdc" == name:
                price, updated_ms = self._venue.index_price(view["feed"])
                return {"index_price": quote(price), "timestamp": updated_ms}
        raise bad_param("index_name", "the index of a listed instrument, like btc_usdc", name)

    def get_funding_rate_value(self, _session: Session, params: Params) -> float | int:
        """public/get_funding_rate_value: the premium now, over 8 hours."""
        view = self._venue.instrument(params)
        return number(Decimal(self._venue.live_instrument(view["instrument"])["premium_ppm"]) / PPM)

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
        shown = []
        for index in self._venue.accounts_of(owner):
            view = self._venue.engine.account(index)
            if view is not None:
                shown.append(
                    {
                        "account": str(view["account_id"]),
                        "subaccount": view["subaccount"],
                        "address": "0x" + owner.hex(),
                    }
                )
        return shown

    def get_batches(self, _session: Session, params: Params) -> list[Params]:
        """public/get_batches: the newest anchored batches."""
        count = bounded(params, "count", COUNT_DEFAULT, COUNT_MAX)
        return [
            {
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
            for row in self._venue.anchor_log.newest(count)
        ]

    def get_withdrawal_proof(self, _session: Session, params: Params) -> Params:
        """public/get_withdrawal_proof: what `Vault.withdraw` takes, once its batch is final."""
        try:
            wanted = int(params["id"])
        except (KeyError, TypeError, ValueError):
            raise bad_param("id", "a withdrawal id", params.get("id")) from None
        row = self._venue.read_model.withdrawal(wanted)
        if row is None:
            raise ApiError(NOT_FOUND, "not_found", {"reason": f"no withdrawal has id {wanted}"})
        final = self._venue.anchor_log.newest_final()
        shown: Params = {
            "id": row.id,
            "asset": row.asset,
            "recipient": "0x" + row.recipient.hex(),
            "amount_units": row.amount_units,
            "batch": row.batch,
            "final": final is not None and final.number >= row.batch,
        }
        if final is None or final.number < row.batch:
            return shown
        tree = wire.WithdrawalTree()
        leaves = self._venue.read_model.withdrawals(up_to_id=final.withdrawal_count)
        tree.extend(
            [wire.withdrawal_leaf(w.id, w.asset, w.recipient, w.amount_units) for w in leaves]
        )
        siblings = final.withdrawal_proof
        shown |= {
            "proof_batch": final.number,
            "withdrawal_root": "0x" + final.withdrawal_root.hex(),
            "withdrawal_siblings": ["0x" + s.hex() for s in tree.proof(row.id)],
            "image_siblings": [
                "0x" + siblings[at : at + 32].hex() for at in range(0, len(siblings), 32)
            ],
        }
        return shown
