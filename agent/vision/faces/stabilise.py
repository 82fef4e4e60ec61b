"""Landmark stabilisation without lag: optical flow, slowly corrected by the landmark network."""

from __future__ import annotations

import math

import numpy as np

from agent.base.types import Float, Grey
from agent.kernels.flow import lucas_kanade
from agent.kernels.fusion import DEPTH, FIT_DEVIATION, SKIN_DEVIATION, fuse_landmarks
from agent.kernels.predict import GUESS, START, carry_landmarks, predict_landmarks
from agent.vision.faces.align import LANDMARK_CROP
from agent.vision.faces.landmarks import LandmarkEstimate
from agent.vision.faces.shape3d import MEAN_SHAPE_3D

_MAX_GAP = 0.25
"""Seconds between frames beyond which flow is not computed."""
_CORRECTION_TIME = 1.0
"""Time constant of the network's correction while the head is still, seconds."""
_CORRECTION_PER_MOVEMENT = 2.0
"""Additional correction per inter-ocular distance of head movement, since flow drifts with it."""
_RIDGE = 0.25
"""Ridge regularisation of flow towards its initial guess, squared grey levels per pixel."""
_ITERATIONS = 8
"""Of the flow, at most."""
_IOD = LANDMARK_CROP.iod
_MIN_TRACKED = 0.35
"""Share of points tracked by flow below which landmarks are reset (cut, blur, occlusion)."""
_USUAL_TRACKED = 0.8
"""Share of points tracked in ordinary frames, reduced by blinks and speech."""
_STEADY_MOVEMENT = 0.015
"""Inter-ocular distances per frame beyond which the network does not rest: the head's next movement
is not known well enough for the flow to start at."""
_STEADY_SHARE = 0.06
"""By which the share of tracked points may fall meanwhile; a blink takes .1 or more."""
_DEFAULT_LOG_SPREAD = np.full(68, math.log(0.03), np.float32)
"""Logarithm of the expected error, inter-ocular distances, where the model has no such output."""


def _face_model() -> Float:
    """`face` of `agent.kernels.fusion`.

    Skin over bone (eye corners, bridge and base of the nose) moves with the head: deviations of
    these patches from the common motion are noise, apart from the person's own head shape.
    """
    face = np.empty((68, 3), np.float32)
    face[:, DEPTH] = MEAN_SHAPE_3D[:, 2]
    face[:, FIT_DEVIATION] = 0.006
    face[0:17, FIT_DEVIATION] = 0.001
    face[27:36, FIT_DEVIATION] = 0.004
    face[48:, FIT_DEVIATION] = 0.008
    face[:, SKIN_DEVIATION] = face[:, FIT_DEVIATION]
    bone = [27, 28, 29, 30, 33, 36, 39, 42, 45]
    face[bone, FIT_DEVIATION] = 0.003
    face[bone, SKIN_DEVIATION] = 0.0003
    return face


_FACE_MODEL = _face_model()


