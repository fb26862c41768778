"""The generator: the tree is up to date, staleness is found, bad tables are refused by name."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from Crypto.Hash import keccak

from provenue._generated import constants, layout, messages
from tools.generate import OUTPUTS, generate, main
from tools.generator.keccak import keccak256
from tools.generator.load import load
from tools.generator.model import SchemaError

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("constants.toml", "errors.toml", "messages.toml", "image.toml")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the protocol tables and everything generated from them."""
    (tmp_path / "protocol").mkdir()
    for name in TABLES:
        shutil.copy(ROOT / "protocol" / name, tmp_path / "protocol" / name)
    assert main(["--root", str(tmp_path)]) == 0
    return tmp_path


def replace(tree: Path, name: str, old: str, new: str) -> None:
    path = tree / "protocol" / name
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{name} has no {old!r} any more; adapt the test"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_generated_files_of_this_tree_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(ROOT / "tools" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_is_quiet_on_a_fresh_tree_and_generation_is_deterministic(tree: Path) -> None:
    assert main(["--check", "--root", str(tree)]) == 0
    assert generate(load(tree / "protocol")) == generate(load(tree / "protocol"))


@pytest.mark.parametrize("name", sorted(OUTPUTS))
def test_check_names_a_file_that_was_edited_by_hand(
    tree: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tree / name
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert main(["--check", "--root", str(tree)]) == 1
    assert f"{name}: out of date" in capsys.readouterr().out
    assert main(["--root", str(tree)]) == 0
    assert main(["--check", "--root", str(tree)]) == 0


def test_check_names_a_file_that_is_missing(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "contracts/modules/constants.vy").unlink()
    assert main(["--check", "--root", str(tree)]) == 1
    assert "contracts/modules/constants.vy: out of date" in capsys.readouterr().out


def test_a_changed_number_makes_every_language_stale(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(
        tree, "constants.toml", "PRICE_FRESH_MS = { value = 30_000", "PRICE_FRESH_MS = { value = 7"
    )
    capsys.readouterr()
    assert main(["--check", "--root", str(tree)]) == 1
    lines = capsys.readouterr().out.splitlines()
    named = {line.split(":")[0] for line in lines if "out of date" in line}
    assert {
        "core/base/generated/protocol.hpp",
        "contracts/modules/constants.vy",
        "src/provenue/_generated/constants.py",
        "src/provenue/spec/constants.py",
    } <= named


BAD_TABLES = {
    "unknown image type": (
        "image.toml", '["now_ms", "u64"]', '["now_ms", "u63"]',
        "image.toml globals.now_ms: expected a type like u32, u32[8], i64 or b32, was 'u63'",
    ),
    "misaligned field": (
        "image.toml", '["configured", "u32"], ["accounts_used", "u32"]',
        '["configured", "u16"], ["accounts_used", "u32"]',
        "image.toml globals.accounts_used: expected an offset that is a multiple of 4, was 82",
    ),
    "record size": (
        "image.toml", '["pad", "u32[5]"],\n]\n\n[[table]]\nname = "withdrawal_frontier"',
        '["pad", "u32[3]"],\n]\n\n[[table]]\nname = "withdrawal_frontier"',
        "image.toml globals: expected a record size that is a multiple of 32, was",
    ),
    "unknown name in a count": (
        "image.toml", 'count = "orders_max"', 'count = "orders_maxx"',
        "image.toml orders.count: expected a number, a constant or a preset's name, was "
        "'orders_maxx'",
    ),
    "same_as of nothing": (
        "image.toml", 'same_as = "positions"', 'same_as = "position"',
        "image.toml house_positions.same_as: expected a table with a record, above",
    ),
    "table twice": (
        "image.toml", 'name = "levels"', 'name = "orders"',
        "image.toml orders: expected a lower_case name that is not used yet",
    ),
    "preset without a value": (
        "constants.toml", "feeds_max = 4\n", "",
        "constants.toml [presets.minimal]: expected a value for feeds_max, found none",
    ),
    "preset value without a unit": (
        "constants.toml", "[presets.dev]", "[presets.dev]\nqueues_max = 3",
        "constants.toml [presets.dev]: queues_max has no unit in [preset_units]",
    ),
    "constant without a reason": (
        "constants.toml", ', why = "\'KC\'"', "",
        "constants.toml [constants] ECALL_KECCAK.why: expected a str, was None",
    ),
    "number used twice": (
        "errors.toml", "number = 4\n", "number = 3\n",
        "errors.toml: number 3 is used by WRONG_SOURCE and by BAD_LENGTH",
    ),
    "kind used twice": (
        "messages.toml", "kind = 0x02", "kind = 0x01",
        "messages.toml: kind 0x1 is used by PLACE and by CANCEL",
    ),
    "unknown wire type": (
        "messages.toml", '["order_id", "u64"], ["signature"', '["order_id", "u128"], ["signature"',
        "messages.toml CANCEL.order_id: expected a type of u8 to u64, b16, b20, b32, sig or list",
    ),
    "unknown source": (
        "messages.toml", 'source = "inbox"', 'source = "mail"',
        "messages.toml GENESIS.source: expected posted or inbox, was 'mail'",
    ),
    "member of another type": (
        "messages.toml", "uint8 key,uint64 nonce,uint64 expiresAt,uint64 orderId",
        "uint8 key,uint64 nonce,uint64 expiresAt,uint16 orderId",
        "messages.toml CANCEL.eip712 orderId: expected the type of the field order_id u64",
    ),
    "member missing": (
        "messages.toml", ",uint64 orderId)", ")",
        "messages.toml CANCEL.eip712: expected 5 members, was 4",
    ),
    "flag of two bits": (
        "messages.toml", "HOUSE_UNWIND = 4", "HOUSE_UNWIND = 3",
        "messages.toml [enums.fill_flag]: expected one bit per flag",
    ),
    "event of another size": (
        "messages.toml", ', ["extra", "i64"]', "",
        "messages.toml [event]: expected EVENT_BYTES bytes, was 56",
    ),
    "broken file": ("errors.toml", "[[code]]", "[[code", "errors.toml: "),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(BAD_TABLES))
def test_a_bad_table_is_refused_with_its_place(
    tree: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, old, new, message = BAD_TABLES[case]
    replace(tree, name, old, new)
    with pytest.raises(SchemaError) as caught:
        load(tree / "protocol")
    assert str(caught.value).startswith(message)
    assert main(["--root", str(tree)]) == 2
    assert message in capsys.readouterr().err


def test_own_keccak_equals_the_library_around_block_borders() -> None:
    for length in (0, 1, 31, 135, 136, 137, 271, 272, 273, 1000):
        data = bytes(index % 251 for index in range(length))
        expected = keccak.new(digest_bits=256, data=data).digest()
        assert keccak256(data) == expected, f"length {length}"


def test_numpy_records_have_the_sizes_and_tables_do_not_overlap() -> None:
    for preset, places in layout.PLACES.items():
        end = 0
        for name, table in layout.TABLES.items():
            dtype = np.dtype(table.dtype if isinstance(table.dtype, str) else list(table.dtype))
            assert dtype.itemsize == table.record_bytes, name
            offset, count = places[name]
            assert offset % 4096 == 0, (preset, name)
            assert offset >= end, (preset, name)
            end = offset + count * table.record_bytes
        assert end <= layout.IMAGE_BYTES[preset] <= constants.QUARTER_BYTES
        first = next(iter(layout.TABLES))
        assert (first, places[first]) == ("globals", (0, 1))
    assert layout.TABLES["globals"].dtype[0] == ("withdrawal_root", "V32")


def test_message_sizes_equal_the_sums_of_chapter_2() -> None:
    bytes_of = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "b16": 16, "b20": 20, "b32": 32, "sig": 65}
    for form in messages.MESSAGES.values():
        fixed = [field for field in form.fields if field.type != "list"]
        assert form.size == 1 + sum(bytes_of[field.type] for field in fixed)
    kind = messages.Kind
    assert messages.MESSAGES[kind.PRICES].size == 1 + 8 + 1 + 8 + 1 + 65
    assert messages.MESSAGES[kind.SET_SIGNERS].size == 1 + 1 + 1
    assert messages.MESSAGES[kind.CONTINUE].size == 1
    assert all(form.size <= constants.INBOX_MESSAGE_MAX
               for form in messages.MESSAGES.values() if form.source == "inbox")  # fmt: skip


def test_the_machine_uses_the_same_numbers() -> None:
    """machine/ includes nothing of core/, so its copies are compared here."""
    header = ROOT / "machine" / "layout.hpp"
    text = header.read_text(encoding="utf-8")
    for name, value in {
        "kCallExit": constants.ECALL_EXIT,
        "kCallKeccak": constants.ECALL_KECCAK,
        "kCallRecover": constants.ECALL_RECOVER,
        "kKeccakAlign": constants.HASH_BLOCK_BYTES,
        "kKeccakLengthMax": constants.HASH_BLOCK_BYTES,
    }.items():
        match = re.search(rf"\b{name} = ([0-9a-fA-Fx']+);", text)
        assert match, f"{name} is not in machine/layout.hpp"
        assert int(match[1].replace("'", ""), 0) == value, name
