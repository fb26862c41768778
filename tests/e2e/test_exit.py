"""The operator is gone for good, positions are open on both sides: everybody gets out with what L1
has, and a price signer's signed prices (or, long after, without any price)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.e2e.bench import DEPOSIT_UNITS, MARK_UNITS, SIGNER_KEYS, Bench

from provenue import wire
from provenue._generated.constants import AMOUNT_MAX, MARK_ABANDONED_MS
from provenue.settlement.anvil import AnvilUnavailableError, find_anvil
from provenue.settlement.deploy_config import DEV_DELAYS
from provenue.settlement.local_chain import start_chain
from provenue.settlement.tx import Account, Sender

pytestmark = [pytest.mark.chain, pytest.mark.e2e, pytest.mark.slow]

PROVENUE = [sys.executable, "-m", "provenue.cli.main"]
DELAYS = msgspec.structs.replace(
    DEV_DELAYS, challenge_window_s=600, stamp_lag_ms=10 * MARK_ABANDONED_MS
)


@pytest.fixture(params=["anvil", "eth-tester"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "anvil":
        try:
            find_anvil()
        except AnvilUnavailableError as error:
            pytest.skip(f"anvil: {error}")
    with start_chain(kind=request.param, account_count=8) as chain:
        folder = tmp_path / "operator"
        folder.mkdir()
        made = Bench(chain, folder, DELAYS)
        made.deployment.save(tmp_path / "venue.json")
        yield made


def _abandoned_by_its_operator(bench: Bench) -> None:
    """Two traders with positions against each other, everything anchored; then silence."""
    bench.open()
    bench.trade(3)
    worker = bench.new_worker()
    bench.close_batch()
    while worker.step():
        pass
    bench.finalize()


def _done(
    bench: Bench, folder: Path, number: int, *command: str
) -> subprocess.CompletedProcess[str]:
    """A command of a user with an account of its own."""
    arguments = [*PROVENUE, *command, "--rpc-url", bench.chain.url, "--key",
                 bench.traders[number][1], "--deployment", str(folder / "venue.json")]  # fmt: skip
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=200)


def _run(bench: Bench, folder: Path, command: str, number: int, *options: str) -> Any:
    """One that succeeds, with an archive of its own."""
    data = str(folder / f"user-{number}")
    done = _done(bench, folder, number, command, "--data", data, *options)
    assert done.returncode == 0, done.stderr[-2_000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def _force(bench: Bench, folder: Path, number: int, *options: str) -> Any:
    """`provenue force`, which succeeds."""
    done = _done(bench, folder, number, "force", *options)
    assert done.returncode == 0, done.stderr[-2_000:]
    return json.loads(done.stdout)


def _now_ms(bench: Bench) -> int:
    return bench.chain.rpc.head().timestamp * 1_000


def _signed_prices(bench: Bench, path: Path, price_units: int) -> Path:
    """What two price signers publish at L1's time, whoever relays it."""
    lines = []
    for signer in range(2):
        unsigned = wire.Prices(
            signer=signer,
            published_at_ms=_now_ms(bench),
            entries=(wire.PricesEntry(feed=0, price=price_units),),
        )
        signed = wire.sign(unsigned, SIGNER_KEYS[signer], bench.deployment.domain)
        lines.append(wire.encode(signed).hex())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _sender(bench: Bench, number: int) -> Sender:
    return Sender(bench.chain.rpc, Account(bench.traders[number][1]))


def _anchor_forced(bench: Bench, folder: Path, number: int, *, price_units: int = 0) -> Any:
    """Wait until anybody may, post, and wait until it is final."""
    bench.chain.increase_time(DELAYS.forced_delay_s + 1)
    bench.chain.mine()
    options: list[str] = []
    if price_units:
        path = _signed_prices(bench, folder / "prices.txt", price_units)
        options = ["--prices", str(path)]
    (report,) = _run(bench, folder, "anchor", number, "--forced", *options)
    bench.chain.increase_time(DELAYS.challenge_window_s + 1)
    bench.anchor.finalize()
    return report


def _wallet(bench: Bench, number: int) -> int:
    address = bench.traders[number][0]
    return int(bench.vault.token(0).call("balanceOf", address))


