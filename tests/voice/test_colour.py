"""Getting used to a room."""

from __future__ import annotations

import numpy as np
import pytest

from agent.voice.colour import Colour
from agent.voice.frames import DECIBELS, Frames, measure
from tests.voice.test_listener import talk

FRAMES = measure(talk())
SPOKEN = np.asarray(FRAMES.level > -45)
REFERENCE = FRAMES.bands[SPOKEN].mean(0) - FRAMES.bands[SPOKEN].mean()
TILT = (np.linspace(-5, 5, 26) / DECIBELS).astype(np.float32)


def distance(frames: Frames) -> float:
    """dB, between the mean shape of the speech and the reference."""
    shape = frames.bands[SPOKEN].mean(0)
    return float(DECIBELS * np.abs(shape - shape.mean() - REFERENCE).mean())


def test_speech_as_in_training_stays_as_it_is() -> None:
    found = Colour(REFERENCE)(FRAMES, SPOKEN)
    np.testing.assert_allclose(found.bands, FRAMES.bands, atol=1e-4)
    np.testing.assert_allclose(found.cepstra, FRAMES.cepstra, atol=1e-3)


def test_another_microphone_is_got_used_to_slowly() -> None:
    colour, tilted = Colour(REFERENCE), FRAMES.coloured(TILT)
    before = distance(tilted)
    first = distance(colour(tilted, SPOKEN))
    assert 0.8 * before < first < before
    for _ in range(60):
        last = distance(colour(tilted, SPOKEN))
    assert last < 0.4 * before
    colour.reset()
    assert distance(colour(tilted, SPOKEN)) == pytest.approx(first)


def test_no_band_is_changed_by_more_than_eight_decibels() -> None:
    colour, far = Colour(REFERENCE), FRAMES.coloured(8 * TILT)
    for _ in range(200):
        found = colour(far, SPOKEN)
    assert DECIBELS * np.abs(found.bands - far.bands).max() <= 8.001


def test_silence_teaches_nothing() -> None:
    colour = Colour(REFERENCE)
    assert colour(FRAMES, np.zeros(len(FRAMES), bool)) is FRAMES
    np.testing.assert_allclose(colour(FRAMES, SPOKEN).bands, FRAMES.bands, atol=1e-4)
