from __future__ import annotations

import numpy as np

from agent.base.types import Float
from agent.kernels import flow as flow_kernel
from agent.kernels import fusion, predict
from agent.kernels.fusion import fit_rigid_motion, fuse_landmarks
from agent.vision.faces.align import LANDMARK_CROP, MEAN_SHAPE
from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from tests.kernels import naive_fusion

IOD = LANDMARK_CROP.iod
START: Float = LANDMARK_CROP.place(MEAN_SHAPE)
SURE = np.full(68, np.log(0.02), np.float32)
MATRIX = np.array([[0.8, -0.1, 12], [0.1, 0.8, -5]], np.float32)
TURN = np.array([[1.0, 0.01, 0.6], [-0.02, 0.99, -0.3]])


def _face(loose: float = 0.006) -> Float:
    face = np.full((68, 3), loose, np.float32)
    face[:, 0] = MEAN_SHAPE_3D[:, 2]
    return face


def _turned() -> Float:
    """The mean face after a shift, a turn in the picture and one in depth."""
    middle = START.mean(0)
    moved = (START - middle) @ TURN[:, :2].T + TURN[:, 2] + middle
    return np.asarray(moved + MEAN_SHAPE_3D[:, 2:] * [1.5, -0.5], np.float32)


def _case(seed: int = 0) -> tuple[Float, Float]:
    """Flow of the turning face, with noise, bare skin and lost points; `in_crop`."""
    rng = np.random.default_rng(seed)
    in_crop = np.stack([START, _turned() + rng.normal(0, 1, (68, 2)), _turned() + 0.3])
    flow = np.zeros((68, 7), np.float32)
    flow[:, :2] = _turned() + rng.normal(0, 0.1, (68, 2))
    flow[:, 2] = rng.uniform(0, 4000, 68)
    flow[:, 4] = rng.uniform(0, 4000, 68)
    flow[:, 3] = np.sqrt(flow[:, 2] * flow[:, 4]) * rng.uniform(-0.9, 0.9, 68)
    flow[:, 5] = rng.uniform(0, 20, 68)
    flow[:, 6] = rng.uniform(0, 0.6, 68)
    flow[60:63, 2:5] = 0
    flow[20:23, 2:] = [0, 0, 0, 0, -1]
    return flow, in_crop.astype(np.float32)


def test_the_kernels_mean_the_same_columns_and_rows() -> None:
    for name in ("X", "Y", "GXX", "GXY", "GYY", "RESIDUAL", "BACKWARD_ERROR"):
        assert getattr(fusion, name) == getattr(flow_kernel, name)
    for name in ("EARLIER", "NETWORK", "GUESS"):
        assert getattr(fusion, name) == getattr(predict, name)


def test_the_kernels_agree_with_their_twins() -> None:
    for seed in range(4):
        flow, in_crop = _case(seed)
        rigid = fit_rigid_motion(flow, in_crop, _face(), 0.25, IOD)
        expected = naive_fusion.fit_rigid_motion(flow, in_crop, _face(), 0.25, IOD)
        np.testing.assert_allclose(rigid, expected, atol=2e-3)
        out = np.empty((68, 2), np.float32)
        spread = np.log(np.random.default_rng(seed).uniform(0.01, 0.08, 68)).astype(np.float32)
        tracked = fuse_landmarks(flow, in_crop, _face(), spread, 0.25, 0.04, IOD, MATRIX, out)
        points, share = naive_fusion.fuse_landmarks(
            flow, in_crop, _face(), spread, 0.25, 0.04, IOD, MATRIX
        )
        np.testing.assert_allclose(out, points, atol=2e-3)
        assert abs(tracked - share) < 1e-6


def test_a_turn_of_the_head_is_found_in_spite_of_a_moving_mouth_and_of_outliers() -> None:
    flow, in_crop = _case()
    flow[:, :2] = _turned()
    flow[:, 2:] = [2000, 0, 2000, 1, 0.05]
    flow[48:, 1] += 3
    flow[[3, 17, 40], 0] -= 4
    face = _face()
    face[48:, 1] = 0.02
    rigid = fit_rigid_motion(flow, in_crop, face, 0.0, IOD)
    assert np.abs(rigid - _turned())[17:48].max() < 0.15


def test_bare_skin_follows_the_head_and_texture_itself() -> None:
    flow, in_crop = _case()
    flow[:, 2:] = [4000, 0, 4000, 0, 0.01]
    flow[:, :2] = START
    in_crop[:] = START
    flow[30, 1] += 2
    flow[50, 1] += 2
    flow[30, 2:5] = 0
    out = np.empty((68, 2), np.float32)
    identity = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    tracked = fuse_landmarks(flow, in_crop, _face(0.02), SURE, 0.0, 0.0, IOD, identity, out)
    assert abs(out[30, 1] - START[30, 1]) < 0.05
    assert out[50, 1] - START[50, 1] > 1.95
    assert tracked == 1.0


def test_the_network_draws_slowly_nearby_less_where_unsure_and_wholly_far_off() -> None:
    flow, in_crop = _case()
    flow[:, 2:] = [4000, 0, 4000, 0, 0.01]
    flow[:, :2] = START
    in_crop[:] = START
    in_crop[1, 20, 0] += 2
    in_crop[1, 30, 0] += 2
    in_crop[1, 40, 0] += 20
    spread = SURE.copy()
    spread[30] = np.log(0.06)
    out = np.empty((68, 2), np.float32)
    identity = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    tracked = fuse_landmarks(flow, in_crop, _face(), spread, 0.0, 0.04, IOD, identity, out)
    moved = out[[20, 30, 40], 0] - START[[20, 30, 40], 0]
    np.testing.assert_allclose(moved, [0.08, 0.02, 20], atol=1e-3)
    assert abs(tracked - 50 / 51) < 1e-6, "the one that was overruled was not tracked"
