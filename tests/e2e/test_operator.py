"""`provenue operator` at start: what it reads of the chain before it takes a message."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
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
        config = dev_config(signers, delays=delays)
        deployed = deploy_all(chain.rpc, Account(self._key), config, operator=owner_address)
        deployed.save(folder / "deployment.json")

    def start(self, *options: str, rpc_url: str | None = None) -> subprocess.Popen[str]:
        command = [
            sys.executable, "-m", "provenue.cli.main", "operator",
            "--data", str(self.folder / "data"),
            "--deployment", str(self.folder / "deployment.json"),
            "--rpc-url", rpc_url or self.chain.url,
            "--preset", "minimal", "--inbox-block", "latest",
            "--key", self._key, *options,
        ]  # fmt: skip
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip

    def refused(self, *options: str, rpc_url: str | None = None) -> str:
        process = self.start(*options, rpc_url=rpc_url)
        out, error = process.communicate(timeout=60)
        assert process.returncode == 1, (out, error)
        assert out == ""
        return error


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
