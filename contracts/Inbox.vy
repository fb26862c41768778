# pragma version 0.4.3
"""
@title  Inbox: the ordered queue of what the chain says to the program
@license Apache-2.0
@notice Deposits, forced actions of owners, and administration. Every item is a message of
        protocol/messages.toml (kinds from 0x80) of at most 480 bytes; batches consume the queue
        in order and may not leave a due item behind (Anchor). The bytes of an item are in the
        event `Enqueued`; the contract keeps what binds them.

        Glossary
        item         a message with its place (index) in the queue
        slot root    root of the item's 16 leaves of 32 bytes: length, message, zeros
        acc[n]       accumulator of the first n items: acc[0] = 0,
                     acc[n+1] = keccak(acc[n] ‖ slot root of item n)
        seal         ends the setting-up; from then on administration waits admin_delay_s, which is
                     longer than the exit window of the Anchor: whoever dislikes a change can leave

        Against spam: a forced action burns forced_fee_wei (fixed at deployment, so it cannot be
        raised against anyone) beside the gas of its item, which is over ten times what consuming
        it costs a batch. There is no quota, hence nothing to exhaust in order to shut others out.
@custom:kill There is none. Nobody can stop the queue, skip an item or change one.
"""

from interfaces import IAnchor
from interfaces import IInbox
from interfaces import IVault
from modules import constants as c
from modules import merkle
from modules import owned
from modules import wire

implements: IInbox
initializes: merkle
initializes: owned
exports: (
    owned.owner,
    owned.next_owner,
    owned.offer_ownership,
    owned.take_ownership,
)


event Enqueued:
    index: indexed(uint256)
    kind: indexed(uint256)
    owner: indexed(address)  # of the account it concerns; zero for administration
    message: Bytes[c.INBOX_MESSAGE_MAX]
    slot_root: bytes32
    accumulator: bytes32
    enqueued_at: uint256


event Bound:
    vault: indexed(address)
    anchor: indexed(address)


event Sealed:
    count: uint256


event AdminProposed:
    id: indexed(uint256)
    ready_at: uint256
    message: Bytes[c.INBOX_MESSAGE_MAX]


event AdminCancelled:
    id: indexed(uint256)


struct Item:
    accumulator: bytes32  # after this item
    enqueued_at: uint256  # L1 time in seconds


struct Proposal:
    message_hash: bytes32  # zero: never made, cancelled, or enqueued
    ready_at: uint256


ADMIN_DELAY_S: immutable(uint256)
FORCED_FEE_WEI: immutable(uint256)

vault: public(address)
anchor: public(address)
sealed: public(bool)
# Number of items so far: the index of the next one.
count: public(uint256)
proposal_count: public(uint256)
proposals: public(HashMap[uint256, Proposal])
_items: HashMap[uint256, Item]


@deploy
def __init__(owner: address, admin_delay_s: uint256, forced_fee_wei: uint256):
    """
    @param owner Sets the queue up, and proposes administration later.
    @param admin_delay_s Wait between proposing and enqueuing administration after sealing.
    @param forced_fee_wei Burnt by each forced action.
    """
    merkle.__init__()
    owned.__init__(owner)
    ADMIN_DELAY_S = admin_delay_s
    FORCED_FEE_WEI = forced_fee_wei


# --- setting up -----------------------------------------------------------------------------------


@external
def bind(vault: address, anchor: address):
    """
    @notice Connect the contracts and enqueue item 0, GENESIS: chain id and Anchor come from here,
            so they cannot be wrong.
    """
    owned._only_owner()
    assert self.anchor == empty(address), "inbox: already bound"
    assert staticcall IVault(vault).inbox() == self, "inbox: vault has another inbox"
    assert staticcall IVault(vault).anchor() == anchor, "inbox: vault has another anchor"
    assert staticcall IAnchor(anchor).inbox() == self, "inbox: anchor has another inbox"
    exit_window_s: uint256 = staticcall IAnchor(anchor).exit_window_s()
    assert ADMIN_DELAY_S > exit_window_s, "inbox: admin delay must exceed the exit window"
    self.vault = vault
    self.anchor = anchor
    log Bound(vault=vault, anchor=anchor)
    self._enqueue(wire._genesis(convert(chain.id, uint64), anchor), empty(address))


