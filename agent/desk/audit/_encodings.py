"""Analysis of a byte string by itself: decodings into pixels (raw, base64, hex, percent-encoded,
compressed, numbers in text, integers and floats), file signatures, and data encoded in logs."""

from __future__ import annotations

import base64
import binascii
import math
import re
import urllib.parse
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.desk.audit._artifacts import Detector

Bytes = npt.NDArray[np.uint8]

MIN_PIXELS = 24
"""Shortest run of pixels that is analysed."""
_MAX_DECOMPRESSED = 16_000_000
"""Bytes; a bound against decompression bombs."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-](?:[A-Za-z0-9+/_-]|\\?\r?\n[ \t]*|\\[nr/]){30,}")
_HEX = re.compile(rb"[0-9A-Fa-f](?:[ :,]?[0-9A-Fa-f]){47,}")
_PERCENT = re.compile(rb"(?:%[0-9A-Fa-f]{2}|[!-~]){24,}")
_ESCAPED = re.compile(rb"(?:\\x[0-9a-f]{2}|[ -~]){24,}")
_NUMBER = rb"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
_SEPARATOR = rb"[\s,;|\[\](){}]{1,8}"
_NUMBERS = re.compile(_NUMBER + rb"(?:" + _SEPARATOR + _NUMBER + rb"){11,}")
_ONE = re.compile(_NUMBER)
_FLOATS = ("<f4", ">f4", "<f2", "<f8", ">f8")
_STRIDES = (2, 3, 4, 8)


@dataclass(frozen=True, slots=True, eq=False)
class Decoding:
    """Bytes of an artifact interpreted as pixels."""

    how: str
    """Name of the encoding: `base64`, `numbers in text` …; empty for raw bytes."""
    offset: int
    """In the artifact, bytes."""
    step: float
    """Approximate bytes of the artifact per pixel."""
    pixels: Bytes
    whole: bool = False
    """Whether its bounds are known, so that it may be exactly one picture."""

    @property
    def coded(self) -> bool:
        """Whether bytes were encoded as text or compressed."""
        return bool(self.how) and not self.how.startswith(("numbers", "float", "every", "deltas"))


def decodings(data: bytes, depth: int = 2) -> Iterator[Decoding]:
    """All interpretations of these bytes as at least `MIN_PIXELS` pixels."""
    yield Decoding("", 0, 1.0, np.frombuffer(data, np.uint8))
    if len(data) >= MIN_PIXELS:
        # differences of neighbours, as predictive coders store them
        deltas = np.cumsum(np.frombuffer(data, np.uint8), dtype=np.uint8)
        yield Decoding("deltas", 0, 1.0, deltas)
    yield from _interleaved(data)
    yield from _numbers(data)
    for how, offset, step, content in _decoded(data):
        yield Decoding(how, offset, step, np.frombuffer(content, np.uint8), whole=True)
        if depth and how != "percent":
            for each in decodings(content, depth - 1):
                if each.how:
                    yield Decoding(
                        f"{each.how} in {how}", offset + int(each.offset * step),
                        step * each.step, each.pixels, each.whole,
                    )  # fmt: skip


def _decoded(data: bytes) -> Iterator[tuple[str, int, float, bytes]]:
    """(how, offset, encoded bytes per byte, content) of every run of encoded bytes."""
    for run in _BASE64.finditer(data):
        text = re.sub(rb"\\?\r?\n[ \t]*|\\[nr]|\\(?=/)", b"", run[0])
        text = text.translate(bytes.maketrans(b"-_", b"+/"))
        for shift in range(4):
            part = text[shift : len(text) - ((len(text) - shift) % 4 == 1)]
            content = base64.b64decode(part + b"=" * (-len(part) % 4))
            if len(content) >= MIN_PIXELS:
                yield "base64", run.start() + shift, 4 / 3, content
    for run in _HEX.finditer(data):
        text = re.sub(rb"[ :,]", b"", run[0])
        step = len(run[0]) / (len(text) / 2)
        for shift in (0, 1):
            part = text[shift : shift + (len(text) - shift) // 2 * 2]
            yield "hex", run.start() + shift, step, binascii.unhexlify(part)
    for run in _PERCENT.finditer(data):
        if run[0].count(b"%") >= 8:
            content = urllib.parse.unquote_to_bytes(run[0])
            yield "percent", run.start(), len(run[0]) / len(content), content
    for run in _ESCAPED.finditer(data):
        content = _unescaped(run[0]) if run[0].count(b"\\x") >= 4 else b""
        if len(content) >= MIN_PIXELS:
            yield "escaped text", run.start(), len(run[0]) / len(content), content
    yield from _decompressed(data)


def _unescaped(text: bytes) -> bytes:
    """Python's and C's \\x.., \\n and so on, as in the repr of bytes."""
    plain = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0"}

    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code[1:], 16)]) if code[:1] == b"x" else plain.get(code, code)

    return re.sub(rb"\\(x[0-9a-f]{2}|.)", one, text)


def _decompressed(data: bytes) -> Iterator[tuple[str, int, float, bytes]]:
    """Decompressed zlib and gzip streams, found by their headers (RFC 1950, RFC 1952)."""
    for run in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", data):
        at = run.start()
        gzip = data[at] == 0x1F
        engine = zlib.decompressobj(31 if gzip else 15)
        try:
            content = engine.decompress(data[at:], _MAX_DECOMPRESSED)
        except zlib.error:
            continue
        used = len(data) - at - len(engine.unused_data)
        if len(content) >= MIN_PIXELS:
            yield "gzip" if gzip else "zlib", at, used / len(content), content


def _numbers(data: bytes) -> Iterator[Decoding]:
    """Runs of decimal numbers in text, scaled to 0..255."""
    for run in _NUMBERS.finditer(data):
        values = np.array([float(each[0]) for each in _ONE.finditer(run[0])], np.float64)
        pixels = _to_grey(values)
        if pixels is not None and len(values) >= MIN_PIXELS:
            step = len(run[0]) / len(values)
            yield Decoding("numbers in text", run.start(), step, pixels, whole=True)


def _to_grey(values: npt.NDArray[np.float64]) -> Bytes | None:
    """Scale 0..255, 0..1, -1..1, -128..127 or any other range to grey levels; None if constant."""
    if not np.isfinite(values).all():
        return None
    # robust against a few other numbers, such as a size
    low, high = (float(each) for each in np.quantile(values, (0.02, 0.98)))
    if high - low <= 0:
        return None
    if low >= 0 and 1.5 < high <= 255.5:
        scaled = values
    elif low >= 0 and high <= 1.0:
        scaled = values * 255
    elif low >= -1 and high <= 1.0:
        scaled = (values + 1) * 127.5
    elif low >= -128 and high <= 127.5:
        scaled = values + 128
    else:
        scaled = (values - low) * (255 / (high - low))
    grey: Bytes = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return grey


def _interleaved(data: bytes) -> Iterator[Decoding]:
    """Every n-th byte (interleaved colours, wider integers) and floats, at every alignment."""
    raw = np.frombuffer(data, np.uint8)
    for stride in _STRIDES:
        for shift in range(stride):
            part = raw[shift::stride]
            if len(part) >= MIN_PIXELS:
                yield Decoding(f"every {stride}. byte", shift, stride, part)
    for code in _FLOATS:
        size = np.dtype(code).itemsize
        for shift in range(size):
            count = (len(data) - shift) // size
            if count >= MIN_PIXELS:
                yield from _floats(np.frombuffer(data, code, count, shift), code, shift)


def _floats(values: npt.NDArray[np.floating], code: str, shift: int) -> Iterator[Decoding]:
    """Runs of plausible grey levels; tiny magnitudes are other data."""
    with np.errstate(invalid="ignore"):
        magnitude = np.abs(values.astype(np.float64, copy=False))
        good = (magnitude <= 255.0) & ((magnitude >= 1e-4) | (magnitude == 0))
    edges = np.flatnonzero(np.diff(good.astype(np.int8), prepend=0, append=0))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start < MIN_PIXELS:
            continue
        run = values[start:end].astype(np.float64)
        # not the zero padding of files
        if np.count_nonzero(run) < MIN_PIXELS or len(np.unique(run)) < 8:
            continue
        pixels = _to_grey(run)
        if pixels is not None:
            size = values.itemsize
            name = f"float{8 * size} ({code[0]})"
            yield Decoding(name, shift + int(start) * size, size, pixels, whole=True)


_SIGNATURES: tuple[tuple[str, bytes], ...] = (
    (
        "JPEG",
        rb"\xff\xd8\xff(?:[\xe0-\xef]..(?:JFIF|Exif|ICC_|Adob|http)"
        rb"|\xdb\x00[\x43\x84]|\xee\x00)",
    ),
    (
        "JPEG data",
        rb"\xff\xdb\x00\x43[\x00\x01]|\xff\xc4\x00[\x1f\xb5\xd2]|\xff\xc0\x00[\x0b\x11]\x08",
    ),
    ("JPEG 2000", rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51\x00"),
    ("JPEG XL", rb"\x00\x00\x00\x0cJXL \r\n\x87\n"),
    (
        "PNG",
        rb"\x89PNG\r\n\x1a\n"
        rb"|IHDR\x00\x00..\x00\x00..[\x01\x02\x04\x08\x10][\x00\x02\x03\x04\x06]\x00\x00",
    ),
    ("GIF", rb"GIF8[79]a.[\x00-\x20].[\x00-\x20]"),
    ("WebP, AVI or WAV", rb"RIFF....(?:WEBP|AVI |WAVE)"),
    ("BMP", rb"BM....\x00\x00\x00\x00..\x00\x00[\x0c\x28\x40\x6c\x7c]\x00\x00\x00"),
    ("TIFF", rb"II\x2a\x00[\x08-\xff][\x00-\x7f]\x00\x00|MM\x00\x2a\x00\x00[\x00-\x7f][\x08-\xff]"),
    ("PNM", rb"P[1-6][\s]+(?:#[^\n]*\n)?\d{1,5}\s+\d{1,5}\s+(?:\d{1,5}\s)?"),
    (
        "MP4, HEIF or AVIF",
        rb"ftyp(?:isom|iso[2-9]|mp4[12]|avc1|M4V |qt  |heic|heix|mif1|avif|avis|3gp.)",
    ),
    ("Matroska or WebM", rb"\x1a\x45\xdf\xa3.{0,12}\x42[\x86\x82]"),
    ("H.264", rb"\x00\x00\x01[\x67\x27\x47][\x42\x4d\x58\x64\x6e\x7a\xf4][\x00-\xff][\x0a-\x3e]"),
    ("MPEG", rb"\x00\x00\x01\xb3...[\x11-\x48]|\x00\x00\x01\xba[\x21\x44]"),
    ("Ogg", rb"OggS\x00[\x00-\x07]\x00\x00"),
    ("FLAC", rb"fLaC\x00\x00\x00\x22"),
    ("MP3", rb"ID3[\x02-\x04]\x00[\x00-\xf0]\x00"),
    ("NumPy array", rb"\x93NUMPY[\x01-\x03]\x00"),
    ("ZIP", rb"PK\x03\x04[\x0a-\x3f]\x00..[\x00\x08\x09\x0c\x0e\x5d]\x00"),
    ("gzip", rb"\x1f\x8b\x08[\x00-\x1f]....[\x00\x02\x04][\x00-\x0d\xff]"),
    ("bzip2", rb"BZh[1-9]\x31\x41\x59\x26\x53\x59"),
    ("xz", rb"\xfd7zXZ\x00\x00"),
    ("Zstandard", rb"\x28\xb5\x2f\xfd[\x00-\xff]{2}[\x00-\xff]\x00"),
    ("LZ4", rb"\x04\x22\x4d\x18[\x40-\x7f][\x40-\x70]"),
    ("7z", rb"7z\xbc\xaf\x27\x1c\x00"),
    ("tar", rb"ustar(?:\x0000|  \x00)"),
    ("HDF5", rb"\x89HDF\r\n\x1a\n"),
    ("PDF", rb"%PDF-[12]\.\d"),
    (
        "pickled array",
        rb"numpy\.?(?:_core|core)?\.?multiarray[\x00-\x20\x8c\x94\x93]{1,4}"
        rb"_?(?:reconstruct|frombuffer)",
    ),
    ("data URL", rb"data:(?:image|video|audio)/[a-z0-9.+-]{2,20}[;,]"),
)
_COMPILED = [(name, re.compile(pattern, re.DOTALL)) for name, pattern in _SIGNATURES]
_MAX_NUMBERS = 12
"""Consecutive numbers allowed in a log."""
_MAX_REPEATS = 40
"""Repetitions of a log line with different numbers that are allowed."""
_MAX_TOKEN = 64
"""Consecutive letters and digits allowed in a log, as in a hex SHA-256."""
_ROW = re.compile(_NUMBER + rb"(?:[\s,;:|\[\](){}]{1,8}" + _NUMBER + rb"){%d,}" % _MAX_NUMBERS)
_TOKEN = re.compile(rb"[A-Za-z0-9+/=_-]{%d,}" % (_MAX_TOKEN + 1))
_CODED = re.compile(rb"(?:(?:%|\\x|0x)[0-9A-Fa-f]{2}[ ,]?){8,}|(?:\\u[0-9A-Fa-f]{4}){8,}")
_BINARY = re.compile(rb"(?:[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]|[\x80-\xff](?![\x80-\xbf])){4,}")
_NON_ASCII = re.compile(rb"[\x80-\xff]{24,}")
_PATHS = re.compile(rb"(?:/[A-Za-z0-9_.@+-]{1,40})+/?")


def signatures(data: bytes) -> Iterator[tuple[int, str]]:
    """(offset, name) of the first occurrence of each file signature."""
    for name, pattern in _COMPILED:
        found = pattern.search(data)
        if found is not None:
            yield found.start(), name


def suspicious_text(data: bytes) -> Iterator[tuple[Detector, int, str]]:
    """(detector, offset, what) of possible encoded data in a log."""
    for run in _ROW.finditer(data):
        count = len(re.findall(_NUMBER, run[0]))
        yield "numbers", run.start(), f"{count} numbers in a row: {_excerpt(run[0])}"
    for run in _TOKEN.finditer(data):
        # of a path only components count
        text = max(re.split(rb"/+", run[0]), key=len) if _is_path(data, run) else run[0]
        if len(text) > _MAX_TOKEN and _entropy(text) > 2.5:
            yield "entropy", run.start(), (
                f"{len(text)} characters in a row with {_entropy(text):.1f} bits each: "
                f"{_excerpt(text)}"
            )  # fmt: skip
    for pattern, what in (
        (_CODED, "coded bytes"), (_BINARY, "bytes that are no text"), (_NON_ASCII, "no plain text"),
    ):  # fmt: skip
        for run in pattern.finditer(data):
            yield "entropy", run.start(), f"{len(run[0])} characters of {what}: {_excerpt(run[0])}"
    yield from _repeated(data)


def _entropy(text: bytes) -> float:
    """Shannon entropy, bits per character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def _is_path(data: bytes, run: re.Match[bytes]) -> bool:
    before = data[max(0, run.start() - 1) : run.start()]
    whole = _PATHS.match(data, run.start())
    return before not in (b"+", b"=") and whole is not None and whole.end() >= run.end()


def _repeated(data: bytes) -> Iterator[tuple[Detector, int, str]]:
    """Numbers spread over lines that are otherwise equal."""
    lines: dict[bytes, tuple[int, set[bytes]]] = {}
    at = 0
    for line in data.split(b"\n"):
        numbers = re.findall(_NUMBER, line)
        if numbers:
            _, seen = lines.setdefault(re.sub(_NUMBER, b"#", line), (at, set()))
            seen.add(b" ".join(numbers))
        at += len(line) + 1
    for shape, (first, seen) in lines.items():
        if len(seen) > _MAX_REPEATS:
            what = f"one line {len(seen)} times with different numbers: {_excerpt(shape)}"
            yield "numbers", first, what


def _excerpt(text: bytes) -> str:
    return ascii(text[:48].decode("latin-1"))[1:-1] + ("…" if len(text) > 48 else "")
