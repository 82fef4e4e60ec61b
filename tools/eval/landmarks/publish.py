"""From trained weights to the shipped landmark model: conversion, figures, card, manifest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from tools.common.files import MODELS, run_folder
from tools.eval.landmarks import distances, measure
from tools.eval.landmarks.expected_error import judged, trust
from tools.eval.shipping import Shipment, file_figures
from tools.train import convert, lite, manifest, start
from tools.train.common import averaged
from tools.train.landmarks.data import SIZE, Faces, Sources, packs
from tools.train.landmarks.net import ExportNet, LandmarkNet

# Cutting the tails of the activations' ranges divides the int8 noise of still faces by four and
# costs no accuracy (checked on the valid split; 0.8 to 0.95 are alike).
QUANTILE = 0.9
EXACT_DB = 60.0
"""The least ratio of signal to difference at which rounding alone explains the difference."""
AS_TRAINED_CROPS = 200
SINGLE = "second pass, against a single teacher"
TEACHERS = "the labels themselves, against a single teacher"


def publish(chosen: str, seed: int, models: Path = MODELS) -> None:
    """Convert the averaged weights and write model, figures, card and manifest entry.

    `chosen` as in `--data`; sets other than the first have folders of their own.
    """
    cv2.setNumThreads(1)
    run, which, sources = "landmarks", manifest.SETS[chosen], packs
    if chosen == "clean":
        from tools.train.clean import sources as clean

        run, sources = "landmarks-clean", clean.landmarks
    state = averaged(run_folder(run) / "checkpoint.pt")
    finish(sources(), state, which, seed, models)


def finish(sources: Sources, state: Mapping[str, Any], which: str, seed: int, models: Path) -> None:
    """From the checkpoint's content; `which`: the set that the model belongs to."""
    net = LandmarkNet()
    net.load_state_dict(state["average"])
    scale = correct_spread(net, sources.chosen_faces or sources.valid_faces)
    faces, negatives = sources.faces, sources.negatives
    made = convert.convert(
        ExportNet(net).eval(),
        (SIZE, SIZE),
        measure.calibration(faces, negatives, 400, seed),
        float_operations=("FULLY_CONNECTED",),
        quantile=QUANTILE,
    )
    figures = measured(made, state, sources) | {
        "spread_corrected_by": scale,
        "as_trained": as_trained(
            net, made, measure.calibration(faces, negatives, AS_TRAINED_CROPS, seed + 1)
        ),
    }
    figures["command"] += manifest.OPTION[which]
    shipment = Shipment(
        "landmarks",
        which,
        ("points", "presence", "spread"),
        sources.description,
        sources.terms,
        models,
        {"points": (-0.5, 1.5), "presence": (-60.0, 60.0), "spread": (-8.0, 2.0)},
    )
    shipment.place(made)
    shipment.report(figures, table(figures))
    shipment.declare({"presence_above": figures["presence"]["presence_above"]})


def as_trained(
    net: LandmarkNet, made: convert.Converted, crops: list[Grey]
) -> dict[str, tuple[float, ...]]:
    """Signal-to-noise ratio per output, dB, of both files against the network that was trained.

    The network folds pixels in another order of operations than what is exported. Raises
    ValueError where the float file answers otherwise than the network.
    """
    found = {
        "float": start.compare(net, made.float_file, crops),
        "int8": start.compare(net, made.int8_file, crops),
    }
    if min(found["float"]) < EXACT_DB:
        raise ValueError(f"The float file does not answer as the trained network: {found} dB.")
    return found


def correct_spread(net: LandmarkNet, faces: Faces, count: int = 600) -> float:
    """Scale the expected distances so that they are right on average; the factor, changed in place.

    Training crops are spoiled more than what a camera gives, so what the network learnt there is
    not the error of everyday crops.
    """
    rows = _some(faces, count, 7)
    found, expected = judged(_torch_net(net), faces, rows, _tracked)
    factor = float(np.nanmean(found) / np.nanmean(expected))
    with torch.no_grad():
        net.spread[2].bias += math.log(factor)
    return round(factor, 3)


def _torch_net(net: LandmarkNet) -> measure.Net:
    net = net.eval()

    def run(crop: Grey) -> measure.Answer:
        with torch.no_grad():
            points, logit, spread = net(torch.from_numpy(crop).float()[None, None] / 255.0)
        return measure.Answer(
            points.numpy().reshape(68, 2) * np.float32(SIZE),
            float(logit[0, 0]),
            np.exp(spread[0].numpy()),
        )

    return run


def _some(faces: Faces, count: int, seed: int) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(faces.points), min(count, len(faces.points)), replace=False)
    return np.sort(rows)


def _tracked(rng: np.random.Generator) -> Float:
    """A crop about as well placed as the frame before lets it be."""
    return measure.detection_offset(rng, 0.33)


def _twice(rng: np.random.Generator) -> Float:
    return measure.detection_offset(rng, 2.0)


