"""Attacks on Anchor, Inbox and Vault; xfail marks an open hole."""

import boa
import pytest
from tests.adversarial.fake_claims import fabricated
from tests.contracts.system import CONFIG, FORCED_FEE_WEI, PRICES, System, now, wait

from provenue.sequencer.sequencer import Limits
from provenue.settlement.deploy_config import Delays

PIPELINE_MAX = 64


def _overdue(system: System) -> None:
    """An item that the operator leaves behind for the forced delay."""
    system.forced_cancel(system.alice)
    wait(CONFIG["forced_delay_s"] + 1)
    assert system.anchor.forced_mode()


@pytest.mark.xfail(strict=True, reason="forced claims become final where no game can void (F1)")
def test_nobody_can_take_the_vault_by_a_forced_claim_before_there_is_a_game(
    system: System,
) -> None:
    """A stranger's claim about a forced batch names an image that pays the stranger everything."""
    system.deposit(system.alice, 0, 1_000_000 * 10**6)
    system.post()
    system.finalize_all()
    _overdue(system)
    before = system.usdc.balanceOf(system.mallory)
    loot = system.image.issue(0, system.mallory, 1_000_000 * 10**6)
    state = system.image.state()
    with boa.reverts():
        number = system.post(
            messages=(PRICES,), forced=True, end_root=state.root, sender=system.mallory
        )
        system.finalize_all()
        system.withdraw(loot, state, number)
    assert system.usdc.balanceOf(system.mallory) == before


@pytest.mark.xfail(strict=True, reason="only stamp_max is held near L1 time (D3)")
def test_a_forced_batch_cannot_begin_in_the_past(system: System) -> None:
    """stamp_min decides the time of inbox items: it must not be that of the last batch."""
    system.post()
    then = now() * 1000
    _overdue(system)
    arguments = system.batch(messages=(PRICES,), forced=True)
    arguments["header"]["stamp_min_ms"] = then
    with boa.reverts():
        system.send(arguments, system.mallory)


@pytest.mark.xfail(strict=True, reason="64 batches a window, stamps at most 6 h old (F2)")
def test_a_backlog_can_be_posted_once_the_pipeline_moves_again(system: System) -> None:
    """Batches keep the stamps they were sequenced with; a full pipeline waits out a window."""
    for _ in range(PIPELINE_MAX):
        system.post()
    closed = system.batch()  # sequenced and acknowledged now
    with boa.reverts("anchor: pipeline is full"):
        system.send(closed)
    system.finalize_all()
    closed["claim"] = system.claim(closed["claim"]["end_root"])
    system.send(closed)


@pytest.mark.xfail(strict=True, reason="defaults: 64 batches of 4 s fill a window of 7 days (F2)")
def test_default_delays_carry_the_default_batches() -> None:
    """A venue with the defaults must not stop for ever after its first five minutes."""
    delays, limits = Delays(), Limits()
    window_ms = delays.challenge_window_s * 1000
    assert PIPELINE_MAX * limits.batch_age_ms_max >= window_ms or delays.stamp_lag_ms > window_ms


@pytest.mark.xfail(strict=True, reason="a batch closed before a deposit was seen is refused (F3)")
def test_a_batch_closed_before_an_item_came_can_be_posted_after_it_is_due(system: System) -> None:
    """Anyone's deposit stops the journal, if the node is away for the inbox delay."""
    system.post()
    closed = system.batch(inbox_count=0)
    system.deposit(system.mallory, 0, 10)
    wait(CONFIG["inbox_delay_s"] + 1)
    closed["header"]["stamp_max_ms"] = now() * 1000  # stretched, so only the item is in the way
    system.send(closed)


@pytest.mark.xfail(strict=True, reason="one bond covers 64 claims: the second lie is free (F4)")
def test_each_lie_in_the_pipeline_costs_a_bond(system: System) -> None:
    """The winner of the second dispute gets nothing: nobody is paid to void the first batch."""
    system.install_game()
    for _ in range(2):
        system.post()
    system.anchor.void_claim(1, 0, system.alice, sender=system.game)
    first = system.anchor.credit_of(system.alice)
    system.anchor.void_claim(0, 0, system.alice, sender=system.game)
    assert system.anchor.credit_of(system.alice) == 2 * first


@pytest.mark.xfail(strict=True, reason="the pipeline is full for forced batches as well (F2)")
def test_a_full_pipeline_does_not_hold_a_forced_exit_back(system: System) -> None:
    """64 batches in a row and the exit waits a window longer than forced_delay_s says."""
    for _ in range(PIPELINE_MAX):
        system.post()
    system.forced_cancel(system.alice)
    wait(CONFIG["forced_delay_s"] + 1)  # half a window here
    system.post(messages=(PRICES,), forced=True, sender=system.mallory)


def test_a_bond_stays_while_a_claim_can_be_disputed(system: System) -> None:
    """Not a second before the window is over and the batch final."""
    system.post()
    with boa.reverts("anchor: claims are open"):
        system.anchor.withdraw_bond(1, sender=system.operator)
    system.finalize_all()
    system.anchor.withdraw_bond(10**18, sender=system.operator)
    with boa.reverts("anchor: bond is too small"):
        system.post()


def test_an_inner_node_is_no_withdrawal(system: System) -> None:
    """A node of 64 bytes never opens as a leaf of 128; a path one level short or long fails."""
    system.deposit(system.alice, 0, 10**9)
    system.post()
    for _ in range(4):
        system.image.issue(0, system.bob, 10)
    batch, state = system.post_final()
    with boa.reverts("vault: not in the withdrawal tree"):
        system.vault.withdraw(*fabricated(system, state, batch), sender=system.mallory)


def test_a_batch_cannot_come_through_a_contract(system: System) -> None:
    """Data must stand in a transaction's own calldata."""
    relay = boa.loads(
        """
# pragma version 0.4.3
@external
def relay(to: address, data: Bytes[4096]):
    raw_call(to, data)
"""
    )
    arguments = system.batch()
    data = system.anchor.post.prepare_calldata(
        tuple(arguments["header"].values()), arguments["slot_roots"],
        tuple(arguments["claim"].values()), arguments["data"],
    )  # fmt: skip
    with boa.reverts():
        relay.relay(system.anchor.address, data, sender=system.operator)


def test_a_forced_action_pays_its_fee_to_nobody(system: System) -> None:
    """Spam costs: the fee is exact, and stays in the Inbox."""
    before = boa.env.get_balance(system.inbox.address)
    system.forced_cancel(system.mallory)
    assert boa.env.get_balance(system.inbox.address) == before + FORCED_FEE_WEI
    with boa.reverts("inbox: value must equal the forced fee"):
        system.inbox.forced_cancel(0, sender=system.mallory, value=0)


def test_a_forced_batch_holds_no_orders_hidden_behind_bad_offsets(system: System) -> None:
    """Overlapping slices and offsets into the table are refused or start with an allowed kind."""
    _overdue(system)
    place = b"\x01" + bytes(130)
    for messages in ((place,), (PRICES, place), (b"",)):
        arguments = system.batch(messages=messages, forced=True)
        with boa.reverts():
            system.send(arguments, system.mallory)
    data = (1).to_bytes(4, "big") + (3).to_bytes(4, "big") + (8).to_bytes(4, "big")  # the table
    arguments = system.batch(messages=(PRICES,), forced=True)
    arguments["data"] = data
    with boa.reverts():
        system.send(arguments, system.mallory)
