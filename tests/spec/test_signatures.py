"""EIP-712 against another encoder, nonce windows as a table, keys with scopes and expiry."""

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from tests.differential.wire import encode, high_s, make_signers
from tests.spec.venue import BUY, FAR_MS, MARK, Trader, Venue, kinds

from provenue.spec import CRYPTO
from provenue.spec.constants import Code, Kind
from provenue.spec.formats import MESSAGES
from provenue.spec.messages import decode, digest

WINDOW = 192
NONCE_MAX = (1 << 63) - 1
OWNER, SESSION, STRANGER = make_signers("signature test", 3)
ANCHOR = bytes(range(20))
DOMAIN_TYPES = [
    {"name": "name", "type": "string"}, {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"},
]  # fmt: skip
COMMON = {"stamp_ms": 1, "account": 7 << 32 | 3, "key": 2, "nonce": 12, "expires_at_ms": 1 << 60}
FIELDS: dict[Kind, dict[str, Any]] = {
    Kind.PLACE: COMMON | {
        "instrument": 65_535, "side": 1, "order_type": 1, "time_in_force": 1, "flags": 3,
        "self_trade": 2, "price_ticks": (1 << 64) - 1, "size_lots": 5, "client_id": 1 << 63,
        "good_till_s": (1 << 32) - 1,
    },
    Kind.AMEND: COMMON | {"order_id": 9 << 32 | 4, "price_ticks": (1 << 64) - 1, "size_lots": 5},
    Kind.REPLACE: COMMON | {
        "order_id": 9 << 32 | 4, "order_type": 1, "time_in_force": 2, "flags": 3, "self_trade": 4,
        "price_ticks": 6, "size_lots": (1 << 64) - 1, "client_id": 1 << 63, "good_till_s": 8,
    },
    Kind.CANCEL_LABEL: COMMON | {"instrument": 3, "client_id": (1 << 64) - 1},
    Kind.CANCEL: COMMON | {"order_id": 9 << 32 | 4},
    Kind.CANCEL_ALL: COMMON | {"instrument": 3},
    Kind.WITHDRAW: COMMON | {"asset": 1, "amount_units": 1 << 53, "recipient": b"\xee" * 20},
    Kind.SET_KEY: COMMON | {
        "slot": 3, "key_address": b"\x01" + bytes(19), "scope": 15, "key_expires_at_ms": 77,
    },
    Kind.PRICES: {
        "stamp_ms": 1, "signer": 4, "published_at_ms": 1_700_000_000_000, "count": 2,
        "entries": [(0, 1), (65_535, (1 << 64) - 1)],
    },
}  # fmt: skip


def _typed_data(kind: Kind, fields: dict[str, Any]) -> dict[str, Any]:
    """What a wallet would be shown, built from the type string alone."""
    text = MESSAGES[kind].eip712
    assert text is not None
    name, _, members = text.rstrip(")").partition("(")
    pairs = [member.split(" ") for member in members.split(",")]
    if kind == Kind.PRICES:
        entries = [feed << 64 | price for feed, price in fields["entries"]]
        values = [fields["published_at_ms"], entries]
    else:
        values = [value for field, value in fields.items() if field != "stamp_ms"]
    return {
        "types": {
            "EIP712Domain": DOMAIN_TYPES,
            name: [{"type": kind_, "name": member} for kind_, member in pairs],
        },
        "primaryType": name,
        "domain": {
            "name": "Provenue", "version": "1", "chainId": 31_337,
            "verifyingContract": "0x" + ANCHOR.hex(),
        },
        "message": {member: value for (_, member), value in zip(pairs, values, strict=True)},
    }  # fmt: skip


def _domain_separator() -> bytes:
    venue = Venue("spec")
    venue.ok(Kind.GENESIS, chain_id=31_337, anchor=ANCHOR)
    return bytes.fromhex(venue.lines("G")[0][11])


@pytest.mark.parametrize("kind", list(FIELDS))
def test_digest_is_the_wallets(kind: Kind) -> None:
    domain = _domain_separator()
    message = encode(kind, FIELDS[kind], signer=OWNER, domain=domain)
    signable = encode_typed_data(full_message=_typed_data(kind, FIELDS[kind]))
    theirs = keccak(b"\x19" + signable.version + signable.header + signable.body)
    assert signable.header == domain
    assert digest(CRYPTO, domain, MESSAGES[kind], decode(message)) == theirs


def test_every_signed_kind_has_been_compared() -> None:
    assert set(FIELDS) == {kind for kind, form in MESSAGES.items() if form.eip712}


# --- nonces --------------------------------------------------------------------------------------


def _try(trader: Trader, nonce: int) -> Code:
    return trader.act(Kind.CANCEL_ALL, instrument=0xFFFF, nonce=nonce)[0]


@pytest.mark.parametrize(
    ("used", "then"),
    [
        ([0], {0: "NONCE_USED", 1: "OK", WINDOW - 1: "OK"}),
        ([WINDOW - 1], {0: "OK", WINDOW - 1: "NONCE_USED"}),
        ([WINDOW], {0: "NONCE_TOO_OLD", 1: "OK", WINDOW: "NONCE_USED"}),
        ([5, WINDOW + 4], {4: "NONCE_TOO_OLD", 5: "NONCE_USED", 6: "OK"}),
        ([5, WINDOW + 5], {5: "NONCE_TOO_OLD", 6: "OK", WINDOW + 5: "NONCE_USED"}),
        ([63, 64, 127, 128], {62: "OK", 63: "NONCE_USED", 64: "NONCE_USED", 65: "OK"}),
        ([1, 10 * WINDOW], {1: "NONCE_TOO_OLD", 9 * WINDOW + 1: "OK", 10 * WINDOW: "NONCE_USED"}),
        ([NONCE_MAX], {NONCE_MAX: "NONCE_USED", NONCE_MAX - 191: "OK"}),
        ([NONCE_MAX], {NONCE_MAX - 192: "NONCE_TOO_OLD", 0: "NONCE_TOO_OLD"}),
        ([], {NONCE_MAX + 1: "NONCE_TOO_LARGE", (1 << 64) - 1: "NONCE_TOO_LARGE"}),
    ],
)  # fmt: skip
def test_nonce_window(venue: Venue, used: list[int], then: dict[int, str]) -> None:
    trader = venue.trader()
    assert [_try(trader, nonce) for nonce in used] == [Code.OK] * len(used)
    assert {nonce: _try(trader, nonce).name for nonce in then} == then


def test_a_late_reject_burns_the_nonce_an_early_one_does_not(venue: Venue) -> None:
    trader = venue.trader()
    assert trader.place(BUY, 0, 1, nonce=3)[0] == Code.BAD_PRICE
    assert trader.place(BUY, MARK, 1, nonce=3)[0] == Code.NONCE_USED
    assert trader.place(BUY, MARK, 1, nonce=4, signer=STRANGER)[0] == Code.BAD_SIGNATURE
    assert trader.place(BUY, MARK, 1, nonce=4, key=1)[0] == Code.KEY_UNKNOWN
    assert trader.place(BUY, MARK, 1, nonce=4)[0] == Code.OK


def test_a_reject_leaves_all_but_the_nonce_as_it_was(venue: Venue) -> None:
    trader = venue.trader()
    before = venue.engine.dump().splitlines()
    assert trader.place(BUY, MARK, 10**9)[0] == Code.MARGIN_INSUFFICIENT
    after = venue.engine.dump().splitlines()
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert [(a.split()[0], a.split()[:6] == b.split()[:6]) for a, b in changed] == [("K", True)]


# --- signatures and keys -------------------------------------------------------------------------


def test_only_the_canonical_signature_counts(venue: Venue) -> None:
    trader = venue.trader()
    fields = {"stamp_ms": venue.now_ms, "account": trader.id, "key": 0, "nonce": 0,
              "expires_at_ms": FAR_MS * 10, "instrument": 0xFFFF}  # fmt: skip
    good = encode(Kind.CANCEL_ALL, fields, signer=trader.signer, domain=venue.domain)
    body, signature = good[:-65], good[-65:]
    for bad in (
        high_s(signature), signature[:64] + bytes([signature[64] - 27]),
        signature[:64] + bytes([55 - signature[64]]), bytes(65), bytes(64) + b"\x1b",
    ):  # fmt: skip
        assert venue.apply(body + bad, from_inbox=False)[0] == Code.BAD_SIGNATURE
    assert venue.apply(good, from_inbox=False)[0] == Code.OK


def _set_key(trader: Trader, scope: int, expires_at_ms: int = 0, slot: int = 1) -> Code:
    return trader.act(
        Kind.SET_KEY, slot=slot, key_address=SESSION.address, scope=scope,
        key_expires_at_ms=expires_at_ms,
    )[0]  # fmt: skip


def _attempts(trader: Trader) -> dict[str, str]:
    session: dict[str, Any] = {"key": 1, "signer": SESSION}
    owner = trader.signer.address
    return {
        "place": trader.place(BUY, 90, 1, **session)[0].name,
        "cancel": trader.act(Kind.CANCEL_ALL, instrument=0xFFFF, **session)[0].name,
        "withdraw": trader.act(
            Kind.WITHDRAW, asset=0, amount_units=1, recipient=owner, **session
        )[0].name,
        "set_key": trader.act(
            Kind.SET_KEY, slot=1, key_address=owner, scope=15, key_expires_at_ms=0, **session
        )[0].name,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (0, set()), (1, {"place", "cancel"}), (2, {"cancel"}), (4, set()), (8, {"withdraw"}),
        (15, {"place", "cancel", "withdraw"}),
    ],
)  # fmt: skip
def test_a_session_key_may_do_what_its_scope_says(
    venue: Venue, scope: int, allowed: set[str]
) -> None:
    trader = venue.trader()
    assert _set_key(trader, scope) == Code.OK
    attempts = _attempts(trader)
    assert {name for name, code in attempts.items() if code == "OK"} == allowed
    assert set(attempts.values()) <= {"OK", "SCOPE_MISSING"}


