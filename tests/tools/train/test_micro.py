"""The spotter's training material."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.base.types import MICRO_ACTION_UNITS
from agent.vision.faces.align import MEAN_SHAPE
from agent.vision.micro.outputs import CENTRE, KINDS, LOOK_AHEAD, OUTPUTS, UNITS, decode
from agent.vision.micro.stream import INPUTS, STEP
from tools.micro.injection import UPPER
from tools.train.micro import real
from tools.train.micro.augmentation import disturbed, mirrored, mixed
from tools.train.micro.generators.sparse import Course, make
from tools.train.micro.samples import Material, as_tracked, red_noise, sample

COURSE = Course(fps=30, noise=0.001, events=3, distractors=0.5, drop=0.02, seconds=20)


@pytest.fixture(scope="module")
def material() -> Material:
    return make(np.random.default_rng(3), COURSE)


def test_a_made_track_is_whole_and_repeatable(material: Material) -> None:
    again = make(np.random.default_rng(3), COURSE)
    np.testing.assert_array_equal(again.landmarks, material.landmarks)
    assert (np.diff(material.timestamps) >= 0).all()
    assert material.landmarks.dtype == np.float32
    assert np.isfinite(material.landmarks).all()
    assert len(material.micro) == 3
    assert set(material.kinds) == set(KINDS)
    # Eyes above the mouth, the image's left eye on the left.
    middle = np.median(material.landmarks, axis=0)
    assert middle[36, 0] < middle[45, 0]
    assert middle[36:48, 1].mean() < middle[48:, 1].mean()


def test_truth_lies_where_the_network_speaks_of_it(material: Material) -> None:
    one = sample(material)
    assert one.inputs.shape == (len(one.heat), INPUTS)
    assert np.isfinite(one.inputs).all()
    start = material.timestamps[0] + STEP / 2
    for event in material.micro:
        centre = (event.onset + event.offset) / 2
        row = round((centre - start) / STEP) + LOOK_AHEAD
        peak = row - 2 + int(one.heat[row - 2 : row + 3].argmax())
        assert one.heat[peak] == one.near[peak] == 1.0
        outputs = np.zeros(OUTPUTS, np.float32)
        outputs[CENTRE : UNITS.start] = one.shape[peak]
        decoded = decode(start + peak * STEP, outputs)
        injected = (event.onset, event.apex, event.offset, event.amplitude)
        assert decoded == pytest.approx(injected, abs=1e-4)
        named = {unit for unit, on in zip(MICRO_ACTION_UNITS, one.units[peak], strict=True) if on}
        assert named == set(event.units)
    assert (one.kinds[:, KINDS.index("blink")].sum() > 0) == bool(material.kinds["blink"])


def test_noise_and_blinks_change_what_they_say(material: Material) -> None:
    iod = float(np.linalg.norm(material.landmarks[0, 45] - material.landmarks[0, 36]))
    noisy = red_noise(np.random.default_rng(1), material, 0.004)
    change = (noisy.landmarks - material.landmarks) / iod
    assert change.std() == pytest.approx(0.004, rel=0.1)
    assert np.abs(np.diff(change, axis=0)).mean() < 0.5 * np.abs(change).mean()
    blinked = as_tracked(np.random.default_rng(1), material)
    moved = np.abs(blinked.landmarks - material.landmarks).max(axis=(1, 2)) > 0
    inside = np.zeros(len(moved), bool)
    for start, end in material.kinds["blink"]:
        inside |= (material.timestamps > start) & (material.timestamps < end)
    assert (moved <= inside).all()
    assert moved.any()


def test_a_mirror_twice_is_none_and_disturbances_leave_the_rest(material: Material) -> None:
    inputs = sample(material).inputs
    np.testing.assert_array_equal(mirrored(mirrored(inputs)), inputs)
    assert np.abs(mirrored(inputs) - inputs).max() > 0.1
    other = disturbed(np.random.default_rng(2), inputs)
    np.testing.assert_array_equal(other[:, 21:], inputs[:, 21:])
    assert np.isfinite(other).all()
    assert np.abs(other - inputs).max() > 0.1


def test_mixing_turns_a_movement_within_its_region_alone(material: Material) -> None:
    inputs = sample(material).inputs
    brows = inputs.copy()
    brows[:, 8:21] = 0.0
    rng = np.random.default_rng(5)
    found = [mixed(rng, brows) for _ in range(20)]
    for other in found:
        np.testing.assert_array_equal(other[:, 21:], brows[:, 21:])
        assert np.isfinite(other).all()
    # a lost channel holds noise wherever it is; every other row is silent where the brows are not
    silent = [np.abs(other[:, 8:21]).max() == 0.0 for other in found]
    assert sum(silent) >= 14
    assert np.abs(found[0][:, :8] - brows[:, :8]).max() > 0.1


def _bare(material: Material) -> Material:
    kinds = {"speech": real.talking(material.timestamps, material.landmarks)}
    return Material(material.timestamps, material.landmarks, material.confidence, [], kinds)


def _written(folder: Path, name: str, track: Material) -> None:
    kept = ("timestamps", "landmarks", "confidence")
    np.savez(folder / f"{name}-still.npz", **{key: getattr(track, key) for key in kept})


def test_movements_are_injected_into_a_real_face(material: Material) -> None:
    bare = _bare(material)
    injected = real.inject(np.random.default_rng(4), bare)
    assert injected.micro
    apart = np.abs(injected.landmarks - bare.landmarks).max(axis=(1, 2))
    times = injected.timestamps
    event = injected.micro[0]
    iod = float(np.linalg.norm(bare.landmarks[0, 45] - bare.landmarks[0, 36]))
    at = int(np.abs(times - event.apex).argmin())
    assert apart[at] > 0.3 * event.amplitude * iod
    before = (times < event.onset - 0.25) & (times > event.onset - 0.4)
    assert apart[before].max(initial=0.0) < 0.2 * event.amplitude * iod


def test_only_brows_and_lids_are_moved_while_the_mouth_talks(material: Material) -> None:
    talking = Material(
        material.timestamps, material.landmarks, material.confidence, [], {"speech": [(0.0, 99.0)]}
    )
    injected = real.inject(np.random.default_rng(4), talking)
    assert injected.micro
    assert all(UPPER.issuperset(event.units) for event in injected.micro)


def test_lips_that_open_and_close_are_talk_and_resting_ones_are_not() -> None:
    times = np.arange(240) / 30.0
    face = np.repeat(MEAN_SHAPE[None] * 100.0, 240, axis=0).astype(np.float32)
    assert real.talking(times, face) == []
    moving = (times > 3.0) & (times < 5.0)
    face[moving, 66, 1] += 8.0 * np.sin(2 * np.pi * 3.0 * times[moving])
    (span,) = real.talking(times, face)
    assert span[0] == pytest.approx(3.0, abs=0.9)
    assert span[1] == pytest.approx(5.0, abs=0.9)


@pytest.mark.slow
def test_real_tracks_become_samples_with_and_without_movements(
    tmp_path: Path, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real, "_ANATOMIES", real._ANATOMIES[1:])  # no data pack here
    _written(tmp_path, "someone", _bare(material))
    samples = list(real.injected([tmp_path], 1))
    assert len(samples) == real.COPIES
    speech = KINDS.index("speech")
    assert np.isfinite(samples[0].kinds[:, speech]).all()
    assert np.isnan(np.delete(samples[0].kinds, speech, axis=1)).all()
    moved = [one.heat.max() == 1.0 for one in samples]
    assert moved == [copy >= real.COPIES // 3 for copy in range(real.COPIES)]
    with pytest.raises(SystemExit, match="still"):
        list(real.injected([tmp_path / "nowhere"], 1))


def test_measured_noise_is_what_a_similarity_leaves(tmp_path: Path, material: Material) -> None:
    rng = np.random.default_rng(2)
    count = 200
    grow = 1.0 + 0.1 * np.sin(np.arange(count) / 9.0)
    still = 80.0 * grow[:, None, None] * MEAN_SHAPE + rng.normal(0.0, 0.4, (count, 68, 2))
    track = Material(
        np.arange(count) / 30.0, still.astype(np.float32), np.ones(count, np.float32), [], {}
    )
    _written(tmp_path, "photograph", track)
    bank = real.noise_bank(tmp_path)
    assert bank[0].shape == (count, 68, 2)
    assert bank[0].std() == pytest.approx(0.4 / 80.0, rel=0.15)
    noisy = real.with_noise(rng, material, bank)
    assert noisy.landmarks.shape == material.landmarks.shape
    iod = float(
        np.median(np.linalg.norm(material.landmarks[:, 45] - material.landmarks[:, 36], axis=1))
    )
    change = float((noisy.landmarks - material.landmarks).std()) / iod
    assert 0.2 * 0.005 < change < 2.0 * 0.005
