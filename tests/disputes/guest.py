"""A real machine for disputes: a small program, true trees over keccak, witnesses of true steps.

The image is one counter. Message i adds i + 1 to it; but message 1 then loops for ever and message
2 traps, so both leave the image as it was (10.4); behind the last message nothing happens. States
and witnesses are made by the naive reference of the step contract's tests.
"""

import functools
from typing import NamedTuple

from tests.contracts import naive, step_reference
from tests.contracts.step_machine import HALTED, IMAGE, TRAPPED, Machine, Memory, apply, witness
from tests.disputes.trees import Tree
from tests.machine.asm import TEXT, ins, word

MESSAGES = 6
CLAIM_HEIGHT, TRACE_HEIGHT, QUARTER_HEIGHT = 12, 24, 29
T0, T1, T2, A0, A7 = 5, 6, 7, 10, 17
LOOPS, TRAPS = 1, 2

PROGRAM = [
    ins("addi", T0, 0, MESSAGES),
    ins("bgeu", A0, T0, 4 * 11),  # to the exit
    ins("addi", T1, 0, 1),
    ins("slli", T1, T1, 34),
    ins("ld", T2, T1, 0),
    ins("add", T2, T2, A0),
    ins("addi", T2, T2, 1),
    ins("sd", T2, T1, 0),
    ins("addi", T0, 0, LOOPS),
    ins("beq", A0, T0, 4 * 5),  # to the loop
    ins("addi", T0, 0, TRAPS),
    ins("beq", A0, T0, 4 * 4),  # to the trap
    ins("addi", A7, 0, 93),
    ins("ecall"),
    ins("jal", 0, 0),
    ins("ebreak"),
]


def keccak_join(left: bytes, right: bytes) -> bytes:
    return naive.keccak(left + right)


class Opening(NamedTuple):
    """A last state, opened: EndOpening of the game's ABI."""

    state: tuple[bytes, ...]  # ten words
    q0: bytes
    q1: bytes
    q23: bytes

    @property
    def hash(self) -> bytes:
        return naive.keccak(b"".join(self.state))


class Trace(NamedTuple):
    """What is known of one message's run."""

    tree: Tree
    states: tuple[bytes, ...]  # hashes of state[0], state[1], ... until they repeat
    witnesses: tuple[bytes, ...]
    end: Opening


@functools.cache
def image_root(counter: int) -> bytes:
    return naive.root(counter.to_bytes(8, "little"), QUARTER_HEIGHT)


