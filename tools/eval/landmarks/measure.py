"""Measuring a landmark network: error, robustness to the crop, frame-to-frame noise, presence.

Whatever follows a face can be measured: everything but presence takes a `Follow`, so that other
makers' networks go through the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from agent.vision.faces.align import cut
from agent.vision.faces.landmarks import crop_matrix
from tools.eval.landmarks import distances
from tools.eval.landmarks.distances import INNER, iod
from tools.train.landmarks.crops import Crops
from tools.train.landmarks.data import SIZE, TARGET_FIVE, Faces, about_centre, back, valid_crop
from tools.train.lite import LiteModel


class Answer(NamedTuple):
    """Output of the network for one crop."""

    points: Float
    """float32[68, 2], crop pixels."""
    presence: float
    """Logit."""
    spread: Float | None
    """float32[68], expected distance of each point from its true place, IOD."""


Net = Callable[[Grey], Answer]
"""A crop uint8[112, 112] in, its answer out."""

Follow = Callable[[Grey, Float], Float]
"""Picture uint8[H, W] and where the face was, as earlier points float32[N, 2] or five keypoints
float32[5, 2], to the points float32[N, 2]; all in picture pixels."""

Offset = Callable[[np.random.Generator], Float]
"""A draw of how far off the first crop is: crop to crop, float32[2, 3]."""

PARTS = {
    "jaw": slice(0, 17),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
}
YAWS = {"0-10": (0, 10), "10-20": (10, 20), "20-30": (20, 30), "30+": (30, 180)}
"""Degrees to either side: from, to (not included)."""
SHIFTS = (0.0, 0.02, 0.04, 0.06, 0.09, 0.12)
"""Of the crop's width."""
ZOOMS = (0.75, 0.85, 0.93, 1.0, 1.08, 1.18, 1.33)
TURNS = (0.0, 5.0, 10.0, 20.0, 30.0)
"""Degrees, to either side by turns."""
STILL_IOD, STILL_FRAMES = 55.0, 14
"""Pixels; frames of a still face, of which the first two are left out."""


def detection_offset(rng: np.random.Generator, amount: float = 1.0) -> Float:
    """Error of a detector's keypoints, s.d.: turn 4 deg, scale 5 %, shift 3 % of the crop."""
    shift = rng.normal(0, 0.03 * amount * SIZE, 2).astype(np.float32)
    return about_centre(
        float(rng.normal(0, 4 * amount)), float(np.exp(rng.normal(0, 0.05 * amount))), shift
    )


def follower(net: Net) -> Follow:
    """The network as the agent uses it: one crop around where the face was."""

    def follow(luma: Grey, start: Float) -> Float:
        matrix = crop_matrix(start.astype(np.float32))
        return back(matrix, net(cut(luma, matrix, SIZE)).points)

    return follow


def repeated(follow: Follow, passes: int) -> Follow:
    """Every further pass begins with the answer of the one before, as tracking does."""

    def follow_again(luma: Grey, start: Float) -> Float:
        for _ in range(passes):
            start = follow(luma, start)
        return start

    return follow_again


def displaced(points: Float, offset: Float) -> Float:
    """Five keypoints float32[5, 2] that make the crop of a face miss by `offset`.

    Parameters
    ----------
    points : float32[68, 2]
        The face, picture pixels.
    offset : float32[2, 3]
        Where the well-placed crop's pixels shall lie in the crop that is cut.
    """
    return back(valid_crop(points, offset), TARGET_FIVE)


def errors(
    follow: Follow,
    pictures: Sequence[Grey],
    points: Float,
    seen: NDArray[np.bool_],
    offset: Offset,
    choose: Callable[[Float], Float] = lambda own: own,
    seed: int = 1,
) -> Float:
    """Distance of every point to its label, % of the label's IOD, float32[N, 68]; NaN if unseen.

    Parameters
    ----------
    pictures, points, seen
        N pictures of one face each, labels float32[N, 68, 2] in picture pixels, bool[N, 68] whether
        a label is to be judged by.
    offset
        Same draws for every network: they depend on `seed` alone.
    choose
        Own points of the network to float32[68, 2], where they are others.
    """
    rng = np.random.default_rng(seed)
    answers = [
        choose(follow(picture, displaced(label, offset(rng))))
        for picture, label in zip(pictures, points, strict=True)
    ]
    return distances.errors(np.stack(answers), points, seen)


def summary(found: Float, faces: Faces, rows: NDArray[Any]) -> dict[str, Any]:
    """Means in % of the IOD, by group of points, source and yaw; share of failures."""
    each = np.nanmean(found[:, INNER], 1)
    yaw, source = np.abs(faces.yaw[rows]), faces.source[rows]
    return {
        "all": _r(np.nanmean(found)),
        "jaw": _r(np.nanmean(found[:, PARTS["jaw"]])),
        "inner": _r(np.nanmean(found[:, INNER])),
        "inner_median": _r(np.median(each)),
        "inner_over_10": _r(100 * float((each > 10).mean())),
        "inner_by_source": {
            name: _r(each[source == s].mean())
            for s, name in enumerate(faces.names)
            if (source == s).any()
        },
        "inner_by_part": {
            name: _r(np.nanmean(found[:, part])) for name, part in PARTS.items() if name != "jaw"
        },
        "inner_by_yaw": {
            name: _r(each[(yaw >= low) & (yaw < high)].mean())
            for name, (low, high) in YAWS.items()
            if ((yaw >= low) & (yaw < high)).any()
        },
    }


