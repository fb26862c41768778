"""Build the program as RV64IM ELFs, one per preset, with the pinned `ziglang` package.

The same sources give the same bytes in any directory: debug information is off, symbols are
stripped, paths are relative, and the compiler is pinned to an exact version. The hashes of the ELFs
are committed in core/guest/hashes.toml; `--check` compares, `--update` rewrites. The program root
on the chain derives from the same bytes.

Every build is checked before it counts: RV64I and M instructions only, no undefined symbol (so no
soft-float, P2), two segments, W^X.
"""

import argparse
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.guest_elf import ElfError, check_elf

__all__ = ["BuildError", "Guest", "build", "guest_sources", "main", "presets"]

ROOT = Path(__file__).resolve().parent.parent
ZIGLANG_VERSION = "0.17.1"
STACK_BYTES = 256 * 1024
HASHES = Path("core/guest/hashes.toml")

_TARGET = [
    "-target", "riscv64-freestanding-none", "-mcpu=generic_rv64+m", "-mabi=lp64", "-mcmodel=medany",
]  # fmt: skip
_COMPILE = [
    "-std=c++20", "-O2", "-g0", "-ffreestanding", "-fno-exceptions", "-fno-rtti",
    "-fno-threadsafe-statics", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables",
    "-fno-stack-protector", "-fno-sanitize=all", "-fno-strict-aliasing", "-fwrapv",
    "-ffp-contract=off", "-fno-math-errno", "-fno-pic", "-ffunction-sections", "-fdata-sections",
    "-fomit-frame-pointer", "-Wall", "-Wextra", "-Wconversion", "-Wno-sign-conversion", "-Werror",
]  # fmt: skip
_LINK = ["-s", "-static", "-nostdlib", "-Wl,--gc-sections"]
# The freestanding target brings no C++ headers; these are libc++'s, as configured for musl.
_INCLUDES = [
    "libcxx/include", "include", "libc/include/riscv64-linux-musl", "libc/include/generic-musl",
]  # fmt: skip
_HEADER_DEFINES = [
    "_LIBCPP_ABI_VERSION=1",
    "_LIBCPP_ABI_NAMESPACE=__1",
    "_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE",
    "_LIBCPP_ASSERTION_SEMANTIC_DEFAULT=_LIBCPP_ASSERTION_SEMANTIC_IGNORE",
    "_LIBCPP_HAS_THREADS=0",
    "_LIBCPP_HAS_MONOTONIC_CLOCK=0",
    "_LIBCPP_HAS_LOCALIZATION=0",
    "_LIBCPP_HAS_WIDE_CHARACTERS=0",
    "_LIBCPP_HAS_FILESYSTEM=0",
    "_LIBCPP_HAS_MUSL_LIBC=1",
    "_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS=0",
    "_LIBCXXABI_DISABLE_VISIBILITY_ANNOTATIONS",
    "_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS",
    "_LIBCPP_PSTL_BACKEND_SERIAL",
]


class BuildError(Exception):
    """The guest could not be built, or what was built is not allowed."""


@dataclass(frozen=True)
class Guest:
    """One built and checked ELF."""

    preset: str
    path: Path
    sha256: str
    text_bytes: int
    instructions: int


def _protocol(root: Path) -> dict[str, dict[str, dict[str, int]]]:
    with (root / "protocol" / "constants.toml").open("rb") as handle:
        return tomllib.load(handle)


def presets(root: Path = ROOT) -> list[str]:
    """The names of the presets, from protocol/constants.toml."""
    return list(_protocol(root)["presets"])


def guest_sources(root: Path = ROOT) -> list[Path]:
    """What the guest consists of, relative to `root`; cmake/sources.cmake has the same rules."""
    found = []
    for path in sorted((root / "core").rglob("*.cpp")):
        relative = path.relative_to(root)
        host_only = path.name.endswith("_native.cpp") or relative.parts[1] == "native"
        if not host_only and not path.name.endswith("_test.cpp"):
            found.append(relative)
    return [Path("core/guest/start.S"), *found]


def linker_script(text_base: int, root: Path = ROOT) -> str:
    """The linker script for a load address."""
    template = (root / "core" / "guest" / "link.ld.in").read_text(encoding="utf-8")
    filled = template.replace("@TEXT_BASE@", hex(text_base))
    return filled.replace("@STACK_BYTES@", hex(STACK_BYTES))


def _zig_library() -> Path:
    try:
        version = importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        version = "absent"
    if version != ZIGLANG_VERSION:
        raise BuildError(
            f"ziglang: expected {ZIGLANG_VERSION}, was {version}; run `make guest`, or "
            f"`pip install ziglang=={ZIGLANG_VERSION}` in this environment"
        )
    import ziglang

    return Path(str(ziglang.__file__)).parent / "lib"


def _environment(root: Path) -> dict[str, str]:
    """Compiler caches stay in build/, unless the caller has put them elsewhere."""
    cache = root / "build" / "zig-cache"
    environment = dict(os.environ)
    environment.setdefault("ZIG_LOCAL_CACHE_DIR", str(cache / "local"))
    environment.setdefault("ZIG_GLOBAL_CACHE_DIR", str(cache / "global"))
    # Build date and locale must have no way in.
    environment.update(LC_ALL="C", SOURCE_DATE_EPOCH="0", TZ="UTC")
    return environment


