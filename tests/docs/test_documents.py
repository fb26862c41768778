"""What documents name is there: files, headings, commands, options, targets, messages, figures."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests.docs.markdown import ROOT, blocks, named_paths, prose, rows, section, ticks

from provenue._generated.constants import (
    BATCH_BYTES_MAX,
    BATCH_MESSAGES_MAX,
    NONCE_WINDOW,
    PIPELINE_MAX,
)
from provenue.cli.main import command_groups, main
from provenue.settlement.deploy_config import DeployConfig
from provenue.wire import Place, encode, posted_size_bytes

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md", "src/provenue/*.md", "tests/*.md",
                    "bench/*.md", "machine/*.md")
    for path in ROOT.glob(pattern)
)  # fmt: skip
IDS = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
_COMMAND = re.compile(r"(?:^|[`/ ])provenue ([a-z][a-z-]*)((?:[^`\n]|\\\n)*)", re.MULTILINE)
_ANCHOR = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")


def _code(text: str) -> str:
    """Fenced blocks and what stands in backticks: where commands are commands and not prose."""
    plain = [block.text for block in blocks(text) if block.language in ("", "sh")]
    return "\n".join([*plain, *(f"`{word}`" for word in ticks(prose(text)))])


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_named_path_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for path in named_paths(text, document=document):
        name = path.relative_to(ROOT)
        assert any(ROOT.glob(str(name))) if "*" in path.name else path.exists(), str(name)


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_linked_heading_exists(document: Path) -> None:
    for target, anchor in _ANCHOR.findall(document.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path = document.parent / target if target else document
        headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in map(_slug, headings), f"{target}#{anchor}"


def _commands() -> dict[tuple[str, ...], set[str]]:
    """Options that documents use, by command (and the word behind it, as in `guest hash`)."""
    found: dict[tuple[str, ...], set[str]] = {}
    for document in DOCUMENTS:
        for name, rest in _COMMAND.findall(_code(document.read_text(encoding="utf-8"))):
            words = (name, *re.findall(r"^ *([a-z]+)\b", rest))
            found.setdefault(words, set()).update(re.findall(r"(?<!\S)--[a-z-]+", rest))
    return found


def test_every_command_and_its_options_exist(capsys: pytest.CaptureFixture[str]) -> None:
    groups = command_groups()
    for words, options in _commands().items():
        assert words[0] in groups, f"provenue {words[0]}"
        main([*words, "--help"])
        known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
        assert options <= known, f"provenue {' '.join(words)}: {sorted(options - known)}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(groups) == {name for name, _ in _COMMAND.findall(_code(readme))}


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for document in DOCUMENTS:
        code = _code(document.read_text(encoding="utf-8"))
        named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", code, re.MULTILINE))
        assert named <= targets, f"{document.name}: {sorted(named - targets)}"


# --- docs/operating.md ---------------------------------------------------------------------------


def test_the_example_deployment_is_accepted(tmp_path: Path) -> None:
    (example,) = [block.text for block in blocks(OPERATING) if block.language == "toml"]
    path = tmp_path / "venue.toml"
    path.write_text(example, encoding="utf-8")
    config = DeployConfig.load(path)
    assert [asset.symbol for asset in config.assets] == ["USDC", "BTC"]
    assert {instrument.kind for instrument in config.instruments} == {"perpetual", "spot"}
    for number in range(len(config.instruments)):
        config.list_instrument(number)
    assert "[delays]" in example
    fields = set(re.findall(r"^(\w+) =", example.split("[delays]")[1].split("[[")[0], re.MULTILINE))
    assert fields == set(type(config.delays).__struct_fields__), "every delay is in the example"


def _sources() -> str:
    """All text of the program that could be a message, with split literals joined."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "contracts").rglob("*.vy")]
    joined = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", joined)


def test_every_message_of_the_table_is_one_of_the_programs() -> None:
    sources = _sources()
    for row in rows(section(OPERATING, "What it says, and what to do")):
        for message in ticks(row[0]):
            parts = re.split(r"\.\.\.\S*|\b[A-Z]+\b|reverted: |status 1", message)
            for part in parts:
                words = part.strip(" :(),;")
                assert len(words) < 6 or words in sources, f"{message!r}: {words!r}"


def test_the_figures_about_delays_follow_from_the_constants() -> None:
    order = len(encode(Place(
        account=1, key=0, nonce=0, expires_at_ms=0, instrument=0, side=0, order_type=0,
        time_in_force=0, flags=0, self_trade=0, price_ticks=1, size_lots=1, client_id=0,
        good_till_s=0,
    )))  # fmt: skip
    fit = max(n for n in range(BATCH_MESSAGES_MAX) if posted_size_bytes(n, n * order)
              <= BATCH_BYTES_MAX)  # fmt: skip
    text = section(OPERATING, "Delays, and what follows from them")
    assert f"`64 * {fit} / challenge_window_s`" in text
    assert (PIPELINE_MAX, BATCH_BYTES_MAX) == (64, 120_000)
    assert f"{PIPELINE_MAX * fit / 3_600:.0f} with one hour" in text
    assert f"{PIPELINE_MAX * fit / (7 * 86_400):.1f} with seven days" in text
    api = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert f"window of {NONCE_WINDOW}" in api


def test_python_in_documents_imports_what_is_there() -> None:
    for document in DOCUMENTS:
        for block in blocks(document.read_text(encoding="utf-8")):
            if block.language != "python":
                continue
            tree = ast.parse(block.text)
            lines = [ast.unparse(node) for node in tree.body
                     if isinstance(node, ast.Import | ast.ImportFrom)]  # fmt: skip
            exec("\n".join(lines), {})


# --- ARCHITECTURE.md -----------------------------------------------------------------------------


def test_every_invariant_has_code_and_tests() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = rows(section(text, "Where each invariant is kept and tested"))
    assert [row[0] for row in table] == [f"P{n}" for n in range(1, 10)]
    for name, _, code, tests in table:
        assert ticks(code), name
        assert any("test" in path for path in ticks(tests)), name


# --- docs/open-holes.md --------------------------------------------------------------------------


def test_the_open_holes_are_those_that_tests_expect_to_fail() -> None:
    text = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("test_*.py"))
    marked = set(re.findall(r"reason=\"[^\"]*\(([A-Z]\d+)\)\"", text))
    page = (ROOT / "docs" / "open-holes.md").read_text(encoding="utf-8")
    listed = {row[0] for row in rows(page)}
    assert not marked - listed, f"open, and not in docs/open-holes.md: {sorted(marked - listed)}"
    assert not listed - marked, f"closed: take out of docs/open-holes.md: {sorted(listed - marked)}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_no_figure_is_left_to_be_filled_in(document: Path) -> None:
    """A line of capitals stands where a table was to be."""
    text = re.sub(r"`[^`]*`", "", document.read_text(encoding="utf-8"))
    assert not re.findall(r"^[A-Z]{6,}$", text, re.MULTILINE)
