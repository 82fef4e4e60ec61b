"""Labels blended from three teachers: made-up teachers whose errors are known."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from agent.vision.faces.align import FLIP, MEAN_SHAPE, apply
from tools.train.landmarks import labels, teachers

COUNT = 300
EVERY = np.ones(COUNT, np.bool_)
EYES = slice(36, 48)


class _Made:
    """Truth and teachers' points float64[N, 68, 2], picture pixels, with pose."""

    def __init__(self, chance: tuple[float, float, float], seed: int = 4) -> None:
        rng = np.random.default_rng(seed)
        shape = np.concatenate([MEAN_SHAPE[:17].astype(np.float64), labels.hand_made()])
        self.truth = np.empty((COUNT, 68, 2))
        self.votes = [np.empty((COUNT, 68, 2)) for _ in chance]
        self.pose = np.stack([rng.uniform(-30, 30, COUNT), rng.normal(0, 8, COUNT)], 1)
        for i in range(COUNT):
            size, angle = rng.uniform(20, 80), rng.uniform(-0.6, 0.6)
            c, s = size * np.cos(angle), size * np.sin(angle)
            turn = np.array([[c, -s], [s, c]])
            place = rng.uniform(50, 100, 2)
            face = shape + rng.normal(0, 0.01, shape.shape)
            self.truth[i] = face @ turn.T + place
            for k, deviation in enumerate(chance):
                seen = face + self.habit(k, self.pose[i, 0])
                self.votes[k][i] = (seen + rng.normal(0, deviation, seen.shape)) @ turn.T + place

    @staticmethod
    def habit(teacher: int, yaw: float) -> NDArray[Any]:
        """The first two place brows, noses and the mouth's corners elsewhere, some by yaw."""
        offset = np.zeros((68, 2))
        if teacher < 2:
            offset[[19, 24], 0] = -0.06, 0.06
            offset[33, 1] = 0.04 - 0.02 * teacher
            offset[[48, 54], 0] = 0.05 * yaw / 30
        return offset


def _distance(points: NDArray[Any], truth: labels.Array) -> labels.Array:
    iod = np.linalg.norm(truth[:, 45] - truth[:, 36], axis=-1)[:, None]
    return np.asarray(np.linalg.norm(points - truth, axis=-1) / iod)


def test_chance_errors_of_three_are_averaged() -> None:
    made = _Made((0.02, 0.02, 0.02))
    points = labels.blend(made.votes, EVERY, made.pose).points
    before, after = (_distance(p, made.truth)[:, EYES].mean() for p in (made.votes[0], points))
    assert after / before == pytest.approx(1 / np.sqrt(3), abs=0.05)


def test_the_surer_teacher_counts_more() -> None:
    made = _Made((0.02, 0.02, 0.006))
    apart = np.stack([vote - made.truth for vote in made.votes]) / 50
    share = labels.shares(apart)
    np.testing.assert_allclose(share.sum(0), 1)
    assert share[2, 17:].mean() > 0.6
    assert share[:, 17:].min() >= labels.LEAST_SHARE / 1.5
    assert np.abs(share[0, 17:] - share[1, 17:]).mean() < 0.05
    points = labels.blend(made.votes, EVERY, made.pose).points
    plain = np.mean(made.votes, 0)
    better, worse = (_distance(p, made.truth)[:, EYES].mean() for p in (points, plain))
    assert better < 0.8 * worse


def test_habits_are_undone_as_far_as_points_can_be_pointed_at() -> None:
    made = _Made((0.002, 0.002, 0.002))
    after = _distance(labels.blend(made.votes, EVERY, made.pose).points, made.truth)
    for point, size, share in ((19, 0.06, 0.5), (24, 0.06, 0.5), (33, 0.04, 0.2)):
        assert _distance(made.votes[0], made.truth)[:, point].mean() == pytest.approx(size, rel=0.1)
        assert after[:, point].mean() == pytest.approx(share * size, abs=0.006)
    # what depends on the pose: no constant offset could undo it
    before = _distance(made.votes[0], made.truth)
    assert after[:, [48, 54]].mean() < 0.35 * before[:, [48, 54]].mean()


