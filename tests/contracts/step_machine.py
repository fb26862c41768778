"""A machine state, its sparse memory tree and witnesses, written from protocol chapter 10 alone.

The oracle's side of the step contract's tests: no code of the product in it. Numbers of the chapter
are written out again here on purpose.
"""

import dataclasses
import random
from collections.abc import Iterator, Sequence

from tests.contracts import naive

HEIGHT = 31
LEAF_BYTES = 32
MEMORY_BYTES = 2**36
QUARTER_BYTES = 2**34
IMAGE, INPUT, OUTPUT = QUARTER_BYTES, 2 * QUARTER_BYTES, 3 * QUARTER_BYTES
RUNNING, HALTED, TRAPPED = 0, 1, 2
STATE_BYTES = 320


class Memory:
    """2^36 bytes: the leaves and nodes that are not those of zeros.

    A node may stand for leaves that nobody knows (`hide`): it is a sibling like any other.
    """

    def __init__(self) -> None:
        self._nodes: dict[tuple[int, int], bytes] = {}

    def copy(self) -> "Memory":
        """The same memory, to be changed by itself."""
        other = Memory()
        other._nodes = dict(self._nodes)
        return other

    def node(self, height: int, index: int) -> bytes:
        return self._nodes.get((height, index)) or naive.zero(height)

    @property
    def root(self) -> bytes:
        return self.node(HEIGHT, 0)

    def read(self, address: int, size: int) -> bytes:
        """Bytes of leaves that are known (or zero)."""
        first, last = address // LEAF_BYTES, (address + size - 1) // LEAF_BYTES
        whole = b"".join(self.node(0, index) for index in range(first, last + 1))
        start = address - first * LEAF_BYTES
        return whole[start : start + size]

    def write(self, address: int, data: bytes) -> None:
        """Put bytes, leaf by leaf, and hash again what is above."""
        touched = set()
        while data:
            index, start = divmod(address, LEAF_BYTES)
            piece = data[: LEAF_BYTES - start]
            old = self.node(0, index)
            self._nodes[0, index] = old[:start] + piece + old[start + len(piece) :]
            touched.add(index)
            address, data = address + len(piece), data[len(piece) :]
        for height in range(1, HEIGHT + 1):
            touched = {index // 2 for index in touched}
            for index in touched:
                below = self.node(height - 1, 2 * index), self.node(height - 1, 2 * index + 1)
                self._nodes[height, index] = naive.keccak(b"".join(below))

    def hide(self, address: int, rng: random.Random) -> None:
        """Put bytes into the neighbouring leaf, and unknown subtrees beside the path from there up,
        wherever there are only zeros. The block of 1,024 bytes around stays known.
        """
        index = address // LEAF_BYTES
        for height in (0, *range(5, HEIGHT)):
            self._nodes.setdefault((height, (index >> height) ^ 1), rng.randbytes(32))
        self.write(address, self.read(address, 1))

    def leaves(self) -> Iterator[tuple[int, bytes]]:
        """Address and bytes of every leaf that is known."""
        for (height, index), node in self._nodes.items():
            if height == 0:
                yield index * LEAF_BYTES, node

    def learn(self, address: int, size: int, part: bytes) -> None:
        """Take over bytes and siblings of a part of a witness (`part` gives them)."""
        height = (size // LEAF_BYTES).bit_length() - 1
        siblings = part[size:]
        for h in range(height, HEIGHT):
            place = (h, (address // LEAF_BYTES >> h) ^ 1)
            sibling = siblings[LEAF_BYTES * (h - height) :][:LEAF_BYTES]
            self._nodes.setdefault(place, sibling)
        self.write(address // size * size, part[:size])

    def part(self, address: int, size: int) -> bytes:
        """The `size` bytes (a power of two, at least a leaf) around an address; their siblings."""
        height = (size // LEAF_BYTES).bit_length() - 1
        index = address // size
        siblings = [self.node(h, (index >> (h - height)) ^ 1) for h in range(height, HEIGHT)]
        return self.read(index * size, size) + b"".join(siblings)


class Root(Memory):
    """Memory of which only the root is known."""

    def __init__(self, root: bytes) -> None:
        super().__init__()
        self._root = root

    @property
    def root(self) -> bytes:
        return self._root


@dataclasses.dataclass
class Machine:
    """What a state hash stands for."""

    memory: Memory = dataclasses.field(default_factory=Memory)
    registers: list[int] = dataclasses.field(default_factory=lambda: [0] * 32)
    pc: int = 0x7800_0000
    end_of_text: int = 0x7801_0000
    status: int = RUNNING

    def pack(self) -> bytes:
        """The 320 bytes of chapter 10.1."""
        words = [self.memory.root]
        words += [pack_registers(self.registers[i : i + 4]) for i in range(0, 32, 4)]
        last = self.status.to_bytes(16, "big")
        last += self.end_of_text.to_bytes(8, "big") + self.pc.to_bytes(8, "big")
        return b"".join([*words, last])

    def hash(self) -> bytes:
        return naive.keccak(self.pack())

    def put_word(self, word: int) -> None:
        """The instruction at pc."""
        self.memory.write(self.pc, word.to_bytes(4, "little"))

    def fetches(self) -> bool:
        return self.status == RUNNING and self.pc < self.end_of_text


def unpack(state: bytes, memory: Memory) -> Machine | None:
    """The machine of a state over this memory (its root is not compared); None if the state is not
    canonical.
    """
    registers = [int.from_bytes(state[i : i + 8], "big") for i in range(32, 288, 8)]
    status = int.from_bytes(state[288:304], "big")
    end, pc = int.from_bytes(state[304:312], "big"), int.from_bytes(state[312:], "big")
    if registers[0] or status > TRAPPED or pc % 4 or end % 4096 or end > QUARTER_BYTES:
        return None
    return Machine(memory, registers, pc, end, status)


def pack_registers(four: Sequence[int]) -> bytes:
    return b"".join(value.to_bytes(8, "big") for value in four)


@dataclasses.dataclass(frozen=True)
class Effect:
    """What a step does: the values after it, the bytes it writes, and the memory it needs."""

    status: int
    pc: int
    registers: list[int]
    write: tuple[int, bytes] | None = None
    # Address and size in bytes of the subtree: a leaf, a signature, a block.
    access: tuple[int, int] | None = None


def witness(machine: Machine, effect: Effect) -> bytes:
    """The witness of a step that has this effect on this machine (chapter 10.3)."""
    parts = [machine.pack()]
    if machine.fetches():
        parts.append(machine.memory.part(machine.pc, LEAF_BYTES))
    if effect.access is not None:
        parts.append(machine.memory.part(*effect.access))
    return b"".join(parts)


def apply(machine: Machine, effect: Effect) -> None:
    """Make the step."""
    machine.status, machine.pc = effect.status, effect.pc
    machine.registers = list(effect.registers)
    if effect.write is not None:
        machine.memory.write(*effect.write)
