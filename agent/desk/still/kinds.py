"""What a file is by its first bytes, where it is no picture that is read here, and what to do
instead. Names and endings are not asked: they are often wrong.

Signatures: the formats' own specifications; ISO/IEC 14496-12 (`ftyp`), TIFF 6.0, ISO/IEC 23008-12.
"""

from __future__ import annotations

import re
from typing import NamedTuple

HEAD = 4096
"""Bytes to look at."""
ENDINGS = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".png", ".apng", ".bmp", ".dib", ".gif",
        ".webp", ".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".heic", ".heif",
        ".heics", ".heifs", ".hif", ".avif", ".avifs", ".jp2", ".j2k", ".jpx", ".jpf", ".jpc",
        ".j2c",
    }
)  # fmt: skip
"""Of pictures that are read here, in lower case: whoever names a file so means a picture."""
RAW_ENDINGS = frozenset(
    {
        ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf", ".orf",
        ".rw2", ".pef", ".srw", ".x3f", ".3fr", ".fff", ".iiq", ".mrw", ".kdc", ".dcr", ".erf",
        ".mef", ".mos", ".rwl",
    }
)  # fmt: skip
_AS_PICTURE = "Save it as PNG or JPEG"


class Kind(NamedTuple):
    """A kind of file that is not read."""

    what: str
    """With its article."""
    remedy: str
    picture: bool
    """Whether a person would call it a picture."""


RAW = Kind("a camera's raw file", "Develop it, or save the camera's own picture, as JPEG", True)
TEXT = Kind("text", "Name a picture", False)
_VIDEO = Kind("a video", "Use `fleeting replay` for videos", False)
_SOUND = Kind("a sound file", "Use `fleeting listen` for sound", False)
_ARCHIVE = Kind("an archive", "Unpack it", False)
_DOCUMENT = Kind("a document", "Save its page as PNG or JPEG", False)


def _picture(what: str) -> Kind:
    return Kind(what, _AS_PICTURE, True)


