"""`python -m tools.fleet.simulate run-scale`: how much a fleet's side carries on this machine, and
whether anything is lost while parts of it fail."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tools.common.command import positive, store
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.machine import line, machine, slug
from tools.common.tables import columns, text
from tools.fleet.simulate import compare, run
from tools.fleet.simulate.compare import Comparison
from tools.fleet.simulate.deployment import Deployment, StoreKind
from tools.fleet.simulate.limits import SPARE, allow_open_files
from tools.fleet.simulate.run import Outcome
from tools.fleet.simulate.world import Plan
from tools.fleet.store import StoreUnavailable

REFERENCE = ROOT / "tools" / "fleet" / "reference"
_SETTLE = 600.0
"""Seconds at most until the database has what waits in the broker."""
_STILL = 60.0
"""Seconds without a new row after which no more is expected."""
_PARTS = ("mosquitto", "collector 1", "collector 2", "database", "controller", "simulator")


@dataclass(slots=True)
class Incident:
    """Something that breaks, and comes back."""

    name: str
    at: float
    """Seconds from the beginning."""
    lasts: float
    begin: Callable[[], None]
    end: Callable[[], None]
    state: int = 0


@dataclass(slots=True)
class Result:
    """Of one size."""

    devices: int
    outcome: Outcome
    comparison: Comparison
    cpu: dict[str, float]
    """Seconds, by part."""
    rate: float
    """Rows a second over the run."""
    peak: float
    """The same of the best five seconds: what was waiting is caught up with."""
    settled: float
    """Seconds until all was in the database, after the devices' last message."""
    incidents: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.comparison.passed and not self.outcome.pending

    def as_dict(self) -> dict[str, Any]:
        return {
            "devices": self.devices, "passed": self.passed, "rate": round(self.rate, 1),
            "peak": round(self.peak, 1), "settled": round(self.settled, 1), "cpu": self.cpu,
            "incidents": self.incidents, "outcome": self.outcome.as_dict(),
            "comparison": self.comparison.as_dict(),
        }  # fmt: skip


def add(given: argparse.ArgumentParser) -> None:
    """The arguments beside those of a simulation."""
    given.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    given.add_argument("--sizes", default="1000,3000,10000", metavar="N,…", help="devices, in turn")
    given.add_argument("--processes", type=positive, metavar="N", help="of the simulator")
    given.add_argument("--calm", action="store_true", help="nothing is killed or stopped")
    given.add_argument("--restart-broker", action="store_true", help="it is restarted as well")
    given.add_argument("--controller", action="store_true", help="it runs as well")
    given.add_argument("--keep", type=Path, metavar="FOLDER", help="leave logs and data there")
    given.add_argument("--json", action="store_true", help="end with one line of JSON")
    given.add_argument("--save", action="store_true", help="store under tools/fleet/reference")


def main(args: argparse.Namespace, plan: Plan, given: list[str]) -> int:
    """Returns the exit code: 1 where anything was lost, doubled or altered. Raises `ToolError`."""
    try:
        sizes = [positive(each) for each in args.sizes.split(",")]
    except (ValueError, argparse.ArgumentTypeError):
        raise ToolError(f"--sizes {args.sizes!r}: numbers of devices, comma between.") from None
    here = machine()
    results = []
    for devices in sizes:
        results.append(measure(args, replace(plan, devices=devices, ramp=devices / 200)))
        print(_table(results), end="", flush=True)
    report = {"machine": here, "store": args.store, "results": [each.as_dict() for each in results]}
    shown = (
        line(here) + f"database: {args.store}\n" + _table(results)
        + "".join(
            f"{each.devices} devices: {'; '.join(each.incidents)}\n"
            for each in results
            if each.incidents
        )
    )  # fmt: skip
    if args.save:
        calm = "-calm" if args.calm else ""
        target = REFERENCE / f"{slug(here)}-scale-{args.store}{calm}.md"
        title = f"{here['name']}: a fleet's side, {args.store}"
        store(target, title, "tools.fleet.simulate", given, shown, report)
        print(f"simulate: stored {target}", file=sys.stderr)
    if args.json:
        print(json.dumps(report))
    return 0 if all(each.passed for each in results) else 1


def measure(args: argparse.Namespace, plan: Plan) -> Result:
    """One size. Raises `ToolError`."""
    allow_open_files(plan.devices + 200 + SPARE, "Mosquitto")
    with tempfile.TemporaryDirectory(prefix="fleeting-scale-") as made:
        folder = args.keep / f"{plan.devices}" if args.keep else Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        Path(made).chmod(0o711)
        kind: StoreKind = args.store
        with Deployment(folder, kind, controller=args.controller) as side:
            plan = replace(
                plan, truth=folder / "truth.db", tls=side.fleet,
                brokers=(("localhost", side.port),),
            )  # fmt: skip
            return _run(args, plan, side)


