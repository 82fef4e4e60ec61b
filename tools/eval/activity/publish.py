"""From a checkpoint to the shipped network: int8, thresholds, figures, card, manifest entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.voice.activity import ROWS, STEP, hysteresis
from tools.common.files import MODELS, run_folder
from tools.common.tables import markdown
from tools.eval.shipping import Shipment, file_figures
from tools.train import convert, lite, manifest
from tools.train.activity import loop
from tools.train.activity.material import Material
from tools.train.activity.net import SIZE, ActivityNet
from tools.train.clean import origins
from tools.train.common import averaged

COMMAND = "python -m tools.train activity"
TRAINING_DATA = (
    "RAVDESS speech, 16 speakers (CC BY-NC-SA 4.0), EmoDB, 6 speakers (no licence stated), ASED, "
    "57 speakers (no licence stated): utterances joined to streams with pauses",
    "what eSpeak NG and Flite say of our own words (the clean set's speech)",
    "rooms, microphones and noises made by tools.train (ours)",
    "labels: known by construction, and Silero VAD (MIT)",
)
TERMS = "Weights trained on speech that is for non-commercial research; see CARD.md."
CLEAN_TERMS = "Trained only on sources whose terms allow any use; see CARD.md."
CALIBRATION = 400
"""Windows to quantise with."""
SLACK = 0.25
"""Onset over offset, as a difference of probabilities."""


def publish(chosen: str, seed: int, models: Path = MODELS) -> None:
    """Write the set's model.tflite, figures.json, the card's figures and the manifest entry.
    Thresholds are chosen on streams of speakers that training did not hear."""
    which = manifest.SETS[chosen]
    saved = averaged(run_folder(loop.RUNS[chosen]) / "checkpoint.pt")
    net = ActivityNet()
    net.load_state_dict(saved["average"])
    valid = loop.part("valid", chosen)
    made = convert.convert(net, SIZE, windows(loop.known(chosen), seed))
    scores = answers(made.int8_file, valid)
    asked = np.isfinite(scores)
    probabilities = (1 / (1 + np.exp(-scores[asked]))).astype(np.float32)
    known = valid.spoken[asked] > 0.5
    heard = valid.heard[asked]
    thresholds = choose(probabilities, known)
    exact = loop.predict(net, valid)
    figures: dict[str, Any] = {
        "command": COMMAND + manifest.OPTION[which],
        "split": f"{loop.STREAMS['valid']} streams of speakers that training did not hear, noises "
        "of the kinds of training, -10 to 30 dB",
        "steps": int(saved["step"]),
        "file": file_figures(made, 2000),
        "parameters": sum(each.numel() for each in net.parameters()),
        "snr_db": made.snr_db[0],
        "auc": round(loop.auc(scores[asked], known), 4),
        "auc_float": round(loop.auc(exact[exact != 0], valid.spoken[exact != 0] > 0.5), 4),
        "auc_silero": round(loop.auc(heard, known), 4),
        **thresholds,
    }
    clean = which == manifest.SETS["clean"]
    shipment = Shipment(
        "activity",
        which,
        ("speech",),
        origins.lines(origins.OF["activity"]) if clean else TRAINING_DATA,
        CLEAN_TERMS if clean else TERMS,
        models,
    )
    shipment.place(made)
    shipment.report(figures, table(figures))
    shipment.declare({key: thresholds[key] for key in ("onset", "offset")})
    print(table(figures))


def windows(of: Material, seed: int) -> list[NDArray[np.uint8]]:
    """Pictures uint8[177, 52] out of the training streams."""
    rng = np.random.default_rng(seed)
    starts = rng.choice(loop.places(of), CALIBRATION)
    return [np.ascontiguousarray(of.rows[start : start + ROWS]) for start in starts]


def answers(file: bytes, of: Material) -> Float:
    """Logits float32[R] of the int8 file, 16 frames at a time; NaN where none was asked for."""
    model = lite.LiteModel(file)
    out = np.full(len(of.rows), np.nan, np.float32)
    begins = np.flatnonzero(np.diff(of.known.astype(np.int8), prepend=1) < 0)
    ends = np.append(begins[1:], len(of.rows))
    for begin, end in zip(begins, ends, strict=True):
        for stop in range(begin + ROWS + STEP, end + 1, STEP):
            out[stop - STEP : stop] = model(of.rows[stop - ROWS : stop])[0][0]
    return out


def choose(probabilities: Float, known: NDArray[np.bool_]) -> dict[str, float]:
    """Onset and offset where hits and correct rejections have the largest sum (Youden 1950), the
    offset `SLACK` below; with the shares of speech found and of other frames taken for speech."""
    best: dict[str, float] = {}
    most = -1.0
    for onset in np.arange(0.3, 0.95, 0.025):
        offset = max(float(onset) - SLACK, 0.05)
        said = hysteresis(probabilities, float(onset), offset, False)
        hit, false = float(said[known].mean()), float(said[~known].mean())
        if hit - false > most:
            most = hit - false
            best = {
                "onset": round(float(onset), 3),
                "offset": round(offset, 3),
                "hit": round(hit, 4),
                "false": round(false, 4),
            }
    return best


def table(figures: dict[str, Any]) -> str:
    """The card's figures."""
    file = figures["file"]
    return markdown(
        ("figure", "value"),
        [
            ("measured on", figures["split"]),
            ("AUC, int8", f"{figures['auc']:.3f}"),
            ("AUC, float", f"{figures['auc_float']:.3f}"),
            ("AUC, Silero", f"{figures['auc_silero']:.3f}"),
            (
                f"onset {figures['onset']:g}, offset {figures['offset']:g}",
                f"{figures['hit']:.1%} of speech found, {figures['false']:.1%} of the rest taken "
                "for speech",
            ),
            (
                "size, work",
                f"{file['bytes']:,} bytes, {figures['parameters']:,} parameters, "
                f"{file['million_macs']} M multiply-accumulates, {file['delegated']:.0%} of the "
                "nodes in XNNPACK",
            ),
            ("one run, one thread", f"{file['one_thread']['min_ms']:.3f} ms at least"),
        ],
    )
