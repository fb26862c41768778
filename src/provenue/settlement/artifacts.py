"""Compiled contracts: ABI and bytecode from Vyper source, compiled once and remembered by
content.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from provenue.settlement.cache import cache_dir, checkout_root
from provenue.settlement.rpc import ChainError

__all__ = ["Artifact", "CompileError", "compile_contract", "contracts_root"]

VYPER_VERSION = "0.4.3"
EVM_VERSION = "prague"
_SOURCE_SUFFIXES = (".vy", ".vyi", ".json")


class CompileError(ChainError):
    """The source does not compile, or cannot be found."""


@dataclasses.dataclass(frozen=True, slots=True)
class Artifact:
    """What a deployment needs. `bytecode` is the creation code."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes


def contracts_root() -> Path:
    """The folder of the contracts: inside the installed package, or in the checkout."""
    packaged = Path(__file__).resolve().parents[1] / "contracts"
    if packaged.is_dir():
        return packaged
    root = checkout_root()
    if root is None:
        raise CompileError("contracts: found neither in the package nor in a checkout")
    return root / "contracts"


def compile_contract(path: Path | str, *, experimental_codegen: bool = False) -> Artifact:
    """Compile `path`, or a contract of ours by name ("Vault"), with the pinned compiler.

    Imports are found beside the source and in the contracts folder. `experimental_codegen` is the
    second compiler (venom) of the contract tests.
    """
    source = _find(path)
    roots = [source.parent]
    if _is_ours(source):
        roots = [contracts_root()]
    elif "import" in source.read_text():
        # A foreign source may import from anywhere below it: do not guess, do not remember.
        return _compile(source, roots, experimental_codegen)
    key = _key(source, contracts_root() if _is_ours(source) else None, experimental_codegen)
    stored = cache_dir("vyper") / f"{source.stem}-{key[:32]}.json"
    artifact = _load(source.stem, stored)
    if artifact is None:
        artifact = _compile(source, roots, experimental_codegen)
        _store(artifact, stored)
    return artifact


def _find(path: Path | str) -> Path:
    if isinstance(path, str) and "/" not in path and not path.endswith(".vy"):
        path = contracts_root() / f"{path}.vy"
    source = Path(path).resolve()
    if not source.is_file():
        raise CompileError(f"contract: no such file: {source}")
    return source


def _is_ours(source: Path) -> bool:
    try:
        return source.is_relative_to(contracts_root().resolve())
    except CompileError:
        return False


def _key(source: Path, root: Path | None, experimental_codegen: bool) -> str:
    """Everything the output depends on: compiler, options, and each source that could be
    imported.
    """
    if root is None:
        root, files = source.parent, [source]
    else:
        files = sorted(f for f in root.rglob("*") if f.suffix in _SOURCE_SUFFIXES and f.is_file())
    digest = hashlib.sha256()
    digest.update(
        f"{VYPER_VERSION} {EVM_VERSION} gas {experimental_codegen} {source.name}\n".encode()
    )
    for file in files:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(root)} {content}\n".encode())
    return digest.hexdigest()


def _compile(source: Path, roots: list[Path], experimental_codegen: bool) -> Artifact:
    found = importlib.metadata.version("vyper")
    if found != VYPER_VERSION:
        raise CompileError(f"vyper: expected {VYPER_VERSION}, found {found}; bytecode would differ")
    # Imported here: the compiler takes a second to import and is rarely needed.
    from vyper.cli.vyper_compile import compile_files
    from vyper.compiler.settings import OptimizationLevel, Settings
    from vyper.exceptions import VyperException

    settings = Settings(
        evm_version=EVM_VERSION,
        optimize=OptimizationLevel.GAS,
        experimental_codegen=experimental_codegen,
    )
    try:
        output = compile_files(
            [str(source)], ["abi", "bytecode"], paths=[str(r) for r in roots], settings=settings
        )
    except VyperException as error:
        raise CompileError(f"{source.name}: {error}") from error
    (compiled,) = (value for key, value in output.items() if str(key).endswith(".vy"))
    return Artifact(source.stem, compiled["abi"], bytes.fromhex(compiled["bytecode"][2:]))


def _load(name: str, stored: Path) -> Artifact | None:
    try:
        raw = json.loads(stored.read_text())
        return Artifact(name, raw["abi"], bytes.fromhex(raw["bytecode"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or damaged: compile again


def _store(artifact: Artifact, stored: Path) -> None:
    text = json.dumps({"abi": artifact.abi, "bytecode": artifact.bytecode.hex()})
    # Written whole or not at all: several test processes compile at once.
    handle, temporary = tempfile.mkstemp(dir=stored.parent, suffix=".tmp")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(temporary).replace(stored)