@external
def enqueue_setup(message: Bytes[c.INBOX_MESSAGE_MAX]) -> uint256:
    """
    @notice Enqueue administration at once, before the seal.
    @return The index of the item.
    """
    owned._only_owner()
    assert not self.sealed, "inbox: sealed, propose instead"
    self._check_admin(message)
    return self._enqueue(message, empty(address))


@external
def seal():
    """
    @notice End the setting-up, for good.
    """
    owned._only_owner()
    self._check_bound()
    assert not self.sealed, "inbox: already sealed"
    self.sealed = True
    log Sealed(count=self.count)


# --- administration behind the delay --------------------------------------------------------------


@external
def propose_admin(message: Bytes[c.INBOX_MESSAGE_MAX]) -> uint256:
    """
    @notice Propose administration; everybody can read it for admin_delay_s before it counts.
    @return The id of the proposal.
    """
    owned._only_owner()
    self._check_admin(message)
    id: uint256 = self.proposal_count
    self.proposal_count = id + 1
    ready_at: uint256 = block.timestamp + ADMIN_DELAY_S
    self.proposals[id] = Proposal(message_hash=keccak256(message), ready_at=ready_at)
    log AdminProposed(id=id, ready_at=ready_at, message=message)
    return id


@external
def cancel_admin(id: uint256):
    """
    @notice Withdraw a proposal that has not been enqueued.
    """
    owned._only_owner()
    assert self.proposals[id].message_hash != empty(bytes32), "inbox: no such proposal"
    self.proposals[id] = empty(Proposal)
    log AdminCancelled(id=id)


@external
def enqueue_admin(id: uint256, message: Bytes[c.INBOX_MESSAGE_MAX]) -> uint256:
    """
    @notice Enqueue a proposal whose delay is over. Only the owner: what is forgotten stays so.
    @return The index of the item.
    """
    owned._only_owner()
    proposal: Proposal = self.proposals[id]
    assert proposal.message_hash != empty(bytes32), "inbox: no such proposal"
    assert proposal.message_hash == keccak256(message), "inbox: not the proposed message"
    assert block.timestamp >= proposal.ready_at, "inbox: proposal is not ready"
    self.proposals[id] = empty(Proposal)
    return self._enqueue(message, empty(address))


# --- owners and the vault -------------------------------------------------------------------------


@external
def enqueue_deposit(
    asset: uint16, amount_units: uint64, owner: address, subaccount: uint8
) -> uint256:
    """
    @notice The vault has received collateral. Only the vault.
    @return The index of the item.
    """
    self._check_bound()
    assert msg.sender == self.vault, "inbox: caller is not the vault"
    return self._enqueue(wire._deposit(asset, amount_units, owner, subaccount), owner)


@external
@payable
def forced_withdraw(
    subaccount: uint8, asset: uint16, amount_units: uint64, recipient: address
) -> uint256:
    """
    @notice Withdraw from the caller's account without the operator's consent.
    @return The index of the item.
    """
    assert amount_units > 0, "inbox: amount is zero"
    assert convert(amount_units, uint256) <= c.AMOUNT_MAX, "inbox: amount is too large"
    assert recipient != empty(address), "inbox: recipient is zero"
    self._check_forced(msg.value)
    message: Bytes[c.INBOX_MESSAGE_MAX] = wire._forced_withdraw(
        msg.sender, subaccount, asset, amount_units, recipient
    )
    return self._enqueue(message, msg.sender)


@external
@payable
def forced_cancel(subaccount: uint8) -> uint256:
    """
    @notice Cancel all orders of the caller's account without the operator's consent.
    @return The index of the item.
    """
    self._check_forced(msg.value)
    return self._enqueue(wire._forced_cancel(msg.sender, subaccount), msg.sender)


@external
@payable
def forced_close(subaccount: uint8) -> uint256:
    """
    @notice Close every position of the caller's account without the operator's consent: its orders
            are cancelled, and the next prices carry the close out (chapter 12).
    @return The index of the item.
    """
    self._check_forced(msg.value)
    return self._enqueue(wire._forced_close(msg.sender, subaccount), msg.sender)


@external
@payable
def forced_revoke(subaccount: uint8, slot: uint8) -> uint256:
    """
    @notice Revoke a session key of the caller's account without the operator's consent.
    @return The index of the item.
    """
    assert slot > 0, "inbox: slot 0 is the owner"
    assert convert(slot, uint256) < c.KEYS_PER_ACCOUNT, "inbox: no such slot"
    self._check_forced(msg.value)
    return self._enqueue(wire._forced_revoke(msg.sender, subaccount, slot), msg.sender)


