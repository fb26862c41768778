"""Posting batches: what is stored, and everything that is refused."""

import random
from typing import Any

import boa
import pytest
from tests.contracts import naive
from tests.contracts.system import (
    CONFIG,
    CONTINUE,
    OPEN_CLAIMS_MAX,
    PRICES,
    ZERO,
    Sources,
    System,
    now,
    wait,
)


def _header_words(
    system: System, arguments: dict[str, Any], first: int, sequence: int
) -> list[Any]:
    header = arguments["header"]
    accumulator = bytes(32)
    items = system.items[: first + len(arguments["slot_roots"])]
    for item in items:
        accumulator = naive.keccak(accumulator + naive.slot_root(item))
    return [
        header["batch"], header["stamp_min_ms"], header["stamp_max_ms"],
        len(arguments["slot_roots"]), len(arguments["data"]), first, sequence,
        now(), int(header["forced"]), accumulator,
    ]  # fmt: skip


@pytest.mark.parametrize("sizes", [[1], [], [40, 0, 1, 31, 32, 33], [107] * 90])
def test_input_root_is_the_root_of_the_bytes(
    system: System, rng: random.Random, sizes: list[int]
) -> None:
    """Three batches: the first takes GENESIS, the second two deposits, the third none."""
    sequence = first = 0
    for deposits in (0, 2, 0):
        for _ in range(deposits):
            system.deposit(system.alice, 1, 777_000)
        messages = [rng.randbytes(size) for size in sizes] + [CONTINUE] * (deposits == 0)
        arguments = system.batch(messages)
        items = system.items[first : first + len(arguments["slot_roots"])]
        system.send(arguments)
        words = _header_words(system, arguments, first, sequence)
        stored = system.anchor.batch_of(arguments["header"]["batch"])
        assert stored.input_root == naive.input_root(arguments["data"], words, items)
        assert stored.data_hash == naive.keccak(arguments["data"])
        assert (stored.first_sequence, stored.inbox_first) == (sequence, first)
        assert stored.message_count == len(messages) + len(items)
        assert stored.inbox_count == len(items)
        assert stored.stamp_max_ms == arguments["header"]["stamp_max_ms"]
        assert not stored.forced
        assert stored.l1_block == boa.env.evm.patch.block_number
        sequence += len(messages) + len(items)
        first += len(items)
    assert system.anchor.next_sequence() == sequence
    assert system.anchor.inbox_consumed() == first
    assert system.anchor.batch_count() == 3


def test_event_names_everything_a_reader_needs(system: System) -> None:
    arguments = system.batch([CONTINUE, b"abc"])
    system.send(arguments)
    events = {type(event).__name__: event for event in system.anchor.get_logs()}
    posted, claimed = events["BatchPosted"], events["Claimed"]
    assert (posted.batch, posted.poster, posted.first_sequence) == (0, system.operator, 0)
    assert (posted.message_count, posted.inbox_first, posted.inbox_count) == (3, 0, 1)
    assert posted.inbox_accumulator == naive.keccak(bytes(32) + naive.slot_root(system.items[0]))
    assert (posted.stamp_min_ms, posted.posted_at) == (now() * 1000, now())
    assert (claimed.batch, claimed.index, claimed.claimant) == (0, 0, system.operator)
    assert claimed.start_root == naive.zero(29)
    assert claimed.end_root == arguments["claim"]["end_root"]


def _spoil(arguments: dict[str, Any], part: str, **changes: Any) -> None:
    arguments[part] = arguments[part] | changes


HEADER_FAULTS = [
    ({"batch": 1}, "anchor: not the next batch"),
    ({"forced": True}, "anchor: no game yet, forced batches are closed"),
]


@pytest.mark.parametrize(("changes", "reason"), HEADER_FAULTS)
def test_wrong_header_is_refused(system: System, changes: dict[str, Any], reason: str) -> None:
    arguments = system.batch()
    _spoil(arguments, "header", **changes)
    with boa.reverts(reason):
        system.send(arguments)


def test_stamps_stay_near_l1_time_and_never_go_back(system: System) -> None:
    base = now() * 1000
    ahead, lag = CONFIG["stamp_ahead_ms"], CONFIG["stamp_lag_ms"]
    cases = [
        (base, base + ahead + 1, "anchor: stamps are ahead of L1 time"),
        (base + 1, base, "anchor: stamp_min exceeds stamp_max"),
        (0, base - lag - 1, "anchor: stamps lag behind L1 time"),
        (base - lag - 1, base, "anchor: stamps lag behind L1 time"),
    ]
    for low, high, reason in cases:
        arguments = system.batch()
        _spoil(arguments, "header", stamp_min_ms=low, stamp_max_ms=high)
        with boa.reverts(reason):
            system.send(arguments)
    # Both bounds themselves are allowed.
    arguments = system.batch()
    _spoil(arguments, "header", stamp_min_ms=base - lag, stamp_max_ms=base - lag)
    system.send(arguments)
    arguments = system.batch()
    _spoil(arguments, "header", stamp_min_ms=base - lag - 1, stamp_max_ms=base)
    with boa.reverts("anchor: stamps go back"):
        system.send(arguments)
    arguments = system.batch()
    _spoil(arguments, "header", stamp_min_ms=base - lag, stamp_max_ms=base + ahead)
    system.send(arguments)


