"""Where keys come from, and that they do not leak."""

import json
import pickle
from pathlib import Path

import pytest
from eth_account import Account

from provenue.client.keys import (
    Key,
    KeyLoadError,
    address_text,
    generate_key,
    load_key,
    parse_address,
)

SECRET = bytes(range(1, 33))
DIGITS = SECRET.hex()
ADDRESS = Account.from_key(SECRET).address


def test_a_key_loads_from_each_place(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"0x{DIGITS}\n", encoding="utf-8")
    for source in (DIGITS, "0x" + DIGITS.upper(), "env:A_KEY", f"file:{path}"):
        key = load_key(source, environment={"A_KEY": DIGITS})
        assert key.address_text == ADDRESS
        assert key == Key(SECRET)
        assert key.secret() == SECRET


def test_a_keystore_opens_with_the_password_from_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "keystore.json"
    stored = Account.encrypt(SECRET, "pass", kdf="pbkdf2", iterations=10)
    path.write_text(json.dumps(stored), encoding="utf-8")
    key = load_key(f"file:{path}", environment={"PROVENUE_KEY_PASSWORD": "pass"})
    assert key == Key(SECRET)
    with pytest.raises(KeyLoadError, match="expected its password in the environment variable"):
        load_key(f"file:{path}", environment={})
    with pytest.raises(KeyLoadError, match="expected a keystore that PROVENUE_KEY_PASSWORD opens"):
        load_key(f"file:{path}", environment={"PROVENUE_KEY_PASSWORD": "wrong"})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (DIGITS[:-1], "key: expected 64 hexadecimal digits"),
        (DIGITS[:-1] + "g", "key: expected 64 hexadecimal digits"),
        ("00" * 32, "private key: expected 32 bytes in the range"),
        ("env:MISSING", "expected the environment variable MISSING, was not set"),
        ("env:BAD", "key in the environment variable BAD: expected 64"),
        ("file:/nowhere/key", "key file /nowhere/key: expected a readable file"),
    ],
)
def test_errors_name_the_place_and_never_show_the_key(source: str, text: str) -> None:
    with pytest.raises(KeyLoadError, match=text) as caught:
        load_key(source, environment={"BAD": DIGITS[2:]})
    assert DIGITS[2:-1] not in str(caught.value)


def test_a_key_shows_its_address_only() -> None:
    key = Key(SECRET)
    assert repr(key) == f"Key({ADDRESS})"
    assert DIGITS not in f"{key} {key!r} {[key]}"
    with pytest.raises(TypeError, match="expected to stay in this process"):
        pickle.dumps(key)


def test_new_keys_differ() -> None:
    assert generate_key() != generate_key()


def test_addresses_are_checked_by_their_checksum() -> None:
    raw = parse_address(ADDRESS)
    assert address_text(raw) == ADDRESS
    assert parse_address(ADDRESS.lower()) == raw
    swapped = "0x" + ADDRESS[2:].swapcase()
    with pytest.raises(KeyLoadError, match="expected the checksum of EIP-55"):
        parse_address(swapped)
    for bad in ("", ADDRESS[2:], ADDRESS + "0", ADDRESS[:-1], "0x" + "g" * 40):
        with pytest.raises(KeyLoadError, match="expected 0x and 40 hexadecimal digits"):
            parse_address(bad)
