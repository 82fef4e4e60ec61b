"""The spotter's kernels against plain implementations, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.kernels.channels import face_channels
from agent.kernels.normalise import normalise
from agent.kernels.resample import resample_uniform
from agent.kernels.temporal import network_step
from agent.vision.faces.align import MEAN_SHAPE
from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from agent.vision.micro import channels
from tests.kernels import naive_spotter
from tests.vision.rotation import rotation

LENGTH = 1 / 30


def _measured(points: np.ndarray) -> np.ndarray:
    values = np.zeros(channels.VALUES, np.float32)
    scale = face_channels(points, channels._INVERSE, channels._WEIGHTS, channels.VERTICAL, values)
    return np.append(values, scale)


@given(
    seed=st.integers(0, 2**32 - 1),
    roll=st.floats(-3, 3),
    size=st.floats(20, 400),
)
@settings(max_examples=30, deadline=None)
def test_channels_agree_with_their_twin(seed: int, roll: float, size: float) -> None:
    rng = np.random.default_rng(seed)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    points = (MEAN_SHAPE + rng.normal(0, 0.02, (68, 2))) @ turn.T * size + rng.uniform(0, 600, 2)
    points = points.astype(np.float32)
    wanted = naive_spotter.face_channels(
        points, channels._INVERSE, channels._WEIGHTS, channels.VERTICAL
    )
    np.testing.assert_allclose(_measured(points), wanted, rtol=2e-3, atol=2e-2)


def test_a_moving_head_moves_no_channel() -> None:
    """A rigid shape, turned, tilted, nearer and elsewhere: what is left is the model's rounding."""
    still = _measured(MEAN_SHAPE_3D[:, :2] * np.float32(100))[:21]
    for angles in ((17, 0, 0), (0, 14, 0), (6, -11, 29)):
        flat = (MEAN_SHAPE_3D @ rotation(*angles).T)[:, :2]
        moved = _measured((flat * 80 + (200, 100)).astype(np.float32))[:21]
        np.testing.assert_allclose(moved, still, atol=0.05)


def test_a_raised_brow_shows_in_its_channels_in_per_cent_of_the_eye_distance() -> None:
    points = (MEAN_SHAPE * 100).astype(np.float32)
    raised = points.copy()
    raised[[21, 22], 1] -= 3.0
    change = (_measured(raised) - _measured(points))[:21]
    np.testing.assert_allclose(change[:2], -3.0, atol=0.1)
    assert np.abs(change[8:]).max() < 0.05


def _filled(times: np.ndarray, values: np.ndarray, patience: float = 0.1) -> np.ndarray:
    clock = np.array([times[0], times[0] + LENGTH, 0.0])
    before, partial = values[0].copy(), np.zeros(values.shape[1], np.float32)
    steps, known = np.zeros((64, values.shape[1] + 1), np.float32), np.zeros(64)
    rows = []
    for time, value in zip(times[1:].tolist(), values[1:], strict=True):
        done = resample_uniform(
            time, value, 1.0, clock, before, partial, steps, known, LENGTH, patience
        )
        rows += [row.copy() for row in steps[:done]]
        assert (known[:done] <= time + 1e-9).all()
    return np.array(rows).reshape(-1, values.shape[1] + 1)


@pytest.mark.parametrize("fps", [17.0, 25.0, 30.0, 60.0, 240.0])
def test_even_steps_hold_the_means_between_uneven_frames(fps: float) -> None:
    rng = np.random.default_rng(int(fps))
    times = np.cumsum(rng.uniform(0.6, 1.4, 120) / fps) + 100.0
    values = rng.normal(0, 1, (120, 3)).astype(np.float32)
    steps = _filled(times, values)
    wanted = naive_spotter.steps_of(times, values, LENGTH)
    np.testing.assert_allclose(steps[:, :3], wanted, atol=2e-4)
    np.testing.assert_allclose(steps[:, 3], 1.0, atol=1e-5)


def test_a_gap_is_bridged_by_what_was_seen_last_and_trusted_for_nothing() -> None:
    times = np.array([*np.arange(10) / 30, 0.3 + 0.4, 0.3 + 0.4 + 1 / 30])
    values = np.array([*range(10), 50.0, 50.0], np.float32)[:, None]
    steps = _filled(times, values)
    middles = times[0] + LENGTH * (np.arange(len(steps)) + 0.5)
    early = (middles > 0.31) & (middles < 0.57)
    np.testing.assert_allclose(steps[early, 0], 9.0, atol=1e-4)
    assert (steps[(middles > 0.31) & (middles < 0.69), 1] == 0.0).all()


def test_time_alone_completes_steps_after_a_while() -> None:
    clock, before = np.array([0.0, LENGTH, 0.0]), np.array([7.0], np.float32)
    partial, steps, known = np.zeros(1, np.float32), np.zeros((40, 2), np.float32), np.zeros(40)
    passed = (-1.0, clock, before, partial, steps, known, LENGTH, 0.1)
    assert resample_uniform(0.09, before, *passed) == 0
    assert resample_uniform(0.30, before, *passed) == 6
    np.testing.assert_allclose(steps[:6, 0], 7.0, rtol=1e-5)
    np.testing.assert_allclose(known[:6], LENGTH * np.arange(1, 7) + 0.1)


def test_inputs_agree_with_their_twin() -> None:
    rng = np.random.default_rng(5)
    steps = rng.normal(0, 0.3, (150, 28)).astype(np.float32)
    steps[60:75, 3] += 4.0
    steps[90:, 9] += 2.0
    steps[:, 27] = 1.0
    state = (
        np.zeros(22, np.float32),
        np.zeros((2, 21), np.float32),
        np.zeros((11, 21), np.float32),
        np.zeros(6, np.float32),
        np.zeros(1, np.int64),
    )
    found = np.zeros((150, 38), np.float32)
    for row, step in zip(found, steps, strict=True):
        normalise(step, LENGTH, channels.REGIONS, *state, row)
    wanted = naive_spotter.normalise(steps.astype(np.float64), LENGTH, channels.REGIONS)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=2e-3)


def test_the_network_agrees_with_its_twin() -> None:
    rng = np.random.default_rng(6)
    shapes = {
        "first": (9, 38, 12),
        "first_bias": (12,),
        "middle": (3, 5, 12, 12),
        "middle_bias": (3, 12),
        "head": (12, 26),
        "head_bias": (26,),
    }
    weights = {k: rng.normal(0, 0.2, shape).astype(np.float32) for k, shape in shapes.items()}
    weights["dilations"] = np.array([1, 3, 4])
    inputs = rng.normal(0, 1, (60, 38)).astype(np.float32)
    state = (
        np.zeros((9, 38), np.float32),
        np.zeros((3, 17, 12), np.float32),
        np.zeros(1, np.int64),
    )
    rows = {
        "first": weights["first"].reshape(9 * 38, 12).T.copy(),
        "middle": weights["middle"].reshape(3, 5 * 12, 12).transpose(0, 2, 1).copy(),
        "head": weights["head"].T.copy(),
    }
    found = np.zeros((60, 26), np.float32)
    for row, one in zip(found, inputs, strict=True):
        network_step(
            one, rows["first"], weights["first_bias"], rows["middle"],
            weights["middle_bias"], weights["dilations"], rows["head"], weights["head_bias"],
            *state, row,
        )  # fmt: skip
    wanted = naive_spotter.network(inputs, weights)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())
