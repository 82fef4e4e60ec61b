"""The expression model's figures: human votes, calibration, slices by group, action units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import ACTION_UNITS, EXPRESSIONS, Float, Grey, Infer
from agent.desk.inspect import Inspector
from agent.vision.expression.classifier import ExpressionClassifier
from agent.vision.faces.align import EXPRESSION_CROP, MEAN_SHAPE, cut, similarity
from tools.common.bootstrap import Resampler, correlation, mean_of, moments, spearman
from tools.common.packs import load
from tools.common.progress import along
from tools.eval import data
from tools.eval.data import Faces
from tools.eval.expression import groups, outside
from tools.eval.expression import photographs as whole
from tools.eval.expression.metrics import BINS, calibration_error, fit_temperature, softmax
from tools.eval.ours import NO_FLOAT, Ours
from tools.eval.rendered import Sweeps
from tools.train.expression import data as expression_data


def evaluate(ours: Ours, limit: int | None, sweeps: Sweeps | None) -> dict[str, Any]:
    """All figures."""
    settings = ours.parameters("expression")
    notes = {"peers": "no expression network with a licence to run it is among the packs"}
    infer = ours.model("expression")
    votes_part = Votes(limit)
    logits, units = answers(infer, votes_part.pictures, "FER+ valid")
    voted = softmax(logits / float(settings["temperature"]))
    temperature = float(settings["temperature"])
    unsure_below = float(settings["unsure_below"])
    report: dict[str, Any] = {
        "set": ours.which,
        "missing": notes,
        "temperature": temperature,
        "unsure_below": unsure_below,
        "ferplus": against_votes(logits, votes_part.votes, temperature, unsure_below),
        "action_units_ferplus": against_teacher(units, votes_part.units, votes_part.unit_known),
        "affect_votes": outside.against_votes(voted, votes_part.votes, settings),
    }
    report["still"] = as_still(
        ExpressionClassifier(infer, settings), votes_part.pictures, votes_part.votes
    )
    exact = ours.exact("expression")
    if exact is None:
        notes["ours, float"] = NO_FLOAT
    else:
        report["float"] = beside_float(
            logits, answers(exact, votes_part.pictures, "FER+ valid, float")[0], votes_part.votes
        )
    photographs = data.faces(limit)
    crops, shapes = aligned(photographs)
    logits, units = answers(infer, crops, "photographs")
    probabilities = softmax(logits / temperature)
    report["lfw"] = against_names(probabilities, photographs)
    turned, _ = answers(infer, [np.ascontiguousarray(c[:, ::-1]) for c in crops], "mirrored")
    same = turned.argmax(1) == logits.argmax(1)
    report["mirror"] = Resampler(photographs.person).share(same).figure()
    name, sure = groups.reference(photographs, np.stack(crops))
    report["reference"] = name
    report["errors"] = groups.against_reference(probabilities, sure, photographs.person)
    report["groups"] = groups.by_group(probabilities, photographs, unsure_below, sure)
    report["action_units_photographs"] = against_teacher(
        units, shapes, np.ones(len(units), bool), photographs.person
    )
    seen = whole.inspect(photographs, data.negatives(), Inspector(ours.config))
    report["whole_photographs"] = whole.beside_crops(seen, probabilities, photographs)
    teachers: dict[str, outside.Teacher] = {"blendshapes": (shapes, ACTION_UNITS)}
    second = expression_data.other_units(photographs.rows)
    if second is None:
        notes["a second teacher of action units"] = "the packs are without au_labels.npz"
    else:
        teachers["OpenFace's regressors"] = (second, expression_data.OTHER_UNITS)
        report["second_opinion"] = outside.second_opinion(units, shapes, second, photographs.person)
    report["movements"] = outside.against_movements(
        probabilities, settings, teachers, photographs.person
    )
    if sweeps is None:
        notes["rendered faces"] = "no ICT-FaceKit geometry in the packs' render folder"
    else:
        report["sweeps"] = monotony(infer, sweeps, settings)
    report["file"] = ours.file_figures("expression")
    return report


class Votes:
    """FER+ pictures of the valid part with their votes and a teacher's action units; those that
    most voters called unknown or not a face are left out."""

    def __init__(self, limit: int | None) -> None:
        faces, votes = expression_data.ferplus(1)
        rows = data.thin(len(votes), limit)
        self.pictures: list[Grey] = [faces.pictures[i] for i in rows]
        self.votes: NDArray[np.uint8] = votes[rows]
        self.units: Float = faces.units[rows]
        self.unit_known: NDArray[np.bool_] = faces.unit_weight[rows] > 0


def answers(infer: Infer, crops: Sequence[Grey], title: str) -> tuple[Float, Float]:
    """Logits float32[N, 8] and action units float32[N, 12], clipped to [0, 1]."""
    logits, units = [], []
    for crop in along(crops, title):
        answer = infer(crop)
        logits.append(answer["logits"].ravel())
        units.append(answer["action_units"].ravel())
    return np.stack(logits), np.clip(np.stack(units), 0.0, 1.0)


def aligned(faces: Faces) -> tuple[list[Grey], Float]:
    """Crops as at run time, and the teacher's action units, of the same faces."""
    every = expression_data.aligned(1)
    margin = (every.pictures.shape[1] - EXPRESSION_CROP.size) // 2
    inner = every.pictures[:, margin:-margin, margin:-margin] if margin else every.pictures
    labels = load("faces_labels.npz")
    order = {int(row): k for k, row in enumerate(np.flatnonzero(labels["split"] == 1))}
    rows = [order[int(row)] for row in faces.rows]
    return [np.ascontiguousarray(inner[k]) for k in rows], every.units[rows]


