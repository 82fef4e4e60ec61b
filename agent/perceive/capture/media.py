"""Opens video and sound files for FFmpeg (PyAV): that one file and nothing else.

FFmpeg takes names for protocols and patterns, and playlists open whatever they name. So Python
opens the file, FFmpeg gets the bytes, no protocol is allowed, and only demuxers are that need no
second file.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from errno import ELOOP
from pathlib import Path
from typing import Any, NoReturn

from agent.base.errors import CaptureError
from agent.base.names import one_line

_PICTURES = (
    "amv apng asf av1 avi avs2 avs3 cavsvideo cine dhav dirac dnxhd dv flv gif gxf h261 h263 h264 "
    "hevc ifv ivf kux live_flv lmlm4 m4v matroska mjpeg mov mpeg mpegts mpegvideo mpjpeg mtv mxf "
    "nsv nut nuv obu ogg pva rm smjpeg ty vc1 vvc webm wtv yuv4mpegpipe"
)
_SOUNDS = (
    "aac ac3 aiff amr ape au caf dsf dts dtshd eac3 flac gsm iff loas mp3 mpc mpc8 oma tak truehd "
    "tta voc w64 wav wv xwma"
)
_FORMATS = ",".join(f"{_PICTURES} {_SOUNDS}".split())
"""Names of demuxers in FFmpeg; all read one file. Those of playlists, patterns of names, scripts,
devices and text are left out."""
_BUFFER = 1 << 16
"""Bytes of one read."""
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".thm")
"""Of one picture, not of a stream of them."""
_STILL_BRANDS = (b"avif", b"mif1", b"heic", b"heix", b"heim", b"heis")
_STILLS = (
    *(b"II*\0", b"MM\0*", b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n", b"P5 ", b"P6 "),
    *(b"\0\0\0\x0cjP", b"\xff\x0a", b"\0\0\0\x0cJXL", b"qoif", b"8BPS", b"v/1\x01", b"#?RAD"),
)
"""How files of one picture begin."""
ENCRYPTED = "{} is encrypted. Name a copy without protection."
_PROTECTED = (b"encv", b"enca", b"drmi", b"drms")
"""Codec tags of encrypted tracks in MP4 (ISO/IEC 14496-12, 8.12)."""
_LOOKED_AT = 1 << 20
"""Bytes."""
_FILLING = b"\0\xff"
"""Of reserved space on a disk, and of erased flash."""
_EMPTY_TAIL = 1 << 26
"""Bytes: recorders that reserve their files leave gigabytes of filling where the power failed, in
which FFmpeg looks for the next packet. Black pictures without compression are smaller."""
_NEVER_SEARCHED = ("mov", "wav", "w64", "aiff", "au", "caf")
"""Demuxers that know where each packet is; silence there is a run of zeros of any length."""
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"v=0", b"[Reference]")


def open_media(
    path: Path, what: str, convert: str, *, edits: bool = True
) -> tuple[Any, MediaBytes]:
    """An `av.container.InputContainer` of a regular file, and what it reads from, to be closed
    after it. `what` a file should be ("video") and `convert` ("H.264 in MKV") are for the messages;
    `edits`: whether an MP4's edit lists hold. Raises `CaptureError`."""
    try:
        import av
    except ImportError:
        raise CaptureError(
            "PyAV, which decodes video and sound, is not installed. Run `pip install av`."
        ) from None
    file = MediaBytes(path)
    if not file.head:
        file.close()
        raise CaptureError(f"{printable(path)} is empty. Copy or record it again.")
    if is_still(file.head, path.suffix.lower()):
        file.close()
        raise CaptureError(single_image(printable(path), what))
    try:
        container = _open_or_as_jpegs(file, edits)
    except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
        why = _why_not(path, file, what, convert, error)
        file.close()
        raise CaptureError(why) from None
    # FFmpeg takes any file that contains JPEG data, such as an archive, for a raw MJPEG stream
    if container.format.name == "mjpeg" and not file.head.startswith(_JPEG):
        container.close()
        why = _why_not(path, file, what, convert, None)
        file.close()
        raise CaptureError(why)
    file.ends_in_filling = container.format.name.split(",")[0] not in _NEVER_SEARCHED
    return container, file


def _open_or_as_jpegs(file: MediaBytes, edits: bool) -> Any:
    """FFmpeg takes JPEGs with a header (JFIF, EXIF), one after the other, for one picture."""
    from av.error import FFmpegError

    try:
        return open_bytes(file, edits=edits)
    except FFmpegError:
        if not file.head.startswith(_JPEG):
            raise
    file.seek(0)
    return open_bytes(file, "mjpeg")


def open_bytes(file: Any, form: str | None = None, *, edits: bool = True) -> Any:
    """An `av.container.InputContainer` of an open file, which can reach nothing else. `form`: its
    demuxer, where FFmpeg would not find it. Raises PyAV's errors, `OSError` and `ValueError`."""
    import av

    # titles may be in any encoding; PyAV 19 has no such argument, and takes them
    old = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
    return av.open(
        file,
        format=form,
        **old,
        buffer_size=_BUFFER,
        io_open=_refuse,
        container_options={
            "protocol_whitelist": "", "format_whitelist": _FORMATS,
            "ignore_editlist": str(int(not edits)),
        },
    )  # fmt: skip


def packets(container: Any, *streams: Any) -> Iterator[Any]:
    """What PyAV's `demux` gives. Where a broadcast adds streams it looks beyond its list of them
    after the last packet."""
    with contextlib.suppress(IndexError):
        yield from container.demux(*streams)