def test_a_teacher_gone_astray_moves_no_label_far_and_costs_trust() -> None:
    made = _Made((0.004, 0.004, 0.004))
    calm = labels.blend(made.votes, EVERY, made.pose)
    made.votes[1][5] += 500.0
    astray = labels.blend(made.votes, EVERY, made.pose)
    iod = np.linalg.norm(made.truth[5, 45] - made.truth[5, 36])
    moved = np.linalg.norm(astray.points[5] - calm.points[5], axis=-1) / iod
    assert moved[17:].max() < 0.02
    assert (astray.trust[5] == 0).all()
    assert calm.trust[5, 17:].min() > 0.9
    np.testing.assert_allclose(np.delete(astray.points, 5, 0), np.delete(calm.points, 5, 0), atol=1)


def test_mirrored_faces_get_mirrored_labels() -> None:
    made = _Made((0.01, 0.01, 0.01))

    def mirror(points: labels.Array) -> labels.Array:
        return (points * [-1, 1] + [200, 0])[:, FLIP]

    blended = labels.blend(made.votes, EVERY, made.pose).points
    flipped = labels.blend([mirror(v) for v in made.votes], EVERY, made.pose * [-1, 1]).points
    np.testing.assert_allclose(mirror(blended.astype(np.float64)), flipped, atol=0.2)


def test_convention_ignores_proportions() -> None:
    target = labels.hand_made()
    longer = target * [0.97, 1.08] + [0.0, 0.02]
    assert np.abs(labels.convention(longer, target)).max() < 1e-9
    longer[33 - 17, 1] += 0.05
    away = labels.convention(longer, target)
    assert away[33 - 17, 1] == pytest.approx(-0.05, abs=0.01)
    assert np.abs(np.delete(away, 33 - 17, 0)).max() < 0.01


def test_mean_of_a_picture_and_its_mirror_image_has_no_sided_habit() -> None:
    seen: list[Grey] = []

    def ask(picture: Grey, points: Float) -> Float:
        seen.append(picture)
        return points + np.array([3, 2], np.float32)

    picture = np.arange(200, dtype=np.uint8).reshape(10, 20)
    points = np.random.default_rng(0).uniform(0, 19, (68, 2)).astype(np.float32)
    np.testing.assert_allclose(
        teachers.both_ways(ask)(picture, points), points + np.array([0, 2], np.float32), atol=1e-4
    )
    np.testing.assert_array_equal(seen[0], seen[1][:, ::-1])


def test_the_trees_look_where_the_face_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A stand-in for dlib answers in crop pixels; the crop must be upright and the box in it."""
    boxes: list[tuple[int, ...]] = []
    target = teachers.TREE_CROP.place(MEAN_SHAPE)

    def predict(crop: Grey, box: tuple[int, ...]) -> Any:
        boxes.append(box)
        assert crop.shape == (224, 224)
        parts = [SimpleNamespace(x=x, y=y) for x, y in target]
        return SimpleNamespace(parts=lambda: parts)

    fake = SimpleNamespace(shape_predictor=lambda path: predict, rectangle=lambda *edges: edges)
    package = tmp_path / "face_recognition_models" / "__init__.py"
    package.parent.mkdir()
    package.write_text("raise RuntimeError('must not run')\n")
    monkeypatch.setitem(sys.modules, "dlib", fake)
    monkeypatch.syspath_prepend(str(tmp_path))
    turned = apply(np.array([[40, -20, 80], [20, 40, 70]], np.float32), MEAN_SHAPE)
    found = teachers._trees()(np.zeros((150, 160), np.uint8), turned)
    np.testing.assert_allclose(found, turned, atol=0.05)
    x0, y0, x1, y1 = boxes[0]
    assert x1 - x0 == pytest.approx(1.545 * 80, abs=1)
    assert (x0 + x1) / 2 == pytest.approx(111.5, abs=1)
    assert y0 < target[17:, 1].min() < target[:, 1].max() < y1 + 15


def test_without_the_third_teacher_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(SystemExit, match="pip install dlib-bin"):
        teachers._trees()
