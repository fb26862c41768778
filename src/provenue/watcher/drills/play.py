"""Playing a drill: everybody moves in turn, and when nobody has a move, time passes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from provenue import wire
from provenue.engine import guest_elf
from provenue.settlement.anchored import ClaimInfo
from provenue.settlement.local_chain import LocalChain, start_chain
from provenue.settlement.rpc import Rpc
from provenue.settlement.tx import Account
from provenue.watcher.drills.lies import Lie, LyingTrees
from provenue.watcher.drills.market import PRESET, Market, account_of
from provenue.watcher.drills.scenarios import BATCH, SCENARIOS, Cast
from provenue.watcher.history import History
from provenue.watcher.l1 import L1
from provenue.watcher.ledger import Made
from provenue.watcher.party import Party, find_game
from provenue.watcher.player import Manners
from provenue.watcher.source import Source, open_archive
from provenue.watcher.traces import ComputedTrees, GuestTraps

__all__ = ["DrillError", "Player", "Report", "run_drill"]

ChainKind = Literal["auto", "anvil", "eth-tester"]
_WATCHER, _STRANGERS = 4, 5
_ACCOUNTS = 16
_TURNS_MAX = 2_000
_PAUSE_S = 30
_HOMECOMING_TURNS = 6


class DrillError(RuntimeError):
    """A drill did not come to its end; the text says where it stood."""


class Player(msgspec.Struct, frozen=True):
    """What somebody did and what came of it. Amounts in wei, bonds and credits included."""

    role: str
    address: str
    honest: bool
    moves: list[str]
    transactions: int
    gas: int
    bond_before_wei: int
    bond_after_wei: int
    """What the Anchor holds for its claims; rivals bring theirs with the claim."""
    slashed_wei: int
    """What was taken of the bonds of its claims."""
    before_wei: int
    after_wei: int
    gained_wei: int
    """Gas paid for moves left aside: what the contracts gave and took."""
    dispute_gas_wei: int


class Report(msgspec.Struct, frozen=True):
    """How a drill ended."""

    lie: str
    lines: str
    chain: str
    winner: str
    """Role of whose claim became final."""
    right_root_is_final: bool
    honest_claims_voided: int
    claims: list[str]
    """Status of each claim, in the order they were made."""
    liars_paid: bool
    """Every wrong claim fell, and what its claimant paid covers its bond."""
    honest_made_whole: bool
    """What disputes gave everybody honest covers the gas of its moves in them."""
    honest_transactions: int
    honest_gas: int
    """From detection to verdict, of the honest side."""
    seconds_on_chain: int
    players: list[Player]

    @property
    def held(self) -> bool:
        """Whether everything that a drill is to show was so."""
        return (
            self.right_root_is_final
            and self.honest_claims_voided == 0
            and self.liars_paid
            and self.honest_made_whole
        )


@dataclass
class Seat:
    """A party with eyes of its own."""

    role: str
    honest: bool
    l1: L1
    source: Source
    history: History
    trees: ComputedTrees
    party: Party
    before_wei: int = 0
    bond_before_wei: int = 0
    spent_before: int = 0

    def catch_up(self) -> None:
        """Archive and execute what is new."""
        self.source.update()
        self.trees.count = self.source.checked
        while self.history.next_batch < self.source.checked:
            self.history.run_next()

    def step(self) -> int:
        """Look and move; how many moves were made."""
        self.catch_up()
        _, plan = self.party.look()
        return self.party.move(plan)

    def bond_wei(self) -> int:
        """What the Anchor holds for the claims of the account."""
        return int(self.l1.anchor.contract.call("bond_of", self.party.address))

    def worth_wei(self) -> int:
        """What the account has, on the chain and in both contracts."""
        game, me = self.party.game, self.party.address
        assert game is not None
        anchor = self.l1.anchor.contract
        held = [(anchor, "bond_of"), (anchor, "credit_of"), (game, "credit_of")]
        return self.l1.rpc.balance(me) + sum(int(c.call(name, me)) for c, name in held)


class _Table:
    """The venue of one drill and everybody at it."""

    def __init__(self, chain: LocalChain, kind: str, folder: Path) -> None:
        self.chain = chain
        self.scenario = SCENARIOS[kind]
        self.kind = kind
        self.folder = folder
        self.market = Market(chain)
        self.elf = guest_elf(PRESET)
        self.teller = self._seat("teller", None, None, honest=True)
        self.seats: list[Seat] = []

    def _seat(self, role: str, account: Account | None, lie: Lie | None, *, honest: bool) -> Seat:
        folder = self.folder / role.replace(" ", "-")
        l1 = L1.from_anchor(Rpc(self.chain.url), self.market.deployment.contracts["Anchor"])
        history = History(
            open_archive(folder, l1), preset=PRESET, domain=l1.domain, traps=GuestTraps(self.elf)
        )
        trees = (
            ComputedTrees(history, self.elf) if lie is None else LyingTrees(history, self.elf, lie)
        )
        party = Party(
            role, l1, find_game(l1), trees, account=account, folder=folder,
            manners=Manners(claims=honest or lie is not None, finalize_patience_s=0),
        )  # fmt: skip
        source = Source(l1, history.archive, history, depth="latest")
        return Seat(role, honest, l1, source, history, trees, party)

    # --- before -----------------------------------------------------------------------------------

    def post(self) -> Cast:
        """Both batches, the second with the operator's lie if it is to lie."""
        market, teller = self.market, self.teller
        opening = market.opening()
        self._execute(opening)
        market.post(opening, wire.ClaimTree(teller.history.executed[0].roots))
        batch, step = self.scenario.batch(market)
        cast = self.scenario.cast(market, step)
        self._execute(batch)
        roots = teller.history.executed[BATCH].roots
        if cast.operator is not None:
            roots = cast.operator.roots(self.elf, teller.history, batch)
        operator = self._seat(
            "operator", market.operator, cast.operator, honest=cast.operator is None
        )
        market.post(batch, wire.ClaimTree(roots))
        self.seats = [operator, self._seat("watcher", account_of(_WATCHER), None, honest=True)]
        for n, lie in enumerate(cast.strangers):
            role = "stranger" if len(cast.strangers) == 1 else f"stranger {n + 1}"
            # Strangers come first: what they can be ahead with, they are.
            self.seats.insert(n, self._seat(role, account_of(_STRANGERS + n), lie, honest=False))
        for seat in self.seats:
            seat.before_wei = seat.worth_wei()
            seat.bond_before_wei = seat.bond_wei()
        return cast

    def _execute(self, batch: object) -> None:
        assert isinstance(batch, msgspec.Struct)
        self.teller.history.archive.store(batch)  # type: ignore[arg-type]
        self.teller.history.run_next()

    # --- the play ---------------------------------------------------------------------------------

    def play(self) -> None:
        """Until batch 1 is final and everybody has taken home what is theirs."""
        anchor = self.market.anchor
        for _ in range(_TURNS_MAX):
            if anchor.final_count() > BATCH:
                break
            if not sum(seat.step() for seat in self.seats):
                self.chain.increase_time(_PAUSE_S)
        else:
            claims = ", ".join(claim.status for claim in anchor.claims(BATCH))
            raise DrillError(f"drill {self.kind}: not final after {_TURNS_MAX} turns ({claims})")
        for _ in range(_HOMECOMING_TURNS):
            for seat in self.seats:
                seat.step()

    # --- after ------------------------------------------------------------------------------------

    def report(self, started_s: int) -> Report:
        """What happened."""
        anchor, head = self.market.anchor, self.chain.rpc.head()
        claims = anchor.claims(BATCH)
        right = self.teller.history.executed[BATCH]
        role_of = {seat.party.address: seat.role for seat in self.seats}
        final = next(claim for claim in claims if claim.status == "final")
        players = [self._player(seat) for seat in self.seats]
        honest = [p for p in players if p.honest]
        made = [m for seat in self.seats if seat.honest for m in _disputing(seat)]
        return Report(
            lie=self.kind,
            lines=self.scenario.lines,
            chain=self.chain.kind,
            winner=role_of.get(final.claimant, final.claimant),
            right_root_is_final=anchor.final_root(BATCH) == right.end_root,
            honest_claims_voided=sum(
                claim.status == "void" and claim.claim_root == right.claim_root for claim in claims
            ),
            claims=[f"{role_of.get(c.claimant, c.claimant)}: {c.status}" for c in claims],
            liars_paid=self._wrong_have_paid(claims, right.claim_root),
            honest_made_whole=all(p.gained_wei >= p.dispute_gas_wei for p in honest),
            honest_transactions=len(made),
            honest_gas=sum(m.gas for m in made),
            seconds_on_chain=head.timestamp - started_s,
            players=players,
        )

    def _wrong_have_paid(self, claims: list[ClaimInfo], right: bytes) -> bool:
        """Each wrong claim is void, and bonds were taken for all of them together."""
        wrong = [claim for claim in claims if claim.claim_root != right]
        return all(
            claim.status == "void" and self._slashed_wei(claim.claimant) >= claim.bond_wei
            for claim in wrong
        )

    def _slashed_wei(self, claimant: str) -> int:
        contract, head = self.market.anchor.contract, self.chain.rpc.block_number()
        events = contract.events("BondSlashed", self.market.deployment.block, head)
        return sum(
            int(event.args["credit_wei"]) + int(event.args["burnt_wei"])
            for event in events
            if event.args["claimant"] == claimant
        )

    def _player(self, seat: Seat) -> Player:
        ledger = seat.party.ledger.made
        after_wei = seat.worth_wei()
        price_wei = sum(_fee_wei(self.chain.rpc, made) for made in ledger)
        return Player(
            role=seat.role,
            address=seat.party.address,
            honest=seat.honest,
            moves=[made.moves for made in ledger],
            transactions=len(ledger),
            gas=sum(made.gas for made in ledger),
            bond_before_wei=seat.bond_before_wei,
            bond_after_wei=seat.bond_wei(),
            slashed_wei=self._slashed_wei(seat.party.address),
            before_wei=seat.before_wei,
            after_wei=after_wei,
            gained_wei=after_wei - seat.before_wei + price_wei,
            dispute_gas_wei=sum(_fee_wei(self.chain.rpc, made) for made in _disputing(seat)),
        )


def _disputing(seat: Seat) -> list[Made]:
    return [made for made in seat.party.ledger.made if made.counts]


def _fee_wei(rpc: Rpc, made: Made) -> int:
    receipt = rpc.call("eth_getTransactionReceipt", made.tx_hash)
    return int(receipt["effectiveGasPrice"], 16) * int(receipt["gasUsed"], 16)


def run_drill(kind: str, *, chain: ChainKind = "auto") -> Report:
    """One drill on a local chain of its own. DrillError when it does not end."""
    with (
        start_chain(chain, account_count=_ACCOUNTS) as local,
        tempfile.TemporaryDirectory(prefix="provenue-drill-") as scratch,
    ):
        table = _Table(local, kind, Path(scratch))
        started_s = local.rpc.head().timestamp
        table.post()
        table.play()
        return table.report(started_s)
