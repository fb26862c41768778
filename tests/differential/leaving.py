"""Plans of several messages that leave through L1 (chapter 12).

On the book, into an empty book (a scan, then deleveraging), from a venue that has had no price for
a day (time jumps over the edge, by a millisecond or an hour), with everybody taking what is left.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.differential.steps import Make, leave_only_margin, move, when_quiet
from tests.differential.wire import Item, encode

from provenue.spec.constants import MARK_ABANDONED_MS, MARK_STALE_MS, Kind, Side
from provenue.spec.state import HOUSE, QUOTE, Account, State

if TYPE_CHECKING:
    from tests.differential.streams import Stream

__all__ = ["LEAVING", "MESSAGES", "abandon", "close", "owes"]

U64_MAX = (1 << 64) - 1


# --- the two messages ----------------------------------------------------------------------------


def close(stream: "Stream", account: Account) -> Item:
    fields = {"owner": account.owner, "subaccount": account.subaccount}
    return stream.item(encode(Kind.FORCED_CLOSE, fields), "FORCED_CLOSE")


def _closing(stream: "Stream", account: Account) -> Make:
    return lambda _: close(stream, account)


def _held(stream: "Stream", state: State) -> list[tuple[Account, int]]:
    """All positions of users, in a random order."""
    accounts = state.accounts[HOUSE + 1 :]
    held = [(a, i) for a in accounts for i, row in a.rows.items() if row.size_lots]
    stream.rng.shuffle(held)
    return held


def forced_close(stream: "Stream", state: State) -> Item:
    """An owner on L1, mostly one who holds something."""
    held = _held(stream, state)
    if held and stream.rng.random() < 0.8:
        return close(stream, held[0][0])
    return close(stream, stream.account(state))


def forced_revoke(stream: "Stream", state: State) -> Item:
    """Of a session key, mostly one that is set."""
    account, slot = stream.account(state), stream.rng.randint(1, 3)
    known = [i for i in range(1, 4) if account.keys[i].scope]
    if known and stream.rng.random() < 0.7:
        slot = stream.rng.choice(known)
    fields = {"owner": account.owner, "subaccount": account.subaccount, "slot": slot}
    return stream.item(encode(Kind.FORCED_REVOKE, fields), "FORCED_REVOKE")


# --- with prices ---------------------------------------------------------------------------------


def leave(stream: "Stream", state: State) -> Item:
    """Into the book as it stands; an order of the leaving account comes too late."""
    held = _held(stream, state)
    if not held:
        return stream.take(state)
    account = held[0][0]
    stream.plan.append(when_quiet(stream, _order_of(stream, account)))
    stream.plan.extend([stream.prices] * max(1, state.price_quorum))
    stream.plan.append(when_quiet(stream, stream.place))
    return close(stream, account)


def _order_of(stream: "Stream", account: Account) -> Make:
    def make(state: State) -> Item:
        now = state.accounts[account.index]
        fields = stream.trader.taker(state, now)
        kind = stream.rng.choice((Kind.PLACE, Kind.AMEND, Kind.REPLACE))
        if kind != Kind.PLACE:
            fields["order_id"] = now.orders[0].id if now.orders else 1 << 32
        return stream.signed(state, kind, now, key=0, **fields)

    return make


def desert(stream: "Stream", state: State) -> Item:
    """The side of the book that would take the position is cancelled first; a scan is needed.

    Sometimes more than one leaves, and something comes between while the scan is under way.
    """
    rng = stream.rng
    held = _held(stream, state)
    if not held:
        return stream.take(state)
    account, index = held[0]
    if rng.random() < 0.4:  # more than one round closes
        account, index = max(held, key=lambda x: abs(x[0].rows[x[1]].size_lots))
    side = Side.BUY if account.rows[index].size_lots > 0 else Side.SELL
    queues = state.books[index][side].values()
    makers = sorted({order.account for queue in queues for order in queue})
    plan = [_cancelling(stream, state.accounts[maker]) for maker in makers[:12]]
    if rng.random() < 0.7:  # so that a small move is enough to make it unsafe
        plan += [_cancelling(stream, account)]
        plan += [when_quiet(stream, leave_only_margin(stream, account))]
    count, quorum = stream.signer_count, stream.quorum
    if rng.random() < 0.7:  # so that one message is enough to move the mark
        plan += [_signed_by(stream, 1, 1)]
    plan += [_closing(stream, a) for a, _ in held[1 : rng.choice((1, 1, 2, 4))]]
    plan += [_closing(stream, account)]
    plan += [stream.prices] * max(1, state.price_quorum)
    plan += _in_between(stream, state, account, index)
    plan += [when_quiet(stream, stream.place), _signed_by(stream, count, quorum)]
    stream.plan.extend(plan)
    return stream.prices(state)


def _signed_by(stream: "Stream", count: int, quorum: int) -> Make:
    def make(_: State) -> Item:
        stream.signer_count, stream.quorum = count, quorum
        return stream.signers()

    return make


def _in_between(stream: "Stream", state: State, account: Account, index: int) -> list[Make]:
    """While the account is looked for counterparties: its mark moves, or dies."""
    rng = stream.rng
    roll = rng.random()
    against = -1 if account.rows[index].size_lots > 0 else 1
    feed = state.instruments[index].feed
    if roll < 0.65:
        share = against * rng.choice((0.05, 0.3, 0.5, 0.6, -0.1))
        return [_while_scanning(stream, move(stream, feed, share))] + [stream.prices] * (
            state.price_quorum
        )
    if roll < 0.85:
        return [_while_scanning(stream, _silence(stream)), stream.tick]
    return []


def _while_scanning(stream: "Stream", make: Make) -> Make:
    """CONTINUE until a scan is under way, if there will be one; then the message."""

    def wait(state: State) -> Item:
        if state.scan is None and (state.sweep_remaining or state.pending_taker is not None):
            stream.plan.appendleft(wait)
            return stream.go_on(state)
        return make(state)

    return wait


def _silence(stream: "Stream") -> Make:
    def make(state: State) -> Item:
        stream.wait_ms(2 * MARK_STALE_MS)
        return stream.tick(state)

    return make


def _cancelling(stream: "Stream", account: Account) -> Make:
    fields = {"owner": account.owner, "subaccount": account.subaccount}
    return lambda _: stream.item(encode(Kind.FORCED_CANCEL, fields), "FORCED_CANCEL")


# --- without prices ------------------------------------------------------------------------------


def abandon(stream: "Stream", state: State) -> Item:
    """A day without a price. Some close, most take what they can; then the venue lives again.

    Before it, perhaps, a crash whose sweep is left half done: more is owed than is there.
    """
    rng = stream.rng
    accounts = state.accounts[HOUSE + 1 :]
    plan: list[Make] = []
    if not owes(state) and rng.random() < 0.6:
        plan += _crash(stream, state)
    leavers = [account for account, _ in _held(stream, state)][: rng.choice((1, 2, 3))]
    first = _after_a_day(stream, leavers[0] if leavers else stream.account(state))
    plan.append(when_quiet(stream, first) if rng.random() < 0.5 else first)
    if rng.random() < 0.2:  # all feeds but one come back
        dead = rng.randrange(3)
        plan += [lambda s: stream.prices(s, dead=dead)] * max(1, state.price_quorum)
    if rng.random() < 0.6:
        plan += [_closing(stream, account) for account in leavers[1:]]
        plan += [when_quiet(stream, stream.tick)]
    for account in rng.sample(accounts, min(12, len(accounts))):
        if rng.random() < 0.3:
            plan.append(_deposit(stream, account))
        plan.append(_taking_all(stream, account))
        if rng.random() < 0.2:
            plan.append(when_quiet(stream, stream.withdraw))
    plan += [_deposit(stream, account) for account in accounts[:8]]
    stream.plan.extend([*plan, stream.price_round, when_quiet(stream, stream.place)])
    return stream.prices(state)


def _crash(stream: "Stream", state: State) -> list[Make]:
    share = stream.rng.choice((-0.5, -0.3, 0.5))
    plan = [move(stream, feed, share) for feed in range(3)]
    plan += [stream.prices] * state.price_quorum
    return plan + [when_quiet(stream, stream.go_on)] * stream.rng.randrange(2)


def owes(state: State) -> bool:
    """Whether the house owes more than the fees can pay."""
    return state.house.balances[QUOTE] + state.assets[QUOTE].fees_units < 0


def _after_a_day(stream: "Stream", account: Account) -> Make:
    """The item comes at the last moment of a feed that is only stale, or just after it."""

    def make(state: State) -> Item:
        rng = stream.rng
        feeds = [state.feeds[x.feed] for x in state.instruments if x.listed]
        updated = [feed.updated_at_ms for feed in feeds if feed.price]
        edge_ms = max(updated, default=state.now_ms) + MARK_ABANDONED_MS
        at_ms = min(U64_MAX, edge_ms + rng.choice((0, 1, 1, 3_600_000)))
        stream.clock_ms = max(stream.clock_ms, at_ms)
        item = close(stream, account)
        return item._replace(stamp_min_ms=at_ms, stamp_max_ms=max(at_ms, item.stamp_max_ms))

    return make


def _taking_all(stream: "Stream", account: Account) -> Make:
    def make(state: State) -> Item:
        now = state.accounts[account.index]
        balance = max(1, now.balances[QUOTE])
        amount = stream.rng.choice((1 << 53, 1 << 53, balance, balance // 2 + 1, 1))
        return stream.forced_exit(now, QUOTE, amount)

    return make


def _deposit(stream: "Stream", account: Account) -> Make:
    """Sometimes so much that a vault which was emptied can pay a share again."""

    def make(state: State) -> Item:
        quote = state.assets[QUOTE]
        amount = 10**10
        if stream.rng.random() < 0.3:
            debt = -state.house.balances[QUOTE] - quote.fees_units
            amount += max(0, quote.issued_units - quote.applied_units) + max(0, debt) // 3
        return stream.deposit_of(QUOTE, min(amount, 1 << 53), account.owner, account.subaccount)

    return make


# What may come at any time, also while a taker or a sweep is pending.
MESSAGES = (forced_close, forced_revoke)
# By their names in the weights of a phase.
LEAVING: dict[str, Callable[["Stream", State], Item]] = {
    "forced_close": forced_close,
    "forced_revoke": forced_revoke,
    "leave": leave,
    "desert": desert,
    "abandon": abandon,
}
