"""The course of the demo."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.common.mosquitto import die_with_parent, listens, terminate
from tools.common.progress import Tell, bar
from tools.common.tables import columns, text
from tools.fleet.demo.agent import NAME, Agent, make_release, next_versions
from tools.fleet.demo.beside import DEVICES, Simulator, Verbs, until
from tools.fleet.simulate import compare
from tools.fleet.simulate.compare import Comparison
from tools.fleet.simulate.deployment import Deployment, StoreKind, quiet_ports
from tools.fleet.store import Row, Store, open_store

WAVES = "15%,50%,100%"
GATES = ("succeeded=90", "healthy=80", "within=120", "soak=3")
ABORT = "ROLLED_BACK:20:2"
_ONLINE = 300.0
"""Seconds that everybody has to be there; the agent compiles its kernels first."""
_ROLLED_OUT = 600.0
_HALTED = 300.0
_SETTLED = 60.0
Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What the demo has shown."""

    good: Row
    """The roll-out that went through, and the one that halted: their rows."""
    bad: Row
    devices: list[Row]
    jobs: list[Row]
    comparison: Comparison
    agent: list[Row]
    """The agent's jobs, oldest first."""
    summaries: int
    gaps: int
    seconds: float
    wrong: list[str] = field(default_factory=list)
    """What is not as it should be."""

    @property
    def passed(self) -> bool:
        return not self.wrong

    def as_dict(self) -> dict[str, Any]:
        return {
            "passed": self.passed, "wrong": self.wrong, "seconds": round(self.seconds),
            "summaries": self.summaries, "gaps": self.gaps, "good": self.good, "bad": self.bad,
            "agent": self.agent, "comparison": self.comparison.as_dict(),
            "devices": {each["device"]: each["app"] for each in self.devices},
        }  # fmt: skip


def play(folder: Path, kind: StoreKind, say: Say) -> Outcome:
    """Everything, in a folder that nobody else uses. Raises `ToolError`."""
    began = time.monotonic()
    good, bad = next_versions()
    with ExitStack() as stack:
        say("broker, database, collector, controller")
        side = stack.enter_context(Deployment(folder, kind, collectors=1, controller=True))
        fleet = Verbs(side)
        say("update repository: keys, a good release and a bad one")
        url = _repository(stack, folder, side, fleet, good, bad)
        say(f"{DEVICES} simulated devices and a real one")
        planned = ("--release", f"app-{bad}=crashed", "--step", "0.7", "--soak", "4")
        simulator = stack.enter_context(Simulator(folder, side, *planned))
        agent = stack.enter_context(Agent(folder, side.fleet, side.port, url))
        store = stack.enter_context(open_store(side.url))

        def check() -> None:
            side.check()
            simulator.check()
            agent.check()

        _until_online(store, check)
        say(f"release {good}, in three waves")
        first = _rollout(store, fleet, good, check, _ROLLED_OUT)
        say(f"release {bad}, which crashes at start")
        second = _rollout(store, fleet, bad, check, _HALTED)
        if not _jobs_of(store, NAME, bad):
            say(f"the real device was not in its first wave: it gets {bad} alone")
            _rollout(store, fleet, bad, check, _HALTED, "--device", NAME)
        _until_ended(store, check)
        simulator.stop()
        _settle(store, simulator.acknowledged())
        found = compare.compare(simulator.truth, side.url, prefix="sim-")
        return _judge(store, first, second, found, good, bad, time.monotonic() - began)


def _repository(
    stack: ExitStack, folder: Path, side: Deployment, fleet: Verbs, good: str, bad: str
) -> str:
    """Signed, published and served; its URL. Raises `ToolError`."""
    secret = folder / "passphrase"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(16), encoding="ascii")
    words = ("--passphrase-file", str(secret))
    fleet("keys", "init", *words)
    fleet("repo", "init", *words)
    for version in (good, bad):
        source = make_release(folder / f"release-{version}", version, bad=version == bad)
        fleet("repo", "add", "--kind", "app", "--version", version, str(source))
        shutil.rmtree(source)
    fleet("repo", "sign", *words)
    fleet("repo", "publish")
    (port,) = quiet_ports(1)
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", f"{port}", "--bind", "127.0.0.1", "--directory",
         str(side.fleet / "repository")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )  # fmt: skip
    stack.callback(terminate, server)
    until(lambda: listens(port), 30.0, lambda: None, "The web server does not start.")
    return f"http://127.0.0.1:{port}"


def _until_online(store: Store, check: Callable[[], None]) -> None:
    with bar("devices", DEVICES + 1) as tell:

        def ready() -> bool:
            online = store.tuples("SELECT COUNT(*) FROM devices WHERE state = 'online'")[0][0]
            said = store.tuples("SELECT COUNT(*) FROM summaries WHERE device = ?", (NAME,))[0][0]
            tell(online, f"online; the real one has said {said} summaries")
            # Flapping ones are away now and then.
            return bool(online >= DEVICES - 2 and said > 0)

        until(ready, _ONLINE, check, "Not all devices come online, or the agent says nothing.")


