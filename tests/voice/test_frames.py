from __future__ import annotations

import numpy as np
import pytest

from agent.base.types import SOUND_RATE as RATE
from agent.base.types import Float
from agent.voice.frames import measure
from agent.voice.sound import FRAME, HOP


def voice(pitch: float, seconds: float = 1.0, jitter: float = 0.0, shimmer: float = 0.0) -> Float:
    """A train of decaying pulses, each period and height disturbed by a share."""
    rng = np.random.default_rng(0)
    out = np.zeros(round(seconds * RATE) + 200)
    at = 0.0
    pulse = np.exp(-np.arange(100) / 12) * np.cos(2 * np.pi * 700 * np.arange(100) / RATE)
    while at < seconds * RATE:
        whole = int(at)
        # a pulse between two samples: spread over both
        for shift, share in ((0, 1 - (at - whole)), (1, at - whole)):
            out[whole + shift : whole + shift + 100] += share * pulse * (1 + shimmer * rng.normal())
        at += RATE / pitch * (1 + jitter * rng.normal())
    return (0.3 * out[: round(seconds * RATE)]).astype(np.float32)


@pytest.mark.parametrize("pitch", [85.0, 130.0, 220.0, 400.0])
def test_pitch_of_a_voice(pitch: float) -> None:
    found = measure(voice(pitch)).pitch()
    assert np.mean(found > 0) > 0.9
    np.testing.assert_allclose(np.median(found[found > 0]), pitch, rtol=0.01)


def test_noise_and_silence_are_unvoiced() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert np.mean(measure(noise).pitch() > 0) < 0.1
    assert not measure(np.zeros(RATE, np.float32)).pitch().any()


def test_perturbation_grows_with_the_voice_s() -> None:
    clean, rough = measure(voice(120.0)), measure(voice(120.0, jitter=0.03, shimmer=0.2))
    assert np.nanmean(clean.jitter) < 0.01
    assert np.nanmean(rough.jitter) > 3 * np.nanmean(clean.jitter)
    assert np.nanmean(rough.shimmer) > 2 * np.nanmean(clean.shimmer)
    assert np.nanmean(rough.harmonicity) < np.nanmean(clean.harmonicity)


def test_chunks_give_the_same_frames_as_the_whole() -> None:
    sound = voice(150.0)
    whole = measure(sound)
    cut = 37 * HOP
    first, second = measure(sound[: cut + FRAME - HOP]), measure(sound[cut:])
    np.testing.assert_array_equal(whole.bands, np.concatenate([first.bands, second.bands]))
    np.testing.assert_array_equal(
        whole.frequency, np.concatenate([first.frequency, second.frequency])
    )


def test_loudness_grows_with_level_and_nothing_else_does() -> None:
    quiet, loud = measure(0.1 * voice(150.0)), measure(voice(150.0))
    assert loud.loudness.mean() > 3 * quiet.loudness.mean()
    np.testing.assert_allclose(loud.quality[:, :4], quiet.quality[:, :4], atol=0.1)
    np.testing.assert_allclose(loud.pitch(), quiet.pitch(), rtol=1e-3)


def test_less_than_a_frame_is_none() -> None:
    assert len(measure(np.zeros(FRAME - 1, np.float32))) == 0
    assert len(measure(np.zeros(FRAME, np.float32))) == 1


def test_frames_of_another_gain_need_no_other_measurement() -> None:
    plain, loud = measure(voice(150.0)), measure(4 * voice(150.0))
    raised = plain.amplified(20 * np.log10(4), -300.0)
    np.testing.assert_allclose(raised.loudness, loud.loudness, rtol=1e-3)
    np.testing.assert_allclose(raised.level, loud.level, atol=1e-2)
    np.testing.assert_allclose(raised.bands, loud.bands, atol=1e-2)
    np.testing.assert_allclose(raised.cepstra, loud.cepstra, atol=0.05)
    floored = plain.amplified(0.0, -50.0)
    np.testing.assert_allclose(floored.bands.min(), -50 / 4.3429, rtol=1e-4)
    assert len(plain[10:30]) == 20
    np.testing.assert_array_equal(plain[10:30].pitch(), plain.pitch()[10:30])
