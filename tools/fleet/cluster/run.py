"""Devices on all three nodes, collectors on a quorum queue, and nodes killed under load: what the
cluster acknowledged is compared with what the database holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.mosquitto import die_with_parent, terminate
from tools.common.progress import bar
from tools.common.tables import columns, text
from tools.fleet.cluster.nodes import AMQP, MQTT, NODES, USER, Cluster
from tools.fleet.simulate import compare
from tools.fleet.simulate.compare import Comparison
from tools.fleet.simulate.meter import Meter

QUEUE = "fleeting.collectors"
"""As the collectors of the default group name it."""
_READY = 60.0
"""Seconds that the collectors have to declare it."""
_STILL = 60.0
"""Seconds without a new row after which no more is expected."""
FAULTS = "flapping=0.1:20,duplicates=0.02,late=0.01:1,clock=0.02,restarts=0.02:60"


@dataclass(slots=True)
class Result:
    """Of one run."""

    devices: int
    comparison: Comparison
    simulated: dict[str, Any]
    """The simulator's own report."""
    cpu: dict[str, float]
    """Seconds, by part."""
    seconds: float
    incidents: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.comparison.passed and not self.simulated["pending"]

    def as_dict(self) -> dict[str, Any]:
        return {
            "devices": self.devices, "passed": self.passed, "seconds": round(self.seconds),
            "incidents": self.incidents, "cpu": self.cpu, "simulated": self.simulated,
            "comparison": self.comparison.as_dict(),
        }  # fmt: skip


