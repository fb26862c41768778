"""Planted bugs of the game and of the Anchor's rounds and bonds: each is found by a test.

A mutant is a contract with one text replaced in one function. The stories and then the random
disputes of this folder run against it until one fails; a mutant that survives is a hole in the
tests. Bugs of the step have a table of their own, `tests/contracts/step_mutants.py`.

    .venv/bin/python -m tests.disputes.contract_mutants [NAME ...]
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GAME, ANCHOR = "DisputeGame.vy", "Anchor.vy"
DUELS, TRACES = "modules/duels.vy", "modules/traces.vy"
CREDITS = "modules/credits.vy"
CLAIMS, BONDS = "modules/claims.vy", "modules/bonds.vy"
# Cheapest first: most mutants fall at once.
TESTS = ("test_contract_rules.py", "test_money.py", "test_contract.py")


@dataclass(frozen=True)
class Mutant:
    """One text of one function replaced."""

    name: str
    file: str
    function: str
    old: str
    new: str

    @property
    def changed(self) -> str:
        """The contract that has to be compiled again."""
        return "DisputeGame" if self.file in (GAME, DUELS, TRACES, CREDITS) else "Anchor"


def _of(file: str, *changes: tuple[str, str, str, str]) -> list[Mutant]:
    return [Mutant(name, file, function, old, new) for name, function, old, new in changes]


MUTANTS = [
    # -- clocks ---------------------------------------------------------------------------------
    *_of(
        GAME,
        ("clocks start at opening", "open", "since=younger.claimed_at", "since=block.timestamp"),
        ("clocks start with the older claim", "open", "since=younger.claimed_at",
         "since=older.claimed_at"),
        ("the defender has the late joiner's time", "open",
         "self._allowance(older),", "self._allowance(younger),"),
        ("allowances change sides", "open",
         "self._allowance(older),\n            self._allowance(younger),",
         "self._allowance(younger),\n            self._allowance(older),"),
        ("a rival inherits the full window", "_allowance",
         "WINDOW_S - (claim.claimed_at - claim.round_started_at)", "WINDOW_S"),
        ("side 1 never pays in advance", "advance",
         "    clock.used_1 += duels._after(at_1, clock.since)\n", ""),
        ("time used is counted until the call", "advance",
         "clock.used_0 += duels._after(at_0, clock.since)",
         "clock.used_0 += duels._after(block.timestamp, clock.since)"),
        ("since stands still", "advance",
         "    clock.since = max(clock.since, max(at_0, at_1))\n", ""),
        ("since moves to the first reveal", "advance", "max(at_0, at_1)", "min(at_0, at_1)"),
        ("since moves to the call", "advance",
         "clock.since = max(clock.since, max(at_0, at_1))", "clock.since = block.timestamp"),
        ("who is late goes on", "advance",
         "    if lost != 0:\n        self._decide(id, duel, clock, lost)\n", ""),
        ("the clock of a revealed side runs", "timeout",
         "self._revealed_by_now(duel.node_1)", "block.timestamp"),
        ("no clock runs for the step", "timeout",
         "        used_0 += duels._after(block.timestamp, clock.since)\n"
         "        used_1 += duels._after(block.timestamp, clock.since)\n", "        pass\n"),
        ("a timeout of nobody", "timeout",
         "    assert lost != 0, \"game: nobody is out of time\"\n",
         ""),
        ("a timeout at the message", "timeout", "    assert clock.height > 0 or duel.parent != "
         "empty(bytes32), \"game: match is at its leaves\"\n", ""),
        ("a second reveal moves the time", "_reveal", "if revealed_at == 0:", "if True:"),
    ),
    *_of(
        DUELS,
        ("the last moment is too late", "_over_allowance", "if used_0 > ", "if used_0 >= "),
        ("the last moment is too late for side 1", "_over_allowance", "if used_1 > place",
         "if used_1 >= place"),
        ("side 1 has the time of side 0", "_over_allowance", "place >> 200",
         "(place >> 160) & MASK_40"),
        ("time before since counts", "_after", "time - since if time > since else 0",
         "time - since if time > since else since - time"),
        ("down to the last difference", "_first_difference",
         "        if children_0[k] != children_1[k]:\n            return k",
         "        if children_0[CHILDREN - 1 - k] != children_1[CHILDREN - 1 - k]:\n"
         "            return CHILDREN - 1 - k"),
    ),
    # -- the message level ----------------------------------------------------------------------
    *_of(
        GAME,
        ("a dead claim is matched", "open", "assert older.live and younger.live",
         "assert older.live"),
        ("a match is opened again", "open",
         "    assert duels.matches[id].clock == 0, \"game: match is open\"\n", ""),
        ("sides are not in order", "open",
         "    assert index_0 < index_1, \"game: the older claim is side 0\"\n", ""),
        ("a match is named by indices alone", "open",
         "abi_encode(batch, index_0, index_1, older.claim_root, younger.claim_root)",
         "abi_encode(batch, index_0, index_1)"),
        ("children of side 0 are not checked", "advance",
         "    assert node_0 == duel.node_0, \"game: not the children of side 0\"\n", ""),
        ("children of side 1 are not checked", "advance",
         "    assert node_1 == duel.node_1, \"game: not the children of side 1\"\n", ""),
        ("the position forgets the way", "advance", "clock.position * duels.CHILDREN + child",
         "clock.position + child"),
        ("seal at the leaf itself", "seal", "clock.position - 1", "clock.position"),
        ("seal with any start root", "seal",
         "        assert pre_root == claim.start_root, \"game: not the start root\"\n", ""),
        ("seal without proof", "seal",
         "        assert node == claim.claim_root, \"game: leaf is not in the tree of side 0\"\n",
         ""),
        ("seal in the tree of side 1", "seal", "(duel.place >> 64) & MASK_48",
         "(duel.place >> 112) & MASK_48"),
        ("seal again", "seal",
         "    assert clock.stage == duels.REVEAL, \"game: match is sealed\"\n", ""),
        ("seal before the leaves", "seal",
         "    assert clock.height == 0, \"game: match is not at its leaves\"\n", ""),
        ("seal by a shorter path", "seal", "        assert len(siblings) == c.CLAIM_TREE_HEIGHT,"
         " \"game: expected twelve siblings\"\n", ""),
        ("settle at once", "settle",
         "not live_0 and block.timestamp > self._deadline(duel.place, clock, 0)", "not live_0"),
        ("settle in the last moment", "settle",
         "block.timestamp > self._deadline(duel.place, clock, 1)",
         "block.timestamp >= self._deadline(duel.place, clock, 1)"),
        ("one of two that are out wins", "settle", "lost = LOST_BOTH", "lost = LOST_0"),
        ("the side with an inner claim loses", "settle", "        lost = LOST_0\n",
         "        lost = LOST_1\n"),
        ("out without an opponent", "settle", "elif out_0 and live_1:", "elif out_0:"),
        ("settle needs a seal", "settle",
         "    live_0: bool", "    assert clock.stage == duels.SEALED\n    live_0: bool"),
        ("settle above the leaves", "settle",
         "    assert clock.height == 0, \"game: match is not at its leaves\"\n", ""),
        ("settle decides nothing for somebody", "settle",
         "    assert lost != 0, \"game: nothing is decided yet\"\n", ""),
    ),
    # -- inner claims ---------------------------------------------------------------------------
    *_of(
        GAME,
        ("no grace", "_deadline", "clock.since + GRACE_S + ((place", "clock.since + ((place"),
        ("what was used comes back", "_deadline", "duels.MASK_40) - clock.used_0",
         "duels.MASK_40)"),
        ("side 1 has the deadline of side 0", "_deadline", "if side == 0:", "if True:"),
        ("inner claims join for ever", "join_inner", "    assert block.timestamp <= self._deadline("
         "duel.place, clock, side), \"game: too late to join\"\n", ""),
        ("no inner claim in the last moment", "join_inner", "block.timestamp <= self._deadline",
         "block.timestamp < self._deadline"),
        ("a third side", "join_inner", "    assert side < 2, \"game: side is not 0 or 1\"\n", ""),
        ("an inner claim for nothing", "join_inner",
         "    assert msg.value == INNER_BOND_WEI, \"game: value is not the inner bond\"\n", ""),
        ("an inner claim that ends anywhere", "join_inner",
         "    assert traces._end_root(end, duel.pre) == post_root, \"game: trace ends in another"
         " image\"\n", ""),
        ("an inner claim for the other side", "join_inner",
         "duel.node_0 if side == 0 else duel.node_1", "duel.node_1 if side == 0 else duel.node_0"),
        ("an inner claim without proof", "join_inner",
         "    assert node == root, \"game: trace does not open to its end\"\n", ""),
        ("the same inner root twice", "join_inner",
         "    assert not duels.inner_seen[seen], \"game: trace has been claimed\"\n", ""),
        ("inner claims before the seal", "join_inner",
         "    assert clock.stage == duels.SEALED, \"game: match is not sealed\"\n", ""),
    ),
    *_of(
        TRACES,
        ("quarters of another memory", "_end_root", "    assert convert(end.state[0], bytes32) =="
         " memory_root, \"game: quarters are not the memory\"\n", ""),
        ("any status", "_end_root",
         "    assert status <= c.STATUS_TRAPPED, \"game: no such status\"\n", ""),
        ("a trap keeps its image", "_end_root", "status == c.STATUS_HALTED", "status != 0"),
        ("an exhausted budget keeps its image", "_end_root", "status == c.STATUS_HALTED",
         "status != c.STATUS_TRAPPED"),
    ),
    # -- the instruction level ------------------------------------------------------------------
    *_of(
        GAME,
        ("a dead inner claim is matched", "open_inner",
         "duels._is_live(first.facts) and duels._is_live(second.facts)",
         "duels._is_live(first.facts)"),
        ("an inner match is opened again", "open_inner",
         "    assert duels.matches[id].clock == 0, \"game: match is open\"\n", ""),
        ("inner clocks start with the older claim", "open_inner", "since=max(", "since=min("),
        ("the serial inner join", "open_inner",
         "self._deadline(duel.place, clock, 0) - joined_0",
         "self._deadline(duel.place, clock, 0) - clock.since"),
        ("inner allowances change sides", "open_inner",
         "self._deadline(duel.place, clock, 1) - joined_1",
         "self._deadline(duel.place, clock, 0) - min(joined_1, self._deadline(duel.place, clock,"
         " 0))"),
        ("any start state", "seal_inner", "pre_hash == self._start_hash(duel.parent)", "True"),
        ("seal of the inner match without proof", "seal_inner",
         "        assert (\n            node == duels.inners[duel.parent][0][first].root\n"
         "        ), \"game: leaf is not in the trace of side 0\"\n", ""),
        ("inner seal at the leaf itself", "seal_inner", "clock.position - 1", "clock.position"),
        ("inner seal before the leaves", "seal_inner",
         "    assert clock.height == 0, \"game: match is not at its leaves\"\n", ""),
        ("message 0 in every start state", "_start_hash", "memory_root, message,",
         "memory_root, 0,"),
        ("sequence 0 in every start state", "_start_hash",
         "message, batch.first_sequence,", "message, 0,"),
        ("another image in the start state", "_start_hash", "duels.matches[match_id].pre",
         "duels.matches[match_id].node_0"),
        ("no input in the start state", "_start_hash", "batch.input_root,",
         "merkle._zero(c.QUARTER_HEIGHT),"),
        ("a step from another state", "step", "    assert keccak256(slice(witness, 0,"
         " c.STATE_BYTES)) == duel.pre, \"game: not the sealed state\"\n", ""),
        ("one of two wrong leaves wins", "step", "lost |= LOST_1", "lost = LOST_1"),
        ("the right leaf loses", "step", "duel.node_0 != post_hash", "duel.node_0 == post_hash"),
    ),
    # -- when a match is over, and what it does --------------------------------------------------
    *_of(
        GAME,
        ("a dead inner claim of side 0 goes on", "_is_over",
         "        if not duels._is_live(duels.inners[duel.parent][0][first].facts):\n"
         "            return True\n", ""),
        ("a dead inner claim of side 1 goes on", "_is_over",
         "        if not duels._is_live(duels.inners[duel.parent][1][second].facts):\n"
         "            return True\n", ""),
        ("a match outlives its claims", "_is_over", "    return not staticcall ANCHOR.both_live(\n"
         "        above & MASK_64, (above >> 64) & MASK_48, (above >> 112) & MASK_48\n    )",
         "    return False"),
        ("nobody has won", "_decide", "ANCHOR.void_claim(batch, index_0, index_1 + 1)",
         "ANCHOR.void_claim(batch, index_0, 0)"),
        ("the winner dies", "_decide", "if lost == LOST_0:", "if lost == LOST_1:"),
        ("one of two survives", "_decide",
         "        extcall ANCHOR.void_claim(batch, index_1, 0)\n", ""),
    ),
    *_of(
        DUELS,
        ("a dead inner claim counts as living", "_end_inner",
         "    self.arenas[match_id][side] -= ONE << 128\n", ""),
        ("an inner claim does not die", "_end_inner",
         "    self.inners[match_id][side][index].facts = ended\n", ""),
        ("one inner loss kills the side", "_end_inner",
         "self.arenas[match_id][side] -= ONE << 128",
         "self.arenas[match_id][side] = self.arenas[match_id][side] & MASK_128"),
        ("an inner claim joins dead", "_add_inner", " | (ONE << 200)", ""),
        ("an inner claim is not counted", "_add_inner", "arena + 1 + (ONE << 128)",
         "arena + (ONE << 128)"),
        ("an inner claim joined at the start of time", "_joined_at",
         "return (inner >> 160) & MASK_40", "return 0"),
    ),
    # -- money of the game ----------------------------------------------------------------------
    *_of(
        GAME,
        ("nothing of an inner bond is burnt", "_end_inner", "INNER_BOND_WEI // 2",
         "INNER_BOND_WEI"),
        ("the burnt half is forgotten", "_end_inner",
         "        credits.burnt += INNER_BOND_WEI - won_wei\n", ""),
        ("the loser is paid", "_end_inner", "[1 - side][inners[1 - side]].facts",
         "[side][inners[side]].facts"),
        ("both are paid when both die", "_end_inner", "if lost != LOST_BOTH:", "if True:"),
        ("release while the match goes on", "release_inner",
         "    assert self._is_over(duel), \"game: match goes on\"\n", ""),
        ("release twice", "release_inner",
         "duels._end_inner(match_id, side, inner)", "duels._owner_of(stored)"),
        ("release of a dead inner claim", "release_inner",
         "    assert duels._is_live(stored), \"game: inner claim is not live\"\n", ""),
        ("release to the caller", "release_inner", "credits._credit(owner,",
         "credits._credit(msg.sender,"),
    ),
    *_of(
        CREDITS,
        ("credit is paid again", "withdraw_credit", "    self.credits[msg.sender] = 1\n", ""),
        ("a credit is a wei too high", "_credit_of", "max(1, self.credits[owner]) - 1",
         "self.credits[owner]"),
        ("what was burnt is forgotten at deployment", "__init__", "self.burnt = 1",
         "self.burnt = 2"),
    ),
    # -- rounds and claims ----------------------------------------------------------------------
    *_of(
        ANCHOR,
        ("join behind the window", "join", "    assert block.timestamp < (head >> 192) +"
         " CHALLENGE_WINDOW_S, \"anchor: window is closed\"\n", ""),
        ("join in the moment of the end", "join", "block.timestamp < (head", "block.timestamp <="
         " (head"),
        ("join a round that is over", "join",
         "    assert claims._live(head) > 0, \"anchor: batch has no live claim\"\n", ""),
        ("a rival without a game", "join",
         "    assert roles.game != empty(address), \"anchor: no game is set\"\n", ""),
        ("join for nothing", "join",
         "    assert msg.value == bond_wei, \"anchor: value is not the bond\"\n", ""),
        ("join a final batch", "join", "    claims._check_open(batch)\n", ""),
        ("the same root twice", "_record",
         "    assert not claims.seen[seen], \"anchor: claim has been made\"\n", ""),
        ("a root once for all rounds", "_record",
         "abi_encode(batch, round, claim.claim_root)", "abi_encode(batch, claim.claim_root)"),
        ("any start root", "_record",
         "claim.start_root == claims._start_root(batch)", "True"),
        ("a claim without opening", "_record", "    assert opened == claim.claim_root, \"anchor:"
         " claim does not open to its end root\"\n", ""),
        ("claim again beside a live claim", "claim_again", "    assert claims._live("
         "claims.heads[batch]) == 0, \"anchor: batch has a live claim\"\n", ""),
        ("a new round with the old number", "_claim", "((head >> 96) & claims.MASK_48) + 1",
         "max((head >> 96) & claims.MASK_48, 1)"),
        ("promote beside an active claim", "promote", "    assert claims._active(batch) == 0,"
         " \"anchor: batch has an active claim\"\n", ""),
        ("promote a dead claim", "promote",
         "    assert claims._is_live(batch, index), \"anchor: claim is not live\"\n", ""),
        ("anybody voids", "void_claim",
         "    assert msg.sender == roles.game, \"anchor: caller is not the game\"\n", ""),
        ("nobody takes the place of the active claim", "void_claim", " | (winner << 48)", ""),
        ("the winner always becomes active", "void_claim",
         "    claims.heads[batch] = head\n",
         "    if winner > 0:\n        head = (head & ~(claims.MASK_48 << 48)) | (winner << 48)\n"
         "    claims.heads[batch] = head\n"),
        ("later claims stand on a dead one", "void_claim",
         "        self._void_behind(batch)\n", ""),
        ("later claims fall with a rival", "void_claim",
         "        self._void_behind(batch)\n    claims.heads[batch] = head\n",
         "    self._void_behind(batch)\n    claims.heads[batch] = head\n"),
        ("the dead are counted", "void_claim", " - (ONE << 144)", ""),
        ("the loser lives on", "void_claim",
         "    claims.stored[batch][loser].stand |= claims.DEAD\n", ""),
        ("fallen rounds go on", "_void_behind", "((round + 1) << 96)", "(round << 96)"),
        ("fallen claims stay open", "_void_behind", "                bonds._close(facts._claimant("
         "claims.stored[next][active - 1].facts))\n", "                pass\n"),
        ("fallen rivals close what they never opened", "_void_behind",
         "if claims.stored[next][active - 1].stand & OWN_BOND == 0:", "if True:"),
        ("final beside a rival", "finalize", " or claims._live(head) != 1", ""),
        ("final before the window", "finalize", "        if block.timestamp < (head >> 192) +"
         " CHALLENGE_WINDOW_S:\n            break\n", ""),
        ("final a moment later", "finalize", "block.timestamp < (head", "block.timestamp <= (head"),
        ("final claims stay open", "finalize", "            bonds._close(facts._claimant("
         "claims.stored[next][active - 1].facts))\n", "            pass\n"),
        ("final rivals close what they never opened", "finalize",
         "if claims.stored[next][active - 1].stand & OWN_BOND == 0:", "if True:"),
    ),
    *_of(
        CLAIMS,
        ("claims of final batches live", "_is_live", " or batch < self.final_count", ""),
    ),
    # -- money of the Anchor --------------------------------------------------------------------
    *_of(
        ANCHOR,
        ("a rival pays from the shared bond", "void_claim",
         "if claims.stored[batch][loser].stand & OWN_BOND != 0:",
         "if claims.stored[batch][loser].stand & OWN_BOND != 0 and False:"),
        ("release of a live rival", "release",
         "    assert not claims._is_live(batch, index), \"anchor: claim is live\"\n", ""),
        ("release of a bond twice", "release",
         "    claims.stored[batch][index].stand = stand | RELEASED\n", ""),
        ("release of a lost bond", "release", "stand & (claims.DEAD | RELEASED) == 0",
         "stand & RELEASED == 0"),
        ("release of a bond that was never there", "release",
         "    assert stand & OWN_BOND != 0, \"anchor: claim has no bond of its own\"\n", ""),
    ),
    *_of(
        BONDS,
        ("no reserve for the second claim", "_open", "bond_wei + count * reserve_wei", "bond_wei"),
        ("the loser pays other claims' reserves", "_slash", "others * reserve_wei", "0"),
        ("the loser keeps its reserve", "_slash", "bond_wei + reserve_wei", "bond_wei"),
        ("nothing of a bond is burnt", "_pay", "taken_wei // 2", "taken_wei"),
        ("the burnt half of a bond is forgotten", "_pay",
         "    self.burnt_wei += taken_wei - credit_wei\n", ""),
        ("somebody is paid when both die", "_pay", "0 if winner == empty(address) else taken_wei"
         " // 2", "taken_wei // 2"),
        ("a bond goes while claims are open", "withdraw_bond",
         "    assert self.open_claims_of[msg.sender] == 0, \"anchor: claims are open\"\n", ""),
        ("credit of the Anchor is paid again", "withdraw_credit",
         "    self.credit_of[msg.sender] = 0\n", ""),
    ),
]  # fmt: skip


def body(text: str, function: str) -> tuple[int, int]:
    """Where a function stands in a source."""
    start = re.search(rf"^def {function}\(", text, flags=re.MULTILINE)
    assert start is not None, function
    end = re.compile(r"^(@|# ---)", flags=re.MULTILINE).search(text, start.end())
    return start.start(), len(text) if end is None else end.start()


def write(mutant: Mutant, folder: Path) -> None:
    """The contracts with the mutant's change in a folder of their own."""
    shutil.copytree(ROOT / "contracts", folder, dirs_exist_ok=True)
    path = folder / mutant.file
    text = path.read_text()
    first, end = body(text, mutant.function)
    inside = text[first:end]
    found = inside.count(mutant.old)
    assert found == 1, f"{mutant.name}: {mutant.function} has its text {found} times"
    path.write_text(text[:first] + inside.replace(mutant.old, mutant.new) + text[end:])


def killer(mutant: Mutant) -> str | None:
    """The test that fails on the mutant; None when all pass."""
    with tempfile.TemporaryDirectory() as name:
        write(mutant, Path(name))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        environment |= {
            "PROVENUE_GAME_SOURCE": name, "PROVENUE_GAME_CHANGED": mutant.changed,
            "PROVENUE_RUNS": environment.get("PROVENUE_MUTANT_RUNS", "60"),
        }  # fmt: skip
        files = [f"tests/disputes/{test}" for test in TESTS]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider",
             "-k", "not venom and not model", *files],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=3_000,
            env=environment,
        )  # fmt: skip
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) tests/disputes/(\S+)", done.stdout, flags=re.MULTILINE)
    assert done.returncode == 1, done.stdout + done.stderr
    assert found is not None, f"{mutant.name}: no test ran\n{done.stdout}"
    return found[1]


def main(names: list[str]) -> int:
    """Print who killed whom; 1 when somebody survived."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    survivors = 0
    for mutant in chosen:
        started = time.monotonic()
        by = killer(mutant)
        survivors += by is None
        took = time.monotonic() - started
        print(f"{mutant.file}: {mutant.name}: {by or 'SURVIVED'} ({took:.0f} s)", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
