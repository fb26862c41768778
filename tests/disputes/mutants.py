"""Wrong rules that look right. Each changes one rule of chapter 11; a test sees each of them fail.

A mutant that no run can tell from the chapter would mean that a rule is idle or a test blind.
"""

from collections.abc import Sequence
from typing import Any

from tests.disputes.anchor import Claim, RefusedError, Round
from tests.disputes.game import (
    BOTH,
    FIRST,
    NEITHER,
    SEALED,
    SECOND,
    AnyId,
    Game,
    InnerClaim,
    InnerId,
    MatchId,
)

FOR_EVER = 1 << 60

# --- clocks of the message level -----------------------------------------------------------------


class OneClockForAllMatches(Game):
    """Time used in one match counts in the others: a Sybil's match drains the honest clock."""

    def allowances(self, name: AnyId) -> tuple[int, int]:
        own = super().allowances(name)
        if len(name) != 3:
            return own
        drained = [
            sum(
                match.pair.used[other[1:].index(name[1 + side])]
                for other, match in self.matches.items()
                if other != name and other[0] == name[0] and name[1 + side] in other[1:]
            )
            for side in (0, 1)
        ]
        return (own[0] - drained[0], own[1] - drained[1])


class LateJoinTakesFromBoth(Game):
    """The first claim has no full A when its rival comes late."""

    def allowances(self, name: AnyId) -> tuple[int, int]:
        own = super().allowances(name)
        return (min(own), min(own)) if len(name) == 3 else own


class RivalInheritsTimer(Game):
    """A rival plays with the clock of the round's first claim, so it has A whenever it comes."""

    def allowance(self, batch: int, index: int) -> int:
        return self.terms.window


class ClocksStartAtOpening(Game):
    """A match's clocks start when somebody opens it."""

    def _since(self, one: int, two: int) -> int:
        return self.now


class ClocksStartAtEarlierJoin(Game):
    """A match's clocks start with the older of its claims."""

    def _since(self, one: int, two: int) -> int:
        return min(one, two)


class HonestPaysForWaiting(Game):
    """`since` does not move on to the later reveal: who waited for the other pays for it."""

    def advance(
        self,
        name: AnyId,
        children_0: Sequence[bytes],
        children_1: Sequence[bytes],
        following: Sequence[bytes] | None = None,
    ) -> None:
        before = self.pair(name).since if name in {**self.matches, **self.inner_matches} else 0
        super().advance(name, children_0, children_1, following)
        self._put(name, self.pair(name)._replace(since=before))


class RevealedClockRuns(Game):
    """The clock of a side runs on when its node is revealed and the other's is not."""

    def lost(self, name: AnyId) -> int:
        pair, allowances = self.pair(name), self.allowances(name)
        if len(name) == 3 and pair.height == 0:
            return NEITHER
        spent = [pair.used[side] + self.now - pair.since for side in (0, 1)]
        return sum(1 << side for side in (0, 1) if spent[side] > allowances[side])


class RevealCountsAgain(Game):
    """A second reveal of a node moves the time of the first."""

    def reveal(self, children: Sequence[bytes]) -> None:
        super().reveal(children)
        node = next(n for n, shown in self.children.items() if shown == tuple(children))
        self.revealed_at[node] = self.now


class TimeoutNeedsBothLate(Game):
    """A timeout only when both sides are late."""

    def timeout(self, name: AnyId) -> None:
        self._moving(name)
        if self.lost(name) != BOTH:
            raise RefusedError("one side is in time")
        self._decide(name, BOTH)


class TimeoutHitsTheOther(Game):
    """Who is late wins."""

    def timeout(self, name: AnyId) -> None:
        self._moving(name)
        mask = self.lost(name)
        if not mask:
            raise RefusedError("nobody is late")
        self._decide(name, {FIRST: SECOND, SECOND: FIRST, BOTH: BOTH}[mask])


# --- inner claims --------------------------------------------------------------------------------


class SerialInnerJoins(Game):
    """The side's clock pauses while an inner claim lives; the next one gets the remainder again."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.died: dict[tuple[MatchId, int], int] = {}

    def inner_until(self, name: MatchId, side: int) -> int:
        if any(inner.live for inner in self.inner.get((name, side), ())):
            return FOR_EVER
        since = self.died.get((name, side), self.pair(name).since)
        return since + self.left(name, side) + self.terms.grace

    def inner_allowance(self, name: InnerId, side: int) -> int:
        return self.left(name[:3], side) + self.terms.grace

    def _put_inner(self, name: MatchId, side: int, index: int, inner: InnerClaim) -> None:
        super()._put_inner(name, side, index, inner)
        self.died[name, side] = self.now


class InnerJoinsForEver(Game):
    """A side that brought an inner claim in time may bring more at any time."""

    def inner_until(self, name: MatchId, side: int) -> int:
        present = self.inner.get((name, side), ())
        return FOR_EVER if present else super().inner_until(name, side)

    def inner_allowance(self, name: InnerId, side: int) -> int:
        return self.left(name[:3], side) + self.terms.grace


class FirstInnerLossKillsTheSide(Game):
    """A side is out with its first dead inner claim: a Sybil's bad defence kills the honest one."""

    def out(self, name: MatchId, side: int) -> bool:
        present = self.inner.get((name, side), ())
        return any(not inner.live for inner in present) or super().out(name, side)

    def settle(self, name: MatchId) -> None:
        self._moving(name)
        out = [self.out(name, side) for side in (0, 1)]
        if not any(out):
            raise RefusedError("undecided")
        self._decide_match(name, sum(1 << side for side in (0, 1) if out[side]))


