"""Reference pictures: the frames of the video at plausible sizes of a leak."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from agent.perceive.capture.video_file import VideoFile

Grey = npt.NDArray[np.uint8]

_MAX_FRAMES = 600
"""Frames searched for; of a longer video every n-th."""
_SQUARES = (16, 32, 64, 112, 128)
_WIDTHS = (16, 32, 64, 80, 160, 320)
"""Widths of thumbnails with the video's aspect ratio, pixels; 320 is the detector's input."""
THUMBNAILS = ((32, 24), (64, 48), (160, 120))
_MAX_TURNED = 80
"""Width of the largest thumbnails that are also looked up columns first."""
_MAX_KEY_FRAMES = 128
"""Frames kept for the comparison of whole pictures; of a longer video every second one, and so
on."""
_KEY_WIDTH = 320
_MAX_CORRELATION = 0.98
"""Greatest correlation of a new key frame with the last ones."""
_COMPARED = 8
"""Last key frames that a new one is compared with."""
WINDOW = 9
"""Pixels per n-gram of differences."""
_MIN_CONTRAST, _MIN_CHANGES = 12, 3
"""Of an informative n-gram: range of grey levels, and how many of its last five differences differ
from the three before each."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One frame at one size."""

    frame: int
    name: str
    pixels: Grey
    stride: int
    """Pixels between the n-grams that are looked up."""


@dataclass(frozen=True, slots=True)
class Frames:
    """What one reading of a video gave."""

    count: int
    digest: str
    """SHA-256 of all pictures, with their sizes."""


def read_frames(path: Path) -> Frames:
    """Read a video as the agent does. Raises `CaptureError`."""
    tally = _Tally()
    with contextlib.closing(VideoFile(path)) as source:
        for frame in source:
            tally.add(frame.luma)
    return tally.frames


class _Tally:
    def __init__(self) -> None:
        self._count = 0
        self._hash = hashlib.sha256()

    def add(self, luma: Grey) -> None:
        self._count += 1
        self._hash.update(repr(luma.shape).encode())
        self._hash.update(luma.tobytes())

    @property
    def frames(self) -> Frames:
        return Frames(self._count, self._hash.hexdigest())


@dataclass(slots=True)
class Reference:
    """The frames of a video; `pictures` reads it once."""

    path: Path
    every: int = 1
    """Only each n-th frame is searched for."""
    frames: int = 0
    """Frames read so far."""
    searched: int = 0
    textured: int = 0
    """Frames with enough texture for detection."""
    required: int | None = None
    """Number of a frame that is a key frame in any case."""
    read: Frames | None = None
    """What the last whole reading gave."""
    keys: list[tuple[int, Grey]] = field(default_factory=list)
    """Key frames: (number, grey picture at most 320 pixels wide)."""
    _key_vectors: list[npt.NDArray[np.float32]] = field(default_factory=list)
    _spacing: int = 0
    """Least number of frames between two key frames."""

    @property
    def weak(self) -> bool:
        """Too little texture for pixel detectors to be meaningful."""
        return self.textured < max(1, self.searched // 4)

    def pictures(self) -> Iterator[list[Picture]]:
        """The pictures of each frame in turn. Raises `CaptureError`."""
        tally = _Tally()
        with contextlib.closing(VideoFile(self.path)) as source:
            for frame in source:
                number = self.frames
                self.frames += 1
                tally.add(frame.luma)
                if number % self.every:
                    continue
                self.searched += 1
                self._add_key_frame(number, frame.luma)
                yield _sizes(number, frame.luma)
        self.read = tally.frames

    def _add_key_frame(self, number: int, luma: Grey) -> None:
        tiny = cv2.resize(luma, (24, 24), interpolation=cv2.INTER_AREA)
        self.textured += has_texture(luma)
        vector = normalised(tiny)
        if vector is None:
            return
        known = any(float(each @ vector) > _MAX_CORRELATION for each in self._key_vectors)
        soon = bool(self.keys) and number < self.keys[-1][0] + self._spacing
        if number != self.required and (known or soon):
            return
        self._key_vectors = [*self._key_vectors[1 - _COMPARED :], vector]
        width = min(_KEY_WIDTH, luma.shape[1])
        height = max(1, round(luma.shape[0] * width / luma.shape[1]))
        self.keys.append((number, cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)))
        if len(self.keys) > _MAX_KEY_FRAMES:
            self.keys = [
                each
                for place, each in enumerate(self.keys)
                if place % 2 == 0 or each[0] == self.required
            ]
            self._spacing = max(2 * self._spacing, 2 * self.every)


