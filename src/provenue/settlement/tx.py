"""Transactions: signing, nonces, fees, waiting.

A `Sender` may be used from many threads, and several senders of one address in one process share
one nonce book: nonces are handed out under a lock per (node, address) and read again from the chain
when it disagrees.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any

import coincurve
import rlp

from provenue.settlement.chain_types import (
    Receipt,
    from_hex,
    keccak256,
    normalise_address,
    to_checksum,
    to_hex,
)
from provenue.settlement.rpc import ChainError, Rpc, RpcError, RpcUnavailableError

__all__ = [
    "Account",
    "NotMinedError",
    "PendingTx",
    "RevertedError",
    "Sender",
    "calldata_floor_gas",
    "forget_nonces",
]

_CURVE_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_PRIORITY_FEE_FALLBACK_WEI = 1_000_000_000
_SEND_ATTEMPTS = 4
# Head room over the estimate: state may move between estimating and mining.
_GAS_MARGIN_PPM = 200_000
_POLL_S_FIRST, _POLL_S_LAST = 0.002, 0.25


class RevertedError(ChainError):
    """The contract refused. `reason` is its own text ("" when it gave none)."""

    def __init__(self, reason: str, *, receipt: Receipt | None = None, what: str = "") -> None:
        self.reason = reason
        self.receipt = receipt
        where = f" (mined in {receipt.tx_hash}, {receipt.gas_used} gas)" if receipt else ""
        place = f"{what}: " if what and not reason else ""
        super().__init__(f"{place}reverted: {reason or 'no reason given'}{where}")


class NotMinedError(ChainError):
    """The transaction was handed in but not mined in time; it may still be."""


class Account:
    """A private key and its address. The key never appears in repr or errors."""

    __slots__ = ("_key", "address")

    def __init__(self, private_key: bytes | str) -> None:
        raw = from_hex(private_key, "private key") if isinstance(private_key, str) else private_key
        if len(raw) != 32 or not 0 < int.from_bytes(raw, "big") < _CURVE_ORDER:
            raise ValueError(
                "private key: expected 32 bytes, as a number from 1 below the curve order"
            )
        self._key = coincurve.PrivateKey(raw)
        point = self._key.public_key.format(compressed=False)
        self.address: str = to_checksum(keccak256(point[1:])[12:])

    def __repr__(self) -> str:
        return f"Account({self.address})"

    def sign_digest(self, digest: bytes) -> tuple[int, int, int]:
        """(y parity, r, s) over 32 bytes; s is always in the lower half."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return signature[64], r, s

    def sign_transaction(
        self,
        *,
        chain_id: int,
        nonce: int,
        max_priority_fee_per_gas: int,
        max_fee_per_gas: int,
        gas: int,
        to: str | None,
        value: int,
        data: bytes,
    ) -> bytes:
        """An EIP-1559 transaction as it travels; its hash is `keccak256` of the result."""
        target = b"" if to is None else from_hex(normalise_address(to, "to"))
        body: list[Any] = [
            chain_id, nonce, max_priority_fee_per_gas, max_fee_per_gas, gas, target, value, data,
            [],  # access list
        ]  # fmt: skip
        parity, r, s = self.sign_digest(keccak256(b"\x02" + rlp.encode(body)))
        return b"\x02" + bytes(rlp.encode([*body, parity, r, s]))


@dataclasses.dataclass(frozen=True, slots=True)
class PendingTx:
    """A transaction that was handed in; `Sender.wait` turns it into a receipt."""

    tx_hash: str
    nonce: int
    to: str | None
    data: bytes
    value: int
    gas: int
    priority_fee_wei: int
    max_fee_wei: int


