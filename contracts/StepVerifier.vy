# pragma version 0.4.3
"""
@title  StepVerifier: one step of the machine, from a witness
@notice The referee's smallest move (protocol chapter 10): from a state and the memory it touches,
        the hash of the next state. It knows nothing of disputes, has no storage and no owner.
@dev    A revert says that the witness is not one, and nothing about the state. Everything that a
        canonical state can hold has a next state: what a machine calls a fault is TRAPPED.
        Whoever calls this compares the hash of the witness' first 320 bytes with the state in
        dispute; that binds every bit of them.

        Glossary
        state       ten words: memory root, registers (four to a word), status word
        status word status << 128 | end_of_text << 64 | pc
        part        of a witness: state, fetch, access; each at its place, nothing behind the last

@custom:kill There is nothing to stop: no storage, no owner, no money.
"""

from modules import constants as c
from modules import leaves
from modules import rv64

# Words of a state, and the place of the last.
WORDS: constant(uint256) = c.STATE_BYTES // 32
STATUS_WORD: constant(uint256) = 9
M64: constant(uint256) = 2**64 - 1
# A literal alone would be signed.
ONE: constant(uint256) = 1

# Quarters: program and scratch, image, input, output.
PROGRAM_END: constant(uint256) = c.IMAGE_BASE
IMAGE_END: constant(uint256) = c.INPUT_BASE
MEMORY_END: constant(uint256) = 4 * c.QUARTER_BYTES
PAGE_MASK: constant(uint256) = 4095

# Lengths of witnesses: to the end of the fetch part, and of an access part by its kind.
FETCH_END: constant(uint256) = c.STATE_BYTES + leaves.LEAF_PART_BYTES
LEAF_END: constant(uint256) = FETCH_END + leaves.LEAF_PART_BYTES
BLOCK_END: constant(uint256) = FETCH_END + leaves.BLOCK_PART_BYTES
SIGNATURE_END: constant(uint256) = FETCH_END + leaves.SIGNATURE_PART_BYTES

A0: constant(uint256) = 10
A1: constant(uint256) = 11
A7: constant(uint256) = 17

RECOVER: constant(address) = 0x0000000000000000000000000000000000000001
# The precompile takes 3,000 of the 63/64 that a call can hand on. Less would not be a wrong answer
# but a revert (the call's success is asserted); this says why.
RECOVER_GAS_MIN: constant(uint256) = 10_000


@external
@view
def step(witness: Bytes[leaves.WITNESS_BYTES_MAX]) -> bytes32:
    """
    @notice The machine hash of the state behind the one in the witness.
    @param  witness Chapter 10.3: state (320 bytes), fetch (1,024), access (1,024; keccak 1,856;
            recover 1,056), each only when the step needs it.
    """
    assert len(witness) >= c.STATE_BYTES, "step: witness is shorter than a state"
    state: uint256[WORDS] = self._read_state(witness)
    pc: uint256 = state[STATUS_WORD] & M64
    if state[STATUS_WORD] >> 128 != c.STATUS_RUNNING:
        self._check_length(len(witness), c.STATE_BYTES)
        return self._hash(state)
    if pc >= self._end_of_text(state):
        self._check_length(len(witness), c.STATE_BYTES)
        return self._hash(self._stopped(state, c.STATUS_TRAPPED))

    assert len(witness) >= FETCH_END, "step: witness has no instruction"
    leaf: uint256 = self._proven_leaf(witness, c.STATE_BYTES, pc, state[0])
    word: uint256 = leaves._loaded(leaf, pc, 4)
    opcode: uint256 = rv64._opcode(word)
    if opcode == rv64.LOAD:
        return self._hash(self._load(witness, state, word))
    if opcode == rv64.STORE:
        return self._hash(self._store(witness, state, word))
    if word == rv64.ECALL_WORD:
        return self._hash(self._call(witness, state))
    self._check_length(len(witness), FETCH_END)
    if opcode == rv64.BRANCH or opcode == rv64.JAL or opcode == rv64.JALR:
        return self._hash(self._jump(state, word))
    return self._hash(self._compute(state, word))


# --- internal: state ------------------------------------------------------------------------------


