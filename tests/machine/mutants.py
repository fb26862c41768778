"""Planted bugs: one line of the machine changed at a time; some test must notice each.

    .venv/bin/python -m tests.machine.mutants [NAME ...]

Works on a copy in build/mutants, which it builds once and then file by file (about half a minute a
mutant). Prints a line for each: its name, what it stands for, the first test that failed. Exit
status 1 if one survives or the copy is red without any.

The numbers are those of published bugs of fault-proof machines: 1 code overwritten, 2 memory
beyond its bound, 3 unknown call succeeds, 4 misaligned access made to fit, 5 arithmetic and pc,
6 lax encodings, 7 misaligned jump targets, 8 a revert in place of a trap, 9 states that are not
canonical, 10 halted states that go on, 11 slow and fast path differ, 12 witness parsing,
16 ecrecover. `own` are ways in which only this machine could go wrong.
"""

import dataclasses
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tools.bootstrap import compiler_settings

__all__ = ["MUTANTS", "Mutant", "Workshop", "main"]

ROOT = Path(__file__).resolve().parents[2]
_COPIED = (
    "CMakeLists.txt", "pyproject.toml", "cmake", "core", "keccak", "machine", "bindings",
    "protocol", "contracts", "src", "tests", "tools",
)  # fmt: skip
# What needs no machine, or a quiet one.
_LEFT_OUT = ("test_vm.py", "test_speed.py", "test_mutants.py")
_RUNNER = """
import sys
sys.path[:0] = [sys.argv[1] + "/src", sys.argv[1]]
sys.path.append(sys.argv[2])
import pytest
sys.exit(pytest.main(sys.argv[3:]))
"""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A change of one place. `old` occurs exactly once in the file."""

    name: str
    finding: str
    file: str
    old: str
    new: str


def _m(name: str, finding: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(name, finding, f"machine/{file}", old, new)


MUTANTS = [
    _m("text can be overwritten", "1", "layout.hpp",
       "kQuarterBits: return address >= end_of_text;", "kQuarterBits: return true;"),
    _m("input can be written", "1", "layout.hpp", "default: return false;",
       "default: return address < kMemorySize;"),
    _m("addresses wrap at the end of memory", "2", "view.hpp",
       "    if (address >= kMemorySize) [[unlikely]] return false;\n    std::memcpy(&value",
       "    address %= kMemorySize;\n    std::memcpy(&value"),
    _m("an unknown call succeeds", "3", "step.hpp", "default: return Event::unknown_call;",
       "default: return Event::none;"),
    _m("a misaligned load is made to fit", "4", "step.hpp",
       "  if (address % sizeof value != 0) [[unlikely]] return Event::misaligned_load;\n"
       "  if (!s.load(address, value))",
       "  if (!s.load(address & ~(sizeof value - 1), value))"),
    _m("a misaligned store is made to fit", "4", "step.hpp",
       "  if (address % sizeof value != 0) [[unlikely]] return Event::misaligned_store;\n"
       "  if (!s.store(address, value))",
       "  if (!s.store(address & ~(sizeof value - 1), value))"),
    _m("sraw uses the whole register", "5", "step.hpp",
       "int64_t{static_cast<int32_t>(word) >> (b & 31)}",
       "int64_t{static_cast<int32_t>(word) >> (b > 31 ? 31 : b)}"),
    _m("sra uses five bits", "5", "step.hpp", "as_signed(a) >> (b & 63)",
       "as_signed(a) >> (b & 31)"),
    _m("division by zero gives zero", "5", "step.hpp", "if (b == 0) return static_cast<T>(-1);",
       "if (b == 0) return 0;"),
    _m("remainder by zero is zero", "5", "step.hpp", "if (b == 0) return a;",
       "if (b == 0) return 0;"),
    _m("divw uses 64 bits", "5", "step.hpp",
       "case Op::divw: return sign_extend_word(static_cast<uint32_t>(divide(wa, wb)));",
       "case Op::divw: return static_cast<uint64_t>(divide(sa, sb));"),
    _m("divuw does not sign-extend", "5", "step.hpp",
       "case Op::divuw: return sign_extend_word(divide(ua, ub));",
       "case Op::divuw: return divide(ua, ub);"),
    _m("mulhsu takes both signed", "5", "step.hpp",
       "case Op::mulhsu: return mul_high_unsigned(a, b) - (sa < 0 ? b : 0);",
       "case Op::mulhsu: return mul_high_unsigned(a, b) - (sa < 0 ? b : 0) - (sb < 0 ? a : 0);"),
    _m("jalr keeps bit 0", "5", "step.hpp", "offset_by(s.x(i.rs1), i.imm) & ~uint64_t{1}, i.rd",
       "offset_by(s.x(i.rs1), i.imm), i.rd"),
    _m("jalr links pc + 8", "5", "step.hpp",
       "  s.set_x(link, s.pc() + 4);\n  s.set_pc(target);",
       "  s.set_x(link, s.pc() + 8);\n  s.set_pc(target);"),
    _m("bgeu does nothing", "5", "step.hpp", "case Op::bgeu: return a >= b;",
       "case Op::bgeu: return false;"),
    _m("bltu is signed", "5", "step.hpp", "case Op::bltu: return a < b;",
       "case Op::bltu: return as_signed(a) < as_signed(b);"),
    _m("slli ignores bit 26", "6", "decode.cpp", "{bits(word, 26, 6) == 0 ? Op::slli",
       "{bits(word, 27, 5) == 0 ? Op::slli"),
    _m("W shifts ignore bit 25", "6", "decode.cpp", "const uint32_t top = bits(word, 25, 7);",
       "const uint32_t top = bits(word, 26, 6) << 1;"),
    _m("jalr takes any funct3", "6", "decode.cpp", "{funct3 == 0 ? Op::jalr : ill,", "{Op::jalr,"),
    _m("fence.i is a fence", "6", "decode.cpp", "kFenceMask = 0xF00F'FFFF",
       "kFenceMask = 0xF00F'8FFF"),
    _m("fence.tso is a fence", "6", "decode.cpp", "kFenceMask = 0xF00F'FFFF",
       "kFenceMask = 0x000F'FFFF"),
    _m("ecall takes any rs1", "6", "decode.cpp", "word == kEcall ?",
       "(word & 0xFFF0'7FFF) == kEcall ?"),
    _m("and takes funct7 0x20", "6", "decode.cpp", "funct3 == 5 ? Op::sra : ill;",
       "funct3 == 5 ? Op::sra : kRegOps[funct3];"),
    _m("misaligned branch and jal targets pass", "7", "step.hpp",
       "if (offset % 4 != 0) [[unlikely]] return Event::misaligned_jump;", "offset &= ~3;"),
    _m("misaligned jalr targets pass", "7", "step.hpp",
       "if (target % 4 != 0) [[unlikely]] return Event::misaligned_jump;",
       "target &= ~uint64_t{3};"),
    _m("an illegal word is refused, not trapped", "8", "replay.cpp",
       "      c->instruction = decode(word);",
       "      c->instruction = decode(word);\n"
       '      if (c->instruction.op == Op::illegal) throw WitnessError("word");'),
    _m("a load outside memory is refused, not trapped", "8", "replay.cpp",
       "    if (address >= kMemorySize) return false;\n    const uint8_t* leaf",
       '    if (address >= kMemorySize) throw WitnessError("load");\n    const uint8_t* leaf'),
    _m("x0 may be anything", "9", "replay.cpp", "core.x[0] == 0, ", "true, "),
    _m("the status word may have upper bits", "9", "replay.cpp", "get_big(word9) == 0 && status",
       "status"),
    _m("a fourth status", "9", "replay.cpp", "status <= static_cast<uint64_t>(Status::trapped)",
       "status <= 3"),
    _m("pc may be even", "9", "replay.cpp", "core.pc % 4 == 0, ", "core.pc % 2 == 0, "),
    _m("end of text may be anywhere", "9", "replay.cpp",
       "core.end_of_text % kPageSize == 0 && core.end_of_text <= kQuarterSize", "true"),
    _m("a halted machine runs on", "10", "run.hpp", "if (status_ == Status::running) {",
       "if (status_ != Status::trapped) {"),
    _m("a trapped machine runs on", "10", "run.hpp", "if (status_ == Status::running) {",
       "if (status_ != Status::halted) {"),
    _m("replay steps from HALTED", "10", "replay.cpp",
       "if (context.core.status == Status::running) {",
       "if (context.core.status != Status::trapped) {"),
    _m("a call that stops moves pc", "10", "step.hpp",
       "    if (event != Event::none) return event;\n  }\n  return retire(s);",
       "    if (event != Event::none) {\n      s.advance();\n      return event;\n    }\n  }\n"
       "  return retire(s);"),
    _m("a pair makes its first operation twice", "11", "run.hpp",
       "PROVENUE_MACHINE_LAST(second, *s.at)", "PROVENUE_MACHINE_LAST(first, *s.at)"),
    _m("every pair is taken for a chain", "11", "fuse.cpp",
       "reads_rs1(next.op) && next.rs1 == instruction.rd", "reads_rs1(next.op)"),
    _m("sub is taken to commute", "11", "fuse.cpp", "case Op::beq: case Op::bne: return true;",
       "case Op::beq: case Op::bne: case Op::sub: return true;"),
    _m("word by word, jumps go forward only", "11", "view.hpp",
       "  void jump_by(int32_t offset) { at += static_cast<uint64_t>(int64_t{offset}); }",
       "  void jump_by(int32_t offset) { at += static_cast<uint32_t>(offset); }"),
    _m("the fast loop counts a jump twice", "11", "run.hpp", "end += address(s.at) - next;",
       "end += address(s.at) - next - (counted ? 0 : kStep);"),
    _m("recording forgets stores", "11", "record.cpp",
       "if (c.stored && record.event == Event::none) root", "if (false) root"),
    _m("replay loads are not sign-extended", "11", "replay.cpp",
       "    std::memcpy(&value, leaf + address % kLeafSize, sizeof value);\n    return true;",
       "    value = 0;\n    std::memcpy(&value, leaf + address % kLeafSize, sizeof value);\n"
       "    value = static_cast<T>(value & 0x7F);\n    return true;"),
    _m("bytes behind the parts pass", "12", "replay.cpp", "if (!left_.empty())",
       "if (left_.size() > kLeafSize)"),
    _m("only the fetch is proven", "12", "replay.cpp", "height, data + kData) != root_)",
       "height, data + kData) != root_ && name[0] == 'f')"),
    _m("siblings on the wrong side", "12", "replay.cpp",
       "const bool right = (address >> (kLeafBits + height) & 1) != 0;",
       "const bool right = (address >> (kLeafBits + height + 1) & 1) != 0;"),
    _m("a block's last leaf is not proven", "12", "replay.cpp",
       "const Digest right = subtree_root<height - 1>(leaves + (kLeafSize << (height - 1)));",
       "const Digest right = subtree_root<height - 1>(height == 5 ? leaves + 480 : leaves + "
       "(kLeafSize << (height - 1)));"),
    _m("v may be 29", "16", "step.hpp", "(v[31] == 27 || v[31] == 28)", "v[31] >= 27"),
    _m("upper bytes of v do not count", "16", "step.hpp",
       "std::memcmp(v, kZero, 31) == 0 && (v", "(kZero[0] == 0) && (v"),
    _m("r and s may be the order", "16", "step.hpp", "std::memcmp(value, kGroupOrder, 32) < 0",
       "std::memcmp(value, kGroupOrder, 32) <= 0"),
    _m("high s is invalid", "16", "step.hpp", "is_scalar(in + 96) &&",
       "is_scalar(in + 96) && in[96] < 0x80 &&"),
    _m("an invalid signature traps", "16", "step.hpp",
       "if (!valid) std::memset(out, 0, sizeof out);",
       "if (!valid) return Event::bad_call_argument;"),
    _m("a trace takes the root before the store", "own", "recorder.cpp",
       "roots_.data() + (stores - 1) * kLeafSize", "roots_.data() + (stores / 2) * kLeafSize"),
    _m("a trace takes siblings of later stores", "own", "recorder.cpp",
       "      nodes_[k] = node / 2;", "      nodes_[k] = node / 2 + (height == 9);"),
    _m("a store of the old value stays unmarked in the tree", "own", "recorder.cpp",
       "if (old != value) tracing.store(address);", "if (old < value) tracing.store(address);"),
    _m("the tree forgets what a rollback brought back", "own", "memory.cpp",
       "    tree_.mark_page(page, words[0], words[1]);\n    words[0]", "    words[0]"),
    _m("clearing the input leaves its tree", "own", "memory.cpp",
       "      tree_.mark(kInputBase + r.offset, r.size);\n", ""),
    _m("a poked text word stays decoded", "own", "machine.cpp",
       "  decode_again(address, data.size());\n", ""),
    _m("padding of the last group", "own", "trace.cpp",
       "leaves.push_back(fixed_leaf(first + leaves.size()));", "leaves.push_back(runs_[0].hash);"),
]  # fmt: skip


class Workshop:
    """A copy of the tree with an extension of its own."""

    def __init__(self) -> None:
        self.tree = ROOT / "build" / "mutants" / "tree"
        self.build = ROOT / "build" / "mutants" / "build"
        self.tree.mkdir(parents=True, exist_ok=True)
        for name in _COPIED:
            self._copy(ROOT / name, self.tree / name)
        # A mutant may leave something unused.
        flags = self.tree / "cmake" / "flags.cmake"
        flags.write_text(flags.read_text().replace(" -Werror", ""))
        tools = Path(sys.executable).parent
        self._ninja = str(tools / "ninja")
        settings = compiler_settings()
        self._settings = os.environ | settings
        self._run(
            str(tools / "cmake"), "-S", str(self.tree), "-B", str(self.build), "-G", "Ninja",
            f"-DCMAKE_MAKE_PROGRAM={self._ninja}", "-DCMAKE_BUILD_TYPE=Release",
            "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG", "-DSKBUILD_STATE=editable",
            f"-DPython_EXECUTABLE={sys.executable}", *settings.get("CMAKE_ARGS", "").split(),
        )  # fmt: skip

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        """Copy what differs, so that a second run builds little."""
        if source.is_file():
            if not target.exists() or source.read_bytes() != target.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
            return
        for path in source.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                Workshop._copy(path, target / path.relative_to(source))

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, env=self._settings, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stdout[-3000:]}{done.stderr[-1000:]}")

    def first_failure(self) -> str | None:
        """Build, run the machine's tests, and name the first that fails; None if all pass."""
        self._run(self._ninja, "-C", str(self.build), "_native")
        for old in (self.tree / "src" / "provenue").glob("_native.*.so"):
            old.unlink()
        (made,) = self.build.glob("_native.*.so")
        shutil.copy(made, self.tree / "src" / "provenue")
        ignored = [f"--ignore=tests/machine/{name}" for name in _LEFT_OUT]
        done = subprocess.run(
            [
                sys.executable, "-S", "-c", _RUNNER, str(self.tree), sysconfig.get_path("purelib"),
                "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", "--tb=no", "--timeout=60",
                *ignored, "tests/machine",
            ],
            cwd=self.tree, env=os.environ | {"PROVENUE_STEPS": "1000"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return None
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if failed:
            return failed[0].split()[1].removeprefix("tests/machine/").partition("[")[0]
        return f"(ended with status {done.returncode})"

    def with_mutant(self, mutant: Mutant) -> str | None:
        """The first test that fails with the bug planted."""
        path = self.tree / mutant.file
        text = path.read_text()
        if text.count(mutant.old) != 1:
            raise RuntimeError(
                f"{mutant.name}: {mutant.file}: expected its place once, "
                f"was there {text.count(mutant.old)} times"
            )
        path.write_text(text.replace(mutant.old, mutant.new))
        try:
            return self.first_failure()
        finally:
            path.write_text(text)


def main(names: list[str]) -> int:
    """The command line; the return value is the exit status."""
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        print(f"mutant: expected a name of MUTANTS, was {sorted(unknown)}", file=sys.stderr)
        return 2
    workshop = Workshop()
    red = workshop.first_failure()
    if red is not None:
        print(f"without a mutant: expected all green, {red} failed", file=sys.stderr)
        return 1
    survivors = 0
    for mutant in MUTANTS:
        if names and mutant.name not in names:
            continue
        killer = workshop.with_mutant(mutant)
        survivors += killer is None
        print(f"| {mutant.name} | {mutant.finding} | {killer or 'SURVIVES'} |", flush=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
