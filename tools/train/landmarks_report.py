"""From trained weights to the shipped landmark model: conversion, figures, card, manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from tools.train import convert, lite, manifest
from tools.train import landmarks_measure as measure
from tools.train.common import MODELS, load_checkpoint, run_folder
from tools.train.files import save_atomically, save_json
from tools.train.landmarks_data import SIZE, load_faces, load_negatives
from tools.train.landmarks_net import LandmarkNet

# Cutting the tails of the activations' ranges divides the int8 noise of still faces by four and
# costs no accuracy (checked on the valid split; 0.8 to 0.95 are alike).
QUANTILE = 0.9
BEGIN, END = "<!-- figures: written by tools/train -->", "<!-- end of figures -->"
TRAINING_DATA = (
    "UTKFace, LFW, YouTube Faces frames, web portraits, SFHQ synthetic faces: 19,730 crops",
    "points 0-16 from PFLD-GhostOne, 17-67 from MediaPipe FaceMesh v2 (Apache-2.0)",
    "no face: 966 pictures of an ImageNet sample and of haartraining negatives",
)
TERMS = "Trained on third parties' photographs for non-commercial research; weights alike."


def finish(seed: int) -> None:
    """Convert the averaged weights and write model, figures, card and manifest entry."""
    cv2.setNumThreads(1)
    path = run_folder("landmarks") / "checkpoint.pt"
    state = load_checkpoint(path)
    if state is None:
        raise SystemExit(f"There is no {path}: train first, without --convert-only.")
    net = LandmarkNet()
    net.load_state_dict(state["average"])
    made = convert.convert(
        net.eval(),
        (SIZE, SIZE),
        measure.calibration(400, seed),
        float_operations=("FULLY_CONNECTED",),
        quantile=QUANTILE,
    )
    figures = measured(made, state)
    folder = MODELS / "landmarks"
    save_atomically(folder / "model.tflite", made.int8_file)
    save_json(folder / "figures.json", figures)
    _update_card(figures)
    manifest.write(
        manifest.entry(
            "landmarks",
            folder / "model.tflite",
            ("points", "presence"),
            TRAINING_DATA,
            TERMS,
            {"presence_above": figures["presence"]["presence_above"]},
            {"points": (-0.5, 1.5), "presence": (-60.0, 60.0)},
        )
    )


def measured(
    made: convert.Converted, state: Mapping[str, Any], count: int = 1000
) -> dict[str, Any]:
    """All figures of the card, on split 1 (valid), by the int8 file unless said otherwise."""
    faces, negatives = load_faces(1), load_negatives(1)
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(len(faces.points), count, replace=False))
    sharp = rows[faces.source[rows] != 1][:40]
    int8, exact = measure.lite_net(made.int8_file), measure.lite_net(made.float_file)
    there, absent = measure.presence(int8, faces, rows, negatives)
    threshold = float(np.quantile(absent, 0.99))
    second = measure.errors(int8, faces, rows, 1.0, 2)
    return {
        "command": "python -m tools.train landmarks",
        "training": {"steps": state["step"], "minutes": round(state["seconds"] / 60, 1)},
        "faces": len(rows),
        "file": {
            "bytes": len(made.int8_file),
            "million_macs": round(lite.multiply_accumulates(made.int8_file) / 1e6, 2),
            "delegated": made.delegated,
            "one_thread": lite.LiteModel(made.int8_file).latency(2000),
            "float_one_thread": lite.LiteModel(made.float_file).latency(2000),
        },
        "error": {
            "first pass": measure.summary(measure.errors(int8, faces, rows, 1.0, 1), faces, rows),
            "second pass": measure.summary(second, faces, rows),
            "second pass, float": measure.summary(
                measure.errors(exact, faces, rows, 1.0, 2), faces, rows
            ),
            "twice the offset, first pass": measure.summary(
                measure.errors(int8, faces, rows, 2.0, 1), faces, rows
            ),
            "twice the offset, second pass": measure.summary(
                measure.errors(int8, faces, rows, 2.0, 2), faces, rows
            ),
        },
        "still_noise": {
            f"{name}, sigma {sigma}": measure.still_noise(run, faces, sharp, sigma)
            for name, run in (("int8", int8), ("float", exact))
            for sigma in (2.0, 4.0)
        },
        "presence": {
            "auc": round(measure.auc(there, absent), 4),
            "presence_above": round(1.0 / (1.0 + float(np.exp(-threshold))), 4),
            "faces_kept": round(float((there > threshold).mean()), 4),
            "negative_crops": len(absent),
        },
    }


def _update_card(figures: Mapping[str, Any]) -> None:
    """Replace what stands between the two markers of the card."""
    card = MODELS / "landmarks" / "CARD.md"
    before, begin, rest = card.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{card} must hold the lines {BEGIN!r} and {END!r}.")
    text = f"{before}{BEGIN}\n{table(figures)}\n{END}{after}"
    save_atomically(card, text.encode())


def table(figures: Mapping[str, Any]) -> str:
    """Markdown tables of the figures."""
    lines = [
        f"{figures['faces']} faces of the valid split; % of the outer eye-corner distance.",
        "",
        "| crop | all | jaw | inner 51 | inner, median face | inner over 10 % |",
        "|---|---|---|---|---|---|",
    ]
    for name, e in figures["error"].items():
        lines.append(
            f"| {name} | {e['all']} | {e['jaw']} | {e['inner']} | {e['inner_median']} "
            f"| {e['inner_over_10']} % of faces |"
        )
    best = figures["error"]["second pass"]
    for title, key in (("source", "source"), ("part", "part"), ("yaw, degrees", "yaw")):
        cells = best[f"inner_by_{key}"]
        lines += ["", f"| inner, second pass, by {title} | " + " | ".join(cells) + " |"]
        lines += ["|---" * (len(cells) + 1) + "|"]
        lines += ["| | " + " | ".join(str(v) for v in cells.values()) + " |"]
    lines += ["", "| still face 100 px wide, noise in grey levels | raw | similarity taken out |"]
    lines += ["|---|---|---|"]
    lines += [f"| {k} | {v['raw']} | {v['aligned']} |" for k, v in figures["still_noise"].items()]
    file, seen = figures["file"], figures["presence"]
    lines += [
        "",
        f"Presence: AUC {seen['auc']}; above {seen['presence_above']} pass 1 % of "
        f"{seen['negative_crops']} face-free crops and {seen['faces_kept']:.1%} of faces.",
        "",
        f"File: {file['bytes']:,} bytes, {file['million_macs']} million MACs, "
        f"{file['delegated']:.0%} of the nodes in XNNPACK; one thread of a shared x86 machine: "
        f"int8 {file['one_thread']['min_ms']:.2f} ms, float "
        f"{file['float_one_thread']['min_ms']:.2f} ms (minimum of 2,000).",
    ]
    return "\n".join(lines)
