from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.base.types import Float, Grey
from agent.inference.manifest import SETS, Manifest, load_manifest
from agent.voice import activity as module
from agent.voice.activity import COLUMNS, ROWS, STEP, Activity, Contrast, hysteresis
from agent.voice.frames import Frames, measure
from agent.voice.sound import RATE
from tools.common.files import MODELS


def cut(frames: Frames, start: int, stop: int) -> Frames:
    return Frames(*(getattr(frames, field.name)[start:stop] for field in fields(frames)))


def noise(seconds: float, level: float, seed: int = 0) -> Float:
    """White, at this root mean square."""
    rng = np.random.default_rng(seed)
    return (level * rng.normal(size=round(seconds * RATE))).astype(np.float32)


def talk(seconds: float, seed: int = 0) -> Float:
    """Syllables of a formant synthesiser: a buzz of moving pitch through two resonances that move
    from vowel to vowel, with a hiss before some."""
    rng = np.random.default_rng(seed)
    out = np.zeros(round(seconds * RATE))
    vowels = ((730, 1090), (270, 2290), (300, 870), (530, 1840), (570, 840), (660, 1720))
    at, voice = 0, rng.uniform(100, 200)
    while at < len(out) - RATE // 2:
        count = round(rng.uniform(0.12, 0.25) * RATE)
        time = np.arange(count) / RATE
        phase = np.cumsum(voice * (1.15 - 0.3 * time / time[-1])) / RATE
        first, second = vowels[rng.integers(len(vowels))], vowels[rng.integers(len(vowels))]
        part = np.zeros(count)
        for h in range(1, 35):
            gain = np.zeros(count)
            for f in range(2):
                centre = np.linspace(first[f], second[f], count)
                gain = gain + 1.0 / (1.0 + ((h * voice - centre) / 70) ** 2)
            part += (gain + 0.003) * np.sin(2 * np.pi * h * phase)
        part *= np.sin(np.pi * np.arange(count) / count) ** 0.5
        hiss = np.diff(rng.normal(size=round(0.07 * RATE))) * 0.3
        if rng.random() < 0.4:
            out[at : at + len(hiss)] += hiss
            at += len(hiss)
        out[at : at + count] += part[: len(out) - at]
        at += count + round(rng.exponential(0.03) * RATE)
    return (0.05 * out / out.std()).astype(np.float32)


def without(manifest: Manifest) -> Manifest:
    models = {name: each for name, each in manifest.models.items() if name != "activity"}
    return replace(manifest, models=models)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load_manifest(MODELS)


@pytest.fixture
def counted(manifest: Manifest) -> tuple[Activity, list[Grey]]:
    """With a network that notes what it is shown, and says speech where the newest row is light."""
    shown: list[Grey] = []

    def infer(picture: Grey) -> dict[str, Float]:
        shown.append(picture.copy())
        newest = picture[-STEP:].mean(1, dtype=np.float32)
        return {"speech": ((newest - 128) / 10)[None]}

    made = Activity(without(manifest))
    made._infer = infer
    return made, shown


@pytest.mark.parametrize("which", SETS)
def test_talk_is_told_from_noise_by_the_shipped_networks(which: str) -> None:
    found = Activity(load_manifest(MODELS, which))
    sound = noise(12.0, 0.003)
    sound[4 * RATE : 8 * RATE] += talk(4.0)
    told = np.concatenate(
        [found(cut(measure(sound), at, at + 10)) for at in range(0, len(measure(sound)), 10)]
    )
    assert told.dtype == np.float32
    assert np.median(told[420:740]) > 0.7
    assert np.median(told[100:390]) < 0.2
    assert np.median(told[860:]) < 0.2
    said = found.spoken(told)
    assert said[420:740].mean() > 0.7
    assert said[100:390].mean() < 0.1


def test_the_level_of_the_microphone_hardly_matters(manifest: Manifest) -> None:
    sound = noise(6.0, 0.003)
    sound[2 * RATE : 5 * RATE] += talk(3.0)
    found = Activity(manifest)
    loud = found(measure(sound))
    found.reset()
    quiet = found(measure(sound / np.float32(5)))
    assert np.abs(loud - quiet).mean() < 0.05


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=8))
def test_every_frame_is_answered_however_they_come(sizes: list[int]) -> None:
    frames = measure(noise(5.0, 0.01) * np.linspace(0, 1, 5 * RATE, dtype=np.float32))
    found = Activity(load_manifest(MODELS))
    at = 0
    for size in sizes:
        part = cut(frames, at, at + size)
        told = found(part)
        assert told.shape == (len(part),)
        assert ((told >= 0) & (told <= 1)).all()
        at += size