class Stabiliser:
    """Stabilised landmarks of one face.

    The network is unbiased but noisy in each frame; flow is smooth but drifts. Landmarks are
    propagated by Lucas-Kanade flow of a patch around each, with a forward-backward check, fused
    with the head's rigid motion fitted to all vectors (a tight prior for skin over bone, a loose
    one elsewhere). The network corrects them with a time constant of one second. Movement is not
    averaged over time, so there is no lag.

    No image pyramid: crops follow the head and flow starts at the network's head motion. The
    residual motion was 0.3 to 1.1 crop pixels (medians of five clips of people who talk and sign),
    at worst 4.2 in the 99th percentile, within reach of the gradients of an 8-pixel patch.
    """

    def __init__(self, estimate: LandmarkEstimate) -> None:
        """Start at the network's landmarks."""
        self.points: Float = estimate.points
        """float32[68, 2], stabilised, frame pixels."""
        self._matrix = estimate.matrix
        self._crop = estimate.crop
        self._in_crop = np.empty((4, 68, 2), np.float32)
        self._tracked = 0.0
        """Share of the points that the latest flow followed."""
        self.carried = estimate.points
        """float32[68, 2]: where `rest` expected the network to see the landmarks, frame pixels."""
        self._network = self._answered = self._before = estimate.points
        """float32[68, 2]: the network's latest answer, and `points` in that frame and in the frame
        before the latest."""
        self._elapsed = 1.0
        """Seconds between the latest two frames."""
        self._log_spread = _spread_of(estimate)

    def update(self, estimate: LandmarkEstimate, elapsed: float) -> float:
        """Propagate `points` into the next frame.

        Parameters
        ----------
        estimate : LandmarkEstimate
            The network's, in that frame.
        elapsed : float
            Seconds since the previous frame.

        Returns
        -------
        float
            Continuity in [0, 1], see `agent.vision.faces.track.Track`; 0 where the landmarks were
            reset to the network's (long gap, scene cut, heavy blur, occlusion).
        """
        crop, self._crop = self._crop, estimate.crop
        matrix, self._matrix = self._matrix, estimate.matrix
        points, self.points = self.points, estimate.points
        self._network, self._log_spread = estimate.points, _spread_of(estimate)
        self._tracked = 0.0
        if elapsed > _MAX_GAP:
            return 0.0
        moved = predict_landmarks(
            matrix, estimate.matrix, points, estimate.points, _IOD, self._in_crop
        )
        if moved < 0.0:
            return 0.0
        fused, tracked = self._fused(crop, estimate.crop, estimate.matrix, elapsed, moved)
        if tracked < _MIN_TRACKED:
            return 0.0
        self.points = self._answered = fused
        self._before, self._elapsed, self._tracked = points, elapsed, tracked
        return min(1.0, tracked / _USUAL_TRACKED) * estimate.presence

    def rest(self, crop: Grey, matrix: Float, elapsed: float) -> float:
        """Propagate `points` into the next frame without an answer of the network, where the face
        is steady: by flow, and corrected by its latest answer, moved along with the head.

        Parameters
        ----------
        crop, matrix
            As in `LandmarkEstimate`, of the next frame.
        elapsed : float
            Seconds since the previous frame.

        Returns
        -------
        float
            Share of points tracked by flow, relative to the usual, in (0, 1]; 0 where the network
            has to answer. Nothing has changed then.
        """
        points = self.points
        if self._tracked < _MIN_TRACKED or not 0.0 < elapsed <= _MAX_GAP or self._elapsed <= 0.0:
            return 0.0
        expected = carry_landmarks(
            self._network, self._answered, self._before, points, elapsed / self._elapsed
        )
        moved = predict_landmarks(self._matrix, matrix, points, expected, _IOD, self._in_crop)
        if not 0.0 <= moved <= _STEADY_MOVEMENT:
            return 0.0
        fused, tracked = self._fused(self._crop, crop, matrix, elapsed, moved)
        if tracked < self._tracked - _STEADY_SHARE:
            return 0.0
        self._crop, self._matrix, self.points = crop, matrix, fused
        self.carried = expected
        self._before, self._elapsed = points, elapsed
        self._tracked = min(tracked, self._tracked)
        return min(1.0, tracked / _USUAL_TRACKED)

    def _fused(
        self, before: Grey, after: Grey, matrix: Float, elapsed: float, moved: float
    ) -> tuple[Float, float]:
        """`fuse_landmarks` between two crops, from what `predict_landmarks` has left."""
        in_crop = self._in_crop
        flow = lucas_kanade(before, after, in_crop[START], in_crop[GUESS], _RIDGE, _ITERATIONS)
        gain = 1.0 - math.exp(-elapsed / _CORRECTION_TIME - _CORRECTION_PER_MOVEMENT * moved)
        fused = np.empty((68, 2), np.float32)
        tracked = fuse_landmarks(
            flow, in_crop, _FACE_MODEL, self._log_spread, _RIDGE, gain, _IOD, matrix, fused
        )
        return fused, tracked


def _spread_of(estimate: LandmarkEstimate) -> Float:
    """float32[68], logarithm of each point's expected error."""
    spread = estimate.log_spread
    return _DEFAULT_LOG_SPREAD if spread is None else spread.reshape(68)
