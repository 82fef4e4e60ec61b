"""Each model alone: latency with one and two threads, MACs, size, share of nodes in XNNPACK."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agent.inference.manifest import load_manifest, models_folder
from tools.common.command import positive
from tools.common.machine import line, machine
from tools.common.tables import columns, text
from tools.train.lite import LiteModel, delegated_share, multiply_accumulates


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser("models", parents=[shared], help="each model alone")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="default: the package's own")
    parser.add_argument("--runs", type=positive, default=500, help="calls per model")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text. Raises `ModelError`."""
    report = measure(args.models, args.runs)
    return report, models_text(report)


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


def models_text(report: dict[str, Any]) -> str:
    """One line per model."""
    table = columns(
        "model", "input", "ms 1 thr", "min", "ms 2 thr", "min", "MMAC", "GMAC/s", "KiB", "XNNPACK"
    )
    for row in report["models"]:
        table.add_row(
            row["model"],
            "x".join(str(n) for n in row["input"][1:3]),
            f"{row['ms_1_thread']:.3f}",
            f"{row['ms_1_thread_min']:.3f}",
            f"{row['ms_2_threads']:.3f}",
            f"{row['ms_2_threads_min']:.3f}",
            f"{row['mmac']:.1f}",
            f"{row['gmac_per_s']:.1f}",
            f"{row['kib']:.0f}",
            f"{row['delegated']:.0%}",
        )
    head = f"median and minimum of {report['runs']} calls; GMAC/s at the minimum\n"
    return line(report["machine"]) + head + text(table)
