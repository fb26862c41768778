# pragma version 0.4.3
"""
@title  Vault: holds the collateral, pays withdrawals against proofs
@license Apache-2.0
@notice Collateral comes in by `deposit`, which tells the program through the Inbox, and leaves by
        `withdraw`, against a proof in an image root that the Anchor calls final. There is no other
        way out: no owner, operator or game can move it.

        Glossary
        asset        number of a collateral asset, the same as in the program
        unit         the program's smallest amount: 10^-unit_decimals of the token
        scale        token's smallest amounts in a unit: 10^(token decimals - unit_decimals)
        accounted    units of an asset that deposits brought and payouts have not taken (P5):
                     applied - issued + pending in the Inbox + issued but unpaid
        claim        the right to a withdrawal, a leaf of the withdrawal tree:
                     keccak(word(id) ‖ word(asset) ‖ word(recipient) ‖ word(amount_units))
        claim owner  who is paid: the recipient, or who bought the claim

        A claim is known by its leaf, not by its id alone, so `transfer_claim` needs no proof: a
        leaf made up by anyone never pays, and cannot touch the owner of the true one. A buyer
        checks that the leaf is in a withdrawal tree (any root, final or not, by re-execution),
        that the id is not paid, and that the seller is `claim_owner`. Safe sales go through a
        contract that owns the claim meanwhile.

        balance of the token >= accounted * scale, whatever happens.
@custom:kill There is none. A cap of zero stops deposits of an asset; nothing stops withdrawals.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from interfaces import IAnchor
from interfaces import IInbox
from interfaces import IVault
from modules import constants as c
from modules import merkle
from modules import owned

implements: IVault
initializes: merkle
initializes: owned
exports: (
    owned.owner,
    owned.next_owner,
    owned.offer_ownership,
    owned.take_ownership,
)


event AssetRegistered:
    asset: indexed(uint256)
    token: indexed(address)
    unit_decimals: uint256
    scale: uint256
    deposit_min_units: uint256


event CapSet:
    asset: indexed(uint256)
    cap_units: uint256


event Deposited:
    asset: indexed(uint256)
    owner: indexed(address)
    sender: indexed(address)
    subaccount: uint8
    amount_units: uint256
    item: uint256  # index in the Inbox


event ClaimTransferred:
    id: indexed(uint256)
    leaf: indexed(bytes32)
    previous_owner: address
    owner: address


event Withdrawn:
    id: indexed(uint256)
    asset: indexed(uint256)
    owner: indexed(address)
    recipient: address
    amount_units: uint256


struct Asset:
    token: address  # zero: not registered
    unit_decimals: uint256
    scale: uint256
    cap_units: uint256  # deposits may not raise `accounted` above it
    deposit_min_units: uint256


struct Claim:
    id: uint256
    asset: uint256
    recipient: address
    amount_units: uint256


UNIT_DECIMALS_MAX: constant(uint256) = 8
TOKEN_DECIMALS_MAX: constant(uint256) = 36

INBOX: immutable(IInbox)
ANCHOR: immutable(IAnchor)

assets: public(HashMap[uint256, Asset])
accounted: public(HashMap[uint256, uint256])
_is_used: HashMap[address, bool]
# Owners of claims that changed hands, by leaf.
_bought_by: HashMap[bytes32, address]
# Bit id % 256 of word id // 256: the withdrawal has been paid.
_paid: HashMap[uint256, uint256]


@deploy
def __init__(owner: address, inbox: address, anchor: address):
    """
    @param owner Registers assets and sets their caps.
    """
    assert inbox != empty(address), "vault: inbox is zero"
    assert anchor != empty(address), "vault: anchor is zero"
    merkle.__init__()
    owned.__init__(owner)
    INBOX = IInbox(inbox)
    ANCHOR = IAnchor(anchor)


# --- assets ---------------------------------------------------------------------------------------


@external
def register_asset(
    asset: uint16,
    token: address,
    unit_decimals: uint256,
    cap_units: uint256,
    deposit_min_units: uint256,
):
    """
    @notice Give an asset its token, once and for good; only the cap can change.
    @param unit_decimals The program's unit is 10^-unit_decimals of the token; at most 8.
    @param deposit_min_units Smallest deposit, so that the queue cannot be filled with dust.
    """
    owned._only_owner()
    id: uint256 = convert(asset, uint256)
    assert self.assets[id].token == empty(address), "vault: asset is registered"
    assert token != empty(address), "vault: token is zero"
    # One token under two numbers could not keep both sums apart.
    assert not self._is_used[token], "vault: token is registered"
    assert unit_decimals <= UNIT_DECIMALS_MAX, "vault: unit has too many decimals"
    decimals: uint256 = convert(staticcall IERC20Detailed(token).decimals(), uint256)
    assert decimals >= unit_decimals, "vault: unit is finer than the token"
    assert decimals <= TOKEN_DECIMALS_MAX, "vault: token has too many decimals"
    assert deposit_min_units > 0, "vault: minimum is zero"
    assert deposit_min_units <= c.AMOUNT_MAX, "vault: minimum is too large"
    scale: uint256 = 10 ** (decimals - unit_decimals)
    self._is_used[token] = True
    self.assets[id] = Asset(
        token=token,
        unit_decimals=unit_decimals,
        scale=scale,
        cap_units=0,
        deposit_min_units=deposit_min_units,
    )
    log AssetRegistered(
        asset=id,
        token=token,
        unit_decimals=unit_decimals,
        scale=scale,
        deposit_min_units=deposit_min_units,
    )
    self._set_cap(id, cap_units)


@external
def set_cap(asset: uint256, cap_units: uint256):
    """
    @notice Bound what deposits may bring. Needs no delay: it touches no one who is already in.
    """
    owned._only_owner()
    assert self.assets[asset].token != empty(address), "vault: asset is not registered"
    self._set_cap(asset, cap_units)


# --- in -------------------------------------------------------------------------------------------


@external
@nonreentrant
def deposit(asset: uint16, amount_token: uint256, owner: address, subaccount: uint8) -> uint256:
    """
    @notice Bring collateral into an account of `owner`, who may be someone else than the caller.
    @param amount_token In the token's smallest amounts; a whole number of units.
    @return The index of the item in the Inbox.
    """
    id: uint256 = convert(asset, uint256)
    known: Asset = self.assets[id]
    assert known.token != empty(address), "vault: asset is not registered"
    assert owner != empty(address), "vault: owner is zero"
    assert amount_token > 0, "vault: amount is zero"
    assert amount_token % known.scale == 0, "vault: amount is off the scale"
    amount_units: uint256 = amount_token // known.scale
    assert amount_units <= c.AMOUNT_MAX, "vault: amount is too large"
    assert amount_units >= known.deposit_min_units, "vault: amount is below the minimum"
    accounted: uint256 = self.accounted[id] + amount_units
    assert accounted <= known.cap_units, "vault: cap is reached"
    self.accounted[id] = accounted

    token: IERC20 = IERC20(known.token)
    before: uint256 = staticcall token.balanceOf(self)
    assert extcall token.transferFrom(
        msg.sender, self, amount_token, default_return_value=True
    ), "vault: transfer failed"
    received: uint256 = staticcall token.balanceOf(self) - before
    assert received == amount_token, "vault: token moved another amount"

    item: uint256 = extcall INBOX.enqueue_deposit(
        asset, convert(amount_units, uint64), owner, subaccount
    )
    log Deposited(
        asset=id,
        owner=owner,
        sender=msg.sender,
        subaccount=subaccount,
        amount_units=amount_units,
        item=item,
    )
    return item


# --- out ------------------------------------------------------------------------------------------


@external
@nonreentrant
def withdraw(
    claim: Claim,
    batch: uint256,
    withdrawal_root: bytes32,
    withdrawal_siblings: bytes32[c.WITHDRAWAL_TREE_HEIGHT],
    image_siblings: bytes32[c.QUARTER_HEIGHT],
):
    """
    @notice Pay a claim to its owner, once. Anyone may call.
    @param batch A final batch whose image holds the withdrawal; every later one does as well.
    @param withdrawal_root The 32 bytes at offset 0 of that image.
    @param withdrawal_siblings From the claim's leaf up to the withdrawal root.
    @param image_siblings From the image's first leaf up to its root.
    """
    assert claim.id < 2**c.WITHDRAWAL_TREE_HEIGHT, "vault: id is too large"
    assert not self._is_paid(claim.id), "vault: already paid"
    leaf: bytes32 = self._leaf(claim)
    root: bytes32 = merkle._root_from(leaf, claim.id, withdrawal_siblings)
    assert root == withdrawal_root, "vault: not in the withdrawal tree"
    image_root: bytes32 = merkle._root_from_first(withdrawal_root, image_siblings)
    assert image_root == staticcall ANCHOR.final_root(batch), "vault: not in the final image"

    known: Asset = self.assets[claim.asset]
    assert known.token != empty(address), "vault: asset is not registered"
    # Cannot fail while the program keeps P5; if it ever did, no other asset would pay for it.
    assert self.accounted[claim.asset] >= claim.amount_units, "vault: more than accounted"
    self.accounted[claim.asset] -= claim.amount_units
    word: uint256 = claim.id // 256
    self._paid[word] = self._paid[word] | (convert(1, uint256) << (claim.id % 256))
    owner: address = self._claim_owner(leaf, claim.recipient)
    log Withdrawn(
        id=claim.id,
        asset=claim.asset,
        owner=owner,
        recipient=claim.recipient,
        amount_units=claim.amount_units,
    )

    token: IERC20 = IERC20(known.token)
    amount_token: uint256 = claim.amount_units * known.scale
    before: uint256 = staticcall token.balanceOf(self)
    assert extcall token.transfer(
        owner, amount_token, default_return_value=True
    ), "vault: transfer failed"
    paid: uint256 = before - staticcall token.balanceOf(self)
    assert paid == amount_token, "vault: token moved another amount"


@external
@nonreentrant
def transfer_claim(claim: Claim, to: address):
    """
    @notice Give a claim to someone else; only its owner may. See the top for what a buyer checks.
    """
    assert to != empty(address), "vault: new owner is zero"
    assert to != self, "vault: new owner is the vault"
    assert not self._is_paid(claim.id), "vault: already paid"
    leaf: bytes32 = self._leaf(claim)
    owner: address = self._claim_owner(leaf, claim.recipient)
    assert msg.sender == owner, "vault: caller does not own the claim"
    self._bought_by[leaf] = to
    log ClaimTransferred(id=claim.id, leaf=leaf, previous_owner=owner, owner=to)


# --- views ----------------------------------------------------------------------------------------


@external
@view
def claim_owner(claim: Claim) -> address:
    """
    @notice Who is paid for a claim, if the claim is true and not paid.
    """
    return self._claim_owner(self._leaf(claim), claim.recipient)


@external
@view
def is_paid(id: uint256) -> bool:
    return self._is_paid(id)


@external
@view
def token_of(asset: uint256) -> address:
    return self.assets[asset].token


@external
@view
def unit_decimals_of(asset: uint256) -> uint256:
    return self.assets[asset].unit_decimals


@external
@view
def inbox() -> address:
    return INBOX.address


@external
@view
def anchor() -> address:
    return ANCHOR.address


# --- internal -------------------------------------------------------------------------------------


@internal
def _set_cap(asset: uint256, cap_units: uint256):
    assert cap_units <= c.ASSET_TOTAL_MAX, "vault: cap is too large"
    self.assets[asset].cap_units = cap_units
    log CapSet(asset=asset, cap_units=cap_units)


@internal
@pure
def _leaf(claim: Claim) -> bytes32:
    return keccak256(abi_encode(claim.id, claim.asset, claim.recipient, claim.amount_units))


@internal
@view
def _claim_owner(leaf: bytes32, recipient: address) -> address:
    bought_by: address = self._bought_by[leaf]
    return recipient if bought_by == empty(address) else bought_by


@internal
@view
def _is_paid(id: uint256) -> bool:
    return (self._paid[id // 256] >> (id % 256)) % 2 == 1
