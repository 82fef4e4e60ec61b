"""Utterances through the agent's own code: sound to frames, speech, and a joined reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.voice.frames import Frames, measure
from agent.voice.tone import ToneReader, ToneReading
from tools.common.progress import along
from tools.train.voice.corpora import Utterance
from tools.train.voice.material import levels, spoken_of

Change = Callable[[np.random.Generator, Float], Float]
"""The same sound somewhere else, sample by sample in step with it."""


def heard(samples: Float, clean: Float | None = None) -> tuple[Frames, NDArray[np.bool_]]:
    """Frames, and where there is speech: where the clean recording is loud, so that figures are of
    the tone alone and not also of voice activity."""
    frames = measure(samples)
    spoken = spoken_of(levels(samples if clean is None else clean))
    return frames, spoken[: len(frames)]


def read(
    reader: ToneReader, found: Sequence[Utterance], title: str, change: Change | None = None
) -> list[ToneReading | None]:
    """One reading per utterance; `change` is drawn from the same numbers each time."""
    out = []
    for index, one in enumerate(along(found, title)):
        samples = one.samples
        if change is not None:
            samples = change(np.random.default_rng(index), samples)
        out.append(reader.recording(*heard(samples, one.samples)))
    return out
