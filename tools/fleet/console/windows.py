"""Windows with their intervals, and contents compared: what `agent.desk.read` makes of them."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agent.desk.read import errors as read_errors
from agent.desk.read.figures import FIGURES, unit
from agent.desk.read.rates import RATES
from tools.common.errors import ToolError
from tools.fleet.console.answers import Refused
from tools.fleet.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from agent.desk.read import Difference

MOST_WINDOWS = 400
"""Of a chart."""
MOST_COMPARED = 150_000
"""Summaries that one comparison reads: some seconds and half a gigabyte."""
_ONE = threading.Lock()
"""One comparison at a time."""


@dataclass(frozen=True, slots=True)
class Point:
    """One window. NaN is None: withheld, or no bound."""

    start: float
    """UTC seconds; where the device's clock was not trusted and nothing places it: of its
    arrival."""
    timed: bool
    """Whether it is the window's start."""
    length: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """A figure of a device, window by window, oldest first."""

    device: str
    figure: str
    unit: str
    level: float
    slot: int | None
    """That the windows are of; None: there are none."""
    slots: tuple[int, ...]
    """That the device had lately."""
    figures: tuple[str, ...]
    """That its windows have."""
    points: tuple[Point, ...]


def frame(url: str, since: int | None, until: int | None, devices: Sequence[str]) -> pd.DataFrame:
    """As `agent.desk.read` reads them. Raises `ReadError`."""
    from agent.desk import read

    ends = [None if each is None else datetime.fromtimestamp(each, UTC) for each in (since, until)]
    reader: Any = read.postgresql
    if url.startswith("sqlite:///"):
        reader, url = read.sqlite, url.removeprefix("sqlite:///")
    return reader(url, since=ends[0], until=ends[1], devices=devices)


def series(store: Store, url: str, device: str, figure: str, slot: int | None) -> Series:
    """The newest windows of a device's slot; `slot`: None, that of its newest window. Raises
    `Refused` for what is no figure."""
    if figure not in FIGURES:
        raise Refused(400, f"There is no such figure. There are {', '.join(FIGURES)}.")
    nothing = Series(device, figure, unit(figure), 0.95, slot, (), (), ())
    recent = store.tuples(
        "SELECT at, slot FROM slots WHERE device = ? ORDER BY received DESC LIMIT ?",
        (device, MOST_WINDOWS),
    )
    if not recent:
        return nothing
    slots = tuple(sorted({int(each) for _, each in recent}))
    chosen = int(recent[0][1]) if slot is None else slot
    rows = frame(url, min(int(at) for at, _ in recent), None, [device])
    figures = tuple(name for name in FIGURES if name in rows)
    rows = rows[rows["slot"] == chosen].tail(MOST_WINDOWS)
    if figure not in rows or not len(rows):
        return Series(device, figure, unit(figure), 0.95, chosen, slots, figures, ())
    ends = (rows[f"{figure}_low"], rows[f"{figure}_high"])
    starts = rows["start"].fillna(rows["received"])
    table = zip(starts, rows["start"].notna(), rows["length"], rows[figure], *ends, strict=True)
    points = tuple(
        Point(float(start.timestamp()), bool(timed), int(length), *map(_or_none, numbers))
        for start, timed, length, *numbers in table
    )
    return Series(
        device, figure, unit(figure), float(rows.attrs.get("level", 0.95)), chosen, slots, figures,
        points,
    )  # fmt: skip


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def compare(
    store: Store,
    url: str,
    rate: str,
    first: int,
    second: int,
    since: int | None,
    until: int | None,
    devices: Sequence[str],
    within: Sequence[str],
) -> Difference:
    """Two slots. `devices`: empty, all; `within`: what windows must share to be compared.
    Raises `Refused` where that is too much at once, or there is nothing to compare."""
    from agent.desk import read

    if rate not in RATES:
        raise Refused(400, f"There is no such rate. There are {', '.join(RATES)}.")
    if first == second:
        raise Refused(400, "These are the same slot. Choose two.")
    if len(devices) > 500 or _number(store, since, until, devices) > MOST_COMPARED:
        raise Refused(
            400,
            f"These are more than {MOST_COMPARED:,} windows, or 500 devices. Take fewer days or a "
            "smaller group; agent.desk.read in Python compares any number.",
        )
    with _ONE:
        try:
            windows = frame(url, since, until, devices)
            return read.compare(windows, rate, first, second, within=within)
        except read_errors.ReadError as error:
            raise Refused(400, str(error)) from None


def _number(store: Store, since: int | None, until: int | None, devices: Sequence[str]) -> int:
    """Summaries, counted no further than necessary."""
    from tools.fleet.export.select import Selection

    where, params = Selection(since, until, tuple(devices)).where(
        "COALESCE(start_at, received)", "summaries"
    )
    sql = f"SELECT COUNT(*) FROM (SELECT 1 AS one FROM summaries{where} LIMIT ?) AS counted"
    return int(store.tuples(sql, (*params, MOST_COMPARED + 1))[0][0])


def slots_in_use(store: Store) -> list[int]:
    """Of the newest windows of the fleet."""
    rows = store.tuples(
        "SELECT DISTINCT slot FROM (SELECT slot FROM slots ORDER BY received DESC LIMIT 5000)"
        " AS newest ORDER BY slot"
    )
    return [int(slot) for (slot,) in rows]


def day(text: str, *, end: bool = False) -> int | None:
    """UTC seconds of a day that was typed; empty: None. Raises `ToolError`."""
    from tools.fleet.export.select import instant

    if not text:
        return None
    if len(text) > 40:
        raise ToolError("That is no day. Such as 2026-11-28.")
    return instant(text, end=end)
