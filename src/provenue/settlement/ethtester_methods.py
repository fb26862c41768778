"""The JSON-RPC methods of the pip-only chain: parameters in, chain calls, hex out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import eth

from provenue.settlement.chain_types import from_hex, keccak256, to_hex
from provenue.settlement.ethtester_chain import (
    PRIORITY_FEE_WEI,
    CallError,
    ChainRejectError,
    MinedBlock,
    TesterChain,
    TxRequest,
    base_fee,
)
from provenue.settlement.ethtester_json import (
    block_json,
    header_json,
    log_json,
    receipt_json,
    tx_json,
)
from provenue.settlement.reverts import revert_reason

__all__ = [
    "INTERNAL_ERROR",
    "INVALID_REQUEST",
    "PARSE_ERROR",
    "MethodError",
    "Methods",
    "client_version",
]

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, INTERNAL_ERROR, REJECTED, REVERTED = -32602, -32603, -32000, 3

_ZERO_ADDRESS = bytes(20)
_MAX_TOPICS = 4
_MAX_MINED_AT_ONCE = 10_000
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_MISSING = object()


class MethodError(Exception):
    """A JSON-RPC error answer."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class Methods:
    """Dispatches method names to the chain."""

    def __init__(self, chain: TesterChain, accounts: list[str], version: str) -> None:
        self._chain = chain
        self._accounts = accounts
        self._version = version
        # By name: how many parameters at most, and who answers.
        self._table: dict[str, tuple[int, Callable[[_Params], Any]]] = {
            "web3_clientVersion": (0, lambda _: self._version),
            "web3_sha3": (1, lambda p: to_hex(keccak256(p.data("data")))),
            "net_version": (0, lambda _: str(chain.chain_id)),
            "net_listening": (0, lambda _: True),
            "eth_chainId": (0, lambda _: hex(chain.chain_id)),
            "eth_syncing": (0, lambda _: False),
            "eth_accounts": (0, lambda _: self._accounts),
            "eth_blockNumber": (0, lambda _: hex(chain.head.number)),
            "eth_gasPrice": (0, lambda _: hex(chain.next_base_fee + PRIORITY_FEE_WEI)),
            "eth_maxPriorityFeePerGas": (0, lambda _: hex(PRIORITY_FEE_WEI)),
            "eth_feeHistory": (3, self._fee_history),
            "eth_getBlockByNumber": (2, self._block_by_number),
            "eth_getBlockByHash": (2, self._block_by_hash),
            "eth_getBlockReceipts": (1, self._block_receipts),
            "eth_getBalance": (2, lambda p: hex(self._state_of(p).get_balance(p.address))),
            "eth_getCode": (2, lambda p: to_hex(self._state_of(p).get_code(p.address))),
            "eth_getStorageAt": (3, self._storage_at),
            "eth_getTransactionCount": (2, self._transaction_count),
            "eth_call": (2, self._call),
            "eth_estimateGas": (2, self._estimate_gas),
            "eth_sendRawTransaction": (1, lambda p: to_hex(chain.submit(p.data("transaction")))),
            "eth_getTransactionByHash": (1, self._transaction_by_hash),
            "eth_getTransactionReceipt": (1, self._receipt),
            "eth_getLogs": (1, self._logs),
            "evm_mine": (1, self._mine),
            "evm_increaseTime": (1, lambda p: chain.increase_time(p.number("seconds"))),
            "evm_setNextBlockTimestamp": (1, self._set_next_timestamp),
            "evm_setAutomine": (1, self._set_automine),
            "evm_snapshot": (0, lambda _: hex(chain.snapshot())),
            "evm_revert": (1, lambda p: chain.revert(p.number("snapshot"))),
        }

    def run(self, method: str, params: Any) -> Any:
        """The result of a method; MethodError when it has none."""
        most, handler = self._table.get(method, (0, None))
        if handler is None:
            raise MethodError(METHOD_NOT_FOUND, f"the method {method[:80]} does not exist")
        if params is None:
            params = []
        if not isinstance(params, list):
            raise MethodError(INVALID_PARAMS, "params: expected a list")
        if len(params) > most:
            # eth_call's state overrides would be such an extra; ignoring them would answer wrongly.
            raise MethodError(
                INVALID_PARAMS, f"{method}: takes {most} parameters, got {len(params)}"
            )
        try:
            return handler(_Params(params))
        except CallError as error:
            if error.revert_data is None:
                raise MethodError(REJECTED, str(error)) from None
            raise _reverted(error.revert_data) from None
        except ChainRejectError as error:
            raise MethodError(REJECTED, str(error)) from None

    # -- blocks ----------------------------------------------------------------------------------

    def _find(self, spec: Any, *, or_head: bool = True) -> MinedBlock | None:
        """A block by number, tag or {"blockHash"}; None for `pending` (and absent means latest)."""
        chain = self._chain
        if spec is None and or_head:
            return chain.head
        if isinstance(spec, dict) and isinstance(spec.get("blockHash"), str):
            found = chain.by_hash(_data(spec["blockHash"], "blockHash"))
        elif isinstance(spec, dict) and "blockNumber" in spec:
            found = chain.by_number(_quantity(spec["blockNumber"], "blockNumber"))
        elif spec == "pending":
            return None
        else:
            number = self._number(spec)
            found = chain.by_number(number)
        if found is None:
            raise MethodError(
                INVALID_PARAMS,
                f"block: the chain has blocks 0 to {chain.head.number}, asked for {spec}",
            )
        return found

    def _number(self, spec: Any) -> int:
        if isinstance(spec, str) and not spec.startswith("0x"):
            number = self._chain.number_of_tag(spec)
            if number is None:
                raise MethodError(INVALID_PARAMS, f"block: unknown tag {spec[:40]!r}")
            return number
        return _quantity(spec, "block")

    def _block_by_number(self, params: _Params) -> Any:
        spec, full = params.take("block"), params.flag("full", default=False)
        if spec == "pending":
            return self._pending_json()
        block = self._chain.by_number(self._number(spec))
        return None if block is None else block_json(block, full)

    def _block_by_hash(self, params: _Params) -> Any:
        block = self._chain.by_hash(params.data("hash", 32))
        full = params.flag("full", default=False)
        return None if block is None else block_json(block, full)

    def _pending_json(self) -> Any:
        header = self._chain.pending_header()
        pending = {"number": hex(header.block_number), "hash": None, "nonce": None}
        return header_json(header) | pending | {"transactions": [], "uncles": []}

    def _block_receipts(self, params: _Params) -> Any:
        block = self._find(params.take("block"))
        return None if block is None else [receipt_json(block, one) for one in block.txs]

    def _fee_history(self, params: _Params) -> Any:
        count, newest = params.number("blockCount"), self._find(params.take("newestBlock"))
        percentiles = params.optional("rewardPercentiles") or []
        if not 1 <= count <= 1_024:
            raise MethodError(INVALID_PARAMS, f"blockCount: expected 1 to 1024, got {count}")
        good = isinstance(percentiles, list) and all(
            isinstance(p, (int, float)) and 0 <= p <= 100 for p in percentiles
        )
        if not good:
            raise MethodError(INVALID_PARAMS, "rewardPercentiles: expected numbers 0 to 100")
        last = (newest or self._chain.head).number
        blocks = [b for n in range(max(0, last + 1 - count), last + 1)
                  if (b := self._chain.by_number(n)) is not None]  # fmt: skip
        after = self._chain.by_number(last + 1)
        next_fee = base_fee(after.header) if after else self._chain.next_base_fee
        return {
            "oldestBlock": hex(blocks[0].number),
            "baseFeePerGas": [hex(base_fee(b.header)) for b in blocks] + [hex(next_fee)],
            "gasUsedRatio": [b.header.gas_used / b.header.gas_limit for b in blocks],
            "reward": [[hex(r) for r in self._chain.rewards(b, percentiles)] for b in blocks],
        }

    # -- state -----------------------------------------------------------------------------------

    def _state_of(self, params: _Params) -> Any:
        """The state named by the (address, block) parameters of a simple read."""
        params.address = params.data("address", 20)
        return self._state_at(params)

    def _state_at(self, params: _Params) -> Any:
        block = self._find(params.optional("block"))
        return self._chain.state(block or self._chain.head)

    def _storage_at(self, params: _Params) -> Any:
        address, slot = params.data("address", 20), params.number("slot")
        return to_hex(self._state_at(params).get_storage(address, slot).to_bytes(32, "big"))

    def _transaction_count(self, params: _Params) -> Any:
        address, spec = params.data("address", 20), params.optional("block")
        block = self._find(spec)
        if block is None:
            return hex(self._chain.pending_nonce(address))
        return hex(self._chain.state(block).get_nonce(address))

    def _call(self, params: _Params) -> Any:
        request, block = self._request(params)
        return to_hex(self._chain.call(request, block))

    def _estimate_gas(self, params: _Params) -> Any:
        request, block = self._request(params)
        return hex(self._chain.estimate_gas(request, block))

    def _request(self, params: _Params) -> tuple[TxRequest, MinedBlock | None]:
        raw, spec = params.take("transaction"), params.optional("block")
        if not isinstance(raw, dict):
            raise MethodError(INVALID_PARAMS, "transaction: expected an object")
        data = raw.get("input", raw.get("data")) or "0x"
        gas = raw.get("gas")
        request = TxRequest(
            sender=_data(raw.get("from") or to_hex(_ZERO_ADDRESS), "from", 20),
            to=_data(raw["to"], "to", 20) if raw.get("to") else b"",
            data=_data(data, "data"),
            value=_quantity(raw.get("value") or "0x0", "value"),
            gas=None if gas is None else _quantity(gas, "gas"),
        )
        return request, self._find(spec)

    # -- transactions and logs -------------------------------------------------------------------

    def _transaction_by_hash(self, params: _Params) -> Any:
        tx_hash = params.data("hash", 32)
        found = self._chain.find_tx(tx_hash)
        if found is not None:
            return tx_json(found[1].tx, found[0], found[1].index)
        pooled = self._chain.find_pooled(tx_hash)
        return None if pooled is None else tx_json(pooled, None, None)

    def _receipt(self, params: _Params) -> Any:
        found = self._chain.find_tx(params.data("hash", 32))
        return None if found is None else receipt_json(*found)

    def _logs(self, params: _Params) -> Any:
        query = params.take("filter")
        if not isinstance(query, dict):
            raise MethodError(INVALID_PARAMS, "filter: expected an object")
        addresses = _one_or_many(query.get("address"), "address", 20)
        topics = query.get("topics") or []
        if not isinstance(topics, list) or len(topics) > _MAX_TOPICS:
            raise MethodError(INVALID_PARAMS, "topics: expected a list of at most 4")
        wanted = [_one_or_many(topic, "topic", 32) for topic in topics]
        return [
            log_json(block, one, index)
            for block in self._blocks_of(query)
            for one in block.txs
            for index, log in enumerate(one.logs)
            if _log_matches(log, addresses, wanted)
        ]

    def _blocks_of(self, query: dict[str, Any]) -> Iterator[MinedBlock]:
        if query.get("blockHash") is not None:
            block = self._find({"blockHash": query["blockHash"]})
            return iter([] if block is None else [block])
        head = self._chain.head.number
        first, last = (
            head if query.get(name) in (None, "pending") else self._number(query[name])
            for name in ("fromBlock", "toBlock")
        )
        numbers = range(first, min(last, head) + 1)
        return (b for n in numbers if (b := self._chain.by_number(n)) is not None)

    # -- control ---------------------------------------------------------------------------------

    def _mine(self, params: _Params) -> Any:
        how = params.optional("timestamp")
        count, timestamp = 1, None
        if isinstance(how, dict):
            count = _quantity(how.get("blocks", 1), "blocks")
            timestamp = how.get("timestamp")
        elif how is not None:
            timestamp = how
        if not 1 <= count <= _MAX_MINED_AT_ONCE:
            raise MethodError(INVALID_PARAMS, f"blocks: expected 1 to {_MAX_MINED_AT_ONCE}")
        first_time = None if timestamp is None else _quantity(timestamp, "timestamp")
        self._chain.mine(first_time)
        for _ in range(count - 1):
            self._chain.mine()
        return "0x0"

    def _set_next_timestamp(self, params: _Params) -> Any:
        timestamp = params.number("timestamp")
        try:
            self._chain.set_next_timestamp(timestamp)
        except ChainRejectError as error:
            raise MethodError(INVALID_PARAMS, str(error)) from None

    def _set_automine(self, params: _Params) -> Any:
        self._chain.automine = params.flag("enabled")
        if self._chain.automine and self._chain.has_ready:
            self._chain.mine()


