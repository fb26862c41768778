"""Every drill as a user runs it: the liar pays, the honest are made whole, nobody right falls."""

import json
import subprocess
import sys

import pytest

from provenue import wire
from provenue.settlement.local_chain import start_chain
from provenue.watcher.drills import SCENARIOS
from provenue.watcher.drills.market import Market

pytestmark = [pytest.mark.chain, pytest.mark.e2e, pytest.mark.slow]

DRILL = [sys.executable, "-m", "provenue.cli.main", "drill"]
HONEST_MOVES_MAX = 20
HONEST_GAS_MAX = 3_000_000
SYBILS = 8


# All on the quickest chain there is; one on the other, so that neither is taken for granted.
@pytest.mark.parametrize(
    ("lie", "chain"), [*((lie, "auto") for lie in SCENARIOS), ("sybil", "eth-tester")]
)
def test_a_drill_ends_as_it_should(lie: str, chain: str) -> None:
    command = [*DRILL, "--lie", lie, "--chain", chain, "--json"]
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
    assert report["seconds_on_chain"] > 0
    players = {player["role"]: player for player in report["players"]}
    assert report["winner"] in players
    # Liars have paid with bonds that were there or came with the claim, the honest with none.
    for player in players.values():
        assert player["transactions"] == len(player["moves"])
        if player["honest"]:
            assert player["slashed_wei"] == 0
            assert player["bond_after_wei"] >= player["bond_before_wei"]
    operator, strangers = players["operator"], [p for p in players if "stranger" in p]
    if not operator["honest"]:
        assert operator["slashed_wei"] == operator["bond_before_wei"] - operator["bond_after_wei"]
        assert operator["slashed_wei"] >= 10**18
    elif strangers:
        assert all(players[role]["slashed_wei"] >= 10**18 for role in strangers)


def test_a_batch_that_is_cut_off_has_messages_that_are_not_there() -> None:
    """Else the drill would show nothing."""
    with start_chain("auto", account_count=5) as chain:
        market = Market(chain)
        market.opening()
        batch, step = market.truncated()
    messages = [*batch.inbox, *wire.decode_posted(batch.data)]
    assert len(messages) == batch.message_count
    assert messages[step.fill]
    assert messages[step.liquidation] == b""


def test_a_drill_that_does_not_exist_is_named() -> None:
    command = [*DRILL, "--lie", "truth"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "lie: expected one of balance, liquidation" in done.stderr