@internal
@pure
def _read_state(witness: Bytes[leaves.WITNESS_BYTES_MAX]) -> uint256[WORDS]:
    """
    @notice The state, which must be canonical: two states that differ must not mean the same.
    """
    state: uint256[WORDS] = empty(uint256[WORDS])
    for i: uint256 in range(WORDS):
        state[i] = convert(extract32(witness, i << 5), uint256)
    assert state[1] >> 192 == 0, "step: x0 is not zero"
    assert state[STATUS_WORD] >> 128 <= c.STATUS_TRAPPED, "step: no such status"
    assert state[STATUS_WORD] & 3 == 0, "step: pc is not a multiple of 4"
    end: uint256 = self._end_of_text(state)
    assert end & PAGE_MASK == 0, "step: end of text is not a multiple of 4096"
    assert end <= PROGRAM_END, "step: end of text is outside its quarter"
    return state


@internal
@pure
def _end_of_text(state: uint256[WORDS]) -> uint256:
    return (state[STATUS_WORD] >> 64) & M64


@internal
@pure
def _hash(state: uint256[WORDS]) -> bytes32:
    return keccak256(abi_encode(state))


@internal
@pure
def _register(state: uint256[WORDS], number: uint256) -> uint256:
    """
    @dev    unchecked: `number` has five bits, so the index is 1 to 8 and the shift 0 to 192.
    """
    return (state[unsafe_add(1, number >> 2)] >> self._register_shift(number)) & M64


@internal
@pure
def _register_shift(number: uint256) -> uint256:
    """
    @notice The lowest number of a word stands highest.
    """
    return (3 ^ (number & 3)) << 6


@internal
@pure
def _with_register(
    state: uint256[WORDS], number: uint256, content: uint256
) -> uint256[WORDS]:
    """
    @notice The state with a register set; x0 stays zero.
    @dev    unchecked: as `_register`.
    """
    changed: uint256[WORDS] = state
    if number != 0:
        above: uint256 = self._register_shift(number)
        index: uint256 = unsafe_add(1, number >> 2)
        changed[index] = (state[index] & ~(M64 << above)) | (content << above)
    return changed


@internal
@pure
def _stopped(state: uint256[WORDS], status: uint256) -> uint256[WORDS]:
    """
    @notice A running state, halted or trapped: nothing but the status changes.
    """
    changed: uint256[WORDS] = state
    changed[STATUS_WORD] = state[STATUS_WORD] | (status << 128)
    return changed


@internal
@pure
def _retired(
    state: uint256[WORDS], rd: uint256, content: uint256, next_pc: uint256
) -> uint256[WORDS]:
    changed: uint256[WORDS] = self._with_register(state, rd, content)
    changed[STATUS_WORD] = (state[STATUS_WORD] & ~M64) | next_pc
    return changed


@internal
@pure
def _next_pc(state: uint256[WORDS]) -> uint256:
    return rv64._sum(state[STATUS_WORD] & M64, 4)


# --- internal: parts of the witness ---------------------------------------------------------------


@internal
@pure
def _check_length(found: uint256, expected: uint256):
    assert found == expected, "step: witness has the wrong length"


@internal
@pure
def _proven_leaf(
    witness: Bytes[leaves.WITNESS_BYTES_MAX], at: uint256, place: uint256, root: uint256
) -> uint256:
    """
    @notice The leaf at `at` of the witness, which must be the one of `place`.
    @dev    unchecked: `at` is a constant of ours.
    """
    leaf: bytes32 = extract32(witness, at)
    siblings: uint256 = unsafe_add(at, c.LEAF_BYTES)
    found: bytes32 = leaves._root(witness, siblings, leaf, place, leaves.LEAF_HEIGHT)
    assert convert(found, uint256) == root, "step: leaf is not in memory"
    return convert(leaf, uint256)


@internal
@pure
def _check_subtree(
    witness: Bytes[leaves.WITNESS_BYTES_MAX], place: uint256, height: uint256, root: uint256
):
    """
    @notice The access part must begin with the `2^height` leaves of `place`.
    @dev    unchecked: constants of ours.
    """
    node: bytes32 = leaves._subtree(witness, FETCH_END, height)
    siblings: uint256 = unsafe_add(FETCH_END, c.LEAF_BYTES << height)
    found: bytes32 = leaves._root(witness, siblings, node, place, height)
    assert convert(found, uint256) == root, "step: block is not in memory"


