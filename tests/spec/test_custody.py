"""Deposits, bounces, reclaimed accounts, withdrawals and their tree against a naive one."""

from typing import Any

import pytest
from eth_utils.crypto import keccak
from tests.differential.wire import make_signers
from tests.spec.venue import BUY, SELL, USD, Venue, kinds

from provenue.spec.constants import Code, EventKind, Kind

HEIGHT = 32
STRANGER = make_signers("custody", 1)[0].address


def _word(value: int | bytes) -> bytes:
    return value.rjust(32, b"\0") if isinstance(value, bytes) else value.to_bytes(32, "big")


def _naive_root(leaves: list[bytes], height: int) -> bytes:
    """By the definition: the node over two halves; an empty half is folded from zero leaves."""
    if height == 0:
        return leaves[0] if leaves else bytes(32)
    half = 1 << (height - 1)
    if not leaves:
        node = bytes(32)
        for _ in range(height):
            node = keccak(node + node)
        return node
    return keccak(_naive_root(leaves[:half], height - 1) + _naive_root(leaves[half:], height - 1))


def _deposit(venue: Venue, **fields: Any) -> tuple[Code, list[Any]]:
    base = {"asset": 0, "amount_units": 5 * USD, "owner": STRANGER, "subaccount": 0}
    return venue.send(Kind.DEPOSIT, base | fields)


def test_withdrawal_tree_is_the_naive_tree(venue: Venue) -> None:
    traders = [venue.trader(1_000) for _ in range(3)]
    assert venue.lines("G")[0][10] == "00" * 32
    leaves: list[bytes] = []
    for number in range(21):
        trader = traders[number % 3]
        amount, recipient = 1 + number * 7, bytes([number + 1]) * 20
        fields = {"asset": 0, "amount_units": amount, "recipient": recipient}
        code, events = trader.act(Kind.WITHDRAW, **fields)
        assert (code, events[0].value) == (Code.OK, number)
        leaf = keccak(_word(number) + _word(0) + _word(recipient) + _word(amount))
        leaves.append(leaf)
        assert venue.lines("G")[0][9:11] == [str(number + 1), _naive_root(leaves, HEIGHT).hex()]


# --- deposits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"asset": 3, "amount_units": 0}, "ASSET_UNKNOWN"), ({"amount_units": 0}, "BAD_AMOUNT"),
        ({"amount_units": (1 << 53) + 1, "owner": bytes(20)}, "BAD_AMOUNT"),
        ({"owner": bytes(20)}, "BAD_RECIPIENT"), ({"amount_units": 1 << 53}, "OK"),
    ],
)  # fmt: skip
def test_deposits_that_the_vault_prevents(venue: Venue, fields: dict[str, Any], code: str) -> None:
    assert _deposit(venue, **fields)[0].name == code


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"asset": 2}, Code.ASSET_UNKNOWN), ({"amount_units": USD - 1}, Code.DEPOSIT_TOO_SMALL),
        ({"asset": 2, "amount_units": 1}, Code.ASSET_UNKNOWN),
    ],
)  # fmt: skip
def test_what_cannot_be_credited_bounces(
    venue: Venue, fields: dict[str, Any], reason: Code
) -> None:
    code, events = _deposit(venue, **fields)
    assert (code, kinds(events)) == (Code.OK, ["DEPOSIT_BOUNCED"])
    assert (events[0].reason, events[0].value, events[0].account) == (reason, 0, 0)
    asset, amount = fields.get("asset", 0), fields.get("amount_units", 5 * USD)
    line = venue.line("A", asset)
    assert line[7:9] == [str(amount), str(amount)]
    leaf = keccak(_word(0) + _word(asset) + _word(STRANGER) + _word(amount))
    assert venue.lines("G")[0][10] == _naive_root([leaf], HEIGHT).hex()


def test_an_open_account_takes_the_smallest_deposit(venue: Venue) -> None:
    _deposit(venue)
    assert kinds(_deposit(venue, amount_units=1)[1]) == ["DEPOSITED"]
    assert kinds(_deposit(venue, subaccount=1)[1]) == ["ACCOUNT_OPENED", "DEPOSITED"]


def test_the_cap_counts_what_is_held(venue: Venue) -> None:
    for _ in range(7):
        _deposit(venue, amount_units=1 << 53)
    assert kinds(_deposit(venue, amount_units=(1 << 53) + 0)[1]) == ["DEPOSITED"]  # 2^56 exactly
    events = _deposit(venue, amount_units=1)[1]
    assert (kinds(events), events[0].reason) == (["DEPOSIT_BOUNCED"], Code.ASSET_CAP)
    assert kinds(_deposit(venue, asset=1, amount_units=1)[1]) == ["DEPOSITED"]