def test_only_the_operator_posts_an_ordinary_batch(system: System) -> None:
    for other in (system.owner, system.mallory, system.game):
        with boa.reverts("anchor: caller is not the operator"):
            system.send(system.batch(), other)


def test_claim_must_start_where_the_last_one_ended_and_open_to_its_end(system: System) -> None:
    arguments = system.batch()
    _spoil(arguments, "claim", start_root=bytes(32))
    with boa.reverts("anchor: start root differs"):
        system.send(arguments)
    arguments = system.batch()
    _spoil(arguments, "claim", end_root=naive.keccak(b"another"))
    with boa.reverts("anchor: claim does not open to its end root"):
        system.send(arguments)
    for level in range(12):
        arguments = system.batch()
        siblings = list(arguments["claim"]["last_siblings"])
        siblings[level] = naive.keccak(siblings[level])
        _spoil(arguments, "claim", last_siblings=siblings)
        with boa.reverts("anchor: claim does not open to its end root"):
            system.send(arguments)
    system.post()


def test_opening_is_of_the_last_leaf_only(system: System) -> None:
    """A root at any other leaf of the claim tree is not its end."""
    roots = [naive.keccak(bytes([i])) for i in range(9)]
    tree = naive.tree_root(roots, 12, roots[-1])
    for index in (0, 7, 8, 4094):
        arguments = system.batch()
        leaf = roots[min(index, 8)]
        siblings = naive.proof(roots, index, 12, roots[-1])
        _spoil(arguments, "claim", claim_root=tree, end_root=leaf, last_siblings=siblings)
        if index in (8, 4094):
            # Leaf 8 and all behind it hold the last root, but only 4095 opens with its siblings.
            _spoil(arguments, "claim", end_root=roots[7])
        with boa.reverts("anchor: claim does not open to its end root"):
            system.send(arguments)
    arguments = system.batch()
    siblings = naive.proof(roots, 4095, 12, roots[-1])
    _spoil(arguments, "claim", claim_root=tree, end_root=roots[8], last_siblings=siblings)
    system.send(arguments)


def test_wrong_inbox_root_reverts(system: System) -> None:
    system.deposit(system.alice, 0, 5_000_000)
    arguments = system.batch()
    assert len(arguments["slot_roots"]) == 2
    for spoiled in (
        list(reversed(arguments["slot_roots"])),
        [arguments["slot_roots"][0], naive.keccak(b"reorged")],
        arguments["slot_roots"][1:],
    ):
        with boa.reverts("anchor: inbox accumulator differs"):
            system.send(arguments | {"slot_roots": spoiled})
    with boa.reverts("anchor: not that many inbox items"):
        system.send(arguments | {"slot_roots": [*arguments["slot_roots"], bytes(32)]})
    system.send(arguments)


def test_due_item_may_not_be_left_behind(system: System) -> None:
    system.post()
    system.deposit(system.alice, 0, 5_000_000)
    wait(CONFIG["inbox_delay_s"] - 1)
    system.deposit(system.bob, 0, 5_000_000)
    system.post(inbox_count=0)
    wait(1)
    with boa.reverts("anchor: a due inbox item is left behind"):
        system.post(inbox_count=0)
    # The second is not due yet.
    system.post(inbox_count=1)
    wait(CONFIG["inbox_delay_s"])
    with boa.reverts("anchor: a due inbox item is left behind"):
        system.post(inbox_count=0)
    system.post(inbox_count=1)


def test_item_is_due_by_the_time_of_sequencing_not_of_posting(sources: Sources) -> None:
    """A journal is posted as it was written, however late; a stamp at the item's time is too late.

    Comparing with the time of posting, an outage of the inbox delay would stop a journal for ever.
    """
    with boa.env.anchor():
        system = System(sources, stamp_lag_ms=10 * CONFIG["inbox_delay_s"] * 1000)
        system.post()
        system.deposit(system.alice, 0, 5_000_000)
        due_ms = (now() + CONFIG["inbox_delay_s"]) * 1000
        early, late = system.batch(inbox_count=0), system.batch(inbox_count=0)
        early["header"]["stamp_max_ms"], late["header"]["stamp_max_ms"] = due_ms - 1, due_ms
        wait(9 * CONFIG["inbox_delay_s"])
        with boa.reverts("anchor: a due inbox item is left behind"):
            system.send(late)
        system.send(early)
        with boa.reverts("anchor: a due inbox item is left behind"):
            system.post(inbox_count=0)
        system.post(inbox_count=1)


