"""Heads that are tilted: in how many pictures and films a face is found and read, by degrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Frame, Grey
from agent.desk.inspect import Inspector
from agent.vision.faces.landmarks import face_box
from agent.vision.pipeline import Pipeline
from tools.common.bootstrap import Resampler
from tools.common.errors import ToolError
from tools.common.progress import along
from tools.common.tables import markdown
from tools.eval import data
from tools.eval.card import join, number, prose
from tools.eval.detector.boxes import overlap
from tools.eval.ours import Ours

DEGREES = (0, 15, 30, 45, 60, 75, 90, 180)
PORTRAITS, FILMED = 40, 16
"""How many are looked at in pictures, and how many of those in films, at each tilt."""
SIZE, HEIGHT = (480, 360), 120.0
"""Of the pictures: width and height; the face's height, pixels."""
SECONDS, FPS = 4.0, 10.0
"""Of a film: the same picture all the time."""
IOU = 0.3
"""With the face's own box, from which it counts as found."""
_INSIDE = 0.97
"""Share of the oval's half axes within which all points must lie."""
COLUMNS = ("one look", "still found", "still read", "film found", "film read")
"""`one look`: by the detector alone at its threshold; `read`: with an expression that is not
unsure."""
WORDS = """
    `python -m tools.eval tilt`: {portraits} unseen portraits of the packs, cut out as an oval and
    put, tilted to either side by turns, into unseen pictures without a face; the face is
    {height:g} px high in {width}x{rows} px. *Found*: a box lies on it (IoU {iou:g}); *read*: with
    an expression that is not unsure. One look of the detector at its threshold; `fleeting inspect`;
    and the agent after {seconds:g} s at {fps:g} frames a second, {filmed} of the portraits. 95 %
    intervals over people.
"""


class Portrait(NamedTuple):
    """A face with enough around it to be cut out."""

    picture: Grey
    points: Float
    """float32[68, 2], pixels of the picture."""
    person: int


class Shown(NamedTuple):
    """A portrait as it is looked at."""

    picture: Grey
    box: Float
    """float32[4], xyxy: the face's."""


def tilt_figures(ours: Ours, limit: int | None) -> dict[str, Any]:
    """One row per tilt: shares of the portraits found and read in pictures and in films.

    Raises `ToolError` where no face has enough around it.
    """
    portraits, blanks = cut_out(data.faces()), data.negatives()
    if not portraits:
        raise ToolError("The packs have no unseen face with room around it to be tilted.")
    portraits = [
        portraits[i] for i in data.thin(len(portraits), min(limit or PORTRAITS, PORTRAITS))
    ]
    filmed = set(data.thin(len(portraits), min(limit or FILMED, FILMED)).tolist())
    inspector, detect = Inspector(ours.config), ours.detector(_score_above(ours))
    people = Resampler([portrait.person for portrait in portraits])
    in_films = np.array([k in filmed for k in range(len(portraits))])
    rows = []
    for degrees in DEGREES:
        columns: dict[str, list[bool]] = {name: [] for name in COLUMNS}
        for k, portrait in enumerate(along(portraits, f"tilted by {degrees} degrees")):
            shown = tilted(portrait, blanks[k % len(blanks)], degrees if k % 2 else -degrees)
            still = on_face(shown, inspector.picture(shown.picture))
            film = _filmed(ours, shown) if k in filmed else (False, False)
            found = detect(Frame(0.0, shown.picture)).boxes
            for name, hit in zip(
                COLUMNS,
                (_best(shown, found) is not None, still is not None,
                 still is not None and not still["unsure"], *film),
                strict=True,
            ):  # fmt: skip
                columns[name].append(hit)
        rows.append(
            {"degrees": degrees}
            | {
                name: people.share(hits, in_films if name.startswith("film") else None).figure()
                for name, hits in columns.items()
            }
        )
    return {
        "set": ours.which,
        "portraits": len(portraits),
        "filmed": len(filmed),
        "tilts": rows,
        "missing": {},
    }


def cut_out(faces: data.Faces) -> list[Portrait]:
    """Those of the faces that lie, all 68 points, in the oval that their picture holds."""
    found = []
    for picture, points, person in zip(faces.pictures, faces.first, faces.person, strict=True):
        half = np.array(picture.shape[::-1], np.float32) / 2
        if (np.hypot(*((points + 0.5 - half) / half).T) <= _INSIDE).all():
            found.append(Portrait(picture, points, int(person)))
    return found


def tilted(portrait: Portrait, behind: Grey, degrees: float) -> Shown:
    """The portrait's oval in the middle of a picture without a face, `degrees` clockwise."""
    height, width = portrait.picture.shape
    middle = (width - 1) / 2, (height - 1) / 2
    cover = np.zeros((height, width), np.float32)
    soft = 0.03 * min(width, height)
    axes = width - 4 * soft, height - 4 * soft
    cv2.ellipse(cover, (middle, axes, 0.0), 1.0, -1)
    cover = cv2.GaussianBlur(cover, (0, 0), soft)
    box = face_box(portrait.points)
    matrix = cv2.getRotationMatrix2D(middle, -degrees, HEIGHT / float(box[3] - box[1]))
    matrix[:, 2] += SIZE[0] / 2 - middle[0], SIZE[1] / 2 - middle[1]
    ground = cv2.resize(behind, SIZE, interpolation=cv2.INTER_LINEAR)
    face = cv2.warpAffine(portrait.picture, matrix, SIZE, flags=cv2.INTER_LINEAR)
    shares = cv2.warpAffine(cover, matrix, SIZE, flags=cv2.INTER_LINEAR)
    picture = np.asarray(cv2.blendLinear(face, ground, shares, 1.0 - shares), np.uint8)
    points = portrait.points @ matrix[:, :2].T + matrix[:, 2]
    return Shown(picture, face_box(points.astype(np.float32)))


def on_face(shown: Shown, faces: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Of the faces that `fleeting inspect` lists, the one that lies on the portrait's."""
    boxes = np.array([face["box"] for face in faces], np.float32).reshape(-1, 4)
    best = _best(shown, boxes)
    return None if best is None else faces[best]


def _filmed(ours: Ours, shown: Shown) -> tuple[bool, bool]:
    """Whether the film ends with a track on the face, and with an expression read from it."""
    pipeline = Pipeline(ours.config)
    for k in range(round(SECONDS * FPS)):
        seen = pipeline(Frame(k / FPS, shown.picture))
    boxes = np.array([face.box for face in seen.faces], np.float32).reshape(-1, 4)
    best = _best(shown, boxes)
    if best is None:
        return False, False
    expression = seen.faces[best].expression
    return True, expression is not None and not expression.unsure


def _best(shown: Shown, boxes: NDArray[np.float32]) -> int | None:
    shared = overlap(boxes, shown.box[None])[:, 0]
    return int(shared.argmax()) if len(shared) and shared.max() >= IOU else None


def _score_above(ours: Ours) -> float:
    return float(ours.parameters("detector")["score_above"])


def section(report: Mapping[str, Any]) -> str:
    """What stands between the lines of `card.TILT` in models/detector/CARD.md."""
    words = WORDS.format(
        **report, height=HEIGHT, width=SIZE[0], rows=SIZE[1], iou=IOU, seconds=SECONDS, fps=FPS
    )
    rows = [
        (f"{row['degrees']}", *(number(row[name], 0, True) for name in COLUMNS))
        for row in report["tilts"]
    ]
    return join([prose(words), markdown(("degrees", *COLUMNS), rows)])