def test_the_network_sees_the_latest_rows(counted: tuple[Activity, list[Grey]]) -> None:
    found, shown = counted
    sound = (
        noise(3.0, 0.001) + np.float32(0.05) * np.repeat(noise(0.03, 1.0), 100)[: 3 * RATE]
    )  # stands out again and again
    frames = measure(sound)
    rows, _ = Contrast()(frames.bands)
    told = [found(cut(frames, at, at + 40)) for at in range(0, len(frames), 40)]
    assert all(picture.shape == (ROWS, COLUMNS) for picture in shown)
    np.testing.assert_array_equal(shown[-1][-ROWS:], rows[-ROWS:])
    newest = (rows.mean(1, dtype=np.float32) - 128) / 10
    open_frames = np.concatenate(told) > 0
    np.testing.assert_allclose(
        np.concatenate(told)[open_frames], 1 / (1 + np.exp(-newest))[open_frames], rtol=1e-4
    )


def test_nothing_is_asked_in_silence_and_in_steady_noise(
    counted: tuple[Activity, list[Grey]],
) -> None:
    found, shown = counted
    assert not found(measure(np.zeros(3 * RATE, np.float32))).any()
    assert not shown
    found.reset()
    told = found(measure(noise(20.0, 0.01)))
    assert len(shown) < 0.6 * len(told) / STEP
    before = len(shown)
    found(measure(talk(2.0)))
    assert len(shown) - before >= 2.0 * 100 / STEP - 2


def test_after_a_reset_the_stream_is_another_one(manifest: Manifest) -> None:
    found = Activity(manifest)
    frames = measure(noise(1.0, 0.001) + talk(1.0))
    first = found(frames)
    found(measure(noise(4.0, 0.3)))
    found.reset()
    np.testing.assert_array_equal(found(frames), first)


def test_without_a_network_standing_out_counts(manifest: Manifest) -> None:
    found = Activity(without(manifest))
    sound = noise(9.0, 0.003)
    sound[3 * RATE : 6 * RATE] += talk(3.0)
    told = found(measure(sound))
    assert told[100:280].max() < 0.3
    assert np.median(told[320:580]) > 0.6


def test_contrast_knows_no_future() -> None:
    bands = measure(talk(2.0) + noise(2.0, 0.01)).bands
    whole, excess = Contrast()(bands)
    parts = Contrast()
    rows = [parts(bands[:70]), parts(bands[70:71]), parts(bands[71:71]), parts(bands[71:])]
    np.testing.assert_array_equal(np.concatenate([row for row, _ in rows]), whole)
    np.testing.assert_array_equal(np.concatenate([each for _, each in rows]), excess)


def test_hysteresis_goes_on_from_call_to_call(manifest: Manifest) -> None:
    found = Activity(without(manifest))
    found.onset, found.offset = 0.6, 0.4
    told = np.array([0.5, 0.7, 0.5, 0.39, 0.5, 0.6, 0.5], np.float32)
    expected = [False, True, True, False, False, True, True]
    assert found.spoken(told[:2]).tolist() == expected[:2]
    assert found.spoken(told[2:2]).tolist() == []
    assert found.spoken(told[2:]).tolist() == expected[2:]
    assert hysteresis(told, 0.6, 0.4, False).tolist() == expected
    assert hysteresis(told[:1], 0.6, 0.4, True).tolist() == [True]
    found.reset()
    assert found.spoken(told[:1]).tolist() == [False]


def test_name_is_the_manifest_s(manifest: Manifest) -> None:
    entry = manifest.entry(module.NAME)
    assert entry.inputs[0].shape == (1, ROWS, COLUMNS, 1)
    assert entry.outputs[0].shape == (1, STEP)
    assert 0 < float(entry.parameters["offset"]) < float(entry.parameters["onset"]) < 1  # type: ignore[arg-type]
