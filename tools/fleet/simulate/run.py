"""All processes of a simulation, and what came of it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from tools.common.errors import ToolError
from tools.common.progress import bar
from tools.common.tables import columns, text
from tools.fleet.simulate.truth import Truth
from tools.fleet.simulate.worker import Report, work
from tools.fleet.simulate.world import Plan

PER_PROCESS = 5000
"""Devices in one process."""
_GIVE_UP = 30.0
"""Seconds without any connection at the beginning after which the broker counts as unreachable."""
_SILENT = 120.0
"""Seconds without a word of a process after which it counts as lost."""


@dataclass(slots=True)
class Outcome:
    """Of a whole simulation."""

    devices: int
    seconds: float
    """From start to end."""
    connected: int = 0
    """At most at one time."""
    pending: int = 0
    """Messages that were never acknowledged."""
    counts: dict[str, int] = field(default_factory=dict)
    troubles: dict[str, int] = field(default_factory=dict)
    cpu: float = 0.0
    memory: int = 0
    """KiB, of all processes together."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def processes_for(devices: int, wanted: int | None = None) -> int:
    """How many processes; at most one for each core unless `wanted` says so."""
    if wanted is not None:
        return wanted
    return max(1, min(os.cpu_count() or 1, -(-devices // PER_PROCESS)))


def simulate(
    plan: Plan,
    processes: int,
    each_second: Callable[[Outcome], bool] = lambda outcome: True,
) -> Outcome:
    """Run it to its end. `each_second`: is told how it stands; false ends it early, and what waits
    is still sent. Raises `ToolError`."""
    Truth(plan.truth).close()
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in range(processes)]
    children = [
        context.Process(target=work, args=(plan, at, processes, theirs), daemon=True)
        for at, (_, theirs) in enumerate(pairs)
    ]
    ours = [mine for mine, _ in pairs]
    try:
        for child in children:
            child.start()
        for _, theirs in pairs:
            theirs.close()
        return _follow(plan, ours, each_second)
    finally:
        for child in children:
            child.join(5)
            if child.is_alive():
                child.kill()


def _follow(plan: Plan, ours: list[Connection], each_second: Callable[[Outcome], bool]) -> Outcome:
    began, last_word = time.monotonic(), time.monotonic()
    reports: dict[int, Report] = {}
    outcome = Outcome(plan.devices, 0.0)
    open_ones, told = list(ours), False
    with bar(f"{plan.devices} devices", plan.seconds) as tell:
        while open_ones:
            try:
                for connection in wait(open_ones, 1.0):
                    assert isinstance(connection, Connection)
                    report = _receive(connection)
                    last_word = time.monotonic()
                    reports[ours.index(connection)] = report
                    if report.done:
                        open_ones.remove(connection)
                _sum(outcome, reports.values(), time.monotonic() - began)
                _check(plan, outcome)
                tell(min(outcome.seconds, plan.seconds), _line(outcome))
                stop = len(reports) == len(ours) and not each_second(outcome)
            except KeyboardInterrupt:
                stop = True
                if told:
                    raise
            if stop and not told:
                told = True
                for connection in open_ones:
                    connection.send("stop")
            if time.monotonic() - last_word > _SILENT:
                raise ToolError("A process of simulated devices does not answer any more.")
    return outcome


def _receive(connection: Connection) -> Report:
    try:
        report = connection.recv()
    except EOFError:
        raise ToolError("A process of simulated devices ended by itself; see above.") from None
    assert isinstance(report, Report)
    if report.error:
        raise ToolError(report.error)
    return report


def _sum(outcome: Outcome, reports: Iterable[Report], seconds: float) -> None:
    counts: Counter[str] = Counter()
    troubles: Counter[str] = Counter()
    outcome.seconds, outcome.pending, outcome.cpu, outcome.memory = seconds, 0, 0.0, 0
    connected = 0
    for each in reports:
        counts.update(each.counts)
        troubles.update(each.troubles)
        connected += each.connected
        outcome.pending += each.pending
        outcome.cpu += each.cpu
        outcome.memory += each.memory
    outcome.connected = max(outcome.connected, connected)
    outcome.counts, outcome.troubles = dict(counts), dict(troubles)


def _check(plan: Plan, outcome: Outcome) -> None:
    """Raises `ToolError` where nothing ever connects."""
    if outcome.counts.get("connections") or not outcome.troubles:
        return
    if outcome.seconds > _GIVE_UP or outcome.counts.get("refused", 0) >= min(plan.devices, 20):
        names = ", ".join(f"{host}:{port}" for host, port in plan.brokers)
        why = max(outcome.troubles, key=lambda each: outcome.troubles[each])
        raise ToolError(
            f"No device can connect to {names}: {why}. Does the broker run there, and does it let "
            "these devices in? (--tls FOLDER makes their certificates.)"
        )


def _line(outcome: Outcome) -> str:
    return (
        f"{outcome.connected} connected, {outcome.counts.get('acknowledged', 0)} of "
        f"{outcome.counts.get('made', 0)} acknowledged"
    )


def table(outcome: Outcome) -> str:
    """For a person."""
    found = columns("simulated devices", "")
    rows = {
        "devices": outcome.devices, "connected at once": outcome.connected,
        "messages made": outcome.counts.get("made", 0),
        "acknowledged": outcome.counts.get("acknowledged", 0),
        "never acknowledged": outcome.pending,
        **{name: value for name, value in sorted(outcome.counts.items())
           if name not in ("made", "acknowledged")},
        **{f"({name})": value for name, value in sorted(outcome.troubles.items())},
    }  # fmt: skip
    for name, value in rows.items():
        found.add_row(name, f"{value}")
    found.add_row("seconds", f"{outcome.seconds:.0f}")
    found.add_row("processor seconds", f"{outcome.cpu:.1f}")
    found.add_row("memory, KiB a device", f"{outcome.memory / max(outcome.devices, 1):.0f}")
    return text(found)
