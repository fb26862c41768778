"""Several calls in one transaction: all of them or none, and the reason of the one that failed."""

from pathlib import Path
from typing import Any

import boa
import pytest

TARGET = """
# pragma version 0.4.3
seen: public(DynArray[uint256, 8])
sender: public(address)

@external
def take(number: uint256):
    assert number != 13, "target: thirteen"
    self.seen.append(number)
    self.sender = msg.sender

@external
@view
def all() -> DynArray[uint256, 8]:
    return self.seen
"""


@pytest.fixture
def bundle() -> Any:
    return boa.load(str(Path(__file__).resolve().parents[2] / "contracts" / "Bundle.vy"))


@pytest.fixture
def target() -> Any:
    return boa.loads(TARGET)


def test_calls_are_made_in_order_by_the_bundle(bundle: Any, target: Any) -> None:
    bundle.run(target.address, [target.take.prepare_calldata(n) for n in (3, 1, 2)])
    assert target.all() == [3, 1, 2]
    assert target.sender() == bundle.address


def test_one_that_fails_undoes_all_and_says_why(bundle: Any, target: Any) -> None:
    calls = [target.take.prepare_calldata(n) for n in (3, 13, 2)]
    with boa.reverts("target: thirteen"):
        bundle.run(target.address, calls)
    assert target.all() == []


def test_an_address_without_code_is_no_target(bundle: Any) -> None:
    with boa.reverts("bundle: target has no code"):
        bundle.run(boa.env.generate_address(), [b"\x01\x02\x03\x04"])
