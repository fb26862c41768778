"""Files that hold either what they held before or all of the new content, also after a crash; and
the folders they are in.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["held_folder", "make_folder", "write_durably"]

_LOCK = "in-use"


def make_folder(field: str, path: Path) -> None:
    """Make a folder that an option names, if it is new; OSError that names the option."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OSError(
            f"{field}: expected a folder, or a place where one can be made, was {path} "
            f"({problem.strerror})"
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise OSError(f"{field}: expected a folder that can be written to, was {path}")


@contextlib.contextmanager
def held_folder(field: str, path: Path) -> Iterator[None]:
    """A folder that only this process works in, until the end of the context; else OSError.

    The lock is the kernel's, so a process that was killed leaves none behind.
    """
    make_folder(field, path)
    with (path / _LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OSError(
                f"{field}: expected a folder that no other process works in, {path} is in use"
            ) from None
        yield


def write_durably(path: Path, data: bytes) -> None:
    """Replace the content of `path`; it is on the disk when this returns."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
