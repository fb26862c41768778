"""Check the files of the tree: length, width, absolute paths, registry hosts, size, floats in core.

Rules that matter are here and not in a reader's memory. A file over 500 lines is a warning, over
700 an error; generated files are free of both, and of the line width.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Finding", "check", "main"]

ROOT = Path(__file__).resolve().parent.parent
LINES_WARN = 500
LINES_MAX = 700
COLUMNS_MAX = 100
BYTES_MAX = 1_000_000

_CPP = {".cpp", ".hpp", ".h", ".inc"}
_SOURCE = {".py", ".pyi", ".S", ".vy", ".ts", ".tsx", ".css", ".cmake", *_CPP}
_SOURCE_NAMES = {"Makefile", "CMakeLists.txt", "bootstrap", "run"}
_GENERATED = re.compile(r"generated (by|from)", re.IGNORECASE)

_HOME = re.compile(r"(?<![\w.~-])/(?:(?:home|Users)/[a-z]|root\b)")
_REGISTRY = re.compile(
    r"(?:pypi|pythonhosted|npmjs|yarnpkg|debian|anaconda)\.(?:org|com)\b"
    r"|https?://[^\s\"]*/(?:simple|npm|tarball)/"
)
_UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
_CPP_NOISE = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])'", re.DOTALL
)
_FLOAT = re.compile(
    r"\b(?:float|double)\b|(?<![\w.'])[0-9][0-9']*\.[0-9]|\b[0-9]+[eE][+-]?[0-9]+\b"
)


@dataclass(frozen=True)
class Finding:
    """One broken rule at one place."""

    path: Path
    line: int
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        kind = "" if self.fatal else "warning: "
        return f"{self.path}:{self.line}: {kind}{self.message}"


def _files(root: Path) -> list[Path]:
    """What is or could be committed; every file where there is no git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    top = subprocess.run(
        ["git", "rev-parse", "--show-toplevel"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 0 and Path(top.stdout.strip()) == root.resolve():
        names = {Path(name) for name in done.stdout.split("\0") if name}
    else:
        names = {path.relative_to(root) for path in root.rglob("*")}
    return sorted(name for name in names if (root / name).is_file())


def _workplace(root: Path) -> re.Pattern[str] | None:
    """Absolute paths of this checkout or this person's home, whatever they are here."""
    folders = {root.resolve().parent, Path.home()} - {Path("/")}
    temporary = Path(tempfile.gettempdir()).resolve()
    folders = {f for f in folders if f != temporary and temporary not in f.parents}
    if not folders:
        return None
    choices = "|".join(re.escape(str(folder)) for folder in sorted(folders))
    return re.compile(rf"(?<![\w.~/-])(?:{choices})(?:/|\b(?![\w.-]))")


def _by_line(path: Path, text: str, pattern: re.Pattern[str], message: str) -> Iterator[Finding]:
    for match in pattern.finditer(text):
        yield Finding(path, text.count("\n", 0, match.start()) + 1, f"{message}: {match[0]!r}")


def _check_shape(path: Path, text: str) -> Iterator[Finding]:
    """Length and width of hand-written source."""
    if path.suffix not in _SOURCE and path.name not in _SOURCE_NAMES:
        return
    lines = text.splitlines()
    if any(_GENERATED.search(line) for line in lines[:4]):
        return
    if len(lines) > LINES_WARN:
        yield Finding(
            path, len(lines), f"expected at most {LINES_WARN} lines, was {len(lines)}",
            fatal=len(lines) > LINES_MAX,
        )  # fmt: skip
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield Finding(path, number, f"expected {COLUMNS_MAX} columns, was {len(line)}")


def _without_comments(text: str) -> str:
    """C++ text with comments and literals blanked, line numbers kept."""
    return _CPP_NOISE.sub(lambda match: "\n" * match[0].count("\n") or " ", text)


def _check_file(root: Path, path: Path, workplace: re.Pattern[str] | None) -> Iterator[Finding]:
    data = (root / path).read_bytes()
    if len(data) > BYTES_MAX:
        yield Finding(path, 0, f"expected at most {BYTES_MAX} bytes, was {len(data)}")
        return
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    yield from _check_shape(path, text)
    yield from _by_line(path, text, _HOME, "expected no path of a home folder")
    if workplace:
        yield from _by_line(path, text, workplace, "expected no path of this machine")
    yield from _by_line(path, text, _REGISTRY, "expected no package registry host")
    yield from _by_line(path, text, _UNFINISHED, "expected finished work")
    if path.parts[0] == "core" and path.suffix in _CPP:
        plain = _without_comments(text)
        yield from _by_line(path, plain, _FLOAT, "expected integers only (P2)")


def check(root: Path = ROOT) -> list[Finding]:
    """Every broken rule in the tree, warnings included."""
    workplace = _workplace(root)
    return [found for path in _files(root) for found in _check_file(root, path, workplace)]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the return value is the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", nargs="?", type=Path, default=ROOT)
    findings = check(parser.parse_args(arguments).root)
    for finding in findings:
        print(finding)
    errors = sum(finding.fatal for finding in findings)
    print(f"tree: {errors} errors, {len(findings) - errors} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
