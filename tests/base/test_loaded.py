"""Pages of libraries are given back, never what a process has written, and work goes on."""

from __future__ import annotations

import ctypes
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


def _of_numpy(path: str) -> bool:
    return Path(path).name == _numpy()


def test_what_may_be_written_is_left_alone() -> None:
    places = mapped(_numpy())
    segments = list(loaded.read_only_segments(_of_numpy))
    assert any("w" in rights for _, _, rights, _ in places)
    assert segments
    for start, length in segments:
        within = [
            rights for first, last, rights, _ in places if first < start + length and last > start
        ]
        assert within
        assert not any("w" in rights for rights in within)


def test_what_was_written_while_it_was_linked_is_left_alone() -> None:
    """Tables of addresses, read-only by now: given back, they would be those of the file."""
    written = []
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            place = [int(each, 16) for each in words[0].split("-")]
            locked = "w" not in words[1] and words[-1].startswith("/")
        elif locked and words[0] == "Anonymous:" and int(words[1]):
            written.append(place)
    assert written
    for start, length in loaded.read_only_segments():
        assert not any(first < start + length and last > start for first, last in written)


def test_a_library_that_is_not_loaded_has_no_segments() -> None:
    assert list(loaded.read_only_segments(lambda path: path.endswith("libnothing.so"))) == []


def test_an_older_linker_gives_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Older:
        def __init__(self, *_: object, **__: object) -> None:
            self._handle = 0

        def dlinfo(self, _handle: object, asked: int, _answer: object) -> int:
            return -1

    monkeypatch.setattr(ctypes, "CDLL", Older)
    assert loaded.give_back() == 0


def test_pages_that_were_given_back_come_back() -> None:
    for start, length in loaded.read_only_segments(_of_numpy):
        assert len(ctypes.string_at(start, length)) == length  # all of it is there now
    before = sum(kib for *_, kib in mapped(_numpy()))
    assert loaded.give_back() > 2**22
    assert sum(kib for *_, kib in mapped(_numpy())) < before
    assert np.linalg.inv(np.eye(3) * 2.0)[1, 1] == 0.5
