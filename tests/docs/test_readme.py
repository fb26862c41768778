"""README.md run as printed: its commands, its Python, the shape of the output it shows.

Two things are exchanged, and nothing else: `make run` is called as what it calls, with 2 seconds in
place of 60, and `.venv/bin/provenue` is the one of this environment. `--data` is added to both: so
a failure can show the operator's log, and docs/operating.md's snippet use the deployment file.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.docs.markdown import ROOT, Block, blocks

from provenue.settlement.deploy_config import DEV_DELAYS
from provenue.settlement.dev_accounts import dev_accounts
from provenue.sim.summary import Summary

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROVENUE = [sys.executable, "-m", "provenue.cli.main"]
SECONDS = 2


def _block(beginning: str) -> str:
    (found,) = [block.text for block in blocks(README) if block.text.startswith(beginning)]
    return found


def _after(text: str) -> Block:
    """The block that follows another one: its output."""
    every = blocks(README)
    return every[[block.text for block in every].index(text) + 1]


def _printed_summary() -> dict[str, object]:
    (text,) = [block.text for block in blocks(README) if block.language == "json"]
    summary: dict[str, object] = json.loads(text)
    return summary


def _shape(text: str) -> str:
    """An output with its numbers made alike."""
    return re.sub(r"\d+(?:\.\d+)?", "N", text)


# --- what is printed -----------------------------------------------------------------------------


def test_the_printed_summary_is_a_whole_and_sound_one() -> None:
    summary = msgspec.convert(_printed_summary(), Summary)
    assert set(_printed_summary()) == set(Summary.__struct_fields__)
    assert summary.root_mismatches == 0
    assert summary.recovered_root_matches
    assert summary.withdrawals_paid > 0
    assert all(a.vault_balance == a.ledger_total for a in summary.assets)
    assert 59 < summary.seconds < 62


def test_make_does_what_the_readme_says() -> None:
    run, test = _block("make run").splitlines()
    for command, expected in ((run, ".venv/bin/provenue run --seconds 60 --json"),
                              (test, "-m pytest")):  # fmt: skip
        arguments = shlex.split(command)
        done = subprocess.run(
            [arguments[0], "-n", *arguments[1:]],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert expected in done.stdout


# --- what is run ---------------------------------------------------------------------------------


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(150)
def test_the_run_command_prints_such_a_summary(tmp_path: Path) -> None:
    command = _block("make run").splitlines()[0]
    arguments = shlex.split(dict(p.split("=", 1) for p in shlex.split(command)[2:])["ARGS"])
    arguments[arguments.index("--seconds") + 1] = str(SECONDS)
    done = subprocess.run(
        [*PROVENUE, "run", *arguments, "--data", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    log = tmp_path / "operator.log"
    assert done.returncode == 0, done.stderr + (log.read_text()[-4_000:] if log.exists() else "")
    summary = json.loads(done.stdout)
    assert list(summary) == list(_printed_summary())
    assert summary["vault_balance"] == summary["ledger_total"]


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the README's `provenue dev` runs."""
    folder = tmp_path_factory.mktemp("readme")
    program, target = _block(".venv/bin/provenue dev").strip().split(" > ")
    assert program == ".venv/bin/provenue dev"
    with (folder / target).open("w") as out, (folder / "errors").open("w") as errors:
        child = subprocess.Popen(
            [*PROVENUE, "dev", "--data", "venue"], cwd=folder, stdout=out, stderr=errors
        )
    try:
        deadline = time.monotonic() + 90
        while not (folder / target).read_text().endswith("\n"):
            assert child.poll() is None, (folder / "errors").read_text()
            assert time.monotonic() < deadline, "provenue dev is not ready after 90 s"
            time.sleep(0.1)
        yield folder
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 0, (folder / "errors").read_text()
    finally:
        child.kill()
        child.wait()


def _python(text: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.xdist_group("readme")
def test_the_trade_runs_as_printed(venue: Path) -> None:
    trade = _block("import json\n")
    assert len([line for line in trade.splitlines() if line.strip()]) <= 12
    assert _shape(_python(trade, venue)) == _shape(_after(trade).text)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.xdist_group("readme")
def test_the_curl_commands_answer(venue: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    script = _block("API=").replace("python3", shlex.quote(sys.executable))
    done = subprocess.run(
        ["sh", "-ec", script.replace('"\n', '"; echo\n').replace("}'\n", "}'; echo\n")],
        cwd=venue, capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert len(answers) == script.count("curl")
    assert all("result" in answer for answer in answers), answers


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.xdist_group("readme")
def test_the_bond_snippet_of_the_operating_guide_pays(venue: Path) -> None:
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    (snippet,) = [block.text for block in blocks(guide) if block.language == "python"]
    ready = json.loads((venue / "venue.json").read_text())
    owner, key = dev_accounts(1)[0]
    shown = snippet.replace("http://127.0.0.1:8545", ready["rpc_url"])
    shown = shown.replace('"deployment.json"', '"venue/deployment.json"')
    shown += "\nprint(AnchorClient(Deployment.load(Path('venue/deployment.json')), rpc)"
    shown += f".bond_wei({owner!r}))\n"
    bond_wei = int(_python(shown, venue, PROVENUE_OPERATOR_KEY=key))
    paid_wei = DEV_DELAYS.operator_bond_wei + 10 * 10**18
    assert bond_wei == paid_wei, "the deployment's own bond, and this one"
