"""The benchmark as one chart: F1 against noise, recall against amplitude."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.desk.trace.output import write_figure
from tools.bench.micro.tables import is_normal

_COLOURS = {"ours": "#d9730d", "OF-FD": "#3987c8", "MDMD": "#4c9a6a", "differencing": "#8a8f98"}
"""Each at least 3:1 against white and against #0d1117."""
_INK = "#808690"
_NAMES = {"ours": "Fleeting"}
_USUAL = 0.003
_STYLES = {0.001: ":", 0.003: "-", 0.005: "--"}


def draw(report: Mapping[str, Any], out: Path) -> None:
    """Write the chart as PNG on a transparent ground; whole or not at all. Raises `StoreError`."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.3), dpi=150)
    figure.patch.set_alpha(0.0)
    left, right = figure.subplots(1, 2)
    _noise(left, report)
    _amplitude(right, report)
    for axis in (left, right):
        axis.patch.set_alpha(0.0)
        axis.set_ylim(0.0, 1.02)
        axis.grid(axis="y", color=_INK, alpha=0.25, lw=0.6)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.spines["bottom"].set_color(_INK)
        axis.tick_params(colors=_INK, labelsize=8, length=0)
        axis.xaxis.label.set_color(_INK)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="lower center", bbox_to_anchor=(0.5, 0.1), ncols=3,
        frameon=False, fontsize=8, labelcolor=_INK,
    )  # fmt: skip
    caveat = "\n".join(textwrap.wrap(report["caveat"], 165))
    figure.text(0.5, 0.02, caveat, ha="center", va="bottom", fontsize=7, color=_INK)
    figure.subplots_adjust(left=0.05, right=0.985, top=0.92, bottom=0.31, wspace=0.12)
    write_figure(figure, out)


def _noise(axis: Any, report: Mapping[str, Any]) -> None:
    rows = [r for r in report["conditions"] if is_normal(r)]
    for subject in report["subjects"]:
        ours = subject == "ours"
        for fps, style in ((60.0, "--"), (30.0, "-")) if ours else ((30.0, "-"),):
            mine = sorted(
                (r for r in rows if (r["subject"], r["fps"]) == (subject, fps)),
                key=lambda r: float(r["noise"]),
            )
            if not mine:
                continue
            x = [100 * r["noise"] for r in mine]
            colour = _COLOURS.get(subject, _INK)
            usual = next((r for r in mine if r["noise"] == _USUAL), mine[0])
            label = f"{_NAMES.get(subject, subject)}, {fps:g} frames/s"
            label += f" ({usual['false_per_minute']['value']:.1f} false/min)"
            values = [r["f1"]["value"] or 0.0 for r in mine]
            axis.plot(
                x, values, style, color=colour, lw=2.0 if ours else 1.3, marker="o", ms=3,
                label=label,
            )  # fmt: skip
            blind = [
                (100 * r["noise"], r["f1"]["value"] or 0.0)
                for r in mine
                if r["analysed"] is not None and r["analysed"] < 0.5
            ]
            for point in blind:
                axis.annotate(
                    "mostly refused: too noisy", point, xytext=(-30, 6),
                    textcoords="offset points", ha="right", fontsize=7, color=colour,
                )  # fmt: skip
            if ours and fps == 30.0:
                low = [r["f1"]["low"] or 0.0 for r in mine]
                high = [r["f1"]["high"] or 0.0 for r in mine]
                axis.fill_between(x, low, high, color=colour, alpha=0.18, lw=0)
    axis.set_xticks(sorted({100 * r["noise"] for r in rows}))
    axis.set_xlabel("landmark noise, % of the inter-ocular distance", fontsize=8)
    axis.set_title(
        f"F1 on {report['tracks']} synthetic tracks of 60 s", fontsize=9, loc="left", color=_INK
    )


def _amplitude(axis: Any, report: Mapping[str, Any]) -> None:
    """Ours alone: with tens of false alarms per minute any recall can be had."""
    for part in report["recall_by_amplitude"]:
        if part["fps"] != 30.0 or part["subject"] != "ours":
            continue
        kept = [row for row in part["classes"] if row["n"] >= 10]
        if not kept:
            continue
        x = [50 * (row["from"] + min(row["to"], 0.05)) for row in kept]
        y = [row["recall"] for row in kept]
        label = f"noise {100 * part['noise']:g} %"
        style = _STYLES.get(part["noise"], "-.")
        axis.plot(x, y, style, color=_COLOURS["ours"], lw=2.0, marker="o", ms=3, label=label)
    if axis.lines:
        axis.legend(loc="lower right", frameon=False, fontsize=8, labelcolor=_INK)
    axis.set_xticks([1, 2, 3, 4, 5])
    axis.set_xlim(0.4, 5.1)
    axis.set_xlabel("largest movement, % of the inter-ocular distance", fontsize=8)
    axis.set_title(
        "Recall by size of the movement, Fleeting at 30 frames/s",
        fontsize=9,
        loc="left",
        color=_INK,
    )
