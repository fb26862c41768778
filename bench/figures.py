"""Figures of bench/NOTES.md that need no chain: `python bench/figures.py NAME [--repeat N]`.

    engine   messages per second through Python, and the cost of recovering a signer
    root     what the state root after every message adds
    p1       engine and guest side by side, messages per second
    guest    guest instructions of each kind of message that was accepted
    trace    what the instruction tree of a message takes
    watch    what a watcher takes for a batch, from its bytes to the claim root (wall time)

The workload is the one of the sequencer's tests: 24 traders on a perpetual and a spot pair, orders
near the mark, cancels, prices and withdrawals, some noise; preset dev, deterministic by --seed.
Times are CPU time of this thread, so that other processes disturb less; each round starts anew.
"""

import argparse
import collections
import multiprocessing
import os
import statistics
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.sequencer.world import DOMAIN, World  # noqa: E402

from provenue._generated.constants import (  # noqa: E402
    BATCH_BYTES_MAX,
    BATCH_MESSAGES_MAX,
    HEADER_BASE,
    INBOX_BASE,
    INPUT_BASE,
    MESSAGE_INSTRUCTIONS_MAX,
)
from provenue.engine import (  # noqa: E402
    Engine,
    claim_root,
    guest_elf,
    keccak256,
    keccak_width,
    pack,
    preverify,
    recover_callback,
    recover_counters,
)  # fmt: skip
from provenue.machine import Machine, Status, Trace  # noqa: E402
from provenue.p1 import BatchCheck, Twin  # noqa: E402
from provenue.sequencer.recovery import STAMPED_KINDS  # noqa: E402
from provenue.watcher.archive import ArchivedBatch  # noqa: E402
from provenue.watcher.replay import Executed, execute  # noqa: E402
from provenue.wire import (  # noqa: E402
    STAMP_MAX_LIVE,
    DecodeError,
    EventKind,
    Header,
    Kind,
    Signed,
    decode,
    decode_events,
    encode_posted,
    encode_slot,
    input_root,
    sign_digest,
)  # fmt: skip

PRESET, TRADERS = "dev", 24
_CONTINUE = bytes((Kind.CONTINUE,))


@dataclass(frozen=True)
class Flow:
    """What is applied: the items of the inbox, then the posted messages, stamped."""

    inbox: list[bytes]
    posted: list[bytes]
    start_ms: int


def make_flow(seed: int, count: int) -> Flow:
    """Run a venue once and keep what it sequenced, CONTINUE included."""
    world = World(seed, TRADERS)
    engine, start_ms = Engine(PRESET), world.now_ms
    inbox = [item.message for item in world.inbox]
    for message in inbox:
        engine.apply(message, from_inbox=True, stamp_min_ms=start_ms, stamp_max_ms=STAMP_MAX_LIVE)
    posted: list[bytes] = []

    def post(message: bytes) -> None:
        if message and message[0] in STAMPED_KINDS and len(message) >= 9:
            message = message[:1] + world.now_ms.to_bytes(8, "big") + message[9:]
        posted.append(message)
        engine.apply(message, from_inbox=False, stamp_min_ms=start_ms, stamp_max_ms=STAMP_MAX_LIVE)
        while engine.pending():
            post(_CONTINUE)

    for message in world.opening_prices():
        post(message)
    while len(posted) < count:
        post(world.message())
    return Flow(inbox, posted[:count], start_ms)


def _opened(flow: Flow) -> Engine:
    engine = Engine(PRESET)
    for message in flow.inbox:
        engine.apply(
            message, from_inbox=True, stamp_min_ms=flow.start_ms, stamp_max_ms=STAMP_MAX_LIVE
        )
    return engine


def _one_by_one(flow: Flow) -> float:
    engine = _opened(flow)
    began = time.thread_time()
    for message in flow.posted:
        engine.apply(
            message, from_inbox=False, stamp_min_ms=flow.start_ms, stamp_max_ms=STAMP_MAX_LIVE
        )
    return time.thread_time() - began


