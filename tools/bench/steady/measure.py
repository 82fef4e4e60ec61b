"""Landmark noise, lag, amplitude response and drift of the stabiliser.

    python -m tools.bench steady [--videos FOLDER] [--json]

Noise is the median over frames, points and coordinates of the absolute second difference
|x[t+1] - 2 x[t] + x[t-1]| of the eye corners and the nose, in % of the inter-ocular distance
(outer eye corners). It cancels steady movement, not a head that speeds up, slows down or shakes,
nor what compression does to a picture; so the same is also given with each frame's shift, turn and
size taken out. White noise of standard deviation 1 has 1.65 (0.6745 times the root of 6) of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.config import AgentConfig
from agent.base.types import Grey
from agent.vision.faces.stabilise import Stabiliser
from agent.vision.pipeline import Models
from tools.bench.steady.faces import CLIP, Photograph, Scene, photographs
from tools.bench.steady.track import FPS, RIGID, WHITE, Course, Double, follow, noise
from tools.bench.steady.track import within_the_head as within
from tools.common.errors import ToolError
from tools.common.film import greys
from tools.common.machine import machine
from tools.micro.warp import Field, field, moved

SIZES = (70.0, 120.0, 180.0)
SIGMAS = (2.0, 4.0)
_WARM_UP = 10
"""Frames."""
_LENGTH, _BEFORE, _PERIOD = 6, 7, 24
"""Frames of a movement (200 ms), of rest before it, and of both with the rest after it."""
_MOVEMENTS = (((48,), -0.8, -0.6), ((54,), 0.8, -0.6), ((20, 21), 0.0, -1.0), ((22, 23), 0.0, 1.0))
"""Landmarks that move, and where to: lip corners and brows."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a measurement."""

    videos: Path | None = None
    """A file, or a folder of them; None: the bundled clip."""
    faces: int = 6
    seconds: float = 60.0
    """Of the drift."""
    seed: int = 1


def measure(options: Options) -> dict[str, Any]:
    """The report as plain data. Raises `ToolError`, `ModelError`."""
    before = machine()
    models = Models(AgentConfig())
    videos = [row for video in _videos(options.videos) for row in _video(video, models)]
    if not videos:
        raise ToolError(f"No face was followed for a second in {options.videos}. Name others.")
    faces, what = photographs(options.faces, options.seed)
    return {
        "machine": before,
        "videos": videos,
        "faces": what,
        "still": [_still(faces, iod, sigma, models) for iod in SIZES for sigma in SIGMAS],
        "movement": [_movement(faces, iod, 0.03, models) for iod in SIZES],
        "drift": _drift(faces[:2], options.seconds, models),
        "cost": _cost(faces[0], models),
    }


def _videos(given: Path | None) -> list[Path]:
    if given is None:
        return [CLIP]
    if not given.exists():
        raise ToolError(f"{given} does not exist. Check the path.")
    return sorted(p for p in given.iterdir() if p.is_file()) if given.is_dir() else [given]


def _video(video: Path, models: Models) -> list[dict[str, Any]]:
    """A row per face that is followed for a second or more."""
    rows = []
    for course in follow(greys(video), models):
        if len(course.indices) < FPS:
            continue
        stable, network = _rigid(course.stable), _rigid(course.network)
        # Across a gap or a fresh start there is no second difference.
        whole = (np.diff(course.indices, 2, prepend=-1, append=-1) == 0)[1:-1]
        whole &= np.minimum(course.continuity[1:-1], course.continuity[2:]) > 0
        rows.append(
            {
                "video": video.name,
                "frames": len(course.indices),
                "iod": round(course.size, 1),
                "network": _where(network, whole, course.size),
                "stabilised": _where(stable, whole, course.size),
                "network_in_head": _where(within(network), whole, course.size),
                "stabilised_in_head": _where(within(stable), whole, course.size),
                "stillest_second": _stillest(stable, whole, course.size),
                "continuity": round(float(np.median(course.continuity)), 3),
                "restarts": int(np.sum(np.array(course.continuity[1:]) == 0)),
            }
        )
    return rows