class _NonceBook:
    """Nonces of one address at one node."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.in_flight: dict[int, str] = {}

    def next(self, pending_nonce: int) -> int:
        """The next free nonce; nodes behind a balancer may not know our newest transactions yet.

        Without transactions in flight the chain alone decides, so that a reset chain (evm_revert, a
        fresh local chain at the same port) is followed.
        """
        for nonce in [n for n in self.in_flight if n < pending_nonce]:
            del self.in_flight[nonce]
        return max(self.in_flight, default=pending_nonce - 1) + 1


_books: dict[tuple[str, str], _NonceBook] = {}
_books_lock = threading.Lock()


def _book_of(rpc: Rpc, address: str) -> _NonceBook:
    with _books_lock:
        return _books.setdefault((rpc.url, address), _NonceBook())


def calldata_floor_gas(data: bytes) -> int:
    """The least a transaction with this calldata costs since Prague (EIP-7623)."""
    zeros = data.count(0)
    return 21_000 + 10 * zeros + 40 * (len(data) - zeros)


def forget_nonces(url: str) -> None:
    """Drop what is remembered about unfinished transactions at a node that was set back."""
    with _books_lock:
        books = [book for (at, _), book in _books.items() if at == url]
    for book in books:
        with book.lock:
            book.in_flight.clear()


class Sender:
    """Sends transactions of one account through one node."""

    def __init__(
        self,
        rpc: Rpc,
        account: Account,
        *,
        timeout_s: float = 120.0,
        max_fee_per_gas_wei: int | None = None,
    ) -> None:
        """`max_fee_per_gas_wei` caps what is bid; the default bids twice the base fee plus the
        tip.
        """
        self.rpc = rpc
        self.account = account
        self._timeout_s = timeout_s
        self._fee_cap_wei = max_fee_per_gas_wei
        self._book = _book_of(rpc, account.address)

    @property
    def address(self) -> str:
        return self.account.address

    def send(
        self, to: str | None, data: bytes = b"", value: int = 0, gas: int | None = None
    ) -> Receipt:
        """Send and wait. RevertedError carries the contract's reason; nothing is sent when the
        estimate already reverts. `to=None` creates a contract. A given `gas` skips the estimate."""
        return self.wait(self.submit(to, data, value, gas))

    def submit(
        self, to: str | None, data: bytes = b"", value: int = 0, gas: int | None = None
    ) -> PendingTx:
        """Hand a transaction in without waiting for it."""
        if gas is None:
            gas = self._estimate(to, data, value)
        elif gas < (floor := calldata_floor_gas(data)):
            # Some nodes take such a transaction and never mine it, which blocks all later nonces.
            raise ChainError(f"gas: {gas} is below the calldata floor of {floor} (EIP-7623)")
        priority, fee = self._fees()
        last_error: RpcError | None = None
        for _ in range(_SEND_ATTEMPTS):
            with self._book.lock:
                nonce = self._book.next(self.rpc.nonce(self.address))
                pending = PendingTx("", nonce, to, data, value, gas, priority, fee)
                raw = self._sign(pending)
                tx_hash = to_hex(keccak256(raw))
                try:
                    self._hand_in(raw, tx_hash)
                except RpcError as error:
                    message = error.message.lower()
                    if "nonce too low" in message or "replacement" in message:
                        # Someone else uses this key, or the node lagged: read the nonce again.
                        self._book.in_flight.clear()
                        last_error = error
                        continue
                    if error.is_revert:
                        raise RevertedError(error.reason or "") from error
                    raise
                self._book.in_flight[nonce] = tx_hash
                return dataclasses.replace(pending, tx_hash=tx_hash)
        raise ChainError(
            f"{self.address}: no free nonce after {_SEND_ATTEMPTS} attempts "
            f"({last_error}); is another process sending with this key?"
        )

    def wait(self, pending: PendingTx, *, reprice_after_s: float | None = None) -> Receipt:
        """The receipt of a transaction handed in by `submit`; raises like `send`.

        With `reprice_after_s`, it is handed in again with higher fees each time it has waited so
        long: fees that were enough when it was signed may not be any more.
        """
        deadline = time.monotonic() + self._timeout_s
        pause = _POLL_S_FIRST
        copies = [pending]
        reprice_at = deadline if reprice_after_s is None else time.monotonic() + reprice_after_s
        while (receipt := self._any_receipt(copies)) is None:
            if reprice_after_s is not None and time.monotonic() >= reprice_at:
                copies.append(self._reprice(copies[-1]))
                reprice_at = time.monotonic() + reprice_after_s
            if time.monotonic() >= deadline:
                self._forget(pending)  # whether its nonce is taken, the node knows best from here
                raise NotMinedError(
                    f"{pending.tx_hash} (nonce {pending.nonce} of {self.address}) was not mined "
                    f"within {self._timeout_s:g} s; it may still be"
                )
            time.sleep(pause)
            pause = min(_POLL_S_LAST, pause * 1.5)
        self._forget(pending)
        if not receipt.succeeded:
            raise RevertedError(self._replay_reason(pending, receipt), receipt=receipt)
        return receipt

    def _any_receipt(self, copies: list[PendingTx]) -> Receipt | None:
        """Of a transaction that was signed more than once: at most one copy is ever mined."""
        found = (self.rpc.receipt(copy.tx_hash) for copy in copies)
        return next((receipt for receipt in found if receipt is not None), None)

    def _reprice(self, pending: PendingTx) -> PendingTx:
        """The same transaction for more: nodes take a copy that bids at least a tenth more."""
        priority, fee = self._fees()
        dearer = dataclasses.replace(
            pending,
            priority_fee_wei=max(priority, pending.priority_fee_wei * 5 // 4 + 1),
            max_fee_wei=max(fee, pending.max_fee_wei * 5 // 4 + 1),
        )
        if self._fee_cap_wei is not None and dearer.max_fee_wei > self._fee_cap_wei:
            return pending
        raw = self._sign(dearer)
        dearer = dataclasses.replace(dearer, tx_hash=to_hex(keccak256(raw)))
        try:
            self._hand_in(raw, dearer.tx_hash)
        except RpcError:
            return pending  # mined meanwhile, or the node wants more: the next one bids it
        return dearer

    def _sign(self, tx: PendingTx) -> bytes:
        return self.account.sign_transaction(
            chain_id=self.rpc.chain_id(),
            nonce=tx.nonce,
            max_priority_fee_per_gas=tx.priority_fee_wei,
            max_fee_per_gas=tx.max_fee_wei,
            gas=tx.gas,
            to=tx.to,
            value=tx.value,
            data=tx.data,
        )

    def _forget(self, pending: PendingTx) -> None:
        with self._book.lock:
            if self._book.in_flight.get(pending.nonce) == pending.tx_hash:
                del self._book.in_flight[pending.nonce]

    def _estimate(self, to: str | None, data: bytes, value: int) -> int:
        try:
            gas = self.rpc.estimate_gas(to, data, from_=self.address, value=value)
        except RpcError as error:
            if error.is_revert:
                raise RevertedError(error.reason or "") from error
            raise
        return gas + gas * _GAS_MARGIN_PPM // 1_000_000

    def _fees(self) -> tuple[int, int]:
        try:
            priority = int(self.rpc.call("eth_maxPriorityFeePerGas"), 16)
        except RpcError:
            priority = _PRIORITY_FEE_FALLBACK_WEI
        fee = 2 * self.rpc.head().base_fee_per_gas + priority
        if self._fee_cap_wei is not None:
            fee = min(fee, self._fee_cap_wei)
            priority = min(priority, fee)
        return priority, fee

    def _hand_in(self, raw: bytes, tx_hash: str) -> None:
        """Send the same bytes until the node is known to have them: one nonce, so at most one
        effect.
        """
        for attempt in range(_SEND_ATTEMPTS):
            try:
                self.rpc.send_raw(raw)
                return
            except RpcError as error:
                message = error.message.lower()
                if "already known" in message or "already imported" in message:
                    return
                # After a lost answer the first copy may have been mined: then it is ours.
                if attempt and self.rpc.call("eth_getTransactionByHash", tx_hash) is not None:
                    return
                raise
            except RpcUnavailableError:
                if attempt + 1 == _SEND_ATTEMPTS:
                    raise
                time.sleep(0.1 * 2**attempt)

    def _replay_reason(self, pending: PendingTx, receipt: Receipt) -> str:
        """Ask for the reason by running the call again around its block; "" when it does not
        repeat.
        """
        for block in (receipt.block_number - 1, receipt.block_number):
            try:
                self.rpc.eth_call(
                    pending.to,
                    pending.data,
                    from_=self.address,
                    value=pending.value,
                    gas=pending.gas,
                    block=block,
                )
            except RpcError as error:
                if error.is_revert:
                    return error.reason or ""
                if "out of gas" in error.message.lower() or "outofgas" in error.message.lower():
                    return f"out of gas (limit {pending.gas})"
        if receipt.gas_used * 64 >= pending.gas * 63:
            return f"out of gas (limit {pending.gas})"
        return ""
