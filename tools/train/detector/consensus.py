"""Labels of a scene from two teachers' votes and the boxes that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.train.detector.labels import Floats, Labels
from tools.train.detector.teachers import Vote

SURE = 0.3
"""Score that both teachers must give a face for it to count as agreed."""
NEW_SURE = 0.45
"""The same for a face that no label hints at."""
AGREE = 0.5
"""IoU of two boxes of one face."""
NEAR = 0.35
"""IoU from which a label and the teachers mean the same face, whoever drew it."""
WEAK = 0.8
"""Confidence of a label made by machine that one teacher confirms."""
LARGE = 64.0
"""Short side, pixels, from which a label stands by itself."""
JUDGED = 24.0
"""Short side, pixels, from which whoever deleted animals and things will have seen the place."""
DOUBT = 0.25
"""Score from which one teacher alone makes a place doubtful."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """Faces that both teachers see."""

    box: Floats
    """float32[N, 4]: mean of both."""
    five: Floats
    """float32[N, 5, 2]: SCRFD's."""
    score: Floats
    """float32[N]: geometric mean of both scores."""
    single: Floats
    """float32[M, 4]: what only one of them sees, or both not surely."""


def table(a: Floats, b: Floats) -> Floats:
    """IoU float32[N, M] of boxes float32[N, 4] and float32[M, 4]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(2)
    one, other = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    union = one[:, None] + other[None] - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)


def pairs(overlap: Floats, above: float) -> NDArray[np.int64]:
    """Rows and columns int64[K, 2] that belong together, each once, the best overlap first."""
    rows, columns = np.nonzero(overlap >= above)
    order = np.argsort(-overlap[rows, columns], kind="stable")
    used: tuple[set[int], set[int]] = (set(), set())
    chosen = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in used[0] and column not in used[1]:
            used[0].add(row)
            used[1].add(column)
            chosen.append((row, column))
    return np.array(chosen, np.int64).reshape(-1, 2)


def merged(votes: Sequence[Vote]) -> Vote:
    """One teacher's votes on a picture and its mirror image; a face seen once counts half."""
    if len(votes) == 1:
        return votes[0]
    plain, turned = votes
    joined = pairs(table(plain.box, turned.box), AGREE)
    a, b = joined.T
    weight = (plain.score[a] / (plain.score[a] + turned.score[b]))[:, None]
    only_a = np.setdiff1d(np.arange(len(plain.box)), a)
    only_b = np.setdiff1d(np.arange(len(turned.box)), b)
    w3 = weight[..., None]
    return Vote(
        np.concatenate(
            [
                weight * plain.box[a] + (1 - weight) * turned.box[b],
                plain.box[only_a],
                turned.box[only_b],
            ]
        ).astype(np.float32),
        np.concatenate(
            [
                (plain.score[a] + turned.score[b]) / 2,
                plain.score[only_a] / 2,
                turned.score[only_b] / 2,
            ]
        ).astype(np.float32),
        np.concatenate(
            [
                w3 * plain.five[a] + (1 - w3) * turned.five[b],
                plain.five[only_a],
                turned.five[only_b],
            ]
        ).astype(np.float32),
    )


def agreed(first: Vote, second: Vote, sure: float = SURE) -> Agreed:
    """Faces that two teachers see alike (IoU >= 0.5, each from a score of `sure`)."""
    joined = pairs(table(first.box, second.box), AGREE)
    both = np.minimum(first.score[joined[:, 0]], second.score[joined[:, 1]])
    joined = joined[both >= sure]
    a, b = joined.T
    alone = [
        vote.box[np.setdiff1d(np.flatnonzero(vote.score >= DOUBT), used)]
        for vote, used in ((first, a), (second, b))
    ]
    return Agreed(
        (first.box[a] + second.box[b]) / 2,
        first.five[a],
        np.sqrt(first.score[a] * second.score[b]),
        np.concatenate(alone),
    )