class Guest:
    """The program, and all that an honest party computes about its batches."""

    messages, steps = MESSAGES, 14
    entry, end_of_text = TEXT, TEXT + 4096

    def __init__(self) -> None:
        self.memory = Memory()
        self.memory.write(TEXT, b"".join(word(value) for value in PROGRAM))
        self.program_root = self.memory.node(QUARTER_HEIGHT, 0)
        # Input root and first sequence number, by batch; known when it is posted.
        self.inputs: dict[int, tuple[bytes, int]] = {}
        self._counters = {image_root(0): 0, naive.zero(QUARTER_HEIGHT): 0}
        self._after: dict[bytes, bytes] = {}
        self._traces: dict[tuple[int, int, bytes], Trace] = {}
        self.claim_tree = functools.cache(self._claim_tree)

    # -- claims -----------------------------------------------------------------------------------

    def _claim_tree(self, batch: int, start_root: bytes) -> Tree:
        """The true tree; from a root that nobody can open, some tree (a liar's)."""
        counter = self._counters.get(start_root)
        if counter is None:
            root = naive.keccak(start_root + naive.word(batch))
            return Tree(CLAIM_HEIGHT, root, {}, join=keccak_join)
        roots = {}
        for message in range(MESSAGES):
            if message not in (LOOPS, TRAPS):
                counter += message + 1
            self._counters[image_root(counter)] = counter
            roots[message] = image_root(counter)
        return Tree(CLAIM_HEIGHT, image_root(counter), roots, join=keccak_join)

    # -- the machine ------------------------------------------------------------------------------

    def start_memory_root(self, batch: int, pre_root: bytes) -> bytes:
        upper = keccak_join(self.inputs[batch][0], naive.zero(QUARTER_HEIGHT))
        return keccak_join(keccak_join(self.program_root, pre_root), upper)

    def start_hash(self, batch: int, message: int, pre_root: bytes) -> bytes:
        registers = [0] * 32
        registers[A0], registers[11] = message, self.inputs[batch][1]
        words = b"".join(value.to_bytes(8, "big") for value in registers)
        last = bytes(16) + self.end_of_text.to_bytes(8, "big") + self.entry.to_bytes(8, "big")
        return naive.keccak(self.start_memory_root(batch, pre_root) + words + last)

    def step(self, witness: object) -> tuple[bytes, bytes]:
        assert isinstance(witness, bytes)
        if witness not in self._after:
            raise ValueError("not a witness of a true step")
        return naive.keccak(witness[:320]), self._after[witness]

    def end(self, opening: object, pre_root: bytes) -> tuple[bytes, bytes]:
        assert isinstance(opening, Opening)
        root = keccak_join(keccak_join(opening.q0, opening.q1), opening.q23)
        if root != opening.state[0]:
            raise ValueError("quarter roots of another memory")
        status = int.from_bytes(opening.state[9][:16], "big")
        if status > TRAPPED:
            raise ValueError("no such status")
        return opening.hash, opening.q1 if status == HALTED else pre_root

    # -- traces -----------------------------------------------------------------------------------

    def trace(self, batch: int, message: int, pre_root: bytes) -> Trace:
        key = (batch, message, pre_root)
        if key not in self._traces:
            self._traces[key] = self._run(*key)
        return self._traces[key]

    def _run(self, batch: int, message: int, pre_root: bytes) -> Trace:
        counter = self._counters.get(pre_root)
        if counter is None:  # an image that nobody has: liars know of no true step either
            end, end_hash = self.made_end(pre_root, "")
            return Trace(Tree(TRACE_HEIGHT, end_hash, {}, join=keccak_join), (), (), end)
        memory = self.memory.copy()
        upper = keccak_join(self.inputs[batch][0], naive.zero(QUARTER_HEIGHT))
        memory._nodes[QUARTER_HEIGHT, 2], memory._nodes[QUARTER_HEIGHT + 1, 1] = (
            self.inputs[batch][0],
            upper,
        )
        memory.write(IMAGE, counter.to_bytes(8, "little"))
        machine = Machine(memory, pc=self.entry, end_of_text=self.end_of_text)
        machine.registers[A0], machine.registers[11] = message, self.inputs[batch][1]
        assert machine.hash() == self.start_hash(batch, message, pre_root)
        states, witnesses = [machine.hash()], []
        while len(states) < 2 or states[-1] != states[-2]:
            effect = step_reference.step(machine)
            witnesses.append(witness(machine, effect))
            apply(machine, effect)
            states.append(machine.hash())
            self._after[witnesses[-1]] = states[-1]
        quarters = [memory.node(QUARTER_HEIGHT, quarter) for quarter in range(4)]
        packed = machine.pack()
        words = tuple(packed[i : i + 32] for i in range(0, 320, 32))
        end = Opening(words, quarters[0], quarters[1], keccak_join(quarters[2], quarters[3]))
        leaves = dict(enumerate(states[1:]))
        return Trace(
            Tree(TRACE_HEIGHT, states[-1], leaves, join=keccak_join),
            tuple(states), tuple(witnesses), end,
        )  # fmt: skip

    def trace_tree(self, batch: int, message: int, pre_root: bytes) -> Tree:
        return self.trace(batch, message, pre_root).tree

    def end_opening(self, batch: int, message: int, pre_root: bytes) -> Opening:
        return self.trace(batch, message, pre_root).end

    def witness(self, batch: int, message: int, pre_root: bytes, count: int) -> bytes:
        witnesses = self.trace(batch, message, pre_root).witnesses
        return witnesses[min(count, len(witnesses) - 1)] if witnesses else bytes(320)

    # -- what liars make up -----------------------------------------------------------------------

    def lie_root(self, *parts: object) -> bytes:
        return naive.keccak(repr(("root", *parts)).encode())

    def lie_state(self, *parts: object) -> bytes:
        return naive.keccak(repr(("state", *parts)).encode())

    def made_end(self, root: bytes, mark: str) -> tuple[Opening, bytes]:
        """A halted state with this image root; the mark is in a register."""
        q0, q23 = self.program_root, naive.zero(QUARTER_HEIGHT + 1)
        memory_root = keccak_join(keccak_join(q0, root), q23)
        register = naive.keccak(mark.encode())[:8]
        words = [memory_root, bytes(24) + register, *[bytes(32)] * 7]
        last = HALTED.to_bytes(16, "big") + self.end_of_text.to_bytes(8, "big") + bytes(8)
        opening = Opening((*words, last), q0, root, q23)
        return opening, opening.hash
