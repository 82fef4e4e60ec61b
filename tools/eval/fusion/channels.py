"""What each channel says of held-back samples, as they are and disturbed, as three polarities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import TONES, Float, Grey, Sound
from agent.fusion import EXPRESSION_TO_POLARITY, TONE_TO_POLARITY, polarity
from agent.text.sentiment import Sentiment
from agent.vision.expression.visible import visible
from agent.voice.listener import Listener
from tools.common.progress import along
from tools.eval.expression.evaluate import Votes, answers
from tools.eval.expression.metrics import softmax
from tools.eval.ours import Ours
from tools.train.text import material as text
from tools.train.voice import corpora, room

Ints = NDArray[np.int64]
Rng = np.random.Generator
_SURPRISE = 2
"""Of the expressions: it has no polarity."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Of one channel: the same N samples under each condition."""

    labels: Ints
    """int64[N]: 0 negative, 1 neutral, 2 positive."""
    said: dict[str, Float]
    """float32[N, 3] by condition; the first is undisturbed."""
    quality: dict[str, Float]
    """float32[N] likewise: as the agent weighs its channel."""


def faces(ours: Ours, limit: int | None) -> Samples:
    """FER+ pictures of the valid part, labelled by ten people's majority; surprise is left out."""
    votes = Votes(limit)
    named = votes.votes[:, :8].argmax(1)
    kept = np.flatnonzero(named != _SURPRISE)
    pictures = [votes.pictures[k] for k in kept]
    labels = EXPRESSION_TO_POLARITY[named[kept]].argmax(1)
    rng = np.random.default_rng(0)
    disturb: dict[str, Callable[[Grey], Grey]] = {
        "as it is": lambda picture: picture,
        "masked": masked,
        "a quarter of the pixels": coarse,
        "noise": lambda picture: grainy(rng, picture),
    }
    temperature = float(ours.parameters("expression")["temperature"])
    infer = ours.model("expression")
    said, quality = {}, {}
    for name, change in disturb.items():
        crops = [change(each) for each in pictures]
        logits, _ = answers(infer, crops, f"faces, {name}")
        said[name] = polarity(softmax(logits / temperature), EXPRESSION_TO_POLARITY)
        quality[name] = np.array([visible(each) for each in crops], np.float32)
    return Samples(labels, said, quality)


def masked(picture: Grey) -> Grey:
    """Nose and mouth behind a light mask."""
    out = picture.copy()
    height, width = out.shape
    corners = np.array([(0.22, 0.55), (0.5, 0.48), (0.78, 0.55), (0.72, 0.9), (0.5, 1.0),
                        (0.28, 0.9)]) * (width, height)  # fmt: skip
    cv2.fillPoly(out, [corners.astype(np.int32)], 200)
    return out


def coarse(picture: Grey) -> Grey:
    small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    size = picture.shape[1], picture.shape[0]
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def grainy(rng: Rng, picture: Grey) -> Grey:
    return np.clip(picture + rng.normal(0, 30, picture.shape), 0, 255).astype(np.uint8)


def voices(ours: Ours, limit: int | None) -> Samples:
    """Utterances of speakers that training never heard, of the corpora with a stated emotion that
    is one of the four tones."""
    listener = Listener(ours.manifest)
    found = [each for each in corpora.utterances() if each.valid and each.tone][:limit]
    rng = np.random.default_rng(1)
    others = [each.samples for each in found[::8]]

    def noisy(sound: Float, decibels: float) -> Float:
        return room.mixed(sound, room.noise(rng, len(sound), others), decibels)

    disturb: dict[str, Callable[[Float], Float]] = {
        "as it is": lambda sound: sound,
        "noise at 5 dB": lambda sound: noisy(sound, 5.0),
        "noise at -5 dB": lambda sound: noisy(sound, -5.0),
        "a hall": lambda sound: room.reverberated(rng, sound, 1.2, 0.5),
    }
    labels = [TONE_TO_POLARITY[TONES.index(each.tone)].argmax() for each in found]
    said, quality = {}, {}
    for name, change in disturb.items():
        read = [_tone(listener, change(each.samples)) for each in along(found, name)]
        said[name] = np.stack([probabilities for probabilities, _ in read])
        quality[name] = np.array([worth for _, worth in read], np.float32)
    return Samples(np.array(labels, np.int64), said, quality)


def _tone(listener: Listener, sound: Float) -> tuple[Float, float]:
    """float32[3] of all that is spoken in a file, as the agent hears it, and its quality."""
    listener.forget()
    stretches = listener(Sound(0.0, sound)) + listener.finish()
    heard = [each for each in stretches if each.tone is not None]
    read = listener.joined([each.tone for each in heard if each.tone is not None])
    if read is None:
        return np.full(3, 1 / 3, np.float32), 0.0
    seconds = [each.seconds for each in heard]
    quality = float(np.average([each.quality for each in heard], 0, seconds))
    return polarity(read.probabilities, TONE_TO_POLARITY), quality


def words(ours: Ours, limit: int | None, folder: Path | None) -> Samples:
    """English lines that training never read, rated by people."""
    texts = text.rated(text.fetch(folder))
    texts = [each for each in texts if each.fold == text.TEST_FOLD][:limit]
    lines, labels = [each.text for each in texts], [each.klass for each in texts]
    sentiment = Sentiment(ours.manifest)
    rng = np.random.default_rng(2)
    disturb: dict[str, Callable[[str], str]] = {
        "as it is": lambda line: line,
        "every fifth letter wrong": lambda line: misspelt(rng, line, 0.2),
        "half of the words lost": lambda line: torn(rng, line),
    }
    said = {
        name: np.stack([sentiment(change(line)).probabilities for line in along(lines, name)])
        for name, change in disturb.items()
    }
    certain = {name: np.ones(len(lines), np.float32) for name in said}
    return Samples(np.asarray(labels, np.int64), said, certain)


def misspelt(rng: Rng, line: str, share: float) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return "".join(
        letters[int(rng.integers(26))] if one.isalpha() and rng.random() < share else one
        for one in line
    )


def torn(rng: Rng, line: str) -> str:
    kept: Sequence[str] = [word for word in line.split() if rng.random() < 0.5]
    return " ".join(kept) or line
