"""Small hand-made disputes, played in the model alone or in model and contracts at once.

The operator posts; `honest`, `liar` and `friend` claim. Times are told in hundredths of A, so that
a story reads the same on both stages.
"""

from tests.disputes.anchor import Terms
from tests.disputes.game import Game, InnerId, MatchId
from tests.disputes.honest import Honest, act
from tests.disputes.toy import Toy
from tests.disputes.trees import Tree
from tests.disputes.world import World

START = b"start"
A, G = 100, 10
LAST = 7  # leaf of a tree of the model stage
TERMS = Terms(window=A, grace=G, claim_height=3, trace_height=3)
WHO = ("operator", "honest", "liar", "friend")


class Play:
    """A chain, the truth about it, and moves by hand. Everybody starts with money enough."""

    def __init__(
        self, game: Game | None = None, world: World | None = None, *,
        batches: int = 1, reserves: int = 4, rules: type[Game] = Game,
    ) -> None:  # fmt: skip
        toy = Toy(3, 3, 8, messages=8, steps=8)
        self.world: World = toy if world is None else world
        self.game = rules(TERMS, START, toy) if game is None else game
        self.terms, self.began = self.game.terms, self.game.now
        self.unit = self.terms.window // A
        assert (self.terms.window, self.terms.grace) == (A * self.unit, G * self.unit)
        self.honest = Honest("honest", self.world)
        self.room = self.terms.bond + reserves * self.terms.reserve
        for who in WHO:
            self.game.deposit_bond(who, self.room)
        self.true: list[Tree] = []
        start = self.game.first_root
        for batch in range(batches):
            self.true.append(self.world.claim_tree(batch, start))
            start = self.true[-1].last

    # -- trees ------------------------------------------------------------------------------------

    def lie(self, message: int, mark: str = "lie", batch: int = 0) -> Tree:
        """The true tree but for one message."""
        return self.true[batch].with_leaves({message: self.world.lie_root(mark, message)})

    def last_lie(self, mark: str = "lie", batch: int = 0) -> Tree:
        """A lie about the last leaf: it ends in a wrong root."""
        return self.lie((1 << self.true[batch].height) - 1, mark, batch)

    def before(self, message: int, batch: int = 0) -> bytes:
        return self.true[batch].leaf(message - 1) if message else self.start(batch)

    def trace(self, message: int, batch: int = 0) -> Tree:
        """The true instruction tree of a message."""
        return self.world.trace_tree(batch, message, self.before(message, batch))

    def start(self, batch: int) -> bytes:
        return self.true[batch - 1].last if batch else self.game.first_root

    def inner_lie(self, message: int, at: int, post_root: bytes, mark: str = "") -> Tree:
        """The true instruction tree but for one state, and an end that gives a post root."""
        last = (1 << self.terms.trace_height) - 1
        end = self.world.made_end(post_root, mark)[1]
        forged = {at: self.world.lie_state(mark, at)} if at < last else {}
        return self.trace(message).with_leaves(forged | {last: end})

    # -- moves ------------------------------------------------------------------------------------

    def at(self, hundredths: int, units: int = 0) -> "Play":
        """Let time pass, until so many hundredths of A, and units of the clock, have gone by."""
        now = self.began + hundredths * self.unit + units
        assert now >= self.game.now
        self.game.now = now
        return self

    def wait(self, hundredths: int, units: int = 0) -> "Play":
        self.game.now = self.game.now + hundredths * self.unit + units
        return self

    def post(self, tree: Tree, batch: int = 0) -> int:
        start = self.game.start_root(batch)
        assert start is not None
        return self.game.post("operator", *tree.claim(start))

    def join(self, owner: str, tree: Tree, batch: int = 0) -> int:
        start = self.game.batches[batch].round.start_root
        return self.game.join(owner, batch, *tree.claim(start))

    def claim_again(self, owner: str, tree: Tree, batch: int = 0) -> int:
        start = self.game.start_root(batch)
        assert start is not None
        return self.game.claim_again(owner, batch, *tree.claim(start))

    def reveal(self, *trees: Tree) -> None:
        """Eight children of the root of each."""
        for tree in trees:
            self.game.reveal(tree.children(tree.height, 0))

    def advance(self, name: MatchId | InnerId, one: Tree, two: Tree) -> None:
        pair = self.game.pair(name)
        children = [tree.children(pair.height, pair.position) for tree in (one, two)]
        self.game.advance(name, *children)

    def walk(self, name: MatchId | InnerId, one: Tree, two: Tree) -> None:
        """Down to the leaves, both sides at once."""
        while self.game.pair(name).height:
            self.advance(name, one, two)

    def seal(self, name: MatchId, one: Tree) -> None:
        at = self.game.pair(name).position
        start = self.game.batches[name[0]].round.start_root
        self.game.seal(name, one.leaf(at - 1) if at else start, one.proof(at - 1) if at else ())

    def meet(self, one: Tree, two: Tree, name: MatchId = (0, 0, 1)) -> MatchId:
        """Open a match, go down to the leaves, seal."""
        if name not in self.game.matches:
            self.game.open(*name)
        self.walk(name, one, two)
        self.seal(name, one)
        return name

    def join_inner(self, owner: str, name: MatchId, side: int, tree: Tree, mark: str = "") -> int:
        """An inner claim that ends halted, in its side's post root."""
        post_root, last = self.game.pair(name).nodes[side], (1 << tree.height) - 1
        end = self.world.made_end(post_root, mark)[0]
        return self.game.join_inner(owner, name, side, tree.root, end, tree.proof(last))

    def join_true(self, owner: str, name: MatchId, side: int, message: int, batch: int = 0) -> int:
        """The true inner claim."""
        tree = self.trace(message, batch)
        end = self.world.end_opening(batch, message, self.before(message, batch))
        proof = tree.proof((1 << tree.height) - 1)
        return self.game.join_inner(owner, name, side, tree.root, end, proof)

    def step(self, name: InnerId, one: Tree, two: Tree) -> None:
        """Play an inner match to its end, from a true state."""
        if name not in self.game.inner_matches:
            self.game.open_inner(name[:3], name[3], name[4])
        self.walk(name, one, two)
        outer, at = self.game.matches[name[:3]], self.game.pair(name).position
        message = (name[0], outer.pair.position, outer.pre_root)
        before = one.leaf(at - 1) if at else self.game.machine.start_hash(*message)
        self.game.seal_inner(name, before, one.proof(at - 1) if at else ())
        self.game.step(name, self.world.witness(*message, at))

    def act(self) -> list[str]:
        """The honest party moves; the names of its moves."""
        return [move.name for move in act(self.game, self.honest)]

    # -- money ------------------------------------------------------------------------------------

    def worth(self, *owners: str) -> int:
        """All that some accounts hold or have at stake."""
        game, total = self.game, 0
        for owner in owners:
            total += game.bond_of.get(owner, 0) + game.credit_of.get(owner, 0)
            total += game.game_credit_of.get(owner, 0)
            total += sum(
                c.bond
                for batch in game.batches.values()
                for c in batch.claims
                if c.owner == owner and c.rival and not c.lost and not c.released
            )
            total += self.terms.inner_bond * sum(
                i.owner == owner and i.live and not i.released
                for inner in game.inner.values()
                for i in inner
            )
        return total
