"""Publish the spotter's weights: measured on `TUNE_SEEDS`, manifest table, `figures.json`.

On `TUNE_SEEDS`: the reported figures come from `tools.bench micro` on seeds of their own. The rate
of false alarms that the agent subtracts is that of left-out generators, where there is one: it has
to hold on faces that nobody here made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.base.config import MicroConfig
from agent.vision.micro.network import NetworkState, SpotterNetwork
from agent.vision.micro.stream import INPUTS
from tools.common.errors import ToolError
from tools.common.files import MODELS, ROOT, npz, run_folder, save_atomically, save_json
from tools.common.progress import along
from tools.eval.micro import across
from tools.micro.generator_config import TUNE_SEEDS
from tools.micro.score import pooled, score
from tools.micro.tracks import make
from tools.train import manifest
from tools.train.common import averaged
from tools.train.micro.generators import GENERATORS, from_track
from tools.train.micro.net import MicroNet

RUNS = ROOT / "runs"

TRACKS = 30
"""Minutes per condition."""


def publish(chosen: str, seed: int, models: Path = MODELS) -> None:
    """Write the weights in half precision, with what they reach."""
    checkpoint = run_folder("micro") / "checkpoint.pt"
    saved = averaged(checkpoint)
    content = halves(checkpoint)
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


def halves(checkpoint: Path) -> bytes:
    """A checkpoint's averaged weights in half precision, as the agent reads them. Raises
    `ToolError`."""
    saved = averaged(checkpoint)
    net = MicroNet()
    try:
        net.load_state_dict(saved["average"])
    except RuntimeError:
        raise ToolError(f"{checkpoint} is of another network. Train anew: --restart.") from None
    check_parity(net)
    arrays: dict[str, Any] = {
        name: array.astype(np.float16) if array.dtype == np.float32 else array
        for name, array in net.arrays().items()
    }
    return npz(arrays)


def network_of(checkpoint: Path) -> tuple[SpotterNetwork, int]:
    """The network of a checkpoint, as it would be shipped, and its steps. Raises `ToolError`."""
    if not checkpoint.is_file():
        raise ToolError(f"there is no checkpoint in {checkpoint.parent.name}")
    return SpotterNetwork.load(halves(checkpoint)), int(averaged(checkpoint)["step"])


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
            "agent/kernels/temporal.py with tools/train/micro/net.py."
        )


def measure(network: SpotterNetwork) -> dict[str, Any]:
    """Figures at the default threshold, on tracks of a minute with normal distractors."""
    cells = [(fps, noise) for fps in (30.0, 60.0) for noise in (0.001, 0.003)]
    found: list[dict[str, Any]] = []
    for fps, noise in along(cells, "measuring"):
        scored = []
        for seed in TUNE_SEEDS[:TRACKS]:
            track = from_track(make(seed, fps=fps, noise=noise, events=6))
            scored.append(score(track.micro, across.spot(network, track), 1.0))
        found.append({"fps": fps, "noise": noise, "events": 6, **pooled(scored)})
    quiet, left_out = false_alarms(network)
    return {
        "threshold": MicroConfig().threshold,
        "seeds": [TUNE_SEEDS[0], TUNE_SEEDS[TRACKS - 1]],
        "false_alarms_per_minute": round(float(np.mean(list(quiet.values()))), 2),
        "false_alarms_by_generator": quiet,
        "left_out": left_out,
        "conditions": found,
    }


def false_alarms(network: SpotterNetwork) -> tuple[dict[str, float], list[str]]:
    """False alarms a minute on tracks without micro-expressions, by generator; and the names of
    those that were measured with the network trained without them."""
    rates: dict[str, float] = {}
    left_out: list[str] = []
    for name in GENERATORS:
        checkpoint = RUNS / f"micro-without-{name}" / "checkpoint.pt"
        measured = network
        if checkpoint.is_file():
            measured = network_of(checkpoint)[0]
            left_out.append(name)
        found = [
            len(across.spot(measured, one))
            for noise in (0.001, 0.003)
            for one in across.tracks(name, 30.0, noise, TRACKS // 2, events=0)
        ]
        rates[name] = round(float(np.mean(found)), 2)
    return rates, left_out
