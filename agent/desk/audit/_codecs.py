"""Sound under audio codecs: containers and streams of frames by their signatures, and bare packets
of Opus, all decoded as far as FFmpeg can and no further than a few seconds."""

from __future__ import annotations

import base64
import contextlib
import io
import re
import struct
from collections.abc import Iterator, Sequence

import av
import numpy as np
import numpy.typing as npt

from agent.perceive.capture.media import open_bytes

Values = npt.NDArray[np.float32]

_RATE = 16_000
_MAX_SECONDS = 10
_MAX_BYTES = 4_000_000
"""Of one container that is decoded."""
_MIN_PACKETS = 3
_MAX_PACKETS = 500
_SHORTEST, _LONGEST = 3, 1275
"""Bytes of an Opus packet (RFC 6716, 3.4)."""
_SAME_KIND = 0.5
"""Least share of the packets that are of the commonest kind; an encoder seldom changes it."""
_MIN_FRAMES = 4
"""Frames in a row that make a stream: one header alone is found in any bytes."""

CONTAINERS: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (name, re.compile(pattern, re.DOTALL))
    for name, pattern in (
        ("WAV", rb"(?:RIFF|RIFX|RF64)....WAVE"),
        ("Ogg", rb"OggS\x00[\x00-\x07]"),
        ("FLAC", rb"fLaC[\x00\x80]\x00\x00\x22"),
        ("MP3", rb"ID3[\x02-\x04]\x00[\x00-\xf0]"),
        ("Matroska or WebM", rb"\x1a\x45\xdf\xa3"),
        ("MP4", rb"....ftyp"),
        ("AIFF", rb"FORM....AIF[FC]"),
        ("AU", rb"\.snd\x00\x00\x00.\xff?"),
        ("CAF", rb"caff\x00\x01\x00\x00"),
        ("AMR", rb"#!AMR(?:-WB)?\n"),
        ("WavPack", rb"wvpk....[\x02-\x10]\x04"),
        ("Wave64", rb"riff\x2e\x91\xcf\x11"),
    )
)  # fmt: skip


def signatures(data: bytes) -> Iterator[tuple[int, str]]:
    """(offset, name) of sound that has a signature, or frames that follow each other."""
    for name, pattern in _SIGNATURES:
        found = pattern.search(data)
        if found is not None:
            yield found.start(), name
    for name, header, length in (("AAC (ADTS)", _ADTS, _adts), ("MP3 frames", _MPEG, _mpeg)):
        at = _stream(data, header, length)
        if at is not None:
            yield at, name


