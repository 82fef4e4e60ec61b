"""Video files of several codecs, valid and damaged."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from agent.base.config import SourceConfig
from agent.base.errors import CaptureError
from agent.perceive.capture.resilient import open_source
from agent.perceive.capture.video_file import VideoFile


def film(path: Path, codec: str, frames: int = 30, fps: float = 30.0) -> Path:
    """64x48; frame n is grey 6 n + 20."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
    assert writer.isOpened()
    for n in range(frames):
        writer.write(np.full((48, 64, 3), 6 * n + 20, np.uint8))
    writer.release()
    return path


def jpegs(path: Path, shapes: Sequence[tuple[int, int]]) -> Path:
    """A bare MJPEG stream: one grey picture per shape (H, W), with a bright left half."""
    with path.open("wb") as file:
        for height, width in shapes:
            picture = np.full((height, width), 60, np.uint8)
            picture[:, : width // 2] = 200
            file.write(cv2.imencode(".jpg", picture)[1].tobytes())
    return path


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "FFV1"), ("a.mp4", "mp4v"), ("a.avi", "MJPG")]
)
def test_frames_times_and_grey_levels(tmp_path: Path, name: str, codec: str) -> None:
    source = VideoFile(film(tmp_path / name, codec))
    frames = list(source)
    assert len(frames) == 30
    assert source.counters.frames == 30
    assert source.fps_nominal == pytest.approx(30.0)
    assert not source.live
    np.testing.assert_allclose([f.time for f in frames], np.arange(30) / 30, atol=0.001)
    for n, frame in enumerate(frames):
        assert frame.luma.shape == (48, 64)
        assert frame.luma.dtype == np.uint8
        assert abs(float(frame.luma.mean()) - (6 * n + 20)) <= 4  # full range, whatever the codec
    assert source.flags == set()
    assert list(source) == []


def test_colour_becomes_luma(tmp_path: Path) -> None:
    path = tmp_path / "c.mkv"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 30, (64, 48))
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :] = (255, 0, 0)  # blue
    writer.write(picture)
    writer.write(picture)
    writer.release()
    assert abs(float(next(VideoFile(path)).luma.mean()) - 29) <= 2


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "FFV1"), ("a.avi", "MJPG")])
@pytest.mark.parametrize("share", [0.6, 0.9])
def test_a_truncated_file_is_read_as_far_as_it_goes_and_flagged(
    tmp_path: Path, name: str, codec: str, share: float
) -> None:
    whole = film(tmp_path / name, codec).read_bytes()
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(whole[: int(len(whole) * share)])
    source = VideoFile(cut)
    flags = [set(source.flags) for _ in source]
    assert 0 < len(flags) < 30
    assert flags[-1] - {"frames_dropped"} == {"source_truncated"}  # the last one may be cut
    assert flags[:-1] == [set()] * (len(flags) - 1)
    assert source.counters.truncated == 1


def test_an_mp4_cut_short_cannot_be_opened_and_says_why(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", "mp4v").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        CaptureError, match=r"cut\.mp4 is not a video that can be opened.*cut short"
    ):
        VideoFile(cut)


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "junk.mp4").write_bytes(np.random.default_rng(1).bytes(20_000))
    (tmp_path / "text.txt").write_text("Words, words.\n" * 500)
    (tmp_path / "ansi.mkv").write_text("Words, words.\n" * 500)
    picture = np.zeros((20, 20), np.uint8)
    for suffix in ("png", "jpg", "bmp"):
        cv2.imwrite(str(tmp_path / f"image.{suffix}"), picture)
    np.savez(tmp_path / "pack.npz", *[cv2.imencode(".jpg", picture)[1]] * 50)
    for name, message in (
        ("missing.mkv", "does not exist"),
        (".", "is a folder"),
        ("empty.mp4", "is empty"),
        ("junk.mp4", "is not a video"),
        ("text.txt", "is not a video"),
        ("ansi.mkv", "is not a video"),
        ("image.png", "single image"),
        ("image.jpg", "single image"),
        ("image.bmp", "single image"),
        ("pack.npz", "is not a video"),
    ):
        with pytest.raises(CaptureError) as caught:
            VideoFile(tmp_path / name)
        assert message in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(CaptureError, match="/dev/null is a device"):
        VideoFile(Path("/dev/null"))


def test_headers_without_frames(tmp_path: Path) -> None:
    header = film(tmp_path / "a.mkv", "FFV1").read_bytes()
    for size in (200, 400, 600):
        path = tmp_path / f"{size}.mkv"
        path.write_bytes(header[:size])
        with pytest.raises(CaptureError, match=f"{size}.mkv (holds no video frame|is not a video)"):
            VideoFile(path)


def test_a_gif_keeps_its_own_pace(tmp_path: Path) -> None:
    pictures = [Image.new("L", (64, 48), 40 + 50 * n) for n in range(4)]
    path = tmp_path / "a.gif"
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=[100, 100, 300, 100], loop=0
    )
    source = VideoFile(path)
    frames = list(source)
    np.testing.assert_allclose([f.time for f in frames], [0, 0.1, 0.2, 0.5], atol=0.02)
    assert [round(float(f.luma.mean()) / 10) for f in frames] == [4, 9, 14, 19]
    assert source.flags == set()


