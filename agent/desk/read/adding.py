"""Adding windows: any rows of a frame, with the interval of the sum.

The noise of a sum is known: that of every number in it, and no window's more than once. Two things
follow from how windows are published (`agent.privacy.publishing`):

- A window below k waits, and its visits are counted in a later one of its slot (`merged`). Adding
  up all windows of a slot is therefore right also for quiet ones: by Wald's identity the noise of
  what is published has the mean 0, and the variance of the merged windows together. Choosing
  windows by their number of visits or by `merged` is not: noise chose with you.
- Visits that still wait at the end are in no sum; `waiting` says in how many windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.desk.read import rounding
from agent.desk.read.distribution import Parts
from agent.desk.read.errors import (
    CannotAddError,
    ConflictError,
    NothingToAddError,
    ReadError,
    UnitError,
)
from agent.desk.read.figures import FIGURES, OPPORTUNITIES, at_least_zero, factor, ranges, unit
from agent.desk.read.frame import pandas
from agent.desk.read.interval import Interval, Side, around
from agent.desk.read.intervals import MOST_MERGED

if TYPE_CHECKING:
    import pandas as pd

KEYS = (
    "device",
    "group",
    "slot",
    "content",
    "campaign",
    "policy",
    "model",
    "hour",
    "weekday",
    "day",
)
"""What windows can be grouped by; the last three of the window's start, in a time zone."""


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over windows, and what it was made of."""

    interval: Interval
    unit: str
    windows: int
    """Chosen, published or not."""
    added: int
    """Those with a number."""
    waiting: int
    """At the end of a slot's windows, not yet published: their visits are not in the sum."""
    missing: int
    """Messages missing between the chosen ones, by their numbers."""
    flags: dict[str, int] = field(default_factory=dict)
    """Windows by quality flag; all of them are in the sum."""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join((f"{self.interval} {self.unit} in {self.added} windows", *self.notes))


