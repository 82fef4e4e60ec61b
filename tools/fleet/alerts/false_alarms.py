"""How often `visits` and `withheld` call out a device at which nothing has changed, and how soon
they see one at which something has: made-up years through the noise and the rule of publishing that
devices have, judged hour by hour as the fleet's side does. All years of a place run together."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agent.desk.read.noise import deviation
from agent.privacy.policy.rules import PROFILES
from tools.common.command import positive
from tools.common.machine import line, machine
from tools.common.tables import columns, text
from tools.fleet.alerts import visits, waiting, withheld
from tools.fleet.alerts.hours import Rules, scale
from tools.fleet.alerts.kinds import BY_NAME

OPEN = (9, 19)
"""Hours of the day, UTC."""
WEEKDAYS = np.array([1.0, 0.9, 0.9, 1.0, 1.2, 1.5, 0.5])
"""Of the average day, Monday first."""
YEAR = 364
"""Days."""
_WEEK = 7 * 24


@dataclass(frozen=True, slots=True)
class Place:
    """One device's visitors."""

    visits: float
    """A day, on average."""
    differ: float
    """Standard deviation of a day's visits over their mean, beside chance."""
    policy: str = "retail-eu"
    crowd: int = 1
    """Visitors who come together."""


PLACES = (
    Place(2000, 0.0), Place(2000, 0.15), Place(2000, 0.3), Place(400, 0.15), Place(400, 0.3),
    Place(100, 0.15), Place(400, 0.15, "research-consented"), Place(400, 0.15, crowd=4),
)  # fmt: skip
"""What is tried."""


@dataclass(slots=True)
class Found:
    """What was said of all years of a place."""

    false_visits: int = 0
    """Alerts raised while nothing had changed."""
    false_withheld: int = 0
    delays: list[int] = field(default_factory=list)
    """Hours from the change to the alert, of those years that were told, ascending."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Numbers of each hour, [years, hours]."""

    windows: np.ndarray
    withheld: np.ndarray
    visits: np.ndarray
    variance: np.ndarray


def rules_of(place: Place) -> Rules:
    """A policy's defaults."""
    profile = PROFILES[place.policy]  # type: ignore[index]
    milli = 0 if profile.max_epsilon is None else int(1000 * profile.epsilon)
    return Rules(place.policy, profile.cells, milli, profile.k, profile.window, 1)  # type: ignore[arg-type]


def simulate(place: Place, years: int, seed: int, left: float, days: int, after: int) -> Found:
    """Whole weeks: `days` without a change, then `after` with the share `left` of the visits."""
    rules = rules_of(place)
    made = live(place, rules, years, np.random.default_rng(seed), left, days, after)
    begin, change, end = _WEEK * (visits.WEEKS + 1), 24 * days, 24 * (days + after)
    series = visits.Series(
        made.windows, made.withheld, made.visits, made.variance, np.ones(years, np.int64)
    )
    found = Found(false_withheld=_withheld(made, rules, days))
    hours = np.arange(begin, end + 1)
    for year in range(years):
        judged = visits.judge(
            series, np.full(len(hours), year), hours, lambda _, number: waiting.most(rules, number)
        )
        verdict = dict(zip(hours.tolist(), judged.verdict.tolist(), strict=True))
        found.false_visits += len(_raised(verdict, begin, change))
        told = _raised(verdict, change + 1, end + 1)
        found.delays += [each - change for each in told[:1]]
    found.delays.sort()
    return found


def live(
    place: Place, rules: Rules, years: int, rng: np.random.Generator, left: float, days: int,
    after: int,
) -> Hours:  # fmt: skip
    """Visitors, noise, publication, window by window."""
    per_hour, b = 3600 // rules.window, scale(rules)
    hours = 24 * (days + after)
    held = np.zeros((years, hours), np.int64)
    told, noises = np.zeros_like(held), np.zeros_like(held)
    pending, number = np.zeros(years), np.zeros(years, np.int64)
    today = np.ones(years)
    needed = waiting.most(rules, np.arange(hours * per_hour + 1))[0]
    for hour in range(hours):
        day, now = divmod(hour, 24)
        if now == 0 and place.differ:
            shape = 1 / place.differ**2
            today = rng.gamma(shape, 1 / shape, years)
        mean = place.visits * 7 * WEEKDAYS[day % 7] / WEEKDAYS.sum() / (OPEN[1] - OPEN[0])
        mean *= (left if day >= days else 1.0) / per_hour
        for _ in range(per_hour):
            if OPEN[0] <= now < OPEN[1] and mean:
                pending += place.crowd * rng.poisson(mean * today / place.crowd)
            if b:
                p = 1 - math.exp(-1 / b)
                pending += rng.geometric(p, years) - rng.geometric(p, years)
            number += 1
            ready = pending >= needed[number]
            told[:, hour] += np.where(ready, pending, 0).astype(np.int64)
            noises[:, hour] += np.where(ready, number, 0)
            held[:, hour] += ~ready
            pending[ready], number[ready] = 0, 0
    return Hours(np.full_like(held, per_hour), held, told, noises * deviation(b) ** 2)


