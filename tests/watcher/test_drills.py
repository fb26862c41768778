"""Every drill as a user runs it: the liar pays, the honest are made whole, nobody right falls."""

import json
import subprocess
import sys

import pytest

from provenue.watcher.drills import SCENARIOS

pytestmark = [pytest.mark.chain, pytest.mark.e2e, pytest.mark.slow]

HONEST_MOVES_MAX = 20
HONEST_GAS_MAX = 3_000_000
SYBILS = 8


@pytest.mark.parametrize("lie", SCENARIOS)
def test_a_drill_ends_as_it_should(lie: str) -> None:
    command = [sys.executable, "-m", "provenue.cli.main", "drill", "--lie", lie, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]
    report = json.loads(done.stdout)
    assert report["right_root_is_final"]
    assert report["honest_claims_voided"] == 0
    assert report["liars_paid"]
    assert report["honest_made_whole"]
    disputes = SYBILS if lie == "sybils" else 1
    assert report["honest_transactions"] <= HONEST_MOVES_MAX * disputes
    assert report["honest_gas"] <= HONEST_GAS_MAX * disputes
    assert (report["honest_transactions"] == 0) == (lie == "garbage")


def test_a_drill_that_does_not_exist_is_named() -> None:
    command = [sys.executable, "-m", "provenue.cli.main", "drill", "--lie", "truth"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "lie: expected one of balance, liquidation" in done.stderr
