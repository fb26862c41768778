"""The chains themselves: time, accounts, bad requests, their end, where anvil comes from."""

import hashlib
import http.client
import json
import os
import platform
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import eth_account
import pytest

from provenue.settlement import anvil as anvil_module
from provenue.settlement import artifacts
from provenue.settlement.anvil import AnvilUnavailableError, find_anvil
from provenue.settlement.artifacts import Artifact, CompileError, compile_contract
from provenue.settlement.chain_types import normalise_address
from provenue.settlement.contract import Contract, deploy
from provenue.settlement.dev_accounts import DEV_MNEMONIC, dev_accounts
from provenue.settlement.local_chain import LocalChain, start_chain
from provenue.settlement.rpc import Rpc, RpcError
from provenue.settlement.tx import Account, RevertedError, Sender

SOURCE = Path(__file__).resolve().parents[2] / "src"
chain_test = pytest.mark.chain


# -- accounts ------------------------------------------------------------------------------------


def test_accounts_are_those_of_the_well_known_mnemonic() -> None:
    eth_account.Account.enable_unaudited_hdwallet_features()
    for index in (0, 1, 39):
        theirs = eth_account.Account.from_mnemonic(
            DEV_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}"
        )
        assert dev_accounts(40)[index] == (theirs.address, "0x" + bytes(theirs.key).hex())


@chain_test
def test_all_accounts_are_funded(own_chain: LocalChain) -> None:
    assert len(own_chain.accounts) == 40
    asked = [("eth_getBalance", [address, "latest"]) for address, _ in own_chain.accounts]
    assert {int(b, 16) for b in own_chain.rpc.batch(asked)} == {10**6 * 10**18}
    assert own_chain.chain_id == own_chain.rpc.chain_id() == 31_337
    assert own_chain.rpc.call("net_version") == "31337"


# -- time ----------------------------------------------------------------------------------------


@chain_test
def test_many_blocks_in_a_second_do_not_run_ahead_of_the_clock(own_chain: LocalChain) -> None:
    own_chain.mine(40)
    head = own_chain.rpc.head()
    assert head.number == 40
    assert abs(head.timestamp - time.time()) < 2


@chain_test
def test_clock_runs_on_from_where_it_was_moved(
    own_chain: LocalChain, probe_artifact: Artifact
) -> None:
    rpc = own_chain.rpc
    sender = Sender(rpc, Account(own_chain.accounts[0][1]))
    probe = deploy(sender, probe_artifact, "time", 0)
    start = rpc.head().timestamp
    with pytest.raises(RevertedError, match="too early"):
        probe.transact(sender, "only_after", start + 3_600)
    own_chain.increase_time(3_600)
    assert 3_600 <= rpc.head().timestamp - start <= 3_603
    assert probe.call("now") == (rpc.head().timestamp, rpc.head().number)
    assert probe.transact(sender, "only_after", start + 3_600).succeeded
    exact = rpc.head().timestamp + 1_000
    rpc.call("evm_setNextBlockTimestamp", exact)
    mined = probe.transact(sender, "only_after", exact)
    assert rpc.head(mined.block_number).timestamp == exact
    time.sleep(1.2)
    own_chain.mine()
    assert 1 <= rpc.head().timestamp - exact <= 3, "time goes on from the exact moment"
    with pytest.raises(RpcError, match=r"(?i)timestamp.*lower"):
        rpc.call("evm_setNextBlockTimestamp", exact - 10)


@chain_test
def test_estimate_sees_the_time_of_the_coming_block(
    own_chain: LocalChain, probe_artifact: Artifact
) -> None:
    """A deadline that passed since the last block must not look unmet to a sender."""
    sender = Sender(own_chain.rpc, Account(own_chain.accounts[0][1]))
    probe = deploy(sender, probe_artifact, "time", 0)
    moment = own_chain.rpc.head().timestamp + 1
    while time.time() < moment + 0.1:
        time.sleep(0.05)
    assert probe.transact(sender, "only_after", moment).succeeded


