"""Chapter 11.2: rounds of claims, who is active, who falls, what is final, who pays.

Written from the chapter, not from a contract. Records never change: a move puts a new one in the
place of the old, so a copy of the whole state is a copy of a few dictionaries.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

from tests.disputes.trees import Join, cheap, root_of_path

LIVE, VOID, FINAL = 1, 2, 3


class RefusedError(Exception):
    """A move that the rules do not allow here and now; nothing has changed."""


class Terms(NamedTuple):
    """What a deployment fixes. Times in one unit, money in wei."""

    window: int  # A
    grace: int  # G
    bond: int = 1_000
    forced_bond: int = 100
    reserve: int = 50
    inner_bond: int = 10
    claim_height: int = 12
    trace_height: int = 24
    arity: int = 8


class Claim(NamedTuple):
    """A claim about one batch; it lives in one round only."""

    owner: str
    root: bytes
    start_root: bytes
    end_root: bytes
    joined_at: int
    round: int
    rival: bool  # brought a bond of its own
    bond: int  # what it stakes, beside the reserve
    lost: bool = False  # a match, not an ancestor
    released: bool = False


class Round(NamedTuple):
    """From the claim that is made while a batch has none until all its claims are dead."""

    started_at: int  # T
    start_root: bytes
    seen: frozenset[bytes]
    live: frozenset[int]
    active: int | None


NO_ROUND = Round(0, b"", frozenset(), frozenset(), None)


class Batch(NamedTuple):
    """A posted batch: its claims by index, and the round that its live claims belong to."""

    forced: bool
    claims: tuple[Claim, ...]
    rounds: int
    round: Round


class Anchor:
    """Claims about batches and the money behind them."""

    def __init__(self, terms: Terms, first_root: bytes, join: Join = cheap) -> None:
        assert 2 * terms.grace <= terms.window
        self.terms, self.first_root, self.join_nodes = terms, first_root, join
        self.now = 0
        self.batches: dict[int, Batch] = {}
        self.final_count = 0
        self.bond_of: dict[str, int] = {}
        self.open_of: dict[str, int] = {}
        self.credit_of: dict[str, int] = {}
        self.burnt = 0
        self.balance = 0

    def copy(self) -> Self:
        new = object.__new__(type(self))
        new.__dict__ = {
            name: value.copy() if isinstance(value, dict) else value
            for name, value in self.__dict__.items()
        }
        return new

    # -- what is asked of it -----------------------------------------------------------------------

    def claim(self, batch: int, index: int) -> Claim:
        return self.batches[batch].claims[index]

    def status(self, batch: int, index: int) -> int:
        if index not in self.batches[batch].round.live:
            return VOID
        return FINAL if batch < self.final_count else LIVE

    def start_root(self, batch: int) -> bytes | None:
        """Where a claim about this batch has to start: where the active claim before it ends."""
        if batch == 0:
            return self.first_root
        before = self.batches[batch - 1]
        if before.round.active is None:
            return None
        return before.claims[before.round.active].end_root

    def allowance(self, batch: int, index: int) -> int:
        """The time that a claim has in each of its matches: A less what passed before it joined."""
        joined_at = self.claim(batch, index).joined_at
        return self.terms.window - (joined_at - self.batches[batch].round.started_at)

    def live_bonds(self) -> int:
        """All money that is neither credited nor burnt."""
        rivals = sum(
            claim.bond
            for batch in self.batches.values()
            for claim in batch.claims
            if claim.rival and not claim.lost and not claim.released
        )
        return sum(self.bond_of.values()) + rivals

    # -- money -------------------------------------------------------------------------------------

    def deposit_bond(self, owner: str, amount: int) -> None:
        self.bond_of[owner] = self.bond_of.get(owner, 0) + amount
        self.balance += amount

    def withdraw_bond(self, owner: str, amount: int) -> None:
        if self.open_of.get(owner, 0):
            raise RefusedError("claims are open")
        if amount > self.bond_of.get(owner, 0):
            raise RefusedError("more than the bond")
        self.bond_of[owner] -= amount
        self.balance -= amount

    def withdraw_credit(self, owner: str) -> int:
        amount = self.credit_of.pop(owner, 0)
        if amount == 0:
            raise RefusedError("no credit")
        self.balance -= amount
        return amount

    def release(self, batch: int, index: int) -> None:
        """A rival's own bond, once its claim is final or fell with a claim that it stood on."""
        if batch not in self.batches or index >= len(self.batches[batch].claims):
            raise RefusedError("no such claim")
        claim = self.claim(batch, index)
        if not claim.rival or claim.released or claim.lost:
            raise RefusedError("nothing to release")
        if self.status(batch, index) == LIVE:
            raise RefusedError("claim is live")
        self._put_claim(batch, index, claim._replace(released=True))
        self._credit(claim.owner, claim.bond)

    def _credit(self, owner: str, amount: int) -> None:
        if amount:
            self.credit_of[owner] = self.credit_of.get(owner, 0) + amount

    def _pay(self, amount: int, winner: str | None) -> None:
        """Half to the winner, the rest burnt: a dispute with oneself is never free."""
        share = amount // 2 if winner is not None else 0
        if winner is not None:
            self._credit(winner, share)
        self.burnt += amount - share

    def _slash(self, claim: Claim, winner: str | None) -> None:
        if claim.rival:
            self._pay(claim.bond, winner)
            return
        held = self.bond_of[claim.owner]
        others = self.terms.reserve * self.open_of[claim.owner]
        amount = min(claim.bond + self.terms.reserve, max(0, held - others))
        self.bond_of[claim.owner] = held - amount
        self._pay(amount, winner)

    # -- claims ------------------------------------------------------------------------------------

    def post(
        self, owner: str, root: bytes, start_root: bytes, end_root: bytes, siblings: Sequence[bytes]
    ) -> int:
        """A new batch and the claim that opens its first round."""
        number = len(self.batches)
        self.batches[number] = Batch(forced=False, claims=(), rounds=0, round=NO_ROUND)
        try:
            self.claim_again(owner, number, root, start_root, end_root, siblings)
        except RefusedError:
            del self.batches[number]
            raise
        return number

    def claim_again(
        self, owner: str, batch: int, root: bytes, start_root: bytes, end_root: bytes,
        siblings: Sequence[bytes],
    ) -> int:  # fmt: skip
        """The claim that opens a round of a batch without live claims."""
        if batch not in self.batches or batch < self.final_count:
            raise RefusedError("no such batch, or final")
        if self.batches[batch].round.live:
            raise RefusedError("round is not over")
        if self.start_root(batch) is None or start_root != self.start_root(batch):
            raise RefusedError("start root is not that of the active claim before")
        self._check_opening(root, end_root, siblings)
        bond = self._bond(batch)
        open_ = self.open_of.get(owner, 0)
        if self.bond_of.get(owner, 0) < bond + self.terms.reserve * (open_ + 1):
            raise RefusedError("bond is too small")
        self.open_of[owner] = open_ + 1
        old = self.batches[batch]
        fresh = Round(self.now, start_root, frozenset(), frozenset(), len(old.claims))
        self.batches[batch] = old._replace(rounds=old.rounds + 1, round=fresh)
        return self._add(batch, owner, root, end_root, rival=False)

    def join(
        self, owner: str, batch: int, root: bytes, start_root: bytes, end_root: bytes,
        siblings: Sequence[bytes],
    ) -> int:  # fmt: skip
        """A rival, with a bond of its own."""
        if batch not in self.batches or batch < self.final_count:
            raise RefusedError("no such batch, or final")
        round_ = self.batches[batch].round
        if not round_.live:
            raise RefusedError("round is over")
        if self.now >= round_.started_at + self.terms.window:
            raise RefusedError("too late to join")
        if start_root != round_.start_root:
            raise RefusedError("start root is not that of the round")
        if self._seen(round_, root):
            raise RefusedError("this round has seen the root")
        self._check_opening(root, end_root, siblings)
        self.balance += self._bond(batch)
        return self._add(batch, owner, root, end_root, rival=True)

    def _check_opening(self, root: bytes, end_root: bytes, siblings: Sequence[bytes]) -> None:
        last = (1 << self.terms.claim_height) - 1
        if len(siblings) != self.terms.claim_height:
            raise RefusedError("siblings")
        if root_of_path(end_root, last, siblings, self.join_nodes) != root:
            raise RefusedError("claim does not open to its end root")

    def promote(self, batch: int, index: int) -> None:
        """Make a live rival active when nobody is."""
        if batch not in self.batches or batch < self.final_count:
            raise RefusedError("no such batch, or final")
        round_ = self.batches[batch].round
        if round_.active is not None or index not in round_.live:
            raise RefusedError("a claim is active, or this one is not live")
        self._put_round(batch, round_._replace(active=index))

    def finalize(self) -> None:
        """Make the next batch final."""
        number = self.final_count
        if number not in self.batches:
            raise RefusedError("nothing to finalize")
        round_ = self.batches[number].round
        if round_.active is None or self.now < round_.started_at + self.terms.window:
            raise RefusedError("nothing to finalize")
        if not self._alone(round_):
            raise RefusedError("rivals are live")
        self.final_count += 1
        self._close(self.claim(number, round_.active))

    # -- what the game does to claims --------------------------------------------------------------

    def void(self, batch: int, loser: int, winner: int | None) -> None:
        """A claim that lost a match dies; if others stand on it, they fall."""
        claim = self.claim(batch, loser)
        round_ = self.batches[batch].round
        assert loser in round_.live
        self._put_claim(batch, loser, claim._replace(lost=True))
        was_active = round_.active == loser
        active = winner if was_active else round_.active
        self._put_round(batch, round_._replace(live=round_.live - {loser}, active=active))
        self._close(claim)
        if was_active:
            self._cascade(batch + 1)
        self._slash(claim, None if winner is None else self.claim(batch, winner).owner)

    def _cascade(self, first: int) -> None:
        for number in range(first, len(self.batches)):
            batch = self.batches[number]
            for index in batch.round.live:
                self._close(batch.claims[index])
            self.batches[number] = batch._replace(round=NO_ROUND)

    # -- rules that mutants break ------------------------------------------------------------------

    def _seen(self, round_: Round, root: bytes) -> bool:
        return root in round_.seen

    def _alone(self, round_: Round) -> bool:
        return len(round_.live) == 1

    # -- records -----------------------------------------------------------------------------------

    def _bond(self, batch: int) -> int:
        return self.terms.forced_bond if self.batches[batch].forced else self.terms.bond

    def _close(self, claim: Claim) -> None:
        if not claim.rival:
            self.open_of[claim.owner] -= 1

    def _add(self, batch: int, owner: str, root: bytes, end_root: bytes, *, rival: bool) -> int:
        old = self.batches[batch]
        start_root, bond = old.round.start_root, self._bond(batch)
        claim = Claim(owner, root, start_root, end_root, self.now, old.rounds, rival, bond)
        index = len(old.claims)
        round_ = old.round._replace(seen=old.round.seen | {root}, live=old.round.live | {index})
        self.batches[batch] = old._replace(claims=(*old.claims, claim), round=round_)
        return index

    def _put_claim(self, batch: int, index: int, claim: Claim) -> None:
        old = self.batches[batch]
        claims = (*old.claims[:index], claim, *old.claims[index + 1 :])
        self.batches[batch] = old._replace(claims=claims)

    def _put_round(self, batch: int, round_: Round) -> None:
        self.batches[batch] = self.batches[batch]._replace(round=round_)
