"""Verbs that only look: status, devices."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from tools.common.errors import ToolError
from tools.fleet.controller import lease, query, rollouts, wishes
from tools.fleet.operate.output import ago, as_json, console, many, shown, table
from tools.fleet.store import Row, Store

DAY = 86_400


def status(args: argparse.Namespace, store: Store) -> None:
    """The fleet at a glance."""
    found = glance(store, int(time.time()))
    if args.json:
        as_json(found)
        return
    out = console()
    devices = found["devices"]
    out.print(
        f"{many(devices['all'])}: "
        + ", ".join(f"{number} {name}" for name, number in devices.items() if name != "all")
    )
    controller = found["controller"]
    out.print(
        f"Controller: {controller['holder'] or 'none has begun (fleeting-fleet control)'}; "
        f"{controller['open_jobs']} jobs open"
    )
    stored = found["collected"]
    out.print(
        f"Collected: newest message {ago(stored['newest'])}; {stored['missing']} missing in "
        f"{stored['gaps']} gaps; {stored['duplicates']} duplicates; "
        f"{found['quarantined']['messages']} messages quarantined "
        f"({found['quarantined']['last_day']} kept of the last day)"
    )
    if found["enrolments_waiting"]:
        waiting = many(found["enrolments_waiting"])
        out.print(f"To be approved: {waiting} (fleeting-fleet enrolments)")
    versions = table("\nVersions", "kind", "version", "devices", right=("devices",))
    for row in found["versions"]:
        versions.add_row(row["kind"], shown(row["version"]), str(row["devices"]))
    out.print(versions)
    if found["rollouts"]:
        going = table("\nRoll-outs", "roll-out", "what", "status", "wave", "jobs", "waits for")
        for row in found["rollouts"]:
            going.add_row(
                row["rollout"], f"{row['kind']} {row['version']}", row["status"],
                f"{row['wave'] + 1} of {row['waves']}", _counts(row["jobs"]),
                row["waiting"] or "-",
            )  # fmt: skip
        out.print(going)


def glance(store: Store, now: int) -> dict[str, Any]:
    """Everything that `status` says."""

    def number(sql: str, *params: Any) -> int:
        return int(store.tuples(sql, params)[0][0] or 0)

    states = dict(store.tuples("SELECT status, COUNT(*) FROM device_status GROUP BY status"))
    names = ("online", "offline", "stale", "unknown", "revoked")
    versions = [
        {"kind": kind, "version": version, "devices": devices}
        for kind in ("app", "models")
        for version, devices in store.tuples(
            f"SELECT {kind}, COUNT(*) FROM devices WHERE revoked_at IS NULL"
            f" GROUP BY {kind} ORDER BY 2 DESC, 1"
        )
    ]
    rows = store.execute(
        f"SELECT * FROM rollouts WHERE status IN {rollouts.ALIVE} OR created_at > ?"
        " ORDER BY created_at DESC LIMIT 20",
        (now - 7 * DAY,),
    )
    return {
        "devices": {"all": sum(states.values())} | {name: states.get(name, 0) for name in names},
        "versions": versions,
        "rollouts": [summary(store, row, now) for row in rows],
        "controller": {
            "holder": lease.holder(store),
            "open_jobs": number("SELECT COUNT(*) FROM open_jobs"),
        },
        "collected": {
            "newest": store.tuples("SELECT MAX(received) FROM positions")[0][0],
            "gaps": number("SELECT COUNT(*) FROM open_gaps"),
            "missing": number("SELECT SUM(missing) FROM open_gaps"),
            "duplicates": number("SELECT SUM(total) FROM counts WHERE name = 'duplicate'"),
        },
        "quarantined": {
            "messages": number("SELECT SUM(total) FROM counts WHERE name <> 'duplicate'"),
            "last_day": number("SELECT COUNT(*) FROM quarantine WHERE received > ?", now - DAY),
        },
        "enrolments_waiting": number("SELECT COUNT(*) FROM enrolments WHERE state = 'waiting'"),
    }


def summary(store: Store, row: Row, now: int) -> dict[str, Any]:
    """A roll-out, for a table or a program."""
    said = {
        "rollout": row["rollout"],
        "kind": row["kind"],
        "version": row["version"],
        "selection": row["selection"],
        "status": row["status"],
        "reason": row["reason"],
        "wave": row["wave"],
        "waves": len(json.loads(row["waves"])),
        "created_at": row["created_at"],
        "ended_at": row["ended_at"],
        "jobs": rollouts.counts(store, row["rollout"]),
    }
    try:
        return said | {"waiting": rollouts.waiting(store, row, now)}
    except ToolError as error:
        return said | {"waiting": str(error)}


def _counts(jobs: dict[str, int]) -> str:
    said = [f"{number} {name}" for name, number in sorted(jobs.items()) if name != "ROLLED_BACK"]
    if "ROLLED_BACK" in jobs:
        said = [
            f"{each} ({jobs['ROLLED_BACK']} ROLLED_BACK)" if each.endswith(" FAILED") else each
            for each in said
        ]
    return ", ".join(said) or "-"


def devices(args: argparse.Namespace, store: Store) -> None:
    """A table of devices, or one device."""
    if args.show:
        if args.show[0] != "show" or len(args.show) != 2:
            raise ToolError(
                f"{' '.join(args.show)!r} cannot be done. Give: devices show ID, or only options."
            )
        _one(args, store, args.show[1])
        return
    terms = [args.select or "all"]
    terms += [f"group={args.group}"] * bool(args.group)
    terms += [f"tag={args.tag}"] * bool(args.tag)
    terms += [f"app={args.version}"] * bool(args.version)
    matches = query.parse(" and ".join(f"({term})" for term in terms))
    status_of = {
        row["device"]: row
        for row in store.execute("SELECT device, status, heard_at FROM device_status")
    }
    found = []
    for row, subject in rollouts.subjects(store):
        seen = status_of.get(subject.id, {"status": "unknown", "heard_at": None})
        if matches(subject) and args.state in (None, seen["status"]):
            found.append(
                {
                    "device": subject.id,
                    "status": seen["status"],
                    "heard_at": seen["heard_at"],
                    "app": row["app"],
                    "models": row["models"],
                    "policy": row["policy"],
                    "tags": sorted(subject.tags),
                    "groups": sorted(subject.groups),
                }
            )
    found.sort(key=lambda each: each["device"])
    if args.json:
        as_json(found)
        return
    made = table("", "device", "status", "heard", "app", "models", "policy", "tags", "groups")
    for each in found:
        made.add_row(
            each["device"], each["status"], ago(each["heard_at"]), shown(each["app"]),
            shown(each["models"]), shown(each["policy"]), " ".join(each["tags"]) or "-",
            " ".join(each["groups"]) or "-",
        )  # fmt: skip
    out = console()
    out.print(made)
    out.print(many(len(found)))


def device(store: Store, name: str) -> Row:
    """A device's row. Raises `ToolError` where there is none."""
    rows = store.execute("SELECT * FROM devices WHERE device = ?", (name,))
    if not rows:
        raise ToolError(
            f"There is no device {name!a}. `fleeting-fleet devices` lists them; a device appears "
            "when it first connects."
        )
    return rows[0]


