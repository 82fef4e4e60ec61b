"""Pages of libraries are given back, never what a process has written, and work goes on."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

import numpy as np
import pytest

from agent.base import loaded


def mapped(library: str) -> list[tuple[int, int, str, int]]:
    """First and last address, permissions and resident KiB of each mapping of a library."""
    found: list[tuple[int, int, str, int]] = []
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            inside = Path(words[-1]).name == library
            if inside:
                first, last = (int(each, 16) for each in words[0].split("-"))
                found.append((first, last, words[1], 0))
        elif inside and words[0] == "Rss:":
            found[-1] = (*found[-1][:3], int(words[1]))
    return found


def _numpy() -> str:
    return Path(np.linalg._umath_linalg.__file__).name


def test_what_may_be_written_is_left_alone() -> None:
    places = mapped(_numpy())
    given = list(loaded.unchanged(lambda path: Path(path).name == _numpy()))
    assert any("w" in rights for _, _, rights, _ in places)
    assert given
    for start, length in given:
        within = [
            rights for first, last, rights, _ in places if first < start + length and last > start
        ]
        assert within
        assert not any("w" in rights for rights in within)


def test_pages_that_were_changed_before_they_were_locked_stay(tmp_path: Path) -> None:
    """As a library's tables, which are written while it is linked, then made read-only."""
    file = tmp_path / "library.so"
    file.write_bytes(b"a" * 2 * mmap.PAGESIZE)
    with file.open("rb") as opened:
        view = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
    view[0:1] = b"b"
    address = ctypes.addressof(ctypes.c_char.from_buffer(view))
    size = ctypes.c_size_t(len(view))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), size, mmap.PROT_READ) == 0
    loaded.give_back(lambda path: path == str(file))
    assert ctypes.string_at(address, 2) == b"ba"
    assert address not in [start for start, _ in loaded.unchanged()]


def test_a_clean_page_is_given_back_and_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "table"
    file.write_bytes(b"a" * 64 * mmap.PAGESIZE)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as view:
        assert view[::4096] == b"a" * 64
        assert sum(kib for *_, kib in mapped("table")) == 64 * mmap.PAGESIZE // 1024
        assert loaded.give_back(lambda path: path == str(file)) == 64 * mmap.PAGESIZE
        assert sum(kib for *_, kib in mapped("table")) == 0
        assert view[:] == b"a" * 64 * mmap.PAGESIZE


def test_a_file_that_is_not_mapped_has_no_pages() -> None:
    assert list(loaded.unchanged(lambda path: path.endswith("libnothing.so"))) == []


def test_nothing_is_given_back_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert loaded.give_back() == 0


def test_all_of_it_can_go() -> None:
    before = sum(kib for *_, kib in mapped(_numpy()))
    assert loaded.give_back() > 2**22
    assert sum(kib for *_, kib in mapped(_numpy())) < before
    assert np.linalg.inv(np.eye(3) * 2.0)[1, 1] == 0.5
