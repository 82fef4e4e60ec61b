"""The tables of models/expression/CARD.md that come with the model, from its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.common.machine import machine
from tools.common.tables import markdown


def table(figures: Mapping[str, Any]) -> str:
    """Markdown tables of the figures file."""
    int8, file, sure = figures["int8"], figures["file"], figures["calibration"]
    lost = 100 * (figures["float"] - int8["top1"])
    rows = [
        ("top-1, int8", f"{int8['top1']:.1%} of {int8['pictures']:,}"),
        ("top-1, float", f"{figures['float']:.1%} (int8 loses {lost:+.2f} points)"),
        ("same answer, int8 and float", f"{figures['int8_agrees_with_float']:.1%}"),
        (
            "top-1, clear majority (more than 5 votes)",
            f"{int8['clear_top1']:.1%} of {int8['clear_pictures']:,}",
        ),
        (
            "mean recall of the eight classes (balanced accuracy)",
            f"{int8['balanced']:.1%}",
        ),
        (
            "expected calibration error, 15 bins",
            f"{sure['ece_before']:.3f} as it is, {sure['ece_crossfit']:.3f} at the temperature "
            f"fitted on {sure['fitted_on']}",
        ),
        ("temperature", f"{sure['temperature']}"),
        (
            f"unsure below {sure['unsure_below']}",
            f"{sure['kept']:.1%} answered, {sure['kept_accuracy']:.1%} of them right",
        ),
        (
            "aligned LFW faces, human labels",
            f"{figures['lfw_human_labels']['top1']:.1%} of "
            f"{figures['lfw_human_labels']['pictures']} (nearly all neutral or happy)",
        ),
        (
            "size, work",
            f"{file['bytes']:,} bytes, {file['million_macs']} M multiply-accumulates, "
            f"{file['delegated']:.0%} of the nodes in XNNPACK",
        ),
        (
            "network",
            f"{figures['network']['parameters']:,} parameters, channels "
            f"{', '.join(map(str, figures['network']['channels']))}, further blocks "
            f"{', '.join(map(str, figures['network']['blocks']))} at 24, 12 and 6 px",
        ),
        (
            f"latency, one thread, {machine()['name']}",
            f"{file['one_thread']['min_ms']} ms least, {file['one_thread']['median_ms']} ms median",
        ),
    ]
    training = figures["training"]
    rows.append(
        (
            "training",
            f"{training['steps']:,} steps, {training['passes']} passes over the labelled pictures",
        )
    )
    parts = [markdown(("figure", "value"), rows)]
    balance = figures["balance"]
    if balance["curve"]:
        points = [
            (
                f"{point['strength']:.2f}" + (" (shipped)" if shipped else ""),
                f"{point['top1']:.1%}",
                f"{point['balanced']:.1%}",
            )
            for k, point in enumerate(balance["curve"])
            if (shipped := point["strength"] == balance["strength"]) or k % 2 == 0
        ]
        parts.append(markdown(("logit adjustment of rare classes", "top-1", "balanced"), points))
    classes = [
        (name, f"{row['pictures']:,}", _percent(row["recall"]), _percent(row["precision"]))
        for name, row in int8["per_class"].items()
    ]
    parts.append(markdown(("class", "pictures", "recall", "precision"), classes))
    units = [
        (
            unit,
            f"{row['correlation']:.2f}",
            f"{figures['action_units_ferplus'][unit]['correlation']:.2f}",
            f"{row['mean_absolute_error']:.3f}",
            f"{row['teacher_std']:.3f}",
            "weak" if row["weak"] else "",
        )
        for unit, row in figures["action_units_photographs"].items()
    ]
    head = ("unit", "r, photographs", "r, FER+", "mean abs. error", "spread of the teacher", "")
    parts.append(markdown(head, units))
    return "\n\n".join(parts)


def _percent(share: float | None) -> str:
    return "none given" if share is None else f"{share:.1%}"
