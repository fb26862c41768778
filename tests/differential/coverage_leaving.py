"""What a stream has reached of chapter 12: who left, how, and what an abandoned venue paid."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.differential.wire import Item

from provenue.spec.constants import PRICE_TICKS_MAX, Code, EventKind, FillFlag, Side
from provenue.spec.events import Event
from provenue.spec.margin import feed_abandoned, feed_fresh, prices_fresh, venue_abandoned
from provenue.spec.notation import clamp
from provenue.spec.state import HOUSE, QUOTE, Account, Scan, State
from provenue.spec.trading import band_limit

__all__ = ["LEAVING_BRANCHES", "SeenLeaving", "band_ticks", "leaving_branches"]

_AMOUNT = slice(24, 32)  # in a FORCED_WITHDRAW

LEAVING_BRANCHES = (
    "leaving already", "forced close of nothing", "pending taker cancelled by a forced close",
    "sweep started by a forced close", "sweep restarted by a forced close", "session key revoked",
    "closed on the book", "closing in vain", "closing in several parts",
    "closing at the bankruptcy price", "fee beyond what is left",
    "scan in parts", "scan beside prices", "scan dropped", "scan beside a liquidation",
    "ranks are full", "ranks with a tie", "more candidates than it takes", "another round",
    "deleveraged at the band", "deleveraged at the mark", "deleveraged long", "deleveraged short",
    "deleveraged a loser", "house deleveraged", "settled at an abandoned mark, rounded",
    "stale mark waits", "leaving account liquidated", "several leave", "left without a close",
    "exit cut to the margin", "exit on the last marks", "haircut", "exit of less than a unit",
    "cut to what there is", "signed withdrawal refused", "abandoned venue pays in full",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeenLeaving:
    """What to remember of a state before a message."""

    leaving: frozenset[int]
    scan: tuple[int, int, int, int] | None
    ranks: tuple[tuple[int, int], ...]
    quotes: tuple[int, ...]
    missing: int
    held: int
    sweep_remaining: int
    has_taker: bool

    @classmethod
    def of(cls, state: State) -> "SeenLeaving":
        """A few numbers, so that it costs little."""
        scan, quote = state.scan, state.assets[QUOTE]
        quotes = tuple(account.balances[QUOTE] for account in state.accounts)
        missing = max(0, -quotes[HOUSE] - quote.fees_units) if quotes else 0
        return cls(
            frozenset(account.index for account in state.accounts if account.leaving),
            _place(scan) if scan else None,
            tuple(scan.ranks) if scan else (),
            quotes,
            missing,
            quote.applied_units - quote.issued_units,
            state.sweep_remaining,
            state.pending_taker is not None,
        )


def _place(scan: Scan) -> tuple[int, int, int, int]:
    return scan.account, scan.instrument, scan.next, scan.remaining


def leaving_branches(
    before: SeenLeaving,
    item: Item,
    kind: str,
    code: Code,
    events: Sequence[Event],
    after: State,
) -> list[str]:
    """The names of all branches that this message took."""
    out: list[str] = []
    if kind == "WITHDRAW" and code == Code.INSUFFICIENT_BALANCE:
        refused = venue_abandoned(after) and item.message[34:36] == b"\0\0" and before.missing > 0
        out += ["signed withdrawal refused"] * refused
    if code == Code.OK:
        out += _message_branches(before, item, kind, events, after)
        out += _scan_branches(before, kind, events, after)
        out += _deal_branches(before, events, after)
    if kind == "FORCED_WITHDRAW" and item.message[22:24] == b"\0\0":
        out += _exit_branches(before, item, code, events, after)
    return out


def _kinds(events: Sequence[Event]) -> set[int]:
    return {event.kind for event in events}


def _message_branches(
    before: SeenLeaving, item: Item, kind: str, events: Sequence[Event], after: State
) -> list[str]:
    if kind == "FORCED_REVOKE":
        return ["session key revoked"]
    if kind != "FORCED_CLOSE":
        return []
    owner, subaccount = item.message[1:21], item.message[21]
    account = next(a for a in after.accounts if (a.owner, a.subaccount) == (owner, subaccount))
    held = [index for index, row in account.rows.items() if row.size_lots]
    out = ["forced close of nothing"] * (not held)
    out += ["leaving already"] * (account.index in before.leaving)
    taker_gone = before.has_taker and after.pending_taker is None
    out += ["pending taker cancelled by a forced close"] * taker_gone
    if any(feed_abandoned(after, after.instruments[index].feed) for index in held):
        word = "restarted" if before.sweep_remaining else "started"
        out += [f"sweep {word} by a forced close"]
    return out


def _scan_branches(
    before: SeenLeaving, kind: str, events: Sequence[Event], after: State
) -> list[str]:
    out, kinds, now = [], _kinds(events), after.scan
    deleveraged = EventKind.DELEVERAGED in kinds
    if before.scan is not None:
        same = now is not None and _place(now)[:2] == before.scan[:2]
        moved = now is not None and same and now.next > before.scan[2]
        out += ["scan in parts"] * moved
        out += ["scan beside prices"] * (kind == "PRICES" and moved)
        out += ["scan dropped"] * (now is None and not deleveraged)
        out += ["scan beside a liquidation"] * (EventKind.LIQUIDATED in kinds)
    if now is not None:
        scores = [score for score, _ in now.ranks]
        out += ["ranks are full"] * (len(scores) == after.preset.fills_per_message)
        out += ["ranks with a tie"] * (len(set(scores)) < len(scores))
    if deleveraged:
        deals = [event for event in events if event.kind == EventKind.DELEVERAGED]
        row = after.accounts[deals[0].account].rows.get(deals[0].instrument)
        still = row is not None and row.size_lots != 0
        out += ["another round"] * still
        out += ["more candidates than it takes"] * (len(deals) < len(before.ranks) and not still)
    return out


def _deal_branches(before: SeenLeaving, events: Sequence[Event], after: State) -> list[str]:
    out, kinds = [], _kinds(events)
    fills = [e for e in events if e.kind == EventKind.FILL and e.reason & FillFlag.FORCED_CLOSE]
    closings = [event for event in events if event.kind == EventKind.CLOSING]
    out += ["closed on the book"] * bool(fills)
    out += ["closing in vain"] * bool(closings and not fills)
    for event in closings:
        row = after.accounts[event.account].rows.get(event.instrument)
        out += ["closing in several parts"] * (bool(fills) and row is not None)
        out += ["closing at the bankruptcy price"] * (event.price != band_ticks(event, after))
    for event in events:
        if event.kind == EventKind.DELEVERAGED:
            out += _one_deal(event, after)
        elif event.kind == EventKind.LIQUIDATED:
            out += ["leaving account liquidated"] * (event.account in before.leaving)
        elif event.kind == EventKind.ACCOUNT_LEFT:
            out += ["left without a close"] * (event.account in before.leaving and not closings)
        elif event.kind == EventKind.SHORTFALL:
            out += ["fee beyond what is left"] * (event.account in before.leaving)
    out += ["several leave"] * (len(before.leaving) > 1)
    if EventKind.SWEEP_FINISHED in kinds:
        waiting = (after.accounts[index] for index in before.leaving)
        out += ["stale mark waits"] * any(_waits(after, a) for a in waiting if a.leaving)
    return out


def band_ticks(event: Event, after: State) -> int:
    """The limit of a closing order, were there only the band: sells have the lower one."""
    instrument = after.instruments[event.instrument]
    mark = after.mark(instrument)
    side = Side.SELL if event.price <= -(-mark // instrument.tick_size) else Side.BUY
    limit = band_limit(after, instrument, side, instrument.liquidation_band_ppm)
    return clamp(limit, 1, PRICE_TICKS_MAX)


def _waits(state: State, account: Account) -> bool:
    """Whether it holds something that is neither fresh nor abandoned."""
    feeds = [state.instruments[index].feed for index, row in account.rows.items() if row.size_lots]
    return any(not feed_fresh(state, feed) and not feed_abandoned(state, feed) for feed in feeds)


def _one_deal(deal: Event, after: State) -> list[str]:
    instrument = after.instruments[deal.instrument]
    mark, tick = after.mark(instrument), instrument.tick_size
    sells = bool(deal.reason & FillFlag.TAKER_SELLS)
    at_mark = mark // tick if sells else -(-mark // tick)
    out = ["deleveraged short" if sells else "deleveraged long"]
    if not feed_fresh(after, instrument.feed):
        out += ["settled at an abandoned mark, rounded"] * (mark % tick != 0)
    else:
        out += ["deleveraged at the mark" if deal.price == at_mark else "deleveraged at the band"]
    out += ["deleveraged a loser"] * (deal.extra < 0)
    out += ["house deleveraged"] * (deal.counter_account == HOUSE)
    return out


def _exit_branches(
    before: SeenLeaving, item: Item, code: Code, events: Sequence[Event], after: State
) -> list[str]:
    abandoned = venue_abandoned(after)
    if code == Code.INSUFFICIENT_BALANCE:
        small = int.from_bytes(item.message[_AMOUNT], "big") == 1
        return ["exit of less than a unit"] * (abandoned and small and before.missing > 0)
    if code != Code.OK:
        return []
    account = after.accounts[events[0].account]
    asked = int.from_bytes(item.message[_AMOUNT], "big")
    left = before.quotes[account.index] - account.balances[QUOTE]
    out = ["exit cut to the margin"] * (left < asked and account.balances[QUOTE] > 0 < left)
    out += ["haircut"] * (EventKind.HAIRCUT in _kinds(events))
    if abandoned:
        out += ["abandoned venue pays in full"] * (len(events) == 1)
        out += ["cut to what there is"] * (left == before.held + before.missing < asked)
        needed = bool(account.rows) or before.quotes[account.index] < 0
        out += ["exit on the last marks"] * (needed and not prices_fresh(after, account))
    return out
