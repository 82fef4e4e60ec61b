"""Which video of a file is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from agent.base.errors import CaptureError
from agent.perceive.capture.video_file import VideoFile
from tests.perceive.capture.films import HEIGHT, LEVELS, WIDTH, quarters, seen


def still_first(path: Path, *, film: int, sound: bool = False) -> Path:
    """One picture in a stream of its own, not marked as a cover but as the default; then a film of
    so many pictures, or sound."""
    with av.open(str(path), "w", format="matroska") as out:
        still: Any = out.add_stream("mjpeg", rate=25)
        still.width, still.height, still.pix_fmt = 2 * WIDTH, 2 * HEIGHT, "yuvj420p"
        still.disposition = Disposition.default
        picture = av.VideoFrame.from_ndarray(np.full((2 * HEIGHT, 2 * WIDTH), 9, np.uint8), "gray")
        heard: Any = out.add_stream("pcm_s16le", rate=16_000, layout="mono") if sound else None
        moving: Any = out.add_stream("mpeg4", rate=25) if film else None
        if moving:
            moving.width, moving.height = WIDTH, HEIGHT
        out.mux(still.encode(picture.reformat(format="yuvj420p")))
        out.mux(still.encode(None))
        if heard:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = 16_000, 0
            out.mux(heard.encode(frame))
            out.mux(heard.encode(None))
        for n in range(film):
            frame = av.VideoFrame.from_ndarray(quarters(), "gray").reformat(format="yuv420p")
            frame.pts = n
            out.mux(moving.encode(frame))
        if moving:
            out.mux(moving.encode(None))
    return path


def test_a_stream_of_one_picture_gives_way_to_one_that_moves(tmp_path: Path) -> None:
    source = VideoFile(still_first(tmp_path / "a.mkv", film=6))
    frames = list(source)
    assert len(frames) == 6
    np.testing.assert_allclose(seen(frames[0].luma), LEVELS, atol=3)
    assert source.flags == set()


def test_one_picture_beside_sound_is_a_cover_whatever_it_is_marked_as(tmp_path: Path) -> None:
    path = still_first(tmp_path / "a.mka", film=0, sound=True)
    with pytest.raises(CaptureError, match=r"a\.mka holds no video, only sound with a cover"):
        VideoFile(path)


def test_one_picture_without_sound_is_a_short_film(tmp_path: Path) -> None:
    assert len(list(VideoFile(still_first(tmp_path / "a.mkv", film=0)))) == 1
