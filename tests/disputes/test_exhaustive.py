"""Every play of small disputes. Long searches run by `make disputes` alone."""

import pytest
from tests.disputes import mutants
from tests.disputes.exhaustive import SEARCHES, Search, Small
from tests.disputes.simulate import BrokenError

SHORT = [small for small in SEARCHES if small.short]


@pytest.mark.parametrize("small", SHORT, ids=lambda small: small.name)
def test_no_play_breaks_the_rules(small: Small) -> None:
    found = Search(small).run()
    print(small.name, found)
    assert found.ends > 0
    assert small.window < found.late <= 2 * small.window + 2 * small.grace


def test_search_is_not_blind() -> None:
    """The same search, with rules that are wrong by one thing, finds a play that breaks them."""
    small = Small("", 3, 1, honest_first=True, inner_other=1)
    for mutant, says in (
        (mutants.LateJoinTakesFromBoth, "behind the bound"),  # both lose, or the truth alone
        (mutants.RivalInheritsTimer, "behind the bound"),
        (mutants.HonestPaysForWaiting, "honest inner claim died"),
        (mutants.RevealCountsAgain, "true claim died"),
        (mutants.TimeoutHitsTheOther, "true claim died"),
        (mutants.SerialInnerJoins, "behind the bound"),
        (mutants.FirstInnerLossKillsTheSide, "true claim died"),
        (mutants.OutWithoutWaiting, "true claim died"),
        (mutants.RivalsDoNotHinderFinality, "a lie is final"),
    ):
        with pytest.raises(BrokenError, match=says):
            Search(small, mutant).run()