def _rigid(points: list[Double]) -> Double:
    return np.stack(points)[:, RIGID]


def _where(points: Double, whole: Any, iod: float) -> float:
    second = np.abs(np.diff(points, 2, axis=0))[whole]
    return round(float(100 * np.median(second) / iod), 4) if len(second) else float("nan")


def _stillest(points: Double, whole: Any, iod: float) -> float:
    """Noise of that second in which the face moved least."""
    wide = round(FPS)
    second = np.abs(np.diff(points, 2, axis=0))
    runs = [
        float(100 * np.median(second[i : i + wide]) / iod)
        for i in range(len(second) - wide + 1)
        if whole[i : i + wide].all()
    ]
    return round(min(runs), 4) if runs else float("nan")


def _longest(pictures: list[Grey], models: Models) -> Course | None:
    """The face's course; None where it was not followed throughout."""
    courses = follow(pictures, models)
    good = courses and len(courses[0].indices) == len(pictures)
    return courses[0] if good else None


def _still(faces: list[Photograph], iod: float, sigma: float, models: Models) -> dict[str, Any]:
    """Nothing moves; only the sensor's noise is new in every frame."""
    found = []
    for index, face in enumerate(faces):
        scene = Scene(face, iod, sigma, index)
        course = _longest([scene.noisy(scene.picture) for _ in range(50)], models)
        if course is not None:
            stable = np.stack(course.stable)[_WARM_UP:]
            network = _rigid(course.network)[_WARM_UP:]
            found.append((noise(network, iod), noise(stable[:, RIGID], iod), noise(stable, iod)))
    middle = _median(found, 3)
    return {
        "iod": iod,
        "sigma": sigma,
        "faces": len(found),
        "network": middle[0],
        "stabilised": middle[1],
        "stabilised_white": round(middle[1] / WHITE, 4),
        "all_points": middle[2],
    }


def _movement(
    faces: list[Photograph], iod: float, amplitude: float, models: Models
) -> dict[str, Any]:
    """Lip corners and brows moved for 200 ms by a raised cosine: delay, and share of it found."""
    lags, shares = [], []
    for index, face in enumerate(faces):
        scene = Scene(face, iod, 2.0, 100 + index)
        course = _longest(_injected(scene, amplitude), models)
        if course is None:
            continue
        for number, injected in enumerate(_MOVEMENTS):
            rows = list(injected[0])
            what = _moving(scene, number, amplitude)
            first = 10 + number * _PERIOD
            seen = np.stack(course.stable[first : first + _PERIOD])[:, rows]
            true = what.at(scene.points[rows].astype(np.float64))
            for k in range(len(rows)):
                length = float(np.hypot(*true[k]))
                lag, share = _compared(seen[:, k] @ true[k] / length, length)
                lags.append(lag)
                shares.append(share)
    return {
        "iod": iod,
        "movements": len(lags),
        "amplitude": amplitude,
        "lag_frames": round(float(np.median(lags)), 2),
        "lag_frames_worst": round(float(np.abs(lags).max()), 2) if lags else float("nan"),
        "share": round(float(np.mean(shares)), 3),
        "share_least": round(float(np.min(shares)), 3) if shares else float("nan"),
    }


def _course(frame: Any) -> Double:
    phase = (np.asarray(frame, np.float64) - _BEFORE) / _LENGTH
    return np.where((phase > 0) & (phase < 1), 0.5 - 0.5 * np.cos(2 * np.pi * phase), 0.0)


def _moving(scene: Scene, number: int, amplitude: float) -> Field:
    points, x, y = _MOVEMENTS[number]
    direction = np.zeros((68, 2), np.float32)
    direction[list(points)] = [x, y]
    return field(scene.points, direction, amplitude)


