"""Tone of a stretch of speech: four tones, arousal and valence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.base.errors import ModelError
from agent.base.types import TONES, UNSURE, Float, Grey
from agent.inference.manifest import Manifest
from agent.inference.tflite import open_model
from agent.voice.frames import Frames
from agent.voice.logmel import ROWS, picture, speech_level
from agent.voice.prosody import NAMES, functionals

SPECTRUM, PROSODY = "tone", "tone_prosody"
"""Names of the two networks in the manifest."""
KNOTS = np.linspace(-2.4, 2.4, 9, dtype=np.float32)
"""Standard normal deviates to which the quantiles in `PROSODY`'s parameters are mapped."""
_LEVEL = -30.0
"""dB: the level of speech, see `speech_level`, at which it is measured whatever its own is."""
_BELOW = 60.0
"""dB under that level, below which a band counts as empty."""
_LEAST = 40
"""Frames with speech, below which nothing is said of its tone."""


@dataclass(frozen=True, slots=True, eq=False)
class ToneReading:
    """What one stretch of speech sounds like."""

    probabilities: Float
    """float32[4], calibrated, in `TONES` order; sums to 1."""
    label: str
    """One of `TONES`, or `UNSURE`."""
    arousal: float
    """In [-1, 1]; above 0 as probably high as not."""
    valence: float
    """In [-1, 1]."""
    spoken: int
    """Frames with speech in it."""


class ToneReader:
    """Two networks, on the log-mel spectrum and on prosodic functionals, whose logits are added.

    Card: models/tone/CARD.md. Results do not depend on gain: speech is brought to one level first.
    """

    def __init__(self, manifest: Manifest) -> None:
        """Raises `ModelError` where the set of models has no tone, or it cannot be loaded."""
        for name in (SPECTRUM, PROSODY):
            if name not in manifest.models:
                raise ModelError(
                    f"The set of models {manifest.which!r} has no tone of voice ({name!r} is not "
                    f"in {manifest.path}). Switch the tone off, or set `model_set` to one with it."
                )
        self._spectrum = open_model(manifest, SPECTRUM)
        self._prosody = open_model(manifest, PROSODY)
        parameters = manifest.parameters(PROSODY)
        self._quantiles = np.array(parameters["quantiles"], np.float32).reshape(len(NAMES), -1)
        self._weights = np.array(parameters["weights"], np.float32).reshape(2, 3)
        self._unsure_below = float(parameters["unsure_below"])
        self.spectrum = np.array(parameters["spectrum"], np.float32)
        """float32[26]: mean log power of the training's speech, see `colour`."""

    def __call__(self, frames: Frames, spoken: NDArray[np.bool_]) -> ToneReading | None:
        """The tone of up to three seconds, of the latest where there are more.

        Parameters
        ----------
        frames
            N of them.
        spoken : bool[N]
            Where there is speech.

        Returns None where less than .4 s is spoken.
        """
        found = inputs(frames, spoken)
        if found is None:
            return None
        seen, values = found
        spectrum = self._spectrum(seen)
        prosody = self._prosody(coded(values, self._quantiles)[None])
        logits = np.stack(
            [
                np.concatenate([each["tone"].reshape(-1), each["circumplex"].reshape(-1)])
                for each in (spectrum, prosody)
            ]
        )
        return self.decided(joint(logits, self._weights), int(spoken[-ROWS:].sum()))

    def decided(self, logits: Float, spoken: int) -> ToneReading:
        """The reading of calibrated logits float32[6]: tones, arousal, valence."""
        shares = np.exp(logits[: len(TONES)] - logits[: len(TONES)].max())
        probabilities = (shares / shares.sum()).astype(np.float32)
        arousal, valence = np.tanh(logits[len(TONES) :] / 2)
        return ToneReading(
            probabilities, self._label(probabilities), float(arousal), float(valence), spoken
        )

    def joined(self, readings: Sequence[ToneReading]) -> ToneReading | None:
        """Several stretches of one utterance as one reading, each with the weight of its speech;
        None where there are none."""
        if not readings:
            return None
        weight = np.array([each.spoken for each in readings], np.float64)
        weight /= weight.sum()
        probabilities = weight @ np.stack([each.probabilities for each in readings])
        return ToneReading(
            probabilities.astype(np.float32),
            self._label(probabilities),
            float(weight @ [each.arousal for each in readings]),
            float(weight @ [each.valence for each in readings]),
            sum(each.spoken for each in readings),
        )

    def _label(self, probabilities: NDArray[np.floating]) -> str:
        best = int(probabilities.argmax())
        return TONES[best] if probabilities[best] >= self._unsure_below else UNSURE


def inputs(frames: Frames, spoken: NDArray[np.bool_]) -> tuple[Grey, Float] | None:
    """What the two networks are given: uint8[300, 26] and functionals float32[82]; None where too
    little is spoken. Parameters as of `ToneReader`."""
    frames, spoken = frames[-ROWS:], spoken[-ROWS:]
    if spoken.sum() < _LEAST:
        return None
    level = speech_level(frames, spoken)
    levelled = frames.amplified(_LEVEL - level, _LEVEL - _BELOW)
    return picture(frames.bands, level), functionals(levelled, spoken)


def joint(logits: Float, weights: Float) -> Float:
    """Logits float32[..., 6] of tones, arousal and valence, of both networks' float32[2, ..., 6].

    What the tones say of arousal (happy and angry against neutral and sad) is added to it.

    Parameters
    ----------
    weights : float32[2, 3]
        Of each network's tones, arousal and valence.
    """
    loud = np.logaddexp(logits[..., 1], logits[..., 2])
    still = np.logaddexp(logits[..., 0], logits[..., 3])
    known = np.concatenate(
        [
            logits[..., : len(TONES)],
            (logits[..., 4] + loud - still)[..., None],
            logits[..., 5:],
        ],
        axis=-1,
    )
    by = np.repeat(weights, (len(TONES), 1, 1), axis=1)
    return np.asarray(np.einsum("n...k,nk->...k", known, by), np.float32)


def coded(values: Float, quantiles: Float) -> Grey:
    """uint8[V]: functionals float32[V] as standard normal deviates from -3 to 3, through their
    quantiles float32[V, 9] at `KNOTS`: heavy tails would waste the steps of 8 bits."""
    place = np.clip((values[:, None] >= quantiles).sum(1) - 1, 0, len(KNOTS) - 2)
    rows = np.arange(len(values))
    low, high = quantiles[rows, place], quantiles[rows, place + 1]
    share = np.clip((values - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
    deviate = KNOTS[place] + share * (KNOTS[1] - KNOTS[0])
    return np.asarray(np.rint((deviate + 3.0) * (255.0 / 6.0)), np.uint8)
