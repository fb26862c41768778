"""`provenue vm run`: what it prints, what it refuses, and the machine against the contract."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.machine import asm
from tests.machine.asm import ins, li
from tests.machine.generate import Generator
from tests.machine.test_calls import Signed, call

from provenue.cli import main as entry
from provenue.cli import vm
from provenue.engine import guest_elf
from provenue.machine import Machine
from provenue.settlement.step_verifier import StepRefusedError, open_step_verifier


def run(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[int],
    *options: str,
    **kwargs: bytes,
) -> tuple[int, dict[str, object]]:
    """Run the command on a program; gives the exit status and what was printed."""
    file = tmp_path / "program.elf"
    file.write_bytes(asm.elf(words, **kwargs))
    status = entry.main(["vm", "run", str(file), *options])
    return status, json.loads(capsys.readouterr().out)


def test_an_exit_is_printed_with_its_code_and_the_state_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [ins("addi", 10, 0, 42), ins("addi", 17, 0, 93), ins("ecall")]
    status, answer = run(tmp_path, capsys, words)
    machine = Machine()
    machine.load_elf(asm.elf(words))
    machine.begin_program()
    machine.run(100)
    assert status == 0
    mips = answer.pop("mips")
    assert isinstance(mips, float)
    assert mips >= 0
    assert answer == {
        "exit": 42,
        "steps": 3,
        "pc": asm.TEXT + 8,
        "state_hash": "0x" + machine.machine_hash().hex(),
    }


def test_a_program_starts_with_nothing_but_a_stack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    total = [ins("add", 5, 5, register) for register in range(1, 32) if register != 2]
    words = [*total, ins("sub", 5, 2, 5), ins("sd", 5, 2, -8), *asm.exit_with(5)]
    _, answer = run(tmp_path, capsys, words, "--dump", f"{(1 << 34) - 4104}:16")
    assert answer["exit"] == (1 << 34) - 4096
    assert answer["dump"] == ((1 << 34) - 4096).to_bytes(8, "little").hex() + bytes(8).hex()


def test_a_trap_and_an_exhausted_bound_have_no_exit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = run(tmp_path, capsys, [ins("nop"), ins("ebreak")])
    assert (status, answer["exit"], answer["status"], answer["why"]) == (
        0, None, "trapped", "ebreak",
    )  # fmt: skip
    status, answer = run(tmp_path, capsys, [ins("jal", 0, 0)], "--max-steps", "1000")
    assert (status, answer["exit"], answer["status"]) == (0, None, "running")
    assert (answer["steps"], answer["pc"]) == (1000, asm.TEXT)
    assert "why" not in answer
    assert run(tmp_path, capsys, [ins("nop")], "--max-steps", "0")[1]["steps"] == 0


def test_every_step_of_a_random_program_is_the_contracts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rng: random.Random
) -> None:
    words, data = Generator(rng, 150).program()
    status, answer = run(tmp_path, capsys, words, "--onchain", data=data)
    assert status == 0
    found = answer["onchain"]
    assert isinstance(found, dict)
    assert found["evm"]
    assert (found["steps"], found["difference"]) == (answer["steps"], None)
    assert answer["status"] == "trapped"


def test_calls_are_the_contracts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rng: random.Random
) -> None:
    block = Signed(rng).block()
    words = [*call(0x4B43, 0x78001000, 100), *call(0x4543, 0x78001000), *asm.exit_with()]
    status, answer = run(tmp_path, capsys, words, "--onchain", data=block)
    assert (status, answer["exit"]) == (0, 0)
    assert answer["onchain"]["difference"] is None  # type: ignore[index]


@pytest.mark.chain
def test_the_contract_on_a_chain_gives_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*li(5, asm.IMAGE), *[ins("addi", 6, 6, 3)] * 70, ins("sd", 6, 5, 0)]
    options = ["--onchain", "--evm", "eth-tester"]
    status, answer = run(tmp_path, capsys, [*words, *asm.exit_with(6)], *options)
    assert (status, answer["exit"]) == (0, 210)
    expected = {"evm": "eth-tester", "steps": answer["steps"], "difference": None}
    assert answer["onchain"] == expected


def test_the_guest_itself_runs_until_it_misses_its_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "guest.elf"
    file.write_bytes(guest_elf("minimal"))
    assert entry.main(["vm", "run", str(file), "--max-steps", "2000", "--onchain"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["onchain"]["difference"] is None
    assert answer["onchain"]["steps"] == answer["steps"] > 100


class Broken:
    """The contract, but that it answers one step wrongly or not at all."""

    name = "broken"

    def __init__(self, step: int, reverts: bool) -> None:
        self.left, self.reverts = step, reverts

    def step(self, witnesses: Sequence[bytes]) -> list[bytes]:
        """Answer as the contract does up to the broken one."""
        with open_step_verifier() as verifier:
            if not 0 <= self.left < len(witnesses):
                self.left -= len(witnesses)
                return verifier.step(witnesses)
            at, answers = self.left, verifier.step(witnesses[: self.left])
            if self.reverts:
                raise StepRefusedError(at, "step: parts")
            return [*answers, bytes(32), *verifier.step(witnesses[at + 1 :])]


@pytest.mark.parametrize("step", [0, 5, 255, 256, 300])
@pytest.mark.parametrize("reverts", [False, True])
def test_the_first_difference_is_named(step: int, reverts: bool) -> None:
    machine = Machine()
    machine.load_elf(asm.elf([*[ins("addi", 5, 5, 1)] * 310, *asm.exit_with()]))
    machine.begin_program()
    result = machine.run(1_000)
    found = vm._check_onchain(machine, result, Broken(step, reverts))
    assert found["steps"] == step
    difference = found["difference"]
    assert (difference["step"], difference["pc"]) == (step, asm.TEXT + 4 * step)
    assert difference["word"] == f"{ins('addi', 5, 5, 1):#010x}"
    assert difference["contract"] == (None if reverts else "0x" + bytes(32).hex())
    assert difference["reverted"] == ("step: parts" if reverts else None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-steps", "-1"], "max-steps: expected 0 to 2^63 - 1, was -1"),
        (["--dump", "12"], "dump: expected ADDR:LEN"),
        (["--dump", "x:1"], "dump: expected ADDR:LEN"),
        (["--dump", "0:0x1000001"], "dump: expected at most 2^24 bytes"),
        (["--dump", "0xfffffffff:2"], "inside of memory, which ends at 2^36"),
        (["--dump", "-1:2"], "inside of memory"),
    ],
)
def test_bad_options_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    file = tmp_path / "program.elf"
    file.write_bytes(asm.elf(asm.exit_with()))
    assert entry.main(["vm", "run", str(file), *options]) == 2
    heard = capsys.readouterr()
    assert heard.out == ""
    assert heard.err.startswith("provenue vm run: ")
    assert message in heard.err


def test_bad_files_are_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text"
    text.write_text("no program")
    assert entry.main(["vm", "run", str(text)]) == 2
    heard = capsys.readouterr().err
    assert "elf.size: expected at least 64 bytes" in heard
    assert "build it static, for -march=rv64im -mabi=lp64" in heard
    for absent in (tmp_path / "absent", tmp_path):
        assert entry.main(["vm", "run", str(absent)]) == 2
        assert "file: expected a readable ELF" in capsys.readouterr().err
