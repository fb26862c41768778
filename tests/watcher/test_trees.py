"""Trees of claims and of instructions, and the proof in a tree that is only known by reveals."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.sequencer.world import World
from tests.watcher.histories import make_archive, make_batch, make_history

from provenue import wire
from provenue.engine import Engine, guest_elf
from provenue.machine import Trace, replay_step
from provenue.p1 import Twin
from provenue.watcher.archive import Archive
from provenue.watcher.history import History
from provenue.watcher.replay import BuildsDifferError
from provenue.watcher.traces import ComputedTrees, machine_at
from provenue.watcher.trees import (
    MessageTree,
    RevealMissingError,
    children_root,
    left_neighbour_proof,
)

LEAVES = 1 << 12
START = wire.keccak256(b"start")


def _tree(rng: random.Random, roots: list[bytes], first: int) -> MessageTree:
    """Another tree that is the same before `first` and random from it on."""
    return MessageTree(START, [*roots[:first], *(rng.randbytes(32) for _ in range(LEAVES - first))])


def _reveals(tree: MessageTree, position: int) -> dict[bytes, list[bytes]]:
    """What is known of a tree after a match has come down to a leaf."""
    found = {}
    for height in (12, 9, 6, 3):
        index = position >> height
        found[tree.node(height, index)] = tree.children(height, index)
    return found


def test_the_last_agreed_leaf_is_proven_in_a_tree_of_which_only_the_way_is_known(
    rng: random.Random,
) -> None:
    roots = [rng.randbytes(32) for _ in range(LEAVES)]
    own = MessageTree(START, roots)
    edges = [1, 2, 3, 7, 8, 9, 511, 512, 513, 4_094, 4_095]
    for position in [*edges, *(rng.randrange(1, LEAVES) for _ in range(40))]:
        other = _tree(rng, roots, position)
        revealed = _reveals(other, position)
        assert all(children_root(children) == node for node, children in revealed.items())
        siblings = left_neighbour_proof(own, other.root, 12, position, revealed)
        assert wire.verify_proof(roots[position - 1], position - 1, siblings, other.root), position
        assert left_neighbour_proof(own, own.root, 12, position, {}) == own.proof(position - 1)


def test_a_node_that_was_not_revealed_is_named(rng: random.Random) -> None:
    roots = [rng.randbytes(32) for _ in range(LEAVES)]
    own, other = MessageTree(START, roots), _tree(rng, roots, 77)
    revealed = _reveals(other, 77)
    del revealed[other.node(6, 1)]
    with pytest.raises(RevealMissingError, match=other.node(6, 1).hex()):
        left_neighbour_proof(own, other.root, 12, 77, revealed)


@pytest.fixture
def history(tmp_path: Path, seed: int) -> History:
    archive = make_archive(tmp_path, seed, 3)
    return make_history(archive)


def _trees(history: History) -> ComputedTrees:
    trees = ComputedTrees(history, guest_elf(history.preset))
    trees.count = history.archive.count
    while history.next_batch < history.archive.count:
        history.run_next()
    return trees


def test_traces_end_with_the_roots_of_the_claim(history: History, rng: random.Random) -> None:
    """The image root in the end opening is the claim's leaf; the guest says so, not the engine."""
    trees = _trees(history)
    executed = history.executed[1]
    for message in [0, 1, *rng.sample(range(2, len(executed.roots)), 4)]:
        trace = trees.trace(1, message)
        end = trace.end()
        assert end.q1 == executed.roots[message]
        words = b"".join(end.state)
        assert wire.verify_proof(
            wire.keccak256(words), 2**24 - 1, trace.proof(2**24 - 1), trace.root
        )
        assert replay_step(trace.witness(0)) == trace.leaf(0)


def test_a_message_beyond_the_last_does_nothing_and_has_a_trace(history: History) -> None:
    """Somebody may lie about the leaves that fill a claim up; they are disputed like any other."""
    trees = _trees(history)
    count = len(history.executed[2].roots)
    for message in (count, 4_095):
        assert trees.trace(2, message).end().q1 == history.executed[2].end_root


def test_batches_not_yet_checked_on_the_chain_are_not_known(history: History) -> None:
    trees = _trees(history)
    trees.count = 2
    assert trees.batch(1) is not None
    assert trees.batch(2) is None
    assert trees.batch(9) is None


def test_claims_are_those_that_engine_and_guest_agree_on(history: History) -> None:
    trees = _trees(history)
    twin = Twin(history.preset)
    for number in range(3):
        batch = history.archive.load(number)
        check = twin.check_batch(batch.head, batch.inbox, batch.data)
        tree = trees.batch(number)
        assert tree is not None
        assert tree.root == check.claim_root
        trees.confirm(number)


def test_nothing_is_confirmed_that_the_guest_does_not_reproduce(history: History) -> None:
    trees = _trees(history)
    history.executed[1].roots[5] = bytes(32)
    with pytest.raises(BuildsDifferError, match="batch 1"):
        trees.confirm(1)
    with pytest.raises(BuildsDifferError, match="batch 1, message 5"):
        trees.trace(1, 5)


def test_a_snapshot_gives_the_same_engine_as_the_whole_history(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provenue.watcher.history.SNAPSHOT_EVERY_BATCHES", 1)
    _trees(history)
    again = make_history(history.archive)
    again.start(2)
    assert again.next_batch == 2
    assert again.engine.root() == history.executed[1].end_root
    path = again._path(2)
    path.write_bytes(path.read_bytes()[:-1])
    again.start(2)
    assert again.next_batch == 1, "a damaged snapshot is not used"
    history.prune(2)
    assert [number for number, _ in history._snapshots()] == [2, 3]
    assert sorted(history.executed) == [2]


def test_what_both_builds_break_off_on_counts_as_empty(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive(tmp_path, seed, 1)
    history = make_history(archive)
    asked: list[int] = []

    def traps(_engine: Engine, _batch: object, index: int) -> bool:
        asked.append(index)
        return True

    history._traps = traps
    history.engine._native.fail_at_call(1)  # GENESIS hashes
    executed = history.run_next()
    assert asked == [0]
    assert executed.skipped == (0,)
    assert executed.roots[0] == executed.start_root
    assert len(executed.roots) == archive.load(0).message_count


def test_what_only_the_engine_breaks_off_on_cannot_be_judged(tmp_path: Path, seed: int) -> None:
    history = make_history(make_archive(tmp_path, seed, 1))
    history.engine._native.fail_at_call(1)
    with pytest.raises(BuildsDifferError, match="batch 0, message 0"):
        history.run_next()


def test_the_start_state_is_composed_of_roots_alone(tmp_path: Path, seed: int) -> None:
    """Quarter by quarter as a contract makes it (10.4): program, image, input, zeros."""
    world = World(seed, 1)
    archive = Archive(tmp_path, chain_id=1, anchor="0x00")
    batch = make_batch(
        0, 0, world.now_ms, world.now_ms, [world.inbox[0].message], [b"\x12", b"\xff"]
    )
    archive.store(batch)
    elf = guest_elf("minimal")
    machine = machine_at(elf, Engine("minimal"), batch, 0)
    roots = machine.quarter_roots()
    assert roots[1] == wire.ZERO_HASHES[29]
    assert roots[2] == batch.input_root
    assert roots[3] == wire.ZERO_HASHES[29]
    assert Trace(machine).steps > 0
