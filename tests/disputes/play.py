"""Small hand-made disputes: one reveal at each level, so a story fits on a screen."""

from tests.disputes.anchor import Terms
from tests.disputes.game import Game, InnerId, MatchId
from tests.disputes.honest import Honest, act
from tests.disputes.toy import State, Toy, state_hash
from tests.disputes.trees import Tree, leaf

START = b"start"
A, G = 100, 10
TERMS = Terms(window=A, grace=G, claim_height=3, trace_height=3)
LAST = 7


class Play:
    """A chain, the truth about it, and moves by hand. Everybody starts with money enough."""

    def __init__(self, rules: type[Game] = Game, batches: int = 1) -> None:
        self.toy = Toy(3, 3, 8, messages=8, steps=8)
        self.game = rules(TERMS, START, self.toy)
        self.honest = Honest("honest", self.toy)
        for who in ("honest", "liar", "friend"):
            self.game.deposit_bond(who, TERMS.bond + 4 * TERMS.reserve)
        self.true: list[Tree] = []
        start = START
        for batch in range(batches):
            self.true.append(self.toy.claim_tree(batch, start))
            start = self.true[-1].last

    # -- trees ------------------------------------------------------------------------------------

    def lie(self, message: int, mark: str = "lie", batch: int = 0) -> Tree:
        """The true tree but for one message."""
        return self.true[batch].with_leaves({message: leaf(mark, message)})

    def trace(self, message: int, batch: int = 0) -> Tree:
        """The true instruction tree of a message."""
        before = self.true[batch].leaf(message - 1) if message else self.start(batch)
        return self.toy.trace_tree(batch, message, before)

    def start(self, batch: int) -> bytes:
        return self.true[batch - 1].last if batch else START

    def inner_lie(self, message: int, at: int, post_root: bytes, mark: str = "") -> Tree:
        """The true instruction tree but for one state, and an end that gives a post root."""
        end = state_hash(self.toy.halted(post_root, mark))
        forged = {at: state_hash(State("lie", mark=f"{mark}{at}"))} if at < LAST else {}
        return self.trace(message).with_leaves(forged | {LAST: end})

    # -- moves ------------------------------------------------------------------------------------

    def at(self, now: int) -> "Play":
        """Let time pass."""
        assert now >= self.game.now
        self.game.now = now
        return self

    def post(self, owner: str, tree: Tree, batch: int = 0) -> int:
        start = self.game.start_root(batch)
        assert start is not None
        return self.game.post(owner, tree.root, start, tree.last)

    def join(self, owner: str, tree: Tree, batch: int = 0) -> int:
        start = self.game.batches[batch].round.start_root
        return self.game.join(owner, batch, tree.root, start, tree.last)

    def claim_again(self, owner: str, tree: Tree, batch: int = 0) -> int:
        start = self.game.start_root(batch)
        assert start is not None
        return self.game.claim_again(owner, batch, tree.root, start, tree.last)

    def reveal(self, *trees: Tree) -> None:
        for tree in trees:
            self.game.reveal(tree.children(3, 0))

    def advance(self, name: MatchId | InnerId, one: Tree, two: Tree) -> None:
        self.game.advance(name, one.children(3, 0), two.children(3, 0))

    def meet(self, one: Tree, two: Tree, name: MatchId = (0, 0, 1)) -> MatchId:
        """Open a match, reveal both sides now, go down to the leaves, seal."""
        self.game.open(*name)
        self.reveal(one, two)
        self.advance(name, one, two)
        at = self.game.pair(name).position
        before = one.leaf(at - 1) if at else self.game.batches[name[0]].round.start_root
        self.game.seal(name, before, one.proof(at - 1) if at else ())
        return name

    def join_inner(self, owner: str, name: MatchId, side: int, tree: Tree, mark: str = "") -> int:
        """An inner claim that ends halted, in its side's post root."""
        end = self.toy.halted(self.game.pair(name).nodes[side], mark)
        return self.game.join_inner(owner, name, side, tree.root, end, tree.proof(LAST))

    def step(self, name: InnerId, one: Tree, two: Tree) -> None:
        """Play an inner match of two revealed trees to its end, from the true state."""
        if name not in self.game.inner_matches:
            self.game.open_inner(name[:3], name[3], name[4])
        if self.game.pair(name).height:
            self.advance(name, one, two)
        outer, at = self.game.matches[name[:3]], self.game.pair(name).position
        message = (name[0], outer.pair.position, outer.pre_root)
        before = one.leaf(at - 1) if at else self.toy.start_hash(*message)
        self.game.seal_inner(name, before, one.proof(at - 1) if at else ())
        self.game.step(name, self.toy.witness(*message, at))

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
            total += TERMS.inner_bond * sum(
                i.owner == owner and i.live and not i.released
                for inner in game.inner.values()
                for i in inner
            )
        return total
