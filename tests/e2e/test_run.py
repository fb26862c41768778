"""`provenue run` as its users start it: a short one on each local chain, and bad input."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from provenue.settlement.anvil import find_anvil
from provenue.settlement.local_chain import start_chain

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
@pytest.mark.chain
def test_a_node_that_does_not_fund_the_accounts_is_told_before_anything_is_deployed() -> None:
    with start_chain(kind="auto", account_count=3) as chain:
        before = chain.rpc.block_number()
        done = _provenue("dev", "--chain-rpc", chain.url, "--accounts", "2", timeout_s=60)
        assert done.returncode == 1
        assert "chain-rpc: expected a node where the 4 first accounts" in done.stderr
        assert chain.rpc.block_number() == before


class _Started:
    """A command in a group of its own, as a terminal starts it; its scratch folders are ours."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "provenue.cli.main", *arguments],
                stdout=out, stderr=err, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "TMPDIR": str(self.scratch)},
            )  # fmt: skip

    def said(self) -> str:
        return self._out.read_text() + self._err.read_text()

    def wait_for(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not happened():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def end(self, number: int, *, within_s: float) -> tuple[int, str]:
        """Signal the whole group, as a terminal does; (exit status, standard output)."""
        os.killpg(self.process.pid, number)
        try:
            status = self.process.wait(within_s)
        finally:
            self.process.kill()
            self.process.wait()
        assert "Traceback" not in self.said()
        assert not list(self.scratch.iterdir()), "nothing is left behind"
        return status, self._out.read_text()


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.serial
def test_ctrl_c_in_a_terminal_ends_the_trading_and_the_run_still_withdraws(tmp_path: Path) -> None:
    data = tmp_path / "data"
    run = _Started(
        tmp_path, "run", "--seconds", "600", "--json", "--chain", "eth-tester", "--data", str(data)
    )

    def traded() -> bool:
        database = data / "operator" / "read.sqlite"
        if not database.exists():
            return False
        with contextlib.closing(sqlite3.connect(database)) as db:
            return bool(db.execute("SELECT 1 FROM trades").fetchone())

    run.wait_for(traded)
    status, out = run.end(signal.SIGINT, within_s=60)
    assert status == 0, run.said()
    summary = json.loads(out)
    assert summary["withdrawals_paid"] == 1
    assert summary["recovered_root_matches"]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("command", "number", "status"),
    [
        (("run", "--seconds", "600"), signal.SIGTERM, 143),
        (("dev",), signal.SIGTERM, 143),
        (("dev",), signal.SIGINT, 130),
    ],
)
def test_a_venue_that_is_stopped_while_it_starts_leaves_nothing(
    tmp_path: Path, command: tuple[str, ...], number: int, status: int
) -> None:
    started = _Started(tmp_path, *command, "--chain", "eth-tester")
    # The chain's own folder is the first thing that it makes.
    started.wait_for(lambda: any(started.scratch.glob("provenue-chain-*")))
    assert started.end(number, within_s=90) == (status, "")


@pytest.mark.e2e
def test_output_that_nobody_reads_is_no_traceback() -> None:
    for unbuffered in ("", "1"):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as out:
            done = subprocess.run(
                [sys.executable, "-m", "provenue.cli.main", "--help"],
                stdout=out, stderr=subprocess.PIPE, text=True, check=False,
                env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            )  # fmt: skip
        assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
        with Path("/dev/full").open("wb") as out:
            done = subprocess.run(
                [sys.executable, "-m", "provenue.cli.main", "--help"],
                stdout=out, stderr=subprocess.PIPE, text=True, check=False,
                env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.startswith("provenue: standard output: cannot be written")


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
