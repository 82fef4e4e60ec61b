"""The generators of training tracks: whole, repeatable, as large and as long as they say."""

from __future__ import annotations

import numpy as np
import pytest

from agent.vision.faces.align import FLIP
from agent.vision.micro.outputs import KINDS
from tools.train.micro.generators import (
    GENERATORS,
    Condition,
    courses,
    minute,
    motion,
    muscles,
    smooth_fields,
    talk,
)
from tools.train.micro.generators.anatomy import NAMES, Anatomy
from tools.train.micro.generators.capture import noise
from tools.train.micro.generators.minute import Recipe
from tools.train.micro.generators.signals import second_order, smooth_root, waves

FAMILIES = (
    courses.raised_cosine, courses.plateau, courses.gamma, courses.muscle_twitch, courses.bell,
    courses.double, courses.warped,
)  # fmt: skip
PACKLESS = ("anatomical", "sparse", "smooth_fields", "muscles")
QUIET = Condition(fps=30.0, noise=0.0005, events=2, distractors=0.0, seconds=12.0)


@pytest.mark.parametrize("name", PACKLESS)
def test_a_track_is_whole_and_repeatable(name: str) -> None:
    how = Condition(fps=30.0, noise=0.002, events=2, seconds=15.0)
    one, again = (GENERATORS[name](np.random.default_rng(5), how) for _ in range(2))
    np.testing.assert_array_equal(one.landmarks, again.landmarks)
    assert one.landmarks.dtype == np.float32
    assert np.isfinite(one.landmarks).all()
    assert len(one.timestamps) == len(one.landmarks) == len(one.confidence) > 300
    assert (np.diff(one.timestamps) > 0).all()
    assert set(one.kinds) == set(KINDS)
    assert len(one.micro) == 2
    middle = np.median(one.landmarks, axis=0)
    assert middle[36, 0] < middle[45, 0]
    assert middle[17:27, 1].mean() < middle[36:48, 1].mean() < middle[48:60, 1].mean()
    for event in one.micro:
        assert 0.0 < event.onset < event.apex < event.offset < 15.0
        assert 0.1 <= event.offset - event.onset <= 0.6
        assert 0.002 < event.amplitude < 0.09


@pytest.mark.parametrize("family", FAMILIES)
def test_a_course_is_small_at_its_labels_and_largest_between(family: courses.Family) -> None:
    for seed in range(20):
        course = family(np.random.default_rng(seed))
        times = np.linspace(-0.5, 1.5, 401)
        value = course(times, 0.0, 0.4)
        assert value.max() == pytest.approx(1.0, abs=0.02)
        assert value.min() >= 0.0
        assert 0.03 < 0.4 * course.apex < 0.37
        assert value[np.abs(times).argmin()] <= 0.15
        assert value[np.abs(times - 0.4).argmin()] <= 0.15
        assert value[(times < -0.4) | (times > 1.3)].max() <= 0.05


def test_what_is_left_behind_fades() -> None:
    course = courses.with_residual(
        np.random.default_rng(1), courses.raised_cosine(np.random.default_rng(1)), 0.2
    )
    value = course(np.array([0.2, 0.42, 1.0, 3.0]), 0.0, 0.4)
    assert 0.0 < value[2] < value[1] < 0.25
    assert value[3] == 0.0


