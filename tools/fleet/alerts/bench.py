"""What a look at a large fleet takes, and how much memory: a made-up database of so many devices,
well ones, and then ones that are all ill at once."""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections.abc import Callable
from typing import Any

from agent.privacy.policy.rules import PROFILES
from tools.common.command import positive
from tools.common.machine import line, machine
from tools.common.postgresql import scratch
from tools.common.tables import columns, text
from tools.fleet.alerts import hours
from tools.fleet.alerts.find import SOURCES
from tools.fleet.alerts.kinds import BY_NAME, DAY
from tools.fleet.alerts.process import NAME, Alerts
from tools.fleet.controller.lease import Lease
from tools.fleet.store import Store, open_store

_HEALTH = 24
"""Messages of each device."""
_SAMPLES = 200
"""Different days; every device has its own order of them."""
_META = json.dumps({
    "birth": {"cage": {"layers": ["seccomp", "landlock"]}}, "uplink": {"layers": ["seccomp"]},
})  # fmt: skip


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    one = verbs.add_parser(
        "bench", parents=[shared], help="seconds and memory of a look at a large fleet"
    )
    one.add_argument("--devices", type=positive, default=10_000, metavar="N")
    one.add_argument("--days", type=positive, default=64, help="of visits of each device")
    one.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Seconds of each look, and MiB at most. Raises `ToolError`."""
    here = machine()
    with scratch(args.store) as url, open_store(url) as store:
        now = int(time.time())
        filling = _timed(lambda: _fill(store, args.devices, args.days, now))
        before = _peak()
        lease = Lease(store, name=NAME)
        lease.acquire()
        alerts = Alerts(store, lease, lambda: now)
        rounds = {"first round": _timed(alerts.look)}
        looks = {
            ", ".join(source.kinds): {
                **_timed(lambda each=source: each.look(store, now, lambda: None)),  # type: ignore[misc]
                "every": min(BY_NAME[kind].every for kind in source.kinds),
            }
            for source in SOURCES
        }  # fmt: skip
        well = _peak()
        # Kinds that are told one by one: no cause joins them.
        store.execute(
            "UPDATE health SET power = 'undervolt', disk = 'full', perception = 'stalled'"
        )
        rounds["round with all ill"] = _timed(alerts.look)
        rows = int(store.tuples("SELECT COUNT(*) FROM alerts")[0][0])
    report = {
        "machine": here, "store": args.store, "devices": args.devices, "days": args.days,
        "filling": filling, "looks": looks, "rounds": rounds, "alerts": rows,
        "mib": {"before": before, "well": well, "ill": _peak()},
    }  # fmt: skip
    return report, _text(report)


def _timed(act: Callable[[], object]) -> dict[str, float]:
    """Seconds on the clock, and of this process's processor time."""
    began, busy = time.perf_counter(), time.process_time()
    act()
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "processor": round(time.process_time() - busy, 2),
    }


def _text(report: dict[str, Any]) -> str:
    table = columns("look", "every, s", "seconds", "processor, s")
    for name, each in report["looks"].items():
        table.add_row(name, f"{each['every']}", f"{each['seconds']}", f"{each['processor']}")
    for name, each in report["rounds"].items():
        table.add_row(name, "", f"{each['seconds']}", f"{each['processor']}")
    table.add_row("filling the database", "", f"{report['filling']['seconds']}",
                  f"{report['filling']['processor']}")  # fmt: skip
    mib = report["mib"]
    return (
        f"{line(report['machine'])}{text(table)}"
        f"{report['devices']} devices with {report['days']} days each, {report['store']}; "
        f"{report['alerts']} alerts at the end\n"
        f"memory at most, MiB: {mib['before']} before the first look, {mib['well']} after looking "
        f"at all, {mib['ill']} with all ill\n"
    )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _fill(store: Store, devices: int, days: int, now: int) -> None:
    """As collectors and earlier looks would have left it; multiplied by the database itself."""
    names = [f"box-{number:06d}" for number in range(devices)]
    today = now // DAY
    with store.transaction():
        store.executemany(
            "INSERT INTO devices (device, state, state_at, first_seen, last_seen, window_length,"
            " openings, meta, meta_at, schemas, certificate_end)"
            " VALUES (?, 'online', ?, ?, ?, 900, '[]', ?, ?, '0', ?)",
            ((name, now, now - 90 * DAY, now, _META, now - DAY // 2, now + 60 * DAY)
             for name in names),
        )  # fmt: skip
        store.execute("CREATE TEMPORARY TABLE numbers (number BIGINT PRIMARY KEY, hours TEXT)")
        store.executemany("INSERT INTO numbers VALUES (?, ?)", enumerate(_samples()))
        store.execute(
            "INSERT INTO positions SELECT device, 'summary', '', 0, '0a1b2c3d', 0, 5,"
            " CAST(? AS BIGINT) FROM devices", (now - 100,),
        )  # fmt: skip
        store.execute(
            "INSERT INTO health SELECT device, ? - 900 * number, '0a1b2c3d', 'running', 10, 50,"
            " 'good', 64, 'ample', 1, 0, 'ntp' FROM devices, numbers WHERE number < ?",
            (now - 60, _HEALTH),
        )
        store.execute(
            "INSERT INTO alert_days SELECT d.device, ? - n.number, s.hours FROM devices d"
            " JOIN numbers n ON n.number <= ? JOIN numbers s ON s.number ="
            " (CAST(SUBSTR(d.device, 5) AS BIGINT) * 31 + n.number * 7) % ?",
            (today, days, _SAMPLES),
        )
        store.execute("INSERT INTO alert_marks VALUES (?, ?)", (hours.MARK, now))
    if store.dialect == "postgresql":
        store.execute("ANALYZE")


def _samples() -> list[str]:
    rng = random.Random(1)
    profile = PROFILES["retail-eu"]
    rules = hours.Rules("retail-eu", profile.cells, 1000, profile.k, 900, 1)
    return [
        hours.to_text(hours.Day(
            {hour: hours.Hour(4, rng.randrange(3), rng.randrange(80), 200.0) for hour in range(24)},
            rules,
        ))
        for _ in range(_SAMPLES)
    ]  # fmt: skip
