"""What a media file may be called and do: a name is only a name, and no file opens another."""

from __future__ import annotations

import errno
import gc
import io
import os
import socket
import struct
import zlib
from pathlib import Path

import av
import pytest
from PIL import Image

from agent.base.errors import CaptureError
from agent.perceive.capture import media
from agent.perceive.capture.media import MediaBytes, printable
from agent.perceive.capture.sound_file import SoundFile
from agent.perceive.capture.video_file import VideoFile
from tests.perceive.capture.films import film, quarters


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = film(tmp_path_factory.mktemp("film") / "a.mp4", "mpeg4", [quarters()] * 2)
    return path.read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        b"10:20.mp4", b"http:x.mp4", b"concat:a|b.mp4", b"subfile,,start,0,end,9,,:a.mp4",
        b"img%03d.mp4", b"-y.mp4", b"new\nline.mp4", b"caf\xe9.mp4", b"a b'\"$.mp4", b"noending",
        b"UPPER.MP4", b"wrong.avi", b"x.m3u8", b"x.txt", b"x.jpg",
    ],
)  # fmt: skip
def test_a_name_is_only_a_name(tmp_path: Path, small: bytes, name: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_bytes(small)
    source = VideoFile(path)
    assert len(list(source)) == 2
    source.name.encode()  # can be printed
    assert "\n" not in source.name
    path.with_name(path.name + "-").write_bytes(b"nothing that can be played")
    with pytest.raises(CaptureError) as caught:
        VideoFile(path.with_name(path.name + "-"))
    str(caught.value).encode()


@pytest.mark.parametrize("ending", ["mkv", "avi", "ts", "mp4"])
@pytest.mark.parametrize("filling", [b"\0", b"\xff"])
def test_reserved_space_behind_a_film_is_not_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, filling: bytes
) -> None:
    path = film(tmp_path / f"a.{ending}", "mpeg4", [quarters()] * 5)
    with path.open("ab") as file:
        file.write(filling * 8_000_000)
    monkeypatch.setattr(media, "_EMPTY_TAIL", 1 << 17)
    read: list[int] = []
    plain = MediaBytes.read

    def counted(self: MediaBytes, size: int) -> bytes:
        found = plain(self, size)
        read.append(len(found))
        return found

    monkeypatch.setattr(MediaBytes, "read", counted)
    assert len(list(VideoFile(path))) == 5
    assert sum(read) < 4_000_000


def test_a_file_of_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(100_000))
    with pytest.raises(CaptureError, match="holds nothing, as a power cut leaves files"):
        VideoFile(tmp_path / "a.mp4")


def test_a_title_may_be_in_any_encoding(tmp_path: Path, small: bytes) -> None:
    path = tmp_path / "a.mkv"
    with av.open(io.BytesIO(small)) as source, av.open(str(path), "w") as out:
        out.metadata["title"] = "cafe, cafe"
        copy = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                out.mux(packet)
    data = path.read_bytes()
    assert b"cafe, cafe" in data
    path.write_bytes(data.replace(b"cafe, cafe", b"caf\xe9, caf\xe9"))
    assert len(list(VideoFile(path))) == 2


def test_a_relative_name_that_looks_like_an_address(
    tmp_path: Path, small: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file:").mkdir()
    Path("file:/a.mp4").write_bytes(small)
    assert len(list(VideoFile(Path("file:/a.mp4")))) == 2


def test_what_names_other_files_opens_none(tmp_path: Path, small: bytes) -> None:
    victim = tmp_path / "victim.mp4"
    victim.write_bytes(small)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        for name, text in (
            ("a.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{victim}\n#EXT-X-ENDLIST\n"),
            ("b.mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{address}\n#EXT-X-ENDLIST\n"),
            ("c.ffconcat", f"ffconcat version 1.0\nfile '{victim}'\n"),
            ("d.mpd", f'<?xml version="1.0"?><MPD><BaseURL>{address}</BaseURL></MPD>'),
            ("e.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
                      "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"),
        ):  # fmt: skip
            path = tmp_path / name
            path.write_text(text)
            for read in (VideoFile, SoundFile):
                with pytest.raises(CaptureError, match="is a list of other files"):
                    read(path)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_mov_that_refers_to_another_file(tmp_path: Path) -> None:
    """The data reference of a QuickTime file may name a file; it is not followed."""
    victim = film(tmp_path / "victim.mov", "mpeg4", [quarters()] * 2)
    data = victim.read_bytes()
    at = data.index(b"url \x00\x00\x00\x01")
    # an alias in place of "in this file", as long as it was
    path = tmp_path / "a.mov"
    path.write_bytes(data[:at] + b"url \x00\x00\x00\x00" + data[at + 8 :])
    try:
        frames = len(list(VideoFile(path)))
    except CaptureError:
        frames = 0
    assert frames in (0, 2)  # its own pictures or none


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(200)),
        ("a.JPE", b"\xff\xd8\xff\xe1" + bytes(200)),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(200)),
        ("a.bmp", b"BM" + b"\x40\x00\x00\x00" + bytes(200)),
        ("a.tif", b"II*\x00" + bytes(200)),
        ("a.webp", b"RIFF\x20\x00\x00\x00WEBPVP8 " + bytes(200)),
        ("a.heic", b"\x00\x00\x00\x18ftypheic" + bytes(200)),
        ("a.avif", b"\x00\x00\x00\x18ftypavif" + bytes(200)),
    ],
)
def test_pictures_are_sent_to_inspect(tmp_path: Path, name: str, head: bytes) -> None:
    (tmp_path / name).write_bytes(head)
    with pytest.raises(CaptureError, match="single image, not a video"):
        VideoFile(tmp_path / name)


