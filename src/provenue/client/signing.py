"""Signing an account's actions: nonces, expiries, EIP-712."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypedDict, Unpack

from provenue._generated.constants import KEYS_PER_ACCOUNT, NONCE_MAX, NONE_U16
from provenue.client.keys import Key
from provenue.wire import (
    Amend,
    Cancel,
    CancelAll,
    CancelLabel,
    Domain,
    OrderFlag,
    OrderType,
    Place,
    Replace,
    SelfTrade,
    SetKey,
    Side,
    SignedT,
    TimeInForce,
    Withdraw,
)

__all__ = ["ActionSigner", "NonceSource", "SignedTerms", "clock_ms"]

# Long enough for a slow venue, short enough that a forgotten action soon is worth nothing.
VALID_MS: Final = 60_000
_ADDRESS_ZERO: Final = bytes(20)


def clock_ms() -> int:
    """The system's time."""
    return time.time_ns() // 1_000_000


class NonceSource:
    """Nonces of one key: the time in ms, or one more than the last if that is not above it.

    Time lets several processes share a key and survives restarts without a file. The program
    keeps a window of NONCE_WINDOW nonces below the highest, so actions of one key may overtake
    each other by that many milliseconds. Safe to use from several threads.
    """

    def __init__(self, *, clock: Callable[[], int] = clock_ms, after: int = 0) -> None:
        self._clock = clock
        self._last = after
        self._lock = threading.Lock()

    def next(self) -> int:
        """A nonce that this source has not given before."""
        with self._lock:
            self._last = max(self._clock(), self._last + 1)
            assert self._last <= NONCE_MAX
            return self._last


class SignedTerms(TypedDict, total=False):
    """How an order behaves, as it is signed. Each may be left out."""

    order_type: OrderType
    time_in_force: TimeInForce | None
    """Without it a limit order is good till cancelled, a market order immediate or cancel."""
    good_till_s: int
    """In seconds since 1970; goes with GOOD_TILL_TIME."""
    post_only: bool
    slide: bool
    """Goes with `post_only`."""
    reduce_only: bool
    self_trade: SelfTrade
    client_id: int


