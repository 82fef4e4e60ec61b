"""A message from the network, into the database: validated byte for byte, then its own device's
rows and no others. The broker lets a device publish below its own name only; here that name is all
that a message can touch."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from agent.base.report import (
    ClosedModel,
    HeardReported,
    JobExecution,
    Meta,
    Reported,
    from_json,
    is_second_form,
)
from tools.fleet.controller import answers
from tools.fleet.store import Store

SUBSCRIPTIONS = tuple(
    f"fleeting/1/d/+/{kind}" for kind in ("state", "meta", "shadow/reported", "job/+")
)
MAX_BYTES = 4096
"""A device's broker lets no more through."""
_TOPIC = re.compile(
    r"fleeting/1/d/([A-Za-z0-9_-]{1,64})/(state|meta|shadow/reported|job/([a-z0-9]+))"
)
_STATES = {b"online": "online", b"offline": "offline"}


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message."""

    device: str = ""
    """Whose rows may have changed; empty: nobody's."""
    refused: str = ""
    """Why it was not taken, in the quarantine's words; empty: it was."""
    rollout: str = ""
    """Whose job moved."""
    birth: bool = False
    """The device has just come (or come back)."""


def take(store: Store, topic: str, body: bytes, now: int) -> Taken:
    """One message, within a transaction. Raises `StoreUnavailable`."""
    match = _TOPIC.fullmatch(topic)
    if match is None:
        return Taken(refused="topic")
    device, kind, job = match.groups()
    if job == "next" or not body:
        return Taken()  # our own, or a retained message that was removed
    if len(body) > MAX_BYTES:
        return Taken(device, "size")
    if kind == "state":
        return _state(store, device, body, now)
    if kind == "meta":
        return _meta(store, device, body, now)
    if kind == "shadow/reported":
        return _reported(store, device, body, now)
    return _answer(store, device, job, body, now)


def _state(store: Store, device: str, body: bytes, now: int) -> Taken:
    state = _STATES.get(body)
    if state is None:
        return Taken(device, "fields")
    _upsert(store, device, now, {"state": state, "state_at": now})
    return Taken(device, birth=state == "online")


def _meta(store: Store, device: str, body: bytes, now: int) -> Taken:
    meta = from_json(Meta, body)
    if meta is None:
        return Taken(device, "fields")
    birth, uplink = meta.birth, meta.uplink
    openings = [f"perceive.{each}" for each in birth.cage.found_open]
    openings += [f"uplink.{each}" for each in uplink.found_open]
    _upsert(store, device, now, {
        "boot": birth.boot, "app": birth.software, "model": birth.model, "policy": birth.policy,
        "policy_hash": birth.policy_hash, "schemas": meta.schemas, "receipt_key": meta.key,
        "settings": birth.settings, "window_length": birth.window, "k": birth.k,
        "openings": json.dumps(openings), "meta": body.decode(), "meta_at": now,
    })  # fmt: skip
    return Taken(device, birth=True)


def _reported(store: Store, device: str, body: bytes, now: int) -> Taken:
    form: type[ClosedModel] = HeardReported if is_second_form(body) else Reported
    reported = from_json(form, body)
    if not isinstance(reported, Reported):
        return Taken(device, "fields")
    _upsert(store, device, now, {
        "reported": body.decode(), "reported_version": reported.version,
        "reported_defaults": reported.defaults, "reported_at": now,
    })  # fmt: skip
    return Taken(device, birth=True)


def _answer(store: Store, device: str, name: str, body: bytes, now: int) -> Taken:
    said = from_json(JobExecution, body)
    if said is None or said.job != name:
        return Taken(device, "fields")
    rows = store.execute("SELECT * FROM jobs WHERE job = ?", (name,))
    job = rows[0] if rows else None
    refused = answers.refusal(job, device, said)
    if refused is not None or job is None:
        return Taken(device, refused or "unknown_job")
    others = store.execute(
        "SELECT job FROM jobs WHERE device = ? AND job <> ?"
        " AND status IN ('QUEUED', 'IN_PROGRESS')",
        (device, name),
    )
    new = answers.changes(job, said, now, free=not others)
    _update(store, "jobs", "job", name, new)
    if "number" in new:
        _upsert(store, device, now, {"app": said.app, "models": said.models})
    return Taken(device, rollout=job["rollout"] or "")


def _upsert(store: Store, device: str, now: int, new: dict[str, Any]) -> None:
    """Change a device's row, which is made where there is none."""
    columns = {"last_seen": now} | new
    names = ", ".join(columns)
    store.execute(
        f"INSERT INTO devices (device, first_seen, {names})"
        f" VALUES (?, ?{', ?' * len(columns)})"
        f" ON CONFLICT (device) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in columns),
        (device, now, *columns.values()),
    )


def _update(store: Store, table: str, key: str, value: str, new: dict[str, Any]) -> None:
    setting = ", ".join(f"{name} = ?" for name in new)
    store.execute(f"UPDATE {table} SET {setting} WHERE {key} = ?", (*new.values(), value))
