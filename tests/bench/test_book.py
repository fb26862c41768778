"""The book alone: its harness, its C interface, and what `provenue bench book` prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from provenue.cli.bench import book_folder

ROOT = Path(__file__).resolve().parents[2]
FLOWS = ["static", "drifting", "swings_25", "swings_40", "crash"]
HARNESS = r"""
#include <stdio.h>
#include "bench/book/book.h"

static void show(void *context, const provenue_report *report) {
    (void)context;
    printf("%u %u %u %u %u\n", report->kind, report->id, report->counter_id, report->price_ticks,
           report->lots);
}

int main(void) {
    provenue_book *book = provenue_book_open(show, 0);
    if (!book) return 1;
    provenue_book_new(book, 700, 1, 101, 5, 0);
    provenue_book_new(book, 7, 1, 101, 5, 0);
    provenue_book_modify(book, 700, 101, 4);
    provenue_book_new(book, 9, 0, 102, 6, 1);
    provenue_book_cancel(book, 700);
    provenue_book_modify(book, 7, 103, 3);
    provenue_book_cancel(book, PROVENUE_BOOK_IDS);
    printf("best %u depth %llu\n", provenue_book_best(book, 1),
           (unsigned long long)provenue_book_depth(book, 1, 103));
    provenue_book_close(book);
    return 0;
}
"""
# A smaller order keeps its place (700 trades first, at the maker's price), an order that is gone is
# a clean reject, an amended price is the new one.
SPOKEN = """\
1 700 0 101 5
1 7 0 101 5
4 700 0 101 4
1 9 0 102 6
2 9 700 101 4
2 9 7 101 2
5 700 0 0 0
4 7 0 103 3
5 1048576 0 0 0
best 103 depth 3
"""
MUTE = r"""
#include "bench/book/book.h"
static int book;
provenue_book *provenue_book_open(provenue_report_fn report, void *context) {
    (void)report; (void)context; return (provenue_book *)&book;
}
void provenue_book_close(provenue_book *b) { (void)b; }
void provenue_book_new(provenue_book *b, uint32_t i, int s, uint32_t p, uint32_t l, int m) {
    (void)b; (void)i; (void)s; (void)p; (void)l; (void)m;
}
void provenue_book_cancel(provenue_book *b, uint32_t i) { (void)b; (void)i; }
void provenue_book_modify(provenue_book *b, uint32_t i, uint32_t p, uint32_t l) {
    (void)b; (void)i; (void)p; (void)l;
}
uint32_t provenue_book_best(const provenue_book *b, int s) { (void)b; (void)s; return 0; }
uint64_t provenue_book_depth(const provenue_book *b, int s, uint32_t p) {
    (void)b; (void)s; (void)p; return 0;
}
int provenue_book_marks(void) { return 0; }
"""


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "provenue.cli.main", "bench", "book", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def _compile(text: str, out: Path, *options: str) -> None:
    source = out.with_suffix(".c")
    source.write_text(text)
    command = [sys.executable, "-m", "ziglang", "cc", "-std=c11", "-Wall", "-Werror", f"-I{ROOT}"]
    subprocess.run([*command, str(source), *options, "-o", str(out)], check=True, timeout=120)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_book_and_its_twin_agree_on_all_flows_with_and_without_marking(seed: int) -> None:
    """The harness compares every report before it times anything."""
    done = _bench("--orders", "30000", "--repeat", "1", "--seed", str(seed), "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert set(answer["flows"]) == {"marking on", "marking off"}
    for name, rows in answer["flows"].items():
        assert [row["flow"] for row in rows] == FLOWS
        assert {row["marks"] for row in rows} == {1 if name == "marking on" else 0}
        assert all(55_000 < row["messages"] < 65_000 for row in rows)
        assert all(row["trades"] > 1_000 for row in rows)
        assert all(row["p50_ns"] <= row["p99_ns"] <= row["worst_ns"] for row in rows)
        slowest = min(row["messages_per_second"] for row in rows)
        assert answer["worst"][name] == slowest > 10_000


def test_the_mix_of_messages_is_the_one_of_the_family() -> None:
    """About 1 new : 0.82 cancels : 0.17 modifies."""
    done = _bench("static", "--orders", "100000", "--repeat", "1", "--json")
    (row,) = json.loads(done.stdout)["flows"]["marking off"]
    assert 195_000 < row["messages"] < 203_000


def test_any_c_program_can_drive_the_book(tmp_path: Path) -> None:
    folder = book_folder()
    program = tmp_path / "harness"
    _compile(HARNESS, program, f"-L{folder}", "-lprovenue_book", f"-Wl,-rpath,{folder}")
    done = subprocess.run([program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == SPOKEN


def test_the_harness_notices_a_book_that_is_wrong(tmp_path: Path) -> None:
    library = tmp_path / "mute.so"
    _compile(MUTE, library, "-shared", "-fPIC")
    command = [str(book_folder() / "book_bench"), str(library), "static", "--orders", "100"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "book and twin differ at message 0" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sideways",), "sideways"),
        (("--orders", "0"), "orders: expected 1 to 1048576, was 0"),
        (("--orders", "1048577"), "orders: expected 1 to 1048576"),
        (("--repeat", "-1"), "repeat: expected 1 to"),
        (("--seed", "x"), "seed"),
    ],
)
def test_bad_input_names_what_was_expected(arguments: tuple[str, ...], said: str) -> None:
    done = _bench(*arguments)
    assert done.returncode == 2
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
