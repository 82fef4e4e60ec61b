"""Photographs that talk: what speech makes of the expression that a face shows.

A photograph of the packs, as it is or with one of the renderer's prototypes, rests and then speaks:
`tools.render.reenact` moves its own skin by visemes with coarticulation
(`tools.train.micro.generators.talk`). Brows and eyes go on showing what they showed, so that the
reading before the first word says what should be read during speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Expression, Float, Grey
from agent.vision.expression.classifier import ExpressionClassifier
from agent.vision.expression.speaking import SpeechFilter
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE, cut, similarity
from tools.common.bootstrap import Resampler
from tools.common.packs import decode, load
from tools.common.progress import along
from tools.render import units
from tools.render.mesh import head
from tools.render.reenact import Fitted, Manner, fit, reenact
from tools.train.clean.convention import as_rendered
from tools.train.clean.reenacted import POOR, shown, sized
from tools.train.micro.generators.talk import TALKS

SILENT, SPOKEN = 1.5, 4.5
"""Seconds of rest, then of speech."""
INTERVAL = 0.15
"""Seconds between frames: as often as the agent reads an expression."""
SHOWS = ("as it is", "happiness", "surprise", "sadness", "anger")
"""What a face shows while it talks: the photograph's own, or a prototype."""
JAW = 4.0
"""Coefficient of the face space per IOD of a viseme's movement: a jaw opens by .1 to .4."""
SEED = 92_000
"""Of the held-out photographs; what is chosen was chosen on training ones, seed 91,000."""
_LARGEST_YAW = 20.0
_LEAST_IOD = 40.0
"""Pixels in the photograph."""
CLOSED = 0.15
"""Of jawOpen or mouthSmile: a mouth that is further open in the photograph cannot be closed."""
_JITTER = 0.006
"""IOD: standard deviation of a frame's shift; what the stabilised landmarks leave."""


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """One face that rests and then talks."""

    photograph: int
    """Row in the pack."""
    shows: str
    """Of `SHOWS`."""
    crops: list[Grey]
    """uint8[48, 48], one per `INTERVAL`."""
    speaks: NDArray[np.bool_]
    """bool[T]."""


def talks(part: int, count: int, seed: int = SEED) -> Iterator[Talk]:
    """Talking faces of `count` photographs of a part of the packs (0 training, 1 held out), each
    with everything in `SHOWS`; those to which the head does not fit are passed over."""
    pack, labels = load("faces.npz"), load("faces_labels.npz")
    points = labels["lm68"].astype(np.float32)
    iod = np.hypot(*(points[:, 45] - points[:, 36]).T)
    usable = (labels["split"] == part) & labels["vis68"].all(1) & (iod > _LEAST_IOD)
    usable &= np.abs(labels["pose_yaw_pitch_roll"][:, 0]) < _LARGEST_YAW
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(usable))
    for row, face, marks in along(islice(_fitted(rows, pack, labels), count), "talking", count):
        for k, shows in enumerate(SHOWS):
            yield _talk(np.random.default_rng([seed, row, k]), row, face, marks, shows)


def _fitted(
    rows: NDArray[np.int64], pack: Mapping[str, NDArray[Any]], labels: Mapping[str, NDArray[Any]]
) -> Iterator[tuple[int, Fitted, Float]]:
    """Row, head and landmarks float32[68, 2] of photographs that can be made to talk."""
    names = labels["blendshape_names"]
    points = labels["lm68"].astype(np.float32)
    for row in rows.tolist():
        picture = decode(pack["jpeg"], pack["off"], row)
        picture, marks = sized(picture, points[row])
        blendshapes = labels["blendshapes"][row].astype(np.float32) / 255
        face = fit(picture, as_rendered(marks), shown(blendshapes, names))
        own = dict(zip(head().names, face.coefficients.tolist(), strict=True))
        size = float(np.hypot(*(marks[45] - marks[36])))
        if face.error <= POOR * size and max(own["mouthSmile_L"], own["jawOpen"]) <= CLOSED:
            yield row, face, marks


