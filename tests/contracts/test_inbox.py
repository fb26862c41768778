"""The queue: order, bytes, accumulator, who may put what into it, and when."""

from collections.abc import Callable
from typing import Any

import boa
import pytest
from eth.exceptions import Revert
from tests.contracts import naive
from tests.contracts.system import (
    CONFIG,
    ETHER,
    FORCED_FEE_WEI,
    GENESIS,
    LIST_INSTRUMENT,
    SET_SIGNERS,
    ZERO,
    System,
    deposit_message,
    list_asset_message,
    now,
    wait,
)


def _enqueued(system: System) -> list[Any]:
    return [e for e in system.inbox.get_logs() if type(e).__name__ == "Enqueued"]


def test_genesis_is_item_0_and_binds_chain_and_anchor(system: System) -> None:
    expected = bytes([GENESIS]) + boa.env.evm.patch.chain_id.to_bytes(8, "big")
    expected += bytes.fromhex(system.anchor.address[2:])
    assert system.items == [expected]
    assert system.inbox.count() == 1
    assert system.inbox.accumulator(1) == naive.keccak(bytes(32) + naive.slot_root(expected))


def test_each_kind_has_its_bytes_and_joins_the_accumulator(system: System) -> None:
    alice = bytes.fromhex(system.alice[2:])
    expected = [
        deposit_message(0, 5_000_000, system.alice, 7),
        b"\x91" + alice + b"\x03" + (1).to_bytes(2, "big") + (2**53).to_bytes(8, "big")
        + bytes.fromhex(system.bob[2:]),
        b"\x92" + alice + b"\xff",
        b"\x93" + alice + b"\x04",
        b"\x94" + alice + b"\x05\x03",
    ]  # fmt: skip
    accumulator = system.inbox.accumulator(1)
    moves: list[Callable[[], object]] = [
        lambda: system.deposit(system.alice, 0, 5_000_000, 7),
        lambda: system.inbox.forced_withdraw(
            3, 1, 2**53, system.bob, sender=system.alice, value=FORCED_FEE_WEI
        ),
        lambda: system.inbox.forced_cancel(255, sender=system.alice, value=FORCED_FEE_WEI),
        lambda: system.inbox.forced_close(4, sender=system.alice, value=FORCED_FEE_WEI),
        lambda: system.inbox.forced_revoke(5, 3, sender=system.alice, value=FORCED_FEE_WEI),
    ]
    for index, (move, message) in enumerate(zip(moves, expected, strict=True), start=1):
        wait(11)
        move()
        if index > 1:
            (event,) = _enqueued(system)
            assert (event.index, event.kind, event.owner) == (index, message[0], system.alice)
            assert event.message == message
            assert event.enqueued_at == now()
        accumulator = naive.keccak(accumulator + naive.slot_root(message))
        assert system.inbox.accumulator(index + 1) == accumulator
        assert system.inbox.enqueued_at(index) == now()
    assert system.inbox.count() == 6


def test_slot_root_of_every_length(system: System) -> None:
    for length in (0, 1, 31, 32, 33, 63, 64, 65, 255, 256, 447, 448, 449, 479, 480):
        message = bytes((7 * i + 1) % 256 for i in range(length))
        assert system.inbox.slot_root_of(message) == naive.slot_root(message)


def test_views_refuse_what_is_not_there(system: System) -> None:
    assert system.inbox.accumulator(0) == bytes(32)
    with boa.reverts("inbox: not that many items"):
        system.inbox.accumulator(2)
    with boa.reverts("inbox: no such item"):
        system.inbox.enqueued_at(1)


def test_only_the_vault_says_that_money_came(system: System) -> None:
    for other in (system.owner, system.operator, system.alice):
        with boa.reverts("inbox: caller is not the vault"):
            system.inbox.enqueue_deposit(0, 1_000_000, other, 0, sender=other)


def test_forced_actions_burn_the_fee_and_check_their_fields(system: System) -> None:
    cases = [
        ((0, 0, 0, system.alice), FORCED_FEE_WEI, "inbox: amount is zero"),
        ((0, 0, 2**53 + 1, system.alice), FORCED_FEE_WEI, "inbox: amount is too large"),
        ((0, 0, 1, ZERO), FORCED_FEE_WEI, "inbox: recipient is zero"),
        ((0, 0, 1, system.alice), FORCED_FEE_WEI - 1, "inbox: value must equal the forced fee"),
        ((0, 0, 1, system.alice), FORCED_FEE_WEI + 1, "inbox: value must equal the forced fee"),
    ]
    for arguments, value, reason in cases:
        with boa.reverts(reason):
            system.inbox.forced_withdraw(*arguments, sender=system.alice, value=value)
    with boa.reverts("inbox: value must equal the forced fee"):
        system.inbox.forced_cancel(0, sender=system.alice)
    with boa.reverts("inbox: value must equal the forced fee"):
        system.inbox.forced_close(0, sender=system.alice)
    for slot, reason in ((0, "inbox: slot 0 is the owner"), (4, "inbox: no such slot")):
        with boa.reverts(reason):
            system.inbox.forced_revoke(0, slot, sender=system.alice, value=FORCED_FEE_WEI)
    system.inbox.forced_cancel(0, sender=system.alice, value=FORCED_FEE_WEI)
    assert boa.env.get_balance(system.inbox.address) == FORCED_FEE_WEI