def _link(preset: str, sources: Sequence[Path], script: Path, out: Path, root: Path) -> None:
    library = _zig_library()
    command = [
        sys.executable, "-m", "ziglang", "c++", *_TARGET, *_COMPILE, *_LINK,
        *(f"-I{library / part}" for part in _INCLUDES),
        *(f"-D{define}" for define in _HEADER_DEFINES),
        "-I.", "-DPROVENUE_GUEST=1", f"-DPROVENUE_PRESET_{preset.upper()}=1",
        f"-Wl,-T,{script}", *(str(source) for source in sources), "-o", str(out),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=root,
        env=_environment(root),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        hint = ""
        if "undefined symbol: __" in done.stderr:
            hint = (
                "\nThe guest links without a runtime library: floats (P2) and 128-bit division "
                "are not there. Use the functions of core/base."
            )
        raise BuildError(f"guest {preset}: does not build\n{done.stderr.strip()}{hint}")


def build(
    preset: str,
    out: Path,
    *,
    root: Path = ROOT,
    sources: Sequence[Path] | None = None,
    text_base: int | None = None,
) -> Guest:
    """Build and check the ELF of one preset. `sources` replaces the program, for tests."""
    if sources is None:
        sources = guest_sources(root)
        if Path("core/guest/main.cpp") not in sources:
            raise BuildError("core/guest/main.cpp: expected the guest's entry, was absent")
    if text_base is None:
        text_base = _protocol(root)["constants"]["TEXT_BASE"]["value"]
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        script = Path(folder) / "link.ld"
        script.write_text(linker_script(text_base, root), encoding="utf-8")
        linked = Path(folder) / "guest.elf"
        _link(preset, sources, script, linked, root)
        try:
            facts = check_elf(linked.read_bytes(), text_base=text_base)
        except ElfError as error:
            raise BuildError(f"guest {preset}: {error}") from error
        digest = hashlib.sha256(linked.read_bytes()).hexdigest()
        linked.replace(out)
    return Guest(preset, out, digest, facts.text_bytes, facts.instructions)


def read_hashes(root: Path = ROOT) -> dict[str, str]:
    """The committed hash of each preset."""
    path = root / HASHES
    if not path.exists():
        return {}
    return dict(tomllib.loads(path.read_text(encoding="utf-8"))["sha256"])


def write_hashes(hashes: dict[str, str], root: Path = ROOT) -> None:
    """Rewrite core/guest/hashes.toml."""
    lines = [
        "# SHA-256 of the guest ELF of each preset. Written by `make guest ARGS=--update`, and",
        "# compared by the test run. A change of the program or of the compiler changes them.",
        f'ziglang = "{ZIGLANG_VERSION}"',
        "",
        "[sha256]",
        *(f'{preset} = "{digest}"' for preset, digest in sorted(hashes.items())),
    ]
    (root / HASHES).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _inputs_digest(root: Path, sources: Sequence[Path]) -> str:
    """Everything that can change the ELFs, so that an unchanged tree is not built again."""
    hasher = hashlib.sha256(ZIGLANG_VERSION.encode())
    names = {*sources, Path("protocol/constants.toml"), Path("core/guest/link.ld.in")}
    headers = [p for p in (root / "core").rglob("*") if p.suffix in (".hpp", ".h", ".inc")]
    tools = (root / "tools").glob("*guest*.py")
    names |= {path.relative_to(root) for path in (*headers, *tools)}
    for name in sorted(names):
        hasher.update(f"{name}\0".encode() + hashlib.sha256((root / name).read_bytes()).digest())
    return hasher.hexdigest()


def _build_unless_fresh(preset: str, out: Path, inputs: str) -> tuple[str, str]:
    """The hash of the preset's ELF and a line about it; builds when an input has changed."""
    stamp = out.with_suffix(".stamp")
    if out.exists() and stamp.exists():
        digest = hashlib.sha256(out.read_bytes()).hexdigest()
        if stamp.read_text() == f"{inputs} {digest}":
            return digest, f"{preset}: sha256 {digest}, {out} (unchanged)"
    guest = build(preset, out)
    stamp.write_text(f"{inputs} {guest.sha256}")
    return guest.sha256, (
        f"{preset}: sha256 {guest.sha256}, {guest.text_bytes} text bytes, "
        f"{guest.instructions} instructions, {out}"
    )


def _differences(found: dict[str, str]) -> list[str]:
    committed = read_hashes()
    return [
        f"{HASHES}: {preset}: expected {committed.get(preset, 'nothing')}, was {digest}"
        for preset, digest in found.items()
        if committed.get(preset) != digest
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the return value is the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--preset", choices=presets(), action="append", help="default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "guest", help="folder")
    parser.add_argument("--check", action="store_true", help="fail unless the hashes are committed")
    parser.add_argument("--update", action="store_true", help="write the hashes")
    parser.add_argument("--quiet", action="store_true", help="say only what went wrong")
    options = parser.parse_args(arguments)
    try:
        inputs = _inputs_digest(ROOT, guest_sources())
        found = {}
        for preset in options.preset or presets():
            out = options.out / f"provenue-{preset}.elf"
            found[preset], line = _build_unless_fresh(preset, out, inputs)
            if not options.quiet:
                print(line)
    except BuildError as error:
        print(f"build_guest: {error}", file=sys.stderr)
        return 1
    if options.update:
        write_hashes({**read_hashes(), **found})
    differences = _differences(found) if options.check else []
    for difference in differences:
        print(f"build_guest: {difference}", file=sys.stderr)
    if differences:
        print("build_guest: meant? then `make guest ARGS=--update` and commit", file=sys.stderr)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
