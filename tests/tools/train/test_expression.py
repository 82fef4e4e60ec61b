"""Targets and variation of the expression training, on made-up votes and pictures."""

from __future__ import annotations

import numpy as np
import pytest

from agent.base.types import ACTION_UNITS
from tests.tools.packs import BLENDSHAPES
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
