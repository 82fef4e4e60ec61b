"""Rates: shares of the visits, and means over them. Both halves are noised.

A share is out of all visits. Each visit counts once in `expression`, `attention` and `dwell`, so
that each of these cells, added up, is another measurement of the visits beside `visits`: all are
used, weighted by how noisy they are (generalised least squares with the known variances). That
helps most where windows wait for one another, since `visits` carries the noise of each of them and
the others that of one.

They do not add up where a place's visits were capped (`agent.privacy.window`): a poster, a face
that flickers. A cell whose sum differs from the visits by more than noise can is not used to
measure them; where it is the share's own cell, the share is out of that cell alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from agent.base.report import ToneCounts
from agent.base.vocabulary import AnyCell
from agent.desk.read import rounding
from agent.desk.read.adding import numbers_of
from agent.desk.read.distribution import Parts
from agent.desk.read.errors import NothingToAddError, ReadError
from agent.desk.read.figures import CELL_FIGURES, FIGURES, PARTITIONS, ranges

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["share", "mean", "part"]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of the visits (`share`), a mean over them (`mean`), or a sum by another (`part`)."""

    name: str
    about: str
    """After "Visits that", for a person."""
    kind: Kind
    top: tuple[str, ...]
    """Figures; those of a share are of one cell of `PARTITIONS`."""
    bottom: tuple[str, ...] = ()
    """Of a part."""
    least: float = 0.0
    most: float = 1.0


def _tone(name: str) -> Rate:
    bottom = CELL_FIGURES["tone"]
    about = f"sounded mostly {name}, of those that were heard"
    return Rate(f"tone_{name}", about, "part", (f"tone_{name}",), bottom)


_ATTENTION = CELL_FIGURES["attention"]
_DWELL = CELL_FIGURES["dwell"]
RATES: dict[str, Rate] = {
    rate.name: rate
    for rate in (
        Rate("attention", "looked for a second or longer", "share", _ATTENTION[1:]),
        Rate("attention_5", "looked for five seconds or longer", "share", _ATTENTION[2:]),
        Rate("attention_15", "looked for fifteen seconds or longer", "share", _ATTENTION[3:]),
        Rate("noticed", "looked for a second or longer, of all who came into view", "part",
             _ATTENTION[1:], (*_ATTENTION, "passing")),
        Rate("stopped", "came to be, of all who came into view", "part", ("visits",),
             ("visits", "passing")),
        Rate("stayed_15", "stayed for fifteen seconds or longer", "share", _DWELL[2:]),
        Rate("stayed_60", "stayed for a minute or longer", "share", _DWELL[4:]),
        *(
            Rate(name.removeprefix("expression_"),
                 f"looked mostly {name.removeprefix('expression_')}", "share", (name,))
            for name in CELL_FIGURES["expression"]
        ),
        Rate("valence", "mean valence", "mean", ("valence_sum",), least=-1.0),
        Rate("arousal", "mean arousal", "mean", ("arousal_sum",), least=-1.0),
        *(
            Rate(f"micro_{name}", f"showed a {name} micro-expression, of those in which one could "
                 "be seen (some by chance)", "part", (f"micro_{name}",),
                 ("micro_analysable_visits",))
            for name in ("positive", "negative", "surprise", "unspecified")
        ),
        Rate("spoke", "spoke, while alone in view", "part", CELL_FIGURES["speech"][1:],
             CELL_FIGURES["speech"]),
        *map(_tone, ToneCounts.model_fields),
    )
}  # fmt: skip
"""By name."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A rate's two halves as weighted sums of published numbers: of N windows, and of G groups of
    numbers with equal noise."""

    top: np.ndarray
    """float64[N]: what each window adds to the numerator."""
    bottom: np.ndarray
    parts: Parts
    """Weights are those of the numerator."""
    bottom_weight: np.ndarray
    """float64[G]: those of the denominator."""
    rows: np.ndarray
    """int64[N]: places of the windows in the frame."""


def rate_of(name: str | Rate) -> Rate:
    """Raises `ReadError` for an unknown name."""
    if isinstance(name, Rate):
        return name
    if name not in RATES:
        raise ReadError(f"{name!a} is no rate; there are {', '.join(RATES)}.")
    return RATES[name]


