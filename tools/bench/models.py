"""Each model alone: latency with one and two threads, MACs, size, share of nodes in XNNPACK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.vision.inference.manifest import load_manifest, models_folder
from tools.bench.machine import machine
from tools.train.lite import LiteModel, delegated_share, multiply_accumulates


def measure(folder: Path | None, runs: int) -> dict[str, Any]:
    """Measure every model of the manifest. Raises `ModelError`."""
    before = machine()
    manifest = load_manifest(models_folder(folder))
    rows = []
    for entry in manifest.models.values():
        content = entry.read()
        one = LiteModel(content, threads=1).latency(runs)
        two = LiteModel(content, threads=2).latency(runs)
        macs = multiply_accumulates(content)
        rows.append(
            {
                "model": entry.name,
                "input": list(entry.inputs[0].shape),
                "ms_1_thread": one["median_ms"],
                "ms_1_thread_min": one["min_ms"],
                "ms_2_threads": two["median_ms"],
                "ms_2_threads_min": two["min_ms"],
                "mmac": round(macs / 1e6, 2),
                "gmac_per_s": round(macs / one["min_ms"] / 1e6, 1),
                "kib": round(len(content) / 1024, 1),
                "delegated": round(delegated_share(content), 3),
            }
        )
    return {"machine": before, "hash": manifest.hash16, "runs": runs, "models": rows}
