"""Tracking by landmarks: each frame's landmarks centre the next crop; detections start tracks.

A track that begins on or below a face that is tracked already (a print on a shirt, a hand, the same
face found twice) is *doubtful*: it is followed but not reported until detections bear it out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent.base.config import DetectionConfig, TrackingConfig
from agent.base.types import Detections, Float, Frame, Grey
from agent.vision.faces.landmarks import LandmarkEstimate, face_box, interocular
from agent.vision.faces.probability import FilmJudge, logit
from agent.vision.faces.stabilise import Stabiliser
from agent.vision.kernels.nms import pairwise_iou


class Estimator(Protocol):
    """As `agent.vision.faces.landmarks.LandmarkEstimator`."""

    def __call__(self, luma: Grey, guess: Float) -> LandmarkEstimate: ...

    def refine(self, luma: Grey, guess: Float) -> LandmarkEstimate: ...


class ExcludedZones(Protocol):
    """Regions of the frame in which no face is detected or tracked."""

    def mask(self, frame: Frame) -> Frame:
        """The frame with the zones painted over."""

    def contains(self, points: Float) -> NDArray[np.bool_]:
        """bool[N]: whether points float32[N, 2], pixels of the last masked frame, lie in a zone."""


_SEARCH_INTERVAL = 0.1
"""Seconds between detections while there is no track, or a lost one."""
_MAX_MISSED = 6
"""Consecutive detections without a match after which a track of low presence is lost."""
_TRIALS = 3
"""Weak detections per look that the landmark network is asked about."""
_TRIED_AGAIN = 1.0
"""Seconds after which it is asked again about a place where it saw nothing."""
_GIVEN_UP = 5.0
"""Seconds for which a place is left alone where a track was not borne out."""
_STRONGER = 0.1
"""Score by which a detection must be above the one before not to be left alone."""
_TENTATIVE = 1.2
"""Seconds in which a track that began on a weak score must be borne out."""
_TENTATIVE_INTERVAL = 0.25
"""Seconds between detections meanwhile."""
_NOTHING = 0.1
"""Score that counts where a look did not find it."""
_MIN_IOU = 0.2
"""Intersection over union from which a detection matches a track."""
_MIN_IOD = 5.0
"""Outer eye-corner distance below which landmarks are rejected, pixels."""
_MAX_GAP = 0.25
"""Seconds between frames beyond which it is not known whether the picture was cut in between."""
_SAME = 0.5
"""Correlation with the crop before below which the landmarks may lie on something else."""
_PROOF_LOOKS = 4
"""Detections after which a doubtful track may be borne out."""
_PROOF_SHARE = 2 / 3
"""Share of detections that must have found it. Prints on shirts, folds and hands were found by a
quarter to a half (six clips of people signing), faces by nearly all."""
_PROOF_PRESENCE = 0.985
"""Mean presence over `_PRESENCE_LOOKS` detections that bears out a face too small to be found by so
many; that of the others was .6 to .95."""
_PRESENCE_LOOKS = 8
_BODY_WIDTH = 0.9
"""How far beside the middle of a face its body reaches, heights of the face's box, and from where
to where below it."""
_BODY_TOP = 0.5
_BODY_BOTTOM = 3.0
_ON_FACE = 0.15
"""Intersection over the smaller box from which a track lies on a face."""


@dataclass(slots=True, eq=False)
class Track:
    """One face across frames."""

    track_id: int
    estimate: LandmarkEstimate
    """Latest output of the landmark network."""
    stabiliser: Stabiliser
    score: float
    """Of the latest matching detection."""
    first: float
    """Start of the track, seconds."""
    last_seen: float
    lost: bool = False
    missed: int = 0
    """Consecutive detections without a match."""
    looks: int = 1
    """Detections since its start."""
    hits: int = 1
    """Of these, those that found it."""
    presence: float = 1.0
    """Mean presence since its start."""
    frames: int = 0
    sure: bool = True
    """False while it is tentative: begun on a weak score, followed, not reported."""
    later_score: float = 0.0
    """Mean logit of the looks after the one that began it."""
    later_presence: float = 0.0
    """Mean logit of the presence in the frames after the first; while it is tentative."""
    proven: bool = False
    """Borne out by detections; holds for good."""
    doubtful: bool = False
    """On or below another face and not proven: not reported."""
    cut: bool = False
    """Its crop changed at once: the recording was cut, the face covered or moving fast."""
    updated: bool = True
    """Propagated in the current frame, not skipped by the budget."""
    continuity: float = 0.0
    """Confidence in [0, 1] that `points` continue those of the previous frame: presence times the
    share of points tracked by optical flow, allowing for blinks and speech. 0 in the first frame,
    on resumption, and after a scene cut, gap, heavy blur or occlusion: differences across such a
    frame are not facial movement."""

    @property
    def points(self) -> Float:
        """float32[68, 2], stabilised, frame pixels."""
        return self.stabiliser.points

    @property
    def box(self) -> Float:
        """float32[4], xyxy, frame pixels."""
        return face_box(self.points)


class FaceTracker:
    """Assigns one stable id per face in view; ids exist in memory only.

    Parameters
    ----------
    presence_above : float
        Least presence for a crop to count as a face, from the landmark model's card.
    budget : float | None
        Seconds of landmark estimation per frame; None: no limit (files).
    zones : ExcludedZones | None
        Detections and tracks whose box is centred in one are dropped. The caller masks the frames.
    judge : FilmJudge | None
        Judges a detection's score and the presence together; a weak score then starts a track where
        the landmark network is sure. None: any detection of enough presence starts one.
    aim : callable | None
        Told, before a detection, the boxes of tentative tracks, which are to be looked at closely.
    """

    def __init__(
        self,
        detector: Callable[[Frame], Detections],
        estimator: Estimator,
        detection: DetectionConfig,
        tracking: TrackingConfig,
        presence_above: float,
        budget: float | None = None,
        zones: ExcludedZones | None = None,
        judge: FilmJudge | None = None,
        aim: Callable[[Sequence[Float]], None] | None = None,
    ) -> None:
        self._detector = detector
        self._estimator = estimator
        self._detection = detection
        self._tracking = tracking
        self._presence_above = presence_above
        self._budget = budget
        self._zones = zones
        self._judge = judge
        self._aim = aim
        self._rejected: list[tuple[float, Float, float]] = []
        """Weak detections that were no face: until when each is left alone, its box and score."""
        self._tracks: list[Track] = []
        """Oldest first."""
        self._next_id = 1
        self._last_detection = -np.inf
        self._shape: tuple[int, ...] | None = None
        self.skipped = 0
        """Tracks skipped in the latest frame because of the budget."""

    def update(self, frame: Frame) -> list[Track]:
        """Visible tracks without the doubtful ones, oldest first. A change of frame size ends all
        tracks."""
        if self._shape not in (None, frame.luma.shape):
            self._tracks = []
            self._last_detection = -np.inf
        self._shape = frame.luma.shape
        self._propagate(frame)
        active = self._active()
        none_lost = active and len(active) == len(self._tracks)
        is_cut = any(track.cut for track in active)
        interval = self._detection.interval if none_lost and not is_cut else _SEARCH_INTERVAL
        if not all(track.sure for track in active):
            interval = min(interval, _TENTATIVE_INTERVAL)
            self._bear_out(frame.time)
            active = self._active()
        if frame.time - self._last_detection >= interval:
            self._last_detection = frame.time
            if self._aim is not None and (waiting := self.tentative):
                self._aim([track.box for track in waiting])
            found = self._detector(frame)
            kept = self._outside_zones(found.boxes)
            self._match(
                frame, Detections(found.boxes[kept], found.scores[kept], found.keypoints[kept])
            )
            self._drop_duplicates()
            self._doubt()
            active = self._active()
        if self._zones is not None:
            kept = self._outside_zones([track.box for track in active])
            active = [track for track, keep in zip(active, kept, strict=True) if keep]
        if len(active) < len(self._tracks):
            oldest = frame.time - self._tracking.lost_after
            self._tracks = [
                t
                for t in self._tracks
                if t in active or (t.lost and not t.doubtful and t.last_seen >= oldest)
            ]
        return [track for track in active if track.sure and not track.doubtful]

    @property
    def tentative(self) -> list[Track]:
        """Tracks that are followed and not reported yet, for want of evidence."""
        return [track for track in self._tracks if not track.sure]

    def _bear_out(self, now: float) -> None:
        """Find out which tentative tracks are faces; those that are not in time end."""
        judge = self._judge
        for track in self.tentative:
            seen = track.later_presence, track.later_score
            if judge is not None and track.looks > 1 and judge.bears_out(*seen):
                track.sure = True
            elif track.lost or now - track.first > _TENTATIVE:
                self._rejected.append((now + _GIVEN_UP, track.box, track.score))
                self._tracks.remove(track)

    def _active(self) -> list[Track]:
        return [track for track in self._tracks if not track.lost]

    def _outside_zones(self, boxes: Float | Sequence[Float]) -> NDArray[np.bool_]:
        """bool[N]: whether boxes float32[N, 4] are centred outside every excluded zone."""
        if self._zones is None or not len(boxes):
            return np.ones(len(boxes), bool)
        corners = np.asarray(boxes)
        return ~self._zones.contains((corners[:, :2] + corners[:, 2:]) * np.float32(0.5))

    def _propagate(self, frame: Frame) -> None:
        """Propagate tracks into this frame, the least recently updated first, within the budget."""
        self.skipped = 0
        active = self._active()
        if self._budget is None:
            for track in active:
                self._propagate_track(track, frame)
            return
        started = time.perf_counter()
        for number, track in enumerate(sorted(active, key=lambda t: t.last_seen)):
            if number and time.perf_counter() - started > self._budget:
                track.updated = False
                self.skipped += 1
            else:
                self._propagate_track(track, frame)

    def _propagate_track(self, track: Track, frame: Frame) -> None:
        estimate = self._estimator(frame.luma, track.points)
        if not self._plausible(estimate, frame.luma, 0.5):
            track.lost = True
            return
        elapsed = frame.time - track.last_seen
        track.continuity = track.stabiliser.update(estimate, elapsed)
        if elapsed <= _MAX_GAP and not track.doubtful:
            track.cut = correlation(track.estimate.crop, estimate.crop) < _SAME
        track.frames += 1
        if not track.sure:
            step = logit(estimate.presence) - track.later_presence
            track.later_presence += step / track.frames
        track.presence += (estimate.presence - track.presence) / track.frames
        track.estimate = estimate
        track.last_seen = frame.time
        track.updated = True

    def _plausible(self, estimate: LandmarkEstimate, luma: Grey, leniency: float) -> bool:
        """Whether this is a face: present, large enough, nose tip inside the frame."""
        points = estimate.points
        if estimate.presence < self._presence_above * leniency or interocular(points) < _MIN_IOD:
            return False
        height, width = luma.shape
        return 0 <= points.item(30, 0) < width and 0 <= points.item(30, 1) < height

    def _match(self, frame: Frame, found: Detections) -> None:
        """Greedy matching by IoU; unmatched detections start or resume tracks."""
        active = self._active()
        boxes = np.empty((len(active), 4), np.float32)
        for index, track in enumerate(active):
            boxes[index] = track.box
            track.missed += 1
            track.looks += 1
            track.later_score += (logit(_NOTHING) - track.later_score) / (track.looks - 1)
        overlap = pairwise_iou(found.boxes, boxes)
        matched: set[int] = set()
        for _ in range(min(overlap.shape)):
            row, column = divmod(int(overlap.argmax()), overlap.shape[1])
            if overlap[row, column] < _MIN_IOU:
                break
            matched.add(row)
            score = float(found.scores[row])
            track = active[column]
            track.later_score += (logit(score) - logit(_NOTHING)) / (track.looks - 1)
            if self._is_face(track.estimate.presence, score):
                track.score = score
                track.missed = 0
                # a weak answer keeps a track; it is no proof of one on a person's clothes
                judge = self._judge
                track.hits += judge is None or judge.is_sure(track.estimate.presence, score)
            overlap[row, :] = 0
            overlap[:, column] = 0
        for track in active:
            # After a cut landmarks may lie on whatever is now in the face's place.
            faint = track.missed >= _MAX_MISSED and track.estimate.presence < 0.9
            track.lost = faint or (track.cut and track.missed > 0)
            track.cut = False
        self._rejected = [place for place in self._rejected if place[0] > frame.time]
        trials = _TRIALS
        for row in range(len(found.boxes)):
            score = float(found.scores[row])
            if row in matched or trials == 0 or not self._is_face(1.0, score):
                continue
            box = found.boxes[row]
            if any(
                intersection_over_smaller(box, other) > 0.5 and score < before + _STRONGER
                for _, other, before in self._rejected
            ):
                continue
            if not self._begin(frame, found.keypoints[row], score) and self._judge:
                trials -= 1
                self._rejected.append((frame.time + _TRIED_AGAIN, box, score))

    def _is_face(self, presence: float, score: float) -> bool:
        """Whether both networks together take a place for a face."""
        return self._judge is None or self._judge.begins(presence, score)

    def _begin(self, frame: Frame, keypoints: Float, score: float) -> bool:
        """Resume a lost track at this detection, or start a new one; whether it is a face."""
        estimate = self._estimator.refine(frame.luma, keypoints)
        leniency = 1.0 if self._judge is None else 0.5
        if not self._plausible(estimate, frame.luma, leniency):
            return False
        if not self._is_face(estimate.presence, score):
            return False
        box = face_box(estimate.points)
        active = self._active()
        if any(intersection_over_smaller(other.box, box) > 0.6 for other in active):
            return True
        track = Track(self._next_id, estimate, Stabiliser(estimate), score, frame.time, frame.time)
        track.sure = self._judge is None or self._judge.is_sure(estimate.presence, score)
        resumed = self._nearest_lost(box)
        if resumed is not None:
            track.track_id, track.first = resumed.track_id, resumed.first
            track.looks, track.hits = resumed.looks + 1, resumed.hits + 1
            track.proven, track.sure = resumed.proven, resumed.sure or track.sure
            track.presence, track.frames = resumed.presence, resumed.frames
            self._tracks[self._tracks.index(resumed)] = track
        elif len(active) < self._tracking.max_faces:
            self._tracks.append(track)
            self._next_id += 1
        return True

    def _nearest_lost(self, box: Float) -> Track | None:
        """The nearest lost track of similar size and place, if any."""
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
        """Of two tracks that overlap or contain each other, the younger is dropped, or lost where
        it was a face: one behind another is resumed when it comes out."""
        kept: list[Track] = []
        for track in self._active():
            if not any(intersection_over_smaller(track.box, other.box) > 0.7 for other in kept):
                kept.append(track)
            elif track.proven:
                track.lost = True
            else:
                self._tracks.remove(track)

    def _doubt(self) -> None:
        """Find out which tracks are borne out by detections, and which are doubtful."""
        active = self._active()
        for track in active:
            found = track.looks >= _PROOF_LOOKS and track.hits >= _PROOF_SHARE * track.looks
            clear = track.looks >= _PRESENCE_LOOKS and track.presence >= _PROOF_PRESENCE
            track.proven = track.proven or found or clear
        for track in active:
            track.doubtful = not track.proven and any(
                other is not track and not other.doubtful and self._belongs(track, other)
                for other in active
            )

    @staticmethod
    def _belongs(track: Track, other: Track) -> bool:
        """Whether an unproven track lies on the person whose face the other is: a proven one, or
        one that is older or of more presence."""
        rank, others = ((t.first, -t.presence, t.track_id) for t in (track, other))
        if others > rank and not other.proven:
            return False
        if intersection_over_smaller(track.box, other.box) > _ON_FACE:
            return True
        x0, y0, x1, y1 = other.box.tolist()
        left, top, right, bottom = track.box.tolist()
        height = max(y1 - y0, 1.0)
        across = abs(left + right - x0 - x1) / (2 * height)
        down = (top + bottom - y0 - y1) / (2 * height)
        return across < _BODY_WIDTH and _BODY_TOP < down < _BODY_BOTTOM


def correlation(a: Grey, b: Grey) -> float:
    """Correlation of two crops uint8[N, N], of every eighth pixel."""
    x, y = a[4::8, 4::8].astype(np.float32).ravel(), b[4::8, 4::8].astype(np.float32).ravel()
    x -= x.mean()
    y -= y.mean()
    return float(x @ y) / math.sqrt(float(x @ x) * float(y @ y) + 1e-6)


def intersection_over_smaller(a: Float, b: Float) -> float:
    """Intersection of two boxes float32[4] over the area of the smaller."""
    left, top, right, bottom = a.tolist()
    x0, y0, x1, y1 = b.tolist()
    shared = max(min(right, x1) - max(left, x0), 0.0) * max(min(bottom, y1) - max(top, y0), 0.0)
    smaller = min((right - left) * (bottom - top), (x1 - x0) * (y1 - y0))
    return float(shared / max(smaller, 1e-6))
