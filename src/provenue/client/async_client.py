"""The asynchronous client: one WebSocket, concurrent calls, subscriptions as async iterators.

    async with AsyncClient(api_url, private_key=key, rpc_url=rpc_url) as client:
        await client.deposit("USDC", 1_000)
        order = await client.buy("BTC-PERPETUAL", "0.1", 63_000)
        async for book in await client.subscribe("book.BTC-PERPETUAL.100ms"): ...

Every action is signed here with the owner's key (or a session key); the key never leaves the
process. Amounts and prices go in as Decimal, int or text, and come back as Decimal.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack

from provenue import wire
from provenue._generated.constants import KEYS_PER_ACCOUNT
from provenue.client._chain import Chain, proof_of_answer, read_deployment
from provenue.client._connection import Connection, Request, Subscription
from provenue.client._terms import OrderTerms, signed_terms
from provenue.client._units import Amount, decimal_of, steps_of
from provenue.client.errors import (
    AmountError,
    ClientError,
    DeploymentError,
    DepositError,
    NotFinalError,
    OnChainError,
)
from provenue.client.keys import Key, load_key, parse_address
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
from provenue.client.signing import ActionSigner, NonceSource, clock_ms
from provenue.wire import Action, OrderType, Side

if TYPE_CHECKING:
    from provenue.settlement.deploy import Deployment
    from provenue.settlement.vault import WithdrawalProof

__all__ = ["AsyncClient"]

T = TypeVar("T")
_POLL_S: Final = 0.2
_SUBACCOUNT_MAX: Final = 255  # u8 of the message
_QUOTE_UNIT: Final = 10**6


class AsyncClient:
    """One account of one key on one venue."""

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
        """Without `private_key`, public data only; without `rpc_url`, nothing on the chain.

        `private_key`: 32 bytes, their hexadecimal text, or where they are (`env:NAME`,
        `file:PATH`). A session key needs `account_id` and its `key_slot`; it can act, but private
        data needs the owner's login. `deployment_file` pins the contracts: money goes to no others.
        """
        self._key = _key_of(private_key)
        for field, value, largest in (
            ("subaccount", subaccount, _SUBACCOUNT_MAX),
            ("key_slot", key_slot, KEYS_PER_ACCOUNT - 1),
        ):
            if type(value) is not int or not 0 <= value <= largest:
                raise ValueError(f"{field}: expected 0 to {largest}, was {value!r}")
        if not timeout_s > 0:
            raise ValueError(f"timeout_s: expected a number above 0, was {timeout_s!r}")
        if key_slot and account_id is None:
            raise ValueError("account_id: expected one beside key_slot (a session key acts for it)")
        self._rpc_url = rpc_url
        self._subaccount = subaccount
        self._account_id = account_id
        self._key_slot = key_slot
        self._pinned = Path(deployment_file) if deployment_file is not None else None
        self._connection = Connection(api_url, greet=self._greet, timeout_s=timeout_s)
        self._nonces = NonceSource()
        self._instruments: dict[str, Instrument] = {}
        self._assets: dict[str, tuple[int, int]] = {}
        self._domain: wire.Domain | None = None
        self._deployment: Deployment | None = None
        self._deployment_answer: dict[str, Any] = {}
        self._signer: ActionSigner | None = None
        self._chain: Chain | None = None

    # --- connection ------------------------------------------------------------------------------

    async def connect(self) -> Self:
        """Connect, read what is listed, log in."""
        await self._connection.open()
        return self

    async def close(self) -> None:
        """Disconnect; subscriptions end."""
        await self._connection.close()
        if self._chain is not None:
            self._chain.close()

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def wait_ready(self, timeout_s: float | None = None) -> None:
        """Until connected and logged in (again, after the connection broke)."""
        await self._connection.wait_ready(timeout_s)

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Any method of the API, for what has no function here."""
        return await self._connection.call(method, params)

    async def subscribe(self, channel: str) -> Subscription:
        """Listen to a channel of the API."""
        return await self._connection.subscribe(channel)

    async def _greet(self, request: Request) -> None:
        answer = await request("public/get_deployment", {})
        domain = wire.Domain(
            int(answer["chain_id"]), bytes.fromhex(answer["contracts"]["Anchor"][2:])
        )
        if self._domain is not None and domain != self._domain:
            raise DeploymentError(f"{self._connection.url}: another venue answers than before")
        self._domain, self._deployment_answer = domain, answer
        if self._pinned is not None and self._deployment is None:
            self._deployment = await asyncio.to_thread(read_deployment, answer, self._pinned)
        if self._key is not None and self._key_slot == 0:
            await self._login(request, self._key, domain)

    async def _login(self, request: Request, key: Key, domain: wire.Domain) -> None:
        at_ms, nonce = clock_ms(), secrets.token_hex(8)
        text = (
            "Provenue login\n"
            f"chain: {domain.chain_id}\n"
            f"anchor: 0x{domain.anchor.hex()}\n"
            f"address: 0x{key.address.hex()}\n"
            f"timestamp: {at_ms}\n"
            f"nonce: {nonce}"
        ).encode()
        prefix = b"\x19Ethereum Signed Message:\n" + str(len(text)).encode()
        params = {
            "grant_type": "wallet_signature",
            "address": "0x" + key.address.hex(),
            "timestamp": at_ms,
            "nonce": nonce,
            "signature": key.sign_digest(wire.keccak256(prefix + text)).hex(),
        }
        await request("public/auth", params)

    # --- what is listed --------------------------------------------------------------------------

    async def instruments(self) -> list[Instrument]:
        """Listed instruments."""
        views = await self.call("public/get_instruments")
        self._instruments = {view["instrument_name"]: Instrument.of(view) for view in views}
        return list(self._instruments.values())

    async def _instrument(self, name: str) -> Instrument:
        if str(name) not in self._instruments:
            await self.instruments()
        found = self._instruments.get(str(name))
        if found is None:
            known = ", ".join(self._instruments) or "none"
            raise ClientError(f"instrument: expected one of {known}, was {name!r}")
        return found

    async def _asset(self, currency: str) -> tuple[int, int]:
        """(number, decimals of its unit) of a currency."""
        listed = self._assets
        if str(currency) not in listed:
            listed = await self._listed_assets()
        if str(currency) not in listed:
            known = ", ".join(listed) or "none"
            raise ClientError(f"currency: expected one of {known}, was {currency!r}")
        return listed[str(currency)]

    async def _listed_assets(self) -> dict[str, tuple[int, int]]:
        views = await self.call("public/get_currencies")
        self._assets = {view["currency"]: (view["asset"], view["decimals"]) for view in views}
        return self._assets

    async def _units(self, currency: str, amount: Amount) -> tuple[int, int]:
        """(asset number, amount in its units)."""
        asset, decimals = await self._asset(currency)
        units = steps_of("amount", amount, numerator=1, denominator=10**decimals)
        if units == 0:
            raise AmountError("amount: expected more than 0, was 0")
        return asset, units

    # --- market data -----------------------------------------------------------------------------

    async def book(self, instrument: str, depth: int = 10) -> Book:
        """The best levels of both sides."""
        params = {"instrument_name": instrument, "depth": depth}
        return Book.of(await self.call("public/get_order_book", params))

    async def ticker(self, instrument: str) -> Ticker:
        """Best prices, mark, last."""
        return Ticker.of(await self.call("public/ticker", {"instrument_name": instrument}))

    async def last_trades(self, instrument: str, count: int = 10) -> list[PublicTrade]:
        """Newest trades of everyone, newest first."""
        params = {"instrument_name": instrument, "count": count}
        answer = await self.call("public/get_last_trades_by_instrument", params)
        return [PublicTrade.of(view) for view in answer["trades"]]

    # --- the account -----------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The key's address."""
        return self._require_key().address_text

    async def account_id(self) -> int:
        """The account's id; ClientError before its first deposit."""
        found = await self._find_account()
        if found is None:
            raise ClientError(f"{self.address}: no account is open; deposit first")
        return found

    async def _find_account(self) -> int | None:
        if self._account_id is None:
            address = "0x" + self._require_key().address.hex()
            accounts = await self.call("public/get_accounts", {"address": address})
            for view in accounts:
                if view["subaccount"] == self._subaccount:
                    self._account_id = int(view["account"])
        return self._account_id

    async def account(self) -> Account:
        """Equity, margins and balances."""
        params = {"account": str(await self.account_id())}
        view = await self.call("private/get_account_summaries", params)
        names = [s["currency"] for s in view["summaries"]]
        decimals = {name: (await self._asset(name))[1] for name in names}
        return Account.of(view, decimals)

    async def positions(self) -> list[Position]:
        """Perpetual positions."""
        params = {"account": str(await self.account_id())}
        return [Position.of(view) for view in await self.call("private/get_positions", params)]

    async def open_orders(self, instrument: str | None = None) -> list[Order]:
        """Resting orders, oldest first."""
        params: dict[str, Any] = {"account": str(await self.account_id())}
        method = "private/get_open_orders"
        if instrument is not None:
            method += "_by_instrument"
            params["instrument_name"] = instrument
        return [Order.of(view) for view in await self.call(method, params)]

    async def order(self, order_id: int) -> Order:
        """One order of one's own, whatever became of it."""
        params = {"account": str(await self.account_id()), "order_id": str(order_id)}
        return Order.of(await self.call("private/get_order_state", params))

    async def trades(self, instrument: str | None = None, count: int = 20) -> list[Trade]:
        """One's own trades, newest first."""
        params: dict[str, Any] = {"account": str(await self.account_id()), "count": count}
        if instrument is None:
            answer = await self.call("private/get_user_trades_by_currency", params)
        else:
            params["instrument_name"] = instrument
            answer = await self.call("private/get_user_trades_by_instrument", params)
        return [Trade.of(view) for view in answer["trades"]]

    # --- trading ---------------------------------------------------------------------------------

    async def buy(
        self,
        instrument: str,
        amount: Amount,
        price: Amount | None = None,
        **terms: Unpack[OrderTerms],
    ) -> Order:
        """A limit order, or without `price` a market order (bounded around the mark).

        `terms`: see OrderTerms, as `time_in_force="fill_or_kill"` or `post_only=True`.
        """
        return await self.place(Side.BUY, instrument, amount, price, **terms)

    async def sell(
        self,
        instrument: str,
        amount: Amount,
        price: Amount | None = None,
        **terms: Unpack[OrderTerms],
    ) -> Order:
        """A limit order, or without `price` a market order (bounded around the mark); terms as in
        `buy`.
        """
        return await self.place(Side.SELL, instrument, amount, price, **terms)

    async def place(
        self,
        side: Side,
        instrument: str,
        amount: Amount,
        price: Amount | None,
        **terms: Unpack[OrderTerms],
    ) -> Order:
        """What `buy` and `sell` do."""
        listed = await self._instrument(instrument)
        arguments = signed_terms(terms) | _priced(listed, amount, price)
        action = (await self._require_signer()).place(
            instrument=listed.number, side=side, **arguments
        )
        return _with_trades(await self._submit(action))

    async def amend(
        self, order: Order | int, *, amount: Amount | None = None, price: Amount | None = None
    ) -> Order:
        """Another price or amount (what is filled counts into it) for a resting order.

        It keeps its id, and its place in the queue if only the amount becomes smaller. What is left
        out stays as `order` has it; an id alone is looked up, which needs the owner's key.
        """
        if amount is None and price is None:
            raise ValueError("amend: expected amount or price, was neither")
        order = await self._found(order)
        listed = await self._instrument(order.instrument)
        if price is None and order.price is None:
            raise ValueError("price: expected one (the order is a market order), was None")
        lots = order.amount if amount is None else amount
        arguments = _priced(listed, lots, order.price if price is None else price)
        del arguments["order_type"]  # an amended order stays what it is
        action = (await self._require_signer()).amend(order.id, **arguments)
        return _with_trades(await self._submit(action))

    async def replace(
        self,
        order: Order | int,
        amount: Amount,
        price: Amount | None = None,
        **terms: Unpack[OrderTerms],
    ) -> Order:
        """Cancel an order and place another in its book, on its side: both, or neither.

        What the old one has filled counts into `amount`, so that a fill on the way does not enlarge
        the whole. Nothing else is taken over: terms as in `buy`.
        """
        order = await self._found(order)
        listed = await self._instrument(order.instrument)
        arguments = signed_terms(terms) | _priced(listed, amount, price)
        action = (await self._require_signer()).replace(order.id, **arguments)
        return _with_trades(await self._submit(action))

    async def _found(self, order: Order | int) -> Order:
        return order if isinstance(order, Order) else await self.order(order)

    async def cancel(self, order: Order | int) -> Order:
        """Cancel one order."""
        order_id = order.id if isinstance(order, Order) else order
        return Order.of(await self._submit((await self._require_signer()).cancel(order_id)))

    async def cancel_by_label(self, label: int, instrument: str | None = None) -> int:
        """Cancel all orders with a label (of one instrument); how many there were."""
        signer = await self._require_signer()
        if instrument is None:
            return int(await self._submit(signer.cancel_label(label)))
        number = (await self._instrument(instrument)).number
        return int(await self._submit(signer.cancel_label(label, number)))

    async def cancel_all(self, instrument: str | None = None) -> int:
        """Cancel all orders (of one instrument); how many there were."""
        signer = await self._require_signer()
        if instrument is None:
            return int(await self._submit(signer.cancel_all()))
        return int(
            await self._submit(signer.cancel_all((await self._instrument(instrument)).number))
        )

    async def set_key(
        self, slot: int, key_address: str, scope: int, *, key_expires_at_ms: int = 0
    ) -> None:
        """Give a session key (slot 1 to 3) its rights: the sum of SCOPE_TRADE, SCOPE_CANCEL and
        SCOPE_WITHDRAW of the protocol; it never expires with 0.
        """
        signer = await self._require_signer()
        address = parse_address(key_address)
        await self._submit(
            signer.set_key(
                slot=slot,
                key_address=address,
                scope=scope,
                key_expires_at_ms=key_expires_at_ms,
            )
        )

    async def revoke_key(self, slot: int) -> None:
        """Take a session key's rights."""
        await self._submit((await self._require_signer()).revoke_key(slot))

    async def _submit(self, action: Action) -> Any:
        message = wire.encode(action).hex()
        return (await self.call("public/submit", {"message": message}))["result"]

    # --- custody ---------------------------------------------------------------------------------

    async def deposit(self, currency: str, amount: Amount, *, timeout_s: float = 120.0) -> int:
        """Approve and deposit on the chain, wait until the venue has taken it; the account's id."""
        asset, units = await self._units(currency, amount)
        chain = await self._require_chain()
        item = await _on_chain(
            chain.deposit,
            asset=asset,
            amount_units=units,
            owner=self.address,
            subaccount=self._subaccount,
        )
        await self._wait_for_inbox(item, timeout_s)
        account = await self._find_account()
        if account is None:
            raise DepositError(
                f"deposit: {amount} {currency} opened no account (too small, or the table is "
                "full); it was issued back to you as a withdrawal"
            )
        return account

    async def _wait_for_inbox(self, item: int, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    status = await self.call("public/status")
                    if status["inbox_consumed"] > item:
                        return
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise DepositError(
                f"deposit: in the vault as inbox item {item}, not taken by the venue after "
                f"{timeout_s:g} s; it will be when the venue works again"
            ) from None

    async def withdraw(self, currency: str, amount: Amount, to: str | None = None) -> int:
        """Move a balance into the withdrawal tree, for an address on the chain (one's own);
        the withdrawal's id.
        """
        asset, units = await self._units(currency, amount)
        recipient = self._require_key().address if to is None else parse_address(to)
        signer = await self._require_signer()
        action = signer.withdraw(asset=asset, amount_units=units, recipient=recipient)
        return int((await self._submit(action))["id"])

    async def prove(self, withdrawal_id: int, *, timeout_s: float = 0.0) -> WithdrawalProof:
        """The proof that the vault pays against, checked here against the chain's final root.

        NotFinalError when its batch is not final within `timeout_s`; ProofError when the venue's
        proof is wrong.
        """
        chain = await self._require_chain()
        end_s = asyncio.get_running_loop().time() + timeout_s
        while True:
            answer = await self.call("public/get_withdrawal_proof", {"id": withdrawal_id})
            if answer["final"]:
                break
            if asyncio.get_running_loop().time() >= end_s:
                raise NotFinalError(
                    f"withdrawal {withdrawal_id}: batch {answer['batch']} is not final yet"
                )
            await asyncio.sleep(_POLL_S)
        proof = proof_of_answer(answer)
        await _on_chain(chain.verify, proof)
        return proof

    async def claim(
        self, withdrawal: int | WithdrawalProof, *, timeout_s: float = 120.0
    ) -> Decimal:
        """Have the vault pay a withdrawal; the amount that was paid."""
        from provenue.settlement.vault import WithdrawalProof

        chain = await self._require_chain()
        proof = (
            withdrawal
            if isinstance(withdrawal, WithdrawalProof)
            else await self.prove(withdrawal, timeout_s=timeout_s)
        )
        paid = await _on_chain(chain.claim, proof)
        decimals = dict((await self._listed_assets()).values())
        return decimal_of(paid, 10 ** decimals[proof.asset])

    async def is_paid(self, withdrawal_id: int) -> bool:
        """Whether the vault has paid a withdrawal."""
        return await _on_chain((await self._require_chain()).is_paid, withdrawal_id)

    async def wallet_balance(self, currency: str) -> Decimal:
        """What the key's address holds on the chain, outside the venue."""
        asset, decimals = await self._asset(currency)
        chain = await self._require_chain()
        units = await _on_chain(chain.token_balance_units, asset, self.address)
        return decimal_of(units, 10**decimals)

    async def forced_withdraw(self, currency: str, amount: Amount, to: str | None = None) -> str:
        """Withdraw through the chain, when the operator does not answer; the transaction hash."""
        asset, units = await self._units(currency, amount)
        chain = await self._require_chain()
        return await _on_chain(
            chain.forced_withdraw,
            subaccount=self._subaccount,
            asset=asset,
            amount_units=units,
            recipient=to or self.address,
        )

    async def forced_cancel(self) -> str:
        """Cancel all orders through the chain; the transaction hash."""
        chain = await self._require_chain()
        return await _on_chain(chain.forced_cancel, subaccount=self._subaccount)

    async def forced_close(self) -> str:
        """Close every position through the chain (chapter 12); the transaction hash."""
        chain = await self._require_chain()
        return await _on_chain(chain.forced_close, subaccount=self._subaccount)

    async def forced_revoke(self, slot: int) -> str:
        """Revoke a session key through the chain; the transaction hash."""
        chain = await self._require_chain()
        return await _on_chain(chain.forced_revoke, subaccount=self._subaccount, slot=slot)

    # --- what is needed --------------------------------------------------------------------------

    def _require_key(self) -> Key:
        if self._key is None:
            raise ClientError("private_key: this needs one; the client was made without")
        return self._key

    async def _require_signer(self) -> ActionSigner:
        if self._signer is None:
            key, account = self._require_key(), await self.account_id()
            assert self._domain is not None
            self._signer = ActionSigner(
                self._domain, account, self._key_slot, key, nonces=self._nonces
            )
        return self._signer

    async def _require_chain(self) -> Chain:
        if self._chain is None:
            key = self._require_key()
            if self._rpc_url is None:
                raise ClientError("rpc_url: this needs a node; the client was made without")
            if self._deployment is None:
                self._deployment = await asyncio.to_thread(
                    read_deployment, self._deployment_answer, self._pinned
                )
            self._chain = await _on_chain(Chain, self._deployment, self._rpc_url, key)
        return self._chain


async def _on_chain(call: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """A blocking call of the chain's side in a thread, its errors in the SDK's tree."""
    from provenue.settlement.rpc import ChainError

    try:
        return await asyncio.to_thread(call, *arguments, **named)
    except ChainError as problem:
        raise OnChainError(str(problem)) from problem


def _key_of(private_key: Key | bytes | str | None) -> Key | None:
    if private_key is None or isinstance(private_key, Key):
        return private_key
    return Key(private_key) if isinstance(private_key, bytes) else load_key(private_key)


def _priced(listed: Instrument, amount: Amount, price: Amount | None) -> dict[str, Any]:
    """Size and price of an order in lots and ticks; without a price it is a market order."""
    ticks = 0
    if price is not None:
        ticks = steps_of("price", price, numerator=listed.tick_size_units, denominator=_QUOTE_UNIT)
    return {
        "size_lots": steps_of("amount", amount, numerator=1, denominator=listed.lots_per_base),
        "price_ticks": ticks,
        "order_type": OrderType.LIMIT if price is not None else OrderType.MARKET,
    }


def _with_trades(result: dict[str, Any]) -> Order:
    return Order.of(result["order"], result["trades"])
