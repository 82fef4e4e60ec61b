"""A face's landmarks in the next frame: by the network, or by optical flow alone between two of its
answers while the face is steady."""

from __future__ import annotations

from typing import Protocol

from agent.base.types import Float, Frame, Grey
from agent.kernels.crop import correlation
from agent.vision.faces.landmarks import LandmarkEstimate, interocular
from agent.vision.faces.probability import logit
from agent.vision.faces.track_state import Track

RESTING = 0.075
"""Seconds that suit: at 30 frames per second two frames of three, at 25 every other, at 60 four of
five; below 14 the network always answers."""
_MIN_IOD = 5.0
"""Outer eye-corner distance below which landmarks are rejected, pixels."""
_MAX_GAP = 0.25
"""Seconds between frames beyond which it is not known whether the picture was cut in between."""
_SAMPLING = 8
"""Every eighth pixel of two crops is compared."""
_SAME = 0.5
"""Correlation with the crop before below which the landmarks may lie on something else."""
_STEADY_PRESENCE = 0.9
_STEADY = 0.8
"""Least presence and continuity of the latest answer for the network to rest."""


class Estimator(Protocol):
    """As `agent.vision.faces.landmarks.LandmarkEstimator`."""

    def place(self, luma: Grey, guess: Float) -> tuple[Grey, Float]: ...

    def read(self, crop: Grey, matrix: Float) -> LandmarkEstimate: ...

    def refine(self, luma: Grey, guess: Float, promising: float = 0.0) -> LandmarkEstimate: ...


class Follower:
    """Moves tracks from frame to frame.

    Parameters
    ----------
    presence_above : float
        Least presence for a crop to count as a face, from the landmark model's card.
    resting : float
        Seconds after an answer of the network within which a steady face is followed by optical
        flow alone; 0: never.
    """

    def __init__(self, estimator: Estimator, presence_above: float, resting: float = 0.0) -> None:
        self._estimator = estimator
        self._presence_above = presence_above
        self._resting = resting

    def __call__(self, track: Track, frame: Frame) -> None:
        """Update `track`, or mark it as lost."""
        elapsed = frame.time - track.last_seen
        crop, matrix = self._estimator.place(frame.luma, track.points)
        if frame.time - track.read < self._resting and self._is_steady(track):
            latest = track.estimate
            continued = track.stabiliser.rest(crop, matrix, elapsed)
            if continued > 0.0:
                track.continuity = continued * latest.presence
                track.estimate = LandmarkEstimate(
                    track.stabiliser.carried, latest.presence, crop, matrix, latest.log_spread
                )
                track.last_seen = frame.time
                track.updated = True
                return
        estimate = self._estimator.read(crop, matrix)
        if not self.plausible(estimate, frame.luma, 0.5):
            track.lost = True
            return
        track.continuity = track.stabiliser.update(estimate, elapsed)
        if elapsed <= _MAX_GAP and not track.doubtful:
            track.cut = correlation(track.estimate.crop, estimate.crop, _SAMPLING) < _SAME
        track.frames += 1
        if not track.sure:
            step = logit(estimate.presence) - track.later_presence
            track.later_presence += step / track.frames
        track.presence += (estimate.presence - track.presence) / track.frames
        track.estimate, track.clear = estimate, estimate.is_sure
        track.last_seen = track.read = frame.time
        track.updated = True

    @staticmethod
    def _is_steady(track: Track) -> bool:
        return (
            track.continuity >= _STEADY
            and track.estimate.presence >= _STEADY_PRESENCE
            and track.sure
            and not (track.doubtful or track.cut)
        )

    def plausible(self, estimate: LandmarkEstimate, luma: Grey, leniency: float) -> bool:
        """Whether this is a face: present, large enough, nose tip inside the frame."""
        points = estimate.points
        if estimate.presence < self._presence_above * leniency or interocular(points) < _MIN_IOD:
            return False
        height, width = luma.shape
        return 0 <= points.item(30, 0) < width and 0 <= points.item(30, 1) < height
