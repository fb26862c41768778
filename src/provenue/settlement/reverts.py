"""What a contract said when it refused, read from the revert bytes."""

from __future__ import annotations

from eth_abi.abi import decode as abi_decode

__all__ = ["revert_reason"]

_ERROR_STRING = bytes.fromhex("08c379a0")  # Error(string): `raise "..."`, `assert ..., "..."`
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256): Solidity's own checks
_PANICS = {
    0x01: "assertion failed", 0x11: "arithmetic overflow", 0x12: "division by zero",
    0x21: "invalid enum value", 0x31: "pop from an empty array", 0x32: "index out of bounds",
    0x41: "out of memory",
}  # fmt: skip


def revert_reason(data: bytes | None) -> str | None:
    """The reason in revert bytes: "" when there are none, hex when they are no known shape.

    None when there is no revert data at all (the node failed, not the contract).
    """
    if data is None:
        return None
    if not data:
        return ""
    try:
        if data[:4] == _ERROR_STRING:
            return str(abi_decode(["string"], data[4:], strict=False)[0])
        if data[:4] == _PANIC:
            code = int(abi_decode(["uint256"], data[4:])[0])
            return f"panic 0x{code:02x}: {_PANICS.get(code, 'unknown')}"
    except Exception:  # eth_abi has many errors; whatever it is, show the bytes instead
        return f"undecodable revert data 0x{data.hex()}"
    return f"custom error 0x{data.hex()}"