class _Run:
    """The processes beside the cluster; all of them in its namespace."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.fleet, self.truth = folder / "fleet", folder / "truth.db"
        self.url = f"sqlite:///{folder / 'fleet.db'}"
        self.meter = Meter()
        self.incidents: list[str] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.fleet.mkdir()
        nodes = ",".join(
            f"amqp://{USER}:{cluster.password}@{cluster.address(node)}:{AMQP}/%2F" for node in NODES
        )
        (self.fleet / "fleet.toml").write_text(
            f'[store]\nurl = "{self.url}"\n\n[broker]\nkind = "amqp"\namqp = "{nodes}"\n',
            encoding="utf-8",
        )

    def start(self, name: str, *command: str, output: Path | None = None) -> None:
        log = self.folder / f"{name.replace(' ', '-')}.log"
        with log.open("ab") as errors, (output or log).open("ab") as said:
            self._processes[name] = subprocess.Popen(
                self.cluster.inside(sys.executable, "-m", *command),
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=errors,
                preexec_fn=die_with_parent, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        self.meter.watch(name, self._processes[name].pid)

    def collect(self, number: int) -> None:
        """Start a collector."""
        self.start(f"collector {number}", "tools.fleet", "collect", "--fleet", str(self.fleet),
                   "--name", f"{number}")  # fmt: skip

    def kill(self, name: str) -> None:
        """kill -9."""
        self.meter.look()
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def running(self, name: str) -> bool:
        """Raises `ToolError` where a collector ended by itself."""
        for each, process in self._processes.items():
            if each.startswith("collector") and process.poll() is not None:
                raise ToolError(f"The {each} ended by itself: {self.words(each)}")
        return self._processes[name].poll() is None

    def words(self, name: str) -> str:
        text = (self.folder / f"{name.replace(' ', '-')}.log").read_text(
            encoding="utf-8", errors="replace"
        )
        return " | ".join(text.strip().splitlines()[-3:]) or "no reason given"

    def close(self) -> None:
        for process in self._processes.values():
            terminate(process)

    def note(self, what: str, at: float) -> None:
        self.incidents.append(f"{what} at {at:.0f} s")


def run(cluster: Cluster, folder: Path, *, devices: int, interval: float, seconds: float) -> Result:
    """`interval`: seconds between a device's summaries; `seconds`: how long they are made. Raises
    `ToolError`."""
    work = _Run(cluster, folder)
    try:
        for number in (1, 2):
            work.collect(number)
        _until(lambda: QUEUE in cluster.ask(1, "list_queues", "name"), "No collector declares",
               lambda: work.words("collector 1"))  # fmt: skip
        for node, pid in cluster.pids().items():
            work.meter.watch(f"node {node}", pid)
        return _load(work, devices, interval, seconds)
    finally:
        work.close()


def _load(work: _Run, devices: int, interval: float, seconds: float) -> Result:
    report = work.folder / "simulated.json"
    brokers = [word for node in NODES
               for word in ("--broker", f"{work.cluster.address(node)}:{MQTT}")]  # fmt: skip
    work.start(
        "simulator", "tools.fleet.simulate", "--devices", f"{devices}", "--interval",
        f"{interval}", "--minutes", f"{seconds / 60}", "--truth", str(work.truth), "--user",
        f"{USER}:{work.cluster.password}", "--fault", FAULTS, "--drain", "120", "--json", *brokers,
        output=report,
    )  # fmt: skip
    began = time.monotonic()
    events = _incidents(work, seconds)
    with bar(f"{devices} devices on three nodes", seconds) as tell:
        while work.running("simulator") or events:
            now = time.monotonic() - began
            while events and now >= events[0][0]:
                what = events.pop(0)[1]()
                work.note(what, now)
            work.meter.look()
            tell(min(now, seconds), work.incidents[-1] if work.incidents else "")
            time.sleep(0.5)
    work.cluster.wait()
    lines = report.read_text(encoding="utf-8").strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        raise ToolError(f"The simulator failed: {work.words('simulator')}")
    simulated = json.loads(lines[-1])
    _settle(work, simulated["counts"].get("acknowledged", 0))
    return Result(
        devices, compare.compare(work.truth, work.url), simulated, work.meter.seconds(),
        time.monotonic() - began, work.incidents,
    )  # fmt: skip


def _incidents(work: _Run, seconds: float) -> list[tuple[float, Callable[[], str]]]:
    """In order of time: the leader's node and another one are killed and come back, one after the
    other, and a collector is killed."""
    killed: list[int] = []
    first: list[int] = []

    def kill_leader() -> str:
        node = work.cluster.leader(QUEUE)
        killed.append(node)
        first.append(node)
        work.meter.look()
        work.cluster.kill(node)
        return f"kill -9 of node {node}, which led the queue"

    def kill_other() -> str:
        leader = work.cluster.leader(QUEUE)
        node = next(each for each in NODES if each not in (leader, *first))
        killed.append(node)
        work.meter.look()
        work.cluster.kill(node)
        return f"kill -9 of node {node}"

    def start() -> str:
        node = killed.pop()
        work.cluster.start(node)
        work.meter.watch(f"node {node}", work.cluster.pids()[node])
        return f"node {node} started again"

    def kill_collector() -> str:
        work.kill("collector 1")
        return "kill -9 of collector 1"

    def start_collector() -> str:
        work.collect(1)
        return "collector 1 started again"

    down = min(20.0, seconds / 8)
    return [
        (0.2 * seconds, kill_leader), (0.2 * seconds + down, start),
        (0.5 * seconds, kill_other), (0.5 * seconds + down, start),
        (0.75 * seconds, kill_collector), (0.75 * seconds + down / 2, start_collector),
    ]  # fmt: skip


def _settle(work: _Run, wanted: int) -> None:
    rows, grew = 0, time.monotonic()
    while rows < wanted and time.monotonic() - grew < _STILL:
        found = compare.stored(work.url)
        if found > rows:
            rows, grew = found, time.monotonic()
        time.sleep(1.0)


def _until(ready: Callable[[], bool], what: str, why: Callable[[], str]) -> None:
    deadline = time.monotonic() + _READY
    while not ready():
        if time.monotonic() > deadline:
            raise ToolError(f"{what} the queue {QUEUE} within {_READY:.0f} s: {why()}")
        time.sleep(0.5)


def table(result: Result) -> str:
    """For a person."""
    shown = columns("three nodes, one queue", "")
    found = result.comparison
    rows = {
        "devices": result.devices,
        "acknowledged by the cluster": found.acknowledged,
        "in the database": found.stored,
        "lost": found.lost, "doubled": found.doubled, "invented": found.invented,
        "altered": found.altered, "gaps missed": found.gaps_missed,
        "gaps invented": found.gaps_invented, "quarantined": found.quarantined,
        "second copies left out": found.duplicates,
        "never acknowledged": result.simulated["pending"],
        "connections": result.simulated["counts"].get("connections", 0),
        "seconds": f"{result.seconds:.0f}",
        **{f"processor seconds, {part}": value for part, value in sorted(result.cpu.items())},
        "passed": "yes" if result.passed else "NO",
    }  # fmt: skip
    for name, value in rows.items():
        shown.add_row(name, f"{value}")
    return text(shown) + "".join(f"{each}\n" for each in result.incidents)
