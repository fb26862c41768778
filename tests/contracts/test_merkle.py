"""The merkle module against the naive tree: every length class, every place."""

import random
from typing import Any

import boa
import pytest
from tests.contracts import naive
from tests.contracts.system import HERE, compile_source


@pytest.fixture(scope="session", params=["legacy", "venom"])
def merkle(request: pytest.FixtureRequest) -> Any:
    return compile_source(HERE / "merkle_mock.vy", request.param).deploy()


def test_zero_subtrees_of_every_height(merkle: Any) -> None:
    for height in range(33):
        assert merkle.zero(height) == naive.zero(height)


EDGES = [0, 1, 4, 8, 31, 32, 33, 63, 64, 65, 127, 128, 224, 225, 255, 256, 257, 287, 288, 511, 512,
         513, 768, 1_023, 1_024, 1_025, 1_279, 1_280, 4_096, 8_191]  # fmt: skip


def test_posted_root_at_every_edge(merkle: Any, rng: random.Random) -> None:
    for length in EDGES:
        data = rng.randbytes(length)
        assert merkle.posted_root(data) == naive.root(data, 28), f"{length} bytes"


def test_posted_root_of_random_lengths(merkle: Any, rng: random.Random) -> None:
    for _ in range(25):
        data = rng.randbytes(rng.randrange(10_000))
        if rng.random() < 0.3:
            data = data[: len(data) // 2] + bytes(len(data) // 2)
        assert merkle.posted_root(data) == naive.root(data, 28), f"{len(data)} bytes"


@pytest.mark.slow
def test_posted_root_of_every_length_of_the_last_groups(merkle: Any, rng: random.Random) -> None:
    for length in [*range(1, 530), *range(119_801, 120_000, 37)]:
        data = rng.randbytes(length)
        assert merkle.posted_root(data) == naive.root(data, 28), f"{length} bytes"


def test_full_batch_has_its_root_and_one_byte_more_is_refused(
    merkle: Any, rng: random.Random
) -> None:
    data = rng.randbytes(120_000)
    assert merkle.posted_root(data) == naive.root(data, 28)
    with pytest.raises(boa.BoaError):
        merkle.posted_root(data + b"\0")


def test_dirty_padding_of_calldata_is_not_hashed(merkle: Any) -> None:
    """The encoding of bytes is padded to a word; the padding may hold anything."""
    data = bytes(range(1, 42))
    clean = merkle.posted_root.prepare_calldata(data)
    assert clean.endswith(data + bytes(23))
    dirty = clean[:-23] + b"\xff" * 23
    answer = boa.env.raw_call(merkle.address, data=dirty).output
    assert answer == naive.root(data, 28)


def test_made_root_of_every_number_of_slots(merkle: Any, rng: random.Random) -> None:
    words = [rng.randbytes(32) for _ in range(10)] + [bytes(32)] * 6
    for count in (*range(10), 31, 32, 33, 63, 64):
        messages = [rng.randbytes(rng.randrange(481)) for _ in range(count)]
        data = b"".join(words).ljust(32_768, b"\0") + b"".join(map(naive.slot, messages))
        roots = [naive.slot_root(message) for message in messages]
        assert merkle.made_root(words, roots) == naive.root(data, 28), f"{count} slots"


def test_climb_is_a_leftmost_subtree_under_zeros(merkle: Any, rng: random.Random) -> None:
    for height in (0, 1, 5):
        data = rng.randbytes(32 << height)
        for to_height in (height, height + 1, 12, 29):
            node = merkle.climb(naive.root(data, height), height, to_height)
            assert node == naive.root(data, to_height)


def test_openings_lead_to_the_root_from_their_place_only(merkle: Any, rng: random.Random) -> None:
    leaves = [rng.randbytes(32) for _ in range(11)]
    root = naive.tree_root(leaves, 32)
    for index in (*range(11), 11, 2**31, 2**32 - 1):
        leaf = leaves[index] if index < 11 else bytes(32)
        siblings = naive.proof(leaves, index, 32)
        assert merkle.root_from(leaf, index, siblings) == root
        if index < 11:
            assert merkle.root_from(leaf, index ^ 1 << rng.randrange(32), siblings) != root
    siblings = naive.proof(leaves, 0, 29)
    assert merkle.root_from_first(leaves[0], siblings) == naive.tree_root(leaves, 29)
    siblings = naive.proof(leaves, 4095, 12, leaves[-1])
    assert merkle.root_from_last(leaves[-1], siblings) == naive.tree_root(leaves, 12, leaves[-1])
