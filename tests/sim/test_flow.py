"""Files of recorded order flow: what is wrong with one is said with its place, at once."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from provenue.sim.flow import FlowError, bitstamp_events, open_flow

HEAD = "id,timestamp,exchange.timestamp,price,volume,action,direction\n"
GOOD = "1,2,1,236.47,200000000,created,bid\n"
LONG = HEAD + "".join(f"{n},{n},1,236.{n % 100:02},{n},created,ask\n" for n in range(1, 5_000))


def test_created_and_deleted_orders_are_read_and_fills_of_that_venue_passed_over(
    tmp_path: Path,
) -> None:
    path = tmp_path / "flow.csv"
    path.write_text(HEAD + GOOD + "1,3,1,236.47,5,changed,bid\n" + "1,4,1,236.47,0,deleted,bid\n")
    seen = [(e.time_ms, e.order, e.created, e.price_units) for e in bitstamp_events(path)]
    assert seen == [(2, 1, True, 236_470_000), (4, 1, False, 236_470_000)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: columns missing: id, timestamp, price"),
        (HEAD, "expected at least one created order, found none"),
        (HEAD + GOOD.replace("created", "changed"), "expected at least one created order"),
        (HEAD + "1,2\n", "line 2: action and direction"),
        (HEAD + GOOD.replace("236.47", "NaN"), "line 2: price: expected"),
        (HEAD + GOOD.replace("236.47", "Infinity"), "line 2: price: expected"),
        (HEAD + GOOD.replace("236.47", "1e999999"), "line 2: price: expected"),
        (HEAD + GOOD.replace("236.47", "0"), "line 2: price: expected"),
        (HEAD + GOOD.replace("236.47", "-1"), "line 2: price: expected"),
        (HEAD + GOOD.replace("236.47", "cheap"), "line 2: expected numbers"),
        (HEAD + GOOD.replace("200000000", "-1"), "line 2: volume: expected"),
        (HEAD + GOOD.replace("200000000", "9" * 30), "line 2: volume: expected"),
        (HEAD + GOOD.replace("200000000", "9" * 5_000), "line 2: expected numbers"),
        (HEAD + GOOD + '"' + "x" * 200_000 + '"', "line 3: not readable"),
    ],
    ids=lambda _: "",
)
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "flow.csv"
    path.write_text(text)
    with pytest.raises(FlowError) as told:
        list(bitstamp_events(path))
    assert f"{path}: {problem}" in str(told.value)
    assert len(str(told.value)) < 500


@pytest.mark.parametrize(
    ("name", "spoilt"),
    [
        ("cut.csv.xz", lzma.compress(LONG.encode())[:-40]),
        ("head.csv.xz", lzma.compress(LONG.encode())[:4]),
        ("plain.csv.xz", LONG.encode()),
        ("cut.csv.gz", gzip.compress(LONG.encode())[:-400]),
        ("overwritten.csv.gz", gzip.compress(LONG.encode())[:200] + bytes(300)),
        ("plain.csv.gz", LONG.encode()),
        ("bytes.csv", LONG.encode() + b"\xff\xfe\n"),
        ("packed.csv", lzma.compress(LONG.encode())),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_file_is_told_when_its_damage_is_reached(
    tmp_path: Path, name: str, spoilt: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(spoilt)
    with pytest.raises(FlowError) as told:
        list(bitstamp_events(path))
    assert f"{path}: line " in str(told.value)
    assert "not readable" in str(told.value)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(FlowError, match="--replay: expected a file"):
            open_flow(path, tmp_path, 1)
