"""The drills by name: who lies about what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from provenue import wire
from provenue.watcher.archive import ArchivedBatch
from provenue.watcher.drills.lies import (
    Lie,
    at_the_end,
    badly_proven,
    balance,
    cash_legs,
    other_program,
    recovered,
    undone,
    withdrawal_root,
)
from provenue.watcher.drills.market import Market, Step

__all__ = ["SCENARIOS", "Cast", "Scenario"]

BATCH = 1


@dataclass(frozen=True)
class Cast:
    """Who lies. Everybody else is honest."""

    operator: Lie | None = None
    """What the operator claims about batch 1; None: what is right."""
    strangers: list[Lie] = field(default_factory=list)


@dataclass(frozen=True)
class Scenario:
    """A drill. `lines` says what happens, for people."""

    lines: str
    cast: Callable[[Market, Step], Cast]
    batch: Callable[[Market], tuple[ArchivedBatch, Step]] = Market.lively
    """What batch 1 is."""


def _operator(tell: Callable[[Market, Step], Lie]) -> Callable[[Market, Step], Cast]:
    return lambda market, step: Cast(operator=tell(market, step))


def _balance(market: Market, step: Step, *, salt: int = 0) -> Lie:
    """The smallest lie there is."""
    return Lie(BATCH, step.fill, balance(market.short, 1 + salt), salt)


def _deposit(market: Market, step: Step) -> Lie:
    return Lie(BATCH, step.deposit, balance(market.late, 10**12, applied=True))


def _withdrawal(market: Market, step: Step) -> Lie:
    tree = wire.WithdrawalTree()
    everything = market.deployment.assets.index("USDC"), 10**12
    tree.extend(
        [
            wire.withdrawal_leaf(
                number=0,
                asset=everything[0],
                recipient=bytes.fromhex(market.operator.address[2:]),
                amount_units=everything[1],
            )
        ]
    )
    return Lie(BATCH, step.withdrawal, withdrawal_root(tree.image_root))


def _sybil(market: Market, step: Step) -> Cast:
    """The Sybil is first with the right claim, and joins its side with a wrong trace."""
    sybil = Lie(BATCH, step.fill, badly_proven, right_claim=True)
    return Cast(operator=_balance(market, step), strangers=[sybil])


def _eight(market: Market, step: Step) -> Cast:
    messages = [step.deposit, step.fill, step.withdrawal, step.liquidation]
    lies = [Lie(BATCH, messages[n % 4], balance(market.short, 1_000 + n), salt=n) for n in range(8)]
    return Cast(strangers=lies)


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "balance": Scenario(
            "The operator gives an account one unit too much behind a fill.", _operator(_balance)
        ),
        "liquidation": Scenario(
            "The operator claims that a liquidation did not happen.",
            _operator(lambda _m, step: Lie(BATCH, step.liquidation, at_the_end(undone))),
        ),
        "price": Scenario(
            "The operator claims a fill at a worse price for the taker.",
            _operator(lambda m, step: Lie(BATCH, step.fill, cash_legs(m.long, m.short, 10**6))),
        ),
        "deposit": Scenario("The operator claims a deposit that nobody made.", _operator(_deposit)),
        "signature": Scenario(
            "The operator claims that prices with a forged signature were signed.",
            _operator(lambda m, s: Lie(BATCH, s.bad_prices, recovered(m.price_signer))),
        ),
        "withdrawal": Scenario(
            "The operator claims a tree of withdrawals that pays it everything.",
            _operator(_withdrawal),
        ),
        "program": Scenario(
            "The operator runs a program with one instruction changed.",
            _operator(lambda _m, step: Lie(BATCH, step.fill, other_program)),
        ),
        "garbage": Scenario(
            "The operator posts noise and claims rightly what it does: nothing. Nobody disputes.",
            lambda _m, _s: Cast(),
            batch=Market.garbage,
        ),
        "truncated": Scenario(
            "The operator posts a batch that is cut off; a stranger claims that a message which is "
            "not there did something.",
            lambda m, step: Cast(strangers=[Lie(BATCH, step.liquidation, balance(m.short, 1))]),
            batch=Market.truncated,
        ),
        "sybil": Scenario(
            "The operator lies; a Sybil makes the right claim first and defends it badly.", _sybil
        ),
        "sybils": Scenario("Eight strangers attack a right claim at once.", _eight),
        "attack": Scenario(
            "A stranger attacks an honest operator's claim.",
            lambda m, step: Cast(strangers=[_balance(m, step)]),
        ),
    }
)