def is_still(head: bytes, ending: str) -> bool:
    """Whether a file that begins so is one picture. `ending`: with its dot, in small letters."""
    if head.startswith(_JPEG):
        return ending in _JPEG_ENDINGS
    if head[4:8] == b"ftyp":
        return head[8:12] in _STILL_BRANDS
    if head.startswith(b"RIFF"):
        moves = head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 2)
        return head[8:12] == b"WEBP" and not moves
    if head.startswith(_PNG):
        return ending not in (".png", ".apng") or b"acTL" not in head
    bitmap = head.startswith(b"BM") and head[6:10] == bytes(4)
    return bitmap or head.startswith(_STILLS)


class MediaBytes:
    """A regular file as FFmpeg reads it. Its name says no more than the ending, which FFmpeg knows
    bare streams by."""

    def __init__(self, path: Path) -> None:
        """Raises `CaptureError`."""
        shown = printable(path)
        try:
            # a pipe would block here, a device could do anything
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            kind = os.fstat(descriptor).st_mode
        except (OSError, ValueError) as error:
            if isinstance(error, FileNotFoundError):
                raise CaptureError(f"{shown} does not exist. Check the path.") from None
            if os.path.isdir(path) or (os.path.exists(path) and not os.path.isfile(path)):
                _refuse_kind(shown, os.path.isdir(path))
            said = getattr(error, "strerror", None) or error
            check = "where it leads" if getattr(error, "errno", 0) == ELOOP else "its permissions"
            raise CaptureError(f"{shown} cannot be read: {said}. Check {check}.") from None
        if not stat.S_ISREG(kind):
            os.close(descriptor)
            _refuse_kind(shown, stat.S_ISDIR(kind))
        self._file = io.FileIO(descriptor, "rb")
        ending = path.suffix.lower()
        self.name = "file" + (ending if ending[1:].isascii() and ending[1:].isalnum() else "")
        try:
            self.head = self._file.read(128) or b""
            """First bytes."""
        except OSError as error:
            self._file.close()
            raise CaptureError(
                f"{shown} cannot be read: {error.strerror}. Check the disk, or copy it again."
            ) from None
        self._file.seek(0)
        self.failure: OSError | None = None
        """Why the disk gave nothing."""
        self.ends_in_filling = True
        """Whether `_EMPTY_TAIL` bytes of filling are the end."""
        self._filling = range(0)
        """Where the newest bytes of `_FILLING` stand that were read."""

    def read(self, size: int) -> bytes:
        place, filling = self._file.tell(), self._filling
        beside = filling.start <= place <= filling.stop
        if self.ends_in_filling and beside and len(filling) >= _EMPTY_TAIL:
            return b""
        try:
            found = self._file.read(size) or b""
        except OSError as error:
            self.failure = error
            raise
        end = place + len(found)
        if found.strip(_FILLING):
            self._filling = range(end, end)
        elif beside:
            self._filling = range(filling.start, max(end, filling.stop))
        else:
            self._filling = range(place, end)
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def is_encrypted(self) -> bool:
        """Whether an MP4 holds an encrypted track, as far as its first and last megabyte tell:
        FFmpeg refuses some, and does not say why."""
        if self.head[4:8] != b"ftyp":
            return False
        try:
            size = self.seek(0, 2)
            parts = [self._read_at(0), self._read_at(max(0, size - _LOOKED_AT))]
        except OSError:
            return False
        return any(b"schm" in part and any(tag in part for tag in _PROTECTED) for part in parts)

    def _read_at(self, offset: int) -> bytes:
        self.seek(offset)
        return self.read(_LOOKED_AT)

    def close(self) -> None:
        self._file.close()


def single_image(shown: str, what: str) -> str:
    """Why a picture is not the `what` that a file should be. `shown`: its name."""
    return f"{shown} is a single image, not a {what}. Use `fleeting inspect` for images."


def printable(path: Path) -> str:
    """A path for a message, on one line and in UTF-8, whatever bytes it has."""
    return one_line(path)


def _refuse(*_: object) -> NoReturn:
    raise PermissionError("a media file names another file or address")


def _refuse_kind(shown: str, folder: bool) -> NoReturn:
    if folder:
        raise CaptureError(f"{shown} is a folder. Name one video file in it.")
    raise CaptureError(f"{shown} is a device or pipe, not a file. Record it to a file first.")


def _is_text(head: bytes) -> bool:
    """Printable ASCII, as pages of a sign-in, messages of servers and placeholders begin."""
    return len(head) >= 16 and all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head)


def _why_not(path: Path, file: MediaBytes, what: str, convert: str, error: Exception | None) -> str:
    shown, head = printable(path), file.head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if file.failure is not None:
        return f"{shown} cannot be read: {file.failure.strerror}. Check the disk, or copy it again."
    if not file.head.strip(_FILLING):
        return f"{shown} holds nothing, as a power cut leaves files. Copy or record it again."
    if head.startswith(_PLAYLISTS) or b"<MPD" in head or head.startswith(b"<?xml"):
        return f"{shown} is a list of other files, and no {what}. Name the {what} itself."
    if head[8:12] == b"WEBP":
        return f"{shown} is an animated WebP, which FFmpeg lacks. Convert it to {convert}."
    if _is_text(head):
        return (
            f"{shown} is not a {what} but text. If a {what} was fetched, a web page, an error or a "
            "placeholder of Git LFS came in its place: fetch it again, or name another file."
        )
    if file.is_encrypted():
        return ENCRYPTED.format(shown)
    if isinstance(error, MemoryError):
        return f"{shown} needs more memory than there is. Convert it to a smaller size."
    return (
        f"{shown} is not a {what} that can be opened: it is another kind of file, or damaged at "
        "its start or, for an MP4 that was cut short, at its end. Play it, or convert it to "
        f"{convert}."
    )
