"""Landmark tracks of other programs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from agent.desk.spot.table_track import TableTrack, open_track
from agent.desk.spot.track import TrackError, TrackFile
from tests.desk.spot.tracks import save, still

POINTS = still(50)["landmarks"]
COLUMNS = [f"{axis}_{n}" for axis in "xy" for n in range(68)]


def rows(frames: int, face: str = "0") -> list[dict[str, object]]:
    return [
        {
            "frame": n + 1,
            "face_id": face,
            "timestamp": f"{n / 30:.3f}",
            "confidence": 0.98,
            "success": 1,
            **dict(zip(COLUMNS, POINTS[n].T.ravel().round(3), strict=True)),
        }
        for n in range(frames)
    ]


def written(path: Path, table: list[dict[str, object]], gap: str = "") -> Path:
    """`gap`: after each comma of the first line, as OpenFace 2.0 wrote it."""
    names = list(table[0])
    with path.open("w", newline="") as file:
        file.write((f",{gap}").join(names) + "\n")
        csv.DictWriter(file, names).writerows(table)
    return path


@pytest.mark.parametrize("gap", ["", " "])
def test_a_table_of_openface_is_the_track_that_it_holds(tmp_path: Path, gap: str) -> None:
    track = open_track(written(tmp_path / "a.CSV", rows(50), gap))
    (block,) = track.blocks()
    assert len(track) == 50
    np.testing.assert_allclose(block.points, POINTS, atol=1e-3)
    np.testing.assert_allclose(block.times, np.arange(50) / 30, atol=1e-3)
    assert block.confidence.min() == pytest.approx(0.98)


def test_frames_that_the_program_lost_have_no_confidence(tmp_path: Path) -> None:
    table = rows(10)
    table[3]["success"] = 0
    table[4]["confidence"] = ""
    table[5]["x_7"] = "nan"
    (block,) = TableTrack(written(tmp_path / "a.csv", table)).blocks()
    assert np.flatnonzero(block.confidence == 0).tolist() == [3, 4, 5]


def test_one_of_several_faces_is_asked_for_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", rows(10, "0") + rows(6, "1"))
    with pytest.raises(TrackError, match="--face"):
        TableTrack(path)
    assert len(TableTrack(path, face="1")) == 6
    with pytest.raises(TrackError, match="no face 2"):
        TableTrack(path, face="2")


def test_a_table_of_py_feat_counts_in_frames(tmp_path: Path) -> None:
    table = rows(10)
    for row in table:
        for name in ("face_id", "timestamp", "confidence", "success"):
            del row[name]
        row["FaceScore"] = 0.9
    path = written(tmp_path / "a.csv", table)
    with pytest.raises(TrackError, match="--fps"):
        TableTrack(path)
    (block,) = TableTrack(path, fps=25.0).blocks()
    np.testing.assert_allclose(np.diff(block.times), 0.04)
    assert block.confidence.max() == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "x_0"),
        (b"frame,timestamp,AU01_r\n1,0,0\n", "x_0"),
        (b"frame,timestamp\n\xff", "UTF-8"),
    ],
)
def test_another_table_is_named(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    with pytest.raises(TrackError, match=words):
        TableTrack(path)


def test_decimal_commas_and_cut_lines_are_named_with_their_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", rows(5))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], lines[3].replace(",0.98,", ',"0,98",'), *lines[4:]]))
    with pytest.raises(TrackError, match="line 4"):
        list(TableTrack(path).blocks())
    path.write_text("\n".join([*lines[:5], lines[5][:40]]))
    with pytest.raises(TrackError, match="line 6"):
        TableTrack(path)


def test_other_files_are_npz_as_before(tmp_path: Path) -> None:
    assert isinstance(open_track(save(tmp_path / "a.npz", still(5))), TrackFile)


@pytest.mark.parametrize("nobody", ["", "nan"])
def test_frames_of_nobody_are_lost_ones_of_the_only_face(tmp_path: Path, nobody: str) -> None:
    """py-feat names no identity where it finds no face."""
    table = rows(10)
    table[4] |= {"face_id": nobody, **dict.fromkeys(COLUMNS, "nan")}
    path = written(tmp_path / "a.csv", table)
    for face in (None, "0"):
        track = TableTrack(path, face=face)
        assert len(track) == 10
        (block,) = track.blocks()
        assert np.flatnonzero(block.confidence == 0).tolist() == [4]
    path = written(path, [*table, *rows(3, "1")])
    with pytest.raises(TrackError, match=r"has 2 faces: 0 \(9 rows\), 1 \(3 rows\)\. Name one"):
        TableTrack(path)
    assert len(TableTrack(path, face="0")) == 9


def test_tables_have_other_endings_too(tmp_path: Path) -> None:
    assert len(open_track(written(tmp_path / "a.TXT", rows(5)))) == 5
