"""Comments in headers of PBM, PGM and PPM, by netpbm's rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.desk.still.read import read_still

_EIGHT = bytes(range(8))


@pytest.mark.parametrize(
    "head",
    [
        b"P5#c\n4 2\n255\n",
        b"P5\n4#c\n2\n255\n",
        b"P5\n4 2#c\r255\n",
        b"P5\n4 2\n255#c\n",
        b"P5\n4 2 # 17\n#\n# x\n255\n",
        b"P5\n#" + b"c" * 9000 + b"\n4 2\n255\n",
        b"P5\n00000000000004 2\n255\n",
        b"P54 2 255\n",
    ],
)
def test_a_comment_may_follow_anything(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(head + _EIGHT)
    assert read_still(path).luma.tobytes() == _EIGHT


def test_a_comment_ends_a_number(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5\n1#c\n2 255\n" + b"#\n" + bytes(30))
    assert read_still(path).luma.tolist() == [[ord("#")], [ord("\n")]]


@pytest.mark.parametrize("gap", [b"#c 9\n", b" # c 9\n", b"#c 9\r\n"])
def test_comments_among_written_values(tmp_path: Path, gap: bytes) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P2 4 2 255\n1 2 3 4" + gap + b"5 6 7 8")
    assert read_still(path).luma.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_comments_in_bilevel_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.pbm"
    shown = np.array([[0, 255, 0, 255]] * 2)
    path.write_bytes(b"P1#x 1\n4 2#x\n10 1 0#1\n1010")
    assert np.array_equal(read_still(path).luma, shown)
    path.write_bytes(b"P4#x\n4#1\n2#x\n\xa0\xa0")
    assert np.array_equal(read_still(path).luma, shown)
