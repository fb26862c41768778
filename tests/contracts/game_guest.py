"""A guest of thirteen instructions, whose messages count up the first word of the image.

Message 2 traps and message 3 never ends, so both leave the image as it was (P4). It runs on the
reference machine of the step contract's tests.
"""

import copy
import dataclasses
from collections.abc import Callable

from tests.contracts import naive, step_reference
from tests.contracts.game_trees import TRACE_HEIGHT, Tree
from tests.contracts.step_cases import encode, encode_b, encode_j, encode_s
from tests.contracts.step_machine import HALTED, IMAGE, Machine, Memory, apply, witness

ENTRY = 0x7800_0000
END_OF_TEXT = 0x7800_1000
T0, T1, T2, A0, A1, A7 = 5, 6, 7, 10, 11, 17
TRAPS, LOOPS = 2, 3
PROGRAM = [
    encode("addi", rd=T0, imm_i=1),
    encode("slli", rd=T0, rs1=T0, shamt=34),
    encode("addi", rd=T2, imm_i=TRAPS),
    encode_b("beq", A0, T2, 4 * (11 - 3)),
    encode("addi", rd=T2, imm_i=LOOPS),
    encode_b("beq", A0, T2, 4 * (12 - 5)),
    encode("ld", rd=T1, rs1=T0),
    encode("addi", rd=T1, rs1=T1, imm_i=1),
    encode_s("sd", T0, T1, 0),
    encode("addi", rd=A7, imm_i=step_reference.EXIT),
    encode("ecall"),
    0,  # does not decode
    encode_j(0, 0),
]
QUARTER = 29


def program_memory() -> Memory:
    """Quarter 0 as loaded, all else zero."""
    memory = Memory()
    for number, word in enumerate(PROGRAM):
        memory.write(ENTRY + 4 * number, word.to_bytes(4, "little"))
    return memory


PROGRAM_ROOT = program_memory().node(QUARTER, 0)


def image_leaf(count: int) -> bytes:
    """The image's first leaf after so many messages that counted."""
    return count.to_bytes(8, "little") + bytes(24)


def image_root(count: int) -> bytes:
    return naive.root(image_leaf(count), QUARTER)


def counted(start: int, messages: int) -> list[int]:
    """The count after each message of a batch, by what the guest is meant to do."""
    counts = []
    for message in range(messages):
        start += message not in (TRAPS, LOOPS)
        counts.append(start)
    return counts


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a start state is composed from."""

    input_root: bytes
    first_sequence: int


def start_state(batch: Batch, message: int, count: int) -> Machine:
    """The machine before a message (chapter 10.4)."""
    memory = program_memory()
    memory._nodes[QUARTER, 2] = batch.input_root
    memory.write(IMAGE, image_leaf(count))
    # The write has hashed what is above the image's quarter; once more with the input's beside it.
    memory._nodes[30, 1] = naive.keccak(batch.input_root + memory.node(QUARTER, 3))
    memory.write(IMAGE, image_leaf(count))
    machine = Machine(memory=memory, pc=ENTRY, end_of_text=END_OF_TEXT)
    machine.registers[A0], machine.registers[A1] = message, batch.first_sequence
    return machine


@dataclasses.dataclass(frozen=True)
class End:
    """The last state of a trace, opened."""

    state: list[int]
    q0: bytes
    q1: bytes
    q23: bytes

    @property
    def arguments(self) -> tuple[list[int], bytes, bytes, bytes]:
        return (self.state, self.q0, self.q1, self.q23)


def end_of(machine: Machine) -> End:
    packed, memory = machine.pack(), machine.memory
    words = [int.from_bytes(packed[i : i + 32], "big") for i in range(0, 320, 32)]
    return End(words, memory.node(29, 0), memory.node(29, 1), memory.node(30, 1))


Lie = Callable[[Machine], None]


class Run:
    """A trace of one message; with `lies`, what somebody says that the machine did.

    A lie changes the machine behind a step; what follows is executed from there.
    """

    def __init__(
        self, batch: Batch, message: int, count: int, lies: dict[int, Lie] | None = None
    ) -> None:
        machine = start_state(batch, message, count)
        self.start = machine.hash()
        self.before = [copy.deepcopy(machine)]
        leaves: list[bytes] = []
        while len(leaves) < 2 or leaves[-1] != leaves[-2] or len(leaves) <= max(lies or {0: 0}):
            apply(machine, step_reference.step(machine))
            if lies and len(leaves) in lies:
                lies[len(leaves)](machine)
            self.before.append(copy.deepcopy(machine))
            leaves.append(machine.hash())
        self.tree = Tree(leaves, TRACE_HEIGHT)
        self.end = end_of(machine)
        self.image_root = image_root(count)
        if machine.status == HALTED:
            self.image_root = self.end.q1

    def witness(self, step: int) -> bytes:
        """The witness of an instruction, of the state that this trace has before it."""
        machine = self.before[min(step, len(self.before) - 1)]
        return witness(machine, step_reference.step(machine))
