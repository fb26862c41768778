"""The twin sees every difference and says where; what is no batch is refused."""

from collections.abc import Iterator

import pytest
from tests.engine.recorded import engine_with_book, play, record, resting
from tests.p1.batches import Batch, batches

from provenue._generated.layout import PLACES
from provenue.engine import Engine, guest_elf
from provenue.machine import ElfError
from provenue.p1 import BatchCheck, Twin, TwinError
from provenue.spec import batch_messages
from provenue.wire import Code, Genesis, Header, encode, encode_posted, encode_slot

GENESIS = encode(Genesis(chain_id=31_337, anchor=b"\xa4" * 20))


def _check(twin: Twin, batch: Batch, compare_every: int = 1) -> BatchCheck:
    return twin.check_batch(
        batch.header, batch.inbox, batch.posted_bytes, compare_every=compare_every
    )


@pytest.fixture
def started(seed: int) -> tuple[Twin, Iterator[Batch]]:
    """A twin that has run 600 messages, and what follows."""
    twin, stream = Twin("minimal"), batches(seed, 1_000, most=50)
    for batch in stream:
        assert _check(twin, batch).ok
        if batch.first_sequence > 600:
            break
    return twin, stream


def test_a_byte_that_differs_in_what_a_message_writes_is_found_at_once(
    started: tuple[Twin, Iterator[Batch]],
) -> None:
    twin, stream = started
    twin._native.poke_native(72, b"\x07")  # withdrawal_count, in a leaf nearly every message writes
    check = _check(twin, next(stream), compare_every=0)
    assert not check.ok
    mismatch = check.mismatches[0]
    assert mismatch.kind in ("image", "event")
    if mismatch.kind == "image":
        assert mismatch.place == "globals[0].withdrawal_count, byte 0"
    with pytest.raises(TwinError, match="parted"):
        _check(twin, next(stream))


def test_a_byte_that_differs_where_no_message_writes_is_found_by_the_whole_comparison(
    started: tuple[Twin, Iterator[Batch]],
) -> None:
    twin, stream = started
    offset, count = PLACES["minimal"]["nodes"]
    twin._native.poke_native(offset + 288 * (count - 1), b"\x01")  # of the price index, the last
    check = _check(twin, next(stream), compare_every=1_000)
    assert [m.kind for m in check.mismatches] == ["image"]
    assert check.mismatches[0].place == f"nodes[{count - 1}].bitmap, byte 0"
    assert check.mismatches[0].native != check.mismatches[0].guest
    assert "native 1, guest 0" in str(check.mismatches[0])


def test_a_native_fault_that_the_guest_does_not_share_is_a_difference() -> None:
    twin = Twin("minimal")
    twin._native.fail_at_call(1)  # GENESIS hashes
    check = twin.check_batch(Header(inbox_count=1, posted_bytes=8), [GENESIS], bytes(8))
    assert [m.kind for m in check.mismatches] == ["outcome"]
    assert "native broke off: failure asked for" in check.mismatches[0].place


def test_a_fault_that_both_share_is_an_empty_message(seed: int) -> None:
    """Both images are damaged alike: both sides stop at the assertion and undo the message."""
    engine = engine_with_book(seed)
    slot = resting(engine)[0]
    account = engine.account(int(engine.tables["orders"][slot]["account"]))
    assert account is not None
    engine._native.poke(0xE000 + slot * 64 + 8, (10_000).to_bytes(4, "little"))
    twin = Twin("minimal")
    twin.load(engine)
    assert twin.root() == engine.root()
    message = b"\x92" + account["owner"] + bytes([account["subaccount"]])
    check = twin.check_batch(
        Header(inbox_count=2, posted_bytes=8), [message, b"\xff"], bytes(8), compare_every=1
    )
    assert check.ok, check.mismatches
    assert check.skipped.tolist() == [True, False]
    assert check.codes.tolist()[1] == Code.UNKNOWN_KIND
    assert check.events == b""
    assert check.roots == [engine.root()] * 2


def test_the_guest_of_another_preset_is_a_difference() -> None:
    twin = Twin("minimal", guest_elf("dev"))
    header = Header(stamp_min_ms=5, inbox_count=1, posted_bytes=8)
    deposit = b"\x90" + bytes(9) + b"\x01" + b"\x11" * 20 + b"\x00"
    check = twin.check_batch(header, [GENESIS], bytes(8))
    listing = b"\x81" + bytes(2) + b"\x01\x06\xff\xff" + (1_000_000).to_bytes(4, "big") + bytes(28)
    for number, message in enumerate((listing, deposit)):
        if check.ok:
            check = twin.check_batch(header, [message], bytes(8))
            assert check.codes.tolist() == [0], number
    assert not check.ok
    assert check.mismatches[0].kind in ("image", "code", "event")


