"""A device's visits by day and hour, from its summaries: small enough to compare weeks with.

A day (UTC) is computed anew whenever something of it has come, so that what arrives late, twice or
out of order is counted once and in its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from agent.base.vocabulary import AnyCell, PolicyName
from agent.desk.read.noise import deviation
from agent.privacy.policy import hearing
from agent.privacy.policy.rules import PROFILES, Policy
from agent.privacy.window import SENSITIVITY
from tools.fleet.alerts.kinds import DAY, HOUR
from tools.fleet.store import Store

KEEP = 66
"""Days: a week, and eight before it to compare with."""
_OVERLAP = 600
"""Seconds of messages that are looked at again: a collector may commit later than another."""
_DEVICES = 300
"""In one query."""
MARK = "hours"
HOUR_ROW = np.dtype(
    [("windows", "<u2"), ("withheld", "<u2"), ("visits", "<i4"), ("variance", "<f4")]
)
"""An hour as the database keeps it; without windows: nothing came."""
_DIGITS = 2 * 24 * HOUR_ROW.itemsize
_MOST = 0xFFFF


def _nothing() -> None: ...


@dataclass(frozen=True, slots=True)
class Hour:
    """What came of one hour."""

    windows: int
    """Of all slots, those withheld among them."""
    withheld: int
    visits: int
    """Noised, of those published, and of earlier ones that were merged into them."""
    variance: float
    """Of the noise of `visits`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """By what a day's windows were published: those of the newest."""

    policy: PolicyName
    cells: tuple[AnyCell, ...]
    epsilon_milli: int
    k: int
    window: int
    """Seconds."""
    slots: int

    def as_policy(self) -> Policy:
        return Policy(
            self.policy, "other", PROFILES[self.policy].places[0], self.cells, self.k,
            self.epsilon_milli, self.window,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Day:
    """24 hours of one device."""

    hours: Mapping[int, Hour]
    """By the hour of the day; those of which nothing came are not there."""
    rules: Rules


def to_text(day: Day) -> str:
    """As the database keeps it: the hours in hexadecimal, which hundreds of thousands of rows are
    read from at once, then the rules as JSON."""
    made = np.zeros(24, HOUR_ROW)
    for hour, each in day.hours.items():
        made[hour] = (
            min(each.windows, _MOST), min(each.withheld, _MOST), each.visits, each.variance
        )  # fmt: skip
    rules = day.rules
    return made.tobytes().hex() + json.dumps(
        [rules.policy, list(rules.cells), rules.epsilon_milli, rules.k, rules.window, rules.slots],
        separators=(",", ":"),
    )


@lru_cache(maxsize=4096)
def _rules_of(text: str) -> Rules:
    policy, cells, *numbers = json.loads(text)
    return Rules(policy, tuple(cells), *numbers)


def update(store: Store, now: int, beat: Callable[[], None] = _nothing) -> int:
    """Take in what came since the last time; returns the number of days computed. `beat`: called
    now and then. Raises `StoreUnavailable`."""
    rows = store.tuples("SELECT at FROM alert_marks WHERE name = ?", (MARK,))
    since = max(rows[0][0] - _OVERLAP if rows else 0, now - KEEP * DAY)
    today = now // DAY
    touched: dict[int, list[str]] = {}
    for device, day in store.tuples(
        f"SELECT DISTINCT device, at / {DAY} FROM slots WHERE received > ? AND received <= ?"
        f" AND timed = 1 AND at >= ? AND at < ? ORDER BY 2, 1",
        (since, now, (today - KEEP) * DAY, (today + 1) * DAY),
    ):
        touched.setdefault(day, []).append(device)
    done = 0
    for day, devices in touched.items():
        for start in range(0, len(devices), _DEVICES):
            done += _compute(store, day, devices[start : start + _DEVICES])
            beat()
    with store.transaction():
        store.execute("DELETE FROM alert_days WHERE day < ?", (today - KEEP,))
        store.execute(
            "INSERT INTO alert_marks VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET at = excluded.at",
            (MARK, now),
        )
    return done


def _compute(store: Store, day: int, devices: list[str]) -> int:
    marks = ", ".join("?" * len(devices))
    rows = store.execute(
        f"SELECT device, at / {HOUR} AS hour, policy, epsilon_milli, k, length, MAX(slot) AS slot,"
        " MAX(withheld) AS withheld_cells, MAX(voice) AS voice, MAX(text) AS text,"
        " COUNT(DISTINCT slot) AS slots, COUNT(*) AS windows, MAX(received) AS received,"
        " SUM(CASE WHEN visits IS NULL THEN 1 ELSE 0 END) AS withheld,"
        " COALESCE(SUM(visits), 0) AS visits,"
        " SUM(CASE WHEN visits IS NULL THEN 0 ELSE merged + 1 END) AS noises"
        f" FROM slots WHERE device IN ({marks}) AND received >= ? AND at >= ? AND at < ?"
        " AND timed = 1 GROUP BY device, hour, policy, epsilon_milli, k, length"
        " ORDER BY device, received",
        (*devices, (day - 1) * DAY, day * DAY, (day + 1) * DAY),
    )
    days: dict[str, tuple[dict[int, Hour], Rules]] = {}
    for row in rows:
        rules = _rules(row)
        hours, before = days.get(row["device"], ({}, rules))
        hour, old = row["hour"] % 24, Hour(0, 0, 0, 0.0)
        old = hours.get(hour, old)
        hours[hour] = Hour(
            old.windows + int(row["windows"]),
            old.withheld + int(row["withheld"]),
            old.visits + int(row["visits"]),
            old.variance + int(row["noises"]) * deviation(scale(rules)) ** 2,
        )
        slots = max(rules.slots, before.slots)
        days[row["device"]] = (
            hours,
            Rules(rules.policy, rules.cells, rules.epsilon_milli, rules.k, rules.window, slots),
        )
    store.executemany(
        "INSERT INTO alert_days (device, day, hours) VALUES (?, ?, ?)"
        " ON CONFLICT (device, day) DO UPDATE SET hours = excluded.hours",
        [(device, day, to_text(Day(*each))) for device, each in sorted(days.items())],
    )
    return len(days)


def _rules(row: Mapping[str, Any]) -> Rules:
    left_out = tuple(
        sorted(
            cell
            for cell, _, reason in (
                each.partition(":") for each in row["withheld_cells"].split(",") if each
            )
            if reason == "policy"
        )
    )
    cells = _cells(row["policy"], left_out, row["voice"], row["text"])
    return Rules(
        row["policy"], cells, row["epsilon_milli"], row["k"], row["length"], int(row["slots"])
    )


@lru_cache(maxsize=256)
def _cells(
    policy: PolicyName, left_out: tuple[str, ...], voice: str | None, text: str | None
) -> tuple[AnyCell, ...]:
    """Those among which epsilon is shared, as `agent.desk.read.noise` has it."""
    cells = [cell for cell in PROFILES[policy].cells if cell not in left_out or cell == "micro"]
    for state, more in ((voice, hearing.VOICE), (text, hearing.WORDS)):
        if state not in (None, "policy"):
            cells += [cell for cell in more if cell not in cells]
    if {voice, text} - {None, "policy"}:
        cells += [cell for cell in hearing.TOGETHER if cell not in cells]
    return tuple(cells)


@lru_cache(maxsize=256)
def scale(rules: Rules) -> float:
    """b of the noise of one window's visits; 0: none."""
    if not rules.epsilon_milli:
        return 0.0
    return float(SENSITIVITY["visits"] / rules.as_policy().epsilon("visits"))


@dataclass(frozen=True, slots=True)
class Batch:
    """The days of some devices."""

    devices: list[str]
    first: int
    """Number of the first day since 1970."""
    hours: np.ndarray
    """HOUR_ROW[devices, days, 24]."""
    rules: np.ndarray
    """int64[devices, days], into `known`; -1: nothing came of that day."""
    known: list[Rules]


def batches(
    store: Store, first: int, last: int, beat: Callable[[], None] = _nothing
) -> Iterator[Batch]:
    """Every device that has not been revoked, in order of id, some hundred at a time, with its days
    from `first` to `last`. `beat`: called after each batch. Raises `StoreUnavailable`."""
    # One row a device, put together by the database in one order: a row a day would take longer to
    # fetch than all that is computed of it.
    join = "GROUP_CONCAT({}, '{}')" if store.dialect == "sqlite" else "STRING_AGG({}, '{}')"
    after = ""
    while names := store.tuples(
        "SELECT device FROM devices WHERE device > ? AND revoked_at IS NULL ORDER BY device"
        " LIMIT ?",
        (after, _DEVICES),
    ):
        rows = store.tuples(
            f"SELECT device, {join.format('CAST(day AS TEXT)', ' ')},"
            f" {join.format(f'SUBSTR(hours, 1, {_DIGITS})', '')},"
            f" {join.format(f'SUBSTR(hours, {_DIGITS + 1})', ' ')}"
            " FROM alert_days WHERE device > ? AND device <= ? AND day >= ? AND day <= ?"
            " GROUP BY device",
            (after, names[-1][0], first, last),
        )
        after = names[-1][0]
        yield _batch([name for (name,) in names], rows, first, last)
        beat()


def _batch(devices: list[str], rows: list[tuple[Any, ...]], first: int, last: int) -> Batch:
    place = {name: number for number, name in enumerate(devices)}
    rows = [row for row in rows if row[0] in place]
    shape = (len(devices), last - first + 1)
    hours, rules = np.zeros((*shape, 24), HOUR_ROW), np.full(shape, -1)
    known: dict[str, int] = {}
    if rows:
        days = [row[1].split() for row in rows]
        at = np.repeat([place[row[0]] for row in rows], [len(each) for each in days])
        day = np.array([each for some in days for each in some], np.int64) - first
        packed = bytes.fromhex("".join(row[2] for row in rows))
        hours[at, day] = np.frombuffer(packed, HOUR_ROW).reshape(-1, 24)
        texts = [each for row in rows for each in row[3].split(" ")]
        rules[at, day] = [known.setdefault(each, len(known)) for each in texts]
    return Batch(devices, first, hours, rules, [_rules_of(each) for each in known])
