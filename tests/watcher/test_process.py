"""`provenue watch` as a process: killed at any point, asked what it is, given another program."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.e2e.bench import Bench
from tests.watcher.conftest import PRESET
from tests.watcher.liar import Lie
from tests.watcher.table import (
    OPERATOR,
    PROVENUE,
    WATCHER,
    Seat,
    is_final,
    key_of,
    open_venue,
    post_batch,
    seat_of,
)

from provenue.watcher.ledger import Ledger

pytestmark = [pytest.mark.chain, pytest.mark.e2e]


@contextmanager
def _watching(bench: Bench, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`provenue watch` with an account of its own; killed at the end if it still runs."""
    command = [*PROVENUE, "watch", "--rpc-url", bench.chain.url, "--anchor",
               bench.deployment.contracts["Anchor"], "--data", str(folder), "--key", "env:KEY",
               "--block", "latest", "--poll-ms", "30", *options]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "KEY": key_of(WATCHER)},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@pytest.mark.slow
def test_killed_at_many_points_of_a_dispute_it_goes_on_and_wins(
    each_bench: Bench, tmp_path: Path, rng: random.Random
) -> None:
    bench = each_bench
    open_venue(bench)
    bench.trade(2)
    lie = Lie(batch=1, message=2, step=700)
    post_batch(bench, lie, tmp_path / "teller")
    liar = seat_of(bench, tmp_path / "liar", OPERATOR, lie)
    folder = tmp_path / "watched"
    points = sorted(rng.sample(range(1, 12), 4))
    deadline = time.monotonic() + 150
    final = is_final(bench, 1)
    while not final() and time.monotonic() < deadline:
        point = points.pop(0) if points else 99

        def killed_now(point: int = point) -> bool:
            return final() or _moves(folder) >= point

        with _watching(bench, folder) as process:
            _play_beside(bench, liar, process, killed_now)
    assert final(), "it did not win in time"
    assert not points, "it was not killed often enough"
    assert [claim.status for claim in bench.anchor.claims(1)] == ["void", "final"]


def _moves(folder: Path) -> int:
    return len(Ledger(folder).made) if folder.exists() else 0


def _play_beside(
    bench: Bench, liar: Seat, process: subprocess.Popen[str], done: Callable[[], bool]
) -> None:
    """The liar plays while the watcher runs; when neither moves for a while, time passes."""
    assert process.stdout is not None
    assert process.stdout.readline(), "it did not begin"
    quiet_since, height = time.monotonic(), bench.chain.rpc.block_number()
    while not done():
        assert process.poll() is None, process.stderr and process.stderr.read()
        liar.step()
        newest = bench.chain.rpc.block_number()
        if newest != height:
            quiet_since, height = time.monotonic(), newest
        elif time.monotonic() - quiet_since > 3:
            bench.chain.increase_time(400)
        time.sleep(0.05)


def test_it_says_what_it_is_and_what_it_did_and_serves_its_figures(
    bench: Bench, tmp_path: Path
) -> None:
    open_venue(bench)
    with _watching(bench, tmp_path / "watched") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["anchor"] == bench.deployment.contracts["Anchor"]
        assert ready["game"] == bench.deployment.contracts["DisputeGame"]
        assert (ready["preset"], ready["guest_sha256"]) == (PRESET, bench.deployment.guest_sha256)
        deadline = time.monotonic() + 20
        text = ""
        while "provenue_watcher_batches_executed 1.0" not in text and time.monotonic() < deadline:
            with urllib.request.urlopen(ready["metrics_url"], timeout=5) as answer:
                text = answer.read().decode()
            time.sleep(0.05)
        assert "provenue_watcher_batches_executed 1.0" in text
        assert "provenue_watcher_wrong_claims 0.0" in text
        process.send_signal(signal.SIGINT)
        summary = json.loads(process.stdout.readline())
        assert process.wait(20) == 0
        assert summary == {
            "batches": 1, "final_batches": 0, "wrong_claims": [], "wrong_final": [],
            "disputes": [], "refused_moves": 0,
        }  # fmt: skip


def test_another_program_than_the_chains_stops_it(bench: Bench, tmp_path: Path) -> None:
    with _watching(bench, tmp_path / "watched", "--preset", "dev") as process:
        assert process.wait(60) == 1
        assert process.stderr is not None
        said = process.stderr.read()
    assert "guest: the chain's game referees program root" in said
    assert "ours is dev: program root" in said
