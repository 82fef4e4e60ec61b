"""Landmark tracks in `.npz` files, read in blocks with constant memory."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from agent.base.errors import AgentError
from agent.base.files import refuse_endless
from agent.base.types import Float

BLOCK = 4096
"""Frames read at a time: 2.2 MB of landmarks."""
_MAX_COORDINATE = 1e6
"""Pixels; points beyond are invalid."""
ARRAYS = ("timestamps", "landmarks", "confidence")
_DTYPE_KINDS = {"timestamps": "fiu", "landmarks": "fiu", "confidence": "fiub"}
"""Accepted `numpy.dtype.kind`s."""
_LAYOUTS = {
    478: "MediaPipe's face mesh",
    468: "MediaPipe's face mesh without irises",
    98: "WFLW's layout",
    106: "a 106-point layout",
    194: "HELEN's layout",
    51: "iBUG without the jaw",
    29: "COFW's layout",
    21: "AFLW's layout",
    5: "five points",
}


class TrackError(AgentError):
    """A landmark track is unusable."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """B consecutive frames."""

    times: NDArray[np.float64]
    """float64[B], seconds."""
    points: Float
    """float32[B, 68, 2], pixels."""
    confidence: Float
    """float32[B], in [0, 1]; 0 where there is no face or a value is missing or out of range."""


class Track(Protocol):
    """One face's landmarks over time."""

    path: Path

    def __len__(self) -> int:
        """Frames."""
        ...

    def blocks(self) -> Iterator[Block]:
        """All frames in order; may be called again. Raises `TrackError`."""
        ...


@dataclass(frozen=True, slots=True)
class _Column:
    """Header of one array of the file."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    data_at: int
    """Offset of the data, bytes."""


class TrackFile:
    """One face's landmarks over time.

    The file holds `timestamps` [T] in seconds, `landmarks` [T, 68, 2] in pixels, y down, iBUG order
    (Sagonas et al. 2013), and `confidence` [T] in [0, 1], NaN or 0 where the face was lost; real
    numbers of any type, compressed or not. Pickled objects are never opened.

    Raises `TrackError`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            refuse_endless(path)
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise TrackError(f"{path} cannot be read: {error.strerror}. Check the path.") from None
        except (zipfile.BadZipFile, ValueError):
            raise TrackError(
                f"{path} is no .npz file. Save the arrays {', '.join(ARRAYS)} with numpy.savez."
            ) from None
        self._columns = {name: self._column(name) for name in self._names()}
        self._check_shapes()

    def __len__(self) -> int:
        """Frames."""
        return self._columns["timestamps"].shape[0]

    def blocks(self) -> Iterator[Block]:
        """All frames in order. Raises `TrackError` where the file is damaged."""
        readers = {name: self._read(column) for name, column in self._columns.items()}
        for times, points, confidence in zip(*(readers[name] for name in ARRAYS), strict=True):
            with np.errstate(over="ignore"):
                points = np.ascontiguousarray(points, np.float32)
            confidence = np.asarray(confidence, np.float32)
            self._check_confidence(confidence)
            # NaN compares as false
            missing = np.isnan(confidence) | ~(np.abs(points) < _MAX_COORDINATE).all((1, 2))
            confidence = np.clip(np.where(missing, np.float32(0), confidence), 0, 1)
            yield Block(np.asarray(times, np.float64), points, confidence)

    def _names(self) -> tuple[str, ...]:
        """Check that all arrays are there; return their names."""
        there = {n.removesuffix(".npy") for n in self._zip.namelist() if n.endswith(".npy")}
        missing = [name for name in ARRAYS if name not in there]
        if not missing:
            return ARRAYS
        advice = f"It has {', '.join(sorted(there)[:12]) or 'no arrays'}."
        if {"frame_time", "track_id", "landmarks"} <= there:
            advice = (
                "It is a trace of `fleeting replay`, in which its micro-expressions stand already; "
                "to spot again, save one track: time, landmarks and presence of its rows."
            )
        raise TrackError(f"{self.path} lacks {', '.join(missing)}. {advice}")

    def _column(self, name: str) -> _Column:
        try:
            with self._zip.open(f"{name}.npy") as file:
                version = npy.read_magic(file)
                if version not in ((1, 0), (2, 0)):
                    raise ValueError(f"header version {version}")
                read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, fortran, dtype = read(file)
                data_at = file.tell()
        except _READ_ERRORS as error:
            raise self._damaged(name, error) from None
        if dtype.hasobject:
            raise TrackError(
                f"{self.path}: {name} holds pickled Python objects, which are never opened. "
                "Save plain numbers; rows of different length cannot be one array."
            )
        if dtype.kind not in _DTYPE_KINDS[name]:
            raise TrackError(f"{self.path}: {name} is of type {dtype}; real numbers are needed.")
        size = self._zip.getinfo(f"{name}.npy").file_size
        if size != data_at + dtype.itemsize * int(np.prod(shape, dtype=object)):
            raise self._damaged(name, ValueError("its length is not what its header says"))
        return _Column(name, dtype, shape, fortran and len(shape) > 1, data_at)

    def _check_shapes(self) -> None:
        shapes = {name: column.shape for name, column in self._columns.items()}
        points = shapes["landmarks"]
        if len(points) != 3 or points[1:] != (68, 2):
            raise TrackError(
                f"{self.path}: landmarks have shape {points}; [T, 68, 2] is needed{_hint(points)}."
            )
        for name in ("timestamps", "confidence"):
            if shapes[name] != points[:1]:
                raise TrackError(
                    f"{self.path}: {name} has shape {shapes[name]}, landmarks have {points}; one "
                    f"number per frame, [{points[0]}], is needed."
                )
        if points[0] < 2:
            frames = "one frame" if points[0] else "no frame"
            raise TrackError(f"{self.path} has {frames}; a movement takes several.")

    def _check_confidence(self, values: Float) -> None:
        with np.errstate(invalid="ignore"):
            wrong = values[(values < -1e-6) | (values > 1 + 1e-6)]
        if wrong.size:
            raise TrackError(
                f"{self.path}: confidence has {wrong[0]:g}; it must lie in [0, 1], NaN or 0 where "
                "the face was lost."
            )

    def _read(self, column: _Column) -> Iterator[NDArray[Any]]:
        """The rows of an array, `BLOCK` at a time."""
        try:
            with self._zip.open(f"{column.name}.npy") as file:
                file.read(column.data_at)
                yield from _read_fortran(file, column) if column.fortran else _read_c(file, column)
        except _READ_ERRORS as error:
            raise self._damaged(column.name, error) from None

    def _damaged(self, name: str, error: Exception) -> TrackError:
        return TrackError(
            f"{self.path}: {name} cannot be read ({error}). The file is damaged or was made "
            "otherwise than by numpy.savez or numpy.savez_compressed; save it again."
        )


