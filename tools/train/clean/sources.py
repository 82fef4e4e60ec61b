"""Training data whose terms allow any use: what `--data clean` trains on, and nothing else.

- faces rendered from ICT-FaceKit's geometry (MIT) by `tools.render`;
- SFHQ's synthetic faces (MIT), labelled by MediaPipe FaceMesh v2 and blendshapes and by
  PFLD-GhostOne (Apache-2.0), their points in one convention (`tools.train.clean.votes`);
- the facemask scenes (CC0 by the page of their source), boxes drawn by people, keypoints by YuNet
  (Apache-2.0), RetinaFace-mobilenet0.25 (MIT) and BlazeFace (Apache-2.0);
- Intel's sample videos (CC BY 4.0, "Intel, sample-videos"), boxes by the same three;
- the faces of both, labelled as SFHQ's, also moved to other expressions by `tools.render.reenact`;
- expressions as mini-XCEPTION (MIT) names them (`tools.train.clean.named`);
- procedural backgrounds.

Whatever is chosen (thresholds, temperature, ranges) is chosen on held-out parts of the same; the
validation parts of the other packs are only measured on, so that both sets of models can be
compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from tools.common.packs import decode, load
from tools.render.backdrop import backdrop
from tools.train.clean import origins, scenes, votes
from tools.train.clean.compositions import compositions
from tools.train.clean.convention import as_labelled
from tools.train.clean.photographs import CLIPS, photographs
from tools.train.clean.reenacted import load_reenacted
from tools.train.clean.render import Rendered, load_rendered
from tools.train.clean.synthetic import synthetic_rows
from tools.train.detector import sources as detector_sources
from tools.train.detector.labels import Labels
from tools.train.landmarks import data as landmarks_data

DETECTOR = origins.lines(origins.DETECTOR)
TERMS = "Trained only on sources whose terms allow any use; see CARD.md."
NAMES = ("synthetic", "rendered", "photographs", "reenacted")
SHARES = np.array([0.25, 0.3, 0.2, 0.25], np.float32)
"""Of all draws of the landmark network's faces, by kind."""
PASTED = (0.35, 0.35, 0.3)
"""Of the faces that the detector's pictures get pasted: SFHQ's, rendered ones, photographs."""
UNDER_MASK = [*range(2, 15), *range(29, 36), *range(48, 68)]
LATER = 900_000
"""Seed of the held-out backgrounds."""


@cache
def _rendered(held_out: bool) -> tuple[Rendered, Float]:
    faces = load_rendered("faces", held_out)
    return faces, as_labelled(faces.points, faces.pose[:, 0])


def backdrops(count: int, seed: int, height: int = 256, width: int = 320) -> list[Grey]:
    """Procedural face-free pictures."""
    return [backdrop(np.random.default_rng(seed + k), height, width) for k in range(count)]


def landmarks() -> landmarks_data.Sources:
    """What the landmark network learns from."""
    real, frames = scenes.cc0(), scenes.intel(0)
    return landmarks_data.Sources(
        _landmark_faces("train"),
        backdrops(400, 1) + scenes.pieces(*frames, 2) + scenes.pieces(*real, 4, 1),
        landmarks_data.load_faces(1),
        landmarks_data.load_negatives(1),
        origins.lines(origins.LANDMARKS),
        TERMS,
        _landmark_faces("held_out"),
        backdrops(60, LATER) + scenes.pieces(*scenes.intel(1), 3) + scenes.pieces(*_held(), 5, 3),
    )


def _held() -> scenes.Scenes:
    return scenes.cc0(held_out=True)


def _landmark_faces(part: str) -> landmarks_data.Faces:
    """Faces of all kinds; `SHARES` says how often each kind is drawn.

    Photographs are labelled by two teachers, what is drawn goes to the same convention.
    """
    held_out = part == "held_out"
    kinds = [_voted(_synthetic(part)), _in_convention(_drawn(held_out)), _voted(_real(held_out))]
    if not held_out:
        kinds.append(_in_convention(_reenacted()))
    counts = [len(points) for _, points, _, _ in kinds]
    share = [np.full(n, SHARES[k] / n, np.float32) for k, n in enumerate(counts)]
    return landmarks_data.Faces(
        [p for pictures, _, _, _ in kinds for p in pictures],
        np.concatenate([points for _, points, _, _ in kinds]),
        np.concatenate([weight for _, _, weight, _ in kinds]).astype(np.float32),
        np.repeat(np.arange(len(kinds), dtype=np.uint8), counts),
        np.concatenate([yaw for _, _, _, yaw in kinds]).astype(np.float32),
        np.concatenate(share),
        NAMES[: len(kinds)],
    )


Kind = tuple[list[Grey], Float, Float, Float]
"""Pictures, points float32[N, 68, 2], their weights float32[N, 68], yaw float32[N]."""