@pytest.mark.parametrize(
    ("form", "name"),
    [("JPEG", "a.mp4"), ("JPEG", "a"), ("JPEG", "a.jif"), ("JPEG", "a.mjpeg"), ("GIF", "a.gif"),
     ("GIF", "a.avi"), ("PNG", "a.mov")],
)  # fmt: skip
def test_a_picture_is_a_picture_whatever_its_ending(tmp_path: Path, form: str, name: str) -> None:
    Image.fromarray(quarters()).save(tmp_path / name, form)
    with pytest.raises(CaptureError, match="single image, not a video"):
        VideoFile(tmp_path / name)


def test_a_link_to_itself_says_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to(tmp_path / "a.mp4")
    with pytest.raises(CaptureError, match=r"symbolic links\. Check where it leads"):
        VideoFile(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    "text",
    [
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "<!DOCTYPE html>\r\n<html><body>Sign in to download</body></html>",
        '{"error": "quota exceeded", "code": 403}',
    ],
)
def test_text_in_a_films_place_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_text(text)
    with pytest.raises(CaptureError, match=r"not a video but text.*: fetch it again"):
        VideoFile(path)


def test_an_animated_webp_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF\x20\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02" + bytes(200))
    with pytest.raises(CaptureError, match="animated WebP"):
        VideoFile(path)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read in (VideoFile, SoundFile):
        with pytest.raises(CaptureError, match="is a device or pipe"):
            read(tmp_path / "pipe")


@pytest.mark.parametrize("flags", ["", "faststart", "frag_keyframe+empty_moov"])
def test_an_encrypted_file_is_named(tmp_path: Path, flags: str) -> None:
    key = "00112233445566778899aabbccddeeff"
    how = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": key}
    path = film(
        tmp_path / "a.mp4", "libx264", [quarters()] * 3, options={"preset": "ultrafast"},
        container=how | ({"movflags": flags} if flags else {}),
    )  # fmt: skip
    with pytest.raises(CaptureError, match=r"a\.mp4 is encrypted"):
        VideoFile(path)


def test_a_picture_that_is_too_large_is_not_decoded(tmp_path: Path) -> None:
    """A few bytes may state any size."""
    path = film(tmp_path / "a.png", "apng", [quarters()] * 2, pix_fmt="gray", form="apng")
    data = path.read_bytes()
    header = b"IHDR" + struct.pack(">II", 16_000, 16_000) + data[24:29]
    path.write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])
    with pytest.raises(CaptureError, match=r"a\.png has pictures of more than 8192 x 4608 pixels"):
        VideoFile(path)


def test_descriptors_are_given_back(tmp_path: Path, small: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(small)
    (tmp_path / "bad.mp4").write_bytes(small[:400])
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        source = VideoFile(path)
        list(source)
        source.close()
        for wrong in (tmp_path / "bad.mp4", tmp_path):
            with pytest.raises(CaptureError):
                VideoFile(wrong)
        with pytest.raises(CaptureError):
            SoundFile(path)
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.slow
def test_a_disk_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.avi", "rawvideo", [quarters(240, 320)] * 120)
    read, left = MediaBytes.read, [path.stat().st_size * 3 // 4]

    def failing(self: MediaBytes, size: int) -> bytes:
        left[0] -= size
        if left[0] < 0:
            self.failure = OSError(errno.EIO, "Input/output error")
            raise self.failure
        return read(self, size)

    monkeypatch.setattr(MediaBytes, "read", failing)
    source = VideoFile(path)
    with pytest.raises(CaptureError, match="cannot be read further: Input/output error"):
        list(source)
    assert source.counters.frames > 10
    with pytest.raises(CaptureError, match="cannot be read: Input/output error"):
        VideoFile(path)


def test_one_thread_decodes(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", "libx264", [quarters()] * 30, options={"preset": "ultrafast"})
    before = set(os.listdir("/proc/self/task"))
    source = VideoFile(path)
    assert len(set(os.listdir("/proc/self/task")) - before) == 0
    assert len(list(source)) == 30


def test_printable() -> None:
    assert printable(Path("a b/ü.mp4")) == "a b/ü.mp4"
    assert printable(Path(os.fsdecode(b"caf\xe9\n.mp4"))) == "caf\\xe9\\n.mp4"
