"""A venue read from L1 alone: from the address of its Anchor to batches, slices and claims.

Nothing of the operator's is asked. The Anchor names the Inbox; the block of its creation is found
by asking when its code appeared. Batches come out of transactions and events, and are checked
against what the contract stored; a node can withhold, but not change.
"""

from __future__ import annotations

from collections.abc import Iterator

from provenue import wire
from provenue.settlement.anchor import AnchorClient
from provenue.settlement.anchored import AnchoredBatch
from provenue.settlement.chain_types import BlockId, normalise_address
from provenue.settlement.deploy import Deployment
from provenue.settlement.inbox import InboxClient
from provenue.settlement.rpc import ChainError, Rpc, RpcError, RpcUnavailableError
from provenue.watcher.archive import ArchivedBatch, ArchiveError

__all__ = ["L1", "MissingDataError"]


class MissingDataError(ChainError):
    """The node does not hand out what the chain must have: nothing may be concluded from that."""


class L1:
    """One venue through one node."""

    def __init__(self, deployment: Deployment, rpc: Rpc) -> None:
        self.rpc = rpc
        self.deployment = deployment
        self.anchor = AnchorClient(deployment, rpc)
        self.inbox = InboxClient(deployment, rpc)

    @classmethod
    def from_deployment(cls, rpc: Rpc, deployment: Deployment) -> L1:
        """The venue of a deployment's file, if the node's chain has it."""
        deployment.check_chain(rpc)
        inbox, named = _inbox_of(rpc, deployment), deployment.contracts["Inbox"]
        if normalise_address(inbox) != normalise_address(named):
            raise ChainError(f"deployment: it names Inbox {named}, its Anchor names {inbox}")
        return cls(deployment, rpc)

    @classmethod
    def from_anchor(cls, rpc: Rpc, address: str, *, from_block: int | None = None) -> L1:
        """The venue whose Anchor stands at an address.

        `from_block`: no contract of the venue is older; searched for when it is not given.
        """
        anchor = normalise_address(address, "anchor")
        inbox = _inbox_of(rpc, Deployment(rpc.chain_id(), 0, {"Anchor": anchor}, []))
        block = _creation_block(rpc, anchor) if from_block is None else from_block
        if from_block is None:
            # Deployed before the Anchor, which names it.
            block = min(block, _creation_block(rpc, inbox))
        contracts = {"Anchor": anchor, "Inbox": inbox}
        return cls(Deployment(rpc.chain_id(), block, contracts, []), rpc)

    @property
    def domain(self) -> wire.Domain:
        """The EIP-712 domain of the venue."""
        return self.deployment.domain

    def batch_count(self, block: BlockId = "latest") -> int:
        """Batches posted at a block."""
        return int(self.anchor.contract.call("batch_count", block=block))

    def final_count(self, block: BlockId = "latest") -> int:
        """Batches that are final at a block: the first ones."""
        return int(self.anchor.contract.call("final_count", block=block))

    def identities(self, first: int, end: int, block: BlockId = "latest") -> list[bytes]:
        """Data hash and input root (64 bytes together) of batches, as the contract has them."""
        found = []
        for number in range(first, end):
            stored = self.anchor.contract.call("batch_of", number, block=block)
            found.append(bytes(stored["data_hash"]) + bytes(stored["input_root"]))
        return found

    def read(
        self, first: int, end: int, *, after: ArchivedBatch | None, to_block: int
    ) -> Iterator[ArchivedBatch]:
        """Batches first to end - 1 as they are at `to_block`, checked. `after` is the one before.

        MissingDataError when the node does not have them or gives other bytes than were posted.
        """
        block = self.deployment.block if after is None else after.block_number
        inbox_block = self.deployment.block if after is None else after.inbox_block
        try:
            found = self.anchor.each_batch(first, end, from_block=block, to_block=to_block)
            for batch in found:
                archived = self._with_slice(batch, inbox_block, to_block)
                archived.check()
                inbox_block = archived.inbox_block
                yield archived
        except RpcUnavailableError:
            raise
        except (ChainError, ArchiveError) as problem:
            raise MissingDataError(str(problem)) from problem

    def _with_slice(self, batch: AnchoredBatch, from_block: int, to_block: int) -> ArchivedBatch:
        head = batch.header
        items = self.inbox.items(
            head.inbox_first,
            head.inbox_first + head.inbox_count,
            blocks=(from_block, batch.block_number),
            to_block=to_block,
        )
        return ArchivedBatch(
            number=batch.number,
            header=head.encode(),
            data=batch.data,
            inbox=tuple(item.message for item in items),
            message_count=batch.message_count,
            input_root=batch.input_root,
            data_hash=wire.keccak256(batch.data),
            poster=batch.poster,
            tx_hash=batch.tx_hash,
            block_number=batch.block_number,
            block_hash=batch.block_hash,
            inbox_block=items[-1].block_number if items else from_block,
        )


def _inbox_of(rpc: Rpc, deployment: Deployment) -> str:
    """What the Anchor says; ChainError when there is none at its address."""
    anchor = deployment.contract("Anchor", rpc)
    if not rpc.code(anchor.address):
        raise ChainError(
            f"anchor: {rpc.name} has no contract at {anchor.address}; is it the chain?"
        )
    try:
        return str(anchor.call("config")["inbox"])
    except RpcUnavailableError:
        raise
    except ChainError as problem:
        raise ChainError(f"anchor: {anchor.address} is no Anchor ({problem})") from None


def _creation_block(rpc: Rpc, address: str) -> int:
    """The last block before a contract was there."""
    low, high = -1, rpc.block_number()
    try:
        while high - low > 1:
            middle = (low + high) // 2
            if rpc.code(address, middle):
                high = middle
            else:
                low = middle
    except RpcError as problem:
        raise ChainError(
            f"from-block: {rpc.name} does not tell how old {address} is ({problem}); give the "
            "block of the deployment, or a node with its history"
        ) from None
    return max(low, 0)
