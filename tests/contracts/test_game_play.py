"""Whole disputes, down to one executed instruction, on trees of the real heights.

The guest has thirteen instructions (game_guest); the referee is the real one. What is right is
known from the guest's intent, not from the contracts.
"""

from collections.abc import Callable

import boa
import pytest
from tests.contracts import naive
from tests.contracts.game_guest import (
    LOOPS,
    T1,
    TRAPS,
    Run,
    counted,
    image_leaf,
    image_root,
)
from tests.contracts.game_trees import Tree
from tests.contracts.game_world import (
    GRACE,
    INNER_BOND,
    LAST_LEAF,
    STAGE_DONE,
    WINDOW,
    World,
    claim_tree,
)
from tests.contracts.step_machine import HALTED, IMAGE, RUNNING, TRAPPED, Machine
from tests.contracts.system import CONFIG, FINAL, LIVE, VOID, wait

BOND, RESERVE = CONFIG["bond_wei"], CONFIG["claim_reserve_wei"]
TRUTH = counted(0, 6)


def _lie_from(message: int, by: int = 1) -> list[int]:
    """The counts of somebody for whom a message counts differently."""
    return [count + by * (number >= message) for number, count in enumerate(TRUTH)]


def _before(message: int) -> int:
    return TRUTH[message - 1] if message else 0


def _halts_with(count: int) -> Callable[[Machine], None]:
    """A lie about an instruction: behind it the machine has halted with another image."""

    def lie(machine: Machine) -> None:
        machine.memory.write(IMAGE, image_leaf(count))
        machine.status = HALTED

    return lie


def _statuses(world: World, batch: int) -> list[int]:
    count = world.anchor.claim_count(batch)
    return [int(world.anchor.claim_of(batch, index).status) for index in range(count)]


def _dispute(world: World, message: int, step: int, *, liar_first: bool) -> None:
    """A liar about one instruction of one message, and one honest party; who is right wins all."""
    system = world.system
    honest, liar = (
        (system.alice, system.operator) if liar_first else (system.operator, system.mallory)
    )
    lie_counts = _lie_from(message)
    trees = {honest: claim_tree(TRUTH), liar: claim_tree(lie_counts)}
    first, second = (liar, honest) if liar_first else (honest, liar)
    batch = world.post(trees[first])
    assert world.join(batch, trees[second], second) == 1
    ordered = (trees[first], trees[second])
    match_id = world.sealed(batch, ordered, (0, 1))
    assert match_id == world.match_id(batch, 0, 1)
    assert world.game.match_of(match_id).position == message
    start = world.batch(batch)
    runs = {
        honest: Run(start, message, _before(message)),
        liar: Run(start, message, _before(message), {step: _halts_with(lie_counts[message])}),
    }
    assert runs[honest].image_root == image_root(TRUTH[message])
    inners = tuple(
        world.join_inner(match_id, side, runs[who], who) for side, who in enumerate((first, second))
    )
    before = world.anchor.bond_of(system.operator)
    world.fight(match_id, (inners[0], inners[1]), honest)
    side = int(liar_first)  # of the honest one
    assert [world.game.inner_of(match_id, s, 0).live for s in (0, 1)] == [side == 0, side == 1]
    assert world.game.credit_of(honest) == INNER_BOND // 2
    # The liar may still put another trace forward: nothing is decided yet.
    with boa.reverts("game: nothing is decided yet"):
        world.game.settle(match_id, sender=honest)
    wait(WINDOW + GRACE + 1)
    world.game.settle(match_id, sender=system.bob)
    assert world.game.match_of(match_id).stage == STAGE_DONE
    assert _statuses(world, batch) == ([VOID, LIVE] if liar_first else [LIVE, VOID])
    assert world.anchor.active_claim(batch) == side
    lost = BOND + RESERVE if liar_first else BOND
    assert world.anchor.credit_of(honest) == lost // 2
    assert world.anchor.burnt_wei() == lost - lost // 2
    assert world.anchor.bond_of(system.operator) == before - (lost if liar_first else 0)
    world.game.release_inner(match_id, side, 0, sender=system.bob)
    assert world.game.credit_of(honest) == INNER_BOND // 2 + INNER_BOND
    world.game.withdraw_credit(sender=honest)
    assert boa.env.get_balance(world.game.address) == world.game.burnt_wei() == INNER_BOND // 2
    assert world.anchor.finalize(1, sender=system.bob) == 1
    assert world.anchor.final_root(batch) == image_root(TRUTH[-1])


# Messages with their last step: 0 begins at the start root and at the composed start state.
CASES = [(0, 0), (0, 5), (1, 9), (TRAPS, 0), (TRAPS, 4), (LOOPS, 3), (LOOPS, 40), (4, 8), (5, 10)]


