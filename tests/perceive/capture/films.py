"""Small video files of many kinds, and what is to be seen in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.filter import Graph

Grey = npt.NDArray[np.uint8]

LEVELS = (40, 100, 160, 220)
"""Grey levels top left, top right, bottom left, bottom right."""
WIDTH, HEIGHT = 160, 128


def quarters(height: int = HEIGHT, width: int = WIDTH) -> Grey:
    """A picture that shows how it lies."""
    picture = np.empty((height, width), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = LEVELS[:2]
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = LEVELS[2:]
    return picture


def seen(luma: Grey) -> tuple[int, ...]:
    """The levels of the four quarters, away from their edges."""
    height, width = luma.shape
    rows = (slice(height // 8, 3 * height // 8), slice(5 * height // 8, 7 * height // 8))
    columns = (slice(width // 8, 3 * width // 8), slice(5 * width // 8, 7 * width // 8))
    return tuple(round(float(luma[row, column].mean())) for row in rows for column in columns)


def film(
    path: Path,
    codec: str,
    pictures: Iterable[Grey],
    *,
    pix_fmt: str = "yuv420p",
    rate: int | Fraction = 25,
    times: Sequence[int] | None = None,
    form: str | None = None,
    options: Mapping[str, str] | None = None,
    prepare: Callable[[Any], None] | None = None,
    fields: str | None = None,
    container: Mapping[str, str] | None = None,
) -> Path:
    """Write grey pictures. `times`: in 1/`rate` seconds, else 0, 1, 2 …; `prepare`: is given the
    stream before it is opened; `fields`: "tff" or "bff", which one is the earlier."""
    marker: Graph | None = None
    with av.open(str(path), "w", format=form, options=dict(container or {})) as out:
        stream: Any = out.add_stream(codec, rate=rate, options=dict(options or {}))
        if times is not None:
            stream.time_base = stream.codec_context.time_base = 1 / Fraction(rate)
        for number, picture in enumerate(pictures):
            if not number:
                stream.height, stream.width = picture.shape
                stream.pix_fmt = pix_fmt
                if prepare:
                    prepare(stream)
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format=pix_fmt)
            frame.pts = number if times is None else times[number]
            frame.time_base = 1 / Fraction(rate)
            if fields:
                marker = marker or _marker(frame, fields)
                marker.vpush(frame)
                frame = marker.vpull()
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _marker(frame: av.VideoFrame, fields: str) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        ),
        graph.add("setfield", fields),
        graph.add("buffersink"),
    ).configure()
    return graph


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file that people have; `row` is its line in docs/formats.md."""

    row: str
    ending: str
    codec: str
    pix_fmt: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=dict)
    form: str | None = None
    size: tuple[int, int] = (HEIGHT, WIDTH)
    doubles: int = 1
    """Pictures of a frame: its fields."""
    tolerance: int = 3
    """Grey levels: what the codec loses."""


_X265 = {"x265-params": "log-level=none"}
_FAST = {"preset": "ultrafast"}

