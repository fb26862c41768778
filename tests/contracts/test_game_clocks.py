"""Clocks: what each side may use, counted from reveals alone; what wins no time."""

import itertools
import random
from collections.abc import Sequence

import boa
import pytest
from tests.contracts.game_guest import Run, counted, image_leaf
from tests.contracts.game_trees import Tree
from tests.contracts.game_world import GRACE, INNER_BOND, WINDOW, Inner, World, claim_tree
from tests.contracts.step_machine import HALTED, IMAGE, Machine
from tests.contracts.system import LIVE, VOID, now, wait

TRUTH = counted(0, 6)
LIES = [[*TRUTH[:4], 9 + number, 9] for number in range(6)]
TRUE_TREE = claim_tree(TRUTH)


def _statuses(world: World, batch: int) -> list[int]:
    count = world.anchor.claim_count(batch)
    return [int(world.anchor.claim_of(batch, index).status) for index in range(count)]


def _opened(world: World, first: Tree, second: Tree, after_s: int = 0) -> tuple[int, bytes]:
    """A batch whose claim got a rival after some seconds, and their match."""
    batch = world.post(first)
    wait(after_s)
    world.join(batch, second, world.system.alice)
    return batch, bytes(world.game.open(batch, 0, 1, sender=world.system.bob))


def _until(second: int) -> None:
    wait(second - now())


def _lie(at: int, count: int) -> dict[int, object]:
    def halts(machine: Machine) -> None:
        machine.memory.write(IMAGE, image_leaf(count))
        machine.status = HALTED

    return {at: halts}


# --- allowances -----------------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [0, 1, 1_800, WINDOW - 1])
def test_a_late_rival_has_what_is_left_and_the_first_claim_all(world: World, after_s: int) -> None:
    batch, match_id = _opened(world, TRUE_TREE, claim_tree(LIES[0]), after_s)
    joined = now()
    assert world.game.match_of(match_id).since == joined
    left = WINDOW - after_s
    _until(joined + left)
    with boa.reverts("game: nobody is out of time"):
        world.game.timeout(match_id)
    world.game.reveal(TRUE_TREE.children(12, 0))
    wait(1)
    world.game.timeout(match_id)
    assert _statuses(world, batch) == [LIVE, VOID]
    assert world.anchor.credit_of(world.system.operator) == 10 * INNER_BOND // 2


@pytest.mark.parametrize("after_s", [0, WINDOW - 1])
def test_the_first_claim_may_be_silent_for_the_whole_window(world: World, after_s: int) -> None:
    """An honest party kept from the chain for A from the latest join on does not lose."""
    batch, match_id = _opened(world, TRUE_TREE, claim_tree(LIES[0]), after_s)
    joined = now()
    world.game.reveal(claim_tree(LIES[0]).children(12, 0))
    _until(joined + WINDOW)
    with boa.reverts("game: nobody is out of time"):
        world.game.timeout(match_id)
    with boa.env.anchor():
        wait(1)
        world.game.timeout(match_id)
        assert _statuses(world, batch) == [VOID, LIVE]
    world.game.reveal(TRUE_TREE.children(12, 0))
    wait(10 * WINDOW)  # not at anybody's cost: both have moved
    with boa.reverts("game: nobody is out of time"):
        world.game.timeout(match_id)


def test_both_lose_when_both_are_silent(world: World) -> None:
    batch, match_id = _opened(world, claim_tree(LIES[0]), claim_tree(LIES[1]))
    wait(WINDOW + 1)
    world.game.timeout(match_id, sender=world.system.bob)
    assert _statuses(world, batch) == [VOID, VOID]
    assert world.anchor.credit_of(world.system.alice) == 0


def test_who_has_lost_by_the_time_of_the_call_loses(world: World) -> None:
    """The late rival first; when nobody calls until the other is late too, both."""
    batch, match_id = _opened(world, claim_tree(LIES[0]), claim_tree(LIES[1]), 600)
    joined = now()
    _until(joined + WINDOW - 600 + 1)
    with boa.env.anchor():
        world.game.timeout(match_id)
        assert _statuses(world, batch) == [LIVE, VOID]
    _until(joined + WINDOW + 1)
    world.game.timeout(match_id)
    assert _statuses(world, batch) == [VOID, VOID]