def _rollout(
    store: Store, fleet: Verbs, version: str, check: Callable[[], None], most: float, *more: str
) -> Row:
    """Start it and follow it to its end; its row then. Raises `ToolError`."""
    gates = [word for gate in GATES for word in ("--gate", gate)]
    started = json.loads(fleet("rollout", "start", "app", version, "--waves", WAVES, *gates,
                               "--abort", ABORT, "--json", *more))  # fmt: skip
    name = started["rollout"]
    with bar(f"roll-out of {version}", None) as tell:

        def ended() -> bool:
            return _step(store, name, tell)["status"] not in ("RUNNING", "PAUSED")

        until(ended, most, check, f"The roll-out of {version} does not end.")
    return store.execute("SELECT * FROM rollouts WHERE rollout = ?", (name,))[0]


def _step(store: Store, name: str, tell: Tell) -> Row:
    row = store.execute("SELECT * FROM rollouts WHERE rollout = ?", (name,))[0]
    counts = dict(store.tuples(
        "SELECT status, COUNT(*) FROM jobs WHERE rollout = ? GROUP BY status ORDER BY status",
        (name,),
    ))  # fmt: skip
    said = ", ".join(f"{number} {status}" for status, number in counts.items())
    tell(sum(counts.values()), f"wave {row['wave'] + 1}: {said}")
    return row


def _until_ended(store: Store, check: Callable[[], None]) -> None:
    """No job is open: what was begun comes to its own end, also of a roll-out that has halted."""
    sql = "SELECT COUNT(*) FROM jobs WHERE status IN ('QUEUED', 'IN_PROGRESS')"
    until(lambda: store.tuples(sql)[0][0] == 0, _HALTED, check, "A job does not end.")


def _settle(store: Store, wanted: int) -> None:
    def there() -> bool:
        return (
            sum(
                int(store.tuples(f"SELECT COUNT(*) FROM {each} WHERE device LIKE 'sim-%'")[0][0])
                for each in compare.KINDS.values()
            )
            >= wanted
        )

    deadline = time.monotonic() + _SETTLED
    while not there() and time.monotonic() < deadline:
        time.sleep(0.5)


def _jobs_of(store: Store, device: str, version: str | None = None) -> list[Row]:
    rows = store.execute(
        "SELECT version, status, step, reason FROM jobs WHERE device = ? ORDER BY created_at",
        (device,),
    )
    return [row for row in rows if version in (None, row["version"])]


def _judge(
    store: Store, first: Row, second: Row, found: Comparison, good: str, bad: str, seconds: float
) -> Outcome:
    devices = store.execute(
        "SELECT d.device, d.state, d.app, d.models,"
        " (SELECT COUNT(*) FROM summaries s WHERE s.device = d.device) AS summaries,"
        " (SELECT COUNT(*) FROM open_gaps g WHERE g.device = d.device) AS gaps"
        " FROM devices d ORDER BY d.device"
    )
    jobs = store.execute(
        "SELECT version, status, step, reason, COUNT(*) AS number FROM jobs"
        " GROUP BY version, status, step, reason ORDER BY version, status"
    )
    wrong = []
    if first["status"] != "SUCCEEDED":
        wrong.append(f"the good release's roll-out ended as {first['status']}")
    if second["status"] in ("SUCCEEDED", "CANCELED"):
        wrong.append(f"the bad release's roll-out ended as {second['status']}")
    wrong += [f"{each['device']} is on {each['app']}" for each in devices if each["app"] != good]
    agent = _jobs_of(store, NAME)
    ends = [(each["version"], each["status"], each["step"]) for each in agent]
    if (good, "SUCCEEDED", "SOAKING") not in ends:
        wrong.append(f"the real device did not install {good}")
    if (bad, "FAILED", "ROLLED_BACK") not in ends:
        wrong.append(f"the real device did not roll {bad} back")
    if not found.passed:
        wrong.append("what was acknowledged and what was stored differ")
    gaps = sum(each["gaps"] for each in devices)
    if gaps:
        wrong.append(f"{gaps} gaps")
    return Outcome(
        first, second, devices, jobs, found, agent,
        sum(each["summaries"] for each in devices), gaps, seconds, wrong,
    )  # fmt: skip


def table(outcome: Outcome) -> str:
    """For a person."""
    devices = columns("device", "state", "package", "models", "summaries", "gaps",
                      title="Devices", words=("state",))  # fmt: skip
    for each in outcome.devices:
        devices.add_row(*(f"{each[name]}" for name in ("device", "state", "app", "models",
                                                       "summaries", "gaps")))  # fmt: skip
    jobs = columns("release", "jobs", "ended as", "step", "reason", title="Jobs",
                   words=("ended as", "step", "reason"))  # fmt: skip
    for each in outcome.jobs:
        jobs.add_row(each["version"], f"{each['number']}", each["status"], each["step"] or "",
                     each["reason"] or "")  # fmt: skip
    rollouts = columns("roll-out", "ended as", "wave", "because", title="Roll-outs",
                       words=("ended as", "because"))  # fmt: skip
    for each in (outcome.good, outcome.bad):
        rollouts.add_row(each["version"], each["status"], f"{each['wave'] + 1}",
                         each["reason"] or "")  # fmt: skip
    found = outcome.comparison
    lines = [
        f"simulated devices: {found.acknowledged} messages acknowledged, {found.stored} stored, "
        f"{found.lost} lost, {found.doubled} doubled, {found.duplicates} second copies left out",
        f"{outcome.summaries} summaries of {len(outcome.devices)} devices, {outcome.gaps} gaps, "
        f"{outcome.seconds:.0f} s",
        "passed" if outcome.passed else f"FAILED: {'; '.join(outcome.wrong)}",
    ]
    return text(devices, jobs, rollouts) + "\n".join(lines) + "\n"
