"""Where the guest ELF comes from, and the command that shows its hash."""

import hashlib
from pathlib import Path

import pytest

from provenue._guest import GuestMissingError, committed_hash, guest_elf, guest_hash
from provenue.cli.main import main
from provenue.machine import Machine


def test_the_checkout_builds_an_elf_that_the_machine_loads() -> None:
    elf = guest_elf("minimal")
    Machine().load_elf(elf)
    assert guest_hash("minimal") == hashlib.sha256(elf).hexdigest()


def test_a_named_folder_comes_first_and_must_have_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVENUE_GUEST_DIR", str(tmp_path))
    with pytest.raises(GuestMissingError, match=r"expected provenue-dev\.elf"):
        guest_elf("dev")
    (tmp_path / "provenue-dev.elf").write_bytes(b"elf")
    assert guest_elf("dev") == b"elf"
    with pytest.raises(ValueError, match="preset: expected one of"):
        guest_elf("big")


def test_the_hash_command_says_whether_the_hash_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROVENUE_GUEST_DIR", str(tmp_path))
    (tmp_path / "provenue-minimal.elf").write_bytes(b"another program")
    found = hashlib.sha256(b"another program").hexdigest()
    status = main(["guest", "hash", "--preset", "minimal"])
    expected = committed_hash("minimal")
    assert capsys.readouterr().out == (
        f"minimal {found} " + (f"expected {expected}\n" if expected else "not committed\n")
    )
    assert status == (1 if expected else 0)
    (tmp_path / "provenue-minimal.elf").unlink()
    assert main(["guest", "hash", "--preset", "minimal"]) == 1
    assert "PROVENUE_GUEST_DIR" in capsys.readouterr().err
