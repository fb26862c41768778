"""Deterministic random and adversarial streams: mostly valid, steered by the state they meet.

A stream is a pure function of (seed, preset, length) and of the states it is shown, which are
themselves functions of the stream. It drives books full, positions large, prices into crashes,
sweeps into takeovers, and mixes every kind of bad input in between (`bad.py`).
"""

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.differential import bad, leaving, order_plans, plans
from tests.differential.market import Market
from tests.differential.orders import Trader
from tests.differential.phases import CHANCES, PHASES
from tests.differential.wire import Item, Signer, encode, make_signers

from provenue.spec.constants import (
    ASSET_TOTAL_MAX,
    MARK_STALE_MS,
    NONE_U16,
    PRICE_FRESH_MS,
    PRICE_MAX,
    SCOPE_ALL,
    Kind,
)
from provenue.spec.margin import equity, initial_margin, reserved
from provenue.spec.state import HOUSE, Account, State

__all__ = ["Stream"]

U64_MAX = (1 << 64) - 1
DOOM_MESSAGES = 60  # at the end some streams let time run to its last millisecond
HISTORY = 64

OWNERS = make_signers("owner", 24)
SESSIONS = make_signers("session", 10)
PRICE_SIGNERS = make_signers("price", 8)
STRANGER = make_signers("stranger", 1)[0]

Make = Callable[[State], Item]
PLANS = plans.PLANS | leaving.LEAVING | order_plans.ORDER_PLANS


