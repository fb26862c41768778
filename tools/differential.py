"""The differential test at length: specification against native engine over many streams.

    .venv/bin/python tools/differential.py --messages 10000000 --seed 1 --jobs 2

The work is cut into chunks; chunk n is the stream of seed `--seed` + n from an empty venue.
Finished chunks are written to build/differential/, so a run that was interrupted goes on where it
was. At a difference: the seed, the command that shows it again, and the shortest stream found that
still differs, as a file of messages.
"""

import argparse
import functools
import hashlib
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

DONE = ROOT / "build" / "differential"

Task = tuple[int, int, str, bool]


def _make_engine(preset: str) -> Any:
    from provenue.engine import Engine

    return Engine(preset)


def _chunk(task: Task) -> dict[str, Any]:
    """One stream in a worker; the difference, if any, as data."""
    from tests.differential.compare import Difference, minimise, run

    seed, messages, preset, spec_only = task
    started = time.process_time()
    make = None if spec_only else _make_engine
    out: dict[str, Any] = {"seed": seed, "messages": messages, "preset": preset}
    try:
        coverage = run(seed, messages, make, preset).coverage
        out["codes"] = {f"{kind} {code}": n for (kind, code), n in coverage.codes.items()}
        for table in ("events", "cancels", "bounces", "branches"):
            out[table] = dict(getattr(coverage, table))
    except Difference as difference:
        out["difference"] = str(difference)
        items, what = minimise(difference, _make_engine) if make else (difference.items, "")
        out["minimised"] = what
        out["items"] = [
            [i.message.hex(), i.from_inbox, i.stamp_min_ms, i.stamp_max_ms, i.tag] for i in items
        ]
    out["seconds"] = round(time.process_time() - started, 1)
    return out


def _extension() -> Path | None:
    """The file of the extension module, None where it is not built."""
    try:
        from provenue import engine
    except ImportError:
        return None
    return Path(vars(engine)["_native"].__file__)


@functools.cache
def _what_is_compared() -> str:
    """A hash of both writings and of the streams: results of older ones are not counted."""
    files = [
        *(ROOT / "tests/differential").glob("*.py"),
        *(ROOT / "src/provenue/spec").glob("*.py"),
    ]
    native = _extension()
    if native is not None:
        files.append(native)
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _file(task: Task) -> Path:
    seed, messages, preset, spec_only = task
    name = f"{preset}-{seed}-{messages}{'-spec' if spec_only else ''}.json"
    return DONE / _what_is_compared() / name


def _tasks(options: argparse.Namespace) -> list[Task]:
    whole, rest = divmod(options.messages, options.chunk)
    sizes = [options.chunk] * whole + ([rest] if rest else [])
    seeds = range(options.seed, options.seed + len(sizes))
    return [(s, n, options.preset, options.spec_only) for s, n in zip(seeds, sizes, strict=True)]


def _report_difference(task: Task, result: dict[str, Any]) -> None:
    path = _file(task).with_suffix(".difference.json")
    path.write_text(json.dumps(result, indent=1))
    print(f"DIFFERENCE: seed {result['seed']}, {result['difference']}")
    if result["minimised"]:
        print(f"minimised to {len(result['items'])} messages: {result['minimised']}")
    print(f"stream: {path.relative_to(ROOT)}")
    print(
        f"replay: .venv/bin/python tools/differential.py --preset {result['preset']}"
        f" --seed {result['seed']} --messages {result['messages']} --chunk {result['messages']}"
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first chunk")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--chunk", type=int, default=50_000, help="messages of one stream")
    parser.add_argument("--preset", choices=("minimal", "dev"), default="minimal")
    parser.add_argument("--spec-only", action="store_true", help="invariants without an engine")
    parser.add_argument("--again", action="store_true", help="run finished chunks once more")
    options = parser.parse_args(arguments)
    for name in ("messages", "jobs", "chunk"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}: expected at least 1, was {getattr(options, name)}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the return value is the exit status."""
    options = _options(arguments)
    (DONE / _what_is_compared()).mkdir(parents=True, exist_ok=True)
    tasks = _tasks(options)
    todo = [task for task in tasks if options.again or not _file(task).exists()]
    done = options.messages - sum(task[1] for task in todo)
    if done:
        print(f"{done} messages were done before; --again repeats them", flush=True)
    started, before, differences = time.monotonic(), done, 0
    by_seed = {task[0]: task for task in todo}
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for result in pool.imap_unordered(_chunk, todo):
            task = by_seed[result["seed"]]
            if "difference" in result:
                differences += 1
                _report_difference(task, result)
                continue
            _file(task).write_text(json.dumps(result))
            done += task[1]
            rate = (done - before) / (time.monotonic() - started)
            left = (options.messages - done) / rate
            print(
                f"{done}/{options.messages} messages, seed {task[0]},"
                f" {rate:.0f} messages/s, {left:.0f} s left",
                flush=True,
            )
    print(f"differential: {done} messages, {differences} streams with a difference")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
