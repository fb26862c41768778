"""Random lives of claims: rounds, rivals, cascades, promotions, in any order (chapter 11.2).

The machine keeps books of its own: who claimed what, whose claims live, who is owed what. Every
move is made on the contract or refused by it for the reason that the books name, and after every
move each claim's status and each wei of the Anchor are where the books have them. The game is an
account that decides as it likes: which claims lose is not the Anchor's business.
"""

import os
from collections import Counter
from typing import Any, ClassVar

import boa
import hypothesis.strategies as st
import pytest
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from tests.contracts import naive
from tests.contracts.lives import run_lives
from tests.contracts.system import (
    CONFIG,
    ETHER,
    FINAL,
    LIVE,
    OPEN_CLAIMS_MAX,
    PRICES,
    VOID,
    Sources,
    System,
    now,
    wait,
)

WINDOW, RESERVE = CONFIG["challenge_window_s"], CONFIG["claim_reserve_wei"]
BATCHES_MAX = 6
POSTERS = ("operator", "mallory", "carol")
EVERYBODY = ("alice", "bob", *POSTERS)
PICK = st.integers(0, 10**6)


class Claim:
    """A claim in the books; `own_wei` is what it brought with it and has not got back."""

    def __init__(self, claimant: str, end_root: bytes, own_wei: int | None) -> None:
        self.claimant, self.end_root = claimant, end_root
        self.live, self.lost, self.released = True, False, False
        self.own_wei = own_wei


class Batch:
    """A batch in the books, with its round."""

    def __init__(self, bond_wei: int) -> None:
        self.bond_wei = bond_wei
        self.claims: list[Claim] = []
        self.active: int | None = None
        self.began = 0
        self.seen: set[bytes] = set()

    @property
    def live(self) -> list[int]:
        return [index for index, claim in enumerate(self.claims) if claim.live]

    def begin(self, claim: Claim) -> None:
        self.claims.append(claim)
        self.active = len(self.claims) - 1
        self.began, self.seen = now(), {claim.end_root}


