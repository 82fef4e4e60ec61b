"""Synthetic tracks are what their generator says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.base.types import MICRO_ACTION_UNITS
from agent.vision.faces.align import FLIP
from tools.micro.corruptions import landmark_noise
from tools.micro.generator_config import TEST_SEEDS, TRAIN_SEEDS, TUNE_SEEDS, GeneratorConfig
from tools.micro.movements import MICRO_SETS, Event, Schedule, activate, micro_schedule
from tools.micro.people import COLUMN, FIELDS, LIDS, make_person
from tools.micro.tracks import make

Array = NDArray[np.float64]
STILL = GeneratorConfig(
    head_angle=0.0, head_shift=0.0, tremor=0.0, idle=0.0, drop=0.0, burst_rate=0.0, jitter=0.0
)


def schedules(count: int, config: GeneratorConfig | None = None) -> list[Event]:
    config = config or GeneratorConfig()
    person = make_person(np.random.default_rng(0), config)
    return [
        event
        for seed in range(count)
        for event in micro_schedule(np.random.default_rng(seed), config, person, 60.0, 6).events
    ]


def test_shapes_types_and_finite_values() -> None:
    track = make(7, seconds=20.0, events=2)
    frames = len(track.timestamps)
    assert 540 <= frames <= 600
    assert track.timestamps.dtype == np.float64
    assert track.landmarks.dtype == track.confidence.dtype == np.float32
    assert track.landmarks.shape == (frames, 68, 2)
    assert track.confidence.shape == (frames,)
    assert np.isfinite(track.landmarks).all()
    assert (np.diff(track.timestamps) > 0).all()
    assert ((track.confidence >= 0) & (track.confidence <= 1)).all()
    assert [len(track.micro), track.seconds, track.fps] == [2, 20.0, 30.0]


def test_a_seed_is_a_track() -> None:
    one, two, other = make(3, seconds=10, events=1), make(3, seconds=10, events=1), make(4)
    np.testing.assert_array_equal(one.landmarks, two.landmarks)
    assert one.micro == two.micro != other.micro


def test_noise_changes_nothing_but_the_noise() -> None:
    clean, some, more = (make(11, noise=noise) for noise in (0.0, 0.002, 0.006))
    assert clean.micro == some.micro == more.micro
    assert clean.blinks == more.blinks
    np.testing.assert_array_equal(clean.timestamps, more.timestamps)
    seen = clean.confidence > 0
    first = (some.landmarks - clean.landmarks)[seen] / clean.iod
    second = (more.landmarks - clean.landmarks)[seen] / clean.iod
    assert first.std() == pytest.approx(0.002, rel=0.02)
    assert second.std() == pytest.approx(0.006, rel=0.02)
    np.testing.assert_allclose(second, 3 * first, atol=2e-5)


def test_the_noise_has_the_asked_mix() -> None:
    config = GeneratorConfig()
    person = make_person(np.random.default_rng(0), config)
    noise = landmark_noise(np.random.default_rng(1), config, person, 20_000, 30.0).astype(float)
    assert noise.std() == pytest.approx(1.0, rel=0.02)
    # Only the slow part is correlated in time: .2 exp(-lag / .25 s).
    for lag in (3, 8):
        expected = 0.2 * np.exp(-lag / 30 / 0.25)
        assert (noise[lag:] * noise[:-lag]).mean() == pytest.approx(expected, abs=0.01)
    # Only the spatial part is shared between neighbours.
    near = person.shape[:, :2]
    reach = ((near[61] - near[62]) ** 2).sum() / config.spatial_reach**2
    expected = 0.25 * np.exp(-0.5 * reach)
    assert (noise[:, 61] * noise[:, 62]).mean() == pytest.approx(expected, abs=0.02)
    assert (noise[:, 0] * noise[:, 16]).mean() == pytest.approx(0.0, abs=0.02)


def test_frame_rate_changes_neither_events_nor_person() -> None:
    slow, fast = make(5, fps=20.0, noise=0.0), make(5, fps=80.0, noise=0.0)
    for name in ("micro", "blinks", "speech", "iod"):
        assert getattr(slow, name) == getattr(fast, name)
    one, two = (
        make(5, fps=fps, noise=0.0, distractors=0.0, config=STILL, events=3) for fps in (20.0, 80.0)
    )
    np.testing.assert_allclose(one.landmarks, two.landmarks[::4], atol=1e-3)


def test_distractors_leave_the_events_alone() -> None:
    off, normal, severe = (make(9, distractors=d) for d in (0.0, 1.0, 2.0))
    assert off.micro == normal.micro == severe.micro
    assert not any((off.macro, off.blinks, off.speech, off.gaze, off.light, off.glitches))
    assert len(severe.blinks) > 10
    spread = [np.std(track.landmarks[:, 30], axis=0).sum() / track.iod for track in (off, severe)]
    assert spread[1] > 1.5 * spread[0]


def test_durations_and_units_follow_the_published_statistics() -> None:
    events = schedules(300)
    lengths = np.array([event.offset - event.onset for event in events])
    shares = np.array([(e.apex - e.onset) / (e.offset - e.onset) for e in events])
    assert lengths.mean() == pytest.approx(0.373, abs=0.01)
    assert lengths.std() == pytest.approx(0.100, abs=0.012)
    assert np.quantile(lengths, [0.05, 0.5, 0.95]) == pytest.approx([0.2, 0.387, 0.5], abs=0.02)
    assert shares.mean() == pytest.approx(0.516, abs=0.02)
    assert shares.std() == pytest.approx(0.150, abs=0.02)
    units = [unit for event in events for unit in event.units]
    share = {unit: units.count(unit) / len(events) for unit in set(units)}
    assert 0.3 < share["AU04"] < 0.48
    assert 0.12 < share["AU07"] < 0.26
    one_sided = np.mean([event.side != "both" for event in events])
    assert one_sided == pytest.approx(0.15, abs=0.03)
    assert all(0.0055 <= event.amplitude <= 0.05 for event in events)


def test_every_unit_can_be_named_by_the_agent() -> None:
    assert {unit for units, _ in MICRO_SETS for unit in units} <= set(MICRO_ACTION_UNITS) & set(
        FIELDS
    )


def test_events_keep_apart_and_inside() -> None:
    person = make_person(np.random.default_rng(0), GeneratorConfig())
    for seed in range(60):
        rng = np.random.default_rng(seed)
        events = micro_schedule(rng, GeneratorConfig(), person, 60.0, 12).events
        assert events[0].onset >= 2.0
        assert events[-1].offset <= 59.0
        for before, after in pairwise(events):
            assert after.onset - before.offset >= 0.9
    with pytest.raises(ValueError, match="do not fit"):
        make(0, seconds=5.0, events=9)


def test_the_apex_has_the_stated_amplitude() -> None:
    config = GeneratorConfig(residual=0.0, hold=0.0)
    for seed in range(12):
        person = make_person(np.random.default_rng(seed), config)
        plan = micro_schedule(np.random.default_rng(seed), config, person, 60.0, 6)
        for k, event in enumerate(plan.events):
            times = np.array([event.onset - 0.01, event.onset, event.apex, event.offset + 0.01])
            strength = np.zeros((4, len(COLUMN)))
            one = Schedule(plan.events[k : k + 1], plan.courses[k : k + 1], plan.parts[k : k + 1])
            activate(times, one, strength)
            moved = np.einsum("tk,kpd->tpd", strength, person.fields)[..., :2]
            size = np.linalg.norm(moved, axis=2).max(axis=1)
            assert size == pytest.approx([0.0, 0.0, event.amplitude, 0.0], abs=1e-6)


def test_one_sided_movements_leave_the_other_side() -> None:
    track = make(2, noise=0.0, distractors=0.0, config=replace(STILL, one_sided=10.0))
    event = next(e for e in track.micro if e.side != "both" and "AU04" in e.units)
    apex = int(np.argmin(np.abs(track.timestamps - event.apex)))
    moved = np.linalg.norm(track.landmarks[apex] - track.landmarks[0], axis=1) / track.iod
    mine, others = (21, 22) if event.side == "left" else (22, 21)
    assert moved[mine] > 0.5 * event.amplitude
    assert moved[others] < 0.15 * event.amplitude


def test_a_plain_face_is_symmetric() -> None:
    shape = make_person(np.random.default_rng(0), GeneratorConfig(shape_spread=0.0)).shape
    np.testing.assert_allclose(shape[FLIP] * (-1, 1, 1), shape, atol=2e-3)


def test_lids_meet_and_do_not_cross() -> None:
    config = replace(STILL, blink_rate=40.0, with_blink=1.0, gaze_rate=60.0)
    config = replace(config, restart_rate=0.0, glitch_rate=0.0, light_rate=0.0, pose_bias=0.0)
    config = replace(config, turn_rate=0.0, nod_rate=0.0, speech_share=0.0)
    track = make(6, fps=60.0, noise=0.0, config=config)
    gaps = [track.landmarks[:, low, 1] - track.landmarks[:, up, 1] for up, low in LIDS]
    least = np.min(gaps, axis=1) / track.iod
    assert (least > 0.0).all()
    assert (least < 0.02).all()  # they do meet


def test_lost_frames() -> None:
    config = GeneratorConfig(drop=0.1, burst_rate=20.0)
    track = make(8, config=config)
    assert 1 - len(track.timestamps) / 1800 == pytest.approx(0.1 + 0.9 * 0.033, abs=0.035)
    lost = np.flatnonzero(track.confidence == 0)
    assert len(lost) > 5
    first = lost[lost > 0][0]
    np.testing.assert_array_equal(track.landmarks[first], track.landmarks[first - 1])
    whole = make(8, config=GeneratorConfig(drop=0.0, burst_rate=0.0))
    assert len(whole.timestamps) == 1800
    assert (whole.confidence > 0).all()


def test_training_configurations_are_valid_and_wider() -> None:
    rng = np.random.default_rng(0)
    configs = [GeneratorConfig().vary(rng) for _ in range(40)]
    assert len({config.blink_rate for config in configs}) == 40
    assert all(abs(r.white + r.spatial + r.slow - 1) < 1e-9 for r in configs)
    for seed, config in enumerate(configs[:4]):
        track = make(TRAIN_SEEDS[seed], seconds=10.0, events=1, config=config)
        assert np.isfinite(track.landmarks).all()


def test_seeds_are_disjoint() -> None:
    assert not set(TEST_SEEDS) & set(TUNE_SEEDS)
    assert not set(TRAIN_SEEDS) & (set(TEST_SEEDS) | set(TUNE_SEEDS))


@pytest.mark.parametrize("wrong", [{"fps": 0.0}, {"seconds": -1.0}, {"noise": -0.1}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        make(0, **wrong)  # type: ignore[arg-type]
