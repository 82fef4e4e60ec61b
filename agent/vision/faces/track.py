"""Tracking by landmarks: each frame's landmarks centre the next crop; detections start tracks.

A track that begins on or below a face that is tracked already (a print on a shirt, a hand, the same
face found twice) is *doubtful*: it is followed but not reported until detections bear it out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent.base.config import DetectionConfig, TrackingConfig
from agent.base.types import Detections, Float, Frame
from agent.kernels.nms import pairwise_iou
from agent.vision.faces.crossing import pass_by
from agent.vision.faces.doubt import doubt
from agent.vision.faces.follow import Estimator, Follower
from agent.vision.faces.landmarks import LandmarkEstimate, face_box
from agent.vision.faces.motion import Motion
from agent.vision.faces.probability import FilmJudge, logit
from agent.vision.faces.refused import RefusedPlaces
from agent.vision.faces.stabilise import Stabiliser
from agent.vision.faces.track_state import Track, intersection_over_smaller


class ExcludedZones(Protocol):
    """Regions of the frame in which no face is detected or tracked."""

    def mask(self, frame: Frame) -> Frame:
        """The frame with the zones painted over."""

    def contains(self, points: Float) -> NDArray[np.bool_]:
        """bool[N]: whether points float32[N, 2], pixels of the last masked frame, lie in a zone."""


_SEARCH_INTERVAL = 0.1
"""Seconds between detections while there is no track, or one that was lost just now."""
_SEARCHED = 0.5
"""Seconds after which a lost one is searched for at `_TENTATIVE_INTERVAL`."""
_MAX_MISSED = 6
"""Consecutive detections without a match after which a track of low presence is lost."""
_TRIALS = 3
"""Weak detections per look that the landmark network is asked about."""
_TRIED_AGAIN = 1.0
"""Seconds after which it is asked again about a place where it saw too little of a face."""
_HOPELESS_AGAIN = 3.0
"""The same where its logit was lower than `_REFINED` below what was asked for."""
_REFINED = 3.0
"""Logit of presence that a second pass, aligned to the first, adds at most. On 690 places in
nineteen films it was 1.9 in the 97th percentile; faces needed 1.2 or less."""
_GIVEN_UP = 5.0
"""Seconds for which a place is left alone where a track was not borne out."""
_TENTATIVE = 1.2
"""Seconds in which a track that began on a weak score must be borne out."""
_TENTATIVE_INTERVAL = 0.25
"""Seconds between detections meanwhile."""
_NOTHING = 0.1
"""Score that counts where a look did not find it."""
_MIN_IOU = 0.2
"""Intersection over union from which a detection matches a track."""
_GAP_STEPS = 2.5
"""Usual steps between frames from which a longer one is a gap, in which anything may have happened:
the recording was triggered by motion, the camera was away. In time-lapse long steps are usual."""
_LONGEST_GAP = 15.0
"""Seconds that are a gap even there."""
_RESIZED = 1.5
"""Ratio of widths from which a track and a detection in its place are not of the same thing."""
_SURER = 1.0
"""Logits of presence by which the detection must then be the surer one."""
_WITHIN = 0.7
"""Intersection over the smaller box from which a detection lies on a stronger one."""
_WEAKER = 2.0
"""Logits by which it must be weaker to be taken for a part of that face."""


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
    resting : float
        As `agent.vision.faces.follow.Follower`.
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
        resting: float = 0.0,
    ) -> None:
        self._detector = detector
        self._estimator = estimator
        self._detection = detection
        self._tracking = tracking
        self._most = tracking.max_faces
        self._follow = Follower(estimator, presence_above, resting)
        self._presence_above = presence_above
        self._budget = budget
        self._zones = zones
        self._judge = judge
        self._aim = aim
        self._refused = RefusedPlaces()
        self._tracks: list[Track] = []
        """Oldest first."""
        self._next_id = 1
        self._last_detection = -np.inf
        self._shape: tuple[int, ...] | None = None
        self._time = math.inf
        self._step = 0.0
        """Time of the latest frame and since the one before, seconds."""
        self.skipped = 0
        """Tracks skipped in the latest frame because of the budget."""

    def update(self, frame: Frame) -> list[Track]:
        """Visible tracks without the doubtful ones, oldest first. A change of frame size ends all
        tracks, as does a gap of more than `tracking.lost_after`."""
        if self._shape not in (None, frame.luma.shape) or self._is_gap(frame.time - self._time):
            self._tracks = []
            self._last_detection = -np.inf
        self._shape = frame.luma.shape
        self._step, self._time = frame.time - self._time, frame.time
        self._propagate(frame)
        pass_by(self._active(), frame.time)
        active = self._active()
        interval = self._interval(active, frame.time)
        if not all(track.sure for track in active):
            self._bear_out(frame.time)
            active = self._active()
        if frame.time - self._last_detection >= interval:
            self._last_detection = frame.time
            if self._aim is not None and (waiting := self.tentative):
                self._aim([track.box for track in waiting])
            found = self._detector(frame)
            if self._zones is not None:
                kept = self._outside_zones(found.boxes)
                found = Detections(found.boxes[kept], found.scores[kept], found.keypoints[kept])
            self._match(frame, found)
            self._drop_duplicates()
            active = self._active()
            doubt(active)
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
        return [track for track in active if track.reported]

    def _is_gap(self, elapsed: float) -> bool:
        """Whether a face in the place of one before is looked for anew."""
        usual = _GAP_STEPS * self._step if self._step > 0.0 else math.inf
        return elapsed > self._tracking.lost_after and elapsed > min(usual, _LONGEST_GAP)

    def _interval(self, active: Sequence[Track], now: float) -> float:
        """Seconds between detections."""
        if not active or any(track.cut for track in active):
            return _SEARCH_INTERVAL
        if len(active) < len(self._tracks):
            lost = max(track.last_seen for track in self._tracks if track.lost)
            if now - lost < _SEARCHED:
                return _SEARCH_INTERVAL
        elif all(track.sure for track in active):
            return self._detection.interval
        return min(self._detection.interval, _TENTATIVE_INTERVAL)

    def limit(self, most: int | None) -> None:
        """Follow at most so many faces from now on, None: as many as configured. Of those in view
        the largest stay."""
        self._most = min(most or self._tracking.max_faces, self._tracking.max_faces)
        if len(self._tracks) <= self._most:
            return
        largest = sorted(self._active(), key=lambda t: (t.doubtful, -float(t.box[2] - t.box[0])))
        kept = largest[: self._most]
        self._tracks = [track for track in self._tracks if track in kept]

    @property
    def in_view(self) -> bool:
        """Whether any track is followed."""
        return any(not track.lost for track in self._tracks)

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
                self._refused.add(now + _GIVEN_UP, track.box, track.score)
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
                self._follow(track, frame)
            return
        started = time.perf_counter()
        for number, track in enumerate(sorted(active, key=lambda t: t.last_seen)):
            if number and time.perf_counter() - started > self._budget:
                track.updated = False
                self.skipped += 1
            else:
                self._follow(track, frame)

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
            if not track.clear:
                estimate = self._estimator.refine(frame.luma, found.keypoints[row])
                _reseat(track, estimate, face_box(estimate.points), frame.time)
            overlap[row, :] = 0
            overlap[:, column] = 0
        for track in active:
            # After a cut landmarks may lie on whatever is now in the face's place.
            faint = track.missed >= _MAX_MISSED and track.estimate.presence < 0.9
            track.lost = faint or (track.cut and track.missed > 0)
            track.cut = False
        self._refused.forget(frame.time)
        trials = _TRIALS
        for row in range(len(found.boxes)):
            score = float(found.scores[row])
            if trials == 0 or not self._is_face(1.0, score):
                break  # those that follow are weaker
            if row in matched:
                continue
            box = found.boxes[row]
            if self._refused.holds(box, score) or _within(box, score, found, row):
                continue
            rest = self._begin(frame, found.keypoints[row], score)
            if rest and self._judge:
                trials -= 1
                self._refused.add(frame.time + rest, box, score)

    def _is_face(self, presence: float, score: float) -> bool:
        """Whether both networks together take a place for a face."""
        return self._judge is None or self._judge.begins(presence, score)

    def _begin(self, frame: Frame, keypoints: Float, score: float) -> float:
        """Resume a lost track at this detection, or start a new one. Where it is no face: seconds
        for which the place is left alone, else 0."""
        judge = self._judge
        leniency = 1.0 if judge is None else 0.5
        promising = 0.0
        if judge is not None:
            least = max(judge.least_presence(score), logit(self._presence_above * leniency))
            promising = 1.0 / (1.0 + math.exp(min(_REFINED - least, 30.0)))
        estimate = self._estimator.refine(frame.luma, keypoints, promising)
        if estimate.presence < promising:
            return _HOPELESS_AGAIN
        if not self._follow.plausible(estimate, frame.luma, leniency):
            return _TRIED_AGAIN
        if not self._is_face(estimate.presence, score):
            return _TRIED_AGAIN
        box = face_box(estimate.points)
        active = self._active()
        now = frame.time
        below = [t for t in active if intersection_over_smaller(t.box, box) > 0.6]
        if below:
            if len(below) == 1:
                _reseat(below[0], estimate, box, now)
            return 0.0
        if len(active) >= self._most:
            return 0.0
        track = Track(self._next_id, estimate, Stabiliser(estimate), score, now, now, now)
        track.sure = self._judge is None or self._judge.is_sure(estimate.presence, score)
        resumed = self._nearest_lost(box, now)
        if resumed is not None:
            track.track_id, track.first = resumed.track_id, resumed.first
            track.looks, track.hits = resumed.looks + 1, resumed.hits + 1
            track.proven, track.sure = resumed.proven, resumed.sure or track.sure
            track.presence, track.frames = resumed.presence, resumed.frames
            self._tracks[self._tracks.index(resumed)] = track
        else:
            self._tracks.append(track)
            self._next_id += 1
        return 0.0

    def _nearest_lost(self, box: Float, now: float) -> Track | None:
        """The lost track of similar size that is nearest to where it was, or would be by now."""
        best: Track | None = None
        best_distance = 1.0
        for track in self._tracks:
            if track.lost and (distance := track.motion.distance(now, box)) < best_distance:
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


def _reseat(track: Track, estimate: LandmarkEstimate, box: Float, now: float) -> None:
    """Move a track to what was found in its place, where that is of another size and surer: one
    that began on half a face, as it comes out from behind another, holds on to half a face."""
    ratio = float(box[2] - box[0]) / max(float(track.box[2] - track.box[0]), 1.0)
    surer = logit(estimate.presence) > logit(track.estimate.presence) + _SURER
    clearer = estimate.is_sure and not track.clear
    if (clearer or surer) and not 1.0 / _RESIZED < ratio < _RESIZED:
        track.estimate, track.stabiliser = estimate, Stabiliser(estimate)
        track.clear = estimate.is_sure
        track.last_seen = track.read = now
        track.continuity, track.motion = 0.0, Motion(now, box)


def _within(box: Float, score: float, found: Detections, row: int) -> bool:
    """Whether a detection, number `row` by falling score, is an eye or a mouth that was taken for a
    face: it lies on a much stronger one, which tracks may not have followed yet."""
    return any(
        logit(float(found.scores[other])) - logit(score) > _WEAKER
        and intersection_over_smaller(box, found.boxes[other]) > _WITHIN
        for other in range(row)
    )
