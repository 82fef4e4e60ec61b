"""Tracks of real faces through this agent: backgrounds to inject into, and measured noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.align import similarity
from tools.common.progress import along
from tools.micro.injection import UPPER
from tools.micro.movements import MICRO_SETS, Event
from tools.micro.warp import camera_of
from tools.train.micro.generators import blendshapes, courses, muscles, smooth_fields
from tools.train.micro.samples import Material, Sample, sample

Array = NDArray[np.float64]

COPIES = 10
"""Times that each track of a real face is used, each time with other movements injected."""
_ANATOMIES = (blendshapes.make, smooth_fields.make, muscles.make)
_COURSES = (
    (courses.raised_cosine, 2.0), (courses.bell, 1.0), (courses.gamma, 1.0), (courses.plateau, 1.0),
)  # fmt: skip
_ACTIVE = 0.035
"""IOD: range of the lips' opening or width within a second and a half from which a mouth talks."""


def bare(file: Path) -> Material:
    """A track of `tools.bench micro-images --still --keep`; speech where the mouth is active."""
    with np.load(file) as arrays:
        times = np.asarray(arrays["timestamps"], np.float64)
        points = np.asarray(arrays["landmarks"], np.float32)
        confidence = np.nan_to_num(np.asarray(arrays["confidence"], np.float32))
    return Material(times, points, confidence, [], {"speech": talking(times, points)})


def tracks(folder: Path) -> list[Material]:
    """Of all `*-still.npz` in `folder` that last three seconds. SystemExit where there is none."""
    files = sorted(folder.glob("*-still.npz"))
    if not files:
        raise SystemExit(
            f"{folder} has no *-still.npz: make some with "
            f"tools.bench micro-images --still --keep {folder}"
        )
    return [track for file in files if len((track := bare(file)).timestamps) >= 90]


def talking(times: Array, points: NDArray[np.float32]) -> list[tuple[float, float]]:
    """Spans in which lips open, close, spread or round by more than a few per cent."""
    if len(times) < 2:
        return []
    iod = float(np.median(np.linalg.norm(points[:, 45] - points[:, 36], axis=1)))
    height = np.linalg.norm(points[:, 66] - points[:, 62], axis=1) / iod
    width = np.linalg.norm(points[:, 54] - points[:, 48], axis=1) / iod
    half = max(int(0.75 / max(float(np.median(np.diff(times))), 1e-3)), 1)
    moving = np.zeros(len(times), bool)
    for signal in (height, width):
        signal = np.convolve(np.pad(signal, 2, mode="edge"), np.full(5, 0.2), "valid")
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(signal, half, mode="edge"), 2 * half + 1
        )
        moving |= np.ptp(windows, axis=1) > _ACTIVE
    edges = np.flatnonzero(np.diff(np.concatenate([[False], moving, [False]]).astype(int)))
    last = len(times) - 1
    return [(float(times[a]), float(times[min(b, last)])) for a, b in edges.reshape(-1, 2)]


