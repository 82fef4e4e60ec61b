"""From trained weights to the shipped detector: conversion, threshold, figures, manifest, card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Grey
from agent.vision.faces.detect import INPUT, letterbox
from tools.common.files import MODELS, run_folder
from tools.common.machine import instructions, machine
from tools.eval import data
from tools.eval.detector import measure
from tools.eval.detector.looks import fitted
from tools.eval.detector.published import YUNET_ABOVE, table
from tools.eval.detector.thresholds import ALONE_PER_100, choose_threshold, parameters_of
from tools.eval.shipping import Shipment, file_figures
from tools.train import convert, manifest
from tools.train.common import averaged
from tools.train.detector import sources as detector_sources
from tools.train.detector.labels import HEIGHT, OUTPUTS, WIDTH
from tools.train.detector.net import DetectorNet, ExportNet
from tools.train.detector.paint import Painter
from tools.train.detector.sources import Sources

COMMAND = "python -m tools.train detector"
RUNS = {"all": "detector", "clean": "detector-clean"}
"""Folder below `runs` by the training data."""
TRAINING_DATA: tuple[str, ...] = (
    "scenes pack, 2,643 pictures: mask crowds, a WIDER FACE validation subset, portraits, ImageNet "
    "samples, Intel clips (CC BY 4.0)",
    "UTKFace, YouTube Faces, mask portraits and SFHQ faces, pasted",
    "negatives pack, face-free ImageNet samples and haartraining pictures",
    "labels of the scenes: people; YuNet (Apache-2.0), RetinaFace (MIT), BlazeFace (Apache-2.0), "
    "CenterFace (MIT), SCRFD-2.5g (weights for non-commercial research)",
)
TERMS = "Weights trained on pictures that are for non-commercial research; see CARD.md."
NMS_ABOVE = 0.4


def calibration(sources: Sources, count: int = 300) -> list[NDArray[np.uint8]]:
    """Training pictures as the agent letterboxes them, and as many as training draws them."""
    rng = np.random.default_rng(7)
    pictures: list[NDArray[np.uint8]] = []
    for part, share in ((sources.scenes, 0.4), (sources.backgrounds, 0.1)):
        for i in rng.choice(len(part), int(count * share), replace=False):
            out: Grey = np.zeros((HEIGHT, WIDTH), np.uint8)
            letterbox(part[int(i)], out)
            pictures.append(out)
    paint = Painter(77, sources)
    return pictures + [paint()[0] for _ in range(count // 2)]


def publish(chosen: str, seed: int, models: Path = MODELS) -> None:
    """Write models/detector/{model.tflite, figures.json}, the card's figures and the manifest.

    `chosen` as in `--data`; `clean` publishes the second set's model, whose threshold is chosen on
    held-out pictures of its own sources.
    """
    which = manifest.SETS[chosen]
    saved = averaged(run_folder(RUNS[chosen]) / "checkpoint.pt")
    if chosen == "clean":
        from tools.train.clean import sources as clean

        sources, blanks = clean.detector(), clean.detector_blanks()
        training, terms = clean.DETECTOR, clean.TERMS
    else:
        sources, blanks = detector_sources.packs(), data.negatives()
        training, terms = TRAINING_DATA, TERMS
    net = DetectorNet()
    net.load_state_dict(saved["average"])
    made = convert.convert(
        ExportNet(net.eval()),
        (HEIGHT, WIDTH),
        calibration(sources),
        range(len(OUTPUTS)),
        quantile=0.999,
    )
    shipment = Shipment("detector", which, OUTPUTS, training, terms, models)
    find, exact = measure.ours(made.int8_file), measure.ours(made.float_file)
    alone = choose_threshold(measure.false_alarms(find, blanks), len(blanks), ALONE_PER_100)

    shipment.place(made)
    shipment.declare({"score_above": alone, "nms_above": NMS_ABOVE})
    thresholds = fitted(which, models)
    shipment.declare({"score_above": alone, "nms_above": NMS_ABOVE, **parameters_of(thresholds)})
    threshold = alone
    alarms, pictures = measure.false_alarms(find), len(data.negatives())
    strict = measure.ours(made.int8_file, threshold)
    yunet = measure.yunet()
    yunet_alarms = measure.false_alarms(yunet)
    figures: dict[str, Any] = {
        "command": COMMAND + manifest.OPTION[which],
        "input": list(INPUT),
        "processor": f"{machine()['name']} {instructions()}",
        "training": {"steps": saved["step"], "minutes": round(saved["spent"] / 60, 1)},
        "score_above": threshold,
        "thresholds": {"detector_alone": alone, **thresholds},
        "file": file_figures(made, 1000, 1),
        "snr_db": dict(zip(OUTPUTS, made.snr_db, strict=True)),
        "false_alarms": {
            "pictures": pictures,
            "int8": int((alarms >= threshold).sum()),
            "yunet": int((yunet_alarms >= YUNET_ABOVE).sum()),
        },
        "scenes_int8": measure.scene_figures(find, threshold),
        "scenes_float": measure.scene_figures(exact, threshold),
        "scenes_yunet": measure.scene_figures(yunet, YUNET_ABOVE),
        "face_height_over_picture_height": measure.zoomed_figures(find, threshold),
        "clips": measure.clip_figures(
            [("int8", strict), ("yunet", measure.yunet(YUNET_ABOVE))], step=3
        ),
    }
    shipment.report(figures, table(figures))
    print(table(figures))
