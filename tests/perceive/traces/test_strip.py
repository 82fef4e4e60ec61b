"""Strips say what moved, and not how the face is made."""

from __future__ import annotations

import numpy as np
import pytest

from agent.perceive.traces.strip import STEP, Channels
from agent.vision.micro.channels import CHANNEL_NAMES
from tests.perceive.traces.made import face, movement


def seen(channels: Channels, until: float, moves_at: float, wide: float = 1.0) -> None:
    """A brow that rises by a twentieth of the inter-ocular distance, and falls."""
    for n in range(round(until * 30)):
        time = n / 30
        shift = 0.05 * max(0.0, 1 - abs(time - moves_at - 0.1) / 0.1)
        points = face(1, shift).landmarks.points.copy()
        points[48:68, 0] = 320 + wide * (points[48:68, 0] - 320)
        channels.add(time, points)


def test_a_strip_surrounds_its_movement() -> None:
    channels = Channels()
    seen(channels, 3.0, 2.0)
    found = channels.strip(movement(1, 2.0))
    assert found is not None
    begin, values = found
    assert begin == pytest.approx(1.5, abs=0.04)
    assert values.shape == (37, len(CHANNEL_NAMES))
    brow = values[:, CHANNEL_NAMES.index("mid_brow_left")]
    assert begin + STEP * np.abs(brow).argmax() == pytest.approx(2.1, abs=0.04)
    assert 0.02 < np.abs(brow).max() < 0.06
    assert np.abs(brow[:10]).max() < 1e-4


def test_a_wide_mouth_leaves_the_same_strip_as_a_narrow_one() -> None:
    strips = []
    for wide in (0.8, 1.2):
        channels = Channels()
        seen(channels, 3.0, 2.0, wide)
        found = channels.strip(movement(1, 2.0))
        assert found is not None
        strips.append(found[1])
    np.testing.assert_allclose(strips[0], strips[1], atol=2e-4)


def test_what_was_not_seen_has_no_strip_and_what_is_no_number_no_place() -> None:
    channels = Channels()
    assert channels.strip(movement(1, 0.0)) is None
    channels.add(0.0, np.full((68, 2), np.nan, np.float32))
    assert channels.latest == 0.0
    seen(channels, 9.0, 8.0)
    assert channels.strip(movement(1, 1.0)) is None  # forgotten
    assert channels.strip(movement(1, 8.0)) is not None
