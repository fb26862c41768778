"""`provenue run` as its users start it: a short one on each local chain, and bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provenue.settlement.anvil import find_anvil

FIELDS = {
    "orders", "fills", "rejects", "batches", "final_batches", "root_mismatches", "deposits",
    "withdrawals_paid", "applied_deposits", "issued_withdrawals", "inbox_pending", "issued_unpaid",
    "vault_balance", "ledger_total", "insurance", "orders_per_second", "ack_p50_us", "ack_p99_us",
    "messages_per_batch", "gas_per_batch", "gas_per_message", "seconds_to_recover",
}  # fmt: skip
SECONDS = 8


def _provenue(*arguments: str, timeout_s: float = 180) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "provenue.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize("chain", ["anvil", "eth-tester"])
def test_a_short_run_trades_anchors_withdraws_and_balances(chain: str) -> None:
    if chain == "anvil" and find_anvil() is None:
        pytest.skip("anvil is neither on the path nor to be had from npm")
    began = time.monotonic()
    done = _provenue("run", "--seconds", str(SECONDS), "--json", "--chain", chain)
    took_s = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert set(summary) >= FIELDS
    assert summary["root_mismatches"] == 0
    assert summary["fills"] > 100
    assert summary["final_batches"] > 1
    assert summary["withdrawals_paid"] == 1
    assert summary["vault_balance"] == summary["ledger_total"]
    assert all(a["vault_balance"] == a["ledger_total"] for a in summary["assets"])
    assert summary["recovered_root_matches"]
    assert summary["deposits"] == 48
    # Set-up included: the exit alone may take 40 s.
    assert took_s < SECONDS + 40 + 60


@pytest.mark.e2e
def test_bad_input_is_told_before_anything_is_started(tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("id,timestamp,price,volume,action\n1,2,3,4,created\n")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(
        "id,timestamp,exchange.timestamp,price,volume,action,direction\n1,x,1,2,3,created,bid\n"
    )
    cases = [
        (("--seconds", "0"), "seconds: expected 1 to 86400"),
        (("--rate-percent", "0"), "rate-percent: expected 1 to 1000"),
        (("--replay", str(tmp_path / "none.csv")), "--replay: expected a file"),
        (("--replay", str(broken)), "columns missing: direction"),
        (("--replay", str(wrong)), "line 2: expected numbers"),
        (("--chain-rpc", "ftp://x"), "http"),
        (("--seconds", "many"), "seconds"),
    ]
    for arguments, expected in cases:
        done = _provenue("run", "--json", *arguments, timeout_s=60)
        assert done.returncode != 0, arguments
        assert expected in done.stderr + done.stdout, (arguments, done.stderr, done.stdout)
        assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.e2e
def test_dev_prints_one_line_of_json_and_ends_on_interrupt(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "provenue.cli.main", "dev", "--accounts", "2", "--data",
         str(tmp_path / "venue")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )  # fmt: skip
    try:
        assert child.stdout is not None
        ready = json.loads(child.stdout.readline())
        assert set(ready) == {"rpc_url", "api_url", "ws_url", "contracts", "accounts"}
        assert {"Vault", "Inbox", "Anchor"} <= set(ready["contracts"])
        assert len(ready["accounts"]) == 2
        assert {"address", "private_key"} == set(ready["accounts"][0])
        child.send_signal(2)
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
        assert out == ""
    finally:
        child.kill()
        child.wait()