_SIGNATURES = tuple(
    (name, re.compile(pattern, re.DOTALL))
    for name, pattern in (
        ("Opus header", rb"OpusHead[\x01-\x0f]|OpusTags"),
        ("Vorbis header", rb"[\x01\x03\x05]vorbis"),
        ("Speex header", rb"Speex   1\."),
        ("WAV", rb"(?:RIFX|RF64)....WAVE|WAVEfmt [\x10-\x28]\x00\x00\x00"),
        ("AIFF", rb"FORM....AIF[FC]"),
        ("AU", rb"\.snd\x00\x00\x00[\x18-\xff]....\x00\x00\x00[\x01-\x1b]"),
        ("CAF", rb"caff\x00\x01\x00\x00"),
        ("AMR", rb"#!AMR(?:-WB)?\n"),
        ("WavPack", rb"wvpk....[\x02-\x10]\x04"),
        ("Wave64", rb"riff\x2e\x91\xcf\x11"),
    )
)  # fmt: skip
_ADTS = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")
_MPEG = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa\xfb]")
_BITRATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""kbit/s of MPEG 2 layer III."""
_BITRATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_RATES = (44_100, 48_000, 32_000)


def _stream(data: bytes, header: re.Pattern[bytes], length: object) -> int | None:
    """Offset of the first of `_MIN_FRAMES` frames in a row."""
    assert callable(length)
    for found in header.finditer(data):
        at = found.start()
        for _ in range(_MIN_FRAMES):
            size = length(data, at) if header.match(data, at) else 0
            if not size:
                break
            at += size
        else:
            return found.start()
    return None


def _adts(data: bytes, at: int) -> int:
    """Length of an AAC frame (ISO/IEC 14496-3, 1.A.3)."""
    if at + 7 > len(data) or (data[at + 2] >> 2 & 15) > 12:
        return 0
    size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    return size if size > 7 else 0


def _mpeg(data: bytes, at: int) -> int:
    """Length of a frame of layer III (ISO/IEC 11172-3, 2.4.1.3)."""
    if at + 4 > len(data):
        return 0
    version, rate, kbits = data[at + 1] >> 3 & 3, data[at + 2] >> 2 & 3, data[at + 2] >> 4
    if version == 1 or rate == 3 or kbits in (0, 15):
        return 0
    padding = data[at + 2] >> 1 & 1
    if version == 3:
        return 144_000 * _BITRATES_1[kbits] // _RATES[rate] + padding
    samples = _RATES[rate] // (2 if version == 2 else 4)
    return 72_000 * _BITRATES[kbits] // samples + padding


def decoded(data: bytes) -> Iterator[tuple[str, int, Values]]:
    """(name, offset, float32[S] at 16 kHz) of every container and stream in the bytes."""
    starts: dict[int, str] = {}
    for name, pattern in CONTAINERS:
        for number, found in enumerate(pattern.finditer(data)):
            if number < 2:
                starts.setdefault(found.start(), name)
    for name, header, length in (("AAC (ADTS)", _ADTS, _adts), ("MP3 frames", _MPEG, _mpeg)):
        at = _stream(data, header, length)
        if at is not None:
            starts.setdefault(at, name)
    for at, name in sorted(starts.items()):
        values = _read(data[at : at + _MAX_BYTES])
        if values.size:
            yield name, at, values


def _read(data: bytes) -> Values:
    """The first seconds of sound; empty where FFmpeg finds none."""
    parts: list[Values] = []
    size = 0
    # whatever FFmpeg says of bytes that nobody vouches for
    with (
        contextlib.suppress(av.FFmpegError, ValueError, IndexError, MemoryError, OSError),
        open_bytes(io.BytesIO(data)) as file,
    ):
        resampler = av.AudioResampler(format="flt", layout="mono", rate=_RATE)
        for frame in file.decode(audio=0) if file.streams.audio else ():
            for part in resampler.resample(frame):
                parts.append(part.to_ndarray().reshape(-1))
                size += parts[-1].size
            if size > _MAX_SECONDS * _RATE:
                break
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def opus_packets(data: bytes) -> list[bytes]:
    """Packets that each stand behind their length, to the very end; empty where there are none."""
    for form in ("<H", ">H", "<I", ">I", "B"):
        found: list[bytes] = []
        size, at = struct.calcsize(form), 0
        while at + size <= len(data) and len(found) < _MAX_PACKETS:
            length = struct.unpack_from(form, data, at)[0]
            if not _SHORTEST <= length <= _LONGEST or at + size + length > len(data):
                break
            found.append(data[at + size : at + size + length])
            at += size + length
        if len(found) >= _MIN_PACKETS and (at == len(data) or not any(data[at:])):
            return found
    return []


def from_base64(text: bytes) -> bytes:
    """Content of a string; empty where it is none."""
    plain = text.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    return b"" if len(plain) % 4 == 1 else base64.b64decode(plain + b"=" * (-len(plain) % 4))


def opus(packets: Sequence[bytes]) -> Values:
    """float32[S] at 16 kHz of packets in a row; empty where they are not Opus of one kind, which
    the first byte of each tells (RFC 6716, 3.1)."""
    packets = [each for each in packets if _SHORTEST <= len(each) <= _LONGEST][:_MAX_PACKETS]
    if len(packets) < _MIN_PACKETS:
        return np.zeros(0, np.float32)
    kinds = [each[0] >> 3 for each in packets]
    if max(map(kinds.count, set(kinds))) < _SAME_KIND * len(packets):
        return np.zeros(0, np.float32)
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    resampler = av.AudioResampler(format="flt", layout="mono", rate=_RATE)
    parts: list[Values] = []
    size = 0
    for each in packets:
        with contextlib.suppress(av.FFmpegError, ValueError):
            for frame in decoder.decode(av.Packet(each)):
                parts += [part.to_ndarray().reshape(-1) for part in resampler.resample(frame)]
                size += parts[-1].size if parts else 0
        if size > _MAX_SECONDS * _RATE:
            break
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
