from __future__ import annotations

import numpy as np
import pytest

from agent.faces.align import MEAN_SHAPE
from agent.kernels.difference import bump_at, facial_channels, measure_noise, observe
from agent.types import Float
from tests.kernels import naive_difference

NOISE = np.full(12, 0.002, np.float32)


def test_the_kernel_agrees_with_its_twin() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        values = rng.normal(scale=0.01, size=(40, 12)).cumsum(0).astype(np.float32)
        found = bump_at(values, 20, 9, NOISE)
        expected = naive_difference.bump_at(values, 20, 9, NOISE)
        assert found[0] == expected[0]
        assert found[1:3] == pytest.approx(expected[1:3], rel=1e-3, abs=1e-6)
        assert found[3:] == expected[3:]


def test_steady_motion_is_no_movement() -> None:
    values = np.outer(np.arange(40), np.linspace(-0.01, 0.01, 12)).astype(np.float32)
    assert bump_at(values, 20, 9, NOISE)[2] < 0.01


def test_a_bump_has_its_height_and_ends() -> None:
    values = np.zeros((40, 12), np.float32)
    values[16:25, 3] = 0.03 * np.sin(np.linspace(0, np.pi, 9))
    channel, height, score, start, end = bump_at(values, 20, 9, NOISE)
    assert (channel, height) == (3, pytest.approx(0.03, rel=0.01))
    assert score == pytest.approx(15, rel=0.01)
    assert (start, end) == (16, 24)


RIGID = np.array([27, 28, 29, 30, 33, 36, 39, 42, 45], np.int64)


def _channels(points: Float) -> Float:
    out = np.empty(12, np.float32)
    facial_channels(points, MEAN_SHAPE, RIGID, out)
    return out


def test_up_is_positive_and_sides_are_the_picture_s() -> None:
    rest = _channels(MEAN_SHAPE)
    raised = MEAN_SHAPE.copy()
    raised[17:22, 1] -= 0.05
    change = _channels(raised) - rest
    assert change[0] == pytest.approx(0.05)
    assert change[2] == pytest.approx(0.05)
    assert change[1] == change[3] == 0
    wider = MEAN_SHAPE.copy()
    wider[[54, 64], 0] += 0.02
    assert (_channels(wider) - rest)[9] == pytest.approx(0.02)
    shut = MEAN_SHAPE.copy()
    shut[[37, 38], 1] += 0.04
    assert (_channels(shut) - rest)[10] == pytest.approx(-0.04)


def test_turning_shifting_and_scaling_a_face_changes_no_channel() -> None:
    turn = 70 * np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]])
    moved = (MEAN_SHAPE @ turn + [300, 200]).astype(np.float32)
    np.testing.assert_allclose(_channels(moved), _channels(MEAN_SHAPE), atol=2e-5)


def test_a_frame_is_appended_and_the_middle_of_the_window_looked_at() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(scale=0.01, size=(60, 12)).cumsum(0).astype(np.float32)
    times = np.arange(60) / 30
    count = 40
    times[count:] = 0.0
    found = observe(MEAN_SHAPE, MEAN_SHAPE, RIGID, values, times, count, count / 30, 0.27, NOISE)
    np.testing.assert_array_equal(values[count], _channels(MEAN_SHAPE))
    assert times[count] == count / 30
    half = count - int(np.searchsorted(times[:count], count / 30 - 0.27))
    assert found[:3] == (pytest.approx(1.0), count - half, half) == (pytest.approx(1.0), 32, 8)
    assert found[3:] == bump_at(values, count - half, half, NOISE)


def test_a_short_past_has_no_middle() -> None:
    values, times = np.zeros((60, 12), np.float32), np.zeros(60)
    for count in range(30):
        found = observe(
            MEAN_SHAPE, MEAN_SHAPE, RIGID, values, times, count, count / 30, 0.27, NOISE
        )
        assert (found[1] >= 0) == (count >= 16)


def test_the_noise_agrees_with_its_twin() -> None:
    values = np.random.default_rng(9).normal(scale=0.01, size=(120, 12)).astype(np.float32)
    values[:, 3] = 0.0
    for half in (4, 9):
        noise = np.full(12, np.inf, np.float32)
        measure_noise(values, half, 1e-3, noise)
        np.testing.assert_allclose(noise, naive_difference.noise(values, half, 1e-3), rtol=1e-4)


def test_a_short_past_leaves_the_noise_as_it_is() -> None:
    noise = np.full(12, np.inf, np.float32)
    measure_noise(np.zeros((35, 12), np.float32), 9, 1e-3, noise)
    assert np.isinf(noise).all()