class _Params:
    """Reads positional parameters; every complaint names the parameter."""

    def __init__(self, values: list[Any]) -> None:
        self._values = values
        self._at = 0
        self.address = b""

    def take(self, name: str, default: Any = _MISSING) -> Any:
        if self._at < len(self._values):
            value = self._values[self._at]
            self._at += 1
            return value
        if default is _MISSING:
            raise MethodError(INVALID_PARAMS, f"missing parameter {self._at}: {name}")
        return default

    def optional(self, name: str) -> Any:
        return self.take(name, None)

    def data(self, name: str, length: int | None = None) -> bytes:
        return _data(self.take(name), name, length)

    def number(self, name: str) -> int:
        return _quantity(self.take(name), name)

    def flag(self, name: str, default: Any = _MISSING) -> bool:
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise MethodError(INVALID_PARAMS, f"{name}: expected true or false")
        return value


# -- values --------------------------------------------------------------------------------------


def _data(value: Any, name: str, length: int | None = None) -> bytes:
    try:
        raw = from_hex(value, name)
    except ValueError as error:
        raise MethodError(INVALID_PARAMS, str(error)) from None
    if length is not None and len(raw) != length:
        raise MethodError(INVALID_PARAMS, f"{name}: expected {length} bytes, got {len(raw)}")
    return raw


