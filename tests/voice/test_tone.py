from __future__ import annotations

import numpy as np
import pytest

from agent.base.errors import ModelError
from agent.base.types import TONES, UNSURE, Float
from agent.inference.manifest import load_manifest, models_folder
from agent.voice.frames import measure
from agent.voice.logmel import ROWS
from agent.voice.prosody import NAMES
from agent.voice.sound import RATE
from agent.voice.tone import (
    KNOTS,
    PROSODY,
    SPECTRUM,
    ToneReader,
    ToneReading,
    coded,
    inputs,
)
from tests.voice.test_frames import voice


@pytest.fixture(scope="module")
def reader() -> ToneReader:
    return ToneReader(load_manifest(models_folder(None)))


def sentence(seconds: float = 2.5, loud: float = 0.3) -> Float:
    """Syllables of a pitch that wanders, with pauses, in a little noise."""
    rng = np.random.default_rng(7)
    parts = [
        np.concatenate([voice(pitch, 0.22, 0.01, 0.05), np.zeros(RATE // 20, np.float32)])
        for pitch in rng.uniform(110, 260, round(seconds / 0.27))
    ]
    sound = np.concatenate(parts)
    return (loud * (sound + rng.normal(0, 0.002, len(sound)))).astype(np.float32)


def everywhere(sound: Float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.ones(len(measure(sound)), bool)


@pytest.mark.parametrize("decibels", [-20.0, 6.0])
def test_gain_makes_no_difference(reader: ToneReader, decibels: float) -> None:
    plain, other = sentence(), (sentence() * 10 ** (decibels / 20)).astype(np.float32)
    found, again = (inputs(measure(each), everywhere(each)) for each in (plain, other))
    assert found is not None
    assert again is not None
    assert np.abs(found[0].astype(int) - again[0]).max() <= 3  # near the floor of the logarithm
    np.testing.assert_allclose(again[1], found[1], rtol=0.02, atol=0.02)
    one, two = (reader(measure(each), everywhere(each)) for each in (plain, other))
    assert one is not None
    assert two is not None
    assert one.label == two.label
    np.testing.assert_allclose(one.probabilities, two.probabilities, atol=0.06)


def test_a_reading_is_a_distribution_and_in_range(reader: ToneReader) -> None:
    sound = sentence()
    found = reader(measure(sound), everywhere(sound))
    assert found is not None
    assert found.probabilities.shape == (len(TONES),)
    assert found.probabilities.dtype == np.float32
    assert found.probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    assert found.label in (*TONES, UNSURE)
    assert -1 <= found.arousal <= 1
    assert -1 <= found.valence <= 1
    assert found.spoken == min(len(measure(sound)), ROWS)


def test_silence_and_a_syllable_are_none(reader: ToneReader) -> None:
    silent = np.zeros(3 * RATE, np.float32)
    assert reader(measure(silent), np.zeros(len(measure(silent)), bool)) is None
    spoken = np.zeros(len(measure(silent)), bool)
    spoken[:39] = True
    assert reader(measure(sentence(3.3))[: len(spoken)], spoken) is None
    assert reader(measure(np.zeros(0, np.float32)), np.zeros(0, bool)) is None


@pytest.mark.parametrize("kind", ["zeros", "noise", "square", "impulse"])
def test_nothing_that_is_called_speech_gives_nan(reader: ToneReader, kind: str) -> None:
    sound = {
        "zeros": np.zeros(3 * RATE),
        "noise": np.random.default_rng(1).normal(0, 0.3, 3 * RATE),
        "square": np.sign(np.sin(np.arange(3 * RATE) * 0.05)),
        "impulse": np.eye(1, 3 * RATE, 20000)[0],
    }[kind].astype(np.float32)
    found = reader(measure(sound), everywhere(sound))
    assert found is not None
    assert np.isfinite(found.probabilities).all()
    assert np.isfinite([found.arousal, found.valence]).all()


def test_the_latest_three_seconds_count(reader: ToneReader) -> None:
    sound = sentence(5.0)
    frames = measure(sound)
    spoken = np.ones(len(frames), bool)
    whole, end = reader(frames, spoken), reader(frames[-ROWS:], spoken[-ROWS:])
    assert whole is not None
    assert end is not None
    np.testing.assert_array_equal(whole.probabilities, end.probabilities)
    assert whole.spoken == ROWS


def test_decided_follows_the_logits(reader: ToneReader) -> None:
    sure = reader.decided(np.array([0, 6, 0, 0, 3.0, -3.0], np.float32), 100)
    assert sure.label == "happy"
    assert sure.arousal > 0.8
    assert sure.valence < -0.8
    even = reader.decided(np.zeros(6, np.float32), 100)
    assert even.label == UNSURE
    assert even.arousal == 0
    np.testing.assert_allclose(even.probabilities, 0.25)
    large = reader.decided(np.full(6, 1e4, np.float32), 100)
    np.testing.assert_allclose(large.probabilities, 0.25)


def test_joined_weighs_by_speech(reader: ToneReader) -> None:
    def made(best: int, spoken: int) -> ToneReading:
        return ToneReading(np.eye(4, dtype=np.float32)[best], TONES[best], 0.5, -0.5, spoken)

    found = reader.joined([made(2, 300), made(1, 100)])
    assert found is not None
    np.testing.assert_allclose(found.probabilities, [0, 0.25, 0.75, 0])
    assert found.label == "angry"
    assert found.arousal == pytest.approx(0.5)
    assert found.spoken == 400
    assert reader.joined([]) is None


def test_codes_are_interpolated_quantiles() -> None:
    rng = np.random.default_rng(2)
    quantiles = np.sort(rng.normal(size=(len(NAMES), len(KNOTS))), 1).astype(np.float32)
    for values in rng.normal(0, 2, (20, len(NAMES))).astype(np.float32):
        expected = [
            np.rint((np.interp(value, row, KNOTS) + 3) * 255 / 6)
            for value, row in zip(values, quantiles, strict=True)
        ]
        assert np.abs(coded(values, quantiles).astype(int) - expected).max() <= 1
    level = np.zeros((len(NAMES), len(KNOTS)), np.float32)  # a functional that never moved
    assert set(coded(np.zeros(len(NAMES), np.float32), level)) <= {int(n) for n in range(256)}


def test_a_set_without_tone_says_so() -> None:
    manifest = load_manifest(models_folder(None), "clean")
    assert manifest.models.get(SPECTRUM) is None
    assert manifest.models.get(PROSODY) is None
    with pytest.raises(ModelError, match=r"'clean' has no tone of voice.*model_set"):
        ToneReader(manifest)
