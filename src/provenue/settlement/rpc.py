"""A small JSON-RPC client for an EVM node: sync, safe to share between threads, usable from
asyncio.

Connections are kept and reused. A call is repeated after a transport failure only when repeating it
cannot change anything; sending a transaction is repeated by `tx.Sender`, which knows how.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import itertools
import json
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Sequence
from typing import Any

from provenue.settlement.chain_types import (
    Block,
    BlockId,
    Log,
    Receipt,
    block_param,
    from_hex,
    to_hex,
)
from provenue.settlement.reverts import revert_reason

__all__ = ["ChainError", "Rpc", "RpcError", "RpcUnavailableError"]

_IDEMPOTENT_PREFIXES = ("eth_get", "net_", "web3_")
_IDEMPOTENT = frozenset({
    "eth_accounts", "eth_blockNumber", "eth_call", "eth_chainId", "eth_estimateGas",
    "eth_feeHistory", "eth_gasPrice", "eth_maxPriorityFeePerGas", "eth_syncing",
})  # fmt: skip
_MAX_IDLE_CONNECTIONS = 8
_MAX_LOG_CHUNK_BLOCKS = 2_000
# What nodes say when a log range holds too much; only then is it worth asking for less.
_RANGE_COMPLAINTS = ("range", "too many", "limit", "more than", "exceed", "too large")


class ChainError(Exception):
    """Everything that can go wrong between us and a chain."""


class RpcUnavailableError(ChainError):
    """The node did not answer (or not with JSON-RPC)."""


class RpcError(ChainError):
    """The node answered with an error. `reason` is the contract's reason when it was a revert."""

    def __init__(self, code: int, message: str, data: Any = None, *, method: str = "") -> None:
        self.code = code
        self.message = message
        self.data = data
        self.method = method
        self.revert_data = _find_revert_data(data)
        self.reason = revert_reason(self.revert_data)
        if self.reason is None and self.is_revert:
            self.reason = message.partition("execution reverted")[2].lstrip(": ") or ""
        said = f": {self.reason}" if self.reason and self.reason not in message else ""
        super().__init__(f"{method or 'rpc'}: {message}{said} (code {code})")

    @property
    def is_revert(self) -> bool:
        """True when a contract refused, as opposed to the node."""
        return self.code == 3 or "revert" in self.message.lower()


def _find_revert_data(data: Any) -> bytes | None:
    """Revert bytes from where the various nodes put them: the string itself, or `data` inside."""
    if isinstance(data, dict):
        data = data.get("data") or data.get("result")
    if isinstance(data, str):
        text = data.removeprefix("Reverted ")
        if text.startswith("0x"):
            try:
                return from_hex(text)
            except ValueError:
                return None
    return None


