"""The player against players with other trees, move by move through a model of the contracts.

Every move of every party is one that the contracts would take; what is refused was made by somebody
else in the same second. The honest party is given nothing but the state of the chain.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from tests.watcher.lies import bent
from tests.watcher.model import RULES, Game, RefusedError, Trace, states_of

from provenue import wire
from provenue.watcher.moves import Move, Plan
from provenue.watcher.player import Manners, next_moves
from provenue.watcher.state import Stage
from provenue.watcher.trees import MessageTree

START = wire.keccak256(b"start")
HONEST, LIAR = "honest", "liar"
HONEST_MOVES_MAX = 20
Policy = Callable[[Game, Move], bool]


@dataclass
class World:
    """The truth about a batch: its roots, and the states of each message's trace."""

    messages: int
    steps: int

    def __post_init__(self) -> None:
        self.roots = [wire.keccak256(f"root {i}".encode()) for i in range(self.messages)]
        self.states = [states_of(f"message {i}", self.steps) for i in range(self.messages)]
        self.step_table: dict[bytes, bytes] = {}
        for states in self.states:
            hashes = [wire.keccak256(state) for state in states]
            self.step_table.update(zip(hashes, [*hashes[1:], hashes[-1]], strict=True))


class TreesOf:
    """Trees of a party that is right, or lies from a message and an instruction on."""

    def __init__(self, world: World, lie: tuple[int, int] | None = None, salt: str = "") -> None:
        self._world = world
        self._lie = lie
        self._salt = salt
        roots = world.roots
        if lie is not None:
            roots = [
                root if i < lie[0] else wire.keccak256(salt.encode() + root)
                for i, root in enumerate(roots)
            ]
        self.tree = MessageTree(START, roots)
        self.known = True

    def batch(self, number: int) -> MessageTree | None:
        return self.tree if self.known and number == 0 else None

    def trace(self, _number: int, message: int) -> Trace:
        states = list(self._world.states[message])
        if self._lie is not None and message == self._lie[0]:
            states[self._lie[1] + 1 :] = states_of(f"lie {self._salt}", len(states))[
                self._lie[1] + 1 :
            ]
        return Trace(states, self.tree.node(0, message))


def _always(_game: Game, _move: Move) -> bool:
    return True


@dataclass
class Player:
    """A party at the table: its trees, and which of its own moves it makes."""

    name: str
    trees: TreesOf
    policy: Policy = _always
    manners: Manners = field(default_factory=lambda: Manners(finalize_patience_s=0, collects=False))
    last: Plan | None = None
    refused: list[str] = field(default_factory=list)

    def play(self, game: Game, rng: random.Random) -> None:
        self.last = next_moves(game.state(self.name), self.trees, self.manners)
        moves = [move for move in self.last.moves if self.policy(game, move)]
        rng.shuffle(moves)
        for move in moves:
            try:
                game.send(move, self.name)
            except RefusedError:
                # Made by somebody else in this second, or overtaken by it.
                self.refused.append(move.function)


def _table(world: World, liar: Player, rng: random.Random, *others: Player) -> Game:
    game = Game(START, world.step_table)
    game.post(liar.name, liar.trees.tree.claim)
    honest = Player(HONEST, TreesOf(world))
    players = [honest, liar, *others]
    end_s = game.round_started + 2 * RULES.window_s + 2 * RULES.grace_s + 60
    while not game.final and game.now < end_s:
        rng.shuffle(players)
        for player in players:
            player.play(game, rng)
        game.now += rng.choice((1, 12, 12, 30))
        if all(p.last is not None and not p.last.moves for p in players):
            game.now += 60
    if not others:
        # Nobody else calls these: a refusal would mean that a clock was read wrongly.
        assert not {"timeout", "settle"} & set(honest.refused), honest.refused
    return game


def _verdict(game: Game) -> dict[str, bool]:
    return {claim.owner: claim.live for claim in game.claims}


@pytest.mark.parametrize("where", [(0, 0), (0, 5), (3, 0), (7, 1), (4, 30), (8, 39)])
def test_a_liar_who_plays_well_loses_and_the_truth_becomes_final(
    where: tuple[int, int], rng: random.Random
) -> None:
    world = World(9, 42)
    game = _table(world, Player(LIAR, TreesOf(world, where, "a")), rng)
    assert game.final
    assert _verdict(game) == {LIAR: False, HONEST: True}
    assert game.claims[game.active or 0].root == TreesOf(world).tree.root
    assert game.sent[HONEST] - 1 <= HONEST_MOVES_MAX, game.functions[HONEST]


