"""Reading the image: tables as NumPy records, a book, an account, the ledger. Private to us.

Everything here looks at the live bytes; what a function returns is a copy in plain Python values.
"""

from collections.abc import Iterator
from typing import Any, Final, TypedDict

import numpy as np
import numpy.typing as npt

from provenue._generated import constants
from provenue._generated.layout import IMAGE_BYTES, PLACES, TABLES

__all__ = [
    "AccountView",
    "AssetView",
    "BookView",
    "FeedView",
    "ImageReader",
    "InstrumentView",
    "KeyView",
    "LedgerView",
    "LevelView",
    "OrderView",
    "PositionView",
    "locate",
]

_DIGITS: Final = 5  # of the price index: 6 bits each
_SIDES: Final = ((True, "bid_root"), (False, "ask_root"))


class LevelView(TypedDict):
    """One price of one side of a book."""

    price_ticks: int
    size_lots: int
    orders: int


class BookView(TypedDict):
    """The best levels of both sides, best first."""

    instrument: int
    bids: list[LevelView]
    asks: list[LevelView]


class KeyView(TypedDict):
    """One key slot of an account; an empty one has the zero address."""

    slot: int
    address: bytes
    scope: int
    expires_at_ms: int
    nonce_base: int
    nonce_window: int  # bit i is nonce `nonce_base + i`


class AccountView(TypedDict):
    """An account that is open. `account_id` is what signed actions name."""

    index: int
    account_id: int
    owner: bytes
    subaccount: int
    generation: int
    open_orders: int
    leaving: bool  # every position is being closed through L1 (chapter 12)
    next_expiry_s: int  # no good-till-time order ends before it; 0: there is none (4.6)
    balances: list[int]  # asset units, by asset
    keys: list[KeyView]


class PositionView(TypedDict):
    """A position row in use: position, and sums over the account's open orders that are not
    reduce-only; of those, the number.
    """

    account: int
    instrument: int
    size_lots: int
    cash_leg_units: int
    funding_index: int
    open_buy_lots: int
    open_sell_lots: int
    open_buy_units: int
    open_sell_units: int
    reduce_orders: int


class OrderView(TypedDict):
    """A live order. `bits`: see wire.OrderBits. `pending`: a taker whose remainder is to be
    continued.
    """

    order_id: int
    account: int
    instrument: int
    side: int
    price_ticks: int
    size_lots: int
    remaining_lots: int
    client_id: int
    bits: int
    pending: bool
    good_till_s: int  # 0 unless it is good till a time


class AssetView(TypedDict):
    """A listed asset, with the P5 counters of the vault's side."""

    asset: int
    token: bytes
    chain: int
    unit_decimals: int
    weight_ppm: int
    feed: int
    opening_min_units: int
    applied_units: int
    issued_units: int
    fees_units: int
    units_per_base: int


class FeedView(TypedDict):
    """A feed that has been priced; quote units per whole base."""

    feed: int
    price: int
    updated_at_ms: int


class InstrumentView(TypedDict):
    """A listed instrument. `name` is text, without its zeros."""

    instrument: int
    name: str
    kind: int
    base_asset: int
    feed: int
    tick_size: int
    lots_per_base: int
    quote_per_tick_lot: int
    base_units_per_lot: int
    initial_ppm: int
    maintenance_ppm: int
    taker_fee_ppm: int
    maker_fee_ppm: int
    liquidation_fee_ppm: int
    market_band_ppm: int
    liquidation_band_ppm: int
    funding_cap_ppm: int
    funding_index: int
    funding_time_ms: int
    clearing_units: int
    premium_ppm: int


class LedgerView(TypedDict):
    """P5 of one asset, in asset units. `total` must be `applied`."""

    asset: int
    balances: int
    cash_legs: int
    clearing: int
    fees: int
    issued: int
    total: int
    applied: int


def _field_at(dtype: np.dtype[Any], offset: int) -> str:
    for name in dtype.names or ():
        field, start = dtype.fields[name][:2]  # type: ignore[index]
        if start <= offset < start + field.itemsize:
            into = offset - start
            if field.subdtype is not None:
                size = field.subdtype[0].itemsize
                return f"{name}[{into // size}], byte {into % size}"
            return f"{name}, byte {into}"
    return f"byte {offset}"


def locate(preset: str, offset: int) -> str:
    """Name the place of an image byte: `accounts[3].owner, byte 2`."""
    for name, (start, count) in PLACES[preset].items():
        dtype = np.dtype(_specification(name))
        if start <= offset < start + count * dtype.itemsize:
            row, into = divmod(offset - start, dtype.itemsize)
            field = _field_at(dtype, into)
            return f"{name}[{row}].{field}" if dtype.names else f"{name}[{row}], {field}"
    where = "behind the last table" if offset < IMAGE_BYTES[preset] else "behind the image"
    return f"offset {offset:#x}, {where}"


