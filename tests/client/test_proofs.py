"""Proofs are checked by the client itself: a true one passes, anything else is told apart."""

from dataclasses import replace
from typing import Any

import pytest
from tests.wire.oracles import keccak256 as keccak

from provenue import wire
from provenue.client._chain import proof_of_answer, verify_proof
from provenue.client.errors import ProofError
from provenue.settlement.vault import WithdrawalProof

ALICE, BOB = b"\xaa" * 20, b"\xbb" * 20
WITHDRAWALS = [(0, ALICE, 5), (1, BOB, 700), (0, BOB, 9), (0, ALICE, 1)]


def root_above(leaf: bytes, index: int, siblings: list[bytes]) -> bytes:
    """Written out here, so that the proof does not check itself."""
    node = leaf
    for sibling in siblings:
        node = keccak(sibling + node) if index % 2 else keccak(node + sibling)
        index //= 2
    return node


def make(number: int) -> tuple[WithdrawalProof, bytes]:
    """A proof, and the final root it leads to."""
    tree = wire.WithdrawalTree()
    for at, (asset, recipient, units) in enumerate(WITHDRAWALS):
        tree.append(
            keccak(
                b"".join(
                    [
                        at.to_bytes(32, "big"),
                        asset.to_bytes(32, "big"),
                        recipient.rjust(32, b"\0"),
                        units.to_bytes(32, "big"),
                    ]
                )
            )
        )
    siblings = [bytes([level]) * 32 for level in range(29)]
    asset, recipient, units = WITHDRAWALS[number]
    proof = WithdrawalProof(
        number, asset, recipient, units, 4, tree.root, list(tree.proof(number)), siblings
    )
    return proof, root_above(tree.root, 0, siblings)


@pytest.mark.parametrize("number", range(len(WITHDRAWALS)))
def test_a_true_proof_passes(number: int) -> None:
    proof, root = make(number)
    verify_proof(proof, root)


@pytest.mark.parametrize(
    "change",
    [
        {"id": 0},
        {"asset": 0},
        {"recipient": ALICE},
        {"amount_units": 701},
        {"withdrawal_root": b"\x01" * 32},
        {"withdrawal_siblings": [bytes(32)] * 32},
        {"withdrawal_siblings": []},
        {"image_siblings": [bytes(32)] * 29},
        {"image_siblings": []},
    ],
)
def test_anything_else_does_not(change: dict[str, Any]) -> None:
    proof, root = make(1)
    with pytest.raises(ProofError, match="withdrawal"):
        verify_proof(replace(proof, **change), root)


def test_another_final_root_does_not() -> None:
    proof, _ = make(1)
    with pytest.raises(ProofError, match="final root of batch 4"):
        verify_proof(proof, bytes(32))


def answer() -> dict[str, Any]:
    proof, _ = make(2)
    return {
        "id": proof.id,
        "asset": proof.asset,
        "recipient": "0x" + proof.recipient.hex(),
        "amount_units": proof.amount_units,
        "proof_batch": proof.batch,
        "withdrawal_root": "0x" + proof.withdrawal_root.hex(),
        "withdrawal_siblings": ["0x" + s.hex() for s in proof.withdrawal_siblings],
        "image_siblings": ["0x" + s.hex() for s in proof.image_siblings],
    }


def test_an_answer_becomes_a_proof() -> None:
    assert proof_of_answer(answer()) == make(2)[0]


@pytest.mark.parametrize("field", list(answer()))
@pytest.mark.parametrize("value", [None, "0x12", ["zz"]])
def test_an_answer_that_is_no_proof_is_refused(field: str, value: object) -> None:
    with pytest.raises(ProofError):
        proof_of_answer(answer() | {field: value})
    without = {name: v for name, v in answer().items() if name != field}
    with pytest.raises(ProofError):
        proof_of_answer(without)
