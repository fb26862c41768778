"""Admission: what is turned away before sequencing, at no cost to anyone and without a trace.

A message passes when it decodes, is of a kind that clients may post, names an open account and one
of its keys, is signed by that key with a nonce that the key can still use, and has not expired; a
price vector must be newer than its signer's last. So what is public on L1 cannot be sent again at
the operator's cost. Everything else is the program's to decide, and a reject of the program is part
of the data (design, settled details); how many of those an account may cause is bounded.
"""

from __future__ import annotations

import asyncio

from provenue import wire
from provenue._generated.constants import KEYS_PER_ACCOUNT, NONCE_MAX, NONCE_WINDOW
from provenue.engine import preverify
from provenue.gateway.errors import TOO_MANY_REQUESTS, ApiError, bad_param, rejected
from provenue.gateway.session import Buckets, RateLimit
from provenue.gateway.venue import Venue, now_ms
from provenue.sequencer.sequencer import Outcome
from provenue.wire import Action, Code, Prices

__all__ = ["Admission"]

_MESSAGE_BYTES_MAX = 1_024
_ADDRESS_ZERO = bytes(20)
# Actions of an account that the program may reject; each costs the operator calldata. An action is
# charged while it is on its way, so this also bounds how many are at once.
_REJECTS = RateLimit(per_second=5.0, burst=300.0)


class Admission:
    """Checks messages against the venue as it stands."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        # What waits to be sequenced, the image does not know it yet: (account id, key, nonce).
        self._queued_nonces: set[tuple[int, int, int]] = set()
        self._queued_prices: dict[int, int] = {}
        self._rejects: Buckets[int] = Buckets(_REJECTS)

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
        """ApiError unless the message may be sequenced. The order of checks is the program's."""
        if isinstance(message, Prices):
            self._check_signature(message, self._signer(message.signer))
            self._check_newer(message)
            return
        row = self._key(message)
        address = bytes(self._venue.engine.tables["keys"][row]["address"].item())
        self._check_signature(message, address)
        self._check_nonce(row, message)
        if now_ms() >= message.expires_at_ms:
            raise rejected(Code.EXPIRED, None)
        if not self._rejects.of(message.account).take():
            reason = "too many of this account's actions were rejected or are on their way"
            raise ApiError(TOO_MANY_REQUESTS, "too_many_requests", {"reason": reason})

    def queued(self, message: Action | Prices, future: asyncio.Future[list[Outcome]]) -> None:
        """A checked message now waits to be sequenced: until then its copies are turned away."""
        if isinstance(message, Prices):
            signer, published_ms = message.signer, message.published_at_ms
            self._queued_prices[signer] = published_ms
            future.add_done_callback(lambda _: self._price_done(signer, published_ms))
            return
        place = (message.account, message.key, message.nonce)
        self._queued_nonces.add(place)
        future.add_done_callback(lambda _: self._queued_nonces.discard(place))

    def accepted(self, message: Action | Prices) -> None:
        """The program took it: it costs the account nothing."""
        if not isinstance(message, Prices):
            self._rejects.of(message.account).give_back()

    def _price_done(self, signer: int, published_ms: int) -> None:
        if self._queued_prices.get(signer) == published_ms:
            del self._queued_prices[signer]

    def _check_nonce(self, row: int, message: Action) -> None:
        nonce = message.nonce
        record = self._venue.engine.tables["nonces"][row]
        place = nonce - int(record["base"])
        if nonce > NONCE_MAX:
            raise rejected(Code.NONCE_TOO_LARGE, None)
        if place < 0:
            raise rejected(Code.NONCE_TOO_OLD, None)
        word, bit = divmod(place, 64)
        used = place < NONCE_WINDOW and int(record["window"][word]) >> bit & 1
        if used or (message.account, message.key, nonce) in self._queued_nonces:
            raise rejected(Code.NONCE_USED, None)

    def _check_newer(self, message: Prices) -> None:
        signer = self._venue.engine.tables["signers"][message.signer]
        newest_ms = int(signer["last_published_at_ms"])
        newest_ms = max(newest_ms, self._queued_prices.get(message.signer, 0))
        if message.published_at_ms <= newest_ms:
            raise rejected(Code.PRICE_NOT_NEWER, None)

    def _key(self, action: Action) -> int:
        """The row of the action's key in the tables `keys` and `nonces`."""
        entry = self._venue.directory.by_id(action.account)
        if entry is None:
            raise rejected(Code.ACCOUNT_UNKNOWN, None)
        if action.key >= KEYS_PER_ACCOUNT:
            raise rejected(Code.KEY_UNKNOWN, None)
        row = entry.index * KEYS_PER_ACCOUNT + action.key
        if bytes(self._venue.engine.tables["keys"][row]["address"].item()) == _ADDRESS_ZERO:
            raise rejected(Code.KEY_UNKNOWN, None)
        return row

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
