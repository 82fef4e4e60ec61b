"""Landmark tracks in tables of other programs: CSV of OpenFace 2 and of py-feat.

Both have the 68 landmarks in iBUG order as `x_0` … `y_67`, pixels. OpenFace says `timestamp` in
seconds, `confidence` and `success`, and tells faces apart by `face_id` (its wiki, Output Format);
py-feat counts in `frame`s and says `FaceScore` and `Identity` (py-feat.org, `Fex`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agent.base.names import one_line
from agent.desk.spot.table import Table, opened
from agent.desk.spot.track import BLOCK, Block, TrackError, TrackFile

_X = tuple(f"x_{n}" for n in range(68))
_Y = tuple(f"y_{n}" for n in range(68))
_CONFIDENCE = ("confidence", "FaceScore")
_FACE = ("face_id", "Identity")
_TABLES = (".csv", ".tsv", ".txt")
_NOBODY = ("nan", "na")
"""What stands in place of a face in frames without one, in small letters, where it is not empty."""
_MAX_COORDINATE = 1e6


class TableTrack:
    """One face's landmarks over time, as `TrackFile`, from a table; read row by row.

    `face`: the one that is wanted, where there are several. `fps`: frames per second, where the
    table has no times. Raises `TrackError`.
    """

    def __init__(self, path: Path, fps: float | None = None, face: str | None = None) -> None:
        self.path = path
        self._fps = fps
        faces: Counter[str] = Counter()
        for _, row in self._rows():
            faces[_face_of(row)] += 1
        named = [name for name in faces if name]
        if face is None and len(named) > 1:
            listed = ", ".join(
                f"{one_line(name)} ({n} rows)" for name, n in faces.most_common(9) if name
            )
            raise TrackError(
                f"{one_line(path)} has {len(named)} faces: {listed}. Name one with --face."
            )
        self._wanted = {face if face is not None else next(iter(named), "")}
        self._frames = sum(faces[each] for each in self._wanted)
        if self._frames and named == list(self._wanted):
            # frames without a face are this one's, lost
            self._frames += faces[""]
            self._wanted.add("")
        if face is not None and not self._frames:
            listed = ", ".join(map(one_line, named[:8])) or "none"
            raise TrackError(f"{one_line(path)} has no face {one_line(face)}; it has {listed}.")
        if self._frames < 2:
            frames = "one frame" if self._frames else "no frame"
            raise TrackError(f"{one_line(path)} has {frames}; a movement takes several.")

    def __len__(self) -> int:
        """Frames."""
        return self._frames

    def blocks(self) -> Iterator[Block]:
        """All frames in order. Raises `TrackError`."""
        times: list[float] = []
        points: list[list[float]] = []
        confidence: list[float] = []
        for table, row in self._rows():
            if _face_of(row) not in self._wanted:
                continue
            times.append(self._time(table, row))
            points.append([table.number(row, name) for name in (*_X, *_Y)])
            confidence.append(_confidence(table, row))
            if len(times) == BLOCK:
                yield _block(times, points, confidence)
                times, points, confidence = [], [], []
        if times:
            yield _block(times, points, confidence)

    def _rows(self) -> Iterator[tuple[Table, dict[str, str]]]:
        """Cells by column, each with the open table."""
        with opened(self.path) as table:
            self._check_columns(table.columns)
            for row in table.rows():
                yield table, row

    def _check_columns(self, names: list[str]) -> None:
        missing = [name for name in (*_X, *_Y) if name not in names]
        if missing:
            first = ", ".join(map(one_line, names[:8])) or "none"
            raise TrackError(
                f"{one_line(self.path)} lacks the columns {missing[0]} … {missing[-1]}: "
                "landmarks as OpenFace 2 (`-2Dfp`) and py-feat write them. Its first columns "
                f"are {first}."
            )
        if "timestamp" not in names and ("frame" not in names or self._fps is None):
            raise TrackError(
                f"{one_line(self.path)} has no column timestamp: say with --fps how many frames "
                "there are in a second."
            )

    def _time(self, table: Table, row: dict[str, str]) -> float:
        if "timestamp" in row:
            return table.number(row, "timestamp")
        return table.number(row, "frame") / (self._fps or 1.0)


def _face_of(row: dict[str, str]) -> str:
    """Empty: of none, or there is but one."""
    label = next((row[name].strip() for name in _FACE if name in row), "")
    return "" if label.lower() in _NOBODY else label


def _confidence(table: Table, row: dict[str, str]) -> float:
    """In [0, 1]; 0 where the program itself says that it has lost the face."""
    name = next((each for each in _CONFIDENCE if each in row), None)
    found = 1.0 if name is None else table.number(row, name)
    lost = "success" in row and table.number(row, "success") < 0.5
    return 0.0 if lost or not math.isfinite(found) else min(max(found, 0.0), 1.0)


def open_track(
    path: Path, fps: float | None = None, face: str | None = None
) -> TrackFile | TableTrack:
    """A track by its ending: a table, else `.npz`. Raises `TrackError`."""
    if path.suffix.lower() in _TABLES:
        return TableTrack(path, fps, face)
    return TrackFile(path)


def _block(times: list[float], points: list[list[float]], confidence: list[float]) -> Block:
    flat = np.array(points, np.float64).reshape(len(times), 2, 68)
    with np.errstate(over="ignore"):
        landmarks = np.ascontiguousarray(flat.transpose(0, 2, 1), np.float32)
    missing = ~(np.abs(landmarks) < _MAX_COORDINATE).all((1, 2))
    sure = np.where(missing, 0.0, confidence).astype(np.float32)
    return Block(np.array(times, np.float64), landmarks, sure)
