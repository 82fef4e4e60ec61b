from __future__ import annotations

import numpy as np
import pytest

from agent.faces.align import MEAN_SHAPE
from agent.kernels.difference import bump_at, facial_channels
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


def test_up_is_positive_and_sides_are_the_picture_s() -> None:
    rest = facial_channels(MEAN_SHAPE)
    raised = MEAN_SHAPE.copy()
    raised[17:22, 1] -= 0.05
    change = facial_channels(raised) - rest
    assert change[0] == pytest.approx(0.05)
    assert change[2] == pytest.approx(0.05)
    assert change[1] == change[3] == 0
    wider = MEAN_SHAPE.copy()
    wider[[54, 64], 0] += 0.02
    assert (facial_channels(wider) - rest)[9] == pytest.approx(0.02)
    shut = MEAN_SHAPE.copy()
    shut[[37, 38], 1] += 0.04
    assert (facial_channels(shut) - rest)[10] == pytest.approx(-0.04)
