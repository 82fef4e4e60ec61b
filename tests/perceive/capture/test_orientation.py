"""Pictures turned upright."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.base.config import SourceConfig
from agent.perceive.capture.orientation import Upright
from agent.perceive.capture.resilient import open_source

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


def test_a_file_is_turned_on_top_of_what_it_says_itself(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 30, (64, 48))
    picture = np.zeros((48, 64), np.uint8)
    picture[:, :8] = 200
    for _ in range(3):
        writer.write(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    writer.release()

    def seen(**more: object) -> list[np.ndarray]:
        config = SourceConfig.model_validate(
            {"kind": "file", "target": str(path), "pace": "fast", **more}
        )
        source = open_source(config)
        assert not source.live
        assert source.fps_nominal == 30
        frames = [frame.luma for frame in source]
        assert source.counters.frames == 3
        assert not source.drain_flags()
        source.close()
        return frames

    plain, turned = seen(), seen(rotate=90, mirror=True)
    assert plain[0][:, :8].min() > 150
    assert plain[0][:, 8:].max() < 50
    np.testing.assert_array_equal(turned[2], np.rot90(plain[2], -1)[:, ::-1])
