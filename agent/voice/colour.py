"""A room's and its microphone's colour, taken out slowly.

What all speech of some minutes has in common is the room, the microphone and its place, less
whoever speaks: so the mean spectrum of speech is brought towards that of the recordings that taught
the tone (cepstral mean normalisation, Furui 1981, IEEE Transactions on Acoustics, Speech, and
Signal Processing 29(2), over minutes instead of one utterance, which would take out the voice too).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.voice.frames import DECIBELS, Frames

_TRUSTED = 3000.0
"""Spoken frames after which half of the difference is taken out: 30 s."""
_MOST = 18_000.0
"""Spoken frames that the mean looks back over: 3 min."""
_LIMIT = np.float32(8.0 / DECIBELS)
"""At most so much is changed in a band: 8 dB."""


class Colour:
    """Follows the mean spectrum of speech in one room."""

    def __init__(self, reference: Float) -> None:
        """`reference`: float32[26], log power of the mean speech of training, of mean 0."""
        self._reference = np.asarray(reference, np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the room."""
        self._mean = np.zeros_like(self._reference)
        self._count = 0.0

    def __call__(self, frames: Frames, spoken: NDArray[np.bool_]) -> Frames:
        """The stretch as if in the training's room, as far as this one is known, itself included;
        `spoken`: bool[N]."""
        bands = frames.bands[spoken]
        if not len(bands):
            return frames
        shape = bands.mean(0)
        total = min(self._count + len(bands), _MOST)
        self._mean += len(bands) / total * (shape - shape.mean() - self._mean)
        self._count = total
        share = np.float32(total / (total + _TRUSTED))
        change = np.clip(share * (self._reference - self._mean), -_LIMIT, _LIMIT)
        return frames.coloured(change)