def test_wide_values_do_not_fit_the_message(system: System) -> None:
    for arguments in ((256, 0, 1), (0, 2**16, 1), (0, 0, 2**64)):
        with pytest.raises(Exception, match=r".+"):
            system.inbox.forced_withdraw(
                *arguments, system.alice, sender=system.alice, value=FORCED_FEE_WEI
            )
    assert system.inbox.count() == 1


# --- binding --------------------------------------------------------------------------------------


def test_nothing_is_queued_before_binding(system: System) -> None:
    fresh = system.sources.inbox.deploy(system.owner, CONFIG["admin_delay_s"], 0)
    for move in (
        lambda: fresh.forced_cancel(0, sender=system.alice),
        lambda: fresh.forced_close(0, sender=system.alice),
        lambda: fresh.forced_revoke(0, 1, sender=system.alice),
        lambda: fresh.forced_withdraw(0, 0, 1, system.alice, sender=system.alice),
        lambda: fresh.enqueue_deposit(0, 1, system.alice, 0, sender=ZERO),
        lambda: fresh.enqueue_setup(b"\x83", sender=system.owner),
        lambda: fresh.propose_admin(b"\x83", sender=system.owner),
        lambda: fresh.seal(sender=system.owner),
    ):
        with boa.reverts("inbox: not bound"):
            move()


def test_binding_checks_that_the_contracts_belong_together(system: System) -> None:
    sources, config = system.sources, CONFIG
    with boa.reverts("inbox: already bound"):
        system.inbox.bind(system.vault.address, system.anchor.address, sender=system.owner)
    inbox = sources.inbox.deploy(system.owner, CONFIG["admin_delay_s"], 0)
    settings = (system.operator, inbox.address, *config.values(), ZERO)
    anchor = sources.anchor.deploy(system.owner, settings)
    other = sources.anchor.deploy(system.owner, settings)
    vault = sources.vault.deploy(system.owner, inbox.address, anchor.address)
    with boa.reverts("owned: caller is not the owner"):
        inbox.bind(vault.address, anchor.address, sender=system.alice)
    with boa.reverts("inbox: vault has another inbox"):
        inbox.bind(system.vault.address, anchor.address, sender=system.owner)
    with boa.reverts("inbox: vault has another anchor"):
        inbox.bind(vault.address, other.address, sender=system.owner)
    foreign = sources.vault.deploy(system.owner, inbox.address, system.anchor.address)
    with boa.reverts("inbox: anchor has another inbox"):
        inbox.bind(foreign.address, system.anchor.address, sender=system.owner)
    inbox.bind(vault.address, anchor.address, sender=system.owner)


def test_delay_must_exceed_the_exit_window(system: System) -> None:
    exit_window_s = CONFIG["forced_delay_s"] + 3 * CONFIG["challenge_window_s"]
    inbox = system.sources.inbox.deploy(system.owner, exit_window_s, 0)
    settings = (system.operator, inbox.address, *CONFIG.values(), ZERO)
    anchor = system.sources.anchor.deploy(system.owner, settings)
    vault = system.sources.vault.deploy(system.owner, inbox.address, anchor.address)
    with boa.reverts("inbox: admin delay must exceed the exit window"):
        inbox.bind(vault.address, anchor.address, sender=system.owner)


# --- administration -------------------------------------------------------------------------------


def _signers(count: int = 1) -> bytes:
    return bytes([SET_SIGNERS, 1, count]) + bytes(range(1, 21)) * count


def _instrument() -> bytes:
    return bytes([LIST_INSTRUMENT]).ljust(72, b"\x01")


