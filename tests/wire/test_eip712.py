"""Signatures against eth_account, the implementation that wallets' users rely on."""

import json
from typing import Any

import msgspec
import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.strategies import DOMAINS, PRIVATE_KEYS, messages

from provenue import wire
from provenue._generated.messages import MESSAGES, TYPE_HASHES, Kind

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
DOMAIN = wire.Domain(31337, b"\x11" * 20)
KEY = b"\x01" * 32
CANCEL = wire.Cancel(account=1 << 32 | 1, key=0, nonce=7, expires_at_ms=10**13, order_id=5)


@pytest.mark.parametrize("kind", list(TYPE_HASHES))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_digest_and_signature_equal_those_of_eth_account(kind: Kind, data: st.DataObject) -> None:
    message: Any = data.draw(messages(kind))
    domain, private_key = data.draw(DOMAINS), data.draw(PRIVATE_KEYS)
    typed = json.loads(json.dumps(wire.typed_data(message, domain)))  # as a wallet receives it
    signable = encode_typed_data(full_message=typed)
    assert signable.header == domain.separator
    assert signable.body == wire.struct_hash(message)
    assert _hash_eip191_message(signable) == wire.digest(message, domain)

    signed = wire.sign(message, private_key, domain)
    theirs = Account.sign_message(signable, private_key)
    assert signed.signature == theirs.signature
    assert wire.recover(signed, domain) == wire.address_of(private_key)
    assert (
        "0x" + wire.address_of(private_key).hex() == Account.from_key(private_key).address.lower()
    )