def measured(
    made: convert.Converted, state: Mapping[str, Any], sources: Sources, count: int = 1000
) -> dict[str, Any]:
    """All figures of the card, on the valid faces, by the int8 file unless said otherwise."""
    faces = sources.valid_faces
    rows = _some(faces, count, 0)
    pictures = [faces.pictures[i] for i in rows]
    points, seen = faces.points[rows], faces.weight[rows] > 0
    # small pictures enlarged to the measured size would have less detail than a camera's
    sharp = [k for k in range(len(rows)) if distances.iod(points[k]) > 45][:40]
    int8, exact = measure.lite_net(made.int8_file), measure.lite_net(made.float_file)
    follow, follow_exact = measure.follower(int8), measure.follower(exact)
    there, absent = measure.presence(int8, faces, rows, sources.valid_negatives)
    threshold = _presence_threshold(int8, sources, absent)

    def error(
        way: measure.Follow, offset: measure.Offset, passes: int, labels: Float = points
    ) -> dict[str, Any]:
        found = measure.errors(measure.repeated(way, passes), pictures, labels, seen, offset)
        return measure.summary(found, faces, rows)

    single = {}
    if faces.first is not None:
        first = faces.first[rows]
        single[SINGLE] = error(follow, measure.detection_offset, 2, first)
        single[TEACHERS] = measure.summary(distances.errors(points, first, seen), faces, rows)

    return {
        "command": "python -m tools.train landmarks",
        "training": {"steps": state["step"], "minutes": round(state["spent"] / 60, 1)},
        "faces": len(rows),
        "file": {
            **file_figures(made, 2000),
            "float_one_thread": lite.LiteModel(made.float_file).latency(2000),
        },
        "error": {
            "first pass": error(follow, measure.detection_offset, 1),
            "second pass": error(follow, measure.detection_offset, 2),
            "second pass, float": error(follow_exact, measure.detection_offset, 2),
            "twice the offset, first pass": error(follow, _twice, 1),
            "twice the offset, second pass": error(follow, _twice, 2),
            **single,
        },
        "crop": measure.crop_curves(follow, pictures[::4], points[::4], seen[::4]),
        "still_noise": {
            f"{name}, sigma {sigma:g}": measure.still_noise(
                way, [pictures[k] for k in sharp], points[sharp], sigma
            )
            for name, way in (("int8", follow), ("float", follow_exact))
            for sigma in (2.0, 4.0)
        },
        "spread": trust(*judged(int8, faces, rows, _tracked)),
        "presence": {
            "auc": round(measure.auc(there, absent), 4),
            "presence_above": round(1.0 / (1.0 + float(np.exp(-threshold))), 4),
            "negatives_passed": round(float((absent > threshold).mean()), 4),
            "faces_kept": round(float((there > threshold).mean()), 4),
            "negative_crops": len(absent),
        },
    }


def _presence_threshold(net: measure.Net, sources: Sources, absent: NDArray[Any]) -> float:
    """Logit that 1 % of the face-free crops pass that thresholds are chosen on."""
    if sources.chosen_faces is not None and sources.chosen_negatives is not None:
        faces, negatives = sources.chosen_faces, sources.chosen_negatives
        absent = measure.presence(net, faces, _some(faces, 20, 0), negatives)[1]
    return float(np.quantile(absent, 0.99))


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
    tables = [
        (f"inner, second pass, by {title}", figures["error"]["second pass"][f"inner_by_{key}"])
        for title, key in (("source", "source"), ("part", "part"), ("yaw, degrees", "yaw"))
    ]
    tables += [
        (f"inner, first pass, by {title}", figures["crop"][key])
        for title, key in (
            ("shift, share of the crop's width", "shift"), ("zoom", "zoom"),
            ("turn, degrees", "turn"),
        )
    ]  # fmt: skip
    for title, cells in tables:
        lines += ["", f"| {title} | " + " | ".join(cells) + " |"]
        lines += ["|---" * (len(cells) + 1) + "|"]
        lines += ["| | " + " | ".join(str(v) for v in cells.values()) + " |"]
    lines += ["", "| still face 100 px wide, noise in grey levels | raw | similarity taken out |"]
    lines += ["|---|---|---|"]
    lines += [f"| {k} | {v['raw']} | {v['aligned']} |" for k, v in figures["still_noise"].items()]
    lines += ["", *_spread_table(figures["spread"])]
    file, seen = figures["file"], figures["presence"]
    exact, coarse = figures["as_trained"]["float"], figures["as_trained"]["int8"]
    lines += [
        "",
        f"Against the network that was trained, signal over difference on {AS_TRAINED_CROPS} "
        f"training crops: float file {min(exact):.0f} dB and more; int8 file {coarse[0]:.0f} dB "
        f"(points), {coarse[1]:.0f} dB (presence), {coarse[2]:.0f} dB (spread).",
    ]
    lines += [
        "",
        f"Presence: AUC {seen['auc']}; above {seen['presence_above']} pass "
        f"{seen['negatives_passed']:.1%} of {seen['negative_crops']} face-free crops and "
        f"{seen['faces_kept']:.1%} of faces.",
        "",
        f"File: {file['bytes']:,} bytes, {file['million_macs']} million MACs, "
        f"{file['delegated']:.0%} of the nodes in XNNPACK; one thread of a shared x86 machine: "
        f"int8 {file['one_thread']['min_ms']:.2f} ms, float "
        f"{file['float_one_thread']['min_ms']:.2f} ms (minimum of 2,000).",
    ]
    return "\n".join(lines)


def _spread_table(spread: Mapping[str, Any]) -> list[str]:
    tenths, within = spread["by_tenth"], spread["within"]
    rank = ", ".join(f"{v} ({k})" for k, v in spread["rank_correlation"].items())
    return [
        "| tenth of the points, surest first | " + " | ".join(map(str, range(1, 11))) + " |",
        "|---" * 11 + "|",
        "| expected | " + " | ".join(str(t["expected"]) for t in tenths) + " |",
        "| found | " + " | ".join(str(t["found"]) for t in tenths) + " |",
        "",
        f"Rank correlation of expected and found distance: {rank}. "
        + "; ".join(
            f"{v['found']:.1%} of the points are nearer than {k[:-1]} x expected "
            f"({v['implied']:.1%} if Laplacian)"
            for k, v in within.items()
        )
        + ".",
    ]
