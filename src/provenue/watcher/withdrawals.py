"""Withdrawals out of L1 data alone: what was issued, and the proof that the vault pays by.

Whoever has the archive needs no operator to be paid: the tree of withdrawals and the image that
holds its root follow from the posted bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenue import wire
from provenue.engine import Engine, EngineFault
from provenue.p1 import Twin
from provenue.settlement.vault import WithdrawalProof
from provenue.watcher.archive import Archive, ArchivedBatch
from provenue.watcher.replay import recover_ahead

__all__ = ["Issued", "Withdrawals"]


@dataclass(frozen=True, slots=True)
class Issued:
    """A withdrawal that the program issued. `recipient` 20 bytes."""

    id: int
    asset: int
    recipient: bytes
    amount_units: int
    batch: int

    @property
    def leaf(self) -> bytes:
        """In the tree of withdrawals (chapter 3.6)."""
        return wire.withdrawal_leaf(
            number=self.id,
            asset=self.asset,
            recipient=self.recipient,
            amount_units=self.amount_units,
        )


class Withdrawals:
    """Everything issued up to the end of the first `count` batches of an archive."""

    def __init__(
        self, archive: Archive, count: int, *, preset: str, domain: wire.Domain, elf: bytes
    ) -> None:
        self.issued: list[Issued] = []
        self._batch = count - 1
        self._elf = elf
        self._engine = Engine(preset)
        for number in range(count):
            self._follow(archive.load(number), domain)

    def of(self, recipient: bytes) -> list[Issued]:
        """What is to be paid to an address, or was."""
        return [one for one in self.issued if one.recipient == recipient]

    def proof(self, one: Issued) -> WithdrawalProof:
        """Under the image root behind the last of the batches, which must be final."""
        tree = wire.WithdrawalTree()
        tree.extend([other.leaf for other in self.issued])
        twin = Twin(self._engine.preset, self._elf)
        twin.load(self._engine)
        return WithdrawalProof(
            id=one.id,
            asset=one.asset,
            recipient=one.recipient,
            amount_units=one.amount_units,
            batch=self._batch,
            withdrawal_root=tree.image_root,
            withdrawal_siblings=tree.proof(one.id),
            image_siblings=twin.leaf_proof(0),
        )

    def _follow(self, batch: ArchivedBatch, domain: wire.Domain) -> None:
        messages, head = batch.messages, batch.head
        recover_ahead(messages[len(batch.inbox) :], domain)
        for index, message in enumerate(messages):
            try:
                _, events = self._engine.apply(
                    message,
                    from_inbox=index < len(batch.inbox),
                    stamp_min_ms=head.stamp_min_ms,
                    stamp_max_ms=head.stamp_max_ms,
                )
            except EngineFault:
                continue  # it counts as empty (P4); the history was judged when it was executed
            for event in wire.decode_events(events):
                if event.kind in (wire.EventKind.WITHDRAWN, wire.EventKind.DEPOSIT_BOUNCED):
                    self.issued.append(_issued(message, event, batch.number))


def _issued(message: bytes, event: wire.Event, batch: int) -> Issued:
    """The recipient stands in the message alone; a deposit that bounced goes back to its owner."""
    decoded = wire.decode(message)
    if isinstance(decoded, wire.Deposit):
        recipient = decoded.owner
    else:
        assert isinstance(decoded, wire.Withdraw | wire.ForcedWithdraw)
        recipient = decoded.recipient
    return Issued(event.value, event.extra, recipient, event.size, batch)
