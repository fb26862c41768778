"""Every refusal of the dispute game, with its reason; what is over stays as it is."""

import re
from collections.abc import Callable
from typing import Any

import boa
import eth.exceptions
import pytest
from tests.contracts.game_guest import END_OF_TEXT, ENTRY, Run, counted, image_leaf
from tests.contracts.game_trees import Tree
from tests.contracts.game_world import (
    GRACE,
    INNER_BOND,
    WINDOW,
    Inner,
    World,
    claim_tree,
    trace_tree,
)
from tests.contracts.step_machine import HALTED, IMAGE, Machine
from tests.contracts.system import CONTRACTS, VOID, ZERO, wait

TRUTH = counted(0, 6)
LIE = [*TRUTH[:4], 9, 9]
OTHER = [*TRUTH[:4], 8, 8]
NODE = b"\x07" * 32
EIGHT = [NODE] * 8
# Kept for what cannot happen: sums that never get there, trees that differ and do not.
UNREACHABLE = {
    "game: time is too large",
    "game: batch is too large",
    "game: index is too large",
    "game: the sides do not differ",
}


class Stage:
    """A match of a lie (side 0) and the truth (side 1), taken as far as a test wants it."""

    def __init__(self, world: World) -> None:
        self.world, self.game, self.system = world, world.game, world.system
        self.trees = (claim_tree(LIE), claim_tree(TRUTH))
        self.batch = world.post(self.trees[0])
        world.join(self.batch, self.trees[1], self.system.alice)
        self.id = bytes(self.game.open(self.batch, 0, 1, sender=self.system.bob))
        self.inners: list[Inner] = []
        self.inner_id = bytes(32)

    def leaves(self) -> "Stage":
        self.world.descend(self.id, self.trees, self.system.bob)
        return self

    def seal(self) -> "Stage":
        self.leaves()
        self.world.seal(self.id, self.trees[0], self.system.bob)
        return self

    def run(self, lie: int | None = None, at: int = 7) -> Run:
        def halts(machine: Machine) -> None:
            machine.memory.write(IMAGE, image_leaf(lie or 0))
            machine.status = HALTED

        return Run(self.world.batch(self.batch), 4, TRUTH[3], {at: halts} if lie else None)

    def inner(self) -> "Stage":
        self.seal()
        runs = self.run(LIE[4]), self.run()
        for side, who in enumerate((self.system.operator, self.system.alice)):
            self.inners.append(self.world.join_inner(self.id, side, runs[side], who))
        self.inner_id = bytes(self.game.open_inner(self.id, 0, 0, sender=self.system.bob))
        return self

    def inner_leaves(self) -> "Stage":
        self.inner()
        trees = [inner.run.tree for inner in self.inners]
        self.world.descend(self.inner_id, trees, self.system.bob)
        return self

    def inner_sealed(self) -> "Stage":
        self.inner_leaves()
        self.world.seal_inner(self.inner_id, self.inners[0].run, self.system.bob)
        return self

    def stepped(self) -> "Stage":
        self.inner_sealed()
        self.game.step(self.inner_id, self.inners[1].run.witness(7), sender=self.system.bob)
        return self

    def settled(self) -> "Stage":
        self.stepped()
        wait(WINDOW + GRACE + 1)
        self.game.settle(self.id, sender=self.system.bob)
        return self

    def children(self, side: int) -> list[bytes]:
        return self.world.children(self.id, self.trees[side])

    def join_inner(self, **changes: Any) -> None:
        """Put the right trace forward for the right side, some argument changed."""
        right = self.run()
        given = {
            "id": self.id, "side": 1, "root": right.tree.root, "end": right.end.arguments,
            "siblings": right.tree.proof(2**24 - 1),
        } | {k: v for k, v in changes.items() if k != "value"}  # fmt: skip
        value = changes.get("value", INNER_BOND)
        self.game.join_inner(*given.values(), sender=self.system.carol, value=value)


