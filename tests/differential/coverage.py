"""What a stream has reached: counts per (kind, code), event, cancel reason and branch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.differential.coverage_leaving import (
    LEAVING_BRANCHES,
    SeenLeaving,
    band_ticks,
    leaving_branches,
)
from tests.differential.coverage_orders import ORDER_BRANCHES, SeenOrders, order_branches
from tests.differential.wire import Item

from provenue.spec.constants import (
    MARK_STALE_MS,
    CancelReason,
    Code,
    EventKind,
    FillFlag,
    Kind,
    OrderFlag,
    Side,
)
from provenue.spec.events import Event
from provenue.spec.notation import clamp
from provenue.spec.state import QUOTE, State

__all__ = ["BOUNCE_ONLY", "BRANCHES", "Coverage", "Seen"]

_SIDE_AT = 36  # in a PLACE
_FORCED_AMOUNT = slice(24, 32)  # in a FORCED_WITHDRAW
_SESSION_KINDS = (
    "PLACE", "AMEND", "REPLACE", "CANCEL", "CANCEL_LABEL", "CANCEL_ALL", "WITHDRAW",
)  # fmt: skip
_CODE_NAMES = {int(code): code.name for code in Code}

# Codes that never answer a message: they are the reasons of a bounced deposit (chapter 3.4).
BOUNCE_ONLY = {Code.DEPOSIT_TOO_SMALL, Code.ACCOUNT_TABLE_FULL, Code.ASSET_CAP}

BRANCHES = (
    "taker continued", "taker pending again", "pending taker cancelled by force",
    "inbox item while a taker is pending", "sweep restarted under way", "sweep continued",
    "account reclaimed", "bounced and issued", "market order", "post-only order",
    "immediate order", "position through zero", "position reduced", "position closed",
    "maker keeps its place", "several orders at a price", "several rows", "liquidation fills",
    "liquidation in vain", "house unwinds", "funding paid", "funding received",
    "funding of the house", "negative quote balance", "house in debt", "stamp raised",
    "stamp lowered", "nonce window moved", "session key acts", "reject after the burn",
    "withdrawal with a position", "forced withdrawal", "forced withdrawal cut",
    "exit gated by an own taker", "spot bid without quote", "maker refused while reducing",
    "spot bid refused at the touch", "sale at the bankruptcy price", "penalty of a takeover",
    "fees cover a shortfall", "bad debt beyond the fees", "fees left after a shortfall",
    "funding stands still", "first order on stale collateral", *LEAVING_BRANCHES,
    *ORDER_BRANCHES,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """What to remember of a state before a message."""

    sizes: dict[tuple[int, int], int]
    taker: object
    sweep_remaining: int
    nonces: tuple[int, int]
    fees: int
    funding: tuple[tuple[int, int, int], ...]
    leaving: SeenLeaving
    orders: SeenOrders

    @classmethod
    def of(cls, state: State) -> "Seen":
        """A few numbers, so that it costs little."""
        sizes = {(a.index, i): r.size_lots for a in state.accounts for i, r in a.rows.items()}
        return cls(
            sizes,
            state.pending_taker,
            state.sweep_remaining,
            _nonces(state),
            state.assets[QUOTE].fees_units,
            tuple((x.premium_ppm, x.funding_index, x.funding_time_ms) for x in state.instruments),
            SeenLeaving.of(state),
            SeenOrders.of(state),
        )


@dataclass
class Coverage:
    """Counters; `add` after each message, `merge` for several streams."""

    messages: int = 0
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    cancels: Counter[str] = field(default_factory=Counter)
    bounces: Counter[str] = field(default_factory=Counter)
    branches: Counter[str] = field(default_factory=Counter)

    def add(
        self, before: Seen, item: Item, code: Code, events: Sequence[Event], after: State
    ) -> None:
        """One message has been applied."""
        self.messages += 1
        kind = _kind_name(item.message)
        self.codes[kind, code.name] += 1
        for event in events:
            self.events[EventKind(event.kind).name] += 1
            if event.kind == EventKind.ORDER_CANCELLED:
                self.cancels[CancelReason(event.reason).name] += 1
            if event.kind == EventKind.DEPOSIT_BOUNCED:
                self.bounces[_CODE_NAMES[event.reason]] += 1
        self._message_branches(before, item, kind, code, events, after)
        self._event_branches(before, events, after)
        self.branches.update(leaving_branches(before.leaving, item, kind, code, events, after))
        self.branches.update(order_branches(before.orders, item, kind, code, events, after))

    def merge(self, other: "Coverage") -> None:
        """The sum of two streams."""
        self.messages += other.messages
        for name in ("codes", "events", "cancels", "bounces", "branches"):
            getattr(self, name).update(getattr(other, name))

    def reached_codes(self) -> set[Code]:
        """As an answer, or as the reason of a bounce."""
        names = {code for _, code in self.codes} | set(self.bounces)
        return {code for code in Code if code.name in names}

    def report(self) -> str:
        """For people."""
        lines = [f"{self.messages} messages"]
        by_code: Counter[str] = Counter()
        by_kind: Counter[str] = Counter()
        for (kind, code), count in self.codes.items():
            by_code[code] += count
            by_kind[kind] += count
        tables = {
            "kinds": by_kind, "codes": by_code, "events": self.events, "cancels": self.cancels,
            "bounces": self.bounces, "branches": self.branches,
        }  # fmt: skip
        for title, table in tables.items():
            rows = ", ".join(f"{name} {count}" for name, count in sorted(table.items()))
            lines.append(f"{title}: {rows}")
        return "\n".join(lines)

    # --- branches --------------------------------------------------------------------------------

    def _message_branches(
        self, before: Seen, item: Item, kind: str, code: Code, events: Sequence[Event], after: State
    ) -> None:
        hit = self.branches.update
        if item.message[:1] < b"\x80" and len(item.message) >= 9:
            stamp = int.from_bytes(item.message[1:9], "big")
            hit(["stamp raised"] * (stamp < item.stamp_min_ms))
            hit(["stamp lowered"] * (stamp > item.stamp_max_ms))
        bases, used = _nonces(after)
        hit(["nonce window moved"] * (bases > before.nonces[0]))
        hit(["reject after the burn"] * (code != Code.OK and (bases, used) > before.nonces))
        if code == Code.INSUFFICIENT_BALANCE and kind == "PLACE":
            hit(["spot bid without quote"] * (item.message[_SIDE_AT] == Side.BUY))
        if code == Code.MARK_STALE and kind == "PLACE":
            hit(["first order on stale collateral"] * _is_first_on_fresh_mark(item, after))
        if code == Code.TAKER_PENDING:
            hit(["exit gated by an own taker"] * (kind == "FORCED_WITHDRAW"))
        if code != Code.OK:
            return
        if kind in ("PRICES", "TICK"):
            hit(["funding stands still"] * _stands_still(before, after))
        if before.taker is not None:
            if kind == "CONTINUE":
                hit(["taker continued"])
                hit(["taker pending again"] * (after.pending_taker is before.taker))
            if item.from_inbox:
                hit(["inbox item while a taker is pending"])
                hit(["pending taker cancelled by force"] * (after.pending_taker is None))
        elif kind == "CONTINUE":
            hit(["sweep continued"])
        if before.sweep_remaining and kind in ("PRICES", "TICK"):
            hit(["sweep restarted under way"] * bool(after.sweep_remaining or events))
        if kind in _SESSION_KINDS:
            hit(["session key acts"] * (item.message[17] != 0))
        if kind in ("WITHDRAW", "FORCED_WITHDRAW"):
            held = {account for account, _ in before.sizes}
            hit(["withdrawal with a position"] * (events[0].account in held))
        if kind == "FORCED_WITHDRAW":
            asked = int.from_bytes(item.message[_FORCED_AMOUNT], "big")
            hit(["forced withdrawal"])
            hit(["forced withdrawal cut"] * (events[0].size < asked))

    def _event_branches(self, before: Seen, events: Sequence[Event], after: State) -> None:
        hit = self.branches.update
        fills = [event for event in events if event.kind == EventKind.FILL]
        makers = [event.counter_order_id for event in fills]
        for event in events:
            if event.kind == EventKind.ACCOUNT_OPENED and event.extra > 1:
                hit(["account reclaimed"])
            elif event.kind == EventKind.DEPOSIT_BOUNCED:
                hit(["bounced and issued"])
            elif event.kind == EventKind.ORDER_ACCEPTED:
                hit(["market order"] * bool(event.reason & 1 << 7))
                hit(["immediate order"] * (event.reason >> 3 & 3 == 1))
                hit(["post-only order"] * bool(event.reason & OrderFlag.POST_ONLY))
            elif event.kind == EventKind.FUNDING_PAID:
                hit(["funding paid" if event.value > 0 else "funding received"])
                hit(["funding of the house"] * (event.account == 0))
        hit(["liquidation fills"] * any(f.reason & FillFlag.LIQUIDATION for f in fills))
        hit(["house unwinds"] * any(f.reason & FillFlag.HOUSE_UNWIND for f in fills))
        if makers and makers[-1] >> 32 and makers[-1] & 0xFFFFFFFF in after.orders:
            hit(["maker keeps its place"])
        kinds = {event.kind for event in events}
        if EventKind.LIQUIDATED in kinds and EventKind.TAKEN_OVER in kinds:
            hit(["liquidation in vain"])
        self._liquidation_branches(before, events, after)
        for fill in fills:
            for account in (fill.account, fill.counter_account):
                self._size_branch(before, after, account, fill.instrument)
        if fills:
            rows = (account.rows for account in after.accounts[1:])
            hit(["several rows"] * any(len(r) > 1 for r in rows))
            quotes = [account.balances[0] for account in after.accounts]
            hit(["negative quote balance"] * (min(quotes[1:]) < 0))
            hit(["house in debt"] * (quotes[0] < 0))
            queues = (q for book in after.books for side in book for q in side.values())
            hit(["several orders at a price"] * any(len(q) > 1 for q in queues))

    def _liquidation_branches(self, before: Seen, events: Sequence[Event], after: State) -> None:
        hit = self.branches.update
        for event in events:
            if event.kind == EventKind.ORDER_CANCELLED:
                if event.reason == CancelReason.MAKER_MARGIN:
                    hit(_refusal(before, event, after))
            elif event.kind == EventKind.LIQUIDATED:
                hit(["sale at the bankruptcy price"] * (event.price != band_ticks(event, after)))
            elif event.kind == EventKind.COLLATERAL_TAKEN:
                hit(["penalty of a takeover"] * (event.extra == QUOTE))
            elif event.kind == EventKind.SHORTFALL:
                fees = after.assets[QUOTE].fees_units
                hit(["fees cover a shortfall"] * (fees < before.fees))
                hit(["fees left after a shortfall"] * (0 < fees < before.fees))
                hit(["bad debt beyond the fees"] * (after.house.balances[QUOTE] < 0))

    def _size_branch(self, before: Seen, after: State, account: int, instrument: int) -> None:
        old = before.sizes.get((account, instrument), 0)
        row = after.accounts[account].rows.get(instrument)
        new = row.size_lots if row else 0
        if old and new == 0:
            self.branches["position closed"] += 1
        elif old * new < 0:
            self.branches["position through zero"] += 1
        elif abs(new) < abs(old):
            self.branches["position reduced"] += 1


def _nonces(state: State) -> tuple[int, int]:
    """Sums over all keys: of the windows' bases, and of the nonces used in them."""
    keys = [key for account in state.accounts for key in account.keys]
    return sum(key.base for key in keys), sum(key.window.bit_count() for key in keys)


