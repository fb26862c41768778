"""Contracts on both chains: deployment, calls, revert reasons, events, tags, large calldata."""

import random
import time
from collections.abc import Callable

import pytest

from provenue.settlement import rpc as rpc_module
from provenue.settlement.artifacts import Artifact
from provenue.settlement.chain_types import keccak256
from provenue.settlement.contract import Contract, deploy
from provenue.settlement.local_chain import LocalChain
from provenue.settlement.rpc import ChainError, RpcError
from provenue.settlement.tx import Account, RevertedError, Sender

pytestmark = pytest.mark.chain


def test_deployed_contract_has_its_constructor_arguments(probe: Contract) -> None:
    assert (probe.call("name"), probe.call("number")) == ("probe", 7)
    assert len(probe.rpc.code(probe.address)) > 100


def test_constructor_may_take_value(sender: Sender, probe_artifact: Artifact) -> None:
    contract = deploy(sender, probe_artifact, "rich", 1, value=5)
    assert sender.rpc.balance(contract.address) == 5


def test_structs_arrays_and_several_results_travel_both_ways(
    probe: Contract, chain: LocalChain
) -> None:
    first, second = chain.accounts[0][0], chain.accounts[1][0]
    mark = bytes(range(32))
    pairs = [{"who": first, "amount": 2**200}, (second.lower(), 3)]
    total, found, same = probe.call("swap", pairs, mark)
    assert total == {"who": probe.address, "amount": 2**200 + 3}
    assert found == [first, second]
    assert same == mark
    assert probe.call("checked", 9, -4) == (10, 4, True)


def test_default_arguments_are_chosen_by_their_number(probe: Contract, sender: Sender) -> None:
    plain = probe.events_in(probe.transact(sender, "store", 1, 2), "Stored")
    noted = probe.events_in(probe.transact(sender, "store", 1, 2, "hello"), "Stored")
    assert [e.args["note"] for e in (*plain, *noted)] == ["none", "hello"]


@pytest.mark.parametrize("gas", [None, 200_000], ids=["estimate", "mined"])
def test_revert_carries_the_reason(probe: Contract, sender: Sender, gas: int | None) -> None:
    with pytest.raises(RevertedError) as caught:
        probe.transact(sender, "store", 1, 13, gas=gas)
    assert caught.value.reason == "probe: unlucky amount"
    assert (caught.value.receipt is None) == (gas is None)
    assert probe.transact(sender, "store", 1, 1).succeeded, "the sender must go on after a revert"


def test_revert_without_reason_is_an_empty_reason(probe: Contract, sender: Sender) -> None:
    with pytest.raises(RevertedError) as caught:
        probe.call("store", 1, 14, from_=sender.address)
    assert caught.value.reason == ""


def test_revert_data_comes_as_the_contract_gave_it(probe: Contract) -> None:
    with pytest.raises(RpcError) as caught:
        probe.rpc.eth_call(probe.address, probe.encode("store", 1, 13))
    text = b"probe: unlucky amount"
    expected = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big")
    expected += len(text).to_bytes(32, "big") + text.ljust(32, b"\0")
    assert (caught.value.code, caught.value.revert_data) == (3, expected)


def test_reverting_constructor_is_reported(sender: Sender, chain: LocalChain) -> None:
    raises = Artifact("Raises", [], bytes.fromhex("5f5ffd"))
    with pytest.raises(RevertedError):
        deploy(sender, raises)


def test_running_out_of_gas_is_said(probe: Contract, sender: Sender) -> None:
    with pytest.raises(RevertedError, match="out of gas"):
        probe.transact(sender, "spin", gas=100_000)
    assert probe.call("number") == 7


def test_value_is_sent_and_missing_value_is_refused(probe: Contract, sender: Sender) -> None:
    assert probe.transact(sender, "pay", value=3).succeeded
    assert sender.rpc.balance(probe.address) == 3
    with pytest.raises(RevertedError, match="send something"):
        probe.transact(sender, "pay")


def test_more_money_than_there_is_is_refused(
    sender: Sender, chain: LocalChain, probe: Contract
) -> None:
    with pytest.raises(ChainError, match=r"(?i)insufficient|funds"):
        sender.send(probe.address, value=10**30, gas=50_000)


def test_events_are_found_by_name_argument_and_range(
    probe: Contract, new_sender: Callable[[], Sender]
) -> None:
    alice, bob = new_sender(), new_sender()
    blocks = [
        probe.transact(who, "store", key, 100 + key).block_number
        for who, key in ((alice, 1), (bob, 2), (alice, 3))
    ]
    stored = probe.events("Stored")
    assert [(e.args["who"], e.args["key"], e.args["amount"]) for e in stored] == [
        (alice.address, 1, 101), (bob.address, 2, 102), (alice.address, 3, 103),
    ]  # fmt: skip
    assert [e.log.block_number for e in stored] == blocks
    assert [e.args["amount"] for e in probe.events("Other")] == [102, 103, 104]
    assert [e.args["key"] for e in probe.events("Stored", who=alice.address)] == [1, 3]
    assert [e.args["key"] for e in probe.events("Stored", key=[2, 3])] == [2, 3]
    assert [e.args["key"] for e in probe.events("Stored", blocks[1], blocks[1])] == [2]
    assert probe.events("Stored", blocks[2] + 1) == []
    assert probe.events("Stored", who=probe.address) == []


