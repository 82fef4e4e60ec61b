"""Films that go on with another one where the first ends, and those that only seem to."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from agent.perceive.capture.sound_file import SoundFile
from agent.perceive.capture.video_file import VideoFile
from tests.perceive.capture.films import film, quarters

COUNT = 30


def made(
    path: Path, codec: str = "mpeg4", *, pid: int | None = None, fragments: bool = False
) -> bytes:
    container = {} if pid is None else {"mpegts_start_pid": str(pid)}
    if fragments:
        container["movflags"] = "frag_keyframe+empty_moov+default_base_moof"
    film(path, codec, [quarters()] * COUNT, options={"g": "6"}, container=container)
    return path.read_bytes()


def read(path: Path) -> tuple[int, set[str]]:
    source = VideoFile(path)
    count = sum(1 for _ in source)
    return count, set(source.flags)


@pytest.mark.parametrize(
    ("first", "second"),
    [("mp4", "mp4"), ("mp4", "mkv"), ("mp4", "ts"), ("mov", "avi"), ("flv", "flv"), ("mkv", "mp4")],
)
def test_a_film_behind_a_film_is_not_passed_over_in_silence(
    tmp_path: Path, first: str, second: str
) -> None:
    codec = "flv" if first == "flv" else "mpeg4"
    one, other = made(tmp_path / f"1.{first}", codec), made(tmp_path / f"2.{second}", codec)
    assert read(tmp_path / f"1.{first}") == (COUNT, set())
    joined = tmp_path / f"joined.{first}"
    joined.write_bytes(one + other)
    assert read(joined) == (COUNT, {"source_truncated"})


@pytest.mark.parametrize("ending", ["mkv", "avi", "ts"])
def test_what_plays_on_is_read_to_its_end(tmp_path: Path, ending: str) -> None:
    joined = tmp_path / f"joined.{ending}"
    joined.write_bytes(made(tmp_path / f"1.{ending}") + made(tmp_path / f"2.{ending}"))
    count, flags = read(joined)
    assert count == 2 * COUNT
    assert "source_truncated" not in flags


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video"])
def test_a_broadcast_that_changes_its_streams(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "joined.ts"
    path.write_bytes(made(tmp_path / "1.ts") + made(tmp_path / "2.ts", codec, pid=0x200))
    assert read(path) == (COUNT, {"source_truncated"})


def test_a_broadcast_with_two_videos_is_one(tmp_path: Path) -> None:
    path = tmp_path / "two.ts"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("mpeg2video", rate=25, options={"g": "6"}) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        for number in range(COUNT):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(quarters(), format="gray")
                frame = frame.reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    assert read(path) == (COUNT, set())


def test_fragments_with_their_header_before_each_are_one_film(tmp_path: Path) -> None:
    whole = made(tmp_path / "1.mp4", fragments=True)
    boxes: list[tuple[bytes, bytes]] = []
    while whole:
        size = int.from_bytes(whole[:4])
        boxes.append((whole[4:8], whole[:size]))
        whole = whole[size:]
    header = b"".join(part for kind, part in boxes if kind in (b"ftyp", b"moov"))
    rest = [(kind, part) for kind, part in boxes if kind not in (b"ftyp", b"moov", b"mfra")]
    assert sum(kind == b"moof" for kind, _ in rest) > 3
    path = tmp_path / "again.mp4"
    path.write_bytes(b"".join(header * (kind == b"moof") + part for kind, part in rest))
    assert read(path) == (COUNT, set())


def test_sound_of_a_broadcast_that_adds_streams_is_read(tmp_path: Path) -> None:
    def sound(path: Path, pid: int) -> bytes:
        with av.open(str(path), "w", options={"mpegts_start_pid": str(pid)}) as out:
            stream = out.add_stream("mp2", rate=16_000, layout="mono")
            frame = av.AudioFrame(format="s16", layout="mono", samples=16_000)
            frame.sample_rate, frame.pts = 16_000, 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return path.read_bytes()

    path = tmp_path / "joined.ts"
    path.write_bytes(sound(tmp_path / "1.ts", 0x100) + sound(tmp_path / "2.ts", 0x200))
    source = SoundFile(path)
    length = sum(len(sound.samples) for sound in source.until(60.0))
    assert 15_000 < length < 18_000
