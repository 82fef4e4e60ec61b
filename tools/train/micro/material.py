"""Training tracks of the spotter: generated, and injected into faces of real video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from tools.common.files import npz, run_folder, save_atomically
from tools.common.progress import along
from tools.micro.generator_config import TRAIN_SEEDS
from tools.train.micro.generators import GENERATORS, Condition, Generator, mixed
from tools.train.micro.real import noise_bank, with_noise
from tools.train.micro.samples import Material, Sample, as_tracked, red_noise, sample

MIXED = "mixed"
"""Tracks of all recipes' parts thrown together; never used when a generator is left out."""
SECONDS = 40.0


def made(name: str, seed: int, stills: Path | None = None) -> Material:
    """The training track of this generator and seed.

    `stills`: folder of real tracks of faces at rest, whose landmark noise some tracks get.
    """
    rng = np.random.default_rng([seed, sorted((*GENERATORS, MIXED)).index(name), 7])
    make: Generator = mixed if name == MIXED else GENERATORS[name]
    how = Condition(
        fps=float(rng.choice([30, 30, 30, 60, 60, 25, 50])),
        noise=float(np.exp(rng.uniform(np.log(0.0006), np.log(0.006)))),
        events=int(rng.choice([0, 4, 5, 6, 7], p=[0.1, 0.3, 0.25, 0.2, 0.15])),
        distractors=float(rng.uniform(0.5, 1.4)),
        seconds=SECONDS,
    )
    material = make(rng, how)
    if name in ("anatomical", "sparse") and rng.random() < 0.6:
        material = as_tracked(rng, material)
    if rng.random() < 0.25:
        material = red_noise(rng, material, float(np.exp(rng.uniform(-7.6, -5.5))))
    if stills and rng.random() < 0.25:
        material = with_noise(rng, material, noise_bank(stills))
    return material


def samples(
    counts: dict[str, int], stills: Path | None = None, workers: int = 2
) -> dict[str, list[Sample]]:
    """By generator its first training samples, kept in `runs/micro/samples`."""
    folder = run_folder("micro") / "samples"
    folder.mkdir(exist_ok=True)
    wanted = [
        (name, seed)
        for k in range(max(counts.values(), default=0))
        for name, count in counts.items()
        if k < count
        for seed in (TRAIN_SEEDS[k],)
    ]
    missing = [pair for pair in wanted if not (folder / _file(*pair)).is_file()]
    with ProcessPoolExecutor(workers) as pool:
        work = pool.map(_keep, missing, [folder] * len(missing), [stills] * len(missing))
        for _ in along(work, "tracks", len(missing)):
            pass
    out: dict[str, list[Sample]] = {name: [] for name in counts}
    for name, seed in wanted:
        out[name].append(_read(folder / _file(name, seed)))
    return out


def kept(folder: Path, without: Sequence[str] = ()) -> Iterator[tuple[str, Sample]]:
    """Every sample that is there already, by generator."""
    for file in sorted(folder.glob("*.npz")):
        name = file.stem.rsplit("-", 1)[0]
        if name not in without:
            yield name, _read(file)


def _file(name: str, seed: int) -> str:
    return f"{name}-{seed}.npz"


def _keep(pair: tuple[str, int], folder: Path, stills: Path | None) -> None:
    one = sample(made(*pair, stills))
    arrays = {name: getattr(one, name).astype(np.float16) for name in Sample.__slots__}
    save_atomically(folder / _file(*pair), npz(arrays, compressed=False))


def _read(file: Path) -> Sample:
    with np.load(file) as arrays:
        return Sample(*(arrays[name] for name in Sample.__slots__))
