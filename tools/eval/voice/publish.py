"""From trained weights to the shipped tone of voice: conversion, calibration, figures, manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.base.types import TONES, Float
from agent.inference.manifest import load_manifest
from agent.voice.listener import Listener
from agent.voice.tone import PROSODY, SPECTRUM, coded, joint
from tools.common.errors import ToolError
from tools.common.files import MODELS, run_folder, save_atomically, save_json
from tools.common.progress import along
from tools.eval import card
from tools.eval.shipping import file_figures
from tools.eval.voice import calibrate
from tools.eval.voice.figures import valid_figures
from tools.eval.voice.read import heard
from tools.eval.voice.tables import published
from tools.train import convert, manifest
from tools.train.voice import loop
from tools.train.voice.corpora import CORPORA, Utterance, held_back
from tools.train.voice.material import Material
from tools.train.voice.net import SHIPPED, Merged, ShippedSpectrum

COMMAND = "python -m tools.train voice"
TRAINING_DATA = (
    "RAVDESS speech, actors 01-16, 960 utterances | Livingstone & Russo 2018 | CC BY-NC-SA 4.0",
    "EmoDB, 6 speakers, 312 utterances | Burkhardt et al. 2005 | openly downloadable, no licence",
    "ASED (Amharic), 57 speakers, 2,269 utterances | wgwangang/ASED_V1 | no terms stated",
    "rooms, noises and microphones of tools/train/voice/room.py | our own",
)
TERMS = "Weights trained on acted speech for non-commercial research; see CARD.md."
OUTPUTS = ("tone", "circumplex")
BUDGET = 200_000
"""Bytes of both files."""


def publish(chosen: str, seed: int, models: Path = MODELS) -> None:
    """Write models/tone/{spectrum,prosody}.tflite, figures.json, the card's figures and the
    manifest's entries. There is no clean set of it."""
    if chosen != "all":
        raise ToolError("The clean set has no tone of voice: no speech with labels is free.")
    found, material = loop.training_part()
    corpus = loop.corpus_of(found, material)
    held = held_back(found)
    out = np.array([one.speaker in held for one in found])[material.source]
    out &= corpus != CORPORA.index("ased")
    weights, unsure_below, calibration = _calibration(material.rows(out), corpus[out])
    made, steps, quantiles = _converted(material)
    names = {SPECTRUM: "spectrum", PROSODY: "prosody"}
    size = sum(len(each.int8_file) for each in made.values())
    if size > BUDGET:
        raise ToolError(f"The two files have {size} bytes; {BUDGET} are allowed.")
    parameters: dict[str, manifest.Number] = {
        "weights": [round(float(value), 4) for value in weights.ravel()],
        "unsure_below": unsure_below,
        "quantiles": [float(f"{value:.5g}") for value in quantiles.ravel()],
        "spectrum": [round(float(value), 3) for value in mean_spectrum(found)],
    }
    for name, file in names.items():
        path = models / "tone" / f"{file}.tflite"
        save_atomically(path, made[name].int8_file)
        save_atomically(run_folder("voice") / f"{file}-float.tflite", made[name].float_file)
        table = manifest.entry(
            name, path, OUTPUTS, TRAINING_DATA, TERMS,
            parameters if name == PROSODY else {}, models=models, optional=True,
        )  # fmt: skip
        manifest.write(table, models)
    figures = {
        "command": COMMAND,
        "training": {"spectrum_steps": steps, "prosody_steps": loop.STEPS},
        "files": {file: file_figures(made[name], 2000) for name, file in names.items()},
        "snr_db": {file: made[name].snr_db for name, file in names.items()},
        "calibration": calibration,
        "valid": valid_figures(Listener(load_manifest(models))),
    }
    save_json(models / "tone" / "figures.json", figures)
    card.update_published(models / "tone" / "CARD.md", published(figures))


def mean_spectrum(found: Sequence[Utterance]) -> Float:
    """float32[26], log power of mean 0: of speech in the studios of RAVDESS and EmoDB."""
    shapes = []
    for one in along([one for one in found if one.corpus != "ased"], "mean spectrum"):
        frames, spoken = heard(one.samples)
        bands = frames.bands[spoken]
        shapes.append(bands - bands.mean(0).mean())
    return np.asarray(np.concatenate(shapes).mean(0), np.float32)


def _calibration(
    material: Material, corpus: NDArray[np.int64]
) -> tuple[Float, float, dict[str, Any]]:
    """Fitted with the networks that never heard these speakers."""
    prosody, quantiles = loop.open_prosody("held")
    spectrum, _ = loop.open_spectrum("held")
    logits = np.stack(
        [
            _answers(ShippedSpectrum(spectrum), material.pictures[:, None]),
            _answers(
                Merged(prosody),
                np.stack([coded(row, quantiles) for row in material.values])[:, None, None],
            ),
        ]
    )
    weight = np.where(material.copy == 0, 1.0, 0.05)
    for index in np.unique(corpus):
        weight[corpus == index] /= weight[corpus == index].sum()
    weights = calibrate.fit(logits, material.tone, material.high, material.valence, weight)
    alone = [joint(logits, np.eye(2, dtype=np.float32)[:, [k]].repeat(3, 1)) for k in (0, 1)]
    both = joint(logits, weights)
    clean = material.copy == 0
    unsure_below = calibrate.threshold(
        calibrate.shares(both[clean, : len(TONES)]), material.tone[clean]
    )
    report: dict[str, Any] = {
        "weights": weights.round(4).tolist(),
        "unsure_below": unsure_below,
        "uar_held_back": {},
    }
    for index in np.unique(corpus):
        here = clean & (corpus == index)
        answers = {"spectrum": alone[0], "prosody": alone[1], "joined": both}
        report["uar_held_back"][CORPORA[index]] = {
            name: {
                "arousal": _uar(each[here, 4] > 0, material.high[here]),
                "tone": _uar(each[here, :4].argmax(1), material.tone[here]),
            }
            for name, each in answers.items()
        }
    return weights, unsure_below, report


def _uar(answer: NDArray[Any], truth: NDArray[np.int64]) -> float:
    kinds = [kind for kind in np.unique(truth) if kind >= 0]
    return round(float(np.mean([(answer[truth == kind] == kind).mean() for kind in kinds])), 4)


def _answers(net: torch.nn.Module, pictures: NDArray[np.uint8]) -> Float:
    """float32[N, 6] of uint8[N, 1, H, W]."""
    net.eval()
    out = []
    with torch.no_grad():
        for part in np.array_split(pictures, max(len(pictures) // 128, 1)):
            out.append(torch.cat(net(torch.from_numpy(part.astype(np.float32) / 255.0)), 1).numpy())
    logits = np.concatenate(out)
    assert logits.shape[1] == SHIPPED
    return np.asarray(logits, np.float32)


def _converted(material: Material) -> tuple[dict[str, convert.Converted], int, Float]:
    """Both networks as they are shipped, steps of the first, quantiles of the second."""
    prosody, quantiles = loop.open_prosody("all")
    spectrum, steps = loop.open_spectrum("all")
    some = np.arange(0, len(material.copy), max(len(material.copy) // 500, 1))
    made = {
        SPECTRUM: convert.convert(
            ShippedSpectrum(spectrum), material.pictures.shape[1:], list(material.pictures[some])
        ),
        PROSODY: convert.convert(
            Merged(prosody),
            (1, material.values.shape[1]),
            [coded(row, quantiles)[None] for row in material.values[some]],
        ),
    }
    return made, steps, quantiles
