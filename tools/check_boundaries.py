"""Check who may include and import whom: the layers of the architecture as a program.

C++: `matching` and `clearing` never include each other, only `program` includes both, `machine`
includes nothing of `core` (`keccak`, many hashes at once, serves both), and the program uses
freestanding headers only. Python: `spec` imports nothing of ours, and only engine.py and machine.py
touch the extension modules.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["check", "main"]

ROOT = Path(__file__).resolve().parent.parent

# What each folder may include beside itself.
_CORE_LAYERS: dict[str, set[str]] = {
    "core/base": set(),
    "core/image": {"core/base"},
    "core/matching": {"core/base", "core/image"},
    "core/risk": {"core/base", "core/image"},
    "core/clearing": {"core/base", "core/image", "core/risk"},
}
_CORE = set(_CORE_LAYERS)
LAYERS: dict[str, set[str]] = {
    **_CORE_LAYERS,
    "core/program": _CORE,
    "core/guest": _CORE | {"core/program"},
    "core/native": _CORE | {"core/program", "keccak"},
    "keccak": set(),
    "machine": {"keccak"},
    "bindings": _CORE | {"core/program", "core/native", "keccak", "machine"},
}
# The standard headers of the freestanding program; all compile for the guest as well.
_FREESTANDING = {
    *("algorithm", "array", "bit", "climits", "compare", "concepts", "cstddef", "cstdint"),
    *("cstring", "initializer_list", "limits", "numeric", "optional", "span", "stddef.h"),
    *("stdint.h", "tuple", "type_traits", "utility", "variant", "version"),
}
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
_CPP_SUFFIXES = {".cpp", ".hpp", ".h", ".inc"}

_NATIVE_MODULE = "provenue._native"
_NATIVE_USERS = {Path("src/provenue/engine.py"), Path("src/provenue/machine.py")}
_PYTHON_FOLDERS = ("src", "tests", "tools", "bench", "docs")


def _layer(path: Path) -> str:
    """The folder that decides: core/x, keccak, machine or bindings."""
    return "/".join(path.parts[:2]) if path.parts[0] == "core" else path.parts[0]


def _is_hosted(path: Path) -> bool:
    """Whether a file may use the whole standard library: host-only files and tests."""
    stem = path.stem
    return path.parts[:2] == ("core", "native") or stem.endswith(("_native", "_test", "test"))


def _cpp_files(root: Path) -> Iterator[Path]:
    for top in ("core", "keccak", "machine", "bindings"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in _CPP_SUFFIXES and path.is_file():
                yield path.relative_to(root)


def _check_include(root: Path, path: Path, style: str, name: str) -> str | None:
    """What is wrong with one include, or None."""
    beside = (root / path).parent / name
    if beside.exists():
        target = beside.resolve().relative_to(root.resolve())
    elif (root / name).exists():
        target = Path(name)
    elif style == '"':
        return f'"{name}": expected a file of this tree, found none'
    elif path.parts[0] == "core" and not _is_hosted(path) and name not in _FREESTANDING:
        return f"<{name}>: expected a freestanding header, this one is not"
    else:
        return None
    layer, other = _layer(path), _layer(target)
    if layer not in LAYERS:
        return f"{layer}: expected a folder with a rule in tools/check_boundaries.py"
    if other != layer and other not in LAYERS[layer]:
        allowed = ", ".join(sorted(LAYERS[layer])) or "nothing else"
        return f"{layer} includes {other}: expected {allowed}"
    return None


def _check_cpp(root: Path) -> Iterator[str]:
    for path in _cpp_files(root):
        text = (root / path).read_text(encoding="utf-8")
        for match in _INCLUDE.finditer(text):
            wrong = _check_include(root, path, match[1], match[2])
            if wrong:
                yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {wrong}"


def _module_package(path: Path) -> list[str]:
    """The package that relative imports of a file below src/ start from."""
    return list(path.parts[1:-1]) if path.parts[0] == "src" else list(path.parts[:-1])


def _imported(path: Path, node: ast.AST) -> list[str]:
    """Absolute names of the modules (and possible submodules) that a node imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        package = _module_package(path)
        base = package[: len(package) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        return [module, *(f"{module}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Constant) and str(node.value).startswith(_NATIVE_MODULE):
        return [_NATIVE_MODULE]  # importlib.import_module and its like
    return []


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def _check_import(path: Path, name: str) -> str | None:
    """What is wrong with importing `name`, or None."""
    in_spec = path.parts[:3] == ("src", "provenue", "spec")
    ours = _within(name, "provenue") and name != "provenue"
    if in_spec and ours and not _within(name, "provenue.spec"):
        return f"spec imports {name}: expected nothing of ours but provenue.spec"
    if name.startswith(_NATIVE_MODULE) and path not in _NATIVE_USERS:
        return f"imports {name}: expected provenue.engine or provenue.machine"
    return None


def _check_python(root: Path) -> Iterator[str]:
    checker = Path("tools/check_boundaries.py")
    for folder in _PYTHON_FOLDERS:
        for absolute in sorted((root / folder).rglob("*.py")):
            path = absolute.relative_to(root)
            if path == checker:
                continue
            tree = ast.parse(absolute.read_text(encoding="utf-8"), filename=str(path))
            for node in ast.walk(tree):
                wrong = {_check_import(path, name) for name in _imported(path, node)} - {None}
                line = getattr(node, "lineno", 0)
                yield from sorted(f"{path}:{line}: {text}" for text in wrong)


def check(root: Path = ROOT) -> list[str]:
    """Every violation as `path:line: what, and what was expected`."""
    return [*_check_cpp(root), *_check_python(root)]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the return value is the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", nargs="?", type=Path, default=ROOT)
    violations = check(parser.parse_args(arguments).root)
    for violation in violations:
        print(violation)
    print(f"boundaries: {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
