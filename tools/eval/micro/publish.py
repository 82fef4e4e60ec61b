"""Publish the spotter's weights: measured on `TUNE_SEEDS`, manifest table, `figures.json`.

On `TUNE_SEEDS`: the reported figures come from `tools.bench micro` on seeds of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.base.config import MicroConfig
from agent.base.types import MicroExpression
from agent.vision.micro.network import NetworkState, SpotterNetwork
from agent.vision.micro.spotter import MicroSpotter
from agent.vision.micro.stream import INPUTS
from tools.common.errors import ToolError
from tools.common.files import MODELS, npz, run_folder, save_atomically, save_json
from tools.common.progress import along
from tools.micro.generator_config import TUNE_SEEDS
from tools.micro.score import pooled, score
from tools.micro.tracks import Track, make
from tools.train import manifest
from tools.train.common import averaged
from tools.train.micro.net import MicroNet

TRACKS = 30
"""Minutes per condition."""


def publish(chosen: str, seed: int, models: Path = MODELS) -> None:
    """Write the weights in half precision, with what they reach."""
    saved = averaged(run_folder("micro") / "checkpoint.pt")
    net = MicroNet()
    net.load_state_dict(saved["average"])
    check_parity(net)
    halves: dict[str, Any] = {
        name: array.astype(np.float16) if array.dtype == np.float32 else array
        for name, array in net.arrays().items()
    }
    content = npz(halves)
    network = SpotterNetwork.load(content)
    figures = measure(network)
    folder = models / "micro"
    folder.mkdir(exist_ok=True)
    save_atomically(folder / "weights.npz", content)
    save_json(
        folder / "figures.json", {"steps": int(saved["step"]), "bytes": len(content)} | figures
    )
    manifest.write_weights(
        "micro",
        folder / "weights.npz",
        [str(saved["data"])],
        "Trained on synthetic movements; see CARD.md.",
        {"false_alarms_per_minute": figures["false_alarms_per_minute"]},
        models,
    )


def check_parity(net: MicroNet) -> None:
    """Raises `ToolError` where the agent's kernel computes another network than was trained."""
    inputs = np.random.default_rng(0).normal(size=(200, INPUTS)).astype(np.float32)
    with torch.no_grad():
        trained = net(torch.from_numpy(inputs).T[None])[0].T.numpy()
    state = NetworkState(SpotterNetwork(net.arrays()))
    computed = np.stack([state.step(row).copy() for row in inputs])
    if not np.allclose(computed, trained, rtol=1e-3, atol=1e-3):
        raise ToolError(
            "The kernel computes another network than was trained. Compare "
            "agent/vision/kernels/temporal.py with tools/train/micro/net.py."
        )


def measure(network: SpotterNetwork) -> dict[str, Any]:
    """Figures at the default threshold, on tracks of a minute with normal distractors."""
    cells = [(fps, noise, 6) for fps in (30.0, 60.0) for noise in (0.001, 0.003)]
    cells += [(30.0, noise, 0) for noise in (0.001, 0.003)]
    found: list[dict[str, Any]] = []
    for fps, noise, events in along(cells, "measuring"):
        scored = []
        for seed in TUNE_SEEDS[:TRACKS]:
            track = make(seed, fps=fps, noise=noise, events=events)
            scored.append(score(track.micro, spot(network, track), track.seconds / 60))
        found.append({"fps": fps, "noise": noise, "events": events, **pooled(scored)})
    quiet = [cell["false_per_minute"]["value"] for cell in found if not cell["events"]]
    return {
        "threshold": MicroConfig().threshold,
        "seeds": [TUNE_SEEDS[0], TUNE_SEEDS[TRACKS - 1]],
        "false_alarms_per_minute": round(float(np.mean(quiet)), 2),
        "conditions": found,
    }


def spot(network: SpotterNetwork, track: Track) -> list[MicroExpression]:
    """What the agent's spotter reports of a track."""
    spotter = MicroSpotter(MicroConfig(), network)
    found: list[MicroExpression] = []
    rows = zip(track.timestamps.tolist(), track.landmarks, track.confidence, strict=True)
    for time, points, confidence in rows:
        found += spotter.update(time, [(0, points, float(confidence))])[0]
    return found + spotter.finish()
