"""What every message class shares, and the errors of this package."""

from typing import ClassVar, Final

import msgspec

from provenue._generated.codes import Code
from provenue._generated.messages import Kind

__all__ = ["UNSIGNED", "DecodeError", "EncodeError", "Message", "SignatureError", "WireError"]

# The signature of a message that is not signed yet: it never recovers to an address.
UNSIGNED: Final = bytes(65)


class WireError(ValueError):
    """Bytes or values that are no message, or no message that can be signed."""


class EncodeError(WireError):
    """A value that does not fit its field; the text names the field."""


class DecodeError(WireError):
    """Bytes that are no message; `code` is the reject the program answers with (chapter 2.2)."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class SignatureError(WireError):
    """A signature that is not canonical, or recovers to no address."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message; its kind is the class, its fields are those of protocol/messages.toml."""

    KIND: ClassVar[Kind]
