"""Each planted bug is noticed; the long way of `make conformance` only (mutants.py)."""

import pytest
from tests.machine import mutants
from tests.machine.programs import LONG


def test_every_mutant_changes_one_place_that_is_there() -> None:
    for mutant in mutants.MUTANTS:
        text = (mutants.ROOT / mutant.file).read_text()
        assert text.count(mutant.old) == 1, mutant.name
        assert mutant.new != mutant.old
    assert len({mutant.name for mutant in mutants.MUTANTS}) == len(mutants.MUTANTS)
    published = {mutant.finding for mutant in mutants.MUTANTS}
    assert published >= {*map(str, range(1, 13)), "16"}


@pytest.mark.timeout(7_200)
@pytest.mark.skipif(not LONG, reason="the long way: make conformance")
def test_no_mutant_survives() -> None:
    assert mutants.main([]) == 0
