"""Play through a lie on a local chain: who notices, who wins, who pays."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter

__all__ = ["app"]

app = App(name="drill", help=(__doc__ or ""))

_ETHER = 10**18


@app.default
def drill(
    *,
    lie: str = "balance",
    json: Annotated[bool, Parameter(negative="")] = False,
    chain: Literal["auto", "anvil", "eth-tester"] = "auto",
) -> int:
    """Run one drill, or with `--lie all` each of them.

    Exit status 0: the liar lost its bond, the honest side was made whole, and no honest claim was
    voided; 1: otherwise; 2: there is no such drill.

    Parameters
    ----------
    lie
        balance, liquidation, price, deposit, signature, withdrawal, program, garbage, truncated,
        sybil, sybils, attack, or all.
    json
        One JSON object a drill instead of text.
    chain
        Which local chain; `auto` is anvil if there is one.
    """
    import structlog

    from provenue.settlement.rpc import ChainError
    from provenue.watcher.drills import SCENARIOS, DrillError, Report, run_drill

    if lie != "all" and lie not in SCENARIOS:
        print(
            f"provenue drill: lie: expected one of {', '.join(SCENARIOS)}, all; was {lie!r}",
            file=sys.stderr,
        )
        return 2

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

    def show(report: Report) -> None:
        print(msgspec.json.encode(report).decode() if json else _text(report), flush=True)

    def _text(report: Report) -> str:
        lines = [
            f"{report.lie}: {report.lines}",
            f"  on {report.chain}; {report.seconds_on_chain} s on the chain's clock",
            f"  claims: {'; '.join(report.claims)}",
            f"  final: the claim of the {report.winner}, "
            f"{'the right root' if report.right_root_is_final else 'A WRONG ROOT'}",
            f"  honest side: {report.honest_transactions} transactions, {report.honest_gas} gas",
        ]
        for player in report.players:
            before, after = player.before_wei / _ETHER, player.after_wei / _ETHER
            bonds = [player.bond_before_wei, player.bond_after_wei, player.slashed_wei]
            bond, left, slashed = (wei / _ETHER for wei in bonds)
            lines.append(
                f"  {player.role} ({'honest' if player.honest else 'liar'}): "
                f"{player.transactions} transactions, {player.gas} gas, "
                f"bond {bond:g} -> {left:g} ETH ({slashed:g} slashed), "
                f"in all {before:.4f} -> {after:.4f} ETH ({after - before:+.4f})"
            )
        return "\n".join(lines)

    good = True
    for name in SCENARIOS if lie == "all" else [lie]:
        try:
            report = run_drill(name, chain=chain)
        except (DrillError, ChainError) as problem:
            print(f"provenue drill: {problem}", file=sys.stderr)
            return 1
        show(report)
        good = good and report.held
    return 0 if good else 1