class Rpc:
    """A node at `url`. All methods are blocking; `acall` and `asyncio.to_thread` serve
    coroutines.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0, attempts: int = 3) -> None:
        parts = _parse_url(url)
        self.url = url
        self._parts = parts
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_s = timeout_s
        self._attempts = max(1, attempts)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if parts.username is not None:
            user = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}")
            self._headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._chain_id: int | None = None

    @property
    def name(self) -> str:
        """The node for messages: scheme, host and port, never the path (it often holds a key)."""
        host = self._parts.hostname or ""
        return f"{self._parts.scheme}://{host}" + (
            f":{self._parts.port}" if self._parts.port else ""
        )

    # -- transport -------------------------------------------------------------------------------

    def call(self, method: str, *params: Any) -> Any:
        """One JSON-RPC call; returns `result` or raises RpcError / RpcUnavailableError."""
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        retry = method in _IDEMPOTENT or method.startswith(_IDEMPOTENT_PREFIXES)
        answer = self._exchange(json.dumps(request).encode(), method=method, retry=retry)
        if not isinstance(answer, dict):
            raise RpcUnavailableError(
                f"{self.name}: {method}: expected a JSON object as the answer"
            )
        return self._result(answer, method)

    async def acall(self, method: str, *params: Any) -> Any:
        """`call` for coroutines, run in a thread."""
        return await asyncio.to_thread(self.call, method, *params)

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Several calls in one request; results in order, the first error is raised."""
        if not calls:
            return []
        requests = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
            for method, params in calls
        ]
        retry = all(m in _IDEMPOTENT or m.startswith(_IDEMPOTENT_PREFIXES) for m, _ in calls)
        answers = self._exchange(json.dumps(requests).encode(), method="batch", retry=retry)
        if isinstance(answers, dict):
            return [self._result(answers, "batch")]
        by_id = {a.get("id"): a for a in answers if isinstance(a, dict)}
        results = []
        for request in requests:
            answer = by_id.get(request["id"])
            if answer is None:
                raise RpcUnavailableError(f"{self.name}: batch: {request['method']} not answered")
            results.append(self._result(answer, str(request["method"])))
        return results

    def close(self) -> None:
        """Close idle connections; the client can still be used and opens new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _result(self, answer: dict[str, Any], method: str) -> Any:
        error = answer.get("error")
        if error is not None:
            if not isinstance(error, dict):
                raise RpcError(0, str(error), method=method)
            code = error.get("code")
            raise RpcError(
                code if isinstance(code, int) else 0,
                str(error.get("message", "no message")),
                error.get("data"),
                method=method,
            )
        if "result" not in answer:
            raise RpcUnavailableError(f"{self.name}: {method}: answer has no result and no error")
        return answer["result"]

    def _exchange(self, body: bytes, *, method: str, retry: bool) -> Any:
        attempts = self._attempts if retry else 1
        for attempt in range(attempts):
            if attempt:
                time.sleep(0.1 * 2**attempt)
            try:
                status, payload = self._post(body)
            except (OSError, http.client.HTTPException) as error:
                if attempt + 1 < attempts:
                    continue
                what = str(error) or type(error).__name__
                raise RpcUnavailableError(
                    f"{self.name}: {method}: no answer ({what}); is the node running?"
                ) from error
            if status in (429, 502, 503, 504) and attempt + 1 < attempts:
                continue
            try:
                return json.loads(payload)
            except ValueError:
                shown = payload[:80].decode("utf-8", "replace")
                raise RpcUnavailableError(
                    f"{self.name}: {method}: expected JSON, got HTTP {status} {shown!r}"
                ) from None
        raise AssertionError("unreachable")  # the last attempt returns or raises

    def _post(self, body: bytes) -> tuple[int, bytes]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None and _is_stale(connection):
            connection.close()
            connection = None
        if connection is None:
            connection = self._connect()
        try:
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
            payload = response.read()
        except BaseException:
            connection.close()
            raise
        with self._lock:
            keep = not response.will_close and len(self._idle) < _MAX_IDLE_CONNECTIONS
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()
        return response.status, payload

    def _connect(self) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(
                host, self._parts.port, timeout=self._timeout_s, context=_tls_context()
            )
        return http.client.HTTPConnection(host, self._parts.port, timeout=self._timeout_s)

    # -- the calls we use, typed -----------------------------------------------------------------

    def chain_id(self) -> int:
        """The chain's id; asked once, it cannot change."""
        if self._chain_id is None:
            self._chain_id = int(self.call("eth_chainId"), 16)
        return self._chain_id

    def block_number(self) -> int:
        return int(self.call("eth_blockNumber"), 16)

    def block(self, block: BlockId = "latest") -> Block | None:
        """The header at a number or tag, or None when there is no such block yet."""
        raw = self.call("eth_getBlockByNumber", block_param(block), False)
        return None if raw is None else Block.from_json(raw)

    def head(self, block: BlockId = "latest") -> Block:
        """Like `block`, but its absence is an error."""
        found = self.block(block)
        if found is None:
            raise ChainError(f"{self.name}: the node has no block {block!r}")
        return found

    def balance(self, address: str, block: BlockId = "latest") -> int:
        return int(self.call("eth_getBalance", address, block_param(block)), 16)

    def nonce(self, address: str, block: BlockId = "pending") -> int:
        return int(self.call("eth_getTransactionCount", address, block_param(block)), 16)

    def code(self, address: str, block: BlockId = "latest") -> bytes:
        return from_hex(self.call("eth_getCode", address, block_param(block)), "code")

    def storage(self, address: str, slot: int, block: BlockId = "latest") -> int:
        return int(self.call("eth_getStorageAt", address, hex(slot), block_param(block)), 16)

    def eth_call(
        self,
        to: str | None,
        data: bytes,
        *,
        from_: str | None = None,
        value: int = 0,
        gas: int | None = None,
        block: BlockId = "latest",
    ) -> bytes:
        """Run a call without a transaction; a revert raises RpcError with `reason`."""
        tx = _call_object(to, data, from_, value, gas)
        return from_hex(self.call("eth_call", tx, block_param(block)), "eth_call result")

    def estimate_gas(
        self,
        to: str | None,
        data: bytes,
        *,
        from_: str | None = None,
        value: int = 0,
        block: BlockId = "pending",
    ) -> int:
        """Gas for a transaction. On the pending block: its timestamp is that of the next block."""
        tx = _call_object(to, data, from_, value, None)
        return int(self.call("eth_estimateGas", tx, block_param(block)), 16)

    def send_raw(self, raw: bytes) -> str:
        """Hand in a signed transaction; its hash. Never repeated here."""
        return str(self.call("eth_sendRawTransaction", to_hex(raw)))

    def receipt(self, tx_hash: str) -> Receipt | None:
        raw = self.call("eth_getTransactionReceipt", tx_hash)
        return None if raw is None or raw.get("blockNumber") is None else Receipt.from_json(raw)

    def logs(
        self,
        *,
        address: str | None = None,
        topics: Sequence[bytes | Sequence[bytes] | None] = (),
        from_block: BlockId = 0,
        to_block: BlockId = "latest",
    ) -> list[Log]:
        """Logs in chain order, read in pieces that shrink when the node finds one too large."""
        first, last = self._number_of(from_block), self._number_of(to_block)
        found: list[Log] = []
        chunk = _MAX_LOG_CHUNK_BLOCKS
        query: dict[str, Any] = {"topics": [_topic_param(topic) for topic in topics]}
        if address is not None:
            query["address"] = address
        while first <= last:
            until = min(last, first + chunk - 1)
            try:
                raw = self.call(
                    "eth_getLogs", query | {"fromBlock": hex(first), "toBlock": hex(until)}
                )
            except RpcError as error:
                complained = any(word in error.message.lower() for word in _RANGE_COMPLAINTS)
                if chunk == 1 or not complained:
                    raise
                chunk = max(1, min(chunk, until - first + 1) // 2)
                continue
            found.extend(Log.from_json(log) for log in raw)
            first = until + 1
            chunk = min(_MAX_LOG_CHUNK_BLOCKS, chunk * 2)
        return found

    def _number_of(self, block: BlockId) -> int:
        if isinstance(block, int):
            return block
        return 0 if block == "earliest" else self.head(block).number


def _parse_url(url: str) -> urllib.parse.SplitResult:
    shape = "expected http://HOST:PORT or https://HOST/PATH"
    if not isinstance(url, str):
        raise ValueError(f"rpc url: {shape}, got {url!r}")
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"rpc url: {shape} ({error})") from None
    if parts.scheme not in ("http", "https"):
        scheme = parts.scheme or "none"
        hint = (
            " (WebSocket URLs are not supported; nodes serve HTTP as well)"
            if scheme in ("ws", "wss")
            else ""
        )
        raise ValueError(f"rpc url: {shape}, got scheme {scheme!r}{hint}")
    if not parts.hostname:
        raise ValueError(f"rpc url: {shape}, got no host")
    return parts


def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _is_stale(connection: http.client.HTTPConnection) -> bool:
    """True when the other side has closed: an idle connection with something to read is at its
    end.
    """
    sock = connection.sock
    if sock is None:
        return True
    timeout = sock.gettimeout()
    try:
        sock.settimeout(0)
        if isinstance(sock, ssl.SSLSocket):
            return bool(sock.pending())
        sock.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        sock.settimeout(timeout)
    return True


def _topic_param(topic: bytes | Sequence[bytes] | None) -> Any:
    if topic is None:
        return None
    return to_hex(topic) if isinstance(topic, bytes) else [to_hex(one) for one in topic]


def _call_object(
    to: str | None, data: bytes, from_: str | None, value: int, gas: int | None
) -> dict[str, str]:
    tx = {"data": to_hex(data)}
    if to is not None:
        tx["to"] = to
    if from_ is not None:
        tx["from"] = from_
    if value:
        tx["value"] = hex(value)
    if gas is not None:
        tx["gas"] = hex(gas)
    return tx
