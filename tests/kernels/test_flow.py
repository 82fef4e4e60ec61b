from __future__ import annotations

import cv2
import numpy as np

from agent.base.types import Float, Grey
from agent.kernels.flow import BACKWARD_ERROR, RESIDUAL, lucas_kanade
from agent.kernels.predict import (
    EARLIER,
    GUESS,
    NETWORK,
    START,
    carry_landmarks,
    predict_landmarks,
)
from tests.kernels import naive_flow


def _texture(seed: int = 0) -> Grey:
    noise = np.random.default_rng(seed).integers(0, 255, (200, 200)).astype(np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX), np.uint8)


def _crop(picture: Grey, x: float, y: float) -> Grey:
    matrix = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
    return np.asarray(cv2.warpAffine(picture, matrix, (112, 112)), np.uint8)


POINTS: Float = np.random.default_rng(3).uniform(12, 100, (24, 2)).astype(np.float32)


def test_a_shift_is_followed_to_a_tenth_of_a_pixel() -> None:
    picture = _texture()
    before, after = _crop(picture, 40, 40), _crop(picture, 38.6, 40.9)
    found = lucas_kanade(before, after, POINTS, POINTS, 0.5, 8)
    assert np.median(np.abs(found[:, :2] - POINTS - [1.4, -0.9])) < 0.1
    assert (found[:, BACKWARD_ERROR] >= 0).all()


def test_the_kernel_agrees_with_its_twin() -> None:
    picture = _texture(1)
    before, after = _crop(picture, 40, 40), _crop(picture, 39.5, 40.4)
    found = lucas_kanade(before, after, POINTS, POINTS, 4.0, 30)
    for point, row in zip(POINTS, found, strict=True):
        expected = naive_flow.flow_point(before, after, point, point, 4.0)
        np.testing.assert_allclose(row[:2], expected[:2], atol=0.05)
        np.testing.assert_allclose(row[2:5], expected[2:5], rtol=0.02, atol=30)
        np.testing.assert_allclose(row[RESIDUAL], expected[RESIDUAL], rtol=0.05, atol=0.3)
        np.testing.assert_allclose(row[BACKWARD_ERROR], expected[BACKWARD_ERROR], atol=0.02)


def test_bare_skin_follows_the_guess_and_knows_nothing() -> None:
    flat = np.full((112, 112), 128, np.uint8)
    guess = POINTS + 2
    found = lucas_kanade(flat, flat, POINTS, guess, 4.0, 4)
    np.testing.assert_allclose(found[:, :2], guess)
    np.testing.assert_allclose(found[:, 2:5], 0)


def test_a_change_of_light_moves_nothing() -> None:
    picture = _crop(_texture(), 40, 40)
    brighter, darker = picture // 2 + 60, picture // 2 + 40
    found = lucas_kanade(brighter, darker, POINTS, POINTS, 4.0, 4)
    np.testing.assert_allclose(found[:, :2], POINTS, atol=1e-3)
    np.testing.assert_allclose(found[:, 5:], 0, atol=1e-3)


def test_points_outside_are_marked_and_keep_the_guess() -> None:
    picture = _crop(_texture(), 40, 40)
    outside = np.array([[-5, 50], [2, 2], [200, 200], [50, 111]], np.float32)
    found = lucas_kanade(picture, picture, outside, outside, 4.0, 4)
    np.testing.assert_array_equal(found[:, :2], outside)
    np.testing.assert_array_equal(found[:, 2:], [[0, 0, 0, 0, -1]] * 4)


def test_backward_flow_betrays_what_is_not_there_any_more() -> None:
    here, elsewhere = _crop(_texture(), 40, 40), _crop(_texture(5), 40, 40)
    same = lucas_kanade(here, here, POINTS, POINTS, 0.25, 4)
    covered = lucas_kanade(here, elsewhere, POINTS, POINTS, 0.25, 4)
    assert (same[:, BACKWARD_ERROR] < 0.01).all()
    assert np.mean((covered[:, BACKWARD_ERROR] > 0.4) | (covered[:, BACKWARD_ERROR] < 0)) > 0.6
    assert np.median(covered[:, RESIDUAL]) > 100


def test_landmarks_in_the_frame_are_followed_between_two_crops() -> None:
    """The head moved by (3, -2); each crop was cut elsewhere; the network is off by a pixel."""
    picture = _texture(4)
    matrix_before = np.array([[1, 0, -40], [0, 1, -40]], np.float32)
    matrix_after = np.array([[1, 0, -44], [0, 1, -37]], np.float32)
    before, after = _crop(picture, 40, 40), _crop(picture, 41, 39)
    earlier = POINTS + np.float32(40)
    network = earlier + np.array([4, -2], np.float32)
    in_crop = np.empty((4, len(POINTS), 2), np.float32)
    moved = predict_landmarks(matrix_before, matrix_after, earlier, network, 53.0, in_crop)
    flow = lucas_kanade(before, after, in_crop[START], in_crop[GUESS], 0.1, 8)
    held = flow[:, BACKWARD_ERROR] >= 0
    assert held.sum() > 15
    expected = earlier + [3, -2] + matrix_after[:, 2]
    assert np.median(np.abs(flow[held, :2] - expected[held])) < 0.05
    np.testing.assert_allclose(moved, np.hypot(4, 2) / 53, rtol=1e-4)
    np.testing.assert_allclose(in_crop[EARLIER], earlier + matrix_after[:, 2], atol=1e-4)
    np.testing.assert_allclose(in_crop[NETWORK], network + matrix_after[:, 2], atol=1e-4)
    np.testing.assert_allclose(in_crop[GUESS], in_crop[NETWORK], atol=1e-3)
    np.testing.assert_allclose(in_crop[START], earlier + matrix_before[:, 2], atol=1e-4)


def test_a_jump_is_no_movement() -> None:
    matrix = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    in_crop = np.empty((4, len(POINTS), 2), np.float32)
    for network in (POINTS + np.float32(20), np.full_like(POINTS, np.nan)):
        assert predict_landmarks(matrix, matrix, POINTS, network, 53.0, in_crop) == -1


def test_points_followed_side_by_side_do_not_mix() -> None:
    """In any number and order: the same answer for each."""
    picture = _texture(2)
    before, after = _crop(picture, 40, 40), _crop(picture, 39.2, 40.7)
    points = np.random.default_rng(8).uniform(-4, 116, (50, 2)).astype(np.float32)
    together = lucas_kanade(before, after, points, points, 0.25, 8)
    for index, point in enumerate(points[:, None]):
        alone = lucas_kanade(before, after, point, point, 0.25, 8)
        np.testing.assert_allclose(together[index], alone[0], rtol=1e-6)


def test_an_answer_is_carried_along_with_the_head() -> None:
    rng = np.random.default_rng(4)
    network, answered, before, latest = (
        rng.uniform(0, 100, (68, 2)).astype(np.float32) for _ in range(4)
    )
    expected = network + (latest - answered).mean(0) + 0.5 * (latest - before).mean(0)
    carried = carry_landmarks(network, answered, before, latest, 0.5)
    np.testing.assert_allclose(carried, expected, rtol=1e-5)
