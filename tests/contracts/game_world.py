"""The whole system with the dispute game, its referee, and a guest of thirteen instructions."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import boa
from eth_abi import encode as abi_encode
from tests.contracts import game_guest, naive
from tests.contracts.game_guest import Batch, Run, image_root
from tests.contracts.game_trees import CLAIM_HEIGHT, TRACE_HEIGHT, Tree, first_difference
from tests.contracts.system import CONFIG, CONTINUE, CONTRACTS, ETHER, System, compile_source

WINDOW = CONFIG["challenge_window_s"]
GRACE = 900
INNER_BOND = ETHER
STAGE_NONE, STAGE_REVEAL, STAGE_SEALED, STAGE_DONE = range(4)
LAST_LEAF = 2**TRACE_HEIGHT - 1


@dataclasses.dataclass(frozen=True)
class GameSources:
    """Deployers of game and referee by one compiler."""

    game: Any
    verifier: Any

    @classmethod
    def compile(cls, codegen: str) -> "GameSources":
        names = ("DisputeGame", "StepVerifier")
        return cls(*(compile_source(CONTRACTS / f"{name}.vy", codegen) for name in names))


@dataclasses.dataclass
class Inner:
    """An inner claim as its maker knows it."""

    index: int
    run: Run
    owner: str


class World:
    """A deployed system, its game, and moves in the names of its actors."""

    def __init__(self, system: System, sources: GameSources) -> None:
        self.system, self.sources, self.anchor = system, sources, system.anchor
        self.verifier = sources.verifier.deploy()
        self.game = self.deploy_game(override_address=system.game)
        boa.env.set_balance(system.game, 0)
        system.install_game()

    def deploy_game(self, override_address: str | None = None, **changes: Any) -> Any:
        arguments = {
            "anchor": self.anchor.address,
            "verifier": self.verifier.address,
            "program_root": game_guest.PROGRAM_ROOT,
            "entry": game_guest.ENTRY,
            "end_of_text": game_guest.END_OF_TEXT,
            "grace_s": GRACE,
            "inner_bond_wei": INNER_BOND,
            "window_s": WINDOW,
        } | changes
        where = {} if override_address is None else {"override_address": override_address}
        return self.sources.game.deploy(*arguments.values(), **where)

    # -- claims ----------------------------------------------------------------------------------

    def claim_input(self, batch: int, tree: Tree) -> tuple[bytes, bytes, bytes, list[bytes]]:
        """A claim with this tree, as the Anchor takes it."""
        start = self.anchor.start_root(batch)
        return (start, tree.root, tree.leaf(4095), tree.proof(4095))

    def post(self, tree: Tree, messages: int = 6) -> int:
        """The operator posts a batch of its inbox items and some messages, and claims a tree."""
        arguments = self.system.batch([CONTINUE] * messages)
        number = int(arguments["header"]["batch"])
        names = ("start_root", "claim_root", "end_root", "last_siblings")
        claim = self.claim_input(number, tree)
        self.system.send(arguments | {"claim": dict(zip(names, claim, strict=True))})
        return number

    def join(self, batch: int, tree: Tree, who: str) -> int:
        """A rival claim under its own bond; its index."""
        index = int(self.anchor.claim_count(batch))
        value = self.anchor.claim_of(batch, index - 1).bond_wei
        self.anchor.join(batch, self.claim_input(batch, tree), sender=who, value=value)
        return index

    def batch(self, number: int) -> Batch:
        stored = self.anchor.batch_of(number)
        return Batch(bytes(stored.input_root), int(stored.first_sequence))

    # -- matches ---------------------------------------------------------------------------------

    def match_id(self, batch: int, index_0: int, index_1: int) -> bytes:
        roots = [bytes(self.anchor.claim_of(batch, i).claim_root) for i in (index_0, index_1)]
        types = ["uint256", "uint256", "uint256", "bytes32", "bytes32"]
        return naive.keccak(abi_encode(types, [batch, index_0, index_1, *roots]))

    def inner_match_id(self, match_id: bytes, inner_0: int, inner_1: int) -> bytes:
        return naive.keccak(
            abi_encode(["bytes32", "uint256", "uint256"], [match_id, inner_0, inner_1])
        )

    def where(self, id_: bytes) -> Any:
        """The view of a match of either level."""
        found = self.game.inner_match_of(id_)
        return found if any(found.match_id) else self.game.match_of(id_)

    def children(self, id_: bytes, tree: Tree) -> list[bytes]:
        """The right move of the side that has this tree."""
        at = self.where(id_)
        return tree.children(at.height, at.position)

    def descend(self, id_: bytes, trees: Sequence[Tree], who: str) -> int:
        """All moves of both sides down to the leaves; the position."""
        while self.where(id_).height:
            both = [self.children(id_, tree) for tree in trees]
            self.game.advance(id_, *both, [], sender=who)
        position = int(self.where(id_).position)
        assert position == first_difference(*trees)
        return position

    def seal(self, match_id: bytes, tree_0: Tree, who: str) -> None:
        at = self.game.match_of(match_id)
        i = at.position
        pre = tree_0.leaf(i - 1) if i else self.anchor.start_root(at.batch)
        self.game.seal(match_id, pre, tree_0.proof(i - 1) if i else [], sender=who)

    def join_inner(self, match_id: bytes, side: int, run: Run, who: str) -> Inner:
        index = self.game.join_inner(
            match_id, side, run.tree.root, run.end.arguments, run.tree.proof(LAST_LEAF),
            sender=who, value=INNER_BOND,
        )  # fmt: skip
        return Inner(int(index), run, who)

    def seal_inner(self, inner_match_id: bytes, run_0: Run, who: str) -> None:
        j = self.game.inner_match_of(inner_match_id).position
        pre = run_0.tree.leaf(j - 1) if j else run_0.start
        siblings = run_0.tree.proof(j - 1) if j else []
        self.game.seal_inner(inner_match_id, pre, siblings, sender=who)

    def sealed(self, batch: int, trees: Sequence[Tree], indices: tuple[int, int]) -> bytes:
        """A match of two claims, taken to its leaves and sealed by anybody; its name."""
        match_id = bytes(self.game.open(batch, *indices, sender=self.system.bob))
        self.descend(match_id, trees, self.system.bob)
        self.seal(match_id, trees[0], self.system.bob)
        return match_id

    def fight(self, match_id: bytes, inners: tuple[Inner, Inner], who: str) -> bytes:
        """An inner match from opening to step; its name."""
        indices = [inner.index for inner in inners]
        inner_match_id = bytes(self.game.open_inner(match_id, *indices, sender=who))
        trees = [inner.run.tree for inner in inners]
        j = self.descend(inner_match_id, trees, who)
        self.seal_inner(inner_match_id, inners[0].run, who)
        self.game.step(inner_match_id, inners[0].run.witness(j), sender=who)
        return inner_match_id


def claim_tree(counts: Sequence[int]) -> Tree:
    """The claim tree of a batch whose messages lead to these counts."""
    return Tree([image_root(count) for count in counts], CLAIM_HEIGHT)


def trace_tree(leaves: Sequence[bytes]) -> Tree:
    return Tree(leaves, TRACE_HEIGHT)
