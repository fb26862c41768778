"""Planted bugs: each known failure of a fault-proof machine, as a change of the step contract.

A mutant is the contract with one text replaced. The tests of the step run against it (by the first
compiler) until one fails; a mutant that survives is a hole in the tests. Run all of them:

    .venv/bin/python -m tests.contracts.step_mutants [NAME ...]
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STEP, RV64, LEAVES = "StepVerifier.vy", "modules/rv64.vy", "modules/leaves.vy"
# Cheapest first: most mutants fall at once.
TESTS = ("random", "instructions", "memory", "encodings", "witness")


@dataclass(frozen=True)
class Mutant:
    """`lesson` is what once went wrong, in somebody's machine."""

    lesson: str
    name: str
    file: str
    old: str
    new: str


def _of(lesson: str, file: str, *changes: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(lesson, name, file, old, new) for name, old, new in changes]


MUTANTS = [
    *_of(
        "memory that must not be written", STEP,
        ("store into text", "return place >= self._end_of_text(state)", "return True"),
        ("text ends a word later", "return place >= self._end_of_text(state)",
         "return place + 8 >= self._end_of_text(state)"),
        ("store into input", "if place < IMAGE_END:", "if place < c.OUTPUT_BASE:"),
        ("no store into output", "return place >= c.OUTPUT_BASE and place < MEMORY_END",
         "return False"),
        ("store beyond memory", "return place >= c.OUTPUT_BASE and place < MEMORY_END",
         "return place >= c.OUTPUT_BASE"),
        ("load beyond memory", " != 0 or place >= MEMORY_END:", " != 0:"),
        ("load wraps at the end of memory",
         "place: uint256 = rv64._sum(base, rv64._immediate_i(word))",
         "place: uint256 = rv64._sum(base, rv64._immediate_i(word)) & (MEMORY_END - 1)"),
        ("fetch behind text", "if pc >= self._end_of_text(state):",
         "if pc > self._end_of_text(state):"),
    ),
    *_of(
        "unknown call succeeds", STEP,
        ("unknown call halts", "if number == c.ECALL_EXIT:", "if number != 0:"),
        ("unknown call retires", "    return self._stopped(state, status)\n",
         "    if number == c.ECALL_EXIT:\n        return self._stopped(state, status)\n"
         "    return self._retired(state, 0, 0, self._next_pc(state))\n"),
        ("call number cut to 32 bits", "self._register(state, A7)",
         "self._register(state, A7) & 4294967295"),
        ("exit retires", "        status = c.STATUS_HALTED\n",
         "        return self._retired(state, 0, 0, self._next_pc(state))\n"),
    ),
    *_of(
        "unaligned access is aligned in silence", STEP,
        ("load", "place: uint256 = rv64._sum(base, rv64._immediate_i(word))",
         "place: uint256 = rv64._sum(base, rv64._immediate_i(word)) & ~(size - 1)"),
        ("store", "place: uint256 = rv64._sum(base, rv64._immediate_s(word))",
         "place: uint256 = rv64._sum(base, rv64._immediate_s(word)) & ~(size - 1)"),
        ("keccak", "a0 & (c.HASH_BLOCK_BYTES - 1) == 0 and ", ""),
        ("recover", "a0 & (leaves.SIGNATURE_BYTES - 1) == 0 and ", ""),
    ),
    *_of(
        "arithmetic", RV64,
        ("sll by the whole register", "(a << (b & 63)) & M64", "(a << b) & M64"),
        ("srl by the whole register", "a >> (b & 63)", "a >> b"),
        ("sra by the whole register", "self._wide(a, SIGN_64), b & 63",
         "self._wide(a, SIGN_64), b"),
        ("sllw by six bits", "x << (y & 31)", "x << (y & 63)"),
        ("srlw by six bits", "x >> (y & 31)", "x >> (y & 63)"),
        ("sraw by six bits", "self._wide(x, SIGN_32), y & 31", "self._wide(x, SIGN_32), y & 63"),
        ("sraw of 64 bits", "self._wide(x, SIGN_32), y & 31", "self._wide(a, SIGN_64), y & 31"),
        ("srlw of 64 bits", "x >> (y & 31)", "a >> (y & 31)"),
        ("srl is arithmetic", "return True, a >> (b & 63)",
         "return True, self._shifted_right(self._wide(a, SIGN_64), b & 63) & M64"),
        ("division by zero is zero", "        return max_value(uint256)\n", "        return 0\n"),
        ("division by zero reverts", "return max_value(uint256)", "return a // b"),
        ("remainder by zero is zero", "        if f3 >= 6:\n            return a\n",
         "        if f3 >= 6:\n            return 0\n"),
        ("divw of 64 bits", "self._divided(f3, x, y, SIGN_32)", "self._divided(f3, a, b, SIGN_64)"),
        ("divu is signed", "    if f3 == 5:\n        return unsafe_div(a, b)\n", ""),
        ("remu is signed", "    if f3 == 7:\n        return a % b\n", ""),
        ("W results are not sign-extended", "return True, self._extended(result & M32, SIGN_32)",
         "return True, result & M32"),
        ("slt is unsigned", "convert(self._is_below(a, b), uint256)", "convert(a < b, uint256)"),
        ("sltu is signed", "convert(a < b, uint256)", "convert(self._is_below(a, b), uint256)"),
        ("mulhsu takes both signed", "        if f3 == 1:\n            y =",
         "        if f3 <= 2:\n            y ="),
        ("mulhsu takes both unsigned", "        if f3 <= 2:  #", "        if f3 == 1:  #"),
        ("mulh reverts on overflow", "(unsafe_mul(x, y) >> 64)", "((x * y) >> 64)"),
        ("sub reverts below zero", "unsafe_sub(a, b) & M64", "(a - b) & M64"),
        ("subw reverts below zero", "result = unsafe_sub(x, y)", "result = x - y"),
        ("immediate is not sign-extended", "self._extended(word >> 20, 2**11)", "word >> 20"),
        ("lui is not sign-extended", "self._extended(word & UPPER_MASK, SIGN_32)",
         "word & UPPER_MASK"),
    ),
    *_of(
        "branches and jumps", RV64,
        ("bge does nothing", "return True, self._is_below(a, b) == (f3 == 4)",
         "return True, self._is_below(a, b) and f3 == 4"),
        ("bltu is signed", "return True, (a < b) == (f3 == 6)",
         "return True, self._is_below(a, b) == (f3 == 6)"),
        ("blt is unsigned", "return True, self._is_below(a, b) == (f3 == 4)",
         "return True, (a < b) == (f3 == 4)"),
        ("offset of a branch loses bit 11", "(((word >> 7) & 1) << 11)",
         "(((word >> 7) & 1) << 12)"),
    ),
    *_of(
        "branches and jumps", STEP,
        ("misaligned target is taken", "if not legal or target & 3 != 0:", "if not legal:"),
        ("a branch not taken is checked, too", "if not legal or target & 3 != 0:",
         "if not legal or target & 3 != 0 or (rd == 0 and rv64._immediate_b(word) & 3 != 0):"),
        ("trap at the target",
         "    if not legal or target & 3 != 0:\n        return self._stopped(state,",
         "    if not legal or target & 3 != 0:\n"
         "        return self._stopped(self._retired(state, 0, 0, target & ~3),"),
        ("link is written before the trap",
         "    if not legal or target & 3 != 0:\n        return self._stopped(state,",
         "    if not legal or target & 3 != 0:\n        return self._stopped("
         "self._with_register(state, rd, self._next_pc(state)),"),
        ("jalr keeps bit 0", " & (M64 ^ 1)", ""),
        ("jump out of text traps at the jump", "if not legal or target & 3 != 0:",
         "if not legal or target & 3 != 0 or target >= self._end_of_text(state):"),
        ("link is the target", "return self._retired(state, rd, self._next_pc(state), target)",
         "return self._retired(state, rd, target, target)"),
        ("branch writes its rd field", "        rd = 0\n", ""),
        ("jalr does not wrap", "rv64._sum(a, rv64._immediate_i(word)) & (M64 ^ 1)",
         "(a + rv64._immediate_i(word)) & (MEMORY_END * 2 - 2)"),
    ),
    *_of(
        "lax encodings", RV64,
        ("bit 26 of shifts", "(word >> 26) << 1, a", "(word >> 27) << 2, a"),
        ("bit 25 of W shifts", "(f3 == 1 or f3 == 5) and f7 != F7_MULDIV:\n"
         "        return self._op_32(f3, f7, a,",
         "f3 == 1 or f3 == 5:\n        return self._op_32(f3, f7 & 126, a,"),
        ("bit 25 of W shifts is a division", " and f7 != F7_MULDIV:", ":"),
        ("f7 of register forms is two bits", "    if f7 == F7_BASE:\n        if f3 == 0:  # add",
         "    if f7 & 33 == F7_BASE:\n        if f3 == 0:  # add"),
        ("mulw family has mulhw", "f7 == F7_MULDIV and f3 == 0:  # mulw",
         "f7 == F7_MULDIV and f3 < 4:  # mulw"),
        ("alternate of any f3", "        return False, 0\n    if f7 == F7_MULDIV:",
         "        return True, a ^ b\n    if f7 == F7_MULDIV:"),
        ("branches 2 and 3", "return False, False", "return True, False"),
        ("fence with fm", "FENCE_MASK: constant(uint256) = 4027580415",
         "FENCE_MASK: constant(uint256) = 1048575"),
        ("fence with registers and f3", "FENCE_MASK: constant(uint256) = 4027580415",
         "FENCE_MASK: constant(uint256) = 4026531967"),
        ("compressed words", "return word & 127", "return word & 124 | 3"),
    ),
    *_of(
        "lax encodings", STEP,
        ("ebreak and CSR are ecall", "if word == rv64.ECALL_WORD:", "if opcode == rv64.SYSTEM:"),
        ("jalr with any f3", "legal = f3 == 0", "legal = True"),
        ("load 7", "if f3 == 7 or place", "if place"),
        ("stores 4 to 7", "if f3 > 3 or not is_aligned", "if not is_aligned"),
        ("x0 is written", "    if number != 0:\n", "    if number < 32:\n"),
        ("fence is reserved", "legal = rv64._is_fence(word)", "legal = False"),
        ("everything reserved is a fence", "legal = rv64._is_fence(word)", "legal = True"),
    ),
    *_of(
        "a fault reverts, so the last mover wins", STEP,
        ("reserved word", "    if not legal:\n        return self._stopped(",
         "    assert legal, \"step: reserved\"\n    if not legal:\n        return self._stopped("),
        ("misaligned load", "if f3 == 7 or place &",
         "assert place & (size - 1) == 0, \"step: misaligned\"\n    if f3 == 7 or place &"),
        ("store that is not allowed", "if f3 > 3 or not is_aligned",
         "assert self._is_writable(state, place), \"step: read-only\"\n"
         "    if f3 > 3 or not is_aligned"),
        ("fetch outside text", "        self._check_length(len(witness), c.STATE_BYTES)\n"
         "        return self._hash(self._stopped(state, c.STATUS_TRAPPED))",
         "        raise \"step: pc is outside text\""),
        ("keccak of too much", "if is_block and a1 <= c.HASH_BLOCK_BYTES:", "if is_block:"),
    ),
    *_of(
        "state bytes that are not canonical", STEP,
        ("x0", "    assert state[1] >> 192 == 0, \"step: x0 is not zero\"\n", ""),
        ("status 3", "<= c.STATUS_TRAPPED, \"step", "<= 3, \"step"),
        ("bits above the status", "assert state[STATUS_WORD] >> 128 <=",
         "assert (state[STATUS_WORD] >> 128) & M64 <="),
        ("pc", "state[STATUS_WORD] & 3 == 0, \"step", "state[STATUS_WORD] & 1 == 0, \"step"),
        ("end of text inside a page", "end & PAGE_MASK == 0", "end & 3 == 0"),
        ("end of text too high", "end <= PROGRAM_END", "end <= IMAGE_END"),
        ("end of text at the end of its quarter", "end <= PROGRAM_END", "end < PROGRAM_END"),
    ),
    *_of(
        "terminal states", STEP,
        ("a trapped machine goes on", ">> 128 != c.STATUS_RUNNING:", ">> 128 == c.STATUS_HALTED:"),
        ("a halted machine goes on", ">> 128 != c.STATUS_RUNNING:", ">> 128 == c.STATUS_TRAPPED:"),
        ("a halted machine is trapped", "        return self._hash(state)\n    if pc",
         "        return self._hash(self._stopped(state, c.STATUS_TRAPPED))\n    if pc"),
        ("halt moves pc", "    return self._stopped(state, status)\n",
         "    return self._stopped(self._retired(state, 0, 0, self._next_pc(state)), status)\n"),
    ),
    *_of(
        "two paths differ", LEAVES,
        ("big-endian memory", "return self._turned(raw) >> unsafe_sub(64, bits)", "return raw"),
        ("store of eight bytes is not turned",
         "kept | ((self._turned(number) >> unsafe_sub(64, bits)) << above)",
         "kept | "
         "((self._turned(number) if size < 8 else number) >> unsafe_sub(64, bits)) << above"),
        ("store clears its neighbours", "(unsafe_sub(ONE << bits, 1) << above)",
         "(unsafe_sub(ONE << 64, 1) << above)"),
    ),
    *_of(
        "two paths differ", STEP,
        ("lwu is sign-extended", "    if f3 < 4:\n", "    if f3 != 4 and f3 != 5:\n"),
        ("lb is not", "    if f3 < 4:\n", "    if f3 < 4 and f3 > 0:\n"),
        ("store leaves the root", "    changed[0] = convert(root, uint256)\n", ""),
        ("auipc counts from the next pc", "rv64._sum(state[STATUS_WORD] & M64, rv64._imm",
         "rv64._sum(self._next_pc(state), rv64._imm"),
    ),
    *_of(
        "parsing of the witness", STEP,
        ("bytes behind the last part", "assert found == expected", "assert found >= expected"),
        ("leaf is not proven", "    assert convert(found, uint256) == root, \"step: leaf",
         "    assert convert(found, uint256) != 0, \"step: leaf"),
        ("block is not proven", "    assert convert(found, uint256) == root, \"step: block",
         "    assert convert(found, uint256) != 0, \"step: block"),
        ("instruction proven by the access part", "_proven_leaf(witness, c.STATE_BYTES, pc,",
         "_proven_leaf(witness, FETCH_END if len(witness) == LEAF_END else c.STATE_BYTES, pc,"),
        ("access proven by the fetch part", "siblings: uint256 = FETCH_END + c.LEAF_BYTES",
         "siblings: uint256 = c.STATE_BYTES + c.LEAF_BYTES"),
    ),
    *_of(
        "parsing of the witness", LEAVES,
        ("left and right are not told apart", "if path & 1 == 0:",
         "if path & 1 == 0 or path == 5:"),
        ("place is cut to 32 bits", "path: uint256 = place >>", "path: uint256 = (place & M32) >>"),
        ("siblings of the block begin a level low", "place >> (5 + height)",
         "place >> (4 + height)"),
        ("one sibling used twice", "sibling_at = unsafe_add(sibling_at, c.LEAF_BYTES)",
         "sibling_at = min(unsafe_add(sibling_at, c.LEAF_BYTES), len(witness) - 64)"),
    ),
    *_of(
        "out-of-gas poisoning", STEP,
        # All the gas that is left is handed on, so a call that fails leaves too little to answer:
        # the floor and the assertion only count once somebody hands on less, as here.
        ("a call without gas is no signature",
         "        revert_on_failure=False,\n    )\n"
         "    assert success, \"step: recovery ran out of gas\"\n",
         "        revert_on_failure=False,\n        gas=msg.gas // 5,\n    )\n"),
    ),
    *_of(
        "preimages", STEP,
        ("keccak of the whole block", "slice(witness, FETCH_END, a1)",
         "slice(witness, FETCH_END, c.HASH_BLOCK_BYTES)"),
        ("keccak of another part", "slice(witness, FETCH_END, a1)",
         "slice(witness, c.STATE_BYTES, a1)"),
        ("keccak of 1,023 bytes at most", "a1 <= c.HASH_BLOCK_BYTES", "a1 < c.HASH_BLOCK_BYTES"),
        ("digest is big-endian", "leaves._turned((bits >> ((3 ^ i) << 6)) & M64)",
         "(bits >> ((3 ^ i) << 6)) & M64"),
        ("digest is in the other order", "(bits >> ((3 ^ i) << 6))", "(bits >> (i << 6))"),
        ("digest in a1 to a4", "unsafe_add(A0, i)", "unsafe_add(A1, i)"),
    ),
    *_of(
        "signatures unlike the chain's", STEP,
        ("high s is refused", "return self._answered(state, self._recovered(witness))",
         "if convert(extract32(witness, FETCH_END + 96), uint256) > 2**255:\n"
         "                return self._answered(state, empty(bytes32))\n"
         "            return self._answered(state, self._recovered(witness))"),
        ("v is a byte", "slice(witness, FETCH_END, leaves.SIGNATURE_BYTES),",
         "concat(slice(witness, FETCH_END, 32), empty(bytes31), "
         "slice(witness, FETCH_END + 63, 65)),"),
        ("no signature reverts", "        return empty(bytes32)\n    return extract32(response, 0)",
         "        raise \"step: no signature\"\n    return extract32(response, 0)"),
        ("no signature traps", "return self._answered(state, self._recovered(witness))",
         "if self._recovered(witness) == empty(bytes32):\n"
         "                return self._stopped(state, c.STATUS_TRAPPED)\n"
         "            return self._answered(state, self._recovered(witness))"),
        ("address is right-padded", "return extract32(response, 0)",
         "return convert(convert(extract32(response, 0), uint256) << 96, bytes32)"),
    ),
]  # fmt: skip


