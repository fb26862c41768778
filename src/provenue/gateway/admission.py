"""Admission: what is turned away before sequencing, at no cost to anyone and without a trace.

A message passes when it decodes, is of a kind that clients may post, names an open account and one
of its keys, is signed by that key, and has not expired. Everything else is the program's to decide,
and a reject of the program is part of the data (design, settled details).
"""

from __future__ import annotations

from provenue import wire
from provenue._generated.constants import KEYS_PER_ACCOUNT
from provenue.engine import preverify
from provenue.gateway.errors import ApiError, bad_param, rejected
from provenue.gateway.venue import Venue, now_ms
from provenue.wire import Action, Code, Prices

__all__ = ["Admission"]

_MESSAGE_BYTES_MAX = 1_024
_ADDRESS_ZERO = bytes(20)


class Admission:
    """Checks messages against the venue as it stands."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def decode(self, text: object) -> Action | Prices:
        """A signed message out of hexadecimal text."""
        if not isinstance(text, str) or len(text) > 2 + 2 * _MESSAGE_BYTES_MAX:
            raise bad_param("message", f"at most {_MESSAGE_BYTES_MAX} bytes in hex", text)
        try:
            data = bytes.fromhex(text.removeprefix("0x"))
        except ValueError:
            raise bad_param("message", "bytes in hex", text) from None
        try:
            message = wire.decode(data)
        except wire.DecodeError as problem:
            error = rejected(problem.code, None)
            assert error.data is not None
            error.data["text"] = str(problem)
            raise error from None
        if not isinstance(message, Action | Prices):
            # Inbox kinds come from the chain; ticks and CONTINUE are the sequencer's own.
            raise rejected(Code.WRONG_SOURCE, None)
        return message

    def check(self, message: Action | Prices) -> None:
        """ApiError unless the message may be sequenced."""
        if isinstance(message, Prices):
            self._check_signature(message, self._signer(message.signer))
            return
        self._check_signature(message, self._key(message))
        if now_ms() >= message.expires_at_ms:
            raise rejected(Code.EXPIRED, None)

    def _key(self, action: Action) -> bytes:
        entry = self._venue.directory.by_id(action.account)
        if entry is None:
            raise rejected(Code.ACCOUNT_UNKNOWN, None)
        address = _ADDRESS_ZERO
        if action.key < KEYS_PER_ACCOUNT:
            row = entry.index * KEYS_PER_ACCOUNT + action.key
            address = bytes(self._venue.engine.tables["keys"][row]["address"].item())
        if address == _ADDRESS_ZERO:
            raise rejected(Code.KEY_UNKNOWN, None)
        return address

    def _signer(self, signer: int) -> bytes:
        engine = self._venue.engine
        if signer >= engine.globals("signer_count"):
            raise rejected(Code.SIGNER_UNKNOWN, None)
        return bytes(engine.tables["signers"][signer]["address"].item())

    def _check_signature(self, message: Action | Prices, address: bytes) -> None:
        signature = message.signature
        try:
            wire.check_canonical(signature)
        except wire.SignatureError as problem:
            raise _bad_signature(str(problem)) from None
        digest = wire.digest(message, self._venue.domain)
        # The engine asks the same question again and is answered from memory.
        (recovered,) = preverify(digest + signature[64:].rjust(32, b"\0") + signature[:64])
        if recovered != address:
            raise _bad_signature("it does not recover to the key's address for these parameters")


def _bad_signature(text: str) -> ApiError:
    error = rejected(Code.BAD_SIGNATURE, None)
    assert error.data is not None
    error.data["text"] = text
    return error
