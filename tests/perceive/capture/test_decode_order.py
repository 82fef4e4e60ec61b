"""Times in containers that number pictures as they are decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from agent.perceive.capture.video_file import VideoFile
from tests.perceive.capture.films import HEIGHT, WIDTH, Grey, film

VOP = b"\0\0\x01\xb6"
"""Start code of a picture in MPEG-4."""
Parts = Sequence[tuple[int, bytes]]
"""Each packet's picture number, in the order of presentation, and content."""


def counted(count: int, step: int = 4) -> list[Grey]:
    """Each picture a bit brighter than the one before."""
    return [np.full((HEIGHT, WIDTH), 30 + step * n, np.uint8) for n in range(count)]


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


@pytest.mark.parametrize("ending", ["avi", "mp4"])
def test_a_packed_bitstream_keeps_its_times(tmp_path: Path, ending: str) -> None:
    """DivX and Xvid put a B-frame behind the picture that it needs, into one packet, and later one
    that codes nothing, which FFmpeg's demuxer takes for a picture that others need."""
    count = 22  # within one second, as `not_coded` needs
    options = {"bf": "2", "g": "100", "sc_threshold": "1000000000", "b_strategy": "0"}
    coded = film(tmp_path / "a.mkv", "mpeg4", counted(count, 9), options=options)
    path = tmp_path / f"b.{ending}"
    muxed_as_decoded(coded, path, packed)
    film_read = VideoFile(path)
    frames = list(film_read)
    np.testing.assert_allclose([f.time for f in frames], np.arange(count) / 25, atol=0.001)
    levels = [float(frame.luma.mean()) for frame in frames]
    np.testing.assert_allclose(levels, 30 + 9 * np.arange(count), atol=7)
    assert film_read.flags == set()


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
@pytest.mark.parametrize("lost", [None, 13])
def test_times_in_the_order_of_decoding_are_sorted(
    tmp_path: Path, ending: str, lost: int | None
) -> None:
    count = 40
    options = {"preset": "veryfast", "bf": "2", "g": "100", "x264-params": "b-adapt=0"}
    coded = film(tmp_path / "a.mkv", "libx264", counted(count), options=options)
    path = tmp_path / f"b.{ending}"

    def damaged(parts: Parts) -> Iterator[bytes]:
        for number, (_, content) in enumerate(parts):
            yield content[:9] if number == lost else content

    muxed_as_decoded(coded, path, damaged)
    film_read = VideoFile(path)
    frames = list(film_read)
    times = np.array([frame.time for frame in frames])
    if lost is None:
        np.testing.assert_allclose(times, np.arange(count) / 25, atol=0.001)
        assert film_read.flags == set()
    else:  # what comes after it is late by one picture at most
        assert "frames_dropped" in film_read.flags
        assert len(frames) >= count - 3
        assert abs(times[-1] - (count - 1) / 25) <= 0.041
        assert (np.diff(times) > 0.03).all()


def muxed_as_decoded(coded: Path, path: Path, change: Callable[[Parts], Iterable[bytes]]) -> None:
    """Mux changed packets of a film, numbered in the order of decoding."""
    with av.open(str(coded)) as source, av.open(str(path), "w") as out:
        video = source.streams.video[0]
        parts = [
            (round(float((each.pts or 0) * each.time_base) * 25), bytes(each))
            for each in source.demux(video) if each.size
        ]  # fmt: skip
        stream = out.add_stream_from_template(video)
        for number, content in enumerate(change(parts)):
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = not number
            out.mux(packet)


def packed(parts: Parts) -> Iterator[bytes]:
    """Content of each packet of I, P, B, B, P … with numbers in the order of presentation."""
    (_, first), *others = parts
    begins = first.index(VOP)
    yield first[:begins] + b"\0\0\x01\xb2DivX503b1393p" + first[begins:]
    for (time, one), (_, other), (_, third) in zip(*[iter(others)] * 3, strict=True):
        yield one + other
        yield third
        yield not_coded(time)


def not_coded(time: int) -> bytes:
    """An MPEG-4 P-VOP at `time` / 25 s that codes nothing (ISO/IEC 14496-2, 6.2.5)."""
    bits = f"0101{time:05b}10"
    bits += "0".ljust(-len(bits) % 8, "1")
    return VOP + int(bits, 2).to_bytes(len(bits) // 8)