def _quantity(value: Any, name: str) -> int:
    """A 0x number; plain JSON integers are taken too, as anvil does for the evm_ methods."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 256:
        return value
    # Zero-padded numbers are common for storage slots.
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return int(value, 16)
    raise MethodError(INVALID_PARAMS, f"{name}: expected a 0x number, got {str(value)[:80]!r}")


def _one_or_many(value: Any, name: str, length: int) -> frozenset[bytes] | None:
    if value is None or value == []:
        return None
    values = value if isinstance(value, list) else [value]
    return frozenset(_data(one, name, length) for one in values)


def _reverted(data: bytes) -> MethodError:
    reason = revert_reason(data)
    return MethodError(
        REVERTED, "execution reverted" + (f": {reason}" if reason else ""), to_hex(data)
    )


def _log_matches(
    log: Any, addresses: frozenset[bytes] | None, wanted: list[frozenset[bytes] | None]
) -> bool:
    if addresses is not None and log.address not in addresses:
        return False
    if len(wanted) > len(log.topics):
        return False
    return all(
        choice is None or topic.to_bytes(32, "big") in choice
        for choice, topic in zip(wanted, log.topics, strict=False)
    )


def client_version() -> str:
    """What the chain calls itself."""
    return f"eth-tester/py-evm v{eth.__version__}"
