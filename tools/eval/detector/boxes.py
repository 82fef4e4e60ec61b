"""Matching found boxes to labelled faces, and average precision with resampled pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from tools.common.bootstrap import Array, Draws, Resampler

Flags = NDArray[np.bool_]
LOWEST = 0.02
"""Score from which detections enter a precision-recall curve."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Detections of one picture, strongest first."""

    boxes: Float
    """float32[N, 4], xyxy, picture pixels."""
    scores: Float
    """float32[N]."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Which labelled faces count, and boxes of which size."""

    name: str
    low: float = 0.0
    """Short side, picture pixels: `low` <= side < `high`."""
    high: float = np.inf
    kind: int | None = None
    """`cls` of the faces that count; None for all."""
    source: str | None = None
    """Pictures of this source only; None for all."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """All detections of all pictures that count in one slice."""

    scores: Float
    """float32[M]."""
    right: Flags
    """bool[M]."""
    picture: NDArray[np.int64]
    """int64[M]: where each was found."""
    faces: NDArray[np.int64]
    """int64[P]: faces that count, by picture."""


def overlap(a: Float, b: Float) -> Float:
    """IoU float32[N, M] of xyxy boxes."""
    low, high = (
        np.maximum(a[:, None, :2], b[None, :, :2]),
        np.minimum(a[:, None, 2:], b[None, :, 2:]),
    )
    shared = np.maximum(high - low, 0).prod(2)
    area = (a[:, 2:] - a[:, :2]).prod(1)[:, None] + (b[:, 2:] - b[:, :2]).prod(1)[None]
    return np.asarray(shared / np.maximum(area - shared, 1e-6), np.float32)


def short_sides(boxes: Float) -> Float:
    """float32[N]."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).min(1, initial=np.inf), np.float32)


def covered(boxes: Float, others: Float) -> Float:
    """Largest share of each of `boxes` [N, 4] that lies in one of `others` [M, 4]: float32[N]."""
    if not len(others):
        return np.zeros(len(boxes), np.float32)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(2).max(1)
    return np.asarray(shared / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6), np.float32)


def match(
    found: Found, labels: Float, wanted: Flags, low: float, high: float, iou: float
) -> tuple[Flags, Flags]:
    """Which detections of one picture are right and which count at all, both bool[N].

    Strongest first, each takes the free wanted face that it overlaps most, if by `iou` or more.
    Of the others, those that lie by half or more on a face that is not wanted (ignored, too small,
    of another kind) and those whose own short side is outside [low, high) do not count, as in
    COCO's area ranges (Lin et al. 2014, arXiv:1405.0312).
    """
    right = np.zeros(len(found.scores), bool)
    table = np.where(wanted, overlap(found.boxes, labels), 0.0)
    for i in np.flatnonzero((table >= iou).any(1)) if table.size else ():
        best = int(table[i].argmax())
        if table[i, best] >= iou:
            right[i] = True
            table[:, best] = 0.0
    side = short_sides(found.boxes)
    counts = (side >= low) & (side < high) & (covered(found.boxes, labels[~wanted]) < 0.5)
    return right, right | counts


def judge(
    answers: Sequence[Found],
    labels: Sequence[Float],
    ignored: Sequence[Flags],
    kinds: Sequence[NDArray[np.uint8]],
    part: Slice,
    iou: float = 0.5,
) -> Judged:
    """Every picture's detections against the faces of one slice. `part.source` is not read."""
    scores, right, picture, faces = [], [], [], []
    for p, (found, boxes, ignore, kind) in enumerate(
        zip(answers, labels, ignored, kinds, strict=True)
    ):
        side = short_sides(boxes)
        wanted = ~ignore & (side >= part.low) & (side < part.high)
        if part.kind is not None:
            wanted &= kind == part.kind
        hits, counts = match(found, boxes, wanted, part.low, part.high, iou)
        scores.append(found.scores[counts])
        right.append(hits[counts])
        picture.append(np.full(int(counts.sum()), p))
        faces.append(int(wanted.sum()))
    return Judged(
        np.concatenate(scores).astype(np.float32),
        np.concatenate(right),
        np.concatenate(picture).astype(np.int64),
        np.array(faces, np.int64),
    )


def average_precision(judged: Judged, weights: Array | None = None) -> Array:
    """Area under the interpolated precision-recall curve, all points (VOC 2010).

    Parameters
    ----------
    judged
        M detections in P pictures.
    weights : float64[R, P], optional
        How often each picture counts; once each when not given.

    Returns
    -------
    float64[R]
        One per row of weights; NaN where no face counts.
    """
    pictures = len(judged.faces)
    if weights is None:
        weights = np.ones((1, pictures))
    order = np.argsort(-judged.scores, kind="stable")
    right, picture = judged.right[order], judged.picture[order]
    hits = np.flatnonzero(right)
    # The interpolated precision only changes at hits: what each picture adds up to each of them
    # makes a small table, and all resamples are one product with it.
    upto = np.searchsorted(hits, np.arange(len(order)))
    before_last = upto < len(hits)
    every = np.zeros((pictures, len(hits)))
    np.add.at(every, (picture[before_last], upto[before_last]), 1.0)
    own = np.zeros((pictures, len(hits)))
    own[picture[hits], np.arange(len(hits))] = 1.0
    gained = weights @ own
    found = np.cumsum(gained, 1)
    passed = weights @ np.cumsum(every, 1)
    precision = np.divide(found, passed, out=np.zeros_like(found), where=passed > 0)
    precision = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    faces = weights @ judged.faces.astype(np.float64)
    area = (gained * precision).sum(1)
    found_none = np.full_like(area, np.nan)
    return np.asarray(np.divide(area, faces, out=found_none, where=faces > 0))


def precision_figure(judged: Judged, resampler: Resampler) -> Draws:
    """AP with its resamples; the resampler's items are the pictures, in order."""
    weights = resampler.weights[:, resampler.place]
    return Draws(
        float(average_precision(judged)[0]),
        average_precision(judged, weights),
        int(judged.faces.sum()),
    )


def recall_figure(judged: Judged, resampler: Resampler, score_above: float) -> Draws:
    """Share of the faces that are found at a threshold."""
    passed = judged.right & (judged.scores >= score_above)
    hits = np.bincount(judged.picture[passed], minlength=len(judged.faces))
    return resampler.ratio(hits, judged.faces, int(judged.faces.sum()))


def exactness_figure(judged: Judged, resampler: Resampler, score_above: float) -> Draws:
    """Precision: share of the detections at a threshold that are right."""
    passed = judged.scores >= score_above
    pictures = len(judged.faces)
    hits = np.bincount(judged.picture[passed & judged.right], minlength=pictures)
    every = np.bincount(judged.picture[passed], minlength=pictures)
    return resampler.ratio(hits, every, int(every.sum()))
