"""Training tracks of the spotter: generated, varied, or injected into faces of real video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.common.files import npz, run_folder, save_atomically
from tools.common.progress import along
from tools.micro.generator_config import TRAIN_SEEDS, GeneratorConfig
from tools.micro.movements import activate, micro_schedule
from tools.micro.people import COLUMN, make_person
from tools.micro.tracks import Track
from tools.micro.tracks import make as make_track
from tools.micro.warp import camera_of
from tools.train.micro import second_generator
from tools.train.micro.samples import Material, Sample, as_tracked, red_noise, sample

BACKGROUND_COPIES = 12
"""Times that each track of a real face is used, each time with other movements injected."""


def from_track(track: Track) -> Material:
    """A track of `tools.micro` with its truth."""
    jumps = [(at - 0.03, at + 0.1) for at in (*track.restarts, *track.glitches)]
    return Material(
        track.timestamps,
        track.landmarks,
        track.confidence,
        track.micro,
        {
            "macro": [(event.onset, event.offset) for event in track.macro],
            "blink": [(event.onset, event.offset) for event in track.blinks],
            "speech": track.speech,
            "head_motion": track.head,
            "tracking_jump": jumps,
        },
    )


def made(seed: int) -> Material:
    """The training track with this seed: of one generator or the other, varied."""
    rng = np.random.default_rng([seed, 7])
    if rng.random() < 0.4:
        material = second_generator.make(rng, second_generator.course(rng))
    else:
        config = GeneratorConfig().vary(rng) if rng.random() < 0.75 else GeneratorConfig()
        material = from_track(
            make_track(
                seed,
                fps=float(rng.choice([30, 30, 30, 60, 60, 25, 50])),
                noise=float(np.exp(rng.uniform(np.log(0.0006), np.log(0.006)))),
                events=int(rng.choice([6, 8, 12])),
                distractors=float(rng.uniform(0.5, 1.4)),
                config=config,
            )
        )
    if rng.random() < 0.6:
        material = as_tracked(rng, material)
    if rng.random() < 0.4:
        material = red_noise(rng, material, float(np.exp(rng.uniform(-7.6, -5.3))))
    return material


def samples(count: int, name: str = "micro", workers: int = 2) -> list[Sample]:
    """The first `count` training samples, kept in `runs/<name>/samples`."""
    folder = run_folder(name) / "samples"
    folder.mkdir(exist_ok=True)
    seeds = [seed for seed in TRAIN_SEEDS[:count] if not (folder / f"{seed}.npz").is_file()]
    with ProcessPoolExecutor(workers) as pool:
        work = pool.map(_keep, seeds, [folder] * len(seeds), chunksize=8)
        for _ in along(work, "tracks", len(seeds)):
            pass
    return [_read(folder / f"{seed}.npz") for seed in TRAIN_SEEDS[:count]]


def injected(folder: Path, seed: int) -> Iterator[Sample]:
    """Samples of real faces: tracks in which nothing was injected, with movements injected now.

    `folder` holds what `tools.bench micro-images --keep` wrote: `*-still.npz` with `timestamps`,
    `landmarks` and `confidence`.
    """
    files = sorted(folder.glob("*-still.npz"))
    if not files:
        raise SystemExit(
            f"{folder} has no *-still.npz: make some with tools.bench micro-images --keep {folder}"
        )
    rng = np.random.default_rng(seed)
    bare = [track for file in files if len((track := _bare(file)).timestamps) >= 90]
    for track in along(bare, "real faces"):
        for copy in range(BACKGROUND_COPIES):
            yield sample(inject(rng, mixed(rng, track, bare)) if copy else track)


def _bare(file: Path) -> Material:
    with np.load(file) as arrays:
        return Material(
            np.asarray(arrays["timestamps"], np.float64),
            np.asarray(arrays["landmarks"], np.float32),
            np.nan_to_num(np.asarray(arrays["confidence"], np.float32)),
            [],
            {},
        )


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
    return Material(
        first + pace * (track.timestamps - first),
        points.astype(np.float32),
        track.confidence,
        [],
        {},
    )


def _upright(points: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Landmarks [T, 68, 2] in the eyes' own axes and unit, and those axes float64[T, 2, 2]."""
    across = (points[:, 45] - points[:, 36]).astype(np.float64)
    frames = np.stack([across, np.stack([-across[:, 1], across[:, 0]], 1)], axis=2)
    centre = (points[:, 45] + points[:, 36])[:, None] / 2.0
    return np.einsum("tdc,tnc->tnd", np.linalg.inv(frames), points - centre), frames


def inject(rng: np.random.Generator, bare: Material) -> Material:
    """Move the landmarks of a real face by synthetic micro-expressions, in the face's own axes."""
    config = GeneratorConfig().vary(rng)
    person = make_person(rng, config)
    times = bare.timestamps - bare.timestamps[0]
    seconds = float(times[-1])
    count = max(1, int(seconds / rng.uniform(3.0, 7.0)))
    schedule = micro_schedule(rng, config, person, seconds, count)
    strength = np.zeros((len(times), len(COLUMN)))
    activate(times, schedule, strength)
    moved = (strength @ person.fields.reshape(len(COLUMN), -1)).reshape(-1, 68, 3)
    cameras = np.stack([camera_of(points)[:, :3] for points in bare.landmarks])
    points = bare.landmarks + np.einsum("tcd,tnd->tnc", cameras, moved)
    start = float(bare.timestamps[0])
    events = [
        type(event)(
            event.onset + start,
            event.apex + start,
            event.offset + start,
            event.amplitude,
            event.units,
            event.side,
        )
        for event in schedule.events
    ]
    return Material(bare.timestamps, points.astype(np.float32), bare.confidence, events, bare.kinds)


def _keep(seed: int, folder: Path) -> None:
    one = sample(made(seed))
    arrays = {name: getattr(one, name).astype(np.float16) for name in Sample.__slots__}
    save_atomically(folder / f"{seed}.npz", npz(arrays, compressed=False))


def _read(file: Path) -> Sample:
    with np.load(file) as arrays:
        return Sample(*(arrays[name].astype(np.float32) for name in Sample.__slots__))