def unique(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame without second copies of a summary, as after joining two captures. Raises
    `ConflictError` where two differ, `ReadError` where it is no frame of windows."""
    missing = {"device", "boot", "seq", "slot", "merged", "published"}.difference(frame.columns)
    if missing:
        raise ReadError(f"This is no frame of windows: it lacks {', '.join(sorted(missing))}.")
    keys = ["device", "boot", "seq"]
    again = frame.duplicated(keys, keep=False)
    if not again.any():
        return frame
    said = [name for name in frame.columns if name in FIGURES or name in ("slot", "length")]
    copies = frame[again]
    if len(copies.drop_duplicates(keys)) != len(copies.drop_duplicates([*keys, *said])):
        first = copies.iloc[0]
        raise ConflictError(
            f"Two summaries of {first['device']} have the number {first['seq']} of boot "
            f"{first['boot']} and differ. One of them is not the device's; compare their receipts."
        )
    return frame.drop_duplicates(keys)


def labels(frame: pd.DataFrame, by: Sequence[str], timezone: str = "UTC") -> pd.DataFrame:
    """One column for each of `by`; NaN or NaT where a window has no known start. Raises
    `ReadError`."""
    pd = pandas()
    try:
        local = frame["start"].dt.tz_convert(timezone)
    except (KeyError, ValueError, OSError):
        raise ReadError(f"{timezone!a} is no time zone; one is Europe/Berlin.") from None
    parts: dict[str, Any] = {}
    for key in by:
        if key not in KEYS:
            raise ReadError(f"Windows cannot be grouped by {key!a}; by {', '.join(KEYS)} they can.")
        if key not in frame and key in ("content", "campaign"):
            raise ReadError("These windows have no contents. Name them: read.named(windows, FILE).")
        if key == "hour":
            parts[key] = local.dt.hour
        elif key == "weekday":
            parts[key] = local.dt.day_of_week
        elif key == "day":
            parts[key] = local.dt.tz_localize(None).dt.normalize()
        else:
            parts[key] = frame[key]
    return pd.DataFrame(parts, index=frame.index)


def numbers_of(frame: pd.DataFrame, figure: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A figure's values, b of each and how many noises each has; float64[N]; NaN where there is no
    number, or one whose noise is not known (`MOST_MERGED`)."""
    if figure not in FIGURES:
        raise ReadError(f"{figure!a} is no figure with noise of its own.")
    if figure not in frame:
        nothing = np.full(len(frame), np.nan)
        return nothing, nothing, np.ones(len(frame))
    values = np.array(frame[figure], float)
    scale = np.asarray(frame[f"{FIGURES[figure]}_b"], float) * factor(figure)
    if figure != "visits":
        return values, scale, np.ones(len(frame))
    merged = np.asarray(frame["merged"], float)
    values[merged >= MOST_MERGED] = np.nan
    return values, scale, merged + 1


def parts_of(
    figure: str, values: np.ndarray, scale: np.ndarray, noises: np.ndarray, weight: np.ndarray
) -> Parts:
    """Numbers grouped by what their noise and rounding are; arrays as of `numbers_of`, without
    NaN."""
    half = rounding.half(ranges(figure), values)
    kinds, of = rounding.kinds(weight, scale, noises, half)
    counts = np.bincount(of, minlength=len(kinds)).astype(float)
    return Parts(kinds[:, 0], kinds[:, 1], kinds[:, 2] * counts, counts, kinds[:, 3])


def joined(parts: Sequence[Parts]) -> Parts:
    return Parts(*(np.concatenate([getattr(each, name) for each in parts])
                   for name in Parts.__slots__))  # fmt: skip


def total(
    frame: pd.DataFrame, figures: str | Sequence[str], *, level: float = 0.95, side: Side = "both"
) -> Total:
    """The sum of a figure over all windows of a frame, or of several figures of one cell,
    or of the visits and who passed by.

    Raises
    ------
    CannotAddError
        `UnitError`: figures of different units; figures of different cells count the same visits
        twice. `ConflictError`: see `unique`. `NothingToAddError`: no window has the figure.
    """
    names = (figures,) if isinstance(figures, str) else tuple(figures)
    _refuse_mixture(names)
    windows = unique(frame)
    found, added = _sum(windows, names, level, side)
    counted = "stays" if len(names) > 1 and set(names) == OPPORTUNITIES else unit(names[0])
    return Total(found, counted, len(windows), added, *_about(windows, len(frame), names))


def _sum(
    windows: pd.DataFrame, names: tuple[str, ...], level: float, side: Side
) -> tuple[Interval, int]:
    """The interval, and how many windows are in it. Raises `NothingToAddError`."""
    value, added, below, above = 0.0, 0, False, False
    parts = []
    for name in names:
        values, scale, noises = numbers_of(windows, name)
        there = ~np.isnan(values)
        if not there.any():
            raise NothingToAddError(f"None of the {len(windows)} windows has a number of {name}.")
        value, added = value + float(values[there].sum()), int(there.sum())
        parts.append(parts_of(name, values[there], scale[there], noises[there],
                              np.ones(added)))  # fmt: skip
        ends = rounding.is_open(ranges(name), values[there])
        below, above = below or bool(ends[0].any()), above or bool(ends[1].any())
    least = 0.0 if at_least_zero(names[0]) else -np.inf
    return around(value, joined(parts), level, side, least, unbounded=(below, above)), added


def _refuse_mixture(names: tuple[str, ...]) -> None:
    unknown = [name for name in names if name not in FIGURES]
    if unknown or not names:
        raise ReadError(f"{', '.join(map(ascii, unknown)) or 'Nothing'} is no figure.")
    if set(names) == OPPORTUNITIES and len(names) == 2:
        return
    units = {unit(name) for name in names}
    if len(units) > 1:
        raise UnitError(f"{' and '.join(names)} count {' and '.join(sorted(units))}.")
    if len({FIGURES[name] for name in names}) > 1 or len(set(names)) < len(names):
        raise CannotAddError(f"{' and '.join(names)} count the same visits more than once.")


def _about(
    windows: pd.DataFrame, rows: int, names: tuple[str, ...]
) -> tuple[int, int, dict[str, int], tuple[str, ...]]:
    """Waiting windows, missing messages, flags, and what is to be said beside the sum."""
    notes = []
    if rows > len(windows):
        notes.append(f"{rows - len(windows)} second copies left out")
    unknown = int((windows["merged"] >= MOST_MERGED).sum()) if "visits" in names else 0
    if unknown:
        notes.append(f"{unknown} windows left out that waited for {MOST_MERGED} others or more")
    missing = int(windows["missing_before"].sum()) if "missing_before" in windows else 0
    if missing:
        notes.append(f"{missing} messages are missing")
    waits = waiting(windows)
    if waits:
        notes.append(f"{waits} windows were not published yet")
    for key in ("policy", "epsilon_milli", "model"):
        kinds = windows[key].nunique() if key in windows else 1
        if kinds > 1:
            notes.append(f"{kinds} different values of {key}")
    flags: dict[str, int] = {}
    if "flags" in windows:
        for text, count in windows["flags"].astype(str).value_counts().items():
            for flag in filter(None, str(text).split(",")):
                flags[flag] = flags.get(flag, 0) + int(count)
    return waits, missing, flags, tuple(notes)


def waiting(windows: pd.DataFrame) -> int:
    """Windows after the last published one of their device, boot and slot."""
    place = windows["device"].astype(str) + "/" + windows["boot"].astype(str)
    of = np.unique(place + "/" + windows["slot"].astype(str), return_inverse=True)[1].reshape(-1)
    seq = np.asarray(windows["seq"], float)
    newest = np.full(of.max() + 1 if len(of) else 0, -1.0)
    published = np.asarray(windows["published"], bool)
    np.maximum.at(newest, of[published], seq[published])
    return int(np.sum(seq > newest[of]))


def totals(
    frame: pd.DataFrame,
    figures: str | Sequence[str] = "visits",
    by: str | Sequence[str] = "slot",
    *,
    level: float = 0.95,
    timezone: str = "UTC",
) -> pd.DataFrame:
    """Sums of each figure for each group, one row a group: `windows`, and of every figure its sum,
    `FIGURE_low` and `FIGURE_high`; NaN where no window has it. Windows without a known start are in
    no group by time. Raises as `total`."""
    pd = pandas()
    names = (figures,) if isinstance(figures, str) else tuple(figures)
    keys = (by,) if isinstance(by, str) else tuple(by)
    for name in names:
        _refuse_mixture((name,))
    windows = unique(frame)
    marks = labels(windows, keys, timezone)
    made = []
    places = marks.groupby(list(keys), observed=True, sort=True).indices
    for mark in sorted(places):
        chosen = windows.iloc[places[mark]]
        line = dict(zip(keys, mark if isinstance(mark, tuple) else (mark,), strict=True))
        line["windows"] = len(chosen)
        for name in names:
            try:
                found = _sum(chosen, (name,), level, "both")[0]
            except NothingToAddError:
                found = Interval(np.nan, np.nan, np.nan, level)
            line |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        made.append(line)
    columns = [*keys, "windows"]
    columns += [each for name in names for each in (name, f"{name}_low", f"{name}_high")]
    return pd.DataFrame(made, columns=columns)