def against_votes(
    logits: Float, votes: NDArray[np.uint8], temperature: float, unsure_below: float
) -> dict[str, Any]:
    """Against the majority of ten crowd workers."""
    drawn = Resampler(range(len(logits)))
    truth, said = votes[:, :8].argmax(1), logits.argmax(1)
    clear = votes[:, :8].max(1) > 5
    right = said == truth
    probabilities = softmax(logits / temperature)
    sure = probabilities.max(1)
    kept = sure >= unsure_below
    recalls = [drawn.share(right, truth == k) for k in range(len(EXPRESSIONS))]
    shown = [k for k in range(len(EXPRESSIONS)) if (truth == k).any()]
    crossed = crossfit(logits, truth)
    return {
        "pictures": len(logits),
        "top1": drawn.share(right).figure(),
        "clear_top1": drawn.share(right, clear).figure(),
        "macro_recall": mean_of([recalls[k] for k in shown]).figure(),
        "per_class": {
            name: {
                "recall": recalls[k].figure(),
                "precision": drawn.share(right, said == k).figure(),
            }
            for k, name in enumerate(EXPRESSIONS)
        },
        "ece": calibration_error(drawn, sure, right).figure(),
        "ece_crossfit": calibration_error(drawn, crossed.max(1), right).figure(),
        "reliability": reliability(sure, right),
        "unsure": drawn.share(~kept).figure(),
        "kept_top1": drawn.share(right, kept).figure(),
        "confusion": confusion(truth, said).tolist(),
    }


def as_still(
    reader: ExpressionClassifier, pictures: Sequence[Grey], votes: NDArray[np.uint8]
) -> dict[str, Any]:
    """The main figures of what `fleeting inspect --crop` says: the mean over four views."""
    probabilities = np.stack(
        [reader.still_crop(p).probabilities for p in along(pictures, "FER+ valid, four views")]
    )
    drawn = Resampler(range(len(pictures)))
    truth, said = votes[:, :8].argmax(1), probabilities.argmax(1)
    right = said == truth
    recalls = [drawn.share(right, truth == k) for k in np.unique(truth)]
    return {
        "top1": drawn.share(right).figure(),
        "clear_top1": drawn.share(right, votes[:, :8].max(1) > 5).figure(),
        "macro_recall": mean_of(recalls).figure(),
        "ece": calibration_error(drawn, probabilities.max(1), right).figure(),
    }


def crossfit(logits: Float, truth: NDArray[Any]) -> Float:
    """Probabilities of every second answer at the temperature fitted on the others."""
    even = np.arange(len(truth)) % 2 == 0
    out = np.empty_like(logits)
    for side in (even, ~even):
        if side.any() and (~side).any():
            out[side] = softmax(logits[side] / fit_temperature(logits[~side], truth[~side]))
        else:
            out[side] = softmax(logits[side])
    return out


