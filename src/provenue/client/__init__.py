"""The Python SDK: keys, signing, trading, deposits and proven withdrawals.

from provenue.client import Client

with Client("http://127.0.0.1:8080", private_key="env:KEY", rpc_url="http://127.0.0.1:8545") as c:
    c.deposit("USDC", 1_000)
    print(c.buy("BTC-PERPETUAL", "0.01", 63_000).state)
    c.claim(c.withdraw("USDC", 500))
"""

from provenue.client._connection import Subscription
from provenue.client._terms import OrderTerms
from provenue.client.async_client import AsyncClient
from provenue.client.errors import (
    AmountError,
    ClientError,
    ConnectionFailedError,
    DeploymentError,
    DepositError,
    NotAuthorizedError,
    NotFinalError,
    OnChainError,
    OutcomeUnknownError,
    ProofError,
    RateLimitedError,
    RejectedError,
    RequestError,
    SubscriptionError,
)
from provenue.client.keys import Key, KeyLoadError, generate_key, load_key
from provenue.client.models import (
    Account,
    Balance,
    Book,
    Instrument,
    Order,
    Position,
    PublicTrade,
    Ticker,
    Trade,
)
from provenue.client.sync_client import Client

__all__ = [
    "Account",
    "AmountError",
    "AsyncClient",
    "Balance",
    "Book",
    "Client",
    "ClientError",
    "ConnectionFailedError",
    "DeploymentError",
    "DepositError",
    "Instrument",
    "Key",
    "KeyLoadError",
    "NotAuthorizedError",
    "NotFinalError",
    "OnChainError",
    "Order",
    "OrderTerms",
    "OutcomeUnknownError",
    "Position",
    "ProofError",
    "PublicTrade",
    "RateLimitedError",
    "RejectedError",
    "RequestError",
    "Subscription",
    "SubscriptionError",
    "Ticker",
    "Trade",
    "generate_key",
    "load_key",
]
