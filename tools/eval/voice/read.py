"""Utterances through the agent's own code: sound to frames, speech, and a joined reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Sound
from agent.voice.frames import Frames, measure
from agent.voice.listener import Listener
from agent.voice.tone import ToneReading
from tools.common.progress import along
from tools.train.voice.corpora import Utterance
from tools.train.voice.material import levels, spoken_of

Change = Callable[[np.random.Generator, Float], Float]
"""The same sound somewhere else, sample by sample in step with it."""


def heard(samples: Float) -> tuple[Frames, NDArray[np.bool_]]:
    """Frames, and where there is speech: where the recording is loud."""
    frames = measure(samples)
    return frames, spoken_of(levels(samples))[: len(frames)]


def read(
    listener: Listener,
    found: Sequence[Utterance],
    title: str,
    change: Change | None = None,
    same_room: bool = False,
) -> list[ToneReading | None]:
    """One reading per utterance, of all stretches that are heard in it, as the agent hears them:
    voice activity is part of it. `change` is drawn from the same numbers each time. Each is in a
    room of its own, unless `same_room`."""
    out = []
    for index, one in enumerate(along(found, title)):
        samples = one.samples
        if change is not None:
            samples = change(np.random.default_rng(index), samples)
        stretches = listener(Sound(0.0, samples)) + listener.finish()
        out.append(listener.joined([each.tone for each in stretches if each.tone is not None]))
        if not same_room:
            listener.forget()
    return out