class OutWithoutWaiting(Game):
    """A side without an inner claim is out at once when the other has one."""

    def out(self, name: MatchId, side: int) -> bool:
        alive = [any(i.live for i in self.inner.get((name, s), ())) for s in (0, 1)]
        return (alive[1 - side] and not alive[side]) or super().out(name, side)


class ClocksOfInnerLevelStartAtSeal(Game):
    """`sealed_at` is the time of the call of `seal`."""

    def seal(self, name: MatchId, pre_root: bytes, siblings: Sequence[bytes]) -> None:
        super().seal(name, pre_root, siblings)
        self._put(name, self.pair(name)._replace(since=self.now))


class SettleNeedsSeal(Game):
    """No verdict of the message level before somebody has sealed."""

    def settle(self, name: MatchId) -> None:
        if name in self.matches and self.matches[name].stage != SEALED:
            raise RefusedError("not sealed")
        super().settle(name)


class EndIsNotChecked(Game):
    """An inner claim may end in any root."""

    def join_inner(
        self,
        owner: str,
        name: MatchId,
        side: int,
        root: bytes,
        end: object,
        siblings: Sequence[bytes],
    ) -> int:
        pair = self._moving(name)
        nodes = list(pair.nodes)
        nodes[side] = self.machine.end(end, self.matches[name].pre_root)[1]
        self._put(name, pair._replace(nodes=(nodes[0], nodes[1])))
        try:
            return super().join_inner(owner, name, side, root, end, siblings)
        finally:
            self._put(name, pair)


class StepClocksStand(Game):
    """No clock runs at the leaves of an inner match."""

    def lost(self, name: AnyId) -> int:
        return super().lost(name) if self.pair(name).height else NEITHER


class InnerMatchesOutliveTheirMatch(Game):
    """Inner matches go on when the match above them is over."""

    def over(self, name: AnyId) -> bool:
        if len(name) == 3:
            return super().over(name)
        pair = self.inner[name[:3], 0][name[3]], self.inner[name[:3], 1][name[4]]
        return not (pair[0].live and pair[1].live)


# --- claims --------------------------------------------------------------------------------------


class SameRootTwice(Game):
    """A round takes a claim root that it has: the true claim gets a twin that never dies."""

    def _seen(self, round_: Round, root: bytes) -> bool:
        return False


class RivalsDoNotHinderFinality(Game):
    """The active claim is final after A, whoever lives beside it."""

    def _alone(self, round_: Round) -> bool:
        return True


class EveryDeathCascades(Game):
    """Later claims fall with any claim, not only with the active one."""

    def void(self, batch: int, loser: int, winner: int | None) -> None:
        super().void(batch, loser, winner)
        self._cascade(batch + 1)


class NobodyFalls(Game):
    """Claims of later batches outlive the claim that they stand on."""

    def _cascade(self, first: int) -> None:
        pass


class LoserLivesOn(Game):
    """A claim that loses a match pays, and lives on as a rival."""

    def void(self, batch: int, loser: int, winner: int | None) -> None:
        super().void(batch, loser, winner)
        round_ = self.batches[batch].round
        self._put_round(batch, round_._replace(live=round_.live | {loser}))


# --- money ---------------------------------------------------------------------------------------


class LoserPaysTwice(Game):
    """The loser's bond is paid by both ends."""

    def _slash(self, claim: Claim, winner: str | None) -> None:
        super()._slash(claim, winner)
        self._credit(winner or claim.owner, claim.bond)


class ReleaseTwice(Game):
    """The bond of an inner claim can be taken again."""

    def release_inner(self, name: MatchId, side: int, index: int) -> None:
        super().release_inner(name, side, index)
        inner = self.inner[name, side][index]
        self._put_inner(name, side, index, inner._replace(released=False))


class ReleaseWhileLive(Game):
    """The bond of a rival can be taken before its claim is decided."""

    def release(self, batch: int, index: int) -> None:
        claim = self.claim(batch, index)
        if not claim.rival or claim.released:
            raise RefusedError("nothing to release")
        self._put_claim(batch, index, claim._replace(released=True))
        self._credit(claim.owner, claim.bond)
