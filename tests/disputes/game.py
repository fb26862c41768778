"""Chapters 11.3 to 11.5: matches between claims, inner claims and the matches between those.

Both kinds of match descend in the same way, so there is one `Pair` for both. A match is named by
(batch, index_0, index_1), an inner match by that and the two inner claims. What a side has lost by
the clock is computed from times of reveals alone; who calls a move and when changes nothing.

Proofs are taken as given: `sealed leaf` and `end` moves carry a tree's own answer, checked as a
contract would (`trees.root_of_path`), over whatever hash the trees use.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tests.disputes.anchor import LIVE, Anchor, RefusedError, Terms
from tests.disputes.trees import Join, cheap, fold, root_of_path

REVEAL, SEALED, DONE = 1, 2, 3
NEITHER, FIRST, SECOND, BOTH = 0, 1, 2, 3  # who has lost, one bit for each side

MatchId = tuple[int, int, int]
InnerId = tuple[int, int, int, int, int]
AnyId = MatchId | InnerId


class Machine(Protocol):
    """The machine of chapter 10, as far as a dispute asks for it."""

    def start_hash(self, batch: int, message: int, pre_root: bytes) -> bytes:
        """Hash of the state that a message starts from."""

    def step(self, witness: object) -> tuple[bytes, bytes]:
        """Hash of a state and of the next one; ValueError for a bad witness."""

    def end(self, opening: object, pre_root: bytes) -> tuple[bytes, bytes]:
        """Hash of a last state and the image root that it gives (10.4); ValueError if malformed."""


class Pair(NamedTuple):
    """Two nodes of one height that differ, and the time that each side has used."""

    nodes: tuple[bytes, bytes]
    height: int
    position: int
    since: int
    used: tuple[int, int]


class Match(NamedTuple):
    """A match between two claims."""

    pair: Pair
    stage: int = REVEAL
    pre_root: bytes = b""
    lost: int = NEITHER


class InnerClaim(NamedTuple):
    """An instruction tree for one side of a match."""

    owner: str
    root: bytes
    joined_at: int
    live: bool = True
    released: bool = False


class InnerMatch(NamedTuple):
    """A match between an inner claim of side 0 and one of side 1."""

    pair: Pair
    stage: int = REVEAL
    pre_hash: bytes = b""


class Game(Anchor):
    """The whole of chapter 11: the anchor's claims and the matches between them."""

    def __init__(
        self, terms: Terms, first_root: bytes, machine: Machine, join: Join = cheap
    ) -> None:
        super().__init__(terms, first_root, join)
        self.machine = machine
        self.levels = terms.arity.bit_length() - 1
        self.revealed_at: dict[bytes, int] = {}
        self.children: dict[bytes, tuple[bytes, ...]] = {}  # public: the events of reveals
        self.matches: dict[MatchId, Match] = {}
        self.inner: dict[tuple[MatchId, int], tuple[InnerClaim, ...]] = {}
        self.inner_matches: dict[InnerId, InnerMatch] = {}
        self.game_credit_of: dict[str, int] = {}
        self.game_burnt = 0
        self.game_balance = 0

    # -- what is asked of it -----------------------------------------------------------------------

    def over(self, name: AnyId) -> bool:
        """Nothing moves any more: decided, or one of the two no longer lives."""
        if len(name) == 3:
            batch, one, two = name
            if self.status(batch, one) != LIVE or self.status(batch, two) != LIVE:
                return True
            return self.matches[name].stage == DONE
        outer, one, two = name[:3], name[3], name[4]
        if self.over(outer) or self.inner_matches[name].stage == DONE:
            return True
        return not (self.inner[outer, 0][one].live and self.inner[outer, 1][two].live)

    def pair(self, name: AnyId) -> Pair:
        return self.matches[name].pair if len(name) == 3 else self.inner_matches[name].pair

    def allowances(self, name: AnyId) -> tuple[int, int]:
        """What each side may use in this match, in all."""
        if len(name) == 3:
            return (self.allowance(name[0], name[1]), self.allowance(name[0], name[2]))
        return (self.inner_allowance(name, 0), self.inner_allowance(name, 1))

    def left(self, name: MatchId, side: int) -> int:
        """R: what a side has left at the leaves of the message level."""
        return self.allowances(name)[side] - self.pair(name).used[side]

    def inner_until(self, name: MatchId, side: int) -> int:
        """The last moment at which an inner claim may join a side."""
        return self.pair(name).since + self.left(name, side) + self.terms.grace

    def inner_allowance(self, name: InnerId, side: int) -> int:
        """The deadline rule: what is left until `inner_until`, whoever died before."""
        inner = self.inner[name[:3], side][name[3 + side]]
        return self.inner_until(name[:3], side) - inner.joined_at

    def lost(self, name: AnyId) -> int:
        """Which sides have lost by the clock, now."""
        pair, allowances = self.pair(name), self.allowances(name)
        if len(name) == 3 and pair.height == 0:
            return NEITHER
        mask = NEITHER
        for side in (0, 1):
            revealed_at = self.revealed_at.get(pair.nodes[side]) if pair.height else None
            until = self.now if revealed_at is None else revealed_at
            if pair.used[side] + max(0, until - pair.since) > allowances[side]:
                mask |= 1 << side
        return mask

    def out(self, name: MatchId, side: int) -> bool:
        """A side whose time to bring an inner claim has passed, and none lives."""
        if any(inner.live for inner in self.inner.get((name, side), ())):
            return False
        return self.now > self.inner_until(name, side)

    # -- both levels -------------------------------------------------------------------------------

    def reveal(self, children: Sequence[bytes]) -> None:
        """Eight children of a node; the first time counts."""
        if len(children) != self.terms.arity:
            raise RefusedError("number of children")
        node = fold(children, self.join_nodes)
        if node not in self.revealed_at:
            self.revealed_at[node] = self.now
            self.children[node] = tuple(children)

    def advance(
        self,
        name: AnyId,
        children_0: Sequence[bytes],
        children_1: Sequence[bytes],
        following: Sequence[bytes] | None = None,
    ) -> None:
        """Reveal what is not revealed yet, descend to the first child that differs."""
        pair = self._moving(name)
        if pair.height == 0:
            raise RefusedError("at the leaves")
        if following is not None and len(following) != self.terms.arity:
            raise RefusedError("number of children")
        both = (tuple(children_0), tuple(children_1))
        if tuple(fold(children, self.join_nodes) for children in both) != pair.nodes:
            raise RefusedError("children of other nodes")
        for children in both:
            self.reveal(children)
        mask = self.lost(name)
        child = next((k for k, (x, y) in enumerate(zip(*both, strict=True)) if x != y), None)
        assert child is not None, "two nodes of a match are equal"
        times = [self.revealed_at[node] for node in pair.nodes]
        used = [pair.used[side] + max(0, times[side] - pair.since) for side in (0, 1)]
        below = Pair(
            (both[0][child], both[1][child]),
            pair.height - self.levels,
            self.terms.arity * pair.position + child,
            max(pair.since, *times),
            (used[0], used[1]),
        )
        self._put(name, below)
        if mask:
            self._decide(name, mask)
        if following is not None:
            self.reveal(following)

    def timeout(self, name: AnyId) -> None:
        """Whoever has lost by the clock loses now."""
        self._moving(name)
        mask = self.lost(name)
        if not mask:
            raise RefusedError("nobody has lost by the clock")
        self._decide(name, mask)

    def _decide(self, name: AnyId, mask: int) -> None:
        if len(name) == 3:
            self._decide_match(name, mask)
        else:
            self._decide_inner(name, mask)

    # -- the message level -------------------------------------------------------------------------

    def open(self, batch: int, one: int, two: int) -> MatchId:
        """Two live claims of one round meet; their clocks have run since the later one came."""
        name = (batch, one, two)
        if batch not in self.batches or not one < two < len(self.batches[batch].claims):
            raise RefusedError("no such claims")
        if name in self.matches:
            raise RefusedError("match is open")
        if self.status(batch, one) != LIVE or self.status(batch, two) != LIVE:
            raise RefusedError("a claim is not live")
        claims = self.claim(batch, one), self.claim(batch, two)
        since = self._since(claims[0].joined_at, claims[1].joined_at)
        nodes = (claims[0].root, claims[1].root)
        self.matches[name] = Match(Pair(nodes, self.terms.claim_height, 0, since, (0, 0)))
        return name

    def seal(self, name: MatchId, pre_root: bytes, siblings: Sequence[bytes]) -> None:
        """At the leaves: the image root that both sides agree on, before the message."""
        pair = self._moving(name)
        if pair.height or self.matches[name].stage != REVEAL:
            raise RefusedError("not at the leaves, or sealed")
        claim = self.claim(name[0], name[1])
        agreed = self.batches[name[0]].round.start_root
        if not self._precedes(pair, claim.root, pre_root, siblings, agreed):
            raise RefusedError("proof of the leaf before")
        self.matches[name] = self.matches[name]._replace(stage=SEALED, pre_root=pre_root)

    def join_inner(
        self,
        owner: str,
        name: MatchId,
        side: int,
        root: bytes,
        end: object,
        siblings: Sequence[bytes],
    ) -> int:
        """An instruction tree for a side, whose last state gives that side's post root."""
        pair = self._moving(name)
        match = self.matches[name]
        if side not in (0, 1):
            raise RefusedError("no such side")
        if match.stage != SEALED:
            raise RefusedError("not sealed")
        if self.now > self.inner_until(name, side):
            raise RefusedError("too late to join")
        present = self.inner.get((name, side), ())
        if self._inner_seen(present, root):
            raise RefusedError("this side has the root")
        try:
            state_hash, post_root = self.machine.end(end, match.pre_root)
        except ValueError as error:
            raise RefusedError("bad opening of the last state") from error
        last = (1 << self.terms.trace_height) - 1
        if len(siblings) != self.terms.trace_height:
            raise RefusedError("siblings")
        if root_of_path(state_hash, last, siblings, self.join_nodes) != root:
            raise RefusedError("proof of the last state")
        if post_root != pair.nodes[side]:
            raise RefusedError("ends in another root than its side")
        self.inner[name, side] = (*present, InnerClaim(owner, root, self.now))
        self.game_balance += self.terms.inner_bond
        return len(present)

    def settle(self, name: MatchId) -> None:
        """The verdict of the message level: who has no inner claim and no time for one."""
        pair = self._moving(name)
        if pair.height:
            raise RefusedError("not at the leaves")
        out = [self.out(name, side) for side in (0, 1)]
        alive = [any(i.live for i in self.inner.get((name, side), ())) for side in (0, 1)]
        mask = self._verdict(out, alive)
        if not mask:
            raise RefusedError("undecided")
        self._decide_match(name, mask)

    def _verdict(self, out: Sequence[bool], alive: Sequence[bool]) -> int:
        if out[0] and out[1]:
            return BOTH
        return (FIRST if out[0] and alive[1] else 0) | (SECOND if out[1] and alive[0] else 0)

    def _decide_match(self, name: MatchId, mask: int) -> None:
        batch, one, two = name
        self.matches[name] = self.matches[name]._replace(stage=DONE, lost=mask)
        if mask & FIRST:
            self.void(batch, one, None if mask == BOTH else two)
        if mask & SECOND:
            self.void(batch, two, None if mask == BOTH else one)

    # -- the instruction level ---------------------------------------------------------------------

    def open_inner(self, name: MatchId, one: int, two: int) -> InnerId:
        """An inner claim of each side meet; their clocks have run since the later one came."""
        self._moving(name)
        sides = [self.inner.get((name, side), ()) for side in (0, 1)]
        if one >= len(sides[0]) or two >= len(sides[1]):
            raise RefusedError("no such inner claim")
        inner = sides[0][one], sides[1][two]
        inner_name = (*name, one, two)
        if inner_name in self.inner_matches:
            raise RefusedError("match is open")
        if not (inner[0].live and inner[1].live):
            raise RefusedError("an inner claim is dead")
        since = self._since(inner[0].joined_at, inner[1].joined_at)
        nodes = (inner[0].root, inner[1].root)
        pair = Pair(nodes, self.terms.trace_height, 0, since, (0, 0))
        self.inner_matches[inner_name] = InnerMatch(pair)
        return inner_name

    def seal_inner(self, name: InnerId, pre_hash: bytes, siblings: Sequence[bytes]) -> None:
        """At the leaves: the state that both agree on, before the instruction."""
        pair = self._moving(name)
        if pair.height or self.inner_matches[name].stage != REVEAL:
            raise RefusedError("not at the leaves, or sealed")
        outer = self.matches[name[:3]]
        start = self.machine.start_hash(name[0], outer.pair.position, outer.pre_root)
        root = self.inner[name[:3], 0][name[3]].root
        if not self._precedes(pair, root, pre_hash, siblings, start):
            raise RefusedError("proof of the leaf before")
        sealed = self.inner_matches[name]._replace(stage=SEALED, pre_hash=pre_hash)
        self.inner_matches[name] = sealed

    def step(self, name: InnerId, witness: object) -> None:
        """One instruction, made by the contract: whose leaf is another one dies."""
        pair = self._moving(name)
        match = self.inner_matches[name]
        if match.stage != SEALED:
            raise RefusedError("not sealed")
        try:
            before, after = self.machine.step(witness)
        except ValueError as error:
            raise RefusedError("bad witness") from error
        if before != match.pre_hash:
            raise RefusedError("witness of another state")
        mask = sum(1 << side for side in (0, 1) if pair.nodes[side] != after)
        self._decide_inner(name, mask)

    def _decide_inner(self, name: InnerId, mask: int) -> None:
        outer = name[:3]
        self.inner_matches[name] = self.inner_matches[name]._replace(stage=DONE)
        inner = [self.inner[outer, side][name[3 + side]] for side in (0, 1)]
        for side in (0, 1):
            if mask >> side & 1:
                self._put_inner(outer, side, name[3 + side], inner[side]._replace(live=False))
                self._pay_inner(None if mask == BOTH else inner[1 - side].owner)

    def release_inner(self, name: MatchId, side: int, index: int) -> None:
        """The bond of an inner claim that is alive when the match of its side is over."""
        present = self.inner.get((name, side), ())
        if index >= len(present) or not present[index].live or present[index].released:
            raise RefusedError("nothing to release")
        if not self.over(name):
            raise RefusedError("match is not over")
        self._put_inner(name, side, index, present[index]._replace(released=True))
        self._credit_inner(present[index].owner, self.terms.inner_bond)

    # -- money of the game -------------------------------------------------------------------------

    def _pay_inner(self, winner: str | None) -> None:
        share = self.terms.inner_bond // 2 if winner is not None else 0
        if winner is not None:
            self._credit_inner(winner, share)
        self.game_burnt += self.terms.inner_bond - share

    def _credit_inner(self, owner: str, amount: int) -> None:
        self.game_credit_of[owner] = self.game_credit_of.get(owner, 0) + amount

    def withdraw_game_credit(self, owner: str) -> int:
        amount = self.game_credit_of.pop(owner, 0)
        if amount == 0:
            raise RefusedError("no credit")
        self.game_balance -= amount
        return amount

    def live_inner_bonds(self) -> int:
        count = sum(i.live and not i.released for inner in self.inner.values() for i in inner)
        return self.terms.inner_bond * count

    # -- rules that mutants break ------------------------------------------------------------------

    def _since(self, one: int, two: int) -> int:
        return max(one, two)

    def _inner_seen(self, present: Sequence[InnerClaim], root: bytes) -> bool:
        return any(inner.root == root for inner in present)

    # -- records -----------------------------------------------------------------------------------

    def _moving(self, name: AnyId) -> Pair:
        known = self.matches if len(name) == 3 else self.inner_matches
        if name not in known:
            raise RefusedError("no such match")
        if self.over(name):
            raise RefusedError("match is over")
        return self.pair(name)

    def _precedes(
        self, pair: Pair, root: bytes, value: bytes, siblings: Sequence[bytes], at_start: bytes
    ) -> bool:
        """Whether a value is what comes before the pair's position, in the tree of side 0."""
        if pair.position == 0:
            return not siblings and value == at_start
        if len(siblings) not in (self.terms.claim_height, self.terms.trace_height):
            return False
        return root_of_path(value, pair.position - 1, siblings, self.join_nodes) == root

    def _put(self, name: AnyId, pair: Pair) -> None:
        if len(name) == 3:
            self.matches[name] = self.matches[name]._replace(pair=pair)
        else:
            self.inner_matches[name] = self.inner_matches[name]._replace(pair=pair)

    def _put_inner(self, name: MatchId, side: int, index: int, inner: InnerClaim) -> None:
        old = self.inner[name, side]
        self.inner[name, side] = (*old[:index], inner, *old[index + 1 :])
