"""The invariants of chapter 9, over the text of a dump, so that they judge either writing.

`Ledger.of(dump_text)` reads the lines; each `check_*` raises an AssertionError that names the
place. The margins of P6 are not in a dump: `check_nobody_unsafe` is over the specification's state.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from provenue.spec.constants import REDUCE_ONLY_MAX, OrderFlag, Side, TimeInForce
from provenue.spec.margin import is_unsafe
from provenue.spec.state import HOUSE, State

__all__ = ["Ledger", "check_dump", "check_nobody_unsafe", "check_reject", "check_state"]


@dataclass
class Ledger:
    """A dump as numbers, by the first letter of its lines (chapter 8.2)."""

    globals: list[str] = field(default_factory=list)
    assets: dict[int, list[str]] = field(default_factory=dict)
    instruments: dict[int, list[str]] = field(default_factory=dict)
    levels: list[tuple[int, int, int, list[tuple[int, int]]]] = field(default_factory=list)
    orders: dict[int, list[int]] = field(default_factory=dict)
    accounts: list[list[str]] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)

    @classmethod
    def of(cls, text: str) -> "Ledger":
        """Only the lines that the checks need."""
        out = cls()
        for line in text.splitlines():
            letter, *fields = line.split(" ")
            if letter == "R":
                out.rows.append([int(x) for x in fields])
            elif letter == "O":
                out.orders[int(fields[0])] = [int(x) for x in fields]
            elif letter == "U":
                out.accounts.append(fields)
            elif letter == "B":
                queue = [(int(a), int(b)) for a, b in (q.split(":") for q in fields[3:])]
                out.levels.append((int(fields[0]), int(fields[1]), int(fields[2]), queue))
            elif letter == "A":
                out.assets[int(fields[0])] = fields
            elif letter == "I":
                out.instruments[int(fields[0])] = fields
            elif letter == "G":
                out.globals = fields
        return out

    def balances(self, asset: int) -> list[int]:
        """Of every account, the house first."""
        return [int(account[7 + asset]) for account in self.accounts]

    @property
    def has_pending_taker(self) -> bool:
        return self.globals[4] != "0"


def check_conservation(ledger: Ledger, assets_max: int) -> None:
    """P5, exactly."""
    for asset in range(assets_max):
        fields = ledger.assets.get(asset)
        applied, issued, fees = (int(x) for x in fields[7:10]) if fields else (0, 0, 0)
        total = sum(ledger.balances(asset)) + issued + fees
        if asset == 0:
            total += sum(row[3] for row in ledger.rows)
            total += sum(int(instrument[18]) for instrument in ledger.instruments.values())
        else:
            assert fees == 0, f"P5: asset {asset}: fees {fees}, expected none"
        assert total == applied, f"P5: asset {asset}: accounted {total}, applied {applied}"
    sizes: dict[int, int] = defaultdict(int)
    for row in ledger.rows:
        sizes[row[1]] += row[2]
    assert not any(sizes.values()), f"P5: sums of positions: expected 0, were {dict(sizes)}"


def check_book(ledger: Ledger) -> None:
    """P7: no empty level, no empty order, no crossed book when nobody is pending; queues agree."""
    best: dict[tuple[int, int], int] = {}
    seen = set()
    for instrument, side, price, queue in ledger.levels:
        assert queue, f"P7: level {instrument} {side} {price} is empty"
        best.setdefault((instrument, side), price)
        for id_, remaining in queue:
            order = ledger.orders[id_]
            assert order[2:5] == [instrument, side, price], f"P7: order {id_} in a foreign level"
            assert 1 <= remaining == order[6] <= order[5], f"P7: order {id_}: remaining {remaining}"
            assert order[9] == 1, f"P7: order {id_} rests, live is {order[9]}"
            seen.add(id_)
    pending = [id_ for id_, order in ledger.orders.items() if order[9] != 1]
    assert seen | set(pending) == set(ledger.orders)
    assert pending == ([int(ledger.globals[4])] if ledger.has_pending_taker else [])
    if not ledger.has_pending_taker:
        for (instrument, side), price in best.items():
            ask = best.get((instrument, 1))
            assert side != 0 or ask is None or price < ask, f"P7: {instrument} crossed at {price}"


def check_open_sums(ledger: Ledger) -> None:
    """Open sums of each row are those of the account's live orders that are not reduce-only."""
    sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for order in ledger.orders.values():
        account, instrument, side, price, _, remaining = order[1:7]
        if order[8] & OrderFlag.REDUCE_ONLY:
            sums[account, instrument][4] += 1
            continue
        fields = ledger.instruments[instrument]
        quote_per_tick_lot = int(fields[4]) // int(fields[5])
        sums[account, instrument][side] += remaining
        sums[account, instrument][2 + side] += remaining * price * quote_per_tick_lot
    found = {(row[0], row[1]): row[5:] for row in ledger.rows}
    for key, row in found.items():
        want = sums.get(key, [0] * 5)
        assert row == want, f"open sums of {key}: {row}, orders {want}"
    assert set(sums) <= set(found), f"rows: expected one for each of {sorted(set(sums))}"
    for row in ledger.rows:
        assert any(row[2:4]) or any(row[5:]), f"row {row[:2]} is all zero and not freed"


