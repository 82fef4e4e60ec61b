"""From trained weights to the shipped model: conversion, calibration, figures, manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.base.types import EXPRESSIONS
from agent.vision.faces.align import EXPRESSION_CROP
from tools.common.files import MODELS, run_folder
from tools.eval.expression import balance
from tools.eval.expression.metrics import (
    accuracy,
    choose_threshold,
    expected_calibration_error,
    fit_temperature,
    kept,
    rounded,
    softmax,
    units_against_teacher,
)
from tools.eval.expression.training_card import table
from tools.eval.shipping import Shipment, file_figures
from tools.train import convert, lite, manifest
from tools.train.common import averaged
from tools.train.expression import data as expression_data
from tools.train.expression.data import BATCH, MARGIN, SIZE, Faces
from tools.train.expression.loop import predict
from tools.train.expression.net import SHIPPED, ExpressionNet

if TYPE_CHECKING:
    from tools.train.clean.expression import Material

COMMAND = "python -m tools.train expression"
RUNS = {"all": "expression", "clean": "expression-clean"}
"""Folder below `runs` by the training data."""
TRAINING_DATA = (
    "FER+ votes (MIT) on FER2013 pictures, train part, 26,471 pictures",
    "UTKFace, LFW, YouTube Faces, mask portraits and SFHQ faces, 19,730 crops",
    "action units: blendshapes of MediaPipe FaceLandmarker (Apache-2.0) on both; further units, in "
    "training only: OpenFace 0.2's intensity regressors (academic use) on the crops",
    "a teacher that began as dlib's face recognition network (CC0), trained on the same pictures",
)
TERMS = "Weights trained on pictures that are for non-commercial research; see CARD.md."
CIRCUMPLEX = {
    "neutral": (0.0, 0.0),
    "happiness": (0.81, 0.51),
    "surprise": (0.40, 0.67),
    "sadness": (-0.63, -0.27),
    "anger": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "contempt": (-0.57, 0.65),
}
"""Valence and arousal that people give to each word, in [-1, 1]; nothing measured on faces.

Mean ratings of Russell & Mehrabian 1977 (J. Research in Personality 11, 273-294) for happy,
surprised, sad, angry, disgusted and fearful; contemptuous from Scherer's semantic space (2005,
Social Science Information 44, 695-729, figure 1). Neutral is the origin by definition.
"""


def publish(chosen: str, seed: int, models: Path = MODELS) -> None:
    """Write models/expression/{model.tflite, figures.json}, the card's figures and the manifest.

    `chosen` as in `--data`. Everything that is chosen on data (temperature, threshold) is chosen on
    the FER+ valid split; for the clean set, on its held-out faces, and the rest is only measured.
    """
    which, material = manifest.SETS[chosen], None
    if chosen == "clean":
        from tools.train.clean import expression as clean_expression

        material = clean_expression.material()
    saved = averaged(run_folder(RUNS[chosen]) / "checkpoint.pt")
    others = saved["average"].get("other_units.bias", ())
    net = ExpressionNet(SHIPPED[which], other_units=len(others))
    net.load_state_dict(saved["average"])
    steps = int(saved["step"])
    valid, votes = expression_data.ferplus(1)
    photographs = expression_data.aligned(1)
    calibration, passes = _calibration(material, photographs, steps)
    curve: list[dict[str, float]] = []
    strength = 0.0
    if material is None:
        curve, strength = rebalance(net, valid, votes)
    else:
        with torch.no_grad():
            net.logits.bias += torch.from_numpy(material.shift)
    made = convert.convert(net, (SIZE, SIZE), calibration)
    logits, units = run(made.int8_file, valid.pictures)
    exact, _ = run(made.float_file, valid.pictures)
    truth = votes[:, :8].argmax(1)
    known, named = logits, truth
    if material is not None:
        known, _ = run(made.int8_file, material.chosen.pictures)
        named = material.chosen.classes.argmax(1)
    temperature = fit_temperature(known, named)
    threshold = choose_threshold(softmax(known / temperature), named)
    sure = softmax(logits / temperature)
    figures = {
        "command": COMMAND + manifest.OPTION[which],
        "split": "FER+ valid: majority of the eight classes; unknown and not-a-face left out",
        "training": {"steps": steps, "passes": rounded(passes)},
        "file": file_figures(made, 2000),
        "network": {
            "parameters": sum(p.numel() for n, p in net.named_parameters() if "other" not in n),
            **net.layout._asdict(),
        },
        "int8": accuracy(logits, votes),
        "balance": {"strength": strength, "rare": list(balance.RARE), "curve": curve},
        "float": accuracy(exact, votes)["top1"],
        "int8_agrees_with_float": rounded((logits.argmax(1) == exact.argmax(1)).mean()),
        "snr_db": {"logits": made.snr_db[0], "action_units": made.snr_db[1]},
        "calibration": {
            "temperature": temperature,
            "ece_before": expected_calibration_error(softmax(logits), truth),
            "ece_crossfit": (
                expected_calibration_error(sure, truth)
                if material
                else _crossfit_error(logits, truth)
            ),
            "fitted_on": material.held_out if material else "the other half",
            "unsure_below": threshold,
            **kept(sure, truth, threshold),
        },
        "action_units_ferplus": _units(units, valid),
    }
    photo_logits, photo_units = run(made.int8_file, _inner(photographs.pictures))
    figures["action_units_photographs"] = _units(photo_units, photographs)
    figures["lfw_human_labels"] = _named(photo_logits, photographs)
    shipment = Shipment(
        "expression",
        which,
        ("logits", "action_units"),
        material.description if material else TRAINING_DATA,
        material.terms if material else TERMS,
        models,
    )
    shipment.place(made)
    shipment.report(figures, table(figures))
    shipment.declare(
        {
            "temperature": temperature,
            "unsure_below": threshold,
            "crop_iod": EXPRESSION_CROP.iod,
            "crop_centre_y": EXPRESSION_CROP.centre_y,
            "valence": [CIRCUMPLEX[name][0] for name in EXPRESSIONS],
            "arousal": [CIRCUMPLEX[name][1] for name in EXPRESSIONS],
        }
    )
    print(summary(figures))


def rebalance(
    net: ExpressionNet, valid: Faces, votes: NDArray[np.uint8]
) -> tuple[list[dict[str, float]], float]:
    """Add to the last bias what rare classes are due; the trade-off on `valid`, and the strength.

    The shares are those of the targets that the network was trained on.
    """
    shares = expression_data.soften(expression_data.votes_of(0)).mean(0)
    logits, _ = predict(net.eval(), valid.pictures, torch.device("cpu"))
    truth = votes[:, :8].argmax(1)
    temperature = fit_temperature(logits, truth)
    curve = balance.trade_off(logits / temperature, truth, shares)
    strength = balance.choose(curve)
    with torch.no_grad():
        change = temperature * balance.adjustment(shares, strength)
        net.logits.bias += torch.from_numpy(change.astype(np.float32))
    return curve, strength


def _calibration(
    material: Material | None, photographs: Faces, steps: int
) -> tuple[list[NDArray[np.uint8]], float]:
    """Pictures to quantise with, and how often training passed over the labelled ones."""
    sample = np.random.default_rng(1)
    if material is None:
        train, _ = expression_data.ferplus(0)
        pictures = [
            *train.pictures[sample.choice(len(train), 400, replace=False)],
            *_inner(photographs.pictures[sample.choice(len(photographs), 100, replace=False)]),
        ]
        return pictures, steps * BATCH[0] / len(train)
    batch = sum(each for _, each in material.parts)
    pictures = [
        picture
        for faces, each in material.parts
        for picture in _inner(
            faces.pictures[sample.choice(len(faces), 500 * each // batch, replace=False)]
        )
    ]
    return pictures, steps * batch / sum(len(faces) for faces, _ in material.parts)


def run(
    file: bytes, pictures: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits float32[N, 8] and units float32[N, 12], clipped to [0, 1], through LiteRT."""
    model = lite.LiteModel(file)
    answers = [model(picture) for picture in pictures]
    logits = np.concatenate([a for a, _ in answers])
    return logits, np.clip(np.concatenate([b for _, b in answers]), 0.0, 1.0)


