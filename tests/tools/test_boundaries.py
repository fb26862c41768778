"""The layers: this tree keeps them, and each kind of violation is found."""

from pathlib import Path

import pytest

from tools.check_boundaries import check


def _write(root: Path, name: str, text: str = "") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree that keeps every rule."""
    _write(tmp_path, "core/base/number.hpp", "#include <cstdint>\n")
    _write(tmp_path, "core/matching/book.hpp", '#include "core/base/number.hpp"\n')
    _write(tmp_path, "core/clearing/ledger.hpp", '#include "../base/number.hpp"\n')
    _write(
        tmp_path,
        "core/program/apply.cpp",
        '#include "core/matching/book.hpp"\n#include "core/clearing/ledger.hpp"\n',
    )
    _write(tmp_path, "core/native/image.cpp", "#include <string>\n")
    _write(tmp_path, "machine/step.hpp", "#include <vector>\n")
    _write(tmp_path, "src/provenue/engine.py", "from provenue import _native\n")
    _write(tmp_path, "src/provenue/spec/rules.py", "from provenue.spec import book\n")
    return tmp_path


def test_this_tree_keeps_the_layers() -> None:
    assert check() == []


def test_a_tree_that_keeps_the_rules_has_no_violation(tree: Path) -> None:
    assert check(tree) == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "core/matching/a.cpp",
            '#include "core/clearing/ledger.hpp"\n',
            "core/matching includes core/clearing",
        ),
        (
            "core/clearing/a.cpp",
            '\n#  include "../matching/book.hpp"\n',
            "core/clearing includes core/matching",
        ),
        (
            "core/base/a.hpp",
            '#include "core/matching/book.hpp"\n',
            "core/base includes core/matching",
        ),
        ("machine/a.cpp", '#include "core/base/number.hpp"\n', "machine includes core/base"),
        ("core/base/a.cpp", '#include "machine/step.hpp"\n', "core/base includes machine"),
        ("core/base/a.cpp", "#include <core/matching/book.hpp>\n", "includes core/matching"),
        ("core/program/a.cpp", "#include <vector>\n", "expected a freestanding header"),
        ("core/program/a.cpp", '#include "absent.hpp"\n', "expected a file of this tree"),
        (
            "core/other/a.cpp",
            '#include "core/base/number.hpp"\n',
            "core/other: expected a folder with a rule",
        ),
        ("src/provenue/spec/a.py", "from ..wire import codec\n", "spec imports provenue.wire"),
        ("src/provenue/spec/a.py", "import provenue.engine\n", "spec imports provenue.engine"),
        (
            "src/provenue/spec/a.py",
            "def f():\n    from provenue import wire\n",
            "spec imports provenue.wire",
        ),
        ("src/provenue/sim/a.py", "from provenue import _native\n", "imports provenue._native"),
        ("src/provenue/a.py", "from . import _native_dev\n", "imports provenue._native_dev"),
        ("tests/a.py", "import provenue._native_main\n", "imports provenue._native_main"),
        (
            "tools/a.py",
            "import importlib\nx = importlib.import_module('provenue._native')\n",
            "tools/a.py:2: imports provenue._native",
        ),
    ],
)
def test_violation_is_found(tree: Path, name: str, text: str, expected: str) -> None:
    _write(tree, name, text)
    violations = check(tree)
    assert len(violations) >= 1
    assert all(violation.startswith(f"{name}:") for violation in violations)
    assert any(expected in violation for violation in violations), violations
