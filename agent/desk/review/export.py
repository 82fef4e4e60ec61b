"""`fleeting review export`: sessions as files of other programs, each export logged first.

Rows of faces with OpenFace 2's column names, units that are not estimated left out; events of the
program, and of a rater where one is named, as ELAN, BORIS, BIDS or CSV (`agent.desk.coding`).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path

import agent
from agent.base.names import one_line
from agent.desk.coding.event import Event, in_order
from agent.desk.coding.files import FORMATS, write_events
from agent.desk.review.answers import AnswerFile
from agent.desk.review.errors import ReviewError
from agent.desk.review.material import Session
from agent.desk.review.study import Study
from agent.desk.trace.output import write_whole

OPENFACE = "openface"
ENDINGS = {"elan": ".eaf", "boris": ".boris", "bids": ".tsv", "csv": ".csv"}
KINDS = (OPENFACE, *ENDINGS)
_POSE = ("pose_Rx", "pose_Ry", "pose_Rz")


def export(study: Study, out: Path, kind: str, rater: str | None = None) -> list[Path]:
    """Write every session's file into a folder; returns them. Raises `ReviewError`, `StoreError`,
    `CodingError`."""
    if kind not in KINDS:
        raise ReviewError(f"There is no format {one_line(kind)}. Known are {', '.join(KINDS)}.")
    sessions = study.open("exported", form=kind, rater=rater or "")
    try:
        out.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ReviewError(f"{one_line(out)} cannot be made: {error.strerror}.") from None
    written = []
    for session in sessions:
        name = session.name if session.kind == "trace" else one_line(session.label)
        if kind == OPENFACE:
            path = out / f"{name}.openface.csv"
            write_whole(path, _rows(session), "table of faces")
        else:
            suffix = "_events.tsv" if kind == "bids" else ENDINGS[kind]
            path = out / f"{name}{suffix}"
            write_events(path, in_order(events(study.folder, session, rater)), "", session.seconds)
        written.append(path)
    assert set(ENDINGS.values()) == set(FORMATS)
    return written


def events(folder: Path, session: Session, rater: str | None) -> Iterator[Event]:
    """The program's, and those of a rater with their verdicts; faces side by side."""
    for movement in session.movements().values():
        yield movement.event(f"fleeting {agent.__version__}")
    if rater is not None:
        for answer in AnswerFile(folder, session.name, rater).read().values():
            yield answer.event(rater)


def _rows(session: Session) -> bytes:
    """As `agent.desk.trace.openface`: intensities times five, radians, frames counted from 1."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["frame", "face_id", "timestamp", "success", *_POSE, *(f"{u}_r" for u in session.units)]
    )
    rows = [
        (face.times[n], number, face, n)
        for number, face in enumerate(session.faces.values(), 1)
        for n in range(len(face.times))
    ]
    frame, before = 0, math.nan
    for time, number, face, n in sorted(rows, key=lambda row: row[:2]):
        frame, before = (frame, before) if time == before else (frame + 1, time)
        yaw, pitch, roll = map(math.radians, face.pose[n])
        writer.writerow(
            [frame, number, f"{time:.4f}", 1]
            + [_cell(value, 4) for value in (pitch, -yaw, roll)]
            + [_cell(5 * value, 3) for value in face.units[n]]
        )
    return text.getvalue().encode()


def _cell(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