# RuntimeError: encrypted, or (NotImplementedError) unknown compression
_READ_ERRORS = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


def _read_c(file: IO[bytes], column: _Column) -> Iterator[NDArray[Any]]:
    frames, row = column.shape[0], column.shape[1:]
    size = column.dtype.itemsize * int(np.prod(row, dtype=np.int64))
    for first in range(0, frames, BLOCK):
        count = min(BLOCK, frames - first)
        data = file.read(count * size)
        if len(data) != count * size:
            raise EOFError("it ends too early")
        yield np.frombuffer(data, column.dtype).reshape(count, *row)


def _read_fortran(file: IO[bytes], column: _Column) -> Iterator[NDArray[Any]]:
    """Rows of an array in Fortran order, by way of an unnamed temporary file."""
    with tempfile.TemporaryFile() as copy:
        while data := file.read(1 << 20):
            copy.write(data)
        copy.flush()
        whole = np.memmap(copy, column.dtype, "r", shape=column.shape, order="F")
        for first in range(0, column.shape[0], BLOCK):
            yield np.array(whole[first : first + BLOCK])


def _hint(shape: tuple[int, ...]) -> str:
    """Advice for landmarks of a wrong shape."""
    if len(shape) == 4:
        return ": save one face per file"
    if len(shape) == 2 and shape[1] == 136:
        return ": use landmarks.reshape(-1, 68, 2) where x and y alternate"
    if len(shape) == 2:
        return ": one frame after another, not a single one" if shape == (68, 2) else ""
    if len(shape) != 3:
        return ""
    if shape[1] == 68:
        return ": keep x and y only" if shape[2] > 2 else ""
    if shape[1:] == (2, 68):
        return ": use landmarks.transpose(0, 2, 1)"
    if shape[0] == 68 or shape[1] < 3:
        return ": the frames come first"
    layout = _LAYOUTS.get(shape[1], f"{shape[1]} points")
    return f"; this looks like {layout}: choose the 68 points of iBUG and their order"
