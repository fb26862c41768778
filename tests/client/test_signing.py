"""Signed actions: who they recover to, nonces, expiries."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from provenue import wire
from provenue._generated import constants
from provenue.client.keys import Key
from provenue.client.signing import ActionSigner, NonceSource

DOMAIN = wire.Domain(31337, b"\x11" * 20)
KEY = Key(b"\x07" * 32)
ACCOUNT = 1 << 32 | 4
NOW_MS = 1_700_000_000_000


def signer(**options: Any) -> ActionSigner:
    return ActionSigner(DOMAIN, ACCOUNT, 1, KEY, clock=lambda: NOW_MS, **options)


ACTIONS: dict[str, Callable[[ActionSigner], wire.Action]] = {
    "place": lambda s: s.place(instrument=2, side=wire.Side.SELL, size_lots=3, price_ticks=9),
    "amend": lambda s: s.amend(5, price_ticks=9, size_lots=3),
    "replace": lambda s: s.replace(5, price_ticks=9, size_lots=3, good_till_s=7, slide=True),
    "cancel": lambda s: s.cancel(5),
    "cancel_all": lambda s: s.cancel_all(),
    "cancel_label": lambda s: s.cancel_label(9),
    "withdraw": lambda s: s.withdraw(asset=1, amount_units=7, recipient=b"\x05" * 20),
    "set_key": lambda s: s.set_key(slot=2, key_address=b"\x06" * 20, scope=1),
    "revoke_key": lambda s: s.revoke_key(3),
}


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_action_survives_the_wire_and_recovers_to_the_key(name: str) -> None:
    action = ACTIONS[name](signer())
    received: Any = wire.decode(wire.encode(action))
    assert received == action
    assert wire.recover(received, DOMAIN) == KEY.address
    assert (received.account, received.key) == (ACCOUNT, 1)
    assert received.expires_at_ms == NOW_MS + 60_000
    assert received.nonce == NOW_MS
    assert received.stamp_ms == 0


def test_what_the_arguments_mean() -> None:
    maker = signer(valid_ms=5)
    resting = maker.place(
        instrument=0, side=wire.Side.BUY, size_lots=1, price_ticks=2, post_only=True, client_id=8
    )
    assert (resting.order_type, resting.time_in_force, resting.flags) == (0, 0, 1)
    assert (resting.client_id, resting.expires_at_ms) == (8, NOW_MS + 5)
    market = maker.place(
        instrument=0, side=wire.Side.BUY, size_lots=1, price_ticks=0,
        order_type=wire.OrderType.MARKET,
    )  # fmt: skip
    assert (market.order_type, market.time_in_force, market.flags) == (1, 1, 0)
    assert (market.self_trade, market.good_till_s) == (0, 0)
    other = maker.replace(
        7, size_lots=1, price_ticks=2, time_in_force=wire.TimeInForce.GOOD_TILL_TIME,
        good_till_s=3, post_only=True, slide=True, reduce_only=True,
        self_trade=wire.SelfTrade.DECREMENT,
    )  # fmt: skip
    assert (other.order_id, other.time_in_force, other.good_till_s) == (7, 3, 3)
    assert (other.flags, other.self_trade) == (7, 3)
    assert maker.cancel_label(4).instrument == constants.NONE_U16
    assert maker.cancel_label(4, 2).instrument == 2
    assert maker.cancel_all().instrument == constants.NONE_U16
    revoked = maker.revoke_key(2)
    assert (revoked.slot, revoked.key_address, revoked.scope) == (2, bytes(20), 0)
    chosen = maker.cancel(1, nonce=3, expires_at_ms=4)
    assert (chosen.nonce, chosen.expires_at_ms) == (3, 4)


def test_nonces_follow_the_clock_and_always_rise() -> None:
    times = iter([100, 100, 99, 105, 105, 50])
    source = NonceSource(clock=lambda: next(times))
    assert [source.next() for _ in range(6)] == [100, 101, 102, 105, 106, 107]
    assert NonceSource(clock=lambda: 7, after=1000).next() == 1001


def test_threads_never_get_the_same_nonce() -> None:
    source, given = NonceSource(clock=lambda: 1), []
    threads = [
        threading.Thread(target=lambda: given.extend([source.next() for _ in range(500)]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(1, 4001))


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="key_slot: expected 0 to 3, was 4"):
        ActionSigner(DOMAIN, ACCOUNT, 4, KEY)
    with pytest.raises(ValueError, match="account_id: expected 1 to"):
        ActionSigner(DOMAIN, 0, 0, KEY)
    with pytest.raises(ValueError, match="valid_ms: expected a positive number"):
        ActionSigner(DOMAIN, ACCOUNT, 0, KEY, valid_ms=0)
    with pytest.raises(wire.EncodeError, match=r"PLACE\.size_lots: expected a whole number"):
        signer().place(instrument=0, side=wire.Side.BUY, size_lots=-1, price_ticks=1)
