"""The tone's networks, what they are asked, and how they are merged for shipping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.tools.train.test_voice_material import utterance  # noqa: E402
from tools.train.voice.corpora import CORPORA, EMOTIONS  # noqa: E402
from tools.train.voice.material import Material  # noqa: E402
from tools.train.voice.net import (  # noqa: E402
    ANSWERS,
    DEVIATE,
    SHIPPED,
    Merged,
    Prosody,
    ShippedSpectrum,
    Spectrum,
)
from tools.train.voice.samples import Drawn, Labels, loss, varied  # noqa: E402


def material(corpus: np.ndarray, emotion: np.ndarray) -> Material:
    rng = np.random.default_rng(0)
    count = len(corpus)
    return Material(
        rng.integers(0, 256, (count, 300, 26)).astype(np.uint8),
        rng.normal(size=(count, 82)).astype(np.float32),
        emotion,
        np.where(emotion == EMOTIONS.index("angry"), 2, -1),
        np.where(emotion == EMOTIONS.index("angry"), 1, -1),
        np.zeros(count, np.float32),
        np.arange(count),
        np.zeros(count, np.int64),
    )


def test_merged_perceptrons_answer_as_their_mean() -> None:
    torch.manual_seed(0)
    net = Prosody(3, 8).eval()
    coded = torch.rand(5, 82)
    with torch.no_grad():
        apart = net(((2 * coded - 1) * DEVIATE)[None]).mean(0)
        tone, circumplex = Merged(net)(coded[:, None, None])
    np.testing.assert_allclose(torch.cat([tone, circumplex], 1), apart[:, :SHIPPED], atol=1e-4)


def test_the_shipped_spectrum_answers_as_the_trained_one() -> None:
    torch.manual_seed(0)
    net = Spectrum().eval()
    pictures = torch.rand(2, 1, 300, 26)
    with torch.no_grad():
        whole, (tone, circumplex) = net(pictures), ShippedSpectrum(net)(pictures)
    assert whole.shape == (2, ANSWERS)
    np.testing.assert_allclose(torch.cat([tone, circumplex], 1), whole[:, :SHIPPED], atol=1e-5)


def test_corpora_and_emotions_are_drawn_by_their_shares() -> None:
    corpus = np.array([0] * 50 + [1] * 10 + [2] * 200)
    emotion = np.array([0] * 45 + [4] * 5 + [0] * 10 + [3] * 200)
    rows = np.ones(260, bool)
    rows[0] = False
    shares = {"ravdess": 0.6, "emodb": 0.3, "ased": 0.1}
    drawn = Drawn(material(corpus, emotion), corpus, rows, shares)
    found = drawn(np.random.default_rng(0), 20000)
    assert 0 not in found
    np.testing.assert_allclose(np.bincount(corpus[found]) / 20000, [0.6, 0.3, 0.1], atol=0.02)
    assert (emotion[found] == 4).mean() == pytest.approx(0.3, abs=0.02)


def test_only_what_is_known_is_asked() -> None:
    corpus, emotion = np.array([0, 0, 2]), np.array([4, 6, 3])  # angry, disgust, sad
    labels = Labels.of(material(corpus, emotion), corpus)
    index = torch.arange(3)
    asked = labels.mixed(index, index, torch.ones(3))
    answers = torch.zeros(3, ANSWERS, requires_grad=True)
    loss(answers, asked, labels.possible()).backward()
    found = answers.grad.numpy()
    assert np.abs(found[0, :5]).min() > 0
    assert not found[1, :5].any()  # disgust is none of the tones, and neither high nor low
    assert not found[0, SHIPPED + 9 :].any()  # another corpus's emotions
    own = found[0, SHIPPED : SHIPPED + 9]
    assert np.abs(own[[4, 6]]).min() > 0.1
    assert np.abs(np.delete(own, [4, 6])).max() < 1e-6  # emotions that this corpus lacks


def test_labels_are_mixed_by_share() -> None:
    corpus, emotion = np.array([0, 0]), np.array([4, 6])
    labels = Labels.of(material(corpus, emotion), corpus)
    found = labels.mixed(torch.tensor([0]), torch.tensor([1]), torch.tensor([0.75]))
    np.testing.assert_allclose(found.emotion[0, [4, 6]], [0.75, 0.25])
    np.testing.assert_allclose(found.tone[0].sum(), 0.75)
    np.testing.assert_allclose(found.known, [0.75 * labels.known[0]])
    np.testing.assert_allclose(found.high, [1.0])


def test_high_and_low_arousal_count_alike() -> None:
    corpus, emotion = np.zeros(60, np.int64), np.repeat([2, 4, 3], 20)  # happy, angry, sad
    made = replace(material(corpus, emotion), high=np.repeat([1, 1, 0], 20))
    known = Labels.of(made, corpus).known.numpy()
    assert known[:40].sum() == pytest.approx(known[40:].sum())
    assert known.mean() == pytest.approx(1.0)


def test_pictures_are_varied_within_range() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (4, 300, 26)).astype(np.uint8)
    one, two = (varied(np.random.default_rng(seed), pictures) for seed in (1, 2))
    assert one.dtype == np.float32
    assert one.min() >= 0
    assert one.max() <= 1
    assert np.abs(one - two).mean() > 0.01
    black = varied(np.random.default_rng(1), np.zeros_like(pictures))
    assert not black.any()


def test_strong_acting_lies_further_out() -> None:
    calm = utterance("calm")
    assert replace(calm, strong=True).arousal < calm.arousal < 0
    assert CORPORA.index(calm.corpus) == 1