def _synthetic(part: str) -> Kind:
    labels, pack = load("faces_labels.npz"), load("faces.npz")
    rows = synthetic_rows(part)
    return (
        [decode(pack["jpeg"], pack["off"], int(i)) for i in rows],
        labels["lm68"][rows].astype(np.float32),
        labels["vis68"][rows].astype(np.float32),
        labels["pose_yaw_pitch_roll"][rows, 0].astype(np.float32),
    )


def _voted(kind: Kind) -> Kind:
    pictures, points, weight, yaw = kind
    labels, trust = votes.blended(pictures, points, yaw)
    return pictures, labels, weight * trust, yaw


def _in_convention(kind: Kind) -> Kind:
    pictures, points, weight, yaw = kind
    return pictures, votes.moved(points, votes.mesh_step(), yaw), weight, yaw


def _drawn(held_out: bool) -> Kind:
    drawn, points = _rendered(held_out)
    inside = _inside(drawn.pictures, points)
    return drawn.pictures, points, (drawn.visible & inside).astype(np.float32), drawn.pose[:, 0]


def _real(held_out: bool) -> Kind:
    """Photographs; under a mask nothing is known."""
    real = photographs(held_out)
    if held_out:
        real = real.take(~real.masked)
    trust = np.clip(1.4 - 8.0 * real.doubt, 0.3, 1.0)[:, None] * np.ones(68, np.float32)
    trust[np.ix_(real.masked, UNDER_MASK)] = 0.0
    return (
        real.pictures,
        real.points,
        trust * _inside(real.pictures, real.points),
        _yaw(real.points),
    )


def _reenacted() -> Kind:
    moved = load_reenacted()
    return (
        moved.pictures,
        moved.points,
        0.8 * _inside(moved.pictures, moved.points).astype(np.float32),
        _yaw(moved.points),
    )


def _inside(pictures: Sequence[Grey], points: Float) -> NDArray[np.bool_]:
    side = np.array([p.shape[::-1] for p in pictures], np.float32)[:, None] - 1
    return np.asarray(((points >= 0) & (points <= side)).all(2))


def _yaw(points: Float) -> Float:
    """Degrees, rough: from where the nose lies between the eyes."""
    left, right = points[:, 36], points[:, 45]
    across = right - left
    away = ((points[:, 30] - (left + right) / 2) * across).sum(1) / (across**2).sum(1)
    return np.degrees(np.arctan(np.clip(away, -0.6, 0.6) / 0.35)).astype(np.float32)


def detector() -> detector_sources.Sources:
    """What the face detector learns from."""
    cv2.setNumThreads(1)  # OpenCV's threads do not survive the fork of the drawing process
    faces, points = _rendered(False)
    synthetic, real = _synthetic("train"), photographs()
    real = real.take(~real.masked & (real.source != CLIPS))
    frames, crowds = scenes.intel(0), scenes.cc0()
    ground = backdrops(500, 5) + scenes.pieces(*frames, 6) + scenes.pieces(*crowds, 7, 3)
    drawn = compositions(400, faces, points, ground, 7)
    pictures = [*crowds[0], *frames[0], *drawn[0]]
    labels = [*crowds[1], *frames[1], *drawn[1]]
    many = np.array([min(int((~one.ignore).sum()), 20) for one in labels], np.float32)
    weight = (1.0 + 0.1 * many) * np.repeat(
        np.array([1.6, 2.0, 0.6], np.float32), [len(crowds[0]), len(frames[0]), len(drawn[0])]
    )
    pasted = [synthetic[:2], (faces.pictures, points), (real.pictures, real.points)]
    counts = [len(each) for each, _ in pasted]
    return detector_sources.Sources(
        pictures,
        labels,
        weight.astype(np.float32),
        [picture for each, _ in pasted for picture in each],
        np.concatenate([own for _, own in pasted]),
        np.concatenate(
            [np.full(n, s / n, np.float32) for n, s in zip(counts, PASTED, strict=True)]
        ),
        np.zeros(sum(counts), bool),
        ground,
    )


def detector_blanks() -> list[Grey]:
    """Held-out face-free pictures on which the detector's threshold is chosen."""
    frames, crowds = scenes.intel(1), _held()
    return backdrops(60, LATER + 1000) + scenes.pieces(*frames, 8, 6) + scenes.pieces(*crowds, 9, 3)


def detector_scenes() -> tuple[list[Grey], list[Labels]]:
    """Held-out people, photographed and drawn, on which the probability of a face is fitted."""
    faces, points = _rendered(True)
    drawn = compositions(60, faces, points, backdrops(60, LATER + 2000), 9)
    every = (scenes.intel(1), _held(), drawn)
    return [p for each, _ in every for p in each], [one for _, own in every for one in own]