def injected(folders: Sequence[Path], seed: int) -> Iterator[Sample]:
    """Samples of real faces: as they are, and with movements injected into the landmarks."""
    rng = np.random.default_rng(seed)
    groups = [tracks(folder) for folder in folders]
    for group in groups:
        for track in along(group, "real faces"):
            for copy in range(COPIES):
                background = mixed(rng, track, group)
                yield sample(inject(rng, background) if copy >= COPIES // 3 else background)


def mixed(rng: np.random.Generator, track: Material, others: Sequence[Material]) -> Material:
    """A track at another pace, half the time with the face of another one moving on top: few clips
    would otherwise be learnt by heart."""
    points = track.landmarks.astype(np.float64)
    if rng.random() < 0.5:
        other = others[int(rng.integers(len(others)))].landmarks
        start = int(rng.integers(len(other)))
        other = np.roll(other, -start, axis=0)[np.arange(len(points)) % len(other)]
        upright, _ = _upright(other)
        deviation = upright - np.median(upright, axis=0)
        _, frames = _upright(points)
        points += rng.uniform(0.3, 1.0) * np.einsum("tcd,tnd->tnc", frames, deviation)
    pace = rng.uniform(0.8, 1.25)
    first = track.timestamps[0]
    times = first + pace * (track.timestamps - first)
    moved = points.astype(np.float32)
    return Material(times, moved, track.confidence, [], {"speech": talking(times, moved)})


def _upright(points: NDArray[Any]) -> tuple[Array, Array]:
    """Landmarks [T, 68, 2] in the eyes' own axes and unit, and those axes float64[T, 2, 2]."""
    across = (points[:, 45] - points[:, 36]).astype(np.float64)
    frames = np.stack([across, np.stack([-across[:, 1], across[:, 0]], 1)], axis=2)
    centre = (points[:, 45] + points[:, 36])[:, None] / 2.0
    return np.einsum("tdc,tnc->tnd", np.linalg.inv(frames), points - centre), frames


def inject(
    rng: np.random.Generator,
    track: Material,
    *,
    upper_only: bool | None = None,
    gap: tuple[float, float] = (0.8, 5.0),
    amplitude: tuple[float, float] = (0.012, 0.05),
) -> Material:
    """Move the landmarks of a real face by synthetic micro-expressions, in the face's own axes.

    While the mouth talks, brows, lids and nose alone (`upper_only`: always or never). `gap`:
    seconds from an offset to the next onset; `amplitude`: IOD, halved for lids.
    """
    anatomy = _ANATOMIES[int(rng.integers(len(_ANATOMIES)))](rng)
    cameras = np.stack([camera_of(points)[:, :3] for points in track.landmarks])
    moved = np.zeros((len(track.timestamps), 68, 3))
    talks = track.kinds.get("speech", [])
    weights = np.array([weight for _, weight in MICRO_SETS])
    events: list[Event] = []
    onset = float(track.timestamps[0]) + 2.0 + rng.uniform(0.0, gap[1])
    while True:
        length = float(np.clip(rng.normal(0.37, 0.1), 0.15, 0.55))
        offset = onset + length
        if offset > track.timestamps[-1] - 0.8:
            break
        silent = not any(start < offset + 0.3 and end > onset - 0.3 for start, end in talks)
        only = not silent if upper_only is None else upper_only
        while True:
            units = MICRO_SETS[int(rng.choice(len(weights), p=weights / weights.sum()))][0]
            if not only or UPPER.issuperset(units):
                break
        side = str(rng.choice(["both", "left", "right"], p=[0.85, 0.075, 0.075]))
        size = rng.uniform(*amplitude) * (0.55 if {"AU05", "AU07"}.issuperset(units) else 1.0)
        field = sum(
            rng.uniform(0.6, 1.0)
            * ((side != "right") * anatomy.fields[u][0] + (side != "left") * anatomy.fields[u][1])
            for u in units
        )
        field = (
            np.asarray(field) * size / float(np.linalg.norm(np.asarray(field)[:, :2], axis=1).max())
        )
        course = courses.pick(rng, _COURSES)
        moved += course(track.timestamps, onset, offset)[:, None, None] * field
        apex = onset + course.apex * length
        events.append(Event(onset, apex, offset, float(size), units, side))
        onset = offset + rng.uniform(*gap)
    points = track.landmarks + np.einsum("tcd,tnd->tnc", cameras, moved)
    return Material(
        track.timestamps, points.astype(np.float32), track.confidence, events, track.kinds
    )


@cache
def noise_bank(folder: Path) -> tuple[Array, ...]:
    """What landmarks of faces at rest do by themselves: float64[T, 68, 2] each, IOD, thirty a
    second; what a similarity explains is taken out."""
    bank = []
    for track in tracks(folder):
        points = track.landmarks.astype(np.float64)
        middle = np.median(points, axis=0).astype(np.float32)
        iod = float(np.hypot(*(middle[45] - middle[36])))
        rest = np.empty_like(points)
        for k, now in enumerate(points):
            turn = similarity(now.astype(np.float32), middle)
            rest[k] = (now @ turn[:, :2].T + turn[:, 2] - middle) / iod
        bank.append(rest)
    return tuple(bank)


def with_noise(rng: np.random.Generator, material: Material, bank: Sequence[Array]) -> Material:
    """The track with the noise of a real one on top, at another strength, pace and side."""
    noise = bank[int(rng.integers(len(bank)))]
    since = (material.timestamps - material.timestamps[0]) * 30.0 * rng.uniform(0.8, 1.25)
    at = (since + rng.uniform(0.0, len(noise))) % (2 * (len(noise) - 1))
    at = (len(noise) - 1) - np.abs(at - (len(noise) - 1))  # to and fro
    low = np.clip(at.astype(int), 0, len(noise) - 2)
    share = (at - low)[:, None, None]
    now = (1.0 - share) * noise[low] + share * noise[low + 1]
    eyes = material.landmarks[:, 45] - material.landmarks[:, 36]
    iod = float(np.median(np.linalg.norm(eyes, axis=1)))
    strength = np.exp(rng.uniform(np.log(0.3), np.log(1.5)))
    points = material.landmarks + (strength * iod * now).astype(np.float32)
    return Material(
        material.timestamps, points, material.confidence, material.micro, material.kinds
    )
