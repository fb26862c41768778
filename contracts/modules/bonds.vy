# pragma version 0.4.3
"""
@title  bonds: ether that answers for claims
@notice One bond of a claimant covers all its open claims that have no bond of their own, with a
        reserve for each. It can be taken out when none is open. The loser of a dispute pays: half
        to the winner, half to nobody, since otherwise a dispute against oneself would be a free
        delay.

        balance of the contract >= sum of bonds + bonds of rivals + sum of credits + burnt
"""

event BondDeposited:
    claimant: indexed(address)
    amount_wei: uint256
    bond_wei: uint256


event BondWithdrawn:
    claimant: indexed(address)
    amount_wei: uint256


event BondSlashed:
    claimant: indexed(address)
    winner: indexed(address)
    credit_wei: uint256
    burnt_wei: uint256


event CreditWithdrawn:
    winner: indexed(address)
    amount_wei: uint256


bond_of: public(HashMap[address, uint256])
# Claims of a claimant that are neither final nor void.
open_claims_of: public(HashMap[address, uint256])
credit_of: public(HashMap[address, uint256])
# Never leaves the contract.
burnt_wei: public(uint256)


@external
@payable
def deposit_bond():
    """
    @notice Add to the caller's bond.
    """
    assert msg.value > 0, "anchor: value is zero"
    bond_wei: uint256 = self.bond_of[msg.sender] + msg.value
    self.bond_of[msg.sender] = bond_wei
    log BondDeposited(claimant=msg.sender, amount_wei=msg.value, bond_wei=bond_wei)


@external
@nonreentrant
def withdraw_bond(amount_wei: uint256):
    """
    @notice Take the caller's bond out, or a part; only while no claim of the caller is open.
    """
    assert amount_wei > 0, "anchor: amount is zero"
    assert self.open_claims_of[msg.sender] == 0, "anchor: claims are open"
    assert self.bond_of[msg.sender] >= amount_wei, "anchor: bond is smaller"
    self.bond_of[msg.sender] -= amount_wei
    log BondWithdrawn(claimant=msg.sender, amount_wei=amount_wei)
    raw_call(msg.sender, b"", value=amount_wei)


@external
@nonreentrant
def withdraw_credit():
    """
    @notice Take out what disputes have won for the caller.
    """
    amount_wei: uint256 = self.credit_of[msg.sender]
    assert amount_wei > 0, "anchor: no credit"
    self.credit_of[msg.sender] = 0
    log CreditWithdrawn(winner=msg.sender, amount_wei=amount_wei)
    raw_call(msg.sender, b"", value=amount_wei)


@internal
def _open(claimant: address, bond_wei: uint256, reserve_wei: uint256):
    """
    @notice One bond for all, and beside it a reserve for each claim that is open.
    """
    count: uint256 = self.open_claims_of[claimant] + 1
    needed_wei: uint256 = bond_wei + count * reserve_wei
    assert self.bond_of[claimant] >= needed_wei, "anchor: bond is too small"
    self.open_claims_of[claimant] = count


@internal
def _close(claimant: address):
    self.open_claims_of[claimant] -= 1


@internal
def _slash(claimant: address, bond_wei: uint256, reserve_wei: uint256, winner: address):
    """
    @notice Take bond and reserve of a claim that has lost, as far as they are there beyond the
            reserves of the claimant's other open claims: so the next lie costs too.
    """
    others: uint256 = self.open_claims_of[claimant] - 1
    self.open_claims_of[claimant] = others
    held_wei: uint256 = self.bond_of[claimant]
    free_wei: uint256 = held_wei - min(held_wei, others * reserve_wei)
    taken_wei: uint256 = min(free_wei, bond_wei + reserve_wei)
    self.bond_of[claimant] = held_wei - taken_wei
    self._pay(claimant, taken_wei, winner)


@internal
def _pay(claimant: address, taken_wei: uint256, winner: address):
    """
    @notice Half of what a loser pays goes to the winner; without one all of it is burnt.
    """
    credit_wei: uint256 = 0 if winner == empty(address) else taken_wei // 2
    self.credit_of[winner] += credit_wei
    self.burnt_wei += taken_wei - credit_wei
    log BondSlashed(
        claimant=claimant,
        winner=winner,
        credit_wei=credit_wei,
        burnt_wei=taken_wei - credit_wei,
    )