def crop_curves(
    follow: Follow,
    pictures: Sequence[Grey],
    points: Float,
    seen: NDArray[np.bool_],
    choose: Callable[[Float], Float] = lambda own: own,
) -> dict[str, dict[str, float]]:
    """Inner error, % of the IOD, against how far off the only crop is, one way at a time.

    Keys `shift` (share of the crop's width, any direction), `zoom` (factor), `turn` (degrees).
    """

    def shifted(amount: float) -> Offset:
        def draw(rng: np.random.Generator) -> Float:
            angle = rng.uniform(0, 2 * np.pi)
            move = amount * SIZE * np.array([np.cos(angle), np.sin(angle)])
            return about_centre(0.0, 1.0, move.astype(np.float32))

        return draw

    def zoomed(factor: float) -> Offset:
        return lambda rng: about_centre(0.0, factor, np.zeros(2, np.float32))

    def turned(degrees: float) -> Offset:
        def draw(rng: np.random.Generator) -> Float:
            side = 1.0 if rng.random() < 0.5 else -1.0
            return about_centre(side * degrees, 1.0, np.zeros(2, np.float32))

        return draw

    def inner(offset: Offset) -> float:
        return _r(np.nanmean(errors(follow, pictures, points, seen, offset, choose)[:, INNER]))

    return {
        "shift": {f"{amount:g}": inner(shifted(amount)) for amount in SHIFTS},
        "zoom": {f"{factor:g}": inner(zoomed(factor)) for factor in ZOOMS},
        "turn": {f"{degrees:g}": inner(turned(degrees)) for degrees in TURNS},
    }


def still_noise(
    follow: Follow,
    pictures: Sequence[Grey],
    points: Float,
    sigma: float,
    choose: Callable[[Float], Float] = lambda own: own,
) -> dict[str, float]:
    """Frame-to-frame noise of the inner points of still faces, % of the IOD.

    Each face is brought to an IOD of 55 px (a face some 100 px wide) and then gets fresh Gaussian
    noise of `sigma` grey levels in each of 14 frames; each is cropped by the answer for the one
    before, as in tracking, and the first two are left out. Standard deviation per coordinate over
    time, root mean square over points, median over faces: `raw` as it is, `aligned` with every
    frame's similarity to the mean over frames taken out.
    """
    rng, found = np.random.default_rng(2), []
    for picture, label in zip(pictures, points, strict=True):
        zoom = STILL_IOD / iod(label)
        still = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
        # pixel centres are at integers
        own = back(valid_crop(label * np.float32(zoom) + np.float32((zoom - 1) / 2)), TARGET_FIVE)
        found.append(jitter(follow, choose, np.asarray(still, np.uint8), own, sigma, rng))
    raw, aligned = np.median(found, axis=0)
    return {"raw": _r(raw, 3), "aligned": _r(aligned, 3)}


def jitter(
    follow: Follow, choose: Callable[[Float], Float], still: Grey, own: Float, sigma: float,
    rng: np.random.Generator,
) -> tuple[float, float]:  # fmt: skip
    """Raw and aligned noise of one still face that was at `own` before; see `still_noise`."""
    track = []
    for _ in range(STILL_FRAMES):
        frame = np.clip(still + rng.normal(0, sigma, still.shape) + 0.5, 0, 255)
        own = follow(frame.astype(np.uint8), own)
        track.append(choose(own))
    shapes = np.stack(track[2:]).astype(np.float32)
    return distances.spread(shapes), distances.aligned_spread(shapes)


def presence(
    net: Net, faces: Faces, rows: NDArray[Any], negatives: list[Grey]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Logits of faces (cropped as a detector would) and of pieces of face-free pictures."""
    rng = np.random.default_rng(3)
    there = []
    for i in rows:
        matrix = valid_crop(faces.points[i], detection_offset(rng))
        there.append(net(cut(faces.pictures[i], matrix, SIZE)).presence)
    pieces = Crops(faces, negatives, 4)
    absent = [net(pieces.background(rng)).presence for _ in range(20 * len(negatives))]
    return np.array(there), np.array(absent)


def auc(there: NDArray[Any], absent: NDArray[Any]) -> float:
    """Chance that a face scores above a non-face (Mann-Whitney)."""
    order = np.argsort(np.concatenate([absent, there]), kind="stable")
    rank = np.empty(len(order))
    rank[order] = np.arange(1, len(order) + 1)
    n, m = len(there), len(absent)
    return float((rank[m:].sum() - n * (n + 1) / 2) / (n * m))


def calibration(faces: Faces, negatives: list[Grey], count: int, seed: int) -> list[Grey]:
    """Faces cropped as a detector would, half of them spoiled, plus all black and white.

    Wilder crops have rare, large activations that would coarsen every step of the int8 grid.
    """
    crops = Crops(faces, negatives, seed)
    rng = np.random.default_rng([seed, 99])
    drawn = []
    for i in rng.choice(len(faces.points), min(count, len(faces.points)), replace=False):
        offset = detection_offset(rng, float(rng.uniform(0, 1.5)))
        matrix = valid_crop(faces.points[i], offset)
        crop = cut(faces.pictures[i], matrix, SIZE)
        drawn.append(crops.spoil(crop, rng) if rng.random() < 0.5 else crop)
    flat = [np.full((SIZE, SIZE), value, np.uint8) for value in (0, 255)]
    return drawn + flat


def _r(value: Any, digits: int = 2) -> float:
    return round(float(value), digits)


def lite_net(file: bytes) -> Net:
    """A converted file as a `Net`."""
    model = LiteModel(file)

    def run(crop: Grey) -> Answer:
        points, logit, *spread = model(crop)
        return Answer(
            points.reshape(68, 2) * np.float32(SIZE),
            float(logit.ravel()[0]),
            np.exp(spread[0].ravel()) if spread else None,
        )

    return run
