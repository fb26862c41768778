"""What tests/conftest.py promises: seeds are replayed, timing is undisturbed, leaks are found."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_INI = """[pytest]
markers =
    serial: alone
    chain: chain
    e2e: whole venue
asyncio_default_fixture_loop_scope = function
"""


def _pytest(folder: Path, text: str, *arguments: str, **environment: str) -> str:
    """Run a test file beside a copy of our conftest, and return what it printed."""
    (folder / "pytest.ini").write_text(_INI)
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "conftest.py")
    (folder / "test_sample.py").write_text(text)
    outside = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "PROVENUE_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:boa_test", *arguments],
        cwd=folder,
        env={**outside, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


_RANDOM = """
def test_random(rng):
    assert rng.random() < 0, "drew " + str(rng.getrandbits(64))
"""


def test_a_failed_random_test_prints_its_replay(tmp_path: Path) -> None:
    printed = _pytest(tmp_path, _RANDOM, PROVENUE_SEED="7")
    assert "PROVENUE_SEED=7 .venv/bin/python -m pytest 'test_sample.py::test_random'" in printed


def test_the_same_seed_draws_the_same_and_another_does_not(tmp_path: Path) -> None:
    drawn = [
        re.findall(r"AssertionError: drew (\d+)", _pytest(tmp_path, _RANDOM, PROVENUE_SEED=seed))
        for seed in ("7", "7", "8")
    ]
    assert drawn[0]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_fresh_seed_is_printed_in_the_header(tmp_path: Path) -> None:
    headers = {
        re.findall(r"PROVENUE_SEED=(\d+); replay", _pytest(tmp_path, "", PROVENUE_SEED="random"))[0]
        for _ in range(2)
    }
    assert len(headers) == 2


def test_a_bad_seed_is_refused_by_name(tmp_path: Path) -> None:
    printed = _pytest(tmp_path, _RANDOM, PROVENUE_SEED="seven")
    assert "PROVENUE_SEED: expected a whole number or `random`, was 'seven'" in printed


def test_absent_recorded_data_skips_with_a_message(tmp_path: Path) -> None:
    text = "def test_data(shared_data):\n    assert False\n"
    printed = _pytest(tmp_path, text, "-rs", PROVENUE_SHARED=str(tmp_path / "none"))
    assert "name one with PROVENUE_SHARED" in printed
    assert "1 skipped" in printed


_LEAK = """
import subprocess, pytest
from pathlib import Path

@pytest.mark.e2e
def test_leaves_a_process_behind():
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    Path("process").write_text(str(process.pid))

@pytest.mark.e2e
def test_ends_its_process():
    process = subprocess.Popen(["sleep", "600"])
    process.terminate()
    process.wait()
"""


def test_a_process_that_outlives_its_test_is_told_and_ended(tmp_path: Path) -> None:
    printed = _pytest(tmp_path, _LEAK)
    assert "processes: expected none to outlive the test" in printed
    assert "ERROR test_sample.py::test_leaves_a_process_behind" in printed
    assert "2 passed, 1 error" in printed
    process = Path("/proc") / (tmp_path / "process").read_text()
    # Ended: gone, or a zombie that its parent, which is gone too, did not collect.
    assert not process.exists() or "sleep" not in (process / "cmdline").read_text()


_SERIAL = """
import time, pytest
from pathlib import Path

def _work(name):
    begin = time.monotonic()
    time.sleep(0.1)
    with Path("log").open("a") as log:
        log.write(f"{name} {begin} {time.monotonic()}\\n")

@pytest.mark.parametrize("i", range(8))
def test_other(i):
    _work("other")

@pytest.mark.serial
@pytest.mark.parametrize("i", range(3))
def test_alone(i):
    _work("alone")
"""


def test_nothing_runs_beside_a_serial_test(tmp_path: Path) -> None:
    printed = _pytest(tmp_path, _SERIAL, "-n", "2", "--dist", "loadgroup")
    assert "11 passed" in printed
    rows = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    spans = [(name, float(begin), float(end)) for name, begin, end in rows]
    overlaps = [
        (first, second)
        for index, first in enumerate(spans)
        for second in spans[index + 1 :]
        if first[1] < second[2] and second[1] < first[2]
    ]
    assert not [pair for pair in overlaps if "alone" in (pair[0][0], pair[1][0])]
    assert overlaps, "expected the other tests to run side by side"
