"""Signed price vectors: medians as a table, what is fresh, whose clock counts."""

from typing import Any

import pytest
from tests.differential.wire import make_signers
from tests.spec.venue import MARK, USD, Venue

from provenue.spec.constants import Code, EventKind, Kind


@pytest.mark.parametrize(
    ("quorum", "values", "median"),
    [
        (1, [70], 70), (2, [70, 90], 70), (3, [90, 70, 80], 80), (3, [1, 80, 1_000_000], 80),
        (4, [4, 3, 2, 1], 2), (5, [5, 1, 4, 2, 3], 3), (8, [8, 7, 6, 5, 4, 3, 2, 1], 4),
        (2, [70, 70], 70),
    ],
)  # fmt: skip
def test_median(venue: Venue, quorum: int, values: list[int], median: int) -> None:
    venue.signers(quorum, len(values))
    for signer, value in enumerate(values):
        assert venue.line("F", 0)[1] == str(MARK * USD)  # below the quorum the feed stays
        assert venue.publish({0: value}, signer=signer)[0] == Code.OK
    assert int(venue.line("F", 0)[1]) == median * USD


def test_a_price_counts_for_thirty_seconds(venue: Venue) -> None:
    venue.signers(2, 3)
    venue.publish({0: 70}, signer=0)
    venue.now_ms += 30_000
    venue.publish({0: 90}, signer=1)
    assert int(venue.line("F", 0)[1]) == 70 * USD
    venue.now_ms += 30_001
    venue.publish({0: 50}, signer=2)  # both others are too old now
    assert int(venue.line("F", 0)[1]) == 70 * USD


@pytest.mark.parametrize(
    ("offset_ms", "code"),
    [
        (2_000, "OK"), (2_001, "PRICE_FROM_FUTURE"), (-30_000, "OK"), (-30_001, "PRICE_TOO_OLD"),
        (-100_000_000, "PRICE_TOO_OLD"),
    ],
)  # fmt: skip
def test_a_signers_clock_may_differ_by_so_much(venue: Venue, offset_ms: int, code: str) -> None:
    venue.signers(1, 1)
    venue.now_ms += 200_000_000
    at = venue.now_ms + offset_ms
    assert venue.publish({0: 70}, published_at_ms=at)[0].name == code


def test_a_signers_time_only_rises(venue: Venue) -> None:
    venue.now_ms += 10
    assert venue.publish({0: 70})[0] == Code.OK
    for back in (0, 1):
        code, _ = venue.publish({0: 70}, published_at_ms=venue.now_ms - back)
        assert code == Code.PRICE_NOT_NEWER
    assert venue.publish({0: 71}, published_at_ms=venue.now_ms + 1)[0] == Code.OK


def _entries(*pairs: tuple[int, int]) -> dict[str, Any]:
    return {"entries": list(pairs), "count": len(pairs)}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (_entries(), "BAD_COUNT"), (_entries(*((n, 1) for n in range(32))), "BAD_COUNT"),
        (_entries((9, 0)) | {"signer": 1}, "SIGNER_UNKNOWN"), (_entries((4, 1)), "FEED_UNKNOWN"),
        (_entries((1, 1), (0, 1)), "BAD_FEED_ORDER"), (_entries((1, 1), (1, 1)), "BAD_FEED_ORDER"),
        (_entries((0, 0), (9, 1)), "BAD_PRICE"), (_entries((0, (1 << 40) + 1)), "BAD_PRICE"),
        (_entries((0, 1 << 40)), "OK"), (_entries((0, 1), (3, 1)), "OK"),
        (_entries((0, 1)) | {"published_at_ms": 0}, "PRICE_NOT_NEWER"),
    ],
)  # fmt: skip
def test_vectors(venue: Venue, fields: dict[str, Any], code: str) -> None:
    venue.now_ms += 10
    assert venue.publish({0: 70}, **fields)[0].name == code


def test_another_signers_signature_is_none(venue: Venue) -> None:
    venue.signers(1, 2)
    venue.now_ms += 10
    form = {"signer": 1, "published_at_ms": venue.now_ms, "count": 1, "entries": [(0, 5)]}
    wrong = make_signers("price", 3)[2]
    assert venue.send(Kind.PRICES, form, signer=wrong)[0] == Code.BAD_SIGNATURE


def test_a_new_set_of_signers_starts_without_prices(venue: Venue) -> None:
    venue.signers(1, 2)
    assert (venue.lines("P"), venue.line("F", 0)[1]) == ([], str(MARK * USD))
    venue.now_ms += 1
    assert venue.publish({0: 70}, published_at_ms=1)[0] == Code.PRICE_TOO_OLD  # not NOT_NEWER
    events = venue.price({0: 70})
    assert [e.price for e in events if e.kind == EventKind.PRICE_UPDATED] == [70 * USD]


def test_a_vector_below_the_quorum_starts_no_sweep(venue: Venue) -> None:
    venue.signers(2, 2)
    venue.now_ms += 1
    assert venue.publish({0: 70})[1] == []
    assert venue.finish() == []
