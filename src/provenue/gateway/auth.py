"""Logging in with a wallet: reading private data needs it, trading needs a signed action anyway.

`public/auth` takes `grant_type = "wallet_signature"` with `address`, `timestamp` (ms), `nonce` and
`signature`: a personal_sign (EIP-191) of

    Provenue login
    chain: <chain id>
    anchor: <anchor address, lower case>
    address: <address, lower case>
    timestamp: <timestamp>
    nonce: <nonce>

It gives Deribit's token answer. Tokens are random, live in memory, and never authorise an action.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from provenue import wire
from provenue.gateway.errors import INVALID_CREDENTIALS, ApiError, bad_param
from provenue.gateway.numbers import parse_integer

__all__ = ["Authenticator", "login_digest", "login_text"]

TOKEN_LIFE_S = 24 * 3600
CLOCK_TOLERANCE_MS = 60_000
TOKENS_MAX = 100_000
NONCE_CHARACTERS_MAX = 100
USED_SWEEP = 10_000


def login_text(
    *, chain_id: int, anchor: bytes, address: bytes, timestamp_ms: int, nonce: str
) -> str:
    """The text a wallet signs to log in."""
    return (
        "Provenue login\n"
        f"chain: {chain_id}\n"
        f"anchor: 0x{anchor.hex()}\n"
        f"address: 0x{address.hex()}\n"
        f"timestamp: {timestamp_ms}\n"
        f"nonce: {nonce}"
    )


def login_digest(text: str) -> bytes:
    """EIP-191 digest of a login text (32 bytes)."""
    raw = text.encode()
    return wire.keccak256(b"\x19Ethereum Signed Message:\n" + str(len(raw)).encode() + raw)


@dataclass(frozen=True, slots=True)
class _Token:
    owner: bytes
    expires_at_s: float


class Authenticator:
    """Checks logins, hands out tokens."""

    def __init__(self, *, chain_id: int, anchor: bytes) -> None:
        self._chain_id = chain_id
        self._anchor = anchor
        self._access: dict[str, _Token] = {}
        self._refresh: dict[str, _Token] = {}
        # Digests that have logged in, until their timestamp is too old to do it again.
        self._used: dict[bytes, float] = {}

    def owner_of_token(self, token: str) -> bytes | None:
        """The address behind an access token; None when it is unknown or has expired."""
        found = self._access.get(token)
        if found is None or found.expires_at_s < time.time():
            return None
        return found.owner

    def login(self, params: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
        """(owner address, result of public/auth)."""
        grant = params.get("grant_type")
        if grant == "refresh_token":
            found = self._refresh.pop(str(params.get("refresh_token")), None)
            if found is None or found.expires_at_s < time.time():
                raise _refused("the refresh token is unknown or has expired")
            return found.owner, self._issue(found.owner)
        if grant != "wallet_signature":
            raise bad_param("grant_type", '"wallet_signature" or "refresh_token"', grant)
        owner = self._check_signature(params)
        return owner, self._issue(owner)

    def _check_signature(self, params: dict[str, Any]) -> bytes:
        address = _hex_param(params, "address", 20)
        signature = _hex_param(params, "signature", 65)
        timestamp_ms = parse_integer("timestamp", params.get("timestamp"))
        if abs(timestamp_ms - time.time() * 1000) > CLOCK_TOLERANCE_MS:
            raise bad_param(
                "timestamp", f"within {CLOCK_TOLERANCE_MS} ms of the server's clock", timestamp_ms
            )
        nonce = str(params.get("nonce", ""))
        if len(nonce) > NONCE_CHARACTERS_MAX or not nonce.isprintable():
            raise bad_param("nonce", f"at most {NONCE_CHARACTERS_MAX} printable characters", nonce)
        text = login_text(
            chain_id=self._chain_id,
            anchor=self._anchor,
            address=address,
            timestamp_ms=timestamp_ms,
            nonce=nonce,
        )
        digest = login_digest(text)
        try:
            recovered = wire.recover_digest(digest, signature)
        except wire.SignatureError as problem:
            raise _refused(str(problem)) from None
        if recovered != address:
            raise _refused("the signature does not recover to address")
        self._use_once(digest)
        return address

    def _use_once(self, digest: bytes) -> None:
        now_s = time.time()
        if len(self._used) > USED_SWEEP:
            self._used = {d: end for d, end in self._used.items() if end > now_s}
        if digest in self._used:
            raise _refused("this login was used before; take another nonce")
        self._used[digest] = now_s + 2 * CLOCK_TOLERANCE_MS / 1000

    def logout(self, owner: bytes) -> None:
        """Forget every token of an address."""
        self._access = {k: t for k, t in self._access.items() if t.owner != owner}
        self._refresh = {k: t for k, t in self._refresh.items() if t.owner != owner}

    def _issue(self, owner: bytes) -> dict[str, Any]:
        for tokens in (self._access, self._refresh):
            if len(tokens) >= TOKENS_MAX:
                del tokens[next(iter(tokens))]  # the oldest
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._access[access] = _Token(owner, time.time() + TOKEN_LIFE_S)
        self._refresh[refresh] = _Token(owner, time.time() + 7 * TOKEN_LIFE_S)
        return {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": TOKEN_LIFE_S,
            "scope": "account:read trade:signed",
            "token_type": "bearer",
        }


def _refused(reason: str) -> ApiError:
    return ApiError(INVALID_CREDENTIALS, "invalid_credentials", {"reason": reason})


def _hex_param(params: dict[str, Any], name: str, size: int) -> bytes:
    value = params.get(name)
    try:
        raw = bytes.fromhex(str(value).removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != size:
        raise bad_param(name, f"{size} bytes in hex", value)
    return raw