def test_no_elf_is_no_guest() -> None:
    with pytest.raises(ElfError):
        Twin("minimal", b"not an ELF")


def _posted(count: int, offsets: list[int], tail: bytes) -> bytes:
    return b"".join(n.to_bytes(4, "big") for n in (count, *offsets)) + tail


SLICES = {
    "as it should be": encode_posted([b"\x12", b"\x11" + bytes(8), b""]),
    "offsets that fall": _posted(3, [20, 25, 22, 24], b"\x12" * 5),
    "an offset behind the end": _posted(2, [16, 17, 400], b"\x12\x12"),
    "an offset into the table": _posted(2, [0, 16, 18], b"\x12\x12"),
    "overlapping messages": _posted(2, [13, 18, 18], b"\x12\x11\x80\x00\x01\x02"),
    "a table cut short": (4).to_bytes(4, "big") + bytes(3) + b"\x09\x00",
    "an offset cut in the middle": _posted(100, [0x80] * 99, b"\x00\x00\x01"),
    "a count alone": (2).to_bytes(4, "big"),
    "a count cut short": b"\x00\x00",
    "the largest offsets": _posted(2, [2**32 - 1, 2**32 - 1, 3], b"xx"),
}


@pytest.mark.parametrize("name", SLICES)
def test_both_sides_slice_a_batch_as_the_chapter_says(name: str) -> None:
    posted, twin, engine = SLICES[name], Twin("minimal"), Engine("minimal")
    header = Header(stamp_min_ms=9, inbox_count=2, posted_bytes=len(posted))
    inbox = [GENESIS, b""]
    check = twin.check_batch(header, inbox, posted, compare_every=1)
    assert check.ok, check.mismatches
    want = []
    for message, from_inbox in batch_messages(posted, inbox):
        code, _ = engine.apply(
            message, from_inbox=from_inbox, stamp_min_ms=9, stamp_max_ms=header.stamp_max_ms
        )
        want.append((code, engine.root()))
    assert list(zip(check.codes.tolist(), check.roots, strict=True)) == want


def test_what_no_contract_makes_is_refused_and_changes_nothing() -> None:
    twin = Twin("minimal")
    root = twin.root()
    posted = encode_posted([b"\x12"])
    good = Header(posted_bytes=len(posted))
    wrong = [
        (Header(posted_bytes=len(posted) + 1), [], posted, "length of the posted bytes"),
        (Header(posted_bytes=8), [], bytes(8), "1 to BATCH_MESSAGES_MAX"),
        (Header(posted_bytes=120_001), [], posted + bytes(120_001 - len(posted)), "BATCH_BYTES"),
        (Header(posted_bytes=8), [], b"\x00\x00\x10\x01" + bytes(4), "1 to BATCH_MESSAGES_MAX"),
        (Header(posted_bytes=len(posted), inbox_count=1), [], posted, "whole slots"),
        (Header(posted_bytes=len(posted), stamp_min_ms=2, stamp_max_ms=1), [], posted, "stamp_min"),
        (good.encode()[:63] + b"\x00" + b"\x01" + good.encode()[65:], [], posted, "64 bits"),
        (good.encode() + bytes(1 << 15), [], posted, "32 KiB"),
    ]
    for header, inbox, data, text in wrong:
        with pytest.raises(ValueError, match=text):
            twin.check_batch(header, inbox, data)
    assert twin.root() == root
    assert twin.check_batch(good, [], posted).ok


def test_a_twin_goes_on_from_an_engine(seed: int) -> None:
    engine, twin = Engine("minimal"), Twin("minimal")
    for step in record(seed, 1_500).steps:
        play(engine, step.item)
    twin.load(engine)
    assert twin.dump() == engine.dump()
    posted = encode_posted([b"\x12", b"\x11" + engine.now_ms.to_bytes(8, "big")])
    check = twin.check_batch(Header(posted_bytes=len(posted)), [], posted, compare_every=1)
    assert check.ok, check.mismatches
    for message in (b"\x12", b"\x11" + engine.now_ms.to_bytes(8, "big")):
        engine.apply(message, from_inbox=False, stamp_min_ms=0, stamp_max_ms=(1 << 64) - 1)
    assert engine.root() == check.roots[-1]
    with pytest.raises(ValueError, match="preset"):
        twin.load(Engine("dev"))


def test_an_inbox_item_longer_than_its_slot_is_an_empty_message() -> None:
    twin = Twin("minimal")
    slot = (481).to_bytes(32, "big") + GENESIS.ljust(480, b"\0")
    header = Header(inbox_count=2, posted_bytes=0)
    report = twin._native.check(header.encode(), slot + encode_slot(GENESIS), b"", 1)
    assert report["differences"] == []
    codes = [int.from_bytes(report["codes"][at : at + 4], "little") for at in (0, 4)]
    assert codes == [Code.EMPTY_MESSAGE, Code.OK]
