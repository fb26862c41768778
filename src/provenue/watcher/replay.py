"""Native re-execution of batches, from the zero image on: the roots that a claim must have.

Signers are recovered first, on all cores, while this thread prepares the digests of what follows;
the engine is then answered from memory. A message on which the engine fails is one that counts as
empty if the guest traps on it too (P4); if the guest does not, our two builds differ and nothing
may be concluded.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from provenue import wire
from provenue.engine import Engine, EngineFault, claim_root, pack, preverify
from provenue.watcher.archive import ArchivedBatch

__all__ = ["BuildsDifferError", "Executed", "Traps", "execute", "recover_ahead"]

# What one task of a core is: long enough that handing it over costs nothing.
_CHUNK_MESSAGES = 256

Traps = Callable[[Engine, ArchivedBatch, int], bool]
"""Whether the guest breaks off on a message of a batch, from the engine's image."""


class BuildsDifferError(Exception):
    """Engine and guest do not agree (P1): whatever a claim says, this watcher cannot judge it."""


@dataclass(frozen=True)
class Executed:
    """What a batch does. Roots are 32 bytes."""

    number: int
    start_root: bytes
    roots: list[bytes]
    """Image root after each message."""
    claim_root: bytes
    skipped: tuple[int, ...]
    """Messages on which both builds break off."""
    seconds: float

    @property
    def end_root(self) -> bytes:
        """Image root after the batch."""
        return self.roots[-1]

    def root_after(self, message: int) -> bytes:
        """A leaf of the claim tree: beyond the last message it is the last root (chapter 7.4)."""
        return self.roots[min(message, len(self.roots) - 1)]


def execute(engine: Engine, batch: ArchivedBatch, *, domain: wire.Domain, traps: Traps) -> Executed:
    """Run one batch; the engine stands at its end afterwards."""
    began = time.perf_counter()
    head = batch.head
    start_root = engine.root()
    messages = batch.messages
    recover_ahead(messages[len(batch.inbox) :], domain)
    roots: list[bytes] = []
    skipped: list[int] = []
    while len(roots) < len(messages):
        done = len(roots)
        data, offsets = pack(messages[done:])
        from_inbox = [index < len(batch.inbox) for index in range(done, len(messages))]
        try:
            applied = engine.apply_many(
                data,
                offsets,
                from_inbox=from_inbox,
                stamp_min_ms=head.stamp_min_ms,
                stamp_max_ms=head.stamp_max_ms,
                roots=True,
            )
            roots += applied.roots
        except EngineFault as fault:
            roots += fault.applied.roots if fault.applied is not None else []
            index = len(roots)
            if not traps(engine, batch, index):
                raise BuildsDifferError(
                    f"batch {batch.number}, message {index}: the native engine failed ({fault}) "
                    "and the guest does not"
                ) from fault
            skipped.append(index)
            roots.append(engine.root())
    return Executed(
        number=batch.number,
        start_root=start_root,
        roots=roots,
        claim_root=claim_root(roots),
        skipped=tuple(skipped),
        seconds=time.perf_counter() - began,
    )


def recover_ahead(messages: Sequence[bytes], domain: wire.Domain) -> None:
    """Recover the signers of posted messages on all cores; what the engine asks it then knows."""
    cores = len(os.sched_getaffinity(0))
    asked = (_recover_input(message, domain) for message in messages)
    inputs = (ask for ask in asked if ask is not None)
    with ThreadPoolExecutor(cores) as pool:
        running: list[Future[list[bytes]]] = []
        while chunk := list(itertools.islice(inputs, _CHUNK_MESSAGES)):
            running.append(pool.submit(preverify, chunk))
        for future in running:
            future.result()


def _recover_input(message: bytes, domain: wire.Domain) -> bytes | None:
    """Digest, v, r, s as the program will ask; None for what it will not ask about."""
    try:
        decoded = wire.decode(message)
    except wire.DecodeError:
        return None
    if not isinstance(decoded, wire.Signed):
        return None
    signature = decoded.signature
    return wire.digest(decoded, domain) + signature[64:].rjust(32, b"\0") + signature[:64]
