"""Measure: the order book alone, on five flows, against its naive twin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from cyclopts import App, Parameter

import provenue

__all__ = ["app", "book_folder"]

app = App(name="bench", help=(__doc__ or ""))

Flow = Literal["static", "drifting", "swings_25", "swings_40", "crash"]

_LIBRARIES: Final = {
    "marking off": "libprovenue_book_unmarked.so",
    "marking on": "libprovenue_book.so",
}
_ORDERS_MAX: Final = 1 << 20


@app.command
def book(
    flow: Flow | None = None,
    *,
    orders: int = 1_000_000,
    repeat: int = 5,
    seed: int = 1,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """The book alone, one core: new, cancel, modify, reports; no accounts, no margin.

    First every report, best price and depth is compared with a naive twin; then the same messages
    are timed, in CPU time of the thread, once with writes to the image marked as in the venue and
    once without. The worst flow is the score. The library is driven through its C interface
    (bench/book/book.h), as any other harness can drive it.

    Parameters
    ----------
    flow
        One of the five; all if left out.
    orders
        New orders of a flow; about twice as many messages.
    repeat
        Timed runs; the median counts.
    seed
        Of the flow.
    as_json
        One JSON object in place of the table.
    """
    try:
        for name, value in (("orders", orders), ("repeat", repeat), ("seed", seed)):
            if not 1 <= value <= _ORDERS_MAX:
                raise ValueError(f"{name}: expected 1 to {_ORDERS_MAX}, was {value}")
        options = ["--orders", str(orders), "--repeat", str(repeat), "--seed", str(seed)]
        rows = {
            name: _run(library, flow, options, quiet=as_json)
            for name, library in _LIBRARIES.items()
        }
    except (ValueError, OSError, RuntimeError) as error:
        print(f"provenue bench: {error}", file=sys.stderr)
        return 2
    worst = {name: min(r["messages_per_second"] for r in found) for name, found in rows.items()}
    answer = {"workload": "book", "unit": "messages per second of CPU time", "worst": worst}
    if as_json:
        print(msgspec.json.encode(answer | {"flows": rows}).decode())
    else:
        print("worst flow: " + ", ".join(f"{v:,.0f}/s {name}" for name, v in worst.items()))
    return 0


def book_folder() -> Path:
    """Where the build has put library and harness."""
    for entry in (*provenue.__path__, *(str(Path(p) / "provenue") for p in sys.path)):
        if (Path(entry) / "bench" / "book_bench").exists():
            return Path(entry) / "bench"
    raise RuntimeError("book_bench is not installed; build the package again (make setup)")


def _run(
    library: str, flow: str | None, options: list[str], *, quiet: bool
) -> list[dict[str, Any]]:
    folder = book_folder()
    command = [str(folder / "book_bench"), str(folder / library), *([flow] if flow else [])]
    found = []
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            row = msgspec.json.decode(line)
            found.append(row)
            if not quiet:
                _show(row)
    if process.returncode != 0:
        raise RuntimeError(f"the harness ended with {process.returncode}")
    return found


def _show(row: dict[str, Any]) -> None:
    marking = "on" if row["marks"] else "off"
    print(
        f"{row['flow']:>10}  marking {marking:<3}  {row['messages_per_second'] / 1e6:6.2f} M/s"
        f"  p50 {row['p50_ns']} ns  p99 {row['p99_ns']} ns  p99.9 {row['p999_ns']} ns"
        f"  worst {row['worst_ns']:,} ns  {row['trades']:,} trades",
        flush=True,
    )
