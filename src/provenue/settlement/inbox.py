"""The L1 inbox as clients and operators see it."""

from __future__ import annotations

from dataclasses import dataclass

from provenue import wire
from provenue.settlement.chain_types import BlockId
from provenue.settlement.contract import Contract
from provenue.settlement.deploy import Deployment
from provenue.settlement.rpc import ChainError, Rpc
from provenue.settlement.tx import Sender

__all__ = ["InboxClient", "L1Item"]


@dataclass(frozen=True, slots=True)
class L1Item:
    """One item of the queue, out of its event."""

    index: int
    message: bytes
    accumulator: bytes
    enqueued_at_s: int
    block_number: int


class InboxClient:
    """Reads the queue from L1 events; makes forced actions."""

    def __init__(self, deployment: Deployment, rpc: Rpc) -> None:
        self._rpc = rpc
        self._start_block = deployment.block
        self.contract: Contract = deployment.contract("Inbox", rpc)

    def count(self, block: BlockId = "latest") -> int:
        """Items in the queue."""
        return int(self.contract.call("count", block=block))

    def items(
        self,
        first: int,
        end: int | None = None,
        *,
        blocks: tuple[int, int] | None = None,
        to_block: BlockId = "latest",
    ) -> list[L1Item]:
        """Items first to end - 1 (all from `first` on) that are in the chain at `to_block`.

        `blocks` says that they were enqueued in these blocks (first, last), which spares the node
        the search. Raises ChainError when the node's events have a gap or disagree with the
        contract.
        """
        # A tag moves: what follows must speak of one block.
        block = self._rpc.head(to_block).number
        if end is None:
            end = self.count(block)
        if end <= first:
            return []
        since, until = blocks or (self._start_block, block)
        found = [
            L1Item(
                int(event.args["index"]),
                bytes(event.args["message"]),
                bytes(event.args["accumulator"]),
                int(event.args["enqueued_at"]),
                event.log.block_number,
            )
            for event in self.contract.events("Enqueued", from_block=since, to_block=until)
        ]
        wanted = sorted(
            (item for item in found if first <= item.index < end), key=lambda item: item.index
        )
        if [item.index for item in wanted] != list(range(first, end)):
            raise ChainError(
                f"inbox: expected items {first} to {end - 1} in the node's events, "
                f"got {[item.index for item in wanted][:10]}"
            )
        self._check(wanted, block)
        return wanted

    def _check(self, items: list[L1Item], block: int) -> None:
        """The bytes in the events must lead from one accumulator of the contract to the other."""
        first, last = items[0], items[-1]
        accumulator = bytes(self.contract.call("accumulator", first.index, block=block))
        for item in items:
            accumulator = wire.inbox_accumulator(accumulator, [item.message])
            if accumulator != item.accumulator:
                raise ChainError(f"inbox: item {item.index}: the node's event is not the item")
        if bytes(self.contract.call("accumulator", last.index + 1, block=block)) != accumulator:
            raise ChainError(f"inbox: item {last.index}: the node's events are of another chain")

    def pending(self, consumed: int, *, block: BlockId = "latest") -> int:
        """Items that no batch has consumed; `consumed` as AnchorClient.inbox_consumed says."""
        return self.count(block) - consumed

    def forced_withdraw(
        self, sender: Sender, *, subaccount: int, asset: int, amount_units: int, recipient: str
    ) -> str:
        """Withdraw without the operator's consent; the transaction hash."""
        fee = int(self.contract.call("forced_fee_wei"))
        receipt = self.contract.transact(
            sender, "forced_withdraw", subaccount, asset, amount_units, recipient, value=fee
        )
        return receipt.tx_hash

    def forced_cancel(self, sender: Sender, *, subaccount: int) -> str:
        """Cancel all orders of an account through L1; the transaction hash."""
        fee = int(self.contract.call("forced_fee_wei"))
        return self.contract.transact(sender, "forced_cancel", subaccount, value=fee).tx_hash

    def forced_close(self, sender: Sender, *, subaccount: int) -> str:
        """Close every position of an account through L1; the transaction hash."""
        fee = int(self.contract.call("forced_fee_wei"))
        return self.contract.transact(sender, "forced_close", subaccount, value=fee).tx_hash

    def forced_revoke(self, sender: Sender, *, subaccount: int, slot: int) -> str:
        """Revoke a session key through L1; the transaction hash."""
        fee = int(self.contract.call("forced_fee_wei"))
        return self.contract.transact(sender, "forced_revoke", subaccount, slot, value=fee).tx_hash
