"""Following faces: one frame's landmarks place the next crop; detections start and rescue."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from agent.base.config import DetectionConfig, TrackingConfig
from agent.base.types import Detections, Float, Frame, Grey
from agent.vision.faces.landmarks import LandmarkEstimate, face_box, interocular
from agent.vision.faces.stabilise import Stabiliser
from agent.vision.kernels.nms import overlaps

Detect = Callable[[Frame], Detections]


class Place(Protocol):
    """As `agent.vision.faces.landmarks.LandmarkEstimator`."""

    def __call__(self, luma: Grey, guess: Float) -> LandmarkEstimate: ...

    def settle(self, luma: Grey, guess: Float) -> LandmarkEstimate: ...


_EAGER = 0.1
"""Seconds between looks while nobody, or somebody lost, is in view."""
_UNSUPPORTED = 6
"""Looks in a row without a matching detection after which a weak track is given up."""
_MIN_IOD = 5.0
"""Outer eye-corner distance, pixels, below which landmarks mean nothing."""


@dataclass(slots=True, eq=False)
class Track:
    """One face across frames."""

    track_id: int
    points: Float
    """float32[68, 2], stabilised, frame pixels."""
    placed: LandmarkEstimate
    """The network's newest answer."""
    stabiliser: Stabiliser
    score: float
    """Of the newest matching detection."""
    first: float
    last_seen: float
    lost: bool = False
    unsupported: int = 0
    fresh: bool = True
    """Followed in the current frame, not left out by the budget."""
    continuity: float = 0.0
    """In [0, 1], how far `points` continue those of the frame before: the network's presence times
    the share of points that optical flow held, allowing for blinks and speech. 0 where they do not:
    in a track's first frame, when it is resumed, after a cut, a gap, heavy blur, something in front
    of the face. Their difference across such a frame is no movement."""

    @property
    def box(self) -> Float:
        """float32[4], xyxy, frame pixels."""
        return face_box(self.points)


