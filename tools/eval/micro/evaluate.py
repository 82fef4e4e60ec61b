"""Measure the shipped spotter and the networks that one generator was kept from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from agent.base.config import MicroConfig
from agent.base.errors import AgentError
from agent.vision.micro.network import SpotterNetwork
from tools.common.files import ROOT
from tools.common.machine import machine
from tools.eval.micro import across
from tools.eval.ours import Ours
from tools.train.micro.generators import GENERATORS

TRACKS = 40
"""Minutes per generator and condition."""
RUNS = ROOT / "runs"


def evaluate(ours: Ours, limit: int | None, runs: Path = RUNS) -> dict[str, Any]:
    """Figures on every generator: shipped, and trained without it where `runs` has that network
    (`python -m tools.train micro --without NAME`)."""
    content = ours.manifest.network("micro").read()
    count = limit or TRACKS
    left_out: list[dict[str, Any]] = []
    steps: dict[str, int] = {}
    missing: dict[str, str] = {}
    for name in GENERATORS:
        try:
            found = left_out_network(name, runs)
        except (AgentError, ModuleNotFoundError) as error:
            missing[f"without {name}"] = str(error)
            continue
        steps[name] = found[1]
        left_out += across.figures(across.measure(found[0], [name], count))
    return {
        "machine": machine(),
        "weights": hashlib.sha256(content).hexdigest()[:12],
        "threshold": MicroConfig().threshold,
        "minutes": count,
        "shipped": across.figures(
            across.measure(SpotterNetwork.load(content), list(GENERATORS), count)
        ),
        "left_out": left_out,
        "steps": steps,
        "missing": missing,
    }


def left_out_network(name: str, runs: Path = RUNS) -> tuple[SpotterNetwork, int]:
    """The network that was trained without a generator, and its steps. Raises `ToolError`."""
    from tools.eval.micro.publish import network_of

    return network_of(runs / f"micro-without-{name}" / "checkpoint.pt")
