"""Merkle trees against a tree that is hashed in full."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.oracles import keccak256, slow_root

from provenue import wire

LEAF = st.binary(min_size=32, max_size=32)


@settings(deadline=None)
@given(st.binary(max_size=700), st.integers(5, 7))
def test_a_root_over_bytes_equals_the_fully_hashed_tree(data: bytes, height: int) -> None:
    assert wire.merkle_root(data, height) == slow_root(data, height)


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 15))
def test_a_proof_leads_to_the_root_and_only_from_its_place(data: bytes, index: int) -> None:
    root, proof = wire.merkle_root(data, 4), wire.merkle_proof(data, index, 4)
    leaf = data.ljust(512, b"\0")[32 * index : 32 * index + 32]
    assert wire.verify_proof(leaf, index, proof, root)
    assert not wire.verify_proof(leaf, index + 16, proof, root)
    assert not wire.verify_proof(keccak256(leaf), index, proof, root)
    for level in range(4):
        wrong = list(proof)
        wrong[level] = keccak256(wrong[level])
        assert not wire.verify_proof(leaf, index, wrong, root)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(LEAF, max_size=5), max_size=8))
def test_appending_in_any_portions_gives_the_same_tree(portions: list[list[bytes]]) -> None:
    tree, leaves = wire.MerkleTree(6), [leaf for portion in portions for leaf in portion]
    for portion in portions:
        tree.extend(portion)
    assert tree.root == slow_root(b"".join(leaves), 6)
    for index in range(0, 64, 9):
        leaf = leaves[index] if index < len(leaves) else bytes(32)
        assert wire.verify_proof(leaf, index, tree.proof(index), tree.root)


def test_zero_hashes_are_the_roots_of_empty_trees() -> None:
    assert wire.ZERO_HASHES[:8] == tuple(slow_root(b"", height) for height in range(8))


def test_a_withdrawal_is_provable_under_every_later_root() -> None:
    tree = wire.WithdrawalTree()
    assert tree.image_root == bytes(32)
    leaves, roots = [], []
    for number in range(6):
        leaf = wire.withdrawal_leaf(
            number=number, asset=1, recipient=b"\7" * 20, amount_units=10 + number
        )
        assert tree.append(leaf) == number
        leaves.append(leaf)
        roots.append(tree.image_root)
    for count, root in enumerate(roots, 1):
        older = tree.at(count)
        assert older.image_root == root
        for number in range(count):
            assert len(older.proof(number)) == 32
            assert wire.verify_proof(leaves[number], number, older.proof(number), root)
    assert not wire.verify_proof(leaves[5], 5, tree.proof(5), roots[4])


def test_a_withdrawal_leaf_is_four_words() -> None:
    packed = bytes(31) + b"\3" + bytes(31) + b"\2" + bytes(12) + b"\7" * 20 + bytes(30) + b"\1\0"
    leaf = wire.withdrawal_leaf(number=3, asset=2, recipient=b"\7" * 20, amount_units=256)
    assert leaf == keccak256(packed)


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_a_claim_repeats_its_last_root(count: int) -> None:
    roots = [keccak256(bytes([index])) for index in range(count)]
    claim = wire.ClaimTree(roots)
    full = roots + [roots[-1]] * (4096 - count)
    assert claim.root == slow_root(b"".join(full), 12)
    assert claim.final_root == roots[-1]
    assert wire.verify_proof(roots[-1], 4095, claim.final_proof, claim.root)
    assert wire.verify_proof(roots[0], 0, claim.proof(0), claim.root)


def test_trees_refuse_what_does_not_fit() -> None:
    with pytest.raises(wire.WireError, match="claim: expected 1 to 4096 roots, was 0"):
        wire.ClaimTree([])
    tree = wire.MerkleTree(1)
    tree.extend([bytes(32)] * 2)
    with pytest.raises(wire.WireError, match=r"tree: expected at most 2\^1 leaves"):
        tree.append(bytes(32))
    with pytest.raises(wire.WireError, match=r"tree\.leaf: expected 32 bytes, was 31"):
        wire.MerkleTree(1).append(bytes(31))
    with pytest.raises(wire.WireError, match=r"tree\.index: expected 0 to"):
        tree.proof(2)
