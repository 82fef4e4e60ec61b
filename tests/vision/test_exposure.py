"""Exposure of a picture, and the levels that show more of it."""

from __future__ import annotations

import numpy as np
import pytest

from agent.base.types import Grey
from agent.vision.exposure import adjusted, exposure, levels


def scene(
    darkest: float = 0.0, brightest: float = 255.0, size: tuple[int, int] = (480, 640)
) -> Grey:
    """Every grey level between two, evenly; what is beyond the range is clipped."""
    ramp = np.linspace(darkest, brightest, size[0] * size[1]).reshape(size)
    shuffled = np.random.default_rng(1).permutation(ramp.ravel()).reshape(size)
    return np.clip(shuffled, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("picture", "state"),
    [
        (scene(), "good"),
        (scene(0, 64), "good"),
        (scene(0, 40), "dark"),
        (scene(0, 3), "dark"),
        (scene(0, 0), "dark"),
        (scene(0, 255, (0, 0)), "dark"),
        (scene(60, 300), "good"),
        (scene(120, 480), "over"),
        (np.minimum(scene(120, 480), 235), "over"),  # white of limited range
        (scene(300, 300), "over"),
        (scene(100, 130), "flat"),
        (scene(128, 128), "flat"),
    ],
)
def test_each_kind_is_named(picture: Grey, state: str) -> None:
    assert exposure(picture).state == state
    assert levels(picture)[0] == exposure(picture)


@pytest.mark.parametrize("size", [(1, 8000), (8000, 1), (2, 2), (2160, 3840)])
def test_any_size_is_judged_alike(size: tuple[int, int]) -> None:
    dark = exposure(scene(0, 40, size))
    assert dark.state == "dark"
    assert dark.high == pytest.approx(40, abs=3) or size == (2, 2)


def test_a_window_or_a_lamp_does_not_make_a_dark_room_bright() -> None:
    room = scene(0, 30)
    room[:20] = 255
    assert exposure(room).state == "dark"


@pytest.mark.parametrize("picture", [scene(0, 30), scene(100, 130), scene(150, 480)])
def test_levels_use_the_whole_range_in_order(picture: Grey) -> None:
    found, table = levels(picture)
    assert found.state != "good"
    assert table is not None
    assert (np.diff(table.astype(int)) >= 0).all()
    better = adjusted(picture, table)
    assert exposure(better).high - exposure(better).low >= 240


def test_a_good_picture_and_one_that_shows_nothing_stay_as_they_are() -> None:
    for picture in (scene(), scene(0, 0), scene(128, 128), scene(300, 300)):
        _, table = levels(picture)
        assert table is None
        assert adjusted(picture, table) is picture