KINDS = (
    Kind("H.264 in MP4", "mp4", "libx264", options=_FAST),
    Kind("H.264 in MKV", "mkv", "libx264", options=_FAST),
    Kind("H.264 in MOV", "mov", "libx264", options=_FAST),
    Kind("H.264 in TS", "ts", "libx264", options=_FAST),
    Kind("H.264 in M2TS", "m2ts", "libx264", options=_FAST, form="mpegts"),
    Kind("H.264 in FLV", "flv", "libx264", options=_FAST),
    Kind("H.264, 4:2:2 and 4:4:4", "mp4", "libx264", "yuv422p", _FAST),
    Kind("H.264, 4:2:2 and 4:4:4", "mkv", "libx264", "yuv444p", _FAST),
    Kind("H.264, 10 bits", "mp4", "libx264", "yuv420p10le", _FAST),
    Kind("H.264, grey", "mp4", "libx264", "gray", _FAST | {"color_range": "pc"}),
    Kind("H.264, RGB", "mkv", "libx264rgb", "rgb24", _FAST),
    Kind("H.264 with B-frames in AVI", "avi", "libx264", options={"preset": "fast", "bf": "2"}),
    Kind("H.264, bare", "h264", "libx264", options=_FAST),
    Kind("H.265 in MP4", "mp4", "libx265", options=_X265),
    Kind("H.265, 10 and 12 bits", "mkv", "libx265", "yuv420p10le", _X265),
    Kind("H.265, bare", "hevc", "libx265", options=_X265),
    Kind("AV1 in MP4 and MKV", "mp4", "libsvtav1", options={"preset": "12"}),
    Kind("VP8 in WebM", "webm", "libvpx", options={"deadline": "realtime"}),
    Kind("VP9 in WebM", "webm", "libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
    Kind("MPEG-1 and MPEG-2 in MPG", "mpg", "mpeg1video"),
    Kind("MPEG-1 and MPEG-2 in MPG", "mpg", "mpeg2video"),
    Kind("MPEG-2, bare", "m2v", "mpeg2video"),
    Kind("MPEG-2 in MXF", "mxf", "mpeg2video"),
    Kind("MPEG-4 in AVI and MP4", "avi", "mpeg4"),
    Kind("MPEG-4 in AVI and MP4", "mp4", "mpeg4"),
    Kind("MPEG-4 with B-frames in AVI", "avi", "mpeg4", options={"bf": "2"}),
    Kind("H.263 in 3GP", "3gp", "h263", size=(96, 128), tolerance=5),
    Kind("Windows Media in WMV", "wmv", "wmv2"),
    Kind("DivX 3 in AVI", "avi", "msmpeg4"),
    Kind("Sorenson in FLV", "flv", "flv"),
    Kind("RealVideo 2 in RM", "rm", "rv20"),
    Kind("MJPEG in AVI and MOV", "avi", "mjpeg", "yuvj420p"),
    Kind("MJPEG in AVI and MOV", "mov", "mjpeg", "yuvj422p"),
    Kind("MJPEG, bare", "mjpeg", "mjpeg", "yuvj420p"),
    Kind("ProRes in MOV", "mov", "prores_ks", "yuv422p10le"),
    Kind("DNxHD in MOV", "mov", "dnxhd", "yuv422p", {"profile": "dnxhr_sq"}, size=(128, 256)),
    Kind("DV in DV and AVI", "dv", "dvvideo", size=(576, 720), doubles=2),
    Kind("DV in DV and AVI", "avi", "dvvideo", size=(576, 720), doubles=2),
    Kind("JPEG 2000 in MOV", "mov", "jpeg2000"),
    Kind("PNG in MOV", "mov", "png", "rgb24"),
    Kind("QuickTime Animation in MOV", "mov", "qtrle", "rgb24"),
    Kind("QuickTime Animation in MOV", "mov", "qtrle", "gray"),  # by a palette, white first
    Kind("FFV1 in MKV, 8 to 16 bits", "mkv", "ffv1"),
    Kind("FFV1 in MKV, 8 to 16 bits", "mkv", "ffv1", "yuv444p16le"),
    Kind("FFV1 in MKV, RGB", "mkv", "ffv1", "bgr0"),
    Kind("FFV1 in MKV, RGB", "mkv", "ffv1", "gbrp12le"),
    Kind("FFV1 in MKV, grey, 8 to 16 bits", "mkv", "ffv1", "gray"),
    Kind("FFV1 in MKV, grey, 8 to 16 bits", "mkv", "ffv1", "gray10le"),
    Kind("FFV1 in MKV, grey, 8 to 16 bits", "mkv", "ffv1", "gray12le"),
    Kind("FFV1 in MKV, grey, 8 to 16 bits", "mkv", "ffv1", "gray16le"),
    Kind("HuffYUV, Ut Video, MagicYUV", "avi", "huffyuv", "yuv422p"),
    Kind("HuffYUV, Ut Video, MagicYUV", "avi", "utvideo"),
    Kind("HuffYUV, Ut Video, MagicYUV", "avi", "magicyuv"),
    Kind("CineForm in MOV", "mov", "cfhd", "yuv422p10le"),
    Kind("Cinepak in AVI", "avi", "cinepak", "rgb24", tolerance=6),
    Kind("Uncompressed in AVI", "avi", "rawvideo", "bgr24"),
    Kind("Uncompressed in AVI", "avi", "rawvideo", "yuv420p"),
    Kind("Uncompressed in AVI", "avi", "rawvideo", "uyvy422"),
    Kind("Uncompressed in AVI", "avi", "rawvideo", "gray"),
    Kind("Uncompressed 10 bits in MOV", "mov", "v210", "yuv422p10le", size=(HEIGHT, 192)),
    Kind("YUV4MPEG", "y4m", "rawvideo"),
    Kind("GIF", "gif", "gif", "gray"),
    Kind("Animated PNG", "apng", "apng", "gray"),
    Kind("Animated PNG", "png", "apng", "rgba", form="apng"),
    Kind("Animated AVIF", "avif", "libsvtav1", options={"preset": "12"}),
    Kind("IVF", "ivf", "libvpx", options={"deadline": "realtime"}),
    Kind("NUT", "nut", "mpeg4"),
)  # fmt: skip
"""Every row that docs/formats.md calls tested is made from these."""
