# pragma version 0.4.3
"""
@title  wire: inbox messages as bytes
@notice Big-endian, fixed width, kind first, as protocol/messages.toml has them.
"""

from modules import constants as c


@internal
@pure
def _kind(kind: uint256) -> bytes1:
    return convert(convert(kind, uint8), bytes1)


@internal
@pure
def _kind_of(message: Bytes[c.INBOX_MESSAGE_MAX]) -> uint256:
    """
    @notice The kind of a message that is not empty.
    """
    return convert(slice(message, 0, 1), uint256)


@internal
@pure
def _genesis(chain_id: uint64, anchor: address) -> Bytes[c.INBOX_MESSAGE_MAX]:
    return concat(
        self._kind(c.KIND_GENESIS), convert(chain_id, bytes8), convert(anchor, bytes20)
    )


@internal
@pure
def _deposit(
    asset: uint16, amount_units: uint64, owner: address, subaccount: uint8
) -> Bytes[c.INBOX_MESSAGE_MAX]:
    return concat(
        self._kind(c.KIND_DEPOSIT),
        convert(asset, bytes2),
        convert(amount_units, bytes8),
        convert(owner, bytes20),
        convert(subaccount, bytes1),
    )


@internal
@pure
def _forced_withdraw(
    owner: address, subaccount: uint8, asset: uint16, amount_units: uint64, recipient: address
) -> Bytes[c.INBOX_MESSAGE_MAX]:
    return concat(
        self._kind(c.KIND_FORCED_WITHDRAW),
        convert(owner, bytes20),
        convert(subaccount, bytes1),
        convert(asset, bytes2),
        convert(amount_units, bytes8),
        convert(recipient, bytes20),
    )


@internal
@pure
def _forced_cancel(owner: address, subaccount: uint8) -> Bytes[c.INBOX_MESSAGE_MAX]:
    return concat(
        self._kind(c.KIND_FORCED_CANCEL), convert(owner, bytes20), convert(subaccount, bytes1)
    )


@internal
@pure
def _forced_close(owner: address, subaccount: uint8) -> Bytes[c.INBOX_MESSAGE_MAX]:
    return concat(
        self._kind(c.KIND_FORCED_CLOSE), convert(owner, bytes20), convert(subaccount, bytes1)
    )


@internal
@pure
def _forced_revoke(owner: address, subaccount: uint8, slot: uint8) -> Bytes[c.INBOX_MESSAGE_MAX]:
    return concat(
        self._kind(c.KIND_FORCED_REVOKE),
        convert(owner, bytes20),
        convert(subaccount, bytes1),
        convert(slot, bytes1),
    )
