"""What a look at a large fleet takes of a processor, and how much memory: a made-up SQLite database
of so many devices, well ones, and then ones that are all ill at once."""

from __future__ import annotations

import json
import platform
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.privacy.policy.rules import PROFILES
from tools.fleet.alerts import hours
from tools.fleet.alerts.find import SOURCES
from tools.fleet.alerts.kinds import DAY
from tools.fleet.alerts.process import NAME, Alerts
from tools.fleet.controller.lease import Lease
from tools.fleet.store import Store, open_store

_HEALTH = 24
"""Messages of each device."""
_META = json.dumps({
    "birth": {"cage": {"layers": ["seccomp", "landlock"]}}, "uplink": {"layers": ["seccomp"]},
})  # fmt: skip


def run(devices: int, days: int) -> dict[str, Any]:
    """`days`: of visits that each device has. Processor seconds of each look, and MiB at most."""
    with (
        tempfile.TemporaryDirectory(prefix="fleeting-alerts-") as folder,
        open_store(f"sqlite:///{Path(folder) / 'fleet.db'}") as store,
    ):
        now = int(time.time())
        _fill(store, devices, days, now)
        before = _peak()
        lease = Lease(store, name=NAME)
        lease.acquire()
        alerts = Alerts(store, lease, lambda: now)
        well = _times(store, alerts, now)
        changes = len(alerts.look())
        peak = _peak()
        ill = _make_ill(store, alerts)
    return {
        "machine": f"{platform.machine()}, {platform.system()}, Python "
        f"{platform.python_version()}",
        "devices": devices, "days": days, "seconds": well, "changes": changes,
        "all_ill": ill, "mib_before": before, "mib_well": peak, "mib_ill": _peak(),
    }  # fmt: skip


def _times(store: Store, alerts: Alerts, now: int) -> dict[str, float]:
    alerts.look()  # first sight of sandboxes, receipts
    found = {}
    for source in SOURCES:
        began = time.process_time()
        source.look(store, now, lambda: None)
        found["+".join(source.kinds)] = round(time.process_time() - began, 2)
    began = time.process_time()
    alerts.look()
    found["whole round"] = round(time.process_time() - began, 2)
    return found


def _make_ill(store: Store, alerts: Alerts) -> dict[str, Any]:
    """Everybody, of kinds that are told one by one: no cause joins them."""
    store.execute("UPDATE health SET power = 'undervolt', disk = 'full', perception = 'stalled'")
    began = time.process_time()
    alerts.look()
    pending = time.process_time() - began
    rows = store.tuples("SELECT COUNT(*) FROM alerts")[0][0]
    return {"rows": rows, "seconds": round(pending, 2)}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _fill(store: Store, devices: int, days: int, now: int) -> None:
    names = [f"box-{number:05d}" for number in range(devices)]
    with store.transaction():
        store.executemany(
            "INSERT INTO devices (device, state, state_at, first_seen, last_seen, window_length,"
            " openings, meta, meta_at, schemas, certificate_end)"
            " VALUES (?, 'online', ?, ?, ?, 900, '[]', ?, ?, '0', ?)",
            ((name, now, now - 90 * DAY, now, _META, now - DAY // 2, now + 60 * DAY)
             for name in names),
        )  # fmt: skip
        store.executemany(
            "INSERT INTO positions VALUES (?, ?, '', 0, '0a1b2c3d', 0, 5, ?)",
            ((name, stream, now - 100) for name in names for stream in ("summary", "event")),
        )
        store.executemany(
            "INSERT INTO health VALUES (?, ?, '0a1b2c3d', 'running', 10, 50, 'good', 64, 'ample',"
            " 1, 0, 'ntp')",
            ((name, now - 900 * index - 60) for name in names for index in range(_HEALTH)),
        )
        store.executemany("INSERT INTO alert_days VALUES (?, ?, ?)", _days(names, days, now))


def _days(names: list[str], days: int, now: int) -> Iterator[tuple[str, int, str]]:
    rng = random.Random(1)
    profile = PROFILES["retail-eu"]
    rules = hours.Rules("retail-eu", profile.cells, 1000, profile.k, 900, 1)
    texts = [
        hours.to_text(hours.Day(
            {hour: hours.Hour(4, rng.randrange(3), rng.randrange(80), 200.0) for hour in range(24)},
            rules,
        ))
        for _ in range(200)
    ]  # fmt: skip
    today = now // DAY
    for name in names:
        for day in range(today - days, today + 1):
            yield name, day, rng.choice(texts)
