"""Price signers: processes that sign vectors of prices, which anyone may relay to the operator.

The program takes the median over signers (chapter 6.1), so a signer's worth is that it is run by
somebody else. It trusts nobody: its prices come from its own source, its domain from its own
configuration, and the API is only the way to the sequencer.
"""

from provenue.prices._pushed import PushedPrices
from provenue.prices._relay import Relay, RelayError
from provenue.prices._service import run_signer
from provenue.prices._signer import PriceSigner, RisingClock
from provenue.prices._sources import FixedPrices, PriceSource, WalkingPrices, parse_prices

__all__ = [
    "FixedPrices",
    "PriceSigner",
    "PriceSource",
    "PushedPrices",
    "Relay",
    "RelayError",
    "RisingClock",
    "WalkingPrices",
    "parse_prices",
    "run_signer",
]
