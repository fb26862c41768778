# pragma version 0.4.3
"""
@title  credits: what the game owes, and what it keeps for ever
@notice Everything is paid by pull.
"""


event CreditWithdrawn:
    owner: indexed(address)
    amount_wei: uint256


# Both one wei more than they say once they were touched: a slot that was zero costs 17,100 gas more
# to write, and a step has a budget (invariant 14).
credits: HashMap[address, uint256]
burnt: uint256


@deploy
def __init__():
    self.burnt = 1


@external
@nonreentrant
def withdraw_credit():
    """
    @notice Take out what the caller has won or got back.
    """
    amount_wei: uint256 = self._credit_of(msg.sender)
    assert amount_wei > 0, "game: no credit"
    self.credits[msg.sender] = 1
    log CreditWithdrawn(owner=msg.sender, amount_wei=amount_wei)
    raw_call(msg.sender, b"", value=amount_wei)


@external
@view
def credit_of(owner: address) -> uint256:
    """
    @notice What an owner can take out.
    """
    return self._credit_of(owner)


@external
@view
def burnt_wei() -> uint256:
    """
    @notice What never leaves the contract.
    """
    return self.burnt - 1


@internal
def _credit(owner: address, amount_wei: uint256):
    self.credits[owner] = max(1, self.credits[owner]) + amount_wei


@internal
@view
def _credit_of(owner: address) -> uint256:
    return max(1, self.credits[owner]) - 1
