"""What the engine shows is what the specification's dump says, and P5 holds."""

import pytest
from tests.engine.recorded import play, record

from provenue.engine import Engine, locate


def _lines(dump: str, tag: str) -> list[list[str]]:
    return [line.split()[1:] for line in dump.splitlines() if line.split(" ", 1)[0] == tag]


def _orders_of(engine: Engine, dump: str) -> None:
    for fields in _lines(dump, "O"):
        (order_id, account, instrument, side, price, size, left, client, bits, live, till) = map(
            int, fields
        )
        assert engine.order(order_id) == {
            "order_id": order_id, "account": account, "instrument": instrument, "side": side,
            "price_ticks": price, "size_lots": size, "remaining_lots": left, "client_id": client,
            "bits": bits, "pending": live == 2, "good_till_s": till,
        }  # fmt: skip
        assert engine.order(order_id + (1 << 32)) is None


def _books(engine: Engine, dump: str) -> None:
    found: dict[tuple[int, str], list[tuple[int, int, int]]] = {}
    for instrument, side, price, *queue in _lines(dump, "B"):
        lots = [int(entry.split(":")[1]) for entry in queue]
        key = (int(instrument), "asks" if side == "1" else "bids")
        found.setdefault(key, []).append((int(price), sum(lots), len(lots)))
    for instrument in range(4):
        book = engine.book(instrument, depth=100)
        for side in ("bids", "asks"):
            levels = [tuple(level.values()) for level in book[side]]
            assert levels == found.get((instrument, side), [])
            assert engine.book(instrument, depth=2)[side] == book[side][:2]


def _accounts(engine: Engine, dump: str) -> None:
    keys = {(int(f[0]), int(f[1])): f[2:] for f in _lines(dump, "K")}
    for index, generation, owner, subaccount, count, leaving, expiry, *rest in _lines(dump, "U"):
        view = engine.account(int(index))
        assert view is not None
        assert view["account_id"] == int(generation) << 32 | int(index)
        assert view["owner"].hex() == owner
        assert view["subaccount"] == int(subaccount)
        assert view["open_orders"] == int(count)
        assert view["leaving"] == (leaving == "1")
        assert view["next_expiry_s"] == int(expiry)
        assert view["balances"] == [int(balance) for balance in rest[:3]]
        ids = [order["order_id"] for order in engine.orders(int(index))]
        assert ids == [int(order_id) for order_id in rest[3:]]
        if index != "0":
            assert engine.find_account(bytes.fromhex(owner), int(subaccount)) == int(index)
        for key in view["keys"]:
            address, scope, expiry, base, window = keys.get(
                (int(index), key["slot"]), ["00" * 20, "0", "0", "0", "0" * 48]
            )
            bits = sum(int(window[16 * i : 16 * i + 16], 16) << 64 * i for i in range(3))
            assert key["address"].hex() == address
            assert (key["scope"], key["expires_at_ms"]) == (int(scope), int(expiry))
            assert (key["nonce_base"], key["nonce_window"]) == (int(base), bits)


def _rows(engine: Engine, dump: str) -> None:
    lines = _lines(dump, "R")
    for account in {int(line[0]) for line in lines} | {1, 2}:
        want = [[int(field) for field in line] for line in lines if int(line[0]) == account]
        assert [list(view.values()) for view in engine.positions(account)] == want


def _listings(engine: Engine, dump: str) -> None:
    want = [[int(field) for field in line] for line in _lines(dump, "F")]
    assert [list(view.values()) for view in engine.feeds()] == want
    for view, line in zip(engine.instruments(), _lines(dump, "I"), strict=True):
        assert view["instrument"] == int(line[0])
        assert view["name"] == bytes.fromhex(line[14]).rstrip(b"\0").decode()
        assert [view["tick_size"], view["lots_per_base"]] == [int(line[4]), int(line[5])]
        assert view["premium_ppm"] == int(line[15])
        assert view["clearing_units"] == int(line[18])
    applied = {int(line[0]): int(line[7]) for line in _lines(dump, "A")}
    assert {entry["asset"]: entry["applied"] for entry in engine.ledger()} == applied
    assert {view["asset"] for view in engine.assets()} <= set(applied)


