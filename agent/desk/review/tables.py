"""Tables of OpenFace 2 and py-feat as sessions: action units by face and time, and, where the table
has the 68 landmarks, the micro-expressions that `fleeting spot` finds in them.

OpenFace says `AU12_r` in [0, 5], `pose_Rx` in radians and `timestamp`; py-feat `AU12` in [0, 1] and
`frame`, which takes `fps`. py-feat's angles are left out: their signs are stated nowhere.
"""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path

from agent.base.config import MicroConfig
from agent.base.files import refuse_endless
from agent.base.names import one_line
from agent.desk.review.errors import ReviewError
from agent.desk.review.material import FaceTrace, Movement, Session
from agent.desk.spot.run import Spotting
from agent.desk.spot.table import Table, TableError, opened
from agent.desk.spot.table_track import open_track
from agent.desk.spot.track import TrackError
from agent.desk.spot.validation import validate
from agent.inference.manifest import load_manifest, models_folder
from agent.vision.micro.network import SpotterNetwork

_OPENFACE = re.compile(r"AU(\d\d)_r")
_PYFEAT = re.compile(r"AU(\d\d)")
_FACE = ("face_id", "Identity")
_POSE = ("pose_Rx", "pose_Ry", "pose_Rz")
_MOST_FACES = 200
_MOST_BYTES = 4_000_000_000
_LONGEST = 1e6
"""Seconds, eleven days."""


def read(path: Path, fps: float | None = None) -> Session:
    """A table; its name is a hash of the content. Raises `ReviewError`."""
    try:
        refuse_endless(path)
        if path.stat().st_size > _MOST_BYTES:
            raise ReviewError(
                f"{one_line(path)} has more than {_MOST_BYTES // 10**9} GB. Split it."
            )
        with path.open("rb") as binary:
            name = hashlib.file_digest(binary, "sha256").hexdigest()[:32]
        session, labels = Session(name, path.stem, "table"), dict[str, str]()
        with opened(path) as table:
            _fill(session, labels, table, path, fps)
            names = table.columns
    except OSError as error:
        raise ReviewError(
            f"{one_line(path)} cannot be read: {error.strerror}. Check the path."
        ) from None
    except TableError as error:
        raise ReviewError(str(error)) from None
    if "x_67" in names and "y_67" in names:
        for label, face in labels.items():
            _spot(session.faces[face], path, fps, label, session.notes)
    else:
        session.notes.append("no landmarks: movements are not looked for")
    return session


def _fill(
    session: Session, labels: dict[str, str], table: Table, path: Path, fps: float | None
) -> None:
    names = table.columns
    columns, most = _units_of(names)
    if not columns:
        raise ReviewError(
            f"{one_line(path)} has no action units: AU12_r … as OpenFace 2 writes them (`-aus`), "
            "or AU12 … as py-feat does."
        )
    if "timestamp" not in names and ("frame" not in names or fps is None):
        raise ReviewError(
            f"{one_line(path)} has no column timestamp: say with --fps how many frames there are "
            "in a second."
        )
    session.units = tuple(columns)
    empty = True
    for row in table.rows():
        try:
            _add(session, labels, table, row, columns, most, fps)
        except ValueError as error:
            raise ReviewError(f"{one_line(path)}, line {table.line}: {error}.") from None
        empty = False
    if not session.faces:
        why = "it ends with its first line" if empty else "none of its rows has one"
        raise ReviewError(
            f"{one_line(path)} shows no face: {why}. Take it out of the folder, or make it anew."
        )


def _units_of(names: list[str]) -> tuple[dict[str, str], float]:
    """Columns by unit, and what their greatest intensity is."""
    for pattern, most in ((_OPENFACE, 5.0), (_PYFEAT, 1.0)):
        found = {f"AU{match[1]}": name for name in names if (match := pattern.fullmatch(name))}
        if found:
            return found, most
    return {}, 1.0


def _add(
    session: Session,
    labels: dict[str, str],
    table: Table,
    row: dict[str, str],
    columns: dict[str, str],
    most: float,
    fps: float | None,
) -> None:
    if "success" in row and _number(table, row, "success") < 0.5:
        return
    units = [_share(_number(table, row, name) / most) for name in columns.values()]
    if all(map(math.isnan, units)):
        return  # no face in this frame
    label = next((row[name].strip() for name in _FACE if name in row), "")
    if label not in labels:
        if len(labels) == _MOST_FACES:
            raise ValueError(f"there are more than {_MOST_FACES} faces")
        labels[label] = f"1.{len(labels) + 1}"
        session.faces[labels[label]] = FaceTrace()
    face = session.faces[labels[label]]
    if "timestamp" in row:
        time = _number(table, row, "timestamp")
    else:
        time = _number(table, row, "frame") / (fps or 1)
    if not 0 <= time <= _LONGEST:
        said = "no number" if math.isnan(time) else f"{time:g} s"
        raise ValueError(f"its time is {said}; it lies in 0 to {_LONGEST:,.0f} s of a film")
    if face.times and time < face.times[-1]:
        raise ValueError(
            f"its time is {time:g} s, before that of the line above. Sort the table, or save "
            "each film as its own"
        )
    yaw = pitch = roll = math.nan
    if all(name in row for name in _POSE):
        rx, ry, rz = (math.degrees(_number(table, row, name)) for name in _POSE)
        yaw, pitch, roll = -ry, rx, rz
    face.add(time, units, math.nan, math.nan, (yaw, pitch, roll))


def _share(value: float) -> float:
    """Within [0, 1]; NaN as it is."""
    return value if math.isnan(value) else min(max(value, 0.0), 1.0)


def _number(table: Table, row: dict[str, str], name: str) -> float:
    """Finite, or NaN. Raises `ValueError`, `TableError`."""
    number = table.number(row, name)
    if math.isinf(number):
        raise ValueError(f"{name} is infinite, no number")
    return number


def _spot(face: FaceTrace, path: Path, fps: float | None, label: str, notes: list[str]) -> None:
    manifest = load_manifest(models_folder(None))
    try:
        track = open_track(path, fps, label or None)
        stats = validate(track)
    except TrackError as error:
        notes.append(f"movements are not looked for: {one_line(error)}")
        return
    network = SpotterNetwork.load(manifest.network("micro").read())
    spotting = Spotting(track, stats, MicroConfig(), network, None)
    face.movements = [
        Movement(
            each.onset, each.apex, each.offset, each.score, each.intensity, each.polarity,
            each.action_units,
        )
        for _, found in spotting.events()
        for each in found
        if each.onset >= 0
    ]  # fmt: skip
