from __future__ import annotations

import numpy as np

from agent.kernels.follow import follow_noise
from tests.kernels import naive_follow

PARAMETERS = (0.2, 0.03, 0.3, 0.03)


def test_agrees_with_the_plain_twin() -> None:
    rng = np.random.default_rng(3)
    course = np.cumsum(rng.normal(0, 2, (300, 1)), axis=0)
    bands = (course + rng.normal(-60, 4, (300, 26))).astype(np.float32)
    smooth, floor = bands[0].copy(), bands[0].copy()
    peak = bands[0].max(keepdims=True)
    above, below = np.empty_like(bands), np.empty_like(bands)
    excess = np.empty(300, np.float32)
    follow_noise(bands, smooth, floor, peak, *PARAMETERS, above, below, excess)
    expected = naive_follow.follow_noise(bands.astype(np.float64), *PARAMETERS)
    for found, wanted in zip((above, below, excess), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_the_floor_sinks_at_once_and_rises_slowly() -> None:
    course = np.repeat(np.array([-40, -70, -40], np.float32), 100)
    bands = np.repeat(course[:, None], 4, 1)
    state = [bands[0].copy(), bands[0].copy(), bands[0, :1].copy()]
    above, below = np.empty_like(bands), np.empty_like(bands)
    excess = np.empty(len(bands), np.float32)
    follow_noise(bands, *state, *PARAMETERS, above, below, excess)
    assert abs(above[199, 0]) < 1.0
    assert 26.0 < above[299, 0] < 30.0  # 3 dB a second
    assert abs(below[299, 0]) < 1.0
