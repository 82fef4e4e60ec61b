"""Fusion of views against its slow twin, and what it is for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.kernels.fuse_boxes import fuse_boxes
from tests.kernels import naive_fuse_boxes

SIZE = (100.0, 80.0)
WHOLE = (0.0, 0.0, 100.0, 80.0, 2.0)
LEFT = (0.0, 0.0, 60.0, 80.0, 3.0)
RIGHT = (40.0, 0.0, 100.0, 80.0, 3.0)
MISSED = -3.0
Fused = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def _fuse(
    boxes: NDArray[np.float32],
    logits: NDArray[np.float32],
    points: NDArray[np.float32],
    view: NDArray[np.int64],
    views: NDArray[np.float32],
) -> Fused:
    out = np.empty_like(boxes), np.empty_like(points), np.empty((len(boxes), len(views)), "f4")
    count = fuse_boxes(
        boxes, logits, points, view, views, *SIZE, 0.5, MISSED, 6.0, 150.0, out[0], out[1], out[2]
    )
    return out[0][:count], out[1][:count], out[2][:count]


def _seen(*rows: tuple[int, float, tuple[float, float, float, float]]) -> Fused:
    """Fusion of (view, logit, box) over the whole picture and its two halves."""
    boxes = np.array([box for _, _, box in rows], np.float32)
    points = np.repeat(boxes[:, None, :2], 5, 1)
    logits = np.array([logit for _, logit, _ in rows], np.float32)
    views = np.array([WHOLE, LEFT, RIGHT], np.float32)
    return _fuse(boxes, logits, points, np.array([v for v, _, _ in rows]), views)


def test_random_boxes_equal_the_twin() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        count, number = int(rng.integers(1, 60)), int(rng.integers(1, 6))
        low = rng.uniform(0, 70, (count, 2))
        boxes = np.concatenate([low, low + rng.uniform(3, 40, (count, 2))], 1).astype(np.float32)
        logits = rng.normal(0, 2, count).astype(np.float32)
        points = rng.uniform(0, 100, (count, 5, 2)).astype(np.float32)
        corners = rng.uniform([0, 0, 60, 50], [30, 30, 101, 81], (number, 4))
        views = np.column_stack([corners, rng.uniform(0.3, 3, number)]).astype(np.float32)
        view = rng.integers(0, number, count)
        found = _fuse(boxes, logits, points, view, views)
        wanted = naive_fuse_boxes.fuse_boxes(
            boxes, logits, points, view, views, SIZE, 0.5, MISSED, (6.0, 150.0)
        )
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, np.array(b), rtol=2e-4, atol=2e-3)


def test_two_views_of_a_face_make_one_between_them_nearer_to_the_surer() -> None:
    boxes, points, answers = _seen((0, 2.0, (10, 10, 30, 30)), (1, 0.0, (12, 10, 32, 30)))
    assert len(boxes) == 1
    assert 10 < boxes[0, 0] < 11 < boxes[0, 2] - 19
    np.testing.assert_allclose(points[0, :, 0], boxes[0, 0])
    np.testing.assert_array_equal(answers[0], np.array([2.0, 0.0, np.nan], np.float32))


def test_a_view_that_should_have_seen_it_counts_against_it() -> None:
    _, _, answers = _seen((1, 1.0, (45, 10, 57, 22)))
    np.testing.assert_array_equal(answers[0], np.array([MISSED, 1.0, MISSED], np.float32))


def test_views_that_cut_it_or_see_it_too_small_or_too_large_do_not() -> None:
    _, _, cut = _seen((0, 1.0, (35, 10, 65, 40)))
    np.testing.assert_array_equal(cut[0], np.array([1.0, np.nan, np.nan], np.float32))
    _, _, tiny = _seen((1, 1.0, (45, 10, 47.5, 12.5)))
    np.testing.assert_array_equal(tiny[0], np.array([np.nan, 1.0, MISSED], np.float32))
    _, _, huge = _seen((0, 1.0, (41, 5, 94, 75)))
    np.testing.assert_array_equal(huge[0], np.array([1.0, np.nan, np.nan], np.float32))


def test_two_boxes_of_one_view_are_counted_once() -> None:
    boxes, _, answers = _seen((0, 2.0, (10, 10, 30, 30)), (0, 1.0, (11, 10, 31, 30)))
    np.testing.assert_array_equal(boxes, np.array([[10, 10, 30, 30]], np.float32))
    assert answers[0, 0] == 2.0
