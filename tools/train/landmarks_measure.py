"""Measuring a landmark network: error, frame-to-frame noise, presence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.faces.align import apply, cut, similarity
from agent.types import Float, Grey
from tools.train.landmarks_data import (
    SIZE,
    TARGET,
    Crops,
    Faces,
    about_centre,
    back,
    load_faces,
    load_negatives,
    valid_crop,
)

Net = Callable[[Grey], tuple[Float, float]]
"""A crop uint8[112, 112] to points float32[68, 2], crop pixels, and the presence logit."""

INNER = slice(17, 68)
PARTS = {
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
}
SOURCES = ("utkface", "lfw", "ytf", "portraits", "synthetic")


def detection_offset(rng: np.random.Generator, amount: float = 1.0) -> Float:
    """Error of a detector's keypoints, s.d.: turn 4 deg, scale 5 %, shift 3 % of the crop."""
    shift = rng.normal(0, 0.03 * amount * SIZE, 2).astype(np.float32)
    return about_centre(
        float(rng.normal(0, 4 * amount)), float(np.exp(rng.normal(0, 0.05 * amount))), shift
    )


def iod(points: Float) -> float:
    """Distance between the outer eye corners."""
    return float(np.hypot(*(points[45] - points[36])))


def place(net: Net, picture: Grey, matrix: Float, passes: int) -> Float:
    """Points in picture pixels; every further pass crops by the answer of the one before."""
    points = back(matrix, net(cut(picture, matrix, SIZE))[0])
    for _ in range(passes - 1):
        matrix = similarity(points, TARGET)
        points = back(matrix, net(cut(picture, matrix, SIZE))[0])
    return points


def errors(net: Net, faces: Faces, rows: NDArray[Any], amount: float, passes: int) -> Float:
    """Distance to the labels in % of the IOD, float32[len(rows), 68]; NaN where unlabelled."""
    rng = np.random.default_rng(1)
    found = np.full((len(rows), 68), np.nan, np.float32)
    for k, i in enumerate(rows):
        matrix, _ = valid_crop(faces.pictures[i], faces.points[i], detection_offset(rng, amount))
        points = place(net, faces.pictures[i], matrix, passes)
        label = faces.points[i]
        distance = 100 * np.hypot(*(points - label).T) / iod(label)
        found[k] = np.where(faces.weight[i] > 0, distance, np.nan)
    return found


def summary(found: Float, faces: Faces, rows: NDArray[Any]) -> dict[str, Any]:
    """Means in % of the IOD, by group of points, source and yaw; share of failures."""
    each = np.nanmean(found[:, INNER], 1)
    yaw, source = np.abs(faces.yaw[rows]), faces.source[rows]
    bins = {"0-10": (0, 10), "10-20": (10, 20), "20-30": (20, 30), "30+": (30, 180)}
    return {
        "all": _r(np.nanmean(found)),
        "jaw": _r(np.nanmean(found[:, :17])),
        "inner": _r(np.nanmean(found[:, INNER])),
        "inner_median": _r(np.median(each)),
        "inner_over_10": _r(100 * float((each > 10).mean())),
        "inner_by_source": {
            name: _r(each[source == s].mean())
            for s, name in enumerate(SOURCES)
            if (source == s).any()
        },
        "inner_by_part": {name: _r(np.nanmean(found[:, part])) for name, part in PARTS.items()},
        "inner_by_yaw": {
            name: _r(each[(yaw >= low) & (yaw < high)].mean())
            for name, (low, high) in bins.items()
            if ((yaw >= low) & (yaw < high)).any()
        },
    }


def still_noise(net: Net, faces: Faces, rows: NDArray[Any], sigma: float) -> dict[str, float]:
    """Frame-to-frame noise of still faces, % of the IOD.

    Each face is put at an IOD of 55 px (a face some 100 px wide), 12 frames get fresh Gaussian
    noise of `sigma` grey levels; each frame is cropped by the answer for the one before, as in
    tracking. Standard deviation per coordinate over time after the common similarity is taken out,
    root mean square over the inner points, median over faces.
    """
    rng = np.random.default_rng(2)
    raw, aligned = [], []
    for i in rows:
        label, zoom = faces.points[i], 55.0 / iod(faces.points[i])
        still = cv2.resize(
            faces.pictures[i], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR
        )
        guess = label * zoom
        track = []
        for _ in range(14):
            frame = np.clip(still + rng.normal(0, sigma, still.shape) + 0.5, 0, 255)
            guess = place(net, frame.astype(np.uint8), similarity(guess, TARGET), 1)
            track.append(guess)
        shapes = np.stack(track[2:])
        raw.append(_spread(shapes))
        mean = shapes.mean(0)
        aligned.append(_spread(np.stack([apply(similarity(s, mean), s) for s in shapes])))
    return {"raw": _r(np.median(raw), 3), "aligned": _r(np.median(aligned), 3)}


def _spread(shapes: Float) -> float:
    deviation = shapes[:, INNER].std(0, ddof=1)
    return 100 * float(np.sqrt((deviation**2).mean())) / iod(shapes.mean(0))


def presence(
    net: Net, faces: Faces, rows: NDArray[Any], negatives: list[Grey]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Logits of faces (cropped as a detector would) and of pieces of face-free pictures."""
    rng = np.random.default_rng(3)
    there = []
    for i in rows:
        matrix, _ = valid_crop(faces.pictures[i], faces.points[i], detection_offset(rng))
        there.append(net(cut(faces.pictures[i], matrix, SIZE))[1])
    pieces = Crops(faces, negatives, 4)
    absent = [net(pieces.background(rng))[1] for _ in range(20 * len(negatives))]
    return np.array(there), np.array(absent)


def auc(there: NDArray[Any], absent: NDArray[Any]) -> float:
    """Chance that a face scores above a non-face (Mann-Whitney)."""
    order = np.argsort(np.concatenate([absent, there]), kind="stable")
    rank = np.empty(len(order))
    rank[order] = np.arange(1, len(order) + 1)
    n, m = len(there), len(absent)
    return float((rank[m:].sum() - n * (n + 1) / 2) / (n * m))


def calibration(count: int, seed: int) -> list[Grey]:
    """Train faces cropped as a detector would, half of them spoiled, plus all black and white.

    Wilder crops have rare, large activations that would coarsen every step of the int8 grid.
    """
    faces = load_faces(0)
    crops = Crops(faces, load_negatives(0), seed)
    rng = np.random.default_rng([seed, 99])
    drawn = []
    for i in rng.choice(len(faces.points), count, replace=False):
        offset = detection_offset(rng, float(rng.uniform(0, 1.5)))
        matrix, _ = valid_crop(faces.pictures[i], faces.points[i], offset)
        crop = cut(faces.pictures[i], matrix, SIZE)
        drawn.append(crops.spoil(crop, rng) if rng.random() < 0.5 else crop)
    flat = [np.full((SIZE, SIZE), value, np.uint8) for value in (0, 255)]
    return drawn + flat


def _r(value: Any, digits: int = 2) -> float:
    return round(float(value), digits)


def lite_net(file: bytes) -> Net:
    """A converted file as a `Net`."""
    from tools.train.lite import LiteModel

    model = LiteModel(file)

    def run(crop: Grey) -> tuple[Float, float]:
        points, logit = model(crop)
        return points.reshape(68, 2) * np.float32(SIZE), float(logit.ravel()[0])

    return run
