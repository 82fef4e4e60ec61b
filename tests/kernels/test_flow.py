from __future__ import annotations

import cv2
import numpy as np

from agent.kernels.flow import flow_points, fuse
from agent.types import Float, Grey
from tests.kernels.naive_geometry import flow_point


def _texture(seed: int = 0) -> Grey:
    noise = np.random.default_rng(seed).integers(0, 255, (200, 200)).astype(np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX), np.uint8)


def _crop(picture: Grey, x: float, y: float) -> Grey:
    matrix = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
    return np.asarray(cv2.warpAffine(picture, matrix, (112, 112)), np.uint8)


POINTS: Float = np.random.default_rng(3).uniform(12, 100, (40, 2)).astype(np.float32)


def test_a_shift_is_followed_to_a_tenth_of_a_pixel() -> None:
    picture = _texture()
    before, after = _crop(picture, 40, 40), _crop(picture, 38.6, 40.9)
    found = flow_points(before, after, POINTS, POINTS, 0.5, 8)
    assert np.median(np.abs(found[:, :2] - POINTS - [1.4, -0.9])) < 0.1
    assert (found[:, 2] >= 0).all()


def test_the_kernel_agrees_with_its_twin() -> None:
    picture = _texture(1)
    before, after = _crop(picture, 40, 40), _crop(picture, 39.5, 40.4)
    found = flow_points(before, after, POINTS, POINTS, 4.0, 30)
    for point, answer in zip(POINTS, found, strict=True):
        np.testing.assert_allclose(
            answer[:2], flow_point(before, after, point, point, 4.0), atol=0.05
        )


def test_bare_skin_follows_the_guess() -> None:
    flat = np.full((112, 112), 128, np.uint8)
    guess = POINTS + 2
    np.testing.assert_allclose(flow_points(flat, flat, POINTS, guess, 4.0, 4)[:, :2], guess)


def test_a_change_of_light_moves_nothing() -> None:
    picture = _crop(_texture(), 40, 40)
    brighter = np.clip(picture.astype(int) // 2 + 60, 0, 255).astype(np.uint8)
    darker = np.clip(picture.astype(int) // 2 + 40, 0, 255).astype(np.uint8)
    found = flow_points(brighter, darker, POINTS, POINTS, 4.0, 4)
    np.testing.assert_allclose(found[:, :2], POINTS, atol=1e-3)


def test_points_outside_are_marked_and_keep_the_guess() -> None:
    picture = _crop(_texture(), 40, 40)
    outside = np.array([[-5, 50], [2, 2], [200, 200], [50, 111]], np.float32)
    found = flow_points(picture, picture, outside, outside, 4.0, 4)
    np.testing.assert_array_equal(found[:, :2], outside)
    assert (found[:, 2] == -1).all()


def test_fusion_trusts_flow_nearby_and_the_network_far_off() -> None:
    flow = np.array([[10, 10, 1.0], [10, 10, 1.0], [10, 10, -1.0]], np.float32)
    network = np.array([[10.5, 10], [40, 10], [12, 10]], np.float32)
    fused = fuse(flow, network, 0.03, 3.0, 7.0)
    expected = np.array([[10.015, 10], [40, 10], [11, 10]], np.float32)
    np.testing.assert_allclose(fused, expected, atol=1e-4)
