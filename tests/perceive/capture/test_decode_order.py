"""Times in containers that number pictures as they are decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.perceive.capture.video_file import VideoFile
from tests.perceive.capture.films import HEIGHT, WIDTH, Grey, film


def counted(count: int) -> list[Grey]:
    """Each picture a bit brighter than the one before."""
    return [np.full((HEIGHT, WIDTH), 30 + 4 * n, np.uint8) for n in range(count)]


@pytest.mark.parametrize("frames_of_b", ["0", "2", "3"])
@pytest.mark.parametrize("interval", ["5", "100"])
def test_pictures_in_an_avi_have_their_own_times(
    tmp_path: Path, frames_of_b: str, interval: str
) -> None:
    options = {"preset": "veryfast", "bf": frames_of_b, "g": interval, "x264-params": "b-adapt=0"}
    source = VideoFile(film(tmp_path / "a.avi", "libx264", counted(30), options=options))
    frames = list(source)
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(30) / 25, atol=1e-6)
    levels = [float(frame.luma.mean()) for frame in frames]
    np.testing.assert_allclose(levels, 30 + 4 * np.arange(30), atol=3)
    assert source.flags == set()


def test_a_cut_avi_keeps_its_times(tmp_path: Path) -> None:
    options = {"preset": "veryfast", "bf": "2", "g": "100"}
    whole = film(tmp_path / "a.avi", "libx264", counted(50), options=options).read_bytes()
    begins, ends = whole.index(b"movi"), whole.index(b"idx1")
    (tmp_path / "b.avi").write_bytes(whole[: (begins + ends) // 2])
    source = VideoFile(tmp_path / "b.avi")
    frames = list(source)
    assert 5 < len(frames) < 50
    steps = np.diff([frame.time for frame in frames])
    np.testing.assert_allclose(steps[:-1], 0.04, atol=1e-6)  # the last may follow one that was cut
    assert "bad_timestamps" not in source.flags
    assert "source_truncated" in source.flags
