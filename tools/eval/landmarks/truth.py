"""Landmark errors against ground truth that no network was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from tools.common.bootstrap import Draws, Resampler, beside
from tools.common.packs import load
from tools.common.progress import along
from tools.eval import cache, data
from tools.eval.card import OURS
from tools.eval.data import Faces
from tools.eval.landmarks import distances
from tools.eval.landmarks.distances import INNER
from tools.eval.landmarks.measure import PARTS, YAWS
from tools.eval.landmarks.subject import Subject, each_face, rough
from tools.eval.peers import landmarkers as peer_module
from tools.eval.peers import runtime
from tools.eval.peers.landmarkers import LandmarkPeer
from tools.eval.rendered import Rendered
from tools.train.landmarks.teachers import second_teacher, third_teacher

LABELS = "labels of training"
"""How good the consensus of the teachers is, beside the networks."""


def placed_by(
    one: Subject, pictures: Sequence[Grey], roughs: Sequence[Float], what: str, passes: int = 2
) -> Float:
    """float32[N, 68, 2], from keypoints float32[5, 2] of each picture."""
    pairs = list(zip(pictures, roughs, strict=True))
    return np.stack([one.locate(p, r, passes) for p, r in along(pairs, f"{one.name}: {what}")])


def placed_by_all(
    subjects: Sequence[Subject],
    peers: Sequence[tuple[LandmarkPeer, Subject]],
    pictures: Sequence[Grey],
    roughs: Sequence[Float],
    networks: Path,
    what: str,
) -> dict[str, Float]:
    """Everybody's points from the same rough keypoints; peers' are kept under runs/eval."""
    placed = {one.name: placed_by(one, pictures, roughs, what) for one in subjects}
    for peer, one in peers:
        key = cache.key_of(networks / peer.file, (peer_module, runtime), [*pictures, *roughs])
        placed[peer.name] = cache.remember(
            f"{what} {peer.name}",
            key,
            lambda one=one: {"points": placed_by(one, pictures, roughs, what)},  # type: ignore[misc]
        )["points"]
    return placed


def compared(
    placed: dict[str, Float],
    true: Float,
    seen: NDArray[np.bool_],
    units: NDArray[np.int64],
    base: str = OURS,
) -> dict[str, Any]:
    """Errors of everybody against one truth, as they are and without constant offsets; paired with
    those of `base`."""
    drawn = Resampler(units)
    even = drawn.place % 2 == 0
    rows: dict[str, dict[str, Draws]] = {}
    for name, points in placed.items():
        plain = np.stack([distances.distances(p, t) for p, t in zip(points, true, strict=True)])
        offsets = np.stack(
            [distances.face_offsets(p, t) for p, t in zip(points, true, strict=True)]
        )
        offsets[~seen] = np.nan
        plain[~seen] = np.nan
        fitted = distances.without_habits(offsets, even)
        rows[name] = {
            "inner 51": drawn.mean(each_face(plain, INNER)),
            "inner 51, offsets out": drawn.mean(each_face(fitted, INNER)),
            **{k: drawn.mean(each_face(plain, PARTS[k])) for k in ("eyes", "mouth", "jaw")},
        }
    parts = {
        part: beside({name: row[part] for name, row in rows.items()}, base, 3)
        for part in rows[base]
    }
    return {name: {part: parts[part][name] for part in parts} for name in rows}


def against_youtube(
    subjects: Sequence[Subject],
    peers: Sequence[tuple[LandmarkPeer, Subject]],
    faces: Faces,
    networks: Path,
) -> dict[str, Any]:
    """Against YouTube Faces' own machine-made points, which none of the networks learnt from."""
    chosen, true = data.youtube_points(faces.rows)
    if not len(chosen):
        return {}
    rng = np.random.default_rng(4)
    pictures = [faces.pictures[i] for i in chosen]
    roughs = [rough(points, rng, 1.0) for points in true]
    placed = placed_by_all(subjects, peers, pictures, roughs, networks, "YouTube Faces")
    placed[LABELS] = faces.points[chosen]
    seen = np.ones(true.shape[:2], bool)
    return {"faces": len(chosen), **compared(placed, true, seen, faces.person[chosen])}


def teachers_against_youtube() -> dict[str, Any]:
    """The votes behind the labels, and the labels, against YouTube Faces' points on all frames."""
    labels = load("faces_labels.npz")
    everything = np.arange(len(labels["lm68"]))
    chosen, true = data.youtube_points(everything)
    if not len(chosen):
        return {}
    placed = {
        LABELS: data.trained_on()[chosen],
        "FaceMesh v2": labels["lm68"][chosen].astype(np.float32),
        "PFLD-GhostOne": second_teacher()[chosen].astype(np.float32),
        "dlib's trees": third_teacher()[chosen].astype(np.float32),
    }
    people = labels["person"][chosen].astype(np.int64)
    seen = np.ones(true.shape[:2], bool)
    return {"faces": len(chosen), **compared(placed, true, seen, people, LABELS)}


def against_rendered(
    subjects: Sequence[Subject],
    peers: Sequence[tuple[LandmarkPeer, Subject]],
    rendered: Rendered,
    networks: Path,
) -> dict[str, Any]:
    """Against exact points of rendered faces: everybody, and ours by yaw."""
    rng = np.random.default_rng(6)
    roughs = [rough(points, rng, 1.0) for points in rendered.points]
    placed = placed_by_all(subjects, peers, rendered.pictures, roughs, networks, "rendered faces")
    yaw = np.abs(rendered.yaw)
    by_yaw = {}
    for name, (low, high) in YAWS.items():
        rows = np.flatnonzero((yaw >= low) & (yaw < high))
        if len(rows):
            by_yaw[name] = {
                who: row["inner 51, offsets out"]
                for who, row in compared(
                    {who: points[rows] for who, points in placed.items()},
                    rendered.points[rows],
                    rendered.seen[rows],
                    rendered.person[rows],
                ).items()
            }
    return {
        "faces": len(rendered.pictures),
        **compared(placed, rendered.points, rendered.seen, rendered.person),
        "by_yaw": by_yaw,
    }
