"""Subscriptions: who gets which notification. Encodes each message once, whatever the audience.

A key says who hears what: a channel's name, and for user channels also whose (`key_of`), so that an
owner's event costs nothing to everyone else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from provenue.gateway.session import Session

__all__ = ["Hub", "key_of"]

CHANNELS_PER_SESSION_MAX = 500


def key_of(channel: str, owner: bytes | None) -> str:
    """The key of a channel; user channels have one per owner."""
    return f"{channel}@{owner.hex()}" if owner is not None else channel


class Hub:
    """Keys -> sessions. All calls on the event loop's thread."""

    def __init__(self, encode: Callable[[object], bytes]) -> None:
        self._encode = encode
        # Dictionaries as ordered sets: everyone hears in the order of subscribing.
        self._audience: dict[str, dict[Session, None]] = {}
        self._on_empty: Callable[[str], None] = lambda _: None

    def on_empty(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with a key that nobody listens to any more."""
        self._on_empty = listener

    def add(self, session: Session, key: str) -> bool:
        """Subscribe; False when the session has too many channels or cannot receive."""
        if session.send is None or len(session.channels) >= CHANNELS_PER_SESSION_MAX:
            return False
        session.channels.add(key)
        self._audience.setdefault(key, {})[session] = None
        return True

    def remove(self, session: Session, key: str) -> bool:
        """Unsubscribe; False when it was not subscribed."""
        if key not in session.channels:
            return False
        session.channels.discard(key)
        audience = self._audience[key]
        del audience[session]
        if not audience:
            del self._audience[key]
            self._on_empty(key)
        return True

    def drop(self, session: Session) -> None:
        """The connection is gone."""
        for key in list(session.channels):
            self.remove(session, key)

    def wanted(self, key: str) -> bool:
        """Whether anybody listens (so that data need not be made for nobody)."""
        return key in self._audience

    def publish(self, channel: str, data: Any, *, owner: bytes | None = None) -> None:
        """Send `data` to everyone on the channel (of that owner)."""
        audience = self._audience.get(key_of(channel, owner))
        if audience:
            message = self._notification(channel, data)
            # A session that is cut off while it is sent to leaves the audience.
            for session in list(audience):
                if session.send is not None:
                    session.send(message)

    def publish_to(self, session: Session, channel: str, data: Any) -> None:
        """Send to one session (a snapshot on subscribing)."""
        if session.send is not None:
            session.send(self._notification(channel, data))

    def _notification(self, channel: str, data: Any) -> bytes:
        return self._encode(
            {
                "jsonrpc": "2.0",
                "method": "subscription",
                "params": {"channel": channel, "data": data},
            }
        )
