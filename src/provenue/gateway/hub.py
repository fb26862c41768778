"""Subscriptions: who gets which notification. Encodes each message once, whatever the audience."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from provenue.gateway.session import Session

__all__ = ["Hub"]

CHANNELS_PER_SESSION_MAX = 500


class Hub:
    """Channel name -> sessions. All calls on the event loop's thread."""

    def __init__(self, encode: Callable[[object], bytes]) -> None:
        self._encode = encode
        self._audience: dict[str, set[Session]] = {}

    def add(self, session: Session, channel: str) -> bool:
        """Subscribe; False when the session has too many channels or cannot receive."""
        if session.send is None or len(session.channels) >= CHANNELS_PER_SESSION_MAX:
            return False
        session.channels.add(channel)
        self._audience.setdefault(channel, set()).add(session)
        return True

    def remove(self, session: Session, channel: str) -> None:
        """Unsubscribe; nothing happens when it was not subscribed."""
        session.channels.discard(channel)
        audience = self._audience.get(channel)
        if audience is not None:
            audience.discard(session)
            if not audience:
                del self._audience[channel]

    def drop(self, session: Session) -> None:
        """The connection is gone."""
        for channel in list(session.channels):
            self.remove(session, channel)

    def wanted(self, channel: str) -> bool:
        """Whether anybody listens (so that data need not be made for nobody)."""
        return channel in self._audience

    def channels(self, prefix: str) -> list[str]:
        """Channels with listeners that start with `prefix`."""
        return [name for name in self._audience if name.startswith(prefix)]

    def publish(self, channel: str, data: Any) -> None:
        """Send `data` to everyone on the channel."""
        audience = self._audience.get(channel)
        if audience:
            message = self._notification(channel, data)
            for session in audience:
                if session.send is not None:
                    session.send(message)

    def publish_to(self, session: Session, channel: str, data: Any) -> None:
        """Send to one session (a snapshot on subscribing)."""
        if session.send is not None:
            session.send(self._notification(channel, data))

    def publish_to_owner(self, owner: bytes, channel: str, data: Any) -> None:
        """Send to the sessions on the channel that have logged in as `owner` (user channels)."""
        audience = [s for s in self._audience.get(channel, ()) if s.owner == owner and s.send]
        if audience:
            message = self._notification(channel, data)
            for session in audience:
                if session.send is not None:
                    session.send(message)

    def _notification(self, channel: str, data: Any) -> bytes:
        return self._encode(
            {
                "jsonrpc": "2.0",
                "method": "subscription",
                "params": {"channel": channel, "data": data},
            }
        )
