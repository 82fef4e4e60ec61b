"""Steady landmarks without lag: optical flow between frames, the network as a slow correction."""

from __future__ import annotations

import math

import numpy as np

from agent.base.types import Float
from agent.vision.faces.align import LANDMARK_CROP
from agent.vision.faces.landmarks import LandmarkEstimate
from agent.vision.faces.shape3d import MEAN_SHAPE_3D
from agent.vision.kernels.flow import follow
from agent.vision.kernels.fusion import settle

_LONG = 0.25
"""Seconds between frames beyond which flow has nothing to hold on to."""
_SETTLING = 1.0
"""Time constant of the network's correction while the head is still, seconds."""
_WITH_MOVEMENT = 2.0
"""Flow drifts as far as the head moves: so much more correction per inter-ocular distance moved."""
_RIDGE = 0.25
"""Pull of flow towards its guess, squared grey levels per pixel."""
_IOD = LANDMARK_CROP.iod
_LEAST_HELD = 0.35
"""Share of the points that must keep their hold, or the face is taken up anew (cut, blur, hand)."""
_CALM = 0.8
"""Share of the points that keep their hold in ordinary frames: blinks and speech cost some."""
_UNKNOWN = np.full(68, math.log(0.03), np.float32)
"""Logarithm of the spread, inter-ocular distances, where the model does not tell."""


def _face() -> Float:
    """As `kernels.fusion` takes it: per point depth, looseness for the fit, looseness in it.

    The skin over bone (eye corners, bridge and bottom of the nose) moves with the head: what one of
    these patches says against the others is noise, but for the shape of this person's skull.
    """
    face = np.empty((68, 3), np.float32)
    face[:, 0] = MEAN_SHAPE_3D[:, 2]
    face[:, 1] = 0.006
    face[0:17, 1] = 0.001
    face[27:36, 1] = 0.004
    face[48:, 1] = 0.008
    face[:, 2] = face[:, 1]
    bone = [27, 28, 29, 30, 33, 36, 39, 42, 45]
    face[bone, 1] = 0.003
    face[bone, 2] = 0.0003
    return face


_FACE = _face()


class Stabiliser:
    """Landmarks of one face, frame after frame.

    The network is right on average and noisy in each frame; flow is smooth and drifts. Flow carries
    the landmarks from frame to frame: Lucas and Kanade's on a patch around each, checked by its way
    back, and joined by the movement of the head that fits them all, to which skin over bone keeps
    closely and the rest loosely. The network draws them back with a time constant of one second, so
    nothing is averaged over time that moves: there is no lag.

    There is no pyramid, because crops follow the head and flow begins where the network's answer
    says that the head went: what is left to find was 0.3 to 1.1 pixels of the crop in the median
    over five clips of people who talk and sign, and 4.2 in one vector of a hundred at the worst,
    which a patch of eight finds from its gradients.
    """

    def __init__(self, placed: LandmarkEstimate) -> None:
        """Begins at the network's landmarks."""
        self.points: Float = placed.points
        """float32[68, 2], stabilised, frame pixels."""
        self._matrix = placed.matrix
        self._crop = placed.crop
        self._places = np.empty((3, 68, 2), np.float32)

    def follow(self, placed: LandmarkEstimate, elapsed: float) -> float:
        """Carry `points` over to the next frame.

        Parameters
        ----------
        placed : Placement
            The network's answer for it.
        elapsed : float
            Seconds since the frame before.

        Returns
        -------
        float
            In [0, 1], how far the landmarks continue those of the frame before; 0 where they were
            taken from the network anew (a long gap, a cut, heavy blur, something in front).
        """
        earlier_crop, self._crop = self._crop, placed.crop
        earlier_matrix, self._matrix = self._matrix, placed.matrix
        earlier, self.points = self.points, placed.points
        if elapsed > _LONG:
            return 0.0
        places = self._places
        flow, moved = follow(
            earlier_crop,
            placed.crop,
            earlier_matrix,
            placed.matrix,
            earlier,
            placed.points,
            _RIDGE,
            _IOD,
            places,
        )
        if moved < 0.0:
            return 0.0
        told = placed.log_spread
        points = np.empty((68, 2), np.float32)
        held = settle(
            flow,
            places,
            _FACE,
            _UNKNOWN if told is None else told.reshape(68),
            _RIDGE,
            1.0 - math.exp(-elapsed / _SETTLING - _WITH_MOVEMENT * moved),
            _IOD,
            placed.matrix,
            points,
        )
        if held < _LEAST_HELD:
            return 0.0
        self.points = points
        return min(1.0, held / _CALM) * placed.presence
