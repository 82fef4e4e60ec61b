"""What bytes give away by themselves: files by their first bytes, text that is more than words.

A few letters alone occur by chance in any megabyte, so each signature comes with what must follow.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from agent.desk.audit._artifacts import Detector
from agent.desk.audit._decodings import NUMBER

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
_MOST_NUMBERS = 12
"""Numbers in a row that a log may hold; schemas allow no array of numbers at all."""
_MOST_REPEATS = 40
"""Times that a log may say the same with other numbers."""
_LONGEST_WORD = 64
"""Letters and digits in a row: a SHA-256 in hex has as many."""
_ROW = re.compile(NUMBER + rb"(?:[\s,;:|\[\](){}]{1,8}" + NUMBER + rb"){%d,}" % _MOST_NUMBERS)
_WORD = re.compile(rb"[A-Za-z0-9+/=_-]{%d,}" % (_LONGEST_WORD + 1))
_CODED = re.compile(rb"(?:(?:%|\\x|0x)[0-9A-Fa-f]{2}[ ,]?){8,}|(?:\\u[0-9A-Fa-f]{4}){8,}")
_BINARY = re.compile(rb"(?:[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]|[\x80-\xff](?![\x80-\xbf])){4,}")
_STRANGE = re.compile(rb"[\x80-\xff]{24,}")
_PATHS = re.compile(rb"(?:/[A-Za-z0-9_.@+-]{1,40})+/?")


def signatures(data: bytes) -> Iterator[tuple[int, str]]:
    """(offset, name) of each kind's first place."""
    for name, pattern in _COMPILED:
        found = pattern.search(data)
        if found is not None:
            yield found.start(), name


def suspicious_text(data: bytes) -> Iterator[tuple[Detector, int, str]]:
    """(detector, offset, what) of everything in a log that is more than words."""
    for run in _ROW.finditer(data):
        count = len(re.findall(NUMBER, run[0]))
        yield "numbers", run.start(), f"{count} numbers in a row: {_start(run[0])}"
    for run in _WORD.finditer(data):
        # of a file's path only a part without a slash may be a secret
        text = max(re.split(rb"/+", run[0]), key=len) if _is_path(data, run) else run[0]
        if len(text) > _LONGEST_WORD and _entropy(text) > 2.5:
            yield "entropy", run.start(), (
                f"{len(text)} characters in a row with {_entropy(text):.1f} bits each: "
                f"{_start(text)}"
            )  # fmt: skip
    for pattern, what in (
        (_CODED, "coded bytes"), (_BINARY, "bytes that are no text"), (_STRANGE, "no plain text"),
    ):  # fmt: skip
        for run in pattern.finditer(data):
            yield "entropy", run.start(), f"{len(run[0])} characters of {what}: {_start(run[0])}"
    yield from _repeated(data)


def _entropy(text: bytes) -> float:
    """Bits per character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def _is_path(data: bytes, run: re.Match[bytes]) -> bool:
    before = data[max(0, run.start() - 1) : run.start()]
    whole = _PATHS.match(data, run.start())
    return before not in (b"+", b"=") and whole is not None and whole.end() >= run.end()


def _repeated(data: bytes) -> Iterator[tuple[Detector, int, str]]:
    """Rows of numbers that were spread over lines."""
    lines: dict[bytes, tuple[int, set[bytes]]] = {}
    at = 0
    for line in data.split(b"\n"):
        numbers = re.findall(NUMBER, line)
        if numbers:
            _, seen = lines.setdefault(re.sub(NUMBER, b"#", line), (at, set()))
            seen.add(b" ".join(numbers))
        at += len(line) + 1
    for shape, (first, seen) in lines.items():
        if len(seen) > _MOST_REPEATS:
            what = f"one line {len(seen)} times with different numbers: {_start(shape)}"
            yield "numbers", first, what


def _start(text: bytes) -> str:
    return ascii(text[:48].decode("latin-1"))[1:-1] + ("…" if len(text) > 48 else "")
