"""Where the anvil binary is: named by the user, on the path, in our cache, or installable from
npm.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from provenue.settlement.cache import cache_dir
from provenue.settlement.rpc import ChainError

__all__ = ["ANVIL_VERSION", "AnvilUnavailableError", "find_anvil"]

ANVIL_VERSION = "1.7.1"
_INSTALL_TIMEOUT_S = 120
# npm package and SHA-256 of the binary in it, by platform. A platform without a checked hash is not
# installed for: anvil on the path or PROVENUE_ANVIL still serves it, else the pip-only chain.
_PACKAGES = {
    ("linux", "x86_64"): (
        "@foundry-rs/anvil-linux-amd64",
        "10c1c727d6c1de973aeb160e59875b9a9a23464d6e74149ee8abb30b3500311b",
    ),
}


class AnvilUnavailableError(ChainError):
    """There is no anvil, and why."""


def find_anvil() -> Path:
    """The binary, installed from npm when need be; AnvilUnavailableError says why there is none."""
    configured = os.environ.get("PROVENUE_ANVIL")
    if configured:
        path = Path(configured)
        if not os.access(path, os.X_OK) or path.is_dir():
            raise AnvilUnavailableError(f"PROVENUE_ANVIL: expected a program, got {configured!r}")
        return path
    found = shutil.which("anvil")
    return Path(found) if found else _installed()


@functools.cache
def _attempt() -> tuple[Path | None, str]:
    """Installing is tried once per process: without a network it takes its time to fail."""
    package, wanted = _PACKAGES.get((sys.platform, platform.machine()), ("", ""))
    if not package:
        return None, f"no npm package is pinned for {sys.platform} {platform.machine()}"
    target = cache_dir("anvil") / f"anvil-{ANVIL_VERSION}-{wanted[:16]}"
    if target.is_file() and _sha256(target) == wanted:
        return target, ""
    npm = shutil.which("npm")
    if npm is None:
        return None, "neither anvil nor npm is on the path"
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        try:
            binary = _fetch(npm, package, Path(scratch))
        except (OSError, subprocess.SubprocessError, tarfile.TarError, KeyError) as error:
            said = getattr(error, "stderr", None) or str(error)
            return None, f"npm could not fetch {package}@{ANVIL_VERSION}: {_last_line(said)}"
        actual = _sha256(binary)
        if actual != wanted:
            return None, f"{package}@{ANVIL_VERSION}: expected SHA-256 {wanted}, got {actual}"
        binary.chmod(0o755)
        binary.replace(target)
    return target, ""


def _installed() -> Path:
    path, reason = _attempt()
    if path is None:
        raise AnvilUnavailableError(reason)
    return path


def _fetch(npm: str, package: str, scratch: Path) -> Path:
    """The binary out of the package; nothing of the package is run."""
    subprocess.run(
        [npm, "pack", "--silent", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=30000",
         "--cache", str(scratch / "npm"), f"{package}@{ANVIL_VERSION}"],
        cwd=scratch, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (archive,) = scratch.glob("*.tgz")
    binary = scratch / "anvil"
    with tarfile.open(archive) as tar:
        member = tar.extractfile("package/bin/anvil")
        if member is None:
            raise KeyError("package/bin/anvil")
        with binary.open("wb") as file:
            shutil.copyfileobj(member, file)
    return binary


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