@pytest.mark.parametrize("liar_first", [True, False], ids=["liar first", "honest first"])
@pytest.mark.parametrize(("message", "step"), CASES)
def test_a_lie_about_one_instruction_is_found(
    world: World, message: int, step: int, *, liar_first: bool
) -> None:
    _dispute(world, message, step, liar_first=liar_first)


def test_a_lie_about_the_last_of_all_instructions_is_found(world: World) -> None:
    """The endless message, said to halt at the very end: leaf 2^24 - 1 is the only wrong one."""
    system = world.system
    trees = claim_tree(_lie_from(LOOPS)), claim_tree(TRUTH)
    batch = world.post(trees[0])
    world.join(batch, trees[1], system.alice)
    match_id = world.sealed(batch, trees, (0, 1))
    honest = Run(world.batch(batch), LOOPS, _before(LOOPS))
    assert honest.before[-1].status == RUNNING
    liar = Run(world.batch(batch), LOOPS, _before(LOOPS), {40: _halts_with(TRUTH[LOOPS] + 1)})
    liar.tree = honest.tree.with_leaf(LAST_LEAF, liar.tree.leaf(LAST_LEAF))
    liar.before = honest.before
    inners = (
        world.join_inner(match_id, 0, liar, system.mallory),
        world.join_inner(match_id, 1, honest, system.alice),
    )
    inner_match_id = world.fight(match_id, inners, system.alice)
    assert world.game.inner_match_of(inner_match_id).position == LAST_LEAF
    assert not world.game.inner_of(match_id, 0, 0).live
    assert world.game.inner_of(match_id, 1, 0).live


def test_a_sybil_cannot_lose_for_the_honest_side(world: World) -> None:
    """Wrong traces put forward for the right claim die alone; the right one stands."""
    system = world.system
    lie = _lie_from(4)
    trees = claim_tree(lie), claim_tree(TRUTH)
    batch = world.post(trees[0])
    world.join(batch, trees[1], system.alice)
    match_id = world.sealed(batch, trees, (0, 1))
    start = world.batch(batch)
    attack = world.join_inner(
        match_id, 0, Run(start, 4, _before(4), {8: _halts_with(lie[4])}), system.mallory
    )
    # They part from the attack where they are wrong themselves, before it lies.
    for step in (0, 3, 7):
        run = Run(start, 4, _before(4), {step: _halts_with(TRUTH[4])})
        sybil = world.join_inner(match_id, 1, run, system.mallory)
        world.fight(match_id, (attack, sybil), system.mallory)
        assert not world.game.inner_of(match_id, 1, sybil.index).live
        assert world.game.inner_of(match_id, 0, attack.index).live
    honest = world.join_inner(match_id, 1, Run(start, 4, _before(4)), system.alice)
    world.fight(match_id, (attack, honest), system.alice)
    assert world.game.match_of(match_id).live_0 == 0
    assert world.game.inner_of(match_id, 1, honest.index).live
    wait(WINDOW + GRACE + 1)
    world.game.settle(match_id, sender=system.bob)
    assert _statuses(world, batch) == [VOID, LIVE]


def test_a_sybil_that_stands_for_the_honest_side_first_is_played_for(world: World) -> None:
    """The right trace can be put forward once; whoever did, anyone makes its moves."""
    system = world.system
    trees = claim_tree(_lie_from(1)), claim_tree(TRUTH)
    batch = world.post(trees[0])
    world.join(batch, trees[1], system.alice)
    match_id = world.sealed(batch, trees, (0, 1))
    right = Run(world.batch(batch), 1, _before(1))
    taken = world.join_inner(match_id, 1, right, system.mallory)
    with boa.reverts("game: trace has been claimed"):
        world.join_inner(match_id, 1, right, system.alice)
    lie = Run(world.batch(batch), 1, _before(1), {2: _halts_with(TRUTH[1] + 1)})
    attack = world.join_inner(match_id, 0, lie, system.mallory)
    world.fight(match_id, (attack, taken), system.alice)
    assert world.game.match_of(match_id).live_1 == 1


