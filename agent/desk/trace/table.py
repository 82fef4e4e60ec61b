"""Summaries as a text table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from agent.base.report import ClosedModel, HeardSummary, Summary, TimedWindow, UntimedWindow
from agent.base.vocabulary import Cell
from agent.desk.trace.truth import Comparison
from agent.privacy.window import POLARITIES

COLUMNS = ("window", "visits", "expression", "valence", "facing", "in view", "micro", "flags")
_REASONS = {
    "below_k": "below k",
    "fps_too_low": "too few frames",
    "face_too_small": "face too small",
    "too_noisy": "too noisy",
    "no_evidence": "no evidence",
    "policy": "policy",
}


HEARD_COLUMNS = ("window", "spoke", "tone", "words", "together", "channels", "room")


def summaries_table(summaries: Sequence[Summary], title: str) -> Table:
    """One row per summary, in the order given."""
    return _table(COLUMNS, map(row, summaries), title)


def heard_table(summaries: Sequence[Summary]) -> Table | None:
    """What voices and words said, one row per summary; None where neither was on."""
    heard = [each for each in summaries if isinstance(each, HeardSummary)]
    rows = map(heard_row, heard)
    return _table(HEARD_COLUMNS, rows, "What was heard and read") if heard else None


PLANTED_COLUMNS = ("seconds", "channel", "planted", "read", "whose", "")


def planted_table(tones: Sequence[Comparison], words: Sequence[Comparison]) -> Table | None:
    """What was read of each planted stretch of speech and line; None where there is neither."""
    rows = sorted(
        [("voice", each) for each in tones] + [("words", each) for each in words],
        key=lambda row: row[1].start,
    )
    cells = (planted_row(channel, each) for channel, each in rows)
    return _table(PLANTED_COLUMNS, cells, "Voice and words against the truth") if rows else None


def planted_row(channel: str, one: Comparison) -> tuple[str, ...]:
    """Cells as `PLANTED_COLUMNS`."""
    when = f"{one.start:.1f}-{one.end:.1f}" if one.end > one.start else f"{one.start:.1f}"
    owner = one.owner if one.owner == one.belongs else f"{one.owner} (planted: {one.belongs})"
    return (
        when,
        channel,
        one.planted or "nothing",
        one.read or "nothing",
        owner if one.owner and one.belongs else one.owner or "-",
        "right" if one.right else "",
    )


def _table(columns: Sequence[str], rows: Iterable[tuple[str, ...]], title: str) -> Table:
    table = Table(
        title=Text(title),  # a file's name is no markup
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        table.add_column(column)
    for each in rows:
        table.add_row(*each)
    return table


def row(summary: Summary) -> tuple[str, ...]:
    """Cells of one summary, as `COLUMNS`: counts of visits, one per line, and who
    passed by; mean valence."""
    visits = summary.visits
    valence = summary.valence
    return (
        _when(summary.window),
        _visits(summary),
        _counts(summary, "expression", summary.expression),
        f"{valence.sum / visits / 100:+.2f}" if valence and visits and visits > 0 else "-",
        _counts(summary, "attention", summary.attention, " s"),
        _counts(summary, "dwell", summary.dwell, " s"),
        _micro(summary),
        "\n".join(summary.quality.flags).replace("_", " ") or "-",
    )


def _visits(summary: Summary) -> str:
    if summary.visits is None:
        return _reason(summary, "visits")
    return f"{summary.visits}\n{summary.passing} passed" if summary.passing else str(summary.visits)


def heard_row(summary: HeardSummary) -> tuple[str, ...]:
    """Cells of one summary, as `HEARD_COLUMNS`: counts of visits, of the room stretches."""
    heard = summary.heard
    voice = {"no_microphone": "no microphone", "below_k": "below k"}.get(heard.voice, "-")
    room = [_named(counts) for counts in (heard.room_tone, heard.room_words) if counts is not None]
    return (
        _when(summary.window),
        _named(heard.speech, " s") if heard.speech else voice,
        *(
            _named(counts) if counts else "-"
            for counts in (summary.tone, heard.words, heard.fused, heard.channels)
        ),
        "\n".join(each for each in room if each != "none") or "-",
    )


def _when(window: TimedWindow | UntimedWindow) -> str:
    """Seconds since the start, or UTC where the clock is synchronised."""
    if isinstance(window, UntimedWindow):
        return f"{window.offset}-{window.offset + window.length} s"
    return time.strftime("%d %b %H:%M:%S", time.gmtime(window.start))


def _counts(summary: Summary, cell: Cell, counts: ClosedModel | None, unit: str = "") -> str:
    if counts is None:
        # the visits column has the reason for a window withheld as a whole
        return "-" if summary.visits is None else _reason(summary, cell)
    return _named(counts, unit)


def _named(counts: ClosedModel, unit: str = "") -> str:
    named = {
        _range_label(name) + (unit if any(c.isdigit() for c in name) else ""): value
        for name, value in counts.model_dump().items()
        if value
    }
    return (
        "\n".join(name if value == 1 else f"{value} x {name}" for name, value in named.items())
        or "none"
    )


def _micro(summary: Summary) -> str:
    """Counts, expected false alarms and analysable time."""
    counts = summary.micro
    if counts is None:
        return _counts(summary, "micro", None)
    shown = {name: getattr(counts, name) for name in POLARITIES}
    lines = [name if n == 1 else f"{n} x {name}" for name, n in shown.items() if n] or ["none"]
    if counts.expected_false_alarms_tenths is not None:
        lines.append(f"chance {counts.expected_false_alarms_tenths / 10:.1f}")
    return "\n".join([*lines, f"in {counts.analysable_seconds / 60:.1f} min"])


def _range_label(name: str) -> str:
    """`from_5_to_15` -> `5-15`."""
    return (
        name.removeprefix("from_")
        .replace("_to_", "-")
        .replace("under_", "< ")
        .replace("over_", "> ")
    )


def _reason(summary: Summary, cell: Cell) -> str:
    reasons = {item.cell: item.reason for item in summary.withheld}
    return _REASONS.get(reasons.get(cell, ""), "-")
