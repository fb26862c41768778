"""Root, full rehash, a naive tree in Python, proofs, and the widths of the native hash agree."""

import random
from collections.abc import Iterator

import pytest
from tests.engine.recorded import play, record

from provenue._generated.constants import QUARTER_HEIGHT
from provenue.engine import (
    Engine,
    claim_root,
    keccak256,
    keccak_width,
    set_keccak_width,
)
from provenue.wire import ClaimTree, merkle_root, verify_proof
from provenue.wire import keccak256 as wire_keccak256


@pytest.fixture
def width_restored() -> Iterator[None]:
    before = keccak_width()
    yield
    set_keccak_width(before)


def test_root_is_rehash_and_naive_tree_after_messages(seed: int) -> None:
    recorded, engine = record(seed, 1_500), Engine("minimal")
    for index, step in enumerate(recorded.steps):
        play(engine, step.item)
        root = engine.root()
        if index % 10 == 0:
            assert root == engine.rehash(), f"message {index}"
        if index % 300 == 299:
            assert root == merkle_root(bytes(engine.image), QUARTER_HEIGHT), f"message {index}"


@pytest.mark.usefixtures("width_restored")
@pytest.mark.parametrize("width", [1, 4, 8])
def test_every_width_gives_the_same_roots(width: int, seed: int) -> None:
    if not set_keccak_width(width):
        pytest.skip(f"this CPU has no {width}-way hash")
    recorded, engine = record(seed, 1_500), Engine("minimal")
    for index, step in enumerate(recorded.steps):
        play(engine, step.item)
        if index % 100 == 99:
            root = engine.root()
            assert engine.rehash() == root
            assert set_keccak_width(1)
            assert engine.rehash() == root, f"message {index}"
            assert set_keccak_width(width)


@pytest.mark.parametrize("bytes_count", [0, 1, 31, 64, 135, 136, 137, 1_000])
def test_hash_is_that_of_another_library(bytes_count: int) -> None:
    data = bytes(i * 7 & 255 for i in range(bytes_count))
    assert keccak256(data) == wire_keccak256(data)


def test_every_leaf_is_proven_by_its_siblings(seed: int, rng: random.Random) -> None:
    recorded, engine = record(seed, 1_500), Engine("minimal")
    for step in recorded.steps:
        play(engine, step.item)
    root, image = engine.root(), bytes(engine.image)
    offsets = [0, 31, 32, len(image) - 1, *(rng.randrange(len(image)) for _ in range(100))]
    for offset in offsets:
        leaf = offset // 32
        proof = engine.leaf_proof(offset)
        assert len(proof) == QUARTER_HEIGHT
        assert verify_proof(image[leaf * 32 : leaf * 32 + 32], leaf, proof, root)
        assert not verify_proof(b"\xff" * 32, leaf, proof, root)
    # What contracts rely on: the withdrawal root is the first leaf.
    assert verify_proof(engine.withdrawal_root, 0, engine.leaf_proof(0), root)
    with pytest.raises(ValueError, match="offset"):
        engine.leaf_proof(len(image))


def test_claim_root_is_that_of_the_wire_package(rng: random.Random) -> None:
    for count in (1, 2, 77, 4_096):
        roots = [rng.randbytes(32) for _ in range(count)]
        assert claim_root(roots) == ClaimTree(roots).root
    with pytest.raises(ValueError, match="roots"):
        claim_root([])
