"""What `provenue watch`, `verify` and `replay` share: from options to a venue on L1."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from provenue.engine import guest_elf
from provenue.settlement.chain_types import BlockId
from provenue.settlement.deploy import Deployment
from provenue.settlement.deploy_config import ConfigError
from provenue.settlement.rpc import Rpc
from provenue.settlement.tx import Account
from provenue.watcher.archive import Archive
from provenue.watcher.history import History
from provenue.watcher.l1 import L1
from provenue.watcher.metrics import Metrics
from provenue.watcher.node import Watcher
from provenue.watcher.party import Party, find_game
from provenue.watcher.pins import Pinned, match_guest, read_pins
from provenue.watcher.player import Manners
from provenue.watcher.source import Source, open_archive
from provenue.watcher.traces import ComputedTrees, GuestTraps
from provenue.watcher.verify import Verifier

__all__ = ["Depth", "OpenedWatcher", "Preset", "find_venue", "open_verifier", "open_watcher"]

Depth = Literal["latest", "safe", "finalized"]
Preset = Literal["minimal", "dev", "main"]


def find_venue(
    rpc_url: str, anchor: str | None, deployment: Path | None, from_block: int | None
) -> L1:
    """The venue that the options name: an Anchor's address, or a deployment file."""
    if (anchor is None) == (deployment is None):
        raise ConfigError("anchor: expected --anchor ADDRESS or --deployment FILE, one of them")
    rpc = Rpc(rpc_url)
    if from_block is not None and from_block < 0:
        raise ConfigError(f"from-block: expected a number from 0 on, was {from_block}")
    if deployment is not None:
        return L1.from_deployment(rpc, Deployment.load(deployment))
    assert anchor is not None
    return L1.from_anchor(rpc, anchor, from_block=from_block)


def pinned_guest(l1: L1, preset: Preset | None) -> Pinned:
    """The guest that the chain referees by; without a game, that of the preset (or `dev`)."""
    game = find_game(l1)
    named = preset or l1.deployment.preset or None
    if game is not None:
        sha256 = l1.deployment.guest_sha256 or None
        return match_guest(read_pins(game), preset=named, sha256=sha256)
    name = named or "dev"
    elf = guest_elf(name)
    return Pinned(name, elf, hashlib.sha256(elf).hexdigest())


@dataclass(frozen=True, slots=True)
class OpenedWatcher:
    """A watcher that has not begun yet."""

    watcher: Watcher
    metrics: Metrics
    ready: dict[str, str | None]
    """What it is, for the line of JSON that it begins with."""


def open_watcher(
    l1: L1,
    folder: Path,
    *,
    account: Account | None,
    preset: Preset | None,
    depth: BlockId,
    manners: Manners,
) -> OpenedWatcher:
    """Everything that `provenue watch` consists of."""
    l1.rpc.head(depth)  # a node without such a block is told now
    guest = pinned_guest(l1, preset)
    archive = open_archive(folder, l1)
    history = History(archive, preset=guest.preset, domain=l1.domain, traps=GuestTraps(guest.elf))
    trees = ComputedTrees(history, guest.elf)
    game = find_game(l1)
    party = Party("watcher", l1, game, trees, account=account, folder=folder, manners=manners)
    metrics = Metrics()
    source = Source(l1, archive, history, depth=depth)
    ready = {
        "anchor": l1.deployment.contracts["Anchor"],
        "game": None if game is None else game.address,
        "account": None if account is None else account.address,
        "preset": guest.preset,
        "guest_sha256": guest.sha256,
    }
    return OpenedWatcher(Watcher(l1, source, history, trees, party, metrics), metrics, ready)


def open_verifier(l1: L1, folder: Path, *, preset: Preset | None, depth: BlockId) -> Verifier:
    """Archive, history and comparison in a folder."""
    guest = pinned_guest(l1, preset)
    archive: Archive = open_archive(folder, l1)
    history = History(archive, preset=guest.preset, domain=l1.domain, traps=GuestTraps(guest.elf))
    return Verifier(l1, archive, history, Source(l1, archive, history, depth=depth))
