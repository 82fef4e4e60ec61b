"""Measure the shipped sentiment model, and a probe where `runs` has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.base.errors import AgentError
from agent.text.sentiment import Sentiment
from tools.common.files import ROOT
from tools.common.machine import machine
from tools.eval.ours import Ours
from tools.eval.text import measure
from tools.train.text import material

PROBE = ROOT / "runs" / "text-probe" / "weights.npz"


def evaluate(
    ours: Ours, limit: int | None, folder: Path | None = None, probe: Path = PROBE
) -> dict[str, Any]:
    """`folder`: copies of the packages of `tools.train.text.material`."""
    entry = ours.manifest.network("sentiment")
    sentiment = Sentiment(ours.manifest)
    missing: dict[str, str] = {}
    report: dict[str, Any] = {
        "machine": machine(),
        "weights": entry.sha256[:12],
        "bytes": entry.file.stat().st_size,
        "parameters": dict(entry.parameters),
        "own": measure.own(sentiment),
        "later": measure.own(sentiment, later=True),
        "detection": measure.detection(sentiment),
        "cost": measure.cost(sentiment),
        "english": None,
        "probe": None,
    }
    try:
        report["english"] = measure.english(sentiment, material.fetch(folder), limit)
    except (AgentError, OSError) as error:
        missing["English texts and VADER"] = str(error)
    if probe.is_file():
        report["probe"] = measure.probe(probe, limit or measure.PROBE_LINES)
    else:
        missing["unseen words and templates"] = (
            "python -m tools.train text --probe trains the probe"
        )
    return {**report, "missing": missing}