Move = Callable[[Stage], Any]
# What was reached, what is tried, and why it is refused.
REFUSALS: list[tuple[str, Move, str]] = [
    ("start", lambda s: s.game.open(s.batch, 1, 0), "game: the older claim is side 0"),
    ("start", lambda s: s.game.open(s.batch, 1, 1), "game: the older claim is side 0"),
    ("start", lambda s: s.game.open(s.batch, 0, 1), "game: match is open"),
    ("start", lambda s: s.game.open(s.batch, 0, 2), "game: a claim is not live"),
    ("start", lambda s: s.game.open(s.batch + 1, 0, 1), "game: a claim is not live"),
    ("start", lambda s: s.game.advance(NODE, EIGHT, EIGHT, []), "game: no such match"),
    ("start", lambda s: s.game.advance(s.id, EIGHT, s.children(1), []),
     "game: not the children of side 0"),
    ("start", lambda s: s.game.advance(s.id, s.children(0), EIGHT, []),
     "game: not the children of side 1"),
    ("start", lambda s: s.game.advance(s.id, s.children(1), s.children(0), []),
     "game: not the children of side 0"),
    ("start", lambda s: s.game.advance(s.id, s.children(0), s.children(1), EIGHT[:7]),
     "game: next is not eight children"),
    ("leaves", lambda s: s.game.advance(s.id, EIGHT, EIGHT, []), "game: duel is at its leaves"),
    ("seal", lambda s: s.game.advance(s.id, EIGHT, EIGHT, []), "game: duel is not being revealed"),
    ("start", lambda s: s.game.timeout(NODE), "game: no such match"),
    ("start", lambda s: s.game.timeout(s.id), "game: nobody is out of time"),
    ("leaves", lambda s: s.game.timeout(s.id), "game: match is at its leaves"),
    ("seal", lambda s: s.game.timeout(s.id), "game: match is at its leaves"),
    ("inner_sealed", lambda s: s.game.timeout(s.inner_id), "game: nobody is out of time"),
    ("start", lambda s: s.game.seal(NODE, NODE, []), "game: no such match"),
    ("start", lambda s: s.game.seal(s.id, NODE, []), "game: match is not at its leaves"),
    ("leaves", lambda s: s.game.seal(s.id, NODE, []), "game: expected twelve siblings"),
    ("leaves", lambda s: s.game.seal(s.id, s.trees[0].leaf(3), s.trees[0].proof(3)[:11]),
     "game: expected twelve siblings"),
    ("leaves", lambda s: s.game.seal(s.id, NODE, s.trees[0].proof(3)),
     "game: leaf is not in the tree of side 0"),
    ("leaves", lambda s: s.game.seal(s.id, s.trees[0].leaf(0), s.trees[0].proof(0)),
     "game: leaf is not in the tree of side 0"),
    # The same leaf, but proven in the other tree.
    ("leaves", lambda s: s.game.seal(s.id, s.trees[1].leaf(3), s.trees[1].proof(3)),
     "game: leaf is not in the tree of side 0"),
    ("seal", lambda s: s.world.seal(s.id, s.trees[0], s.system.bob), "game: match is sealed"),
    ("inner_leaves", lambda s: s.game.seal(s.inner_id, NODE, []), "game: not a match of claims"),
    ("start", lambda s: s.game.settle(NODE), "game: no such match"),
    ("start", lambda s: s.game.settle(s.id), "game: match is not at its leaves"),
    ("leaves", lambda s: s.game.settle(s.id), "game: nothing is decided yet"),
    ("stepped", lambda s: s.game.settle(s.id), "game: nothing is decided yet"),
    ("inner_sealed", lambda s: s.game.settle(s.inner_id), "game: not a match of claims"),
    ("start", lambda s: s.join_inner(id=NODE), "game: no such match"),
    ("leaves", lambda s: s.join_inner(), "game: match is not sealed"),
    ("seal", lambda s: s.join_inner(side=2), "game: side is not 0 or 1"),
    ("seal", lambda s: s.join_inner(side=2**256 - 1), "game: side is not 0 or 1"),
    ("seal", lambda s: s.join_inner(value=0), "game: value is not the inner bond"),
    ("seal", lambda s: s.join_inner(value=INNER_BOND - 1), "game: value is not the inner bond"),
    ("seal", lambda s: s.join_inner(value=INNER_BOND + 1), "game: value is not the inner bond"),
    ("seal", lambda s: s.join_inner(side=0), "game: trace ends in another image"),
    ("seal", lambda s: s.join_inner(root=NODE), "game: trace does not open to its end"),
    ("seal", lambda s: s.join_inner(siblings=[NODE] * 24), "game: trace does not open to its end"),
    ("inner", lambda s: s.join_inner(), "game: trace has been claimed"),
    ("inner", lambda s: s.join_inner(id=s.inner_id), "game: not a match of claims"),
    ("start", lambda s: s.game.open_inner(NODE, 0, 0), "game: no such match"),
    ("seal", lambda s: s.game.open_inner(s.id, 0, 0), "game: an inner claim is not live"),
    ("inner", lambda s: s.game.open_inner(s.id, 0, 0), "game: match is open"),
    ("inner", lambda s: s.game.open_inner(s.id, 0, 1), "game: an inner claim is not live"),
    ("inner", lambda s: s.game.open_inner(s.id, 1, 0), "game: an inner claim is not live"),
    ("inner", lambda s: s.game.open_inner(s.inner_id, 0, 0), "game: not a match of claims"),
    ("stepped", lambda s: s.game.open_inner(s.id, 0, 0), "game: an inner claim is not live"),
    ("start", lambda s: s.game.seal_inner(NODE, NODE, []), "game: no such match"),
    ("leaves", lambda s: s.game.seal_inner(s.id, NODE, []), "game: not a match of inner claims"),
    ("inner", lambda s: s.game.seal_inner(s.inner_id, NODE, []),
     "game: match is not at its leaves"),
    ("inner_leaves", lambda s: s.game.seal_inner(s.inner_id, NODE, []),
     "game: expected 24 siblings"),
    ("inner_leaves", lambda s: s.game.seal_inner(s.inner_id, NODE, [NODE] * 23),
     "game: expected 24 siblings"),
    ("inner_leaves", lambda s: s.game.seal_inner(s.inner_id, NODE, [NODE] * 24),
     "game: leaf is not in the trace of side 0"),
    ("inner_leaves", lambda s: s.world.seal_inner(s.inner_id, s.inners[1].run, s.system.bob),
     "game: leaf is not in the trace of side 0"),
    ("inner_sealed", lambda s: s.world.seal_inner(s.inner_id, s.inners[0].run, s.system.bob),
     "game: match is sealed"),
    ("start", lambda s: s.game.step(NODE, b""), "game: no such match"),
    ("seal", lambda s: s.game.step(s.id, b""), "game: not a match of inner claims"),
    ("inner_leaves", lambda s: s.game.step(s.inner_id, s.inners[1].run.witness(7)),
     "game: match is not sealed"),
    ("inner_sealed", lambda s: s.game.step(s.inner_id, b""),
     "game: witness is shorter than a state"),
    ("inner_sealed", lambda s: s.game.step(s.inner_id, s.inners[1].run.witness(6)),
     "game: not the sealed state"),
    ("inner_sealed", lambda s: s.game.step(s.inner_id, s.inners[1].run.witness(7)[:-32]),
     "step: witness has no instruction"),
    ("inner_sealed", lambda s: s.game.step(s.inner_id, s.inners[1].run.witness(7) + bytes(32)),
     "step: witness has the wrong length"),
    ("start", lambda s: s.game.release_inner(NODE, 0, 0), "game: no such match"),
    ("seal", lambda s: s.game.release_inner(s.id, 0, 0), "game: inner claim is not live"),
    ("inner", lambda s: s.game.release_inner(s.id, 1, 0), "game: match goes on"),
    ("inner", lambda s: s.game.release_inner(s.inner_id, 1, 0), "game: no such match"),
    ("stepped", lambda s: s.game.release_inner(s.id, 0, 0), "game: inner claim is not live"),
    ("start", lambda s: s.game.withdraw_credit(), "game: no credit"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reached", "move", "reason"), REFUSALS, ids=[f"{n}-{r[2]}" for n, r in enumerate(REFUSALS)]
)
def test_a_move_that_is_not_one_is_refused(
    world: World, reached: str, move: Move, reason: str
) -> None:
    stage = Stage(world)
    if reached != "start":
        getattr(stage, reached)()
    with boa.reverts(reason):
        move(stage)


def test_too_late_to_join_is_refused(world: World) -> None:
    stage = Stage(world).seal()
    wait(WINDOW + GRACE + 1)
    with boa.reverts("game: too late to join"):
        stage.join_inner()


BAD_SETTINGS = [
    ({"anchor": ZERO}, "game: anchor is zero"),
    ({"verifier": ZERO}, "game: verifier is zero"),
    ({"entry": ENTRY + 2}, "game: entry is not a multiple of 4"),
    ({"entry": END_OF_TEXT}, "game: entry is outside text"),
    ({"end_of_text": END_OF_TEXT + 32}, "game: end of text is not a multiple of 4096"),
    ({"end_of_text": 2**34 + 4096}, "game: end of text is outside its quarter"),
    ({"grace_s": 0}, "game: grace is zero"),
    ({"grace_s": WINDOW // 2 + 1}, "game: grace exceeds half of the window"),
    ({"window_s": 2**32}, "game: window is too long"),
    ({"inner_bond_wei": 0}, "game: inner bond is zero"),
]


@pytest.mark.parametrize(("changes", "reason"), BAD_SETTINGS)
def test_bad_setting_is_refused_at_deployment(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    with boa.reverts(reason):
        world.deploy_game(**changes)


def test_a_game_with_another_window_than_the_anchors_opens_nothing(world: World) -> None:
    stage = Stage(world)
    other = world.deploy_game(window_s=WINDOW + 1)
    with boa.reverts("game: not the anchor's window"):
        other.open(stage.batch, 0, 1)


def test_every_reason_of_the_source_is_met_here() -> None:
    sources = ["DisputeGame", "modules/duels", "modules/traces"]
    text = "".join((CONTRACTS / f"{name}.vy").read_text() for name in sources)
    reasons = set(re.findall(r'"(game: [^"]+)"', text))
    met = {reason for _, _, reason in REFUSALS} | {reason for _, reason in BAD_SETTINGS}
    by_name = {
        "game: too late to join", "game: not the anchor's window", "game: match is over",
        "game: not the start root", "game: no leaf before the first", "game: not the start state",
        "game: quarters are not the memory", "game: no such status",
    }  # fmt: skip
    assert reasons - UNREACHABLE <= met | by_name


def test_message_0_begins_at_the_start_root_of_the_anchor(world: World) -> None:
    trees = claim_tree([5, *TRUTH[1:]]), claim_tree(TRUTH)
    batch = world.post(trees[0])
    world.join(batch, trees[1], world.system.alice)
    match_id = bytes(world.game.open(batch, 0, 1))
    world.descend(match_id, trees, world.system.bob)
    start = world.anchor.start_root(batch)
    for root, siblings, reason in (
        (NODE, [], "game: not the start root"),
        (trees[0].leaf(0), [], "game: not the start root"),
        (start, trees[0].proof(0), "game: no leaf before the first"),
    ):
        with boa.reverts(reason):
            world.game.seal(match_id, root, siblings)
    world.game.seal(match_id, start, [])


# --- over -----------------------------------------------------------------------------------------


def _moves(stage: Stage) -> list[tuple[str, Move]]:
    """One of each kind, of the match and of its inner match."""
    witness = stage.inners[1].run.witness(7)
    return [
        ("advance", lambda s: s.game.advance(s.id, EIGHT, EIGHT, [])),
        ("timeout", lambda s: s.game.timeout(s.id)),
        ("seal", lambda s: s.world.seal(s.id, s.trees[0], s.system.bob)),
        ("settle", lambda s: s.game.settle(s.id)),
        ("join_inner", lambda s: s.join_inner()),
        ("open_inner", lambda s: s.game.open_inner(s.id, 0, 0)),
        ("inner advance", lambda s: s.game.advance(s.inner_id, EIGHT, EIGHT, [])),
        ("inner timeout", lambda s: s.game.timeout(s.inner_id)),
        ("seal_inner", lambda s: s.world.seal_inner(s.inner_id, s.inners[0].run, s.system.bob)),
        ("step", lambda s: s.game.step(s.inner_id, witness)),
    ]


def _nothing_moves(stage: Stage) -> None:
    for _, move in _moves(stage):
        with boa.reverts("game: match is over"):
            move(stage)


def test_nothing_is_moved_in_a_decided_match(world: World) -> None:
    stage = Stage(world).settled()
    wait(10 * WINDOW)
    _nothing_moves(stage)
    with boa.reverts("game: a claim is not live"):
        stage.game.open(stage.batch, 0, 1)


def test_nothing_is_moved_when_a_claim_has_died_in_another_match(world: World) -> None:
    """And the inner bonds come back, the liar's too: this match has not judged it."""
    stage = Stage(world).inner_sealed()
    third = claim_tree(OTHER)
    index = world.join(stage.batch, third, world.system.bob)
    other = bytes(world.game.open(stage.batch, 0, index))
    world.descend(other, (stage.trees[0], third), world.system.bob)
    wait(WINDOW + GRACE + 1)
    world.game.settle(other)  # neither has put a trace forward there
    assert world.anchor.claim_of(stage.batch, 0).status == VOID
    assert world.anchor.live_count(stage.batch) == 1
    _nothing_moves(stage)
    for side, who in enumerate((world.system.operator, world.system.alice)):
        world.game.release_inner(stage.id, side, 0)
        assert world.game.credit_of(who) == INNER_BOND
        with boa.reverts("game: inner claim is not live"):
            world.game.release_inner(stage.id, side, 0)
    assert world.game.burnt_wei() == 0


def test_nothing_is_moved_when_the_batch_falls_with_an_earlier_one(world: World) -> None:
    first = world.post(claim_tree(TRUTH))
    world.join(first, claim_tree(OTHER), world.system.bob)
    stage = Stage.__new__(Stage)
    stage.world, stage.game, stage.system = world, world.game, world.system
    ends = [TRUTH[-1] + count for count in (0, 0)]
    assert ends
    later = counted(TRUTH[-1], 6)
    stage.trees = (claim_tree([*later[:4], 99, 99]), claim_tree(later))
    stage.batch = world.post(stage.trees[0])
    world.join(stage.batch, stage.trees[1], world.system.alice)
    stage.id = bytes(world.game.open(stage.batch, 0, 1))
    match_id = bytes(world.game.open(first, 0, 1))
    world.game.reveal(claim_tree(OTHER).children(12, 0))
    wait(WINDOW + 1)
    world.game.timeout(match_id)  # the active claim of the first batch has lost
    with boa.reverts("game: match is over"):
        world.game.advance(stage.id, stage.children(0), stage.children(1), [])
    with boa.reverts("game: match is over"):
        world.game.timeout(stage.id)
    assert world.anchor.live_count(stage.batch) == 0
    world.anchor.release(stage.batch, 1)
    assert world.anchor.credit_of(world.system.alice) == 10 * INNER_BOND


def test_nothing_is_moved_in_an_inner_match_of_a_dead_inner_claim(world: World) -> None:
    """One lie met by two right-looking traces: killed once, it cannot win or lose again."""
    stage = Stage(world).inner_sealed()
    second = world.join_inner(stage.id, 1, stage.run(TRUTH[4], at=6), world.system.carol)
    other = bytes(world.game.open_inner(stage.id, 0, second.index))
    world.game.step(stage.inner_id, stage.inners[1].run.witness(7))
    for move in (
        lambda: world.game.timeout(other),
        lambda: world.game.advance(other, EIGHT, EIGHT, []),
        lambda: world.game.timeout(stage.inner_id),
    ):
        wait(1)
        with boa.reverts("game: match is over"):
            move()
    assert world.game.inner_of(stage.id, 1, second.index).live


def test_ether_that_comes_unasked_is_refused(world: World) -> None:
    data = world.game.reveal.prepare_calldata(EIGHT)
    for payload in (b"", data):
        with pytest.raises(eth.exceptions.Revert):
            boa.env.raw_call(world.game.address, data=payload, value=1, sender=world.system.alice)
    boa.env.raw_call(world.game.address, data=data, sender=world.system.alice)


def test_a_reentrant_winner_takes_its_credit_once(world: World) -> None:
    thief = boa.loads(
        """
# pragma version 0.4.3
interface Game:
    def withdraw_credit(): nonpayable
game: Game
@deploy
def __init__(game: address):
    self.game = Game(game)
@external
def steal():
    extcall self.game.withdraw_credit()
@external
@payable
def __default__():
    extcall self.game.withdraw_credit()
""",
        world.game.address,
    )
    stage = Stage(world).seal()
    boa.env.set_balance(thief.address, 10 * INNER_BOND)
    right = stage.run()
    world.game.join_inner(
        stage.id, 1, right.tree.root, right.end.arguments, right.tree.proof(2**24 - 1),
        sender=thief.address, value=INNER_BOND,
    )  # fmt: skip
    lie = world.join_inner(stage.id, 0, stage.run(LIE[4]), world.system.mallory)
    world.fight(stage.id, (lie, Inner(0, right, thief.address)), world.system.alice)
    assert world.game.credit_of(thief.address) == INNER_BOND // 2
    before = boa.env.get_balance(world.game.address)
    with pytest.raises(boa.BoaError):
        thief.steal()
    assert boa.env.get_balance(world.game.address) == before
    assert world.game.credit_of(thief.address) == INNER_BOND // 2


def test_trace_trees_are_of_the_right_height() -> None:
    assert trace_tree([NODE]).height == 24
    assert Tree([NODE], 12).height == claim_tree([1]).height