def test_full_slice_may_leave_due_items_behind(system: System) -> None:
    for _ in range(69):
        system.forced_cancel(system.alice)
    wait(CONFIG["inbox_delay_s"])
    with boa.reverts("anchor: a due inbox item is left behind"):
        system.post([], inbox_count=63)
    arguments = system.batch([], inbox_count=64)
    system.send(arguments)
    stored = system.anchor.batch_of(0)
    words = _header_words(system, arguments, 0, 0)
    assert stored.input_root == naive.input_root(arguments["data"], words, system.items[:64])
    system.post([], inbox_count=6)
    assert system.anchor.inbox_consumed() == 70


def test_framing_that_would_hide_messages_is_refused(system: System) -> None:
    good = system.batch()
    cases = [
        (b"", "anchor: offset table is cut off"),
        (bytes(7), "anchor: offset table is cut off"),
        ((1).to_bytes(4, "big") + bytes(4), "anchor: offset table is cut off"),
        ((4097).to_bytes(4, "big") + bytes(4 * 4098), "anchor: too many messages"),
        ((2**32 - 1).to_bytes(4, "big") + bytes(64), "anchor: too many messages"),
    ]
    for data, reason in cases:
        with boa.reverts(reason):
            system.send(good | {"data": data})


def test_batch_holds_one_to_4096_messages(system: System) -> None:
    with boa.reverts("anchor: too many messages"):
        system.post([b""] * 4096, inbox_count=1)
    system.post([b""] * 4095, inbox_count=1)
    assert system.anchor.next_sequence() == 4096
    with boa.reverts("anchor: batch is empty"):
        system.post([], inbox_count=0)


def test_offsets_that_point_nowhere_are_the_programs_business(system: System) -> None:
    """Only the table itself must be there: what it says is decided by the program, total (P4)."""
    data = (2).to_bytes(4, "big") + b"\xff" * 12 + b"rest"
    system.send(system.batch() | {"data": data})


def test_65th_batch_of_the_pipeline_is_refused(system: System) -> None:
    for _ in range(64):
        system.post()
    with boa.reverts("anchor: pipeline is full"):
        system.post()
    wait(CONFIG["challenge_window_s"])
    system.anchor.finalize(1, sender=system.alice)
    system.post()
    with boa.reverts("anchor: pipeline is full"):
        system.post()


def test_bond_must_cover_the_claim(system: System) -> None:
    spare_wei = (OPEN_CLAIMS_MAX - 1) * CONFIG["claim_reserve_wei"]
    system.anchor.withdraw_bond(spare_wei + 1, sender=system.operator)
    with boa.reverts("anchor: bond is too small"):
        system.post()
    system.anchor.deposit_bond(sender=system.operator, value=1)
    system.post()
    with boa.reverts("anchor: claims are open"):
        system.anchor.withdraw_bond(1, sender=system.operator)


def test_posting_through_a_contract_is_refused(system: System) -> None:
    """The data must be the transaction's own, where every node keeps it."""
    relay = boa.loads("""
# pragma version 0.4.3
@external
def relay(target: address, data: Bytes[8192]):
    raw_call(target, data)
""")
    arguments = system.batch()
    calldata = system.anchor.post.prepare_calldata(
        tuple(arguments["header"].values()),
        arguments["slot_roots"],
        tuple(arguments["claim"].values()),
        arguments["data"],
    )
    with boa.reverts("anchor: post from an account, not through a contract"):
        relay.relay(system.anchor.address, calldata, sender=system.operator)
    # An account with code (a delegation) could do the same inside one transaction.
    boa.env.set_code(system.operator, bytes.fromhex("ef0100") + bytes(20))
    with boa.reverts("anchor: post from an account, not through a contract"):
        system.send(arguments)


# --- forced batches -------------------------------------------------------------------------------


def test_anyone_posts_once_the_head_is_overdue(system: System) -> None:
    system.install_game()
    system.post()
    system.deposit(system.alice, 0, 5_000_000)
    wait(CONFIG["forced_delay_s"] - 1)
    assert not system.anchor.forced_mode()
    with boa.reverts("anchor: no inbox item is overdue"):
        system.post([], forced=True, sender=system.carol)
    wait(1)
    assert system.anchor.forced_mode()
    with boa.reverts("anchor: caller is not the operator"):
        system.post([], sender=system.carol)
    system.post([PRICES + b"xyz", CONTINUE], forced=True, sender=system.carol)
    stored = system.anchor.batch_of(1)
    assert stored.forced
    assert stored.inbox_count == 1
    claim = system.anchor.claim_of(1, 0)
    assert (claim.claimant, claim.bond_wei) == (system.carol, CONFIG["forced_bond_wei"])
    # The head is consumed: back to the operator.
    assert not system.anchor.forced_mode()
    with boa.reverts("anchor: no inbox item is overdue"):
        system.post(forced=True, sender=system.carol)
    system.post()