def _injected(scene: Scene, amplitude: float) -> list[Grey]:
    pictures = [scene.noisy(scene.picture) for _ in range(10)]
    for number in range(len(_MOVEMENTS)):
        for height in _course(np.arange(_PERIOD)):
            picture = scene.picture
            if height > 0:
                picture = moved(picture, _moving(scene, number, amplitude * float(height)))
            pictures.append(scene.noisy(picture))
    return pictures


def _compared(seen: Double, height: float) -> tuple[float, float]:
    """Lag in frames, by correlation with the shifted truth, and the share of the amplitude found.

    `seen` float64[24], pixels along the movement; `height` its true amplitude, pixels.
    """
    frames = np.arange(_PERIOD, dtype=np.float64)
    rest = (frames <= _BEFORE) | (frames >= _BEFORE + _LENGTH)
    level = seen - np.polyval(np.polyfit(frames[rest], seen[rest], 1), frames)
    lags = np.arange(-3, 3.01, 0.05)
    match = [float(np.corrcoef(level, _course(frames - lag))[0, 1]) for lag in lags]
    truth = height * _course(frames)
    return float(lags[int(np.argmax(match))]), float(level @ truth / (truth @ truth))


def _drift(faces: list[Photograph], seconds: float, models: Models) -> dict[str, Any]:
    """A head that sways and never blinks: how far the landmarks end up from the network's mean."""
    means, lasts, wanders = [], [], []
    for index, face in enumerate(faces):
        scene = Scene(face, 100.0, 2.0, 200 + index)
        count = round(seconds * FPS)
        moves = [scene.swaying(i / FPS)[1] for i in range(count)]
        courses = follow((scene.noisy(scene.swaying(i / FPS)[0]) for i in range(count)), models)
        if not courses or len(courses[0].indices) < count:
            continue
        apart = np.stack(courses[0].stable) - np.stack(courses[0].network)
        means.append(100 * np.abs(apart.mean(0)).mean() / scene.iod)
        lasts.append(100 * np.abs(apart[-round(10 * FPS) :].mean(0)).mean() / scene.iod)
        # Against what truly moved, second by second.
        true = np.stack([scene.points @ m[:, :2].T + m[:, 2] for m in moves])
        off = np.stack(courses[0].stable) - true
        blocks = off[: count // 30 * 30].reshape(-1, 30, 68, 2).mean(1)
        wanders.append(100 * blocks[2:].std(0).mean() / scene.iod)
    return {
        "seconds": seconds,
        "faces": len(means),
        "from_network": _rounded(means),
        "from_network_last_10_s": _rounded(lasts),
        "wander": _rounded(wanders),
    }


def _cost(face: Photograph, models: Models) -> dict[str, Any]:
    """CPU microseconds of the stabiliser per face and frame, median over blocks of frames."""
    scene = Scene(face, 100.0, 2.0, 300)
    place = models.landmarks
    placed = [place.refine(scene.noisy(scene.swaying(0.0)[0]), scene.points)]
    for index in range(1, 31):
        luma = scene.noisy(scene.swaying(index / FPS)[0])
        placed.append(place(luma, placed[-1].points))
    blocks = []
    for _ in range(20):
        stabiliser = Stabiliser(placed[0])
        started = time.thread_time()
        for one in placed[1:]:
            stabiliser.update(one, 1 / FPS)
        blocks.append((time.thread_time() - started) / (len(placed) - 1))
    return {"us_per_face_and_frame": round(1e6 * float(np.median(blocks)), 1)}


def _median(rows: Sequence[tuple[float, ...]], width: int) -> list[float]:
    if not rows:
        return [float("nan")] * width
    return [round(float(value), 4) for value in np.median(rows, 0)]


def _rounded(values: list[Any]) -> float:
    return round(float(np.max(values)), 3) if values else float("nan")
