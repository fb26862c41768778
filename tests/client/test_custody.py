"""Money in and out with the SDK, on a whole local venue: chain, contracts, operator, signers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from provenue.client import Client, ClientError, DeploymentError, NotFinalError, OnChainError
from provenue.settlement.deploy import Deployment
from provenue.sim.stack import LocalVenue

pytestmark = [pytest.mark.chain, pytest.mark.e2e, pytest.mark.slow]

PERPETUAL = "BTC-PERPETUAL"


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[LocalVenue]:
    with LocalVenue(data=tmp_path, accounts=3, batch_age_ms=500) as running:
        yield running


def client_of(venue: LocalVenue, number: int) -> Client:
    _, key = venue.accounts[number]
    return Client(
        venue.api_url,
        private_key=key,
        rpc_url=venue.rpc_url,
        deployment_file=venue.deployment_file,
    )


def wait_for_mark(client: Client) -> Decimal:
    for _ in range(200):
        mark = client.ticker(PERPETUAL).mark
        if mark:
            return mark
        time.sleep(0.1)
    raise AssertionError("no price came")


def test_deposit_trade_withdraw_prove_claim(venue: LocalVenue) -> None:
    with client_of(venue, 0) as buyer, client_of(venue, 1) as seller:
        for client in (buyer, seller):
            account_id = client.deposit("USDC", 10_000)
            assert client.account_id() == account_id
            assert client.account().balance("USDC") == 10_000
        mark = wait_for_mark(buyer)
        price = mark.quantize(Decimal("0.01"))
        assert seller.sell(PERPETUAL, "0.1", price).is_open
        assert buyer.buy(PERPETUAL, "0.1").filled == Decimal("0.1")
        buyer.deposit("USDC", "0.5")

        outside = buyer.wallet_balance("USDC")
        number = buyer.withdraw("USDC", "1234.567891")
        with pytest.raises(NotFinalError):
            buyer.prove(number)
        proof = buyer.prove(number, timeout_s=60)
        assert proof.amount_units == 1_234_567_891
        assert not buyer.is_paid(number)
        assert buyer.claim(proof) == Decimal("1234.567891")
        assert buyer.is_paid(number)
        assert buyer.wallet_balance("USDC") - outside == Decimal("1234.567891")
        with pytest.raises(OnChainError, match="already paid"):
            buyer.claim(number)

        # Without the operator's consent: orders go, then money.
        seller.cancel_all()
        assert seller.sell(PERPETUAL, "0.1", price * 2 // 1).is_open
        seller.forced_cancel()
        seller.forced_withdraw("USDC", 7)
        for _ in range(200):
            if not seller.open_orders() and seller.call("private/get_withdrawals")["count"]:
                break
            time.sleep(0.1)
        assert seller.open_orders() == []
        (row,) = seller.call("private/get_withdrawals")["data"]
        assert row["forced"] is True
        assert seller.claim(row["id"]) == 7


def test_what_the_chain_refuses_is_the_sdks_own_error_with_its_reason(venue: LocalVenue) -> None:
    with client_of(venue, 1) as client:
        with pytest.raises(OnChainError, match="balance is too small"):
            client.deposit("USDC", 99_000_000)
        with pytest.raises(ClientError, match="id: expected"):
            client.claim("the first")  # type: ignore[arg-type]
    with (
        Client(
            venue.api_url, private_key=venue.accounts[1][1], rpc_url="http://127.0.0.1:9"
        ) as lost,
        pytest.raises(OnChainError, match="is the node running"),
    ):
        lost.deposit("USDC", 1)


def test_a_deposit_that_opens_no_account_is_told(venue: LocalVenue) -> None:
    with client_of(venue, 2) as client, pytest.raises(ClientError, match="issued back to you"):
        client.deposit("USDC", "0.5")


def test_other_contracts_than_the_pinned_ones_get_no_money(
    venue: LocalVenue, tmp_path: Path
) -> None:
    good = venue.deployment
    other = tmp_path / "other.json"
    contracts = good.contracts | {"Vault": good.contracts["Inbox"]}
    Deployment(good.chain_id, good.block, contracts, good.assets).save(other)
    with pytest.raises(DeploymentError, match="do not deposit"):
        Client(venue.api_url, private_key=venue.accounts[0][1], deployment_file=other)
