"""When somebody speaks: a cheap gate, and behind it a small network over the latest bands.

Card: models/activity/CARD.md
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey, Infer
from agent.inference.manifest import Manifest
from agent.inference.tflite import open_model
from agent.kernels.follow import follow_noise
from agent.voice.frames import Frames

NAME = "activity"
"""In the manifest."""
ROWS = 177
"""Frames that the network sees: 1.77 s."""
BANDS = 26
COLUMNS = 2 * BANDS
STEP = 16
"""Newest frames that one run of the network answers."""
_DECIBELS = np.float32(10.0 / np.log(10.0))
_SHARE, _RISE, _FALL, _DECAY = 0.2, 0.03, 0.3, 0.03
"""Smoothing over 50 ms; the floor rises by 3 dB a second and falls within 30 ms; the ceiling sinks
by 3 dB a second."""
_ABOVE = -10.0, 50.0
_BELOW = -70.0, 10.0
"""dB that are black and white, over the floor and relative to the ceiling."""
_OPEN = 1.6
"""dB that sound must stand out of the noise for the gate to open: it is open for a fiftieth of
steady noise, and shut on one frame of speech in 600 at 20 dB."""
_HOLD = 50
"""Frames that the gate stays open for after the last one that stood out."""
_SILENT = -80.0
"""dB below full scale: less is no sound."""
_MIDDLE, _SLOPE = 6.0, 2.0
"""dB of standing out that are as likely speech as not, and for the odds to grow by e: where there
is no network."""
_ONSET, _OFFSET = 0.6, 0.4


class Activity:
    """Probability of speech of every frame of a stream, as it comes in.

    The network runs where the gate is open: once for up to 16 new frames, on the latest 177. A
    frame is answered with what has come in by the end of the chunk, at most 15 frames later, and
    never again. Where the manifest has no such model, the gate's own measure answers: how far the
    frame stands out of the noise, whatever makes the sound.
    """

    def __init__(self, manifest: Manifest) -> None:
        """Raises `ModelError` where the model is listed and absent, altered or not as declared."""
        self._infer: Infer | None = None
        self.onset, self.offset = _ONSET, _OFFSET
        if NAME in manifest.models:
            self._infer = open_model(manifest, NAME)
            parameters = manifest.parameters(NAME)
            self.onset = float(parameters["onset"])
            self.offset = float(parameters["offset"])
        self._contrast = Contrast()
        self._picture = np.zeros((ROWS, COLUMNS), np.uint8)
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next frames are another one's."""
        self._contrast.reset()
        self._picture.fill(0)
        self._closed = _HOLD
        self._speaking = False

    def __call__(self, frames: Frames) -> Float:
        """Probability of speech of the next frames, float32[N]."""
        rows, excess = self._contrast(frames.bands)
        out = np.zeros(len(rows), np.float32)
        parts = np.array_split(np.arange(len(rows)), -(-len(rows) // STEP)) if len(rows) else []
        for part in parts:
            place = slice(int(part[0]), int(part[-1]) + 1)
            count = len(part)
            self._picture[:-count] = self._picture[count:]
            self._picture[-count:] = rows[place]
            stands_out = (excess[place] >= _OPEN) & (frames.level[place] > _SILENT)
            self._closed = 0 if stands_out.any() else self._closed + count
            if self._closed > _HOLD:
                continue
            if self._infer is None:
                odds = (excess[place] - np.float32(_MIDDLE)) / np.float32(_SLOPE)
            else:
                odds = self._infer(self._picture)["speech"][0, STEP - count :]
            out[place] = 1.0 / (1.0 + np.exp(-odds))
        return out

    def spoken(self, probabilities: Float) -> NDArray[np.bool_]:
        """bool[N], with hysteresis: speech begins at `onset` and goes on until below `offset`. Goes
        on where the last call ended."""
        out = hysteresis(probabilities, self.onset, self.offset, self._speaking)
        if len(out):
            self._speaking = bool(out[-1])
        return out


def hysteresis(
    probabilities: Float, onset: float, offset: float, speaking: bool
) -> NDArray[np.bool_]:
    """bool[N]: from `onset` on until below `offset`; `speaking`: what held before."""
    out = np.empty(len(probabilities), bool)
    for n, probability in enumerate(probabilities.tolist()):
        speaking = probability >= (offset if speaking else onset)
        out[n] = speaking
    return out


class Contrast:
    """Bands as shades that do not depend on the microphone's level, frame by frame."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the room."""
        self._smooth = np.zeros(BANDS, np.float32)
        self._floor = np.zeros(BANDS, np.float32)
        self._peak = np.zeros(1, np.float32)
        self._begun = False

    def __call__(self, bands: Float) -> tuple[Grey, Float]:
        """Of log powers float32[N, 26]: rows uint8[N, 52], where even columns show the level over
        the noise floor and odd ones that under the loudest of late; and how far the sound stands
        out of the noise, float32[N], dB, see `kernels.follow`. Uses no later frame."""
        level = bands * _DECIBELS
        if not self._begun and len(level):
            self._begun = True
            self._smooth[:] = self._floor[:] = level[0]
            self._peak[:] = level[0].max()
        above, below = np.empty_like(level), np.empty_like(level)
        excess = np.empty(len(level), np.float32)
        follow_noise(
            level, self._smooth, self._floor, self._peak,
            _SHARE, _RISE, _FALL, _DECAY, above, below, excess,
        )  # fmt: skip
        rows = np.empty((len(level), COLUMNS), np.uint8)
        rows[:, 0::2] = _shade(above, *_ABOVE)
        rows[:, 1::2] = _shade(below, *_BELOW)
        return rows, excess


def _shade(level: Float, black: float, white: float) -> Grey:
    scaled = (level - np.float32(black)) * np.float32(255.0 / (white - black))
    return np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)
