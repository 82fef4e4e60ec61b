"""Answers by group, and whether the errors are the same for all.

Nobody has labelled the expressions of the faces whose age, gender and race are known. What can be
compared is where the network departs from a reference that is sure: the mean of our own teachers
where they lie in `runs`, else the pack's teacher. Both were trained on the same votes, so that what
all of them get wrong alike stays unseen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import EXPRESSIONS, Float
from tools.common.bootstrap import Draws, Resampler
from tools.eval import data
from tools.eval.data import Faces

SURE = 0.6
"""Confidence of the reference from which its answer counts as right."""
NEGATIVE = [EXPRESSIONS.index(name) for name in ("sadness", "anger", "disgust", "fear", "contempt")]
NEUTRAL = EXPRESSIONS.index("neutral")
PACK, OWN = "the pack's teacher", "the mean of our own teachers"


def reference(faces: Faces, crops: NDArray[np.uint8]) -> tuple[str, Float]:
    """Name and probabilities float32[N, 8] or [N, 7] (no contempt) of what is compared with.

    `crops` uint8[N, 48, 48]: the same faces, as the network sees them.
    """
    try:
        from tools.train.expression import distillation

        return OWN, distillation.mirrored(distillation.finished(), crops)
    except (ModuleNotFoundError, SystemExit):  # no torch, or no teacher has been trained here
        return PACK, faces.teacher


def by_group(
    probabilities: Float, faces: Faces, unsure_below: float, sure: Float
) -> dict[str, Any]:
    """By UTKFace's labels of age, gender and race, without any human label of expression.

    Mean confidence, share of unsure answers, shares of the classes named, and errors: answers that
    differ from those of a sure reference `sure` float32[N, K], and among faces that it calls
    neutral those called sad, angry, disgusted, afraid or contemptuous. `more_errors` is the
    difference to everybody else of whom the same kind of label is known.
    """
    drawn = Resampler(faces.person)
    said, confidence = probabilities.argmax(1), probabilities.max(1)
    meant = sure.argmax(1)
    certain = sure.max(1) >= SURE
    wrong = said != meant
    darker = np.isin(said, NEGATIVE)
    neutral = certain & (meant == NEUTRAL)
    groups = data.groups(faces)
    report: dict[str, Any] = {}
    for kind, name, chosen in groups:
        others = np.any([o for k, n, o in groups if k == kind and n != name], 0)

        def share(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> Draws:
            return drawn.share(hits, among)

        errors = share(wrong, certain & chosen)
        report.setdefault(kind, {})[name] = {
            "faces": int(chosen.sum()),
            "confidence": drawn.mean(confidence, chosen).figure(3),
            "unsure": share(confidence < unsure_below, chosen).figure(3),
            "errors": errors.figure(3),
            "more_errors": (errors - share(wrong, certain & others)).figure(3),
            "neutral_called_negative": share(darker, neutral & chosen).figure(3),
            "named": {
                label: share(said == k, chosen).figure(3) for k, label in enumerate(EXPRESSIONS)
            },
            "reference_named": {
                label: share(meant == k, chosen).figure(3)
                for k, label in enumerate(EXPRESSIONS[: sure.shape[1]])
            },
        }
    return report


def against_reference(probabilities: Float, sure: Float, people: NDArray[np.int64]) -> Any:
    """Share of answers that differ from a sure reference's, over all faces."""
    wrong = probabilities.argmax(1) != sure.argmax(1)
    return Resampler(people).share(wrong, sure.max(1) >= SURE).figure(3)
