from __future__ import annotations

import numpy as np
import pytest

from agent.kernels.decode_detections import decode_detections
from tests.kernels import naive_decode_detections as naive


@pytest.mark.parametrize("logit", [-9.0, 0.0, 1.5, 9.0])
def test_the_kernel_agrees_with_its_twin(logit: float) -> None:
    rng = np.random.default_rng(6)
    score = rng.normal(size=(1, 7, 9, 1)).astype(np.float32)
    box = rng.normal(scale=4, size=(1, 7, 9, 4)).astype(np.float32)
    keypoints = rng.normal(size=(1, 7, 9, 10)).astype(np.float32)
    boxes = np.empty((70, 4), np.float32)
    scores = np.empty(70, np.float32)
    points = np.empty((70, 5, 2), np.float32)
    end = decode_detections(
        score, box, keypoints, 16, 3.0, logit, 0.5, 0.4, boxes, scores, points, 7
    )
    expected = naive.decode_detections(score, box, keypoints, 16, 3.0, logit, 0.5, 0.4)
    assert end - 7 == len(expected[0]) == (score > logit).sum()
    np.testing.assert_allclose(boxes[7:end], expected[0], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(scores[7:end], expected[1], rtol=1e-5)
    np.testing.assert_allclose(points[7:end], expected[2], rtol=1e-5, atol=1e-4)