def test_a_liar_who_only_reveals_costs_the_honest_side_at_most_twenty_moves(
    rng: random.Random,
) -> None:
    """It reveals in time and leaves every other move to the honest side: the dearest liar."""
    world = World(9, 42)
    reveals = {"reveal", "join_inner"}

    def lazy(_game: Game, move: Move) -> bool:
        return move.function in reveals and not move.then

    class Lazy(Player):
        def play(self, game: Game, rng: random.Random) -> None:
            # Its own plan would advance: what it reveals by that, it reveals alone.
            plan = next_moves(game.state(self.name), self.trees, self.manners)
            for move in plan.moves:
                if move.function == "advance":
                    side = 0 if move.args[1] == _own_children(self, game, move) else 1
                    children = move.args[1 + side]
                    game.send(replace(move, function="reveal", args=(children,), then=()), LIAR)
            super().play(game, rng)

    game = _table(world, Lazy(LIAR, TreesOf(world, (4, 17), "a"), lazy), rng)
    assert game.final
    assert _verdict(game) == {LIAR: False, HONEST: True}
    made = [name for name in game.functions[HONEST] if name != "finalize"]
    assert len(made) <= HONEST_MOVES_MAX, made


def _own_children(player: Player, game: Game, move: Move) -> list[bytes]:
    """Which of the two sets of children in an advance is the player's."""
    name = move.args[0]
    if name in game.matches:
        duel = game.matches[name]
        tree = player.trees.tree
        return list(tree.children(duel.height, duel.position))
    inner = game.inner_matches[name]
    message = game.matches[inner.match].position
    return player.trees.trace(0, message).children(inner.height, inner.position)


def test_a_liar_who_stops_at_any_move_loses_by_its_clock(rng: random.Random) -> None:
    world = World(9, 20)
    for stops_after in range(0, 20, 3):
        made = 0

        def tired(_game: Game, _move: Move, limit: int = stops_after) -> bool:
            nonlocal made
            made += 1
            return made <= limit

        game = _table(world, Player(LIAR, TreesOf(world, (5, 3), "a"), tired), rng)
        assert game.final, stops_after
        assert _verdict(game) == {LIAR: False, HONEST: True}, stops_after


def test_eight_liars_at_once_lose_each_its_own_match(rng: random.Random) -> None:
    world = World(40, 30)
    liars = [
        Player(f"{LIAR} {n}", TreesOf(world, (rng.randrange(40), rng.randrange(29)), f"salt {n}"))
        for n in range(8)
    ]
    game = _table(world, liars[0], rng, *liars[1:])
    assert game.final
    assert [owner for owner, live in _verdict(game).items() if live] == [HONEST]
    assert game.sent[HONEST] <= 8 * HONEST_MOVES_MAX


def test_the_right_claim_of_a_sybil_who_never_moves_is_defended(rng: random.Random) -> None:
    """The honest party has no claim of its own in it: it makes the Sybil's moves."""
    world = World(9, 30)
    game = Game(START, world.step_table)
    game.post("sybil", TreesOf(world).tree.claim)
    liar, honest = Player(LIAR, TreesOf(world, (4, 7), "a")), Player(HONEST, TreesOf(world))
    for _ in range(900):
        for player in (liar, honest):
            player.play(game, rng)
        game.now += 12
        if game.final:
            break
    assert game.final
    assert _verdict(game) == {"sybil": True, LIAR: False}
    assert "join" not in game.functions[HONEST]


def test_a_wrong_instruction_tree_under_the_right_claim_does_not_lose_it(
    rng: random.Random,
) -> None:
    """A Sybil joins the honest side with a wrong trace that ends right, and lets it lose."""
    world = World(6, 30)
    honest_trees = TreesOf(world)
    game = Game(START, world.step_table)
    liar, honest = Player(LIAR, TreesOf(world, (3, 7), "a")), Player(HONEST, honest_trees)
    game.post(LIAR, liar.trees.tree.claim)
    bad = Trace(states_of("badly", 30), honest_trees.tree.node(0, 3))

    def spoil() -> None:
        """Be the first on the honest side."""
        for name, match in game.matches.items():
            side = match.claims.index(1)
            if match.stage == Stage.SEALED and not match.inner[side]:
                words, *roots = bad.end()
                end = ([int.from_bytes(word, "big") for word in words], *roots)
                args = (name, side, bad.root, end, bad.proof(2**24 - 1))
                game.send(Move("game", "join_inner", args, 0, name), "sybil")

    for _ in range(900):
        for player in (liar, honest):
            player.play(game, rng)
            spoil()
        game.now += 12
        if game.final:
            break
    assert game.final
    assert _verdict(game) == {LIAR: False, HONEST: True}
    (match,) = game.matches.values()
    assert [c.owner for c in match.inner[1]] == ["sybil", HONEST]


