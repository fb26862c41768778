"""Provenue: an off-chain execution environment for derivatives, provable on an EVM chain."""

__all__ = ["__version__"]

# The only place that says the version; the build reads it from here.
__version__ = "0.1.0"
