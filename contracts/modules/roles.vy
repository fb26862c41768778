# pragma version 0.4.3
"""
@title  roles: the operator and the game, each changed only behind a delay
@notice The owner announces, everybody can read it for the whole delay (longer than the exit
        window), then anyone puts it in force. The operator can change again; the game, which alone
        can void a claim, is set once.
"""

from modules import owned

uses: owned


event OperatorProposed:
    operator: indexed(address)
    ready_at: uint256


event OperatorChanged:
    operator: indexed(address)
    epoch: uint256


event GameProposed:
    game: indexed(address)
    ready_at: uint256


event GameSet:
    game: indexed(address)


struct Change:
    to: address
    ready_at: uint256  # zero: nothing is proposed


ADMIN_DELAY_S: immutable(uint256)

operator: public(address)
# Rises with each change of operator; receipts name it.
epoch: public(uint256)
operator_change: public(Change)
game: public(address)
game_change: public(Change)


@deploy
def __init__(operator: address, game: address, admin_delay_s: uint256):
    """
    @param game Zero: it is set later, behind the delay.
    """
    assert operator != empty(address), "anchor: operator is zero"
    ADMIN_DELAY_S = admin_delay_s
    self.operator = operator
    self.epoch = 1
    log OperatorChanged(operator=operator, epoch=1)
    if game != empty(address):
        self.game = game
        log GameSet(game=game)


@external
def propose_operator(operator: address):
    """
    @notice Announce the next operator in place of an earlier announcement; zero only cancels.
    """
    owned._only_owner()
    change: Change = self._change(operator)
    self.operator_change = change
    log OperatorProposed(operator=operator, ready_at=change.ready_at)


@external
def change_operator():
    """
    @notice Put the announced operator in office once the delay is over. Anyone may call.
    """
    operator: address = self._ready(self.operator_change)
    self.operator_change = empty(Change)
    self.operator = operator
    self.epoch += 1
    log OperatorChanged(operator=operator, epoch=self.epoch)


@external
def propose_game(game: address):
    """
    @notice Announce the game in place of an earlier announcement; zero only cancels.
    """
    owned._only_owner()
    assert self.game == empty(address), "anchor: game is set"
    change: Change = self._change(game)
    self.game_change = change
    log GameProposed(game=game, ready_at=change.ready_at)


@external
def set_game():
    """
    @notice Set the announced game, once and for good, when the delay is over. Anyone may call.
    """
    game: address = self._ready(self.game_change)
    self.game_change = empty(Change)
    self.game = game
    log GameSet(game=game)


@internal
@view
def _change(to: address) -> Change:
    if to == empty(address):
        return empty(Change)
    return Change(to=to, ready_at=block.timestamp + ADMIN_DELAY_S)


@internal
@view
def _ready(change: Change) -> address:
    assert change.ready_at != 0, "anchor: nothing is proposed"
    assert block.timestamp >= change.ready_at, "anchor: proposal is not ready"
    return change.to
