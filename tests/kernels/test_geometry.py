from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kernels.geometry import extent, fit_similarity, landmarks_in_frame
from agent.vision.faces.align import MEAN_SHAPE, apply, similarity


def _matrix(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, x], [s, c, y]], np.float32)


@given(st.floats(-3, 3), st.floats(0.1, 200), st.floats(-500, 500), st.floats(-500, 500))
def test_a_similarity_is_recovered_exactly(angle: float, scale: float, x: float, y: float) -> None:
    matrix = _matrix(angle, scale, x, y)
    found = fit_similarity(MEAN_SHAPE, apply(matrix, MEAN_SHAPE))
    np.testing.assert_allclose(found, matrix, atol=2e-3 * max(1.0, scale))


def test_noisy_fits_agree_with_the_twin() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        source = rng.normal(size=(68, 2)).astype(np.float32)
        noise = rng.normal(size=(68, 2)).astype(np.float32)
        target = apply(_matrix(0.4, 30, 5, 7), source) + noise
        expected = similarity(source, target)
        np.testing.assert_allclose(fit_similarity(source, target), expected, atol=2e-3)


def test_coinciding_points_give_a_finite_matrix() -> None:
    assert np.isfinite(fit_similarity(np.zeros_like(MEAN_SHAPE), MEAN_SHAPE)).all()


def test_the_extent_is_the_smallest_box() -> None:
    points = np.random.default_rng(2).normal(size=(68, 2)).astype(np.float32)
    np.testing.assert_array_equal(extent(points), [*points.min(0), *points.max(0)])


def test_outputs_are_brought_back_to_the_frame() -> None:
    matrix = _matrix(0.7, 0.4, 12, -30)
    face = (MEAN_SHAPE * 80 + [300, 200]).astype(np.float32)
    shares = (apply(matrix, face) / 112).reshape(1, 136).astype(np.float32)
    found = np.empty((68, 2), np.float32)
    presence = landmarks_in_frame(matrix, shares, np.array([[2.0]], np.float32), 112.0, found)
    np.testing.assert_allclose(found, face, atol=1e-2)
    assert presence == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_outputs_without_a_place_are_zero() -> None:
    found = np.full((68, 2), 7, np.float32)
    zero = np.zeros((2, 3), np.float32)
    shares = np.ones((1, 136), np.float32)
    landmarks_in_frame(zero, shares, np.zeros((1, 1), np.float32), 112.0, found)
    assert not found.any()