def test_nobody_posts_a_forced_batch_before_there_is_a_game(system: System) -> None:
    """Nobody could void its claim, and the vault would pay by it."""
    wait(10 * CONFIG["forced_delay_s"])
    assert not system.anchor.forced_mode()
    for who in (system.carol, system.operator):
        with boa.reverts("anchor: no game yet, forced batches are closed"):
            system.post([PRICES], forced=True, sender=who)
    system.install_game()
    assert system.anchor.forced_mode()
    system.post([PRICES], forced=True, sender=system.carol)


def test_operator_may_still_post_when_late(system: System) -> None:
    system.install_game()
    assert system.anchor.forced_mode()
    system.post([b"anything"])
    assert not system.anchor.forced_mode()


def test_forced_batch_holds_only_prices_and_continue(system: System) -> None:
    system.install_game()
    for kind in (*range(0x10), 0x11, *range(0x13, 0x100, 29), 0xFF):
        with boa.reverts("anchor: forced batch may hold prices and continue only"):
            system.post([PRICES, bytes([kind]), CONTINUE], forced=True, sender=system.carol)


def test_forced_batch_cannot_hide_kinds_behind_bad_offsets(system: System) -> None:
    system.install_game()
    good = system.batch([PRICES + b"a", CONTINUE], forced=True)
    table = [int.from_bytes(good["data"][i : i + 4], "big") for i in (4, 8, 12)]
    assert table == [16, 18, 19]
    cases = [
        ([18, 18, 19], "anchor: forced batch has an empty message"),
        ([18, 16, 19], "anchor: forced batch has an empty message"),
        ([16, 18, 20], "anchor: forced batch has a bad offset"),
        ([16, 2**32 - 1, 19], "anchor: forced batch has a bad offset"),
        ([17, 18, 19], "anchor: forced batch may hold prices and continue only"),
    ]
    for offsets, reason in cases:
        data = good["data"][:4] + b"".join(o.to_bytes(4, "big") for o in offsets)
        with boa.reverts(reason):
            system.send(good | {"data": data + good["data"][16:]}, system.carol)
    system.send(good, system.carol)


def test_forced_batch_needs_its_bond(system: System) -> None:
    system.install_game()
    spare_wei = (OPEN_CLAIMS_MAX - 1) * CONFIG["claim_reserve_wei"]
    system.anchor.withdraw_bond(spare_wei + 1, sender=system.carol)
    with boa.reverts("anchor: bond is too small"):
        system.post([], forced=True, sender=system.carol)


# --- deployment -----------------------------------------------------------------------------------

BAD_CONFIGS = [
    ({"operator": ZERO}, "anchor: operator is zero"),
    ({"inbox": ZERO}, "anchor: inbox is zero"),
    ({"bond_wei": 0}, "anchor: bond is zero"),
    ({"forced_bond_wei": 0}, "anchor: bond is zero"),
    ({"bond_wei": 10**18 + 1}, "anchor: bond must be whole gwei"),
    ({"bond_wei": 2**56 * 10**9}, "anchor: bond is too large"),
    ({"forced_bond_wei": 11 * 10**18}, "anchor: forced bond exceeds the bond"),
    ({"challenge_window_s": 0}, "anchor: challenge window is zero"),
    ({"forced_delay_s": 600}, "anchor: forced delay must exceed the inbox delay"),
    ({"claim_reserve_wei": 0}, "anchor: bond is zero"),
    ({"admin_delay_s": 1_800 + 3 * 3_600}, "anchor: admin delay must exceed the exit window"),
    ({"admin_delay_s": 10**9}, "anchor: admin delay is too long"),
    ({"stamp_ahead_ms": 10**12}, "anchor: stamp allowance is too long"),
    ({"stamp_lag_ms": 10**12}, "anchor: stamp lag is too long"),
]


@pytest.mark.parametrize(("changes", "reason"), BAD_CONFIGS)
def test_bad_setting_is_refused_at_deployment(
    system: System, changes: dict[str, Any], reason: str
) -> None:
    config = {"operator": system.operator, "inbox": system.inbox.address} | CONFIG | changes
    config["game"] = ZERO
    with boa.reverts(reason):
        system.sources.anchor.deploy(system.owner, tuple(config.values()))


def test_config_tells_the_settings(system: System) -> None:
    config = system.anchor.config()
    assert {name: getattr(config, name) for name in CONFIG} == CONFIG
    assert (config.operator, config.inbox) == (system.operator, system.inbox.address)
    assert config.game == ZERO
    assert system.anchor.exit_window_s() == 1_800 + 3 * 3_600
