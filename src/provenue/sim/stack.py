"""A whole venue on this machine: chain, contracts, operator, watcher, price signers, accounts.

`LocalVenue` starts each part as a process of its own and ends all of them, by their ids, when it is
closed. Children cannot outlive this process, also when it is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from provenue._durable import make_folder
from provenue.sequencer.anchor_worker import KEY_VARIABLE
from provenue.settlement import _die_with_parent
from provenue.settlement.chain_types import to_checksum
from provenue.settlement.deploy import deploy_all
from provenue.settlement.deploy_config import DEV_DELAYS, Delays, dev_config
from provenue.settlement.dev_accounts import dev_accounts
from provenue.settlement.local_chain import LocalChain, start_chain
from provenue.settlement.rpc import Rpc
from provenue.settlement.tx import Account, PendingTx, Sender
from provenue.wire import keccak256

__all__ = ["ChainKind", "Child", "LocalVenue", "StackError"]

ChainKind = Literal["auto", "anvil", "eth-tester"]
SIGNERS = 3
OWNER = 0  # the development account that owns the contracts and operates
READY_TIMEOUT_S = 60.0
_WATCHER_KEY = "PROVENUE_WATCHER_KEY"


class StackError(RuntimeError):
    """A part of the venue did not start or ended by itself; the text says which and why."""


class Child:
    """One process: its JSON lines come from a queue, its end is waited for."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log: Path,
        first_line: str | None = None,
    ) -> None:
        self.name = name
        self._log = log
        self.lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        guard = [sys.executable, "-I", "-S", str(_die_with_parent.__file__), str(os.getpid())]
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env={**os.environ, **(environment or {})},
                text=True,
                # Ctrl-C in a terminal goes to a whole group; when each part ends is for us to say.
                start_new_session=True,
            )
        if first_line is not None:
            assert self.process.stdin is not None
            self.process.stdin.write(first_line + "\n")
            self.process.stdin.flush()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                self.lines.put(json.loads(line))
        self.lines.put(None)

    def next_line(self, timeout_s: float) -> dict[str, Any]:
        """The next JSON line; StackError when the process has ended or says nothing."""
        try:
            line = self.lines.get(timeout=timeout_s)
        except queue.Empty:
            raise StackError(f"{self.name}: said nothing for {timeout_s:.0f} s") from None
        if line is None:
            self.process.wait()
            raise StackError(
                f"{self.name}: ended with status {self.process.returncode}: {self.last_words()}"
            )
        return line

    def last_words(self) -> str:
        """The end of its log."""
        text = self._log.read_text(errors="replace").strip() if self._log.exists() else ""
        return "\n".join(text.splitlines()[-6:]) or "nothing in its log"

    def end_input(self) -> None:
        """Close its standard input (some children stop then, in order)."""
        with contextlib.suppress(OSError):
            assert self.process.stdin is not None
            self.process.stdin.close()

    def stop(self, *, timeout_s: float = 30.0) -> None:
        """SIGINT, wait, kill if it must be."""
        self.end_input()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self._reader.join(5)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.process.kill()
        self.process.wait()


