"""Pictures as a viewer shows them: geometry, levels, fields, the right stream, damage."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from PIL import Image

from agent.base.errors import CaptureError
from agent.perceive.capture.luma import Converter, square_pixels, upright
from agent.perceive.capture.video_file import VideoFile
from tests.perceive.capture.films import HEIGHT, LEVELS, WIDTH, Grey, film, quarters, seen

ONE = 1 << 16
A, B, C, D = LEVELS


def first(path: Path) -> Grey:
    source = VideoFile(path)
    picture = next(source).luma
    source.close()
    return picture


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((ONE, 0, 0, ONE), (A, B, C, D)),
        ((0, ONE, -ONE, 0), (C, A, D, B)),  # a quarter clockwise
        ((-ONE, 0, 0, -ONE), (D, C, B, A)),
        ((0, -ONE, ONE, 0), (B, D, A, C)),
        ((-ONE, 0, 0, ONE), (B, A, D, C)),  # mirrored
        ((ONE, 0, 0, -ONE), (C, D, A, B)),
        ((0, ONE, ONE, 0), (A, C, B, D)),
        ((0, -ONE, -ONE, 0), (D, B, C, A)),
        ((62_000, 21_000, -21_000, 62_000), (A, B, C, D)),  # 19 degrees
        ((21_000, 62_000, -62_000, 21_000), (C, A, D, B)),  # 71 degrees
    ],
)
def test_a_display_matrix_turns_and_mirrors(
    matrix: tuple[int, int, int, int], expected: tuple[int, ...]
) -> None:
    a, b, c, d = matrix
    shown = upright(quarters(), (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    assert seen(shown) == expected
    assert shown.shape in ((HEIGHT, WIDTH), (WIDTH, HEIGHT))
    assert shown.flags.c_contiguous


@pytest.mark.parametrize(("degrees", "expected"), [(-90, (C, A, D, B)), (180, (D, C, B, A))])
def test_rotation_in_a_file(tmp_path: Path, degrees: int, expected: tuple[int, ...]) -> None:
    path = film(
        tmp_path / "a.mp4", "mpeg4", [quarters()] * 2,
        prepare=lambda stream: stream.set_display_rotation(degrees),
    )  # fmt: skip
    picture = first(path)
    assert picture.shape == ((WIDTH, HEIGHT) if degrees == -90 else (HEIGHT, WIDTH))
    np.testing.assert_allclose(seen(picture), expected, atol=3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
@pytest.mark.parametrize(
    ("aspect", "shape"), [(Fraction(2, 1), (128, 320)), (Fraction(4, 5), (160, 160))]
)
def test_pixels_become_square(
    tmp_path: Path, name: str, aspect: Fraction, shape: tuple[int, int]
) -> None:
    def prepare(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = aspect

    picture = first(film(tmp_path / name, "mpeg4", [quarters()] * 2, prepare=prepare))
    assert picture.shape == shape
    np.testing.assert_allclose(seen(picture), LEVELS, atol=3)


def test_the_pixel_aspect_changes_with_the_right_picture(tmp_path: Path) -> None:
    data = b""
    for part, aspect in enumerate((1, 2)):

        def prepare(stream: Any, aspect: int = aspect) -> None:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)

        times = [12 * part + n for n in range(12)]
        options = {"preset": "veryfast", "bf": "3"}
        one = film(
            tmp_path / f"{part}.ts", "libx264", [quarters()] * 12, times=times, options=options,
            prepare=prepare,
        )  # fmt: skip
        data += one.read_bytes()
    path = tmp_path / "a.ts"
    path.write_bytes(data)
    source = VideoFile(path)
    shapes = [frame.luma.shape for frame in source]
    assert shapes == [(HEIGHT, WIDTH)] * 12 + [(HEIGHT, 2 * WIDTH)] * 12
    assert "frame_size_changed" in source.flags


def test_an_impossible_pixel_aspect_is_ignored() -> None:
    for aspect in (0.0, 1e-3, 500.0, float("nan"), float("inf")):
        assert square_pixels(quarters(), aspect).shape == (HEIGHT, WIDTH)
    # what would be too large is shrunk instead
    assert square_pixels(np.zeros((4096, 8000), np.uint8), 2.0).shape == (2048, 8000)


@pytest.mark.parametrize("form", ["yuv420p", "nv12", "yuv422p10le", "p010le", "yuyv422"])
@pytest.mark.parametrize(
    ("marked", "expected"), [(0, (0, 128, 255)), (1, (0, 128, 255)), (2, (16, 126, 235))]
)
def test_limited_range_is_expanded_and_full_range_stays(
    form: str, marked: int, expected: tuple[int, ...]
) -> None:
    levels = np.repeat(np.array([[16, 126, 235]], np.uint8), 16, 1).repeat(16, 0)
    frame = av.VideoFrame.from_ndarray(levels, "gray").reformat(format="gray16le")
    luma = frame.reformat(format=form, dst_color_range=2, src_color_range=2)
    luma.color_range = marked
    shown = Converter()(luma)
    np.testing.assert_allclose(shown[8, [8, 24, 40]], expected, atol=1)


def test_transparent_parts_are_black_unless_all_is() -> None:
    rgba = np.full((16, 16, 4), 200, np.uint8)
    rgba[:, :8, 3], rgba[:, 8:, 3] = 255, 0
    shown = Converter()(av.VideoFrame.from_ndarray(rgba, "rgba"))
    assert abs(int(shown[8, 3]) - 200) <= 1
    assert shown[8, 12] == 0
    rgba[:, :, 3] = 0
    shown = Converter()(av.VideoFrame.from_ndarray(rgba, "rgba"))
    assert np.all(np.abs(shown.astype(int) - 200) <= 1)


@pytest.mark.parametrize(("transfer", "white"), [(16, 0.5806), (18, 0.75)])
def test_high_dynamic_range_keeps_white_paper(transfer: int, white: float) -> None:
    ramp = np.tile(np.linspace(0, 65_535, 256).astype(np.uint16), (16, 1))
    frame = av.VideoFrame.from_ndarray(ramp, "gray16le").reformat(format="yuv420p10le")
    frame.color_trc = transfer
    shown = Converter()(frame)[8].astype(int)
    assert shown[0] == 0
    assert shown[255] == 255
    assert np.all(np.diff(shown) >= 0)
    assert 225 <= shown[round(255 * white)] <= 245


def interlaced(path: Path, codec: str, top_first: bool = True, **kwargs: Any) -> Path:
    """A bright bar that moves 4 pixels from field to field, 25 frames of two fields a second."""
    pictures = []
    for n in range(8):
        picture = np.empty((HEIGHT, WIDTH), np.uint8)
        for line in range(HEIGHT):
            later = (line % 2 == 0) != top_first
            picture[line] = bar(2 * n + later)
        pictures.append(picture)
    flags = {"flags": "+ilme+ildct"} | kwargs.pop("options", {})
    order = "tff" if top_first else "bff"
    return film(path, codec, pictures, options=flags, fields=order, **kwargs)


def bar(field: int) -> Grey:
    row = np.full(WIDTH, 60, np.uint8)
    row[20 + 4 * field : 44 + 4 * field] = 200
    return row


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mpg", "mpeg2video", {"qmin": "1", "qmax": "2"}),
        ("a.mp4", "libx264", {"x264-params": "qp=10"}),
    ],
)
def test_each_field_is_a_picture_at_its_own_time(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], top_first: bool
) -> None:
    source = VideoFile(interlaced(tmp_path / name, codec, top_first, options=options))
    assert source.fps_nominal == pytest.approx(50)
    frames = list(source)
    assert len(frames) == 16
    np.testing.assert_allclose(np.diff([f.time for f in frames]), 0.02, atol=0.001)
    for n, frame in enumerate(frames):
        middle = frame.luma[HEIGHT // 4 : 3 * HEIGHT // 4].astype(int)
        place = np.flatnonzero(middle.mean(0) > 130)
        assert abs(float(place.mean()) - (31.5 + 4 * n)) < 1.5
        # no comb: lines beside one another agree
        assert np.abs(np.diff(middle, axis=0)).mean() < 3


def test_video_coded_in_fields(tmp_path: Path) -> None:
    """H.265 holds each field as a picture of half the height."""
    fields = [np.tile(bar(n), (HEIGHT // 2, 1)) for n in range(16)]
    options = {"x265-params": "log-level=none:interlace=1:qp=12"}
    source = VideoFile(film(tmp_path / "a.mkv", "libx265", fields, rate=50, options=options))
    frames = list(source)
    assert len(frames) == 16
    np.testing.assert_allclose(np.diff([f.time for f in frames]), 0.02, atol=0.002)
    for n, frame in enumerate(frames):
        assert frame.luma.shape == (HEIGHT, WIDTH)
        place = np.flatnonzero(frame.luma[16:-16].mean(0) > 130)
        assert abs(float(place.mean()) - (31.5 + 4 * n)) < 1.5


@pytest.mark.parametrize(
    ("name", "codec", "said"),
    [
        ("a.mov", "mjpeg", b"fiel\2\1"),
        ("a.mkv", "libvpx-vp9", b"\x9a\x81\x01"),  # Matroska's FlagInterlaced
    ],
)
def test_what_only_the_container_calls_interlaced_stays(
    tmp_path: Path, name: str, codec: str, said: bytes
) -> None:
    """As docs/formats.md says: FFmpeg does not hand on what the container says of fields."""
    options = {"field_order": "tt"} | ({"cpu-used": "8", "crf": "10"} if name == "a.mkv" else {})
    pictures = [quarters()] * 4
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = film(tmp_path / name, codec, pictures, options=options, pix_fmt=pix_fmt)
    assert said in path.read_bytes()
    source = VideoFile(path)
    assert source.fps_nominal == pytest.approx(25)
    frames = list(source)
    assert len(frames) == 4
    np.testing.assert_allclose(seen(frames[0].luma), LEVELS, atol=3)


def test_progressive_video_is_not_doubled(tmp_path: Path) -> None:
    source = VideoFile(film(tmp_path / "a.mpg", "mpeg2video", [quarters()] * 5))
    assert source.fps_nominal == pytest.approx(25)
    assert len(list(source)) == 5


def copied(path: Path, source: Path, *, filters: str = "", shared: int = 1) -> Path:
    """The packets of a film, through a bitstream filter, each `shared` with one timestamp."""
    with av.open(str(source)) as old, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(old.streams.video[0])
        step = round(1 / (25 * old.streams.video[0].time_base))
        through = BitStreamFilterContext(filters, old.streams.video[0]) if filters else None
        number = 0
        for packet in old.demux(video=0):
            for each in through.filter(packet) if through else [packet]:
                if each.size:
                    if shared > 1:
                        each.pts = each.dts = number // shared * shared * step
                    number += 1
                    each.stream = stream
                    out.mux(each)
    return path


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("rotate=90", (LEVELS[1], LEVELS[3], LEVELS[0], LEVELS[2])),
        ("flip=horizontal", (LEVELS[1], LEVELS[0], LEVELS[3], LEVELS[2])),
        ("flip=vertical", (LEVELS[2], LEVELS[3], LEVELS[0], LEVELS[1])),
    ],
)
def test_a_turn_in_the_stream_holds_for_the_pictures_after_it(
    tmp_path: Path, said: str, expected: tuple[int, ...]
) -> None:
    """H.264 states its display orientation with key frames only."""
    options = {"g": "50", "bf": "0", "x264-params": "qp=10"}
    plain = film(tmp_path / "a.mkv", "libx264", [quarters()] * 8, options=options)
    filters = f"h264_metadata=display_orientation=insert:{said}"
    source = VideoFile(copied(tmp_path / "b.mkv", plain, filters=filters))
    frames = list(source)
    assert len(frames) == 8
    assert source.flags == set()
    for frame in frames:
        np.testing.assert_allclose(seen(frame.luma), expected, atol=3)


def test_pictures_that_share_a_timestamp_are_spread_out(tmp_path: Path) -> None:
    plain = film(tmp_path / "a.mkv", "ffv1", [quarters()] * 12)
    source = VideoFile(copied(tmp_path / "b.mkv", plain, shared=2))
    assert source.fps_nominal == pytest.approx(25, rel=0.01)
    np.testing.assert_allclose([f.time for f in source], np.arange(12) / 25, atol=0.002)
    assert source.flags == {"bad_timestamps"}


def with_cover(path: Path, sound_only: bool) -> Path:
    """A cover picture, then sound, then (where wanted) a video of 6 pictures."""
    with av.open(str(path), "w") as out:
        cover: Any = out.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        sound: Any = out.add_stream("aac", rate=16_000, layout="mono")
        video: Any = None if sound_only else out.add_stream("mpeg4", rate=25)
        if video:
            video.width, video.height = WIDTH, HEIGHT
        picture = av.VideoFrame.from_ndarray(np.full((64, 64), 9, np.uint8), "gray")
        out.mux(cover.encode(picture.reformat(format="yuvj420p")))
        out.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 16_000, 0
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
        for n in range(6 if video else 0):
            frame = av.VideoFrame.from_ndarray(quarters(), "gray").reformat(format="yuv420p")
            frame.pts = n
            out.mux(video.encode(frame))
        if video:
            out.mux(video.encode(None))
    return path


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    source = VideoFile(with_cover(tmp_path / "a.mp4", sound_only=False))
    frames = list(source)
    assert len(frames) == 6
    np.testing.assert_allclose(seen(frames[0].luma), LEVELS, atol=3)
    assert source.flags == set()
    with pytest.raises(CaptureError, match=r"b\.mp4 holds no video, only sound with a cover"):
        VideoFile(with_cover(tmp_path / "b.mp4", sound_only=True))


@pytest.mark.slow
def test_pictures_before_the_first_key_frame_are_left_out_and_counted(tmp_path: Path) -> None:
    for codec, options in (
        ("libx264", {"preset": "ultrafast"}),
        ("mpeg2video", {}),
        ("mpeg4", {}),
        ("libx265", {"x265-params": "log-level=none"}),
    ):
        moving = [np.roll(quarters(), 2 * n, 1) for n in range(30)]
        whole = film(
            tmp_path / f"{codec}.ts", codec, moving, options={"g": "10", "bf": "0", **options}
        )
        with av.open(str(whole)) as opened:
            keys = [p.pos for p in opened.demux(video=0) if p.is_keyframe and p.pos is not None]
            opened.seek(0)
        data = whole.read_bytes()
        # tables, then the rest from the middle of the first group
        cut = tmp_path / f"{codec}-cut.ts"
        cut.write_bytes(data[: 188 * 3] + data[(keys[0] + keys[1]) // 2 // 188 * 188 :])
        source = VideoFile(cut)
        frames = list(source)
        assert len(frames) == 20, codec
        for n, frame in enumerate(frames):
            error = np.abs(frame.luma.astype(int) - moving[10 + n]).mean()
            assert error < 8, (codec, n)
        assert source.counters.dropped > 0
        assert "frames_dropped" in source.flags


def test_damage_is_skipped_and_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    pictures = [np.roll(quarters(), 3 * n, 1) for n in range(40)]
    path = film(tmp_path / "a.mpg", "mpeg2video", pictures, options={"g": "8"})
    data = bytearray(path.read_bytes())
    for _ in range(6):
        at = int(rng.integers(len(data) // 4, len(data) - 300))
        data[at : at + 40] = rng.bytes(40)
    path.write_bytes(data)
    source = VideoFile(path)
    times = [frame.time for frame in source]
    assert 20 < len(times) < 40
    assert source.counters.dropped > 0
    assert "frames_dropped" in source.flags
    assert np.all(np.diff(times) > 0)


def test_a_size_and_a_chroma_format_that_change(tmp_path: Path) -> None:
    parts = [
        film(tmp_path / "1.mjpeg", "mjpeg", [quarters(48, 64)] * 2, pix_fmt="yuvj422p"),
        film(tmp_path / "2.mjpeg", "mjpeg", [quarters(48, 64)] * 2, pix_fmt="yuvj420p"),
        film(tmp_path / "3.mjpeg", "mjpeg", [quarters(96, 64)] * 2, pix_fmt="yuvj444p"),
    ]
    path = tmp_path / "a.mjpeg"
    path.write_bytes(b"".join(each.read_bytes() for each in parts))
    source = VideoFile(path)
    frames = list(source)
    assert [f.luma.shape for f in frames] == [(48, 64)] * 4 + [(96, 64)] * 2
    for frame in frames:
        np.testing.assert_allclose(seen(frame.luma), LEVELS, atol=3)
    assert source.flags == {"frame_size_changed"}


@pytest.mark.parametrize("size", [(2, 2), (479, 639), (1, 1)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = film(tmp_path / "a.mkv", "ffv1", [np.full(size, 77, np.uint8)] * 2, pix_fmt="yuv444p")
    picture = first(path)
    assert picture.shape == size
    assert abs(float(picture.mean()) - 77) <= 1


def test_the_track_that_is_the_default_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        streams = []
        for level, size in ((30, 64), (90, 128), (150, 64)):
            stream: Any = out.add_stream("mpeg4", rate=25)
            stream.width = stream.height = size
            streams.append((stream, level, size))
        for stream, _, _ in streams[:2]:
            stream.disposition = 0
        streams[2][0].disposition = av.stream.Disposition.default
        for stream, level, size in streams:
            for n in range(3):
                frame = av.VideoFrame.from_ndarray(np.full((size, size), level, np.uint8), "gray")
                frame.pts = n
                out.mux(stream.encode(frame.reformat(format="yuv420p")))
            out.mux(stream.encode(None))
    assert abs(float(first(path).mean()) - 150) <= 3


@pytest.mark.parametrize("ending", ["mjpeg", "avi", "mov", "mkv"])
@pytest.mark.parametrize("orientation", [1, 2, 6, 7])
def test_exif_in_the_pictures_of_motion_jpeg(tmp_path: Path, ending: str, orientation: int) -> None:
    """Trail cameras write it into every picture."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 6: Image.Transpose.ROTATE_90,
             7: Image.Transpose.TRANSVERSE}[orientation]  # fmt: skip
    picture = Image.fromarray(quarters())
    coded = io.BytesIO()
    (picture if lying is None else picture.transpose(lying)).save(coded, "JPEG", exif=exif)
    path = tmp_path / f"a.{ending}"
    if ending == "mjpeg":
        path.write_bytes(3 * coded.getvalue())
    else:
        with av.open(str(path), "w") as out:
            stream: Any = out.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
            for number in range(3):
                packet = av.Packet(coded.getvalue())
                packet.pts = packet.dts = number
                packet.stream, packet.time_base = stream, Fraction(1, 25)
                packet.is_keyframe = True
                out.mux(packet)
    frames = list(VideoFile(path))
    assert len(frames) == 3
    for frame in frames:
        assert frame.luma.shape == (HEIGHT, WIDTH)
        np.testing.assert_allclose(seen(frame.luma), LEVELS, atol=3)


