"""Tokens that exist and hurt: no return value, false, a fee, a callback that attacks."""

from typing import Any

import boa

_BODY = """
# pragma version 0.4.3
balanceOf: public(HashMap[address, uint256])
decimals: public(uint8)
mode: public(uint256)
target: address
payload: Bytes[8192]
attacked: public(uint256)
succeeded: public(uint256)

SAYS_FALSE: constant(uint256) = 2
FEE: constant(uint256) = 3
SENDER_FEE: constant(uint256) = 4
ATTACK: constant(uint256) = 5

@deploy
def __init__():
    self.decimals = 6

@external
def mint(to: address, amount: uint256):
    self.balanceOf[to] += amount

@external
def set_mode(mode: uint256):
    self.mode = mode

@external
def arm(target: address, payload: Bytes[8192]):
    self.mode = ATTACK
    self.target = target
    self.payload = payload

@external
def approve(spender: address, amount: uint256) -> bool:
    return True

@internal
def _move(owner: address, to: address, amount: uint256):
    if self.mode == ATTACK:
        self.attacked += 1
        if raw_call(self.target, self.payload, revert_on_failure=False):
            self.succeeded += 1
    self.balanceOf[owner] -= amount
    if self.mode == FEE:
        self.balanceOf[to] += amount - amount // 100
    else:
        self.balanceOf[to] += amount
    if self.mode == SENDER_FEE:
        self.balanceOf[owner] -= 1

"""
_RETURNING = """
@external
def transfer(to: address, amount: uint256) -> bool:
    self._move(msg.sender, to, amount)
    return self.mode != SAYS_FALSE

@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    self._move(owner, to, amount)
    return self.mode != SAYS_FALSE
"""
_SILENT = """
@external
def transfer(to: address, amount: uint256):
    self._move(msg.sender, to, amount)

@external
def transferFrom(owner: address, to: address, amount: uint256):
    self._move(owner, to, amount)
"""
SAYS_FALSE, FEE, SENDER_FEE = 2, 3, 4


def returning_token() -> Any:
    """A token that answers true unless told otherwise."""
    return boa.loads(_BODY + _RETURNING)


def silent_token() -> Any:
    """A token that returns nothing, like USDT."""
    return boa.loads(_BODY + _SILENT)
