"""Proof of play, and what people did before each content, with intervals.

Time on show is the devices' word: of every window how much of it the slot was on show while the
camera worked, in steps of 5 % of a window. Numbers of people are noised; their ranges hold what was
there 95 times in 100. Windows that waited are counted in the one that published them, which may lie
in another day or begin another campaign.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agent.desk import read
from agent.desk.read.adding import labels, unique
from agent.desk.read.interval import Interval
from tools.common.tables import columns, text

if TYPE_CHECKING:
    import pandas as pd

RATES = ("noticed", "stopped", "attention", "stayed_15", "happiness")
"""Of `agent.desk.read.RATES`: of all who came into view how many looked, and how many stayed; of
the visits how many looked, stayed, were mostly happy."""


def windows(url: str, since: int | None, until: int | None, devices: Sequence[str]) -> pd.DataFrame:
    """All windows of a fleet's database, named. `since`, `until`: UTC seconds. Raises `ReadError`
    where pandas is not installed."""
    times = [None if each is None else datetime.fromtimestamp(each, UTC) for each in (since, until)]
    chosen: dict[str, Any] = {"since": times[0], "until": times[1], "devices": devices}
    if url.startswith("sqlite:///"):
        found = read.sqlite(url.removeprefix("sqlite:///"), **chosen)
    else:
        found = read.postgresql(url, **chosen)
    return found if "content" in found else read.named(found, [])


def rows(frame: pd.DataFrame, by_day: bool, timezone: str) -> list[dict[str, Any]]:
    """A row for each content (and day), numbers as [value, low, high] or None. Raises
    `ReadError`."""
    keys = ["content", "day"] if by_day else ["content"]
    whole = unique(frame).reset_index(drop=True)
    marks = labels(whole, keys, timezone)
    made = []
    for mark, places in sorted(marks.groupby(keys, observed=True).indices.items()):
        chosen = whole.iloc[places]
        values = mark if isinstance(mark, tuple) else (mark,)
        row: dict[str, Any] = {"content": str(values[0])}
        if by_day:
            row["day"] = str(values[1])[:10]
        seconds = float((chosen["shown"] * chosen["length"]).sum()) / 100
        row |= {
            "campaign": ", ".join(sorted({each for each in chosen["campaign"] if each})),
            "slots": sorted({int(each) for each in chosen["slot"]}),
            "devices": int(chosen["device"].nunique()),
            "seconds": round(seconds),
            "windows": len(chosen),
            "published": int(chosen["published"].sum()),
        }
        row |= {name: _sum(chosen, name) for name in ("visits", "passing")}
        row |= {name: _rate(chosen, name, timezone) for name in RATES}
        made.append(row)
    return made


def _sum(chosen: pd.DataFrame, name: str) -> list[float] | None:
    try:
        return _range(read.total(chosen, name).interval)
    except read.NothingToAddError:
        return None


def _rate(chosen: pd.DataFrame, name: str, timezone: str) -> list[float] | None:
    try:
        return _range(read.measure(chosen, name, timezone=timezone).visitors)
    except read.NothingToAddError:
        return None


def _range(found: Interval) -> list[float] | None:
    """None where the numbers do not tell."""
    values = [found.value, found.low, found.high]
    return [round(each, 4) for each in values] if all(abs(v) < 1e15 for v in values) else None


def text_of(found: Sequence[dict[str, Any]], by_day: bool) -> str:
    """A table."""
    days = ("day",) if by_day else ()
    table = columns("content", *days, "on show, h", "windows", "visits", "passed by", "noticed, %",
                    "stayed 15 s, %", "happy, %", words=days)  # fmt: skip
    table.columns[0].no_wrap = True
    for row in found:
        table.add_row(
            row["content"], *(row[key] for key in days), f"{row['seconds'] / 3600:.1f}",
            f"{row['published']}/{row['windows']}",
            _shown(row["visits"], 1), _shown(row["passing"], 1),
            *(_shown(row[name], 100) for name in ("noticed", "stayed_15", "happiness")),
        )  # fmt: skip
    return text(table) + (
        "Ranges hold what was there 95 times in 100. Noticed: of all who came into view, looked "
        "for a second or longer; the others are shares of the visits. Windows: published, of "
        "all.\n"
    )


def _shown(numbers: list[float] | None, scale: int) -> str:
    if numbers is None:
        return "-"
    value, low, high = (scale * each for each in numbers)
    return f"{value:.0f} ({low:.0f}-{high:.0f})"
