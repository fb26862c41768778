"""What an account is worth and holds, by the chapters' formulas on the engine's state (chapter 5).

Values are taken at once and shown when they are durable. There is no estimated liquidation price
(with cross margin it depends on every other position) and no realised profit per position (the
program credits it to the balance and keeps no record).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from provenue._generated.constants import FUNDING_SCALE, PPM
from provenue.engine import AccountView, PositionView
from provenue.gateway.errors import unauthorized
from provenue.gateway.market import KINDS
from provenue.gateway.numbers import number, parse_choice, quote
from provenue.gateway.session import Session
from provenue.gateway.venue import Venue
from provenue.wire import InstrumentKind

__all__ = ["Portfolio", "ceil_div"]

Params = dict[str, Any]


def ceil_div(numerator: int, denominator: int) -> int:
    """Rounded toward plus infinity."""
    return -(-numerator // denominator)


class Portfolio:
    """Handlers of account summaries and positions; the user channels ask it too."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def _durable(self, shown: Any) -> Any:
        await self._venue.service.durable()
        return shown

    # --- summaries -------------------------------------------------------------------------------

    def get_account_summary(self, session: Session, params: Params) -> Awaitable[Params]:
        """private/get_account_summary"""
        entry = self._venue.own_account(session, params)
        wanted = params.get("currency", self._venue.quote_currency)
        asset = self._venue.asset({"currency": wanted})
        (found,) = [s for s in self.summaries(entry.index) if s["asset"] == asset["asset"]]
        return self._durable(found | {"id": str(entry.account_id), "type": "main"})

    def get_account_summaries(self, session: Session, params: Params) -> Awaitable[Params]:
        """private/get_account_summaries"""
        entry = self._venue.own_account(session, params)
        shown = {
            "id": str(entry.account_id),
            "type": "main" if entry.subaccount == 0 else "subaccount",
            "subaccount": entry.subaccount,
            "address": "0x" + entry.owner.hex(),
            "leaving": self._account(entry.index)["leaving"],
            "summaries": self.summaries(entry.index),
        }
        return self._durable(shown)

    def get_subaccounts(self, session: Session, _params: Params) -> Awaitable[list[Params]]:
        """private/get_subaccounts"""
        if session.owner is None:
            raise unauthorized()
        shown = [
            {
                "id": str(entry.account_id),
                "account": str(entry.account_id),
                "subaccount": entry.subaccount,
                "type": "main" if entry.subaccount == 0 else "subaccount",
                "address": "0x" + entry.owner.hex(),
            }
            for entry in self._venue.directory.of_owner(session.owner)
        ]
        return self._durable(shown)

    def get_keys(self, session: Session, params: Params) -> Awaitable[list[Params]]:
        """private/get_keys: the account's key slots (ours, not Deribit's)."""
        account = self._account(self._venue.own_account(session, params).index)
        shown = [
            {
                "slot": key["slot"],
                "address": "0x" + key["address"].hex(),
                "scope": key["scope"],
                "expires_at": key["expires_at_ms"],
            }
            for key in account["keys"]
            if any(key["address"])
        ]
        return self._durable(shown)

    def summaries(self, index: int) -> list[Params]:
        """One summary per listed asset; all margin stands in the quote's (cross margin)."""
        account = self._account(index)
        margins = self._venue.engine.margins(index)
        shown = []
        collateral = 0
        for view in self._venue.assets():
            if view["asset"] != 0:
                units = account["balances"][view["asset"]]
                collateral += self._collateral_value(view, units)
                shown.append(self._asset_summary(view, units, self._reserved(index, view)))
        balance = account["balances"][0]
        free = max(0, margins.equity - margins.initial)
        shown.insert(
            0,
            {
                "asset": 0,
                "currency": self._venue.quote_currency,
                "balance": quote(balance),
                "balance_units": balance,
                "equity": quote(margins.equity - collateral),
                "margin_balance": quote(margins.equity),
                "available_funds": quote(free),
                "available_withdrawal_funds": quote(max(0, min(balance, free))),
                "initial_margin": quote(margins.initial),
                "maintenance_margin": quote(margins.maintenance),
                "session_upl": quote(margins.equity - collateral - balance),
                "total_equity_usd": quote(margins.equity),
                "total_initial_margin_usd": quote(margins.initial),
                "total_maintenance_margin_usd": quote(margins.maintenance),
                "cross_collateral_enabled": True,
                "portfolio_margining_enabled": False,
                "margin_model": "cross_sm",
                "leaving": account["leaving"],
            },
        )
        return shown

    def _asset_summary(self, view: Params, units: int, reserved: int) -> Params:
        scale = 10 ** view["unit_decimals"]
        return {
            "asset": view["asset"],
            "currency": self._venue.currency(view["asset"]),
            "balance": number(units, scale),
            "balance_units": units,
            "equity": number(units, scale),
            "margin_balance": number(units, scale),
            "available_funds": number(units - reserved, scale),
            "available_withdrawal_funds": number(units - reserved, scale),
            "initial_margin": 0,
            "maintenance_margin": 0,
            "cross_collateral_enabled": True,
            "portfolio_margining_enabled": False,
            "margin_model": "cross_sm",
        }

    def _account(self, index: int) -> AccountView:
        account = self._venue.engine.account(index)
        assert account is not None
        return account

    def _collateral_value(self, view: Params, units: int) -> int:
        """value(asset) of chapter 5.3."""
        price = self._venue.engine_mark(view["feed"])
        return int(units * price * view["weight_ppm"] // (view["units_per_base"] * PPM))

    def _reserved(self, index: int, asset: Params) -> int:
        """Base units that open spot sells need (chapter 3.5)."""
        reserved = 0
        for row in self._venue.engine.positions(index):
            view = self._venue.view_of(row["instrument"])
            if view["kind"] == InstrumentKind.SPOT and view["base_asset"] == asset["asset"]:
                reserved += row["open_sell_lots"] * view["base_units_per_lot"]
        return reserved

    # --- positions -------------------------------------------------------------------------------

    def get_positions(self, session: Session, params: Params) -> Awaitable[list[Params]]:
        """private/get_positions: `currency` and `kind` narrow it."""
        entry = self._venue.own_account(session, params)
        wanted = self._venue.instruments_of_currency(params)
        if parse_choice(params, "kind", KINDS, "any") not in ("any", "future"):
            wanted = []
        shown = [
            self.position(row)
            for row in self._venue.engine.positions(entry.index)
            if self._is_position(row) and (wanted is None or row["instrument"] in wanted)
        ]
        return self._durable(shown)

    def get_position(self, session: Session, params: Params) -> Awaitable[Params]:
        """private/get_position: direction "zero" when there is none."""
        entry = self._venue.own_account(session, params)
        instrument = self._venue.instrument(params)["instrument"]
        for row in self._venue.engine.positions(entry.index):
            if row["instrument"] == instrument and self._is_position(row):
                return self._durable(self.position(row))
        return self._durable(self.no_position(instrument))

    def _is_position(self, row: PositionView) -> bool:
        is_perpetual = self._venue.view_of(row["instrument"])["kind"] == InstrumentKind.PERPETUAL
        return is_perpetual and row["size_lots"] != 0

    def no_position(self, instrument: int) -> Params:
        """A position of size zero."""
        return {
            "instrument_name": self._venue.name_of(instrument),
            "kind": "future",
            "direction": "zero",
            "size": 0,
            "size_currency": 0,
            "average_price": 0,
            "mark_price": quote(self._venue.mark_of(instrument)),
            "initial_margin": 0,
            "maintenance_margin": 0,
            "floating_profit_loss": 0,
        }

    def position(self, row: PositionView) -> Params:
        """A perpetual position."""
        venue, instrument = self._venue, row["instrument"]
        view, scale = venue.view_of(instrument), venue.scale(instrument)
        size, lots_per_base = row["size_lots"], view["lots_per_base"]
        mark = venue.engine_mark(view["feed"])
        index = int(venue.engine.tables["instruments"][instrument]["funding_index"])
        due = ceil_div(size * (index - row["funding_index"]), FUNDING_SCALE)
        notional = ceil_div(abs(size) * mark, lots_per_base)
        profit = size * mark // lots_per_base + row["cash_leg_units"] - due
        open_buy, open_sell = row["open_buy_lots"], row["open_sell_lots"]
        return {
            "instrument_name": view["name"],
            "kind": "future",
            "direction": "buy" if size > 0 else "sell",
            "size": scale.amount(size),
            "size_currency": scale.amount(size),
            "average_price": number(-row["cash_leg_units"] * lots_per_base, size * 10**6),
            "mark_price": quote(mark),
            "index_price": quote(mark),
            "settlement_price": quote(mark),
            "leverage": PPM // view["initial_ppm"],
            "initial_margin": quote(ceil_div(notional * view["initial_ppm"], PPM)),
            "maintenance_margin": quote(ceil_div(notional * view["maintenance_ppm"], PPM)),
            "floating_profit_loss": quote(profit),
            "total_profit_loss": quote(profit),
            "unsettled_funding": quote(-due),
            "open_orders_amount": scale.amount(open_buy + open_sell),
        }