# --- views ----------------------------------------------------------------------------------------


@external
@view
def accumulator(count: uint256) -> bytes32:
    """
    @notice acc[count]: binds the first `count` items.
    """
    assert count <= self.count, "inbox: not that many items"
    if count == 0:
        return empty(bytes32)
    return self._items[count - 1].accumulator


@external
@view
def enqueued_at(index: uint256) -> uint256:
    """
    @notice L1 time of an item in seconds.
    """
    assert index < self.count, "inbox: no such item"
    return self._items[index].enqueued_at


@external
@view
def slot_root_of(message: Bytes[c.INBOX_MESSAGE_MAX]) -> bytes32:
    """
    @notice The slot root of a message, for those who check.
    """
    return merkle._slot_root(message)


@external
@view
def admin_delay_s() -> uint256:
    return ADMIN_DELAY_S


@external
@view
def forced_fee_wei() -> uint256:
    return FORCED_FEE_WEI


# --- internal -------------------------------------------------------------------------------------


@internal
@view
def _check_bound():
    assert self.anchor != empty(address), "inbox: not bound"


@internal
@view
def _check_forced(paid_wei: uint256):
    self._check_bound()
    # The fee stays here for ever: nothing in this contract sends.
    assert paid_wei == FORCED_FEE_WEI, "inbox: value must equal the forced fee"


@internal
@view
def _check_admin(message: Bytes[c.INBOX_MESSAGE_MAX]):
    """
    @notice Kind and length of administration; an asset must be the vault's, with the same unit, or
            the program would count in other units than the vault pays (P5).
    """
    self._check_bound()
    assert len(message) > 0, "inbox: message is empty"
    kind: uint256 = wire._kind_of(message)
    if kind == c.KIND_LIST_ASSET:
        assert len(message) == c.LIST_ASSET_BYTES, "inbox: bad length"
        self._check_asset(message)
    elif kind == c.KIND_LIST_INSTRUMENT:
        assert len(message) == c.LIST_INSTRUMENT_BYTES, "inbox: bad length"
    else:
        assert kind == c.KIND_SET_SIGNERS, "inbox: not an administrative kind"
        assert len(message) >= c.SET_SIGNERS_BYTES_WITHOUT_ENTRIES, "inbox: bad length"
        count: uint256 = convert(slice(message, c.SET_SIGNERS_AT_COUNT, 1), uint256)
        expected: uint256 = c.SET_SIGNERS_BYTES_WITHOUT_ENTRIES + c.SET_SIGNERS_ENTRY_BYTES * count
        assert len(message) == expected, "inbox: bad length"


@internal
@view
def _check_asset(message: Bytes[c.INBOX_MESSAGE_MAX]):
    asset: uint256 = convert(slice(message, c.LIST_ASSET_AT_ASSET, 2), uint256)
    token: address = convert(
        convert(slice(message, c.LIST_ASSET_AT_TOKEN, 20), bytes20), address
    )
    unit_decimals: uint256 = convert(slice(message, c.LIST_ASSET_AT_UNIT_DECIMALS, 1), uint256)
    assert token != empty(address), "inbox: token is zero"
    known: IVault = IVault(self.vault)
    assert staticcall known.token_of(asset) == token, "inbox: not the vault's token"
    assert staticcall known.unit_decimals_of(asset) == unit_decimals, "inbox: not the vault's unit"
    # One vault on one chain so far: chain 0 is this one.
    assert slice(message, c.LIST_ASSET_AT_CHAIN, 1) == b"\x00", "inbox: chain must be 0"


@internal
def _enqueue(message: Bytes[c.INBOX_MESSAGE_MAX], owner: address) -> uint256:
    index: uint256 = self.count
    previous: bytes32 = empty(bytes32)
    if index > 0:
        previous = self._items[index - 1].accumulator
    slot_root: bytes32 = merkle._slot_root(message)
    accumulator: bytes32 = keccak256(concat(previous, slot_root))
    self._items[index] = Item(accumulator=accumulator, enqueued_at=block.timestamp)
    self.count = index + 1
    log Enqueued(
        index=index,
        kind=wire._kind_of(message),
        owner=owner,
        message=message,
        slot_root=slot_root,
        accumulator=accumulator,
        enqueued_at=block.timestamp,
    )
    return index
