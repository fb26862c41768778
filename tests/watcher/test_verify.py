"""Batches are read from L1, executed and judged; what the node withholds is never held against a
claim."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.e2e.bench import Bench
from tests.watcher.conftest import PRESET
from tests.watcher.lies import LyingChain
from tests.watcher.table import PROVENUE

from provenue import wire
from provenue.engine import guest_elf
from provenue.settlement.rpc import Rpc
from provenue.watcher.history import SNAPSHOT_EVERY_BATCHES, History
from provenue.watcher.l1 import L1
from provenue.watcher.source import Source, open_archive
from provenue.watcher.traces import GuestTraps
from provenue.watcher.verify import Verdict, Verifier

pytestmark = [pytest.mark.chain, pytest.mark.e2e]


def _verifier(
    bench: Bench, tmp_path: Path, folder: str = "watcher", rpc: Rpc | None = None
) -> Verifier:
    """One that knows the Anchor's address and a node, and nothing else."""
    l1 = L1.from_anchor(rpc or Rpc(bench.chain.url), bench.deployment.contracts["Anchor"])
    archive = open_archive(tmp_path / folder, l1)
    traps = GuestTraps(guest_elf(PRESET))
    history = History(archive, preset=PRESET, domain=l1.domain, traps=traps)
    return Verifier(l1, archive, history, Source(l1, archive, history, depth="latest"))


def _post_batches(bench: Bench, count: int, lies: dict[int, int] | None = None) -> None:
    """The first opens the venue; each has trades in it."""
    if bench.anchor.batch_count() == 0:
        bench.open()
    worker = bench.new_worker()
    worker._chain = LyingChain(bench.anchor, lies or {})
    for _ in range(count):
        bench.trade(2)
        bench.close_batch()
        worker.step()


