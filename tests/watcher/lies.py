"""Wrong claims, posted through the operator's own worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from provenue import wire
from provenue.settlement.anchor import AnchorClient, PostedBatch

__all__ = ["LyingChain", "bent"]


def bent(roots: Sequence[bytes], message: int) -> list[bytes]:
    """Roots that are right before a message and wrong from it on."""
    return [
        root if index < message else wire.keccak256(b"a lie" + root)
        for index, root in enumerate(roots)
    ]


class LyingChain:
    """The Anchor as a worker sees it, with claims that are wrong from message `lies[batch]` on."""

    def __init__(self, anchor: AnchorClient, lies: dict[int, int]) -> None:
        self._anchor = anchor
        self._lies = lies
        self._root: bytes | None = None
        self._believed: bytes | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._anchor, name)

    def start_root(self, batch: int) -> bytes:
        """What the worker wants to hear."""
        return self._believed or self._anchor.start_root(batch)

    def post(
        self,
        header: wire.Header,
        inbox: Sequence[bytes],
        posted: bytes,
        start_root: bytes,
        claim: wire.ClaimTree,
    ) -> PostedBatch:
        """Post; later batches stand on the wrong end root."""
        self._believed = claim.final_root
        start = start_root if self._root is None else self._root
        if header.batch in self._lies:
            claim = wire.ClaimTree(bent(claim.leaves, self._lies[header.batch]))
            self._root = claim.final_root
        elif self._root is not None:
            self._root = claim.final_root
        return self._anchor.post(header, inbox, posted, start, claim)