# --- internal: instructions -----------------------------------------------------------------------


@internal
@pure
def _compute(state: uint256[WORDS], word: uint256) -> uint256[WORDS]:
    """
    @notice All that neither jumps nor touches memory, and all that does not decode.
    """
    opcode: uint256 = rv64._opcode(word)
    f3: uint256 = rv64._f3(word)
    a: uint256 = self._register(state, rv64._rs1(word))
    legal: bool = True
    result: uint256 = 0
    if opcode == rv64.OP_IMM:
        legal, result = rv64._op_imm(word, a)
    elif opcode == rv64.OP_IMM_32:
        legal, result = rv64._op_imm_32(word, a)
    elif opcode == rv64.OP:
        b: uint256 = self._register(state, rv64._rs2(word))
        legal, result = rv64._op(f3, rv64._f7(word), a, b)
    elif opcode == rv64.OP_32:
        b: uint256 = self._register(state, rv64._rs2(word))
        legal, result = rv64._op_32(f3, rv64._f7(word), a, b)
    elif opcode == rv64.LUI:
        result = rv64._immediate_u(word)
    elif opcode == rv64.AUIPC:
        result = rv64._sum(state[STATUS_WORD] & M64, rv64._immediate_u(word))
    else:
        # A fence has rd 0: it writes nothing.
        legal = rv64._is_fence(word)
    if not legal:
        return self._stopped(state, c.STATUS_TRAPPED)
    return self._retired(state, rv64._rd(word), result, self._next_pc(state))


@internal
@pure
def _jump(state: uint256[WORDS], word: uint256) -> uint256[WORDS]:
    """
    @notice Branches, jal, jalr. A target inside an instruction traps here, one outside text there.
    """
    pc: uint256 = state[STATUS_WORD] & M64
    opcode: uint256 = rv64._opcode(word)
    f3: uint256 = rv64._f3(word)
    a: uint256 = self._register(state, rv64._rs1(word))
    rd: uint256 = rv64._rd(word)
    target: uint256 = 0
    legal: bool = True
    if opcode == rv64.BRANCH:
        b: uint256 = self._register(state, rv64._rs2(word))
        taken: bool = False
        legal, taken = rv64._branch(f3, a, b)
        target = rv64._sum(pc, rv64._immediate_b(word)) if taken else self._next_pc(state)
        rd = 0
    elif opcode == rv64.JAL:
        target = rv64._sum(pc, rv64._immediate_j(word))
    else:
        legal = f3 == 0
        target = rv64._sum(a, rv64._immediate_i(word)) & (M64 ^ 1)
    if not legal or target & 3 != 0:
        return self._stopped(state, c.STATUS_TRAPPED)
    return self._retired(state, rd, self._next_pc(state), target)


@internal
@pure
def _load(
    witness: Bytes[leaves.WITNESS_BYTES_MAX], state: uint256[WORDS], word: uint256
) -> uint256[WORDS]:
    """
    @notice lb, lh, lw, ld (f3 0 to 3) and lbu, lhu, lwu (4 to 6).
    """
    f3: uint256 = rv64._f3(word)
    size: uint256 = ONE << (f3 & 3)
    base: uint256 = self._register(state, rv64._rs1(word))
    place: uint256 = rv64._sum(base, rv64._immediate_i(word))
    if f3 == 7 or place & unsafe_sub(size, 1) != 0 or place >= MEMORY_END:
        self._check_length(len(witness), FETCH_END)
        return self._stopped(state, c.STATUS_TRAPPED)
    self._check_length(len(witness), LEAF_END)
    leaf: uint256 = self._proven_leaf(witness, FETCH_END, place, state[0])
    result: uint256 = leaves._loaded(leaf, place, size)
    if f3 < 4:
        result = rv64._extended(result, ONE << unsafe_sub(size << 3, 1))
    return self._retired(state, rv64._rd(word), result, self._next_pc(state))