@pytest.mark.parametrize("make", [smooth_fields.make, muscles.make])
def test_an_anatomy_moves_each_unit_the_way_of_its_muscle(make: object) -> None:
    anatomy: Anatomy = make(np.random.default_rng(3))  # type: ignore[operator]
    assert np.linalg.norm(anatomy.shape[45] - anatomy.shape[36]) == pytest.approx(1.0)
    assert set(NAMES) <= set(anatomy.fields)
    ways = {"AU01": (21, -1), "AU02": (18, -1), "AU04": (21, 1), "AU05": (37, -1), "AU07": (41, -1),
            "AU10": (50, -1), "AU12": (48, -1), "AU15": (48, 1), "AU17": (57, -1), "AU26": (8, 1),
            "AU24": (58, -1), "LIDS": (37, 1)}  # fmt: skip
    for name, (point, down) in ways.items():
        left, right = anatomy.fields[name]
        both = left + right
        assert np.sign(both[point, 1]) == down, name
        assert np.sign(both[FLIP[point], 1]) == down, name
        assert np.isfinite(both).all()
    assert anatomy.fields["AU14"][0][48, 0] < 0 < anatomy.fields["AU14"][1][54, 0]


def test_an_amplitude_is_what_its_convention_says() -> None:
    for convention in ("peak", "top", "channel", "rms"):
        recipe = Recipe(
            smooth_fields.make, ((courses.raised_cosine, 1.0),), "oscillation", "wandering",
            convention,
        )  # fmt: skip
        made = minute._Minute(np.random.default_rng(2), QUIET, recipe)
        parts, peak = made._scaled({"AU12": 1.0, "AU04": 0.5}, (1.0, 1.0), 0.03, convention)
        moved = sum(share * sum(made.anatomy.fields[n]) for n, share in parts.items())
        size = np.linalg.norm(np.asarray(moved)[:, :2], axis=1)
        assert size.max() == pytest.approx(peak)
        assert peak >= 0.0299
        if convention == "peak":
            assert peak == pytest.approx(0.03)


@pytest.mark.parametrize("name", talk.TALKS)
def test_talk_stays_within_its_span_and_opens_the_jaw(name: str) -> None:
    times = np.arange(240) / 30.0
    parts = talk.TALKS[name](np.random.default_rng(1), times, (2.0, 6.0))
    jaw = parts["AU26"]
    outside = (times < 1.7) | (times > 6.5)
    inside = (times > 2.3) & (times < 5.7)
    assert np.abs(jaw[outside]).max() < 0.1 * jaw[inside].max()
    assert 0.005 < jaw[inside].max() < 0.15
    # syllables: the jaw turns back several times
    turns = np.diff(np.sign(np.diff(jaw[inside])))
    assert np.count_nonzero(turns) >= 4


@pytest.mark.parametrize("name", motion.MOTIONS)
def test_heads_move_smoothly_and_stay_in_sight(name: str) -> None:
    times = np.arange(900) / 30.0
    found = motion.MOTIONS[name](np.random.default_rng(4), times, 1.0)
    motion.gestures(np.random.default_rng(4), times, found, 1.0)
    assert np.degrees(np.abs(found.angles)).max() < 90.0
    assert np.degrees(np.abs(np.diff(found.angles, axis=0))).max() < 25.0
    assert np.isfinite(found.shift).all()
    assert found.spans


def test_noise_has_the_size_asked_for() -> None:
    shape = smooth_fields.make(np.random.default_rng(0)).shape
    found = [noise(np.random.default_rng(seed), 900, 30.0, shape, 0.003) for seed in range(6)]
    inner = np.sqrt(np.mean([one[:, 17:].var() for one in found]))
    assert inner == pytest.approx(0.003, rel=0.25)


def test_smooth_functions_have_unit_size() -> None:
    rng = np.random.default_rng(3)
    times = np.arange(3000) / 30.0
    sizes = [waves(rng, times, 0.1, 2.0, 0.5).std() for _ in range(40)]
    assert np.mean(sizes) == pytest.approx(1.0, abs=0.25)
    step = second_order(np.r_[np.zeros(10), np.ones(290)], 1 / 30, 0.1)
    assert step[9] == 0.0
    assert step[-1] == pytest.approx(1.0, abs=1e-3)
    assert (np.diff(step) >= 0).all()
    root = smooth_root(smooth_fields.make(rng).shape, 0.3)
    np.testing.assert_allclose((root**2).sum(1), 1.0)
