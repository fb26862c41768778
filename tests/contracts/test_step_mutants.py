"""Planted bugs of the step contract are found by its tests. A few here, all with
`make conformance`.
"""

import tempfile
from pathlib import Path

import pytest
from tests.contracts import step_cases as cases
from tests.contracts.step_mutants import MUTANTS, Mutant, killer, write

FEW = ("store into input", "bit 26 of shifts", "bytes behind the last part")
CHOSEN = [mutant for mutant in MUTANTS if cases.LONG or mutant.name in FEW]


def test_every_planted_bug_still_has_its_place() -> None:
    for mutant in MUTANTS:
        with tempfile.TemporaryDirectory() as folder:
            write(mutant, Path(folder))
    assert len({(mutant.lesson, mutant.name) for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", CHOSEN, ids=lambda mutant: mutant.name)
def test_planted_bug_is_found(mutant: Mutant) -> None:
    assert killer(mutant) is not None, f"{mutant.lesson}: {mutant.name}: no test fails"