def reliability(sure: Float, right: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Mean confidence and accuracy in each bin of confidence that holds answers."""
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    rows = []
    for k in range(BINS):
        chosen = place == k
        if chosen.any():
            rows.append(
                {
                    "confidence": round(float(sure[chosen].mean()), 4),
                    "accuracy": round(float(right[chosen].mean()), 4),
                    "n": int(chosen.sum()),
                }
            )
    return rows


def confusion(truth: NDArray[Any], said: NDArray[Any]) -> NDArray[np.int64]:
    """int64[8, 8]: rows what people said, columns what the network said."""
    table = np.zeros((len(EXPRESSIONS), len(EXPRESSIONS)), np.int64)
    np.add.at(table, (truth, said), 1)
    return table


def beside_float(logits: Float, exact: Float, votes: NDArray[np.uint8]) -> dict[str, Any]:
    """Top-1 of the float network, ours minus it, and how often both answer alike."""
    drawn = Resampler(range(len(logits)))
    truth = votes[:, :8].argmax(1)
    int8, full = (drawn.share(a.argmax(1) == truth) for a in (logits, exact))
    return {
        "top1": full.figure(),
        "ours_minus": (int8 - full).figure(),
        "same_answer": drawn.share(logits.argmax(1) == exact.argmax(1)).figure(),
    }


def against_names(probabilities: Float, faces: Faces) -> dict[str, Any]:
    """Against the one human label that LFW faces carry, nearly all neutral or happy."""
    rows = faces.named >= 0
    if not rows.any():
        return {}
    drawn = Resampler(faces.person[rows])
    truth, right = faces.named[rows], probabilities[rows].argmax(1) == faces.named[rows]
    return {
        "pictures": int(rows.sum()),
        "top1": drawn.share(right).figure(),
        "per_class": {
            name: drawn.share(right, truth == k).figure()
            for k, name in enumerate(EXPRESSIONS)
            if (truth == k).any()
        },
    }


def against_teacher(
    units: Float, teacher: Float, known: NDArray[np.bool_], people: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """Correlation of each action unit with the blendshapes it was taught by."""
    rows = np.flatnonzero(known)
    drawn = Resampler(rows if people is None else people[rows])
    report: dict[str, Any] = {}
    for k, name in enumerate(ACTION_UNITS):
        pairs = moments(units[rows, k], teacher[rows, k])
        report[name] = drawn.statistic(pairs, correlation).figure(3)
    return report


def monotony(infer: Infer, sweeps: Sweeps, settings: Any) -> dict[str, Any]:
    """Does each unit's output grow when that unit alone grows on a rendered face?

    Spearman's rank correlation along every sweep, averaged over people; the rise of the output
    from 0 to 1; and how far the other outputs rose on average (crosstalk).
    """
    reader = ExpressionClassifier(infer, settings)
    target = EXPRESSION_CROP.place(MEAN_SHAPE)
    outputs = []
    pairs = list(zip(sweeps.pictures, sweeps.points, strict=True))
    for picture, points in along(pairs, "rendered action units"):
        crop = cut(picture, similarity(points, target), EXPRESSION_CROP.size)
        outputs.append(reader.classify_crop(crop).action_units)
    values = np.stack(outputs)
    report: dict[str, Any] = {}
    for k, name in enumerate(ACTION_UNITS):
        ranks, rises, others = [], [], []
        people = np.unique(sweeps.person[sweeps.unit == k])
        for who in people:
            rows = np.flatnonzero((sweeps.unit == k) & (sweeps.person == who))
            rows = rows[np.argsort(sweeps.amount[rows])]
            ranks.append(spearman(sweeps.amount[rows], values[rows, k]))
            rise = values[rows[-1]] - values[rows[0]]
            rises.append(rise[k])
            others.append(np.delete(rise, k).mean())
        drawn = Resampler(people)
        report[name] = {
            "spearman": drawn.mean(ranks).figure(3),
            "rise": drawn.mean(rises).figure(3),
            "others_rise": drawn.mean(others).figure(3),
        }
    return report
