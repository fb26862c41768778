# pragma version 0.4.3
"""
@title  Bundle: several calls of one contract in one transaction
@license Apache-2.0
@notice For moves of a dispute that nobody owns (reveals, advances, seals, steps): a watcher that
        knows its next moves makes them at once. All succeed or none does; the reason of the first
        that fails is handed on. Anyone deploys it, anyone uses it.
@custom:kill There is nothing to stop: no storage, no owner, and no money but by accident.
"""

CALLS_MAX: constant(uint256) = 4
CALL_BYTES_MAX: constant(uint256) = 4096  # the longest is a step: a witness of at most 3,200 bytes


@external
def run(target: address, calls: DynArray[Bytes[CALL_BYTES_MAX], CALLS_MAX]):
    """
    @notice Call `target` with each, in order.
    """
    # A call of an address without code would succeed and do nothing.
    assert target.is_contract, "bundle: target has no code"
    for data: Bytes[CALL_BYTES_MAX] in calls:
        raw_call(target, data)
