"""What the audit plays and searches for: the frames that the agent sees, whatever the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.base.types import Frame
from agent.desk.audit import _reference
from agent.desk.audit._canary import make
from agent.desk.audit._played import with_voice
from agent.desk.audit._reference import Reference, read_frames
from agent.desk.audit.run import doubtful
from agent.perceive.capture.sound_file import SoundFile
from agent.perceive.capture.video_file import VideoFile
from tests.desk.audit.clip import frames as clouds
from tests.perceive.capture.films import film

CANARY = make(1)


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("a.mkv", "mpeg4", "yuv420p"),  # copied
        ("a.y4m", "rawvideo", "yuv420p"),  # Matroska cannot hold it
        ("a.h264", "libx264", "yuv420p"),  # states no times
        ("a.mov", "qtrle", "rgb24"),
    ],
)
def test_the_played_copy_shows_the_very_frames(
    tmp_path: Path, name: str, codec: str, form: str
) -> None:
    video = film(tmp_path / name, codec, clouds(30), pix_fmt=form)
    frames, target = read_frames(video), tmp_path / "played.mkv"
    assert frames.count == 30
    assert with_voice(video, frames, CANARY, target) is None
    assert read_frames(target) == frames
    assert len(list(SoundFile(target).until(1.0))) > 5
    np.testing.assert_allclose(
        [f.time for f in VideoFile(target)], [f.time for f in VideoFile(video)], atol=0.002
    )


def test_a_rotated_and_trimmed_video_is_played_as_it_is_shown(tmp_path: Path) -> None:
    def prepare(stream: object) -> None:
        stream.set_display_rotation(90)  # type: ignore[attr-defined]

    video = film(tmp_path / "a.mp4", "mpeg4", clouds(30), prepare=prepare)
    frames, target = read_frames(video), tmp_path / "played.mkv"
    assert with_voice(video, frames, CANARY, target) is None
    assert read_frames(target) == frames


def test_pictures_that_change_their_size(tmp_path: Path) -> None:
    """They are copied as they are, or the audit says that it could not."""
    data = b""
    for height in (64, 80):
        pictures = [each[:height] for each in clouds(3)]
        data += film(tmp_path / "1.mjpeg", "mjpeg", pictures, pix_fmt="yuvj420p").read_bytes()
    video = tmp_path / "a.mjpeg"
    video.write_bytes(data)
    frames, target = read_frames(video), tmp_path / "played.mkv"
    assert frames.count == 6
    if with_voice(video, frames, CANARY, target) is None:
        assert read_frames(target) == frames
    else:
        assert not target.exists()


def test_a_reading_that_differs_is_doubtful(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = film(tmp_path / "a.mkv", "mpeg4", clouds(10))
    frames = read_frames(video)
    reference = Reference(video)
    assert len(list(reference.pictures())) == 10
    assert doubtful(reference, frames) == []

    class Garbage(VideoFile):
        """Memory that nobody wrote, another one each time."""

        def __next__(self) -> Frame:
            frame = super().__next__()
            noise = np.random.default_rng().integers(0, 255, frame.luma.shape, np.uint8)
            return Frame(frame.time, noise)

    monkeypatch.setattr(_reference, "VideoFile", Garbage)
    reference = Reference(video)
    assert len(list(reference.pictures())) == 10
    assert "nobody knows what the agent saw" in doubtful(reference, frames)[0]