def _at_once(flow: Flow, *, roots: bool) -> float:
    engine = _opened(flow)
    data, offsets = pack(flow.posted)
    began = time.thread_time()
    engine.apply_many(
        data, offsets, from_inbox=False, stamp_min_ms=flow.start_ms, stamp_max_ms=STAMP_MAX_LIVE,
        roots=roots,
    )  # fmt: skip
    return time.thread_time() - began


def _batches(flow: Flow) -> list[tuple[Header, list[bytes], bytes]]:
    """As the anchoring worker gets them: the inbox by 64 items, then by 120,000 bytes."""
    slices = [flow.inbox[at : at + 64] for at in range(0, len(flow.inbox), 64)]
    parts: list[tuple[list[bytes], list[bytes]]] = [(items, []) for items in slices]
    size = BATCH_BYTES_MAX
    for message in flow.posted:
        if size + len(message) + 4 > BATCH_BYTES_MAX:
            parts.append(([], []))
            size = 8
        parts[-1][1].append(message)
        size += len(message) + 4
    found, sequence = [], 0
    for number, (items, messages) in enumerate(parts):
        posted = encode_posted(messages)
        header = Header(
            batch=number, stamp_min_ms=flow.start_ms, stamp_max_ms=STAMP_MAX_LIVE,
            inbox_count=len(items), posted_bytes=len(posted), sequence_first=sequence,
        )  # fmt: skip
        found.append((header, items, posted))
        sequence += len(items) + len(messages)
    return found


def _twin(flow: Flow) -> tuple[float, list[BatchCheck]]:
    twin, batches = Twin(PRESET), _batches(flow)
    began = time.thread_time()
    checks = [twin.check_batch(*batch) for batch in batches]
    took_s = time.thread_time() - began
    assert all(check.ok for check in checks), [check.mismatches for check in checks if check.ok]
    return took_s, checks


def _rates(name: str, flow: Flow, repeat: int, measure: Callable[[], float]) -> float:
    """Print the median rate of some rounds; the median seconds per message."""
    times = [measure() / len(flow.posted) for _ in range(repeat)]
    middle = statistics.median(times)
    rates = sorted(round(1 / t) for t in times)
    print(f"{name:<46} {round(1 / middle):>9,}/s  {middle * 1e6:7.2f} us  (all: {rates})")
    return middle


def show_engine(flow: Flow, repeat: int) -> None:
    """Applying (the flow was made in this process: its signers are remembered), and recovering."""
    before = recover_counters()[0]
    _rates("Engine.apply, one by one", flow, repeat, lambda: _one_by_one(flow))
    _rates("Engine.apply_many", flow, repeat, lambda: _at_once(flow, roots=False))
    print(f"({recover_counters()[0] - before} signers recovered again meanwhile)")
    times = []
    for round_number in range(repeat):
        inputs = [_recover_input(round_number, number) for number in range(2_000)]
        began = time.thread_time()
        preverify(inputs)
        times.append((time.thread_time() - began) / len(inputs))
    print(f"recover one signer {statistics.median(times) * 1e6:.1f} us")


def _recover_input(round_number: int, number: int) -> bytes:
    """A signature that was never seen: digest, v, r, s as words."""
    digest = keccak256(round_number.to_bytes(8, "big") + number.to_bytes(8, "big"))
    signature = sign_digest(digest, b"\x11" * 32)
    return digest + signature[64:].rjust(32, b"\0") + signature[:64]


def _full_batch(flow: Flow, repeat: int) -> None:
    """Seconds on the wall for a batch of as many messages as there may be, on all cores."""
    messages = flow.posted[:BATCH_MESSAGES_MAX]
    data, offsets = pack(messages)
    times = []
    for _ in range(repeat):
        engine = _opened(flow)
        began = time.perf_counter()
        applied = engine.apply_many(
            data, offsets, from_inbox=False, stamp_min_ms=flow.start_ms,
            stamp_max_ms=STAMP_MAX_LIVE, roots=True,
        )  # fmt: skip
        claim_root(applied.roots)
        times.append(time.perf_counter() - began)
    print(
        f"applied and claimed, {len(messages):,} messages: "
        f"{statistics.median(times):.3f} s on the wall ({min(times):.3f} to {max(times):.3f})"
    )


