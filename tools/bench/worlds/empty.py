"""`python -m tools.bench empty`: how often noise alone is published, and what waiting costs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from fractions import Fraction
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.vocabulary import PolicyName
from agent.privacy.policy.rules import PROFILES, Policy
from agent.privacy.publishing import ALPHA, PublishingRule, Thresholds
from agent.privacy.window import SENSITIVITY
from tools.bench.worlds.day import laplace
from tools.bench.worlds.measure import configuration
from tools.common.command import positive
from tools.common.machine import line, machine
from tools.common.progress import along
from tools.common.tables import columns, text

Limits = NDArray[np.int64]
"""Thresholds for 1, 2, … pending windows."""

_DAY = 86_400
_CHUNK = 1000
"""Days simulated at once."""
_LATER = 1000
"""Number since boot of a window long after it."""
_RATES = (3, 10, 30)
"""Visits per window."""
_SITES, _WINDOWS = 200, 2000
_NEVER = Fraction(1, 10**9)
"""A steady budget that moves no threshold."""


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "empty",
        parents=[shared],
        help="days without visits that publish anything, and how long visits wait",
        description="Exit code 1 where more than one empty day in twenty publishes a summary.",
    )
    parser.add_argument("--days", type=positive, default=10_000, metavar="N", help="default: 10000")
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text."""
    report = measure(args.days, args.seed)
    return report, empty_text(report)


def measure(days: int, seed: int) -> dict[str, Any]:
    """Simulate every profile that adds noise, and rules for one of them."""
    before, rng = machine(), np.random.default_rng(seed)
    noised = [name for name, each in PROFILES.items() if each.max_epsilon is not None]
    profiles = [_profile(name, days, rng) for name in along(noised, "profiles")]
    _, retail = configuration("retail-eu")
    rules = _rules(retail)
    costs = [_cost(name, rules[name], days, retail, rng) for name in along(rules, "rules")]
    shares = [share for row in profiles for share in row["published"].values()]
    return {
        "machine": before,
        "alpha": float(ALPHA),
        "days": days,
        "seed": seed,
        "profiles": profiles,
        "rules": costs,
        "passed": max(shares) <= ALPHA,
    }


def _profile(name: PolicyName, days: int, rng: np.random.Generator) -> dict[str, Any]:
    """The share of empty days that publish anything, by what was before and the slots on show."""
    _, policy = configuration(name)
    after = {
        f"{slots} slot{'s' * (slots > 1)}": slot_limits(policy, slots, published=True)
        for slots in (1, 4, 16)
    }
    after["after boot, 4"] = slot_limits(policy, 4, first=0)
    published = {key: _share(limits, days, policy, rng) for key, limits in after.items()}
    # Killed at the end of every hour: the sum begins at nothing.
    hour = ceil(_windows(policy) / 24)
    often = [limits[np.arange(len(limits)) % hour] for limits in slot_limits(policy, 1)]
    published["killed hourly"] = _share(often, days, policy, rng, each=hour)
    return {
        "policy": name,
        "k": policy.k,
        "epsilon": policy.epsilon_milli / 1000,
        "windows": _windows(policy),
        "published": published,
    }


def _windows(policy: Policy) -> int:
    return ceil(_DAY / policy.window)


def _scale(policy: Policy) -> Fraction:
    """Of the noise in a window's number of visits."""
    return SENSITIVITY["visits"] / policy.epsilon("visits")


def slot_limits(
    policy: Policy, slots: int, *, published: bool = False, first: int = _LATER
) -> list[Limits]:
    """A day's thresholds of each slot, whose sum begins at nothing: after a publication, or in a
    process that started with window `first` since boot."""
    rule = PublishingRule(policy)
    limits = []
    for slot in range(slots):
        if published:
            rule.published(slot)
        each = [rule.threshold(slot, n, first) for n in range(1, _windows(policy) + 1)]
        limits.append(np.array(each))
    return limits


