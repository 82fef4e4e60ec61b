"""Evaluation data: the packs' validation parts, which no training saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from tools.common.errors import ToolError
from tools.common.packs import decode, load
from tools.train.detector.labels import Labels
from tools.train.landmarks import labels as landmarks_labels

BARE, MASKED, WORN_WRONGLY, UNKNOWN = 0, 1, 2, 3
AGES = ((0, 3), (3, 13), (13, 20), (20, 30), (30, 45), (45, 60), (60, 130))
"""From, to (not included), years."""
GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "other")
"""The words of UTKFace's own labels."""
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """Pictures with labelled faces."""

    pictures: list[Grey]
    sources: list[str]
    boxes: list[Float]
    """float32[N, 4] each, xyxy, picture pixels."""
    ignored: list[NDArray[np.bool_]]
    kinds: list[NDArray[np.uint8]]
    """0 bare, 1 masked, 2 mask worn wrongly, 3 unknown."""
    keypoints: list[Float]
    """float32[N, 5, 2] each, NaN where unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Pictures of one face each with 68 points."""

    pictures: list[Grey]
    rows: Ints
    """int[N]: row of each in the pack."""
    points: Float
    """float32[N, 68, 2], picture pixels: the labels that the landmark model was trained on, or
    `first` where those cannot be made."""
    first: Float
    """float32[N, 68, 2]: the pack's own labels, FaceMesh v2's and the jaw of PFLD-GhostOne."""
    seen: NDArray[np.bool_]
    """bool[N, 68]: the point lies inside the picture."""
    person: Ints
    source: list[str]
    age: Ints
    """-1 where unknown, as are gender and race."""
    gender: Ints
    race: Ints
    yaw: Float
    """Degrees, rough."""
    named: Ints
    """Index of a human's expression label, or -1."""
    teacher: Float
    """float32[N, 7]: a teacher's expression probabilities (no contempt)."""


def thin(count: int, limit: int | None) -> Ints:
    """At most `limit` of `count` row numbers, spread evenly."""
    if limit is None or limit >= count:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, limit).astype(np.int64))


def scenes(limit: int | None = None) -> Scenes:
    """Unseen scenes. Raises `SystemExit` where there are no packs, as all of these do."""
    pack = load("scenes.npz")
    chosen = np.flatnonzero(pack["split"] == 1)
    chosen = chosen[thin(len(chosen), limit)]
    rows = [np.flatnonzero(pack["box_img"] == i) for i in chosen]
    return Scenes(
        [decode(pack["jpeg"], pack["off"], int(i)) for i in chosen],
        [str(pack["source"][i]) for i in chosen],
        [pack["box"][r].astype(np.float32) for r in rows],
        [pack["ignore"][r] == 1 for r in rows],
        [pack["cls"][r] for r in rows],
        [pack["kps"][r].astype(np.float32) for r in rows],
    )


def scenes_of(pictures: Sequence[Grey], labels: Sequence[Labels], source: str) -> Scenes:
    """Drawn or other pictures with a detector's labels; what faces wear is not known."""
    return Scenes(
        list(pictures),
        [source] * len(pictures),
        [each.box for each in labels],
        [each.ignore for each in labels],
        [np.full(len(each.box), UNKNOWN, np.uint8) for each in labels],
        [each.five for each in labels],
    )


def negatives(limit: int | None = None) -> list[Grey]:
    """Unseen pictures without a face."""
    pack = load("negatives.npz")
    chosen = np.flatnonzero(pack["split"] == 1)
    return [decode(pack["jpeg"], pack["off"], int(i)) for i in chosen[thin(len(chosen), limit)]]


def faces(limit: int | None = None, refined: bool = False) -> Faces:
    """Unseen faces with their teachers' points and answers.

    `refined`: with the labels that training makes of two teachers. Raises `ToolError` where a
    package or network that this needs is missing.
    """
    labels, pack = load("faces_labels.npz"), load("faces.npz")
    chosen = np.flatnonzero(labels["split"] == 1)
    chosen = chosen[thin(len(chosen), limit)]

    def column(name: str) -> Any:
        return labels[name][chosen]

    first = column("lm68").astype(np.float32)
    return Faces(
        [decode(pack["jpeg"], pack["off"], int(i)) for i in chosen],
        chosen,
        trained_on()[chosen] if refined else first,
        first,
        column("vis68") == 1,
        column("person").astype(np.int64),
        [str(name) for name in labels["source_names"][column("source")]],
        column("age").astype(np.int64),
        column("gender").astype(np.int64),
        column("race").astype(np.int64),
        column("pose_yaw_pitch_roll")[:, 0].astype(np.float32),
        column("label8").astype(np.int64),
        column("expr_prob").astype(np.float32) / 255,
    )


def trained_on() -> Float:
    """Labels of all faces of the pack as training has them, float32[M, 68, 2]."""
    try:
        return landmarks_labels.refined()
    except ModuleNotFoundError as error:
        raise ToolError(
            f"Making the labels that training has needs {error.name}: pip install {error.name}"
        ) from None
    except SystemExit as error:
        raise ToolError(str(error)) from None


def youtube_points(rows: Ints) -> tuple[Ints, Float]:
    """Which of the pack's `rows` carry the YouTube Faces' own machine-made points, and those.

    Returns positions int[M] in `rows` and points float32[M, 68, 2], picture pixels.
    """
    labels = load("faces_labels.npz")
    at = {int(row): k for k, row in enumerate(labels["ytf_index"])}
    found = np.array([k for k, row in enumerate(rows) if int(row) in at], np.int64)
    points = labels["ytf_lm68"][[at[int(rows[k])] for k in found]]
    return found, points.astype(np.float32).reshape(-1, 68, 2)


def groups(faces: Faces) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """(kind, name, which faces) by UTKFace's labels of age, gender and race."""
    known = np.array([source == "utkface" for source in faces.source])
    found = []
    for low, high in AGES:
        name = f"{low}+" if high > 120 else f"{low}-{high - 1}"
        found.append(("age", name, known & (faces.age >= low) & (faces.age < high)))
    for kind, values, names in (("gender", faces.gender, GENDERS), ("race", faces.race, RACES)):
        found += [(kind, name, known & (values == k)) for k, name in enumerate(names)]
    return found
