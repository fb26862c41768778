"""A party to disputes: its trees, its account, its eyes on the chain, put together.

The watcher is one, with computed trees. A drill makes another with a liar's trees, or one that
chooses which of its moves it makes, out of the same parts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from provenue.settlement.artifacts import compile_contract
from provenue.settlement.chain_types import normalise_address
from provenue.settlement.contract import Contract
from provenue.settlement.tx import Account, Sender
from provenue.watcher.l1 import L1
from provenue.watcher.ledger import Ledger
from provenue.watcher.mover import Mover
from provenue.watcher.moves import Move, Plan
from provenue.watcher.player import Manners, next_moves
from provenue.watcher.reader import Reader
from provenue.watcher.state import ChainState
from provenue.watcher.trees import Trees

__all__ = ["Party", "find_game"]

_NOBODY = "0x" + "00" * 20


def find_game(l1: L1) -> Contract | None:
    """The DisputeGame that the Anchor names; None when none is set."""
    address = str(l1.anchor.contract.call("game"))
    if normalise_address(address) == _NOBODY:
        return None
    return Contract(address, compile_contract("DisputeGame").abi, l1.rpc)


class Party:
    """Looks, plans and moves, once a call. Without an account it only says what it would do."""

    def __init__(
        self,
        name: str,
        l1: L1,
        game: Contract | None,
        trees: Trees,
        *,
        account: Account | None = None,
        folder: Path | None = None,
        manners: Manners | None = None,
        chooses: Callable[[ChainState, Move], bool] | None = None,
        bundles: bool = True,
    ) -> None:
        """`chooses` decides about each move of a plan; None makes them all."""
        self.name = name
        self.trees = trees
        self.manners = manners or Manners()
        self.ledger = Ledger(folder)
        self.address = _NOBODY if account is None else account.address
        self.mover: Mover | None = None
        if account is not None:
            self.mover = Mover(
                Sender(l1.rpc, account),
                anchor=l1.anchor.contract,
                ledger=self.ledger,
                folder=folder,
                bundles=bundles,
            )
        self._l1 = l1
        self._chooses = chooses
        self.take_game(game)

    def take_game(self, game: Contract | None) -> None:
        """Say which game the Anchor names; a venue can begin without one."""
        self.game = game
        self.reader = Reader(self._l1, game, self.address)
        if self.mover is not None and game is not None:
            self.mover.take_game(game)

    def look(self) -> tuple[ChainState, Plan]:
        """The state of the chain and what to do at it; nothing is sent."""
        state = self.reader.read()
        plan = next_moves(state, self.trees, self.manners)
        if self._chooses is not None:
            chooses = self._chooses
            plan.moves = [move for move in plan.moves if chooses(state, move)]
        return state, plan

    def move(self, plan: Plan) -> int:
        """Send a plan's moves; how many were mined well."""
        moves = [move for move in plan.moves if move.contract == "anchor" or self.game is not None]
        return 0 if self.mover is None else self.mover.make(moves)

    def play(self) -> Plan:
        """Look and move."""
        _, plan = self.look()
        self.move(plan)
        return plan
