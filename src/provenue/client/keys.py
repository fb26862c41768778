"""Private keys: where they come from, and how they are kept out of logs and errors.

A key is named by where it is, so that it stands neither in a command line nor in a config file:

    env:NAME     the environment variable NAME holds 64 hexadecimal digits
    file:PATH    the file holds them, or is an encrypted JSON keystore (password in
                 PROVENUE_KEY_PASSWORD)
    0x...        the digits themselves, for keys that are worth nothing (tests, local chains)
"""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn, final

from coincurve import PrivateKey

from provenue.wire import Domain, EncodeError, SignedT, address_of, keccak256, sign, sign_digest

__all__ = [
    "Key", "KeyLoadError", "address_text", "generate_key", "load_key", "parse_address",
]  # fmt: skip

_HEX: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_PASSWORD_VARIABLE: Final = "PROVENUE_KEY_PASSWORD"
_FILE_BYTES_MAX: Final = 10_000


class KeyLoadError(ValueError):
    """A key or address that cannot be read. The text never holds the key."""


@final
class Key:
    """A private key that shows only its address, and that cannot be pickled by accident."""

    __slots__ = ("_private", "address")

    def __init__(self, secret: bytes) -> None:
        try:
            self.address: Final = address_of(secret)
        except EncodeError as error:
            raise KeyLoadError(str(error)) from None
        self._private = PrivateKey(secret)

    @property
    def address_text(self) -> str:
        """The address with its checksum (EIP-55)."""
        return address_text(self.address)

    def sign(self, message: SignedT, domain: Domain) -> SignedT:
        """The message with this key's signature."""
        return sign(message, self._private, domain)

    def sign_digest(self, digest: bytes) -> bytes:
        """r, s, v of a digest of 32 bytes."""
        return sign_digest(digest, self._private)

    def secret(self) -> bytes:
        """The 32 bytes, for transaction signing; keep them out of logs."""
        return bytes(self._private.secret)

    def __repr__(self) -> str:
        return f"Key({self.address_text})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and secrets.compare_digest(self.secret(), other.secret())

    def __hash__(self) -> int:
        return hash(self.address)

    def __reduce__(self) -> NoReturn:
        raise TypeError("Key: expected to stay in this process; pass where it comes from instead")


def address_text(address: bytes) -> str:
    """An address as text with its checksum (EIP-55)."""
    if len(address) != 20:
        raise KeyLoadError(f"address: expected 20 bytes, was {len(address)}")
    digits = address.hex()
    marks = keccak256(digits.encode()).hex()
    cased = (d.upper() if int(m, 16) >= 8 else d for d, m in zip(digits, marks, strict=False))
    return "0x" + "".join(cased)


def parse_address(text: str) -> bytes:
    """The 20 bytes of an address; in mixed case its checksum must be right."""
    if not _ADDRESS.fullmatch(str(text)):
        raise KeyLoadError(f"address: expected 0x and 40 hexadecimal digits, was {text!r}")
    address = bytes.fromhex(text[2:])
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and text != address_text(address):
        raise KeyLoadError(f"address: expected the checksum of EIP-55, was {text!r}; mistyped?")
    return address


def generate_key() -> Key:
    """A new key from the system's random source."""
    while True:
        try:
            return Key(secrets.token_bytes(32))
        except KeyLoadError:  # one in 2^128
            continue


def load_key(source: str, *, environment: Mapping[str, str] = os.environ) -> Key:
    """The key that `source` names; see the head of this module for the forms."""
    if not isinstance(source, str):
        raise KeyLoadError(f"key: expected text, was {type(source).__name__}")
    if source.startswith("env:"):
        name = source.removeprefix("env:")
        if name not in environment:
            raise KeyLoadError(f"key: expected the environment variable {name}, was not set")
        return _from_hex(environment[name].strip(), f"key in the environment variable {name}")
    if source.startswith("file:"):
        return _from_file(Path(source.removeprefix("file:")).expanduser(), environment)
    return _from_hex(source, "key")


def _from_hex(text: str, place: str) -> Key:
    match = _HEX.fullmatch(text)
    if not match:
        raise KeyLoadError(
            f"{place}: expected 64 hexadecimal digits, env:NAME or file:PATH, "
            f"was {len(text)} characters of something else"
        )
    return Key(bytes.fromhex(match[1]))


def _from_file(path: Path, environment: Mapping[str, str]) -> Key:
    try:
        size = path.stat().st_size
        if size > _FILE_BYTES_MAX:
            raise KeyLoadError(f"key file {path}: expected at most 10 kB, was {size} bytes")
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise KeyLoadError(f"key file {path}: expected a readable file, was: {reason}") from None
    if text.startswith("{"):
        return _from_keystore(text, path, environment)
    return _from_hex(text, f"key file {path}")


def _from_keystore(text: str, path: Path, environment: Mapping[str, str]) -> Key:
    """An encrypted keystore, as geth and foundry write them."""
    password = environment.get(_PASSWORD_VARIABLE)
    if password is None:
        raise KeyLoadError(
            f"key file {path}: expected its password in the environment variable "
            f"{_PASSWORD_VARIABLE}, was not set"
        )
    from eth_account import Account

    try:
        return Key(bytes(Account.decrypt(text, password)))
    except (ValueError, KeyError, TypeError):
        raise KeyLoadError(
            f"key file {path}: expected a keystore that {_PASSWORD_VARIABLE} opens, was not"
        ) from None
