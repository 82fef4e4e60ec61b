from __future__ import annotations

import cv2
import numpy as np

from agent.faces.align import LANDMARK_CROP, MEAN_SHAPE, cut
from agent.faces.landmarks import Placement, crop_matrix
from agent.faces.stabilise import stabilise
from agent.types import Float, Grey

IOD = 90.0


def _face(seed: int = 0) -> Grey:
    noise = np.random.default_rng(seed).integers(0, 255, (480, 640)).astype(np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.asarray(cv2.normalize(smooth, None, 30, 220, cv2.NORM_MINMAX), np.uint8)


def _shifted(picture: Grey, x: float, y: float) -> Grey:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return np.asarray(cv2.warpAffine(picture, matrix, picture.shape[::-1]), np.uint8)


POINTS: Float = (MEAN_SHAPE * IOD + [320, 200]).astype(np.float32)


def _placed(luma: Grey, raw: Float) -> Placement:
    """As the network would answer, its crop cut around where it answers."""
    matrix = crop_matrix(raw)
    return Placement(raw, 1.0, cut(luma, matrix, LANDMARK_CROP.size), matrix)


def _run(
    rng: np.random.Generator, movement: Float, network_noise: float = 0.01
) -> tuple[Float, Float]:
    """Stabilised and raw landmarks float[T, 68, 2] of a textured face moving by float[T, 2]."""
    picture = _face()
    stable: list[Float] = []
    raws: list[Float] = []
    before: Placement | None = None
    for shift in movement:
        frame = _shifted(picture, *shift).astype(int) + rng.normal(0, 3, picture.shape)
        luma = frame.clip(0, 255).astype(np.uint8)
        raw = POINTS + shift + rng.normal(0, network_noise * IOD, POINTS.shape)
        raw = raw.astype(np.float32)
        placed = _placed(luma, raw)
        points = raw if before is None else stabilise(before, stable[-1], placed, 1 / 30)
        stable.append(points)
        raws.append(raw)
        before = placed
    return np.array(stable), np.array(raws)


def test_a_still_face_is_still() -> None:
    stable, raw = _run(np.random.default_rng(0), np.zeros((40, 2), np.float32))
    steps = np.abs(np.diff(stable[10:], axis=0)).mean() / IOD
    raw_steps = np.abs(np.diff(raw[10:], axis=0)).mean() / IOD
    assert steps < 0.15 * raw_steps


def test_a_quick_movement_is_not_delayed() -> None:
    """A jerk of 200 ms, six frames: the answer peaks in the same frame and at the same height."""
    time = np.arange(60) / 30
    bump = np.where(np.abs(time - 1) < 0.1, np.cos((time - 1) / 0.1 * np.pi / 2) ** 2, 0) * 6
    stable, _ = _run(np.random.default_rng(1), np.stack([0 * bump, bump], 1).astype(np.float32))
    moved = (stable - stable[20:25].mean(0))[:, :, 1].mean(1)
    assert abs(int(moved.argmax()) - int(bump.argmax())) <= 1
    assert moved.max() > 5.4


def test_it_returns_to_the_network_and_does_not_drift_away() -> None:
    """Begun 4 % of IOD off, it is drawn to where the network says within seconds."""
    picture = _face()
    points = POINTS + np.float32(0.04 * IOD)
    for _ in range(150):
        points = stabilise(_placed(picture, points), points, _placed(picture, POINTS), 1 / 30)
    left = np.abs(points - POINTS) / IOD
    assert left.mean() < 0.004
    assert left.max() < 0.012


def test_a_jump_or_a_gap_takes_the_network_s_word() -> None:
    picture = _face()
    far = POINTS + np.float32(100)
    found = stabilise(_placed(picture, POINTS), POINTS, _placed(picture, far), 1 / 30)
    np.testing.assert_array_equal(found, far)
    near = POINTS + np.float32(1)
    found = stabilise(_placed(picture, POINTS), POINTS, _placed(picture, near), 1.0)
    np.testing.assert_array_equal(found, near)