def show_root(flow: Flow, repeat: int) -> None:
    """The same messages with the state root after each, and without."""
    with_s = _rates("apply_many, root after each", flow, repeat, lambda: _at_once(flow, roots=True))
    plain_s = _rates("apply_many", flow, repeat, lambda: _at_once(flow, roots=False))
    print(f"root: {(with_s - plain_s) * 1e6:.2f} us a message, hashing {keccak_width()} lanes wide")
    _full_batch(flow, repeat)


def show_p1(flow: Flow, repeat: int) -> None:
    """Both sides, every written leaf compared, roots and claim made."""
    steps = sum(int(check.steps.sum()) for check in _twin(flow)[1])
    middle_s = _rates("Twin.check_batch", flow, repeat, lambda: _twin(flow)[0])
    count = len(flow.posted)
    mips = steps / count / middle_s / 1e6
    print(f"{steps / count:.0f} instructions a message, {mips:.0f} MIPS with everything beside")
    print(f"{BATCH_MESSAGES_MAX:,} messages: {BATCH_MESSAGES_MAX * middle_s:.2f} s of CPU time")


def show_guest(flow: Flow, _repeat: int) -> None:
    """Instructions are deterministic: one round says it all. Rejects are counted apart."""
    messages = iter([*flow.inbox, *flow.posted])
    found: dict[str, list[int]] = collections.defaultdict(list)
    for check in _twin(flow)[1]:
        for index, (code, steps) in enumerate(zip(check.codes, check.steps, strict=True)):
            name = _name(next(messages), int(code), check.events_of(index))
            found[name].append(int(steps))
    print(f"{'message':<34} {'count':>7} {'median':>9} {'p99':>9} {'largest':>9}")
    for name, all_steps in sorted(found.items()):
        ordered = sorted(all_steps)
        p99 = ordered[len(ordered) * 99 // 100]
        middle = ordered[len(ordered) // 2]
        print(f"{name:<34} {len(ordered):>7,} {middle:>9,} {p99:>9,} {ordered[-1]:>9,}")


def _name(message: bytes, code: int, events: bytes) -> str:
    if code:
        return "any reject"
    kind = Kind(message[0])
    fills = sum(event.kind is EventKind.FILL for event in decode_events(events))
    if kind is not Kind.PLACE:
        return kind.name
    return f"PLACE, {'no fill' if not fills else '1 fill' if fills == 1 else 'more fills'}"


def _is_signed(message: bytes) -> bool:
    try:
        return isinstance(decode(message), Signed)
    except DecodeError:
        return False


def _archived(number: int, flow: Flow, inbox: list[bytes], posted: list[bytes]) -> ArchivedBatch:
    """A batch as the watcher archives it; more bytes than a transaction takes are let through."""
    offsets = [4 * (len(posted) + 2)]
    for message in posted:
        offsets.append(offsets[-1] + len(message))
    data = struct.pack(f">{len(offsets) + 1}I", len(posted), *offsets) + b"".join(posted)
    header = Header(
        batch=number, stamp_min_ms=flow.start_ms, inbox_count=len(inbox), posted_bytes=len(data)
    )
    return ArchivedBatch(
        number=number, header=header.encode(), data=data, inbox=tuple(inbox),
        message_count=len(inbox) + len(posted), input_root=input_root(data, header, inbox),
        data_hash=keccak256(data), poster="", tx_hash="", block_number=0, block_hash="",
        inbox_block=0,
    )  # fmt: skip


def _watch(batches: list[ArchivedBatch]) -> tuple[float, Executed, int]:
    """Check and execute the last of some batches; seconds, and signers that were recovered."""
    engine = Engine(PRESET)
    for batch in batches[:-1]:
        execute(engine, batch, domain=DOMAIN, traps=lambda *_: False)
    before, began = recover_counters()[0], time.perf_counter()
    batches[-1].check()
    done = execute(engine, batches[-1], domain=DOMAIN, traps=lambda *_: False)
    return time.perf_counter() - began, done, recover_counters()[0] - before


def show_watch(flow: Flow, repeat: int) -> None:
    """The largest batch that a transaction takes, and 4,096 signed messages, which none takes.

    Each round in a process of its own, which has never seen the signatures.
    """
    signed = [message for message in flow.posted if _is_signed(message)]
    if len(signed) < BATCH_MESSAGES_MAX:
        raise SystemExit(f"watch: expected 4,096 signed messages, the flow has {len(signed)}")
    fitting, size = 0, 8
    while size + len(signed[fitting]) + 4 <= BATCH_BYTES_MAX:
        size += len(signed[fitting]) + 4
        fitting += 1
    opening = _archived(0, flow, flow.inbox, [])
    for name, count in (("largest real batch", fitting), ("4,096 messages", BATCH_MESSAGES_MAX)):
        batches = [opening, _archived(1, flow, [], signed[:count])]
        times, executing, recovered = [], [], 0
        for _ in range(repeat):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                took_s, done, recovered = pool.apply(_watch, (batches,))
            times.append(took_s)
            executing.append(done.seconds)
        shown = ", ".join(f"{took_s:.3f}" for took_s in sorted(times))
        print(
            f"{name}: {len(batches[1].data):,} bytes, {count:,} messages, {recovered:,} signers "
            f"recovered: {statistics.median(times):.3f} s ({shown}); of it execution and claim "
            f"root {statistics.median(executing):.3f} s, on {len(os.sched_getaffinity(0))} cores"
        )


def show_trace(flow: Flow, _repeat: int) -> None:
    """The instruction tree of every 25th message; two threads, so CPU time is above the wall's."""
    machine = Machine()
    machine.load_elf(guest_elf(PRESET))
    machine.set_recover(recover_callback())
    times: list[tuple[int, float, float]] = []
    number = 0
    for header, items, posted in _batches(flow):
        machine.clear_input()
        machine.set_input(0, posted)
        machine.set_input(HEADER_BASE - INPUT_BASE, header.encode())
        machine.set_input(INBOX_BASE - INPUT_BASE, b"".join(map(encode_slot, items)))
        for index in range(len(items) + int.from_bytes(posted[:4], "big")):
            machine.begin_message(index, header.sequence_first)
            number += 1
            if number % 25 == 0:
                machine.machine_hash()  # the image's tree is that of the message before
                wall_s, cpu_s = time.perf_counter(), time.process_time()
                trace = Trace(machine)
                wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
                times.append((trace.steps, wall_s * 1e3, cpu_s * 1e3))
            else:
                machine.run(MESSAGE_INSTRUCTIONS_MAX)
            if machine.status is not Status.HALTED:
                machine.rollback_image()
    times.sort()
    print(f"{len(times)} messages of {number}")
    for name, at in (("median", len(times) // 2), ("p99", len(times) * 99 // 100), ("largest", -1)):
        steps, wall_ms, cpu_ms = times[at]
        print(f"{name:<8} {steps:>9,} steps {wall_ms:6.1f} ms on the wall, {cpu_ms:6.1f} ms of CPU")


SHOWS = {
    "engine": show_engine, "root": show_root, "p1": show_p1, "guest": show_guest,
    "trace": show_trace, "watch": show_watch,
}  # fmt: skip


def main() -> int:
    """The command line; the return value is the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", choices=SHOWS)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for name in ("messages", "repeat"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}: expected at least 1, was {getattr(options, name)}")
    SHOWS[options.name](make_flow(options.seed, options.messages), options.repeat)
    return 0


if __name__ == "__main__":
    sys.exit(main())
