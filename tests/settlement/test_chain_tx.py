"""Transactions on both chains: signatures, nonces under threads, lost answers, the pool."""

import http.server
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import eth_account
import pytest

from provenue.settlement.artifacts import Artifact
from provenue.settlement.chain_types import keccak256, to_hex
from provenue.settlement.contract import Contract, deploy
from provenue.settlement.local_chain import LocalChain, start_chain
from provenue.settlement.rpc import ChainError, Rpc, RpcError, RpcUnavailableError
from provenue.settlement.tx import Account, NotMinedError, Sender

KEY = "0x" + "4b43" * 16
chain_test = pytest.mark.chain


@pytest.mark.parametrize("to", [None, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"])
@pytest.mark.parametrize(("nonce", "value"), [(0, 0), (127, 1), (2**40, 2**100)])
def test_signed_transaction_equals_eth_account(to: str | None, nonce: int, value: int) -> None:
    """The oracle is eth_account, another implementation of the same encoding."""
    data = bytes(range(256)) * 3
    ours = Account(KEY).sign_transaction(
        chain_id=31_337, nonce=nonce, max_priority_fee_per_gas=3, max_fee_per_gas=10**10,
        gas=90_000, to=to, value=value, data=data,
    )  # fmt: skip
    fields: dict[str, Any] = {
        "type": 2, "chainId": 31_337, "nonce": nonce, "maxPriorityFeePerGas": 3,
        "maxFeePerGas": 10**10, "gas": 90_000, "value": value, "data": data,
    }  # fmt: skip
    if to is not None:
        fields["to"] = to
    theirs = eth_account.Account.sign_transaction(fields, KEY)
    assert (to_hex(ours), to_hex(keccak256(ours))) == (
        to_hex(bytes(theirs.raw_transaction)), to_hex(bytes(theirs.hash)),
    )  # fmt: skip


@pytest.mark.parametrize("bad", ["", "0x12", "0x" + "00" * 32, "0x" + "ff" * 32, "zz" * 32])
def test_bad_private_key_is_refused_without_showing_it(bad: str) -> None:
    with pytest.raises(ValueError, match="private key: expected"):
        Account(bad)


def test_account_does_not_show_its_key() -> None:
    assert KEY[2:] not in repr(Account(KEY))


@chain_test
def test_three_threads_with_two_senders_of_one_account_use_each_nonce_once(
    sender: Sender, chain: LocalChain
) -> None:
    twin = Sender(Rpc(chain.url), sender.account)
    before = sender.rpc.nonce(sender.address)
    target = chain.accounts[0][0]

    def work(which: Sender) -> list[str]:
        return [which.send(target, value=1).tx_hash for _ in range(8)]

    with ThreadPoolExecutor(3) as pool:
        hashes = [h for hs in pool.map(work, [sender, twin, sender]) for h in hs]
    assert len(set(hashes)) == 24
    assert sender.rpc.nonce(sender.address, "latest") == before + 24
    found = sender.rpc.batch([("eth_getTransactionByHash", [h]) for h in hashes])
    assert sorted(int(tx["nonce"], 16) for tx in found) == list(range(before, before + 24))


@chain_test
def test_nonce_used_by_another_program_is_noticed(sender: Sender, chain: LocalChain) -> None:
    """The node says "nonce too low" because our (stale) reading came before the other's use."""
    other = Sender(Rpc(chain.url + "/"), sender.account)  # another URL: not the same nonce book
    target, real = chain.accounts[0][0], sender.rpc.nonce
    stale = [sender.rpc.nonce(sender.address)]
    other.send(target, value=1)
    sender.rpc.nonce = lambda *a: stale.pop() if stale else real(*a)
    try:
        assert sender.send(target, value=1).succeeded
    finally:
        sender.rpc.nonce = real
    assert not stale


@chain_test
def test_sender_follows_a_chain_that_was_set_back(own_chain: LocalChain) -> None:
    sender = Sender(own_chain.rpc, Account(own_chain.accounts[0][1]), timeout_s=10)
    target = own_chain.accounts[1][0]
    start = own_chain.rpc.balance(target)
    snapshot = own_chain.snapshot()
    gone = [sender.send(target, value=5).tx_hash for _ in range(3)]
    own_chain.revert(snapshot)
    assert own_chain.rpc.balance(target) == start
    assert own_chain.rpc.receipt(gone[0]) is None
    assert sender.send(target, value=7).block_number == 1
    assert own_chain.rpc.balance(target) == start + 7
    for used in (snapshot, "0x99"):
        with pytest.raises(ChainError, match="unknown or used up"):
            own_chain.revert(used)


@chain_test
def test_waiting_transactions_count_in_the_pending_nonce_only(own_chain: LocalChain) -> None:
    rpc = own_chain.rpc
    sender = Sender(rpc, Account(own_chain.accounts[0][1]), timeout_s=0.3)
    rpc.call("evm_setAutomine", False)
    waiting = [sender.submit(own_chain.accounts[1][0], value=v, gas=21_000) for v in (1, 2, 3)]
    assert [w.nonce for w in waiting] == [0, 1, 2]
    assert (rpc.nonce(sender.address, "latest"), rpc.nonce(sender.address)) == (0, 3)
    assert rpc.call("eth_getTransactionByHash", waiting[2].tx_hash)["blockNumber"] is None
    with pytest.raises(NotMinedError, match=r"nonce 0.*not mined within 0\.3 s"):
        sender.wait(waiting[0])
    own_chain.mine()
    receipts = [sender.wait(one) for one in waiting]
    assert {r.block_number for r in receipts} == {1}
    block = rpc.call("eth_getBlockByNumber", "0x1", False)
    assert block["transactions"] == [w.tx_hash for w in waiting]
    assert rpc.nonce(sender.address, "latest") == 3


@chain_test
def test_a_transaction_that_waits_too_long_bids_more_and_is_mined_once(
    own_chain: LocalChain,
) -> None:
    rpc, target = own_chain.rpc, own_chain.accounts[1][0]
    sender = Sender(rpc, Account(own_chain.accounts[0][1]), timeout_s=20)
    before = rpc.balance(target)
    rpc.call("evm_setAutomine", False)
    pending = sender.submit(target, value=7, gas=21_000)
    mining = threading.Timer(1.2, own_chain.mine)
    mining.start()
    receipt = sender.wait(pending, reprice_after_s=0.3)
    mining.join()
    assert receipt.tx_hash != pending.tx_hash
    mined = rpc.call("eth_getTransactionByHash", receipt.tx_hash)
    assert int(mined["nonce"], 16) == pending.nonce
    assert int(mined["maxFeePerGas"], 16) > pending.max_fee_wei * 11 // 10
    assert rpc.balance(target) == before + 7
    assert rpc.receipt(pending.tx_hash) is None
    rpc.call("evm_setAutomine", True)
    assert sender.send(target, value=1).block_number == 2


@chain_test
def test_transactions_in_one_block_number_their_logs_through(
    own_chain: LocalChain, probe_artifact: Artifact
) -> None:
    sender = Sender(own_chain.rpc, Account(own_chain.accounts[0][1]))
    probe = deploy(sender, probe_artifact, "logs", 0)
    own_chain.rpc.call("evm_setAutomine", False)
    waiting = [probe.submit(sender, "store", key, key, gas=200_000) for key in (1, 2)]
    own_chain.mine()
    receipts = [sender.wait(one) for one in waiting]
    assert [log.log_index for r in receipts for log in r.logs] == [0, 1, 2, 3]
    assert [e.args["key"] for e in probe.events("Stored")] == [1, 2]
    block = own_chain.rpc.head()
    assert sum(r.gas_used for r in receipts) == block.gas_used


@chain_test
def test_transactions_nobody_waited_for_do_not_hold_a_nonce(own_chain: LocalChain) -> None:
    """Neither once they are mined, with others mined after them, nor once the chain is set back."""
    rpc, target = own_chain.rpc, own_chain.accounts[1][0]
    account = Account(own_chain.accounts[0][1])
    sender, other = Sender(rpc, account, timeout_s=5), Sender(Rpc(rpc.url + "/"), account)
    snapshot = own_chain.snapshot()
    sender.submit(target, value=1)
    other.send(target, value=1)
    handed_in, real = [], rpc.send_raw
    rpc.send_raw = lambda raw: handed_in.append(raw) or real(raw)
    assert sender.submit(target, value=1).nonce == 2
    assert len(handed_in) == 1, "the nonce was right at the first attempt"
    own_chain.revert(snapshot)
    sender.send(target, value=1)
    assert rpc.nonce(account.address) == 1, "it is the first one again"


@chain_test
def test_same_transaction_twice_and_wrong_chain_are_refused(
    sender: Sender, chain: LocalChain
) -> None:
    fields: dict[str, Any] = {
        "nonce": sender.rpc.nonce(sender.address), "max_priority_fee_per_gas": 10**9,
        "max_fee_per_gas": 10**10, "gas": 21_000, "to": chain.accounts[0][0], "value": 1,
        "data": b"",
    }  # fmt: skip
    raw = sender.account.sign_transaction(chain_id=chain.chain_id, **fields)
    sender.rpc.send_raw(raw)
    with pytest.raises(RpcError, match=r"(?i)already|nonce too low"):
        sender.rpc.send_raw(raw)
    wrong = sender.account.sign_transaction(chain_id=1, **fields | {"nonce": fields["nonce"] + 1})
    with pytest.raises(RpcError, match=r"(?i)chain id"):
        sender.rpc.send_raw(wrong)
    with pytest.raises(RpcError):
        sender.rpc.send_raw(b"\x02\xc0")


@contextmanager
def _proxy(target: str, spoil: Callable[[bytes], bool]) -> Iterator[str]:
    """Forwards to `target`; where `spoil` says so, the answer is lost after the node has acted."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = urllib.request.Request(target, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request) as answer:
                payload = answer.read()
            if spoil(body):
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@chain_test
@pytest.mark.parametrize("lost", [1, 2])
def test_lost_answer_to_a_transaction_does_not_send_it_twice(
    sender: Sender, chain: LocalChain, lost: int
) -> None:
    left = [lost]

    def spoil(body: bytes) -> bool:
        if b"eth_sendRawTransaction" not in body or not left[0]:
            return False
        left[0] -= 1
        return True

    before = chain.rpc.nonce(sender.address)
    with _proxy(chain.url, spoil) as url:
        receipt = Sender(Rpc(url), sender.account).send(chain.accounts[0][0], value=1)
    assert receipt.succeeded
    assert left == [0], "the answer must have been lost"
    assert chain.rpc.nonce(sender.address) == before + 1


@chain_test
def test_reads_are_repeated_after_a_lost_answer_and_raw_sends_are_not(chain: LocalChain) -> None:
    seen: list[bytes] = []

    def spoil(body: bytes) -> bool:
        seen.append(body)
        return len(seen) == 1

    with _proxy(chain.url, spoil) as url:
        assert Rpc(url).call("eth_getBalance", chain.accounts[0][0], "latest")
        assert len(seen) == 2
        seen.clear()
        with pytest.raises(RpcUnavailableError, match="eth_sendRawTransaction: no answer"):
            Rpc(url).send_raw(b"\x02")
        assert len(seen) == 1


@chain_test
async def test_calls_work_from_coroutines(probe: Contract) -> None:
    assert int(await probe.rpc.acall("eth_chainId"), 16) == probe.rpc.chain_id()


@chain_test
def test_fee_cap_bounds_the_bid(probe: Contract, sender: Sender) -> None:
    cap = sender.rpc.head().base_fee_per_gas + 5
    capped = Sender(sender.rpc, sender.account, max_fee_per_gas_wei=cap)
    receipt = probe.transact(capped, "increment")
    assert receipt.effective_gas_price <= cap


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8545", "ws://127.0.0.1:1", "ftp://x", "http://", "http://h:bad", "file:///x"],
)
def test_only_http_urls_are_taken(url: str) -> None:
    with pytest.raises(ValueError, match="rpc url: expected http://HOST:PORT"):
        Rpc(url)


def test_unreachable_node_is_named_without_the_secrets_of_its_url() -> None:
    client = Rpc("http://user:secret@127.0.0.1:9/v3/apikey", attempts=1)
    with pytest.raises(RpcUnavailableError, match=r"http://127\.0\.0\.1:9: eth_chainId") as caught:
        client.chain_id()
    assert "secret" not in str(caught.value)
    assert "apikey" not in str(caught.value)


@chain_test
def test_interval_mining_keeps_the_clock(chain_kind: Any) -> None:
    with start_chain(chain_kind, block_time_s=1) as chain:
        sender = Sender(chain.rpc, Account(chain.accounts[0][1]), timeout_s=5)
        receipt = sender.send(chain.accounts[1][0], value=1)
        again = sender.send(chain.accounts[1][0], value=1)
        assert again.block_number > receipt.block_number, "a transaction waits for the next block"
        assert abs(chain.rpc.head().timestamp - time.time()) < 2.5
