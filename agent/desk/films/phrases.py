"""Numbers and rows as words, for the chapters of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.desk.films.draw_faces import MOST_MARKS
from agent.desk.films.draw_signs import WHY
from agent.desk.films.drawing import clock
from agent.desk.films.findings import Findings
from agent.desk.films.rows import Row

MOST_ROWS = 60
"""Of a table on the page; the CSV has all."""
_FLAGS = {
    "low_light": "too dark for most of a window",
    "fps_too_low_for_micro": "too few frames a second for micro-expressions",
    "frames_dropped": "damaged pictures left out",
    "bad_timestamps": "pictures with impossible times",
    "frame_size_changed": "the picture's size changed",
    "source_truncated": "the file ends before its stated length, or goes on with another film",
    "window_merged": "windows counted together",
    "sound_invalid": "sound that is no number",
    "sound_clipped": "overdriven sound",
    "sound_silent": "digital silence",
}


def signed(value: float | None) -> str:
    """With its sign; a dash for none."""
    return "–" if value is None else f"{value:+.2f}"


def capped(text: str, rows: Sequence[Any]) -> str:
    """A caption, and how many rows are left out."""
    if len(rows) <= MOST_ROWS:
        return text
    return f"{text}; the first {MOST_ROWS} of {len(rows):,}, all are in the CSV"


def drawn(events: Sequence[Any]) -> str:
    """For a caption, where not all are drawn."""
    if len(events) <= MOST_MARKS:
        return ""
    return f"; drawn are the {MOST_MARKS} strongest of {len(events):,}"


def bytes_of(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def flag_name(flag: str) -> str:
    """Of a window."""
    return _FLAGS.get(flag, flag.replace("_", " "))


def policy(found: Findings) -> str:
    noise = "windows are noised, visits and events exact" if found.policy.noised else "no noise"
    return f"{found.policy.name} ({noise}; nothing leaves this machine)"


def micro_row(event: Row) -> tuple[str, ...]:
    return (
        clock(event["start_s"], True),
        clock(event["apex_s"], True),
        clock(event["end_s"], True),
        f"{event['end_s'] - event['start_s']:.2f}",
        str(event["visit"] or "–"),
        event["action_units"].replace("+", " + ") or "–",
        event["label"],
        f"{event['score']:.2f}",
        f"{100 * event['intensity']:.1f}",
    )


def refusals(found: Findings) -> str:
    parts = [
        f"{WHY[why]} ({seconds:.0f} s)"
        for why, seconds in sorted(found.refused.items(), key=lambda item: -item[1])
        if seconds >= 0.5
    ]
    return "; ".join(parts) or "never"
