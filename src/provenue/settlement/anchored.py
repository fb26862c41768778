"""Batches as L1 has them: everything a watcher needs, out of transactions and events alone.

The posted bytes stand in the calldata of the transaction that posted them (the Anchor refuses to be
called through a contract), the rest in its event. What a node says is checked against the hash and
the input root that the contract stored, so a node can withhold a batch but not change one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from provenue import wire
from provenue.settlement.chain_types import BlockId, from_hex, keccak256
from provenue.settlement.contract import Contract, Event
from provenue.settlement.rpc import ChainError, Rpc

__all__ = ["AnchoredBatch", "ClaimInfo", "read_batches", "read_claims"]

# Nodes bound the alternatives in one filter.
_TOPICS_MAX = 64
_Status = Literal["live", "void", "final"]
_STATUS: dict[int, _Status] = {1: "live", 2: "void", 3: "final"}


@dataclass(frozen=True, slots=True)
class AnchoredBatch:
    """A posted batch, read back from L1."""

    header: wire.Header
    data: bytes
    slot_roots: tuple[bytes, ...]
    """Of the inbox items it consumes, in order."""
    message_count: int
    input_root: bytes
    poster: str
    tx_hash: str
    block_number: int
    block_hash: str

    @property
    def number(self) -> int:
        """The batch's number."""
        return self.header.batch

    def messages(self, inbox: Sequence[bytes]) -> list[bytes]:
        """All messages in order of execution; `inbox` are those of its slice, which are checked."""
        self.check(inbox)
        return [*inbox, *wire.decode_posted(self.data)]

    def check(self, inbox: Sequence[bytes]) -> None:
        """ChainError unless header, data and slice make the input root that the contract stored."""
        if wire.input_root(self.data, self.header, inbox) != self.input_root:
            raise ChainError(
                f"batch {self.number}: header, posted bytes and {len(inbox)} inbox items do not "
                "make the input root that the Anchor stored"
            )


@dataclass(frozen=True, slots=True)
class ClaimInfo:
    """A claim about a batch, as the contract stores it."""

    batch: int
    index: int
    claim_root: bytes
    start_root: bytes
    end_root: bytes
    claimant: str
    claimed_at_s: int
    bond_wei: int
    status: _Status
    round: int
    """Claims of one round compete."""
    round_started_at_s: int


def read_batches(
    anchor: Contract, rpc: Rpc, first: int, end: int, *, start_block: int, to_block: BlockId
) -> Iterator[AnchoredBatch]:
    """Batches first to end - 1 as they are in the chain at `to_block`, one after the other.

    Raises ChainError where the node's answers have a gap or disagree with the contract.
    """
    numbers = list(range(first, end))
    if not numbers:
        return
    block = rpc.head(to_block).number
    narrow = {"batch": numbers} if len(numbers) <= _TOPICS_MAX else {}
    events = anchor.events("BatchPosted", from_block=start_block, to_block=block, **narrow)
    events = [event for event in events if first <= int(event.args["batch"]) < end]
    found = [int(event.args["batch"]) for event in events]
    if found != numbers:
        raise ChainError(
            f"batches: expected {first} to {end - 1} in the node's events, got {found[:10]}"
        )
    for event in events:
        yield _read(anchor, rpc, event, block)


def _read(anchor: Contract, rpc: Rpc, event: Event, block: int) -> AnchoredBatch:
    number, tx_hash = int(event.args["batch"]), event.log.tx_hash
    raw = rpc.call("eth_getTransactionByHash", tx_hash)
    if raw is None:
        raise ChainError(f"batch {number}: the node does not have transaction {tx_hash}")
    called = _arguments(anchor, from_hex(raw["input"], "input"))
    stored = anchor.call("batch_of", number, block=block)
    batch = AnchoredBatch(
        header=_header(event, len(called.data)),
        data=called.data,
        slot_roots=called.slot_roots,
        message_count=int(event.args["message_count"]),
        input_root=bytes(stored["input_root"]),
        poster=str(event.args["poster"]),
        tx_hash=tx_hash,
        block_number=event.log.block_number,
        block_hash=event.log.block_hash,
    )
    if keccak256(batch.data) != bytes(stored["data_hash"]):
        raise ChainError(f"batch {number}: the node's calldata is not what the Anchor took")
    return batch


@dataclass(frozen=True, slots=True)
class _Posted:
    slot_roots: tuple[bytes, ...]
    data: bytes


def _arguments(anchor: Contract, calldata: bytes) -> _Posted:
    """The dynamic arguments of `post`, found as the contract finds them.

    A strict ABI decoder refuses what the contract takes (padding that is not zero, parts that
    overlap), and a poster could hide a batch behind that. Hash and input root are checked later.
    """
    selector, heads = anchor.layout("post")
    if calldata[:4] != selector:
        raise ChainError(f"post: expected a call of it, got selector 0x{calldata[:4].hex()}")
    body = calldata[4:]

    def word(at: int) -> int:
        return int.from_bytes(body[at : at + 32].ljust(32, b"\0"), "big")

    roots_at, data_at = word(heads["slot_roots"]), word(heads["data"])
    count = min(word(roots_at), len(body) // 32)
    first = roots_at + 32
    roots = [body[at : at + 32] for at in range(first, first + 32 * count, 32)]
    return _Posted(tuple(roots), body[data_at + 32 : data_at + 32 + word(data_at)])


def _header(event: Event, posted_bytes: int) -> wire.Header:
    args = event.args
    return wire.Header(
        batch=int(args["batch"]),
        stamp_min_ms=int(args["stamp_min_ms"]),
        stamp_max_ms=int(args["stamp_max_ms"]),
        inbox_count=int(args["inbox_count"]),
        posted_bytes=posted_bytes,
        inbox_first=int(args["inbox_first"]),
        sequence_first=int(args["first_sequence"]),
        posted_at_s=int(args["posted_at"]),
        forced=int(args["forced"]),
        inbox_accumulator=bytes(args["inbox_accumulator"]),
    )


def read_claims(anchor: Contract, batch: int) -> list[ClaimInfo]:
    """All claims about a batch, voided ones included, in the order they were made."""
    claims = []
    for index in range(int(anchor.call("claim_count", batch))):
        stored = anchor.call("claim_of", batch, index)
        claims.append(
            ClaimInfo(
                batch=batch,
                index=index,
                claim_root=bytes(stored["claim_root"]),
                start_root=bytes(stored["start_root"]),
                end_root=bytes(stored["end_root"]),
                claimant=str(stored["claimant"]),
                claimed_at_s=int(stored["claimed_at"]),
                bond_wei=int(stored["bond_wei"]),
                status=_STATUS[int(stored["status"])],
                round=int(stored["round"]),
                round_started_at_s=int(stored["round_started_at"]),
            )
        )
    return claims
