"""The pip-only chain: eth-tester's py-evm backend with a transaction pool, a clock and its own
index.

eth-tester sets up the genesis; blocks are built on py-evm directly, because eth-tester neither
keeps a pool, nor returns revert bytes, nor finds a transaction without a walk through all blocks.
Not thread-safe: the server holds one lock.
"""

from __future__ import annotations

import bisect
import dataclasses
import os
import time
from collections.abc import Sequence
from typing import Any

from eth.abc import BlockAPI, BlockHeaderAPI, ComputationAPI, SignedTransactionAPI
from eth.exceptions import VMError
from eth.vm.forks.cancun.state import get_total_blob_gas
from eth.vm.forks.prague import PragueVM
from eth.vm.spoof import SpoofTransaction
from eth_tester.backends.pyevm import PyEVMBackend
from eth_utils.exceptions import ValidationError

from provenue.settlement.chain_types import from_hex
from provenue.settlement.tx import calldata_floor_gas

__all__ = [
    "CallError",
    "ChainRejectError",
    "MinedBlock",
    "MinedTx",
    "TesterChain",
    "TxRequest",
    "base_fee",
]

PRIORITY_FEE_WEI = 1_000_000_000
_MAX_POOL_TXS = 10_000


class ChainRejectError(Exception):
    """The chain does not take this: message for the client."""


class CallError(Exception):
    """A call failed inside the EVM; `revert_data` when the contract reverted, else None."""

    def __init__(self, message: str, revert_data: bytes | None) -> None:
        super().__init__(message)
        self.revert_data = revert_data


