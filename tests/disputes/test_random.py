"""Random adversaries against the honest strategy: no honest loss, every lie dead in time.

The short version runs with everything; `make disputes` runs thousands. PROVENUE_RUNS=N sets the
number of runs of a setting that has 100 in the short version; the others follow.
"""

import os

import pytest
from tests.disputes.simulate import Setting, run

RUNS = int(os.environ.get("PROVENUE_RUNS", "0"))

# What is drawn, and the number of runs in the short version. Moves that must have happened: an
# adversary that never gets there proves nothing.
ALWAYS = {"open", "reveal", "advance", "seal", "join_inner", "open_inner", "seal_inner", "timeout"}
HONEST = ALWAYS | {"step", "settle", "join", "finalize"}
PIPELINE = HONEST | {"promote", "claim_again", "release_inner"}
SETTINGS = {
    "8 sybils, no censorship": (Setting(0, 8, 6, 0), 100),
    "8 sybils, 100 h": (Setting(0, 8, 6, 100), 100),
    "8 sybils, 150 h": (Setting(0, 8, 6, 150), 100),
    "8 sybils, 150 h, 10 minutes for each look": (Setting(0, 8, 6, 150, latency=600), 100),
    "64 sybils, no censorship": (Setting(0, 64, 2, 0), 1),
    "64 sybils, 150 h": (Setting(0, 64, 2, 150), 1),
    "pipeline of 3, 100 h": (Setting(0, 4, 4, 100, 3), 80),
    "liars alone": (Setting(0, 4, 6, honest=False), 200),
}


@pytest.mark.slow
@pytest.mark.timeout(6_000)
@pytest.mark.parametrize("name", SETTINGS)
def test_no_honest_loss_and_no_lie_behind_the_bound(name: str, seed: int) -> None:
    setting, count = SETTINGS[name]
    first = seed * 1_000_000
    runs = RUNS * max(count, 2) // 100 or count
    results = [run(setting._replace(seed=first + k)) for k in range(runs)]
    late = max(result.late for result in results)
    kinds = frozenset[str]().union(*(result.kinds for result in results))
    matches = sum(result.matches for result in results)
    inner = sum(result.inner_matches for result in results)
    print(
        f"{name}: {runs} runs, seeds from {first}, {matches} matches, {inner} inner matches:"
        f" 0 honest losses, the last lie died by T + {late:.3f} A"
    )
    assert late <= 2 + 2 * 2 / 168
    expected = ALWAYS
    if setting.honest:
        expected = PIPELINE if setting.batches > 1 else HONEST
    assert expected <= kinds, f"never happened: {sorted(expected - kinds)}"


@pytest.mark.slow
def test_lies_live_longer_under_censorship_and_hardly_longer_than_a_window_without() -> None:
    """The shape of the bound: about A when nobody is censored, about A more when A is."""
    late = {
        hours: max(run(Setting(k, 8, 6, hours)).late for k in range(60)) for hours in (0, 100, 167)
    }
    assert late[0] <= 1 + 2 * 2 / 168
    assert 1.4 < late[100] < 1.7
    assert 1.8 < late[167] <= 2 + 2 * 2 / 168
