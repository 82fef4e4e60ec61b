"""What is drawn: the picture's frame with boxes and landmarks, and one face in outlines.

The outlines are those of the landmarks (iBUG order, Sagonas et al. 2013), turned upright and scaled
to one size.
"""

from __future__ import annotations

import numpy as np

from agent.base.types import EXPRESSIONS, Face, Float, Perceived
from agent.desk.aim.canvas import Canvas

_OUTLINES: tuple[tuple[slice, bool], ...] = (
    (slice(0, 17), False),
    (slice(17, 22), False),
    (slice(22, 27), False),
    (slice(27, 31), False),
    (slice(31, 36), False),
    (slice(36, 42), True),
    (slice(42, 48), True),
    (slice(48, 60), True),
    (slice(60, 68), True),
)
"""Points of jaw, brows, nose, eyes, lips, and whether their outline is closed."""
_MARGIN = 0.06
_EYES = 36, 45
"""Outer corners."""


def scene(perceived: Perceived, columns: int, lines: int) -> list[str]:
    """The whole picture: its edge, a box and the landmarks of each face."""
    width, height = perceived.size or (1, 1)
    canvas = Canvas(columns, lines, width, height)
    canvas.box(np.array([0, 0, width - 1, height - 1], np.float32))
    for face in perceived.faces:
        canvas.box(face.box)
        canvas.points(face.landmarks.points)
    return canvas.rows()


def schematic(points: Float, columns: int, lines: int) -> list[str]:
    """One face float32[68, 2] in outlines, upright."""
    left, right = (np.asarray(points[each], np.float64) for each in _EYES)
    along = right - left
    length = float(np.hypot(*along))
    canvas = Canvas(columns, lines, 1.0, 2.0 * lines / columns)
    if not length > 0:
        return canvas.rows()
    cosine, sine = along / length
    turned = (np.asarray(points, np.float64) - left) @ np.array([[cosine, -sine], [sine, cosine]])
    low, high = turned.min(axis=0), turned.max(axis=0)
    room = np.array([1.0, 2.0 * lines / columns]) * (1 - 2 * _MARGIN)
    scale = float((room / np.maximum(high - low, 1e-6)).min())
    placed = ((turned - (low + high) / 2) * scale + room / 2 / (1 - 2 * _MARGIN)).astype(np.float32)
    for part, closed in _OUTLINES:
        canvas.path(placed[part], closed=closed)
    return canvas.rows()


def nearest(faces: tuple[Face, ...]) -> Face | None:
    """The largest of them."""
    return max(faces, key=lambda face: float(face.box[3] - face.box[1]), default=None)


def words(face: Face) -> str:
    """What is read in a face, in a few words."""
    looks = "looks here" if face.attentive else "looks away"
    pose = f"yaw {face.pose.yaw:+.0f}, pitch {face.pose.pitch:+.0f}, roll {face.pose.roll:+.0f}"
    if face.expression is None:
        return f"{looks}; {pose}"
    probabilities = face.expression.probabilities
    label = "unsure" if face.expression.unsure else EXPRESSIONS[int(np.argmax(probabilities))]
    return f"{looks}; {label}; {pose}"
