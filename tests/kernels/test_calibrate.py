from __future__ import annotations

import numpy as np
import pytest

from agent.kernels.calibrate import softmax_at_temperature, subtract_baseline


def test_the_kernel_is_a_softmax_with_expectations() -> None:
    rng = np.random.default_rng(3)
    for temperature in (0.5, 1.0, 2.5):
        logits = rng.normal(scale=5, size=8).astype(np.float32)
        valence, arousal = rng.uniform(-1, 1, (2, 8)).astype(np.float32)
        found = np.empty(8, np.float32)
        highest, v, a = softmax_at_temperature(logits, temperature, valence, arousal, found)
        odds = np.exp((logits - logits.max()) / temperature)
        expected = odds / odds.sum()
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert (highest, v, a) == pytest.approx(
            (expected.max(), expected @ valence, expected @ arousal), abs=1e-5
        )


def test_logits_of_any_size_stay_finite() -> None:
    found = np.empty(8, np.float32)
    zero = np.zeros(8, np.float32)
    softmax_at_temperature(
        np.array([1e4, -1e4, 0, 0, 0, 0, 0, 0], np.float32), 1.0, zero, zero, found
    )
    np.testing.assert_array_equal(found, [1, 0, 0, 0, 0, 0, 0, 0])


def test_the_rest_is_the_weighted_mean_of_the_answers() -> None:
    rng = np.random.default_rng(4)
    sums, weight = np.zeros(12, np.float32), 5.0
    units, neutral = rng.uniform(0, 1, (30, 12)).astype(np.float32), rng.uniform(0, 1, 30)
    out = np.empty(12, np.float32)
    for answer, share in zip(units, neutral, strict=True):
        weight = subtract_baseline(answer, float(share), sums, weight, out)
    rest = (neutral[:, None] ** 2 * units).sum(0) / (5.0 + (neutral**2).sum())
    expected = np.clip((units[-1] - rest) / np.maximum(1 - rest, 0.1), 0, 1)
    np.testing.assert_allclose(out, expected, atol=1e-5)