class ActionSigner:
    """Makes signed actions of one account with one of its keys.

    `account_id` is `generation << 32 | index`; `key_slot` is 0 for the owner, 1 to 3 for session
    keys. Each action gets a new nonce and expires `valid_ms` from now, unless given.
    """

    def __init__(
        self,
        domain: Domain,
        account_id: int,
        key_slot: int,
        key: Key | bytes,
        *,
        clock: Callable[[], int] = clock_ms,
        nonces: NonceSource | None = None,
        valid_ms: int = VALID_MS,
    ) -> None:
        if not 0 <= key_slot < KEYS_PER_ACCOUNT:
            raise ValueError(f"key_slot: expected 0 to {KEYS_PER_ACCOUNT - 1}, was {key_slot}")
        if not 0 < account_id < 1 << 64:
            raise ValueError(f"account_id: expected 1 to 2^64 - 1, was {account_id}")
        if valid_ms <= 0:
            raise ValueError(f"valid_ms: expected a positive number, was {valid_ms}")
        self.domain = domain
        self.account_id = account_id
        self.key_slot = key_slot
        self.valid_ms = valid_ms
        self._key = key if isinstance(key, Key) else Key(key)
        self._clock = clock
        self._nonces = nonces or NonceSource(clock=clock)

    @property
    def address(self) -> bytes:
        """The address that the signatures recover to."""
        return self._key.address

    def _sign(self, action: SignedT) -> SignedT:
        return self._key.sign(action, self.domain)

    def _head(self, nonce: int | None, expires_at_ms: int | None) -> dict[str, Any]:
        """What every action begins with."""
        return {
            "account": self.account_id,
            "key": self.key_slot,
            "nonce": self._nonces.next() if nonce is None else nonce,
            "expires_at_ms": (
                self._clock() + self.valid_ms if expires_at_ms is None else expires_at_ms
            ),
        }

    def place(
        self,
        *,
        instrument: int,
        side: Side,
        size_lots: int,
        price_ticks: int,
        nonce: int | None = None,
        expires_at_ms: int | None = None,
        **terms: Unpack[SignedTerms],
    ) -> Place:
        """An order. A market order's price 0 means no bound of its own."""
        return self._sign(
            Place(
                **self._head(nonce, expires_at_ms),
                instrument=instrument,
                side=side,
                price_ticks=price_ticks,
                size_lots=size_lots,
                **_signed_terms(**terms),
            )
        )

    def amend(
        self,
        order_id: int,
        *,
        price_ticks: int,
        size_lots: int,
        nonce: int | None = None,
        expires_at_ms: int | None = None,
    ) -> Amend:
        """Another price or size for a resting order; `size_lots` counts what is filled, too."""
        return self._sign(
            Amend(
                **self._head(nonce, expires_at_ms),
                order_id=order_id,
                price_ticks=price_ticks,
                size_lots=size_lots,
            )
        )

    def replace(
        self,
        order_id: int,
        *,
        size_lots: int,
        price_ticks: int,
        nonce: int | None = None,
        expires_at_ms: int | None = None,
        **terms: Unpack[SignedTerms],
    ) -> Replace:
        """Cancel an order and place another in its book, on its side; both or neither.

        `size_lots` counts what the old order has filled, so that a fill on the way does not
        enlarge the whole. The rest as in `place`.
        """
        return self._sign(
            Replace(
                **self._head(nonce, expires_at_ms),
                order_id=order_id,
                price_ticks=price_ticks,
                size_lots=size_lots,
                **_signed_terms(**terms),
            )
        )

    def cancel(
        self, order_id: int, *, nonce: int | None = None, expires_at_ms: int | None = None
    ) -> Cancel:
        """Cancel one order."""
        return self._sign(
            Cancel(
                **self._head(nonce, expires_at_ms),
                order_id=order_id,
            )
        )

    def cancel_all(
        self,
        instrument: int = NONE_U16,
        *,
        nonce: int | None = None,
        expires_at_ms: int | None = None,
    ) -> CancelAll:
        """Cancel all orders, or those of one instrument."""
        return self._sign(
            CancelAll(
                **self._head(nonce, expires_at_ms),
                instrument=instrument,
            )
        )

    def cancel_label(
        self,
        client_id: int,
        instrument: int = NONE_U16,
        *,
        nonce: int | None = None,
        expires_at_ms: int | None = None,
    ) -> CancelLabel:
        """Cancel all orders with a client id, or those of them in one instrument."""
        return self._sign(
            CancelLabel(
                **self._head(nonce, expires_at_ms),
                instrument=instrument,
                client_id=client_id,
            )
        )

    def withdraw(
        self,
        *,
        asset: int,
        amount_units: int,
        recipient: bytes,
        nonce: int | None = None,
        expires_at_ms: int | None = None,
    ) -> Withdraw:
        """Move a balance into the withdrawal tree, for `recipient` on the chain."""
        return self._sign(
            Withdraw(
                **self._head(nonce, expires_at_ms),
                asset=asset,
                amount_units=amount_units,
                recipient=recipient,
            )
        )

    def set_key(
        self,
        *,
        slot: int,
        key_address: bytes,
        scope: int,
        key_expires_at_ms: int = 0,
        nonce: int | None = None,
        expires_at_ms: int | None = None,
    ) -> SetKey:
        """Give a session key its rights until it expires (0: never)."""
        return self._sign(
            SetKey(
                **self._head(nonce, expires_at_ms),
                slot=slot,
                key_address=key_address,
                scope=scope,
                key_expires_at_ms=key_expires_at_ms,
            )
        )

    def revoke_key(
        self, slot: int, *, nonce: int | None = None, expires_at_ms: int | None = None
    ) -> SetKey:
        """Take a session key's rights."""
        return self.set_key(
            slot=slot,
            key_address=_ADDRESS_ZERO,
            scope=0,
            nonce=nonce,
            expires_at_ms=expires_at_ms,
        )


def _signed_terms(
    *,
    order_type: OrderType = OrderType.LIMIT,
    time_in_force: TimeInForce | None = None,
    good_till_s: int = 0,
    post_only: bool = False,
    slide: bool = False,
    reduce_only: bool = False,
    self_trade: SelfTrade = SelfTrade.CANCEL_MAKER,
    client_id: int = 0,
) -> dict[str, Any]:
    if time_in_force is None:
        market = order_type == OrderType.MARKET
        time_in_force = (
            TimeInForce.IMMEDIATE_OR_CANCEL if market else TimeInForce.GOOD_TILL_CANCELLED
        )
    flags = (
        OrderFlag.POST_ONLY * post_only
        | OrderFlag.SLIDE * slide
        | OrderFlag.REDUCE_ONLY * reduce_only
    )
    return {
        "order_type": order_type,
        "time_in_force": time_in_force,
        "flags": flags,
        "self_trade": self_trade,
        "client_id": client_id,
        "good_till_s": good_till_s,
    }