def form(frame: pd.DataFrame, rate: Rate, weight: np.ndarray | None = None) -> Form:
    """A rate over all windows of a frame that have its numbers. `weight`: of each window, float64
    of the frame's length. Raises `NothingToAddError` where none has."""
    figures = _figures(rate)
    columns = {name: numbers_of(frame, name) for name in figures}
    there = np.asarray(frame["published"], bool)
    for name in (*rate.top, *rate.bottom):
        there = there & ~np.isnan(columns[name][0])
    if weight is not None:
        there &= weight > 0
    rows = np.flatnonzero(there)
    if not len(rows):
        raise NothingToAddError(f"None of the {len(frame)} windows has the numbers of {rate.name}.")
    columns = {
        name: (each[0][rows], each[1][rows], each[2][rows]) for name, each in columns.items()
    }
    above, below = weights(rate, columns, len(rows))
    of_row = np.ones(len(rows)) if weight is None else np.asarray(weight, float)[rows]
    top, bottom = np.zeros(len(rows)), np.zeros(len(rows))
    tables = []
    for name in figures:
        values, scale, noises = columns[name]
        up, down = above.get(name), below.get(name)
        up = np.zeros(len(rows)) if up is None else up * of_row
        down = np.zeros(len(rows)) if down is None else down * of_row
        used = (up != 0) | (down != 0)
        if not used.any():
            continue
        values, scale, noises, up, down = (each[used] for each in (values, scale, noises, up, down))
        top[used] += up * values
        bottom[used] += down * values
        half = rounding.half(ranges(name), values)
        kinds, which = rounding.kinds(up, down, scale, noises, half)
        tables.append(np.column_stack([kinds, np.bincount(which, minlength=len(kinds))]))
    table = np.concatenate(tables)
    count = table[:, 5]
    parts = Parts(table[:, 0], table[:, 2], table[:, 3] * count, count, table[:, 4])
    return Form(top, bottom, parts, table[:, 1], rows)


def _figures(rate: Rate) -> tuple[str, ...]:
    """All that a rate is computed from."""
    if rate.kind == "part":
        return tuple(dict.fromkeys((*rate.top, *rate.bottom)))
    totals = ("visits", *(name for cell in PARTITIONS for name in CELL_FIGURES[cell]))
    return tuple(dict.fromkeys((*rate.top, *totals)))


_BEYOND_NOISE = 5.0
"""Standard deviations: one in a million by noise."""
Columns = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
Weights = dict[str, np.ndarray]


def weights(rate: Rate, columns: Columns, count: int) -> tuple[Weights, Weights]:
    """Of each figure in the numerator and in the denominator, window by window."""
    one = np.ones(count)
    if rate.kind == "part":
        return dict.fromkeys(rate.top, one), dict.fromkeys(rate.bottom, one)
    sound = tuple(cell for cell in PARTITIONS if _adds_up(columns, cell))
    if rate.kind == "mean":
        return {rate.top[0]: 0.01 * one}, _measured(columns, sound)[0]
    cell = FIGURES[rate.top[0]]
    names = CELL_FIGURES[cell]
    if cell not in sound:
        return dict.fromkeys(rate.top, one), dict.fromkeys(names, one)
    others, variance = _measured(columns, tuple(each for each in sound if each != cell))
    inside = len(rate.top) * variance_of(columns, names[0])
    outside = (len(names) - len(rate.top)) * variance_of(columns, names[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = inside + outside + variance
        share = np.where(whole > 0, inside / whole, 0.0)  # of the surplus of the others
        both = np.where(whole > 0, (inside + outside) / whole, 0.0)
    top = {name: each * share for name, each in others.items()}
    bottom = {name: each * both for name, each in others.items()}
    for name in names:
        top[name] = float(name in rate.top) - share
        bottom[name] = 1 - both
    return top, bottom


def _adds_up(columns: Columns, cell: AnyCell) -> bool:
    """Whether a cell's numbers add up to the visits, as far as their noise can tell."""
    names = CELL_FIGURES[cell]
    surplus = np.sum([columns[name][0] for name in names], axis=0) - columns["visits"][0]
    there = ~np.isnan(surplus)
    variance = len(names) * variance_of(columns, names[0]) + variance_of(columns, "visits")
    rounded = 16.0 * (len(names) + 1)  # each, at most, a sixteenth of that in variance
    spread = float(np.sqrt(np.sum((variance + rounded)[there])))
    return abs(float(np.sum(surplus[there]))) <= _BEYOND_NOISE * spread


def variance_of(columns: Columns, name: str) -> np.ndarray:
    """Of each window's number; infinite where it has none."""
    values, scale, noises = columns[name]
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.exp(-1 / scale)
        variance = np.where(scale > 0, noises * 2 * p / (1 - p) ** 2, 0.0)
    return np.where(np.isnan(values), np.inf, variance)


def _measured(columns: Columns, cells: Sequence[AnyCell]) -> tuple[Weights, np.ndarray]:
    """The visits by `visits` and these cells, weighted by the inverse of their variances: the
    weight of each number, and the variance."""
    kinds = [("visits",), *(CELL_FIGURES[cell] for cell in cells)]
    variances = np.array([len(names) * variance_of(columns, names[0]) for names in kinds])
    exact = variances == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(exact.any(axis=0), np.where(exact, 1.0, 0.0), 1 / variances)
        total = precision.sum(axis=0)
        shares = np.where(total > 0, precision / total, 0.0)
        variance = np.where(exact.any(axis=0), 0.0, 1 / total)
    weights = {name: share for names, share in zip(kinds, shares, strict=True) for name in names}
    return weights, variance
