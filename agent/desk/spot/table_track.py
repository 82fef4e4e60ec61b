"""Landmark tracks in tables of other programs: CSV of OpenFace 2 and of py-feat.

Both have the 68 landmarks in iBUG order as `x_0` … `y_67`, pixels. OpenFace says `timestamp` in
seconds, `confidence` and `success`, and tells faces apart by `face_id` (its wiki, Output Format);
py-feat counts in `frame`s and says `FaceScore` and `Identity` (py-feat.org, `Fex`).
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agent.base.files import refuse_endless
from agent.base.names import one_line
from agent.desk.spot.track import BLOCK, Block, TrackError, TrackFile

_X = tuple(f"x_{n}" for n in range(68))
_Y = tuple(f"y_{n}" for n in range(68))
_CONFIDENCE = ("confidence", "FaceScore")
_FACE = ("face_id", "Identity")
_MAX_COORDINATE = 1e6


class TableTrack:
    """One face's landmarks over time, as `TrackFile`, from a table; read row by row.

    `face`: the one that is wanted, where there are several. `fps`: frames per second, where the
    table has no times. Raises `TrackError`.
    """

    def __init__(self, path: Path, fps: float | None = None, face: str | None = None) -> None:
        self.path = path
        self._fps, self._face = fps, face
        faces: Counter[str] = Counter()
        for _, row in self._rows():
            faces[self._face_of(row)] += 1
        if face is None and len(faces) > 1:
            listed = ", ".join(f"{one_line(name)} ({n} rows)" for name, n in faces.most_common(8))
            raise TrackError(
                f"{one_line(path)} has {len(faces)} faces: {listed}. Name one with --face."
            )
        self._face = face if face is not None else next(iter(faces), "")
        self._frames = faces[self._face]
        if face is not None and not self._frames:
            listed = ", ".join(map(one_line, list(faces)[:8]))
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
        for line, row in self._rows():
            if self._face_of(row) != self._face:
                continue
            times.append(self._time(line, row))
            points.append([self._number(line, row, name) for name in (*_X, *_Y)])
            confidence.append(self._confidence(line, row))
            if len(times) == BLOCK:
                yield _block(times, points, confidence)
                times, points, confidence = [], [], []
        if times:
            yield _block(times, points, confidence)

    def _rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Line numbers and cells by column."""
        try:
            refuse_endless(self.path)
            with self.path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file)
                names = [name.strip() for name in next(reader, [])]
                self._check_columns(names)
                for cells in reader:
                    if len(cells) not in (0, len(names)):
                        raise TrackError(
                            f"{one_line(self.path)}, line {reader.line_num} has {len(cells)} "
                            f"cells, the first {len(names)}: the file was cut off or edited."
                        )
                    if cells:
                        yield reader.line_num, dict(zip(names, cells, strict=True))
        except OSError as error:
            raise TrackError(
                f"{one_line(self.path)} cannot be read: {error.strerror}. Check the path."
            ) from None
        except UnicodeDecodeError:
            raise TrackError(f"{one_line(self.path)} is no UTF-8: save it as such.") from None
        except csv.Error as error:
            raise TrackError(f"{one_line(self.path)}, line {reader.line_num}: {error}.") from None

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

    def _face_of(self, row: dict[str, str]) -> str:
        return next((row[name].strip() for name in _FACE if name in row), "")

    def _time(self, line: int, row: dict[str, str]) -> float:
        if "timestamp" in row:
            return self._number(line, row, "timestamp")
        return self._number(line, row, "frame") / (self._fps or 1.0)

    def _confidence(self, line: int, row: dict[str, str]) -> float:
        """In [0, 1]; 0 where the program itself says that it has lost the face."""
        name = next((each for each in _CONFIDENCE if each in row), None)
        found = 1.0 if name is None else self._number(line, row, name)
        lost = "success" in row and self._number(line, row, "success") < 0.5
        return 0.0 if lost or not math.isfinite(found) else min(max(found, 0.0), 1.0)

    def _number(self, line: int, row: dict[str, str], name: str) -> float:
        """NaN for an empty cell: no face in this frame."""
        cell = row[name].strip()
        try:
            return float(cell) if cell else math.nan
        except ValueError:
            raise TrackError(
                f"{one_line(self.path)}, line {line}: {name} is {one_line(cell[:20])!r}, no "
                "number. Decimal points are needed, not commas."
            ) from None


def open_track(
    path: Path, fps: float | None = None, face: str | None = None
) -> TrackFile | TableTrack:
    """A track by its ending: a table, else `.npz`. Raises `TrackError`."""
    if path.suffix.lower() == ".csv":
        return TableTrack(path, fps, face)
    return TrackFile(path)


def _block(times: list[float], points: list[list[float]], confidence: list[float]) -> Block:
    flat = np.array(points, np.float64).reshape(len(times), 2, 68)
    with np.errstate(over="ignore"):
        landmarks = np.ascontiguousarray(flat.transpose(0, 2, 1), np.float32)
    missing = ~(np.abs(landmarks) < _MAX_COORDINATE).all((1, 2))
    sure = np.where(missing, 0.0, confidence).astype(np.float32)
    return Block(np.array(times, np.float64), landmarks, sure)
