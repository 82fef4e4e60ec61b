"""What is lost between a photograph and the crop that the expression network was trained on.

Unseen faces stand in whole pictures, as cameras see them: tight ones are pasted on pictures without
a face, 1.5 to 3 times as wide as the face's cut-out; those with surroundings of their own keep
them. The agent finds them, places their landmarks and cuts the crop as `fleeting inspect` does.
Beside it stands the crop by the labelled points, as in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import EXPRESSIONS, Float, Grey
from agent.desk.inspect import Inspector
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE, similarity
from tools.common.bootstrap import Resampler
from tools.common.progress import along
from tools.eval.data import Faces

PASTED = ("utkface", "lfw_muxspace")
"""Sources whose pictures end at the face."""
MARGIN = (1.5, 3.0)
"""Sides of the whole picture, of the longer side of the cut-out."""
SOFT_EDGE = 6
"""Pixels over which a pasted cut-out fades into its surroundings."""
SEED = 11


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the agent made of whole photographs, one row for each face."""

    found: NDArray[np.bool_]
    probabilities: Float
    """float32[N, 8]; zeros where the face was not found."""
    points: Float
    """float32[N, 68, 2], pixels of the face's own picture; NaN where it was not found."""


def place(face: Grey, surroundings: Grey, rng: np.random.Generator) -> tuple[Grey, Float]:
    """A picture with this face somewhere in it, and where the face's first pixel lies (x, y)."""
    height, width = face.shape
    side = round(max(height, width) * rng.uniform(*MARGIN))
    least = min(surroundings.shape)
    scale = max(side / least, 0.5)
    size = [max(round(scale * n), side) for n in surroundings.shape[::-1]]
    wide = cv2.resize(surroundings, size, interpolation=cv2.INTER_LINEAR)
    x, y = (int(rng.integers(0, n - side + 1)) for n in size)
    scene = wide[y : y + side, x : x + side].astype(np.float32)
    at = np.array([int(rng.integers(0, side - n + 1)) for n in (width, height)])
    mask = np.zeros((height, width), np.float32)
    mask[1:-1, 1:-1] = 1.0
    depth = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L1, 3)
    share = np.minimum(depth / SOFT_EDGE, 1.0)
    inner = scene[at[1] : at[1] + height, at[0] : at[0] + width]
    inner += share * (face.astype(np.float32) - inner)
    return np.rint(scene).astype(np.uint8), at.astype(np.float32)


def inspect(faces: Faces, surroundings: list[Grey], inspector: Inspector) -> Found:
    """Every face in a whole photograph; of several that are found, the one nearest its points."""
    rng = np.random.default_rng(SEED)
    count = len(faces.pictures)
    found = np.zeros(count, bool)
    probabilities = np.zeros((count, len(EXPRESSIONS)), np.float32)
    points = np.full((count, 68, 2), np.nan, np.float32)
    rows = range(count)
    for k in along(rows, "whole photographs"):
        scene, at = faces.pictures[k], np.zeros(2, np.float32)
        if faces.source[k] in PASTED:
            background = surroundings[int(rng.integers(len(surroundings)))]
            scene, at = place(scene, background, rng)
        wanted = faces.first[k] + at
        size = float(np.linalg.norm(wanted[45] - wanted[36]))
        for record in inspector.picture(scene):
            placed = np.array(record["landmarks"], np.float32)
            gap = np.linalg.norm(placed[17:].mean(0) - wanted[17:].mean(0))
            if gap < 0.5 * size:
                found[k] = True
                points[k] = placed - at
                probabilities[k] = [record["expression"][name] for name in EXPRESSIONS]
                break
    return Found(found, probabilities, points)


def framing(points: Float, labels: Float) -> Float:
    """How crops by `points` are moved, turned and enlarged against those by `labels`, both
    float32[N, 68, 2]: float32[N, 4] of x and y at the crop's centre in its pixels, degrees, and the
    logarithm of the scale."""
    target = EXPRESSION_CROP.place(MEAN_SHAPE)
    middle = (EXPRESSION_CROP.size - 1) / 2
    out = np.empty((len(points), 4), np.float32)
    for row, one, other in zip(out, points, labels, strict=True):
        a, b = (np.vstack([similarity(p, target), [0, 0, 1]]) for p in (one, other))
        change = a @ np.linalg.inv(b)
        moved = change @ [middle, middle, 1]
        turn = complex(change[0, 0], change[1, 0])
        row[:] = [*(moved[:2] - middle), np.degrees(np.angle(turn)), np.log(abs(turn))]
    return out


def beside_crops(seen: Found, crops: Float, faces: Faces) -> dict[str, Any]:
    """Whole photographs beside crops by labels: `crops` float32[N, 8] are their probabilities."""
    drawn = Resampler(faces.person)
    both = seen.found
    said, meant = seen.probabilities.argmax(1), crops.argmax(1)
    named = both & (faces.named >= 0)
    change = np.abs(seen.probabilities - crops).sum(1) / 2
    report: dict[str, Any] = {
        "faces": len(both),
        "found": drawn.share(both).figure(),
        "same_answer": drawn.share(said == meant, both).figure(),
        "change": drawn.mean(change, both).figure(),
    }
    if named.any():
        whole = drawn.share(said == faces.named, named)
        cut = drawn.share(meant == faces.named, named)
        report["lfw"] = {
            "whole": whole.figure(),
            "crop": cut.figure(),
            "whole_minus": (whole - cut).figure(),
        }
    gaps = framing(seen.points[both], faces.first[both])
    report["framing"] = {
        name: {
            "median": round(float(np.median(gaps[:, k])), 4),
            "spread": round(
                1.4826 * float(np.median(np.abs(gaps[:, k] - np.median(gaps[:, k])))), 4
            ),
        }
        for k, name in enumerate(("x_px", "y_px", "degrees", "log_scale"))
    }
    return report
