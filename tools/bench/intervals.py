"""`python -m tools.bench intervals`: how often the intervals of `agent.desk.read` hold the truth.

Made-up visitors go through the device's own noise and release (`agent.desk.plan.trial`); what was
said of them is read, and compared with what they did.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np

from agent.base.report import to_json
from agent.base.vocabulary import PolicyName
from agent.desk import read
from agent.desk.plan.trial import MIDNIGHT, Device, Told, counted
from agent.desk.read.frame import Collector
from agent.desk.read.messages import Said, Tally
from agent.privacy.policy.rules import Policy
from tools.bench.worlds.measure import configuration
from tools.common.command import positive
from tools.common.machine import line, machine
from tools.common.progress import along
from tools.common.tables import columns, text

LOOKED = ("attention_from_1_to_5", "attention_from_5_to_15", "attention_over_15")
SHARE = 0.3
KINDS = ("windows", "visits", "looked", "share", "mean", "expected")
"""Single windows, published or not; sums of visits and of those who looked; the share of these; the
mean valence; the share that visitors looked with, on average."""
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Site:
    """A number of windows of one slot."""

    name: str
    policy: PolicyName
    visits: float
    """Of a window, on average."""
    windows: int
    length: int | None = None
    """Seconds; None: the policy's own."""

    @property
    def rules(self) -> Policy:
        rules = configuration(self.policy)[1]
        return rules if self.length is None else replace(rules, window=self.length)


SITES = (
    Site("busy", "retail-eu", 150.0, 4),
    Site("day", "retail-eu", 40.0, 40),
    Site("quiet", "retail-eu", 14.0, 30),
    Site("crowd", "research-consented", 420.0, 3),
    Site("laboratory", "research-consented", 12.0, 10),
    Site("class", "classroom", 25.0, 12),
)


def simulated(site: Site, seed: int) -> tuple[list[Told], Any]:
    """What was said, and the frame that is read from it."""
    rng = random.Random(f"{site.name} {seed}")
    device, collector = Device(site.rules, rng), Collector(Tally())
    told = []
    for number in range(site.windows):
        exact = counted(rng, site.visits, read.RATES["attention"], SHARE)
        told.append(device.say(exact, 0, MIDNIGHT + site.rules.window * number))
        body = to_json(told[-1].summary)
        collector.add(Said("box-1", "summary", body), f"window {number}")
    return told, collector.frame(LEVEL)


def held(site: Site, times: int, seed: int) -> dict[str, Any]:
    """How often each kind of interval held the truth, and how wide the share's was."""
    inside: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    widths = []
    for number in range(times):
        told, windows = simulated(site, seed + number)
        each = np.array([one.exact.cells["visits"][0] for one in told])
        good = (windows["visits_low"] <= each) & (each <= windows["visits_high"])
        inside["windows"] += int((good | ~windows["published"]).sum())
        asked["windows"] += len(told)
        published = [one.exact.cells for one in told if one.summary.visits is not None]
        visits = sum(cells["visits"][0] for cells in published)
        if not visits:
            continue
        looked = sum(sum(cells["attention"][1:]) for cells in published)
        share = read.measure(windows, "attention", level=LEVEL)
        widths.append(share.visitors.width)
        found = {
            "visits": (visits, read.total(windows, "visits", level=LEVEL).interval),
            "looked": (looked, read.total(windows, LOOKED, level=LEVEL).interval),
            "share": (looked / visits, share.visitors),
            "expected": (SHARE, share.population),
        }
        if "valence" in site.rules.cells:
            valence = sum(cells["valence"][0] for cells in published) / 100 / visits
            found["mean"] = valence, read.measure(windows, "valence", level=LEVEL).visitors
        for kind, (truth, interval) in found.items():
            asked[kind] += 1
            inside[kind] += truth in interval
    return {
        "site": site.name,
        "policy": site.policy,
        "visits": site.visits,
        "windows": site.windows,
        "asked": dict(asked),
        "held": dict(inside),
        "width": float(np.mean(widths)) if widths else None,
    }


def least(count: int) -> float:
    """A share below which an honest interval is once in a thousand times."""
    return LEVEL - 3.1 * sqrt(LEVEL * (1 - LEVEL) / count)


def seconds_to_add(rows: int = 100_000) -> float:
    """Seconds in which so many windows are added up."""
    import pandas as pd

    frame = simulated(SITES[1], 1)[1]
    many = pd.concat([frame[frame["published"]]] * (1 + rows // 20), ignore_index=True)[:rows]
    many["seq"] = np.arange(len(many))
    began = time.perf_counter()
    read.total(many, "visits")
    return time.perf_counter() - began


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "intervals",
        parents=[shared],
        help="how often intervals of noised numbers hold the truth",
        description="Exit code 1 where one holds it less often than its level by more than chance.",
    )
    parser.add_argument("--times", type=positive, default=400, metavar="N", help="default: 400")
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text."""
    report = measure(args.times, args.seed)
    return report, intervals_text(report)


def measure(
    times: int, seed: int, sites: tuple[Site, ...] = SITES, clock: Callable[[], float] | None = None
) -> dict[str, Any]:
    """`clock`: gives the seconds to add 100,000 windows; None: they are measured."""
    before = machine()
    found = [held(site, times, seed) for site in along(sites, "sites")]
    passed = all(
        site["held"].get(kind, 0) / count >= least(count)
        for site in found
        for kind, count in site["asked"].items()
    )
    return {
        "machine": before,
        "times": times,
        "seed": seed,
        "level": LEVEL,
        "seconds_to_add": (clock or seconds_to_add)(),
        "sites": found,
        "passed": passed,
    }


def intervals_text(report: dict[str, Any]) -> str:
    """The report as a table."""
    head = line(report["machine"])
    head += (
        f"{report['times']} times each, seed {report['seed']}: share of the intervals that hold "
    )
    head += f"the truth, {report['level']:.0%} promised.\n"
    head += "windows: each by itself, also unpublished; width: of the share of those who looked\n"
    table = columns("site", "policy", "visits", "number", *KINDS, "width", words=("policy",))
    for site in report["sites"]:
        shares = (
            f"{site['held'].get(kind, 0) / site['asked'][kind]:.1%}"
            if kind in site["asked"]
            else ""
            for kind in KINDS
        )
        width = "" if site["width"] is None else f"{site['width']:.2f}"
        table.add_row(site["site"], site["policy"], f"{site['visits']:g}", str(site["windows"]),
                      *shares, width)  # fmt: skip
    return head + text(table) + f"100,000 windows are added in {report['seconds_to_add']:.1f} s\n"
