"""A database as a collector and a controller leave it, for tests of what reads it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from agent.base.clock import FILE_CLOCK, ClockReading
from agent.base.report import Receipt, Summary, to_json
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import Policy
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.window import ExactCounts, Window
from tests.summaries import MODEL
from tools.fleet.export.columns import CELL_COLUMNS
from tools.fleet.export.noise import CELLS
from tools.fleet.store import Store

NOW = 1_800_000_000
"""UTC seconds of the newest rows."""


def busy(
    policy: Policy,
    seq: int = 0,
    boot: str = "0a1b2c3d",
    *,
    visits: int = 5000,
    listened: float = 900.0,
    start: int | None = None,
    slot: int = 0,
) -> Summary:
    """A window in which so many visits showed everything."""
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
    context = ReleaseContext(boot, seq, MODEL, clock, micro_enabled=True)
    return release(pending, window, slot, policy, context, discrete_laplace)


def insert(store: Store, table: str, **values: Any) -> None:
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    store.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))


def add_device(store: Store, device: str, **more: Any) -> None:
    row = {"first_seen": NOW - 864_000, "last_seen": NOW, "state": "online", "state_at": NOW}
    insert(store, "devices", **{"device": device, **row, **more})


def add_summary(store: Store, device: str, summary: Summary, received: int) -> None:
    """The row of `summaries` and that of `slots`."""
    body = to_json(summary)
    window = summary.window
    insert(
        store,
        "summaries",
        device=device,
        boot=summary.boot,
        seq=summary.seq,
        received=received,
        start_at=window.start,
        offset_s=window.offset,
        length=window.length,
        slot=summary.slot,
        clock=window.clock,
        merged=window.merged,
        visits=summary.visits,
        body=body.decode(),
        sha256=hashlib.sha256(body).hexdigest(),
    )
    insert(store, "slots", device=device, received=received, **slot_row(json.loads(body), received))


def slot_row(body: dict[str, Any], received: int) -> dict[str, Any]:
    heard = body.get("heard") or {}
    row: dict[str, Any] = {
        "boot": body["boot"],
        "seq": body["seq"],
        "at": body["window"]["start"] or received,
        "timed": int(body["window"]["start"] is not None),
        "length": body["window"]["length"],
        "slot": body["slot"],
        "merged": body["window"]["merged"],
        "policy": body["policy"],
        "epsilon_milli": body["privacy"]["epsilon_milli"],
        "k": body["privacy"]["k"],
        "fps": body["quality"]["fps"],
        "usable": body["quality"]["usable"],
        "flags": ",".join(body["quality"]["flags"]),
        "withheld": ",".join(f"{each['cell']}:{each['reason']}" for each in body["withheld"]),
        "voice": heard.get("voice"),
        "text": heard.get("text"),
        "sound_flags": ",".join(heard["flags"]) if heard else None,
    }
    for cell in CELLS:
        value = body.get(cell, heard.get(cell))
        for name in CELL_COLUMNS[cell]:
            field = name.removeprefix(f"{cell}_")
            row[name] = value.get(field) if isinstance(value, dict) else value
    return row


def add_receipt(store: Store, device: str, receipt: Receipt, received: int) -> None:
    body = to_json(receipt)
    insert(
        store,
        "receipts",
        device=device,
        key=receipt.statement.key,
        number=receipt.statement.number,
        body=body.decode(),
        received=received,
        sha256=hashlib.sha256(body).hexdigest(),
    )


def add_job(store: Store, job: str, device: str, status: str, **more: Any) -> None:
    row = {"kind": "app", "version": "0.2.0", "created_at": NOW - 3600}
    insert(store, "jobs", **{"job": job, "device": device, "status": status, **row, **more})
