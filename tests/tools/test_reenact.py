"""Photographs with another expression: what does not move stays, the rest goes where it should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tools.render import reenact, units
from tools.render.mesh import head
from tools.render.scene import Face, faces, render

STILL: dict[str, Any] = {
    "expression": "neutral", "yaw": (8, 8), "pitch": (0, 0), "roll": (10, 10), "offset": 0.0,
}  # fmt: skip
pytestmark = pytest.mark.usefixtures("head_pack")


@pytest.fixture
def photograph() -> Face:
    face = next(faces(1, seed=4, size=112, **STILL))
    return render(replace(face.scene, coefficients=np.zeros(57, np.float32)))


def fitted(face: Face) -> reenact.Fitted:
    return reenact.fit(face.picture, face.landmarks, np.zeros(57, np.float32))


def test_the_head_lies_on_the_points_and_is_turned_as_the_face_is(photograph: Face) -> None:
    made = fitted(photograph)
    iod = float(np.hypot(*(photograph.landmarks[45] - photograph.landmarks[36])))
    assert made.error < 0.05 * iod
    vertices = head().landmarks[17:]
    at = made.project(made.resting)[vertices, :2]
    assert np.abs(at - photograph.landmarks[17:]).mean() < 0.02 * iod
    across = made.rotation @ np.array([1.0, 0.0, 0.0], np.float32)
    assert 5 < np.degrees(np.arctan2(-across[1], across[0])) < 15  # roll, clockwise


def test_the_same_expression_changes_nothing(photograph: Face) -> None:
    made = reenact.reenact(fitted(photograph), photograph.landmarks, np.zeros(57, np.float32))
    np.testing.assert_allclose(made.landmarks, photograph.landmarks, atol=1e-3)
    assert np.abs(made.picture.astype(int) - photograph.picture).mean() < 0.5


@pytest.mark.parametrize("unit", ["AU12", "AU26", "AU02"])
def test_points_and_pixels_move_as_in_a_drawing_of_the_expression(
    photograph: Face, unit: str
) -> None:
    wanted = units.coefficients({unit: 0.8})
    made = reenact.reenact(fitted(photograph), photograph.landmarks, wanted)
    exact = render(replace(photograph.scene, coefficients=wanted, level=photograph.level))
    moved = made.landmarks - photograph.landmarks
    truth = exact.landmarks - photograph.landmarks
    clear = np.linalg.norm(truth, axis=1) > 1.0
    assert clear.any()
    error = np.linalg.norm((moved - truth)[17:], axis=1).mean()
    assert error < 0.35 * np.linalg.norm(truth[clear], axis=1).mean()
    before = np.abs(exact.picture.astype(int) - photograph.picture)
    after = np.abs(exact.picture.astype(int) - made.picture)
    changed = before > 12
    assert after[changed].mean() < 0.8 * before[changed].mean()


def test_lines_are_drawn_only_where_an_expression_asks_for_them(photograph: Face) -> None:
    face, frown = fitted(photograph), units.coefficients({"AU04": 1.0})
    plain, lined = (
        reenact.reenact(face, photograph.landmarks, frown, reenact.Manner(lines=amount)).picture
        for amount in (0.0, 1.0)
    )
    darker = plain.astype(int) - lined
    assert darker.max() > 8
    assert darker[photograph.landmarks[57, 1].astype(int) :].max() < 3  # below the lips: none


def test_an_added_identity_moves_the_front_of_the_head_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    h = head()
    wider = np.zeros((100, h.neutral.size), np.float32)
    wider[0, ::3] = h.neutral[:, 0]
    monkeypatch.setattr(reenact, "head", lambda: replace(h, identity=wider))
    shift = reenact._reshaped(np.eye(100, dtype=np.float32)[0] * 0.1)
    mouth = h.landmarks[[48, 54]]
    np.testing.assert_allclose(shift[mouth, 0], 0.1 * h.neutral[mouth, 0], rtol=0.3)
    assert not shift[h.neutral[:, 2] < -4].any()
