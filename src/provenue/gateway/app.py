"""The API, put together: every method by name, its handler, and the server that listens."""

from __future__ import annotations

from typing import Any

from provenue.gateway.auth import Authenticator
from provenue.gateway.channels import Channels
from provenue.gateway.dispatcher import Dispatcher, Handler
from provenue.gateway.history import History
from provenue.gateway.hub import Hub
from provenue.gateway.market import Market
from provenue.gateway.portfolio import Portfolio
from provenue.gateway.server import Server
from provenue.gateway.session import RateLimit, Session
from provenue.gateway.trading import Trading
from provenue.gateway.user_channels import UserChannels
from provenue.gateway.venue import Venue

__all__ = ["build"]

Params = dict[str, Any]


class _Logins:
    """Handlers of logging in and out."""

    def __init__(self, authenticator: Authenticator, channels: Channels) -> None:
        self._authenticator = authenticator
        self._channels = channels

    def auth(self, session: Session, params: Params) -> Params:
        """public/auth"""
        owner, result = self._authenticator.login(params)
        if owner != session.owner:
            self._channels.forget_user(session)
        session.owner = owner
        return result

    def logout(self, session: Session, _params: Params) -> str:
        """public/logout and private/logout: the session, and every token of its owner."""
        if session.owner is not None:
            self._authenticator.logout(session.owner)
        self._channels.forget_user(session)
        session.owner = None
        return "ok"


def _public(market: Market, trading: Trading) -> dict[str, Handler]:
    return {
        "hello": market.hello,
        "test": market.test,
        "get_time": market.get_time,
        "status": market.status,
        "set_heartbeat": market.set_heartbeat,
        "disable_heartbeat": market.disable_heartbeat,
        "get_deployment": market.get_deployment,
        "get_currencies": market.get_currencies,
        "get_instruments": market.get_instruments,
        "get_instrument": market.get_instrument,
        "get_order_book": market.get_order_book,
        "ticker": market.ticker,
        "get_book_summary_by_instrument": market.get_book_summary_by_instrument,
        "get_book_summary_by_currency": market.get_book_summary_by_currency,
        "get_last_trades_by_instrument": market.get_last_trades_by_instrument,
        "get_last_trades_by_instrument_and_time": market.get_last_trades_by_instrument,
        "get_last_trades_by_currency": market.get_last_trades_by_currency,
        "get_last_trades_by_currency_and_time": market.get_last_trades_by_currency,
        "get_index_price": market.get_index_price,
        "get_funding_rate_value": market.get_funding_rate_value,
        "get_accounts": market.get_accounts,
        "get_batches": market.get_batches,
        "get_withdrawal_proof": market.get_withdrawal_proof,
        "submit": trading.submit,
        "relay_prices": trading.relay_prices,
    }


def _private(trading: Trading, history: History, portfolio: Portfolio) -> dict[str, Handler]:
    return {
        "buy": trading.buy,
        "sell": trading.sell,
        "edit": trading.edit,
        "replace": trading.replace,
        "cancel": trading.cancel,
        "cancel_by_label": trading.cancel_by_label,
        "cancel_all": trading.cancel_all,
        "cancel_all_by_instrument": trading.cancel_all_by_instrument,
        "withdraw": trading.withdraw,
        "set_key": trading.set_key,
        "get_open_orders": history.get_open_orders,
        "get_open_orders_by_instrument": history.get_open_orders_by_instrument,
        "get_open_orders_by_currency": history.get_open_orders_by_currency,
        "get_order_state": history.get_order_state,
        "get_order_history_by_instrument": history.get_order_history_by_instrument,
        "get_order_history_by_currency": history.get_order_history_by_currency,
        "get_user_trades_by_instrument": history.get_user_trades_by_instrument,
        "get_user_trades_by_currency": history.get_user_trades_by_currency,
        "get_user_trades_by_order": history.get_user_trades_by_order,
        "get_withdrawals": history.get_withdrawals,
        "get_positions": portfolio.get_positions,
        "get_position": portfolio.get_position,
        "get_account_summary": portfolio.get_account_summary,
        "get_account_summaries": portfolio.get_account_summaries,
        "get_subaccounts": portfolio.get_subaccounts,
        "get_keys": portfolio.get_keys,
    }


def build(
    venue: Venue, authenticator: Authenticator, *, rate_limit: RateLimit | None = None
) -> Server:
    """A server with every method registered. Call it before the service starts; then start it."""
    dispatcher = Dispatcher()
    hub = Hub(dispatcher.encode)
    market, trading = Market(venue), Trading(venue)
    history, portfolio = History(venue), Portfolio(venue)
    channels = Channels(venue, hub, market, UserChannels(venue, hub, portfolio))
    venue.service.subscribe(channels.take)
    logins = _Logins(authenticator, channels)
    for name, handler in _public(market, trading).items():
        dispatcher.register(f"public/{name}", handler)
    for name, handler in _private(trading, history, portfolio).items():
        dispatcher.register(f"private/{name}", handler)
    dispatcher.register("public/auth", logins.auth)
    for scope in ("public", "private"):
        dispatcher.register(f"{scope}/logout", logins.logout)
        dispatcher.register(f"{scope}/subscribe", channels.subscribe)
        dispatcher.register(f"{scope}/unsubscribe", channels.unsubscribe)
        dispatcher.register(f"{scope}/unsubscribe_all", channels.unsubscribe_all)
    return Server(dispatcher, hub, authenticator, channels, rate_limit or RateLimit())