ACCOUNT = {"account": "4294967297", "key": 3, "nonce": "7", "expiresAt": "10000000000000"}
COMMON: dict[str, Any] = {
    "account": 1 << 32 | 1, "key": 3, "nonce": 7, "expires_at_ms": 10**13,
}  # fmt: skip
BY_HAND = [
    (
        wire.Place(
            **COMMON, instrument=2, side=1, order_type=4, time_in_force=5, flags=6, self_trade=7,
            price_ticks=8, size_lots=9, client_id=2**64 - 1, good_till_s=2**32 - 1,
        ),
        "Order",
        {
            **ACCOUNT, "instrument": 2, "side": 1, "orderType": 4, "timeInForce": 5, "flags": 6,
            "selfTrade": 7, "priceTicks": "8", "sizeLots": "9", "clientId": str(2**64 - 1),
            "goodTill": 2**32 - 1,
        },
    ),
    (
        wire.Replace(
            **COMMON, order_id=5, order_type=4, time_in_force=5, flags=6, self_trade=7,
            price_ticks=8, size_lots=9, client_id=2**64 - 1, good_till_s=10,
        ),
        "Replace",
        {
            **ACCOUNT, "orderId": "5", "orderType": 4, "timeInForce": 5, "flags": 6,
            "selfTrade": 7, "priceTicks": "8", "sizeLots": "9", "clientId": str(2**64 - 1),
            "goodTill": 10,
        },
    ),
    (
        wire.Amend(**COMMON, order_id=5, price_ticks=8, size_lots=2**64 - 1),
        "Amend",
        {**ACCOUNT, "orderId": "5", "priceTicks": "8", "sizeLots": str(2**64 - 1)},
    ),
    (
        wire.CancelLabel(**COMMON, instrument=65535, client_id=9),
        "CancelLabel",
        {**ACCOUNT, "instrument": 65535, "clientId": "9"},
    ),
    (wire.Cancel(**COMMON, order_id=5), "Cancel", {**ACCOUNT, "orderId": "5"}),
    (wire.CancelAll(**COMMON, instrument=65535), "CancelAll", {**ACCOUNT, "instrument": 65535}),
    (
        wire.Withdraw(**COMMON, asset=1, amount_units=8, recipient=b"\xab" * 20),
        "Withdraw",
        {**ACCOUNT, "asset": 1, "amountUnits": "8", "recipient": "0x" + "ab" * 20},
    ),
    (
        wire.SetKey(**COMMON, slot=2, key_address=b"\xcd" * 20, scope=15, key_expires_at_ms=11),
        "SetKey",
        {
            **ACCOUNT, "slot": 2, "keyAddress": "0x" + "cd" * 20, "scope": 15,
            "keyExpiresAt": "11",
        },
    ),
    (
        wire.Prices(
            signer=1, published_at_ms=5,
            entries=(wire.PricesEntry(0, 3), wire.PricesEntry(2, 2**40)),
        ),
        "Prices",
        {"publishedAt": "5", "entries": ["3", str(2 * 2**64 + 2**40)]},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("message", "primary", "content"), BY_HAND)
def test_what_a_wallet_shows_is_the_action(
    message: Any, primary: str, content: dict[str, Any]
) -> None:
    typed = wire.typed_data(message, DOMAIN)
    assert typed["primaryType"] == primary
    assert typed["message"] == content
    assert typed["domain"] == {
        "name": "Provenue",
        "version": "1",
        "chainId": 31337,
        "verifyingContract": "0x" + "11" * 20,
    }
    members = ",".join(f"{part['type']} {part['name']}" for part in typed["types"][primary])
    assert f"{primary}({members})" == MESSAGES[message.KIND].eip712


def test_stamp_and_old_signature_are_no_part_of_what_is_signed() -> None:
    other = msgspec.structs.replace(CANCEL, stamp_ms=99, signature=b"\1" * 65)
    assert wire.digest(CANCEL, DOMAIN) == wire.digest(other, DOMAIN)


@pytest.mark.parametrize("field", ["account", "key", "nonce", "expires_at_ms", "order_id"])
def test_changing_a_member_changes_the_signer(field: str) -> None:
    signed = wire.sign(CANCEL, KEY, DOMAIN)
    changed = msgspec.structs.replace(signed, **{field: getattr(signed, field) + 1})
    assert wire.recover(changed, DOMAIN) != wire.address_of(KEY)


def test_a_signature_is_worth_nothing_in_another_domain() -> None:
    signed = wire.sign(CANCEL, KEY, DOMAIN)
    for other in (wire.Domain(1, DOMAIN.anchor), wire.Domain(31337, b"\x12" * 20)):
        assert wire.recover(signed, other) != wire.address_of(KEY)


def _malleate(signature: bytes) -> bytes:
    """The other signature of the same digest and key: n - s, the other v."""
    high = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + high.to_bytes(32, "big") + bytes([55 - signature[64]])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_malleate, "signature.s: expected the lower"),
        (lambda s: s[:64] + bytes([s[64] - 27]), "signature.v: expected 27 or 28, was [01]"),
        (lambda s: s[:64] + b"\x1d", "signature.v: expected 27 or 28, was 29"),
        (lambda s: s[:64], "signature: expected 65 bytes, was 64"),
        (lambda s: bytes(32) + s[32:], "signature: expected one of a key"),
        (lambda s: s[:32] + bytes(32) + s[64:], "signature: expected one of a key"),
        (lambda s: ORDER.to_bytes(32, "big") + s[32:], "signature: expected one of a key"),
        (lambda _: bytes(65), "signature.v: expected 27 or 28, was 0"),
    ],
)
def test_only_the_canonical_form_recovers(change: Any, text: str) -> None:
    signed = wire.sign(CANCEL, KEY, DOMAIN)
    with pytest.raises(wire.SignatureError, match=text):
        wire.recover(msgspec.structs.replace(signed, signature=change(signed.signature)), DOMAIN)


def test_values_that_cannot_be_signed_are_refused() -> None:
    with pytest.raises(wire.EncodeError, match=r"CANCEL\.nonce: expected a whole number"):
        wire.digest(msgspec.structs.replace(CANCEL, nonce=2**64), DOMAIN)
    with pytest.raises(wire.EncodeError, match=r"WITHDRAW\.recipient: expected 20 bytes, was 19"):
        wire.digest(
            wire.Withdraw(
                account=1, key=0, nonce=1, expires_at_ms=1, asset=0, amount_units=1,
                recipient=b"\1" * 19,
            ),
            DOMAIN,
        )  # fmt: skip
    with pytest.raises(wire.EncodeError, match=r"domain\.anchor: expected 20 bytes, was 3"):
        wire.Domain(1, b"abc")
    prices = wire.Prices(signer=0, published_at_ms=1, entries=(wire.PricesEntry(0, 2**64),))
    with pytest.raises(wire.EncodeError, match=r"PRICES\.entries\[0\]: expected a feed below"):
        wire.digest(prices, DOMAIN)


@pytest.mark.parametrize("key", [bytes(32), ORDER.to_bytes(32, "big"), b"\1" * 31 + b"\2\3"])
def test_a_bad_private_key_is_refused_and_not_shown(key: bytes) -> None:
    with pytest.raises(wire.EncodeError, match="private key: expected") as caught:
        wire.sign(CANCEL, key, DOMAIN)
    assert key.hex() not in str(caught.value)
    assert caught.value.__cause__ is None
