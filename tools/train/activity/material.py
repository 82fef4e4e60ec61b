"""What the network of activity learns from, and what it is tried on: rows with their targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.voice.activity import ROWS, Contrast
from agent.voice.frames import measure
from tools.common.files import npz, save_atomically
from tools.common.progress import along
from tools.train.activity import noises, streams, teacher

SECONDS = 90.0
"""Of a stream."""
TOGETHER = 30
"""Streams that the teacher hears at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Streams one after the other, each with `ROWS` black rows before it."""

    rows: NDArray[np.uint8]
    """uint8[R, 52]."""
    spoken: Float
    """float32[R]: 1 where the clean speech is active."""
    clean: Float
    """float32[R]: the teacher's answer to the clean speech."""
    heard: Float
    """float32[R]: the teacher's answer to what the network hears."""
    known: NDArray[np.bool_]
    """bool[R]: not one of the black rows."""


def made(voices: Sequence[Float], count: int, seed: int, seconds: float = SECONDS) -> Material:
    """`count` streams of these voices."""
    parts: list[tuple[NDArray[np.generic], ...]] = []
    for first in along(range(0, count, TOGETHER), "streams"):
        talks, sounds, kept = [], [], []
        for k in range(first, min(first + TOGETHER, count)):
            rng = np.random.default_rng([seed, k])
            some = [voices[i] for i in rng.choice(len(voices), min(24, len(voices)), False)]
            clean = streams.talk(rng, some, seconds)
            sound, alive = streams.disturbed(
                rng, clean, lambda rng, size: noises.drawn(rng, size, voices)
            )
            talks.append(clean)
            sounds.append(sound)
            kept.append(alive)
        told = teacher.answers([each.sound for each in talks])
        heard = teacher.answers(sounds)
        for clean, sound, alive, quiet, loud in zip(talks, sounds, kept, told, heard, strict=True):
            parts.append(_rows(clean, sound, alive, quiet, loud))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Material(*columns)


def _rows(
    clean: streams.Talk, sound: Float, alive: Float, quiet: Float, loud: Float
) -> tuple[NDArray[np.generic], ...]:
    rows, _ = Contrast()(measure(sound).bands)
    count = len(rows)
    padded = np.concatenate([np.zeros((ROWS, rows.shape[1]), np.uint8), rows])
    columns = [
        clean.spoken[:count] * alive[:count],
        teacher.at_frames(quiet, count) * alive[:count],
        teacher.at_frames(loud, count),
    ]
    before = np.zeros(ROWS, np.float32)
    known = np.arange(ROWS + count) >= ROWS
    return padded, *(np.concatenate([before, each]).astype(np.float32) for each in columns), known


def joined(parts: Sequence[Material]) -> Material:
    """All of them, one after the other."""
    return Material(
        *(np.concatenate([getattr(each, name) for each in parts]) for name in Material.__slots__)
    )


def cached(path: Path, voices: Callable[[], Sequence[Float]], count: int, seed: int) -> Material:
    """As `made`, stored for the next time; `voices` are asked for only then."""
    if not path.is_file():
        fresh = made(voices(), count, seed)
        arrays = {name: getattr(fresh, name) for name in Material.__slots__}
        save_atomically(path, npz(arrays, compressed=False))
    with np.load(path) as stored:
        return Material(*(stored[name] for name in Material.__slots__))