@chain_test
def test_fee_history_and_gas_price_are_those_of_the_blocks(own_chain: LocalChain) -> None:
    sender = Sender(own_chain.rpc, Account(own_chain.accounts[0][1]))
    for _ in range(3):
        sender.send(own_chain.accounts[1][0], value=1)
    history = own_chain.rpc.call("eth_feeHistory", "0x2", "latest", [50])
    assert history["oldestBlock"] == "0x2"
    fees = [own_chain.rpc.head(n).base_fee_per_gas for n in (2, 3)]
    assert [int(f, 16) for f in history["baseFeePerGas"]][:2] == fees
    assert [int(r[0], 16) for r in history["reward"]] == [10**9, 10**9]
    next_fee = int(history["baseFeePerGas"][2], 16)
    # EIP-1559: an almost empty block lowers the fee by just under one eighth.
    assert fees[1] * 7 // 8 <= next_fee < fees[1]


# -- bad requests --------------------------------------------------------------------------------

ADDRESS = "0x" + "11" * 20
BAD_PARAMS: list[tuple[str, list[Any], int]] = [
    ("eth_foo", [], -32601),
    ("eth_getBalance", [], -32602),
    ("eth_getBalance", ["0x1234", "latest"], -32602),
    ("eth_getBalance", [ADDRESS, "sometime"], -32602),
    ("eth_getBalance", [ADDRESS, "0xfffffff"], -32602),
    ("eth_getStorageAt", [ADDRESS, "slot", "latest"], -32602),
    ("eth_call", [], -32602),
    ("eth_call", ["0x", "latest"], -32602),
    ("eth_call", [{"to": "0x1"}, "latest"], -32602),
    ("eth_call", [{"to": ADDRESS, "data": "0x123"}, "latest"], -32602),
    ("eth_call", [{"to": ADDRESS, "value": "-1"}, "latest"], -32602),
    ("eth_sendRawTransaction", ["nonsense"], -32602),
    ("eth_getBlockByNumber", [True, False], -32602),
    ("eth_getTransactionReceipt", ["0x12"], -32602),
    ("eth_getLogs", ["all"], -32602),
    ("eth_getLogs", [{"address": "0x12"}], -32602),
    ("eth_getLogs", [{"topics": "0x12"}], -32602),
    ("evm_increaseTime", ["soon"], -32602),
]