def test_views_are_what_the_dump_of_the_specification_says(seed: int) -> None:
    recorded, engine = record(seed, 1_500), Engine("minimal")
    seen = set()
    for step in recorded.steps:
        play(engine, step.item)
        if step.dump is None:
            continue
        for check in (_orders_of, _books, _accounts, _rows, _listings):
            check(engine, step.dump)
        head = _lines(step.dump, "G")[0]
        assert engine.now_ms == int(head[1])
        assert engine.pending() == (head[3] != "0" or head[4] != "0")
        assert engine.withdrawal_root.hex() == head[10]
        assert engine.domain_separator.hex() == head[11]
        seen |= {line[0] for line in step.dump.splitlines()}
    # Nothing was compared with nothing; a scan (X), if there was one, is in no view.
    assert seen - {"X"} == set("GQSFPAIBOUKR")


def test_margins_are_those_of_the_specification(seed: int) -> None:
    recorded, engine = record(seed, 1_500), Engine("minimal")
    busy = 0
    for step in recorded.steps:
        play(engine, step.item)
        for account, want in (step.margins or {}).items():
            margins = engine.margins(account)
            assert (margins.equity, margins.initial, margins.maintenance) == want
            assert engine.equity(account) == want[0]
            assert engine.initial_margin(account) == want[1]
            assert engine.maintenance_margin(account) == want[2]
            busy += want[2] != 0
    assert busy > 0
    with pytest.raises(ValueError, match="account"):
        engine.margins(12)


def test_p5_holds_after_every_message(seed: int) -> None:
    recorded, engine = record(seed, 1_500), Engine("minimal")
    for index, step in enumerate(recorded.steps):
        play(engine, step.item)
        for entry in engine.ledger():
            assert entry["total"] == entry["applied"], f"message {index}: {entry}"
        assert not any(engine.position_sums().values()), f"message {index}"


def test_p5_sees_a_unit_out_of_thin_air(seed: int) -> None:
    recorded, engine = record(seed, 1_500), Engine("minimal")
    for step in recorded.steps:
        play(engine, step.item)
    start = 0x9000 + 8 * 3  # balances[1][0] of preset minimal
    balance = int.from_bytes(bytes(engine.image[start : start + 8]), "little", signed=True)
    engine._native.poke(start, (balance + 1).to_bytes(8, "little", signed=True))
    entry = engine.ledger()[0]
    assert entry["total"] == entry["applied"] + 1


def test_strangers_and_closed_accounts_are_not_found() -> None:
    engine = Engine("minimal")
    assert engine.find_account(b"\x01" * 20, 0) is None
    assert engine.find_account(bytes(20), 0) is None
    assert engine.account(0) is None
    assert engine.account(99) is None
    assert engine.order(0) is None
    assert engine.order((1 << 64) - 1) is None
    with pytest.raises(ValueError, match="owner: expected 20 bytes"):
        engine.find_account(b"\x01", 0)
    with pytest.raises(ValueError, match="instrument"):
        engine.book(4)


@pytest.mark.parametrize(
    ("preset", "offset", "place"),
    [
        ("minimal", 0, "globals[0].withdrawal_root, byte 0"),
        ("minimal", 64 + 9, "globals[0].withdrawal_count, byte 1"),
        ("minimal", 0x7000 + 3 * 64 + 21, "accounts[3].generation, byte 1"),
        ("minimal", 0x9000 + 8 * 5 + 2, "balances[5], byte 2"),
        ("minimal", 0x10000 + 288 + 32 + 4 * 7 + 1, "nodes[1].children[7], byte 1"),
        ("minimal", 0x7FFF, "offset 0x7fff, behind the last table"),
        ("minimal", 1 << 33, "offset 0x200000000, behind the image"),
    ],
)
def test_a_byte_of_the_image_has_a_name(preset: str, offset: int, place: str) -> None:
    assert locate(preset, offset) == place
