"""What two teachers say about a picture, and the labels that follow from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.train.detector import mine, relabel
from tools.train.detector.consensus import (
    LARGE,
    NEW_SURE,
    SURE,
    WEAK,
    Agreed,
    agreed,
    as_drawn,
    habit,
    merged,
    relabelled,
    trust,
)
from tools.train.detector.labels import Labels
from tools.train.detector.teachers import Vote, centerface, mirrored, scrfd

Floats = NDArray[np.float32]


def boxes(*rows: tuple[float, float, float, float]) -> Floats:
    return np.array(rows, np.float32).reshape(-1, 4)


def vote(box: Floats, *score: float) -> Vote:
    five = np.repeat(((box[:, :2] + box[:, 2:]) / 2)[:, None], 5, 1).astype(np.float32)
    return Vote(box, np.array(score, np.float32), five)


def labels(box: Floats, *ignore: bool) -> Labels:
    return Labels(box, np.full((len(box), 5, 2), np.nan, np.float32), np.array(ignore, bool))


def test_scrfd_is_decoded_from_its_anchors() -> None:
    """One cell of stride 16 fires; the picture of 320x160 is fed at twice its size."""
    fed: list[Floats] = []

    def network(tensor: Floats) -> list[Floats]:
        fed.append(tensor)
        counts = [2 * (640 // s) ** 2 for s in (8, 16, 32)]
        out = [np.zeros((1, n, c), np.float32) for c in (1, 4, 10) for n in counts]
        cell = 2 * (10 * 40 + 5)  # row 10, column 5: corner at (80, 160)
        out[1][0, cell] = 0.8
        out[4][0, cell] = [2, 1, 2, 3]  # strides to the left, top, right, bottom
        out[7][0, cell, :2] = [-1, 0.5]
        return out

    answer = scrfd(network)(np.full((160, 320), 255, np.uint8))
    np.testing.assert_allclose(answer.box, [[24, 72, 56, 104]], atol=1e-4)
    np.testing.assert_allclose(answer.five[0, 0], [32, 84], atol=1e-4)
    assert answer.score.tolist() == [pytest.approx(0.8)]
    assert fed[0].shape == (1, 3, 640, 640)
    assert fed[0][0, 0, :320].min() == pytest.approx(127.5 / 128)  # the picture, then black
    assert fed[0][0, 0, 320:].max() == pytest.approx(-127.5 / 128)


def test_centerface_is_decoded_from_its_maps() -> None:
    def network(tensor: Floats) -> list[Floats]:
        rows, columns = tensor.shape[2] // 4, tensor.shape[3] // 4
        heat, size, offset = (np.zeros((1, c, rows, columns), np.float32) for c in (1, 2, 2))
        points = np.zeros((1, 10, rows, columns), np.float32)
        heat[0, 0, 30, 60] = 0.6
        size[0, :, 30, 60] = np.log([20, 10])  # cells: height, width
        offset[0, :, 30, 60] = [0.5, 0.0]
        points[0, :2, 30, 60] = [0.5, 0.25]  # shares of height, width
        return [heat, size, offset, points]

    answer = centerface(network)(np.zeros((240, 480), np.uint8))
    # centre (60.5, 31) cells of 4 px at twice the size: (121, 62); 20 x 40
    np.testing.assert_allclose(answer.box, [[111, 42, 131, 82]], atol=1e-3)
    np.testing.assert_allclose(answer.five[0, 0], [116, 62], atol=1e-3)


def test_the_mirrored_answer_is_turned_back() -> None:
    picture = np.zeros((40, 100), np.uint8)
    picture[10:20, 70:80] = 255

    def find(luma: NDArray[np.uint8]) -> Vote:
        y, x = np.nonzero(luma)
        one = vote(boxes((x.min(), y.min(), x.max(), y.max())), 0.9)
        one.five[0, 0], one.five[0, 1] = [x.min(), y.min()], [x.max(), y.min()]
        return one

    there, back = find(picture), mirrored(find)(picture)
    np.testing.assert_array_equal(back.box, there.box)
    np.testing.assert_array_equal(back.five, there.five)


def test_what_only_one_view_shows_counts_half() -> None:
    both = merged(
        [
            vote(boxes((0, 0, 20, 20), (50, 50, 70, 70)), 0.8, 0.6),
            vote(boxes((1, 0, 21, 20)), 0.4),
        ]
    )
    order = np.argsort(-both.score)
    np.testing.assert_allclose(both.score[order], [0.6, 0.3])
    np.testing.assert_allclose(both.box[order[0]], [1 / 3, 0, 20 + 1 / 3, 20], atol=1e-5)


def test_two_teachers_agree_only_where_both_are_sure() -> None:
    first = vote(boxes((0, 0, 20, 20), (40, 0, 60, 20), (80, 0, 100, 20)), 0.9, SURE - 0.02, 0.9)
    second = vote(boxes((0, 2, 20, 22), (40, 0, 60, 20)), 0.4, 0.9)
    found = agreed(first, second)
    np.testing.assert_allclose(found.box, [[0, 1, 20, 21]])
    assert found.score[0] == pytest.approx(0.6)
    assert sorted(found.single[:, 0].tolist()) == [40.0, 40.0, 80.0]


def agreement(box: Floats, *score: float, single: Floats | None = None) -> Agreed:
    one = vote(box, *score)
    return Agreed(one.box, one.five, one.score, boxes() if single is None else single)


def test_people_are_believed_and_machines_need_the_teachers() -> None:
    old = labels(
        boxes((0, 0, 20, 20), (40, 0, 60, 20), (80, 0, 100, 20), (120, 0, 140, 20)),
        *(False, False, True, False),
    )
    drawn = np.array([True, False, False, False])
    found = agreement(boxes((41, 0, 61, 20), (81, 0, 101, 20)), 0.9, 0.5)
    new = relabelled(old, drawn, found)
    assert new.ignore.tolist() == [False, False, False, True]
    np.testing.assert_array_equal(new.box[0], old.box[0])
    np.testing.assert_allclose(new.box[1], [40 + 2 / 3, 0, 60 + 2 / 3, 20], atol=1e-4)
    np.testing.assert_allclose(new.box[2], [81, 0, 101, 20])  # the doubtful place is not averaged
    assert new.confidence[0] == 1.0
    assert (
        new.confidence[1]
        > new.confidence[2]
        == pytest.approx(trust(np.full(1, 0.5, np.float32))[0])
    )
    assert np.isfinite(new.five[1]).all()
    one_vote = relabelled(old, drawn, agreement(boxes(), single=boxes((120, 1, 140, 21))))
    assert one_vote.ignore.tolist() == [False, True, True, False]
    assert one_vote.confidence[3] == np.float32(WEAK)


def test_a_large_label_stands_by_itself() -> None:
    box = boxes((0, 0, LARGE, LARGE), (200, 0, 200 + LARGE, LARGE), (90, 0, 110, 20))
    old = labels(box, False, True, False)
    new = relabelled(old, np.zeros(3, bool), agreement(boxes()))
    assert new.ignore.tolist() == [False, True, True]
    assert new.confidence[0] == 1.0


def test_new_faces_need_more_and_single_votes_are_left_out() -> None:
    old, drawn = labels(boxes((0, 0, 20, 20)), False), np.array([True])
    found = agreement(
        boxes((40, 0, 60, 20), (80, 0, 100, 20)),
        *(NEW_SURE + 0.1, NEW_SURE - 0.1),
        single=boxes((120, 0, 140, 20), (1, 0, 21, 20)),
    )
    new = relabelled(old, drawn, found)
    assert new.ignore.tolist() == [False, False, True, True]  # the last is the labelled face
    np.testing.assert_array_equal(new.box[1:3], found.box)


def test_where_people_deleted_animals_nothing_comes_back() -> None:
    old, drawn = labels(boxes((0, 0, 40, 40)), True), np.array([False])
    found = agreement(
        boxes((0, 0, 40, 40), (100, 0, 140, 40), (200, 0, 210, 10)),
        *(0.9, 0.9, 0.9),
        single=boxes((300, 0, 340, 40)),
    )
    new = relabelled(old, drawn, found, reviewed=True)
    assert new.ignore.tolist() == [True, True]  # a doubtful label, and what is too small to judge
    np.testing.assert_array_equal(new.box[1], [200, 0, 210, 10])


def test_how_people_draw_is_learnt_and_applied() -> None:
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 300, (80, 2))
    side = rng.uniform(20, 60, (80, 1)) * [1.0, 1.2]
    machine = np.concatenate([corner, corner + side], 1).astype(np.float32)
    drawn = machine.copy()
    drawn[:, 1] += 0.2 * side[:, 1]  # people begin lower
    pictures = [(drawn[k : k + 1], agreement(machine[k : k + 1], 0.9)) for k in range(len(machine))]
    edges = habit(pictures)
    np.testing.assert_allclose(edges, [0, 0.2, 0, 0], atol=1e-3)
    np.testing.assert_allclose(as_drawn(pictures[0][1], edges).box, drawn[:1], atol=0.1)
    assert not habit(pictures[:10]).any()  # too few to tell


def test_votes_are_kept_and_only_missing_ones_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "votes.npz"
    pack = {"jpeg": np.zeros(0, np.uint8), "off": np.zeros(4, np.int64)}
    monkeypatch.setattr(relabel, "load", lambda name: pack)
    monkeypatch.setattr(relabel, "decode", lambda *given: np.full((10, 10), given[2], np.uint8))
    asked: list[int] = []

    def teacher(picture: NDArray[np.uint8]) -> Vote:
        asked.append(int(picture[0, 0]))
        n = asked[-1]
        return vote(np.full((n, 4), n, np.float32), *[0.5] * n)

    relabel.ask([teacher], [(0, 0), (2, 0)], path)
    votes = relabel.ask([teacher], [(0, 0), (2, 0), (1, 0)], path)
    assert asked == [0, 2, 1]
    kept = relabel.read(path)
    assert list(kept) == list(votes) == [(0, 0), (2, 0), (1, 0)]
    assert [len(kept[n, 0].box) for n in (0, 1, 2)] == [0, 1, 2]
    np.testing.assert_array_equal(kept[2, 0].box, votes[2, 0].box)
    assert relabel.seen(kept, 0) is None  # the second teacher was not asked


def test_windows_stay_clear_of_labels_also_of_doubtful_ones() -> None:
    faces = labels(boxes((100, 100, 140, 150), (300, 20, 320, 40)), False, True)
    rng = np.random.default_rng(4)
    found = [place for _ in range(30) for place in mine.windows(rng, (300, 400), faces)]
    assert len(found) > 20
    for x0, y0, x1, y1 in found:
        assert 0 <= x0 < x1 <= 400
        assert 0 <= y0 < y1 <= 300
        for a, b, c, d in faces.box:
            assert x1 <= a or x0 >= c or y1 <= b or y0 >= d
