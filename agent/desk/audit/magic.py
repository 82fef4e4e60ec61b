"""Files inside bytes: pictures, video, sound, arrays, archives, by their first bytes and more.

A few letters alone occur by chance in any megabyte, so each signature comes with what must follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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
_ALL = [(name, re.compile(pattern, re.DOTALL)) for name, pattern in _SIGNATURES]


def signatures(data: bytes) -> Iterator[tuple[int, str]]:
    """(offset, name) of each kind's first place."""
    for name, pattern in _ALL:
        found = pattern.search(data)
        if found is not None:
            yield found.start(), name
