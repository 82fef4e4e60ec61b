"""Rendered faces: exact truth, repeatable, and every unit moves what it names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agent.base.types import ACTION_UNITS
from tools.render import backdrop, raster, units
from tools.render.scene import faces, sweep


def test_nearer_triangle_covers_the_further_one_and_weights_are_barycentric() -> None:
    # y points down; these wind as front faces do
    far = [[0, 0, 5], [0, 9, 5], [9, 0, 5]]
    near = [[0, 0, 2], [0, 4, 2], [4, 0, 2]]
    points = np.array([*far, *near], np.float32)
    triangles = np.array([[3, 4, 5], [0, 1, 2]], np.int32)
    depth = np.full((10, 10), 1e9, np.float32)
    index = np.full((10, 10), -1, np.int32)
    weight = np.zeros((10, 10, 2), np.float32)
    one, corner = np.ones(6, np.float32), np.zeros((2, 3, 2), np.float32)
    grain = np.zeros((1, 1), np.float32)
    raster.fill(points, triangles, one, corner, grain, False, 7, depth, index, weight)
    assert index[1, 1] == 7
    assert index[3, 5] == 8
    assert index[9, 9] == -1
    assert depth[1, 1] == 2.0
    a, b = weight[3, 5]
    place = a * points[0, :2] + b * points[1, :2] + (1 - a - b) * points[2, :2]
    np.testing.assert_allclose(place, [5, 3], atol=1e-5)
    turned = triangles[:, ::-1].copy()
    index[:] = -1
    raster.fill(points, turned, one, corner, grain, False, 0, depth, index, weight)
    assert (index == -1).all()


def test_backgrounds_differ_and_repeat_by_seed() -> None:
    seeds = (3, 3, 4)
    first, again, other = (backdrop.backdrop(np.random.default_rng(k), 60, 80) for k in seeds)
    assert first.shape == (60, 80)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 3


@pytest.mark.usefixtures("head_pack")
@pytest.mark.slow
def test_faces_repeat_by_seed_and_lie_where_their_landmarks_say() -> None:
    pose: dict[str, Any] = {"yaw": (-10, 10), "pitch": (-5, 5), "roll": (-5, 5), "offset": 0.02}
    some, again = (faces(6, seed=5, size=96, **pose) for _ in range(2))
    for face, same in zip(some, again, strict=True):
        np.testing.assert_array_equal(face.picture, same.picture)
        np.testing.assert_array_equal(face.landmarks, same.landmarks)
        assert face.picture.shape == (96, 96)
        assert face.landmarks.shape == (68, 2)
        x, y = np.rint(face.landmarks[27:]).astype(int).T
        assert (face.alpha[y, x] == 1).all()
        eyes = face.landmarks[[36, 45]]
        assert 0.3 * 96 < np.hypot(*(eyes[1] - eyes[0])) < 0.56 * 96
        assert face.landmarks[36, 0] < face.landmarks[45, 0]
        chin, lip, nose = face.landmarks[[8, 57, 33], 1]
        assert chin > lip > nose > eyes[:, 1].max()


@pytest.mark.usefixtures("head_pack")
def test_pose_signs_are_the_agents() -> None:
    straight: dict[str, Any] = {"yaw": (0, 0), "pitch": (0, 0), "roll": (0, 0)}

    def nose(**pose: tuple[float, float]) -> np.ndarray:
        face = next(faces(1, seed=2, size=96, expression="neutral", **(straight | pose)))
        eyes = (face.landmarks[36] + face.landmarks[45]) / 2
        return np.asarray(face.landmarks[30] - eyes)

    assert nose(yaw=(25, 25))[0] > nose()[0] + 3  # to the right edge of the picture
    assert nose(pitch=(20, 20))[1] > nose()[1] + 2  # downwards
    face = next(faces(1, seed=2, size=96, **(straight | {"roll": (20, 20)})))
    across = face.landmarks[45] - face.landmarks[36]
    assert 15 < np.degrees(np.arctan2(across[1], across[0])) < 25  # clockwise


@pytest.mark.usefixtures("head_pack")
def test_far_side_of_a_turned_head_is_hidden() -> None:
    for face in faces(3, seed=8, size=128, yaw=(62, 62), pitch=(0, 0), roll=(0, 0), offset=0.0):
        assert not face.visible[[42, 45]].all()  # the eye at the picture's right
        assert face.visible[33]


@pytest.mark.usefixtures("head_pack")
def test_a_sweep_raises_its_unit_and_moves_only_what_it_names() -> None:
    smile = list(sweep("AU12", 5, seed=3, size=96, yaw=(0, 0), pitch=(0, 0), roll=(0, 0)))
    strength = [face.action_units[ACTION_UNITS.index("AU12")] for face in smile]
    np.testing.assert_allclose(strength, np.linspace(0, 1, 5), atol=0.13)
    assert (np.diff(strength) >= 0).all()
    width = [float(face.landmarks[54, 0] - face.landmarks[48, 0]) for face in smile]
    assert (np.diff(width) > 0).all()
    eyes = np.stack([face.landmarks[36:48] for face in smile])
    assert np.abs(eyes - eyes[0]).max() < 0.5
    blink = list(sweep("AU45", 3, seed=3, size=96, yaw=(0, 0), pitch=(0, 0), roll=(0, 0)))
    gap = [float(face.landmarks[41, 1] - face.landmarks[37, 1]) for face in blink]
    assert gap[0] > gap[1] > gap[2]


@pytest.mark.usefixtures("head_pack")
@pytest.mark.parametrize(
    ("expression", "wanted"),
    [("happiness", ["AU12"]), ("surprise", ["AU01", "AU02", "AU05"]), ("sadness", ["AU01"]),
     ("anger", ["AU04", "AU07"]), ("disgust", ["AU10"]), ("fear", ["AU01", "AU05"]),
     ("contempt", ["AU12"]), ("neutral", [])],
)  # fmt: skip
def test_prototypes_show_their_units(expression: str, wanted: list[str]) -> None:
    rng = np.random.default_rng(1)
    drawn = [units.action_units(units.prototype(rng, expression, 1.0)) for _ in range(30)]
    mean = dict(zip(ACTION_UNITS, np.mean(drawn, 0).tolist(), strict=True))
    assert all(mean[unit] > 0.2 for unit in wanted)
    assert bool(wanted) == (max(mean.values()) > 0.0)


@pytest.mark.usefixtures("head_pack")
def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="AU99"):
        units.coefficients({"AU99": 1.0})
    with pytest.raises(ValueError, match="boredom"):
        units.prototype(np.random.default_rng(0), "boredom", 1.0)