def test_both_sides_of_a_position_leave_without_the_operator(bench: Bench, tmp_path: Path) -> None:
    _abandoned_by_its_operator(bench)
    for number in (0, 1):
        before = _wallet(bench, number)
        _force(bench, tmp_path, number, "close")
        closed = _anchor_forced(bench, tmp_path, number, price_units=MARK_UNITS)
        assert (closed["inbox_items"], closed["rejected"], closed["work_left"]) == (1, [], False)
        report = _force(bench, tmp_path, number, "withdraw", "--asset", "USDC")
        assert (report["action"], report["owner"]) == ("withdraw", bench.traders[number][0])
        taken = _anchor_forced(bench, tmp_path, number)
        assert (taken["inbox_items"], taken["rejected"]) == (1, [])
        (paid,) = _run(bench, tmp_path, "claim", number)
        # Slippage and fees are a small part of a small position.
        assert DEPOSIT_UNITS * 99 // 100 < paid["amount_units"] < DEPOSIT_UNITS * 101 // 100
        assert _wallet(bench, number) == before + paid["amount_units"]
        again = _done(bench, tmp_path, number, "claim", "--data", str(tmp_path / f"user-{number}"))
        assert (again.returncode, again.stdout) == (0, ""), "nothing is paid twice"
        assert f"nothing to pay to {bench.traders[number][0]}" in again.stderr
    verified = subprocess.run(
        [*PROVENUE, "verify", "--rpc-url", bench.chain.url, "--deployment",
         str(tmp_path / "venue.json"), "--all", "--json"],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert json.loads(verified.stdout)["verdict"] == "right"


def test_without_any_price_for_a_day_positions_settle_at_the_last_mark(
    bench: Bench, tmp_path: Path
) -> None:
    _abandoned_by_its_operator(bench)
    bench.chain.increase_time(MARK_ABANDONED_MS // 1_000 + 1)
    for number in (0, 1):
        bench.inbox.forced_close(_sender(bench, number), subaccount=0)
    closed = _anchor_forced(bench, tmp_path, 0)
    assert (closed["inbox_items"], closed["rejected"], closed["work_left"]) == (2, [], False)
    paid = []
    for number in (0, 1):
        bench.inbox.forced_withdraw(
            _sender(bench, number), subaccount=0, asset=0, amount_units=AMOUNT_MAX,
            recipient=bench.traders[number][0],
        )  # fmt: skip
    _anchor_forced(bench, tmp_path, 1)
    for number in (0, 1):
        (one,) = _run(bench, tmp_path, "claim", number)
        paid.append(one["amount_units"])
    # At the mark there is no slippage and no fee: what the two have is what they had, less the
    # fees of their trades.
    assert 2 * DEPOSIT_UNITS * 999 // 1_000 < sum(paid) <= 2 * DEPOSIT_UNITS


def test_before_an_item_is_overdue_only_the_operator_posts(bench: Bench, tmp_path: Path) -> None:
    _abandoned_by_its_operator(bench)
    bench.inbox.forced_cancel(_sender(bench, 0), subaccount=0)
    for options, reason in (
        (["--forced"], "may be posted by anyone from L1 time"),
        ([], "forced: expected --forced"),
    ):
        done = subprocess.run(
            [*PROVENUE, "anchor", "--rpc-url", bench.chain.url, "--key", bench.traders[0][1],
             "--deployment", str(tmp_path / "venue.json"), "--data", str(tmp_path / "x"), *options],
            capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip
        assert done.returncode == 1
        assert reason in done.stderr


def test_orders_and_session_keys_go_by_the_inbox_and_mistakes_are_named(
    bench: Bench, tmp_path: Path
) -> None:
    _abandoned_by_its_operator(bench)
    _force(bench, tmp_path, 0, "cancel")
    assert _force(bench, tmp_path, 0, "revoke", "--slot", "1")["slot"] == 1
    report = _anchor_forced(bench, tmp_path, 0)
    assert report["inbox_items"] == 2
    for options, message in (
        (("cancel", "--subaccount", "256"), "subaccount: expected 0 to 255, was 256"),
        (("revoke", "--slot", "-1"), "slot: expected 0 to 255, was -1"),
        (("withdraw", "--asset", "EUR"), "asset: expected one of USDC"),
        (("withdraw", "--asset", "USDC", "--amount-units", "0"), "amount-units: expected 1 to"),
        (("withdraw", "--asset", "USDC", "--to", "0x12"), "to: expected an address"),
    ):
        done = _done(bench, tmp_path, 0, "force", *options)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"provenue force {options[0]}: {message}" in done.stderr
