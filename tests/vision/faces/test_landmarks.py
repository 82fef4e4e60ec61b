"""The landmark estimator: points and expected errors in frame pixels, whatever the face's size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from agent.base.types import Float, Grey
from agent.vision.faces.align import LANDMARK_CROP, MEAN_FIVE, MEAN_SHAPE, apply
from agent.vision.faces.landmarks import LandmarkEstimator, crop_matrix, face_box, interocular

LUMA = np.random.default_rng(0).integers(0, 256, (240, 320), dtype=np.uint8)


def _in_frame(shape: Float, iod: float, degrees: float, x: float, y: float) -> Float:
    c, s = iod * math.cos(math.radians(degrees)), iod * math.sin(math.radians(degrees))
    return apply(np.array([[c, -s, x], [s, c, y]], np.float32), shape)


def _mean_face(crop: Grey) -> Mapping[str, Float]:
    """Whatever the crop shows: the mean face, well in place, all points alike."""
    points = LANDMARK_CROP.place(MEAN_SHAPE) / np.float32(LANDMARK_CROP.size)
    return {
        "points": points.reshape(1, 136),
        "presence": np.full((1, 1), math.log(3), np.float32),
        "spread": np.full((1, 68), math.log(0.02), np.float32),
    }


@pytest.mark.parametrize(("iod", "degrees"), [(20, 0), (53, -25), (110, 40)])
def test_points_land_where_the_guess_put_the_crop(iod: float, degrees: float) -> None:
    face = _in_frame(MEAN_SHAPE, iod, degrees, 160, 110)
    estimate = LandmarkEstimator(_mean_face)(LUMA, _in_frame(MEAN_FIVE, iod, degrees, 160, 110))
    np.testing.assert_allclose(estimate.points, face, atol=0.01 * iod)
    assert estimate.presence == pytest.approx(0.75)
    assert estimate.crop.shape == (112, 112)
    np.testing.assert_allclose(estimate.matrix, crop_matrix(face), atol=0.05)


@pytest.mark.parametrize("iod", [15.0, 60.0])
def test_expected_errors_grow_with_the_face(iod: float) -> None:
    estimate = LandmarkEstimator(_mean_face)(LUMA, _in_frame(MEAN_SHAPE, iod, 10, 150, 100))
    assert estimate.spread is not None
    assert estimate.spread.dtype == np.float32
    np.testing.assert_allclose(estimate.spread, np.full(68, 0.02 * iod), rtol=0.01)


def test_a_model_without_expected_errors_gives_none() -> None:
    def silent(crop: Grey) -> Mapping[str, Float]:
        outputs = dict(_mean_face(crop))
        del outputs["spread"]
        return outputs

    estimate = LandmarkEstimator(silent)(LUMA, _in_frame(MEAN_SHAPE, 50, 0, 150, 100))
    assert estimate.spread is None


def test_refining_cuts_the_second_crop_around_the_first_estimate() -> None:
    crops: list[Grey] = []

    def moved(crop: Grey) -> Mapping[str, Float]:
        crops.append(crop)
        outputs = dict(_mean_face(crop))
        outputs["points"] = outputs["points"] + np.float32(5 / LANDMARK_CROP.size)
        return outputs

    guess = _in_frame(MEAN_SHAPE, LANDMARK_CROP.iod, 0, 160, 110)
    estimate = LandmarkEstimator(moved).refine(LUMA, guess)
    assert len(crops) == 2
    # crop pixels are frame pixels here, so that every pass moves five of them
    np.testing.assert_allclose(estimate.points - guess, np.full((68, 2), 10.0), atol=0.1)
    np.testing.assert_array_equal(crops[0][5:, 5:], crops[1][:-5, :-5])


@pytest.mark.parametrize(("promising", "passes"), [(0.3, 1), (0.1, 2)])
def test_a_second_pass_is_for_what_promises_a_face(promising: float, passes: int) -> None:
    crops: list[Grey] = []

    def doubting(crop: Grey) -> Mapping[str, Float]:
        crops.append(crop)
        return {**_mean_face(crop), "presence": np.full((1, 1), -1.4, np.float32)}  # .2

    guess = _in_frame(MEAN_SHAPE, LANDMARK_CROP.iod, 0, 160, 110)
    estimate = LandmarkEstimator(doubting).refine(LUMA, guess, promising)
    assert len(crops) == passes
    assert estimate.presence == pytest.approx(0.198, abs=0.001)


def test_stills_are_free_of_a_left_or_right_habit() -> None:
    """The mirror image answers the other way round, so that the mean of both is in the middle."""
    crops: list[Grey] = []

    def leaning(crop: Grey) -> Mapping[str, Float]:
        crops.append(crop)
        outputs = {name: value.copy() for name, value in _mean_face(crop).items()}
        outputs["points"][:, ::2] += np.float32(4 / LANDMARK_CROP.size)
        outputs["points"][:, 1::2] += np.float32(3 / LANDMARK_CROP.size)
        outputs["presence"] += np.float32(len(crops) % 2)
        outputs["spread"][:, 16] = math.log(0.08)
        return outputs

    guess = _in_frame(MEAN_SHAPE, LANDMARK_CROP.iod, 0, 160, 110)
    estimate = LandmarkEstimator(leaning).refine_still(LUMA, guess)
    assert len(crops) == 3
    np.testing.assert_array_equal(crops[1], crops[2][:, ::-1])
    np.testing.assert_array_equal(estimate.crop, crops[1])
    # the first pass leans to the right and down, the second only down
    np.testing.assert_allclose(estimate.points - guess, np.tile([4, 6], (68, 1)), atol=0.05)
    assert estimate.presence == pytest.approx(1 / (1 + math.exp(-math.log(3) - 0.5)), abs=1e-5)
    assert estimate.log_spread is not None
    wide = math.log(0.02) / 2 + math.log(0.08) / 2
    np.testing.assert_allclose(estimate.log_spread[0, [0, 16]], wide, rtol=1e-5)
    np.testing.assert_allclose(estimate.log_spread[0, 1:16], math.log(0.02), rtol=1e-5)


def test_box_reaches_from_forehead_to_chin() -> None:
    face = _in_frame(MEAN_SHAPE, 50, 0, 160, 110)
    low, high = face_box(face)[:2], face_box(face)[2:]
    assert low[0] == pytest.approx(face[:, 0].min())
    assert high[1] == pytest.approx(face[:, 1].max())
    assert face[:, 1].min() - low[1] == pytest.approx(0.28 * (high[1] - face[:, 1].min()), rel=0.01)
    assert interocular(face) == pytest.approx(50, rel=1e-4)