class Rivals(RuleBasedStateMachine):
    """One life of one Anchor."""

    system: System  # deployed once, the game installed
    met: ClassVar[Counter[str]]  # what happened in all lives

    @initialize()
    def begin(self) -> None:
        self._undo = boa.env.anchor()
        self._undo.__enter__()
        self.system.items = self.system.items[:1]
        self.batches: list[Batch] = []
        self.final, self.salt = 0, 0
        reserves = OPEN_CLAIMS_MAX * RESERVE
        first = (10 * ETHER, 10 * ETHER, ETHER)
        self.bonds = {who: own + reserves for who, own in zip(POSTERS, first, strict=True)}
        self.credits = dict.fromkeys(EVERYBODY, 0)
        self.burnt = 0

    def teardown(self) -> None:
        if hasattr(self, "_undo"):
            self._undo.__exit__(None, None, None)

    # -- the books -------------------------------------------------------------------------------

    def address(self, who: str) -> str:
        return str(getattr(self.system, who))

    def new_root(self) -> bytes:
        self.salt += 1
        return naive.keccak(self.salt.to_bytes(32, "big"))

    def pipeline(self) -> range:
        return range(self.final, len(self.batches))

    def pick(self, pick: int) -> int | None:
        """Some batch that is not final."""
        return self.final + pick % len(self.pipeline()) if self.pipeline() else None

    def open_claims(self, who: str) -> int:
        claims = [c for number in self.pipeline() for c in self.batches[number].claims]
        return sum(1 for c in claims if c.live and c.own_wei is None and c.claimant == who)

    def is_short(self, who: str, bond_wei: int) -> bool:
        needed_wei = bond_wei + (self.open_claims(who) + 1) * RESERVE
        return self.bonds.get(who, 0) < needed_wei

    def startable(self, number: int) -> bool:
        """Whether the batch before says where this one starts."""
        return number == 0 or self.batches[number - 1].active is not None

    def claim(self, number: int, end_root: bytes) -> tuple[Any, ...]:
        """A claim; when nobody knows where it starts, from nowhere."""
        opened = self.system.claim(end_root, batch=0)
        if number:
            before = self.batches[number - 1]
            known = before.active is not None
            opened["start_root"] = before.claims[before.active].end_root if known else bytes(32)
        return tuple(opened.values())

    # -- batches and claims ----------------------------------------------------------------------

    @rule(forced=st.sampled_from([False, False, True]))
    def post(self, *, forced: bool) -> None:
        if len(self.pipeline()) == BATCHES_MAX:
            return
        who = "mallory" if forced else "operator"
        bond_wei = CONFIG["forced_bond_wei" if forced else "bond_wei"]
        if forced:
            self.system.forced_cancel(self.system.bob)
            wait(CONFIG["forced_delay_s"])
        root, number = self.new_root(), len(self.batches)
        messages = {"messages": (PRICES,)} if forced else {}
        if not self.startable(number):
            reason = "anchor: batch has no active claim"
        elif self.is_short(who, bond_wei):
            reason = "anchor: bond is too small"
        else:
            self.system.post(**messages, forced=forced, end_root=root, sender=self.address(who))
            self.batches.append(Batch(bond_wei))
            self.batches[-1].begin(Claim(who, root, None))
            self.met["forced" if forced else "posted"] += 1
            return
        with boa.reverts(reason):
            self.system.post(**messages, forced=forced, end_root=root, sender=self.address(who))

    @rule(at=PICK, who=st.sampled_from(POSTERS))
    def claim_again(self, at: int, who: str) -> None:
        number = self.pick(at)
        if number is None:
            return
        batch, root = self.batches[number], self.new_root()
        claim = self.claim(number, root)
        if batch.live:
            reason = "anchor: batch has a live claim"
        elif self.is_short(who, batch.bond_wei):
            reason = "anchor: bond is too small"
        elif not self.startable(number):
            reason = "anchor: batch has no active claim"
        else:
            self.system.anchor.claim_again(number, claim, sender=self.address(who))
            batch.begin(Claim(who, root, None))
            self.met["claimed again"] += 1
            return
        with boa.reverts(reason):
            self.system.anchor.claim_again(number, claim, sender=self.address(who))

    @rule(at=PICK, who=st.sampled_from(EVERYBODY), again=st.sampled_from([False] * 5 + [True]))
    def join(self, at: int, who: str, *, again: bool) -> None:
        number = self.pick(at)
        if number is None:
            return
        batch = self.batches[number]
        root = sorted(batch.seen)[at % len(batch.seen)] if again else self.new_root()
        claim = self.claim(number, root)
        if not batch.live:
            reason = "anchor: batch has no live claim"
        elif now() >= batch.began + WINDOW:
            reason = "anchor: window is closed"
        elif again:
            reason = "anchor: claim has been made"
        else:
            self.system.anchor.join(number, claim, sender=self.address(who), value=batch.bond_wei)
            batch.claims.append(Claim(who, root, batch.bond_wei))
            batch.seen.add(root)
            self.met["joined"] += 1
            return
        self.met[reason] += 1
        with boa.reverts(reason):
            self.system.anchor.join(number, claim, sender=self.address(who), value=batch.bond_wei)

    @rule(at=PICK, index=st.integers(0, 4))
    def promote(self, at: int, index: int) -> None:
        number = self.pick(at)
        if number is None:
            return
        batch = self.batches[number]
        if batch.active is not None:
            reason = "anchor: batch has an active claim"
        elif index not in batch.live:
            reason = "anchor: claim is not live"
        else:
            self.system.anchor.promote(number, index, sender=self.system.alice)
            batch.active = index
            self.met["promoted"] += 1
            return
        with boa.reverts(reason):
            self.system.anchor.promote(number, index, sender=self.system.alice)

    # -- verdicts --------------------------------------------------------------------------------

    def lose(self, number: int, loser: int, winner: int | None) -> None:
        """One claim dies; the books say who pays whom, and who falls with it."""
        batch = self.batches[number]
        claim = batch.claims[loser]
        if claim.own_wei is None:
            held, others = self.bonds[claim.claimant], self.open_claims(claim.claimant) - 1
            free = held - min(held, others * RESERVE)
            taken = min(free, batch.bond_wei + RESERVE)
            self.bonds[claim.claimant] -= taken
        else:
            taken, claim.own_wei = claim.own_wei, 0
        self.system.void(number, loser, winner)
        claim.live, claim.lost = False, True
        won = 0
        if winner is not None:
            won = taken // 2
            self.credits[batch.claims[winner].claimant] += won
        self.burnt += taken - won
        if batch.active != loser:
            return
        batch.active = winner
        for later in self.batches[number + 1 :]:
            self.met["rivals fell"] += max(0, len(later.live) - 1)
            for fallen in later.claims:
                fallen.live = False
            later.active = None

    @rule(at=PICK, first=PICK, second=PICK, both=st.booleans())
    def decide(self, at: int, first: int, second: int, *, both: bool) -> None:
        """Two live claims have met; one that is alone cannot lose here."""
        met = [number for number in self.pipeline() if len(self.batches[number].live) > 1]
        if not met:
            return
        number = met[at % len(met)]
        live = self.batches[number].live
        loser = live.pop(first % len(live))
        other = live[second % len(live)]
        if both:
            self.lose(number, loser, None)
            self.lose(number, other, None)
            self.met["both lost"] += 1
        else:
            self.lose(number, loser, other)
            self.met["decided"] += 1
        for gone in (loser, 99):
            with boa.reverts("anchor: claim is not live"):
                self.system.void(number, gone, None)

    # -- time and money --------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 600, WINDOW // 2, WINDOW - 1, WINDOW]))
    def let_time_pass(self, seconds: int) -> None:
        wait(seconds)

    @rule(count=st.integers(1, 4))
    def finalize(self, count: int) -> None:
        ready = self.final
        for number in list(self.pipeline())[:count]:
            batch = self.batches[number]
            if batch.active is None or len(batch.live) != 1 or now() < batch.began + WINDOW:
                break
            ready += 1
        if ready == self.final:
            with boa.reverts("anchor: nothing to finalize"):
                self.system.anchor.finalize(count, sender=self.system.bob)
            return
        assert self.system.anchor.finalize(count, sender=self.system.bob) == ready
        self.met["final"] += ready - self.final
        self.final = ready

    @rule(at=PICK)
    def release(self, at: int) -> None:
        """Of one batch, every claim, and one that is none."""
        if self.batches:
            number = at % len(self.batches)
            for index in range(len(self.batches[number].claims) + 1):
                self._release(number, index)

    def _release(self, number: int, index: int) -> None:
        batch = self.batches[number]
        claim = batch.claims[index] if index < len(batch.claims) else None
        if claim is None:
            reason = "anchor: no such claim"
        elif claim.own_wei is None:
            reason = "anchor: claim has no bond of its own"
        elif claim.lost or claim.released:
            reason = "anchor: bond is paid out"
        elif claim.live and number >= self.final:
            reason = "anchor: claim is live"
        else:
            self.system.anchor.release(number, index, sender=self.system.bob)
            self.credits[claim.claimant] += claim.own_wei
            claim.own_wei, claim.released = 0, True
            self.met["released"] += 1
            return
        with boa.reverts(reason):
            self.system.anchor.release(number, index, sender=self.system.bob)

    @rule(who=st.sampled_from(POSTERS), ether=st.sampled_from([-8, -1, 3, 12]))
    def change_bond(self, who: str, ether: int) -> None:
        anchor, amount_wei = self.system.anchor, abs(ether) * ETHER
        if ether > 0:
            anchor.deposit_bond(sender=self.address(who), value=amount_wei)
            self.bonds[who] += amount_wei
            return
        if self.open_claims(who):
            reason = "anchor: claims are open"
        elif self.bonds[who] < amount_wei:
            reason = "anchor: bond is smaller"
        else:
            anchor.withdraw_bond(amount_wei, sender=self.address(who))
            self.bonds[who] -= amount_wei
            return
        with boa.reverts(reason):
            anchor.withdraw_bond(amount_wei, sender=self.address(who))

    @rule(who=st.sampled_from(EVERYBODY))
    def take_credit(self, who: str) -> None:
        if not self.credits[who]:
            with boa.reverts("anchor: no credit"):
                self.system.anchor.withdraw_credit(sender=self.address(who))
            return
        before = boa.env.get_balance(self.address(who))
        self.system.anchor.withdraw_credit(sender=self.address(who))
        assert boa.env.get_balance(self.address(who)) == before + self.credits[who]
        self.credits[who] = 0

    # -- longer stories, so that lives get somewhere ----------------------------------------------

    @rule(at=PICK, rivals=st.integers(2, 4))
    def crowd(self, at: int, rivals: int) -> None:
        """A batch stands on another; both have rivals."""
        self.change_bond("operator", 12)
        for _ in range(2):
            self.post(forced=False)
        for k in range(rivals):
            self.join(at + k, EVERYBODY[(at + k) % len(EVERYBODY)], again=False)

    @rule(at=PICK, promoted=st.booleans())
    def active_claim_and_its_rival_die(self, at: int, *, promoted: bool) -> None:
        """Two that met have both lost, others go on: nobody is active until somebody says so."""
        crowded = [
            number
            for number in self.pipeline()
            if len(self.batches[number].live) > 2 and self.batches[number].active is not None
        ]
        if not crowded:
            self.crowd(at, 4)
            return
        number = crowded[at % len(crowded)]
        batch = self.batches[number]
        assert batch.active is not None
        pair = [batch.active, *(index for index in batch.live if index != batch.active)][:2]
        for loser in pair:
            self.lose(number, loser, None)
        self.met["both lost"] += 1
        if promoted:
            left = batch.live[at % len(batch.live)]
            self.promote(number - self.final, left)

    @rule(at=PICK)
    def clear_up(self, at: int) -> None:
        """All matches are played, what is missing is claimed again; then windows pass."""
        for number in list(self.pipeline()):
            while len(self.batches[number].live) > 1:
                live = self.batches[number].live
                self.lose(number, live[at % len(live)], live[(at + 1) % len(live)])
            if not self.batches[number].live:
                self.change_bond("carol", 12)
                self.claim_again(number - self.final, "carol")
            elif self.batches[number].active is None:
                self.promote(number - self.final, self.batches[number].live[0])
        wait(WINDOW)
        self.finalize(4)

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def ether_is_conserved(self) -> None:
        anchor = self.system.anchor
        assert {who: anchor.bond_of(self.address(who)) for who in self.bonds} == self.bonds
        credit = {who: anchor.credit_of(self.address(who)) for who in EVERYBODY}
        assert credit == self.credits
        assert anchor.burnt_wei() == self.burnt
        own = sum(c.own_wei or 0 for batch in self.batches for c in batch.claims)
        held = sum(self.bonds.values()) + own + sum(self.credits.values()) + self.burnt
        assert boa.env.get_balance(anchor.address) == held

    @invariant()
    def claims_are_as_the_books_have_them(self) -> None:
        anchor = self.system.anchor
        assert anchor.final_count() == self.final
        for who in POSTERS:
            assert anchor.open_claims_of(self.address(who)) == self.open_claims(who)
        for number in range(max(0, self.final - 1), len(self.batches)):
            batch = self.batches[number]
            self._batch_is_as_in_the_books(anchor, number, batch)

    def _batch_is_as_in_the_books(self, anchor: Any, number: int, batch: Batch) -> None:
        final = number < self.final
        assert anchor.claim_count(number) == len(batch.claims)
        assert anchor.live_count(number) == (0 if final else len(batch.live))
        if batch.active is None:
            with boa.reverts("anchor: batch has no active claim"):
                anchor.active_claim(number)
        else:
            assert anchor.active_claim(number) == batch.active
        for index, claim in enumerate(batch.claims):
            status = VOID if not claim.live else FINAL if final else LIVE
            view = anchor.claim_of(number, index)
            assert (view.status, view.end_root) == (status, claim.end_root)
            assert (status == FINAL) == (final and index == batch.active)
            if status == LIVE:
                assert view.round_started_at == batch.began


OFTEN = {"posted", "joined", "decided", "final"}
SELDOM = {
    "forced", "claimed again", "both lost", "promoted", "released", "rivals fell",
    "anchor: window is closed", "anchor: claim has been made", "anchor: batch has no live claim",
}  # fmt: skip


def test_claims_and_ether_are_accounted_for_through_random_rounds(sources: Sources) -> None:
    run_lives(sources, Rivals, 12, 30, {"posted", "joined", "final"})


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_claims_and_ether_are_accounted_for_through_many_random_rounds(sources: Sources) -> None:
    """PROVENUE_LIVES=N for more."""
    run_lives(sources, Rivals, int(os.environ.get("PROVENUE_LIVES", "24")), 50, OFTEN | SELDOM)
