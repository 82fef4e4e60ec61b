"""The spotter's evaluation as Markdown, for the card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tools.common.tables import markdown
from tools.eval.card import join, missing, number, prose

Report = Mapping[str, Any]

INTRODUCTION = """
    `python -m tools.eval micro`: {minutes} minutes of synthetic tracks per generator and
    condition, six movements a minute, seeds apart from training's, threshold {threshold:g}. Hits
    overlap by half (intersection over union), one-to-one; counts are pooled; in brackets 95 %
    intervals over tracks drawn again.
"""
LEFT_OUT = """
    **Left out**: networks trained like the shipped one on the other generators alone, for
    {steps} steps, measured on the one they had never met. This is the figure to expect on tracks
    that somebody else made; the shipped network has met all five.
"""
SHIPPED = """
    **Shipped network**, on new seeds of the generators it was trained on: an upper limit.
"""
CAVEAT = """
    All generators are ours. On real faces the best published F1 is .2 to .4.
"""


def section(report: Report) -> str:
    """All tables."""
    steps = report["steps"].values()
    told = " to ".join(f"{n:,}" for n in sorted({min(steps), max(steps)})) if steps else ""
    return join(
        [
            prose(INTRODUCTION.format(**report)),
            prose(LEFT_OUT.format(steps=told)) if steps else "",
            _table(report["left_out"]) if steps else "",
            prose(SHIPPED),
            _table(report["shipped"]),
            prose(CAVEAT),
            missing(report["missing"]),
        ]
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("generator", "noise, % IOD", "frames/s", "F1", "precision", "recall", "false a minute")
    lines = [
        (
            row["generator"],
            f"{100 * row['noise']:g}",
            f"{row['fps']:g}",
            *(number(row[key]) for key in ("f1", "precision", "recall", "false_per_minute")),
        )
        for row in rows
    ]
    for noise, fps in sorted({(row["noise"], row["fps"]) for row in rows}):
        same = [row for row in rows if (row["noise"], row["fps"]) == (noise, fps)]
        means = [
            f"{sum(row[key]['value'] or 0.0 for row in same) / len(same):.2f}"
            for key in ("f1", "precision", "recall", "false_per_minute")
        ]
        lines.append(("mean", f"{100 * noise:g}", f"{fps:g}", *means))
    return markdown(head, lines)
