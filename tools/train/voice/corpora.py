"""Reading the speech packs: acted utterances with the emotion that was meant."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from agent.base.types import SOUND_RATE as RATE
from agent.base.types import Float
from tools.common.packs import packs_folder

PACKS = ("speech", "speech_more")
CORPORA = ("ravdess", "emodb", "ased")
EMOTIONS = (
    "neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise", "boredom",
)  # fmt: skip
_SAME = {"fearful": "fear", "surprised": "surprise"}
_AROUSAL = dict(zip(EMOTIONS, (-0.3, -0.7, 0.6, -0.6, 0.8, 0.6, 0.0, 0.7, -0.8), strict=True))
_VALENCE = dict(zip(EMOTIONS, (0.0, 0.1, 0.8, -0.6, -0.7, -0.6, -0.6, 0.2, -0.3), strict=True))
"""Where the words lie in the circumplex (Russell 1980), by eye: no corpus has such ratings."""
HIGH = frozenset({"happy", "angry", "fear", "surprise"})
LOW = frozenset({"neutral", "calm", "sad", "boredom"})


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """One file of a pack."""

    corpus: str
    speaker: str
    sex: str
    """m, f, or empty where it is not known."""
    emotion: str
    """Of `EMOTIONS`."""
    tone: str
    """Of the agent's tones, or empty: an emotion that is none of them."""
    strong: bool
    valid: bool
    """Speakers that training never hears."""
    samples: Float
    """float32[S], mono, `RATE`."""

    @property
    def arousal(self) -> float:
        """In [-1, 1]."""
        return _AROUSAL[self.emotion] * (1.25 if self.strong else 1.0)

    @property
    def valence(self) -> float:
        """In [-1, 1]."""
        return _VALENCE[self.emotion] * (1.25 if self.strong else 1.0)


def held_back(found: Sequence[Utterance]) -> set[str]:
    """Speakers for training without whom calibration is fitted: two women and two men of RAVDESS,
    one each of EmoDB, every eighth of ASED. None is of the valid part."""
    speakers = {
        corpus: sorted({one.speaker for one in found if one.corpus == corpus and not one.valid})
        for corpus in CORPORA
    }
    chosen = {speakers["ravdess"][i] for i in (2, 3, 12, 13)}
    return chosen | {speakers["emodb"][i] for i in (0, 1)} | set(speakers["ased"][::8])


@cache
def utterances(packs: Sequence[str] = PACKS) -> tuple[Utterance, ...]:
    """Every file of the packs. Raises SystemExit where there are no packs."""
    import soundfile

    found = []
    for pack in packs:
        with (packs_folder() / f"{pack}_labels.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        with tarfile.open(packs_folder() / f"{pack}.tar") as archive:
            for row in rows:
                member = archive.extractfile(row["file"])
                assert member is not None
                samples, rate = soundfile.read(io.BytesIO(member.read()), dtype="float32")
                assert rate == RATE
                emotion = _SAME.get(row["emotion"], row["emotion"])
                found.append(
                    Utterance(
                        row["corpus"], row["speaker"], row["sex"], emotion, row["four_class"],
                        row["intensity"] == "strong", row["split"] == "valid",
                        np.atleast_2d(samples.T).mean(0),
                    )
                )  # fmt: skip
    return tuple(found)
