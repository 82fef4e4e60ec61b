"""Targets and variation of the expression training, on made-up votes and pictures."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.base.types import ACTION_UNITS
from tests.tools.packs import BLENDSHAPES
from tools.train.expression import answers, dlib_file
from tools.train.expression import data as expression_data


def _units(**shapes: int) -> dict[str, float]:
    row = np.array([[shapes.get(str(name), 0) for name in BLENDSHAPES]], np.uint8)
    return dict(zip(ACTION_UNITS, expression_data.action_units(row, BLENDSHAPES)[0], strict=True))


def test_left_and_right_are_averaged() -> None:
    units = _units(mouthSmileLeft=255, mouthSmileRight=51, eyeBlinkRight=102)
    assert units["AU12"] == pytest.approx(0.6)
    assert units["AU45"] == pytest.approx(0.2)
    assert sum(units.values()) == pytest.approx(0.8)


@pytest.mark.parametrize(
    "shapes",
    [
        {"jawOpen": 204},
        {"mouthLowerDownLeft": 204, "mouthLowerDownRight": 204},
        {"mouthUpperUpLeft": 204, "mouthUpperUpRight": 204},
    ],
)
def test_lips_part_by_jaw_or_either_lip(shapes: dict[str, int]) -> None:
    assert _units(**shapes)["AU25"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [([6, 2, 1, 0, 0, 0, 0, 0, 1, 0], [0.75, 0.25]),
     ([1, 1, 1, 1, 0, 0, 0, 0, 6, 0], [0.25, 0.25, 0.25, 0.25])],
)  # fmt: skip
def test_single_votes_and_unknown_take_no_part_unless_there_is_nothing_else(
    votes: list[int], expected: list[float]
) -> None:
    found = expression_data.soften(np.array([votes], np.uint8))[0]
    assert found == pytest.approx(expected + [0.0] * (8 - len(expected)))


@pytest.mark.parametrize("margin", [0, expression_data.MARGIN])
def test_views_keep_the_face_in_place_on_average(margin: int) -> None:
    """Also where there is more of the picture than is shown."""
    picture = np.zeros((48 + 2 * margin,) * 2, np.uint8)
    picture[margin + 20 : margin + 28, margin + 20 : margin + 28] = 200
    rng = np.random.default_rng(3)
    views = np.stack([expression_data.vary(picture, rng) for _ in range(600)]).astype(np.float32)
    views = np.maximum(views - np.median(views, (1, 2), keepdims=True), 0).mean(0)
    y, x = (np.mgrid[:48, :48] * views).sum((1, 2)) / views.sum()
    # uniform patches that hide a part are placed evenly, so they do not move the mean either
    assert (x, y) == pytest.approx((23.5, 23.5), abs=0.7)


def test_calm_views_stay_closer_to_the_picture() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (12, 12), dtype=np.uint8)
    picture = np.kron(picture, np.ones((4, 4), np.uint8))

    def spread(calm: bool) -> float:
        rng = np.random.default_rng(5)
        views = [expression_data.vary(picture, rng, calm) for _ in range(300)]
        same = np.minimum(
            [np.abs(view - picture.astype(float)).mean() for view in views],
            [np.abs(view[:, ::-1] - picture.astype(float)).mean() for view in views],
        )
        return float(np.median(same))

    assert spread(True) < 0.8 * spread(False)


def test_each_part_fills_its_share_of_a_batch() -> None:
    def faces(count: int, unit: float) -> expression_data.Faces:
        return expression_data.Faces(
            pictures=np.zeros((count, 48, 48), np.uint8),
            classes=np.full((count, 8), 1 / 8, np.float32),
            class_weight=np.ones(count, np.float32),
            units=np.full((count, 12), unit, np.float32),
            unit_weight=np.ones(count, np.float32),
        )

    source = expression_data.batches(
        [(faces(5, 0.0), 4), (faces(3, 1.0), 2)], np.random.default_rng()
    )
    for _ in range(4):
        batch = next(source)
        assert batch["pictures"].shape == (6, 1, 48, 48)
        assert batch["units"][:, 0].tolist() == [0, 0, 0, 0, 1, 1]


def _faces(count: int, labelled: int | None = None) -> expression_data.Faces:
    rng = np.random.default_rng(7)
    labelled = count if labelled is None else labelled
    return expression_data.Faces(
        pictures=rng.integers(0, 256, (count, 48, 48), dtype=np.uint8),
        classes=np.full((count, 8), 1 / 8, np.float32),
        class_weight=(np.arange(count) < labelled).astype(np.float32),
        units=np.zeros((count, 12), np.float32),
        unit_weight=np.ones(count, np.float32),
    )


def test_faces_are_drawn_by_their_share() -> None:
    faces = _faces(8)
    share = np.array([0, 0, 0, 0, 1, 1, 1, 5], np.float32)
    part = dataclasses.replace(faces, share=share, units=np.repeat(np.arange(8.0)[:, None], 12, 1))
    source = expression_data.batches([(part, 8)], np.random.default_rng(0))
    drawn = np.concatenate([next(source)["units"][:, 0] for _ in range(60)])
    assert drawn.min() == 4
    assert (drawn == 7).mean() == pytest.approx(5 / 8, abs=0.08)


def test_a_numbered_view_is_always_the_same() -> None:
    """Whatever was drawn before, OpenCV's own noise included."""
    picture = _faces(1).pictures[0]
    first = [expression_data.numbered(picture, 3, k) for k in range(40)]
    expression_data.vary(picture, np.random.default_rng(1))
    again = [expression_data.numbered(picture, 3, k) for k in range(40)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({view.tobytes() for view in first}) == 40
    assert not np.array_equal(first[1], expression_data.numbered(picture, 4, 1))


def test_answers_come_with_the_view_that_they_were_given_to() -> None:
    faces, views = _faces(3), 6
    given = np.zeros((3, views, 8), np.float32)
    given[..., 0] = np.arange(3)[:, None]
    given[..., 1] = np.arange(views)
    weight = np.array([0.1, 0.2, 0.3], np.float32)
    known = dataclasses.replace(faces, answers=given, answer_weight=weight)
    for calm in (False, True):
        source = expression_data.batches(
            [(known, 3)], np.random.default_rng(2), partial(bool, calm)
        )
        seen = set()
        for _ in range(12):
            batch = next(source)
            for row in range(3):
                face, view = batch["answers"][row, :2].astype(int)
                shown = np.rint(batch["pictures"][row, 0] * 255).astype(np.uint8)
                made = expression_data.numbered(faces.pictures[face], face, view)
                assert np.array_equal(shown, made) or np.array_equal(shown, made[:, ::-1])
                assert batch["answer_weight"][row] == weight[face]
                seen.add(view)
        assert seen == ({0, 3} if calm else set(range(views)))


def test_teachers_share_the_weight_of_labels_and_name_the_rest() -> None:
    faces = _faces(4, labelled=2)
    weighed = answers.weighed(faces, np.full((4, 5, 8), 1 / 8, np.float32))
    share = answers.SHARE
    assert weighed.class_weight == pytest.approx([1 - share, 1 - share, 0, 0])
    assert weighed.answer_weight == pytest.approx(
        [share, share, answers.UNLABELLED, answers.UNLABELLED]
    )


def test_answers_are_asked_for_once_and_more_views_may_follow(tmp_path: Path) -> None:
    faces = _faces(300)
    asked: list[NDArray[np.uint8]] = []

    def ask(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        asked.append(pictures)
        return pictures.reshape(len(pictures), 8, -1).mean(2, dtype=np.float32)

    two = answers.kept(tmp_path, 0, faces, 2, ask)
    assert sum(map(len, asked)) == 2 * 300
    three = answers.kept(tmp_path, 0, faces, 3, ask)
    assert sum(map(len, asked)) == 3 * 300
    assert np.array_equal(two, three[:, :2])
    view = expression_data.numbered(faces.pictures[299], 299, 2)
    expected = view.reshape(8, -1).mean(1)
    assert three[299, 2].astype(np.float32) == pytest.approx(expected, rel=1e-3)
    answers.kept(tmp_path, 1, faces, 1, ask)
    assert sum(map(len, asked)) == 4 * 300, "another part has other faces"


def test_answers_are_softened_at_the_temperature() -> None:
    logits = np.array([[4.0, 0.0, *[-99.0] * 6]], np.float16)
    ratio = np.exp(4.0 / answers.TEMPERATURE)
    found = answers.soften(logits)[0, :2]
    assert found == pytest.approx([ratio / (1 + ratio), 1 / (1 + ratio)], abs=1e-4)


def _dlib_layer(name: bytes, numbers: NDArray[np.float32]) -> bytes:
    """As dlib serialises a layer's name and the tensor of its parameters."""
    count = len(numbers)
    length = (count.bit_length() + 7) // 8
    sizes = b"\x01\x02" + bytes([length]) + count.to_bytes(length, "little") + b"\x01\x01" * 3
    return name + sizes + numbers.astype("<f4").tobytes() + b"relu_110"


def test_layers_of_a_dlib_file_are_read_in_order() -> None:
    rng = np.random.default_rng(6)
    made = [
        tuple(rng.normal(size=count).astype(np.float32) for count in counts)
        for counts in ((4736, 64), (300, 12), (3, 2))
    ]
    content = b"\x01\x04loss_metric_2" + b"".join(
        _dlib_layer(b"con_4", kernel) + _dlib_layer(b"affine_", scale) for kernel, scale in made
    )
    found = list(dlib_file.layers(content + b"avg_pool_2 fc_2"))
    assert len(found) == 3
    for (kernel, scale), (expected, gain) in zip(found, made, strict=True):
        assert np.array_equal(kernel, expected)
        assert np.array_equal(scale, gain)
    with pytest.raises(ValueError, match="ends within"):
        list(dlib_file.layers(content[:-12]))
    with pytest.raises(ValueError, match="no affine"):
        list(dlib_file.layers(content[: content.rindex(b"affine_")]))


def test_the_second_teacher_s_units_are_unknown_where_it_is_doubtful(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLEETING_PACKS", str(tmp_path))
    np.savez(tmp_path / "faces.npz", nothing=np.zeros(1))
    rows = np.array([3, 0, 1, 2])
    assert expression_data.other_units(rows) is None
    names = [*expression_data.OTHER_UNITS[:10], "AU15", *expression_data.OTHER_UNITS[10:]]
    au = np.tile(np.arange(17, dtype=np.float16) / 4, (4, 1)) + np.arange(4)[:, None] / 10
    np.savez(
        tmp_path / "au_labels.npz",
        names=np.array(names),
        au=au.astype(np.float16),
        disagreement=np.array([0.02, 0.2, 0.03, 0.1], np.float16),
    )
    pose = np.zeros((4, 3), np.float16)
    pose[2, 0] = -50
    np.savez(tmp_path / "faces_labels.npz", pose_yaw_pitch_roll=pose)
    units = expression_data.other_units(rows)
    assert units is not None
    assert np.isnan(units).all(1).tolist() == [False, False, True, True]
    expected = (np.delete(np.arange(17), 10) / 4 + 0.3) / 5
    assert units[0] == pytest.approx(expected, abs=2e-3)


def test_a_scene_goes_on_around_a_tight_face() -> None:
    face = np.random.default_rng(2).integers(0, 100, (40, 30), dtype=np.uint8)
    plain = expression_data.surrounded(face, 12, None)
    assert np.array_equal(plain, np.pad(face, 12, mode="reflect"))
    wide = expression_data.surrounded(face, 12, np.full((90, 200), 250, np.uint8))
    assert wide.shape == plain.shape == (64, 54)
    assert np.array_equal(wide[16:-16, 16:-16], face[4:-4, 4:-4])
    wide[12:-12, 12:-12] = 250
    assert (wide == 250).all()
