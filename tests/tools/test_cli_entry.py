"""The `provenue` command: finding groups, and clear errors for what is not there."""

import subprocess
import sys
from pathlib import Path

import pytest

from provenue import __version__
from provenue.cli import main as entry


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of command groups in place of the real one."""
    (tmp_path / "add_up.py").write_text(
        '"""Add numbers.\n\nMore."""\nfrom cyclopts import App\napp = App()\n'
        "@app.default\ndef add(a: int, b: int) -> int:\n    return a + b\n"
    )
    (tmp_path / "broken.py").write_text('"""Cannot be imported."""\nimport no_such_module_xyz\n')
    (tmp_path / "_private.py").write_text('"""Not a group."""\n')
    import provenue.cli

    monkeypatch.setattr(provenue.cli, "__path__", [str(tmp_path)])
    monkeypatch.setattr(entry, "_FOLDER", tmp_path)
    yield tmp_path
    for name in ("add_up", "broken"):
        sys.modules.pop(f"provenue.cli.{name}", None)


def test_version_is_printed() -> None:
    command = [sys.executable, "-m", "provenue.cli.main", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"provenue {__version__}\n"


def test_help_lists_groups_without_importing_them(
    groups: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(["--help"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["add-up", "Add numbers."] in lines
    assert ["broken", "Cannot be imported."] in lines
    assert not [line for line in lines if line and "private" in line[0]]
    assert "provenue.cli.broken" not in sys.modules


def test_help_imports_neither_cyclopts_nor_rich() -> None:
    script = (
        "import sys; from provenue.cli.main import main; main(['--help']);"
        "sys.exit(bool({'cyclopts', 'rich', 'aiohttp', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_group_runs_beside_a_broken_one(groups: Path) -> None:
    assert entry.main(["add-up", "2", "3"]) == 5


def test_unknown_command_names_what_was_expected(
    groups: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(["add-upp"]) == 2
    message = capsys.readouterr().err
    assert "expected one of add-up, broken, was 'add-upp'; did you mean `add-up`?" in message


def test_unknown_option_names_what_was_expected(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["--nope"]) == 2
    assert "expected --help or --version" in capsys.readouterr().err