class FaceTracker:
    """Keeps one stable id per face in view; ids live in memory only.

    Parameters
    ----------
    presence_above : float
        Threshold of the landmark model's card for a crop to count as a face.
    budget : float | None
        Seconds of work per frame; None: no limit (files).
    """

    def __init__(
        self,
        detect: Detect,
        place: Place,
        detection: DetectionConfig,
        tracking: TrackingConfig,
        presence_above: float,
        budget: float | None = None,
    ) -> None:
        self._detect = detect
        self._place = place
        self._detection = detection
        self._tracking = tracking
        self._presence_above = presence_above
        self._budget = budget
        self._tracks: list[Track] = []
        """Oldest first."""
        self._next_id = 1
        self._last_look = -np.inf
        self._shape: tuple[int, ...] | None = None
        self.skipped = 0
        """Tracks left out of the newest frame by the budget."""

    def update(self, frame: Frame) -> list[Track]:
        """Tracks visible in this frame, oldest first.

        A change of the picture's size ends all tracks: their pixels mean nothing any more.
        """
        if self._shape not in (None, frame.luma.shape):
            self._tracks = []
            self._last_look = -np.inf
        self._follow_all(frame)
        active = [track for track in self._tracks if not track.lost]
        settled = active and len(active) == len(self._tracks)
        if frame.time - self._last_look >= (self._detection.interval if settled else _EAGER):
            self._last_look = frame.time
            self._match(frame, self._detect(frame))
            self._drop_duplicates()
            active = [track for track in self._tracks if not track.lost]
        if len(active) < len(self._tracks):
            oldest = frame.time - self._tracking.lost_after
            self._tracks = [t for t in self._tracks if not t.lost or t.last_seen >= oldest]
        self._shape = frame.luma.shape
        return active

    def end(self, track: Track) -> None:
        """Forget a track at once: it is not resumed, whoever comes back is somebody new."""
        self._tracks.remove(track)

    def _follow_all(self, frame: Frame) -> None:
        self.skipped = 0
        if self._budget is None:
            for track in self._tracks:
                if not track.lost:
                    self._follow(track, frame)
            return
        started = time.perf_counter()
        # Those who waited longest go first, so that a short budget goes round.
        waiting = sorted((t for t in self._tracks if not t.lost), key=lambda t: t.last_seen)
        for place, track in enumerate(waiting):
            if place and time.perf_counter() - started > self._budget:
                track.fresh = False
                self.skipped += 1
            else:
                self._follow(track, frame)

    def _follow(self, track: Track, frame: Frame) -> None:
        placed = self._place(frame.luma, track.points)
        if not self._plausible(placed, frame.luma, 0.5):
            track.lost = True
            return
        elapsed = frame.time - track.last_seen
        track.continuity = track.stabiliser.follow(placed, elapsed)
        track.points = track.stabiliser.points
        track.placed = placed
        track.last_seen = frame.time
        track.fresh = True

    def _plausible(self, placed: LandmarkEstimate, luma: Grey, leniency: float) -> bool:
        too_weak = placed.presence < self._presence_above * leniency
        if too_weak or interocular(placed.points) < _MIN_IOD:
            return False
        height, width = luma.shape
        nose_x, nose_y = placed.points.item(30, 0), placed.points.item(30, 1)
        return 0 <= nose_x < width and 0 <= nose_y < height

    def _match(self, frame: Frame, found: Detections) -> None:
        active = [track for track in self._tracks if not track.lost]
        boxes = np.empty((len(active), 4), np.float32)
        for index, track in enumerate(active):
            boxes[index] = track.box
        overlap = overlaps(found.boxes, boxes)
        taken: set[int] = set()
        supported: set[int] = set()
        for _ in range(min(overlap.shape)):
            row, column = divmod(int(overlap.argmax()), overlap.shape[1])
            if overlap[row, column] < 0.2:
                break
            active[column].score = float(found.scores[row])
            taken.add(row)
            supported.add(column)
            overlap[row, :] = 0
            overlap[:, column] = 0
        for index, track in enumerate(active):
            track.unsupported = 0 if index in supported else track.unsupported + 1
            if track.unsupported >= _UNSUPPORTED and track.placed.presence < 0.9:
                track.lost = True
        for index in range(len(found.boxes)):
            if index not in taken:
                self._begin(frame, found, index)

    def _begin(self, frame: Frame, found: Detections, row: int) -> None:
        """Resume a lost track at this detection, or start a new one."""
        placed = self._place.settle(frame.luma, found.keypoints[row])
        if not self._plausible(placed, frame.luma, 1.0):
            return
        points, score = placed.points, float(found.scores[row])
        box = face_box(points)
        if any(not t.lost and contained(t.box, box) > 0.6 for t in self._tracks):
            return
        resumed = self._nearest_lost(box)
        if resumed is not None:
            resumed.points, resumed.placed, resumed.score = points, placed, score
            resumed.last_seen, resumed.lost, resumed.fresh = frame.time, False, True
            resumed.unsupported = 0
            resumed.stabiliser, resumed.continuity = Stabiliser(placed), 0.0
        elif sum(not t.lost for t in self._tracks) < self._tracking.max_faces:
            self._tracks.append(
                Track(
                    track_id=self._next_id,
                    points=points,
                    placed=placed,
                    stabiliser=Stabiliser(placed),
                    score=score,
                    first=frame.time,
                    last_seen=frame.time,
                )
            )
            self._next_id += 1

    def _nearest_lost(self, box: Float) -> Track | None:
        """The lost track that this box may continue: near where it was, of about its size."""
        best: Track | None = None
        best_distance = 1.0
        size = float(box[2] - box[0])
        for track in self._tracks:
            if not track.lost:
                continue
            old = track.box
            ratio = size / max(float(old[2] - old[0]), 1.0)
            shift = (box[:2] + box[2:] - old[:2] - old[2:]) / 2
            distance = float(np.hypot(*shift)) / max(size, 1.0)
            if 0.5 < ratio < 2.0 and distance < best_distance:
                best, best_distance = track, distance
        return best

    def _drop_duplicates(self) -> None:
        """Two tracks on one face, or one inside the other: the younger goes."""
        kept: list[Track] = []
        for track in [t for t in self._tracks if not t.lost]:
            if any(contained(track.box, other.box) > 0.7 for other in kept):
                self._tracks.remove(track)
            else:
                kept.append(track)


def contained(a: Float, b: Float) -> float:
    """Share of the smaller of two boxes float32[4] that lies in the other."""
    left, top, right, bottom = a.tolist()
    x0, y0, x1, y1 = b.tolist()
    shared = max(min(right, x1) - max(left, x0), 0.0) * max(min(bottom, y1) - max(top, y0), 0.0)
    smaller = min((right - left) * (bottom - top), (x1 - x0) * (y1 - y0))
    return float(shared / max(smaller, 1e-6))