def _run(args: argparse.Namespace, plan: Plan, side: Deployment) -> Result:
    incidents = [] if args.calm else _incidents(args, plan, side)
    watched = _Rows(side.url)

    def each_second(outcome: Outcome) -> bool:
        side.check()
        side.meter.look()
        for each in incidents:
            if each.state == 0 and outcome.seconds >= each.at:
                each.state = 1
                each.begin()
            elif each.state == 1 and outcome.seconds >= each.at + each.lasts:
                each.state = 2
                each.end()
        watched.look()
        return True

    outcome = run.simulate(plan, run.processes_for(plan.devices, args.processes), each_second)
    for each in incidents:
        if each.state == 1:
            each.end()
    ended = time.monotonic()
    wanted = outcome.counts.get("acknowledged", 0)
    while watched.rows < wanted and time.monotonic() - ended < _SETTLE:
        if time.monotonic() - max(watched.grew, ended) > _STILL:
            break
        side.check()
        side.meter.look()
        watched.look()
        time.sleep(1.0)
    settled = max(0.0, watched.grew - ended)
    cpu = side.meter.seconds() | {"simulator": round(outcome.cpu, 1)}
    return Result(
        plan.devices, outcome, compare.compare(plan.truth, side.url), cpu,
        watched.rows / (outcome.seconds + settled), watched.peak, settled,
        [f"{each.name} at {each.at:.0f} s for {each.lasts:.0f} s" for each in incidents],
    )  # fmt: skip


def _incidents(args: argparse.Namespace, plan: Plan, side: Deployment) -> list[Incident]:
    """In the run's first, second and last third."""
    third = plan.seconds / 3
    found = [
        Incident("collector 1 killed", 0.5 * third, min(30.0, 0.25 * third),
                 lambda: side.kill_collector(0), lambda: side.start_collector(0, again=True)),
        Incident("database stopped", 1.25 * third, min(60.0, 0.5 * third),
                 side.stop_database, side.start_database),
    ]  # fmt: skip
    if args.restart_broker:
        found.append(Incident("broker stopped", 2.25 * third, 2.0,
                              side.stop_broker, side.start_broker))  # fmt: skip
    return found


class _Rows:
    """How many rows there are, looked at now and then."""

    EVERY = 5.0

    def __init__(self, url: str) -> None:
        self._url = url
        self._looked = self.grew = time.monotonic()
        self.rows, self.peak = 0, 0.0

    def look(self) -> None:
        """At most every few seconds; a database that is away is looked at later."""
        now = time.monotonic()
        if now - self._looked < self.EVERY:
            return
        since, self._looked = now - self._looked, now
        try:
            found = compare.stored(self._url)
        except (StoreUnavailable, ToolError):
            return
        if found > self.rows:
            self.grew = now
            self.peak = max(self.peak, (found - self.rows) / since)
        self.rows = found


def _table(results: list[Result]) -> str:
    shown = columns("", *(f"{each.devices} devices" for each in results))

    def row(name: str, value: Callable[[Result], object]) -> None:
        shown.add_row(name, *(f"{value(each)}" for each in results))

    row("acknowledged by the broker", lambda each: each.comparison.acknowledged)
    row("in the database", lambda each: each.comparison.stored)
    for name in ("lost", "doubled", "invented", "altered", "gaps_missed", "gaps_invented",
                 "quarantined"):  # fmt: skip
        row(name.replace("_", " "), lambda each, name=name: getattr(each.comparison, name))  # type: ignore[misc]
    row("second copies left out", lambda each: each.comparison.duplicates)
    row("never acknowledged", lambda each: each.outcome.pending)
    row("rows a second", lambda each: f"{each.rate:.0f}")
    row("rows a second, at most", lambda each: f"{each.peak:.0f}")
    row("seconds until all was stored", lambda each: f"{each.settled:.0f}")
    row("connections", lambda each: each.outcome.counts.get("connections", 0))
    for part in _PARTS:
        if any(part in each.cpu for each in results):
            row(f"processor seconds, {part}", lambda each, part=part: each.cpu.get(part, "-"))  # type: ignore[misc]
    row("the same for 1000 rows, without simulator", _per_thousand)
    row("passed", lambda each: "yes" if each.passed else "NO")
    return text(shown)


def _per_thousand(result: Result) -> str:
    """Linear growth keeps it the same."""
    total = sum(seconds for part, seconds in result.cpu.items() if part != "simulator")
    return f"{1000 * total / max(result.comparison.stored, 1):.2f}"