@pytest.mark.parametrize(
    ("ending", "codec"), [("h264", "libx264"), ("hevc", "libx265"), ("m2v", "mpeg2video")]
)
def test_a_bare_stream_has_the_rate_that_it_states(tmp_path: Path, ending: str, codec: str) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = film(tmp_path / f"a.{ending}", codec, [quarters()] * 6, rate=50, options=options)
    source = VideoFile(path)
    assert source.fps_nominal == pytest.approx(50)
    np.testing.assert_allclose([f.time for f in source], np.arange(6) / 50, atol=1e-6)


def test_a_last_picture_that_stays_long_is_no_missing_end(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    pictures = [Image.fromarray(np.roll(quarters(), 8 * n, 1)) for n in range(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 100, 100, 900])
    source = VideoFile(path)
    assert len(list(source)) == 4
    assert source.flags == set()


def test_an_avi_that_skips_pictures_is_whole(tmp_path: Path) -> None:
    times = [2 * n for n in range(8)]
    path = film(
        tmp_path / "a.avi", "mjpeg", [quarters()] * 8, pix_fmt="yuvj420p", rate=50, times=times
    )
    source = VideoFile(path)
    np.testing.assert_allclose([f.time for f in source], np.arange(8) / 25, atol=1e-6)
    assert source.flags == set()


def test_a_palette_is_looked_up_and_its_transparent_entries_are_black(tmp_path: Path) -> None:
    indices = np.searchsorted(sorted(LEVELS), quarters())
    image = Image.fromarray(indices.astype(np.uint8)).convert("P")
    image.putpalette([level for level in sorted(LEVELS) for _ in range(3)])
    content = io.BytesIO()
    image.save(content, "PNG", transparency=bytes((255, 255, 255, 0)))
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb24"
        for number in range(3):
            packet = av.Packet(content.getvalue())
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            out.mux(packet)
    assert seen(first(path)) == (A, B, C, 0)
