"""Messages to bytes and back."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.strategies import messages

from provenue import wire
from provenue._generated.messages import MESSAGES, Kind

PLACE = wire.Place(
    account=1 << 32 | 5,
    key=1,
    nonce=0x0102030405060708,
    expires_at_ms=1_700_000_000_000,
    instrument=2,
    side=1,
    order_type=0,
    time_in_force=1,
    flags=7,
    self_trade=3,
    price_ticks=65_000,
    size_lots=3,
    client_id=2**64 - 1,
    good_till_s=1_700_000_100,
    stamp_ms=9,
    signature=bytes(range(65)),
)


@pytest.mark.parametrize("kind", list(Kind))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_message_survives_the_wire(kind: Kind, data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    encoded = wire.encode(message)
    assert len(encoded) == wire.size_bytes(message)
    assert encoded[0] == kind
    assert wire.decode(encoded) == message


def test_an_order_stands_on_the_wire_as_the_table_says() -> None:
    expected = (
        "01000000000000000900000001000000050101020304050607080000018bcfe56800"
        "00020100010703000000000000fde80000000000000003ffffffffffffffff6553f164"
    )  # fmt: skip
    assert wire.encode(PLACE).hex() == expected + bytes(range(65)).hex()


def test_prices_stand_on_the_wire_as_the_table_says() -> None:
    message = wire.Prices(
        signer=2,
        published_at_ms=5,
        entries=(wire.PricesEntry(0, 7), wire.PricesEntry(31, 1)),
        signature=b"\x05" * 65,
    )
    expected = (
        "10000000000000000002000000000000000502"
        "00000000000000000007001f0000000000000001"
    )  # fmt: skip
    assert wire.encode(message).hex() == expected + "05" * 65
    assert message.count == 2


@given(st.binary(max_size=400))
def test_decoding_any_bytes_gives_a_message_or_a_code(data: bytes) -> None:
    code = None
    try:
        message = wire.decode(data)
    except wire.DecodeError as error:
        code = error.code
    if code is None:
        assert wire.encode(message) == data
    else:
        assert code in (wire.Code.EMPTY_MESSAGE, wire.Code.UNKNOWN_KIND, wire.Code.BAD_LENGTH)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_byte_more_or_less_is_a_bad_length(kind: Kind) -> None:
    body = bytes(MESSAGES[kind].size - 1)  # zeros: the lists are empty
    wire.decode(bytes([kind]) + body)
    for wrong in (body + b"\0", body[:-1]):
        if kind == Kind.CONTINUE and not body and wrong == b"":
            continue
        with pytest.raises(wire.DecodeError, match=f"^{kind.name}: expected") as caught:
            wire.decode(bytes([kind]) + wrong)
        assert caught.value.code is wire.Code.BAD_LENGTH


def test_a_count_that_does_not_fit_the_length_is_a_bad_length() -> None:
    data = bytearray(wire.encode(wire.Prices(signer=0, published_at_ms=1, entries=())))
    data[18] = 3
    with pytest.raises(wire.DecodeError, match="expected 114 bytes for 3 entries, was 84"):
        wire.decode(bytes(data))
    with pytest.raises(wire.DecodeError, match="expected at least 19 bytes, was 18"):
        wire.decode(bytes(data[:18]))


def test_framing_errors_carry_the_code_of_the_program() -> None:
    for data, code in (
        (b"", wire.Code.EMPTY_MESSAGE),
        (b"\x00", wire.Code.UNKNOWN_KIND),
        (b"\xff" * 9, wire.Code.UNKNOWN_KIND),
        (b"\x12\x00", wire.Code.BAD_LENGTH),
    ):
        with pytest.raises(wire.DecodeError) as caught:
            wire.decode(data)
        assert caught.value.code is code


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("side", 256, "PLACE.side: expected a whole number from 0 to 255, was 256"),
        ("price_ticks", -1, "PLACE.price_ticks: expected a whole number from 0 to "),
        ("size_lots", 2**64, "PLACE.size_lots: expected a whole number from 0 to "),
        ("nonce", 1.5, "PLACE.nonce: expected a whole number from 0 to .*, was 1.5"),
        ("signature", b"\0" * 64, "PLACE.signature: expected 65 bytes, was 64"),
    ],
)
def test_a_value_that_does_not_fit_is_named(field: str, value: object, text: str) -> None:
    with pytest.raises(wire.EncodeError, match=text):
        wire.encode(msgspec.structs.replace(PLACE, **{field: value}))


def test_an_entry_that_does_not_fit_is_named_with_its_place_in_the_list() -> None:
    good, bad = wire.PricesEntry(1, 2), wire.PricesEntry(1 << 16, 2)
    message = wire.Prices(signer=0, published_at_ms=1, entries=(good, bad))
    with pytest.raises(wire.EncodeError, match=r"PRICES\.entries\[1\]\.feed: expected .* 65535"):
        wire.encode(message)
    signers = wire.SetSigners(quorum=1, signers=(b"\1" * 20, b"\1" * 19))
    with pytest.raises(wire.EncodeError, match=r"signers\[1\]\.address: expected 20 bytes, was 19"):
        wire.encode(signers)
    crowd = wire.SetSigners(quorum=1, signers=(b"\1" * 20,) * 256)
    with pytest.raises(wire.EncodeError, match=r"SET_SIGNERS\.count: expected .* to 255, was 256"):
        wire.encode(crowd)
