"""What all tests share: seeds and their replay, recorded data, order of timing, leaked processes.

PROVENUE_SEED=N    the seed of every random test; a number, or `random` for a fresh one
PROVENUE_SHARED=D  folder with recorded data; default: `shared` beside the checkout
"""

import fcntl
import os
import random
import secrets
import signal
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_SEED = 20_251_122
_LEAK_MARK = "PROVENUE_TEST_CASE"
_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


# --- seeds ---------------------------------------------------------------------------------------


def _seed() -> int:
    text = os.environ.get("PROVENUE_SEED", str(DEFAULT_SEED))
    try:
        return int(text, 0)
    except ValueError:
        raise pytest.UsageError(
            f"PROVENUE_SEED: expected a whole number or `random`, was {text!r}"
        ) from None


def pytest_configure(config: pytest.Config) -> None:
    # Said once in the controlling process, so that the workers of xdist inherit the same seed.
    fresh = os.environ.get("PROVENUE_SEED") == "random"
    if fresh:
        os.environ["PROVENUE_SEED"] = str(secrets.randbits(48))
    hypothesis.settings.register_profile(
        "provenue",
        derandomize=os.environ.get("PROVENUE_SEED") is None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("provenue")
    _seed()
    config.addinivalue_line("markers", "seed(n): replaces PROVENUE_SEED for one test")


def pytest_report_header() -> str:
    return f"provenue: PROVENUE_SEED={_seed()}; replay: PROVENUE_SEED={_seed()} make test"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test: PROVENUE_SEED, unless the test fixes its own."""
    mark = request.node.get_closest_marker("seed")
    return int(mark.args[0]) if mark else _seed()


@pytest.fixture
def rng(request: pytest.FixtureRequest, seed: int) -> random.Random:
    """Randomness of this test alone, the same in any order and on any worker."""
    return random.Random(f"{seed}:{request.node.nodeid.split('@')[0]}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, None, None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    names = getattr(item, "fixturenames", ())
    if report.failed and ("seed" in names or "rng" in names):
        command = f"PROVENUE_SEED={_seed()} .venv/bin/python -m pytest '{item.nodeid}'"
        report.sections.append(("replay", command))


# --- recorded data -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with recorded data; the test is skipped where it is absent."""
    folder = Path(os.environ.get("PROVENUE_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"recorded data: no folder {folder}; name one with PROVENUE_SHARED")
    return folder


# --- order ---------------------------------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("serial"):
            item.add_marker(pytest.mark.xdist_group("serial"))


@contextmanager
def _turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Readers and one writer over the workers: a `serial` test runs while no other test does.

    The gate is held while waiting, so that a stream of other tests cannot starve a serial one.
    """
    with (folder / "gate.lock").open("w") as gate, (folder / "turn.lock").open("w") as turn:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(turn, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, None, None]:
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        yield
        return
    folder = Path(tempfile.gettempdir()) / f"provenue-tests-{run}"
    folder.mkdir(exist_ok=True)
    with _turn(folder, alone=item.get_closest_marker("serial") is not None):
        yield


# --- processes -----------------------------------------------------------------------------------


def _processes_with(mark: str) -> dict[int, str]:
    """Command lines of the live processes that carry a mark in their environment, by process id.

    The environment is inherited, so this also finds what was detached or re-parented.
    """
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) == os.getpid() or mark.encode() not in _environment(folder):
                continue
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue  # ended meanwhile, or not ours
        if command and not any(helper in command for helper in _HELPERS):
            found[int(folder.name)] = command
    return found


def _environment(process: Path) -> list[bytes]:
    return (process / "environ").read_bytes().split(b"\0")


def _settled(mark: str, seconds: float = 3.0) -> dict[int, str]:
    """What is still alive after a moment for the ordinary end of processes."""
    end = time.monotonic() + seconds
    while (left := _processes_with(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    return left


@pytest.fixture(autouse=True)
def no_process_is_left_behind(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A test that starts processes (`chain`, `e2e`) fails when one outlives it, and ends it."""
    if not any(request.node.get_closest_marker(name) for name in ("chain", "e2e")):
        yield
        return
    value = secrets.token_hex(8)
    monkeypatch.setenv(_LEAK_MARK, value)
    yield
    left = _settled(f"{_LEAK_MARK}={value}")
    for process in left:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert not left, f"processes: expected none to outlive the test, were {left}"