def stride_for(frames: int) -> int:
    """n, such that each n-th of so many frames is searched for."""
    return max(1, -(-frames // _MAX_FRAMES))


def has_texture(picture: Grey) -> bool:
    """Whether its thumbnail has enough informative n-grams."""
    small = cv2.resize(picture, (64, 48), interpolation=cv2.INTER_AREA).reshape(-1)
    return bool(informative(small).sum() >= 48)


def informative(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """bool[N - 8] of uint8[N]: whether the n-gram at each offset has enough contrast and distinct
    differences, unlike flat areas, ramps and stripes, which occur in any file."""
    count = len(pixels) - WINDOW + 1
    if count <= 0:
        return np.zeros(0, bool)
    high, low = pixels, pixels
    for shift in (1, 2, 4, 1):  # together they reach over the window
        high = np.maximum(high[shift:], high[:-shift])
        low = np.minimum(low[shift:], low[:-shift])
    differences = pixels[1:] - pixels[:-1]
    changed = differences[3:] != differences[2:-1]
    changed &= differences[3:] != differences[1:-2]
    changed &= differences[3:] != differences[:-3]
    total = np.concatenate([[0], np.cumsum(changed, dtype=np.int64)])
    changes = total[WINDOW - 4 :] - total[: -(WINDOW - 4)]
    found: npt.NDArray[np.bool_] = (high - low >= _MIN_CONTRAST) & (changes >= _MIN_CHANGES)
    return found


def normalised(picture: Grey) -> npt.NDArray[np.float32] | None:
    """Zero mean, unit length; None for a flat picture."""
    vector = picture.astype(np.float32).reshape(-1)
    vector -= vector.mean()
    length = float(np.linalg.norm(vector))
    # a standard deviation below one grey level is noise
    return vector / length if length > np.sqrt(vector.size) else None


def _sizes(number: int, luma: Grey) -> list[Picture]:
    height, width = luma.shape
    found = [
        Picture(number, f"{width}x{height}", luma, 13),
        Picture(number, f"{width}x{height}, columns first", np.ascontiguousarray(luma.T), 13),
    ]
    for part in (2, 4, 8):
        if min(height, width) // part < 8:
            break
        nearest = np.ascontiguousarray(luma[::part, ::part])
        found.append(Picture(number, f"every {part}. pixel", nearest, 11))
    shapes = [(w, max(1, round(height * w / width))) for w in _WIDTHS if w < width]
    shapes += [(side, side) for side in _SQUARES if side < min(height, width)]
    shapes += [(width // part, height // part) for part in (2, 4, 8)]
    shapes += [shape for shape in THUMBNAILS if shape[0] < width and shape[1] < height]
    for shape in dict.fromkeys(shapes):
        if min(shape) < 4:
            continue
        area = cv2.resize(luma, shape, interpolation=cv2.INTER_AREA)
        linear = cv2.resize(luma, shape, interpolation=cv2.INTER_LINEAR)
        name = f"{shape[0]}x{shape[1]}"
        found += [Picture(number, name, area, 5), Picture(number, f"{name}, linear", linear, 5)]
        if shape[0] <= _MAX_TURNED:
            turned = np.ascontiguousarray(area.T)
            found.append(Picture(number, f"{name}, columns first", turned, 5))
    return found
