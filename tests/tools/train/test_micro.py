"""The spotter's training material."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.base.types import MICRO_ACTION_UNITS
from agent.vision.micro.outputs import CENTRE, KINDS, LOOK_AHEAD, OUTPUTS, UNITS, decode
from agent.vision.micro.stream import INPUTS, STEP
from tools.train.micro import material as micro_material
from tools.train.micro.augmentation import disturbed, mirrored
from tools.train.micro.samples import Material, as_tracked, red_noise, sample
from tools.train.micro.second_generator import Course, make

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


def test_movements_are_injected_into_a_real_face(tmp_path: Path, material: Material) -> None:
    bare = Material(material.timestamps, material.landmarks, material.confidence, [], {})
    injected = micro_material.inject(np.random.default_rng(4), bare)
    assert injected.micro
    apart = np.abs(injected.landmarks - bare.landmarks).max(axis=(1, 2))
    times = injected.timestamps
    event = injected.micro[0]
    iod = float(np.linalg.norm(bare.landmarks[0, 45] - bare.landmarks[0, 36]))
    at = int(np.abs(times - event.apex).argmin())
    assert apart[at] > 0.3 * event.amplitude * iod
    before = (times < event.onset) & (times > event.onset - 0.3)
    assert apart[before].max(initial=0.0) < 0.2 * event.amplitude * iod
    kept = ("timestamps", "landmarks", "confidence")
    np.savez(tmp_path / "someone-still.npz", **{name: getattr(bare, name) for name in kept})
    samples = list(micro_material.injected(tmp_path, 1))
    assert len(samples) == micro_material.BACKGROUND_COPIES
    assert np.isnan(samples[0].kinds).all()
    assert samples[0].heat.max() == 0.0
    assert all(one.heat.max() == 1.0 for one in samples[1:])
    with pytest.raises(SystemExit, match="still"):
        list(micro_material.injected(tmp_path / "nowhere", 1))
