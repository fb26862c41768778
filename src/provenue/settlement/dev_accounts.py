"""The accounts every local chain funds.

They come from the mnemonic that all Ethereum development tools share. The keys are PUBLIC: whatever
is sent to them on a real chain is gone at once. `start_chain` and tests use them, nothing else may.
"""

from __future__ import annotations

import functools
import hashlib
import hmac

import coincurve

from provenue.settlement.tx import Account

__all__ = ["DEV_BALANCE_ETHER", "DEV_CHAIN_ID", "DEV_MNEMONIC", "dev_accounts"]

DEV_MNEMONIC = "test test test test test test test test test test test junk"
DEV_CHAIN_ID = 31_337
DEV_BALANCE_ETHER = 1_000_000
_CURVE_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_HARDENED = 1 << 31
_PATH = (44 | _HARDENED, 60 | _HARDENED, 0 | _HARDENED, 0)  # m/44'/60'/0'/0


@functools.cache
def dev_accounts(count: int = 40) -> tuple[tuple[str, str], ...]:
    """(address, private key) of the first `count` accounts of the mnemonic."""
    seed = hashlib.pbkdf2_hmac("sha512", DEV_MNEMONIC.encode(), b"mnemonic", 2048)
    key, code = _split(hmac.digest(b"Bitcoin seed", seed, "sha512"))
    for index in _PATH:
        key, code = _child(key, code, index)
    keys = [_child(key, code, index)[0].to_bytes(32, "big") for index in range(count)]
    return tuple((Account(one).address, "0x" + one.hex()) for one in keys)


def _split(digest: bytes) -> tuple[int, bytes]:
    return int.from_bytes(digest[:32], "big"), digest[32:]


def _child(key: int, code: bytes, index: int) -> tuple[int, bytes]:
    """BIP-32 private child derivation."""
    raw = key.to_bytes(32, "big")
    public = b"\0" + raw if index >= _HARDENED else coincurve.PrivateKey(raw).public_key.format()
    tweak, child_code = _split(hmac.digest(code, public + index.to_bytes(4, "big"), "sha512"))
    return (key + tweak) % _CURVE_ORDER, child_code
