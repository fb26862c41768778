"""Money in, a batch, money out, and everything read back from L1: the same on both chains."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from tests.contracts import naive
from tests.settlement.venue import DELAYS, Venue

from provenue import wire
from provenue.settlement.anchor import AnchorClient, FinalityTimeoutError
from provenue.settlement.chain_types import to_hex
from provenue.settlement.inbox import InboxClient
from provenue.settlement.local_chain import start_chain
from provenue.settlement.rpc import ChainError, Rpc
from provenue.settlement.tx import RevertedError
from provenue.watcher.trees import MessageTree

pytestmark = pytest.mark.chain


@pytest.fixture(scope="module")
def _venue(chain_kind: Literal["anvil", "eth-tester"]) -> Iterator[Venue]:
    with start_chain(chain_kind, account_count=8) as chain:
        yield Venue.deploy(chain)


@pytest.fixture
def venue(_venue: Venue) -> Iterator[Venue]:
    """The deployment as new for each test: the chain is set back afterwards."""
    snapshot = _venue.chain.snapshot()
    yield _venue
    _venue.chain.revert(snapshot)
    _venue.withdrawals.clear()
    _venue.images.clear()


def test_deposit_batch_finality_withdrawal(venue: Venue) -> None:
    alice, bob = venue.sender(1), venue.sender(2)
    assert venue.deposit(1, 5_000_000) == venue.inbox.count() - 1
    assert venue.vault.accounted_units(0) == 5_000_000
    number = venue.issue(bob.address, 2_000_000)
    batch = venue.post()
    proof = venue.proof(number, batch)
    with pytest.raises(RevertedError, match="anchor: batch is not final"):
        venue.vault.withdraw(alice, proof)
    with pytest.raises(FinalityTimeoutError, match="batch 0: not final"):
        venue.anchor().wait_final(batch, timeout_s=0.0)
    assert venue.anchor(3).finalize() == 0
    assert venue.finalize() == 1
    venue.anchor().wait_final(batch, timeout_s=0.0)
    assert not venue.vault.is_paid(number)
    assert venue.vault.withdraw(alice, proof) == 2_000_000
    assert venue.vault.is_paid(number)
    token = venue.vault.token(0)
    assert token.call("balanceOf", bob.address) == 2_000_000
    assert venue.vault.accounted_units(0) == 3_000_000
    assert token.call("balanceOf", venue.deployment.contracts["Vault"]) == 3_000_000
    with pytest.raises(RevertedError, match="vault: already paid"):
        venue.vault.withdraw(alice, proof)
    (deposited,), (withdrawn,) = venue.vault.deposited(), venue.vault.withdrawn()
    assert (deposited["owner"], deposited["amount_units"]) == (alice.address, 5_000_000)
    assert (withdrawn["owner"], withdrawn["id"]) == (bob.address, number)


def test_later_final_root_pays_the_buyer_of_a_claim(venue: Venue) -> None:
    venue.deposit(1, 5_000_000)
    bob, carol = venue.sender(2), venue.sender(3)
    number = venue.issue(bob.address, 1_000_000)
    venue.post()
    claim = venue.proof(number, 0).claim
    assert venue.vault.claim_owner(claim) == bob.address
    with pytest.raises(RevertedError, match="vault: caller does not own the claim"):
        venue.vault.transfer_claim(carol, claim, carol.address)
    venue.vault.transfer_claim(bob, claim, carol.address)
    assert venue.vault.claim_owner(claim) == carol.address
    venue.issue(bob.address, 7)
    venue.post()
    assert venue.finalize() == 2
    venue.vault.withdraw(bob, venue.proof(number, 1))
    assert venue.vault.token(0).call("balanceOf", carol.address) == 1_000_000


def test_batches_are_read_back_from_l1_alone(venue: Venue) -> None:
    """Slice and posted bytes, of a small batch and of one as large as they get."""
    venue.deposit(1, 1_000_000)
    venue.deposit(2, 2_000_000)
    large = [bytes([i % 251]) * 1_000 for i in range(119)]
    contents = [[b"\x12", b"abc", b""], large, [b"\x11" + bytes(8)]]
    for messages in contents:
        venue.post(messages)
    anchor = venue.anchor()
    batches = anchor.batches()
    assert [batch.number for batch in batches] == [0, 1, 2]
    items = [item.message for item in venue.inbox.items(0)]
    assert len(items) == 8
    assert batches[0].messages(items) == items + contents[0]
    assert batches[1].messages([]) == large
    assert batches[2].messages([]) == contents[2]
    assert anchor.batches(1, 2) == [batches[1]]
    assert anchor.batches(1, 1) == []
    first = batches[0].header
    assert (first.inbox_first, first.inbox_count, first.sequence_first) == (0, 8, 0)
    assert first.inbox_accumulator == wire.inbox_accumulator(bytes(32), items)
    assert batches[0].slot_roots == tuple(naive.slot_root(item) for item in items)
    assert batches[1].header.sequence_first == 11
    assert batches[2].header.sequence_first == anchor.next_sequence() - 1
    words = [first.encode()[i : i + 32] for i in range(0, 320, 32)]
    assert batches[0].input_root == naive.input_root(batches[0].data, words, items)
    assert {batch.poster for batch in batches} == {venue.operator.address}
    with pytest.raises(ChainError, match="batch 0: header, posted bytes and 7 inbox items"):
        batches[0].messages(items[:7])
    with pytest.raises(ChainError, match="batches: expected 0 to 3"):
        anchor.batches(0, 4)


class LyingRpc(Rpc):
    """A node that changes one byte of what it is asked for."""

    def __init__(self, url: str, method: str, position: int) -> None:
        super().__init__(url)
        self._lie = (method, position)

    def call(self, method: str, *params: Any) -> Any:
        answer = super().call(method, *params)
        if method != self._lie[0]:
            return answer
        entry, field = (answer, "input") if "input" in answer else (answer[-1], "data")
        raw = bytearray.fromhex(entry[field][2:])
        raw[self._lie[1]] ^= 1
        entry[field] = to_hex(bytes(raw))
        return answer


def test_node_that_lies_about_a_batch_is_found_out(venue: Venue) -> None:
    messages = [b"trade" * 20]
    venue.post(messages)
    (batch,) = venue.anchor().batches()
    calldata = bytes.fromhex(
        venue.chain.rpc.call("eth_getTransactionByHash", batch.tx_hash)["input"][2:]
    )
    position = calldata.index(messages[0]) + 3
    liar = LyingRpc(venue.chain.url, "eth_getTransactionByHash", position)
    with pytest.raises(ChainError, match="batch 0: the node's calldata is not what"):
        AnchorClient(venue.deployment, liar).batches()
    liar = LyingRpc(venue.chain.url, "eth_getTransactionByHash", 0)
    with pytest.raises(ChainError, match="post: expected a call of it"):
        AnchorClient(venue.deployment, liar).batches()


def test_node_that_lies_about_an_inbox_item_is_found_out(venue: Venue) -> None:
    venue.deposit(1, 1_000_000)
    assert venue.inbox.items(0)
    # Behind offset and length stand accumulator, slot root, time; then the message.
    liar = LyingRpc(venue.chain.url, "eth_getLogs", 5 * 32 + 7)
    with pytest.raises(ChainError, match="the node's event is not the item"):
        InboxClient(venue.deployment, liar).items(0)


def test_inbox_is_read_at_a_block(venue: Venue) -> None:
    before = venue.chain.rpc.block_number()
    count = venue.inbox.count()
    venue.deposit(1, 1_000_000)
    venue.inbox.forced_cancel(venue.sender(1), subaccount=3)
    venue.inbox.forced_withdraw(
        venue.sender(1), subaccount=0, asset=0, amount_units=5,
        recipient=venue.sender(2).address,
    )  # fmt: skip
    assert venue.inbox.items(count, to_block=before) == []
    owner = bytes.fromhex(venue.sender(1).address[2:])
    recipient = bytes.fromhex(venue.sender(2).address[2:])
    items = venue.inbox.items(count)
    assert [wire.decode(item.message) for item in items] == [
        wire.Deposit(asset=0, amount_units=1_000_000, owner=owner, subaccount=0),
        wire.ForcedCancel(owner=owner, subaccount=3),
        wire.ForcedWithdraw(
            owner=owner, subaccount=0, asset=0, amount_units=5, recipient=recipient
        ),
    ]
    assert [item.index for item in items] == [count, count + 1, count + 2]
    consumed = venue.anchor().inbox_consumed()
    assert (consumed, venue.inbox.pending(consumed)) == (0, count + 3)
    venue.post()
    assert venue.inbox.pending(venue.anchor().inbox_consumed()) == 0


def test_anyone_anchors_when_the_operator_is_dead(venue: Venue) -> None:
    venue.deposit(1, 1_000_000)
    anyone = venue.anchor(2)
    bond_wei = DELAYS.forced_bond_wei + DELAYS.claim_reserve_wei
    anyone.deposit_bond(bond_wei)
    with pytest.raises(RevertedError, match="anchor: no inbox item is overdue"):
        venue.post([b"\x12"], forced=True, number=2)
    venue.chain.increase_time(DELAYS.forced_delay_s)
    assert anyone.forced_mode()
    with pytest.raises(RevertedError, match="may hold prices and continue only"):
        venue.post([b"\x01"], forced=True, number=2)
    number = venue.issue(venue.sender(1).address, 1_000_000)
    venue.post([b"\x12"], forced=True, number=2)
    assert not anyone.forced_mode()
    (batch,) = anyone.batches()
    assert (batch.header.forced, batch.poster) == (1, venue.sender(2).address)
    venue.finalize()
    venue.vault.withdraw(venue.sender(1), venue.proof(number, 0))
    anyone.withdraw_bond(bond_wei)
    assert anyone.bond_wei(venue.sender(2).address) == 0


def _disputed(venue: Venue) -> tuple[AnchorClient, wire.ClaimTree, bytes]:
    """Two batches of the operator, a rival claim about the first, and their match."""
    venue.post()
    venue.post([b"\x12", b"\x12"])
    other, right = venue.anchor(2), venue.claim(0, 3, salt=1)
    with pytest.raises(RevertedError, match="anchor: start root differs"):
        other.join(0, bytes(32), right)
    other.join(0, other.start_root(0), right)
    venue.game.transact(venue.sender(3), "open", 0, 0, 1)
    (opened,) = venue.game.events("Opened", 0, venue.chain.rpc.block_number())
    return other, right, bytes(opened.args["match_id"])


def test_the_claim_of_a_match_that_reveals_takes_the_place_of_the_one_that_does_not(
    venue: Venue,
) -> None:
    other, right, match = _disputed(venue)
    children = MessageTree(other.start_root(0), right.leaves).children(12, 0)
    venue.game.transact(venue.sender(3), "reveal", children)
    with pytest.raises(RevertedError, match="game: nobody is out of time"):
        venue.game.transact(venue.sender(3), "timeout", match)
    venue.chain.increase_time(DELAYS.challenge_window_s + 1)
    venue.game.transact(venue.sender(3), "timeout", match)
    first, second = other.claims(0)
    assert (first.status, second.status) == ("void", "live")
    assert (second.end_root, second.claimant) == (right.final_root, venue.sender(2).address)
    assert [claim.status for claim in other.claims(1)] == ["void"]
    assert venue.finalize() == 1
    assert other.final_root(0) == right.final_root
    other.release(0, 1)
    paid_wei = DELAYS.bond_wei + DELAYS.claim_reserve_wei
    won_wei = int(other.contract.call("credit_of", venue.sender(2).address))
    assert won_wei == DELAYS.bond_wei + paid_wei // 2
    assert other.bond_wei(venue.operator.address) == DELAYS.operator_bond_wei - paid_wei


def test_when_both_claims_of_a_match_are_silent_anyone_claims_again(venue: Venue) -> None:
    other, right, match = _disputed(venue)
    venue.chain.increase_time(DELAYS.challenge_window_s + 1)
    venue.game.transact(venue.sender(3), "timeout", match)
    assert [claim.status for claim in other.claims(0)] == ["void", "void"]
    other.deposit_bond(DELAYS.bond_wei + DELAYS.claim_reserve_wei)
    other.claim_again(0, other.start_root(0), right)
    assert [claim.status for claim in other.claims(0)] == ["void", "void", "live"]
    assert other.claims(0)[2].round > other.claims(0)[1].round
    assert venue.finalize() == 1
    assert other.final_root(0) == right.final_root


def test_two_workers_finalizing_at_once_are_no_error(venue: Venue) -> None:
    venue.post()
    venue.chain.increase_time(DELAYS.challenge_window_s)
    assert venue.anchor(1).finalize() == 1
    assert venue.anchor(2).finalize() == 1


def test_reading_needs_no_sender_and_writing_says_so(venue: Venue) -> None:
    reader = AnchorClient(venue.deployment, venue.chain.rpc)
    assert reader.batch_count() == 0
    with pytest.raises(ValueError, match="made without a sender"):
        reader.finalize()
