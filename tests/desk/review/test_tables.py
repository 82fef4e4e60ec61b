"""Tables of other programs as sessions."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from agent.base.assets import CLIP
from agent.desk.replay import replay
from agent.desk.review.errors import ReviewError
from agent.desk.review.study import Study
from agent.desk.review.tables import read

OPENFACE = """frame, face_id, timestamp, confidence, success, pose_Rx, pose_Ry, pose_Rz, AU01_r, \
AU12_r, AU12_c
1, 0, 0.000, 0.98, 1, 0.1745, -0.3491, 0.0, 0.50, 5.00, 1
2, 0, 0.033, 0.98, 1, 0.1745, -0.3491, 0.0, 1.00, 7.50, 1
2, 1, 0.033, 0.98, 1, 0, 0, 0, 0, 2.5, 0
3, 0, 0.067, 0.10, 0, 0, 0, 0, 0, 0, 0
"""
PYFEAT = "frame,Identity,FaceScore,AU01,AU12,Pitch\n30,a,.9,0.25,0.5,3\n31,a,.9,0.5,1,3\n32,,,,,\n"


def table(folder: Path, text: str) -> Path:
    path = folder / "film.csv"
    path.write_text(text)
    return path


def test_openface(tmp_path: Path) -> None:
    session = read(table(tmp_path, OPENFACE))
    assert (session.kind, session.label, session.units) == ("table", "film", ("AU01", "AU12"))
    first, second = session.faces.values()
    assert first.times == [0.0, 0.033]
    assert first.units == [[0.1, 1.0], [0.2, 1.0]]
    yaw, pitch, roll = first.pose[0]
    assert (round(yaw), round(pitch), round(roll)) == (20, 10, 0)
    assert second.units == [[0.0, 0.5]]
    assert math.isnan(first.valence[0])
    assert "no landmarks" in session.notes[0]


def test_py_feat(tmp_path: Path) -> None:
    path = table(tmp_path, PYFEAT)
    session = read(path, fps=30)
    (face,) = session.faces.values()
    assert face.times == [1.0, pytest.approx(31 / 30)]
    assert face.units == [[0.25, 0.5], [0.5, 1.0]]
    assert math.isnan(face.pose[0][0])
    with pytest.raises(ReviewError, match="--fps"):
        read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no action units"),
        ("timestamp,AU12_r\n", r"film\.csv shows no face: it ends .* Take it out"),
        ("timestamp,AU12_r\n\n", "it ends with its first line"),
        ("timestamp,success,AU12_r\n0,0,1\n", "shows no face: none of its rows has one"),
        ("timestamp,AU12_r\n0,NA\n", "none of its rows has one"),
        ("a,b\n1,2\n", "no action units"),
        ("timestamp,AU12_r\n0\n", "cut off or edited"),
        ("timestamp,AU12_r\n0,x\n", "no number"),
        ("timestamp,AU12_r,pose_Rx,pose_Ry,pose_Rz\n0,1,inf,0,0\n", "no number"),
        ("timestamp,AU12_r\n1,1\n0,1\n", "before that of the line above"),
        ("timestamp,AU12_r\nnan,1\n", "its time is no number"),
        ("timestamp,face_id,AU12_r\n" + "".join(f"0,{n},1\n" for n in range(201)), "more than 200"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ReviewError, match=said):
        read(table(tmp_path, text))


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "film.csv").write_bytes(b"timestamp,AU12_r\n0,\xff\n")
    with pytest.raises(ReviewError, match="no UTF-8"):
        read(tmp_path / "film.csv")


@pytest.mark.slow
def test_movements_are_found_in_the_landmarks_of_a_table(tmp_path: Path) -> None:
    """A table of our own, with landmarks, of the bundled clip."""
    replay(
        CLIP, None, as_json=True, plot=None, trace=None, window=None,
        frames=tmp_path / "clip.csv", landmarks=True,
    )  # fmt: skip
    (session,) = Study(tmp_path).open()
    assert len(session.faces) > 1
    assert len(session.movements()) >= 3
    assert any(max(row) > 0.5 for face in session.faces.values() for row in face.units)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "film.csv")
    with pytest.raises(ReviewError, match=r"cannot be read: .*\. Check the path\."):
        read(tmp_path / "film.csv")


def test_a_spreadsheet_with_decimal_commas(tmp_path: Path) -> None:
    text = OPENFACE.replace(", ", ";").replace(".", ",")
    (first, second) = read(table(tmp_path, text)).faces.values()
    assert first.times == [0.0, 0.033]
    assert first.units == [[0.1, 1.0], [0.2, 1.0]]
    assert second.units == [[0.0, 0.5]]