def test_log_reading_in_pieces_loses_and_repeats_nothing(
    probe: Contract, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in range(7):
        probe.transact(sender, "store", key, key)
    whole = probe.events("Stored")
    real_call, asked = probe.rpc.call, []

    def narrow_node(method: str, *params: object) -> object:
        """A node that answers at most three blocks, as hosted ones do (with a larger number)."""
        if method == "eth_getLogs":
            query = params[0]
            assert isinstance(query, dict)
            span = int(query["toBlock"], 16) - int(query["fromBlock"], 16) + 1
            asked.append(span)
            if span > 3:
                raise RpcError(-32005, "block range is too large")
        return real_call(method, *params)

    monkeypatch.setattr(probe.rpc, "call", narrow_node)
    monkeypatch.setattr(rpc_module, "_MAX_LOG_CHUNK_BLOCKS", 16)
    first = whole[0].log.block_number - 2
    assert probe.events("Stored", first) == whole
    assert len([span for span in asked if span <= 3]) > 2


def test_wrong_names_arguments_and_values_are_named(probe: Contract, sender: Sender) -> None:
    with pytest.raises(ValueError, match=r"'stroe'.*not in the ABI.*store"):
        probe.call("stroe")
    with pytest.raises(ValueError, match="'store': got 1 argument"):
        probe.transact(sender, "store", 1)
    with pytest.raises(ValueError, match="store: amount: expected uint256"):
        probe.transact(sender, "store", 1, -1)
    with pytest.raises(ValueError, match="members"):
        probe.call("swap", [{"who": sender.address}], bytes(32))
    with pytest.raises(ValueError, match=r"'Stor'.*not in the ABI"):
        probe.events("Stor")
    with pytest.raises(ValueError, match="not an indexed argument: amount"):
        probe.events("Stored", amount=1)
    with pytest.raises(ChainError, match="is it deployed"):
        Contract(sender.address, probe.abi, probe.rpc).call("number")


def test_state_is_readable_at_older_blocks(probe: Contract, sender: Sender) -> None:
    blocks = [probe.transact(sender, "increment").block_number for _ in range(4)]
    assert [probe.call("number", block=b) for b in blocks] == [8, 9, 10, 11]
    assert probe.call("number", block="latest") == 11
    assert probe.call("number", block="pending") == 11
    assert probe.rpc.storage(probe.address, 2, block=blocks[0]) == 8, "the slot of `number`"


def test_tags_name_blocks_in_order(own_chain: LocalChain) -> None:
    rpc = own_chain.rpc
    assert rpc.head("finalized").number == 0
    own_chain.mine(5)
    names = ("earliest", "finalized", "safe", "latest")
    assert [rpc.head(name).number for name in names] == [0, 3, 4, 5]
    pending = rpc.block("pending")
    assert pending is not None
    assert pending.number == 6
    assert rpc.block(6) is None
    assert rpc.head(4).parent_hash == rpc.head(3).hash


def test_calls_and_logs_follow_tags(own_chain: LocalChain, probe_artifact: Artifact) -> None:
    sender = Sender(own_chain.rpc, Account(own_chain.accounts[0][1]))
    probe = deploy(sender, probe_artifact, "tags", 0)
    probe.transact(sender, "store", 1, 1)
    seen = []
    for _ in range(3):
        seen.append([len(probe.events("Stored", 0, t)) for t in ("latest", "safe", "finalized")])
        own_chain.mine()
    assert seen == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert probe.call("amounts", sender.address, block="finalized") == 1


def test_large_calldata_costs_the_floor_and_arrives_whole(
    probe: Contract, sender: Sender, rng: random.Random, chain: LocalChain
) -> None:
    """120,000 random bytes: the gas is EIP-7623's floor, computed here by its own formula."""
    calldata = probe.encode("take", rng.randbytes(119_932))
    assert len(calldata) == 120_004
    started = time.perf_counter()
    receipt = sender.send(probe.address, calldata)
    estimated_ms = (time.perf_counter() - started) * 1_000
    started = time.perf_counter()
    sender.send(probe.address, calldata, gas=6_000_000)
    given_ms = (time.perf_counter() - started) * 1_000
    print(f"{chain.version}: {len(calldata)} bytes: {estimated_ms:.0f} ms, "
          f"{given_ms:.0f} ms without estimate, {receipt.gas_used} gas")  # fmt: skip
    floor = 21_000 + sum(10 if byte == 0 else 40 for byte in calldata)
    assert receipt.gas_used == floor
    assert probe.call("digest") == keccak256(calldata[68 : 68 + 119_932])


def test_gas_below_the_calldata_floor_is_refused(probe: Contract, sender: Sender) -> None:
    calldata = probe.encode("take", b"\x01" * 20_000)
    with pytest.raises(ChainError, match="below the calldata floor"):
        sender.send(probe.address, calldata, gas=500_000)
    assert sender.send(probe.address, calldata).gas_used > 800_000


def test_gas_above_the_block_limit_is_refused(probe: Contract, sender: Sender) -> None:
    with pytest.raises(ChainError, match=r"(?i)exceeds|gas limit|gas too high"):
        sender.send(probe.address, b"", gas=61_000_000)
