"""The Anchor as the operator's worker and readers see it: post, finalize, read back from L1."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from provenue import wire
from provenue._generated.constants import PIPELINE_MAX
from provenue.settlement.anchored import AnchoredBatch, ClaimInfo, read_batches, read_claims
from provenue.settlement.chain_types import BlockId, Receipt
from provenue.settlement.contract import Contract
from provenue.settlement.deploy import Deployment
from provenue.settlement.rpc import ChainError, Rpc
from provenue.settlement.tx import RevertedError, Sender, calldata_floor_gas

__all__ = ["AnchorClient", "AnchorSettings", "FinalityTimeoutError", "PostedBatch"]

# Execution stays below the calldata floor (docs/contracts.md has the measurement); this is head
# room for small batches, whose fixed costs dominate. Estimating would run the EVM twice.
_GAS_FIXED = 1_500_000
_GAS_PER_BYTE = 20
_GAS_PER_ITEM = 30_000
_GAS_FINALIZE = 100_000
_GAS_FINALIZE_PER_BATCH = 30_000


class FinalityTimeoutError(ChainError):
    """A batch did not become final in time."""


@dataclass(frozen=True, slots=True)
class PostedBatch:
    """What came of posting."""

    tx_hash: str
    gas_used: int
    posted_at_s: int


@dataclass(frozen=True, slots=True)
class AnchorSettings:
    """What an operator has to keep to; fixed at deployment."""

    challenge_window_s: int
    inbox_delay_s: int
    stamp_lag_ms: int


class AnchorClient:
    """One deployment's Anchor. Posting and finalising need a sender."""

    def __init__(self, deployment: Deployment, rpc: Rpc, sender: Sender | None = None) -> None:
        self._rpc = rpc
        self._sender = sender
        self._start_block = deployment.block
        self.contract: Contract = deployment.contract("Anchor", rpc)

    # --- reading ---------------------------------------------------------------------------------

    def batch_count(self) -> int:
        """Batches posted so far."""
        return int(self.contract.call("batch_count"))

    def final_count(self) -> int:
        """Batches that are final: the first ones."""
        return int(self.contract.call("final_count"))

    def final_root(self, batch: int) -> bytes:
        """Image root after a final batch."""
        return bytes(self.contract.call("final_root", batch))

    def start_root(self, batch: int) -> bytes:
        """Image root that a claim about a batch has to start from."""
        return bytes(self.contract.call("start_root", batch))

    def next_sequence(self) -> int:
        """Sequence number of the next batch's first message."""
        return int(self.contract.call("next_sequence"))

    def inbox_consumed(self) -> int:
        """Inbox items that batches have consumed: the index of the head."""
        return int(self.contract.call("inbox_consumed"))

    def forced_mode(self) -> bool:
        """Whether the head of the inbox is overdue, so that anyone may post."""
        return bool(self.contract.call("forced_mode"))

    def batches(
        self, first: int = 0, end: int | None = None, *, to_block: BlockId = "latest"
    ) -> list[AnchoredBatch]:
        """Batches read back from L1 transactions and events, and checked against the contract."""
        return list(self.each_batch(first, end, to_block=to_block))

    def each_batch(
        self,
        first: int = 0,
        end: int | None = None,
        *,
        from_block: int | None = None,
        to_block: BlockId = "latest",
    ) -> Iterator[AnchoredBatch]:
        """The same, one after the other: a long history need not be held at once.

        `from_block` says that none of them is older, which spares the node the search.
        """
        count = int(self.contract.call("batch_count", block=to_block)) if end is None else end
        start = self._start_block if from_block is None else from_block
        return read_batches(
            self.contract, self._rpc, first, count, start_block=start, to_block=to_block
        )

    def claims(self, batch: int) -> list[ClaimInfo]:
        """All claims about a batch, voided ones included."""
        return read_claims(self.contract, batch)

    def bond_wei(self, claimant: str) -> int:
        """The bond of a claimant."""
        return int(self.contract.call("bond_of", claimant))

    def settings(self) -> AnchorSettings:
        """The bounds of the deployment."""
        config = self.contract.call("config")
        return AnchorSettings(
            challenge_window_s=int(config["challenge_window_s"]),
            inbox_delay_s=int(config["inbox_delay_s"]),
            stamp_lag_ms=int(config["stamp_lag_ms"]),
        )

    def challenge_window_s(self) -> int:
        """How long a claim must stand."""
        return self.settings().challenge_window_s

    def wait_final(self, batch: int, *, timeout_s: float) -> None:
        """Until a batch is final; raises FinalityTimeoutError."""
        deadline = time.monotonic() + timeout_s
        while self.final_count() <= batch:
            if time.monotonic() > deadline:
                raise FinalityTimeoutError(f"batch {batch}: not final after {timeout_s:.0f} s")
            time.sleep(0.2)

    # --- the worker ------------------------------------------------------------------------------

    def post(
        self,
        header: wire.Header,
        inbox: Sequence[bytes],
        posted: bytes,
        start_root: bytes,
        claim: wire.ClaimTree,
    ) -> PostedBatch:
        """Post the next batch with its claim; raises RevertedError with the contract's reason."""
        arguments = (
            {
                "batch": header.batch,
                "stamp_min_ms": header.stamp_min_ms,
                "stamp_max_ms": header.stamp_max_ms,
                "forced": bool(header.forced),
            },
            [wire.slot_root(message) for message in inbox],
            _claim_input(start_root, claim),
            posted,
        )
        data = self.contract.encode("post", *arguments)
        gas = max(
            calldata_floor_gas(data) + 50_000,
            _GAS_FIXED + _GAS_PER_BYTE * len(data) + _GAS_PER_ITEM * len(inbox)
            + 16 * len(data),
        )  # fmt: skip
        receipt = self._send("post", *arguments, gas=gas)
        return PostedBatch(
            receipt.tx_hash, receipt.gas_used, self._rpc.head(receipt.block_number).timestamp
        )

    def claim_again(self, batch: int, start_root: bytes, claim: wire.ClaimTree) -> None:
        """Claim the result of a batch none of whose claims lives."""
        self._send("claim_again", batch, _claim_input(start_root, claim), gas=None)

    def join(self, batch: int, start_root: bytes, claim: wire.ClaimTree) -> None:
        """Claim another result beside the live ones, with a bond of its own."""
        config = self.contract.call("config")
        forced = bool(self.contract.call("batch_of", batch)["forced"])
        bond_wei = int(config["forced_bond_wei" if forced else "bond_wei"])
        self._send("join", batch, _claim_input(start_root, claim), gas=None, value=bond_wei)

    def release(self, batch: int, index: int) -> None:
        """Turn the bond of a rival claim that is final, or fell without losing, into credit."""
        self._send("release", batch, index, gas=None)

    def deposit_bond(self, amount_wei: int) -> None:
        """Add to the sender's bond."""
        self._send("deposit_bond", gas=None, value=amount_wei)

    def withdraw_bond(self, amount_wei: int) -> None:
        """Take the sender's bond out; refused while a claim of the sender is open."""
        self._send("withdraw_bond", amount_wei, gas=None)

    def finalize(self) -> int:
        """Make final what can be; the number of final batches then. Nothing to do is no error."""
        self._writer("finalize")
        try:
            ready = int(self.contract.call("finalize", PIPELINE_MAX)) - self.final_count()
            # Only what is ready now: until it is mined more may be, and an estimate made before
            # would not pay for those.
            gas = _GAS_FINALIZE + _GAS_FINALIZE_PER_BATCH * ready
            self._send("finalize", ready, gas=gas)
        except RevertedError as refused:
            if "nothing to finalize" not in refused.reason:
                raise
        return self.final_count()

    def _writer(self, function: str) -> Sender:
        if self._sender is None:
            raise ValueError(f"{function}: the client was made without a sender")
        return self._sender

    def _send(self, function: str, *arguments: object, gas: int | None, value: int = 0) -> Receipt:
        sender = self._writer(function)
        return self.contract.transact(sender, function, *arguments, gas=gas, value=value)


def _claim_input(start_root: bytes, claim: wire.ClaimTree) -> dict[str, object]:
    """The contract's `ClaimInput`."""
    return {
        "start_root": start_root,
        "claim_root": claim.root,
        "end_root": claim.final_root,
        "last_siblings": claim.final_proof,
    }
