"""Average precision against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.base.types import Detections
from tools.eval.bootstrap import Resampler
from tools.eval.boxes import (
    Found,
    Judged,
    Slice,
    average_precision,
    covered,
    exactness_figure,
    judge,
    match,
    precision_figure,
    recall_figure,
)
from tools.train import detector_measure


def boxes(*rows: tuple[float, float, float, float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 4)


def found(rows: NDArray[np.float32], *scores: float) -> Found:
    return Found(rows, np.array(scores, np.float32))


FACE, OTHER, FAR = (0, 0, 40, 40), (100, 0, 140, 40), (300, 300, 340, 340)


def one(answer: Found, labels: NDArray[np.float32], part: Slice, **options: object) -> Judged:
    ignored = options.get("ignored", np.zeros(len(labels), bool))
    kinds = options.get("kinds", np.zeros(len(labels), np.uint8))
    return judge([answer], [labels], [ignored], [kinds], part)  # type: ignore[list-item]


def test_cover() -> None:
    assert covered(boxes((0, 0, 10, 10)), boxes(FACE))[0] == 1.0
    assert covered(boxes(FACE), boxes((0, 0, 10, 10)))[0] == pytest.approx(100 / 1600)
    assert covered(boxes(FACE), boxes()).tolist() == [0.0]


def test_average_precision_by_hand() -> None:
    """Three faces; hit, miss, hit: precision 1 at recall 1/3, 2/3 at recall 2/3, 0 beyond."""
    labels = boxes(FACE, OTHER, (200, 0, 240, 40))
    answer = found(boxes(FACE, FAR, OTHER), 0.9, 0.8, 0.7)
    judged = one(answer, labels, Slice("all"))
    assert judged.right.tolist() == [True, False, True]
    assert average_precision(judged)[0] == pytest.approx((1 + 2 / 3) / 3)


def test_precision_is_interpolated() -> None:
    """A later hit lifts the precision before it: miss, hit, hit gives 2/3 for both."""
    labels = boxes(FACE, OTHER)
    answer = found(boxes(FAR, FACE, OTHER), 0.9, 0.8, 0.7)
    assert average_precision(one(answer, labels, Slice("")))[0] == pytest.approx(2 / 3)


def test_a_second_box_on_a_face_is_wrong() -> None:
    answer = found(boxes(FACE, (1, 1, 41, 41)), 0.9, 0.8)
    assert one(answer, boxes(FACE), Slice("")).right.tolist() == [True, False]


def test_what_does_not_count() -> None:
    labels = boxes(FACE, OTHER)
    ignored = np.array([False, True])
    answer = found(boxes(OTHER, FACE, (105, 5, 135, 35)), 0.9, 0.8, 0.7)
    judged = one(answer, labels, Slice(""), ignored=ignored)
    assert judged.right.tolist() == [True]
    assert judged.faces.tolist() == [1]


def test_sizes() -> None:
    small, large = (0, 0, 12, 12), (100, 100, 160, 160)
    labels = boxes(small, large)
    answer = found(boxes(large, small, FAR), 0.9, 0.8, 0.7)
    low = one(answer, labels, Slice("", 8, 16))
    assert (low.right.tolist(), low.faces.tolist()) == ([True], [1])  # the far box is 40 px
    high = one(answer, labels, Slice("", 24))
    assert (high.right.tolist(), high.faces.tolist()) == ([True, False], [1])
    middle = one(answer, labels, Slice("", 16, 24))
    assert (middle.right.tolist(), middle.faces.tolist()) == ([], [0])
    assert np.isnan(average_precision(middle)[0])


def test_kinds() -> None:
    labels, kinds = boxes(FACE, OTHER), np.array([0, 1], np.uint8)
    answer = found(boxes(FACE, OTHER), 0.9, 0.8)
    judged = one(answer, labels, Slice("", kind=1), kinds=kinds)
    assert (judged.right.tolist(), judged.scores.tolist()) == ([True], [pytest.approx(0.8)])


def test_nothing_found_and_nothing_there() -> None:
    nothing = found(boxes())
    right, counts = match(nothing, boxes(FACE), np.ones(1, bool), 0, np.inf, 0.5)
    assert not len(right)
    assert not len(counts)
    judged = judge(
        [nothing, found(boxes(FACE), 0.5)],
        [boxes(FACE), boxes()],
        [np.zeros(1, bool), np.zeros(0, bool)],
        [np.zeros(1, np.uint8), np.zeros(0, np.uint8)],
        Slice(""),
    )
    assert judged.right.tolist() == [False]
    assert average_precision(judged)[0] == 0.0


def random_case(seed: int, pictures: int = 12) -> Judged:
    rng = np.random.default_rng(seed)
    count = 60
    picture = rng.integers(0, pictures, count)
    right = rng.random(count) < 0.6
    faces = np.bincount(picture[right], minlength=pictures) + rng.integers(0, 3, pictures)
    return Judged(rng.random(count).astype(np.float32), right, picture, faces)


@pytest.mark.parametrize("seed", range(5))
def test_a_weight_of_two_is_a_picture_twice(seed: int) -> None:
    judged = random_case(seed)
    weights = np.random.default_rng(seed).integers(0, 4, 12).astype(float)
    rows = np.repeat(np.arange(len(judged.scores)), weights[judged.picture].astype(int))
    repeated = Judged(
        judged.scores[rows],
        judged.right[rows],
        judged.picture[rows],
        (judged.faces * weights).astype(int),
    )
    # copies of one detection are as strong as each other: hits first, as in the original order
    together = average_precision(judged, weights[None])[0]
    assert together == pytest.approx(average_precision(repeated)[0], abs=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_as_training_has_it(seed: int) -> None:
    judged = random_case(seed)
    theirs = detector_measure.average_precision(
        judged.scores, judged.right, int(judged.faces.sum())
    )
    assert average_precision(judged)[0] == pytest.approx(theirs)


@pytest.mark.parametrize("smallest", [0, 20])
def test_detections_are_judged_as_in_training(smallest: float) -> None:
    rng = np.random.default_rng(6)
    for _ in range(20):
        corner, side = rng.uniform(0, 100, (8, 2)), rng.uniform(8, 60, (8, 2))
        labels = np.concatenate([corner, corner + side], 1).astype(np.float32)
        near = labels[rng.integers(0, 8, 12)] + rng.normal(0, 4, (12, 4)).astype(np.float32)
        scores = np.sort(rng.random(12).astype(np.float32))[::-1]
        ignored = rng.random(8) < 0.3
        mine = one(Found(near, scores), labels, Slice("", smallest), ignored=ignored)
        seen = Detections(near, scores, np.zeros((12, 5, 2), np.float32))
        theirs = detector_measure.judge(seen, labels, ignored, smallest)
        assert mine.scores.tolist() == theirs[0].tolist()
        assert mine.right.tolist() == theirs[1].tolist()
        assert mine.faces.tolist() == [theirs[2]]


def test_figures_have_intervals_around_them() -> None:
    judged, drawn = random_case(9), Resampler(range(12))
    figure = precision_figure(judged, drawn).figure()
    assert figure["low"] < figure["value"] < figure["high"]
    assert figure["n"] == judged.faces.sum()
    strong = judged.scores >= 0.5
    recall = recall_figure(judged, drawn, 0.5)
    assert recall.value == pytest.approx((judged.right & strong).sum() / judged.faces.sum())
    assert exactness_figure(judged, drawn, 0.5).value == pytest.approx(judged.right[strong].mean())
