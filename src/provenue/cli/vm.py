"""The RV64IM machine by itself: run any static ELF, also step by step through the contract."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from provenue.engine import recover_callback
from provenue.machine import ElfError, Event, Machine, RunResult, Status
from provenue.settlement.rpc import ChainError
from provenue.settlement.step_verifier import (
    EvmKind,
    StepRefusedError,
    StepVerifier,
    open_step_verifier,
)

__all__ = ["app"]

app = App(name="vm", help=(__doc__ or ""))

_MAX_STEPS = 1 << 32
_MEMORY_BYTES = 1 << 36
_DUMP_BYTES_MAX = 1 << 24
_WITNESSES_AT_ONCE = 256
_NEWS_S = 10.0
_HOW_TO_BUILD = "build it static, for -march=rv64im -mabi=lp64, text not writable"


@app.command
def run(
    file: Path,
    *,
    max_steps: Annotated[int, Parameter(name="--max-steps")] = _MAX_STEPS,
    dump: str | None = None,
    onchain: Annotated[bool, Parameter(negative="")] = False,
    evm: EvmKind = "auto",
) -> int:
    """Run a program and print one JSON object: exit, steps, pc, state_hash, mips.

    `exit` is a0 of the exit call (a7 = 93). If the program did not get there it is null, and the
    object has a `status`, running or trapped, and the trap's name under `why`. Exit status 0: the
    machine ran, whatever became of the program; 1: the contract and the machine differ; 2: the file
    or an argument is bad.

    Parameters
    ----------
    file
        A static RV64IM ELF (uncompressed, soft-float); see chapter 10.5 of the protocol.
    max_steps
        Stop after this many steps; 2^32 if left out, which takes some seconds.
    dump
        ADDR:LEN, also in hex: add these bytes of the memory at the end, as hex, under "dump".
    onchain
        Then execute every step again through the step contract and compare the hashes; the result
        stands under "onchain". It takes some 0.1 ms a step.
    evm
        Where the contract runs: revm (in this process), anvil, eth-tester; auto takes the first
        that is there.
    """
    try:
        if not 0 <= max_steps < 1 << 63:
            raise ValueError(f"max-steps: expected 0 to 2^63 - 1, was {max_steps}")
        place = None if dump is None else _parse_dump(dump)
        machine = _load(file)
        answer, result = _run(machine, max_steps)
        if place is not None:
            answer["dump"] = machine.read(*place).hex()
        if onchain:
            with open_step_verifier(evm) as verifier:
                answer["onchain"] = _check_onchain(machine, result, verifier)
    except ElfError as error:
        print(f"provenue vm run: {file}: {error}; {_HOW_TO_BUILD}", file=sys.stderr)
        return 2
    except (ValueError, OSError, ChainError) as error:
        print(f"provenue vm run: {error}", file=sys.stderr)
        return 2
    print(msgspec.json.encode(answer).decode())
    return 1 if onchain and answer["onchain"]["difference"] is not None else 0


def _parse_dump(text: str) -> tuple[int, int]:
    """Address and length of ADDR:LEN."""
    try:
        address, length = (int(part, 0) for part in text.split(":"))
    except ValueError:
        raise ValueError(
            f"dump: expected ADDR:LEN, two numbers such as 0x400000000:64, was {text!r}"
        ) from None
    if not (0 <= length <= _DUMP_BYTES_MAX and 0 <= address <= _MEMORY_BYTES - length):
        raise ValueError(
            f"dump: expected at most 2^24 bytes inside of memory, which ends at 2^36, was {text!r}"
        )
    return address, length


def _load(file: Path) -> Machine:
    """Load the program and begin."""
    try:
        elf = file.read_bytes()
    except OSError as error:
        raise ValueError(f"file: expected a readable ELF, was {file}: {error.strerror}") from None
    machine = Machine()
    machine.load_elf(elf)
    machine.set_recover(recover_callback())
    machine.begin_program()
    return machine


def _run(machine: Machine, max_steps: int) -> tuple[dict[str, Any], RunResult]:
    began = time.thread_time()  # not slowed by what else runs here
    result = machine.run(max_steps)
    took_s = time.thread_time() - began
    answer: dict[str, Any] = {
        "exit": result.exit_code if result.status is Status.HALTED else None,
        "steps": result.steps,
        "pc": result.pc,
        "state_hash": "0x" + machine.machine_hash().hex(),
        "mips": round(result.steps / took_s / 1e6, 1) if took_s else 0.0,
    }
    if result.status is not Status.HALTED:
        answer["status"] = result.status.name.lower()
    if result.status is Status.TRAPPED:
        answer["why"] = result.event.name.lower()
    return answer, result


def _check_onchain(machine: Machine, result: RunResult, verifier: StepVerifier) -> dict[str, Any]:
    """Make every step again here and through the contract, up to the first difference."""
    final = machine.state()
    machine.rewind()
    found: dict[str, Any] = {"evm": verifier.name, "steps": 0, "difference": None}
    news_at = time.monotonic() + _NEWS_S
    while found["steps"] < result.steps and found["difference"] is None:
        count = min(_WITNESSES_AT_ONCE, result.steps - found["steps"])
        _check_some(machine, verifier, count, found)
        if time.monotonic() >= news_at:
            print(f"onchain: {found['steps']:,} of {result.steps:,} steps", file=sys.stderr)
            news_at += _NEWS_S
    if found["difference"] is None and machine.state() != final:
        raise RuntimeError("machine: running step by step ended in another state")
    return found


def _check_some(
    machine: Machine, verifier: StepVerifier, count: int, found: dict[str, Any]
) -> None:
    """Compare the next `count` steps; adds to `found`."""
    records, places = [], []
    for _ in range(count):
        places.append((machine.pc, machine.read(machine.pc, 4) if machine.pc < 1 << 34 else b""))
        records.append(machine.record_step())
        machine.run(1)
    refused = None
    try:
        hashes = verifier.step([record.witness for record in records])
    except StepRefusedError as error:
        refused = error
        hashes = verifier.step([record.witness for record in records[: error.index]])
    for record, got in zip(records, hashes, strict=False):
        if got != record.post_hash:
            break
        found["steps"] += 1
    else:
        if refused is None:
            return
    at = found["steps"] % _WITNESSES_AT_ONCE
    pc, word = places[at]
    reverted = refused is not None and at == refused.index
    found["difference"] = {
        "step": found["steps"],
        "pc": pc,
        "word": "0x" + word[::-1].hex(),
        "event": Event(records[at].event).name.lower(),
        "machine": "0x" + records[at].post_hash.hex(),
        "contract": None if reverted else "0x" + hashes[at].hex(),
        "reverted": str(refused) if reverted else None,
        "witness": "0x" + records[at].witness.hex(),
    }