_SIGNATURES: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", _picture("a JPEG XL picture")),
    (0, b"\xff\x0a", _picture("a JPEG XL picture")),
    (0, b"\x49\x49\xbc\x01", _picture("a JPEG XR picture")),
    (12, b"CgBI", _picture("a PNG in the form that Apple's apps hold (CgBI)")),
    (0, b"MM\0+", _picture("a BigTIFF with the most significant byte first")),
    (0, b"PF\n", _picture("a PFM picture in colour")),
    (0, b"P7\n", _picture("a PAM picture")),
    (0, b"8BPS", _picture("a Photoshop document")),
    (0, b"gimp xcf ", _picture("a GIMP document")),
    (0, b"\x76\x2f\x31\x01", _picture("an OpenEXR picture")),
    (0, b"#?RADIANCE", _picture("a Radiance HDR picture")),
    (0, b"#?RGBE", _picture("a Radiance HDR picture")),
    (0, b"DDS ", _picture("a DirectDraw surface")),
    (0, b"qoif", _picture("a QOI picture")),
    (0, b"\x00\x00\x01\x00", _picture("an icon")),
    (0, b"icns", _picture("an icon")),
    (0, b"SIMPLE  =", _picture("a FITS picture")),
    (128, b"DICM", _picture("a DICOM picture")),
    (0, b"FUJIFILMCCD-RAW", RAW),
    (0, b"IIRO", RAW),  # Olympus
    (0, b"IIRS", RAW),
    (0, b"MMOR", RAW),
    (0, b"IIU\x00", RAW),  # Panasonic
    (0, b"FOVb", RAW),  # Sigma
    (0, b"\x00MRM", RAW),  # Minolta
    (6, b"HEAPCCDR", RAW),  # Canon CRW
    (8, b"CR\x02", RAW),  # Canon CR2, a TIFF otherwise
    (0, b"%PDF-", _DOCUMENT),
    (0, b"%!PS", _DOCUMENT),
    (0, b"\xc5\xd0\xd3\xc6", _DOCUMENT),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _DOCUMENT),
    (0, b"\x1a\x45\xdf\xa3", _VIDEO),  # Matroska, WebM
    (0, b"FLV\x01", _VIDEO),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _VIDEO),  # ASF
    (0, b"\x00\x00\x01\xba", _VIDEO),  # MPEG programme stream
    (0, b"\x00\x00\x01\xb3", _VIDEO),  # MPEG video
    (4, b"moov", _VIDEO),
    (4, b"mdat", _VIDEO),
    (4, b"wide", _VIDEO),
    (0, b"YUV4MPEG2", _VIDEO),
    (0, b"fLaC", _SOUND),
    (0, b"OggS", _SOUND),
    (0, b"ID3", _SOUND),
    (0, b"PK\x03\x04", _ARCHIVE),
    (0, b"\x1f\x8b", _ARCHIVE),
    (0, b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (0, b"Rar!\x1a\x07", _ARCHIVE),
    (0, b"\xfd7zXZ\x00", _ARCHIVE),
    (0, b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (0, b"\x00\x05\x16\x07", Kind("a companion file of macOS", "Name the file beside it", False)),
    (0, b"\x7fELF", Kind("a program", "Name a picture", False)),
)  # fmt: skip
_RIFF = {b"AVI ": _VIDEO, b"WAVE": _SOUND, b"RMID": _SOUND}
_PICTURE_BRANDS = {
    b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs",
    b"mif1", b"mif2", b"msf1",
}  # fmt: skip
_OTHER_BRANDS = {b"crx ": RAW, b"M4A ": _SOUND, b"M4B ": _SOUND}
_READ = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"),
    b"\0\0\0\x0cjP  \r\n",
)
"""How pictures that are read here begin, beside those with brands."""
_PORTABLE = re.compile(rb"P[1-6f]\s*(\d|#)")
"""Begins pictures whose header, or all of it, is text; a dark binary one may look like text."""


def refused(head: bytes) -> Kind | None:
    """The kind of a file that is certainly not one to decode; None: it may be.

    `head`: its first `HEAD` bytes, or all of a shorter file.
    """
    for at, signature, kind in _SIGNATURES:
        if head.startswith(signature, at):
            return kind
    if head[:4] == b"RIFF" and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if len(head) > 188 and set(head[::188]) == {0x47} and not head.startswith(b"GIF8"):
        return _VIDEO  # MPEG transport stream
    if head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf1", b"\xff\xf9"):
        return _SOUND
    return None if _PORTABLE.match(head) else _text(head)


def is_avif(head: bytes) -> bool:
    """Of an ISO base media file with a picture: AVIF, else HEIC."""
    return any(brand in (b"avif", b"avis") for brand in _brands(head))


def is_known(head: bytes) -> bool:
    """Whether a file begins as pictures do that are read here."""
    return head.startswith(_READ) or (head[4:8] == b"ftyp" and _of_brands(head) is None)


def _brands(head: bytes) -> list[bytes]:
    """The major one, and those it is compatible with."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]


def _of_brands(head: bytes) -> Kind | None:
    """Of an ISO base media file; None: a picture."""
    for brand in _brands(head):
        if brand in _PICTURE_BRANDS:
            return None
        if brand in _OTHER_BRANDS:
            return _OTHER_BRANDS[brand]
    return _VIDEO


def _text(head: bytes) -> Kind | None:
    head = head.removeprefix(b"\xef\xbb\xbf")
    start = head.lstrip().lower()
    if start.startswith((b"<svg", b"<?xml", b"<!doctype svg")) and b"<svg" in start:
        return _picture("an SVG drawing")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return TEXT  # UTF-16
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # else cut within a character
            return None
        text = head[: error.start].decode("utf-8")
    written = sum(each.isprintable() or each in "\t\r\n\f" for each in text)
    return TEXT if text and written == len(text) else None