def _talk(rng: np.random.Generator, row: int, face: Fitted, marks: Float, shows: str) -> Talk:
    rest = face.coefficients
    if shows != SHOWS[0]:
        rest = units.prototype(rng, shows, float(rng.uniform(0.5, 0.9)))
    manner = Manner(float(rng.uniform(0.7, 1.25)), float(rng.uniform(0.25, 0.7)))
    times = np.arange(0.0, SILENT + SPOKEN, INTERVAL)
    fine = np.arange(0.0, SILENT + SPOKEN, 1.0 / 60.0)
    way = TALKS[str(rng.choice(sorted(TALKS)))]
    strengths = way(rng, fine, (SILENT, SILENT + SPOKEN))
    target = EXPRESSION_CROP.place(MEAN_SHAPE)
    size = float(np.hypot(*(marks[45] - marks[36])))
    crops: list[Grey] = []
    for time in times:
        mouth = {
            unit: JAW * float(np.interp(time, fine, curve)) for unit, curve in strengths.items()
        }
        wanted = np.clip(rest + units.coefficients(mouth), 0.0, 1.0).astype(np.float32)
        made = reenact(face, marks, wanted, manner)
        noisy = made.picture + rng.normal(0.0, 1.0, made.picture.shape)
        luma = np.clip(noisy + 0.5, 0, 255).astype(np.uint8)
        at = made.landmarks + rng.normal(0.0, _JITTER * size, 2).astype(np.float32)
        crops.append(cut(luma, similarity(at, target), EXPRESSION_CROP.size))
    return Talk(row, shows, crops, times >= SILENT + INTERVAL)


NEUTRAL = 0


def measure(films: Iterable[Talk], reader: ExpressionClassifier) -> dict[str, Any]:
    """What is read while they talk, with nobody listening and with speech known, as `figures`."""
    read = [(film, [reader.classify_crop(crop) for crop in film.crops]) for film in films]
    return {
        name: figures([(film, _through(film, frames, reader, knows)) for film, frames in read])
        for name, knows in (("unknown", False), ("known", True))
    }


def _through(
    film: Talk, frames: list[Expression], reader: ExpressionClassifier, knows: bool
) -> list[Expression]:
    steadied = SpeechFilter(reader.judge)
    return [
        steadied(frame, k * INTERVAL, float(speaks) if knows else None)
        for k, (frame, speaks) in enumerate(zip(frames, film.speaks, strict=True))
    ]


def figures(answers: list[tuple[Talk, list[Expression]]]) -> dict[str, Any]:
    """Of what faces are read as while they talk; truth is how the same face is read at rest, by
    its mean there, where that is sure.

    `agree`: same class; `kept`: the same of faces that are not neutral at rest; `false`: of neutral
    faces, another class; `false_sure`: and not unsure; `changes`: from one reading to the next;
    `unsure`. Over readings, with intervals over photographs.
    """
    rows: list[tuple[int, bool, bool, bool, bool]] = []
    for film, read in answers:
        probabilities = np.stack([each.probabilities for each in read])
        rest = probabilities[~film.speaks].mean(0)
        truth = int(rest.argmax())
        if rest[truth] < 0.5:
            continue
        said = probabilities.argmax(1)
        changed = np.r_[False, np.diff(said) != 0]
        rows += [
            (film.photograph, truth == NEUTRAL, bool(said[k] == truth), read[k].unsure, changed[k])
            for k in np.flatnonzero(film.speaks)
        ]
    photograph, neutral, right, unsure, changed = (
        np.array(part) for part in zip(*rows, strict=True)
    )
    drawn = Resampler(photograph)
    return {
        "agree": drawn.share(right).figure(),
        "kept": drawn.share(right, ~neutral).figure(),
        "false": drawn.share(~right, neutral).figure(),
        "false_sure": drawn.share(~right & ~unsure, neutral).figure(),
        "changes": drawn.share(changed).figure(),
        "unsure": drawn.share(unsure).figure(),
    }
