# pragma version 0.4.3
"""
What the chain tests call: state, reverts, events, time, calldata.
"""

struct Pair:
    who: address
    amount: uint256

event Stored:
    who: indexed(address)
    key: indexed(uint256)
    amount: uint256
    note: String[32]

event Other:
    amount: uint256

name: public(String[16])
number: public(uint256)
amounts: public(HashMap[address, uint256])
digest: public(bytes32)


@deploy
@payable
def __init__(name: String[16], number: uint256):
    self.name = name
    self.number = number


@external
def store(key: uint256, amount: uint256, note: String[32] = "none"):
    assert amount != 13, "probe: unlucky amount"
    assert amount != 14
    self.amounts[msg.sender] = amount
    log Stored(who=msg.sender, key=key, amount=amount, note=note)
    log Other(amount=amount + 1)


@external
def increment() -> uint256:
    self.number += 1
    return self.number


@external
def take(data: Bytes[130000]):
    self.digest = keccak256(data)


@external
def spin():
    for i: uint256 in range(100000):
        self.number += 1


@external
def only_after(moment: uint256):
    assert block.timestamp >= moment, "probe: too early"
    self.number = block.timestamp


@external
@payable
def pay():
    assert msg.value > 0, "probe: send something"


@external
@view
def now() -> (uint256, uint256):
    return block.timestamp, block.number


@external
@view
def swap(pairs: DynArray[Pair, 4], mark: bytes32) -> (Pair, DynArray[address, 4], bytes32):
    found: DynArray[address, 4] = []
    total: uint256 = 0
    for pair: Pair in pairs:
        found.append(pair.who)
        total += pair.amount
    return Pair(who=self, amount=total), found, mark


@external
@view
def checked(left: uint256, right: int128) -> (uint256, int128, bool):
    return left + 1, -right, left > 5
