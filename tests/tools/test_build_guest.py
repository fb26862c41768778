"""The guest builder: same bytes from any directory, RV64IM only, W^X, and clear refusals."""

import shutil
import struct
from pathlib import Path

import pytest

from tools import build_guest
from tools.build_guest import BuildError, build, guest_sources, presets
from tools.guest_elf import ElfError, check_elf, is_rv64im

ROOT = Path(__file__).resolve().parents[2]
FIXTURE = Path("tests/tools/fixtures/guest_main.cpp")
SOURCES = [Path("core/guest/start.S"), Path("core/guest/mem.cpp"), FIXTURE]
NEEDED = [*SOURCES, Path("core/guest/link.ld.in"), Path("protocol/constants.toml")]
TEXT_BASE = 0x7800_0000

pytestmark = pytest.mark.xdist_group("guest")


def _copy(root: Path) -> Path:
    for name in NEEDED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small guest, built from the fixture."""
    out = tmp_path_factory.mktemp("guest") / "small.elf"
    return build("minimal", out, sources=SOURCES).path.read_bytes()


# --- what is built -------------------------------------------------------------------------------


def test_same_bytes_from_directories_of_different_depth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = set()
    for place in ("a", "b/deeper/down/below"):
        root = _copy(tmp_path / place)
        # A cold local cache each, so that the second is compiled and not copied.
        monkeypatch.setenv("ZIG_LOCAL_CACHE_DIR", str(root / "cache"))
        hashes.add(build("minimal", root / "out.elf", root=root, sources=SOURCES).sha256)
    assert len(hashes) == 1


def test_hashes_are_those_committed() -> None:
    assert build_guest.main(["--check", "--quiet"]) == 0


def test_a_difference_from_the_committed_hashes_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(build_guest, "_build_unless_fresh", lambda *_: ("12" * 32, ""))
    monkeypatch.setattr(build_guest, "read_hashes", lambda: {"minimal": "34" * 32})
    assert build_guest.main(["--check", "--preset", "minimal", "--out", str(tmp_path)]) == 1
    assert f"minimal: expected {'34' * 32}, was {'12' * 32}" in capsys.readouterr().err


def test_presets_come_from_the_protocol() -> None:
    assert presets() == ["minimal", "dev", "main"]


def test_tests_and_host_only_files_are_no_part_of_the_guest(tmp_path: Path) -> None:
    for name in ("base/a.cpp", "base/a_test.cpp", "base/a_native.cpp", "native/b.cpp"):
        (tmp_path / "core" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "core" / name).touch()
    assert guest_sources(tmp_path) == [Path("core/guest/start.S"), Path("core/base/a.cpp")]


def test_text_starts_at_the_given_address(tmp_path: Path) -> None:
    guest = build("minimal", tmp_path / "x.elf", sources=SOURCES, text_base=0x8000_0000)
    assert check_elf(guest.path.read_bytes(), text_base=0x8000_0000).entry == 0x8000_0000


# --- what is refused -----------------------------------------------------------------------------


def _with_source(root: Path, text: str) -> list[Path]:
    """The fixture with one more function, `extra`, that it calls."""
    _copy(root)
    before, call, after = (root / FIXTURE).read_text().partition("kConstants[index")
    before, opening, body = before.partition("namespace {")
    assert call
    assert opening
    (root / FIXTURE).write_text(f"{before}{text}\n{opening}{body}extra(index) + {call}{after}")
    return SOURCES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "static uint64_t extra(uint64_t x) { volatile double y = 3; "
            "return static_cast<uint64_t>(y / static_cast<double>(x)); }",
            "__divdf3",
        ),
        (
            "static uint64_t extra(uint64_t x) { unsigned __int128 a = x; a <<= 64; "
            "return static_cast<uint64_t>(a / (x + 1)); }",
            "__udivti3",
        ),
        ("static uint64_t extra(uint64_t x) { return *new uint64_t(x); }", "operator new"),
        ("static uint64_t extra(uint64_t x) { int y = x; return y + 1u; }", "conversion"),
    ],
    ids=["soft-float", "wide division", "heap", "warning"],
)
def test_what_the_guest_may_not_need_fails_to_build(
    tmp_path: Path, text: str, expected: str
) -> None:
    sources = _with_source(tmp_path, text)
    with pytest.raises(BuildError, match=expected):
        build("minimal", tmp_path / "x.elf", root=tmp_path, sources=sources)
    assert not (tmp_path / "x.elf").exists()


def test_a_foreign_instruction_is_refused(tmp_path: Path) -> None:
    text = 'static uint64_t extra(uint64_t x) { asm volatile("fence"); return x; }'
    sources = _with_source(tmp_path, text)
    with pytest.raises(BuildError, match="is not RV64IM"):
        build("minimal", tmp_path / "x.elf", root=tmp_path, sources=sources)


def _segments_at(elf: bytes) -> int:
    return int(struct.unpack_from("<Q", elf, 32)[0])


def test_writable_code_is_refused(elf: bytes) -> None:
    patched = bytearray(elf)
    struct.pack_into("<I", patched, _segments_at(elf) + 4, 7)
    with pytest.raises(ElfError, match="expected R-X then RW-"):
        check_elf(bytes(patched), text_base=TEXT_BASE)


def test_executable_data_is_refused(elf: bytes) -> None:
    patched = bytearray(elf)
    struct.pack_into("<I", patched, _segments_at(elf) + 56 + 4, 7)
    with pytest.raises(ElfError, match="expected R-X then RW-"):
        check_elf(bytes(patched), text_base=TEXT_BASE)


def test_another_entry_is_refused(elf: bytes) -> None:
    patched = bytearray(elf)
    struct.pack_into("<Q", patched, 24, TEXT_BASE + 4)
    with pytest.raises(ElfError, match="entry"):
        check_elf(bytes(patched), text_base=TEXT_BASE)


def test_another_machine_is_refused(elf: bytes) -> None:
    patched = bytearray(elf)
    struct.pack_into("<H", patched, 18, 62)
    with pytest.raises(ElfError, match="expected a RISC-V executable"):
        check_elf(bytes(patched), text_base=TEXT_BASE)


# --- the instruction check -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        0x0000_0533,  # add a0, zero, zero
        0x02A5_0533,  # mul a0, a0, a0
        0x02A5_553B,  # divuw a0, a0, a0
        0x4035_5513,  # srai a0, a0, 3
        0x43F5_5513,  # srai a0, a0, 63
        0x0015_151B,  # slliw a0, a0, 1
        0x0005_3503,  # ld a0, 0(a0)
        0x0005_6503,  # lwu a0, 0(a0)
        0x00A5_3023,  # sd a0, 0(a0)
        0x0000_8067,  # ret
        0x0000_0073,  # ecall
        0x0010_0073,  # ebreak
    ],
    ids=hex,
)
def test_rv64im_words_are_known(word: int) -> None:
    assert is_rv64im(word)


@pytest.mark.parametrize(
    "word",
    [
        0x0000_4501,  # compressed: li a0, 0
        0x100A_B52F,  # lr.d a0, (s5)
        0x02A5_7553,  # fadd.d
        0x0005_3507,  # fld
        0x0000_000F,  # fence
        0x3410_1073,  # csrw mepc, zero
        0x0005_7503,  # load, funct3 7
        0x00A5_4023,  # store, funct3 4
        0x00A5_2063,  # branch, funct3 2
        0x0000_9067,  # jalr, funct3 1
        0x0205_151B,  # slliw with a sixth bit of shift
        0x0405_1513,  # slli, a bit above the shift
        0x20A5_2533,  # Zba sh1add
        0x40A5_7533,  # Zbb andn
        0x02A5_153B,  # word form of mulh: reserved
        0xFFFF_FFFF,
    ],
    ids=hex,
)
def test_other_words_are_not(word: int) -> None:
    assert not is_rv64im(word)