@internal
@pure
def _store(
    witness: Bytes[leaves.WITNESS_BYTES_MAX], state: uint256[WORDS], word: uint256
) -> uint256[WORDS]:
    """
    @notice sb, sh, sw, sd. The new memory root follows from the siblings that proved the old leaf.
    """
    f3: uint256 = rv64._f3(word)
    size: uint256 = ONE << (f3 & 3)
    base: uint256 = self._register(state, rv64._rs1(word))
    place: uint256 = rv64._sum(base, rv64._immediate_s(word))
    is_aligned: bool = place & unsafe_sub(size, 1) == 0
    if f3 > 3 or not is_aligned or not self._is_writable(state, place):
        self._check_length(len(witness), FETCH_END)
        return self._stopped(state, c.STATUS_TRAPPED)
    self._check_length(len(witness), LEAF_END)
    leaf: uint256 = self._proven_leaf(witness, FETCH_END, place, state[0])
    content: uint256 = self._register(state, rv64._rs2(word))
    node: bytes32 = convert(leaves._stored(leaf, place, size, content), bytes32)
    siblings: uint256 = FETCH_END + c.LEAF_BYTES
    root: bytes32 = leaves._root(witness, siblings, node, place, leaves.LEAF_HEIGHT)
    changed: uint256[WORDS] = self._retired(state, 0, 0, self._next_pc(state))
    changed[0] = convert(root, uint256)
    return changed


@internal
@pure
def _is_writable(state: uint256[WORDS], place: uint256) -> bool:
    """
    @notice Scratch behind the text and the image, which is the next quarter; the output. An aligned
            access that begins in one of them ends in it.
    """
    if place < IMAGE_END:
        return place >= self._end_of_text(state)
    return place >= c.OUTPUT_BASE and place < MEMORY_END


# --- internal: calls ------------------------------------------------------------------------------


@internal
@view
def _call(witness: Bytes[leaves.WITNESS_BYTES_MAX], state: uint256[WORDS]) -> uint256[WORDS]:
    """
    @notice ecall: the number is in a7, the arguments in a0 and a1, the result in a0 to a3.
    """
    number: uint256 = self._register(state, A7)
    a0: uint256 = self._register(state, A0)
    a1: uint256 = self._register(state, A1)
    if number == c.ECALL_KECCAK:
        is_block: bool = a0 & (c.HASH_BLOCK_BYTES - 1) == 0 and a0 < MEMORY_END
        if is_block and a1 <= c.HASH_BLOCK_BYTES:
            self._check_length(len(witness), BLOCK_END)
            self._check_subtree(witness, a0, leaves.BLOCK_HEIGHT, state[0])
            return self._answered(state, keccak256(slice(witness, FETCH_END, a1)))
    elif number == c.ECALL_RECOVER:
        if a0 & (leaves.SIGNATURE_BYTES - 1) == 0 and a0 < MEMORY_END:
            self._check_length(len(witness), SIGNATURE_END)
            self._check_subtree(witness, a0, leaves.SIGNATURE_HEIGHT, state[0])
            return self._answered(state, self._recovered(witness))
    self._check_length(len(witness), FETCH_END)
    status: uint256 = c.STATUS_TRAPPED
    if number == c.ECALL_EXIT:
        status = c.STATUS_HALTED
    return self._stopped(state, status)


@internal
@view
def _recovered(witness: Bytes[leaves.WITNESS_BYTES_MAX]) -> bytes32:
    """
    @notice What precompile 1 says to the signature of the access part; nothing is zero.
    @dev    A call that ran out of gas looks like no signature to a careless caller: it must not be
            turned into an answer, so its success is asserted.
    """
    assert msg.gas >= RECOVER_GAS_MIN, "step: too little gas for a recovery"
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        RECOVER,
        slice(witness, FETCH_END, leaves.SIGNATURE_BYTES),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    assert success, "step: recovery ran out of gas"
    if len(response) == 0:
        return empty(bytes32)
    return extract32(response, 0)


@internal
@pure
def _answered(state: uint256[WORDS], answer: bytes32) -> uint256[WORDS]:
    """
    @notice 32 bytes in a0 to a3, eight each, little-endian; the call retires.
    @dev    unchecked: register numbers 10 to 13, shifts 192 to 0.
    """
    changed: uint256[WORDS] = self._retired(state, 0, 0, self._next_pc(state))
    bits: uint256 = convert(answer, uint256)
    for i: uint256 in range(4):
        part: uint256 = leaves._turned((bits >> ((3 ^ i) << 6)) & M64)
        changed = self._with_register(changed, unsafe_add(A0, i), part)
    return changed
