"""The figures of models/expression/CARD.md, written from the measured ones so that they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.train.files import save_atomically

BEGIN, END = "<!-- figures: written by tools/train -->", "<!-- end of figures -->"


def update(card: Path, figures: Mapping[str, Any]) -> None:
    """Replace what stands between the two markers of the card; the rest stays as it is.

    Raises ValueError where the card or its markers are missing.
    """
    text = card.read_text() if card.is_file() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{card} must exist and hold the lines {BEGIN!r} and {END!r}.")
    save_atomically(card, f"{before}{BEGIN}\n{table(figures)}\n{END}{after}".encode())


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
            "latency, one thread, x86-64 at 2.5 GHz",
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
    parts = [_markdown(("figure", "value"), rows)]
    classes = [
        (name, f"{row['pictures']:,}", _percent(row["recall"]), _percent(row["precision"]))
        for name, row in int8["per_class"].items()
    ]
    parts.append(_markdown(("class", "pictures", "recall", "precision"), classes))
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
    parts.append(_markdown(head, units))
    return "\n\n".join(parts)


def _percent(share: float | None) -> str:
    return "none given" if share is None else f"{share:.1%}"


def _markdown(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
