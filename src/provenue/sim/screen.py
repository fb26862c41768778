"""The live view of a run: book, trades, accounts, batches, in one terminal screen."""

from __future__ import annotations

from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

__all__ = ["render"]


def _book(book: dict[str, Any]) -> RenderableType:
    table = Table(box=None, pad_edge=False, expand=True)
    for name, justify in (("bid size", "right"), ("bid", "right"), ("ask", "left")):
        table.add_column(name, justify="left" if justify == "left" else "right")
    table.add_column("ask size", justify="left")
    bids, asks = book.get("bids", []), book.get("asks", [])
    for at in range(8):
        bid = bids[at] if at < len(bids) else None
        ask = asks[at] if at < len(asks) else None
        table.add_row(
            f"{bid[1]:.4f}" if bid else "",
            Text(f"{bid[0]:.2f}" if bid else "", style="green"),
            Text(f"{ask[0]:.2f}" if ask else "", style="red"),
            f"{ask[1]:.4f}" if ask else "",
        )
    index = book.get("index_price") or 0
    return Panel(table, title=f"{book.get('instrument_name', '')}  index {index:.2f}")


def _trades(trades: list[dict[str, Any]]) -> RenderableType:
    table = Table(box=None, pad_edge=False, expand=True)
    for name in ("price", "amount", ""):
        table.add_column(name, justify="right")
    for trade in trades[:8]:
        style = "green" if trade["direction"] == "buy" else "red"
        table.add_row(
            f"{trade['price']:.2f}", f"{trade['amount']:.4f}", Text(trade["direction"], style=style)
        )
    return Panel(table, title="trades")


def _accounts(accounts: list[dict[str, Any]]) -> RenderableType:
    table = Table(box=None, pad_edge=False, expand=True)
    for name in ("account", "position", "average", "unrealised", "equity", "initial"):
        table.add_column(name, justify="right")
    for row in accounts:
        table.add_row(
            row["name"],
            f"{row['position']:.4f}",
            f"{row['average']:.2f}",
            f"{row['unrealised']:,.2f}",
            f"{row['equity']:,.2f}",
            f"{row['initial']:,.2f}",
        )
    return Panel(table, title="accounts (perpetual position, USDC)")


def _batches(batches: list[dict[str, Any]]) -> RenderableType:
    table = Table(box=None, pad_edge=False, expand=True)
    for name in ("batch", "messages", "bytes", "gas", "steps max", "image root", "state"):
        table.add_column(name, justify="right")
    for row in batches[:6]:
        table.add_row(
            str(row["batch"]),
            str(row["messages"]),
            f"{row['posted_bytes']:,}",
            f"{row['gas_used']:,}",
            f"{row['steps_max']:,}",
            row["end_root"][:14],
            Text("final", style="green") if row["final"] else "claimed",
        )
    return Panel(table, title="anchored batches")


def render(view: dict[str, Any]) -> RenderableType:
    """The whole screen out of what the API and the traders said."""
    stats = view["stats"]
    head = Text.assemble(
        ("Provenue  ", "bold"),
        f"{view['flow']}   {view['elapsed_s']:.0f} of {view['seconds']:.0f} s   ",
        (f"{stats.get('orders', 0):,} orders sent  ", "cyan"),
        f"{stats.get('rejected', 0):,} rejected  ",
        f"ack p50 {stats.get('ack_p50_us', 0) / 1000:.2f} ms  ",
        f"p99 {stats.get('ack_p99_us', 0) / 1000:.2f} ms  pace {stats.get('pace', 1):.0%}",
    )
    return Group(
        head,
        Columns([_book(book) for book in view["books"]], equal=True, expand=True),
        Columns([_trades(view["trades"]), _accounts(view["accounts"])], expand=True),
        _batches(view["batches"]),
    )
