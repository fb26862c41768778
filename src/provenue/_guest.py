"""Where the guest ELFs are found. Private to us; `provenue.engine.guest_elf` is the way in.

In order: the folder that PROVENUE_GUEST_DIR names; `provenue/guest/` of the installed package; in
a checkout `build/guest/`, where tools/build_guest.py builds what is missing or older than its
sources.
"""

import functools
import hashlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from provenue._generated.layout import IMAGE_BYTES

__all__ = ["GuestMissingError", "build_guest", "committed_hash", "guest_elf", "guest_hash"]

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent
_BUILDER = _CHECKOUT / "tools" / "build_guest.py"


class GuestMissingError(RuntimeError):
    """There is no guest ELF and no way to build one; the message says what to do."""


def _check_preset(preset: str) -> None:
    if preset not in IMAGE_BYTES:
        raise ValueError(f"preset: expected one of {', '.join(IMAGE_BYTES)}, was {preset!r}")


def build_guest(preset: str) -> Path:
    """Build the ELF of a preset in the checkout; quick when it is fresh already."""
    _check_preset(preset)
    if not _BUILDER.exists():
        raise GuestMissingError(
            "guest: expected a checkout with tools/build_guest.py, or PROVENUE_GUEST_DIR to name a "
            f"folder with provenue-{preset}.elf"
        )
    done = subprocess.run(
        [sys.executable, str(_BUILDER), "--preset", preset, "--quiet"],
        cwd=_CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise GuestMissingError(done.stderr.strip() or f"guest {preset}: does not build")
    return _CHECKOUT / "build" / "guest" / f"provenue-{preset}.elf"


def guest_elf(preset: str) -> bytes:
    """The program as a RV64IM ELF."""
    _check_preset(preset)
    name = f"provenue-{preset}.elf"
    folder = os.environ.get("PROVENUE_GUEST_DIR")
    if folder:
        path = Path(folder) / name
        if not path.is_file():
            raise GuestMissingError(f"PROVENUE_GUEST_DIR: expected {name} in {folder}, found none")
        return path.read_bytes()
    packaged = _PACKAGE / "guest" / name
    return packaged.read_bytes() if packaged.is_file() else _built_elf(preset)


@functools.cache
def _built_elf(preset: str) -> bytes:
    """Built once in a process: asking whether it is fresh takes a good part of a second."""
    return build_guest(preset).read_bytes()


def guest_hash(preset: str) -> str:
    """SHA-256 of the ELF, hexadecimal."""
    return hashlib.sha256(guest_elf(preset)).hexdigest()


def committed_hash(preset: str) -> str | None:
    """The hash that the checkout commits for a preset; None outside a checkout."""
    path = _CHECKOUT / "core" / "guest" / "hashes.toml"
    if not path.is_file():
        return None
    hashes = tomllib.loads(path.read_text(encoding="utf-8"))["sha256"]
    return str(hashes[preset]) if preset in hashes else None