def _run(bench: Bench, *options: str) -> tuple[int, dict[str, Any]]:
    """The command, with its JSON."""
    command = [
        sys.executable, "-m", "provenue.cli.main", "verify", "--rpc-url", bench.chain.url,
        "--anchor", bench.deployment.contracts["Anchor"], "--preset", "minimal", "--json", *options,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, json.loads(done.stdout or "{}")


def _heard(bench: Bench, *options: str) -> tuple[int, str]:
    """The command; exit status and what it said on standard error."""
    command = [*PROVENUE, "verify", "--rpc-url", bench.chain.url, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stderr


def test_right_claims_are_right_and_the_history_ends_at_the_chains_root(
    each_bench: Bench, tmp_path: Path
) -> None:
    bench = each_bench
    _post_batches(bench, 3)
    verifier = _verifier(bench, tmp_path)
    for number in range(3):
        found = verifier.batch(number)
        assert found.status is Verdict.RIGHT, found
        assert [claim.right for claim in found.claims] == [True]
    assert verifier.history.engine.root() == bench.sequencer.engine.root()
    status, whole = _run(bench, "--all")
    assert status == 0
    assert whole["batches"] == 3
    assert whole["same_root"]
    assert whole["root"] == whole["chain_root"] == bench.sequencer.engine.root().hex()


def test_a_wrong_claim_is_told_from_those_that_only_stand_on_it(
    each_bench: Bench, tmp_path: Path
) -> None:
    bench = each_bench
    _post_batches(bench, 3, lies={1: 2})
    verifier = _verifier(bench, tmp_path)
    assert verifier.batch(0).status is Verdict.RIGHT
    wrong = verifier.batch(1)
    assert wrong.status is Verdict.WRONG
    assert bytes.fromhex(wrong.start_root) == bench.anchor.claims(1)[0].start_root
    # The roots of batch 2 are right, but it claims to start from what batch 1 does not end with.
    after = verifier.batch(2)
    assert after.status is Verdict.WRONG
    assert bytes.fromhex(after.claim_root) == bench.anchor.claims(2)[0].claim_root
    assert _run(bench, "--batch", "0")[0] == 0
    status, found = _run(bench, "--batch", "1")
    assert status == 1
    assert found["claims"][0]["right"] is False
    status, whole = _run(bench, "--all")
    assert status == 1
    assert whole["wrong_batches"] == [1, 2]


def test_a_batch_that_is_not_there_cannot_be_judged(bench: Bench) -> None:
    _post_batches(bench, 1)
    assert _run(bench, "--batch", "1")[0] == 2
    assert _run(bench)[0] == 2
    assert _run(bench, "--batch", "0", "--all")[0] == 2


def test_a_venue_that_is_not_on_the_nodes_chain_is_refused_and_not_judged(
    bench: Bench, tmp_path: Path
) -> None:
    """On another chain every signature would seem forged, and each right claim wrong."""
    _post_batches(bench, 1)
    contracts = bench.deployment.contracts
    for change, message in (
        ({"chain_id": 5}, "the deployment is on chain 5"),
        ({"contracts": {}}, "contracts: expected the address of Anchor, was left out"),
        ({"contracts": contracts | {"Anchor": contracts["Vault"]}}, "is no Anchor"),
        ({"contracts": contracts | {"Anchor": "0x" + "11" * 20}}, "has no contract at 0x1111"),
        ({"contracts": contracts | {"Inbox": contracts["Vault"]}}, "its Anchor names 0x"),
    ):
        file = tmp_path / "deployment.json"
        msgspec.structs.replace(bench.deployment, **change).save(file)
        status, heard = _heard(bench, "--deployment", str(file), "--batch", "0")
        assert status == 2
        assert message in heard
    status, heard = _heard(bench, "--anchor", contracts["Vault"], "--batch", "0")
    assert status == 2
    assert f"anchor: {contracts['Vault']} is no Anchor" in heard


class ForgetfulRpc(Rpc):
    """A node that has pruned one transaction, or some events."""

    def __init__(self, url: str, *, transaction: str = "", events: bool = False) -> None:
        super().__init__(url)
        self._transaction = transaction
        self._events = events

    def call(self, method: str, *params: Any) -> Any:
        answer = super().call(method, *params)
        if method == "eth_getTransactionByHash" and params[0] == self._transaction:
            return None
        return [] if self._events and method == "eth_getLogs" else answer


@pytest.mark.parametrize("what", ["transaction", "events"])
def test_what_the_node_withholds_is_unknown_and_not_wrong(
    bench: Bench, tmp_path: Path, what: str
) -> None:
    _post_batches(bench, 3, lies={2: 0})
    tx_hash = bench.anchor.batches()[1].tx_hash
    rpc = ForgetfulRpc(
        bench.chain.url,
        transaction=tx_hash if what == "transaction" else "",
        events=what == "events",
    )
    verifier = _verifier(bench, tmp_path, rpc=rpc)
    found = verifier.batch(2)
    assert found.status is Verdict.UNKNOWN
    assert "batch" in found.reason
    # With a node that has it, the same folder goes on.
    assert _verifier(bench, tmp_path).batch(2).status is Verdict.WRONG


def test_padding_that_a_strict_decoder_refuses_hides_no_batch(bench: Bench, tmp_path: Path) -> None:
    """The contract takes calldata with any bytes behind the end of `data`; so do we."""
    bench.open()
    bench.trade(2)
    bench.close_batch()
    worker = bench.new_worker()
    proven = worker._next_proven()
    assert proven is not None
    assert len(proven.posted) % 32, "no padding to fill"
    claim = proven.claim
    calldata = bytearray(
        bench.anchor.contract.encode(
            "post",
            {
                "batch": 0,
                "stamp_min_ms": proven.header.stamp_min_ms,
                "stamp_max_ms": proven.header.stamp_max_ms,
                "forced": False,
            },
            [wire.slot_root(message) for message in proven.batch.inbox],
            {
                "start_root": worker._root,
                "claim_root": claim.root,
                "end_root": claim.final_root,
                "last_siblings": claim.final_proof,
            },
            proven.posted,
        )
    )
    calldata[-1] = 0xFF
    sender = bench.anchor._writer("post")
    sender.send(bench.deployment.contracts["Anchor"], bytes(calldata), gas=8_000_000)
    found = _verifier(bench, tmp_path).batch(0)
    assert found.status is Verdict.RIGHT, found.reason


def test_a_damaged_file_is_read_from_the_chain_again(bench: Bench, tmp_path: Path) -> None:
    _post_batches(bench, 2)
    bench.finalize()
    assert _verifier(bench, tmp_path).batch(1).status is Verdict.RIGHT
    path = tmp_path / "watcher" / "batches" / "0000000000.batch"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    verifier = _verifier(bench, tmp_path)
    assert verifier.batch(1).status is Verdict.RIGHT
    assert path.read_bytes() != bytes(data)


def test_an_archive_of_another_venue_is_refused(bench: Bench, tmp_path: Path) -> None:
    _post_batches(bench, 1)
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "archive.json").write_text(json.dumps({"chain_id": 1, "anchor": "0x" + "11" * 20}))
    status, _ = _run(bench, "--batch", "0", "--data", str(folder))
    assert status == 2


def test_batches_that_a_reorganisation_replaced_are_judged_anew(
    bench: Bench, tmp_path: Path
) -> None:
    _post_batches(bench, 1)
    verifier = _verifier(bench, tmp_path)
    before = bench.chain.snapshot()
    _post_batches(bench, 1)
    assert verifier.batch(1).status is Verdict.RIGHT
    old = verifier.archive.load(1)
    bench.chain.revert(before)
    # The same batch number with other data: the operator's journal is not what counts.
    tick = wire.encode_posted([wire.encode(wire.Tick())])
    now_ms = verifier.archive.load(0).head.stamp_max_ms
    header = wire.Header(batch=1, stamp_min_ms=now_ms, stamp_max_ms=now_ms)
    root = verifier.history.engine_at(1).root()
    claim = wire.ClaimTree([wire.keccak256(b"not what it does")])
    bench.anchor.post(header, [], tick, root, claim)
    bench.chain.mine(3)
    found = verifier.batch(1)
    assert found.status is Verdict.WRONG
    assert verifier.archive.load(1).data == tick != old.data
    assert _verifier(bench, tmp_path, "fresh").batch(1).claim_root == found.claim_root


def test_a_restart_goes_on_from_a_snapshot(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provenue.watcher.history.SNAPSHOT_EVERY_BATCHES", 2)
    assert SNAPSHOT_EVERY_BATCHES > 2
    _post_batches(bench, 3)
    assert _verifier(bench, tmp_path).batch(2).status is Verdict.RIGHT
    verifier = _verifier(bench, tmp_path)
    verifier.source.update()
    verifier.history.start(2)
    assert verifier.history.next_batch == 2
    assert verifier.batch(2).status is Verdict.RIGHT
    verifier.history.start(1)
    assert verifier.history.next_batch == 0
