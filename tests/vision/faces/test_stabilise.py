from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.base.types import Float, Grey
from agent.vision.faces.align import LANDMARK_CROP, MEAN_SHAPE, cut
from agent.vision.faces.landmarks import LandmarkEstimate, crop_matrix
from agent.vision.faces.stabilise import Stabiliser

IOD = 90.0
RIGID = [27, 28, 29, 30, 33, 36, 39, 42, 45]
POINTS: Float = (MEAN_SHAPE * IOD + [320, 200]).astype(np.float32)


def _face(seed: int = 0) -> Grey:
    noise = np.random.default_rng(seed).integers(0, 255, (480, 640)).astype(np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.asarray(cv2.normalize(smooth, None, 30, 220, cv2.NORM_MINMAX), np.uint8)


def _shifted(picture: Grey, x: float, y: float) -> Grey:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return np.asarray(cv2.warpAffine(picture, matrix, picture.shape[::-1]), np.uint8)


def _estimate(luma: Grey, raw: Float, spread: float | None = None) -> LandmarkEstimate:
    """As the network would estimate, its crop cut around its own points."""
    matrix = crop_matrix(raw)
    log_spread = None if spread is None else np.full((1, 68), np.log(spread), np.float32)
    return LandmarkEstimate(raw, 1.0, cut(luma, matrix, LANDMARK_CROP.size), matrix, log_spread)


def _run(
    rng: np.random.Generator, movement: Float, network_noise: float = 0.01
) -> tuple[Float, Float, list[float]]:
    """Stabilised and raw landmarks float[T, 68, 2] of a textured face moving by float[T, 2]."""
    picture = _face()
    stable: list[Float] = []
    raws: list[Float] = []
    continuity: list[float] = []
    stabiliser: Stabiliser | None = None
    for shift in movement:
        frame = _shifted(picture, *shift).astype(int) + rng.normal(0, 3, picture.shape)
        luma = frame.clip(0, 255).astype(np.uint8)
        raw = POINTS + shift + rng.normal(0, network_noise * IOD, POINTS.shape)
        estimate = _estimate(luma, raw.astype(np.float32))
        if stabiliser is None:
            stabiliser = Stabiliser(estimate)
        else:
            continuity.append(stabiliser.update(estimate, 1 / 30))
        stable.append(stabiliser.points)
        raws.append(estimate.points)
    return np.array(stable), np.array(raws), continuity


def test_a_still_face_is_still() -> None:
    stable, raw, continuity = _run(np.random.default_rng(0), np.zeros((40, 2), np.float32))
    steps = np.abs(np.diff(stable[10:], axis=0)).mean() / IOD
    raw_steps = np.abs(np.diff(raw[10:], axis=0)).mean() / IOD
    assert steps < 0.12 * raw_steps
    noise = np.median(np.abs(np.diff(stable[10:, RIGID], 2, axis=0))) / IOD
    assert noise < 0.0015
    assert min(continuity) > 0.9


def test_a_quick_movement_is_not_delayed() -> None:
    """A jerk of 200 ms, six frames: the landmarks peak in the same frame and at the same height."""
    time = np.arange(60) / 30
    bump = np.where(np.abs(time - 1) < 0.1, np.cos((time - 1) / 0.1 * np.pi / 2) ** 2, 0) * 6
    stable, _, _ = _run(np.random.default_rng(1), np.stack([0 * bump, bump], 1).astype(np.float32))
    moved = (stable - stable[20:25].mean(0))[:, :, 1].mean(1)
    assert abs(int(moved.argmax()) - int(bump.argmax())) == 0
    assert 5.4 < moved.max() < 6.6


def test_a_movement_of_one_lip_corner_passes_undiminished() -> None:
    """3 % of the IOD for 200 ms, beside which nothing moves and the network sees nothing."""
    picture = _face(3)
    y, x = np.mgrid[0:480, 0:640].astype(np.float32)
    near = np.exp(-((x - POINTS[54, 0]) ** 2 + (y - POINTS[54, 1]) ** 2) / (2 * (0.2 * IOD) ** 2))
    stabiliser = Stabiliser(_estimate(picture, POINTS))
    heights, tracked = [], []
    for frame in range(16):
        phase = (frame - 5) / 6
        height = 0.03 * IOD * (0.5 - 0.5 * np.cos(2 * np.pi * phase) if 0 < phase < 1 else 0.0)
        luma = cv2.remap(picture, x, y + np.float32(height) * near, cv2.INTER_CUBIC)
        assert stabiliser.update(_estimate(np.asarray(luma, np.uint8), POINTS), 1 / 30) > 0.8
        heights.append(height)
        tracked.append(POINTS[54, 1] - stabiliser.points[54, 1])
    assert int(np.argmax(tracked)) == int(np.argmax(heights))
    assert 0.85 < max(tracked) / max(heights) < 1.1
    assert np.abs(tracked[-1]) < 0.1 * max(heights)


def test_it_returns_to_the_network_and_does_not_drift_away() -> None:
    """Begun 4 % of IOD off, it is drawn to where the network says within seconds."""
    picture = _face()
    stabiliser = Stabiliser(_estimate(picture, POINTS + np.float32(0.04 * IOD)))
    for _ in range(150):
        stabiliser.update(_estimate(picture, POINTS), 1 / 30)
    left = np.abs(stabiliser.points - POINTS) / IOD
    assert left.mean() < 0.004
    assert left.max() < 0.012


def test_a_network_that_is_unsure_corrects_less() -> None:
    picture = _face()
    left = []
    for spread in (0.02, 0.06):
        stabiliser = Stabiliser(_estimate(picture, POINTS + np.float32(0.02 * IOD)))
        for _ in range(30):
            stabiliser.update(_estimate(picture, POINTS, spread), 1 / 30)
        left.append(np.abs(stabiliser.points - POINTS).mean())
    assert left[0] < 0.6 * left[1]


def test_a_jump_or_a_gap_starts_anew_with_continuity_0() -> None:
    picture = _face()
    far = POINTS + np.float32(100)
    stabiliser = Stabiliser(_estimate(picture, POINTS))
    assert stabiliser.update(_estimate(picture, far), 1 / 30) == 0.0
    np.testing.assert_array_equal(stabiliser.points, far)
    near = far + np.float32(1)
    assert stabiliser.update(_estimate(picture, near), 1.0) == 0.0
    np.testing.assert_array_equal(stabiliser.points, near)


@pytest.mark.parametrize("cover", ["cut", "blur", "hand"])
def test_a_cut_blur_or_a_hand_is_never_a_movement(cover: str) -> None:
    """The picture changes wholly while the network stays within a percent or two."""
    picture = _face()
    if cover == "cut":
        after = _face(9)
    elif cover == "blur":
        after = np.asarray(cv2.blur(picture, (90, 1)), np.uint8)
    else:
        after = picture.copy()
        after[215:, :] = 140 + (np.arange(640) % 2).astype(np.uint8)
    network = POINTS + np.random.default_rng(0).normal(0, 0.015 * IOD, POINTS.shape)
    stabiliser = Stabiliser(_estimate(picture, POINTS))
    assert stabiliser.update(_estimate(picture, POINTS), 1 / 30) > 0.95
    continuity = stabiliser.update(_estimate(after, network.astype(np.float32)), 1 / 30)
    assert continuity < (0.7 if cover == "hand" else 0.3)


def test_the_same_frame_again_changes_nothing() -> None:
    picture = _face()
    stabiliser = Stabiliser(_estimate(picture, POINTS))
    continuity = stabiliser.update(_estimate(picture, POINTS + np.float32(0.3)), 0.0)
    assert continuity > 0.9
    off = np.hypot(*(stabiliser.points - POINTS).T)
    assert np.median(off) < 0.04
    assert off.max() < 0.2
