"""Runs a stateful machine over the contracts, many lives of one deployment."""

import os
from collections import Counter

import boa
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from tests.contracts.system import Sources, System

__all__ = ["run_lives"]


def run_lives(
    sources: Sources,
    rules: type[RuleBasedStateMachine],
    lives: int,
    moves: int,
    expected: set[str],
) -> None:
    """Run lives; what never happened in them was not tested, so `expected` must be among it.

    `rules` finds the deployment in `system` and counts what happens in `met`.
    """
    met: Counter[str] = Counter()
    with boa.env.anchor():
        system = System(sources)
        system.install_game()
        machine = type(rules.__name__, (rules,), {"system": system, "met": met})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=lives,
                stateful_step_count=moves,
                deadline=None,
                # The same lives in each test run; the long run takes new ones.
                derandomize="PROVENUE_LIVES" not in os.environ,
            ),
        )
    print(dict(met))
    assert expected <= set(met), f"never happened: {sorted(expected - set(met))}"
