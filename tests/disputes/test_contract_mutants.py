"""Planted bugs of game and Anchor are found. A few here, all with `make disputes`."""

import os
import tempfile
from pathlib import Path

import pytest
from tests.disputes.contract_mutants import MUTANTS, Mutant, killer, write

LONG = os.environ.get("PROVENUE_MUTANTS") == "all"
FEW = ("the serial inner join", "credit is paid again")
CHOSEN = [mutant for mutant in MUTANTS if LONG or mutant.name in FEW]


def test_every_planted_bug_still_has_its_place() -> None:
    for mutant in MUTANTS:
        with tempfile.TemporaryDirectory() as folder:
            write(mutant, Path(folder))
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) > 100


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("mutant", CHOSEN, ids=lambda mutant: mutant.name)
def test_planted_bug_is_found(mutant: Mutant) -> None:
    pytest.importorskip("pyrevm", reason="pyrevm has no wheel for this Python")
    assert killer(mutant) is not None, f"{mutant.file}: {mutant.name}: no test fails"
