"""Steps that several plans share. Each is made when its turn comes, for the state it meets."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.differential.wire import Item

from provenue.spec.constants import PRICE_MAX, Kind
from provenue.spec.margin import equity, initial_margin
from provenue.spec.state import QUOTE, Account, State

if TYPE_CHECKING:
    from tests.differential.streams import Stream

__all__ = ["Make", "leave_only_margin", "move", "when_quiet", "withdraw_quote"]

Make = Callable[[State], Item]


def when_quiet(stream: "Stream", make: Make) -> Make:
    """CONTINUE until neither a taker nor a sweep is pending, then the message."""

    def wait(state: State) -> Item:
        if state.sweep_remaining or state.pending_taker is not None:
            stream.plan.appendleft(wait)
            return stream.go_on(state)
        return make(state)

    return wait


def leave_only_margin(stream: "Stream", account: Account) -> Make:
    """To the last unit that may leave."""

    def make(state: State) -> Item:
        now = state.accounts[account.index]
        free = min(equity(state, now) - initial_margin(state, now), now.balances[QUOTE])
        return withdraw_quote(stream, state, now, free)

    return make


def withdraw_quote(stream: "Stream", state: State, account: Account, amount: int) -> Item:
    fields: dict[str, Any] = {"asset": QUOTE, "recipient": account.owner}
    amount = min(max(1, amount), 1 << 53)
    return stream.signed(state, Kind.WITHDRAW, account, key=0, amount_units=amount, **fields)


def move(stream: "Stream", feed: int, share: float) -> Make:
    """The true price leaves by so much; then somebody publishes."""

    def make(state: State) -> Item:
        price = stream.market.prices[feed]
        stream.market.prices[feed] = min(max(1, price + round(price * share)), PRICE_MAX)
        return stream.prices(state)

    return make