def check_reduce_only(ledger: Ledger) -> None:
    """Each against the position and not above it; not too many."""
    rows = {(row[0], row[1]): row for row in ledger.rows}
    for id_, account, instrument, side, _, _, remaining, _, bits, *_ in ledger.orders.values():
        if bits & OrderFlag.REDUCE_ONLY:
            size = rows[account, instrument][2]
            most = size if side == Side.SELL else -size
            assert remaining <= most, f"reduce-only order {id_}: {remaining} above {most}"
    for row in ledger.rows:
        assert row[9] <= REDUCE_ONLY_MAX, f"row {row[:2]}: {row[9]} reduce-only orders"


def check_expiry(ledger: Ledger) -> None:
    """4.6: `next_expiry_s` is at most the smallest good-till-time, and 0 without orders."""
    soonest: dict[int, int] = {}
    for id_, account, *_, bits, _, good_till_s in ledger.orders.values():
        is_good_till_time = bits >> 3 & 3 == TimeInForce.GOOD_TILL_TIME
        assert is_good_till_time == (good_till_s != 0), f"order {id_}: good till {good_till_s}"
        if is_good_till_time:
            soonest[account] = min(soonest.get(account, good_till_s), good_till_s)
    for fields in ledger.accounts:
        index, has_orders, next_s = int(fields[0]), fields[4] != "0", int(fields[6])
        assert has_orders or next_s == 0, f"account {index}: next expiry {next_s} without orders"
        if index in soonest:
            assert 0 < next_s <= soonest[index], f"account {index}: next expiry {next_s}"


def check_balances(ledger: Ledger, assets_max: int) -> None:
    """Balances other than the quote are at least their reserve, and never negative."""
    reserve: dict[tuple[int, int], int] = defaultdict(int)
    for row in ledger.rows:
        fields = ledger.instruments[row[1]]
        if fields[1] == "0":
            base = int(fields[2])
            units_per_lot = 10 ** int(ledger.assets[base][4]) // int(fields[5])
            reserve[row[0], base] += row[6] * units_per_lot
    for account in ledger.accounts:
        for asset in range(1, assets_max):
            have, need = int(account[7 + asset]), reserve[int(account[0]), asset]
            assert have >= need, f"account {account[0]} asset {asset}: {have} below reserve {need}"


def check_lists(ledger: Ledger, assets_max: int) -> None:
    """Every account lists exactly its live orders."""
    of_account: dict[int, set[int]] = defaultdict(set)
    for id_, order in ledger.orders.items():
        of_account[order[1]].add(id_)
    for account in ledger.accounts:
        ids = [int(x) for x in account[7 + assets_max :]]
        assert len(ids) == len(set(ids)) == int(account[4])
        assert set(ids) == of_account[int(account[0])], f"account {account[0]}: orders {ids}"


def check_dump(text: str, assets_max: int) -> None:
    """Every invariant that a dump shows."""
    ledger = Ledger.of(text)
    check_conservation(ledger, assets_max)
    check_book(ledger)
    check_open_sums(ledger)
    check_reduce_only(ledger)
    check_expiry(ledger)
    check_balances(ledger, assets_max)
    check_lists(ledger, assets_max)


def _check_orders(state: State) -> None:
    """4.6: reduce-only orders fit their position, and no expiry is forgotten."""
    for order in state.orders.values():
        account = state.accounts[order.account]
        if order.is_reduce_only:
            most = account.rows[order.instrument].reducible_lots(order.side)
            assert order.remaining_lots <= most, f"reduce-only order {order.id} above {most} lots"
        if order.good_till_s:
            next_s = account.next_expiry_s
            assert 0 < next_s <= order.good_till_s, f"order {order.id}: next expiry {next_s}"
    for account in state.accounts:
        assert account.orders or account.next_expiry_s == 0, f"account {account.index}: expiry"


def check_state(state: State) -> None:
    """P5, who leaves, 4.6, over the state itself: cheap enough for every message."""
    _check_orders(state)
    for index, asset in enumerate(state.assets):
        total = sum(account.balances[index] for account in state.accounts)
        total += asset.issued_units + asset.fees_units
        if index == 0:
            rows = (row for account in state.accounts for row in account.rows.values())
            total += sum(row.cash_leg_units for row in rows)
            total += sum(instrument.clearing_units for instrument in state.instruments)
        assert total == asset.applied_units, f"P5: asset {index}: {total}, {asset.applied_units}"
    sizes = [0] * len(state.instruments)
    for account in state.accounts:
        for index, row in account.rows.items():
            sizes[index] += row.size_lots
    assert not any(sizes), f"P5: sums of positions: {sizes}"
    leaving = [account for account in state.accounts if account.leaving]
    assert not any(account.orders for account in leaving), "a leaving account has orders"
    if state.scan is not None:
        assert state.sweep_remaining > 0
        assert state.scan.account == state.sweep_next, "a scan of another than the cursor's account"


def check_nobody_unsafe(state: State) -> None:
    """P6 after a finished sweep: also of makers that were hit after they had been visited."""
    for account in state.accounts:
        if account.index != HOUSE:
            assert not is_unsafe(state, account), f"P6: account {account.index} is unsafe"


def check_reject(before: str, after: str) -> None:
    """P4: a reject leaves the dump as it was but for the nonce line of one key."""
    if before == after:
        return
    old, new = before.splitlines(), after.splitlines()
    assert len(old) == len(new), "P4: a reject added or removed a line"
    different = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    assert len(different) == 1, f"P4: a reject changed {len(different)} lines"
    a, b = (line.split(" ") for line in different[0])
    assert a[0] == "K" and a[:6] == b[:6], f"P4: a reject changed {different[0]}"  # noqa: PT018