def _post(chain: LocalChain, body: bytes, method: str = "POST") -> tuple[int, Any]:
    host = chain.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request(method, "/", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw.startswith((b"{", b"[")) else raw
    finally:
        connection.close()


@chain_test
@pytest.mark.parametrize(("method", "params", "code"), BAD_PARAMS)
def test_bad_parameters_get_the_right_error(
    chain: LocalChain, method: str, params: list[Any], code: int
) -> None:
    request = {"jsonrpc": "2.0", "id": 5, "method": method, "params": params}
    _, answer = _post(chain, json.dumps(request).encode())
    assert (answer["error"]["code"], answer["id"]) == (code, 5)
    assert answer["error"]["message"]


@chain_test
@pytest.mark.parametrize("body", [b"", b"{bad", b"[]", b"{}", b"7", b'"eth_chainId"', b"[1]",
                                  b'{"id":1,"method":7}', b"\xff\xfe", b"[" * 50_000])  # fmt: skip
def test_malformed_requests_get_an_error_and_the_chain_lives_on(
    chain: LocalChain, body: bytes
) -> None:
    _, answer = _post(chain, body)
    if isinstance(answer, list):
        answer = answer[0]
    if isinstance(answer, dict):
        assert answer["error"]["code"] in (-32700, -32600)
    assert chain.rpc.chain_id() == 31_337
    assert _post(chain, b"", "GET")[0] in (400, 404, 405)


@chain_test
def test_batch_answers_each_call_in_order_and_a_bad_one_alone(chain: LocalChain) -> None:
    body = json.dumps([
        {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []},
        {"jsonrpc": "2.0", "id": 2, "method": "eth_foo", "params": []},
        {"jsonrpc": "2.0", "id": "x", "method": "net_version"},
    ])  # fmt: skip
    _, answers = _post(chain, body.encode())
    assert [a["id"] for a in answers] == [1, 2, "x"]
    assert answers[0]["result"] == "0x7a69"
    assert answers[1]["error"]["code"] == -32601
    assert answers[2]["result"] == "31337"


@chain_test
def test_absent_things_are_null_not_errors(chain: LocalChain) -> None:
    nothing = "0x" + "77" * 32
    assert chain.rpc.call("eth_getTransactionReceipt", nothing) is None
    assert chain.rpc.call("eth_getTransactionByHash", nothing) is None
    assert chain.rpc.call("eth_getBlockByHash", nothing, False) is None
    assert chain.rpc.call("eth_getBlockByNumber", "0xfffffff", False) is None
    assert chain.rpc.code(ADDRESS) == b""


@chain_test
def test_blocks_receipts_and_transactions_agree(probe: Contract, sender: Sender) -> None:
    rpc = probe.rpc
    receipt = probe.transact(sender, "store", 5, 6)
    raw = rpc.call("eth_getTransactionReceipt", receipt.tx_hash)
    block = rpc.call("eth_getBlockByNumber", hex(receipt.block_number), True)
    assert rpc.call("eth_getBlockByHash", receipt.block_hash, True) == block
    tx = rpc.call("eth_getTransactionByHash", receipt.tx_hash)
    assert tx in block["transactions"]
    assert (tx["from"], tx["to"]) == (sender.address.lower(), probe.address.lower())
    assert tx["input"] == "0x" + probe.encode("store", 5, 6).hex()
    assert rpc.call("eth_getBlockReceipts", hex(receipt.block_number)) == [raw]
    assert raw["logsBloom"] == block["logsBloom"] != "0x" + "00" * 256
    by_hash = rpc.call("eth_getLogs", {"blockHash": receipt.block_hash})
    assert [log["data"] for log in by_hash] == [log["data"] for log in raw["logs"]]
    assert int(block["gasUsed"], 16) == receipt.gas_used


# -- start and end -------------------------------------------------------------------------------


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@chain_test
def test_stop_ends_the_process_and_frees_the_port(chain_kind: Any) -> None:
    running = start_chain(chain_kind)
    assert _alive(running.pid)
    running.stop()
    running.stop()
    assert not _alive(running.pid)
    with pytest.raises(Exception, match="is the node running"):
        Rpc(running.url, attempts=1).chain_id()


@chain_test
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_chain_outlives_the_thread_that_started_it_but_not_the_process(chain_kind: Any) -> None:
    program = textwrap.dedent(f"""
        import sys, threading, time
        from provenue.settlement.local_chain import start_chain
        started = []
        thread = threading.Thread(target=lambda: started.append(start_chain({chain_kind!r})))
        thread.start(); thread.join(); time.sleep(0.3)
        assert started[0].rpc.chain_id() == 31337
        print(started[0].pid, flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )
    assert parent.stdout is not None
    try:
        pid = int(parent.stdout.readline())
        assert _alive(pid)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    deadline = time.monotonic() + 3
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(pid), f"chain {pid} outlived its parent"


def test_wrong_options_are_named() -> None:
    with pytest.raises(ValueError, match="kind: expected auto, anvil or eth-tester, got 'geth'"):
        start_chain("geth")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mixed_mining: needs block_time_s"):
        start_chain("eth-tester", mixed_mining=True)
    with pytest.raises(ValueError, match="account_count"):
        start_chain("eth-tester", account_count=0)


# -- where anvil comes from ----------------------------------------------------------------------


@chain_test
def test_auto_falls_back_and_anvil_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVENUE_ANVIL", "/nonexistent/anvil")
    with pytest.raises(AnvilUnavailableError, match="PROVENUE_ANVIL: expected a program"):
        start_chain("anvil")
    with start_chain("auto") as chain:
        assert chain.kind == "eth-tester"


@chain_test
def test_anvil_that_does_not_run_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\necho broken >&2; exit 3\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PROVENUE_ANVIL", str(broken))
    with pytest.raises(Exception, match="ended with code 3: broken"):
        start_chain("anvil")
    with start_chain("auto") as chain:
        assert chain.kind == "eth-tester"


def _fake_npm(folder: Path, content: bytes) -> None:
    """An `npm` that packs a package whose anvil has this content."""
    (folder / "package" / "bin").mkdir(parents=True)
    (folder / "package" / "bin" / "anvil").write_bytes(content)
    subprocess.run(["tar", "czf", "made.tgz", "package"], cwd=folder, check=True)
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\necho x >> {folder}/calls\ncp {folder}/made.tgz fetched.tgz\n")
    npm.chmod(0o755)


@pytest.fixture
def npm_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No anvil but an `npm` on the path, and an empty cache."""
    content = b"#!/bin/sh\n"
    _fake_npm(tmp_path, content)
    monkeypatch.delenv("PROVENUE_ANVIL", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(anvil_module.shutil, "which", _which_in(tmp_path))
    anvil_module._attempt.cache_clear()
    return tmp_path


def _which_in(folder: Path) -> Any:
    return lambda name: str(folder / name) if (folder / name).exists() else None


def _pin(monkeypatch: pytest.MonkeyPatch, digest: str) -> None:
    key = (sys.platform, platform.machine())
    monkeypatch.setattr(anvil_module, "_PACKAGES", {key: ("@scope/anvil", digest)})
    anvil_module._attempt.cache_clear()


def test_anvil_is_installed_once_and_checked(
    npm_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pin(monkeypatch, hashlib.sha256(b"#!/bin/sh\n").hexdigest())
    path = find_anvil()
    assert os.access(path, os.X_OK)
    assert path.is_relative_to(npm_only / "cache")
    anvil_module._attempt.cache_clear()
    assert find_anvil() == path
    assert (npm_only / "calls").read_text() == "x\n", "the cached binary is used"
    path.write_bytes(b"tampered")
    anvil_module._attempt.cache_clear()
    assert find_anvil().read_bytes() == b"#!/bin/sh\n", "a damaged one is fetched again"
    anvil_module._attempt.cache_clear()


def test_anvil_with_another_hash_is_refused(
    npm_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pin(monkeypatch, "ab" * 32)
    with pytest.raises(AnvilUnavailableError, match=r"expected SHA-256 abab.*, got "):
        find_anvil()
    assert [p.name for p in (npm_only / "cache").rglob("*") if p.is_file()] == []
    anvil_module._attempt.cache_clear()


# -- artifacts -----------------------------------------------------------------------------------


def test_compiled_contract_is_remembered_by_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    compiled: list[Path] = []
    real = artifacts._compile

    def counting(source: Path, *rest: Any) -> Artifact:
        compiled.append(source)
        return real(source, *rest)

    monkeypatch.setattr(artifacts, "_compile", counting)
    source = tmp_path / "Tiny.vy"
    source.write_text("# pragma version 0.4.3\nvalue: public(uint256)\n")
    first = compile_contract(source)
    assert compile_contract(source) == first
    assert len(compiled) == 1
    source.write_text("# pragma version 0.4.3\nvalue: public(int128)\n")
    assert compile_contract(source).abi != first.abi
    (stored, *_) = (tmp_path / "cache").rglob("Tiny-*.json")
    stored.write_text("{damaged")
    assert compile_contract(source).abi != first.abi
    venom = compile_contract(source, experimental_codegen=True)
    assert venom.bytecode != compile_contract(source).bytecode


def test_compile_errors_name_the_file(tmp_path: Path) -> None:
    bad = tmp_path / "Bad.vy"
    bad.write_text("value: public(uint257)\n")
    with pytest.raises(CompileError, match=r"Bad\.vy"):
        compile_contract(bad)
    with pytest.raises(CompileError, match="no such file"):
        compile_contract(tmp_path / "None.vy")


def test_addresses_are_checked() -> None:
    """The first vector of EIP-55."""
    good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert normalise_address(good.lower()) == normalise_address(good) == good
    with pytest.raises(ValueError, match="to: the checksum of"):
        normalise_address(good.replace("5aA", "5Aa"), "to")
    with pytest.raises(ValueError, match="expected an address of 20 bytes, got 19"):
        normalise_address(good[:-2])
