from __future__ import annotations

import numpy as np

from agent.kernels.spectrum import band_powers, voice_quality
from agent.voice.sound import BIN, mel_bands
from tests.kernels import naive_spectrum


def spectra(count: int) -> np.ndarray:
    """float32[N, 513]: noise under a slope that differs from frame to frame."""
    rng = np.random.default_rng(4)
    fall = np.exp(-np.arange(513) / rng.uniform(20, 200, (count, 1)))
    return (rng.exponential(size=(count, 513)) * fall * 1e-3).astype(np.float32)


def test_band_powers_agree_with_the_plain_twin() -> None:
    power = spectra(10)
    first, weights = mel_bands(26, 20.0, 8000.0)
    found = np.empty((10, 26), np.float32)
    band_powers(power, first, weights, found)
    np.testing.assert_allclose(found, naive_spectrum.bands(power, first, weights), rtol=1e-4)


def test_voice_quality_agrees_with_the_plain_twin() -> None:
    power = spectra(20)
    pitch = np.random.default_rng(5).uniform(75, 480, 20).astype(np.float32)
    pitch[3] = 0.0
    found = np.empty((20, 12), np.float32)
    voice_quality(power, BIN, pitch, found)
    expected = [
        naive_spectrum.quality(frame, BIN, float(hertz))
        for frame, hertz in zip(power, pitch, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert np.isnan(found[3, 10:]).all()


def test_voice_quality_does_not_depend_on_gain_and_silence_is_finite() -> None:
    power = spectra(5)
    pitch = np.full(5, 150.0, np.float32)
    loud, quiet, silent = (np.empty((5, 12), np.float32) for _ in range(3))
    voice_quality(power, BIN, pitch, loud)
    voice_quality(power * np.float32(1e-4), BIN, pitch, quiet)
    np.testing.assert_allclose(quiet, loud, atol=1e-2)
    voice_quality(np.zeros_like(power), BIN, pitch, silent)
    assert np.isfinite(silent).all()