# --- reclaiming ----------------------------------------------------------------------------------


def _fill_table(venue: Venue) -> list[Any]:
    return [venue.trader(2) for _ in range(11)]


def _empty(trader: Any) -> None:
    fields = {"asset": 0, "amount_units": trader.quote, "recipient": STRANGER}
    assert trader.act(Kind.WITHDRAW, **fields)[0] == Code.OK


def test_a_full_table_bounces_and_keeps_the_cursor(venue: Venue) -> None:
    traders = _fill_table(venue)
    events = _deposit(venue)[1]
    assert events[0].reason == Code.ACCOUNT_TABLE_FULL
    assert venue.lines("G")[0][6] == "1"
    _empty(traders[4])  # index 5: beyond the four that are looked at
    assert _deposit(venue)[1][0].reason == Code.ACCOUNT_TABLE_FULL
    _empty(traders[3])  # index 4: the last of the four
    events = _deposit(venue)[1]
    assert (events[0].account, events[0].extra) == (4, 2)
    assert venue.lines("G")[0][6] == "5"
    events = _deposit(venue, subaccount=9)[1]
    assert (events[0].account, events[0].extra, events[0].value) == (5, 2, 9)
    assert venue.lines("G")[0][6] == "6"


def test_the_look_wraps_behind_the_last_account(venue: Venue) -> None:
    traders = _fill_table(venue)
    for position in (3, 7, 10):  # indexes 4, 8, 11: the cursor moves to the end
        _empty(traders[position])
        assert _deposit(venue, subaccount=position)[1][0].account == position + 1
    assert venue.lines("G")[0][6] == "1"


@pytest.mark.parametrize("asset", [0, 1])
def test_an_account_with_an_order_or_a_balance_is_not_empty(venue: Venue, asset: int) -> None:
    traders = _fill_table(venue)
    if asset:
        _deposit(venue, asset=1, amount_units=1, owner=traders[0].signer.address)
        _empty(traders[0])
    else:
        traders[0].order(BUY, 50, 1)
    assert _deposit(venue)[1][0].reason == Code.ACCOUNT_TABLE_FULL


def test_a_reclaimed_account_keeps_nothing_of_the_former(venue: Venue) -> None:
    traders = _fill_table(venue)
    former = traders[0]
    former.act(Kind.SET_KEY, slot=2, key_address=STRANGER, scope=15, key_expires_at_ms=0)
    _empty(former)
    _deposit(venue, owner=STRANGER)
    keys = [fields for fields in venue.lines("K") if fields[0] == "1"]
    assert keys == [["1", "0", STRANGER.hex(), "15", "0", "0", "0" * 48]]


