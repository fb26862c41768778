"""Chains for development: anvil where it can be had, else the pip-only one. Same accounts, same
rules.

A chain is a process of its own behind a JSON-RPC URL on 127.0.0.1 and ends with the process that
started it.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal, Self

from provenue.settlement.anvil import AnvilUnavailableError, find_anvil
from provenue.settlement.dev_accounts import (
    DEV_BALANCE_ETHER,
    DEV_CHAIN_ID,
    DEV_MNEMONIC,
    dev_accounts,
)
from provenue.settlement.rpc import ChainError, Rpc, RpcUnavailableError
from provenue.settlement.tx import forget_nonces

__all__ = ["ChainKind", "LocalChain", "start_chain"]

ChainKind = Literal["auto", "anvil", "eth-tester"]
# A batch of 120,000 bytes costs 4.8 M gas by the calldata floor alone, and is Merkleised on top.
BLOCK_GAS_LIMIT = 60_000_000
_STOP_TIMEOUT_S = 5.0
_log = logging.getLogger(__name__)


@dataclasses.dataclass
class LocalChain:
    """A running chain. Use as a context manager, or call `stop`."""

    url: str
    chain_id: int
    accounts: list[tuple[str, str]]  # (address, private key); the keys are public
    kind: Literal["anvil", "eth-tester"]
    version: str
    _process: subprocess.Popen[bytes] = dataclasses.field(repr=False)
    _scratch: tempfile.TemporaryDirectory[str] = dataclasses.field(repr=False)

    @property
    def pid(self) -> int:
        return self._process.pid

    @functools.cached_property
    def rpc(self) -> Rpc:
        """A client, for tests and tools."""
        return Rpc(self.url)

    def stop(self) -> None:
        """End the process and wait for it. May be called twice."""
        _end(self._process)
        self._scratch.cleanup()

    def mine(self, blocks: int = 1) -> None:
        """Mine blocks now."""
        for _ in range(blocks):
            self.rpc.call("evm_mine")

    def increase_time(self, seconds: int) -> None:
        """Move the chain's clock forward and mine a block at the new time."""
        self.rpc.call("evm_increaseTime", seconds)
        self.rpc.call("evm_mine")

    def snapshot(self) -> str:
        """A name for the present state."""
        return str(self.rpc.call("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Back to a snapshot, which is used up."""
        if not self.rpc.call("evm_revert", snapshot):
            raise ChainError(f"snapshot {snapshot!r}: unknown or used up")
        forget_nonces(self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_chain(
    kind: ChainKind = "auto",
    *,
    block_time_s: float | None = None,
    mixed_mining: bool = False,
    account_count: int = 40,
    slots_in_epoch: int = 1,
    gas_limit: int = BLOCK_GAS_LIMIT,
    chain_id: int = DEV_CHAIN_ID,
    port: int = 0,
    timeout_s: float = 60.0,
) -> LocalChain:
    """Start a chain and wait until it answers.

    Without `block_time_s` every transaction makes its block at once; with it blocks come by the
    clock, and with `mixed_mining` both. The tag `safe` is `slots_in_epoch` blocks behind the head,
    `finalized` twice that.
    """
    if kind not in ("auto", "anvil", "eth-tester"):
        raise ValueError(f"kind: expected auto, anvil or eth-tester, got {kind!r}")
    if mixed_mining and block_time_s is None:
        raise ValueError("mixed_mining: needs block_time_s")
    if not 1 <= account_count <= 1_000:
        raise ValueError(f"account_count: expected 1 to 1000, got {account_count}")
    options = _Options(
        block_time_s,
        mixed_mining,
        account_count,
        slots_in_epoch,
        gas_limit,
        chain_id,
        port,
        timeout_s,
    )
    if kind == "eth-tester":
        return _start_tester(options)
    try:
        return _start_anvil(find_anvil(), options)
    except ChainError as error:
        if kind == "anvil":
            raise
        level = logging.INFO if isinstance(error, AnvilUnavailableError) else logging.WARNING
        _log.log(level, "no anvil (%s); using the pip-only chain", error)
        return _start_tester(options)


@dataclasses.dataclass(frozen=True, slots=True)
class _Options:
    block_time_s: float | None
    mixed_mining: bool
    account_count: int
    slots_in_epoch: int
    gas_limit: int
    chain_id: int
    port: int
    timeout_s: float

    def shared_flags(self) -> list[str]:
        """Flags that both chains spell alike."""
        flags: list[object] = [
            "--chain-id", self.chain_id, "--accounts", self.account_count,
            "--gas-limit", self.gas_limit, "--slots-in-an-epoch", self.slots_in_epoch,
        ]  # fmt: skip
        if self.block_time_s is not None:
            flags += ["--block-time", f"{self.block_time_s:g}"]
        if self.mixed_mining:
            flags.append("--mixed-mining")
        return [str(flag) for flag in flags]


def _start_anvil(binary: Path, options: _Options) -> LocalChain:
    scratch = tempfile.TemporaryDirectory(prefix="provenue-anvil-")
    # Where the kernel tells which port was taken, let it choose; elsewhere choose one now.
    port = options.port if options.port or sys.platform == "linux" else _free_port()
    command = [
        str(binary), "--host", "127.0.0.1", "--port", str(port), "--hardfork", "prague", "--silent",
        "--mnemonic", DEV_MNEMONIC, "--balance", str(DEV_BALANCE_ETHER),
        "--cache-path", scratch.name,
        *options.shared_flags(),
    ]  # fmt: skip
    process = _spawn(command, Path(scratch.name))
    try:
        deadline = time.monotonic() + options.timeout_s
        while not port:
            port = _listening_port(process.pid)
            _pause(process, deadline, Path(scratch.name))
        return _ready(f"http://127.0.0.1:{port}", "anvil", process, scratch, options, deadline)
    except BaseException:
        _end(process)
        scratch.cleanup()
        raise


def _start_tester(options: _Options) -> LocalChain:
    scratch = tempfile.TemporaryDirectory(prefix="provenue-chain-")
    command = [
        sys.executable, "-m", "provenue.settlement.ethtester_server", "--port", str(options.port),
        *options.shared_flags(),
    ]  # fmt: skip
    process = _spawn(command, Path(scratch.name))
    try:
        deadline = time.monotonic() + options.timeout_s
        while not (line := (Path(scratch.name) / "stdout").read_text()).endswith("\n"):
            _pause(process, deadline, Path(scratch.name))
        return _ready(line.strip(), "eth-tester", process, scratch, options, deadline)
    except BaseException:
        _end(process)
        scratch.cleanup()
        raise


# One thread that lives as long as this process starts everything: the kernel's "parent died" signal
# means the thread that forked, not the process.
_spawner = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="chain-spawner")


def _spawn(command: list[str], scratch: Path) -> subprocess.Popen[bytes]:
    guard = Path(__file__).with_name("_die_with_parent.py")
    source = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(p for p in (source, os.environ.get("PYTHONPATH")) if p)
    with (scratch / "stdout").open("wb") as out, (scratch / "stderr").open("wb") as err:
        return _spawner.submit(
            lambda: subprocess.Popen(
                [sys.executable, "-I", "-S", str(guard), str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=os.environ | {"PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for us; the chain ends when we are done with it
            )
        ).result()


def _ready(
    url: str,
    kind: Literal["anvil", "eth-tester"],
    process: subprocess.Popen[bytes],
    scratch: tempfile.TemporaryDirectory[str],
    options: _Options,
    deadline: float,
) -> LocalChain:
    rpc = Rpc(url, timeout_s=5.0, attempts=1)
    while True:
        try:
            version: Any = rpc.call("web3_clientVersion")
            break
        except RpcUnavailableError:
            _pause(process, deadline, Path(scratch.name))
    chain_id = rpc.chain_id()
    rpc.close()
    accounts = list(dev_accounts(options.account_count))
    return LocalChain(url, chain_id, accounts, kind, str(version), process, scratch)


def _pause(process: subprocess.Popen[bytes], deadline: float, scratch: Path) -> None:
    """Wait a moment for a starting chain; an error when it ended or takes too long."""
    code = process.poll()
    if code is None and time.monotonic() < deadline:
        time.sleep(0.02)
        return
    said = (scratch / "stderr").read_text(errors="replace").strip()[-500:]
    what = "did not answer in time" if code is None else f"ended with code {code}"
    raise ChainError(f"local chain: {what}" + (f": {said}" if said else ""))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listening_port(pid: int) -> int:
    """The TCP port a process listens on, or 0 (Linux): anvil with --silent does not say."""
    try:
        links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    except OSError:
        return 0  # starting, or gone; the caller looks again
    for row in rows:
        listening = row[3] == "0A" and row[1].startswith("0100007F:")
        if listening and f"socket:[{row[9]}]" in links:
            return int(row[1].rpartition(":")[2], 16)
    return 0
