"""Sending moves: estimate, sign, wait, record. A move that is not needed any more is no error."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import structlog

from provenue.settlement.artifacts import compile_contract
from provenue.settlement.chain_types import Receipt
from provenue.settlement.contract import Contract, deploy
from provenue.settlement.rpc import ChainError, RpcUnavailableError
from provenue.settlement.tx import NotMinedError, PendingTx, RevertedError, Sender
from provenue.watcher.ledger import Ledger, Made
from provenue.watcher.moves import Move

__all__ = ["Mover"]

_log = structlog.get_logger(__name__)
_BUNDLE_FILE = "bundle.json"


class _Bundle(msgspec.Struct, frozen=True):
    """Where the party deployed its own, once."""

    chain_id: int
    address: str


class Mover:
    """Makes a party's moves on the chain."""

    def __init__(
        self,
        sender: Sender,
        *,
        anchor: Contract,
        ledger: Ledger,
        folder: Path | None = None,
        bundles: bool = True,
        reprice_after_s: float = 60.0,
    ) -> None:
        """`folder` remembers the bundle contract; without `bundles` each move is a transaction."""
        self.sender = sender
        self.ledger = ledger
        self.refused = 0
        """Moves that the chain did not take: made by others meanwhile, or not payable."""
        self._contracts = {"anchor": anchor}
        self._folder = folder
        self._bundles = bundles
        self._bundle: Contract | None = None
        self._reprice_after_s = reprice_after_s

    def take_game(self, game: Contract) -> None:
        """Say which game the Anchor names."""
        self._contracts["game"] = game

    def make(self, moves: list[Move]) -> int:
        """Send moves that do not depend on one another, wait for all; how many were mined well."""
        waiting: list[tuple[Move, PendingTx]] = []
        for move in moves:
            pending = self._submit(move)
            if pending is not None:
                waiting.append(pending)
        return sum(self._wait(move, pending) for move, pending in waiting)

    def _submit(self, move: Move) -> tuple[Move, PendingTx] | None:
        """Hand in a move with those bundled to it, or alone where the bundle is refused."""
        alone = dataclasses.replace(move, then=())
        for candidate in [move, alone] if move.then and self._bundles else [alone]:
            try:
                return candidate, self._hand_in(candidate)
            except RevertedError as refused:
                reason = refused.reason
            except RpcUnavailableError:
                raise
            except ChainError as problem:
                # Such as too little ether for value and gas.
                self.refused += 1
                _log.error("move not sent", move=str(candidate), problem=str(problem))
                return None
        self.refused += 1
        _log.info("move not needed", move=str(alone), reason=reason)
        return None

    def _hand_in(self, move: Move) -> PendingTx:
        contract = self._contracts[move.contract]
        data = contract.encode(move.function, *move.args)
        if not move.then:
            return self.sender.submit(contract.address, data, move.value_wei)
        calls = [data, *(contract.encode(part.function, *part.args) for part in move.then)]
        return self._bundler().submit(self.sender, "run", contract.address, calls)

    def _wait(self, move: Move, pending: PendingTx) -> bool:
        try:
            receipt = self.sender.wait(pending, reprice_after_s=self._reprice_after_s)
        except RevertedError as refused:
            if refused.receipt is not None:
                self._record(move, refused.receipt)
            self.refused += 1
            _log.info("move came too late", move=str(move), reason=refused.reason)
            return False
        except NotMinedError as problem:
            # It may still be mined; until then the next plan has the move again.
            self.refused += 1
            _log.warning("move not mined", move=str(move), problem=str(problem))
            return False
        self._record(move, receipt)
        _log.info("move made", move=str(move), gas=receipt.gas_used, block=receipt.block_number)
        return True

    def _record(self, move: Move, receipt: Receipt) -> None:
        self.ledger.record(
            Made(
                time_s=self.sender.rpc.head(receipt.block_number).timestamp,
                batch=move.batch,
                match=move.match.hex(),
                moves="+".join((move.function, *(part.function for part in move.then))),
                tx_hash=receipt.tx_hash,
                block=receipt.block_number,
                gas=receipt.gas_used,
                succeeded=receipt.succeeded,
            )
        )

    def _bundler(self) -> Contract:
        """The party's own contract that makes several calls at once; deployed at first need."""
        if self._bundle is None:
            self._bundle = self._find_bundle() or self._deploy_bundle()
        return self._bundle

    def _find_bundle(self) -> Contract | None:
        path = None if self._folder is None else self._folder / _BUNDLE_FILE
        if path is None or not path.exists():
            return None
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_Bundle)
        except msgspec.MsgspecError:
            return None
        rpc = self.sender.rpc
        if found.chain_id != rpc.chain_id() or not rpc.code(found.address):
            return None
        return Contract(found.address, compile_contract("Bundle").abi, rpc)

    def _deploy_bundle(self) -> Contract:
        bundle = deploy(self.sender, compile_contract("Bundle"))
        if self._folder is not None:
            found = _Bundle(self.sender.rpc.chain_id(), bundle.address)
            (self._folder / _BUNDLE_FILE).write_bytes(msgspec.json.encode(found))
        _log.info("bundle contract deployed", address=bundle.address)
        return bundle