def write(mutant: Mutant, folder: Path) -> None:
    """The contracts with the mutant's change in a folder of their own."""
    shutil.copytree(ROOT / "contracts", folder, dirs_exist_ok=True)
    path = folder / mutant.file
    text = path.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.name}: found {text.count(mutant.old)} times"
    path.write_text(text.replace(mutant.old, mutant.new))


def killer(mutant: Mutant) -> str | None:
    """The test that fails on the mutant; None when all pass."""
    with tempfile.TemporaryDirectory() as name:
        write(mutant, Path(name))
        # What `make test` runs, also when a worker of a longer run asks.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        environment |= {"PROVENUE_STEP_SOURCE": name, "PROVENUE_STEPS": "1000"}
        files = [f"tests/contracts/test_step_{test}.py" for test in TESTS]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider",
             "-k", "not another_evm", *files],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=1_800,
            env=environment,
        )  # fmt: skip
    found = re.search(r"^FAILED tests/contracts/(\S+)", done.stdout, flags=re.MULTILINE)
    if done.returncode == 0:
        return None
    assert done.returncode == 1, done.stdout + done.stderr
    assert found is not None, f"{mutant.name}: does not compile, or no test ran\n{done.stdout}"
    return found[1]


def main(names: list[str]) -> int:
    """Print who killed whom; 1 when somebody survived."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    survivors = 0
    for mutant in chosen:
        by = killer(mutant)
        survivors += by is None
        print(f"{mutant.lesson}: {mutant.name}: {by or 'SURVIVED'}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
