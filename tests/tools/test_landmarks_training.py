"""Measures and losses of the landmark training, on made-up faces whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.base.types import Float, Grey
from agent.vision.faces.align import FLIP, LANDMARK_CROP, MEAN_SHAPE, apply
from agent.vision.faces.landmarks import crop_matrix
from tools.train import landmarks_crops, landmarks_measure, landmarks_spread
from tools.train.landmarks_data import SIZE, SOURCES, Faces, about_centre, back, chain, valid_crop

SEEN = np.ones((4, 68), np.bool_)


def _faces(count: int = 4) -> Faces:
    """Blurred noise with a label somewhere in it."""
    rng = np.random.default_rng(5)
    pictures, points = [], []
    for _ in range(count):
        noise = rng.integers(0, 256, (140, 130), dtype=np.uint8)
        pictures.append(np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8))
        c, s = 50 * np.cos(0.2), 50 * np.sin(0.2)
        points.append(apply(np.array([[c, -s, 64], [s, c, 50]], np.float32), MEAN_SHAPE))
    return Faces(
        pictures,
        np.stack(points),
        np.ones((count, 68), np.float32),
        np.arange(count, dtype=np.uint8) % 2,
        np.linspace(-35, 35, count).astype(np.float32),
        np.ones(count, np.float32),
    )


def _still(rng: np.random.Generator) -> Float:
    return about_centre(0.0, 1.0, np.zeros(2, np.float32))


def test_error_is_in_percent_of_the_eye_distance_and_unseen_points_are_left_out() -> None:
    faces = _faces()
    truth = {id(p): label for p, label in zip(faces.pictures, faces.points, strict=True)}
    seen = SEEN.copy()
    seen[1, :17] = False

    def off_by_one(luma: Grey, start: Float) -> Float:
        return truth[id(luma)] + np.array([0, 1], np.float32)

    found = landmarks_measure.errors(off_by_one, faces.pictures, faces.points, seen, _still)
    assert np.isnan(found[1, :17]).all()
    assert np.isfinite(found).sum() == 4 * 68 - 17
    np.testing.assert_allclose(found[np.isfinite(found)], 2.0, rtol=1e-3)
    report = landmarks_measure.summary(found, faces, np.arange(4))
    assert report["inner"] == report["inner_by_part"]["eyes"] == 2.0
    assert report["inner_by_source"] == {SOURCES[0]: 2.0, SOURCES[1]: 2.0}
    assert set(report["inner_by_yaw"]) == {"30+", "10-20"}


def test_displaced_keypoints_make_the_crop_that_was_asked_for() -> None:
    label = _faces(1).points[0]
    offset = about_centre(12.0, 1.2, np.array([7, -4], np.float32))
    asked = chain(offset, valid_crop(label))
    matrix = crop_matrix(landmarks_measure.displaced(label, offset))
    np.testing.assert_allclose(apply(matrix, label), apply(asked, label), atol=0.05)


def test_a_follower_that_stays_put_errs_by_as_much_as_the_crop_is_off() -> None:
    faces = _faces()

    def mean_face(crop: Grey) -> landmarks_measure.Answer:
        return landmarks_measure.Answer(LANDMARK_CROP.place(MEAN_SHAPE), 5.0, None)

    follow = landmarks_measure.follower(mean_face)
    curves = landmarks_measure.crop_curves(follow, faces.pictures, faces.points, SEEN)
    for amount, error in curves["shift"].items():
        expected = 100 * float(amount) * SIZE / LANDMARK_CROP.iod
        assert error == pytest.approx(expected, abs=0.15)
    turns = list(curves["turn"].values())
    assert turns == sorted(turns)
    assert curves["zoom"]["1"] < curves["zoom"]["1.08"] < curves["zoom"]["1.33"]


def test_still_noise_is_the_answers_own_unsteadiness() -> None:
    faces = _faces()
    rng = np.random.default_rng(6)
    base = LANDMARK_CROP.place(MEAN_SHAPE)

    def shaky(luma: Grey, start: Float) -> Float:
        return (base + rng.normal(0, 0.53, base.shape)).astype(np.float32)

    def drifting(luma: Grey, start: Float) -> Float:
        return base + rng.normal(0, 0.53, (1, 2)).astype(np.float32)

    noise = landmarks_measure.still_noise(shaky, faces.pictures, faces.points, 2.0)
    assert noise["raw"] == pytest.approx(1.0, abs=0.1)
    assert noise["aligned"] == pytest.approx(1.0, abs=0.1)
    noise = landmarks_measure.still_noise(drifting, faces.pictures, faces.points, 2.0)
    assert noise["raw"] == pytest.approx(1.0, abs=0.5)
    assert noise["aligned"] < 0.01


def test_trust_tells_right_expectations_from_useless_ones() -> None:
    rng = np.random.default_rng(7)
    expected = np.exp(rng.normal(0.5, 0.6, (400, 68))).astype(np.float32)
    # distances under an isotropic Laplace density: gamma, shape 2, mean as expected
    found = (rng.gamma(2.0, 0.5, expected.shape) * expected).astype(np.float32)
    found[:7, :17] = np.nan
    right = landmarks_spread.trust(found, expected)
    assert right["mean_ratio"] == pytest.approx(1.0, abs=0.02)
    for share in right["within"].values():
        assert share["found"] == pytest.approx(share["implied"], abs=0.01)
    for tenth in right["by_tenth"]:
        assert tenth["found"] == pytest.approx(tenth["expected"], rel=0.05)
    assert right["rank_correlation"]["within each point"] > 0.4
    useless = landmarks_spread.trust(found, rng.permuted(expected))
    assert abs(useless["rank_correlation"]["points"]) < 0.05


def test_drawn_crops_hold_their_points() -> None:
    faces = _faces()
    crops = landmarks_crops.Crops(faces, faces.pictures, 1)
    rng = np.random.default_rng(8)
    drawn = [crops.draw(rng) for _ in range(200)]
    there = [item for item in drawn if item[3] == 1]
    assert 150 < len(there) < 200
    for crop, points, weight, _ in there:
        assert crop.shape == (SIZE, SIZE)
        assert crop.dtype == np.uint8
        assert (weight > 0).all()
        # upright or mirrored, the eyes stay left and right, and about in place
        assert points[36, 0] < points[45, 0]
        assert np.abs(points * SIZE - LANDMARK_CROP.place(MEAN_SHAPE)).mean() < 25
    for _, _, weight, _ in (item for item in drawn if item[3] == 0):
        assert not weight.any()


def test_clean_crops_show_the_same_spot_under_every_point() -> None:
    """Cutting and mirroring move picture and points together."""
    faces = _faces(1)
    label = faces.points[0]
    dots = np.zeros((140, 130), np.uint8)
    for x, y in label[[36, 45, 48]]:
        cv2.circle(dots, (round(float(x)), round(float(y))), 3, 255, -1)
    faces = Faces([dots], faces.points, faces.weight, faces.source, faces.yaw, faces.share)
    crops = landmarks_crops.Crops(faces, [dots], 1)
    rng = np.random.default_rng(9)
    hits = []
    for _ in range(150):
        crop, points, weight, _ = crops.draw(rng)
        if weight.any():
            # mirrored, point 48 is what was 54, where there is no dot
            x, y = (points[[36, 45]] * SIZE).round().astype(int).T
            inside = (x >= 0) & (x < SIZE) & (y >= 0) & (y < SIZE)
            hits += list(crop[y[inside], x[inside]] > np.median(crop))
    assert np.mean(hits) > 0.9
    assert sorted(FLIP[[36, 45]]) == [36, 45]


def test_back_undoes_the_crop() -> None:
    label = _faces(1).points[0]
    matrix = valid_crop(label, about_centre(9, 0.8, np.array([3, 1], np.float32)))
    np.testing.assert_allclose(back(matrix, apply(matrix, label)), label, atol=1e-3)


def test_exported_network_answers_as_the_trained_one() -> None:
    torch = pytest.importorskip("torch")
    from tools.train.landmarks_net import ExportNet, LandmarkNet

    torch.manual_seed(0)
    net = LandmarkNet().eval()
    x = torch.rand(1, 1, SIZE, SIZE)
    with torch.no_grad():
        for got, wanted in zip(ExportNet(net)(x), net(x), strict=True):
            torch.testing.assert_close(got, wanted)
    assert [tuple(t.shape) for t in net(x)] == [(1, 136), (1, 1), (1, 68)]


def test_the_best_spread_is_the_mean_distance_and_moves_no_point() -> None:
    torch = pytest.importorskip("torch")
    from tools.train.landmarks_net import distances, spread_loss

    target = torch.from_numpy(LANDMARK_CROP.place(MEAN_SHAPE) / SIZE)[None].repeat(64, 1, 1)
    torch.manual_seed(0)
    answer = (target + 0.01 * torch.randn(64, 68, 2)).flatten(1).requires_grad_()
    distance = distances(answer, target)
    weight = torch.ones(64, 68)
    mean = float(distance.detach().mean())
    trials = {
        factor: float(
            spread_loss(torch.full((64, 68), float(np.log(factor * mean))), distance, weight)
        )
        for factor in (0.5, 0.9, 1.0, 1.1, 2.0)
    }
    assert min(trials, key=trials.__getitem__) == 1.0
    spread = torch.full((64, 68), -3.0, requires_grad=True)
    spread_loss(spread, distance, weight).backward()
    assert answer.grad is None
    assert spread.grad is not None