def _stands_still(before: Seen, after: State) -> bool:
    """Whether time went by for an instrument with a premium, but its index stayed (5.6)."""
    now = [(x.funding_index, x.funding_time_ms) for x in after.instruments]
    return any(
        premium and index == index_now and time_now - time > MARK_STALE_MS
        for (premium, index, time), (index_now, time_now) in zip(before.funding, now, strict=True)
    )


def _is_first_on_fresh_mark(item: Item, after: State) -> bool:
    """Of a PLACE that was MARK_STALE: no row yet, and its own feed is not to blame (5.4)."""
    account = after.accounts[int.from_bytes(item.message[13:17], "big")]
    feed = after.instruments[int.from_bytes(item.message[34:36], "big")].feed
    stamp_ms = int.from_bytes(item.message[1:9], "big")
    now_ms = max(after.now_ms, clamp(stamp_ms, item.stamp_min_ms, item.stamp_max_ms))
    return not account.rows and now_ms - after.feeds[feed].updated_at_ms <= MARK_STALE_MS


def _refusal(before: Seen, event: Event, after: State) -> list[str]:
    """What kind of maker was cancelled for its margin."""
    if not after.instruments[event.instrument].is_perpetual:
        return ["spot bid refused at the touch"] * (event.value == Side.BUY)
    size = before.sizes.get((event.account, event.instrument), 0)
    reducible = size if event.value == Side.SELL else -size
    return ["maker refused while reducing"] * (reducible >= event.size)


def _kind_name(message: bytes) -> str:
    if message and message[0] in Kind._value2member_map_:
        return Kind(message[0]).name
    return "no kind"
