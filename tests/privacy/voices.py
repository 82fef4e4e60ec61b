"""Synthetic readings of voices and words."""

from __future__ import annotations

from typing import Any

import numpy as np

from agent.base.config import AgentConfig
from agent.base.types import SENTIMENTS, TONES, UNSURE, Float, Fused, Said, Tone, Words
from tests.privacy.people import config, noised

ON = {"microphone": True, "words": True}


def listening(**privacy: Any) -> AgentConfig:
    """`people.config`, with microphone and words on."""
    return config(**{**ON, **privacy})


def listening_noised(**privacy: Any) -> AgentConfig:
    return noised(**{**ON, **privacy})


def likely(classes: tuple[str, ...], label: str) -> Float:
    """float32[N]: .7 for the label; equal shares for `UNSURE`."""
    probabilities = np.full(len(classes), 0.3 / (len(classes) - 1), np.float32)
    if label == UNSURE:
        probabilities[:] = 1 / len(classes)
    else:
        probabilities[classes.index(label)] = 0.7
    return probabilities


def tone(
    time: float,
    label: str = "happy",
    track: int | None = None,
    seconds: float = 3.0,
    valence: float = 0.5,
    arousal: float = -0.25,
) -> Tone:
    return Tone(time, seconds, arousal, valence, likely(TONES, label), label, track)


def words(time: float, label: str = "positive", track: int | None = None) -> Words:
    return Words(time, likely(SENTIMENTS, label), label, track)


def fused(
    time: float, label: str = "positive", track: int = 1, channels: tuple[str, ...] = ("face",)
) -> Fused:
    return Fused(time, likely(SENTIMENTS, label), label, frozenset(channels), track)


def everything_said() -> list[Said | None]:
    """What a visit may have said, at and beyond the limits of each range."""
    found: list[Said | None] = [None]
    for seconds in (0.0, 0.1, 4.9, 5.0, 14.9, 15.0, 86_400.0):
        for label in (*TONES, UNSURE):
            for mean in (0.0, 1.0, -1.0, 1e9, -1e9):
                said = Said(seconds)
                said.tone.add(tone(0, label).probabilities, label)
                said.valence, said.arousal = mean, -mean
                kind = (*SENTIMENTS, UNSURE)[len(found) % 4]
                said.words.add(words(0, kind).probabilities, kind)
                said.fused.add(words(0, kind).probabilities, kind)
                said.channels = {"face", "voice", "words"} if len(found) % 3 else {"face"}
                found.append(said)
    return found
