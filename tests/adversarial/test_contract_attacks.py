"""Attacks on Anchor, Inbox and Vault; xfail marks an open hole."""

import boa
from tests.adversarial.fake_claims import fabricated
from tests.contracts import naive
from tests.contracts.system import (
    CONFIG,
    FORCED_FEE_WEI,
    OPEN_CLAIMS_MAX,
    PRICES,
    Sources,
    System,
    now,
    wait,
)

from provenue.sequencer.pace import paced
from provenue.settlement.anchor import AnchorSettings
from provenue.settlement.deploy_config import Delays

PIPELINE_MAX = 64


def _overdue(system: System) -> None:
    """An item that the operator leaves behind for the forced delay."""
    system.forced_cancel(system.alice)
    wait(CONFIG["forced_delay_s"] + 1)


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
    with boa.reverts("anchor: no game yet, forced batches are closed"):
        number = system.post(
            messages=(PRICES,), forced=True, end_root=state.root, sender=system.mallory
        )
        system.finalize_all()
        system.withdraw(loot, state, number)
    assert system.usdc.balanceOf(system.mallory) == before


def test_a_forced_batch_cannot_begin_in_the_past(sources: Sources) -> None:
    """stamp_min decides the time of inbox items: it must not be that of the last batch."""
    with boa.env.anchor():
        system = System(sources, stamp_lag_ms=Delays().stamp_lag_ms)
        system.install_game()
        system.post()
        then = now() * 1000
        _overdue(system)
        arguments = system.batch(messages=(PRICES,), forced=True)
        for begin_ms in (then, now() * 1000 - 900_001):
            arguments["header"]["stamp_min_ms"] = begin_ms
            with boa.reverts("anchor: stamps lag behind L1 time"):
                system.send(arguments, system.mallory)
        arguments["header"]["stamp_min_ms"] += 1
        system.send(arguments, system.mallory)


def test_a_backlog_can_be_posted_once_the_pipeline_moves_again(sources: Sources) -> None:
    """Batches keep the stamps they were sequenced with; a full pipeline waits out a window."""
    with boa.env.anchor():
        system = System(sources, stamp_lag_ms=Delays().stamp_lag_ms)
        for _ in range(PIPELINE_MAX):
            system.post()
        closed = system.batch()  # sequenced and acknowledged now
        with boa.reverts("anchor: pipeline is full"):
            system.send(closed)
        system.finalize_all()
        closed["claim"] = system.claim(closed["claim"]["end_root"])
        system.send(closed)


def _settings(delays: Delays) -> AnchorSettings:
    return AnchorSettings(delays.challenge_window_s, delays.inbox_delay_s, delays.stamp_lag_ms)


def test_default_delays_carry_a_venue() -> None:
    """The operator's own pace fits the pipeline, dust or not; a backlog outlives a window."""
    delays = Delays()
    window_ms = delays.challenge_window_s * 1000
    limits = paced(0, _settings(delays))
    assert PIPELINE_MAX * limits.batch_age_ms_max >= window_ms
    assert PIPELINE_MAX * limits.inbox_age_ms >= window_ms
    assert delays.stamp_lag_ms > 24 * window_ms


def test_a_batch_closed_before_an_item_came_can_be_posted_after_it_is_due(
    sources: Sources,
) -> None:
    """Nobody's deposit stops the journal, though the node was away for the inbox delay."""
    with boa.env.anchor():
        system = System(sources, stamp_lag_ms=Delays().stamp_lag_ms)
        system.post()
        closed = system.batch(inbox_count=0)
        system.deposit(system.mallory, 0, 10)
        wait(CONFIG["inbox_delay_s"] + 1)
        system.send(closed)
        with boa.reverts("anchor: a due inbox item is left behind"):  # sequenced only now
            system.post(inbox_count=0)


def test_each_lie_in_the_pipeline_costs(system: System) -> None:
    """A liar whose bond is gone (a friend won it) still pays for the lie before."""
    system.install_game()
    spare_wei = (OPEN_CLAIMS_MAX - 2) * CONFIG["claim_reserve_wei"]
    system.anchor.withdraw_bond(spare_wei, sender=system.operator)
    for _ in range(2):
        system.post()
    system.void(1, 0, system.join(1, naive.keccak(b"of a friend"), system.mallory))
    system.void(0, 0, system.join(0, naive.keccak(b"right"), system.alice))
    assert system.anchor.bond_of(system.operator) == 0
    assert system.anchor.credit_of(system.alice) == CONFIG["claim_reserve_wei"] // 2


def test_a_full_pipeline_does_not_hold_a_forced_exit_back(system: System) -> None:
    """64 batches in a row and the exit waits a window longer than forced_delay_s says."""
    system.install_game()
    for _ in range(PIPELINE_MAX):
        system.post()
    system.forced_cancel(system.alice)
    wait(CONFIG["forced_delay_s"] + 1)  # half a window here
    system.post(messages=(PRICES,), forced=True, sender=system.mallory)
    with boa.reverts("anchor: pipeline is full"):
        system.post()


def test_a_bond_stays_while_a_claim_can_be_disputed(system: System) -> None:
    """Not a second before the window is over and the batch final."""
    system.post()
    with boa.reverts("anchor: claims are open"):
        system.anchor.withdraw_bond(1, sender=system.operator)
    system.finalize_all()
    reserves_wei = OPEN_CLAIMS_MAX * CONFIG["claim_reserve_wei"]
    system.anchor.withdraw_bond(reserves_wei, sender=system.operator)
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
    system.install_game()
    _overdue(system)
    place = b"\x01" + bytes(130)
    kinds = "may hold prices and continue only"
    for messages, why in (
        ((place,), kinds),
        ((PRICES, place), kinds),
        ((b"",), "has an empty message"),
    ):
        arguments = system.batch(messages=messages, forced=True)
        with boa.reverts("anchor: forced batch " + why):
            system.send(arguments, system.mallory)
    data = (1).to_bytes(4, "big") + (3).to_bytes(4, "big") + (8).to_bytes(4, "big")  # the table
    arguments = system.batch(messages=(PRICES,), forced=True)
    arguments["data"] = data
    with boa.reverts("anchor: forced batch " + kinds):
        system.send(arguments, system.mallory)
