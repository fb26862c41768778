"""The contracts do what the model does, move by move: random disputes played in both at once.

The moves are those of the model's random adversaries and of the honest party, and meddling:
moves made again, moves with a part that is wrong, moves in another's match. Both accept or both
refuse, and after each move every view, bond and balance is the same. PROVENUE_RUNS=N for more.
"""

import os
import random
from collections import Counter
from typing import Any

import pytest
from tests.disputes.anchor import RefusedError
from tests.disputes.game import Game
from tests.disputes.guest import Guest, Opening
from tests.disputes.honest import Move
from tests.disputes.mirror import Contracts, Mirror
from tests.disputes.simulate import Result, Run, Setting
from tests.disputes.world import World

RUNS = int(os.environ.get("PROVENUE_RUNS", "0"))


class MirrorRun(Run):
    """A run whose every move is made in the contracts too, with a meddler who gets between."""

    codegen = "legacy"
    alone = False

    def stage(self) -> tuple[World, Game]:
        guest = Guest()
        self.mirror = Mirror(Contracts(guest, self.codegen), guest)
        self.meddler = random.Random(f"meddler {self.setting[:7]}")
        self.meddling = self.meddler.choice([0.0, 0.1, 0.5])
        self.known: dict[str, list[Move]] = {}
        return guest, self.mirror

    def run(self) -> Result:
        self.mirror.before = self._meddle
        return super().run()

    def _meddle(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Run ahead of a move with the same one, make an old one again, or a spoiled one."""
        rng, move = self.meddler, Move(name, arguments)
        if name in MONEY:
            return
        if rng.random() < self.meddling:
            old = rng.choice(self.known[rng.choice(list(self.known))]) if self.known else move
            chosen = rng.choice([move, old, spoilt(rng, move), spoilt(rng, old)])
            if chosen.name in OWNED:
                chosen = Move(chosen.name, ("copier", *chosen.arguments[1:]))
            try:
                chosen.make(self.game)
            except RefusedError:
                pass
        self.known.setdefault(name, []).append(move)


MONEY = {"deposit_bond", "withdraw_bond", "withdraw_credit", "withdraw_game_credit", "post"}
OWNED = {"join", "claim_again", "join_inner"}


def spoilt(rng: random.Random, move: Move) -> Move:
    return Move(move.name, tuple(spoiled(rng, part) for part in move.arguments))


def spoiled(rng: random.Random, part: Any) -> Any:
    """Something of the same shape that is mostly another."""
    if rng.random() < 0.6:
        return part
    if isinstance(part, bytes):
        at = rng.randrange(len(part))
        return part[:at] + bytes([part[at] ^ (1 << rng.randrange(8))]) + part[at + 1 :]
    if isinstance(part, int) and not isinstance(part, bool):
        return max(0, part + rng.choice([-1, 1]))
    if isinstance(part, Opening):
        return Opening(*(spoiled(rng, field) for field in part))
    if isinstance(part, tuple | list) and part:
        changed = list(part)
        at = rng.randrange(len(changed))
        changed[at] = spoiled(rng, changed[at])
        return tuple(changed)
    return part


SETTINGS = {
    "3 sybils": (Setting(0, 3, 3, 0), 6),
    "3 sybils, 150 h of 168": (Setting(0, 3, 3, 150), 6),
    "pipeline of 3": (Setting(0, 2, 2, 100, 3), 4),
    "liars alone": (Setting(0, 3, 3, honest=False), 4),
}


@pytest.mark.slow
@pytest.mark.timeout(6_000)
@pytest.mark.parametrize("codegen", ["legacy", "venom"])
@pytest.mark.parametrize("name", SETTINGS)
def test_both_do_the_same_at_every_move(name: str, codegen: str, seed: int) -> None:
    setting, count = SETTINGS[name]
    runs = RUNS * count // 10 or (count if codegen == "legacy" else 1)
    made, refused, gas = 0, 0, Counter[str]()
    for k in range(runs):
        run = MirrorRun(setting._replace(seed=seed * 1_000 + k))
        run.codegen = codegen
        run.run()
        made, refused = made + run.mirror.made, refused + run.mirror.refused
        gas |= Counter(run.mirror.gas)
    print(f"{name}, {codegen}: {runs} runs, {made} moves made, {refused} refused, gas {dict(gas)}")
    assert made > 30 * runs
    assert refused > 10 * runs
