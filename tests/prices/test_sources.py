"""Where prices come from."""

import json
import statistics

import aiohttp
import pytest

from provenue._generated.constants import PRICE_MAX
from provenue.prices import FixedPrices, PushedPrices, WalkingPrices, parse_prices

START = {0: 65_000_000_000, 3: 2_500_000_000}
KNOT_MS = 1 << 22
NOW_MS = 1_790_000_000_000


def test_a_table_reads_and_refuses_what_it_cannot_mean() -> None:
    assert parse_prices("0=65000000000, 3=2500000000") == START
    for text, problem in (
        ("", "expected FEED=UNITS"),
        ("0", "expected FEED=UNITS"),
        ("0=1.5", "expected FEED=UNITS"),
        ("0=0", "price of feed 0: expected 1 to"),
        (f"0={PRICE_MAX + 1}", "price of feed 0: expected 1 to"),
        ("65535=1", "feed: expected 0 to 65534"),
        ("1=5,1=6", "feed 1 twice"),
    ):
        with pytest.raises(ValueError, match=problem):
            parse_prices(text)
    assert FixedPrices(START).prices(7) == START


def test_signers_with_one_seed_see_one_market_and_others_another() -> None:
    first, second = WalkingPrices(START, seed=5), WalkingPrices(START, seed=5)
    second.prices(NOW_MS - 77)  # what was asked before does not matter
    assert first.prices(NOW_MS) == second.prices(NOW_MS)
    assert first.prices(NOW_MS) != WalkingPrices(START, seed=6).prices(NOW_MS)


def test_the_walk_has_the_promised_swing_and_no_jumps() -> None:
    """Standard deviations: swing at the knots; increments grow with the root of time."""
    swing_ppm = 10_000
    walk = WalkingPrices({0: 10**10}, seed=11, swing_ppm=swing_ppm)

    def ppm(time_ms: int) -> float:
        return walk.prices(time_ms)[0] / 10**4 - 10**6

    knots = [ppm(index * KNOT_MS) for index in range(2_000)]
    assert abs(statistics.fmean(knots)) < 4 * swing_ppm / 2_000**0.5
    assert statistics.pstdev(knots) == pytest.approx(swing_ppm, rel=0.08)

    def deviation(step_ms: int) -> float:
        starts = [index * KNOT_MS + index * 7_919 % (KNOT_MS // 2) for index in range(1_500)]
        return statistics.pstdev([ppm(at + step_ms) - ppm(at) for at in starts])

    second, sixteen_seconds = deviation(1_024), deviation(16_384)
    assert sixteen_seconds / second == pytest.approx(4, rel=0.2)
    expected = swing_ppm * 2**0.5 * (1_024 / KNOT_MS) ** 0.5
    assert second == pytest.approx(expected, rel=0.2)


def test_the_walk_is_continuous_at_every_knot_and_halving() -> None:
    walk = WalkingPrices({0: 10**10}, seed=3, swing_ppm=10_000)
    for time_ms in (NOW_MS // KNOT_MS * KNOT_MS, 5 * KNOT_MS + KNOT_MS // 2, 9 * KNOT_MS + 256):
        before, at = walk.prices(time_ms - 1)[0], walk.prices(time_ms)[0]
        assert abs(before - at) <= 10**10 // 10**6 * 25, time_ms


def test_a_walk_stays_positive_and_refuses_wild_swings() -> None:
    walk = WalkingPrices({0: 1, 1: PRICE_MAX}, seed=1, swing_ppm=250_000)
    for index in range(300):
        found = walk.prices(index * KNOT_MS)
        assert 1 <= found[0] <= 4
        assert PRICE_MAX // 4 <= found[1] <= PRICE_MAX
    with pytest.raises(ValueError, match="swing_ppm: expected 0 to 250000, was 250001"):
        WalkingPrices(START, seed=1, swing_ppm=250_001)


def test_pushed_prices_are_kept_while_fresh() -> None:
    now = 1_000
    pushed = PushedPrices(fresh_ms=100, clock=lambda: now)
    assert pushed.prices(0) == {}
    pushed.push(b'{"prices": {"0": 5, "2": 7}}')
    now = 1_060
    pushed.push(b'{"prices": {"2": 8}}')
    now = 1_100
    assert pushed.prices(0) == {0: 5, 2: 8}
    now = 1_101
    assert pushed.prices(0) == {2: 8}


@pytest.mark.parametrize(
    "text",
    [
        b"", b"5", b"{}", b'{"prices": {"0": 1.5}}', b'{"prices": {"x": 1}}',
        b'{"prices": {"0": 5}, "time": 3}', b'{"prices": {"0": 5, "1": 0}}',
        b'{"prices": {"0": 5, "65536": 1}}', b'{"prices": {"0": 5, "1": 1099511627777}}',
    ],
)  # fmt: skip
def test_a_bad_push_is_refused_as_a_whole(text: bytes) -> None:
    pushed = PushedPrices()
    with pytest.raises(ValueError, match=r"^push"):
        pushed.push(text)
    assert pushed.prices(0) == {}


async def test_pushes_over_http_are_taken_as_json_only() -> None:
    pushed = PushedPrices()
    runner, port = await pushed.serve(0)
    url = f"http://127.0.0.1:{port}/prices"
    try:
        async with aiohttp.ClientSession() as client:
            async with client.post(url, json={"prices": {"1": 9}}) as answer:
                assert answer.status == 204
            async with client.post(url, data=json.dumps({"prices": {"1": 4}})) as answer:
                assert answer.status == 415
            async with client.post(url, json={"prices": {"1": -1}}) as answer:
                assert answer.status == 400
                assert "push.prices[1]" in (await answer.json())["error"]
    finally:
        await runner.cleanup()
    assert pushed.prices(0) == {1: 9}