def test_time_is_used_up_level_by_level(world: World) -> None:
    """Side 0 takes a fourth of its window at each of four levels, and one second more."""
    lie = claim_tree(LIES[0])
    batch, match_id = _opened(world, lie, TRUE_TREE)
    for level in range(4):
        own, other = world.children(match_id, lie), world.children(match_id, TRUE_TREE)
        world.game.reveal(other)
        wait(WINDOW // 4 + (level == 3))
        if level < 3:
            world.game.advance(match_id, own, other, [])
            at = world.game.match_of(match_id)
            assert (at.used_0, at.used_1) == ((level + 1) * WINDOW // 4, 0)
            assert at.since == now()
    with boa.env.anchor():
        world.game.timeout(match_id)
        assert _statuses(world, batch) == [VOID, LIVE]
    # The reveal comes too late, too: by advancing it loses, as it would by the timeout.
    world.game.advance(match_id, own, other, [])
    assert _statuses(world, batch) == [VOID, LIVE]


def test_a_late_reveal_without_an_advance_has_lost_as_well(world: World) -> None:
    lie = claim_tree(LIES[0])
    batch, match_id = _opened(world, lie, TRUE_TREE)
    world.game.reveal(TRUE_TREE.children(12, 0))
    wait(WINDOW + 1)
    world.game.reveal(lie.children(12, 0))
    wait(WINDOW)
    world.game.timeout(match_id)
    assert _statuses(world, batch) == [VOID, LIVE]


def test_what_was_revealed_before_a_match_costs_nothing_in_it(world: World) -> None:
    batch = world.post(TRUE_TREE)
    path = [TRUE_TREE.children(height, 0) for height in (12, 9, 6, 3)]
    for children in path:
        world.game.reveal(children)
    wait(1_000)
    lie = claim_tree(LIES[0])
    world.join(batch, lie, world.system.mallory)
    match_id = bytes(world.game.open(batch, 0, 1))
    for height in (12, 9, 6, 3):
        wait(100)
        world.game.advance(match_id, TRUE_TREE.children(height, 0), lie.children(height, 0), [])
    at = world.game.match_of(match_id)
    assert (at.height, at.used_0, at.used_1) == (0, 0, 400)


def test_clocks_never_go_back_to_a_reveal_before_the_match(world: World) -> None:
    """Both paths known beforehand: the leaves are reached as of the match's beginning."""
    lie = claim_tree(LIES[0])
    for tree in (TRUE_TREE, lie):
        for height in (12, 9, 6, 3):
            world.game.reveal(tree.children(height, 0))
    wait(500)
    _, match_id = _opened(world, TRUE_TREE, lie)
    joined = now()
    wait(500)
    _advance_all(world, match_id, (TRUE_TREE, lie), known_only=True)
    at = world.game.match_of(match_id)
    assert (at.height, at.since, at.sealed_at) == (0, joined, joined)
    assert (at.used_0, at.used_1) == (0, 0)


# --- who calls, and when --------------------------------------------------------------------------


def test_who_advances_and_when_changes_nothing(world: World, rng: random.Random) -> None:
    """The same reveals at the same times: clocks come out alike however the advances fall."""
    lie = claim_tree(LIES[0])
    _, match_id = _opened(world, lie, TRUE_TREE)
    trees = (lie, TRUE_TREE)
    reveals = [(h, side) for h in (12, 9, 6, 3) for side in (0, 1)]
    rng.shuffle(reveals)
    gaps = [rng.randrange(60) for _ in reveals]
    outcomes = set()
    for style in ("at the end", "as soon as possible", "with the last reveal"):
        with boa.env.anchor():
            for gap, (height, side) in zip(gaps, reveals, strict=True):
                wait(gap)
                if style != "with the last reveal" or (height, side) != reveals[-1]:
                    world.game.reveal(trees[side].children(height, 0), sender=world.system.carol)
                if style == "as soon as possible":
                    _advance_all(world, match_id, trees, known_only=True)
            _advance_all(world, match_id, trees, known_only=False)
            at = world.game.match_of(match_id)
            outcomes.add((at.height, at.since, at.used_0, at.used_1, at.position))
    assert len(outcomes) == 1, outcomes


def _advance_all(world: World, match_id: bytes, trees: Sequence[Tree], *, known_only: bool) -> None:
    while (at := world.game.match_of(match_id)).height:
        if known_only and not all(world.game.revealed_at(n) for n in (at.node_0, at.node_1)):
            return
        both = [tree.children(at.height, at.position) for tree in trees]
        world.game.advance(match_id, *both, [], sender=world.system.mallory)


def test_running_ahead_of_a_move_changes_nothing(world: World) -> None:
    """A copied reveal, a copied advance: the one who came first did the other's work."""
    lie = claim_tree(LIES[0])
    _, match_id = _opened(world, lie, TRUE_TREE)
    own, other = world.children(match_id, TRUE_TREE), world.children(match_id, lie)
    world.game.reveal(own, sender=world.system.mallory)
    first = world.game.revealed_at(TRUE_TREE.root)
    wait(50)
    world.game.reveal(own, sender=world.system.alice)
    assert world.game.get_logs() == []
    assert world.game.revealed_at(TRUE_TREE.root) == first
    world.game.advance(match_id, other, own, [], sender=world.system.mallory)
    at = world.game.match_of(match_id)
    with boa.reverts("game: not the children of side 0"):
        world.game.advance(match_id, other, own, [], sender=world.system.alice)
    assert world.game.match_of(match_id) == at
    assert (at.used_0, at.used_1) == (50, 0)


def test_one_reveal_serves_all_matches(world: World) -> None:
    batch = world.post(TRUE_TREE)
    names = []
    for number in range(3):
        world.join(batch, claim_tree(LIES[number]), world.system.mallory)
        names.append(bytes(world.game.open(batch, 0, number + 1)))
    wait(7)
    world.game.reveal(TRUE_TREE.children(12, 0))
    for number, name in enumerate(names):
        wait(100)
        lie = claim_tree(LIES[number])
        world.game.advance(name, TRUE_TREE.children(12, 0), lie.children(12, 0), [])
        assert world.game.match_of(name).used_0 == 7


def test_next_children_are_revealed_with_the_advance(world: World) -> None:
    lie = claim_tree(LIES[0])
    _, match_id = _opened(world, lie, TRUE_TREE)
    both = [world.children(match_id, tree) for tree in (lie, TRUE_TREE)]
    wait(10)
    world.game.advance(match_id, *both, TRUE_TREE.children(9, 0))
    assert world.game.revealed_at(TRUE_TREE.node(9, 0)) == now()
    assert world.game.revealed_at(lie.node(9, 0)) == 0


def test_the_sum_of_heights_falls_with_each_advance(world: World) -> None:
    lie = claim_tree(LIES[0])
    _, match_id = _opened(world, lie, TRUE_TREE)
    heights = [12]
    while heights[-1]:
        both = [world.children(match_id, tree) for tree in (lie, TRUE_TREE)]
        world.game.advance(match_id, *both, [])
        heights.append(world.game.match_of(match_id).height)
    assert heights == [12, 9, 6, 3, 0]


# --- the instruction level ------------------------------------------------------------------------


class Arena:
    """A sealed match of a lie (side 0) and the truth; seconds that its sides have used."""

    def __init__(self, world: World, used_0: int = 0, used_1: int = 0) -> None:
        self.world, self.game = world, world.game
        self.lie = LIES[0]
        self.trees = claim_tree(self.lie), TRUE_TREE
        self.batch, self.id = _opened(world, *self.trees)
        # The clock of side 0 alone, then that of side 1 alone, on the first two levels.
        for height, side, seconds in ((12, 0, used_0), (9, 1, used_1)):
            self.game.reveal(self.trees[1 - side].children(height, 0))
            wait(seconds)
            self.game.advance(self.id, *(t.children(height, 0) for t in self.trees), [])
        world.descend(self.id, self.trees, world.system.bob)
        world.seal(self.id, self.trees[0], world.system.bob)
        self.sealed_at = self.game.match_of(self.id).sealed_at
        assert self.sealed_at == now()

    def run(self, side: int, at: int = 7) -> Run:
        """A trace for a side; the one of side 1 is right unless it lies `at` an instruction."""
        start = self.world.batch(self.batch)
        count = (self.lie if side == 0 else TRUTH)[4]
        return Run(start, 4, TRUTH[3], None if (side, at) == (1, 7) else _lie(at, count))

    def join(self, side: int, at: int = 7) -> Inner:
        return self.world.join_inner(self.id, side, self.run(side, at), self.world.system.carol)

    def open(self, first: Inner, second: Inner) -> bytes:
        return bytes(self.game.open_inner(self.id, first.index, second.index))


@pytest.mark.parametrize(("used_0", "used_1"), [(0, 0), (1_000, 0), (0, 1_000), (WINDOW, 17)])
def test_inner_claims_may_join_until_the_deadline_of_their_side(
    world: World, used_0: int, used_1: int
) -> None:
    arena = Arena(world, used_0, used_1)
    at = world.game.match_of(arena.id)
    assert (at.used_0, at.used_1) == (used_0, used_1)
    ends = [arena.sealed_at + WINDOW - used + GRACE for used in (used_0, used_1)]
    for end, side in sorted(zip(ends, (0, 1), strict=True)):
        _until(end)
        with boa.env.anchor():
            arena.join(side)
        wait(1)
        with boa.reverts("game: too late to join"):
            arena.join(side)


def test_sealing_late_moves_no_deadline(world: World) -> None:
    arena = Arena.__new__(Arena)
    arena.world, arena.game, arena.lie = world, world.game, LIES[0]
    arena.trees = claim_tree(arena.lie), TRUE_TREE
    arena.batch, arena.id = _opened(world, *arena.trees)
    world.descend(arena.id, arena.trees, world.system.bob)
    arrived = now()
    wait(WINDOW)
    world.seal(arena.id, arena.trees[0], world.system.bob)
    assert world.game.match_of(arena.id).sealed_at == arrived
    _until(arrived + WINDOW + GRACE + 1)
    with boa.reverts("game: too late to join"):
        arena.join(1)


def test_leaves_that_nobody_seals_are_settled_all_the_same(world: World) -> None:
    lies = claim_tree(LIES[0]), claim_tree(LIES[1])
    batch, match_id = _opened(world, *lies)
    world.descend(match_id, lies, world.system.bob)
    arrived = now()
    _until(arrived + WINDOW + GRACE)
    with boa.reverts("game: nothing is decided yet"):
        world.game.settle(match_id)
    wait(1)
    world.game.settle(match_id)
    assert _statuses(world, batch) == [VOID, VOID]


def test_an_inner_claim_has_what_is_left_until_the_deadline(world: World) -> None:
    """Side 0 has used 1,000 s and joins 200 s after the leaves, side 1 500 s after them."""
    arena = Arena(world, used_0=1_000)
    _until(arena.sealed_at + 200)
    first = arena.join(0)
    _until(arena.sealed_at + 500)
    second = arena.join(1)
    inner = arena.open(first, second)
    assert world.game.inner_match_of(inner).since == arena.sealed_at + 500
    allowed = [WINDOW - 1_000 + GRACE - 200, WINDOW + GRACE - 500]
    _until(arena.sealed_at + 500 + allowed[0])
    with boa.reverts("game: nobody is out of time"):
        world.game.timeout(inner)
    with boa.env.anchor():
        wait(1)
        world.game.reveal(second.run.tree.children(24, 0))
        world.game.timeout(inner)
        at = world.game.match_of(arena.id)
        assert (at.live_0, at.live_1) == (0, 1)
    world.game.reveal(first.run.tree.children(24, 0))
    _until(arena.sealed_at + 500 + allowed[1])
    with boa.reverts("game: nobody is out of time"):
        world.game.timeout(inner)
    wait(1)
    world.game.timeout(inner)
    at = world.game.match_of(arena.id)
    assert (at.live_0, at.live_1) == (1, 0)


def test_dying_and_joining_again_wins_no_time(world: World) -> None:
    """The deadline rule: serial inner claims of a liar are all out at the same second."""
    arena = Arena(world)
    right = arena.join(1)
    deadline = arena.sealed_at + WINDOW + GRACE
    ends = []
    for number, at in enumerate((8, 9, 7, 6)):
        wait(700)
        attack = arena.join(0, at)
        inner = arena.open(attack, right)
        world.game.reveal(right.run.tree.children(24, 0))
        used = now()
        with boa.env.anchor():
            _until(deadline)
            with boa.reverts("game: nobody is out of time"):
                world.game.timeout(inner)
            wait(1)
            world.game.timeout(inner)
            ends.append(now())
        assert used < deadline, number
        # It is beaten by the step, so that it can join again.
        trees = (attack.run.tree, right.run.tree)
        world.descend(inner, trees, world.system.bob)
        world.seal_inner(inner, attack.run, world.system.bob)
        step = world.game.inner_match_of(inner).position
        world.game.step(inner, right.run.witness(step))
        assert world.game.match_of(arena.id).live_0 == 0
    assert set(ends) == {deadline + 1}
    _until(deadline + 1)
    world.game.settle(arena.id)
    assert _statuses(world, arena.batch) == [VOID, LIVE]


def test_at_the_last_leaves_both_clocks_run_sealed_or_not(world: World) -> None:
    arena = Arena(world)
    pair = arena.join(0), arena.join(1)
    inner = arena.open(*pair)
    world.descend(inner, [one.run.tree for one in pair], world.system.bob)
    for sealed, late in itertools.product((False, True), repeat=2):
        with boa.env.anchor():
            if sealed:
                world.seal_inner(inner, pair[0].run, world.system.bob)
            _until(arena.sealed_at + WINDOW + GRACE + late)
            if late:
                world.game.timeout(inner)
                at = world.game.match_of(arena.id)
                assert (at.live_0, at.live_1) == (0, 0)
                assert world.game.burnt_wei() == 2 * INNER_BOND
            else:
                with boa.reverts("game: nobody is out of time"):
                    world.game.timeout(inner)
                if sealed:
                    world.game.step(inner, pair[1].run.witness(7))


def test_a_side_lives_while_one_of_its_inner_claims_does(world: World) -> None:
    """Two traces of the liar: one beaten, the other holds the verdict up until it is, too."""
    arena = Arena(world)
    right = arena.join(1)
    attacks = [arena.join(0, at) for at in (7, 8)]
    world.fight(arena.id, (attacks[0], right), world.system.bob)
    inner = arena.open(attacks[1], right)
    world.game.reveal(right.run.tree.children(24, 0))
    _until(arena.sealed_at + WINDOW + GRACE + 1)
    with boa.reverts("game: nothing is decided yet"):
        world.game.settle(arena.id)
    world.game.timeout(inner)
    world.game.settle(arena.id)
    assert _statuses(world, arena.batch) == [VOID, LIVE]


def test_a_dispute_ends_within_two_windows_and_two_graces(world: World) -> None:
    """The slowest play: every silence is as long as it may be, at both levels."""
    started = now()
    lie = claim_tree(LIES[0])
    batch = world.post(TRUE_TREE)
    began = world.anchor.claim_of(batch, 0).claimed_at
    assert began >= started
    _until(began + WINDOW - 1)
    world.join(batch, lie, world.system.mallory)
    match_id = bytes(world.game.open(batch, 0, 1))
    joined = now()
    trees = TRUE_TREE, lie
    # Side 0 is silent for all it has, side 1 is quick: it has a second.
    for height in (12, 9, 6, 3):
        world.game.reveal(lie.children(height, 0))
        wait(WINDOW // 4)
        world.game.advance(match_id, *(tree.children(height, 0) for tree in trees), [])
    assert world.game.match_of(match_id).used_0 == WINDOW
    world.seal(match_id, TRUE_TREE, world.system.bob)
    leaves = now()
    assert leaves == joined + WINDOW
    _until(leaves + GRACE)
    start = world.batch(batch)
    right = world.join_inner(match_id, 0, Run(start, 4, TRUTH[3]), world.system.alice)
    wrong = Run(start, 4, TRUTH[3], _lie(7, LIES[0][4]))
    attack = world.join_inner(match_id, 1, wrong, world.system.mallory)
    inner = bytes(world.game.open_inner(match_id, right.index, attack.index))
    world.descend(inner, (right.run.tree, wrong.tree), world.system.bob)
    world.seal_inner(inner, right.run, world.system.bob)
    world.game.step(inner, right.run.witness(7))
    _until(leaves + GRACE + 2)  # side 1 has had its second and the grace
    world.game.settle(match_id)
    assert _statuses(world, batch) == [LIVE, VOID]
    assert now() <= began + 2 * WINDOW + 2 * GRACE