def _share(
    slots: list[Limits],
    days: int,
    policy: Policy,
    rng: np.random.Generator,
    each: int | None = None,
) -> float:
    """The share of days on which any slot is published. `each`: windows after which the sums begin
    anew."""
    scale, windows = np.array([float(_scale(policy))]), len(slots[0])
    found = 0
    for first in range(0, days, _CHUNK):
        number = min(_CHUNK, days - first)
        published = np.zeros(number, bool)
        for limits in slots:
            noise = laplace(rng, scale, number, windows)[..., 0]
            sums = np.cumsum(noise, axis=1)
            if each is not None:
                starts = (np.arange(windows) // each) * each
                sums = sums - np.where(starts > 0, sums[:, starts - 1], 0)
            published |= (sums >= limits).any(1)
        found += int(published.sum())
    return found / days


def _rules(policy: Policy) -> dict[str, Limits]:
    """Thresholds by different rules."""
    number, scale = 1024, _scale(policy)
    deviations = np.sqrt(2.0 * np.arange(number)) * float(scale)
    spending = Thresholds(scale, policy.k, ALPHA, 0, _NEVER)
    steady = Thresholds(scale, policy.k, Fraction(0), 0, ALPHA / _windows(policy))
    return {
        "2 deviations at each look": np.maximum(policy.k, np.ceil(2 * deviations)).astype(int),
        "alpha / (n (n + 1))": _many(spending.at, number),
        "alpha / 96": _many(steady.at, number),
        "this rule": _of_rule(policy, number, published=True),
        "its second slot": _of_rule(policy, number, published=True, slot=1),
        "after a boot": _of_rule(policy, number, first=0),
        "after a restart": _of_rule(policy, number),
    }


def _of_rule(
    policy: Policy, number: int, *, published: bool = False, first: int = _LATER, slot: int = 0
) -> Limits:
    rule = PublishingRule(policy)
    for each in range(slot + 1):
        rule.threshold(each, 1, first)
    if published:
        rule.published(slot)
    return _many(lambda n: rule.threshold(slot, n, first), number)


def _many(threshold: Callable[[int], int], number: int) -> Limits:
    return np.array([threshold(n) for n in range(1, number + 1)])


def _cost(
    name: str, limits: Limits, days: int, policy: Policy, rng: np.random.Generator
) -> dict[str, Any]:
    waits = [_waiting(limits, rate, float(_scale(policy)), rng) for rate in _RATES]
    return {
        "rule": name,
        "thresholds": [int(limits[n - 1]) for n in (1, 2, 4, 8, 16, 32)],
        "empty": _share([limits[: _windows(policy)]], days, policy, rng),
        "windows": {str(rate): wait[0] for rate, wait in zip(_RATES, waits, strict=True)},
        "age": {str(rate): wait[1] for rate, wait in zip(_RATES, waits, strict=True)},
    }


def _waiting(
    limits: Limits, rate: float, scale: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Windows per publication, and the windows that a visit waits after its own, means over sites
    with a Poisson number of visits per window."""
    noise = laplace(rng, np.array([scale]), _WINDOWS, _SITES)[..., 0]
    arrivals = rng.poisson(rate, (_WINDOWS, _SITES))
    total, visits = np.zeros(_SITES, np.int64), np.zeros(_SITES, np.int64)
    windows, waited = np.zeros(_SITES, np.int64), np.zeros(_SITES, np.int64)
    publications = age = counted = 0
    for drawn, arrived in zip(noise, arrivals, strict=True):
        waited += visits
        visits += arrived
        total += arrived + drawn
        windows += 1
        found = total >= limits[np.minimum(windows, len(limits)) - 1]
        publications += int(found.sum())
        age += int(waited[found].sum())
        counted += int(visits[found].sum())
        for each in (total, visits, windows, waited):
            each[found] = 0
    return round(_SITES * _WINDOWS / publications, 2), round(age / counted, 2)


def empty_text(report: dict[str, Any]) -> str:
    """The report as two tables."""
    days = report["days"]
    head = line(report["machine"])
    head += f"{days} days without visits each, seed {report['seed']}: share that published "
    head += f"anything, at most {report['alpha']:.0%} allowed.\n"
    head += (
        "Slots that all published just before; on show since boot; a process killed every hour\n"
    )
    profiles = columns("profile", "windows", *_keys(report))
    for row in report["profiles"]:
        shares = (f"{row['published'][key]:.2%}" for key in _keys(report))
        profiles.add_row(row["policy"], str(row["windows"]), *shares)
    middle = f"95 % interval: +-{1.96 * sqrt(0.05 * 0.95 / days):.2%} or less\n\n"
    rates = ", ".join(map(str, _RATES))
    middle += (
        "retail-eu: thresholds at 1, 2, 4, 8, 16, 32 windows; windows per publication, and (in "
    )
    middle += f"brackets) that\na visit waits after its own, at {rates} visits per window. The "
    middle += "second and third rule hold for one slot\nwithout restarts.\n"
    rules = columns("rule", "thresholds", "empty days", *map(str, _RATES))
    for row in report["rules"]:
        rules.add_row(
            row["rule"],
            " ".join(map(str, row["thresholds"])),
            f"{row['empty']:.2%}",
            *(f"{row['windows'][str(r)]:.2f} ({row['age'][str(r)]:.2f})" for r in _RATES),
        )
    return head + text(profiles) + middle + text(rules)


def _keys(report: dict[str, Any]) -> list[str]:
    return list(report["profiles"][0]["published"])
