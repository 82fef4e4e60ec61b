"""Validation of a track in a first pass: timestamps, units and landmark order; usable frames and
flagged spans."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.base.names import one_line
from agent.base.types import Float
from agent.desk.spot.face_shape import diagnose, plausible_faces
from agent.desk.spot.track import Block, Track, TrackError

GAP = 0.25
"""Seconds between two frames from which they are a gap, if they are also `_GAP_STEPS` steps."""
_GAP_STEPS = 4.0
_OUTLIER = 1.0
"""Seconds; a timestamp so far ahead of both its neighbours is invalid, not a gap."""
_SAMPLES = 256
_MAX_STEP, _MIN_STEP = 0.5, 1 / 2000
"""Seconds between frames; beyond, the unit is wrong."""
_MAX_ROUNDING_NOISE = 5e-4
"""Standard deviation of rounding beyond which a warning is given, inter-ocular distances."""
_MAX_REPEATED = 0.1
"""Share of frames with unchanged landmarks beyond which a warning is given."""
_MAX_SPANS = 1000


@dataclass(frozen=True, slots=True)
class TrackFrame:
    """One frame of a track, in order of time."""

    time: float
    points: Float | None
    """float32[68, 2], pixels; None where the face was lost."""
    confidence: float


@dataclass(slots=True)
class Span:
    """A flagged span of a track."""

    kind: str
    """lost | no_face | gap | repeated | backward | bad_timestamp."""
    start: float
    end: float
    """Seconds. Frames with an invalid timestamp are placed at the last valid one."""
    frames: int = 0


@dataclass(slots=True)
class Flags:
    """Flagged spans in order of time: the first `_MAX_SPANS`, and counts of all."""

    spans: list[Span] = field(default_factory=list)
    frames: dict[str, int] = field(default_factory=dict)
    """By kind."""
    left_out: int = 0
    _open: Span | None = None

    def add(self, kind: str, start: float, end: float, frames: int) -> None:
        """Add a span, or extend the last one of the same kind if still open."""
        self.frames[kind] = self.frames.get(kind, 0) + frames
        if self._open is not None and self._open.kind == kind and kind != "gap":
            self._open.end = max(self._open.end, end)
            self._open.frames += frames
            return
        self._open = Span(kind, start, end, frames)
        if len(self.spans) < _MAX_SPANS:
            self.spans.append(self._open)
        else:
            self.left_out += 1

    def close(self) -> None:
        """End the open span, at a valid frame."""
        self._open = None


@dataclass(frozen=True, slots=True)
class TrackStats:
    """Statistics of a whole track."""

    frames: int
    first: float
    last: float
    """Seconds, of frames with valid timestamps."""
    step: float
    """Median interval between them, seconds."""
    warnings: tuple[str, ...]

    @property
    def gap(self) -> float:
        """Seconds between two frames from which they are a gap."""
        return max(GAP, _GAP_STEPS * self.step)


class _Sampler:
    """Samples fewer than `2 * _SAMPLES` items evenly from a sequence of unknown length."""

    def __init__(self) -> None:
        self.items: list[NDArray[np.generic]] = []
        self._stride = 1
        self._count = 0

    def offer(self, item: NDArray[np.generic]) -> None:
        if self._count % self._stride == 0:
            self.items.append(item.copy())
            if len(self.items) == 2 * _SAMPLES:
                del self.items[1::2]
                self._stride *= 2
        self._count += 1


def validate(track: Track) -> TrackStats:
    """Read and check a whole track. Raises `TrackError` where it is unusable."""
    flags, faces, steps = Flags(), _Sampler(), _Sampler()
    first = last = math.nan
    valid = 0
    repeated = 0
    previous: Float | None = None
    for frame in ordered_frames(track, flags, any_shape=True):
        points = frame.points
        if previous is not None and points is not None:
            repeated += np.array_equal(points, previous)
        previous = points
        if valid:
            steps.offer(np.array(frame.time - last))
        else:
            first = frame.time
        valid, last = valid + 1, frame.time
        if points is not None:
            faces.offer(points)
    wrong = len(track) - valid
    if 2 * wrong > len(track):
        kinds = ", ".join(
            f"{count} {kind}" for kind, count in flags.frames.items() if kind in _TIME_ERRORS
        )
        raise TrackError(
            f"{one_line(track.path)}: {wrong} of {len(track)} timestamps do not increase "
            f"({kinds}). Give seconds as float64, oldest frame first."
        )
    if not faces.items:
        raise TrackError(
            f"{one_line(track.path)} shows no face: all {len(track)} frames have confidence 0 or "
            "NaN, or landmarks that are not finite."
        )
    if not steps.items:
        raise TrackError(
            f"{one_line(track.path)}: one frame alone has a usable time; a movement takes several."
        )
    step = float(np.median(np.array(steps.items)))
    _check_unit(track, step)
    samples = np.array(faces.items, np.float32)
    problem = diagnose(samples)
    if problem:
        raise TrackError(
            f"{one_line(track.path)}: landmarks are not in iBUG order or not pixels: {problem}."
        )
    return TrackStats(len(track), first, last, step, _warnings(samples, repeated / valid))


_TIME_ERRORS = ("repeated", "backward", "bad_timestamp")


def _check_unit(track: Track, step: float) -> None:
    if step > _MAX_STEP:
        raise TrackError(
            f"{one_line(track.path)}: timestamps step by {step:g} s. If they are milliseconds or "
            "frame numbers, convert them to seconds; so few frames show no micro-expression."
        )
    if step < _MIN_STEP:
        raise TrackError(
            f"{one_line(track.path)}: timestamps step by {step:g} s, "
            f"{1 / max(step, 1e-9):.0f} frames per second. Give seconds."
        )


def _warnings(samples: Float, repeated: float) -> tuple[str, ...]:
    found = []
    if repeated > _MAX_REPEATED:
        found.append(
            f"{100 * repeated:.0f} % of the frames repeat the landmarks of the frame before: the "
            "video's true frame rate is lower, or the tracker stood still; nothing can be seen in "
            "such frames"
        )
    size = float(np.median(np.linalg.norm(samples[:, 45] - samples[:, 36], axis=1)))
    for grid in (1.0, 0.5, 0.25, 0.125, 0.1):
        on_it = np.abs(samples / grid - np.round(samples / grid)).max() < 1e-3
        noise = grid / math.sqrt(12) / size
        if on_it and noise > _MAX_ROUNDING_NOISE:
            found.append(
                f"landmarks are rounded to {grid:g} px, noise of {100 * noise:.2f} % of the "
                "inter-ocular distance that hides small movements; save them as float32"
            )
            break
    return tuple(found)


def ordered_frames(track: Track, flags: Flags, *, any_shape: bool = False) -> Iterator[TrackFrame]:
    """Frames with valid, ascending timestamps; the others are added to `flags`, as are frames
    without a face or, unless `any_shape`, with implausible points. Gaps are not."""
    latest = math.nan
    for block, next_start in _with_next(track.blocks()):
        times = block.times.tolist()
        confidence = block.confidence.tolist()
        shaped = None if any_shape else plausible_faces(block.points)
        for i, time in enumerate(times):
            upcoming = times[i + 1] if i + 1 < len(times) else next_start
            kind = _time_error(time, latest, upcoming)
            if kind:
                at = next((t for t in (latest, time, upcoming) if math.isfinite(t)), 0.0)
                flags.add(kind, at, at, 1)
                continue
            latest = time
            if confidence[i] > 0 and (shaped is None or shaped[i]):
                flags.close()
                yield TrackFrame(time, block.points[i], confidence[i])
            else:
                flags.add("no_face" if confidence[i] > 0 else "lost", time, time, 1)
                yield TrackFrame(time, None, 0.0)


def _time_error(time: float, latest: float, upcoming: float) -> str | None:
    """Why a timestamp is invalid, given the last valid one (NaN: none) and the next."""
    if not math.isfinite(time):
        return "bad_timestamp"
    if time <= latest:
        return "repeated" if time == latest else "backward"
    # NaN compares as false: the first frame is an outlier only if the next one precedes it
    ahead = time - latest > _OUTLIER or math.isnan(latest)
    if ahead and upcoming < time - _OUTLIER and not upcoming <= latest:
        return "bad_timestamp"
    return None


def _with_next(blocks: Iterator[Block]) -> Iterator[tuple[Block, float]]:
    """Each block with the first timestamp of the next one, NaN at the end."""
    held: Block | None = None
    for block in blocks:
        if held is not None:
            yield held, float(block.times[0])
        held = block
    if held is not None:
        yield held, math.nan
