"""What a film adds up to: in order, on disk beyond a little, readable again and again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.base.errors import StoreError
from agent.desk.films.kept import IN_MEMORY, Kept, Made


def test_things_come_back_in_order_of_their_keys(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        kept: Kept[tuple[str, int]] = Kept(folder)
        big = "x" * (IN_MEMORY // 50)
        for number in range(100):
            kept.add((big, number), float(number // 2), -number)
        assert kept[3] == (big, 3)
        kept.sort()
        assert [number for _, number in kept] == [n + 1 - 2 * (n % 2) for n in range(100)]
        assert [number for _, number in kept[:2]] == [1, 0]
        kept.add((big, 100), 100.0)
        assert kept[-1] == (big, 100)
        with pytest.raises(IndexError):
            kept[101]


def test_beyond_a_little_it_lies_in_a_file_that_has_no_name(tmp_path: Path) -> None:
    kept: Kept[bytes] = Kept(tmp_path)
    for number in range(8):
        kept.add(bytes([number]) * (IN_MEMORY // 4))
    assert any(str(tmp_path) in _target(each) for each in os.listdir("/proc/self/fd"))
    assert list(tmp_path.iterdir()) == []
    assert kept[5][0] == 5


def _target(number: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""


def test_where_it_cannot_be_written_is_said(tmp_path: Path) -> None:
    kept: Kept[bytes] = Kept(tmp_path / "gone")
    kept.add(b"x")
    with pytest.raises(StoreError, match="gone cannot be written: No such file"):
        kept.add(bytes(IN_MEMORY))


def test_what_is_made_of_them_is_made_when_it_is_asked_for() -> None:
    asked: list[int] = []

    def make(place: int, thing: str) -> str:
        asked.append(place)
        return f"{place}{thing}"

    made = Made(["a", "b", "c"], make)
    assert len(made) == 3
    assert asked == []
    assert made[-1] == "2c"
    assert made[1:] == ["1b", "2c"]
    assert list(made) == ["0a", "1b", "2c"]
    assert asked == [2, 1, 2, 0, 1, 2]