def test_a_key_ends_at_its_expiry_and_when_it_is_revoked(venue: Venue) -> None:
    trader = venue.trader()
    end = venue.now_ms + 1_000
    _set_key(trader, 15, end)
    session: dict[str, Any] = {"key": 1, "signer": SESSION}
    venue.now_ms = end - 1
    assert trader.place(BUY, 90, 1, **session)[0] == Code.OK
    venue.now_ms = end
    assert trader.place(BUY, 90, 1, **session)[0] == Code.KEY_EXPIRED
    _set_key(trader, 15)
    assert trader.place(BUY, 90, 1, nonce=7, **session)[0] == Code.OK
    revoked = trader.act(
        Kind.SET_KEY, slot=1, key_address=bytes(20), scope=15, key_expires_at_ms=9
    )[1][0]
    assert (revoked.extra, revoked.value) == (1, 0)
    assert trader.place(BUY, 90, 1, **session)[0] == Code.KEY_UNKNOWN
    _set_key(trader, 15)  # set again: an old action of the slot still cannot run
    assert trader.place(BUY, 90, 1, nonce=7, **session)[0] == Code.NONCE_USED


def test_an_action_ends_at_its_expiry(venue: Venue) -> None:
    trader = venue.trader()
    assert trader.place(BUY, 90, 1, expires_at_ms=venue.now_ms)[0] == Code.EXPIRED
    assert trader.place(BUY, 90, 1, expires_at_ms=venue.now_ms + 1)[0] == Code.OK


