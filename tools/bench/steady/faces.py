"""Pictures for `steady`: faces on a still or swaying photograph, with sensor noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Frame, Grey
from agent.vision.faces.track_state import Track
from tools.bench.steady.track import FPS, Follower
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.film import greys

WIDTH, HEIGHT = 640, 480
CLIP = ROOT / "agent" / "base" / "assets" / "clip.mp4"
_BACKGROUND = 110
_SWAY = ((0.31, 0.012), (0.23, 0.010), (0.13, 0.007), (0.17, 0.008))
"""Hz and amplitude of the shift in x and in y (inter-ocular distances), the angle, the size."""


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """A face and its landmarks, in its own pixels."""

    picture: Grey
    points: Float
    """float32[68, 2]. Only differences of what is tracked are measured: rough ones do."""


def photographs(count: int, seed: int) -> tuple[list[Photograph], str]:
    """Unseen faces of the research packs where they are, else of the bundled clip; which it was."""
    from tools.common.packs import packs_folder

    try:
        packs_folder()
    except SystemExit:
        return _of_clip(count), "faces of the bundled clip"
    return _of_packs(count, seed), "photographs of people unseen in training"


def _of_packs(count: int, seed: int) -> list[Photograph]:
    from tools.common.packs import decode, load

    labels, pack = load("faces_labels.npz"), load("faces.npz")
    names = [str(name) for name in labels["source_names"]]
    wanted = [names.index("ytf"), names.index("sfhq_synthetic")]
    frontal = np.abs(labels["pose_yaw_pitch_roll"][:, 0].astype(float)) < 20
    rows = np.flatnonzero(np.isin(labels["source"], wanted) & (labels["split"] == 1) & frontal)
    rows = np.random.default_rng(seed).permutation(rows)[:count]
    return [
        Photograph(decode(pack["jpeg"], pack["off"], int(i)), labels["lm68"][i].astype(np.float32))
        for i in rows
    ]


def _of_clip(count: int) -> list[Photograph]:
    """One face per visitor of the clip, from moments spread over it, landmarks by this agent."""
    follower, found, seen = Follower(), [], set()
    for index, luma in enumerate(greys(CLIP)):
        for track in follower(Frame(index / FPS, luma)):
            if index - track.first * FPS > 15 and track.track_id not in seen:
                seen.add(track.track_id)
                left, top, right, bottom = _around(track, luma.shape)
                corner = np.array([left, top], np.float32)
                found.append(Photograph(luma[top:bottom, left:right].copy(), track.points - corner))
        if len(found) >= count:
            break
    if not found:
        raise ToolError(f"No face was found in {CLIP}. Install the package again.")
    return found


def _around(track: Track, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    left, top, right, bottom = track.box.tolist()
    wide, high = 0.25 * (right - left), 0.25 * (bottom - top)
    return (
        max(int(left - wide), 0),
        max(int(top - high), 0),
        min(int(right + wide), shape[1]),
        min(int(bottom + high), shape[0]),
    )


class Scene:
    """A photograph in the middle of a frame, enlarged to a size, with fine texture and noise."""

    def __init__(self, photograph: Photograph, iod: float, sigma: float, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.iod = iod
        points = photograph.points.astype(np.float64)
        zoom = iod / float(np.hypot(*(points[45] - points[36])))
        middle = points[[36, 45, 33, 8]].mean(0)
        self._matrix = np.array(
            [[zoom, 0, WIDTH / 2 - zoom * middle[0]], [0, zoom, HEIGHT / 2 - zoom * middle[1]]]
        )
        self.points: Float = (points * zoom + self._matrix[:, 2]).astype(np.float32)
        """float32[68, 2], at rest, frame pixels."""
        large = cv2.warpAffine(
            photograph.picture,
            self._matrix,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_CUBIC,
            borderValue=_BACKGROUND,
        )
        # Enlarging leaves nothing finer than the photograph had; skin has.
        skin = cv2.GaussianBlur(self._rng.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 1.0)
        textured = large + 2.5 / skin.std() * skin
        self.picture: Grey = np.clip(textured, 0, 255).astype(np.uint8)
        """uint8[480, 640], at rest, without noise."""
        # Drawing a million numbers takes longer than all else: a few fields, shifted and mirrored.
        self._fields = [
            self._rng.normal(0, sigma, (HEIGHT, WIDTH)).astype(np.float32) for _ in range(6)
        ]

    def swaying(self, time: float) -> tuple[Grey, NDArray[np.float64]]:
        """The picture moved as a head that sways, no noise yet, and the matrix float64[2, 3]."""
        shift_x, shift_y, angle, size = (a * np.sin(2 * np.pi * f * time) for f, a in _SWAY)
        c, s = (1 + size) * np.cos(angle), (1 + size) * np.sin(angle)
        linear = np.array([[c, -s], [s, c]])
        middle = np.array([WIDTH / 2, HEIGHT / 2])
        offset = middle + 2 * self.iod * np.array([shift_x, shift_y]) - linear @ middle
        matrix = np.concatenate([linear, offset[:, None]], 1)
        picture = cv2.warpAffine(
            self.picture,
            matrix,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(picture, np.uint8), matrix

    def noisy(self, picture: Grey) -> Grey:
        """With fresh sensor noise."""
        field = self._fields[self._rng.integers(len(self._fields))]
        field = np.roll(field, self._rng.integers(HEIGHT), 0)
        field = field[:: self._rng.choice([1, -1]), :: self._rng.choice([1, -1])]
        return np.asarray(np.clip(np.rint(picture + field), 0, 255), np.uint8)