def test_when_both_are_wrong_both_traces_die_and_then_both_claims(world: World) -> None:
    """All is burnt, nobody wins, the data is claimed again."""
    system = world.system
    trees = claim_tree(_lie_from(4, 5)), claim_tree(_lie_from(4, 7))
    batch = world.post(trees[0])
    world.join(batch, trees[1], system.mallory)
    match_id = world.sealed(batch, trees, (0, 1))
    start = world.batch(batch)
    inners = tuple(
        world.join_inner(
            match_id, side, Run(start, 4, _before(4), {6: _halts_with(TRUTH[4] + by)}), who
        )
        for side, (by, who) in enumerate(((5, system.operator), (7, system.mallory)))
    )
    world.fight(match_id, (inners[0], inners[1]), system.bob)
    at = world.game.match_of(match_id)
    assert (at.live_0, at.live_1) == (0, 0)
    assert world.game.burnt_wei() == 2 * INNER_BOND
    with boa.reverts("game: nothing is decided yet"):
        world.game.settle(match_id, sender=system.bob)
    wait(WINDOW + GRACE + 1)
    world.game.settle(match_id, sender=system.bob)
    assert _statuses(world, batch) == [VOID, VOID]
    assert world.anchor.burnt_wei() == 2 * BOND + RESERVE
    assert world.anchor.credit_of(system.operator) == world.anchor.credit_of(system.mallory) == 0
    again = world.claim_input(batch, claim_tree(TRUTH))
    world.anchor.claim_again(batch, again, sender=system.mallory)
    assert _statuses(world, batch) == [VOID, VOID, LIVE]
    assert world.system.finalize_all() == 1


def test_two_trees_with_one_end_are_told_apart(world: World) -> None:
    """A Sybil's claim with the right end but a wrong middle: whole trees are committed to."""
    system = world.system
    middle = [*TRUTH[:2], 77, *TRUTH[3:]]
    trees = claim_tree(TRUTH), claim_tree(middle)
    batch = world.post(trees[0])
    world.join(batch, trees[1], system.mallory)
    match_id = world.sealed(batch, trees, (0, 1))
    assert world.game.match_of(match_id).position == TRAPS
    start = world.batch(batch)
    right = world.join_inner(match_id, 0, Run(start, TRAPS, _before(TRAPS)), system.alice)
    assert right.run.before[-1].status == TRAPPED
    wrong = world.join_inner(
        match_id, 1, Run(start, TRAPS, _before(TRAPS), {5: _halts_with(77)}), system.mallory
    )
    world.fight(match_id, (right, wrong), system.alice)
    wait(WINDOW + GRACE + 1)
    world.game.settle(match_id, sender=system.alice)
    assert _statuses(world, batch) == [LIVE, VOID]


