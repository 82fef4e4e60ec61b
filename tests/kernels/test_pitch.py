from __future__ import annotations

import numpy as np

from agent.kernels.pitch import pitch_candidates, pitch_path
from tests.kernels import naive_pitch


def test_candidates_agree_with_the_plain_twin() -> None:
    rng = np.random.default_rng(1)
    sound = rng.normal(size=(20, 640)).astype(np.float32)
    time = np.arange(640) / 16000
    sound[:10] += 3 * np.sin(2 * np.pi * rng.uniform(80, 400, (10, 1)) * time)
    sound[15] = 0
    window = np.hanning(640).astype(np.float32)
    power = np.abs(np.fft.rfft(sound * window, 1024)) ** 2
    correlation = np.fft.irfft(power)[:, :240].astype(np.float32)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, 1024)) ** 2)[:240].astype(np.float32)
    frequency, strength = np.empty((20, 4), np.float32), np.empty((20, 4), np.float32)
    harmonicity = np.empty(20, np.float32)
    pitch_candidates(correlation, own, 16000.0, 75.0, 500.0, 0.02, frequency, strength, harmonicity)
    expected = naive_pitch.candidates(correlation, own, 16000.0, 75.0, 500.0, 0.02, 4)
    np.testing.assert_allclose(frequency, expected[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(strength, expected[1], atol=1e-3)
    np.testing.assert_allclose(harmonicity, expected[2], atol=1e-3)
    assert not frequency[15].any()


def test_path_is_the_best_of_all() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        frequency = rng.uniform(80, 400, (5, 2)).astype(np.float32)
        strength = rng.uniform(0.2, 0.9, (5, 2)).astype(np.float32)
        frequency[rng.random((5, 2)) < 0.2] = 0
        unvoiced = np.full(5, 0.45, np.float32)
        out = np.empty(5, np.float32)
        pitch_path(frequency, strength, unvoiced, 0.35, 0.14, out)
        np.testing.assert_allclose(
            out, naive_pitch.path(frequency, strength, unvoiced, 0.35, 0.14), rtol=1e-6
        )
