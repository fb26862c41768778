"""`provenue operator` at start: what it reads of the chain before it takes a message."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from provenue.settlement.deploy import deploy_all
from provenue.settlement.deploy_config import DEV_DELAYS, Delays, dev_config
from provenue.settlement.dev_accounts import dev_accounts
from provenue.settlement.local_chain import LocalChain, start_chain
from provenue.settlement.tx import Account

pytestmark = [pytest.mark.chain, pytest.mark.e2e]


class Site:
    """A deployment whose window is an hour, and commands for its operator."""

    def __init__(self, chain: LocalChain, folder: Path) -> None:
        owner_address, self._key = dev_accounts(1)[0]
        self.chain, self.folder = chain, folder
        delays: Delays = msgspec.structs.replace(
            DEV_DELAYS, challenge_window_s=3_600, admin_delay_s=20_000
        )
        signers = ["0x" + f"{n:02x}" * 20 for n in (1, 2)]
        config = dev_config(signers, delays=delays, preset="minimal")
        deployed = deploy_all(chain.rpc, Account(self._key), config, operator=owner_address)
        deployed.save(folder / "deployment.json")

    def start(
        self,
        *options: str,
        rpc_url: str | None = None,
        data: str = "data",
        preset: str = "minimal",
        deployment: str = "deployment.json",
    ) -> subprocess.Popen[str]:
        command = [
            sys.executable, "-m", "provenue.cli.main", "operator",
            "--data", str(self.folder / data),
            "--deployment", str(self.folder / deployment),
            "--rpc-url", rpc_url or self.chain.url,
            "--preset", preset, "--inbox-block", "latest",
            "--key", self._key, *options,
        ]  # fmt: skip
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            text=True, start_new_session=True,
        )  # fmt: skip

    def refused(self, *options: str, rpc_url: str | None = None, **named: str) -> str:
        process = self.start(*options, rpc_url=rpc_url, **named)
        out, error = process.communicate(timeout=60)
        assert process.returncode == 1, (out, error)
        assert out == ""
        assert "Traceback" not in error
        return error

    def changed(self, **fields: object) -> str:
        """The name of a deployment file that differs from the right one."""
        known = json.loads((self.folder / "deployment.json").read_text())
        (self.folder / "changed.json").write_text(json.dumps(known | fields))
        return "changed.json"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with start_chain(kind="auto", account_count=1) as chain:
        yield Site(chain, tmp_path_factory.mktemp("site"))


def test_batches_faster_than_the_pipeline_carries_are_refused(site: Site) -> None:
    error = site.refused("--batch-age-ms", "2000")
    assert "batch-age-ms: expected at least 75000, was 2000" in error
    assert "--unpaced" in error
    assert "expected 0 (automatic) or at least 50" in site.refused("--batch-age-ms", "49")


def test_a_node_that_is_away_is_told_before_anything_is_served(site: Site) -> None:
    assert "provenue operator:" in site.refused(rpc_url="http://127.0.0.1:9")


def test_a_deployment_that_is_not_of_this_chain_or_program_is_refused(site: Site) -> None:
    known = json.loads((site.folder / "deployment.json").read_text())["contracts"]
    error = site.refused(deployment=site.changed(chain_id=5))
    assert "chain_id: expected 31337" in error
    error = site.refused(deployment=site.changed(contracts=known | {"Anchor": known["Vault"]}))
    assert f"config of {known['Vault']}, if that is the right contract: reverted" in error
    assert "preset: expected minimal" in site.refused(preset="dev")


def test_a_second_operator_on_the_same_journal_is_refused(site: Site) -> None:
    process = site.start("--no-anchor", data="shared")
    try:
        assert process.stdout is not None
        process.stdout.readline()
        error = site.refused("--no-anchor", data="shared")
        assert "data: expected a folder that no other process works in" in error
    finally:
        process.send_signal(signal.SIGKILL)  # which leaves no lock behind
        process.communicate(timeout=60)
    process = site.start("--no-anchor", data="shared")
    try:
        assert process.stdout is not None
        assert "api_url" in json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_options_that_cannot_be_are_named(site: Site) -> None:
    (site.folder / "file").write_text("")
    assert "data: expected a folder" in site.refused(data="file")
    for value in ("nan", "-1", "0"):
        error = site.refused("--finalize-every-s", value)
        assert "finalize-every-s: expected a number of seconds above 0" in error
    assert "port: expected 0 to 65535, was 65536" in site.refused("--port", "65536")
    taken = site.chain.url.rpartition(":")[2]
    assert f"port: expected a free one, was {taken}" in site.refused("--port", taken)
    assert "host: expected" in site.refused("--host", "nowhere.invalid")


@pytest.mark.parametrize("options", [(), ("--batch-age-ms", "2000", "--unpaced")])
def test_the_inbox_is_in_the_first_batch_and_the_status_shows_the_backlog(
    site: Site, options: tuple[str, ...]
) -> None:
    process = site.start("--no-anchor", *options)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with urllib.request.urlopen(ready["api_url"] + "/public/status", timeout=10) as answer:
            status = json.load(answer)["result"]
        # Every item of the deployment, though nothing was asked of the venue yet.
        assert status["inbox_consumed"] == 6
        assert status["unfinal_batches"] == 0
        assert status["backlog_batches"] == status["open_batch"]
    finally:
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error


def test_another_journal_than_the_anchored_one_is_refused_before_anything_is_acknowledged(
    site: Site,
) -> None:
    process = site.start("--batch-age-ms", "100", "--unpaced", data="anchored")
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["api_url"] + "/public/status"
        deadline = time.monotonic() + 60
        anchored = None
        while anchored is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
            with urllib.request.urlopen(url, timeout=10) as answer:
                anchored = json.load(answer)["result"]["anchored_batch"]
    finally:
        os.killpg(
            process.pid, signal.SIGINT
        )  # as a terminal does; the worker finishes all the same
        _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert "data: expected the journal of this venue" in site.refused(data="fresh")


def test_read_models_that_are_damaged_are_named_and_need_not_be_kept(site: Site) -> None:
    process = site.start("--no-anchor", data="rebuilt")
    try:
        assert process.stdout is not None
        process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    for name in ("read.sqlite", "anchor.sqlite"):
        path = site.folder / "rebuilt" / name
        path.write_bytes(b"nonsense" * 100)
        for beside in path.parent.glob(name + "-*"):
            beside.unlink()
        error = site.refused("--no-anchor", data="rebuilt")
        assert f"{path}: expected" in error
        assert "remove it" in error
        path.unlink()
    process = site.start("--no-anchor", data="rebuilt")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert "api_url" in line, error
