"""What `provenue watch`, `verify` and `replay` share: from options to a venue on L1."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from provenue.engine import guest_elf
from provenue.settlement.chain_types import BlockId
from provenue.settlement.deploy import Deployment
from provenue.settlement.deploy_config import ConfigError
from provenue.settlement.rpc import Rpc
from provenue.watcher.archive import Archive
from provenue.watcher.history import History
from provenue.watcher.l1 import L1
from provenue.watcher.source import Source, open_archive
from provenue.watcher.traces import GuestTraps
from provenue.watcher.verify import Verifier

__all__ = ["Depth", "Preset", "find_venue", "open_verifier"]

Depth = Literal["latest", "safe", "finalized"]
Preset = Literal["minimal", "dev", "main"]


def find_venue(
    rpc_url: str, anchor: str | None, deployment: Path | None, from_block: int | None
) -> L1:
    """The venue that the options name: an Anchor's address, or a deployment file."""
    if (anchor is None) == (deployment is None):
        raise ConfigError("anchor: expected --anchor ADDRESS or --deployment FILE, one of them")
    rpc = Rpc(rpc_url)
    if deployment is not None:
        return L1(Deployment.load(deployment), rpc)
    assert anchor is not None
    return L1.from_anchor(rpc, anchor, from_block=from_block)


def open_verifier(l1: L1, folder: Path, *, preset: Preset, depth: BlockId) -> Verifier:
    """Archive, history and comparison in a folder."""
    archive: Archive = open_archive(folder, l1)
    history = History(archive, preset=preset, domain=l1.domain, traps=GuestTraps(guest_elf(preset)))
    return Verifier(l1, archive, history, Source(l1, archive, history, depth=depth))