def _specification(name: str) -> Any:
    form = TABLES[name].dtype
    return form if isinstance(form, str) else list(form)


def _exact_sum(values: npt.NDArray[Any]) -> int:
    """The sum of 64-bit integers, exact however large."""
    wide = values.astype(np.int64)
    return (int((wide >> 32).sum()) << 32) + int((wide & 0xFFFF_FFFF).sum())


class ImageReader:
    """The tables of one preset over an image. `tables[name]` is a read-only structured array."""

    def __init__(self, preset: str, image: memoryview) -> None:
        self.preset = preset
        self.tables: dict[str, npt.NDArray[Any]] = {}
        data = np.frombuffer(image, dtype=np.uint8)
        for name, (offset, count) in PLACES[preset].items():
            dtype = np.dtype(_specification(name))
            end = offset + count * dtype.itemsize
            self.tables[name] = data[offset:end].view(dtype)
        self._globals = self.tables["globals"][0]
        self._slots = len(self.tables["positions"]) // len(self.tables["accounts"])
        self._assets = len(self.tables["assets"])

    def get(self, name: str) -> int:
        """A number of the table `globals`."""
        return int(self._globals[name])

    def _row(self, table: str, index: int) -> dict[str, Any]:
        """A record in plain values; one conversion is much cheaper than one for each field."""
        records = self.tables[table]
        return dict(zip(records.dtype.names or (), records[index].item(), strict=True))

    @property
    def withdrawal_root(self) -> bytes:
        """The root of the withdrawal tree; zeros before the first withdrawal."""
        return bytes(self._globals["withdrawal_root"].item())

    @property
    def domain_separator(self) -> bytes:
        """Of every signature; zeros before GENESIS."""
        return bytes(self._globals["domain_separator"].item())

    # --- accounts --------------------------------------------------------------------------------

    def find_account(self, owner: bytes, subaccount: int) -> int | None:
        """The index of the open account of an owner, or None. The house is never found."""
        used = self.tables["accounts"][: self.get("accounts_used")]
        wanted = np.frombuffer(owner, dtype="V20")[0]
        match = (used["owner"] == wanted) & (used["subaccount"] == subaccount) & (used["open"] == 1)
        found = np.flatnonzero(match[1:])
        return int(found[0]) + 1 if len(found) else None

    def account(self, index: int) -> AccountView | None:
        """An account by index, or None if it is not open."""
        accounts = self.tables["accounts"]
        if not 0 <= index < len(accounts) or not accounts[index]["open"]:
            return None
        record = self._row("accounts", index)
        balances = self.tables["balances"][index * self._assets : (index + 1) * self._assets]
        return {
            "index": index,
            "account_id": record["generation"] << 32 | index,
            "owner": bytes(record["owner"]),
            "subaccount": record["subaccount"],
            "generation": record["generation"],
            "open_orders": record["open_orders"],
            "leaving": bool(record["leaving"]),
            "next_expiry_s": record["next_expiry_s"],
            "balances": balances.tolist(),
            "keys": [self._key(index, slot) for slot in range(constants.KEYS_PER_ACCOUNT)],
        }

    def _key(self, account: int, slot: int) -> KeyView:
        row = account * constants.KEYS_PER_ACCOUNT + slot
        key, nonce = self._row("keys", row), self._row("nonces", row)
        return {
            "slot": slot,
            "address": bytes(key["address"]),
            "scope": key["scope"],
            "expires_at_ms": key["expires_at_ms"],
            "nonce_base": nonce["base"],
            "nonce_window": sum(int(word) << 64 * i for i, word in enumerate(nonce["window"])),
        }

    def positions(self, account: int) -> list[PositionView]:
        """The rows in use of an account, by instrument."""
        if account == 0:
            table, start, count = "house_positions", 0, len(self.tables["house_positions"])
        else:
            table, start, count = "positions", account * self._slots, self._slots
        links = self.tables[table]["instrument_plus_1"][start : start + count]
        names = tuple(PositionView.__annotations__)[2:]
        views = []
        for slot in np.flatnonzero(links):
            row = self._row(table, start + int(slot))
            head = {"account": account, "instrument": row["instrument_plus_1"] - 1}
            views.append(head | {name: row[name] for name in names})
        return sorted(views, key=lambda view: view["instrument"])  # type: ignore[arg-type]

    # --- orders ----------------------------------------------------------------------------------

    def _order(self, slot: int) -> OrderView:
        record = self._row("orders", slot)
        return {
            "order_id": record["generation"] << 32 | slot,
            "account": record["account"],
            "instrument": record["instrument"],
            "side": record["side"],
            "price_ticks": record["price_ticks"],
            "size_lots": record["size_lots"],
            "remaining_lots": record["remaining_lots"],
            "client_id": record["client_id"],
            "bits": record["flags"],
            "pending": record["live"] == 2,
            "good_till_s": record["good_till_s"],
        }

    def orders(self, account: int) -> list[OrderView]:
        """The live orders of an account, oldest first."""
        accounts, orders = self.tables["accounts"], self.tables["orders"]
        if not 0 <= account < len(accounts):
            return []
        link = int(accounts[account]["order_head"])
        found: list[OrderView] = []
        while link and len(found) < len(orders):
            found.append(self._order(link - 1))
            link = int(orders[link - 1]["account_next"])
        return found

    def order(self, order_id: int) -> OrderView | None:
        """A live order, or None if the id names none any more."""
        slot, orders = order_id & 0xFFFF_FFFF, self.tables["orders"]
        if slot >= len(orders) or not orders[slot]["live"]:
            return None
        return self._order(slot) if int(orders[slot]["generation"]) == order_id >> 32 else None

    def book(self, instrument: int, depth: int) -> BookView:
        """The best `depth` levels of both sides."""
        record = self.tables["instruments"][instrument]
        sides = []
        for buys, root in _SIDES:
            levels: list[LevelView] = []
            for link in self._level_links(int(record[root]), 0, descending=buys):
                if len(levels) == depth:
                    break
                level = self._row("levels", link - 1)
                levels.append(
                    {
                        "price_ticks": level["price_ticks"],
                        "size_lots": level["total_lots"],
                        "orders": level["order_count"],
                    }
                )
            sides.append(levels)
        return {"instrument": instrument, "bids": sides[0], "asks": sides[1]}

    def _level_links(self, link: int, digit: int, *, descending: bool) -> Iterator[int]:
        """Walk the price index below a link; level links in the order of their prices."""
        if not link:
            return
        if digit == _DIGITS:
            yield link
            return
        node = self.tables["nodes"][link - 1]
        children = node["children"]
        taken = int(node["bitmap"])
        while taken:
            child = (taken if descending else taken & -taken).bit_length() - 1
            taken ^= 1 << child
            yield from self._level_links(int(children[child]), digit + 1, descending=descending)

    # --- listings --------------------------------------------------------------------------------

    def _listed(self, table: str, view: type, label: str) -> list[dict[str, Any]]:
        names = [name for name in view.__annotations__ if name != label]
        views = []
        for index in map(int, np.flatnonzero(self.tables[table]["listed"])):
            row = self._row(table, index)
            views.append({label: index} | {name: row[name] for name in names})
        return views

    def assets(self) -> list[AssetView]:
        """Every listed asset."""
        return self._listed("assets", AssetView, "asset")  # type: ignore[return-value]

    def instruments(self) -> list[InstrumentView]:
        """Every listed instrument."""
        found = self._listed("instruments", InstrumentView, "instrument")
        for view in found:
            view["name"] = bytes(view["name"]).rstrip(b"\0").decode("utf-8", "replace")
        return found  # type: ignore[return-value]

    def feeds(self) -> list[FeedView]:
        """Every feed that has a price."""
        records = self.tables["feeds"]
        return [
            {
                "feed": int(index),
                "price": int(records[index]["price"]),
                "updated_at_ms": int(records[index]["updated_at_ms"]),
            }
            for index in np.flatnonzero(records["price"])
        ]

    # --- conservation ----------------------------------------------------------------------------

    def ledger(self) -> list[LedgerView]:
        """P5 of every asset that is listed or was ever deposited."""
        assets = self.tables["assets"]
        balances = self.tables["balances"].reshape(-1, self._assets)
        rows = (self.tables["positions"], self.tables["house_positions"])
        legs = sum(_exact_sum(table["cash_leg_units"]) for table in rows)
        clearing = _exact_sum(self.tables["instruments"]["clearing_units"])
        views: list[LedgerView] = []
        for asset in np.flatnonzero((assets["listed"] != 0) | (assets["applied_units"] != 0)):
            record = assets[asset]
            parts = {
                "balances": _exact_sum(balances[:, asset]),
                "cash_legs": legs if asset == 0 else 0,
                "clearing": clearing if asset == 0 else 0,
                "fees": int(record["fees_units"]),
                "issued": int(record["issued_units"]),
            }
            views.append(
                {
                    "asset": int(asset),
                    **parts,  # type: ignore[typeddict-item]
                    "total": sum(parts.values()),
                    "applied": int(record["applied_units"]),
                }
            )
        return views

    def position_sums(self) -> dict[int, int]:
        """The sum of all position sizes of each instrument that has any row; P5 wants zeros."""
        sums: dict[int, int] = {}
        for table in (self.tables["positions"], self.tables["house_positions"]):
            for row in table[table["instrument_plus_1"] != 0]:
                instrument = int(row["instrument_plus_1"]) - 1
                sums[instrument] = sums.get(instrument, 0) + int(row["size_lots"])
        return sums
