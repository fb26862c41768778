"""What can go wrong for a client, as one tree under ClientError."""

from typing import Any

__all__ = [
    "AmountError",
    "ClientError",
    "ConnectionFailedError",
    "DeploymentError",
    "DepositError",
    "NotAuthorizedError",
    "NotFinalError",
    "OnChainError",
    "OutcomeUnknownError",
    "ProofError",
    "RateLimitedError",
    "RejectedError",
    "RequestError",
    "SubscriptionError",
]


class ClientError(Exception):
    """Everything the SDK raises on purpose."""


class AmountError(ClientError, ValueError):
    """A number that the venue has no units for; the text names the field and the step."""


class ConnectionFailedError(ClientError):
    """The venue cannot be reached."""


class OutcomeUnknownError(ConnectionFailedError):
    """The connection ended before the answer came: what was sent may have been done or not.

    Look at open orders and trades before sending it again; the same signed action runs only once.
    """


class RequestError(ClientError):
    """The venue refused a request: Deribit's `code`, and our `reason` and `data`."""

    def __init__(self, method: str, code: int, message: str, data: Any) -> None:
        self.method = method
        self.code = code
        self.message = message
        self.data: dict[str, Any] = data if isinstance(data, dict) else {}
        self.reason: str = str(self.data.get("reason", message))
        place = f"{self.data['param']}: " if "param" in self.data else ""
        text = f" ({self.data['text']})" if "text" in self.data else ""
        super().__init__(f"{method}: {message} [{code}]: {place}{self.reason}{text}")


class RejectedError(RequestError):
    """The program's rules forbid an action. `reason` is the reject code's name in lower case;
    `sequence` is its place in the journal, None when it was turned away before sequencing.
    """

    @property
    def sequence(self) -> int | None:
        """Sequence number of the reject, if it was sequenced."""
        return self.data.get("sequence")


class NotAuthorizedError(RequestError):
    """Logging in failed, or the call needs it."""


class RateLimitedError(RequestError):
    """Too many requests; wait and try again."""


class SubscriptionError(ClientError):
    """A channel cannot be subscribed, or its reader was too slow."""


class DeploymentError(ClientError):
    """The venue, the chain and what the client was told of them do not fit together."""


class DepositError(ClientError):
    """The vault has the money, the venue did not credit it."""


class OnChainError(ClientError):
    """The chain's node did not answer, or a contract refused; the text has its reason."""


class NotFinalError(ClientError):
    """The batch of a withdrawal did not become final in time; try again later."""


class ProofError(ClientError):
    """A proof does not lead to the root on the chain: do not trust this venue's answer."""
