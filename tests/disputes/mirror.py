"""The contracts beside the model: every move is made in both, both accept or both refuse it, and
every view is compared.

`Mirror` is a `Game` whose moves go to the contracts as well; whoever plays the model (adversaries,
the honest party, bookkeeping) plays the contracts without knowing it. Addresses are made from the
names of owners. Time is the chain's.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.contracts import naive
from tests.disputes.anchor import VOID, Batch, RefusedError, Terms
from tests.disputes.evm import ETHER, Chain, Contract, RevertedError, packed
from tests.disputes.game import DONE, AnyId, Game, MatchId
from tests.disputes.guest import Guest, Opening, image_root, keccak_join

from provenue.settlement.artifacts import Artifact, compile_contract

TERMS = Terms(
    window=3_600, grace=360, bond=10 * ETHER, forced_bond=ETHER, reserve=ETHER // 2,
    inner_bond=ETHER,
)  # fmt: skip
FORCED_FEE_WEI = 10**15
ZERO_ADDRESS = "0x" + "00" * 20
CONFIG = {
    "bond_wei": TERMS.bond,
    "forced_bond_wei": TERMS.forced_bond,
    "claim_reserve_wei": TERMS.reserve,
    "challenge_window_s": TERMS.window,
    "inbox_delay_s": 600,
    "forced_delay_s": 1_800,
    "admin_delay_s": 100_000,
    "stamp_ahead_ms": 5_000,
    "stamp_lag_ms": 60_000,
    "game": ZERO_ADDRESS,
}
MESSAGE = b"\x12"


class DifferenceError(AssertionError):
    """Model and contracts disagree."""


NAMES = ("Inbox", "Anchor", "Vault", "StepVerifier", "DisputeGame")
# A folder with other sources, and the contracts to take from it: for mutants.
SOURCE = os.environ.get("PROVENUE_GAME_SOURCE")
CHANGED = os.environ.get("PROVENUE_GAME_CHANGED", "").split()


@functools.cache
def compiled(name: str, codegen: str) -> Artifact:
    source = Path(SOURCE) / f"{name}.vy" if SOURCE and name in CHANGED else name
    return compile_contract(source, experimental_codegen=codegen == "venom")


class Contracts:
    """The contracts of a venue, deployed for a guest, the game installed."""

    def __init__(self, guest: Guest, codegen: str = "legacy", *, installed: bool = True) -> None:
        self.chain = chain = Chain()
        artifact = {name: compiled(name, codegen) for name in NAMES}
        owner, self.operator = chain.account("owner"), chain.account("operator")
        delay = CONFIG["admin_delay_s"]
        self.inbox = chain.deploy(artifact["Inbox"], owner, owner, delay, FORCED_FEE_WEI)
        config = CONFIG | {"operator": self.operator, "inbox": self.inbox.address}
        fields = _constructor(artifact["Anchor"].abi)[1]["components"]
        values = tuple(config[field["name"]] for field in fields)
        self.anchor = chain.deploy(artifact["Anchor"], owner, owner, values)
        addresses = self.inbox.address, self.anchor.address
        self.vault = chain.deploy(artifact["Vault"], owner, owner, *addresses)
        self.inbox.send(owner, "bind", self.vault.address, self.anchor.address)
        self.items = [log.fields["message"] for log in chain.logs() if log.name == "Enqueued"]
        self.verifier = chain.deploy(artifact["StepVerifier"], owner)
        self.game = chain.deploy(
            artifact["DisputeGame"], owner, self.anchor.address, self.verifier.address,
            guest.program_root, guest.entry, guest.end_of_text, TERMS.grace, TERMS.inner_bond,
            TERMS.window,
        )  # fmt: skip
        if not installed:
            return
        self.anchor.send(owner, "propose_game", self.game.address)
        chain.now += delay
        self.anchor.send(owner, "set_game")

    def post(self, claim: tuple[Any, ...]) -> None:
        """The next batch, of one message and the inbox items that wait, by the operator."""
        first = int(self.anchor.view("inbox_consumed"))
        slots = [naive.slot_root(item) for item in self.items[first : first + 64]]
        stamp = self.chain.now * 1_000
        header = (int(self.anchor.view("batch_count")), stamp, stamp, False)
        data = naive.posted([MESSAGE])
        self.anchor.send(self.operator, "post", header, slots, claim, data)


def _constructor(abi: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(next(entry for entry in abi if entry["type"] == "constructor")["inputs"])


def match_id(game: Game, name: MatchId) -> bytes:
    batch, one, two = name
    roots = game.claim(batch, one).root, game.claim(batch, two).root
    types = ["uint256", "uint256", "uint256", "bytes32", "bytes32"]
    return packed(types, [batch, one, two, *roots])


def any_id(game: Game, name: AnyId) -> bytes:
    outer = match_id(game, name[:3])
    if len(name) == 3:
        return outer
    return packed(["bytes32", "uint256", "uint256"], [outer, name[3], name[4]])


class Mirror(Game):
    """The model, and the contracts at its side."""

    def __init__(self, contracts: Contracts, guest: Guest) -> None:
        self.contracts, self.guest = contracts, guest
        self.made, self.refused, self._inside = 0, 0, False
        # Called before each move with its name and arguments; may make moves of its own.
        self.before: Callable[[str, tuple[Any, ...]], None] | None = None
        self.reasons: dict[tuple[str, str], set[str]] = {}  # refusals, by move and the model's
        self.gas: dict[str, int] = {}  # the dearest call of each move
        super().__init__(TERMS, image_root(0), guest, keccak_join)

    @property
    def now(self) -> int:
        return self.contracts.chain.now

    @now.setter
    def now(self, value: int) -> None:
        if value > self.contracts.chain.now:
            self.contracts.chain.now = value

    # -- one move in both -------------------------------------------------------------------------

    def both(self, name: str, arguments: tuple[Any, ...], send: Callable[[], Any]) -> Any:
        """Make a move in the model and in the contracts; the model's result."""
        if self._inside:  # a move that is part of another
            return getattr(Game, name)(self, *arguments)
        if self.before is not None:
            meddler, self.before = self.before, None
            try:
                meddler(name, arguments)
            finally:
                self.before = meddler
        refusal, result = None, None
        self._inside = True
        try:
            result = getattr(Game, name)(self, *arguments)
        except RefusedError as error:
            refusal = error
        finally:
            self._inside = False
        try:
            send()
        except RevertedError as error:
            if refusal is None:
                raise DifferenceError(
                    f"{name}{_short(arguments)}: the model accepts it, the contract says {error}"
                ) from error
            self.refused += 1
            self.reasons.setdefault((name, str(refusal)), set()).add(str(error))
            raise refusal from None
        if refusal is not None:
            raise DifferenceError(
                f"{name}{_short(arguments)}: the contract accepts it, the model says {refusal}"
            )
        self.made += 1
        self.gas[name] = max(self.gas.get(name, 0), self.contracts.chain.gas_used)
        if name == "post":
            self._learn_input(result)
        self.compare()
        return result

    def _learn_input(self, batch: int) -> None:
        view = self.contracts.anchor.view("batch_of", batch)
        self.guest.inputs[batch] = (view["input_root"], view["first_sequence"])

    def _anchor(
        self, owner: str, function: str, *arguments: Any, value: int = 0
    ) -> Callable[[], Any]:
        who = self.contracts.chain.account(owner)
        return lambda: self.contracts.anchor.send(who, function, *arguments, value=value)

    def _game(
        self, owner: str, function: str, *arguments: Any, value: int = 0
    ) -> Callable[[], Any]:
        who = self.contracts.chain.account(owner)
        return lambda: self.contracts.game.send(who, function, *arguments, value=value)

    # -- the anchor's moves -----------------------------------------------------------------------

    def deposit_bond(self, owner: str, amount: int) -> None:
        self.both(
            "deposit_bond", (owner, amount), self._anchor(owner, "deposit_bond", value=amount)
        )

    def withdraw_bond(self, owner: str, amount: int) -> None:
        send = self._anchor(owner, "withdraw_bond", amount)
        self.both("withdraw_bond", (owner, amount), send)

    def withdraw_credit(self, owner: str) -> int:
        return int(self.both("withdraw_credit", (owner,), self._anchor(owner, "withdraw_credit")))

    def post(self, owner: str, *claim: Any) -> int:
        assert owner == "operator"
        return int(self.both("post", (owner, *claim), lambda: self.contracts.post(_claim(claim))))

    def claim_again(self, owner: str, batch: int, *claim: Any) -> int:
        send = self._anchor(owner, "claim_again", batch, _claim(claim))
        return int(self.both("claim_again", (owner, batch, *claim), send))

    def join(self, owner: str, batch: int, *claim: Any) -> int:
        send = self._anchor(owner, "join", batch, _claim(claim), value=TERMS.bond)
        return int(self.both("join", (owner, batch, *claim), send))

    def promote(self, batch: int, index: int) -> None:
        self.both("promote", (batch, index), self._anchor("anyone", "promote", batch, index))

    def finalize(self) -> None:
        self.both("finalize", (), self._anchor("anyone", "finalize", 1))

    def release(self, batch: int, index: int) -> None:
        self.both("release", (batch, index), self._anchor("anyone", "release", batch, index))

    # -- the game's moves -------------------------------------------------------------------------

    def reveal(self, children: Any) -> None:
        if len(children) != TERMS.arity:
            raise RefusedError("number of children")  # cannot be said in the ABI
        self.both("reveal", (children,), self._game("anyone", "reveal", list(children)))

    def _id(self, name: AnyId) -> bytes:
        try:
            return any_id(self, name)
        except (KeyError, IndexError):
            return naive.keccak(repr(name).encode())

    def open(self, batch: int, one: int, two: int) -> MatchId:
        send = self._game("anyone", "open", batch, one, two)
        self.both("open", (batch, one, two), send)
        return (batch, one, two)

    def advance(self, name: AnyId, children_0: Any, children_1: Any, following: Any = None) -> None:
        arguments = (self._id(name), list(children_0), list(children_1), list(following or ()))
        send = self._game("anyone", "advance", *arguments)
        self.both("advance", (name, children_0, children_1, following), send)

    def timeout(self, name: AnyId) -> None:
        self.both("timeout", (name,), self._game("anyone", "timeout", self._id(name)))

    def settle(self, name: MatchId) -> None:
        self.both("settle", (name,), self._game("anyone", "settle", self._id(name)))

    def seal(self, name: MatchId, pre_root: bytes, siblings: Any) -> None:
        send = self._game("anyone", "seal", self._id(name), pre_root, list(siblings))
        self.both("seal", (name, pre_root, siblings), send)

    def seal_inner(self, name: AnyId, pre_hash: bytes, siblings: Any) -> None:
        send = self._game("anyone", "seal_inner", self._id(name), pre_hash, list(siblings))
        self.both("seal_inner", (name, pre_hash, siblings), send)

    def join_inner(
        self, owner: str, name: MatchId, side: int, root: bytes, end: Any, siblings: Any
    ) -> int:
        assert isinstance(end, Opening)
        arguments = (self._id(name), side, root, _end(end), list(siblings))
        send = self._game(owner, "join_inner", *arguments, value=TERMS.inner_bond)
        return int(self.both("join_inner", (owner, name, side, root, end, siblings), send))

    def open_inner(self, name: MatchId, one: int, two: int) -> Any:
        send = self._game("anyone", "open_inner", self._id(name), one, two)
        return self.both("open_inner", (name, one, two), send)

    def step(self, name: AnyId, witness: Any) -> None:
        send = self._game("anyone", "step", self._id(name), witness)
        self.both("step", (name, witness), send)

    def release_inner(self, name: MatchId, side: int, index: int) -> None:
        send = self._game("anyone", "release_inner", self._id(name), side, index)
        self.both("release_inner", (name, side, index), send)

    def withdraw_game_credit(self, owner: str) -> int:
        send = self._game(owner, "withdraw_credit")
        return int(self.both("withdraw_game_credit", (owner,), send))

    # -- every view -------------------------------------------------------------------------------

    def compare(self) -> None:
        """DifferenceError at the first view that is not the model's."""
        self._compare_money()
        for number, batch in self.batches.items():
            self._compare_batch(number, batch)
        for name in self.matches:
            self._compare_match(name)
        for inner_name in self.inner_matches:
            self._compare_inner_match(inner_name)
        for node, time in self.revealed_at.items():
            _same(self.contracts.game.view("revealed_at", node), time, "revealed_at", node)

    def _compare_money(self) -> None:
        chain, anchor, game = self.contracts.chain, self.contracts.anchor, self.contracts.game
        _same(chain.balance(anchor.address), self.balance, "balance of the anchor")
        _same(chain.balance(game.address), self.game_balance, "balance of the game")
        _same(anchor.view("burnt_wei"), self.burnt, "burnt by the anchor")
        _same(game.view("burnt_wei"), self.game_burnt, "burnt by the game")
        owners = {*self.bond_of, *self.credit_of, *self.game_credit_of}
        for owner in owners:
            address = chain.account(owner)
            _same(anchor.view("bond_of", address), self.bond_of.get(owner, 0), "bond", owner)
            held = anchor.view("open_claims_of", address)
            _same(held, self.open_of.get(owner, 0), "open claims", owner)
            _same(anchor.view("credit_of", address), self.credit_of.get(owner, 0), "credit", owner)
            held = game.view("credit_of", address)
            _same(held, self.game_credit_of.get(owner, 0), "credit at the game", owner)

    def _compare_batch(self, number: int, batch: Batch) -> None:
        anchor = self.contracts.anchor
        _same(anchor.view("final_count"), self.final_count, "final count")
        _same(anchor.view("claim_count", number), len(batch.claims), "claims of", number)
        live = 0 if number < self.final_count else len(batch.round.live)  # final is not live
        _same(anchor.view("live_count", number), live, "live claims of", number)
        active = batch.round.active
        try:
            found = anchor.view("active_claim", number)
        except RevertedError:
            found = None
        _same(found, active, "active claim of", number)
        for index, claim in enumerate(batch.claims):
            view = anchor.view("claim_of", number, index)
            where = f"of claim {number}.{index}"
            _same(view["claim_root"], claim.root, "root", where)
            _same(view["end_root"], claim.end_root, "end root", where)
            # The contract does not keep the start root of a void claim.
            start_root = bytes(32) if self.status(number, index) == VOID else claim.start_root
            _same(view["start_root"], start_root, "start root", where)
            _same(view["claimed_at"], claim.joined_at, "time", where)
            _same(view["bond_wei"], claim.bond, "bond", where)
            _same(view["status"], self.status(number, index), "status", where)
            _same(
                view["claimant"].lower(), self.contracts.chain.account(claim.owner), "owner", where
            )

    def _compare_match(self, name: MatchId) -> None:
        match = self.matches[name]
        view = self.contracts.game.view("match_of", match_id(self, name))
        where = f"of match {name}"
        _same((view["batch"], view["index_0"], view["index_1"]), name, "claims", where)
        _same(view["stage"], match.stage, "stage", where)
        self._compare_pair(view, name, where)
        if match.stage != DONE:
            _same(view["pre_root"] if match.pre_root else b"", match.pre_root, "pre root", where)
        for side in (0, 1):
            inner = self.inner.get((name, side), ())
            alive = [claim.live and not claim.released for claim in inner]
            _same(view[f"live_{side}"], sum(alive), "live inner claims", where)
            count = self.contracts.game.view("inner_count", match_id(self, name), side)
            _same(count, len(inner), "inner claims", where)
            for index, claim in enumerate(inner):
                found = self.contracts.game.view("inner_of", match_id(self, name), side, index)
                owner = self.contracts.chain.account(claim.owner)
                _same(found["owner"].lower(), owner, "owner of inner claim", where)
                _same(found["root"], claim.root, "root of inner claim", where)
                _same(found["joined_at"], claim.joined_at, "time of inner claim", where)
                _same(found["live"], alive[index], f"life of inner claim {side}.{index}", where)

    def _compare_inner_match(self, name: AnyId) -> None:
        match = self.inner_matches[name]
        view = self.contracts.game.view("inner_match_of", any_id(self, name))
        where = f"of inner match {name}"
        _same((view["inner_0"], view["inner_1"]), name[3:], "inner claims", where)
        _same(view["match_id"], match_id(self, name[:3]), "match", where)
        _same(view["stage"], match.stage, "stage", where)
        self._compare_pair(view, name, where)

    def _compare_pair(self, view: dict[str, Any], name: AnyId, where: str) -> None:
        pair = self.pair(name)
        for side in (0, 1):
            _same(view[f"node_{side}"], pair.nodes[side], "node", where)
            _same(view[f"used_{side}"], pair.used[side], "used time", where)
        _same(view["height"], pair.height, "height", where)
        _same(view["position"], pair.position, "position", where)
        _same(view["since"], pair.since, "since", where)


def _claim(claim: tuple[Any, ...]) -> tuple[Any, ...]:
    root, start_root, end_root, siblings = claim
    return (start_root, root, end_root, list(siblings))


def _end(end: Opening) -> tuple[Any, ...]:
    return ([int.from_bytes(word, "big") for word in end.state], end.q0, end.q1, end.q23)


def _same(found: Any, expected: Any, *what: Any) -> None:
    if found != expected:
        text = " ".join(str(part) for part in what)
        raise DifferenceError(f"{text}: the contract says {found!r}, the model {expected!r}")


def _short(arguments: tuple[Any, ...]) -> str:
    return str(tuple(a.hex()[:8] if isinstance(a, bytes) else a for a in arguments))[:300]


__all__ = ["CONFIG", "TERMS", "Contract", "Contracts", "DifferenceError", "Mirror", "any_id"]
