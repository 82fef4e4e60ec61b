"""Faces put together from two: more people and more expressions than the clean set has.

Both are cut alike, so that eyes lie upon eyes and mouths upon mouths. Either the lower half of one
goes under the upper half of the other, or the inner face of one into the head of the other, or both
are blended. Only for a teacher that names whatever it is shown (`tools.train.clean.named`), as
with `tools.train.clean.grimace`.
"""

from __future__ import annotations

import numpy as np

from agent.base.types import Float, Grey
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE

SEAM = 2.5
"""Softness of an edge, pixels."""


def chimera(face: Grey, other: Grey, rng: np.random.Generator) -> Grey:
    """One face uint8[S, S] of two that are cut as by `EXPRESSION_CROP` with an even margin."""
    side = len(face)
    points = EXPRESSION_CROP.place(MEAN_SHAPE) + np.float32((side - EXPRESSION_CROP.size) / 2)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    kind = rng.random()
    if kind < 0.5:
        eyes, lips = points[36:48, 1].max(), points[48:, 1].min()
        seam = eyes + float(rng.uniform(0.3, 0.8)) * (lips - eyes)
        share = 1 / (1 + np.exp((seam - y) / SEAM))
    elif kind < 0.8:
        low = points[17:].min(0) - np.array([4, 3])
        high = points[17:].max(0) + np.array([4, 5])
        middle, reach = (low + high) / 2, (high - low) / 2 * float(rng.uniform(0.9, 1.2))
        far = np.hypot((x - middle[0]) / reach[0], (y - middle[1]) / reach[1])
        share = 1 / (1 + np.exp((far - 1) * reach.mean() / SEAM))
    else:
        share = np.full_like(x, rng.uniform(0.3, 0.7))
    added = _like(other.astype(np.float32), face.astype(np.float32), points)
    mixed = face + share * (added - face)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _like(picture: Float, wanted: Float, points: Float) -> Float:
    """`picture` at the brightness and contrast of the other's inner face."""
    (left, top), (right, bottom) = points[17:].min(0).astype(int), points[17:].max(0).astype(int)
    own, its = picture[top:bottom, left:right], wanted[top:bottom, left:right]
    gain = np.clip((its.std() + 1) / (own.std() + 1), 0.5, 2.0)
    return np.asarray((picture - own.mean()) * gain + its.mean(), np.float32)
