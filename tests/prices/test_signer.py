"""Signing, relaying, and the signer as a process."""

import asyncio
import functools
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.prices.operator import Operator

from provenue import wire
from provenue.cli.main import main
from provenue.client.keys import Key, address_text
from provenue.prices import FixedPrices, PriceSigner, Relay, RelayError, RisingClock, run_signer

DOMAIN = wire.Domain(31337, b"\x11" * 20)
KEY = Key(b"\x21" * 32)
NOW_MS = 1_790_000_000_000


def make_signer(state: Path | None = None, feeds: tuple[int, ...] = (3, 0)) -> PriceSigner:
    return PriceSigner(domain=DOMAIN, index=2, key=KEY, feeds=feeds, clock=RisingClock(state))


def test_a_vector_rises_by_feed_and_recovers_to_the_signer() -> None:
    message = make_signer().sign({0: 5, 3: 7, 9: 1}, NOW_MS)
    assert message is not None
    assert message.entries == (wire.PricesEntry(0, 5), wire.PricesEntry(3, 7))
    assert (message.signer, message.published_at_ms) == (2, NOW_MS)
    assert wire.recover(message, DOMAIN) == KEY.address


def test_feeds_without_a_good_price_are_left_out() -> None:
    signer = make_signer()
    message = signer.sign({0: 0, 3: 7}, NOW_MS)
    assert message is not None
    assert message.entries == (wire.PricesEntry(3, 7),)
    assert signer.sign({0: 2**40 + 1, 9: 5}, NOW_MS) is None


def test_times_rise_when_the_clock_stands_or_goes_back_and_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "time"
    clock = RisingClock(state)
    assert [clock.next_ms(now) for now in (100, 100, 90, 200)] == [100, 101, 102, 200]
    restarted = RisingClock(state)
    assert [restarted.next_ms(now) for now in (150, 300)] == [201, 300]
    assert state.read_text(encoding="ascii") == "300\n"
    state.write_text("soon", encoding="ascii")
    with pytest.raises(ValueError, match="expected the time of the last signed price in ms"):
        RisingClock(state)


def test_bad_settings_are_named() -> None:
    for feeds, text in (
        ((), "feeds: expected 1 to 31, was 0"),
        (tuple(range(32)), "feeds: expected 1 to 31, was 32"),
        ((1, 1), "feeds: expected different numbers"),
    ):
        with pytest.raises(ValueError, match=text):
            make_signer(feeds=feeds)
    with pytest.raises(ValueError, match="index: expected 0 to 7, was 8"):
        PriceSigner(domain=DOMAIN, index=8, key=KEY, feeds=[0], clock=RisingClock(None))
    with pytest.raises(ValueError, match="api: expected an http, https, ws or wss URL"):
        Relay("ftp://127.0.0.1")


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_a_vector_reaches_the_operator_and_a_refusal_comes_back(scheme: str) -> None:
    async with Operator(DOMAIN) as operator, Relay(f"{scheme}://127.0.0.1:{operator.port}") as way:
        operator.noise = True
        message = make_signer().sign({0: 5}, NOW_MS)
        assert message is not None
        assert await way.send(wire.encode(message)) == {"sequence": 1}
        with pytest.raises(RelayError, match="refused: PRICE_NOT_NEWER") as caught:
            await way.send(wire.encode(message))
        assert caught.value.reason == "PRICE_NOT_NEWER"
        assert operator.received == [message]
        assert operator.signers == [KEY.address]


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_the_service_survives_an_operator_that_restarts(scheme: str) -> None:
    stop = asyncio.Event()
    operator = Operator(DOMAIN)
    async with operator:
        relay = Relay(f"{scheme}://127.0.0.1:{operator.port}", timeout_s=1)
        running = asyncio.create_task(
            run_signer(make_signer(), FixedPrices({0: 5}), relay, interval_ms=20, stop=stop)
        )
        await _until(lambda: len(operator.received) >= 3)
    before = len(operator.received)
    await asyncio.sleep(0.1)
    async with operator:
        await _until(lambda: len(operator.received) >= before + 3)
        stop.set()
        assert await running == len(operator.received)
        await relay.close()
    times = [message.published_at_ms for message in operator.received]
    assert all(a < b for a, b in itertools.pairwise(times))


