"""Rooms, noises and stretches that the tone learns from, on made-up speech."""

from __future__ import annotations

import numpy as np
import pytest

from agent.base.types import TONES, Float
from agent.voice.logmel import ROWS
from agent.voice.sound import HOP, RATE
from tests.voice.test_frames import voice
from tools.train.voice import room
from tools.train.voice.corpora import EMOTIONS, Utterance, held_back
from tools.train.voice.material import cut, faster, levels, loosely, made, spoken_of


def utterance(
    emotion: str = "angry", corpus: str = "emodb", speaker: str = "emodb_03", valid: bool = False,
    samples: Float | None = None,
) -> Utterance:  # fmt: skip
    tone = emotion if emotion in TONES else ""
    sound = np.concatenate([np.zeros(RATE // 2), voice(140.0), np.zeros(RATE // 2)])
    return Utterance(
        corpus, speaker, "m", emotion, tone, False, valid,
        sound.astype(np.float32) if samples is None else samples,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [*room._KINDS, "babble"])
def test_every_noise_has_unit_power_and_differs(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Chosen:
        """A generator whose first choice, of the kind, is made."""

        def __init__(self, seed: int) -> None:
            self._rng = np.random.default_rng(seed)
            self._first = True

        def __getattr__(self, name: str) -> object:
            if name == "choice" and self._first:
                self._first = False
                return lambda _: kind
            return getattr(self._rng, name)

    one, two = (room.noise(Chosen(seed), 8000, [voice(100.0)]) for seed in (1, 2))  # type: ignore[arg-type]
    assert one.dtype == np.float32
    assert one.shape == (8000,)
    assert np.sqrt(np.square(one).mean()) == pytest.approx(1.0, abs=0.1)
    assert np.abs(np.corrcoef(one, two)[0, 1]) < 0.9


def test_noise_is_mixed_at_the_ratio_that_was_asked_for() -> None:
    speech, noise = voice(140.0), room.noise(np.random.default_rng(3), RATE)
    added = room.mixed(speech, noise, 10.0) - speech
    size = np.abs(speech)
    active = size > 0.05 * np.percentile(size, 99)
    ratio = np.square(speech[active]).mean() / np.square(added).mean()
    assert 10 * np.log10(ratio) == pytest.approx(10.0, abs=0.1)


def test_a_room_adds_a_tail_that_falls() -> None:
    click = np.zeros(RATE, np.float32)
    click[100] = 1.0
    wet = room.reverberated(np.random.default_rng(4), click, 0.5)
    assert wet.shape == click.shape
    assert np.abs(wet[:100]).max() < 1e-5
    early, late = np.square(wet[500:2500]).sum(), np.square(wet[6500:8500]).sum()
    assert 10 * np.log10(early / late) == pytest.approx(60 * 6000 / RATE / 0.5, abs=12)


def test_speed_changes_length_and_pitch() -> None:
    time = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 400 * time).astype(np.float32)
    quick = faster(tone, 1.25)
    assert len(quick) == round(RATE / 1.25)
    peak = np.abs(np.fft.rfft(quick)).argmax() * RATE / len(quick)
    assert peak == pytest.approx(500, abs=2)
    assert np.abs(quick).max() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_speech_is_found_at_any_gain(gain: float) -> None:
    sound = utterance().samples * np.float32(gain)
    spoken = spoken_of(levels(sound))
    assert not spoken[:40].any()
    assert spoken[60:130].all()
    assert not spoken_of(levels(np.zeros(10, np.float32))).any()
    rng = np.random.default_rng(5)
    shares = [loosely(rng, levels(sound)).mean() for _ in range(20)]
    assert min(shares) > 0.3
    assert max(shares) < 0.9
    assert len(set(shares)) > 5


def test_a_stretch_is_where_most_is_spoken() -> None:
    spoken = np.zeros(900, bool)
    spoken[400:600] = True
    assert cut(None, spoken).stop - cut(None, spoken).start == ROWS
    assert spoken[cut(None, spoken)].sum() == 200
    rng = np.random.default_rng(6)
    places = {cut(rng, spoken).start for _ in range(20)}
    assert len(places) > 5
    assert all(spoken[start : start + ROWS].sum() >= 150 for start in places)


@pytest.mark.slow
def test_material_has_a_clean_copy_and_disturbed_ones() -> None:
    found = [utterance("angry"), utterance("disgust"), utterance("calm")]
    material = made(found, {"emodb": 2}, 0)
    assert material.copy.tolist() == [0, 1, 2] * 3
    assert material.source.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert material.high.tolist() == [1] * 3 + [-1] * 3 + [0] * 3
    assert material.tone.tolist() == [TONES.index("angry")] * 3 + [-1] * 6
    assert material.emotion[0] == EMOTIONS.index("angry")
    assert np.isfinite(material.values).all()
    assert (material.pictures[0] == material.pictures[3]).all()  # the same sound, undisturbed
    assert not (material.pictures[1] == material.pictures[4]).all()
    again = made(found, {"emodb": 2}, 0)
    np.testing.assert_array_equal(material.values, again.values)


def test_too_little_speech_makes_no_row() -> None:
    short = np.concatenate([np.zeros(RATE), voice(140.0)[: 20 * HOP], np.zeros(RATE)])
    found = [utterance(samples=short.astype(np.float32)), utterance()]
    assert made(found, {"emodb": 0}, 0).source.tolist() == [1]


def test_nobody_of_the_valid_part_is_held_back() -> None:
    found = [
        utterance(corpus=corpus, speaker=f"{corpus}_{k:02}", valid=k % 4 == 3)
        for corpus, count in (("ravdess", 20), ("emodb", 8), ("ased", 24))
        for k in range(count)
    ]
    held = held_back(found)
    assert len(held) == 4 + 2 + 3
    assert not {one.speaker for one in found if one.valid} & held
