"""The tone's figures and calibration, on made-up readings and logits."""

from __future__ import annotations

import numpy as np
import pytest

from agent.base.types import TONES, UNSURE
from agent.inference.manifest import load_manifest, models_folder
from agent.voice.listener import Listener
from agent.voice.tone import ToneReading, joint
from tests.tools.train.test_voice_material import utterance
from tests.voice.test_listener import scene
from tools.eval.voice import calibrate, evaluate, tables
from tools.eval.voice.figures import Truth, calibration_error, figures_of
from tools.eval.voice.read import heard, read


def reading(tone: int, sure: float, arousal: float) -> ToneReading:
    shares = np.full(4, (1 - sure) / 3, np.float32)
    shares[tone] = sure
    return ToneReading(shares, TONES[tone] if sure > 0.5 else UNSURE, arousal, 0.0, 100)


def test_recalls_count_each_class_alike() -> None:
    found = [utterance(e) for e in ("angry", "angry", "angry", "sad", "disgust", "calm")]
    read_as = [(2, 0.9), (2, 0.6), (1, 0.4), (3, 0.7), (2, 0.9), (0, 0.9)]
    readings = [
        reading(tone, sure, arousal)
        for (tone, sure), arousal in zip(read_as, (0.5, 0.5, -0.1, -0.5, 0.9, 0.2), strict=True)
    ]
    figures = figures_of(Truth(found), readings)
    assert figures["tone"]["value"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-3)
    # high: angry 2 of 3; low: sad right, calm wrong
    assert figures["arousal"]["value"] == pytest.approx((2 / 3 + 1 / 2) / 2, abs=1e-3)
    assert figures["arousal_with_disgust"]["value"] == pytest.approx((3 / 4 + 1 / 2) / 2, abs=1e-3)
    assert figures["answered"]["value"] == pytest.approx(3 / 4)
    assert figures["right_of_answered"]["value"] == pytest.approx(1.0)
    assert figures["tone"]["low"] <= figures["tone"]["value"] <= figures["tone"]["high"]


def test_no_reading_counts_as_unsure_and_low() -> None:
    figures = figures_of(Truth([utterance("angry"), utterance("sad")]), [None, None])
    assert figures["answered"]["value"] == 0.0
    assert figures["arousal"]["value"] == pytest.approx(0.5)


def test_calibration_error_is_the_gap_by_bin() -> None:
    sure = np.array([0.85, 0.85, 0.35, 0.35])
    assert calibration_error(sure, np.array([True, True, False, False])) == pytest.approx(0.25)
    assert calibration_error(np.full(20, 0.75), np.arange(20) < 15) == pytest.approx(0.0, abs=1e-6)


def test_the_better_network_gets_the_larger_part() -> None:
    rng = np.random.default_rng(0)
    tone = rng.integers(0, 4, 400)
    high = np.isin(tone, (1, 2)).astype(np.int64)
    logits = rng.normal(size=(2, 400, 6)).astype(np.float32)
    logits[1, np.arange(400), tone] += 2.0
    logits[1, :, 4] += 2.0 * (2 * high - 1)
    weights = calibrate.fit(logits, tone, high, (2.0 * high - 1) * 0.5, np.ones(400))
    assert weights.shape == (2, 3)
    assert (weights[1, :2] > weights[0, :2]).all()
    right = joint(logits, weights)[:, :4].argmax(1) == tone
    confidence = calibrate.shares(joint(logits, weights)[:, :4]).max(1)
    assert calibration_error(confidence, right) < 0.06


def test_classes_are_balanced() -> None:
    found = calibrate.balanced(np.array([0, 0, 0, 1]), np.ones(4))
    np.testing.assert_allclose(found, [1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_the_threshold_leaves_the_share_of_right_answers() -> None:
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.25, 1.0, 2000)
    right = rng.random(2000) < sure
    shares = np.zeros((2000, 4))
    shares[:, 0], shares[:, 1] = sure, 1 - sure
    shares[sure < 0.5, 1:] = (1 - sure[sure < 0.5, None]) / 3
    tone = np.where(right, shares.argmax(1), 3)
    edge = calibrate.threshold(shares, tone)
    kept = shares.max(1) >= edge
    assert (shares.argmax(1) == tone)[kept].mean() >= calibrate.KEPT_RIGHT
    below = shares.max(1) >= edge - 0.05
    assert (shares.argmax(1) == tone)[below].mean() < calibrate.KEPT_RIGHT + 0.02


@pytest.mark.slow
def test_recordings_are_read_as_they_are_and_changed() -> None:
    reader = Listener(load_manifest(models_folder(None)))
    said = scene((0.5, False), (2.0, True), (0.5, False))
    found = [utterance("angry", samples=said), utterance("sad", samples=said)]
    plain = read(reader, found, "plain")
    assert all(each is not None for each in plain)
    one, two = (
        read(reader, found[:1], "noisy", lambda rng, sound: evaluate.noisy(rng, sound, 0.0))
        for _ in range(2)
    )
    assert one[0] is not None
    assert two[0] is not None
    np.testing.assert_array_equal(one[0].probabilities, two[0].probabilities)
    assert plain[0] is not None
    assert np.abs(one[0].probabilities - plain[0].probabilities).max() > 1e-3
    frames, spoken = heard(found[0].samples)
    assert len(frames) == len(spoken)


def test_the_tables_name_every_corpus_and_peer() -> None:
    found = [utterance("angry"), utterance("sad")]
    figures = figures_of(Truth(found), [reading(2, 0.9, 0.5), reading(3, 0.9, -0.5)])
    text = tables.section(
        {
            "corpora": {"ravdess": figures},
            "sex": {"ravdess, women": figures},
            "speakers": {"ravdess_17": figures},
            "noise": {"5 dB": figures},
            "rooms": {"0.4 s, far": figures},
            "microphones": {"adapting": figures},
            "peers": {"SVM on our functionals": {"emodb": figures}},
            "across": [("SVM on our functionals", "ravdess", "emodb", figures)],
        }
    )
    for word in ("RAVDESS", "EmoDB", "ravdess_17", "5 dB", "0.4 s, far", "SVM", "| 1.000 ("):
        assert word in text
