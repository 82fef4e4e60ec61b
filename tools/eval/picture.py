"""One chart of the figures: ours beside the peers, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.types import EXPRESSIONS
from agent.desk.trace.output import write_figure
from tools.eval.card import OURS

SIZES = ("8-16 px", "16-24 px", "24-48 px", "48 px and more")


def save(path: Path, reports: Mapping[str, Any]) -> None:
    """A PNG with two panels per model evaluated."""
    from matplotlib.figure import Figure

    panels = [
        (draw, reports[name])
        for name, draws in (
            ("detector", (_sizes, _alarms)),
            ("landmarks", (_yaw, _noise)),
            ("expression", (_reliability, _confusion)),
            ("activity", (_noise_level, _noise_kinds)),
            ("voice", (_elsewhere, _people)),
            ("text", (_languages, _against_vader)),
        )
        if name in reports
        for draw in draws
    ]
    rows = max(len(panels) // 2, 1)
    figure = Figure(figsize=(13, 4.6 * rows), dpi=110)
    axes = figure.subplots(rows, 2, squeeze=False)
    for place, (draw, report) in zip(axes.ravel(), panels, strict=True):
        draw(place, report)
    figure.tight_layout()
    write_figure(figure, path)


def _bars(axes: Any, groups: list[str], rows: dict[str, list[dict[str, Any]]]) -> None:
    """Grouped points with intervals, ours in black."""
    for k, (name, cells) in enumerate(rows.items()):
        x, y, low, high = [], [], [], []
        for g, cell in enumerate(cells):
            if cell and cell["value"] is not None:
                x.append(g + (k - (len(rows) - 1) / 2) * 0.7 / max(len(rows), 1))
                y.append(cell["value"])
                low.append(max(cell["value"] - cell["low"], 0))
                high.append(max(cell["high"] - cell["value"], 0))
        style = {"color": "black", "marker": "s"} if name == OURS else {"marker": "o"}
        axes.errorbar(x, y, yerr=[low, high], linestyle="", capsize=2, label=name, **style)
    axes.set_xticks(range(len(groups)), groups)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)


def _sizes(axes: Any, report: Mapping[str, Any]) -> None:
    table = report["ap50"]
    names = list(table["all"])
    _bars(axes, list(SIZES), {name: [table[size][name] for size in SIZES] for name in names})
    axes.set_title("Detector: AP50 by the face's short side")
    axes.set_ylim(0, 1.02)


def _alarms(axes: Any, report: Mapping[str, Any]) -> None:
    for row in report["operating"]:
        style = {"color": "black", "marker": "s"} if row["detector"] == OURS else {"marker": "o"}
        x, y = row["false_alarms_per_100"], row["recall"]
        axes.errorbar(
            [x["value"]],
            [y["value"]],
            xerr=[[max(x["value"] - x["low"], 0)], [max(x["high"] - x["value"], 0)]],
            yerr=[[max(y["value"] - y["low"], 0)], [max(y["high"] - y["value"], 0)]],
            capsize=2,
            label=f"{row['detector']} at {row['score_above']:g}",
            **style,
        )
    axes.set_xlabel("false alarms per 100 pictures without a face")
    axes.set_ylabel("recall, faces from 16 px")
    axes.set_title("Detector: at each one's threshold")
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="lower right")


def _yaw(axes: Any, report: Mapping[str, Any]) -> None:
    if "rendered" in report:
        table = report["rendered"]["by_yaw"]
        names = list(next(iter(table.values())))
        _bars(axes, list(table), {name: [row[name] for row in table.values()] for name in names})
        axes.set_title("Landmarks: inner error on rendered faces by yaw, offsets out, % of IOD")
    else:
        slices = report["teacher"][OURS]["slices"]["yaw, degrees"]
        _bars(axes, list(slices), {OURS: list(slices.values())})
        axes.set_title("Landmarks: distance to the teachers by yaw, % of IOD")
    axes.set_xlabel("yaw, degrees")
    axes.set_ylim(bottom=0)


def _noise(axes: Any, report: Mapping[str, Any]) -> None:
    table = report["still"]
    names = list(next(iter(table.values())))
    _bars(axes, list(table), {name: [row[name]["raw"] for row in table.values()] for name in names})
    axes.set_title("Landmarks: noise on still faces, % of IOD")
    axes.set_ylim(bottom=0)


def _reliability(axes: Any, report: Mapping[str, Any]) -> None:
    rows = report["ferplus"]["reliability"]
    x = [row["confidence"] for row in rows]
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.plot(x, [row["accuracy"] for row in rows], marker="s", color="black")
    for row in rows:
        axes.annotate(str(row["n"]), (row["confidence"], row["accuracy"]), fontsize=7)
    axes.axvline(report["unsure_below"], linestyle=":", color="black")
    axes.set_xlabel("confidence")
    axes.set_ylabel("share right")
    axes.set_title(f"Expression: calibration error {report['ferplus']['ece']['value']:.3f}")


def _confusion(axes: Any, report: Mapping[str, Any]) -> None:
    counts = np.array(report["ferplus"]["confusion"], float)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Greys", vmin=0, vmax=1)
    for i, row in enumerate(share):
        for j, value in enumerate(row):
            colour = "white" if value > 0.5 else "black"
            axes.text(
                j, i, f"{100 * value:.0f}", ha="center", va="center", color=colour, fontsize=8
            )
    axes.set_xticks(range(len(EXPRESSIONS)), EXPRESSIONS, rotation=40, ha="right")
    axes.set_yticks(range(len(EXPRESSIONS)), EXPRESSIONS)
    axes.set_xlabel("network")
    axes.set_ylabel("people")
    axes.set_title("Expression: FER+ valid, % of what people said")


def _noise_level(axes: Any, report: Mapping[str, Any]) -> None:
    rows = report["snr"]
    groups = ["clean" if row["snr"] is None else f"{row['snr']:g}" for row in rows]
    _bars(axes, groups, {name: [row["level"][name] for row in rows] for name in rows[0]["level"]})
    axes.set_title("Voice activity: AUC by signal-to-noise ratio, dB")


def _noise_kinds(axes: Any, report: Mapping[str, Any]) -> None:
    rows = report["kinds"]
    groups = [row["kind"] + ("" if row["unseen"] else "*") for row in rows]
    _bars(axes, groups, {name: [row["0"][name] for row in rows] for name in rows[0]["0"]})
    axes.set_title("Voice activity: AUC at 0 dB by noise (*: in training)")
    axes.tick_params(axis="x", rotation=40)


def _elsewhere(axes: Any, report: Mapping[str, Any]) -> None:
    cells = {**report["noise"], **report["rooms"]}
    rows = {key: [each[key] for each in cells.values()] for key in ("arousal", "tone")}
    _bars(axes, [name.replace(", ", "\n") for name in cells], rows)
    axes.set_ylim(0, 1)
    axes.set_ylabel("unweighted average recall")
    axes.set_title("voice in noise (by its ratio) and in rooms (reverberation time)")


def _people(axes: Any, report: Mapping[str, Any]) -> None:
    cells = {**report["corpora"], **report["speakers"]}
    rows = {key: [each[key] for each in cells.values()] for key in ("arousal", "tone")}
    _bars(axes, [name.replace("_", "\n").replace(" ", "\n") for name in cells], rows)
    axes.set_ylim(0, 1)
    axes.set_title("voice: unseen speakers, by corpus and one by one")


def _languages(axes: Any, report: Mapping[str, Any]) -> None:
    rows = {OURS: [row["macro_f1"] for row in report["own"].values()]}
    _bars(axes, list(report["own"]), rows)
    axes.set_title("Sentiment: macro-F1 on our own sentences")
    axes.set_ylim(0, 1.02)


def _against_vader(axes: Any, report: Mapping[str, Any]) -> None:
    table = (report["english"] or {"accuracy": {}})["accuracy"]
    rows = {
        OURS: [row["ours"] for row in table.values()],
        "VADER": [row["vader"] for row in table.values()],
    }
    _bars(axes, list(table), rows)
    axes.set_title("Sentiment: accuracy on English texts")