# --- withdrawals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"asset": 3}, "ASSET_UNKNOWN"), ({"asset": 2, "amount_units": 0}, "ASSET_UNKNOWN"),
        ({"amount_units": 0, "recipient": bytes(20)}, "BAD_AMOUNT"),
        ({"amount_units": (1 << 53) + 1}, "BAD_AMOUNT"),
        ({"recipient": bytes(20), "amount_units": 1 << 53}, "BAD_RECIPIENT"),
        ({"asset": 1}, "INSUFFICIENT_BALANCE"), ({"amount_units": 10 * USD}, "OK"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("forced", [False, True])
def test_withdrawals(venue: Venue, fields: dict[str, Any], code: str, forced: bool) -> None:
    trader = venue.trader(10)
    base = {"asset": 0, "amount_units": 1, "recipient": STRANGER} | fields
    if forced:
        owner = {"owner": trader.signer.address, "subaccount": 0}
        answer, events = venue.send(Kind.FORCED_WITHDRAW, base | owner)
    else:
        answer, events = trader.act(Kind.WITHDRAW, **base)
    assert answer.name == code
    if answer == Code.OK:
        event = events[0]
        assert (event.kind, event.reason, event.account) == (
            EventKind.WITHDRAWN, int(forced), trader.index,
        )  # fmt: skip


def _forced(venue: Venue, trader: Any, amount: int, asset: int = 0) -> tuple[Code, list[Any]]:
    owner = {"owner": trader.signer.address, "subaccount": 0}
    fields = {"asset": asset, "amount_units": amount, "recipient": STRANGER}
    return venue.send(Kind.FORCED_WITHDRAW, owner | fields)


def test_only_a_forced_withdrawal_is_cut_to_what_there_is(venue: Venue) -> None:
    trader = venue.trader(10)
    leave = {"asset": 0, "amount_units": 10 * USD + 1, "recipient": STRANGER}
    assert trader.act(Kind.WITHDRAW, **leave)[0] == Code.INSUFFICIENT_BALANCE
    assert _forced(venue, trader, (1 << 53) + 1)[0] == Code.BAD_AMOUNT  # the cut comes later
    code, events = _forced(venue, trader, 10 * USD + 1)
    assert (code, events[0].size, trader.quote) == (Code.OK, 10 * USD, 0)
    leaf = keccak(_word(0) + _word(0) + _word(STRANGER) + _word(10 * USD))
    assert venue.lines("G")[0][10] == _naive_root([leaf], HEIGHT).hex()
    assert venue.line("A", 0)[8] == str(10 * USD)
    assert _forced(venue, trader, 1)[0] == Code.INSUFFICIENT_BALANCE


def test_a_cut_leaves_what_is_offered_for_sale(venue: Venue) -> None:
    trader = venue.trader(10, coin_units=10**8)
    trader.order(SELL, 100, 600, 0)
    code, events = _forced(venue, trader, 10**8, asset=1)
    assert (code, events[0].size, trader.balance(1)) == (Code.OK, 4 * 10**7, 6 * 10**7)
    assert _forced(venue, trader, 1, asset=1)[0] == Code.INSUFFICIENT_BALANCE


def test_the_cut_is_to_what_margin_leaves(venue: Venue) -> None:
    """12.7: a fill of one lot does not void an exit of everything."""
    trader, other = venue.trader(10), venue.trader()
    trader.order(BUY, 100, 500)  # 5 of margin
    other.order(SELL, 100, 1)
    fee = 100_000 * 100 // 10**6
    withdraw = {"asset": 0, "amount_units": 5 * USD, "recipient": STRANGER}
    assert trader.act(Kind.WITHDRAW, **withdraw)[0] == Code.MARGIN_INSUFFICIENT
    code, events = _forced(venue, trader, 1 << 53)
    assert (code, events[0].size, trader.quote) == (Code.OK, 5 * USD - fee, 5 * USD)
    assert _forced(venue, trader, 1)[0] == Code.MARGIN_INSUFFICIENT
    assert _forced(venue, trader, 5 * USD + 1)[0] == Code.INSUFFICIENT_BALANCE  # nothing to cut to


def test_on_stale_prices_the_cut_is_to_the_balance(venue: Venue) -> None:
    trader = venue.trader(10)
    trader.order(BUY, 100, 500)
    venue.now_ms += 60_001
    assert _forced(venue, trader, 11 * USD)[0] == Code.MARK_STALE


def test_collateral_is_cut_to_the_balance_not_to_the_margin(venue: Venue) -> None:
    trader = venue.trader(1, coin_units=10**8)
    trader.order(BUY, 100, 500)  # 5 of margin, 4 of them from the coin
    assert _forced(venue, trader, 2 * 10**8, asset=1)[0] == Code.MARGIN_INSUFFICIENT
    assert _forced(venue, trader, 9 * 10**7, asset=1)[0] == Code.OK


def test_an_own_pending_taker_gates_a_forced_withdrawal(venue: Venue) -> None:
    makers, taker = [venue.trader() for _ in range(5)], venue.trader()
    for maker in makers:
        maker.order(SELL, 100, 1)
    taker.order(BUY, 100, 10)
    assert _forced(venue, taker, 0, asset=9)[0] == Code.TAKER_PENDING  # before its other checks
    assert _forced(venue, makers[4], 1)[0] == Code.OK
    venue.finish()
    assert _forced(venue, taker, 1)[0] == Code.OK


def test_nobody_forces_the_house(venue: Venue) -> None:
    nobody = {"owner": bytes(20), "subaccount": 0}
    fields = nobody | {"asset": 0, "amount_units": 1, "recipient": STRANGER}
    assert venue.send(Kind.FORCED_WITHDRAW, fields)[0] == Code.ACCOUNT_UNKNOWN
    assert venue.send(Kind.FORCED_CANCEL, nobody)[0] == Code.ACCOUNT_UNKNOWN
    assert venue.send(Kind.FORCED_CLOSE, nobody)[0] == Code.ACCOUNT_UNKNOWN
    # before the slot is looked at
    assert venue.send(Kind.FORCED_REVOKE, nobody | {"slot": 0})[0] == Code.ACCOUNT_UNKNOWN


def test_stale_prices_hold_only_those_whose_margin_needs_them(venue: Venue) -> None:
    flat, exposed = venue.trader(10, coin_units=10**6), venue.trader(10)
    exposed.order(SELL, 110, 1)
    venue.now_ms += 60_001
    fields = {"asset": 0, "amount_units": 1, "recipient": STRANGER}
    assert flat.act(Kind.WITHDRAW, **fields)[0] == Code.OK
    assert exposed.act(Kind.WITHDRAW, **fields)[0] == Code.MARK_STALE
