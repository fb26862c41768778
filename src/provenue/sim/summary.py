"""What a run came to: counts, conservation between image and vault (P5), costs, times."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import msgspec

from provenue import wire
from provenue.sequencer import recovery
from provenue.sequencer.anchor_log import AnchorLog
from provenue.settlement.anchor import AnchorClient
from provenue.settlement.deploy import Deployment
from provenue.settlement.inbox import InboxClient
from provenue.settlement.rpc import Rpc
from provenue.settlement.vault import VaultClient

__all__ = ["AssetLedger", "Summary", "summarise"]


class AssetLedger(msgspec.Struct):
    """P5 of one asset, asset units. The chain's side must equal the program's, exactly."""

    asset: str
    applied_deposits: int
    issued_withdrawals: int
    inbox_pending: int
    issued_unpaid: int
    vault_balance: int
    ledger_total: int
    conserved: bool


class Summary(msgspec.Struct):
    """The object that `provenue run --json` prints. Amounts at the top are of asset 0 (USDC)."""

    orders: int
    fills: int
    rejects: int
    batches: int
    final_batches: int
    root_mismatches: int
    watched_batches: int
    """Batches that the watcher has executed from L1 data."""
    wrong_claims: int
    deposits: int
    withdrawals_paid: int
    applied_deposits: int
    issued_withdrawals: int
    inbox_pending: int
    issued_unpaid: int
    vault_balance: int
    ledger_total: int
    insurance: int
    orders_per_second: float
    ack_p50_us: int
    ack_p99_us: int
    messages_per_batch: int
    gas_per_batch: int
    gas_per_message: int
    seconds_to_recover: float
    seconds: float
    chain: str
    flow: str
    recovered_root_matches: bool
    assets: list[AssetLedger]


def _count(database: Path, table: str) -> int:
    with sqlite3.connect(database) as db:
        (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def _asset_ledger(
    number: int, symbol: str, row: dict[str, Any], vault: VaultClient, pending: list[wire.Deposit]
) -> AssetLedger:
    paid = sum(int(e["amount_units"]) for e in vault.withdrawn() if int(e["asset"]) == number)
    inbox_pending = sum(d.amount_units for d in pending if d.asset == number)
    issued_unpaid = row["issued"] - paid
    # The program's side: what everyone holds, plus what is on its way in and out (P5).
    held = row["total"] - row["issued"]
    return AssetLedger(
        asset=symbol,
        applied_deposits=row["applied"],
        issued_withdrawals=row["issued"],
        inbox_pending=inbox_pending,
        issued_unpaid=issued_unpaid,
        vault_balance=vault.accounted_units(number),
        ledger_total=held + inbox_pending + issued_unpaid,
        conserved=row["total"] == row["applied"],
    )


def summarise(
    *,
    data: Path,
    preset: str,
    deployment: Deployment,
    rpc_url: str,
    traders: dict[str, Any],
    watched: dict[str, Any],
    seconds: float,
    chain: str,
    flow: str,
) -> Summary:
    """Read everything back from the files and the chain; the operator must have ended."""
    rpc = Rpc(rpc_url)
    began = time.monotonic()
    recovered = recovery.recover(data / "journal", preset=preset)
    recover_s = time.monotonic() - began
    engine = recovered.engine
    vault, anchor = VaultClient(deployment, rpc), AnchorClient(deployment, rpc)
    batches = AnchorLog(data / "anchor.sqlite").all()
    pending = [
        message
        for item in InboxClient(deployment, rpc).items(recovered.position.next_inbox)
        if isinstance(message := wire.decode(item.message), wire.Deposit)
    ]
    rows = {row["asset"]: dict(row) for row in engine.ledger()}
    ledgers = [
        _asset_ledger(number, symbol, rows[number], vault, pending)
        for number, symbol in enumerate(deployment.assets)
    ]
    house = engine.account(0)
    assert house is not None
    messages = sum(batch.message_count for batch in batches)
    gas = sum(batch.gas_used for batch in batches)
    orders = _count(data / "read.sqlite", "orders")
    quote = ledgers[0]
    return Summary(
        orders=orders,
        fills=_count(data / "read.sqlite", "trades"),
        rejects=int(traders.get("rejected", 0)),
        batches=anchor.batch_count(),
        final_batches=anchor.final_count(),
        root_mismatches=sum(batch.root_mismatches for batch in batches)
        + len(list((data / "journal").glob("mismatch-*.json"))),
        watched_batches=int(watched["batches"]),
        wrong_claims=len(watched["wrong_claims"]),
        deposits=len(vault.deposited()),
        withdrawals_paid=len(vault.withdrawn()),
        applied_deposits=quote.applied_deposits,
        issued_withdrawals=quote.issued_withdrawals,
        inbox_pending=quote.inbox_pending,
        issued_unpaid=quote.issued_unpaid,
        vault_balance=quote.vault_balance,
        ledger_total=quote.ledger_total,
        insurance=int(house["balances"][0]),
        orders_per_second=round(orders / seconds, 1) if seconds else 0.0,
        ack_p50_us=int(traders.get("ack_p50_us", 0)),
        ack_p99_us=int(traders.get("ack_p99_us", 0)),
        messages_per_batch=messages // len(batches) if batches else 0,
        gas_per_batch=gas // len(batches) if batches else 0,
        gas_per_message=gas // messages if messages else 0,
        seconds_to_recover=round(recover_s, 3),
        seconds=round(seconds, 1),
        chain=chain,
        flow=flow,
        recovered_root_matches=bool(batches) and engine.root() == batches[-1].end_root,
        assets=ledgers,
    )