def _one(args: argparse.Namespace, store: Store, name: str) -> None:
    row = device(store, name)
    seen = store.execute("SELECT status, heard_at FROM device_status WHERE device = ?", (name,))[0]
    jobs = store.execute(
        "SELECT job, rollout, kind, version, status, step, reason, created_at, started_at,"
        " ended_at, late_at FROM jobs WHERE device = ? ORDER BY created_at DESC LIMIT 10",
        (name,),
    )
    health = store.execute("SELECT * FROM latest_health WHERE device = ?", (name,))
    desired = store.execute("SELECT version, config FROM desired WHERE device = ?", (name,))
    refused = store.execute(
        "SELECT name, total, last_at FROM counts WHERE device = ? ORDER BY name", (name,)
    )
    (_, subject), *_ = rollouts.subjects(store, [name])
    gaps = store.tuples("SELECT COALESCE(SUM(missing), 0) FROM open_gaps WHERE device = ?", (name,))
    found = {
        **{key: row[key] for key in row if key not in ("meta", "reported")},
        **seen,
        "openings": json.loads(row["openings"] or "[]"),
        "tags": sorted(subject.tags),
        "groups": sorted(subject.groups),
        "desired": (
            desired
            and {"version": desired[0]["version"], "config": wishes.from_text(desired[0]["config"])}
        )
        or None,
        "reported": json.loads(row["reported"]) if row["reported"] else None,
        "health": health[0] if health else None,
        "missing": int(gaps[0][0]),
        "counts": refused,
        "jobs": jobs,
    }
    if args.json:
        as_json(found)
        return
    out = console()
    facts = table(name, "", "")
    for key in (
        "status", "heard_at", "first_seen", "app", "models", "model", "policy", "window_length",
        "k", "openings", "tags", "groups", "missing", "desired", "reported_version",
        "certificate_end", "revoked_at",
    ):  # fmt: skip
        value = found[key]
        if key in ("heard_at", "first_seen"):
            value = ago(value)
        elif isinstance(value, list):
            value = " ".join(map(str, value))
        facts.add_row(key.replace("_", " "), shown(value))
    if health:
        facts.add_row("perception", f"{health[0]['perception']}, {ago(health[0]['received'])}")
    for each in refused:
        facts.add_row(f"messages: {each['name']}", f"{each['total']}, {ago(each['last_at'])}")
    out.print(facts)
    if jobs:
        made = table("\nJobs", "job", "what", "status", "step", "reason", "created", "ended")
        for job in jobs:
            late = " (late)" if job["late_at"] else ""
            made.add_row(
                job["job"], f"{job['kind']} {job['version']}", job["status"] + late,
                shown(job["step"]), shown(job["reason"]), ago(job["created_at"]),
                ago(job["ended_at"]) if job["ended_at"] else "-",
            )  # fmt: skip
        out.print(made)
