"""A stream of sound to stretches of speech."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from agent.base.assets import CLIP, CLIP_SCRIPT
from agent.base.types import SOUND_RATE, Float, Sound
from agent.inference.manifest import Manifest, load_manifest, models_folder
from agent.perceive.capture.sound_file import SoundFile
from agent.voice.level import Fault
from agent.voice.listener import Listener, Stretch


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load_manifest(models_folder(None))


@cache
def talk() -> Float:
    """What the clip's third visitor says."""
    planted = json.loads(CLIP_SCRIPT.read_text())["speech"]
    (part,) = (each for each in planted if each["tone"] == "neutral")
    sound = np.concatenate([each.samples for each in SoundFile(CLIP).until(100.0)])
    return sound[round(part["start"] * SOUND_RATE) : round(part["end"] * SOUND_RATE)]


def scene(*parts: tuple[float, bool]) -> Float:
    """Seconds of a voice, or of a quiet room, one after the other."""
    rng = np.random.default_rng(3)
    joined = [
        np.resize(talk(), round(seconds * SOUND_RATE))
        if speaks
        else np.zeros(round(seconds * SOUND_RATE), np.float32)
        for seconds, speaks in parts
    ]
    sound = np.concatenate(joined)
    return np.asarray(sound + rng.normal(0, 3e-4, len(sound)), np.float32)


def hear(listener: Listener, sound: Float, chunk: int = 1600, start: float = 0.0) -> list[Stretch]:
    found = []
    for at in range(0, len(sound), chunk):
        found += listener(Sound(start + at / SOUND_RATE, sound[at : at + chunk]))
    return found + listener.finish()


def test_speech_is_cut_at_pauses_and_after_three_seconds(manifest: Manifest) -> None:
    sound = scene((1.0, False), (2.0, True), (1.5, False), (7.0, True), (1.0, False))
    found = hear(Listener(manifest), sound)
    assert found[0].start == pytest.approx(1.0, abs=0.2)
    assert found[0].end == pytest.approx(3.0, abs=0.4)
    later = found[1:]
    assert later[0].start == pytest.approx(4.5, abs=0.2)
    assert later[-1].end == pytest.approx(11.5, abs=0.4)
    assert len(later) == 3
    for one in found:
        assert 0 < one.seconds <= one.end - one.start + 1e-6 <= 3.0 + 1e-6
        assert one.tone is not None
        assert one.tone.probabilities.sum() == pytest.approx(1.0, abs=1e-4)
    for one, two in pairwise(found):
        assert one.end <= two.start + 1e-6


@pytest.mark.parametrize("chunk", [160, 1000, 1600, 20_000])
def test_the_size_of_the_chunks_hardly_matters(manifest: Manifest, chunk: int) -> None:
    sound = scene((0.5, False), (2.5, True), (1.0, False))
    (expected,) = hear(Listener(manifest), sound)
    (found,) = hear(Listener(manifest), sound, chunk)
    assert found.start == pytest.approx(expected.start, abs=0.17)
    assert found.end == pytest.approx(expected.end, abs=0.17)


def test_a_silent_room_says_nothing_and_zeros_are_named(manifest: Manifest) -> None:
    listener = Listener(manifest)
    assert hear(listener, scene((3.0, False))) == []
    assert listener(Sound(0.0, np.zeros(1600, np.float32))) == []
    assert listener.faults == {Fault.SILENT}
    assert listener.speech < 0.5


def test_numbers_that_are_none_are_named_and_harm_nothing(manifest: Manifest) -> None:
    listener = Listener(manifest)
    broken = np.full(16_000, np.nan, np.float32)
    broken[::2] = np.inf
    listener(Sound(0.0, broken))
    assert Fault.NOT_A_NUMBER in listener.faults
    sound = scene((2.0, False), (2.0, True), (1.0, False))
    found = hear(listener, sound, start=1.0)
    assert [each for each in found if each.start > 2.0]
    assert all(each.tone is None or np.isfinite(each.tone.probabilities).all() for each in found)


def test_missing_sound_ends_a_stretch_where_it_was(manifest: Manifest) -> None:
    listener = Listener(manifest)
    sound = scene((0.5, False), (2.0, True))
    before = []
    for at in range(0, len(sound), 1600):
        before += listener(Sound(at / SOUND_RATE, sound[at : at + 1600]))
    after = listener(Sound(60.0, scene((0.1, False))))
    (only,) = before + after
    assert only.end <= 2.5 + 1e-6


def test_memory_does_not_grow_with_time(manifest: Manifest) -> None:
    listener = Listener(manifest)
    for second in range(60):
        listener(Sound(float(second), scene((1.0, second % 20 < 15))))
    held = sum(map(len, listener._spoken))
    assert held <= 300
    assert len(listener._tail) <= 640


def test_it_forgets(manifest: Manifest) -> None:
    listener = Listener(manifest)
    listener(Sound(0.0, scene((1.0, True))))
    listener.forget()
    assert listener.speech == 0.0
    assert listener.finish() == []
