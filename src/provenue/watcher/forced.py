"""A batch without the operator: overdue inbox items, relayed signed prices, and CONTINUE.

Anyone makes it, under the smaller bond, from L1 data alone (docs/contracts.md, Forced batches). The
claim is one that both builds have reproduced, as the operator's would be (P1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenue import wire
from provenue._generated.constants import (
    BATCH_BYTES_MAX,
    BATCH_INBOX_MAX,
    BATCH_MESSAGES_MAX,
    PIPELINE_FORCED_MAX,
)
from provenue.engine import Engine
from provenue.p1 import Twin
from provenue.settlement.anchor import AnchorClient, PostedBatch
from provenue.settlement.rpc import ChainError, Rpc
from provenue.settlement.tx import Sender
from provenue.watcher.history import History
from provenue.watcher.l1 import L1
from provenue.watcher.replay import BuildsDifferError

__all__ = ["ForcedBatch", "NotOverdueError", "compose", "post_forced"]

_CONTINUE = wire.encode(wire.Continue())
# A count, one offset behind the last message; then an offset for each.
_TABLE_BYTES, _OFFSET_BYTES = 8, 4
_STAMP_AT, _STAMP_END = 1, 9


class NotOverdueError(ChainError):
    """Only the operator may post now; the text says until when."""


@dataclass(frozen=True, slots=True)
class ForcedBatch:
    """A batch that has not been posted. `codes` are those of its messages, inbox first."""

    header: wire.Header
    inbox: list[bytes]
    posted: list[bytes]
    codes: list[int]
    pending: bool
    """Work is left that did not fit: it goes on in the next batch."""


def compose(
    engine: Engine, header: wire.Header, inbox: Sequence[bytes], prices: Sequence[bytes]
) -> ForcedBatch:
    """Apply what can be posted, in order; the engine is moved on.

    What an earlier batch left to be continued comes first, since no price is taken before.
    """
    inbox = list(inbox[:BATCH_INBOX_MAX])
    posted: list[bytes] = []
    codes: list[int] = []
    room = _Room(len(inbox))

    def apply(message: bytes, *, from_inbox: bool = False) -> None:
        code, _ = engine.apply(
            message,
            from_inbox=from_inbox,
            stamp_min_ms=header.stamp_min_ms,
            stamp_max_ms=header.stamp_max_ms,
        )
        codes.append(code)

    def go_on() -> None:
        while engine.pending() and room.take(_CONTINUE):
            apply(_CONTINUE)
            posted.append(_CONTINUE)

    for message in inbox:
        apply(message, from_inbox=True)
    go_on()
    for signed in prices:
        stamped = _stamped(signed, header.stamp_max_ms)
        if engine.pending() or not room.take(stamped):
            break
        apply(stamped)
        posted.append(stamped)
        go_on()
    return ForcedBatch(header, inbox, posted, codes, engine.pending())


class _Room:
    """What a batch still holds."""

    def __init__(self, inbox: int) -> None:
        self._messages = BATCH_MESSAGES_MAX - inbox
        self._bytes = BATCH_BYTES_MAX - _TABLE_BYTES

    def take(self, message: bytes) -> bool:
        """Whether it fits; then it is counted."""
        size = len(message) + _OFFSET_BYTES
        if self._messages < 1 or self._bytes < size:
            return False
        self._messages -= 1
        self._bytes -= size
        return True


def _stamped(prices: bytes, stamp_ms: int) -> bytes:
    """The sequencer's stamp is not signed: whoever relays sets it."""
    if not isinstance(wire.decode(prices), wire.Prices):
        raise ValueError("prices: expected signed PRICES messages")
    return prices[:_STAMP_AT] + stamp_ms.to_bytes(8, "big") + prices[_STAMP_END:]


def post_forced(
    l1: L1, history: History, elf: bytes, sender: Sender, prices: Sequence[bytes]
) -> tuple[ForcedBatch, PostedBatch]:
    """Make, check and post the next batch; the bond is topped up if it is short.

    `history` stands behind the last batch of the chain.
    """
    anchor = AnchorClient(l1.deployment, l1.rpc, sender)
    _check_overdue(l1, anchor)
    header = _header(l1.rpc, anchor, history)
    items = l1.inbox.items(header.inbox_first)[:BATCH_INBOX_MAX]
    inbox = [item.message for item in items]
    batch = compose(history.engine_at(history.next_batch), header, inbox, prices)
    if batch.codes and not batch.inbox:
        raise ChainError("inbox: expected an overdue item, the node has none")
    data = wire.encode_posted(batch.posted)
    checked = wire.Header(
        batch=header.batch,
        stamp_min_ms=header.stamp_min_ms,
        stamp_max_ms=header.stamp_max_ms,
        inbox_count=len(inbox),
        posted_bytes=len(data),
        inbox_first=header.inbox_first,
        sequence_first=header.sequence_first,
        forced=1,
    )
    twin = Twin(history.preset, elf)
    engine = history.engine_at(history.next_batch)
    twin.load(engine)
    start_root = engine.root()
    check = twin.check_batch(checked, inbox, data)
    if not check.ok:
        raise BuildsDifferError(f"batch {header.batch}: not posted: {check.mismatches[0]}")
    _bond(anchor, sender)
    posted = anchor.post(checked, inbox, data, start_root, wire.ClaimTree(check.roots))
    return batch, posted


def _check_overdue(l1: L1, anchor: AnchorClient) -> None:
    if anchor.forced_mode():
        return
    head = anchor.inbox_consumed()
    if head >= l1.inbox.count():
        raise NotOverdueError("inbox: nothing waits in it; enqueue a forced action first")
    exit_s = int(anchor.contract.call("config")["forced_delay_s"])
    due_s = int(l1.inbox.contract.call("enqueued_at", head)) + exit_s
    left_s = due_s - l1.rpc.head().timestamp
    raise NotOverdueError(
        f"inbox: item {head} may be posted by anyone from L1 time {due_s} on, in {left_s} s"
    )


def _header(rpc: Rpc, anchor: AnchorClient, history: History) -> wire.Header:
    """The next batch's; both stamps are L1's time, so nothing runs at an old one."""
    number = anchor.batch_count()
    if history.next_batch != number:
        raise ChainError(
            f"batch {number}: expected {number} archived batches, was {history.next_batch}"
        )
    if number - anchor.final_count() >= PIPELINE_FORCED_MAX:
        raise ChainError("anchor: the pipeline is full; wait until something is final")
    last_ms = 0
    if number:
        last_ms = int(anchor.contract.call("batch_of", number - 1)["stamp_max_ms"])
    stamp_ms = max(last_ms, rpc.head().timestamp * 1_000)
    return wire.Header(
        batch=number,
        stamp_min_ms=stamp_ms,
        stamp_max_ms=stamp_ms,
        inbox_first=anchor.inbox_consumed(),
        sequence_first=anchor.next_sequence(),
        forced=1,
    )


def _bond(anchor: AnchorClient, sender: Sender) -> None:
    config = anchor.contract.call("config")
    open_ = int(anchor.contract.call("open_claims_of", sender.address)) + 1
    needed_wei = int(config["forced_bond_wei"]) + open_ * int(config["claim_reserve_wei"])
    short_wei = needed_wei - anchor.bond_wei(sender.address)
    if short_wei > 0:
        anchor.deposit_bond(short_wei)
