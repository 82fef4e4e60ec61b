"""Diagnosis of points that are not a face in iBUG order."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.desk.spot.face_shape import diagnose
from agent.vision.faces.align import MEAN_SHAPE
from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from tests.vision.rotation import rotation

Points = NDArray[np.float64]
FACE: Points = MEAN_SHAPE.astype(np.float64)


def verdict(face: Points, size: float = 80.0, noise: float = 0.01) -> str | None:
    rng = np.random.default_rng(0)
    samples = (face + rng.normal(scale=noise, size=(9, 68, 2))) * size + 200
    return diagnose(samples.astype(np.float32))


def moved(*exchanges: tuple[slice, slice]) -> Points:
    """The face with the points of the second place at the first."""
    out = FACE.copy()
    for to, origin in exchanges:
        out[to] = FACE[origin]
    return out


@given(st.floats(-60, 60), st.floats(-25, 30), st.floats(-180, 180), st.floats(10, 1000))
def test_a_face_is_a_face_however_it_is_turned(
    yaw: float, pitch: float, roll: float, size: float
) -> None:
    turned = MEAN_SHAPE_3D @ rotation(yaw, pitch, roll).T
    assert verdict(turned[:, :2].astype(np.float64), size) is None


def test_an_open_mouth_and_raised_brows_are_no_other_order() -> None:
    shouting = FACE.copy()
    shouting[55:60, 1] += 0.35
    shouting[65:68, 1] += 0.35
    shouting[5:12, 1] += 0.3
    shouting[17:27, 1] -= 0.1
    assert verdict(shouting) is None


@pytest.mark.parametrize(
    ("face", "words"),
    [
        (FACE * [-1, 1], "the face is mirrored"),
        (FACE * [1, -1], "y grows upwards"),
        (FACE[:, ::-1], "x and y are exchanged"),
        (np.roll(FACE, -17, axis=0), "17-26"),
        (moved((slice(36, 42), slice(42, 48)), (slice(42, 48), slice(36, 42))), "36-41 and 42-47"),
        (moved((slice(17, 27), slice(26, 16, -1))), "17 .brow. is not to the left of 26"),
        (moved((slice(0, 17), slice(16, None, -1))), "0 .jaw. is not to the left of 16"),
        (moved((slice(27, 31), slice(30, 26, -1))), "27-30 .bridge of the nose. run in reverse"),
        (moved((slice(48, 60), slice(59, 47, -1))), "48-59 .outer lips. run in reverse"),
        (moved((slice(36, 42), slice(41, 35, -1))), "36-41 .left eye. run in reverse"),
        (np.zeros((68, 2)), "one place"),
    ],
)
def test_diagnose_is_named(face: Points, words: str) -> None:
    problem = verdict(face, noise=0.0 if not face.any() else 0.01)
    assert problem is not None
    assert re.search(words, problem)


@given(st.integers(0, 2**32 - 1))
def test_any_mixture_of_points_is_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert verdict(rng.permutation(FACE)) is not None
    assert verdict(rng.normal(size=(68, 2))) is not None


@pytest.mark.parametrize(("size", "words"), [(0.2, "shares of the picture"), (9e4, "give pixels")])
def test_a_scale_that_no_face_has_is_named(size: float, words: str) -> None:
    assert words in (diagnose((FACE[None] * size + 0.5).astype(np.float32)) or "")
