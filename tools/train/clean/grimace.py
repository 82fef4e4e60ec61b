"""Grimaces: aligned faces pulled about and their mouths painted open, for the naming network.

Photographs whose terms allow any use show rest and smiles; nobody shouts in them. A teacher that
names every picture (`tools.train.clean.named`) can be asked about crude ones as well: what counts
is that the student learns where the teacher's answers change (Beyer et al. 2022, arXiv:2106.05237),
and these move brows, lids, corners and lips further than `tools.render.reenact` does. Nothing but
the teacher's answer is learnt from them: action units are unknown.
"""

from __future__ import annotations

import cv2
import numpy as np

from agent.base.types import Float, Grey
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE

BROWS, EYES, CORNERS = ((19, 24), (21, 22)), ((37, 40), (43, 46)), (48, 54)
OPENED = 0.5
"""Share of mouths painted open."""

Pull = tuple[Float, tuple[float, float], tuple[float, float]]
"""Where, how far around (s.d., x and y) and by how much (x and y), pixels."""


def grimace(picture: Grey, rng: np.random.Generator) -> Grey:
    """A face uint8[S, S], cut as by `EXPRESSION_CROP` with an even margin, with another one."""
    points = EXPRESSION_CROP.place(MEAN_SHAPE) + np.float32(
        (len(picture) - EXPRESSION_CROP.size) / 2
    )
    outer, inner, squeeze = rng.uniform([-3, -3, -2], [3, 3, 2])
    up, out = rng.uniform([-4, -3], [4, 3])
    pulls: list[Pull] = [(points[k], (5, 3), (0, outer)) for k in BROWS[0]]
    pulls += [
        (points[k], (3, 3), (side * squeeze, inner))
        for k, side in zip(BROWS[1], (1, -1), strict=True)
    ]
    pulls += [
        (points[k], (4, 4), (side * out, up)) for k, side in zip(CORNERS, (-1, 1), strict=True)
    ]
    if rng.random() < OPENED:
        picture = _opened(picture, points, rng)
    wide = float(rng.uniform(-1.5, 2.0))  # lids apart or together
    for above, below in EYES:
        pulls += [(points[above], (4, 2), (0, -wide / 2)), (points[below], (4, 2), (0, wide / 2))]
    return pulled(picture, pulls)


def pulled(picture: Grey, pulls: list[Pull]) -> Grey:
    """What lies about each place moves by its pull, less and less further away."""
    side = len(picture)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    from_x, from_y = x.copy(), y.copy()
    for place, (across, along), (dx, dy) in pulls:
        near = np.exp(-(((x - place[0]) / across) ** 2 + ((y - place[1]) / along) ** 2) / 2)
        from_x -= near * np.float32(dx)
        from_y -= near * np.float32(dy)
    moved = cv2.remap(picture, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, np.uint8)


def _opened(picture: Grey, points: Float, rng: np.random.Generator) -> Grey:
    """The chin dropped, the mouth a dark ellipse, with or without upper teeth."""
    middle = points[48:68].mean(0)
    half_height, half_width = rng.uniform([1.5, 4.0], [7.0, 9.0])
    drop = half_height * float(rng.uniform(0.3, 0.8))
    low, high = middle + np.array([0, 5], np.float32), middle - np.array([0, 3], np.float32)
    face = pulled(picture, [(low, (9, 5), (0, 1.2 * drop)), (high, (9, 3), (0, -0.3 * drop))])
    centre = middle + np.array([0, drop / 2])
    inside = np.zeros_like(picture)
    cv2.ellipse(
        inside,
        [round(16 * float(v)) for v in centre],
        [round(16 * half_width), round(16 * half_height)],
        0, 0, 360, 255, -1, cv2.LINE_AA, 4,
    )  # fmt: skip
    out = _over(face.astype(np.float32), inside, float(rng.uniform(10, 60)))
    if rng.random() < 0.5:
        teeth = np.zeros_like(picture)
        edge = centre[1] - 0.65 * half_height
        corner = np.array([0.75 * half_width, rng.uniform(0.8, 2.5)])
        row = np.array([centre[0], edge])
        first, last = (np.rint(16 * (row + k * corner)).astype(int).tolist() for k in (-1, 1))
        cv2.rectangle(teeth, first, last, 255, -1, cv2.LINE_AA, 4)
        out = _over(out, np.minimum(teeth, inside), float(rng.uniform(150, 230)))
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _over(picture: Float, mask: Grey, level: float) -> Float:
    soft = cv2.GaussianBlur(mask, (0, 0), 0.7).astype(np.float32) / 255
    return np.asarray(picture * (1 - soft) + soft * np.float32(level), np.float32)
