"""Logging in: by the wallet's signature only, once per signature, with tokens that end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.gateway.venue_world import ApiFailure, login_params, open_gateway
from tests.sequencer.world import ANCHOR, CHAIN_ID, address_of

from provenue.gateway import auth
from provenue.gateway.auth import Authenticator
from provenue.gateway.errors import ApiError


def authenticator() -> Authenticator:
    return Authenticator(chain_id=CHAIN_ID, anchor=ANCHOR)


def refusal(params: dict[str, Any], found: Authenticator | None = None) -> ApiError:
    with pytest.raises(ApiError) as failure:
        (found or authenticator()).login(params)
    return failure.value


def test_the_wallet_s_signature_logs_in() -> None:
    found = authenticator()
    owner, result = found.login(login_params(1))
    assert owner == address_of(1)
    assert {"access_token", "refresh_token", "expires_in", "scope", "token_type"} <= result.keys()
    assert found.owner_of_token(result["access_token"]) == owner
    assert found.owner_of_token(result["refresh_token"]) is None
    assert found.owner_of_token("x") is None


def test_another_key_s_signature_does_not() -> None:
    assert refusal(login_params(1, signer=2)).code == 13004


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "other"},
        {"address": "0x" + address_of(3).hex()},
        {"signature": "00" * 65},
        {"signature": "ff" * 65},
        {"signature": "ff" * 64 + "1b"},
    ],
)
def test_a_changed_login_does_not(change: dict[str, Any]) -> None:
    assert refusal(login_params(1) | change).code == 13004


@pytest.mark.parametrize("minutes", [-2, 2])
def test_a_stale_or_early_timestamp_does_not(minutes: int) -> None:
    at_ms = time.time_ns() // 1_000_000 + minutes * 60_000
    error = refusal(login_params(1, at_ms=at_ms))
    assert error.data is not None
    assert error.data["param"] == "timestamp"


def test_a_login_that_was_overheard_is_worth_nothing() -> None:
    found = authenticator()
    params = login_params(1)
    found.login(params)
    assert "used before" in str(refusal(params, found).data)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"grant_type": "client_credentials"}, "grant_type"),
        ({"grant_type": None}, "grant_type"),
        ({"address": "0x12"}, "address"),
        ({"address": 5}, "address"),
        ({"signature": "zz"}, "signature"),
        ({"timestamp": "soon"}, "timestamp"),
        ({"timestamp": None}, "timestamp"),
        ({"nonce": "x" * 101}, "nonce"),
        ({"nonce": "a\nb"}, "nonce"),
    ],
)
def test_a_wrong_parameter_is_named(change: dict[str, Any], field: str) -> None:
    error = refusal(login_params(1) | change)
    assert error.data is not None
    assert error.data["param"] == field


def test_a_refresh_token_works_once() -> None:
    found = authenticator()
    _, first = found.login(login_params(1))
    params = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    owner, second = found.login(params)
    assert owner == address_of(1)
    assert found.owner_of_token(second["access_token"]) == owner
    assert refusal(params, found).code == 13004


def test_tokens_end(monkeypatch: pytest.MonkeyPatch) -> None:
    found = authenticator()
    _, result = found.login(login_params(1))
    later = time.time() + auth.TOKEN_LIFE_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert found.owner_of_token(result["access_token"]) is None


def test_logging_out_ends_every_token_of_the_owner_only() -> None:
    found = authenticator()
    tokens = [found.login(login_params(i, nonce=str(n)))[1] for n, i in enumerate((1, 1, 2))]
    found.logout(address_of(1))
    alive = [found.owner_of_token(t["access_token"]) for t in tokens]
    assert alive == [None, None, address_of(2)]


def test_tokens_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "TOKENS_MAX", 3)
    found = authenticator()
    tokens = [found.login(login_params(1, nonce=str(n)))[1]["access_token"] for n in range(5)]
    assert [found.owner_of_token(t) is not None for t in tokens] == [False, False, True, True, True]


async def test_private_reads_need_a_login_and_keep_to_their_owner(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        with pytest.raises(ApiFailure) as failure:
            await api.call("private/get_positions")
        assert failure.value.code == 13009
        # A signature among the parameters gets past the login only for actions.
        with pytest.raises(ApiFailure) as failure:
            await api.call("private/get_positions", signature="00")
        assert failure.value.code == 13009
        await api.login(0)
        assert await api.call("private/get_positions") == []
        foreign = str(gateway.signers[1].account_id)
        with pytest.raises(ApiFailure) as failure:
            await api.call("private/get_positions", account=foreign)
        assert failure.value.code == 10029
        await api.call("public/logout")
        with pytest.raises(ApiFailure):
            await api.call("private/get_positions")


async def test_a_token_opens_private_reads_over_http(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        api = await gateway.connect()
        token = (await api.login(0))["access_token"]
        url = gateway.url + "/api/v2/private/get_subaccounts"
        for header, status in ((f"bearer {token}", 200), ("Bearer x", 400), ("Basic x", 400)):
            async with gateway.http.get(url, headers={"Authorization": header}) as response:
                assert response.status == status
                body = msgspec.json.decode(await response.read())
        async with gateway.http.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
            body = msgspec.json.decode(await response.read())
        assert body["result"][0]["address"] == "0x" + address_of(0).hex()
