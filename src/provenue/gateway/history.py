"""Orders and trades of an account: live ones from memory, ended ones from the read models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from provenue.gateway.directory import Entry
from provenue.gateway.errors import ORDER_NOT_FOUND, ApiError
from provenue.gateway.market import SORTINGS, bounded
from provenue.gateway.numbers import number, parse_choice, parse_flag, parse_integer
from provenue.gateway.orders import Order
from provenue.gateway.session import Session
from provenue.gateway.venue import Venue
from provenue.gateway.views import order_view, user_trade_view
from provenue.sequencer.read_model import ReadModel
from provenue.sequencer.tape import TradeRow

__all__ = ["History"]

COUNT_DEFAULT, COUNT_MAX = 20, 1_000

Params = dict[str, Any]


class History:
    """Handlers of order and trade lists."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    # --- orders ----------------------------------------------------------------------------------

    def get_open_orders(self, session: Session, params: Params) -> list[Params]:
        """private/get_open_orders"""
        return self._open(session, params, None)

    def get_open_orders_by_instrument(self, session: Session, params: Params) -> list[Params]:
        """private/get_open_orders_by_instrument"""
        return self._open(session, params, [self._venue.instrument(params)["instrument"]])

    def get_open_orders_by_currency(self, session: Session, params: Params) -> list[Params]:
        """private/get_open_orders_by_currency"""
        return self._open(session, params, self._venue.instruments_of_currency(params))

    def _open(
        self, session: Session, params: Params, instruments: list[int] | None
    ) -> list[Params]:
        entry = self._venue.own_account(session, params)
        return [
            order_view(self._venue, order)
            for order in self._venue.orders.of_account(entry.index)
            if instruments is None or order.instrument in instruments
        ]

    async def get_order_state(self, session: Session, params: Params) -> Params:
        """private/get_order_state"""
        owner = self._venue.own_account(session, params).owner
        order_id = parse_integer("order_id", params.get("order_id"))
        order = self._venue.orders.get(order_id)
        if order is None:
            row = await self._venue.history(lambda model: model.order(order_id))
            order = Order.of_row(row) if row is not None else None
        account = None if order is None else self._venue.directory.by_id(order.account_id)
        if order is None or account is None or account.owner != owner:
            raise ApiError(
                ORDER_NOT_FOUND, "order_not_found", {"reason": f"no order of yours is {order_id}"}
            )
        return order_view(self._venue, order)

    async def get_order_history_by_instrument(
        self, session: Session, params: Params
    ) -> list[Params]:
        """private/get_order_history_by_instrument: ended orders, newest first."""
        instruments = [self._venue.instrument(params)["instrument"]]
        return await self._ended(session, params, instruments)

    async def get_order_history_by_currency(self, session: Session, params: Params) -> list[Params]:
        """private/get_order_history_by_currency"""
        wanted = self._venue.instruments_of_currency(params)
        return await self._ended(session, params, wanted)

    async def _ended(
        self, session: Session, params: Params, instruments: list[int] | None
    ) -> list[Params]:
        entry = self._venue.own_account(session, params)
        count = bounded(params, "count", COUNT_DEFAULT, COUNT_MAX)
        offset = parse_integer("offset", params.get("offset", 0), largest=1 << 40)
        unfilled = parse_flag(params, "include_unfilled")
        rows = await self._venue.history(
            lambda model: model.account_orders(
                entry.account_id,
                instruments=instruments,
                unfilled=unfilled,
                count=count,
                offset=offset,
            )
        )
        return [order_view(self._venue, Order.of_row(row)) for row in rows]

    # --- withdrawals -----------------------------------------------------------------------------

    async def get_withdrawals(self, session: Session, params: Params) -> Params:
        """private/get_withdrawals: newest first; `batch` says when each can be proven."""
        entry = self._venue.own_account(session, params)
        count = bounded(params, "count", COUNT_DEFAULT, COUNT_MAX)
        rows = await self._venue.history(
            lambda model: model.account_withdrawals(entry.account_id, count=count)
        )
        final = self._venue.anchor_log.newest_final()
        return {
            "count": len(rows),
            "data": [
                {
                    "id": row.id,
                    "currency": self._venue.currency(row.asset),
                    "amount": number(row.amount_units, 10 ** self._venue.unit_decimals(row.asset)),
                    "address": "0x" + row.recipient.hex(),
                    "forced": bool(row.forced),
                    "haircut": number(
                        row.haircut_units, 10 ** self._venue.unit_decimals(row.asset)
                    ),
                    "batch": row.batch,
                    "state": (
                        "final" if final is not None and final.number >= row.batch else "confirmed"
                    ),
                }
                for row in rows
            ],
        }

    # --- trades ----------------------------------------------------------------------------------

    async def get_user_trades_by_instrument(self, session: Session, params: Params) -> Params:
        """private/get_user_trades_by_instrument"""
        entry = self._venue.own_account(session, params)
        instruments = [self._venue.instrument(params)["instrument"]]
        return await self._page(entry, params, instruments)

    async def get_user_trades_by_currency(self, session: Session, params: Params) -> Params:
        """private/get_user_trades_by_currency"""
        entry = self._venue.own_account(session, params)
        return await self._page(entry, params, self._venue.instruments_of_currency(params))

    async def get_user_trades_by_order(self, session: Session, params: Params) -> list[Params]:
        """private/get_user_trades_by_order: a plain list."""
        entry = self._venue.own_account(session, params)
        order_id = parse_integer("order_id", params.get("order_id"))
        return await self._trades(
            entry,
            lambda model: model.account_trades(
                entry.account_id, order_id=order_id, count=COUNT_MAX
            ),
        )

    async def _page(self, entry: Entry, params: Params, instruments: list[int] | None) -> Params:
        count = bounded(params, "count", COUNT_DEFAULT, COUNT_MAX)
        ascending = parse_choice(params, "sorting", SORTINGS, "default") == "asc"
        trades = await self._trades(
            entry,
            lambda model: model.account_trades(
                entry.account_id, instruments=instruments, count=count + 1
            ),
        )
        page = trades[:count]
        if ascending:
            page.reverse()
        return {"trades": page, "has_more": len(trades) > count}

    async def _trades(
        self, entry: Entry, query: Callable[[ReadModel], list[TradeRow]]
    ) -> list[Params]:
        def run(model: ReadModel) -> list[tuple[TradeRow, Order | None]]:
            return [(row, _own_order(model, row, entry.account_id)) for row in query(model)]

        rows = await self._venue.history(run)
        return [user_trade_view(self._venue, row, entry.account_id, order) for row, order in rows]


def _own_order(model: ReadModel, row: TradeRow, account_id: int) -> Order | None:
    found = model.order(int(row.maker_order if row.maker == account_id else row.taker_order))
    return Order.of_row(found) if found is not None else None
