"""Average precision and thresholds against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.common.bootstrap import Resampler
from tools.eval.detector import boxes as judging
from tools.eval.detector.boxes import Found, Judged, Slice, average_precision, covered, judge, match
from tools.eval.detector.thresholds import choose_threshold


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


@pytest.mark.parametrize(
    ("right", "faces", "area"),
    [
        ([1, 1, 1, 1], 4, 1.0),
        ([1, 1, 0, 0], 4, 0.5),
        ([1, 0, 1, 0], 3, (1 + 2 / 3) / 3),
        ([0, 1, 1, 0], 2, 2 / 3),  # precision 1/2 at the first hit, raised by 2/3 behind it
        ([0, 0, 0, 0], 3, 0.0),
        ([0, 0, 0, 0], 0, np.nan),
    ],
)
def test_average_precision_of_known_rankings(right: list[int], faces: int, area: float) -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    judged = Judged(scores, np.array(right, bool), np.zeros(4, np.int64), np.array([faces]))
    assert average_precision(judged)[0] == pytest.approx(area, nan_ok=True)


def test_detections_on_ignored_and_tiny_faces_do_not_count() -> None:
    truth = boxes((0, 0, 40, 40), (100, 0, 140, 40), (200, 0, 210, 10))
    ignored = np.array([False, True, False])
    answer = found(
        boxes(
            (2, 1, 41, 42), (0, 0, 40, 40), (101, 0, 139, 41), (200, 0, 210, 10), (0, 100, 9, 109)
        ),
        *(0.9, 0.8, 0.7, 0.6, 0.5),
    )
    judged = one(answer, truth, Slice("", 16), ignored=ignored)
    assert judged.faces.tolist() == [1]
    assert judged.scores.tolist() == pytest.approx([0.9, 0.8])  # the second is a double
    assert judged.right.tolist() == [True, False]
    judged = one(answer, truth, Slice(""), ignored=ignored)
    assert judged.faces.tolist() == [2]
    assert judged.right.tolist() == [True, False, True, False]


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
    assert not np.concatenate(match(nothing, boxes(FACE), np.ones(1, bool), 0, np.inf, 0.5)).size
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
    each = (judged.scores[rows], judged.right[rows], judged.picture[rows])
    repeated = Judged(*each, (judged.faces * weights).astype(int))
    # copies of one detection are as strong as each other: hits first, as in the original order
    together = average_precision(judged, weights[None])[0]
    assert together == pytest.approx(average_precision(repeated)[0], abs=0.02)


def test_figures_have_intervals_around_them() -> None:
    judged, drawn = random_case(9), Resampler(range(12))
    figure = judging.precision_figure(judged, drawn).figure()
    assert figure["low"] < figure["value"] < figure["high"]
    assert figure["n"] == judged.faces.sum()
    strong = judged.scores >= 0.5
    recall = judging.recall_figure(judged, drawn, 0.5)
    assert recall.value == pytest.approx((judged.right & strong).sum() / judged.faces.sum())
    exact = judging.exactness_figure(judged, drawn, 0.5)
    assert exact.value == pytest.approx(judged.right[strong].mean())


def test_thresholds_allow_whole_alarms_and_keep_a_margin() -> None:
    alarms = np.array([0.315, 0.355, 0.425, 0.555, 0.715], np.float32)
    assert choose_threshold(alarms, 100, 1.0) == 0.59  # one stays, and 0.03 more
    assert choose_threshold(alarms, 96, 1.0) == 0.59
    assert choose_threshold(alarms, 101, 1.0) == 0.46  # two may stay
    assert choose_threshold(alarms, 96, 4.0) == 0.35
    assert choose_threshold(alarms[:0], 50, 1.0) == 0.3
