"""Frame-to-frame noise of landmarks on still faces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agent.base.types import Float, Grey
from agent.vision.faces.align import five_points
from tools.common.bootstrap import Resampler
from tools.common.progress import along
from tools.eval import cache, data
from tools.eval.card import OURS
from tools.eval.data import Faces
from tools.eval.landmarks.distances import iod
from tools.eval.landmarks.measure import STILL_IOD, jitter
from tools.eval.landmarks.subject import Subject
from tools.eval.peers import landmarkers as peer_module
from tools.eval.peers import runtime
from tools.eval.peers.landmarkers import LandmarkPeer

SIGMAS = (2.0, 4.0)
STILL_FACES = 40


def still(
    subjects: Sequence[Subject],
    peers: Sequence[tuple[LandmarkPeer, Subject]],
    faces: Faces,
    networks: Path,
) -> dict[str, Any]:
    """Frame-to-frame noise of still faces with fresh sensor noise in every frame, % of the IOD.

    Each face is enlarged or shrunk to an IOD of 55 px (some 100 px wide). Every frame is followed
    from the answer for the one before. Before any stabilising. Median over faces; `aligned` after
    the similarity that all points of a frame share is taken out.
    """
    source = np.array(faces.source)
    wide = np.array([iod(points) for points in faces.points]) > 45
    rows = np.flatnonzero((source != "lfw_muxspace") & wide)  # the others are enlarged and soft
    rows = rows[data.thin(len(rows), STILL_FACES)]
    stills, starts = [], []
    for i in rows:
        zoom = STILL_IOD / iod(faces.points[i])
        stills.append(np.asarray(cv2.resize(faces.pictures[i], None, fx=zoom, fy=zoom), np.uint8))
        # pixel centres: x_big = (x + 0.5) * zoom - 0.5
        starts.append(((faces.points[i] + 0.5) * zoom - 0.5).astype(np.float32))
    drawn = Resampler(faces.person[rows])
    report: dict[str, Any] = {}
    for sigma in SIGMAS:
        noise: dict[str, tuple[Float, Float]] = {}
        for one in subjects:
            noise[one.name] = noises(one, stills, starts, sigma)
        for peer, one in peers:
            kept = cache.remember(
                f"still {sigma:g} {peer.name}",
                cache.key_of(networks / peer.file, (peer_module, runtime), [*stills, *starts]),
                partial(_noise_arrays, one, stills, starts, sigma),
            )
            noise[peer.name] = kept["raw"], kept["aligned"]
        ours = drawn.median(noise[OURS][0])
        report[f"sigma {sigma:g}"] = {
            name: {
                "raw": drawn.median(raw).figure(4),
                "aligned": drawn.median(calm).figure(4),
                **({} if name == OURS else {"ours_minus": (ours - drawn.median(raw)).figure(4)}),
            }
            for name, (raw, calm) in noise.items()
        }
    return report


def _noise_arrays(
    one: Subject, stills: Sequence[Grey], starts: Sequence[Float], sigma: float
) -> cache.Arrays:
    raw, aligned = noises(one, stills, starts, sigma)
    return {"raw": raw, "aligned": aligned}


def noises(
    one: Subject, stills: Sequence[Grey], starts: Sequence[Float], sigma: float
) -> tuple[Float, Float]:
    """Raw and aligned noise of each still face, float32[N] each."""
    rng = np.random.default_rng(2)
    pairs = list(zip(stills, starts, strict=True))
    found = [
        jitter(one.follow, lambda own: np.nan_to_num(one.points(own)), still, five_points(start),
               sigma, rng)
        for still, start in along(pairs, f"{one.name}: still faces, sigma {sigma:g}")
    ]  # fmt: skip
    raw, aligned = np.array(found, np.float32).T
    return raw, aligned
