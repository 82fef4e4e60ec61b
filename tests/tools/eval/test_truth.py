"""Landmark errors on shifts and noise that are known."""

from __future__ import annotations

import numpy as np
import pytest

from agent.base.types import Float
from agent.vision.faces.align import MEAN_SHAPE, apply
from tools.eval.landmarks import distances as measured
from tools.eval.landmarks.distances import aligned_spread, distances, spread, without_habits
from tools.eval.landmarks.subject import Subject, each_face, rough

FACE: Float = (MEAN_SHAPE * 50 + 100).astype(np.float32)
"""IOD 50 px."""


def turned(points: Float, degrees: float, scale: float = 1.0) -> Float:
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return apply(np.array([[c, -s, 7], [s, c, -3]], np.float32), points)


def test_a_shift_of_five_pixels_is_ten_percent() -> None:
    moved = FACE + np.array([3, 4], np.float32)
    np.testing.assert_allclose(distances(moved, FACE), 10.0, rtol=1e-4)


def test_unknown_points_stay_unknown() -> None:
    moved = FACE.copy()
    moved[:17] = np.nan
    found = distances(moved, FACE)
    assert np.isnan(found[:17]).all()
    assert not found[17:].any()
    table = np.stack([found, np.full(68, np.nan, np.float32)])
    assert each_face(table, slice(0, 68))[0] == 0.0
    assert np.isnan(each_face(table, slice(0, 17))[0])
    assert np.isnan(each_face(table, slice(17, 68))[1])


@pytest.mark.parametrize("degrees", [0, 25, -70])
def test_offsets_are_told_in_the_faces_own_frame(degrees: float) -> None:
    habit = np.zeros((68, 2), np.float32)
    habit[30] = 0.1, 0.05  # to the face's left and down, IOD
    seen = turned((FACE + habit * 50).astype(np.float32), degrees, 1.7)
    offsets = measured.face_offsets(seen, turned(FACE, degrees, 1.7))
    np.testing.assert_allclose(offsets, habit, atol=1e-3)


def test_habits_are_taken_out_and_chance_stays() -> None:
    rng = np.random.default_rng(1)
    habit = rng.normal(0, 0.05, (68, 2))
    chance = rng.normal(0, 0.01, (400, 68, 2))
    even = np.arange(400) % 2 == 0
    plain = 100 * np.hypot(*np.moveaxis(habit + chance, 2, 0)).mean()
    left = without_habits((habit + chance).astype(np.float32), even)
    assert plain > 5.0
    assert left.mean() == pytest.approx(100 * 0.01 * np.sqrt(np.pi / 2), rel=0.03)


def test_habits_are_learnt_from_the_other_part_and_unknown_points_stay_unknown() -> None:
    offsets = np.zeros((4, 68, 2), np.float32)
    offsets[:2, :, 0] = 0.1  # only one part has it: nothing is explained away
    offsets[:, :17] = np.nan
    left = without_habits(offsets, np.array([True, True, False, False]))
    np.testing.assert_allclose(left[:, 17:], 10.0, rtol=1e-5)
    assert np.isnan(left[:, :17]).all()


def test_noise_of_known_size() -> None:
    rng = np.random.default_rng(2)
    shapes = (FACE + rng.normal(0, 0.5, (200, 68, 2))).astype(np.float32)
    assert spread(shapes) == pytest.approx(1.0, rel=0.05)  # 0.5 of 50 px
    assert aligned_spread(shapes) == pytest.approx(1.0, rel=0.05)


def test_motion_of_the_whole_head_is_not_noise_of_its_parts() -> None:
    rng = np.random.default_rng(3)
    turns = rng.normal(0, 2, 30)
    shapes = np.stack([turned(FACE, a, 1 + a / 100) + rng.normal(0, 1, 2) for a in turns])
    assert spread(shapes.astype(np.float32)) > 2.0
    assert aligned_spread(shapes.astype(np.float32)) < 0.2


def test_rough_keypoints_are_as_rough_as_asked() -> None:
    rng = np.random.default_rng(4)
    exact = rough(FACE, rng, 0.0)
    np.testing.assert_allclose(exact[2], FACE[30], atol=0.5)
    far = [np.abs(rough(FACE, rng, 2.0) - exact).mean() for _ in range(200)]
    near = [np.abs(rough(FACE, rng, 1.0) - exact).mean() for _ in range(200)]
    assert np.mean(far) == pytest.approx(2 * np.mean(near), rel=0.25)


def test_a_subject_starts_each_pass_from_its_own_answer() -> None:
    starts: list[int] = []

    def follow(luma: np.ndarray, start: Float) -> Float:
        starts.append(len(start))
        return np.zeros((98, 2), np.float32)

    peer = Subject("98 points", follow, lambda own: own[:68])
    found = peer.locate(np.zeros((8, 8), np.uint8), np.zeros((5, 2), np.float32), 3)
    assert starts == [5, 98, 98]
    assert found.shape == (68, 2)