def _raised(verdict: dict[int, int], begin: int, end: int) -> list[int]:
    """Hours at which an alert was raised that none was open at; `end` is left out."""
    raised: list[int] = []
    patience = BY_NAME["visits"].end_after // 3600
    is_open, good = False, 0
    for hour in range(begin, end):
        if not is_open and verdict[hour] == visits.IS_FEWER:
            raised.append(hour)
            is_open, good = True, 0
        elif is_open:
            good = good + 1 if verdict[hour] == visits.USUAL else 0
            is_open = good <= patience
    return raised


def _withheld(made: Hours, rules: Rules, days: int) -> int:
    """Alerts of kind `withheld`, looked at once a day."""
    back, years = 7, len(made.visits)

    def weeks(hours: np.ndarray) -> np.ndarray:
        whole = hours[:, : 24 * days].reshape(years, days, 24).cumsum(axis=1)
        first = np.concatenate([np.zeros((years, 1, 24), np.int64), whole], axis=1)
        return np.asarray((first[:, back:] - first[:, :-back]).reshape(-1, 24))

    sums = (weeks(made.windows), weeks(made.withheld), weeks(made.visits))
    verdicts = withheld.judge(*sums, rules).verdict.reshape(years, -1)
    raised = 0
    for year in verdicts.tolist():
        is_open = False
        for verdict in year:
            if verdict == withheld.MORE_THAN_USUAL and not is_open:
                raised, is_open = raised + 1, True
            elif verdict in (-1, withheld.USUAL):
                is_open = False
    return raised


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    one = verbs.add_parser(
        "false-alarms", parents=[shared], help="made-up years, judged hour by hour"
    )
    one.add_argument("--years", type=positive, default=40, help="of each place")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--left", type=float, default=0.0, help="share of visits after the change")
    one.add_argument("--after", type=positive, default=2, metavar="WEEKS",
                     help="looked at after the change")  # fmt: skip


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """A year of each place without a change, then what is left after one."""
    here, after, rows = machine(), 7 * args.after, []
    for place in PLACES:
        found = simulate(place, args.years, args.seed, args.left, YEAR, after)
        hours = found.delays
        rows.append({
            "visits_a_day": place.visits, "differ": place.differ, "policy": place.policy,
            "crowd": place.crowd, "false_visits": found.false_visits,
            "false_withheld": found.false_withheld, "told": len(hours),
            "hours": hours[len(hours) // 2] if hours else None,
        })  # fmt: skip
        print(f"false-alarms: {len(rows)} of {len(PLACES)} places", file=sys.stderr, flush=True)
    judged = args.years * (1 - 7 * (visits.WEEKS + 1) / YEAR)
    report = {"machine": here, "years": args.years, "judged": round(judged, 1), "left": args.left,
              "after": after, "rows": rows}  # fmt: skip
    return report, _text(report)


def _text(report: dict[str, Any]) -> str:
    table = columns(
        "visits/day", "at once", "differ", "policy", "false, visits", "withheld", "told", "hours",
        words=("policy",),
    )  # fmt: skip
    for row in report["rows"]:
        hours = "-" if row["hours"] is None else f"{row['hours']}"
        table.add_row(
            f"{row['visits_a_day']}", f"{row['crowd']}", f"{100 * row['differ']:.0f} %",
            row["policy"], f"{row['false_visits']}", f"{row['false_withheld']}",
            f"{row['told']} of {report['years']}", hours,
        )  # fmt: skip
    return (
        f"{line(report['machine'])}{text(table)}"
        "at once: visitors who come together; differ: standard deviation of days; false alarms of "
        f"`visits`\nin {report['judged']:g} years that can be judged, of `withheld` in "
        f"{report['years']}; then {100 * report['left']:g} % of the visits for {report['after']} "
        "days:\nin how many years it was told, and hours until then (median)\n"
    )
