"""ecrecover is the EVM's, alone or ahead of time; the memory of results changes nothing."""

import random
from typing import Any

import coincurve
import pytest
from eth_keys.backends.native.ecdsa import ecdsa_raw_recover

from provenue.engine import Engine, preverify, recover_callback, recover_counters
from provenue.machine import Machine
from provenue.wire import keccak256

N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
P = 2**256 - 2**32 - 977


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _naive(data: bytes) -> bytes:
    """The precompile by its definition, with an implementation of the curve in plain Python."""
    v, r, s = (int.from_bytes(data[at : at + 32], "big") for at in (32, 64, 96))
    if v not in (27, 28) or not 0 < r < N or not 0 < s < N:
        return b""
    try:
        key: Any = ecdsa_raw_recover(data[:32], (v - 27, r, s))
    except Exception:
        return b""
    return keccak256(key)[12:]


def _signed(rng: random.Random) -> tuple[bytes, int, int, int, bytes]:
    secret = coincurve.PrivateKey(rng.randbytes(32))
    digest = rng.randbytes(32)
    raw = secret.sign_recoverable(digest, hasher=None)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
    return digest, raw[64] + 27, r, s, keccak256(secret.public_key.format(False)[1:])[12:]


def test_a_signature_recovers_to_its_signer_also_with_high_s(rng: random.Random) -> None:
    for _ in range(20):
        digest, v, r, s, address = _signed(rng)
        low = digest + _word(v) + _word(r) + _word(s)
        high = digest + _word(55 - v) + _word(r) + _word(N - s)
        assert preverify([low, high]) == [address, address] == [_naive(low), _naive(high)]


def test_edges_are_those_of_the_precompile(rng: random.Random) -> None:
    digest, v, r, s, _ = _signed(rng)
    inputs = [digest + _word(v_) + _word(r) + _word(s) for v_ in (0, 1, 26, 29, 283, 27 + 2**248)]
    for bad in (0, N, N + 1, P, 2**256 - 1):
        inputs += [digest + _word(v) + _word(bad) + _word(s)]
        inputs += [digest + _word(v) + _word(r) + _word(bad)]
    assert preverify(inputs) == [b""] * len(inputs)
    assert [_naive(data) for data in inputs] == [b""] * len(inputs)
    for digest_value in (0, N, N + 5, 2**256 - 1):
        data = _word(digest_value) + _word(v) + _word(r) + _word(s)
        assert preverify([data]) == [_naive(data)]
    for small in range(1, 12):  # about half of these are no x of the curve
        data = digest + _word(27) + _word(small) + _word(s)
        assert preverify([data]) == [_naive(data)]
        # 29 and 30 would be points whose x is r + n, which exist only for an r this small.
        beyond = [digest + _word(v_) + _word(small) + _word(s) for v_ in (29, 30)]
        assert preverify(beyond) == [b"", b""]


def test_noise_recovers_as_the_plain_curve_says(rng: random.Random) -> None:
    inputs = [
        rng.randbytes(32) + _word(rng.choice((27, 28))) + rng.randbytes(64) for _ in range(60)
    ]
    assert preverify(inputs) == [_naive(data) for data in inputs]


def test_results_are_remembered_and_the_same_on_threads(rng: random.Random) -> None:
    inputs = []
    for _ in range(64):
        digest, v, r, s, _ = _signed(rng)
        inputs.append(digest + _word(v) + _word(r) + _word(s))
    computed, _ = recover_counters()
    first = preverify(inputs, threads=2)
    assert recover_counters()[0] == computed + 64
    _, remembered = recover_counters()
    assert Engine.preverify(b"".join(inputs), threads=3) == first
    assert recover_counters() == (computed + 64, remembered + 64)
    flipped = inputs[0][:127] + bytes([inputs[0][127] ^ 1])
    assert preverify([flipped]) != first[:1]


def test_more_results_than_the_memory_holds_stay_right() -> None:
    # Cheap inputs (bad v, so nothing to compute) push the good one out; it is computed again.
    digest, v, r, s, address = _signed(random.Random(5))
    good = digest + _word(v) + _word(r) + _word(s)
    noise = b"".join(_word(i) + bytes(96) for i in range(150_000))
    assert preverify([good]) == [address]
    assert not any(preverify(noise))
    computed, _ = recover_counters()
    assert preverify([good]) == [address]
    assert recover_counters()[0] in (computed, computed + 1)


def test_odd_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="128 bytes each"):
        preverify([b"\0" * 127])


def test_the_callback_serves_the_machine() -> None:
    machine = Machine()
    machine.set_recover(recover_callback())  # refuses anything that is no address
