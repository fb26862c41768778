"""One whole dispute on a chain that charges for it: gas of every move, transaction by transaction.

A liar anchors a batch; an honest party joins, and both play at once. The liar reveals by itself,
the honest party advances and reveals its next node in the same transaction.
"""

from collections.abc import Sequence
from typing import Any

from tests.contracts import game_guest, naive
from tests.contracts.game_guest import Run, counted, image_leaf
from tests.contracts.game_trees import Tree, first_difference
from tests.contracts.game_world import claim_tree
from tests.contracts.step_machine import HALTED, IMAGE, Machine
from tests.contracts.system import CONTINUE

from provenue.settlement.artifacts import compile_contract
from provenue.settlement.chain_types import Receipt
from provenue.settlement.contract import Contract, created_address, deploy
from provenue.settlement.local_chain import LocalChain
from provenue.settlement.tx import Account, Sender

ETHER = 10**18
WINDOW_S, GRACE_S = 600, 300
MESSAGES = 6
TRUTH = counted(0, MESSAGES)
LAST_LEAF = 2**24 - 1
# Of the guest, by their places; the dearest of each kind.
INSTRUCTIONS = {"load": 6, "register": 7, "store": 8, "call": 10}


class Dispute:
    """Contracts on a chain, a liar (who operates) and an honest party; gas by kind of move."""

    def __init__(self, chain: LocalChain, *, venom: bool) -> None:
        self.chain = chain
        self.liar, self.honest = (Sender(chain.rpc, Account(chain.accounts[n][1])) for n in (1, 2))
        self.gas: dict[str, int] = {}
        self.code_bytes: dict[str, int] = {}
        self.honest_gas: list[int] = []
        self._venom = venom
        liar = self.liar.address
        inbox = self._deploy("Inbox", liar, 100_000, 0)
        verifier = self._deploy("StepVerifier")
        anchor = created_address(liar, chain.rpc.nonce(liar) + 1)
        program = (game_guest.PROGRAM_ROOT, game_guest.ENTRY, game_guest.END_OF_TEXT)
        self.game = self._deploy(
            "DisputeGame", anchor, verifier.address, *program, GRACE_S, ETHER, WINDOW_S
        )
        bonds, times = (ETHER, ETHER, WINDOW_S), (3_600, 7_200, 100_000, 60_000, 3_600_000)
        settings = (liar, inbox.address, *bonds, *times, ETHER, self.game.address)
        self.anchor = self._deploy("Anchor", liar, settings)
        assert self.anchor.address == anchor
        self.anchor.transact(self.liar, "deposit_bond", value=80 * ETHER)

    def _deploy(self, name: str, *args: Any) -> Contract:
        artifact = compile_contract(name, experimental_codegen=self._venom)
        contract = deploy(self.liar, artifact, *args)
        self.code_bytes[name] = len(self.chain.rpc.code(contract.address))
        return contract

    def send(
        self, who: Sender, row: str, contract: Contract, function: str, *args: Any, value: int = 0
    ) -> Receipt:
        """A move; the dearest of its kind counts."""
        receipt = contract.transact(who, function, *args, value=value)
        self.gas[row] = max(self.gas.get(row, 0), receipt.gas_used)
        if who is self.honest:
            self.honest_gas.append(receipt.gas_used)
        return receipt

    def claim(self, batch: int, tree: Tree) -> tuple[Any, ...]:
        start = self.anchor.call("start_root", batch)
        return (start, tree.root, tree.leaf(4095), tree.proof(4095))

    def post(self, tree: Tree) -> None:
        stamp = self.chain.rpc.head().timestamp * 1_000
        batch = int(self.anchor.call("batch_count"))
        header, data = (batch, stamp, stamp, False), naive.posted([CONTINUE] * MESSAGES)
        # A given limit: the estimate would run the batch twice.
        self.anchor.transact(
            self.liar, "post", header, [], self.claim(batch, tree), data, gas=2_000_000
        )

    def descend(self, id_: bytes, trees: tuple[Tree, Tree], row: str) -> int:
        """Side 0 reveals, side 1 advances and reveals its next node with it; the position."""
        height, position = trees[0].height, 0
        where = first_difference(*trees)
        while height:
            both = [tree.children(height, position) for tree in trees]
            self.send(self.liar, "reveal", self.game, "reveal", both[0])
            height -= 3
            position = where >> height
            after = trees[1].children(height, position) if height else []
            self.send(self.honest, f"advance, {row}", self.game, "advance", id_, *both, after)
        return position

    def play(self, *, descendants: int = 0, kinds: Sequence[str] = ("store",)) -> None:
        """From the lie to the verdict; with batches that fall with it.

        The liar puts forward a trace that lies about an instruction of the first kind; of the
        other kinds only the gas is of interest, and the honest side's sum leaves them out.
        """
        lie = [*TRUTH[:4], 9, 9]
        trees = claim_tree(lie), claim_tree(TRUTH)
        self.post(trees[0])
        for number in range(descendants):
            self.post(claim_tree([100 + number]))
        game, honest = self.game, self.honest
        claim = self.claim(0, trees[1])
        self.send(honest, "join", self.anchor, "join", 0, claim, value=ETHER)
        opened = self.send(honest, "open", game, "open", 0, 0, 1)
        match_id = game.events_in(opened, "Opened")[0].args["match_id"]
        self.send(honest, "reveal", game, "reveal", trees[1].children(12, 0))
        i = self.descend(match_id, trees, "match")
        before, siblings = trees[0].leaf(i - 1), trees[0].proof(i - 1)
        self.send(honest, "seal", game, "seal", match_id, before, siblings)
        stored = self.anchor.call("batch_of", 0)
        batch = game_guest.Batch(stored["input_root"], stored["first_sequence"])
        right = Run(batch, i, TRUTH[i - 1])
        self.join_inner(honest, match_id, 1, right)
        self._lose(match_id, 0, self._lie(batch, i, kinds[0]), right, kinds[0])
        needed = list(self.honest_gas)
        for number, kind in enumerate(kinds[1:], 1):
            self._lose(match_id, number, self._lie(batch, i, kind), right, kind)
        self.honest_gas = needed
        self.chain.increase_time(WINDOW_S + GRACE_S + 1)
        row = "settle" if not descendants else f"settle, {descendants} batches fall"
        self.send(honest, row, game, "settle", match_id)
        assert self.anchor.call("active_claim", 0) == 1
        self.send(self.liar, "release_inner", game, "release_inner", match_id, 1, 0)

    def _lie(self, batch: game_guest.Batch, message: int, kind: str) -> Run:
        def halts(machine: Machine) -> None:
            machine.memory.write(IMAGE, image_leaf(9))
            machine.status = HALTED

        return Run(batch, message, TRUTH[message - 1], {INSTRUCTIONS[kind]: halts})

    def join_inner(self, who: Sender, match_id: bytes, side: int, run: Run) -> None:
        self.send(
            who, "join_inner", self.game, "join_inner", match_id, side, run.tree.root,
            run.end.arguments, run.tree.proof(LAST_LEAF), value=ETHER,
        )  # fmt: skip

    def _lose(self, match_id: bytes, number: int, lie: Run, right: Run, kind: str) -> None:
        """The liar's next trace is put forward, met and stepped."""
        game, honest = self.game, self.honest
        self.join_inner(self.liar, match_id, 0, lie)
        opened = self.send(honest, "open_inner", game, "open_inner", match_id, number, 0)
        inner_id = game.events_in(opened, "InnerOpened")[0].args["inner_match_id"]
        trees = lie.tree, right.tree
        self.send(honest, "reveal", game, "reveal", trees[1].children(24, 0))
        j = self.descend(inner_id, trees, "inner match")
        before, siblings = trees[0].leaf(j - 1), trees[0].proof(j - 1)
        self.send(honest, "seal_inner", game, "seal_inner", inner_id, before, siblings)
        self.send(honest, f"step: {kind}", game, "step", inner_id, right.witness(j))
        assert not game.call("inner_of", match_id, 0, number)["live"]
