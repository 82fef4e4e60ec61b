"""Selection of the test faces: research packs, a folder of videos, or the bundled clip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from agent.base.types import Grey
from tools.bench.micro_images.sources import (
    HEIGHT,
    WIDTH,
    Photograph,
    Source,
    located_by_agent,
    read_clip,
)
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.film import greys

SIZES = (60.0, 80.0, 100.0, 120.0)
"""Outer eye corners of photographs in the video, pixels."""
NOISES = (1.0, 2.0, 3.0)
"""Sensor noise, grey levels."""
CLIPS = ("milk", "night", "sister", "thanks")
"""Intel's clips of people who sign (CC BY 4.0). The others are backgrounds of the spotter's
training: never measure on them."""
TALKING = "foreman_cif.264"
"""A man who talks, turns and shakes his head (OpenH264's test sequences)."""
ENLARGED = 1.6
"""Their faces span 40 px; spotting asks for more."""
FREE = ("sfhq_synthetic",)
"""Of `SOURCES`, those whose terms allow any use: what is learnt may ship with every set."""
SOURCES = ("ytf", "sfhq_synthetic", "utkface", "mask_portraits")
TRAINING, HELD_OUT = 0, 1
"""Parts of the packs."""
TEACHER = "face_landmarks_detector.tflite"


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One face on film."""

    source: Source
    noise: float
    """Sensor noise, grey levels."""


def bundled(count: int) -> list[Case]:
    """The bundled clip's first visitor, at rest: one photographed face in several sizes."""
    demo = ROOT / "agent" / "base" / "assets"
    truth = json.loads((demo / "clip.json").read_text(encoding="utf-8"))
    fps, visitor = float(truth["fps"]), truth["visitors"][0]
    count_read = round((float(visitor["settled"]) + 0.5) * fps)
    frames: list[Grey] = list(islice(greys(demo / "clip.mp4"), count_read))
    rest = frames[round((float(visitor["settled"]) + 0.1) * fps) :]
    # The mean of a resting head's frames: less of the clip's own grain.
    points = np.nanmedian(located_by_agent(rest), 0).astype(np.float32)
    if not np.isfinite(points).all():
        raise ToolError("No face was found in the bundled clip: are the models whole?")
    return [
        Case(
            Photograph(
                f"bundled {k}",
                rest[-1],
                points,
                SIZES[k % len(SIZES)],
                frames[0],
                seed=k,
                located="this agent",
            ),
            NOISES[k % len(NOISES)],
        )
        for k in range(count)
    ]


def videos(
    paths: Sequence[Path], enlarged: float, noise: float, teacher: Path | None
) -> list[Case]:
    """Clips of one face each, played to and fro."""
    for path in paths:
        if not path.is_file():
            raise ToolError(f"{path} is no video file. Check the path.")
    return [Case(read_clip(path, enlarged, teacher), noise) for path in paths]


def packs(
    photographs: int, clips: int, rendered: int, seed: int, part: int = HELD_OUT
) -> list[Case]:
    """Photographs, Intel's clips and rendered faces. SystemExit without the packs."""
    from tools.common.packs import packs_folder

    folder = packs_folder()
    teacher = folder / "teachers" / TEACHER
    found: list[Case] = []
    names = [*(f"{name}.mkv" for name in CLIPS), TALKING]
    paths = [folder / "videos" / name for name in names[:clips]]
    found += videos(paths, ENLARGED, NOISES[0], teacher if teacher.is_file() else None)
    found += _photographs(photographs, seed, part)
    if rendered:
        from tools.micro.rendered import RenderedFace

        for place in range(rendered):
            iod = SIZES[(place + 1) % len(SIZES)]
            found.append(Case(RenderedFace(seed * 100 + place, iod), NOISES[place % len(NOISES)]))
    return found


def _photographs(count: int, seed: int, part: int) -> list[Case]:
    """Frontal faces of a part of the packs; no network of ours was trained on the held-out one. Of
    the training part those that are free to use."""
    from tools.common.packs import decode, load

    faces, labels = load("faces.npz"), load("faces_labels.npz")
    scenes = load("negatives.npz") if part == HELD_OUT else None
    sources = SOURCES if part == HELD_OUT else FREE
    names = [str(name) for name in labels["source_names"]]
    points = labels["lm68"].astype(np.float32)
    apart = points[:, 45] - points[:, 36]
    usable = (labels["split"] == part) & labels["vis68"].all(1)
    usable &= np.abs(labels["pose_yaw_pitch_roll"][:, 0]) < 15
    usable &= np.hypot(apart[:, 0], apart[:, 1]) > 50
    rng = np.random.default_rng(seed)
    drawn = {
        name: list(
            rng.permutation(np.flatnonzero(usable & (labels["source"] == names.index(name))))
        )
        for name in sources
    }
    back: Grey = np.full((HEIGHT, WIDTH), 128, np.uint8)
    found = []
    for place in range(count):
        name = sources[place % len(sources)]
        row = int(drawn[name].pop())
        if scenes is not None:
            back = decode(scenes["jpeg"], scenes["off"], int(rng.integers(len(scenes["off"]) - 1)))
        size, noise = SIZES[(place + place // 4) % len(SIZES)], NOISES[place % len(NOISES)]
        found.append(
            Case(
                Photograph(
                    f"{name} {row}",
                    decode(faces["jpeg"], faces["off"], row),
                    points[row],
                    size,
                    np.asarray(cv2.resize(back, (WIDTH, HEIGHT)), np.uint8),
                    seed * 1000 + place,
                ),
                noise,
            )
        )
    return found
