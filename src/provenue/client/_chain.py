"""The client's side of the chain: deposits, proofs against final roots, claims, forced actions.

Blocking; the asynchronous client runs it in threads.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from provenue import wire
from provenue.client.errors import DeploymentError, ProofError
from provenue.client.keys import Key

if TYPE_CHECKING:
    from provenue.settlement.deploy import Deployment
    from provenue.settlement.vault import WithdrawalProof

__all__ = ["Chain", "proof_of_answer", "read_deployment", "verify_proof"]


def read_deployment(answer: dict[str, Any], pinned: Path | None) -> Deployment:
    """The deployment that the venue names; with `pinned`, it must be the one in that file."""
    from provenue.settlement.deploy import Deployment

    try:
        named = msgspec.convert(answer, Deployment)
    except msgspec.ValidationError as problem:
        raise DeploymentError(f"the venue's deployment: {problem}") from None
    if pinned is None:
        return named
    expected = Deployment.load(pinned)
    if (named.chain_id, named.contracts) != (expected.chain_id, expected.contracts):
        raise DeploymentError(
            f"deployment: expected the contracts of {pinned}, the venue names "
            f"Anchor {named.contracts.get('Anchor')} on chain {named.chain_id}; do not deposit"
        )
    return expected


def _bytes(value: Any, field: str, size: int = 32) -> bytes:
    raw = bytes.fromhex(str(value).removeprefix("0x"))
    if len(raw) != size:
        raise ProofError(f"{field}: expected {size} bytes, was {len(raw)}")
    return raw


def proof_of_answer(answer: dict[str, Any]) -> WithdrawalProof:
    """The proof in an answer of public/get_withdrawal_proof."""
    from provenue.settlement.vault import WithdrawalProof

    try:
        return WithdrawalProof(
            id=int(answer["id"]),
            asset=int(answer["asset"]),
            recipient=_bytes(answer["recipient"], "recipient", 20),
            amount_units=int(answer["amount_units"]),
            batch=int(answer["proof_batch"]),
            withdrawal_root=_bytes(answer["withdrawal_root"], "withdrawal_root"),
            withdrawal_siblings=[
                _bytes(s, "withdrawal_siblings") for s in answer["withdrawal_siblings"]
            ],
            image_siblings=[_bytes(s, "image_siblings") for s in answer["image_siblings"]],
        )
    except (KeyError, ValueError, TypeError, AttributeError) as problem:
        raise ProofError(f"proof: expected the fields of a withdrawal proof: {problem!r}") from None


def verify_proof(proof: WithdrawalProof, final_root: bytes) -> None:
    """ProofError unless the withdrawal is in the image with this root (chapters 3.6, 7.5)."""
    leaf = wire.withdrawal_leaf(
        number=proof.id,
        asset=proof.asset,
        recipient=proof.recipient,
        amount_units=proof.amount_units,
    )
    root = wire.root_of_proof(leaf, proof.id, proof.withdrawal_siblings)
    if root != proof.withdrawal_root:
        raise ProofError(
            f"withdrawal {proof.id}: expected the withdrawal root 0x{proof.withdrawal_root.hex()}, "
            f"its siblings give 0x{root.hex()}"
        )
    # The withdrawal root is the image's first leaf.
    image_root = wire.root_of_proof(proof.withdrawal_root, 0, proof.image_siblings)
    if image_root != final_root:
        raise ProofError(
            f"withdrawal {proof.id}: expected the final root of batch {proof.batch} on the chain, "
            f"0x{final_root.hex()}, the proof gives 0x{image_root.hex()}"
        )


class Chain:
    """One deployment, a node, and a key that pays for transactions."""

    def __init__(self, deployment: Deployment, rpc_url: str, key: Key) -> None:
        from provenue.settlement.anchor import AnchorClient
        from provenue.settlement.inbox import InboxClient
        from provenue.settlement.rpc import Rpc
        from provenue.settlement.tx import Account, Sender
        from provenue.settlement.vault import VaultClient

        self._rpc = Rpc(rpc_url)
        chain_id = self._rpc.chain_id()
        if chain_id != deployment.chain_id:
            raise DeploymentError(
                f"rpc_url: expected a node of chain {deployment.chain_id}, was of {chain_id}"
            )
        self._sender = Sender(self._rpc, Account(key.secret()))
        self._vault = VaultClient(deployment, self._rpc)
        self._anchor = AnchorClient(deployment, self._rpc)
        self._inbox = InboxClient(deployment, self._rpc)

    def close(self) -> None:
        """Close connections to the node."""
        self._rpc.close()

    def deposit(self, *, asset: int, amount_units: int, owner: str, subaccount: int) -> int:
        """Approve and deposit; the index of the inbox item."""
        return self._vault.deposit(
            self._sender, asset=asset, amount_units=amount_units, owner=owner, subaccount=subaccount
        )

    def verify(self, proof: WithdrawalProof) -> None:
        """ProofError unless the proof leads to the final root on the chain."""
        verify_proof(proof, self._anchor.final_root(proof.batch))

    def claim(self, proof: WithdrawalProof) -> int:
        """Have the vault pay; the asset units that were paid."""
        return self._vault.withdraw(self._sender, proof)

    def is_paid(self, withdrawal_id: int) -> bool:
        """Whether a withdrawal has been paid."""
        return self._vault.is_paid(withdrawal_id)

    def token_balance_units(self, asset: int, address: str) -> int:
        """What an address holds outside the vault, in asset units (rounded down)."""
        tokens = int(self._vault.token(asset).call("balanceOf", address))
        return tokens // self._vault.scale(asset)

    def forced_withdraw(
        self, *, subaccount: int, asset: int, amount_units: int, recipient: str
    ) -> str:
        """Withdraw through L1; the transaction hash."""
        return self._inbox.forced_withdraw(
            self._sender,
            subaccount=subaccount,
            asset=asset,
            amount_units=amount_units,
            recipient=recipient,
        )

    def forced_cancel(self, *, subaccount: int) -> str:
        """Cancel all orders through L1; the transaction hash."""
        return self._inbox.forced_cancel(self._sender, subaccount=subaccount)

    def forced_close(self, *, subaccount: int) -> str:
        """Close every position through L1; the transaction hash."""
        return self._inbox.forced_close(self._sender, subaccount=subaccount)

    def forced_revoke(self, *, subaccount: int, slot: int) -> str:
        """Revoke a session key through L1; the transaction hash."""
        return self._inbox.forced_revoke(self._sender, subaccount=subaccount, slot=slot)
