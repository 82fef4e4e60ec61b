from __future__ import annotations

import cv2
import numpy as np
import pytest
from numba import config

from agent.base.types import Float, Grey
from agent.kernels.crop import correlation, cut_crop, halve
from tests.kernels import naive_crop

SIZE = 24


def _picture(height: int = 90, width: int = 130) -> Grey:
    noise = np.random.default_rng(7).integers(0, 255, (height, width)).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.2), np.uint8)


def _matrix(angle: float, scale: float, x: float, y: float, size: int = SIZE) -> Float:
    """The picture's point (x, y) comes to the middle of the crop."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    shift = np.full(2, (size - 1) / 2) - linear @ [x, y]
    return np.concatenate([linear, shift[:, None]], 1).astype(np.float32)


def _cut(picture: Grey, matrix: Float, size: int = SIZE) -> Grey:
    crop = np.full((size, size), 77, np.uint8)
    cut_crop(picture, matrix, crop)
    return crop


def test_the_kernel_agrees_with_its_twin() -> None:
    """Inside, across every edge, from far outside; enlarged and shrunk; at any angle."""
    rng = np.random.default_rng(4)
    picture = _picture()
    for _ in range(24 if config.DISABLE_JIT else 120):
        scale = float(np.exp(rng.uniform(np.log(0.04), np.log(4))))
        matrix = _matrix(rng.uniform(-4, 4), scale, *rng.uniform([-30, -30], [160, 120]))
        expected = naive_crop.cut_crop(picture, matrix, SIZE)
        np.testing.assert_allclose(_cut(picture, matrix), expected, atol=1.6)


def test_it_draws_what_opencv_draws() -> None:
    picture = _picture(240, 320)
    for angle in (0.0, 0.3, -2.0):
        matrix = _matrix(angle, 0.8, 150, 110, 48)
        expected = cv2.warpAffine(picture, matrix, (48, 48), flags=cv2.INTER_LINEAR)
        # OpenCV 4 rounds coordinates to a 32nd of a pixel.
        difference = np.abs(_cut(picture, matrix, 48).astype(int) - expected)
        assert difference.max() <= 6
        assert difference.mean() < 0.5


def test_whole_pixels_are_copied() -> None:
    picture = _picture()
    matrix = np.array([[1, 0, -10], [0, 1, -20]], np.float32)
    np.testing.assert_array_equal(_cut(picture, matrix), picture[20 : 20 + SIZE, 10 : 10 + SIZE])
    small = _picture(SIZE, SIZE)
    whole = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    np.testing.assert_array_equal(_cut(small, whole), small)


@pytest.mark.parametrize("step", [2, 3, 4, 5, 16])
def test_squares_of_one_grey_level_keep_it(step: int) -> None:
    side = 32 * step
    # Without the compiler the sums of large squares take seconds.
    for level in (254,) if step > 5 and config.DISABLE_JIT else (0, 1, 127, 254, 255):
        flat = np.full((side, side), level, np.uint8)
        scale = 0.99 / step
        assert (_cut(flat, _matrix(0.2, scale, side / 2, side / 2)) == level).all()


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((2, 3)),
        np.full((2, 3), np.nan),
        [[1, 0, np.inf], [0, 1, 0]],
        [[1e-9, 0, 0], [0, 1e-9, 0]],
        [[1, 0, 1e30], [0, 1, -1e30]],
        [[1e-3, 0, 1e8], [0, 1e-3, 1e8]],
    ],
)
def test_maps_that_show_nothing_are_black(matrix: Float) -> None:
    assert not _cut(_picture(), np.array(matrix, np.float32)).any()


def test_tiny_pictures_are_no_exception() -> None:
    for shape in ((1, 1), (1, 40), (40, 1), (2, 2)):
        picture = np.full(shape, 200, np.uint8)
        for scale in (0.1, 0.4, 1.0, 9.0):
            matrix = _matrix(0.5, scale, shape[1] / 2 - 0.5, shape[0] / 2 - 0.5)
            expected = naive_crop.cut_crop(picture, matrix, SIZE)
            np.testing.assert_allclose(_cut(picture, matrix), expected, atol=1.6)


def test_the_correlation_agrees_with_its_twin() -> None:
    picture = _picture()
    here = np.ascontiguousarray(picture[:48, :48])
    for other in (here, 255 - here, picture[2:50, 1:49], picture[40:88, 60:108]):
        other = np.ascontiguousarray(other)
        expected = naive_crop.correlation(here, other, 8)
        np.testing.assert_allclose(correlation(here, other, 8), expected, atol=1e-9)


def test_light_does_not_change_a_correlation_and_a_blank_has_none() -> None:
    here = _picture(48, 48)
    np.testing.assert_allclose(correlation(here, here // 2 + 20, 8), 1.0, atol=1e-3)
    blank = np.full((48, 48), 128, np.uint8)
    assert correlation(here, blank, 8) == correlation(blank, blank, 8) == 0.0


def test_halving_is_opencv_s_at_any_place() -> None:
    picture = _picture(60, 84)
    out = np.full((20, 26), 7, np.uint8)
    halve(picture, 5, 9, out)
    expected = cv2.resize(picture[9:49, 5:57], (26, 20), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(out, expected)
