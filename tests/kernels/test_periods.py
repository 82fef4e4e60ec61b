from __future__ import annotations

import numpy as np

from agent.kernels.periods import perturbation
from tests.kernels import naive_periods

RATE = 16000.0


def test_perturbation_agrees_with_the_plain_twin() -> None:
    rng = np.random.default_rng(3)
    pitch = rng.uniform(75, 480, 30).astype(np.float32)
    pitch[5] = 0.0
    time = np.arange(640) / RATE
    phase = 2 * np.pi * pitch[:, None].astype(float) * (time + rng.uniform(0, 0.01, (30, 1)))
    frames = (np.sin(phase) + 0.4 * np.sin(2 * phase + 1)) * rng.uniform(0.9, 1.1, (30, 640))
    frames = (frames + rng.normal(0, 0.02, frames.shape)).astype(np.float32)
    jitter, shimmer = np.empty(30, np.float32), np.empty(30, np.float32)
    perturbation(frames, pitch, RATE, jitter, shimmer)
    expected = [
        naive_periods.perturbation(frame, float(hertz), RATE)
        for frame, hertz in zip(frames, pitch, strict=True)
    ]
    np.testing.assert_allclose(np.column_stack([jitter, shimmer]), expected, rtol=2e-3, atol=1e-5)
    assert np.isnan(jitter[5])
    assert np.isfinite(jitter).sum() > 15


def test_three_periods_are_needed() -> None:
    frame = np.sin(2 * np.pi * 90.0 * np.arange(320) / RATE).astype(np.float32)[None]
    jitter, shimmer = np.zeros(1, np.float32), np.zeros(1, np.float32)
    perturbation(frame, np.array([90.0], np.float32), RATE, jitter, shimmer)
    assert np.isnan(jitter[0])
    assert np.isnan(shimmer[0])


def test_an_even_voice_has_none() -> None:
    frame = np.sin(2 * np.pi * 200.0 * np.arange(640) / RATE).astype(np.float32)[None]
    jitter, shimmer = np.zeros(1, np.float32), np.zeros(1, np.float32)
    perturbation(frame, np.array([200.0], np.float32), RATE, jitter, shimmer)
    assert jitter[0] < 1e-3
    assert shimmer[0] < 1e-2
