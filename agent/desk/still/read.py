"""A still picture, read as a viewer shows it: one reader for every format.

Pillow decodes; OpenCV where colours have more than eight bits, libheif (pillow-heif) HEIC; FFmpeg
gives a second opinion on JPEG.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

# The plugins register their formats; Pillow imports the other ones by itself.
from PIL import (
    AvifImagePlugin,  # noqa: F401
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from agent.base.errors import CaptureError
from agent.base.names import one_line
from agent.base.types import Grey
from agent.desk.still import colour, damage, deep, heif, kinds, png, pnm, tiff
from agent.perceive.capture import silence_opencv

MAX_BYTES = 1 << 30
MAX_PIXELS = 220_000_000
"""With eight bits a colour, above what phones take; 5 bytes each while they are decoded."""
MAX_DEEP_PIXELS = 64_000_000
"""With more bits; some 20 bytes each."""
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "DIB", "PPM", "JPEG2000")
_ORIENTATION = 0x0112
"""EXIF 3.0, 4.6.5.1.6."""
_UPRIGHT: dict[int, Callable[[Grey], Grey]] = {
    2: np.fliplr,
    3: lambda luma: np.rot90(luma, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda luma: np.rot90(luma, -1),
    7: lambda luma: np.rot90(np.transpose(luma), 2),
    8: np.rot90,
}
"""What undoes each orientation."""
_UPRIGHT_ALREADY = ("TIFF", "HEIF")
"""Formats that their decoders turn."""
_WEBP = 50001
"""Compression of TIFF that Pillow knows and its libtiff is built without."""
_LACKING = ("unsupported", "not been built in")
"""In what libraries say of a form that they lack."""
_AGAIN = "Copy it again, or save it anew in a viewer."


class _RefusedError(Exception):
    """A sentence that lacks its subject, the file's name."""


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One picture."""

    luma: Grey
    """uint8[H, W], upright; full range, BT.601 weights."""
    notes: tuple[str, ...] = ()
    """What a viewer would not say: other frames, another full scale, damage."""


def read_still(path: Path) -> Still:
    """Read a picture by its content, whatever its name says.

    Of several frames or pages the first. Transparent parts on white. A colour profile counts where
    it changes lightness: CMYK, Lab, tone curves other than sRGB's.

    Raises `CaptureError` with the reason and the remedy, before anything is decoded where the
    header tells; `CaptureError` where it is no picture at all. Never waits, as for a pipe.
    """
    name = one_line(path)
    silence_opencv()
    with _opened(path, name) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of broken metadata
        head = file.read(kinds.HEAD)
        if not head.strip(b"\0"):
            raise CaptureError(
                f"{name} holds nothing but zeros, as a power cut leaves files. Copy it again."
            )
        _refuse_others(head, path, name)
        try:
            return _decode(file, head, path)
        except (_RefusedError, deep.NoNumberError) as error:
            raise CaptureError(f"{name} {error}") from None
        except UnidentifiedImageError:
            if kinds.is_known(head):
                raise CaptureError(f"{name} is damaged or cut short. {_AGAIN}") from None
            raise CaptureError(
                f"{name} is of a kind that is not read here, or damaged at its start. If it is a "
                "picture, save it as PNG or JPEG."
            ) from None
        except MemoryError:
            raise CaptureError(
                f"{name} is too large for this machine's memory. Save it smaller."
            ) from None
        except Exception as error:  # libraries raise what they like on damaged files
            if any(each in str(error).lower() for each in _LACKING):
                raise CaptureError(
                    f"{name} is written in a way that is not read here. Save it as PNG or JPEG."
                ) from None
            raise CaptureError(
                f"{name} is damaged or cut short ({type(error).__name__}). {_AGAIN}"
            ) from None


@contextlib.contextmanager
def _opened(path: Path, name: str) -> Iterator[IO[bytes]]:
    """An ordinary file of a fitting size, open."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # opening a device may do something
            raise CaptureError(f"{name} is {_sort(mode)}, not a file. Name a picture.")
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        what = "is a link to nothing" if path.is_symlink() else "does not exist"
        raise CaptureError(f"{name} {what}. Check the path.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no file can have this name"
        check = "where it leads" if getattr(error, "errno", 0) == errno.ELOOP else "its permissions"
        raise CaptureError(f"{name} cannot be read: {why}. Check {check}.") from None
    with open(number, "rb") as file:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise CaptureError(f"{name} is {_sort(found.st_mode)}. Name a picture.")
        if not found.st_size:
            raise CaptureError(f"{name} is empty. Copy it again.")
        if found.st_size > MAX_BYTES:
            raise CaptureError(f"{name} is larger than 1 GiB. Save it smaller.")
        yield file


def _sort(mode: int) -> str:
    names = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return names.get(stat.S_IFMT(mode), "a device")


def _refuse_others(head: bytes, path: Path, name: str) -> None:
    """What the first bytes tell."""
    found, ending = kinds.refused(head), path.suffix.lower()
    if found is None:
        return
    if found.picture:
        raise CaptureError(f"{name} is {found.what}, which is not read. {found.remedy}.")
    if ending in kinds.ENDINGS:
        raise CaptureError(f"{name} is {found.what}, whatever its ending says. {found.remedy}.")
    raise CaptureError(f"{name} is {found.what}, not a picture. {found.remedy}.")


def _decode(file: IO[bytes], head: bytes, path: Path) -> Still:
    """Raises `_RefusedError` and whatever the libraries do."""
    if head.startswith(tiff.MAGIC):
        tiff.silence_libtiff()
        directory = tiff.first_directory(file)
        _refuse_raw(directory, path)
        if directory.deep:
            return _deep_tiff(directory, file)
        _identified_tiff(directory, file)
    if head.startswith(png.SIGNATURE):
        _refuse_large(png.size(head), MAX_PIXELS)
        file = png.needed(file)
    if head.startswith(pnm.MAGIC):
        file = pnm.as_netpbm(file)
    notes, repaired = _checked_jpeg(file) if head.startswith(b"\xff\xd8") else ([], None)
    picture = _identified(repaired or file, head)
    is_deep = picture.mode in ("I", "F") or picture.mode.startswith("I;")
    if picture.format == "PNG":
        is_deep = head[24] == 16
    _refuse_large(picture.size, MAX_DEEP_PIXELS if is_deep else MAX_PIXELS)
    if picture.format == "HEIF" and not heif.main_is_whole(picture):
        raise _RefusedError(f"is damaged: its main picture cannot be read. {_AGAIN}")
    notes += _first_of_several(picture)
    luma, said = deep.to_grey(_values(picture, file)) if is_deep else colour.to_grey(picture)
    if picture.format == "AVIF" and getattr(picture, "n_frames", 1) == 1:
        luma = luma[heif.aperture(file, picture.size)]
    if picture.format not in _UPRIGHT_ALREADY:
        luma = _UPRIGHT.get(_orientation(picture), np.asarray)(luma)
    return Still(np.ascontiguousarray(luma), (*notes, *said))


def _checked_jpeg(file: IO[bytes]) -> tuple[list[str], IO[bytes] | None]:
    """What is to be said of its damage; the file with an end mark, where only that is missing."""
    file.seek(0)
    data = file.read()
    frame = damage.jpeg_frame(data)
    if frame.coding not in damage.DECODED:
        raise _RefusedError("is a lossless or hierarchical JPEG. Save it as PNG, or as usual JPEG.")
    if frame.bits > 8:
        raise _RefusedError("is a JPEG with more than eight bits a colour. Save it with eight.")
    if frame.colours not in (1, 3, 4):
        raise _RefusedError(f"is a JPEG with {frame.colours} colours a pixel. Save it as PNG.")
    if not frame.height:
        raise _RefusedError("is a JPEG that does not say its height first. Save it as PNG.")
    if damage.jpeg_is_damaged(data):
        return [damage.DAMAGED], None
    missing = damage.missing_end(data)
    return damage.of_missing_end(data), io.BytesIO(data + missing) if missing else None


def _identified(file: IO[bytes], head: bytes) -> Any:
    """Pillow's picture, its header read only."""
    formats = list(_FORMATS)
    if head[4:8] == b"ftyp":
        formats = ["AVIF"] if kinds.is_avif(head) else [_heif()]
    file.seek(0)
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        return Image.open(file, formats=formats)
    except Image.DecompressionBombError:  # from twice that on
        raise _RefusedError(_too_large(MAX_PIXELS)) from None
    except UnidentifiedImageError:
        if formats != ["HEIF"] or not heif.is_bare_sequence(file):
            raise
        raise _RefusedError(
            "is a sequence of HEIC pictures without a main one. Use `fleeting replay` for it."
        ) from None


def _identified_tiff(directory: tiff.Directory, file: IO[bytes]) -> Any:
    """`_identified`: its tags are there, so that it is not damage that Pillow does not know."""
    if directory.compression == _WEBP:
        raise _unread(directory)
    try:
        return _identified(file, tiff.MAGIC[0])
    except UnidentifiedImageError:
        raise _unread(directory) from None


def _unread(directory: tiff.Directory) -> _RefusedError:
    return _RefusedError(
        f"is a TIFF of a sort that is not read here ({directory.sort}). Save it as PNG."
    )


def _heif() -> str:
    """The name of the format, once it is known to Pillow."""
    try:
        heif.register()
    except ImportError:
        raise _RefusedError(
            "is a HEIC picture, and pillow-heif, which reads them, is not installed. Run "
            "`pip install pillow-heif`, or save it as JPEG."
        ) from None
    return "HEIF"


def _refuse_large(size: tuple[int, int], most: int) -> None:
    if size[0] * size[1] > most:
        raise _RefusedError(_too_large(most))


def _too_large(most: int) -> str:
    return f"has more than {most // 1_000_000} million pixels. Save it smaller."


def _refuse_raw(directory: tiff.Directory, path: Path) -> None:
    if directory.raw or path.suffix.lower() in kinds.RAW_ENDINGS:
        raise _RefusedError(f"is {kinds.RAW.what}, which is not read. {kinds.RAW.remedy}.")


def _first_of_several(picture: Any) -> list[str]:
    """Show the first frame or page, and say so."""
    if picture.format == "MPO":  # the others are previews, depth, or for another eye
        return []
    if getattr(picture, "default_image", False):
        picture.seek(1)  # what is shown by players that know of the animation
    count = getattr(picture, "n_frames", 1)
    if count < 2:
        return []
    if picture.format == "HEIF":
        return [f"the main one of {count} pictures"]
    return [f"the first of {count} {'pages' if picture.format == 'TIFF' else 'frames'}"]


def _deep_tiff(directory: tiff.Directory, file: IO[bytes]) -> Still:
    """Turned upright by either library."""
    if directory.photometric not in (0, 1, 2):
        raise _RefusedError(
            "has more than eight bits a colour in another model than grey or RGB. Save it with "
            "eight, or as RGB."
        )
    if directory.planar:  # OpenCV takes such for rows of whole pixels
        raise _RefusedError(
            "has more than eight bits a colour, and each colour in a plane of its own. Save it "
            "as PNG, or with eight bits."
        )
    _refuse_large(directory.size, MAX_DEEP_PIXELS)
    values = _by_opencv(file)
    if values is None:  # a compression that it lacks
        picture = _identified_tiff(directory, file)
        if not picture.mode.startswith("I;16"):  # Pillow mistakes signs and the order of bytes
            raise _unread(directory)
        values = _values(picture, file)
    if values.ndim == 3 and not directory.alpha:
        values = values[..., : 1 if values.shape[2] < 3 else 3]
    luma, notes = deep.to_grey(
        values, white_is_zero=directory.photometric == 0, no_data=directory.no_data
    )
    if directory.pages > 1:
        notes.insert(0, f"the first of {directory.pages} pages")
    return Still(luma, tuple(notes))


def _by_opencv(file: IO[bytes]) -> NDArray[Any] | None:
    """Samples [H, W] or [H, W, C], red first; None where it cannot."""
    file.seek(0)
    try:
        found = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if found is None or found.ndim < 3 or found.shape[2] < 3:
        return found
    return np.asarray(found[..., [2, 1, 0, *range(3, found.shape[2])]])


def _values(picture: Any, file: IO[bytes]) -> NDArray[Any]:
    """As `_by_opencv`; Pillow keeps all bits of grey only."""
    if picture.format == "PNG" and (found := _by_opencv(file)) is not None:
        clear = picture.info.get("transparency")
        if found.ndim == 2 and isinstance(clear, int):  # OpenCV passes over it
            found = np.dstack([found, np.where(found == clear, 0, 65_535).astype(found.dtype)])
        return colour.values_in_srgb(found, colour.exponent(picture))
    if picture.mode not in ("I", "F") and not picture.mode.startswith("I;"):
        raise _RefusedError(f"cannot be decoded with all its bits. {_AGAIN}")
    picture.load()
    return np.asarray(picture)


def _orientation(picture: Any) -> int:
    """1 also where the metadata are damaged."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1
