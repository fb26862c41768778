"""Chapter 8.2: the canonical dump, the text in which two writings of the rules are compared."""

from collections.abc import Iterator

from provenue.spec.constants import NONCE_WINDOW, Side
from provenue.spec.state import ZERO_ADDRESS, Account, State

__all__ = ["dump"]

_WORD = (1 << 64) - 1
assert NONCE_WINDOW == 3 * 64


def dump(state: State) -> str:
    """Every line ends in a newline; numbers decimal, bytes hexadecimal."""
    parts = (
        _globals, _scan, _prices, _assets, _instruments, _books, _orders, _accounts, _keys, _rows,
    )  # fmt: skip
    return "".join(f"{line}\n" for part in parts for line in part(state))


def _globals(state: State) -> Iterator[str]:
    pending = state.pending_taker.id if state.pending_taker else 0
    yield (
        f"G {int(state.configured)} {state.now_ms} {state.sweep_next} {state.sweep_remaining}"
        f" {pending} {state.accounts_used} {state.reclaim_next} {len(state.orders)}"
        f" {state.levels_live} {state.withdrawal_count} {state.withdrawal_root.hex()}"
        f" {state.domain_separator.hex()}"
    )


def _scan(state: State) -> Iterator[str]:
    if state.scan is not None:
        x = state.scan
        head = f"X {x.account} {x.instrument} {x.next} {x.remaining}"
        yield " ".join([head, *(f"{score}:{account}" for score, account in x.ranks)])


def _prices(state: State) -> Iterator[str]:
    yield f"Q {state.price_quorum} {len(state.signers)}"
    for index, signer in enumerate(state.signers):
        yield f"S {index} {signer.address.hex()} {signer.last_published_at_ms}"
    for index, feed in enumerate(state.feeds):
        if feed.price:
            yield f"F {index} {feed.price} {feed.updated_at_ms}"
    for index, by_feed in enumerate(state.signer_prices):
        for feed_index, entry in sorted(by_feed.items()):
            yield f"P {index} {feed_index} {entry.price} {entry.published_at_ms}"


def _assets(state: State) -> Iterator[str]:
    for index, a in enumerate(state.assets):
        if a.listed or a.applied_units:
            yield (
                f"A {index} {a.token.hex()} {a.weight_ppm} {a.feed} {a.unit_decimals} {a.chain}"
                f" {a.opening_min_units} {a.applied_units} {a.issued_units} {a.fees_units}"
            )


def _instruments(state: State) -> Iterator[str]:
    for index, x in enumerate(state.instruments):
        if x.listed:
            yield (
                f"I {index} {x.kind} {x.base_asset} {x.feed} {x.tick_size} {x.lots_per_base}"
                f" {x.initial_ppm} {x.maintenance_ppm} {x.taker_fee_ppm} {x.maker_fee_ppm}"
                f" {x.liquidation_fee_ppm} {x.market_band_ppm} {x.liquidation_band_ppm}"
                f" {x.funding_cap_ppm} {x.name.hex()} {x.premium_ppm} {x.funding_index}"
                f" {x.funding_time_ms} {x.clearing_units}"
            )


def _books(state: State) -> Iterator[str]:
    for instrument, book in enumerate(state.books):
        for side in (Side.BUY, Side.SELL):
            levels = book[side]
            for price in sorted(levels, reverse=side == Side.BUY):
                queue = " ".join(f"{order.id}:{order.remaining_lots}" for order in levels[price])
                yield f"B {instrument} {side:d} {price} {queue}"


def _orders(state: State) -> Iterator[str]:
    for _, o in sorted(state.orders.items()):
        yield (
            f"O {o.id} {o.account} {o.instrument} {o.side} {o.price_ticks} {o.size_lots}"
            f" {o.remaining_lots} {o.client_id} {o.flags} {o.live} {o.good_till_s}"
        )


def _accounts(state: State) -> Iterator[str]:
    for a in state.accounts:
        ids = [order.id for order in a.orders]
        tail = " ".join(map(str, [len(ids), int(a.leaving), a.next_expiry_s, *a.balances, *ids]))
        yield f"U {a.index} {a.generation} {a.owner.hex()} {a.subaccount} {tail}"


def _keys(state: State) -> Iterator[str]:
    for account in state.accounts:
        yield from _keys_of(account)


def _keys_of(account: Account) -> Iterator[str]:
    for slot, key in enumerate(account.keys):
        if key.address != ZERO_ADDRESS or key.base or key.window:
            w0, w1, w2 = key.window & _WORD, key.window >> 64 & _WORD, key.window >> 128
            yield (
                f"K {account.index} {slot} {key.address.hex()} {key.scope} {key.expires_at_ms}"
                f" {key.base} {w0:016x}{w1:016x}{w2:016x}"
            )


def _rows(state: State) -> Iterator[str]:
    for account in state.accounts:
        for instrument, r in sorted(account.rows.items()):
            yield (
                f"R {account.index} {instrument} {r.size_lots} {r.cash_leg_units}"
                f" {r.funding_index} {r.open_buy_lots} {r.open_sell_lots} {r.open_buy_units}"
                f" {r.open_sell_units} {r.reduce_orders}"
            )
