"""The plain client: the same as AsyncClient, for scripts and notebooks.

    with Client(api_url, private_key=key, rpc_url=rpc_url) as client:
        client.deposit("USDC", 1_000)
        client.buy("BTC-PERPETUAL", "0.1", 63_000)

It runs the asynchronous client on a loop in a thread of its own; any thread may call it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from provenue.client._terms import OrderTerms
from provenue.client._units import Amount
from provenue.client.async_client import AsyncClient
from provenue.client.errors import ClientError
from provenue.client.keys import Key
from provenue.client.models import (
    Account,
    Book,
    Instrument,
    Order,
    Position,
    PublicTrade,
    Ticker,
    Trade,
)

if TYPE_CHECKING:
    from provenue.settlement.vault import WithdrawalProof

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """One account of one key on one venue. Connects when it is made."""

    def __init__(
        self,
        api_url: str,
        *,
        private_key: Key | bytes | str | None = None,
        rpc_url: str | None = None,
        subaccount: int = 0,
        account_id: int | None = None,
        key_slot: int = 0,
        deployment_file: Path | str | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        """See AsyncClient."""
        self._client = AsyncClient(
            api_url,
            private_key=private_key,
            rpc_url=rpc_url,
            subaccount=subaccount,
            account_id=account_id,
            key_slot=key_slot,
            deployment_file=deployment_file,
            timeout_s=timeout_s,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="provenue-client", daemon=True
        )
        self._thread.start()
        self._closed = False
        try:
            self._run(self._client.connect())
        except BaseException:
            self._stop()
            raise

    def close(self) -> None:
        """Disconnect."""
        if not self._closed:
            self._run(self._client.close())
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._closed:
            work.close()
            raise ClientError("the client is closed; make a new one")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except (KeyboardInterrupt, SystemExit):
            future.cancel()
            raise

    def _stop(self) -> None:
        self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- the API ---------------------------------------------------------------------------------

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Any method of the API, for what has no function here."""
        return self._run(self._client.call(method, params))

    def stream(self, channel: str) -> Iterator[Any]:
        """What comes on a channel, until the iterator is closed."""
        subscription = self._run(self._client.subscribe(channel))

        async def following() -> tuple[bool, Any]:
            try:
                return True, await anext(subscription)
            except StopAsyncIteration:
                return False, None

        try:
            while True:
                more, data = self._run(following())
                if not more:
                    return
                yield data
        finally:
            if not self._closed:
                self._run(subscription.close())

    def instruments(self) -> list[Instrument]:
        """Listed instruments."""
        return self._run(self._client.instruments())

    def book(self, instrument: str, depth: int = 10) -> Book:
        """The best levels of both sides."""
        return self._run(self._client.book(instrument, depth))

    def ticker(self, instrument: str) -> Ticker:
        """Best prices, mark, last."""
        return self._run(self._client.ticker(instrument))

    def last_trades(self, instrument: str, count: int = 10) -> list[PublicTrade]:
        """Newest trades of everyone, newest first."""
        return self._run(self._client.last_trades(instrument, count))

    # --- the account -----------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The key's address."""
        return self._client.address

    def account_id(self) -> int:
        """The account's id; ClientError before its first deposit."""
        return self._run(self._client.account_id())

    def account(self) -> Account:
        """Equity, margins and balances."""
        return self._run(self._client.account())

    def positions(self) -> list[Position]:
        """Perpetual positions."""
        return self._run(self._client.positions())

    def open_orders(self, instrument: str | None = None) -> list[Order]:
        """Resting orders, oldest first."""
        return self._run(self._client.open_orders(instrument))

    def order(self, order_id: int) -> Order:
        """One order of one's own, whatever became of it."""
        return self._run(self._client.order(order_id))

    def trades(self, instrument: str | None = None, count: int = 20) -> list[Trade]:
        """One's own trades, newest first."""
        return self._run(self._client.trades(instrument, count))

    # --- trading ---------------------------------------------------------------------------------

    def buy(
        self,
        instrument: str,
        amount: Amount,
        price: Amount | None = None,
        **terms: Unpack[OrderTerms],
    ) -> Order:
        """A limit order, or without `price` a market order (bounded around the mark).

        `terms`: see OrderTerms, as `time_in_force="fill_or_kill"` or `post_only=True`.
        """
        return self._run(self._client.buy(instrument, amount, price, **terms))

    def sell(
        self,
        instrument: str,
        amount: Amount,
        price: Amount | None = None,
        **terms: Unpack[OrderTerms],
    ) -> Order:
        """A limit order, or without `price` a market order (bounded around the mark); terms as in
        `buy`.
        """
        return self._run(self._client.sell(instrument, amount, price, **terms))

    def amend(
        self, order: Order | int, *, amount: Amount | None = None, price: Amount | None = None
    ) -> Order:
        """Another price or amount for a resting order; see AsyncClient.amend."""
        return self._run(self._client.amend(order, amount=amount, price=price))

    def replace(
        self,
        order: Order | int,
        amount: Amount,
        price: Amount | None = None,
        **terms: Unpack[OrderTerms],
    ) -> Order:
        """Cancel an order and place another, or neither; see AsyncClient.replace."""
        return self._run(self._client.replace(order, amount, price, **terms))

    def cancel(self, order: Order | int) -> Order:
        """Cancel one order."""
        return self._run(self._client.cancel(order))

    def cancel_by_label(self, label: int, instrument: str | None = None) -> int:
        """Cancel all orders with a label (of one instrument); how many there were."""
        return self._run(self._client.cancel_by_label(label, instrument))

    def cancel_all(self, instrument: str | None = None) -> int:
        """Cancel all orders (of one instrument); how many there were."""
        return self._run(self._client.cancel_all(instrument))

    def set_key(
        self, slot: int, key_address: str, scope: int, *, key_expires_at_ms: int = 0
    ) -> None:
        """Give a session key (slot 1 to 3) its rights."""
        self._run(
            self._client.set_key(slot, key_address, scope, key_expires_at_ms=key_expires_at_ms)
        )

    def revoke_key(self, slot: int) -> None:
        """Take a session key's rights."""
        self._run(self._client.revoke_key(slot))

    # --- custody ---------------------------------------------------------------------------------

    def deposit(self, currency: str, amount: Amount, *, timeout_s: float = 120.0) -> int:
        """Approve and deposit on the chain, wait until the venue has taken it; the account's id."""
        return self._run(self._client.deposit(currency, amount, timeout_s=timeout_s))

    def withdraw(self, currency: str, amount: Amount, to: str | None = None) -> int:
        """Move a balance into the withdrawal tree; the withdrawal's id."""
        return self._run(self._client.withdraw(currency, amount, to))

    def prove(self, withdrawal_id: int, *, timeout_s: float = 0.0) -> WithdrawalProof:
        """The proof that the vault pays against, checked against the chain's final root."""
        return self._run(self._client.prove(withdrawal_id, timeout_s=timeout_s))

    def claim(self, withdrawal: int | WithdrawalProof, *, timeout_s: float = 120.0) -> Decimal:
        """Have the vault pay a withdrawal; the amount that was paid."""
        return self._run(self._client.claim(withdrawal, timeout_s=timeout_s))

    def is_paid(self, withdrawal_id: int) -> bool:
        """Whether the vault has paid a withdrawal."""
        return self._run(self._client.is_paid(withdrawal_id))

    def wallet_balance(self, currency: str) -> Decimal:
        """What the key's address holds on the chain, outside the venue."""
        return self._run(self._client.wallet_balance(currency))

    def forced_withdraw(self, currency: str, amount: Amount, to: str | None = None) -> str:
        """Withdraw through the chain, when the operator does not answer; the transaction hash."""
        return self._run(self._client.forced_withdraw(currency, amount, to))

    def forced_cancel(self) -> str:
        """Cancel all orders through the chain; the transaction hash."""
        return self._run(self._client.forced_cancel())

    def forced_close(self) -> str:
        """Close every position through the chain (chapter 12); the transaction hash."""
        return self._run(self._client.forced_close())

    def forced_revoke(self, slot: int) -> str:
        """Revoke a session key through the chain; the transaction hash."""
        return self._run(self._client.forced_revoke(slot))
