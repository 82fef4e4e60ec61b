"""Pictures turned upright."""

from __future__ import annotations

import numpy as np
import pytest

from agent.perceive.capture.orientation import Upright

PICTURE = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_clockwise_then_mirrored(rotate: int, mirror: bool) -> None:
    expected = np.rot90(PICTURE, -rotate // 90)
    if mirror:
        expected = expected[:, ::-1]
    turned = Upright(rotate, mirror)(PICTURE)
    np.testing.assert_array_equal(turned, expected)
    assert turned.flags.c_contiguous


def test_a_quarter_turn_brings_the_left_column_up() -> None:
    """A camera that hangs on its left side: what is up in the room is left in its picture."""
    assert list(Upright(90)(PICTURE)[0]) == list(PICTURE[::-1, 0])


def test_nothing_to_do_costs_nothing() -> None:
    assert Upright()(PICTURE) is PICTURE
