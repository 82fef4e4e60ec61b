"""Several looks at one picture: what is looked at, and that all answers meet in one place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from agent.base.types import Float, Grey
from agent.vision.faces.detect import FaceDetector
from agent.vision.faces.looks import LOWEST, Looks, views_of
from tests.vision.faces.test_detect import FindsWhite, blank, put


def _looks(network: object, **options: int) -> Looks:
    return Looks(FaceDetector(network, LOWEST), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "most", "tiles"),
    [
        ((360, 480), None, 1 + 4 + 9),
        ((256, 320), None, 1 + 4 + 9),
        ((1200, 1600), None, 1 + 4 + 9 + 16),
        ((32, 32), None, 1),
        ((360, 480), 0, 1),
        ((360, 480), 2, 1 + 4),
        ((90, 120), None, 1 + 4 + 9),
    ],
)
def test_every_view_but_the_smallest_tiles_is_taken_mirrored_as_well(
    shape: tuple[int, int], most: int | None, tiles: int
) -> None:
    views = views_of(shape, most)
    twice = 1 + min(tiles, 1 + 4 + 9)
    assert len(views) == twice + 1 + tiles
    assert sum(view.mirrored for view in views) == twice
    x0, y0, x1, y1 = views[0].rectangle
    assert max(x0, y0) < 0, "one is from further away"
    assert x1 > shape[1]
    assert y1 > shape[0]


@pytest.mark.parametrize("shape", [(360, 480), (480, 360), (720, 1280), (2400, 3200), (200, 210)])
def test_a_face_is_found_once_where_it_is(shape: tuple[int, int]) -> None:
    """Whatever the size and format; large pictures are shrunk first."""
    height, width = shape
    luma = np.zeros(shape, np.uint8)
    x0, x1, y0, y1 = int(width * 0.4), int(width * 0.5), int(height * 0.3), int(height * 0.45)
    luma[y0:y1, x0:x1] = 255
    found = _looks(FindsWhite())(luma)
    assert len(found.boxes) == 1
    wanted = np.array([x0, y0, x1, y1], np.float32) - 0.5
    np.testing.assert_allclose(found.boxes[0], wanted, atol=1.0 + 0.006 * max(shape))
    np.testing.assert_allclose(found.keypoints[0, 0], wanted[:2], atol=1.0 + 0.006 * max(shape))
    assert found.best[0] == pytest.approx(4.0)
    assert found.mean[0] == pytest.approx(4.0), "every view that could show it did"


def test_a_mirrored_view_gives_left_and_right_back() -> None:
    def one_sided(picture: Grey) -> Mapping[str, Float]:
        """Keypoints at fixed distances left and right of the box's middle."""
        maps = blank()
        box = np.array([100, 60, 160, 130], np.float32)
        put(maps, 16, box, np.array([[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]], np.float32), 4.0)
        return maps

    luma = np.zeros((256, 320), np.uint8)
    plain = FaceDetector(one_sided).candidates(luma)
    turned = FaceDetector(one_sided).candidates(luma, mirrored=True)
    np.testing.assert_allclose(turned[0][0, [2, 0]], 319 - plain[0][0, [0, 2]], atol=1e-3)
    np.testing.assert_allclose(turned[2][0, :, 0], 319 - plain[2][0, [1, 0, 2, 4, 3], 0], atol=1e-3)
    np.testing.assert_allclose(turned[2][0, :, 1], plain[2][0, [1, 0, 2, 4, 3], 1], atol=1e-3)


def test_what_one_view_alone_shows_has_a_low_mean() -> None:
    white = FindsWhite()

    def once(picture: Grey) -> Mapping[str, Float]:
        maps = white(picture)
        return maps if white.calls == 3 else blank()  # the whole picture, not mirrored

    luma = np.zeros((256, 320), np.uint8)
    luma[60:120, 40:90] = 255
    found = _looks(once)(luma)
    assert found.best[0] == pytest.approx(4.0)
    assert found.mean[0] < 0


@pytest.mark.parametrize("shape", [(0, 40), (1, 1), (2, 3), (1, 8000), (8000, 1), (3000, 4000)])
def test_any_size_is_taken(shape: tuple[int, int]) -> None:
    found = _looks(FindsWhite())(np.zeros(shape, np.uint8))
    assert found.boxes.shape == (0, 4)
    assert found.keypoints.shape == (0, 5, 2)
    assert found.best.shape == found.mean.shape == (0,)
