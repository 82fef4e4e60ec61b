"""Greedy suppression against its slow twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.kernels.nms import nms, pairwise_iou
from tests.kernels import naive_nms


def _boxes(corners: list[tuple[int, int, int, int]]) -> NDArray[np.float32]:
    return np.array(corners, np.float32).reshape(-1, 4)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 12)] * 4, st.integers(0, 5)), max_size=25),
    st.sampled_from([0.0, 0.31, 0.4, 0.77, 0.99]),
)
def test_equals_the_twin(rows: list[tuple[int, ...]], iou_above: float) -> None:
    """Small integers: many ties, touching, nested and empty boxes."""
    boxes = _boxes([(x, y, x + w, y + h) for x, y, w, h, _ in rows])
    scores = np.array([row[4] / 5 for row in rows], np.float32)
    kept = nms(boxes, scores, iou_above)
    assert kept.dtype == np.int64
    np.testing.assert_array_equal(kept, naive_nms.nms(boxes, scores, iou_above))


def test_many_random_boxes_equal_the_twin() -> None:
    rng = np.random.default_rng(5)
    low = rng.uniform(0, 300, (400, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 80, (400, 2))], 1).astype(np.float32)
    scores = rng.random(400).astype(np.float32)
    kept = nms(boxes, scores, 0.4)
    np.testing.assert_array_equal(kept, naive_nms.nms(boxes, scores, 0.4))
    assert 50 < len(kept) < 400


def test_overlap_of_exactly_the_threshold_stays() -> None:
    boxes = _boxes([(0, 0, 2, 1), (1, 0, 3, 1)])  # IoU 1/3
    scores = np.array([0.9, 0.8], np.float32)
    assert len(nms(boxes, scores, 1 / 3 + 1e-9)) == 2
    assert len(nms(boxes, scores, 0.333)) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 12)] * 4), min_size=1, max_size=8))
def test_overlaps_are_those_of_the_twin(rows: list[tuple[int, ...]]) -> None:
    boxes = _boxes([(x, y, x + w, y + h) for x, y, w, h in rows])
    found = pairwise_iou(boxes, boxes[:3])
    for i, box in enumerate(boxes):
        for k, other in enumerate(boxes[:3]):
            assert found[i, k] == pytest.approx(naive_nms.iou(box, other), abs=1e-6)
    assert pairwise_iou(boxes[:0], boxes).shape == (0, len(boxes))
