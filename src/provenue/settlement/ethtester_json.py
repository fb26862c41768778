"""Blocks, transactions, receipts and logs of the pip-only chain as a node would answer them."""

from __future__ import annotations

from typing import Any

import rlp

from provenue.settlement.chain_types import keccak256, to_checksum, to_hex
from provenue.settlement.ethtester_chain import MinedBlock, MinedTx, base_fee

__all__ = ["block_json", "header_json", "log_json", "receipt_json", "tx_json"]


def header_json(header: Any) -> dict[str, Any]:
    return {
        "number": hex(header.block_number),
        "hash": to_hex(header.hash),
        "parentHash": to_hex(header.parent_hash),
        "nonce": to_hex(header.nonce),
        "sha3Uncles": to_hex(header.uncles_hash),
        "logsBloom": to_hex(header.bloom.to_bytes(256, "big")),
        "transactionsRoot": to_hex(header.transaction_root),
        "stateRoot": to_hex(header.state_root),
        "receiptsRoot": to_hex(header.receipt_root),
        "miner": to_hex(header.coinbase),
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "mixHash": to_hex(header.mix_hash),
        "extraData": to_hex(header.extra_data),
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "baseFeePerGas": hex(header.base_fee_per_gas),
        "withdrawalsRoot": to_hex(header.withdrawals_root),
        "blobGasUsed": hex(header.blob_gas_used),
        "excessBlobGas": hex(header.excess_blob_gas),
        "parentBeaconBlockRoot": to_hex(header.parent_beacon_block_root),
        "requestsHash": to_hex(header.requests_hash),
    }


def block_json(block: MinedBlock, full: bool) -> dict[str, Any]:
    txs = [tx_json(o.tx, block, o.index) if full else to_hex(o.tx.hash) for o in block.txs]
    size = hex(len(rlp.encode(block.block)))
    return header_json(block.header) | {
        "size": size, "transactions": txs, "uncles": [], "withdrawals": [],
    }  # fmt: skip


def tx_json(tx: Any, block: MinedBlock | None, index: int | None) -> dict[str, Any]:
    kind = getattr(tx, "type_id", None) or 0
    found: dict[str, Any] = {
        "type": hex(kind),
        "hash": to_hex(tx.hash),
        "nonce": hex(tx.nonce),
        "from": to_hex(tx.sender),
        "to": to_hex(tx.to) if tx.to else None,
        "value": hex(tx.value),
        "gas": hex(tx.gas),
        "input": to_hex(tx.data),
        "gasPrice": hex(_gas_price(tx, block)),
        "blockHash": to_hex(block.block.hash) if block else None,
        "blockNumber": hex(block.number) if block else None,
        "transactionIndex": None if index is None else hex(index),
        "r": hex(tx.r),
        "s": hex(tx.s),
        "v": hex(tx.y_parity if kind else tx.v),
    }
    if kind:
        found |= {"chainId": hex(tx.chain_id), "yParity": hex(tx.y_parity)}
        found["accessList"] = [
            {"address": to_hex(a), "storageKeys": [to_hex(k.to_bytes(32, "big")) for k in keys]}
            for a, keys in tx.access_list
        ]
    if kind >= 2:
        found["maxFeePerGas"] = hex(tx.max_fee_per_gas)
        found["maxPriorityFeePerGas"] = hex(tx.max_priority_fee_per_gas)
    return found


def _gas_price(tx: Any, block: MinedBlock | None) -> int:
    if block is None:
        return int(tx.max_fee_per_gas)
    base = base_fee(block.header)
    return int(min(tx.max_fee_per_gas, tx.max_priority_fee_per_gas + base))


def receipt_json(block: MinedBlock, one: MinedTx) -> dict[str, Any]:
    tx = one.tx
    bloom = 0
    for log in one.logs:
        for item in (log.address, *(t.to_bytes(32, "big") for t in log.topics)):
            digest = keccak256(item)
            for at in (0, 2, 4):
                bloom |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return {
        "type": hex(getattr(tx, "type_id", None) or 0),
        "status": "0x1" if one.succeeded else "0x0",
        "transactionHash": to_hex(tx.hash),
        "transactionIndex": hex(one.index),
        "blockHash": to_hex(block.block.hash),
        "blockNumber": hex(block.number),
        "from": to_hex(tx.sender),
        "to": to_hex(tx.to) if tx.to else None,
        "contractAddress": to_checksum(one.created) if one.created else None,
        "gasUsed": hex(one.gas_used),
        "cumulativeGasUsed": hex(one.cumulative_gas_used),
        "effectiveGasPrice": hex(_gas_price(tx, block)),
        "logsBloom": to_hex(bloom.to_bytes(256, "big")),
        "logs": [log_json(block, one, index) for index in range(len(one.logs))],
    }


def log_json(block: MinedBlock, one: MinedTx, index: int) -> dict[str, Any]:
    log = one.logs[index]
    return {
        "address": to_hex(log.address),
        "topics": [to_hex(topic.to_bytes(32, "big")) for topic in log.topics],
        "data": to_hex(log.data),
        "blockHash": to_hex(block.block.hash),
        "blockNumber": hex(block.number),
        "blockTimestamp": hex(block.header.timestamp),
        "transactionHash": to_hex(one.tx.hash),
        "transactionIndex": hex(one.index),
        "logIndex": hex(one.first_log_index + index),
        "removed": False,
    }
