"""What the model cannot say about the contracts: values sent, callers, names, reorganisations, gas.

Everything else is compared with the model, move by move, in `test_contract` and `test_money`.
"""

from collections.abc import Callable
from typing import Any, cast

import pytest
from tests.disputes.evm import ETHER, RevertedError
from tests.disputes.guest import Guest, image_root
from tests.disputes.mirror import TERMS, Contracts, Mirror, any_id
from tests.disputes.play import A, G, Play
from tests.disputes.stages import on_stage

NAME = (0, 0, 1)
REVEAL_GAS_MAX, STEP_GAS_MAX = 120_000, 300_000


@pytest.fixture
def play() -> Play:
    return on_stage("contracts", batches=2)


def contracts_of(play: Play) -> Contracts:
    return cast("Mirror", play.game).contracts


def account(play: Play, name: str) -> str:
    return contracts_of(play).chain.account(name)


def refused(reason: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    with pytest.raises(RevertedError, match=reason):
        call(*arguments, **options)


def duel(play: Play) -> Any:
    """A lie about message 3 and the true claim, sealed."""
    lie = play.lie(3)
    play.post(lie)
    play.join("honest", play.true[0])
    play.meet(lie, play.true[0])
    return lie


# --- values and callers --------------------------------------------------------------------------


@pytest.mark.parametrize("off", [-1, 1])
def test_bonds_are_sent_exactly(play: Play, off: int) -> None:
    anchor, game = contracts_of(play).anchor, contracts_of(play).game
    lie = play.lie(3)
    play.post(lie)
    true = play.true[0]
    root, start, end, siblings = true.claim(play.start(0))
    claim, who = (start, root, end, list(siblings)), account(play, "honest")
    refused("not the bond", anchor.send, who, "join", 0, claim, value=TERMS.bond + off)
    play.join("honest", true)
    play.meet(lie, true)
    opening = play.game.machine.end_opening(0, 3, play.before(3))  # type: ignore[attr-defined]
    words = [int.from_bytes(word, "big") for word in opening.state]
    trace, name = play.trace(3), any_id(play.game, NAME)
    arguments = (name, 1, trace.root, (words, opening.q0, opening.q1, opening.q23),
                 list(trace.proof((1 << 24) - 1)))  # fmt: skip
    bond = TERMS.inner_bond + off
    refused("not the inner bond", game.send, who, "join_inner", *arguments, value=bond)


def test_only_the_game_voids(play: Play) -> None:
    play.post(play.lie(3))
    play.join("honest", play.true[0])
    anchor = contracts_of(play).anchor
    for who in ("owner", "operator", "honest"):
        refused("not the game", anchor.send, account(play, who), "void_claim", 0, 0, 2)


def test_no_rival_before_there_is_a_game() -> None:
    """Nobody could decide between the two, and the batch would never be final."""
    guest = Guest()
    contracts = Contracts(guest, installed=False)
    chain, true = contracts.chain, guest.claim_tree(0, image_root(0))
    operator = chain.account("operator")
    contracts.anchor.send(operator, "deposit_bond", value=20 * ETHER)
    claims = []
    for tree in (true, true.with_leaves({3: guest.lie_root("x")})):
        root, start, end, siblings = tree.claim(image_root(0))
        claims.append((start, root, end, list(siblings)))
    contracts.post(claims[0])
    liar = chain.account("liar")
    refused("no game is set", contracts.anchor.send, liar, "join", 0, claims[1], value=TERMS.bond)
    chain.now += TERMS.window
    contracts.anchor.send(liar, "finalize", 1)


def test_nobody_sends_ether_without_a_reason(play: Play) -> None:
    contracts = contracts_of(play)
    for contract in (contracts.anchor, contracts.game):
        refused("^$", contracts.chain.call, account(play, "liar"), contract.address, b"", value=1)
    refused("^$", contracts.game.send, account(play, "liar"), "reveal", [bytes(32)] * 8, value=1)


def test_status_of_a_last_state_is_one_of_three(play: Play) -> None:
    lie = duel(play)
    opening, _ = play.world.made_end(lie.leaf(3), "")
    game = contracts_of(play).game
    words = [int.from_bytes(word, "big") for word in cast("Any", opening).state]
    words[9] += 2 << 128
    end = (words, cast("Any", opening).q0, cast("Any", opening).q1, cast("Any", opening).q23)
    name, who = any_id(play.game, NAME), account(play, "liar")
    arguments = (name, 0, bytes(32), end, [bytes(32)] * 24)
    refused("no such status", game.send, who, "join_inner", *arguments, value=TERMS.inner_bond)


def test_matches_of_claims_and_of_inner_claims_are_not_confused(play: Play) -> None:
    lie = duel(play)
    play.join_true("honest", NAME, 1, 3)
    play.join_inner("liar", NAME, 0, play.inner_lie(3, 0, lie.leaf(3)))
    play.game.open_inner(NAME, 0, 0)
    game, who = contracts_of(play).game, account(play, "liar")
    outer, inner = any_id(play.game, NAME), any_id(play.game, (*NAME, 0, 0))
    refused("not a match of claims", game.send, who, "settle", inner)
    refused("not a match of claims", game.send, who, "seal", inner, bytes(32), [])
    refused("not a match of claims", game.send, who, "open_inner", inner, 0, 0)
    refused("not a match of inner", game.send, who, "seal_inner", outer, bytes(32), [])
    refused("not a match of inner", game.send, who, "step", outer, bytes(320))
    refused("no such match", game.send, who, "release_inner", inner, 0, 0)
    refused("at its leaves", game.send, who, "timeout", outer)


# --- reveals -------------------------------------------------------------------------------------


def test_reveal_is_idempotent_ownerless_and_says_the_children_once(play: Play) -> None:
    contracts, tree = contracts_of(play), play.true[0]
    children = list(tree.children(12, 0))
    contracts.game.send(account(play, "liar"), "reveal", children)
    logs = contracts.chain.logs()
    assert [(log.name, log.fields["node"]) for log in logs] == [("Revealed", tree.root)]
    assert list(logs[0].fields["children"]) == children
    first = contracts.chain.now
    contracts.chain.now += 100
    contracts.game.send(account(play, "honest"), "reveal", children)
    assert contracts.chain.logs() == []
    assert contracts.game.view("revealed_at", tree.root) == first


def test_advance_takes_eight_more_children_or_none(play: Play) -> None:
    lie, true = play.lie(3), play.true[0]
    play.post(lie)
    play.join("honest", true)
    play.game.open(*NAME)
    game, who = contracts_of(play).game, account(play, "honest")
    both = [list(tree.children(12, 0)) for tree in (lie, true)]
    seven = [bytes(32)] * 7
    refused("not eight children", game.send, who, "advance", any_id(play.game, NAME), *both, seven)
    play.game.advance(NAME, *both, true.children(9, 0))
    assert true.node(9, 0) in play.game.revealed_at


# --- names and reorganisations -------------------------------------------------------------------


def test_moves_of_another_pair_of_trees_find_no_match_after_a_reorganisation(play: Play) -> None:
    """Two joins change places: what was sent for one pair of trees meets nothing, not another."""
    lie, other, true = play.lie(3), play.lie(2), play.true[0]
    play.post(true)
    contracts, chain = contracts_of(play), contracts_of(play).chain
    who = account(play, "honest")

    def join(owner: str, tree: Any) -> None:
        root, start, end, siblings = tree.claim(play.start(0))
        claim = (start, root, end, list(siblings))
        contracts.anchor.send(account(play, owner), "join", 0, claim, value=TERMS.bond)

    def open_(index: int) -> bytes:
        return bytes(contracts.game.send(who, "open", 0, 0, index))

    with chain.undone():
        join("liar", lie)
        join("friend", other)
        before = open_(1)
        moves = [
            contracts.game.encode("settle", before),
            contracts.game.encode("timeout", before),
            contracts.game.encode(
                "advance", before, list(true.children(12, 0)), list(lie.children(12, 0)), []
            ),
            contracts.game.encode("seal", before, bytes(32), []),
        ]
    join("friend", other)
    join("liar", lie)
    assert open_(1) != before
    assert open_(2) != before
    for data in moves:
        refused("no such match", chain.call, who, contracts.game.address, data)


def test_proof_for_one_position_does_not_seal_another(play: Play) -> None:
    """Messages 1 and 2 leave the image as it was, so leaves 0, 1 and 2 are equal: only the place of
    the leaf tells them apart.
    """
    true = play.true[0]
    assert true.leaf(0) == true.leaf(1) == true.leaf(2)
    lie = play.lie(3)
    play.post(lie)
    play.join("honest", true)
    play.game.open(*NAME)
    play.walk(NAME, lie, true)
    game, who = contracts_of(play).game, account(play, "honest")
    name, leaf = any_id(play.game, NAME), true.leaf(2)
    for at in (0, 1, 3):
        refused("not in the tree", game.send, who, "seal", name, leaf, list(lie.proof(at)))
    for wrong in ([], list(lie.proof(2))[:11]):
        refused("siblings", game.send, who, "seal", name, leaf, wrong)
    game.send(who, "seal", name, leaf, list(lie.proof(2)))


# --- a whole dispute -----------------------------------------------------------------------------


def test_trapped_and_endless_messages_are_disputed_like_others(play: Play) -> None:
    """A liar claims that messages 1 (endless) and 2 (trapped) changed the image."""
    for message in (1, 2):
        one = on_stage("contracts")
        lie = one.lie(message)
        one.post(lie)
        one.join("honest", one.true[0])
        one.meet(lie, one.true[0])
        one.join_true("honest", NAME, 1, message)
        inner = one.inner_lie(message, 1, lie.leaf(message))
        one.join_inner("liar", NAME, 0, inner)
        one.step((*NAME, 0, 0), inner, one.trace(message))
        assert not one.game.inner[NAME, 0][0].live
        one.at(A + G, 1).act()
        assert one.game.final_count == 1


def test_gas_of_reveal_and_step_and_of_every_move(play: Play) -> None:
    lie = play.lie(3)
    play.post(lie)
    play.act()
    play.reveal(lie)
    play.walk(NAME, lie, play.true[0])
    play.act()
    for at in (1, 4, 7):  # a branch, a load, a store
        play.join_inner("liar", NAME, 0, play.inner_lie(3, at, lie.leaf(3), str(at)), str(at))
    for number, at in enumerate((1, 4, 7)):
        tree = play.inner_lie(3, at, lie.leaf(3), str(at))
        play.step((*NAME, number, 0), tree, play.trace(3))
    play.at(A + G, 1).act()
    gas = cast("Mirror", play.game).gas
    print(gas)
    assert play.game.final_count == 1
    assert gas["reveal"] <= REVEAL_GAS_MAX
    assert gas["step"] <= STEP_GAS_MAX
    assert all(used <= STEP_GAS_MAX for name, used in gas.items() if name != "post")