def test_eight_rivals_at_once_are_beaten_each_in_its_own_match(world: World) -> None:
    system = world.system
    batch = world.post(claim_tree(TRUTH))
    lies = [_lie_from(number % 6, 2 + number) for number in range(8)]
    for lie in lies:
        world.join(batch, claim_tree(lie), system.mallory)
    assert world.anchor.live_count(batch) == 9
    for number, lie in enumerate(lies, 1):
        trees = claim_tree(TRUTH), claim_tree(lie)
        match_id = world.sealed(batch, trees, (0, number))
        message = (number - 1) % 6
        start = world.batch(batch)
        right = world.join_inner(
            match_id, 0, Run(start, message, _before(message)), system.operator
        )
        wrong = Run(start, message, _before(message), {3: _halts_with(lie[message])})
        attack = world.join_inner(match_id, 1, wrong, system.mallory)
        world.fight(match_id, (right, attack), system.operator)
    wait(WINDOW + GRACE + 1)
    for number in range(1, 9):
        world.game.settle(world.match_id(batch, 0, number), sender=system.operator)
    assert _statuses(world, batch) == [LIVE] + [VOID] * 8
    assert world.anchor.credit_of(system.operator) == 8 * (BOND // 2)
    assert world.anchor.finalize(1, sender=system.bob) == 1
    assert _statuses(world, batch)[0] == FINAL


def test_what_a_trace_cannot_do_it_cannot_say(world: World) -> None:
    """A trace that ends in another image than its side's claim, or is no opening, is refused."""
    system = world.system
    trees = claim_tree(_lie_from(4)), claim_tree(TRUTH)
    batch = world.post(trees[0])
    world.join(batch, trees[1], system.alice)
    match_id = world.sealed(batch, trees, (0, 1))
    right = Run(world.batch(batch), 4, _before(4))
    with boa.reverts("game: trace ends in another image"):
        world.join_inner(match_id, 0, right, system.mallory)
    state, q0, q1, q23 = right.end.arguments
    siblings = right.tree.proof(LAST_LEAF)
    other = naive.keccak(b"other")
    cases = [
        ((right.tree.root, (state, other, q1, q23), siblings), "game: quarters are not the memory"),
        ((right.tree.root, (state, q0, other, q23), siblings), "game: quarters are not the memory"),
        ((right.tree.root, (state, q0, q1, other), siblings), "game: quarters are not the memory"),
        ((other, (state, q0, q1, q23), siblings), "game: trace does not open to its end"),
        ((right.tree.root, (state, q0, q1, q23), [*siblings[:23], other]),
         "game: trace does not open to its end"),
        ((right.tree.root, ([*state[:8], state[8] + 1, state[9]], q0, q1, q23), siblings),
         "game: trace does not open to its end"),
        ((right.tree.root, ([*state[:9], state[9] + 2**129], q0, q1, q23), siblings),
         "game: no such status"),
        # TRAPPED instead of HALTED: the image would be the one before the message.
        ((right.tree.root, ([*state[:9], state[9] + 2**128], q0, q1, q23), siblings),
         "game: trace ends in another image"),
    ]  # fmt: skip
    for (root, end, proof), reason in cases:
        with boa.reverts(reason):
            world.game.join_inner(
                match_id, 1, root, end, proof, sender=system.alice, value=INNER_BOND
            )
    world.join_inner(match_id, 1, right, system.alice)


def test_start_state_is_the_contracts_alone(world: World) -> None:
    """Traces that start elsewhere differ at leaf 0 from the right one, and lose there."""
    system = world.system
    trees = claim_tree(_lie_from(0)), claim_tree(TRUTH)
    batch = world.post(trees[0])
    world.join(batch, trees[1], system.alice)
    match_id = world.sealed(batch, trees, (0, 1))
    right = Run(world.batch(batch), 0, 0)
    # As if it were message 4 of the same batch, on an image that has counted to 1.
    foreign = Run(world.batch(batch), 4, 1)
    assert foreign.image_root == image_root(2) == trees[0].leaf(0)
    inners = (
        world.join_inner(match_id, 0, foreign, system.mallory),
        world.join_inner(match_id, 1, right, system.alice),
    )
    inner_match_id = bytes(world.game.open_inner(match_id, 0, 0, sender=system.alice))
    assert world.descend(inner_match_id, [i.run.tree for i in inners], system.alice) == 0
    with boa.reverts("game: not the start state"):
        world.game.seal_inner(inner_match_id, foreign.start, [], sender=system.mallory)
    with boa.reverts("game: no leaf before the first"):
        world.game.seal_inner(inner_match_id, right.start, [bytes(32)], sender=system.mallory)
    world.game.seal_inner(inner_match_id, right.start, [], sender=system.alice)
    with boa.reverts("game: not the sealed state"):
        world.game.step(inner_match_id, foreign.witness(0), sender=system.mallory)
    world.game.step(inner_match_id, right.witness(0), sender=system.bob)
    assert (world.game.match_of(match_id).live_0, world.game.match_of(match_id).live_1) == (0, 1)


def test_registers_memory_and_status_are_all_disputable(world: World) -> None:
    """Lies about a register that nobody reads, about the program's own text, about halting."""
    system = world.system

    def register(machine: Machine) -> None:
        machine.registers[T1 + 20] = 1

    def text(machine: Machine) -> None:
        machine.memory.write(0x7800_0000, b"\x13")

    def early_halt(machine: Machine) -> None:
        machine.status = HALTED

    lie = _lie_from(4)
    trees = claim_tree(lie), claim_tree(TRUTH)
    batch = world.post(trees[0])
    world.join(batch, trees[1], system.alice)
    match_id = world.sealed(batch, trees, (0, 1))
    start = world.batch(batch)
    right = world.join_inner(match_id, 1, Run(start, 4, _before(4)), system.alice)
    for number, first in enumerate((register, text, early_halt)):
        lies = {2 + number: first, 12: _halts_with(lie[4])}
        attack = world.join_inner(match_id, 0, Run(start, 4, _before(4), lies), system.mallory)
        inner_match_id = world.fight(match_id, (attack, right), system.alice)
        assert world.game.inner_match_of(inner_match_id).position == 2 + number
        assert not world.game.inner_of(match_id, 0, attack.index).live
    assert world.game.inner_of(match_id, 1, right.index).live
    assert world.game.credit_of(system.alice) == 3 * (INNER_BOND // 2)


def test_trees_of_the_oracle_are_right() -> None:
    """The synthetic trees against plain hashing of all leaves."""
    leaves = [naive.keccak(bytes([i])) for i in range(5)]
    tree = Tree(leaves, 12)
    assert tree.root == naive.tree_root(leaves, 12, leaves[-1])
    assert tree.proof(3) == naive.proof(leaves, 3, 12, leaves[-1])
    changed = tree.with_leaf(1000, leaves[0])
    every = [tree.leaf(i) if i != 1000 else leaves[0] for i in range(4096)]
    assert changed.root == naive.tree_root(every, 12)
    assert changed.children(12, 0) == [changed.node(9, k) for k in range(8)]
