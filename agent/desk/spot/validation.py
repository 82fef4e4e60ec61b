"""Validation of a whole track in a first pass: its timestamps, units and landmark order; which
frames can be used, which stretches are flagged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.desk.spot.face_shape import diagnose, plausible_faces
from agent.desk.spot.track import Block, TrackError, TrackFile

GAP = 0.25
"""Seconds between two frames from which a stretch is flagged, if it is also `_GAP_STEPS` steps."""
_GAP_STEPS = 4.0
_OUTLIER = 1.0
"""Seconds; a time so far ahead of both its neighbours is a wrong one, not a gap."""
_SAMPLES = 256
_SLOWEST, _FASTEST = 0.5, 1 / 2000
"""Seconds between frames; beyond, the times are in another unit."""
_ROUNDED = 5e-4
"""Inter-ocular distances, standard deviation of rounding beyond which it is said."""
_FROZEN = 0.1
"""Share of frames without the least movement beyond which it is said."""
_MOST_SPANS = 1000


@dataclass(frozen=True, slots=True)
class TrackFrame:
    """One frame of a track, its time in order."""

    time: float
    points: Float | None
    """float32[68, 2], pixels; None where the face was lost."""
    confidence: float


@dataclass(slots=True)
class Span:
    """A flagged stretch of a track."""

    kind: str
    """lost | no_face | gap | repeated | backward | bad_timestamp."""
    start: float
    end: float
    """Seconds. Frames with a wrong time stand where the last good one was."""
    frames: int = 0


@dataclass(slots=True)
class Flags:
    """Flagged spans in order of time; the first `_MOST_SPANS` are kept, all are counted."""

    spans: list[Span] = field(default_factory=list)
    frames: dict[str, int] = field(default_factory=dict)
    """By kind."""
    left_out: int = 0
    _open: Span | None = None

    def add(self, kind: str, start: float, end: float, frames: int) -> None:
        """Note a stretch; one that follows another of its kind continues it."""
        self.frames[kind] = self.frames.get(kind, 0) + frames
        if self._open is not None and self._open.kind == kind and kind != "gap":
            self._open.end = max(self._open.end, end)
            self._open.frames += frames
            return
        self._open = Span(kind, start, end, frames)
        if len(self.spans) < _MOST_SPANS:
            self.spans.append(self._open)
        else:
            self.left_out += 1

    def close(self) -> None:
        """A good frame came: whatever follows is another stretch."""
        self._open = None


@dataclass(frozen=True, slots=True)
class TrackStats:
    """Statistics of a whole track."""

    frames: int
    first: float
    last: float
    """Seconds, of the frames whose times are in order."""
    step: float
    """Median seconds between them."""
    warnings: tuple[str, ...]

    @property
    def gap(self) -> float:
        """Seconds between two frames from which a stretch is a gap."""
        return max(GAP, _GAP_STEPS * self.step)


class _Sampler:
    """Up to `2 * _SAMPLES` items spread evenly over a sequence of unknown length."""

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


def validate(track: TrackFile) -> TrackStats:
    """Read a track from end to end. Raises `TrackError` where it cannot be used as it is."""
    flags, faces, steps = Flags(), _Sampler(), _Sampler()
    first = last = math.nan
    good = 0
    frozen = 0
    before: Float | None = None
    for seen in ordered_frames(track, flags, any_shape=True):
        frozen += before is not None and seen.points is not None and _identical(seen.points, before)
        before = seen.points
        if good:
            steps.offer(np.array(seen.time - last))
        else:
            first = seen.time
        good, last = good + 1, seen.time
        if seen.points is not None:
            faces.offer(seen.points)
    wrong = len(track) - good
    if 2 * wrong > len(track):
        kinds = ", ".join(
            f"{count} {kind}" for kind, count in flags.frames.items() if kind in _WRONG
        )
        raise TrackError(
            f"{track.path}: {wrong} of {len(track)} timestamps do not increase ({kinds}). Give "
            "seconds as float64, oldest frame first."
        )
    if not faces.items:
        raise TrackError(
            f"{track.path} shows no face: all {len(track)} frames have confidence 0 or NaN, or "
            "landmarks that are not finite."
        )
    if not steps.items:
        raise TrackError(
            f"{track.path}: one frame alone has a usable time; a movement takes several."
        )
    step = float(np.median(np.array(steps.items)))
    _check_unit(track, step)
    samples = np.array(faces.items, np.float32)
    complaint = diagnose(samples)
    if complaint:
        raise TrackError(
            f"{track.path}: landmarks are not in iBUG order or not pixels: {complaint}."
        )
    return TrackStats(len(track), first, last, step, _warnings(samples, frozen / good))


_WRONG = ("repeated", "backward", "bad_timestamp")


def _check_unit(track: TrackFile, step: float) -> None:
    if step > _SLOWEST:
        raise TrackError(
            f"{track.path}: timestamps step by {step:g} s. If they are milliseconds or frame "
            "numbers, convert them to seconds; so few frames show no micro-expression."
        )
    if step < _FASTEST:
        raise TrackError(
            f"{track.path}: timestamps step by {step:g} s, {1 / max(step, 1e-9):.0f} frames per "
            "second. Give seconds."
        )


def _identical(a: Float, b: Float) -> bool:
    return bool(a[30, 0] == b[30, 0]) and np.array_equal(a, b)


def _warnings(samples: Float, frozen: float) -> tuple[str, ...]:
    found = []
    if frozen > _FROZEN:
        found.append(
            f"{100 * frozen:.0f} % of the frames repeat the landmarks of the frame before: the "
            "video's true frame rate is lower, or the tracker stood still; nothing can be seen in "
            "such frames"
        )
    size = float(np.median(np.linalg.norm(samples[:, 45] - samples[:, 36], axis=1)))
    for grid in (1.0, 0.5, 0.25, 0.125, 0.1):
        on_it = np.abs(samples / grid - np.round(samples / grid)).max() < 1e-3
        noise = grid / math.sqrt(12) / size
        if on_it and noise > _ROUNDED:
            found.append(
                f"landmarks are rounded to {grid:g} px, noise of {100 * noise:.2f} % of the "
                "inter-ocular distance that hides small movements; save them as float32"
            )
            break
    return tuple(found)


def ordered_frames(
    track: TrackFile, flags: Flags, *, any_shape: bool = False
) -> Iterator[TrackFrame]:
    """The frames whose time is later than those before, with the others noted in `flags`; so are
    stretches in which the face was lost or, unless `any_shape`, the points are wildly off a face's
    shape; gaps are not."""
    newest = math.nan
    for block, following in _with_next(track.blocks()):
        times = block.times.tolist()
        confidence = block.confidence.tolist()
        shaped = None if any_shape else plausible_faces(block.points)
        for i, time in enumerate(times):
            after = times[i + 1] if i + 1 < len(times) else following
            kind = _wrong_time(time, newest, after)
            if kind:
                at = next((t for t in (newest, time, after) if math.isfinite(t)), 0.0)
                flags.add(kind, at, at, 1)
                continue
            newest = time
            if confidence[i] > 0 and (shaped is None or shaped[i]):
                flags.close()
                yield TrackFrame(time, block.points[i], confidence[i])
            else:
                flags.add("no_face" if confidence[i] > 0 else "lost", time, time, 1)
                yield TrackFrame(time, None, 0.0)


def _wrong_time(time: float, newest: float, after: float) -> str | None:
    """Why a frame's time cannot be used, given the newest good one (NaN: none) and the next."""
    if not math.isfinite(time):
        return "bad_timestamp"
    if time <= newest:
        return "repeated" if time == newest else "backward"
    # NaN compares as false: the first frame is only too far ahead if the next lies before it.
    ahead = time - newest > _OUTLIER or math.isnan(newest)
    if ahead and after < time - _OUTLIER and not after <= newest:
        return "bad_timestamp"
    return None


def _with_next(blocks: Iterator[Block]) -> Iterator[tuple[Block, float]]:
    """Each block with the first time of the one after it, NaN at the end."""
    held: Block | None = None
    for block in blocks:
        if held is not None:
            yield held, float(block.times[0])
        held = block
    if held is not None:
        yield held, math.nan