def _has(operator: Operator, count: int) -> bool:
    return len(operator.received) >= count


async def _until(reached: Callable[[], bool], timeout_s: int = 20) -> None:
    for _ in range(timeout_s * 100):
        if reached():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"expected within {timeout_s} s")


@asynccontextmanager
async def signer_process(
    operator: Operator, state: Path, *options: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, object]]]:
    """`provenue price-signer` as a process; ends it by its id."""
    command = [
        sys.executable, "-m", "provenue.cli.main", "price-signer", "--key", "env:SIGNER_KEY",
        "--index", "2", "--chain-id", "31337", "--anchor", address_text(DOMAIN.anchor),
        "--api", f"ws://127.0.0.1:{operator.port}", "--interval-ms", "20", "--state", str(state),
        *options,
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "SIGNER_KEY": KEY.secret().hex()},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        yield process, json.loads(line)
    finally:
        if process.returncode is None:
            process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_the_process_signs_a_walk_and_times_rise_over_restarts(tmp_path: Path) -> None:
    state = tmp_path / "time"
    walk = ("--source", "walk", "--prices", "0=65000000000,1=2500000000", "--seed", "9")
    async with Operator(DOMAIN) as operator:
        for wanted in (3, 6):
            async with signer_process(operator, state, *walk) as (_, ready):
                assert ready["address"] == "0x" + KEY.address.hex()
                assert ready["feeds"] == [0, 1]
                await _until(functools.partial(_has, operator, wanted))
            # As if the clock had been a minute ahead: the next start must not sign an old time.
            if wanted == 3:
                last = int(state.read_text(encoding="ascii"))
                state.write_text(f"{last + 60_000}\n", encoding="ascii")
        times = [message.published_at_ms for message in operator.received]
        assert all(a < b for a, b in itertools.pairwise(times))
        assert times[-1] > last + 60_000
        assert set(operator.signers) == {KEY.address}
        assert all(
            30_000_000_000 < message.entries[0].price < 130_000_000_000
            for message in operator.received
        )


async def test_the_process_signs_what_is_written_to_its_pipe_and_ends_with_it(
    tmp_path: Path,
) -> None:
    async with Operator(DOMAIN) as operator:
        options = ("--source", "stdin", "--feeds", "0,7")
        async with signer_process(operator, tmp_path / "time", *options) as (process, _):
            assert process.stdin is not None
            process.stdin.write(b'{"prices": {"7": 41}}\nnot json\n{"prices": {"7": 42, "9": 1}}\n')
            await _until(
                lambda: any(m.entries == (wire.PricesEntry(7, 42),) for m in operator.received)
            )
            process.stdin.close()
            assert await asyncio.wait_for(process.wait(), 20) == 0


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--anchor", "0x12", "anchor: address: expected 0x and 40 hexadecimal digits"),
        ("--chain-id", "-1", "chain-id: expected 0 to 2^64 - 1, was -1"),
        ("--index", "9", "index: expected 0 to 7, was 9"),
        ("--prices", "0=x", "prices: expected FEED=UNITS"),
        ("--prices", "", "prices: expected FEED=UNITS,... for the source walk, was empty"),
        ("--feeds", "0,b", "feeds: expected numbers separated by commas"),
        ("--interval-ms", "1", "interval-ms: expected at least 10, was 1"),
        ("--api", "127.0.0.1:80", "api: expected an http, https, ws or wss URL"),
        ("--api", "http://127.0.0.1:99999", "api: expected an http, https, ws or wss URL"),
        ("--api", "http://[::1", "api: expected an http, https, ws or wss URL"),
        ("--state", "/", "state: /: expected the time of the last signed price: Is a directory"),
        ("--key", "env:NOT_SET_HERE", "expected the environment variable NOT_SET_HERE"),
    ],
)
def test_the_command_refuses_bad_settings_with_the_field(
    option: str, value: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "--key": "0x" + "21" * 32, "--index": "0", "--chain-id": "1", "--feeds": "0",
        "--anchor": address_text(DOMAIN.anchor), "--api": "http://127.0.0.1:1",
        "--prices": "0=5", "--state": str(tmp_path / "time"), option: value,
    }  # fmt: skip
    assert main(["price-signer", *itertools.chain(*settings.items())]) == 2
    assert text in capsys.readouterr().err
    assert not (tmp_path / "time").exists()
