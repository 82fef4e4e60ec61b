"""A database as a collector and a controller leave it, for tests of what reads it."""

from __future__ import annotations

from typing import Any

from agent.base.clock import FILE_CLOCK, ClockReading
from agent.base.report import ClosedModel, Event, EventCode, Health, Summary, to_json
from agent.base.settings_file import parse
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.window import ExactCounts, Window
from tests.summaries import LISTENING, MODEL, POLICY
from tools.fleet.collector.intake import KINDS, Incoming
from tools.fleet.collector.writer import Writer
from tools.fleet.store import Store

NOW = 1_800_000_000
"""UTC seconds of the newest rows."""
RETAIL = resolve(
    parse({"privacy": {"policy": "retail-eu", "notice_shown": True}, "device": {"region": "eu",
           "place": "retail"}}, "test")
)  # fmt: skip
"""Adds noise: b of the visits is 5.5."""
WELL = Health(
    boot="0a1b2c3d", perception="running", fps=10, temperature=50, power="good", memory=64,
    disk="ample", waiting=10, trimmed=0, clock="ntp",
)  # fmt: skip


def busy(
    policy: Policy,
    seq: int = 0,
    boot: str = "0a1b2c3d",
    *,
    visits: int = 5000,
    listened: float = 900.0,
    start: int | None = None,
    slot: int = 0,
    false_alarms: float | None = None,
) -> Summary:
    """A window in which so many visits showed everything. `false_alarms`: a minute."""
    counts = ExactCounts()
    for numbers in counts.cells.values():
        numbers[:] = [visits] * len(numbers)
    window = Window(
        5, policy.window, {slot: counts}, frames=9000, last=900.0, seconds=900,
        capable_seconds=900, listened=listened,
    )  # fmt: skip
    pending = PendingRelease()
    pending.add_window(window, slot, policy, discrete_laplace)
    clock = FILE_CLOCK if start is None else ClockReading("ntp", start - window.start)
    context = ReleaseContext(boot, seq, MODEL, clock, True, false_alarms_per_minute=false_alarms)
    return release(pending, window, slot, policy, context, discrete_laplace)


def insert(store: Store, table: str, **values: Any) -> None:
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    store.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))


def add_device(store: Store, device: str, **more: Any) -> None:
    """As a controller knows it."""
    row = {"first_seen": NOW - 864_000, "last_seen": NOW, "state": "online", "state_at": NOW}
    store.execute("DELETE FROM devices WHERE device = ?", (device,))
    insert(store, "devices", **{"device": device, **row, **more})


def say(store: Store, device: str, message: ClosedModel, received: int) -> None:
    """Stored by a collector."""
    kind = next(kind for kind, model in KINDS.items() if isinstance(message, model))
    incoming = Incoming(f"fleeting/1/d/{device}/{kind}", to_json(message), received)
    outcome = Writer(store, lambda: received).write([incoming])
    assert outcome.stored.total() == 1, outcome


def add_job(store: Store, job: str, device: str, status: str, **more: Any) -> None:
    row = {"kind": "app", "version": "0.2.0", "created_at": NOW - 3600}
    insert(store, "jobs", **{"job": job, "device": device, "status": status, **row, **more})


def add_webhook(store: Store, webhook: str = "0a1b2c3d") -> None:
    """One that is told of alerts, and what it was sent; its file is not there."""
    insert(store, "webhooks", webhook=webhook, host="https://hooks.example", kinds='["hot"]',
           severity_rank=1, created_at=NOW)  # fmt: skip
    for number, state in enumerate(("delivered_at", "dead_at", "attempts")):
        insert(store, "deliveries", delivery=f"{number:032x}", webhook=webhook, event="raised",
               body="{}", created_at=NOW, due_at=NOW, said="404", **{state: 7})  # fmt: skip


def fill(store: Store) -> None:
    """A fleet of three with something of everything, within the day before `NOW`."""
    add_device(store, "box-1", grp="shops", app="0.1.0", models="0.1.0", policy="retail-eu",
               certificate_end=NOW + 86_400, window_length=900, openings="[]")  # fmt: skip
    add_device(store, "box-2", grp="offices", state="offline", openings='["inet"]')
    add_device(store, "box-3", revoked_at=NOW - 10)
    seq = 0
    for policy in (POLICY, LISTENING):
        for hour in range(12):
            for device, slot, visits in (("box-1", 0, 40), ("box-1", 3, 0), ("box-2", 0, 60)):
                start = NOW - 3600 * (hour + 1)
                each = busy(policy, seq, visits=visits, start=start, slot=slot)
                say(store, device, each, start + each.window.length + 20)
                seq += 1
    say(store, "box-1", busy(POLICY, seq), NOW - 100)
    for hour in range(6):
        start = NOW - 3600 * (hour + 1) - 900
        each = busy(RETAIL, hour, "00000009", visits=500, start=start)
        say(store, "box-2", each, start + 1000)
    for minute in range(10):
        say(store, "box-1", WELL, NOW - 60 * minute - 1)
    ill = {"boot": None, "perception": "absent", "fps": 0, "power": "undervolt", "disk": "low"}
    say(store, "box-2", WELL.model_copy(update=ill), NOW - 60)
    codes: tuple[EventCode, ...] = ("paused", "resumed", "cage_open")
    for seq, code in enumerate(codes):
        event = Event(boot="0a1b2c3d", seq=seq, code=code, count=1, at=NOW - 60, offset=10)
        say(store, "box-1", event, NOW - 50)
    for number, status in enumerate(("RUNNING", "HALTED", "SUCCEEDED")):
        insert(store, "rollouts", rollout=f"r{number}", kind="app", version="0.2.0",
               status=status, waves="[]", wave=0, gates="{}", abort_rules="[]", selection="all",
               created_at=NOW - 4000)  # fmt: skip
    done = {"started_at": NOW - 900, "ended_at": NOW - 300, "rollout": "r0"}
    add_job(store, "0" * 16, "box-1", "SUCCEEDED", step="SOAKING", **done)
    add_job(store, "1" * 16, "box-2", "FAILED", step="ROLLED_BACK", reason="crashed", **done)
    add_job(store, "2" * 16, "box-2", "TIMED_OUT", **done)
    add_job(store, "3" * 16, "box-1", "IN_PROGRESS", step="SOAKING", deadline=NOW + 60)
    for filled in (None, NOW - 5):
        insert(store, "gaps", device="box-1", stream="summary", chain="", series=0,
               boot="0a1b2c3d", first_seq=7, last_seq=9, found_at=NOW - 60,
               filled_at=filled)  # fmt: skip
    for name, total in (("duplicate", 5), ("schema", 2)):
        insert(store, "counts", device="box-1", name=name, total=total, last_at=NOW)
    insert(store, "quarantine", device="box-1", topic="fleeting/1/d/box-1/summary",
           reason="schema", size=2, sha256="0" * 64, body="{}", received=NOW - 60)  # fmt: skip
    insert(store, "receipts", device="box-1", key="0" * 64, number=1, body="{}", received=NOW - 60,
           sha256="0" * 64)  # fmt: skip
