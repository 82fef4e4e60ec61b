"""Labels blended from two teachers: made-up teachers whose errors are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.vision.faces.align import FLIP
from tools.train.landmarks import labels

COUNT = 300
EVERY = np.ones(COUNT, np.bool_)


def _teachers(chance: float) -> tuple[labels.Array, labels.Array, labels.Array]:
    """Truth and two teachers' points float64[N, 68, 2]; both have habits and chance errors."""
    rng = np.random.default_rng(4)
    shape = np.concatenate([np.zeros((17, 2)), labels.hand_made()])
    shape[:17, 0] = np.linspace(-0.8, 0.8, 17)
    truth, first, second = (np.empty((COUNT, 68, 2)) for _ in range(3))
    habit = np.zeros((68, 2))
    habit[[19, 24], 0] = -0.06, 0.06
    habit[33, 1] = 0.04
    for i in range(COUNT):
        size, angle = rng.uniform(20, 80), rng.uniform(-0.6, 0.6)
        turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        face = shape + rng.normal(0, 0.01, shape.shape)
        place = rng.uniform(50, 100, 2)
        truth[i] = face @ turn.T + place
        for teacher, sign in ((first, 1), (second, -1)):
            seen = face + sign * habit + rng.normal(0, chance, face.shape)
            teacher[i] = seen @ turn.T + place
    return truth, first, second


def _distance(points: NDArray[Any], truth: labels.Array) -> labels.Array:
    iod = np.linalg.norm(truth[:, 45] - truth[:, 36], axis=-1)[:, None]
    return np.asarray(np.linalg.norm(points - truth, axis=-1) / iod)


def test_chance_errors_shrink_and_the_jaw_stays() -> None:
    truth, first, second = _teachers(0.02)
    blended = labels.blend(first, second, EVERY, EVERY)
    np.testing.assert_allclose(blended[:, :17], first[:, :17], rtol=1e-5)
    eyes = slice(36, 48)
    before, after = _distance(first, truth)[:, eyes], _distance(blended, truth)[:, eyes]
    # independent errors, four tenths of the way to the other: sqrt(0.6^2 + 0.4^2)
    assert after.mean() / before.mean() == pytest.approx(0.72, abs=0.03)


def test_a_habit_is_half_undone() -> None:
    truth, first, second = _teachers(0.002)
    blended = labels.blend(first, second, EVERY, EVERY)
    for point, size in ((19, 0.06), (24, 0.06), (33, 0.04)):
        assert _distance(first, truth)[:, point].mean() == pytest.approx(size, rel=0.1)
        assert _distance(blended, truth)[:, point].mean() == pytest.approx(size / 2, rel=0.2)


def test_a_teacher_gone_astray_moves_no_label_far() -> None:
    _, first, second = _teachers(0.002)
    calm = labels.blend(first, second, EVERY, EVERY)
    second[5] += 500.0
    astray = labels.blend(first, second, EVERY, EVERY)
    iod = np.linalg.norm(first[5, 45] - first[5, 36])
    moved = np.linalg.norm(astray[5] - calm[5], axis=-1) / iod
    assert 0.01 < moved.max() < 0.4 * (labels.FAR + 0.02)
    np.testing.assert_allclose(np.delete(astray, 5, 0), np.delete(calm, 5, 0), atol=0.1)


def test_mirrored_faces_get_mirrored_labels() -> None:
    _, first, second = _teachers(0.01)

    def mirror(points: labels.Array) -> labels.Array:
        return (points * [-1, 1] + [200, 0])[:, FLIP]

    blended = labels.blend(first, second, EVERY, EVERY)
    flipped = labels.blend(mirror(first), mirror(second), EVERY, EVERY)
    np.testing.assert_allclose(mirror(blended.astype(np.float64)), flipped, atol=0.2)


def test_convention_ignores_proportions() -> None:
    target = labels.hand_made()
    longer = target * [0.97, 1.08] + [0.0, 0.02]
    assert np.abs(labels.convention(longer, target)).max() < 1e-9
    longer[33 - 17, 1] += 0.05
    away = labels.convention(longer, target)
    assert away[33 - 17, 1] == pytest.approx(-0.05, abs=0.01)
    assert np.abs(np.delete(away, 33 - 17, 0)).max() < 0.01