def test_a_bare_stream_is_timed_by_its_rate(tmp_path: Path) -> None:
    source = VideoFile(jpegs(tmp_path / "a.mjpeg", [(48, 64)] * 12))
    times = [frame.time for frame in source]
    np.testing.assert_allclose(times, np.arange(12) / source.fps_nominal, atol=1e-6)
    assert source.frame_count is None
    assert source.flags == set()


def test_a_clock_that_is_set_back_goes_on(tmp_path: Path) -> None:
    """Two recordings in one file, as a recorder joins them."""
    parts = [film(tmp_path / f"{n}.ts", "mpg2", frames=10).read_bytes() for n in range(2)]
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(parts))
    source = VideoFile(path)
    times = [frame.time for frame in source]
    assert len(times) == 20
    np.testing.assert_allclose(np.diff(times), 1 / 30, atol=0.02)
    assert source.counters.bad_timestamps == 1
    assert source.flags == {"bad_timestamps"}


def test_loop_never_turns_time_back(tmp_path: Path) -> None:
    source = VideoFile(film(tmp_path / "a.mkv", "FFV1", frames=5), loop=True)
    frames = [next(source) for _ in range(17)]
    source.close()
    np.testing.assert_allclose([f.time for f in frames], np.arange(17) / 30, atol=0.002)
    levels = [round((float(f.luma.mean()) - 20) / 6) for f in frames]
    assert levels == [n % 5 for n in range(17)]
    assert source.flags == set()
    with pytest.raises(StopIteration):
        next(source)


def test_loop_over_a_file_that_vanished(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", "FFV1", frames=3)
    source = VideoFile(path, loop=True)
    next(source)
    path.unlink()
    with pytest.raises(CaptureError, match="does not exist"):
        list(islice(source, 10))


def test_realtime_takes_as_long_as_the_film_and_fast_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / "a.mkv", "FFV1", frames=7)
    start = time.monotonic()
    assert len(list(open_source(SourceConfig(kind="file", target=str(path))))) == 7
    assert time.monotonic() - start >= 6 / 30
    monkeypatch.delattr(VideoFile, "_wait")
    assert len(list(VideoFile(path, "fast"))) == 7


def test_closing_wakes_a_reader_that_waits(tmp_path: Path) -> None:
    source = VideoFile(film(tmp_path / "a.mkv", "FFV1", frames=4, fps=0.1), "realtime")
    next(source)
    timer = threading.Timer(0.1, source.close)
    timer.start()
    list(source)
    timer.join()
    source.close()


def test_the_screen_stays_clean(tmp_path: Path) -> None:
    """In a subprocess: OpenCV and FFmpeg write to the file descriptor and read settings once."""
    whole = film(tmp_path / "a.avi", "MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "junk.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(5000))
    script = (
        "import cv2, sys\n"
        "from pathlib import Path\n"
        "from agent.perceive.capture.video_file import VideoFile\n"
        "from agent.base.errors import CaptureError\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        list(VideoFile(Path(name)))\n"
        "    except CaptureError:\n"
        "        pass\n"
    )
    files = [str(tmp_path / name) for name in ("cut.avi", "junk.mp4")]
    run = subprocess.run(
        [sys.executable, "-c", script, *files],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout + run.stderr == ""


def test_a_changing_frame_size_is_flagged_and_nothing_is_stretched(tmp_path: Path) -> None:
    shapes = [(48, 64)] * 5 + [(64, 48)] * 5 + [(96, 128)] * 5 + [(48, 64)] * 5
    source = VideoFile(jpegs(tmp_path / "a.mjpeg", shapes))
    frames = list(source)
    assert [frame.luma.shape for frame in frames] == shapes
    assert source.counters.size_changes == 3
    assert source.flags == {"frame_size_changed"}
    for frame in frames:
        width = frame.luma.shape[1]
        assert abs(float(frame.luma[:, : width // 2 - 4].mean()) - 200) < 4
        assert abs(float(frame.luma[:, width // 2 + 4 :].mean()) - 60) < 4


def test_frames_are_given_back_at_once(tmp_path: Path) -> None:
    """Not when the garbage collector comes by, or memory would grow by a hundred pictures."""
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
    for _ in range(100):
        writer.write(np.full((480, 640, 3), 90, np.uint8))
    writer.release()

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    source = VideoFile(path)
    for _ in range(10):
        next(source)
    gc.disable()
    try:
        before = resident()
        assert sum(1 for _ in source) == 90
        assert resident() - before < 15  # megabytes; all pictures are 41
    finally:
        gc.enable()


@pytest.mark.parametrize(("length", "start"), [(0, 0), (1200, 9_000_000)])
def test_an_edit_list_that_leaves_nothing_is_ignored(
    tmp_path: Path, length: int, start: int
) -> None:
    content = bytearray(film(tmp_path / "whole.mp4", "mp4v").read_bytes())
    at = content.index(b"elst") + 12  # after version and count
    content[at : at + 8] = length.to_bytes(4) + start.to_bytes(4)
    path = tmp_path / "cut.mp4"
    path.write_bytes(content)
    source = VideoFile(path, loop=True)
    times = [next(source).time for _ in range(70)]  # twice and more
    np.testing.assert_allclose(np.diff(times), 1 / 30, atol=0.001)
    assert source.flags == set()