def test_setting_up_is_the_owners_until_the_seal(system: System) -> None:
    messages = [list_asset_message(system.usdc.address), _instrument(), _signers(3)]
    for message in messages:
        with boa.reverts("owned: caller is not the owner"):
            system.inbox.enqueue_setup(message, sender=system.alice)
        system.inbox.enqueue_setup(message, sender=system.owner)
        (event,) = _enqueued(system)
        assert (event.message, event.kind, event.owner) == (message, message[0], ZERO)
    with boa.reverts("owned: caller is not the owner"):
        system.inbox.seal(sender=system.alice)
    system.inbox.seal(sender=system.owner)
    assert system.inbox.sealed()
    with boa.reverts("inbox: sealed, propose instead"):
        system.inbox.enqueue_setup(messages[0], sender=system.owner)
    with boa.reverts("inbox: already sealed"):
        system.inbox.seal(sender=system.owner)


def test_administration_waits_for_the_delay_after_the_seal(system: System) -> None:
    system.inbox.seal(sender=system.owner)
    message, delay = _signers(), CONFIG["admin_delay_s"]
    with boa.reverts("owned: caller is not the owner"):
        system.inbox.propose_admin(message, sender=system.alice)
    number = system.inbox.propose_admin(message, sender=system.owner)
    with boa.reverts("owned: caller is not the owner"):
        system.inbox.enqueue_admin(number, message, sender=system.alice)
    wait(delay - 1)
    with boa.reverts("inbox: proposal is not ready"):
        system.inbox.enqueue_admin(number, message, sender=system.owner)
    wait(1)
    with boa.reverts("inbox: not the proposed message"):
        system.inbox.enqueue_admin(number, _signers(2), sender=system.owner)
    system.inbox.enqueue_admin(number, message, sender=system.owner)
    (event,) = _enqueued(system)
    assert event.message == message
    with boa.reverts("inbox: no such proposal"):
        system.inbox.enqueue_admin(number, message, sender=system.owner)


def test_cancelled_proposal_is_gone(system: System) -> None:
    number = system.inbox.propose_admin(_signers(), sender=system.owner)
    with boa.reverts("owned: caller is not the owner"):
        system.inbox.cancel_admin(number, sender=system.alice)
    system.inbox.cancel_admin(number, sender=system.owner)
    wait(CONFIG["admin_delay_s"])
    with boa.reverts("inbox: no such proposal"):
        system.inbox.enqueue_admin(number, _signers(), sender=system.owner)
    for unknown in (number, number + 1):
        with boa.reverts("inbox: no such proposal"):
            system.inbox.cancel_admin(unknown, sender=system.owner)


def test_administration_has_only_its_kinds_and_lengths(system: System) -> None:
    asset = list_asset_message(system.usdc.address)
    cases = [
        (b"", "inbox: message is empty"),
        (bytes([GENESIS]) + bytes(28), "inbox: not an administrative kind"),
        (deposit_message(0, 10**6, system.owner, 0), "inbox: not an administrative kind"),
        (b"\x91" + bytes(51), "inbox: not an administrative kind"),
        (b"\x01", "inbox: not an administrative kind"),
        (asset[:-1], "inbox: bad length"),
        (asset + b"\0", "inbox: bad length"),
        (_instrument()[:-1], "inbox: bad length"),
        (_instrument() + b"\0", "inbox: bad length"),
        (bytes([SET_SIGNERS]), "inbox: bad length"),
        (bytes([SET_SIGNERS, 1]), "inbox: bad length"),
        (_signers(2)[:-1], "inbox: bad length"),
        (_signers(2) + b"\0", "inbox: bad length"),
    ]
    for message, reason in cases:
        for function in (system.inbox.enqueue_setup, system.inbox.propose_admin):
            with boa.reverts(reason):
                function(message, sender=system.owner)


def test_listed_asset_is_the_vaults_with_the_same_unit(system: System) -> None:
    usdc, dai = system.usdc.address, system.dai.address
    cases = [
        (list_asset_message(dai, 0, 6), "inbox: not the vault's token"),
        (list_asset_message(usdc, 1, 8), "inbox: not the vault's token"),
        (list_asset_message(usdc, 9, 6), "inbox: not the vault's token"),
        (list_asset_message(ZERO, 9, 0), "inbox: token is zero"),
        (list_asset_message(usdc, 0, 8), "inbox: not the vault's unit"),
        (list_asset_message(usdc, 0, 6, chain=1), "inbox: chain must be 0"),
    ]
    for message, reason in cases:
        with boa.reverts(reason):
            system.inbox.enqueue_setup(message, sender=system.owner)
    system.inbox.enqueue_setup(list_asset_message(dai, 2, 8), sender=system.owner)


def test_ether_sent_by_accident_is_refused(system: System) -> None:
    for contract in (system.inbox, system.anchor, system.vault):
        with pytest.raises(Revert):
            boa.env.raw_call(contract.address, sender=system.alice, value=ETHER)
