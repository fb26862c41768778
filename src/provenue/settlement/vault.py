"""The vault as clients see it: deposits in, withdrawals out against a proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provenue.settlement.chain_types import BlockId, to_checksum
from provenue.settlement.contract import Contract
from provenue.settlement.deploy import Deployment
from provenue.settlement.rpc import Rpc
from provenue.settlement.tx import Sender

__all__ = ["VaultClient", "WithdrawalProof"]


@dataclass(frozen=True, slots=True)
class WithdrawalProof:
    """Everything `Vault.withdraw` takes. Siblings from the leaf upwards, 32 and 29 of them."""

    id: int
    asset: int
    recipient: bytes
    amount_units: int
    batch: int
    withdrawal_root: bytes
    withdrawal_siblings: list[bytes]
    image_siblings: list[bytes]

    @property
    def claim(self) -> dict[str, Any]:
        """The contract's `Claim`."""
        return {
            "id": self.id,
            "asset": self.asset,
            "recipient": to_checksum(self.recipient),
            "amount_units": self.amount_units,
        }


class VaultClient:
    """Deposits, withdrawals, claims of one deployment."""

    def __init__(self, deployment: Deployment, rpc: Rpc) -> None:
        self._deployment = deployment
        self._rpc = rpc
        self.contract: Contract = deployment.contract("Vault", rpc)

    def token(self, asset: int) -> Contract:
        """The token of an asset."""
        return self._deployment.contract(self._deployment.assets[asset], self._rpc)

    def scale(self, asset: int) -> int:
        """Token units per asset unit."""
        decimals = int(self.token(asset).call("decimals"))
        units: int = 10 ** (decimals - int(self.contract.call("unit_decimals_of", asset)))
        return units

    def deposit(
        self, sender: Sender, *, asset: int, amount_units: int, owner: str, subaccount: int = 0
    ) -> int:
        """Approve and deposit; the index of the inbox item."""
        amount = amount_units * self.scale(asset)
        self.token(asset).transact(sender, "approve", self.contract.address, amount)
        receipt = self.contract.transact(sender, "deposit", asset, amount, owner, subaccount)
        (event,) = self.contract.events_in(receipt, "Deposited")
        return int(event.args["item"])

    def withdraw(self, sender: Sender, proof: WithdrawalProof) -> int:
        """Have a withdrawal paid; the asset units that were paid."""
        receipt = self.contract.transact(
            sender,
            "withdraw",
            proof.claim,
            proof.batch,
            proof.withdrawal_root,
            proof.withdrawal_siblings,
            proof.image_siblings,
        )
        (event,) = self.contract.events_in(receipt, "Withdrawn")
        return int(event.args["amount_units"])

    def transfer_claim(self, sender: Sender, proof_claim: dict[str, Any], to: str) -> None:
        """Give a claim to someone else; only its owner may."""
        self.contract.transact(sender, "transfer_claim", proof_claim, to)

    def claim_owner(self, claim: dict[str, Any]) -> str:
        """Who is paid for a claim, if it is true and not paid."""
        return str(self.contract.call("claim_owner", claim))

    def is_paid(self, withdrawal_id: int) -> bool:
        """Whether a withdrawal has been paid."""
        return bool(self.contract.call("is_paid", withdrawal_id))

    def accounted_units(self, asset: int, *, block: BlockId = "latest") -> int:
        """Units that deposits brought and payments have not taken."""
        return int(self.contract.call("accounted", asset, block=block))

    def deposited(self) -> list[dict[str, Any]]:
        """Arguments of every Deposited event."""
        return self._events("Deposited")

    def withdrawn(self) -> list[dict[str, Any]]:
        """Arguments of every Withdrawn event."""
        return self._events("Withdrawn")

    def _events(self, name: str) -> list[dict[str, Any]]:
        found = self.contract.events(name, from_block=self._deployment.block)
        return [event.args for event in found]
