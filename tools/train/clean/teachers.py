"""Permissively licensed teachers that label the clean set's photographs.

MediaPipe's FaceMesh v2 and its blendshape network (Apache-2.0) and PFLD-GhostOne (Apache-2.0), run
as their makers run them. What they were trained on is their makers' own: see the models' cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from agent.base.types import Float, Grey
from agent.vision.faces.align import MEAN_FIVE, MEAN_SHAPE, apply, similarity
from tools.common.packs import packs_folder
from tools.train.landmarks.teachers import GHOST, ask_ghost

PRESENT = 0.5
"""FaceMesh's own probability of a face below which its points are not used."""
STABLE, AGREED = 0.08, 0.10
"""Largest mean shift of the inner points between two passes, and mean distance to GhostOne's after
the usual difference, shares of the IOD."""
EYES = (33, 263)
"""Outer eye corners among the mesh's vertices."""
# mesh vertices nearest to iBUG's points 17 to 67
_INNER = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87),
)
# vertices that the blendshape network reads
_READ = (
    *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63),
    *(65, 66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133),
    *(136, 144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163),
    *(168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270),
    *(276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317),
    *(318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379),
    *(380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454),
    *(466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477),
)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the teachers say of one face."""

    points: Float
    """float32[68, 2], picture pixels: jaw from GhostOne, inner points from FaceMesh."""
    blendshapes: Float
    """float32[52] in [0, 1], MediaPipe's order."""
    presence: float
    stability: float
    """Mean shift of the inner points between two passes, share of the IOD."""
    agreement: float
    """Mean distance of the inner points to GhostOne's, share of the IOD."""

    @property
    def trusted(self) -> bool:
        return (
            self.presence >= PRESENT and self.stability < STABLE and self.agreement < AGREED + 0.03
        )


class Teachers:
    """The three networks, one thread."""

    def __init__(self) -> None:
        folder = packs_folder() / "teachers"
        self._mesh = _open(folder / "face_landmarks_detector.tflite")
        self._shapes = _open(folder / "face_blendshapes.tflite")
        self._ghost = cv2.dnn.readNetFromONNX(str(folder / GHOST))

    def __call__(self, picture: Grey, five: Float) -> Answer:
        """Label the face at five keypoints float32[5, 2] of a grey picture, pixels."""
        start = apply(similarity(MEAN_FIVE, five), MEAN_SHAPE)
        first, _ = self._follow(picture, start, five[:2])
        mesh, presence = self._follow(picture, first, first[list(EYES)])
        points = np.empty((68, 2), np.float32)
        points[17:] = mesh[list(_INNER)]
        points[:17] = start[:17]
        other = ask_ghost(self._ghost, picture, np.concatenate([start[:17], points[17:]]))
        points[:17] = other[:17]
        iod = float(np.hypot(*(points[45] - points[36]))) + 1e-6
        shift = np.linalg.norm(mesh - first, axis=1)[list(_INNER)].mean() / iod
        apart = np.linalg.norm(points[17:] - other[17:], axis=1).mean() / iod
        self._shapes.set_tensor(
            self._shapes.get_input_details()[0]["index"], mesh[None, list(_READ)]
        )
        self._shapes.invoke()
        shapes = self._shapes.get_tensor(self._shapes.get_output_details()[0]["index"])
        return Answer(
            points, shapes.reshape(52).astype(np.float32), presence, float(shift), float(apart)
        )

    def _follow(self, picture: Grey, whole: Float, eyes: Float) -> tuple[Float, float]:
        """478 points float32[478, 2] and presence, from where the face was.

        MediaPipe samples a turned square without a half-pixel shift, edge pixels repeated.
        """
        across = eyes[1] - eyes[0]
        angle = float(np.arctan2(across[1], across[0]))
        low, high = whole.min(0), whole.max(0)
        step = 1.5 * float((high - low).max()) / 256
        c, s = np.cos(angle) * step, np.sin(angle) * step
        linear = np.array([[c, -s], [s, c]])
        shift = (low + high) / 2 - linear @ [128, 128]
        matrix = np.concatenate([linear, shift[:, None]], 1).astype(np.float32)
        sampled = cv2.warpAffine(
            picture,
            matrix,
            (256, 256),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        tensor = np.repeat(sampled.astype(np.float32)[None, :, :, None] / 255, 3, 3)
        self._mesh.set_tensor(self._mesh.get_input_details()[0]["index"], tensor)
        self._mesh.invoke()
        answers = [self._mesh.get_tensor(d["index"]) for d in self._mesh.get_output_details()]
        logit = float(answers[1].ravel()[0])
        own = answers[0].reshape(478, 3)[:, :2]
        return apply(matrix, own), float(1 / (1 + np.exp(-logit)))


def _open(path: Any) -> Interpreter:
    if not path.is_file():
        raise SystemExit(f"The teacher {path} is missing.")
    made = Interpreter(model_path=str(path), num_threads=1)
    made.allocate_tensors()
    return made
