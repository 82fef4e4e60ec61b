"""The detector's training pictures, their labels, and which cell learns which face."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.vision.faces.align import MEAN_SHAPE
from agent.vision.faces.detect import STRIDES
from tools.train.detector.assignment import LEVELS, REACH, assign, shares
from tools.train.detector.camera import degrade
from tools.train.detector.labels import HEIGHT, WIDTH, Labels, clip, join, move, nothing
from tools.train.detector.paint import Painter
from tools.train.detector.paste import draw_oval, face_box, hide, paste_face, placing
from tools.train.detector.sources import Sources

Floats = NDArray[np.float32]


def boxes(*rows: tuple[float, float, float, float]) -> Floats:
    return np.array(rows, np.float32).reshape(-1, 4)


def labels(box: Floats) -> Labels:
    five = np.repeat(((box[:, :2] + box[:, 2:]) / 2)[:, None], 5, 1)
    return Labels(box, five.astype(np.float32), np.zeros(len(box), bool))


def sources() -> Sources:
    """A scene of one white square on grey, one bright face, dark backgrounds."""
    scene = np.full((240, 320), 90, np.uint8)
    scene[100:140, 60:100] = 255
    points = (MEAN_SHAPE * 60 + [72, 60]).astype(np.float32)
    return Sources(
        [scene],
        [labels(boxes((59.5, 99.5, 99.5, 139.5)))],
        np.ones(1, np.float32),
        [np.full((144, 144), 250, np.uint8)],
        points[None],
        np.ones(1, np.float32),
        np.zeros(1, bool),
        [np.full((200, 200), 20, np.uint8), np.full((120, 300), 40, np.uint8)],
    )


@pytest.mark.parametrize("view", ["_scene_view", "_close_up"])
def test_labels_follow_the_face_through_every_view(view: str) -> None:
    """The white square, wherever it lands, fills its box."""
    painter, seen = Painter(1, sources()), 0
    for _ in range(60):
        picture, faces = getattr(painter, view)(WIDTH, HEIGHT)
        rows, columns = np.nonzero(picture > 200)
        if not len(faces.box) or faces.ignore[0] or len(rows) < 60:
            continue
        seen += 1
        middle = np.array([columns.mean(), rows.mean()])
        np.testing.assert_allclose((faces.box[0, :2] + faces.box[0, 2:]) / 2, middle, atol=2.5)
        area = float((faces.box[0, 2:] - faces.box[0, :2]).prod())
        assert area == pytest.approx(len(rows), rel=0.3)
    assert seen > 20


def test_drawn_pictures_have_labels_inside_them_and_repeat_with_the_seed() -> None:
    painter = Painter(4, sources())
    drawn = [painter() for _ in range(40)]
    painter = Painter(4, sources())
    for picture, faces in drawn:
        again, same = painter()
        assert picture.shape == (HEIGHT, WIDTH)
        assert picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, again)
        np.testing.assert_array_equal(faces.box, same.box)
        assert len(faces.box) == len(faces.five) == len(faces.ignore)
        assert (faces.box[:, :2] <= faces.box[:, 2:]).all()
        assert ((faces.box >= 0) & (faces.box <= [WIDTH, HEIGHT, WIDTH, HEIGHT])).all()
    kinds = {len(faces.box) for _, faces in drawn}
    assert {0, 1} < kinds  # pictures with none, one and several faces


def test_a_pasted_face_lies_where_its_label_says() -> None:
    s, canvas = sources(), np.full((HEIGHT, WIDTH), 20, np.uint8)
    middle = np.array([150.0, 120.0])
    box = face_box(s.face_points[0])
    rng = np.random.default_rng(2)
    after = paste_face(
        canvas, nothing(), s.faces[0], s.face_points[0], box, False, middle, 50.0, 0.0, rng
    )
    x1, y1, x2, y2 = after.box[0].astype(int)
    assert y2 - y1 == pytest.approx(50, abs=6)
    np.testing.assert_allclose([(x1 + x2) / 2, (y1 + y2) / 2], middle, atol=2)
    assert (canvas[y1 + 8 : y2 - 8, x1 + 8 : x2 - 8] > 240).all()
    assert (canvas[:60] == 20).all()
    assert ((after.five[0] > [x1, y1]) & (after.five[0] < [x2, y2])).all()


def test_what_is_painted_over_is_ignored_then_forgotten() -> None:
    faces = labels(boxes((10, 10, 50, 50), (100, 10, 140, 50), (200, 10, 240, 50)))
    after = hide(faces, np.array([90, 0, 120, 60], np.float32))  # half of the second
    assert list(after.ignore) == [False, True, False]
    after = hide(after, np.array([190, 0, 250, 60], np.float32))  # all of the third
    assert list(after.ignore) == [False, True]
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    behind, rng = labels(boxes((40, 40, 60, 60))), np.random.default_rng(1)
    assert not len(draw_oval(canvas, behind, np.full(2, 50.0), 80, rng).box)


def test_moving_turning_and_cutting_boxes() -> None:
    face = labels(boxes((10, 20, 30, 60)))
    shifted = move(face, placing(2.0, 0.0, np.array([20, 40]), np.array([100, 100]), False), False)
    np.testing.assert_allclose(shifted.box, [[80, 60, 120, 140]], atol=1e-4)
    mirrored = move(face, placing(1.0, 0.0, np.zeros(2), np.array([99, 0]), True), True)
    np.testing.assert_allclose(mirrored.box, [[69, 20, 89, 60]], atol=1e-4)
    cut = clip(join([face, labels(boxes((-90, 20, 5, 60)))]), 0, 0, 319, 255)
    np.testing.assert_allclose(cut.box, [[10, 20, 30, 60]])  # hardly anything left of the other
    half = clip(labels(boxes((-30, 20, 10, 60))), 0, 0, 319, 255)
    assert half.ignore.all()


def test_the_camera_keeps_size_and_kind() -> None:
    rng = np.random.default_rng(5)
    picture = np.linspace(0, 255, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint8)
    changed = 0
    for _ in range(60):
        out = degrade(picture, rng)
        assert out.shape == picture.shape
        assert out.dtype == np.uint8
        changed += bool((out != picture).any())
        # brighter below stays brighter below: nothing is turned or inverted
        assert out[-40:].mean() > out[:40].mean() + 20
    assert 25 < changed < 60


def test_cells_are_assigned_as_the_definition_says() -> None:
    """Against the definition written out cell by cell."""
    rows = [np.indices((HEIGHT // s, WIDTH // s)).reshape(2, -1) for s in STRIDES]
    centres = np.concatenate(
        [(k[::-1].T + 0.5) * s - 0.5 for k, s in zip(rows, STRIDES, strict=True)]
    )
    strides = np.repeat(STRIDES, [k.shape[1] for k in rows])
    level = np.searchsorted(STRIDES, strides)
    painter = Painter(6, sources())
    for _ in range(10):
        _, faces = painter()
        owner, counts = assign(faces)
        for cell in np.random.default_rng(0).integers(0, len(centres), 200):
            best, best_size, ignored = -1, np.inf, False
            for k, (box, skip) in enumerate(zip(faces.box, faces.ignore, strict=True)):
                side = box[2:] - box[:2]
                away = np.abs(centres[cell] - (box[:2] + box[2:]) / 2)
                if skip:
                    ignored |= bool((away < side / 2 + 1).all())
                    continue
                size, s = float(np.sqrt(side.prod())), strides[cell]
                low, high = LEVELS[level[cell]]
                near = (away < np.clip(REACH * side, 0.6 * s, 1.5 * s)).all()
                if near and low <= size < high and size < best_size:
                    best, best_size = k, size
            assert owner[cell] == best
            assert counts[cell] == (best >= 0 or not ignored)


def test_a_large_face_does_not_outweigh_a_small_one_by_its_cells() -> None:
    owner, _ = assign(labels(boxes((6.5, 6.5, 16.5, 16.5), (100, 60, 160, 130))))
    weight = shares(owner)
    small, large = weight[owner == 0], weight[owner == 1]
    assert len(large) > 3 * len(small) > 0
    assert large.sum() == pytest.approx(np.sqrt(len(large)))
    assert small.sum() == pytest.approx(np.sqrt(len(small)))
    assert not weight[owner < 0].any()


def test_confidence_travels_with_its_face() -> None:
    both = labels(boxes((10, 10, 50, 50), (100, 10, 140, 50)))
    assert list(both.confidence) == [1.0, 1.0]
    sure = Labels(both.box, both.five, both.ignore, np.array([0.7, 0.9], np.float32))
    turned = move(sure, placing(1.0, 0.0, np.zeros(2), np.array([30, 0]), False), False)
    cut = clip(join([nothing(), turned]), 100, 0, 319, 255)
    assert list(cut.confidence) == [np.float32(0.9)]
    assert list(hide(sure, np.array([5, 5, 60, 60], np.float32)).confidence) == [np.float32(0.9)]


def test_backgrounds_are_drawn_by_their_weight() -> None:
    s = sources()
    heavy = Sources(
        s.scenes,
        s.scene_labels,
        s.scene_weights,
        s.faces,
        s.face_points,
        s.face_weights,
        s.face_tight,
        s.backgrounds,
        np.array([0.0, 1.0], np.float32),
    )
    painter = Painter(3, heavy)
    assert {int(painter._negative_view(WIDTH, HEIGHT).max()) for _ in range(20)} == {40}