def test_an_action_of_a_reclaimed_account_can_never_run(venue: Venue) -> None:
    first = venue.trader(usdc=1)
    for _ in range(10):
        venue.trader(usdc=1)
    leave = {"asset": 0, "amount_units": 10**6, "recipient": first.signer.address}
    assert first.act(Kind.WITHDRAW, **leave)[0] == Code.OK
    heir = venue.trader(usdc=5)
    assert (heir.index, heir.generation) == (first.index, 2)
    assert first.act(Kind.WITHDRAW, **leave)[0] == Code.ACCOUNT_UNKNOWN
    assert heir.quote == 5 * 10**6


def test_a_session_key_is_revoked_through_l1(venue: Venue) -> None:
    trader, session = venue.trader(), venue.trader().signer
    key = {"slot": 1, "key_address": session.address, "scope": 1, "key_expires_at_ms": 7}
    trader.act(Kind.SET_KEY, **(key | {"key_expires_at_ms": 0}))
    assert trader.place(BUY, 90, 1, key=1, signer=session, nonce=0)[0] == Code.OK
    for slot in (0, 4, 255):
        assert trader.force(Kind.FORCED_REVOKE, slot=slot)[0] == Code.BAD_KEY_SLOT
    code, events = trader.force(Kind.FORCED_REVOKE, slot=1)
    assert (code, kinds(events)) == (Code.OK, ["KEY_SET"])
    assert (events[0].account, events[0].extra, events[0].value) == (trader.index, 1, 0)
    assert trader.place(BUY, 90, 1, key=1, signer=session, nonce=1)[0] == Code.KEY_UNKNOWN
    line = next(f for f in venue.lines("K") if f[:2] == [str(trader.index), "1"])
    assert line[2:5] == ["00" * 20, "0", "0"]
    trader.act(Kind.SET_KEY, **key, nonce=5)  # what the slot has used stays used
    assert trader.place(BUY, 90, 1, key=1, signer=session, nonce=0)[0] == Code.NONCE_USED