def habit(pictures: Sequence[tuple[Floats, Agreed]]) -> Floats:
    """How people's boxes differ from the teachers' of the same faces: float32[4], medians.

    In widths and heights of the teachers' boxes, per edge (left, top, right, bottom). The people
    who drew the mask crowds begin a fifth of a face lower than others. Zero below 50 common faces.
    """
    edges = []
    for drawn, found in pictures:
        for k, j in pairs(table(drawn, found.box), AGREE):
            side = found.box[j, 2:] - found.box[j, :2]
            if side.min() >= 16:
                edges.append((drawn[k] - found.box[j]) / np.tile(side, 2))
    if len(edges) < 50:
        return np.zeros(4, np.float32)
    return np.median(np.array(edges, np.float32), 0).astype(np.float32)


def as_drawn(found: Agreed, edges: Floats) -> Agreed:
    """Agreed boxes as the people of this source would draw them; `edges` of `habit`."""
    side = found.box[:, 2:] - found.box[:, :2]
    box = (found.box + np.tile(side, (1, 2)) * edges).astype(np.float32)
    return Agreed(box, found.five, found.score, found.single)


def relabelled(
    old: Labels, drawn: NDArray[np.bool_], found: Agreed, reviewed: bool = False
) -> Labels:
    """The labels of one picture after the teachers were asked.

    Boxes drawn by people (`drawn`, bool[N]) stay. Of the others, those that the teachers agree on
    are active, at the mean place of teachers and label; an active one stays with the vote of one
    teacher, at a confidence of 0.8, and is ignored without any. Agreed faces without any label are
    added, single votes are added as ignored. The confidence of a face that people did not draw
    grows with the teachers' score, from 0.6 to 1.

    `reviewed`: a person deleted what machines took for faces in this picture (animals, statues):
    nothing becomes active, and what is large enough to have been judged stays background.
    """
    box, five, ignore = old.box.copy(), old.five.copy(), old.ignore.copy()
    confidence = np.ones(len(box), np.float32)
    joined = pairs(table(box, found.box), NEAR)
    backed = table(box, found.single).max(1, initial=0.0) >= NEAR
    # the teachers, fed enlarged pictures, know less of faces that fill them than the labels do
    plain = ~old.ignore & ((box[:, 2:] - box[:, :2]).min(1, initial=np.inf) >= LARGE)
    confidence[~drawn & ~plain] = WEAK
    ignore |= ~drawn & ~backed & ~plain  # until both speak for it
    for k, j in joined:
        if np.isnan(five[k]).all():
            five[k] = found.five[j]
        if old.ignore[k] and reviewed:
            continue
        if drawn[k] and not old.ignore[k]:
            continue
        ignore[k] = False
        confidence[k] = 1.0 if plain[k] else trust(found.score[j])
        box[k] = found.box[j] if old.ignore[k] else (2 * found.box[j] + box[k]) / 3
    new = np.setdiff1d(np.arange(len(found.box)), joined[:, 1])
    extra, single = found.box[new], found.single
    if len(box):
        # a second look at a face that is labelled already
        new = new[table(extra, old.box).max(1, initial=0.0) < NEAR]
        extra = found.box[new]
        single = single[table(single, old.box).max(1, initial=0.0) < NEAR]
    if reviewed:
        new = new[(extra[:, 2:] - extra[:, :2]).min(1, initial=np.inf) < JUDGED]
        single = single[(single[:, 2:] - single[:, :2]).min(1, initial=np.inf) < JUDGED]
        extra = found.box[new]
    unknown = np.full((len(single), 5, 2), np.nan, np.float32)
    return Labels(
        np.concatenate([box, extra, single]).astype(np.float32),
        np.concatenate([five, found.five[new], unknown]).astype(np.float32),
        np.concatenate(
            [ignore, (found.score[new] < NEW_SURE) | reviewed, np.ones(len(single), bool)]
        ),
        np.concatenate([confidence, trust(found.score[new]), np.ones(len(single), np.float32)]),
    )


def trust(score: Floats) -> Floats:
    """Confidence in [0.6, 1] from the teachers' joint score."""
    return np.asarray(np.clip(0.45 + 0.65 * score, 0.6, 1.0), np.float32)
