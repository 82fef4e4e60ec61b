"""Rows of windows as a pandas frame.

One row per summary, sorted by device and number. Columns: those of `messages.ROW` with

- `start`: UTC, of the window; NaT where it is not known (`clock` is `none`, and no `meta` of that
  boot said when the boot was); `placed`: `clock`, `meta` or empty, who says so;
- `received`: UTC, where the capture or the database knows it;
- `published`: whether it has visits; else they are counted in a later window of its slot;
- `missing_before`: messages missing just before it in the device's numbering;
- `group`: of the device, where it is known.

Then each figure (float, NaN where withheld), with `FIGURE_low` and `FIGURE_high`, the range that
holds what was there with `level`, and `CELL_b`, the scale of its noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.desk.read import intervals, messages
from agent.desk.read.errors import ReadError
from agent.desk.read.figures import CELL_FIGURES, FIGURES
from agent.desk.read.messages import NUMBERS, ROW, Said, Tally

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 2_000
_NEW_SERIES = 100_000
"""Numbers missing at once from which a device is taken to number anew."""
_CATEGORIES = ("device", "boot", "clock", "policy", "policy_hash", "model", "flags", "sound_flags",
               "withheld", "placed", "group")  # fmt: skip


def pandas() -> Any:
    """The library. Raises `ReadError` where it is not installed."""
    try:
        import pandas
    except ImportError:
        raise ReadError("Frames need pandas. Install it: pip install 'fleeting[read]'.") from None
    return pandas


class Reading(dict[str, Any]):
    """A tally, once reading is done. pandas copies what a frame carries at every step: not this."""

    def __deepcopy__(self, memo: object) -> Reading:
        return self


class Collector:
    """Takes messages one by one and keeps their rows as arrays."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self._rows: list[tuple[Any, ...]] = []
        self._numbers: list[list[float]] = []
        self._arrays: list[np.ndarray] = []
        self._seen: dict[tuple[str, str, int], int] = {}
        self._received: list[float] = []
        self._epochs: dict[tuple[str, str], int] = {}

    def add(self, found: Said, place: str) -> None:
        """Validate and keep a message; count it where it is none. `place`: for the tally."""
        if found.kind == "meta":
            self.place(found.device, found.body)
        if found.kind != "summary":
            self.tally.others += 1
            return
        summary = messages.examine(found.body)
        if isinstance(summary, str):
            self.tally.refuse(summary, place)
            return
        key, digest = (found.device, summary.boot, summary.seq), hash(found.body)
        if key in self._seen:
            if self._seen[key] == digest:
                self.tally.copies += 1
            else:
                self.tally.refuse("conflict", place)
            return
        self._seen[key] = digest
        self.tally.summaries += 1
        self._rows.append(messages.row(found.device, summary))
        self._numbers.append(messages.numbers(summary))
        self._received.append(found.received)
        if len(self._numbers) >= _BATCH:
            self._flush()

    def place(self, device: str, meta: bytes) -> None:
        """Learn when a boot was, from a `meta` message."""
        known = messages.epoch(meta)
        if known is not None:
            self._epochs[device, known[0]] = known[1]

    def _flush(self) -> None:
        self._arrays.append(np.array(self._numbers, float).reshape(-1, len(NUMBERS)))
        self._numbers = []

    def frame(
        self, level: float, groups: Mapping[str, str] | None = None, *, bounds: bool = True
    ) -> pd.DataFrame:
        """All rows; `frame.attrs["reading"]` is the tally. `groups`: by device. `bounds`: with
        FIGURE_low and FIGURE_high."""
        pd = pandas()
        self._flush()
        numbers = np.concatenate(self._arrays)
        columns: dict[str, Any] = dict(
            zip(ROW, zip(*self._rows, strict=True), strict=True)
            if self._rows
            else ((name, ()) for name in ROW)
        )
        starts = np.array([math.nan if each is None else each for each in columns["start"]], float)
        placed = np.where(np.isnan(starts), "", "clock").astype(object)
        for at in np.flatnonzero(np.isnan(starts)):
            zero = self._epochs.get((columns["device"][at], columns["boot"][at]))
            if zero is not None and columns["offset"][at] is not None:
                starts[at], placed[at] = zero + columns["offset"][at], "meta"
        columns |= {
            "start": _instants(starts),
            "placed": placed,
            "received": _instants(np.array(self._received, float)),
            "published": ~np.isnan(numbers[:, NUMBERS.index("visits")]),
            "offset": np.array(
                [math.nan if each is None else each for each in columns["offset"]], float
            ),
            "group": [(groups or {}).get(each, "") for each in columns["device"]],
        }
        made = pd.DataFrame({name: _column(pd, name, each) for name, each in columns.items()})
        present = [
            cell
            for cell, names in CELL_FIGURES.items()
            if not np.all(np.isnan(numbers[:, [NUMBERS.index(name) for name in names]]))
        ]
        figures = [name for cell in present for name in CELL_FIGURES[cell]]
        values = {
            name: numbers[:, NUMBERS.index(name)]
            for name in (*figures, *(f"{cell}_b" for cell in present))
        }
        ends: dict[str, np.ndarray] = {}
        for name in figures:
            if bounds and name in FIGURES:
                low, high = intervals.rows(
                    name, values[name], values[f"{FIGURES[name]}_b"],
                    np.asarray(made["merged"], float), level,
                )  # fmt: skip
                ends |= {f"{name}_low": low, f"{name}_high": high}
        made = pd.concat([made, pd.DataFrame(values | ends)], axis=1)
        made = made.sort_values(["device", "seq"], kind="stable", ignore_index=True)
        made.insert(3, "missing_before", missing_before(
            np.asarray(made["device"].astype(str)), np.asarray(made["seq"], int)
        ))  # fmt: skip
        made.attrs["reading"] = Reading(asdict(self.tally))
        made.attrs["level"] = level
        return made


