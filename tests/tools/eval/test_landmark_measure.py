"""Errors, noise and expected errors of landmark networks, on made-up faces whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from agent.base.types import Float, Grey
from agent.vision.faces.align import LANDMARK_CROP, MEAN_SHAPE, apply
from agent.vision.faces.landmarks import crop_matrix
from tests.tools.packs import noise_faces as _faces
from tools.eval.landmarks import expected_error, measure
from tools.train.landmarks.data import SIZE, SOURCES, about_centre, chain, valid_crop

SEEN = np.ones((4, 68), np.bool_)


def _still(rng: np.random.Generator) -> Float:
    return about_centre(0.0, 1.0, np.zeros(2, np.float32))


def test_error_is_in_percent_of_the_eye_distance_and_unseen_points_are_left_out() -> None:
    faces = _faces()
    truth = {id(p): label for p, label in zip(faces.pictures, faces.points, strict=True)}
    seen = SEEN.copy()
    seen[1, :17] = False

    def off_by_one(luma: Grey, start: Float) -> Float:
        return truth[id(luma)] + np.array([0, 1], np.float32)

    found = measure.errors(off_by_one, faces.pictures, faces.points, seen, _still)
    assert np.isnan(found[1, :17]).all()
    assert np.isfinite(found).sum() == 4 * 68 - 17
    np.testing.assert_allclose(found[np.isfinite(found)], 2.0, rtol=1e-3)
    report = measure.summary(found, faces, np.arange(4))
    assert report["inner"] == report["inner_by_part"]["eyes"] == 2.0
    assert report["inner_by_source"] == {SOURCES[0]: 2.0, SOURCES[1]: 2.0}
    assert set(report["inner_by_yaw"]) == {"30+", "10-20"}


def test_displaced_keypoints_make_the_crop_that_was_asked_for() -> None:
    label = _faces(1).points[0]
    offset = about_centre(12.0, 1.2, np.array([7, -4], np.float32))
    asked = chain(offset, valid_crop(label))
    matrix = crop_matrix(measure.displaced(label, offset))
    np.testing.assert_allclose(apply(matrix, label), apply(asked, label), atol=0.05)


def test_a_follower_that_stays_put_errs_by_as_much_as_the_crop_is_off() -> None:
    faces = _faces()

    def mean_face(crop: Grey) -> measure.Answer:
        return measure.Answer(LANDMARK_CROP.place(MEAN_SHAPE), 5.0, None)

    follow = measure.follower(mean_face)
    curves = measure.crop_curves(follow, faces.pictures, faces.points, SEEN)
    for amount, error in curves["shift"].items():
        expected = 100 * float(amount) * SIZE / LANDMARK_CROP.iod
        assert error == pytest.approx(expected, abs=0.15)
    turns = list(curves["turn"].values())
    assert turns == sorted(turns)
    assert curves["zoom"]["1"] < curves["zoom"]["1.08"] < curves["zoom"]["1.33"]


def test_still_noise_is_the_jitter_of_the_answers() -> None:
    faces = _faces()
    rng = np.random.default_rng(6)
    base = LANDMARK_CROP.place(MEAN_SHAPE)

    def shaky(luma: Grey, start: Float) -> Float:
        return (base + rng.normal(0, 0.53, base.shape)).astype(np.float32)

    def drifting(luma: Grey, start: Float) -> Float:
        return base + rng.normal(0, 0.53, (1, 2)).astype(np.float32)

    noise = measure.still_noise(shaky, faces.pictures, faces.points, 2.0)
    assert noise == pytest.approx({"raw": 1.0, "aligned": 1.0}, abs=0.1)
    noise = measure.still_noise(drifting, faces.pictures, faces.points, 2.0)
    assert noise["raw"] == pytest.approx(1.0, abs=0.5)
    assert noise["aligned"] < 0.01


def test_trust_tells_right_expectations_from_useless_ones() -> None:
    rng = np.random.default_rng(7)
    expected = np.exp(rng.normal(0.5, 0.6, (400, 68))).astype(np.float32)
    # distances under an isotropic Laplace density: gamma, shape 2, mean as expected
    found = (rng.gamma(2.0, 0.5, expected.shape) * expected).astype(np.float32)
    found[:7, :17] = np.nan
    right = expected_error.trust(found, expected)
    assert right["mean_ratio"] == pytest.approx(1.0, abs=0.02)
    for share in right["within"].values():
        assert share["found"] == pytest.approx(share["implied"], abs=0.01)
    for tenth in right["by_tenth"]:
        assert tenth["found"] == pytest.approx(tenth["expected"], rel=0.05)
    assert right["rank_correlation"]["within each point"] > 0.4
    useless = expected_error.trust(found, rng.permuted(expected))
    assert abs(useless["rank_correlation"]["points"]) < 0.05
