"""The detector's probabilities and thresholds, for still pictures and for tracking, with the
landmark network's say, as the agent uses them.

They are fitted again after either network changed: `python -m tools.eval.publish looks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.errors import ModelError
from agent.base.types import Float, Grey
from agent.vision.faces.probability import FaceProbability
from tools.common.progress import along
from tools.eval import data
from tools.eval.detector import calibrate, tentative
from tools.eval.detector.boxes import Found, Slice, average_precision
from tools.eval.detector.calibrate import Fit, Sample
from tools.eval.detector.evidence import Evidence, Witness, answers_of, face_free
from tools.eval.detector.scenes import judged_by
from tools.eval.ours import open_set

STILLS_PER_100 = 0.75
"""False faces that `fleeting inspect` may list in 100 face-free pictures: less than the one that is
promised, for pictures of another kind than those it was measured on."""
TRACKS_PER_100 = 4.0
"""Tracks that 100 face-free frames may begin, which are followed and not reported."""
SURE_PER_100 = 0.3
"""Of these, those that are reported at once."""
FILMS_PER_MINUTE = 1.0
"""Of the others, those that are reported in the end, per minute of face-free film."""
ALONE_PER_100 = 4.0
"""False alarms of the detector alone in 100 face-free pictures, at `score_above`."""
LOWEST_ALONE = 0.3
"""Smallest `score_above` considered."""
MARGIN = 0.03
"""Added to it, for pictures other than those it was measured on."""
STILL_SLICES = (
    Slice("all"),
    Slice("from 16 px", 16),
    Slice("from 24 px", 24),
    Slice("bare, from 24 px", 24, kind=data.BARE),
    Slice("masked, from 24 px", 24, kind=data.MASKED),
)


def choose_threshold(alarms: Float, pictures: int, per_100: float) -> float:
    """The lowest score, in steps of 0.01, that keeps false alarms within the limit, and a margin.

    The limit is rounded up to whole alarms: one picture more or less decides nothing.
    """
    allowed = math.ceil(pictures * per_100 / 100.0 - 1e-9)
    for score in np.arange(LOWEST_ALONE, 0.92, 0.01):
        if int((alarms >= score).sum()) <= allowed:
            return round(float(score) + (MARGIN if score > LOWEST_ALONE else 0.0), 2)
    return 0.95


def parameters_of(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest's parameters from `measured`."""
    found: dict[str, Any] = {}
    for name in ("still", "track", "film"):
        if name in figures:
            found[f"{name}_weights"] = figures[name]["weights"]
            found[f"{name}_above"] = figures[name]["above"]
            if "sure_above" in figures[name]:
                found[f"{name}_sure_above"] = figures[name]["sure_above"]
    return found


def measured(
    models: Path, which: str, scenes: data.Scenes, blanks: Sequence[Grey], part_of_scenes: bool
) -> dict[str, Any]:
    """Weights and thresholds for stills and for films, of the set `which` in `models`.

    `blanks` are pictures without faces; `part_of_scenes`: what lies beside the faces of the scenes
    serves too. Empty where the set lacks another model.
    """
    try:
        ours = open_set(which, models)
        witness = Witness(ours)
    except ModelError as error:
        print(f"Thresholds of the detector alone: {error}")
        return {}
    still = sample_of(witness.still, "stills", scenes, blanks, part_of_scenes)
    fitted = calibrate.fit(still)
    figures = {"still": calibrate.report(still, fitted, STILLS_PER_100)}
    figures["still"]["found"] = recalls(scenes, still, fitted, figures["still"]["above"])

    track = sample_of(witness.frame, "frames", scenes, blanks, part_of_scenes)
    fitted = calibrate.fit(track)
    figures["track"] = calibrate.report(track, fitted, TRACKS_PER_100)
    sure, _ = calibrate.tail_threshold(fitted.blanks, SURE_PER_100)
    figures["track"]["sure_above"] = calibrate.probability(sure)

    first = FaceProbability(figures["track"]["weights"], figures["track"]["above"])
    film = tentative.sample_of(ours, first, scenes, blanks)
    per_100 = 100 * FILMS_PER_MINUTE * tentative.SECONDS / 60
    figures["film"] = calibrate.report(film, calibrate.fit(film), per_100)
    return figures


def sample_of(
    ask: Callable[[Grey], Evidence],
    name: str,
    scenes: data.Scenes,
    blanks: Sequence[Grey],
    part_of_scenes: bool,
) -> Sample:
    """Evidence of all pictures, and what is known of it."""
    seen = [ask(picture) for picture in along(scenes.pictures, f"{name}: scenes")]
    answers = [
        answers_of(found, boxes, ignored)
        for found, boxes, ignored in zip(seen, scenes.boxes, scenes.ignored, strict=True)
    ]
    free, units = face_free(blanks, scenes, part_of_scenes)
    empty = [ask(picture) for picture in along(free, f"{name}: no faces")]
    return Sample(seen, answers, empty, units)


def recalls(scenes: data.Scenes, sample: Sample, fitted: Fit, above: float) -> dict[str, Any]:
    """AP50 and recall of the cross-validated probabilities, by size and kind."""
    answers = [
        Found(evidence.boxes, (1 / (1 + np.exp(-value))).astype(np.float32))
        for evidence, value in zip(sample.scenes, fitted.scenes, strict=True)
    ]
    found = {}
    for part in STILL_SLICES:
        judged, _ = judged_by(scenes, answers, part)
        faces = int(judged.faces.sum())
        passed = judged.right & (judged.scores >= above)
        found[part.name] = {
            "faces": faces,
            "ap50": round(float(average_precision(judged)[0]), 4),
            "recall": round(float(passed.sum()) / max(faces, 1), 4),
        }
    return found