def _instants(seconds: np.ndarray) -> np.ndarray:
    """datetime64[s] of Unix seconds; NaT for NaN."""
    known = ~np.isnan(seconds)
    found = np.full(len(seconds), np.datetime64("NaT", "s"))
    found[known] = seconds[known].astype("int64").astype("datetime64[s]")
    return found


def _column(pd: Any, name: str, values: Any) -> Any:
    if name in ("start", "received"):
        return pd.Series(values).dt.tz_localize("UTC")
    if name in _CATEGORIES:
        return pd.Categorical(list(values))
    return pd.Series(values)


def missing_before(devices: np.ndarray, seqs: np.ndarray) -> np.ndarray:
    """Numbers missing before each row, int64[N]; rows sorted by device and number. A device numbers
    its summaries in one series over all its starts; after a lost outbox it begins anew, which looks
    like a jump and is not counted."""
    missing = np.zeros(len(seqs), np.int64)
    if len(seqs) > 1:
        step = np.diff(seqs) - 1
        same = devices[1:] == devices[:-1]
        missing[1:] = np.where(same & (step > 0) & (step < _NEW_SERIES), step, 0)
    return missing


def collect(lines: Iterable[Said | messages.Refusal | None], tally: Tally) -> Collector:
    """All messages of a source, in constant memory beside their rows."""
    collector = Collector(tally)
    for number, found in enumerate(lines, 1):
        tally.lines += 1
        if isinstance(found, str):
            tally.refuse(found, f"line {number}")
        elif found is not None:
            collector.add(found, f"line {number}")
    return collector


def whole_lines(file: Any) -> Iterator[bytes]:
    """Lines of a binary file, each cut off past what a line may have; the rest of it is dropped."""
    while line := file.readline(messages.MAX_LINE + 2):
        rest = line
        while rest and not rest.endswith(b"\n") and len(rest) > messages.MAX_LINE:
            rest = file.readline(1 << 20)
            if rest.endswith(b"\n"):
                break
        yield line
