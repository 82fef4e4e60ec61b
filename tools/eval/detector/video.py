"""Faces in films: share of frames in which each is tracked, false tracks, processor time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agent.base.config import AgentConfig
from agent.base.types import Frame, Grey
from agent.vision.pipeline import Pipeline
from tools.common.progress import along
from tools.eval import data
from tools.eval.detector import clips
from tools.eval.detector.boxes import covered, overlap
from tools.eval.detector.clips import FPS, Film, Truth

SETTLED = 1.0
"""Seconds after a face appeared from which it is expected to be tracked."""
TRACKED_IOU = 0.35
"""A track's box comes from its landmarks, a label's from a person's eye."""
SECONDS = 5.0
BLANK_SECONDS = 4.0


@dataclass(slots=True)
class Course:
    """One face of one film, or all films together."""

    frames: int = 0
    tracked: int = 0
    settled: int = 0
    """Frames from `SETTLED` seconds after its first."""
    settled_tracked: int = 0
    kind: int = 3
    ids: set[int] = field(default_factory=set)
    first: float | None = None
    """Seconds until it was tracked."""


@dataclass(slots=True)
class Followed:
    """What the pipeline made of one film."""

    faces: dict[int, Course]
    false_tracks: int
    """Tracks that lay on no face, certain or not, in most of their frames."""
    seconds: float
    """Length of the film."""
    cpu: float
    """Seconds of the thread in the pipeline."""
    frames: int


def follow(config: AgentConfig, frames: Iterable[tuple[Grey, Truth]]) -> Followed:
    """Run the pipeline, without expression, over a film."""
    pipeline = Pipeline(config, expressions=False)
    faces: dict[int, Course] = {}
    strays: dict[int, list[bool]] = {}
    cpu, count = 0.0, 0
    for count, (luma, truth) in enumerate(frames, 1):
        moment = (count - 1) / FPS
        started = time.thread_time()
        seen = pipeline(Frame(moment, luma)).faces
        cpu += time.thread_time() - started
        boxes = np.array([face.box for face in seen], np.float32).reshape(-1, 4)
        table = overlap(boxes, truth.boxes) if len(truth.boxes) else np.zeros((len(boxes), 0))
        for k in np.flatnonzero(truth.wanted):
            course = faces.setdefault(int(k), Course())
            hit = len(boxes) > 0 and float(table[:, k].max()) >= TRACKED_IOU
            course.frames += 1
            course.tracked += hit
            if course.frames > SETTLED * FPS:
                course.settled += 1
                course.settled_tracked += hit
            if hit:
                course.ids.add(seen[int(table[:, k].argmax())].track_id)
                if course.first is None:
                    course.first = (course.frames - 1) / FPS
        inside = covered(boxes, truth.boxes) if len(boxes) else np.zeros(0)
        for face, share in zip(seen, inside, strict=True):
            strays.setdefault(face.track_id, []).append(float(share) < 0.3)
    false = sum(np.mean(stray) > 0.5 for stray in strays.values())
    return Followed(faces, int(false), count / FPS, cpu, count)


def summary(films: Sequence[Film], followed: Sequence[Followed]) -> dict[str, Any]:
    """Shares over all faces and frames, and false tracks per minute."""
    kept = []
    for film, one in zip(films, followed, strict=True):
        for k, course in one.faces.items():
            course.kind = int(film.kinds[k])
            kept.append(course)

    def shares(chosen: Sequence[Course]) -> dict[str, Any]:
        frames, settled = sum(c.frames for c in chosen), sum(c.settled for c in chosen)
        return {
            "faces": len(chosen),
            "tracked": _share(sum(c.tracked for c in chosen), frames),
            "tracked_settled": _share(sum(c.settled_tracked for c in chosen), settled),
            "never": sum(c.first is None for c in chosen),
        }

    minutes = sum(one.seconds for one in followed) / 60
    starts = [c.first for c in kept if c.first is not None]
    return {
        **shares(kept),
        "bare": shares([c for c in kept if c.kind == data.BARE]),
        "masked": shares([c for c in kept if c.kind == data.MASKED]),
        "seconds_to_start": round(float(np.median(starts)), 2) if starts else None,
        "ids_per_face": round(float(np.mean([len(c.ids) for c in kept if c.ids])), 2)
        if starts
        else None,
        "false_tracks_per_minute": round(sum(f.false_tracks for f in followed) / minutes, 2),
        "ms_per_frame": round(
            1e3 * sum(f.cpu for f in followed) / max(sum(f.frames for f in followed), 1), 3
        ),
    }


def _share(hits: int, every: int) -> float | None:
    return round(hits / every, 4) if every else None


def video_figures(
    config: AgentConfig, scenes: data.Scenes, blanks: Sequence[Grey], limit: int | None = None
) -> dict[str, Any]:
    """One row per size of film and of face, and one per size for films without a face."""
    report: dict[str, Any] = {"faces": [], "blank": []}
    count = min(limit or 24, 24)
    for shape in clips.SIZES:
        size = f"{shape[1]}x{shape[0]}"
        for side in clips.SIDES:
            films = clips.with_faces(scenes, blanks, shape, side, count, SECONDS)
            followed = [
                follow(config, film.frames()) for film in along(films, f"{size}, {side:g} px")
            ]
            report["faces"].append({"size": size, "side": side, **summary(films, followed)})
        films = clips.without_faces(blanks, shape, min(limit or 96, 96), BLANK_SECONDS)
        followed = [follow(config, film.frames()) for film in along(films, f"{size}, no face")]
        row = summary(films, followed)
        names = ("false_tracks_per_minute", "ms_per_frame")
        report["blank"].append({"size": size, **{name: row[name] for name in names}})
    return report