def summary(figures: dict[str, Any]) -> str:
    """The figures in a few lines."""
    int8, file, sure = figures["int8"], figures["file"], figures["calibration"]
    weak = [unit for unit, row in figures["action_units_photographs"].items() if row["weak"]]
    return "\n".join(
        [
            f"top-1 {int8['top1']:.3f} int8, {figures['float']:.3f} float, on {int8['pictures']}; "
            f"clear majorities {int8['clear_top1']:.3f} on {int8['clear_pictures']}",
            f"temperature {sure['temperature']}: calibration error {sure['ece_before']} -> "
            f"{sure['ece_crossfit']}; unsure below {sure['unsure_below']}: "
            f"{sure['kept']:.0%} kept, {sure['kept_accuracy']:.3f} of them right",
            f"{file['bytes']} bytes, {file['million_macs']} MMAC, {file['one_thread']['min_ms']} "
            f"ms, {file['delegated']:.0%} delegated; weak units: {', '.join(weak) or 'none'}",
        ]
    )


def _named(logits: NDArray[np.float32], faces: Faces) -> dict[str, Any]:
    """Accuracy on the aligned LFW faces of the valid part, which carry one human label each."""
    rows = faces.class_weight > 0
    truth, said = faces.classes[rows].argmax(1), logits[rows].argmax(1)
    return {
        "pictures": int(rows.sum()),
        "top1": rounded((said == truth).mean()),
        "per_class": {
            name: {
                "pictures": int((truth == k).sum()),
                "recall": rounded((said[truth == k] == k).mean()),
            }
            for k, name in enumerate(EXPRESSIONS)
            if (truth == k).any()
        },
    }


def _inner(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Aligned crops without their margin, contiguous."""
    return np.ascontiguousarray(pictures[:, MARGIN:-MARGIN, MARGIN:-MARGIN])


def _units(units: NDArray[np.float32], faces: Faces) -> dict[str, dict[str, float | bool]]:
    rows = faces.unit_weight > 0
    return units_against_teacher(units[rows], faces.units[rows])


def _crossfit_error(logits: NDArray[np.float32], truth: NDArray[Any]) -> float:
    """Calibration error of each half at the temperature fitted on the other, averaged."""
    halves = np.arange(len(truth)) % 2
    errors = []
    for half in (0, 1):
        temperature = fit_temperature(logits[halves != half], truth[halves != half])
        rows = halves == half
        errors.append(expected_calibration_error(softmax(logits[rows] / temperature), truth[rows]))
    return rounded(np.mean(errors))