def test_killed_and_started_again_at_any_move_it_goes_on(rng: random.Random) -> None:
    """Nothing is remembered: two players of one party, taking turns at random, are as good."""
    world = World(9, 42)
    twin = Player(HONEST, TreesOf(world))
    game = _table(world, Player(LIAR, TreesOf(world, (6, 11), "a")), rng, twin)
    assert game.final
    assert _verdict(game) == {LIAR: False, HONEST: True}


def test_a_party_without_data_makes_no_move_and_says_so() -> None:
    world = World(4, 10)
    game = Game(START, world.step_table)
    game.post(LIAR, TreesOf(world, (1, 1), "a").tree.claim)
    trees = TreesOf(world)
    trees.known = False
    plan = next_moves(game.state(HONEST), trees)
    assert plan.moves == []
    assert [note.kind for note in plan.notes] == ["unknown_batch"]
    game.now += RULES.window_s + 100
    assert next_moves(game.state(HONEST), trees).moves == [], "what it cannot judge it leaves alone"


def test_a_wrong_claim_is_never_helped_to_become_final() -> None:
    world = World(4, 10)
    game = Game(START, world.step_table)
    game.post(LIAR, TreesOf(world, (1, 1), "a").tree.claim)
    game.now += RULES.window_s + 100
    plan = next_moves(game.state(HONEST), TreesOf(world))
    assert plan.moves == []
    assert [note.kind for note in plan.notes] == ["too_late"]
    assert plan.wrong == [(0, 0)]


def test_after_both_claims_died_the_batch_is_claimed_again(rng: random.Random) -> None:
    world = World(4, 10)
    game = Game(START, world.step_table)
    game.post(LIAR, TreesOf(world, (1, 1), "a").tree.claim)
    for claim in game.claims:
        claim.live = False
    game.active = None
    honest = Player(HONEST, TreesOf(world))
    state = game.state(HONEST)
    poor = replace(state, mine=replace(state.mine, bond_wei=4, open_claims=0))
    (first,) = next_moves(poor, honest.trees).moves
    assert (first.function, first.value_wei) == (
        "deposit_bond",
        RULES.bond_wei + RULES.reserve_wei - 4,
    )
    honest.play(game, rng)
    assert game.claims[-1].root == honest.trees.tree.root
    assert game.active == 1


def test_a_live_rival_is_made_active_when_the_active_claim_died_with_its_rival() -> None:
    world = World(4, 10)
    game = Game(START, world.step_table)
    game.post(LIAR, TreesOf(world, (1, 1), "a").tree.claim)
    honest = TreesOf(world)
    (join,) = next_moves(game.state(HONEST), honest).moves
    game.send(join, HONEST)
    game.claims[0].live = False
    game.active = None
    functions = [move.function for move in next_moves(game.state(HONEST), honest).moves]
    assert functions == ["promote"]


def test_nothing_is_made_final_while_a_rival_lives() -> None:
    world = World(4, 10)
    game = Game(START, world.step_table)
    honest = TreesOf(world)
    game.post(HONEST, honest.tree.claim)
    liar = next_moves(game.state(LIAR), TreesOf(world, (1, 1), "a")).moves[0]
    game.send(liar, LIAR)
    game.now += RULES.window_s + 100
    assert "finalize" not in _functions(game, honest)
    game.claims[1].live = False
    assert _functions(game, honest) == ["finalize"]


def _functions(game: Game, trees: TreesOf) -> list[str]:
    return [move.function for move in next_moves(game.state(HONEST), trees).moves]


def test_credits_and_free_bonds_come_home_but_not_the_operators_bond() -> None:
    world = World(4, 10)
    game = Game(START, world.step_table)
    game.post(HONEST, TreesOf(world).tree.claim)
    state = game.state(HONEST)
    mine = replace(
        state.mine, bond_wei=50, open_claims=0, anchor_credit_wei=3, game_credit_wei=4,
        free_claims=((7, 2),), free_inner=((b"m" * 32, 1, 0),),
    )  # fmt: skip
    moves = next_moves(replace(state, mine=mine), TreesOf(world)).moves
    assert [(move.contract, move.function, move.args) for move in moves] == [
        ("anchor", "release", (7, 2)),
        ("game", "release_inner", (b"m" * 32, 1, 0)),
        ("anchor", "withdraw_credit", ()),
        ("game", "withdraw_credit", ()),
        ("anchor", "withdraw_bond", (50,)),
    ]
    operator = replace(mine, address=RULES.operator)
    moves = next_moves(replace(state, mine=operator), TreesOf(world)).moves
    assert "withdraw_bond" not in [move.function for move in moves]


def test_bent_roots_are_right_before_the_lie() -> None:
    roots = World(5, 2).roots
    assert bent(roots, 3)[:3] == roots[:3]
    assert all(a != b for a, b in zip(bent(roots, 3)[3:], roots[3:], strict=True))
