"""Figures of readings beside what speakers were asked to act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import TONES, UNSURE
from agent.voice.listener import Listener
from agent.voice.tone import ToneReading
from tools.common.bootstrap import Draws, Resampler, mean_of
from tools.eval.voice.read import read
from tools.train.voice.corpora import CORPORA, HIGH, LOW, Utterance, utterances

BINS = 10
"""Of the calibration error, equally wide."""
Bools = NDArray[np.bool_]


class Truth:
    """What was meant by N utterances, and resamples of them."""

    def __init__(self, found: Sequence[Utterance]) -> None:
        self.tone = np.array([TONES.index(one.tone) if one.tone else -1 for one in found])
        emotion = np.array([one.emotion for one in found])
        self.high = np.where(
            np.isin(emotion, [*HIGH]), 1, np.where(np.isin(emotion, [*LOW]), 0, -1)
        )
        self.with_disgust = np.where(emotion == "disgust", 1, self.high)
        self.corpus = np.array([one.corpus for one in found])
        self.speaker = np.array([one.speaker for one in found])
        self.sex = np.array([one.sex for one in found])
        self.drawn = Resampler(np.arange(len(found)))

    def uar(self, answer: NDArray[Any], truth: NDArray[np.int64], among: Bools) -> Draws:
        """Mean recall of the classes (unweighted average recall)."""
        kinds = [kind for kind in np.unique(truth[among]) if kind >= 0]
        hits = answer == truth
        return mean_of([self.drawn.share(hits, among & (truth == kind)) for kind in kinds])


def arrays(readings: Sequence[ToneReading | None]) -> tuple[NDArray[Any], NDArray[Any], Bools]:
    """Probabilities float[N, 4], arousal float[N], and which are not unsure; without a reading
    all tones are alike."""
    even = np.full(len(TONES), 1 / len(TONES))
    shares = np.stack([even if each is None else each.probabilities for each in readings])
    arousal = np.array([0.0 if each is None else each.arousal for each in readings])
    sure = np.array([each is not None and each.label != UNSURE for each in readings])
    return shares, arousal, sure


def calibration_error(confidence: NDArray[Any], right: Bools) -> float:
    """Expected calibration error: mean over bins, by their answers, of the gap between confidence
    and share of right ones (Naeini et al. 2015)."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(float((confidence[place == k] - right[place == k]).sum())) for k in range(BINS)]
    return round(sum(gaps) / max(len(right), 1), 4)


def figures_of(
    truth: Truth, readings: Sequence[ToneReading | None], among: Bools | None = None
) -> dict[str, Any]:
    """All figures of one corpus or group."""
    shares, arousal, sure = arrays(readings)
    among = np.ones(len(arousal), bool) if among is None else among
    high, best = (arousal > 0).astype(int), shares.argmax(1)
    told = among & (truth.tone >= 0)
    known = among & (truth.high >= 0)
    right = best == truth.tone
    certain = np.maximum((1 + arousal) / 2, (1 - arousal) / 2)
    return {
        "utterances": int(among.sum()),
        "arousal": truth.uar(high, truth.high, among).figure(),
        "arousal_with_disgust": truth.uar(high, truth.with_disgust, among).figure(),
        "tone": truth.uar(best, truth.tone, among).figure(),
        "tone_ece": calibration_error(shares.max(1)[told], right[told]),
        "arousal_ece": calibration_error(certain[known], (high == truth.high)[known]),
        "answered": truth.drawn.share(sure, told).figure(),
        "right_of_answered": truth.drawn.share(right, told & sure).figure(),
        "recalls": {
            name: truth.drawn.share(right, among & (truth.tone == k)).figure()
            for k, name in enumerate(TONES)
        },
    }


def by_corpus(truth: Truth, readings: Sequence[ToneReading | None]) -> dict[str, Any]:
    """Each corpus, and two of them together: a calibration error needs many answers."""
    out = {name: figures_of(truth, readings, truth.corpus == name) for name in CORPORA}
    out["RAVDESS and EmoDB"] = figures_of(truth, readings, np.isin(truth.corpus, CORPORA[:2]))
    return out


def valid_part() -> list[Utterance]:
    """Utterances of speakers that training never hears."""
    return [one for one in utterances() if one.valid]


def valid_figures(listener: Listener) -> dict[str, Any]:
    """By corpus, recordings as they are."""
    found = valid_part()
    return by_corpus(Truth(found), read(listener, found, "unseen speakers"))
