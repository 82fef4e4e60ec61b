"""Landmark networks to compare with: MediaPipe's FaceMesh v2 and PFLD-GhostOne.

Both get what ours gets: a rough place of the face as five keypoints, and then, in the second pass,
their own answer. Grey goes in as three equal channels, though both were trained on colour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from agent.base.types import Float, Grey
from agent.vision.faces.align import MEAN_FIVE, MEAN_SHAPE, apply, similarity
from agent.vision.faces.landmarks import face_box
from tools.eval.peers.runtime import corner_aligned, open_network, three_channels
from tools.train.landmarks.teachers import WFLW_68

Follow = Callable[[Grey, Float], Float]
"""Picture uint8[H, W] and where the face was, as the network's own points float32[N, 2] or five
keypoints float32[5, 2], to the network's own points, all in picture pixels."""

MESH_INNER = np.array(
    [
        *[70, 63, 105, 66, 107, 336, 296, 334, 293, 300],
        *[168, 197, 5, 4, 75, 97, 2, 326, 305],
        *[33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380],
        *[61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181],
        *[78, 82, 13, 312, 308, 317, 14, 87],
    ]
)
"""int[51]: mesh vertices nearest to iBUG's points 17 to 67."""


@dataclass(frozen=True, slots=True)
class LandmarkPeer:
    """One landmark network as its makers publish it."""

    name: str
    file: str
    make: Callable[[Path], Follow]
    points: Callable[[Float], Float]
    """Its own points to float32[68, 2] in iBUG order, NaN for those that it does not have."""

    def open(self, folder: Path) -> Follow:
        """Raises `ToolError` where the file or its runtime is missing."""
        return self.make(folder / self.file)


def mesh(path: Path) -> Follow:
    """FaceMesh v2 with 478 points, run as MediaPipe's FaceLandmarker runs it.

    The region is a square of 1.5 times the longer side of the face's box, turned so that the eyes
    are level; corner-aligned samples; edge pixels repeated outside the picture.
    """
    run = open_network(path)

    def follow(luma: Grey, start: Float) -> Float:
        if len(start) == 5:
            whole, (left, right) = _whole(start), start[:2]
        else:
            whole, (left, right) = start, start[[33, 263]]
        across = right - left
        angle = float(np.arctan2(across[1], across[0]))
        low, high = whole.min(0), whole.max(0)
        sampled, matrix = corner_aligned(
            luma,
            (low + high) / 2,
            1.5 * float((high - low).max()),
            angle,
            256,
            cv2.BORDER_REPLICATE,
        )
        answer = run(three_channels(sampled) / np.float32(255))[0]
        return apply(matrix, answer.reshape(478, 3)[:, :2])

    return follow


def ghost(path: Path) -> Follow:
    """PFLD-GhostOne with 98 points: an upright square on the longer side of the face's box.

    The box goes from the forehead's middle to the chin, as detectors draw it: with it the jaw
    labels of the faces pack come out as they were made, with the points' own box they do not.
    """
    run = open_network(path)

    def follow(luma: Grey, start: Float) -> Float:
        box = face_box(_whole(start) if len(start) == 5 else start[WFLW_68])
        side = float((box[2:] - box[:2]).max())
        scale = 112 / side
        corner = (box[:2] + box[2:]) / 2 - side / 2
        matrix = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])
        crop = cv2.warpAffine(luma, matrix, (112, 112), flags=cv2.INTER_LINEAR)
        tensor = three_channels(np.asarray(crop, np.uint8)) / np.float32(127.5) - np.float32(1)
        answer = run(np.ascontiguousarray(tensor.transpose(0, 3, 1, 2)))[0]
        return (answer.reshape(98, 2) * side + corner).astype(np.float32)

    return follow


def _whole(five: Float) -> Float:
    """The mean shape float32[68, 2] laid onto five keypoints."""
    return apply(similarity(MEAN_FIVE, five), MEAN_SHAPE)


def mesh_points(own: Float) -> Float:
    """The jaw is left out: the mesh's contour follows another convention."""
    points = np.full((68, 2), np.nan, np.float32)
    points[17:] = own[MESH_INNER]
    return points


def ghost_points(own: Float) -> Float:
    return np.asarray(own[WFLW_68], np.float32)


LANDMARKERS = (
    LandmarkPeer("FaceMesh v2", "face_landmarks_detector.tflite", mesh, mesh_points),
    LandmarkPeer("PFLD-GhostOne", "PFLD_GhostOne_112_1.onnx", ghost, ghost_points),
)