class _LocalPragueVM(PragueVM):
    """Prague, except that a block may have its parent's timestamp.

    Otherwise many blocks within one second push the chain's clock ahead of the wall clock; anvil
    does the same.
    """

    @classmethod
    def validate_header(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        if header.timestamp == parent_header.timestamp:
            header = header.copy(timestamp=header.timestamp + 1)
        super().validate_header(header, parent_header)


@dataclasses.dataclass(frozen=True, slots=True)
class TxRequest:
    """A call or an estimate."""

    sender: bytes
    to: bytes
    data: bytes
    value: int
    gas: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class MinedTx:
    """A transaction with its place and outcome."""

    tx: SignedTransactionAPI
    index: int
    gas_used: int
    cumulative_gas_used: int
    succeeded: bool
    logs: Sequence[Any]
    first_log_index: int
    created: bytes | None


@dataclasses.dataclass(frozen=True, slots=True)
class MinedBlock:
    """A block with the outcomes of its transactions."""

    block: BlockAPI
    txs: tuple[MinedTx, ...]

    @property
    def number(self) -> int:
        return int(self.block.header.block_number)

    @property
    def header(self) -> BlockHeaderAPI:
        return self.block.header


@dataclasses.dataclass(frozen=True)
class _Snapshot:
    length: int
    offset_s: int
    next_timestamp: int | None


class TesterChain:
    """One chain in memory: Prague rules, dev accounts, wall clock."""

    def __init__(
        self, *, chain_id: int, gas_limit: int, balances: dict[str, int], slots_in_epoch: int
    ) -> None:
        self.chain_id = chain_id
        self.gas_limit = gas_limit
        self.automine = True
        self._slots_in_epoch = slots_in_epoch
        self._offset_s = 0
        self._next_timestamp: int | None = None
        self._pool: dict[bytes, dict[int, SignedTransactionAPI]] = {}
        self._snapshots: dict[int, _Snapshot] = {}
        self._snapshot_count = 0
        state = {
            from_hex(address): {"balance": wei, "nonce": 0, "code": b"", "storage": {}}
            for address, wei in balances.items()
        }
        params = PyEVMBackend.generate_genesis_params({"gas_limit": gas_limit})
        backend = PyEVMBackend(params, state, vm_configuration=((0, _LocalPragueVM),))
        self._chain: Any = backend.chain
        self._chain.chain_id = chain_id
        genesis = self._chain.get_canonical_block_by_number(0)
        self._blocks = [MinedBlock(genesis, ())]
        self._number_of_hash = {genesis.hash: 0}
        self._place_of_tx: dict[bytes, tuple[int, int]] = {}

    # -- reading ---------------------------------------------------------------------------------

    @property
    def head(self) -> MinedBlock:
        return self._blocks[-1]

    def by_number(self, number: int) -> MinedBlock | None:
        return self._blocks[number] if 0 <= number < len(self._blocks) else None

    def by_hash(self, block_hash: bytes) -> MinedBlock | None:
        number = self._number_of_hash.get(block_hash)
        return None if number is None else self._blocks[number]

    def number_of_tag(self, tag: str) -> int | None:
        """`safe` is one epoch behind the head and `finalized` two, as in anvil."""
        behind = {"latest": 0, "safe": self._slots_in_epoch, "finalized": 2 * self._slots_in_epoch}
        if tag == "earliest":
            return 0
        return max(0, self.head.number - behind[tag]) if tag in behind else None

    def find_tx(self, tx_hash: bytes) -> tuple[MinedBlock, MinedTx] | None:
        place = self._place_of_tx.get(tx_hash)
        if place is None:
            return None
        block = self._blocks[place[0]]
        return block, block.txs[place[1]]

    def find_pooled(self, tx_hash: bytes) -> SignedTransactionAPI | None:
        pooled = (tx for queue in self._pool.values() for tx in queue.values())
        return next((tx for tx in pooled if tx.hash == tx_hash), None)

    @property
    def has_ready(self) -> bool:
        """True when the pool holds a transaction the next block could take."""
        state = self.state(self.head)
        return any(state.get_nonce(sender) in queue for sender, queue in self._pool.items())

    def state(self, at: MinedBlock) -> Any:
        """The state after a block."""
        return self._chain.get_vm(at.header).state

    def pending_nonce(self, address: bytes) -> int:
        """The next nonce, counting what waits in the pool without a gap."""
        nonce = int(self.state(self.head).get_nonce(address))
        queue = self._pool.get(address, {})
        while nonce in queue:
            nonce += 1
        return nonce

    def pending_header(self) -> BlockHeaderAPI:
        """The header the next block would have now."""
        parent = self.head.header
        header: BlockHeaderAPI = self._chain.create_header_from_parent(
            parent, timestamp=self._timestamp()
        )
        return header

    @property
    def next_base_fee(self) -> int:
        return base_fee(self.pending_header())

    # -- execution without a transaction ---------------------------------------------------------

    def call(self, request: TxRequest, at: MinedBlock | None) -> bytes:
        """Run a call after block `at`, or in the coming block when None."""
        gas = self.gas_limit if request.gas is None else min(request.gas, self.gas_limit)
        computation = self._execute(request, gas, at)
        _raise_if_failed(computation)
        return bytes(computation.output)

    def estimate_gas(self, request: TxRequest, at: MinedBlock | None) -> int:
        """The smallest limit we know to work: what a generous run used, raised until it passes.

        A call may forward 63/64 of its gas and check what is left, so the used amount can be too
        little.
        """
        ceiling = self.gas_limit if request.gas is None else min(request.gas, self.gas_limit)
        computation = self._execute(request, ceiling, at)
        _raise_if_failed(computation)
        floor = calldata_floor_gas(request.data)
        gas = max(ceiling - computation.get_gas_remaining(), floor)
        if not computation.children:
            return min(gas, ceiling)  # no inner call, so no 63/64; a second run can take seconds
        while gas < ceiling:
            if not self._execute(request, gas, at).is_error:
                return gas
            gas += gas // 32 + 2_300
        return ceiling

    def _execute(self, request: TxRequest, gas: int, at: MinedBlock | None) -> ComputationAPI:
        header = self.pending_header() if at is None else at.header
        # A call costs nothing, so the base fee must not be asked for.
        vm = self._chain.get_vm(header.copy(base_fee_per_gas=0))
        unsigned = vm.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=self.chain_id,
            nonce=vm.state.get_nonce(request.sender),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=gas,
            to=request.to,
            value=request.value,
            data=request.data,
            access_list=(),
        )
        try:
            computation: ComputationAPI = vm.state.apply_transaction(
                SpoofTransaction(unsigned, from_=request.sender)
            )
        except ValidationError as error:
            raise ChainRejectError(_plain(error)) from None
        return computation

    # -- transactions and blocks -----------------------------------------------------------------

    def submit(self, raw: bytes) -> bytes:
        """Take a signed transaction; mines at once when `automine`. Returns its hash."""
        try:
            tx = self._chain.get_vm(self.head.header).get_transaction_builder().decode(raw)
            sender = tx.sender
        except Exception:  # many libraries see these bytes first, each with its own errors
            raise ChainRejectError("failed to decode signed transaction") from None
        if tx.hash in self._place_of_tx or self.find_pooled(tx.hash) is not None:
            raise ChainRejectError("already known")
        self._admit(tx, sender)
        self._pool.setdefault(sender, {})[tx.nonce] = tx
        if self.automine:
            self.mine()
        return bytes(tx.hash)

    def _admit(self, tx: SignedTransactionAPI, sender: bytes) -> None:
        state = self.state(self.head)
        nonce = state.get_nonce(sender)
        if getattr(tx, "chain_id", None) not in (None, self.chain_id):
            raise ChainRejectError(f"invalid chain id: expected {self.chain_id}, got {tx.chain_id}")
        if tx.nonce < nonce:
            raise ChainRejectError(f"nonce too low: next nonce {nonce}, tx nonce {tx.nonce}")
        rival = self._pool.get(sender, {}).get(tx.nonce)
        if rival is not None and tx.max_fee_per_gas * 10 < rival.max_fee_per_gas * 11:
            raise ChainRejectError("replacement transaction underpriced")
        if tx.gas > self.gas_limit:
            raise ChainRejectError(f"exceeds block gas limit: {tx.gas} > {self.gas_limit}")
        # py-evm charges the calldata floor but does not demand the gas for it (EIP-7623 does).
        least = max(tx.intrinsic_gas, calldata_floor_gas(tx.data))
        if tx.gas < least:
            raise ChainRejectError(f"intrinsic gas too low: gas {tx.gas}, minimum needed {least}")
        if tx.max_fee_per_gas < tx.max_priority_fee_per_gas:
            raise ChainRejectError("max priority fee per gas higher than max fee per gas")
        if tx.max_fee_per_gas < self.next_base_fee:
            raise ChainRejectError("max fee per gas less than block base fee")
        cost = tx.gas * tx.max_fee_per_gas + tx.value
        balance = state.get_balance(sender)
        if balance < cost:
            raise ChainRejectError(
                f"insufficient funds for gas * price + value: have {balance} want {cost}"
            )
        if sum(map(len, self._pool.values())) >= _MAX_POOL_TXS:
            raise ChainRejectError("transaction pool is full")

    def mine(self, timestamp: int | None = None) -> MinedBlock:
        """Mine one block with everything in the pool that fits."""
        if timestamp is not None:
            self.set_next_timestamp(timestamp)
        header = self.pending_header().copy(mix_hash=os.urandom(32))
        self._consume_timestamp(header.timestamp)
        vm = self._chain.get_vm(header)
        mined: list[MinedTx] = []
        receipts: list[Any] = []
        log_count = 0
        while (tx := self._take_ready(vm.state, header)) is not None:
            try:
                receipt, computation = vm.apply_transaction(header, tx)
            except ValidationError:
                continue  # became invalid since it was admitted, e.g. the balance went
            before = header.gas_used
            header = vm.increment_blob_gas_used(vm.add_receipt_to_header(header, receipt), tx)
            created = computation.msg.storage_address if computation.msg.is_create else None
            mined.append(
                MinedTx(
                    tx=tx,
                    index=len(mined),
                    gas_used=header.gas_used - before,
                    cumulative_gas_used=header.gas_used,
                    succeeded=not computation.is_error,
                    logs=receipt.logs,
                    first_log_index=log_count,
                    created=created,
                )
            )
            receipts.append(receipt)
            log_count += len(receipt.logs)
        return self._seal(vm, header, mined, receipts)

    def _seal(
        self, vm: Any, header: BlockHeaderAPI, mined: list[MinedTx], receipts: list[Any]
    ) -> MinedBlock:
        txs = [one.tx for one in mined]
        filled = vm.set_block_transactions_and_withdrawals(vm.get_block(), header, txs, receipts)
        blob_gas = sum(get_total_blob_gas(tx) for tx in txs)
        block = vm.mine_block(filled, blob_gas_used=blob_gas).block
        self._chain.validate_block(block)
        self._chain.chaindb.persist_block(block)
        done = MinedBlock(block, tuple(mined))
        self._number_of_hash[block.hash] = done.number
        self._place_of_tx.update({one.tx.hash: (done.number, one.index) for one in mined})
        self._blocks.append(done)
        return done

    def _take_ready(self, state: Any, header: BlockHeaderAPI) -> SignedTransactionAPI | None:
        """The best-paying transaction that can run next in this block, taken out of the pool."""
        fee = base_fee(header)
        best: tuple[int, bytes, SignedTransactionAPI] | None = None
        for sender, queue in self._pool.items():
            tx = queue.get(state.get_nonce(sender))
            if tx is None or tx.max_fee_per_gas < fee:
                continue
            if header.gas_used + tx.gas > header.gas_limit:
                continue
            tip = min(tx.max_priority_fee_per_gas, tx.max_fee_per_gas - fee)
            if best is None or tip > best[0]:
                best = (tip, sender, tx)
        if best is None:
            return None
        _, sender, tx = best
        del self._pool[sender][tx.nonce]
        if not self._pool[sender]:
            del self._pool[sender]
        return tx

    # -- clock and snapshots ---------------------------------------------------------------------

    def _timestamp(self) -> int:
        if self._next_timestamp is not None:
            return self._next_timestamp
        return max(int(self.head.header.timestamp), int(time.time()) + self._offset_s)

    def _consume_timestamp(self, timestamp: int) -> None:
        if self._next_timestamp is not None:
            # The clock runs on from a time that was set.
            self._offset_s = timestamp - int(time.time())
            self._next_timestamp = None

    def increase_time(self, seconds: int) -> int:
        """Move the clock forward; returns the whole offset from the wall clock."""
        self._offset_s += seconds
        return self._offset_s

    def set_next_timestamp(self, timestamp: int) -> None:
        if timestamp < self.head.header.timestamp:
            raise ChainRejectError(
                f"timestamp {timestamp} is lower than the previous block's, "
                f"{self.head.header.timestamp}"
            )
        self._next_timestamp = timestamp

    def snapshot(self) -> int:
        number = self._snapshot_count
        self._snapshot_count += 1
        self._snapshots[number] = _Snapshot(len(self._blocks), self._offset_s, self._next_timestamp)
        return number

    def revert(self, number: int) -> bool:
        """Back to a snapshot; it and all later ones are used up. False when there is none.

        The pool stays as it is, as in anvil: what was mined since is gone, what waits still waits.
        """
        kept = self._snapshots.get(number)
        if kept is None:
            return False
        self._snapshots = {n: s for n, s in self._snapshots.items() if n < number}
        for gone in self._blocks[kept.length :]:
            del self._number_of_hash[gone.block.hash]
            for one in gone.txs:
                del self._place_of_tx[one.tx.hash]
        del self._blocks[kept.length :]
        self._offset_s = kept.offset_s
        self._next_timestamp = kept.next_timestamp
        return True

    # -- fees ------------------------------------------------------------------------------------

    def rewards(self, block: MinedBlock, percentiles: Sequence[float]) -> list[int]:
        """Tips at percentiles of the gas used, as in eth_feeHistory."""
        base = base_fee(block.header)
        tips = sorted(
            (min(m.tx.max_priority_fee_per_gas, m.tx.max_fee_per_gas - base), m.gas_used)
            for m in block.txs
        )
        if not tips:
            return [0] * len(percentiles)
        sums, total = [], 0
        for _, gas_used in tips:
            total += gas_used
            sums.append(total)
        last = len(tips) - 1
        return [tips[min(last, bisect.bisect_left(sums, total * p / 100))][0] for p in percentiles]


def base_fee(header: BlockHeaderAPI) -> int:
    """The base fee of a header; all of ours have one."""
    return int(header.base_fee_per_gas or 0)


def _plain(error: ValidationError) -> str:
    """py-evm's message in the words clients look for."""
    text = str(error)
    if "cannot afford" in text or "enough balance" in text:
        return f"insufficient funds for gas * price + value: {text}"
    if "insufficient" in text.lower() and "gas" in text.lower():
        return f"intrinsic gas too low: {text}"
    return text


def _raise_if_failed(computation: ComputationAPI) -> None:
    if not computation.is_error:
        return
    error: VMError = computation.error
    if type(error).__name__ == "Revert":
        raise CallError("execution reverted", bytes(computation.output))
    if type(error).__name__ == "OutOfGas":
        raise CallError("out of gas", None)
    raise CallError(f"EVM error {type(error).__name__}: {str(error)[:200]}", None)
