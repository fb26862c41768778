"""The C++ tests, one case per *_test.cpp, with ASan and UBSan where the compiler has them."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.bootstrap import compiler_settings

# The first build compiles everything; without a compiler, zig's C++ library as well.
pytestmark = [pytest.mark.xdist_group("cpp"), pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "cpp-tests"
SOURCES = sorted(
    path.relative_to(ROOT)
    for folder in ("core", "machine")
    for path in (ROOT / folder).rglob("*_test.cpp")
)


def _tool(name: str) -> str:
    """The cmake or ninja of this environment, else of the machine."""
    own = Path(sys.executable).parent / name
    found = str(own) if own.exists() else shutil.which(name)
    assert found, f"{name}: expected it beside {sys.executable} or on the path; run `make test`"
    return found


def _run(*command: str, timeout_s: int = 800) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **compiler_settings()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=timeout_s,
    )


@pytest.fixture(scope="module")
def configured() -> Path:
    """The build folder, configured; a change of compiler starts it afresh."""
    BUILD.parent.mkdir(exist_ok=True)
    with (BUILD.parent / "cpp-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        settings = compiler_settings()
        compiler = BUILD / "compiler.txt"
        if BUILD.exists() and (not compiler.exists() or compiler.read_text() != str(settings)):
            shutil.rmtree(BUILD)
        arguments = settings.get("CMAKE_ARGS", "").split()
        done = _run(
            _tool("cmake"), "-S", ".", "-B", str(BUILD), "-G", "Ninja",
            f"-DCMAKE_MAKE_PROGRAM={_tool('ninja')}", "-DPROVENUE_SANITIZE=ON", *arguments,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        compiler.write_text(str(settings))
        # All at once is quicker than one by one; what fails here fails below, by name.
        _run(_tool("ninja"), "-C", str(BUILD), "-j", "2", "-k", "0")
    return BUILD


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_cpp_executable_builds_and_returns_zero(source: Path, configured: Path) -> None:
    name = str(source.with_suffix("")).replace("/", "_")
    built = _run(_tool("ninja"), "-C", str(configured), "-j", "2", name)
    assert built.returncode == 0, built.stdout
    done = _run(str(configured / "tests" / name))
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}"


def test_sanitizers_are_on(configured: Path) -> None:
    found = (configured / "sanitizers.txt").read_text().strip()
    if found != "address,undefined":
        pytest.skip(f"this compiler has no ASan and UBSan: the C++ tests ran with {found}")
    done = _run(_tool("ninja"), "-C", str(configured), "-t", "commands")
    compiles = [line for line in done.stdout.splitlines() if "-fsanitize=address,undefined" in line]
    missing = [str(name) for name in SOURCES if not any(f"{name}.o" in line for line in compiles)]
    assert missing == []