class Stream:
    """`next(state)` is the next item for a venue in this state."""

    def __init__(self, seed: int, preset: str = "minimal", length: int = 10_000) -> None:
        self.rng = rng = random.Random(f"provenue stream {seed}")
        state = State(preset)
        self.preset = state.preset
        self.market = Market(rng, self.preset.feeds_max, extreme=rng.random() < 0.25)
        self.market.calm = rng.random() < 0.35
        self.trader = Trader(rng, self.market)
        self.clock_ms = 1_700_000_000_000 + rng.randrange(10**9)
        self.left = length
        self.doomed = rng.random() < 0.3
        self.on_edge = False
        self.owners = OWNERS if preset == "minimal" else make_signers("many", 400)
        self.secrets = {s.address: s for s in (*self.owners, *SESSIONS)}
        self.signer_count = rng.choice((1, 2, 3, 4, 8))
        self.quorum = rng.randint(1, self.signer_count)
        self.published_ms = dict.fromkeys(range(len(PRICE_SIGNERS)), 0)
        self.history: deque[Item] = deque(maxlen=HISTORY)
        self.plan: deque[Make] = deque()
        self.phase = "trade"
        self.phase_left = 0
        self.favourite = 1
        self._plan_start()

    # --- the next message ------------------------------------------------------------------------

    def next(self, state: State) -> Item:
        """One item; the same state and history give the same item."""
        self.left -= 1
        self._move_time(state)
        item = self._choose(state)(state)
        self.history.append(item)
        return item

    def _choose(self, state: State) -> Make:
        roll = self.rng.random()
        if self.plan and roll < (0.85 if state.configured else 0.7):
            return self.plan.popleft()
        if not state.configured or roll > 0.91:
            return self.bad
        if state.pending_taker is not None:
            return self._while_pending(state)
        if state.sweep_remaining and self.rng.random() < 0.8:
            return self.go_on
        return self._ordinary(state)

    def _while_pending(self, state: State) -> Make:
        roll = self.rng.random()
        if roll < 0.5:
            return self.go_on
        if roll < 0.6:
            assert state.pending_taker is not None
            taker = state.accounts[state.pending_taker.account]
            if self.rng.random() < 0.3:
                return lambda _: leaving.close(self, taker)
            return lambda _: self._forced_cancel(taker)
        if roll < 0.66:
            return lambda s: plans.exit_beside_a_taker(self, s)
        if roll < 0.75:
            inbox = (self.deposit, self.forced_withdraw, self.forced_cancel, self.late_listing)
            forced = [lambda s, plan=plan: plan(self, s) for plan in leaving.MESSAGES]
            return self.rng.choice((*inbox, self.set_signers, *forced))
        return self._ordinary(state)

    def _ordinary(self, state: State) -> Make:
        if self.phase_left == 0:
            self._next_phase(state)
        self.phase_left -= 1
        if len(state.accounts) < 4:
            return self.deposit
        oldest = min((feed.updated_at_ms for feed in state.feeds[:3]), default=0)
        if self.clock_ms - oldest > 45_000 and self.rng.random() < 0.4:
            return self.price_round
        if leaving.owes(state) and self.rng.random() < 0.01:
            return lambda s: leaving.abandon(self, s)
        weights = PHASES[self.phase]
        name = self.rng.choices(list(weights), list(weights.values()))[0]
        plan = PLANS.get(name)
        make: Make = getattr(self, name) if plan is None else lambda s: plan(self, s)
        return make

    def _next_phase(self, state: State) -> None:
        full_book = self.phase in ("stack", "ladder")
        self.phase = self.rng.choices(list(PHASES), CHANCES)[0]
        if full_book and self.rng.random() < 0.7:
            self.phase = "storm"
        self.phase_left = self.rng.randint(30, 120)
        self.favourite = self.rng.randrange(1, max(2, len(state.accounts)))
        if self.phase == "exodus":
            self.plan.extend(self._leave(account) for account in self._sample(state, 4))

    def _move_time(self, state: State) -> None:
        self.clock_ms = max(self.clock_ms, min(state.now_ms, 1 << 62))
        if self.on_edge and self.plan:
            self.on_edge = False
            return  # the message of this edge comes first
        roll = self.rng.random()
        if roll < 0.985:
            self.clock_ms += self.rng.randint(0, 400)
        elif roll < 0.995:
            self.clock_ms += self.rng.randint(5_000, 70_000)
        elif roll < 0.9985:
            self.clock_ms += self.rng.randint(60_000, 3_600_000)
        elif not self.market.extreme:
            self.clock_ms += self.rng.randint(10**7, 4 * 10**7)
        if self.rng.random() < 0.02:
            self._move_to_an_edge(state)
        if self.doomed and self.left < DOOM_MESSAGES and self.rng.random() < 0.3:
            self.clock_ms = self.rng.choice((1 << 63, U64_MAX, U64_MAX - 1_000))
        self.clock_ms = min(self.clock_ms, U64_MAX)

    def wait_ms(self, gap_ms: int) -> None:  # nobody says anything for so long
        self.clock_ms = min(self.clock_ms + gap_ms, U64_MAX)

    def _move_to_an_edge(self, state: State) -> None:
        """To the last millisecond of something's validity, or to the first after it."""
        choices: list[tuple[int, Make]] = [
            (feed.updated_at_ms + MARK_STALE_MS, self.place) for feed in state.feeds[:3]
        ]
        for by_feed in state.signer_prices:
            choices += [(e.published_at_ms + PRICE_FRESH_MS, self.prices) for e in by_feed.values()]
        keys = [key for account in state.accounts for key in account.keys]
        choices += [(key.expires_at_ms - 1, self.place) for key in keys if key.expires_at_ms]
        at, make = self.rng.choice(choices)
        if self.clock_ms < at < self.clock_ms + 70_000:
            self.clock_ms = at + self.rng.randrange(2)
            if len(state.accounts) > 1:
                self.plan.appendleft(make)
            self.on_edge = True

    def item(self, message: bytes, tag: str) -> Item:
        """With the bounds of a batch under way (no upper one yet) or of a posted one."""
        slack = self.rng.choice((0, 1_000, 60_000))
        low = max(0, self.clock_ms - slack)
        high = U64_MAX if self.rng.random() < 0.3 else min(U64_MAX, self.clock_ms + slack)
        return Item(message, message[:1] >= b"\x80", low, high, tag)

    def stamp(self) -> int:
        """The sequencer's stamp: mostly now, sometimes back, sometimes outside all bounds."""
        roll = self.rng.random()
        if roll < 0.9 or self.on_edge:
            return self.clock_ms
        if roll < 0.96:
            return max(0, self.clock_ms - self.rng.randint(0, 100_000))
        return min(U64_MAX, self.clock_ms + self.rng.randint(0, 1_000))

    # --- the start -------------------------------------------------------------------------------

    def _plan_start(self) -> None:
        rng = self.rng
        self.plan.extend([self.tick, lambda _: self.genesis()])
        assets = [self.make_inbox(Kind.LIST_ASSET, **asset) for asset in self.market.assets()]
        if rng.random() < 0.3:
            assets.pop()  # deposits of asset 2 bounce until an administrator lists it
        listings = [
            self.make_inbox(Kind.LIST_INSTRUMENT, **fields) for fields in self.market.instruments()
        ]
        self.plan.extend((*assets, *listings, self.set_signers))
        for number in range(8 if self.preset.name == "minimal" else 60):
            self.plan.append(self._rich_deposit(number))
        self.plan.extend([self.place] * 3)  # before there is any price
        self.plan.extend([self.prices] * (self.quorum + 1))

    def genesis(self) -> Item:
        """Message 0."""
        message = encode(Kind.GENESIS, {"chain_id": 31_337, "anchor": b"\xa4" * 20})
        return self.item(message, "GENESIS")

    def make_inbox(self, kind: Kind, **fields: Any) -> Make:
        """A message of the administration, made now and sent later."""
        return lambda _: self.item(encode(kind, fields), kind.name)

    def _rich_deposit(self, number: int) -> Make:
        owner = self.owners[number % 8 if self.preset.name == "minimal" else number].address
        asset = self.rng.choices((0, 1, 2), (80, 15, 5))[0]
        amount = self.rng.choice((10**10, 10**11, 3 * 10**9))
        return lambda _: self.deposit_of(asset, amount, owner, 0)

    # --- valid messages of every kind ------------------------------------------------------------

    def go_on(self, _: State) -> Item:
        """Of a taker or a sweep, or of nothing."""
        return self.item(encode(Kind.CONTINUE, {}), "CONTINUE")

    def tick(self, _: State) -> Item:
        """The clock."""
        return self.item(encode(Kind.TICK, {"stamp_ms": self.stamp()}), "TICK")

    def set_signers(self, _: State) -> Item:
        """Mostly the same set again; its quorum may change."""
        if self.rng.random() < 0.3:
            self.signer_count = self.rng.choice((1, 2, 3, 4, 8))
        self.quorum = self.rng.randint(1, self.signer_count)
        return self.signers()

    def signers(self) -> Item:
        """As many as there shall be now."""
        signers = [s.address for s in PRICE_SIGNERS[: self.signer_count]]
        fields = {"quorum": self.quorum, "count": len(signers), "signers": signers}
        return self.item(encode(Kind.SET_SIGNERS, fields), "SET_SIGNERS")

    def prices(self, state: State, *, dead: int | None = None, **overrides: Any) -> Item:
        """One signer's vector, near the true prices; a quorum needs several of them."""
        rng = self.rng
        if rng.random() < 0.5:
            self.market.step()
        signers = range(max(1, len(state.signers)))
        signer = min(signers, key=lambda s: self.published_ms[s])  # the one that waited longest
        if rng.random() < 0.2:
            signer = rng.choice(signers)
        published = min(U64_MAX, self.clock_ms - rng.choice((0, 0, 500, 9_000)) + rng.randint(0, 9))
        published = min(U64_MAX, max(published, self.published_ms[signer] + 1))
        feeds = [f for f in range(self.preset.feeds_max) if f < 3 or rng.random() < 0.6][:31]
        if rng.random() < 0.3:
            feeds = rng.sample(feeds, rng.randint(1, len(feeds)))
        entries = [(feed, self._quoted(feed)) for feed in sorted(feeds) if feed != dead] or [(3, 7)]
        fields = {
            "stamp_ms": self.stamp(), "signer": signer, "published_at_ms": published,
            "count": len(entries), "entries": entries,
        } | overrides  # fmt: skip
        key = PRICE_SIGNERS[signer]
        message = encode(Kind.PRICES, fields, signer=key, domain=state.domain_separator)
        if not overrides and published < self.clock_ms + 2_000 and state.pending_taker is None:
            self.published_ms[signer] = published
        return self.item(message, "PRICES")

    def _quoted(self, feed: int) -> int:
        """What one signer sees: the true price with a little noise."""
        price = self.market.prices[feed]
        return min(PRICE_MAX, max(1, price + round(price * self.rng.gauss(0, 0.001))))

    def price_round(self, state: State) -> Item:
        """Enough signers one after the other that every feed gets a price."""
        self.plan.extend([self.prices] * max(0, state.price_quorum))
        return self.prices(state)

    def deposit(self, state: State) -> Item:
        """Of anyone, to any subaccount, small and large; asset 2 may not be listed."""
        rng = self.rng
        asset = rng.choices((0, 1, 2), (70, 20, 10))[0]
        amount = rng.choice((1, 10**6, 10**8, 10**9, 10**10, 10**10, 5 * 10**10))
        if self.market.extreme and rng.random() < 0.6:  # up to the cap of an asset, in the end
            asset, amount = rng.choice((0, 1, 2, 2, 2, 2)), 1 << 53
        room = (
            ASSET_TOTAL_MAX - state.assets[asset].applied_units + state.assets[asset].issued_units
        )
        if 0 < room <= 1 << 53:
            amount = min(room + rng.choice((-1, 0, 1)), 1 << 53) or 1
        owner = rng.choice(self.owners).address
        if rng.random() < 0.6 and len(state.accounts) > 1:
            account = self.account(state)
            return self.deposit_of(asset, amount, account.owner, account.subaccount)
        return self.deposit_of(asset, amount, owner, rng.choice((0, 0, 0, 1, 255)))

    def deposit_of(self, asset: int, amount: int, owner: bytes, subaccount: int) -> Item:
        fields = {"asset": asset, "amount_units": amount, "owner": owner,
                  "subaccount": subaccount}  # fmt: skip
        return self.item(encode(Kind.DEPOSIT, fields), "DEPOSIT")

    def place(self, state: State) -> Item:
        """An order; half of them of the favourite account of the phase."""
        if len(state.accounts) < 2:
            return self.deposit(state)
        account = self.account(state)
        fields = self.trader.order(state, account, self.phase)
        return self.signed(state, Kind.PLACE, account, **fields)

    def take(self, state: State) -> Item:
        """An order that crosses the book, often deeper than one message may fill."""
        account = max(self.some(state, 3), key=lambda a: a.balances[0])  # who can afford to be deep
        return self.signed(state, Kind.PLACE, account, **self.trader.taker(state, account))

    def deep(self, state: State) -> Item:
        """Many small orders at one price, then one that takes them all: CONTINUE is needed."""
        rng = self.rng
        makers, taker = self.trader.queue(state)
        for _ in range(rng.randint(5, 12)):
            self.plan.append(lambda s: self._planned_order(s, dict(makers), richest=False))
        self.plan.append(lambda s: self._planned_order(s, dict(taker), richest=True))
        return self.place(state)

    def _planned_order(self, state: State, fields: dict[str, Any], *, richest: bool) -> Item:
        account = max(self.some(state, 4 if richest else 2), key=lambda a: a.balances[0])
        return self.signed(state, Kind.PLACE, account, key=0, **fields)

    def cancel(self, state: State) -> Item:
        """One of the account's orders."""
        orders = list(state.orders.values())
        if not orders:
            return self.cancel_all(state)
        order = self.rng.choice(orders)
        account = state.accounts[order.account]
        return self.signed(state, Kind.CANCEL, account, order_id=order.id)

    def cancel_all(self, state: State) -> Item:
        """Of one instrument or of all."""
        instrument = self.rng.choice((NONE_U16, 0, 1, 2))
        return self.signed(state, Kind.CANCEL_ALL, self.account(state), instrument=instrument)

    def cancel_label(self, state: State) -> Item:
        """Of one instrument or of all, mostly a label that an order has."""
        account = max(self.some(state, 3), key=lambda a: len(a.orders))
        label, instrument = 5, self.rng.choice((NONE_U16, 0, 1))
        if account.orders and self.rng.random() < 0.9:
            order = self.rng.choice(account.orders)
            label, instrument = order.client_id, self.rng.choice((NONE_U16, order.instrument))
        return self.signed(
            state, Kind.CANCEL_LABEL, account, instrument=instrument, client_id=label
        )

    def amend(self, state: State) -> Item:
        """A resting order of somebody."""
        orders = list(state.orders.values())
        if not orders:
            return self.place(state)
        order = self.rng.choice(orders)
        fields = self.trader.amended(state, order)
        return self.signed(state, Kind.AMEND, state.accounts[order.account], **fields)

    def replace(self, state: State) -> Item:
        """The same by another order."""
        orders = list(state.orders.values())
        if not orders:
            return self.place(state)
        order = self.rng.choice(orders)
        busiest = max(state.accounts, key=lambda account: len(account.orders))
        if self.rng.random() < 0.3:
            order = self.rng.choice(busiest.orders)
        account = state.accounts[order.account]
        fields = self.trader.replacement(state, order, account)
        return self.signed(state, Kind.REPLACE, account, **fields)

    def withdraw(self, state: State) -> Item:
        """All of a balance, a part, or one unit too much."""
        account = self.account(state)
        fields = self._withdrawal(state, account)
        return self.signed(state, Kind.WITHDRAW, account, **fields)

    def _withdrawal(self, state: State, account: Account) -> dict[str, Any]:
        rng = self.rng
        held = [asset for asset, balance in enumerate(account.balances) if balance > 0] or [0]
        asset = rng.choice(held)
        balance = max(1, account.balances[asset])
        whole = rng.choice((balance, balance // 3 + 1, balance // 50 + 1, balance + 1))
        if account.rows and rng.random() < 0.4:  # to the last unit that margin leaves, or beyond
            free = equity(state, account) - initial_margin(state, account)
            asset, whole = 0, max(1, free + rng.choice((0, 0, 1)))
        if rng.random() < 0.1:
            whole = max(
                1, account.balances[asset] - reserved(state, account, asset) + rng.randrange(2)
            )
        return {
            "asset": asset, "amount_units": min(whole, 1 << 53),
            "recipient": rng.choice((account.owner, b"\x77" * 20)),
        }  # fmt: skip

    def set_key(self, state: State) -> Item:
        """Session keys come, change and go; some expire soon."""
        rng = self.rng
        expiry = rng.choice((0, 0, min(U64_MAX, self.clock_ms + rng.randint(1, 50_000)), 1))
        address = bytes(20) if rng.random() < 0.15 else rng.choice(SESSIONS).address
        fields: dict[str, Any] = {
            "slot": rng.randint(1, 3), "key_address": address, "scope": rng.randint(0, SCOPE_ALL),
            "key_expires_at_ms": expiry,
        }  # fmt: skip
        return self.signed(state, Kind.SET_KEY, self.account(state), key=0, **fields)

    def forced_withdraw(self, state: State) -> Item:
        """An owner on L1."""
        account = self.account(state)
        fields = self._withdrawal(state, account)
        return self.forced_exit(account, fields["asset"], fields["amount_units"])

    def forced_exit(self, account: Account, asset: int, amount: int) -> Item:
        """To the owner's own address."""
        fields = {"owner": account.owner, "subaccount": account.subaccount, "asset": asset,
                  "amount_units": min(amount, 1 << 53), "recipient": account.owner}  # fmt: skip
        return self.item(encode(Kind.FORCED_WITHDRAW, fields), "FORCED_WITHDRAW")

    def forced_cancel(self, state: State) -> Item:
        """An owner on L1, at any time."""
        return self._forced_cancel(self.account(state))

    def _forced_cancel(self, account: Account) -> Item:
        fields = {"owner": account.owner, "subaccount": account.subaccount}
        return self.item(encode(Kind.FORCED_CANCEL, fields), "FORCED_CANCEL")

    def late_listing(self, _: State) -> Item:
        """What the start left out, or what is listed already."""
        rng = self.rng
        if rng.random() < 0.5:
            return self.item(
                encode(Kind.LIST_ASSET, rng.choice(self.market.assets())), "LIST_ASSET"
            )
        fields = rng.choice(self.market.instruments())
        return self.item(encode(Kind.LIST_INSTRUMENT, fields), "LIST_INSTRUMENT")

    def bad(self, state: State) -> Item:
        """Anything but a good message."""
        return bad.make(self, state)

    # --- who and with which key ------------------------------------------------------------------

    def account(self, state: State) -> Account:
        """An open account, the favourite of the phase more often than others."""
        if self.favourite < len(state.accounts) and self.rng.random() < 0.3:
            return state.accounts[self.favourite]
        return self.rng.choice(state.accounts[HOUSE + 1 :])

    def some(self, state: State, count: int) -> list[Account]:
        """A few, perhaps one of them twice."""
        return [self.account(state) for _ in range(count)]

    def _sample(self, state: State, count: int) -> list[Account]:
        accounts = state.accounts[HOUSE + 1 :]
        return self.rng.sample(accounts, min(count, len(accounts)))

    def _leave(self, account: Account) -> Make:
        """Withdraw what is there of a balance: empty accounts are reclaimed later."""

        def make(state: State) -> Item:
            now = state.accounts[account.index]
            asset = max(range(len(now.balances)), key=lambda a: (now.balances[a] > 0, -a))
            fields: dict[str, Any] = {
                "asset": asset,
                "amount_units": min(max(1, now.balances[asset]), 1 << 53),
                "recipient": now.owner,
            }
            return self.signed(state, Kind.WITHDRAW, now, key=0, **fields)

        return make

    def nonce(self, account: Account, slot: int) -> int:
        """Mostly the next one, sometimes an older unused one, sometimes a leap."""
        key = account.keys[slot]
        following = key.base + key.window.bit_length()
        roll = self.rng.random()
        if roll < 0.9:
            return min(following, (1 << 63) - 1)
        if roll < 0.96:
            return min(
                following + self.rng.choice((1, 2, 63, 64, 65, 191, 192, 400)), (1 << 63) - 1
            )
        unused = [n for n in range(192) if not key.window >> n & 1]
        return key.base + self.rng.choice(unused or [0])

    def _key_slot(self, account: Account) -> int:
        """The owner's or a session key, seldom an expired one."""
        known = [slot for slot in range(1, 4) if account.keys[slot].address in self.secrets]
        slot = self.rng.choice(known) if known and self.rng.random() < 0.25 else 0
        expired = 0 < account.keys[slot].expires_at_ms <= self.clock_ms
        return 0 if expired and self.rng.random() < 0.8 else slot

    def signed(
        self,
        state: State,
        kind: Kind,
        account: Account,
        /,
        *,
        key: int | None = None,
        signer: Signer | None = None,
        **fields: Any,
    ) -> Item:
        """A signed action of the account with one of its keys."""
        if key is None:
            key = self._key_slot(account)
        fields = {
            "stamp_ms": self.stamp(),
            "account": account.generation << 32 | account.index,
            "key": key,
            "nonce": self.nonce(account, key & 3),
            "expires_at_ms": min(
                U64_MAX, self.clock_ms + self.rng.choice((0, 1, 300) + (30_000,) * 40)
            ),
        } | fields
        signer = signer or self.secrets.get(account.keys[key & 3].address, STRANGER)
        message = encode(kind, fields, signer=signer, domain=state.domain_separator)
        return self.item(message, kind.name)
