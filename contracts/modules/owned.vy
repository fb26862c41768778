# pragma version 0.4.3
"""
@title  owned: one owner, handed over in two steps
@notice The owner prepares: registrations, listings, rotations behind a delay. The owner can never
        move collateral, stop a withdrawal, decide a dispute or reach a bond.
"""

event OwnershipOffered:
    owner: indexed(address)
    next_owner: indexed(address)


event OwnershipTaken:
    previous_owner: indexed(address)
    owner: indexed(address)


owner: public(address)
next_owner: public(address)


@deploy
def __init__(owner: address):
    assert owner != empty(address), "owned: owner is zero"
    self.owner = owner
    log OwnershipTaken(previous_owner=empty(address), owner=owner)


@external
def offer_ownership(next_owner: address):
    """
    @notice Offer ownership; it moves when the other side takes it. Zero withdraws the offer.
    """
    self._only_owner()
    self.next_owner = next_owner
    log OwnershipOffered(owner=self.owner, next_owner=next_owner)


@external
def take_ownership():
    """
    @notice Take the ownership that was offered to the caller.
    """
    assert msg.sender == self.next_owner, "owned: not offered to the caller"
    log OwnershipTaken(previous_owner=self.owner, owner=msg.sender)
    self.owner = msg.sender
    self.next_owner = empty(address)


@internal
@view
def _only_owner():
    assert msg.sender == self.owner, "owned: caller is not the owner"