class LocalVenue:
    """See the top. Use as a context manager."""

    def __init__(
        self,
        *,
        data: Path | None = None,
        chain: ChainKind = "auto",
        chain_rpc: str | None = None,
        preset: str = "dev",
        accounts: int = 24,
        delays: Delays = DEV_DELAYS,
        batch_age_ms: int = 2_000,
        price_source: Literal["walk", "http"] = "walk",
        start_price_units: int = 236_000_000,
        seed: int = 1,
        port: int = 0,
    ) -> None:
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        if data is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="provenue-")
            data = Path(self._scratch.name)
        self.data = data
        self._chain_kind: ChainKind = chain
        self._chain_rpc = chain_rpc
        self._preset = preset
        self._account_count = accounts
        self._delays = delays
        self._batch_age_ms = batch_age_ms
        self._price_source = price_source
        self._start_price_units = start_price_units
        self._seed = seed
        self._port = port
        self.chain: LocalChain | None = None
        self.operator: Child | None = None
        self.watcher: Child | None = None
        self.signers: list[Child] = []
        self.push_urls: list[str] = []
        self.rpc_url = ""
        self.api_url = ""
        self.ws_url = ""

    # --- life ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start everything; returns when the operator serves and the accounts are funded."""
        make_folder("data", self.data)
        if any((self.data / name).exists() for name in ("operator", "watcher")):
            raise StackError(
                f"data: expected a folder without a venue in it, since the chain starts anew; "
                f"{self.data} has one of an earlier run: name another, or remove it"
            )
        if self._chain_rpc is None:
            self.chain = start_chain(
                kind=self._chain_kind,
                block_time_s=1,
                mixed_mining=True,
                account_count=self._account_count + 2,
            )
            self.rpc_url = self.chain.url
        else:
            self.rpc_url = self._chain_rpc
        self.rpc = Rpc(self.rpc_url)
        keys = dev_accounts(self._account_count + 2)
        self._owner_key = keys[OWNER][1]
        self.accounts = keys[OWNER + 1 : -1]
        self._watcher_key = keys[-1][1]
        for address, _ in keys:
            if not self.rpc.balance(address):
                raise StackError(
                    f"chain-rpc: expected a node where the {len(keys)} first accounts of the "
                    f"well-known test mnemonic have ether (anvil --accounts {len(keys)}), "
                    f"{address} at {self.rpc.name} has none"
                )
        owner = Account(self._owner_key)
        signer_keys = [_signer_key(self._seed, i) for i in range(SIGNERS)]
        config = dev_config(
            [Account(k).address for k in signer_keys], delays=self._delays, preset=self._preset
        )
        self.deployment = deploy_all(self.rpc, owner, config, operator=owner.address)
        self.deployment_file = self.data / "deployment.json"
        self.deployment.save(self.deployment_file)
        self._fund(Sender(self.rpc, owner))
        self.start_operator()
        self.start_watcher()
        for index, key in enumerate(signer_keys):
            self._start_signer(index, key)

    def close(self) -> None:
        """End every process that was started."""
        self.stop_signers()
        if self.operator is not None:
            self.operator.stop()
        if self.watcher is not None:
            self.watcher.stop()
        if self.chain is not None:
            self.chain.stop()
        if self._scratch is not None:
            self._scratch.cleanup()

    def stop_signers(self) -> None:
        """End the price signers (before the operator, so that they do not complain)."""
        for child in self.signers:
            child.stop()
        self.signers = []

    # --- parts -----------------------------------------------------------------------------------

    def start_operator(self) -> float:
        """Start (or start again) the operator; seconds until it served."""
        began = time.monotonic()
        command = [
            sys.executable, "-m", "provenue.cli.main", "operator",
            "--data", str(self.data / "operator"),
            "--deployment", str(self.deployment_file),
            "--rpc-url", self.rpc_url,
            "--preset", self._preset,
            "--port", str(self._port),
            "--inbox-block", "latest",
            "--batch-age-ms", str(self._batch_age_ms),
            "--finalize-every-s", "1",
        ]  # fmt: skip
        self.operator = Child(
            "operator",
            command,
            environment={KEY_VARIABLE: self._owner_key},
            log=self.data / "operator.log",
        )
        ready = self.operator.next_line(READY_TIMEOUT_S)
        self.api_url, self.ws_url = ready["api_url"], ready["ws_url"]
        # Those who were told the address find it again after a restart.
        self._port = int(self.api_url.split(":")[2].split("/")[0])
        return time.monotonic() - began

    def start_watcher(self) -> None:
        """Start (or start again) a watcher, with an account of its own."""
        command = [
            sys.executable, "-m", "provenue.cli.main", "watch",
            "--rpc-url", self.rpc_url,
            "--anchor", self.deployment.contracts["Anchor"],
            "--data", str(self.data / "watcher"),
            "--key", f"env:{_WATCHER_KEY}",
            "--preset", self._preset,
            "--block", "latest",
            "--poll-ms", "250",
        ]  # fmt: skip
        self.watcher = Child(
            "watcher",
            command,
            environment={_WATCHER_KEY: self._watcher_key},
            log=self.data / "watcher.log",
        )
        self.watcher.next_line(READY_TIMEOUT_S)

    def stop_watcher(self, *, timeout_s: float = 30.0) -> dict[str, Any]:
        """End the watcher; what it says about the whole time."""
        assert self.watcher is not None
        self.watcher.stop(timeout_s=timeout_s)
        return self.watcher.next_line(1.0)

    def _start_signer(self, index: int, key: str) -> None:
        command = [
            sys.executable, "-m", "provenue.cli.main", "price-signer",
            "--key", "env:PROVENUE_SIGNER_KEY",
            "--index", str(index),
            "--chain-id", str(self.deployment.chain_id),
            "--anchor", self.deployment.contracts["Anchor"],
            "--api", self.api_url.removesuffix("/api/v2"),
            "--source", self._price_source,
            "--interval-ms", "1000",
            "--seed", str(self._seed),
            "--state", str(self.data / f"signer-{index}.time"),
        ]  # fmt: skip
        if self._price_source == "walk":
            command += ["--prices", f"0={self._start_price_units}"]
        else:
            command += ["--feeds", "0"]
        child = Child(
            f"price signer {index}",
            command,
            environment={"PROVENUE_SIGNER_KEY": key},
            log=self.data / f"signer-{index}.log",
        )
        self.signers.append(child)
        ready = child.next_line(READY_TIMEOUT_S)
        if "push_url" in ready:
            self.push_urls.append(ready["push_url"])

    def _fund(self, sender: Sender) -> None:
        """Give every account test tokens: 50 million USDC and 50,000 BTC."""
        amounts = {0: 50_000_000 * 10**6, 1: 50_000 * 10**8}
        waiting: list[PendingTx] = []
        for asset, symbol in enumerate(self.deployment.assets):
            token = self.deployment.contract(symbol, self.rpc)
            for address, _ in self.accounts:
                waiting.append(
                    token.submit(sender, "mint", address, amounts.get(asset, 10**18), gas=120_000)
                )
        for pending in waiting:
            sender.wait(pending)

    def ready_line(self) -> dict[str, Any]:
        """What `provenue dev` prints."""
        return {
            "rpc_url": self.rpc_url,
            "api_url": self.api_url,
            "ws_url": self.ws_url,
            "contracts": self.deployment.contracts,
            "accounts": [
                {"address": to_checksum(bytes.fromhex(address[2:])), "private_key": key}
                for address, key in self.accounts
            ],
        }

    def check(self) -> None:
        """Raise StackError if a part has ended by itself."""
        for child in [self.operator, self.watcher, *self.signers]:
            if child is not None and child.process.poll() is not None:
                raise StackError(
                    f"{child.name}: ended with status {child.process.returncode}: "
                    f"{child.last_words()}"
                )


def _signer_key(seed: int, index: int) -> str:
    """A price signer's key of this venue; worthless, like the development accounts."""
    return "0x" + keccak256(f"provenue development price signer {seed} {index}".encode()).hex()
