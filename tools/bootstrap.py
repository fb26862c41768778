"""Set up .venv for this checkout: packages, then the extension module. Standard library only.

Run by `make` before each target, so the common case (nothing to do) must take milliseconds. Each
step leaves a stamp in .venv/provenue-setup/ with the hash of its inputs and runs again when they
change. A lock keeps two `make` in one checkout from building at the same time.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "provenue-setup"
NATIVE_INPUTS = ("CMakeLists.txt", "cmake", "core", "keccak", "machine", "bindings")
NATIVE_SUFFIXES = {".cpp", ".hpp", ".h", ".inc", ".cmake", ".txt", ".toml", ".py"}


class SetupError(Exception):
    """Something the person at the keyboard has to change; the message says what."""


def say(message: str) -> None:
    print(f"setup: {message}", file=sys.stderr, flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None, doing: str) -> None:
    """Run a command; its output is shown only when it fails (or with PROVENUE_VERBOSE)."""
    started = time.monotonic()
    say(f"{doing} ...")
    quiet = not os.environ.get("PROVENUE_VERBOSE")
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        check=False,
        text=True,
        errors="replace",
    )
    if done.returncode:
        tail = "\n".join((done.stdout or "").splitlines()[-80:])
        raise SetupError(f"{doing}: failed with status {done.returncode}\n{tail}")
    say(f"{doing}: {time.monotonic() - started:.1f} s")


def stamp_matches(name: str, value: str) -> bool:
    path = STAMPS / name
    return path.exists() and path.read_text() == value


def set_stamp(name: str, value: str) -> None:
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / name).write_text(value)


@contextmanager
def lock() -> Iterator[None]:
    """One set-up at a time per checkout."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "setup.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def digest(parts: Iterable[str | bytes]) -> str:
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hasher.update(len(data).to_bytes(8, "little") + data)
    return hasher.hexdigest()


def make_venv() -> None:
    if PYTHON.exists():
        return
    try:
        run(sys.executable, "-m", "venv", VENV, doing=f"create .venv with {sys.version.split()[0]}")
    except SetupError as error:
        # Debian splits ensurepip off; a pip outside can still serve the new environment.
        shutil.rmtree(VENV, ignore_errors=True)
        run(sys.executable, "-m", "venv", "--without-pip", VENV, doing="create .venv without pip")
        try:
            run(sys.executable, "-m", "pip", "--python", PYTHON, "install", "pip",
                doing="install pip into .venv")  # fmt: skip
        except SetupError:
            shutil.rmtree(VENV, ignore_errors=True)
            raise SetupError(
                "python: expected the venv and ensurepip modules, was without; install them "
                f"(Debian: python3-venv), or another Python\n{error}"
            ) from None


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    table = project["project"]
    return [
        *project["build-system"]["requires"],
        *table["dependencies"],
        *table["optional-dependencies"]["dev"],
    ]


def install_packages() -> None:
    wanted = requirements()
    constraints = ROOT / "constraints.txt"
    stamp = digest([*wanted, constraints.read_bytes(), sys.version])
    if stamp_matches("packages", stamp):
        return
    run(
        PYTHON, "-m", "pip", "install", "--quiet", "-c", constraints, *wanted,
        doing=f"install {len(wanted)} packages (some minutes the first time)",
    )  # fmt: skip
    set_stamp("packages", stamp)


def compiler_settings() -> dict[str, str]:
    """What the environment of the build needs: nothing with a compiler, zig's toolchain without."""
    chosen = os.environ.get("CXX") or next(
        (name for name in ("c++", "g++", "clang++") if shutil.which(name)), None
    )
    if os.environ.get("PROVENUE_ZIG") != "1" and chosen and _compiles(chosen):
        return {"CXX": chosen}
    toolchain = ROOT / "cmake" / "zig-toolchain.cmake"
    arguments = f"{os.environ.get('CMAKE_ARGS', '')} -DCMAKE_TOOLCHAIN_FILE={toolchain}".strip()
    return {"CMAKE_ARGS": arguments, "PROVENUE_PYTHON": str(PYTHON)}


def _compiles(compiler: str) -> bool:
    """Whether this compiler knows C++20 with its standard headers."""
    source = "#include <bit>\n#include <span>\nstatic_assert(std::has_single_bit(4u));\n"
    try:
        done = subprocess.run(
            [*compiler.split(), "-std=c++20", "-fsyntax-only", "-x", "c++", "-"],
            input=source, text=True, capture_output=True, check=False,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0


def check_python_headers() -> None:
    script = "import sysconfig; print(sysconfig.get_path('include'))"
    done = subprocess.run([PYTHON, "-c", script], capture_output=True, text=True, check=True)
    if not (Path(done.stdout.strip()) / "Python.h").exists():
        raise SetupError(
            f"python: expected the header {done.stdout.strip()}/Python.h, was absent; install it "
            "(Debian: python3-dev), or another Python"
        )


def native_inputs() -> list[Path]:
    found = [ROOT / "pyproject.toml", ROOT / "src" / "provenue" / "__init__.py"]
    for name in NATIVE_INPUTS:
        path = ROOT / name
        found += [path] if path.is_file() else path.rglob("*")
    return sorted(path for path in found if path.is_file() and path.suffix in NATIVE_SUFFIXES)


def build_package() -> None:
    """Install the package editable: Python from the tree, the extension compiled incrementally."""
    settings = compiler_settings()
    files = [
        f"{path.relative_to(ROOT)} {path.stat().st_mtime_ns} {path.stat().st_size}"
        for path in native_inputs()
        if not path.name.endswith("_test.cpp") and "guest" not in path.parts
    ]
    stamp = digest([json.dumps(settings, sort_keys=True), sys.version, str(ROOT), *files])
    if stamp_matches("native", stamp) and (VENV / "bin" / "provenue").exists():
        return
    check_python_headers()
    _forget_other_compiler(settings)
    run(
        PYTHON, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps",
        "--editable", ROOT,
        env=settings,
        doing=f"build provenue with {settings.get('CXX', 'ziglang')}",
    )  # fmt: skip
    set_stamp("native", stamp)


def _forget_other_compiler(settings: dict[str, str]) -> None:
    """CMake cannot change the compiler of a build folder: start afresh when it has changed."""
    value = json.dumps(settings, sort_keys=True)
    if not stamp_matches("compiler", value):
        for folder in (ROOT / "build").glob("cp3*"):
            shutil.rmtree(folder)
        set_stamp("compiler", value)


def main() -> int:
    try:
        with lock():
            make_venv()
            install_packages()
            build_package()
    except SetupError as error:
        print(f"provenue: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
