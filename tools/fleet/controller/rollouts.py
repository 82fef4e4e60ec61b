"""Roll-outs in the database: read as `decide` wants them, and its actions carried out.

All of it runs within a transaction whose caller has proven the lease.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter

from tools.common.errors import ToolError
from tools.fleet.controller import query
from tools.fleet.controller.decide import (
    ENDED,
    Action,
    Create,
    Decision,
    End,
    JobView,
    Member,
    OpenWave,
    RolloutView,
    TakeBack,
    TimeOut,
    decide,
)
from tools.fleet.controller.plan import AbortRule, Gates, Plan, Wave
from tools.fleet.controller.query import Subject
from tools.fleet.store import Row, Store

_WAVES = TypeAdapter(tuple[Wave, ...])
_RULES = TypeAdapter(tuple[AbortRule, ...])
_OPTIONS = ("timeout", "away", "continuous")
_WORSE = {"running": 0, "paused": 0, "quiet": 0, "hot": 1, "stalled": 1, "absent": 2}
"""How bad a state of perception is; the first three are somebody's wish."""
MAX_TRIES = 20
"""Jobs of one roll-out that a device may lose or give back; then it counts as not updated."""
ALIVE = "('RUNNING', 'PAUSED')"


def insert(store: Store, plan: Plan, now: int) -> str:
    """A new roll-out, running; its id. Raises `StoreUnavailable`."""
    name = secrets.token_hex(4)
    options = plan.model_dump(mode="json", include=set(_OPTIONS))
    store.execute(
        "INSERT INTO rollouts (rollout, kind, version, status, waves, wave, gates, abort_rules,"
        " selection, options, created_at, started_at, wave_at)"
        " VALUES (?, ?, ?, 'RUNNING', ?, 0, ?, ?, ?, ?, ?, ?, ?)",
        (
            name, plan.kind, plan.version, _WAVES.dump_json(plan.waves).decode(),
            plan.gates.model_dump_json(), _RULES.dump_json(plan.abort).decode(), plan.selection,
            json.dumps(options), now, now, now,
        ),
    )  # fmt: skip
    return name


def plan_of(row: Row) -> Plan:
    """Raises `ToolError` where the row is not as this version writes it."""
    try:
        return Plan(
            kind=row["kind"],
            version=row["version"],
            selection=row["selection"],
            waves=_WAVES.validate_json(row["waves"]),
            gates=Gates.model_validate_json(row["gates"]),
            abort=_RULES.validate_json(row["abort_rules"]),
            **json.loads(row["options"] or "{}"),
        )
    except (ValueError, TypeError) as error:
        raise ToolError(
            f"Roll-out {row['rollout']} in the database is not as it must be "
            f"({type(error).__name__}). Abort it: fleeting-fleet rollout abort {row['rollout']}."
        ) from None


def view(row: Row) -> RolloutView:
    """Raises `ToolError`."""
    return RolloutView(row["rollout"], plan_of(row), row["status"], row["wave"])


def open_rollouts(store: Store) -> list[str]:
    """Those that may still do something: that live, or whose jobs are open."""
    rows = store.execute(
        f"SELECT rollout FROM rollouts WHERE status IN {ALIVE}"
        " UNION SELECT rollout FROM jobs WHERE status IN ('QUEUED', 'IN_PROGRESS')"
        " AND rollout IS NOT NULL ORDER BY 1"
    )
    return [row["rollout"] for row in rows]


def advance(store: Store, name: str, now: int) -> tuple[Decision, set[str]]:
    """Decide and carry out until it comes to rest; the last decision, and devices whose job
    changed. Raises `ToolError`, `StoreUnavailable`."""
    moved: set[str] = set()
    while True:
        # Locks the row: an operator's word waits until this is committed, or is seen here.
        rows = store.execute(
            "UPDATE rollouts SET wave = wave WHERE rollout = ? RETURNING *", (name,)
        )
        if not rows:
            return Decision((), ""), moved
        rollout = view(rows[0])
        decision = decide(rollout, members(store, rollout), now)
        if not decision.actions:
            return decision, moved
        for action in decision.actions:
            moved |= _apply(store, rollout, action, now)


def waiting(store: Store, row: Row, now: int) -> str:
    """What a roll-out waits for; nothing is changed."""
    if row["status"] in ENDED:
        return row["reason"] or ""
    rollout = view(row)
    decision = decide(rollout, members(store, rollout), now)
    return "the controller" if decision.actions else decision.waiting


def _apply(store: Store, rollout: RolloutView, action: Action, now: int) -> set[str]:
    plan, name = rollout.plan, rollout.rollout
    if isinstance(action, Create):
        made = store.execute(
            "INSERT INTO jobs (job, device, rollout, kind, version, status, created_at, queued_at,"
            " deadline, wave, timeout) VALUES (?, ?, ?, ?, ?, 'QUEUED', ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING RETURNING job",
            (
                secrets.token_hex(8), action.device, name, plan.kind, plan.version, now, now,
                now + plan.timeout, action.wave, plan.timeout,
            ),
        )  # fmt: skip
        assert made, f"{action.device} has two jobs at once"
        return {action.device}
    if isinstance(action, TakeBack):
        _end_job(store, action.job, action.status, now)
        return {action.device}
    if isinstance(action, TimeOut):
        _end_job(store, action.job, "TIMED_OUT", now)
        return {action.device}
    if isinstance(action, OpenWave):
        store.execute(
            "UPDATE rollouts SET wave = ?, wave_at = ? WHERE rollout = ?", (action.wave, now, name)
        )
    elif isinstance(action, End):
        store.execute(
            "UPDATE rollouts SET status = ?, reason = ?, ended_at = ?"
            f" WHERE rollout = ? AND status IN {ALIVE}",
            (action.status, action.reason, now, name),
        )
    return set()


def _end_job(store: Store, job: str, status: str, now: int) -> None:
    store.execute(
        "UPDATE jobs SET status = ?, ended_at = ? WHERE job = ?"
        " AND status IN ('QUEUED', 'IN_PROGRESS')",
        (status, now, job),
    )


def members(store: Store, rollout: RolloutView) -> list[Member]:
    """Devices that the selection names now, and those that have a job of it."""
    plan = rollout.plan
    selects = query.parse(plan.selection)
    jobs: dict[str, Row] = {}
    tries: Counter[str] = Counter()
    for row in store.execute(
        "SELECT * FROM jobs WHERE rollout = ? ORDER BY created_at", (rollout.rollout,)
    ):
        before = jobs.get(row["device"])
        if before is None or before["status"] == "REMOVED" or row["status"] != "REMOVED":
            jobs[row["device"]] = row
        tries[row["device"]] += 1
    for device, row in jobs.items():
        if row["status"] == "REMOVED" and tries[device] >= MAX_TRIES:
            row["status"] = "CANCELED"
    busy = {
        row["device"]
        for row in store.execute(
            "SELECT device FROM jobs WHERE status IN ('QUEUED', 'IN_PROGRESS')"
            " AND (rollout IS NULL OR rollout <> ?)",
            (rollout.rollout,),
        )
    }
    worse = _worse(store, rollout)
    found = []
    for row, subject in subjects(store):
        job = jobs.get(subject.id)
        selected = row["revoked_at"] is None and selects(subject)
        if not selected and job is None:
            continue
        online = subject.state == "online"
        found.append(
            Member(
                device=subject.id,
                selected=selected,
                online=online,
                since=row["state_at"] or 0,
                installed=row[plan.kind],
                job=_job_view(job) if job else None,
                busy=subject.id in busy,
                healthy=online and subject.id not in worse,
            )
        )
    return found


def _job_view(row: Row) -> JobView:
    return JobView(
        row["job"], row["status"], row["step"], row["wave"] or 0, row["deadline"], row["ended_at"]
    )


def _worse(store: Store, rollout: RolloutView) -> set[str]:
    """Devices updated in the open wave whose newest word on perception since then is worse than
    their last one before. No news is no bad news: health is said rarely."""
    rows = store.execute(
        "SELECT device,"
        " (SELECT perception FROM health WHERE health.device = jobs.device"
        "  AND received <= COALESCE(jobs.started_at, jobs.created_at)"
        "  ORDER BY received DESC LIMIT 1) AS earlier,"
        " (SELECT perception FROM health WHERE health.device = jobs.device"
        "  AND received > jobs.ended_at ORDER BY received DESC LIMIT 1) AS later"
        " FROM jobs WHERE rollout = ? AND wave = ? AND status = 'SUCCEEDED'",
        (rollout.rollout, rollout.wave),
    )
    return {
        row["device"] for row in rows if _WORSE.get(row["later"], 0) > _WORSE.get(row["earlier"], 0)
    }


def subjects(store: Store, names: Sequence[str] | None = None) -> Iterable[tuple[Row, Subject]]:
    """Devices' rows, and what a query may ask of them; `names`: only these."""
    columns = "device, state, state_at, app, models, policy, model, grp, revoked_at"
    rows = chosen(store, f"SELECT {columns} FROM devices", names)
    tags: dict[str, set[str]] = {}
    for row in chosen(store, "SELECT device, tag FROM tags", names):
        tags.setdefault(row["device"], set()).add(row["tag"])
    groups = saved_groups(store)
    for row in rows:
        subject = Subject(
            id=row["device"],
            state=row["state"] or "unknown",
            policy=row["policy"],
            model=row["model"],
            app=row["app"],
            models=row["models"],
            tags=tags.get(row["device"], frozenset()),
            groups=frozenset({row["grp"]} if row["grp"] else ()),
        )
        yield row, _in_groups(subject, groups)


def _in_groups(subject: Subject, groups: dict[str, query.Query]) -> Subject:
    more = {name for name, matches in groups.items() if matches(subject)}
    if not more:
        return subject
    return Subject(
        subject.id, subject.state, subject.policy, subject.model, subject.app, subject.models,
        subject.tags, {*subject.groups, *more},
    )  # fmt: skip


def in_group(store: Store, group: str) -> list[str]:
    """Devices of a group: its saved query's, and those whose own configuration names it. As
    `subjects` would say, for large fleets sooner."""
    matches = saved_groups(store).get(group)
    if matches is None:
        rows = store.tuples("SELECT device FROM devices WHERE grp = ?", (group,))
        return [device for (device,) in rows]
    tags: dict[str, set[str]] = {}
    for device, tag in store.tuples("SELECT device, tag FROM tags"):
        tags.setdefault(device, set()).add(tag)
    none: frozenset[str] = frozenset()
    own: dict[str | None, frozenset[str]] = {None: none, "": none}
    found = []
    for device, grp, state, policy, model, app, models in store.tuples(
        "SELECT device, grp, state, policy, model, app, models FROM devices"
    ):
        groups = own.setdefault(grp, frozenset({grp}))
        subject = Subject(
            device, state or "unknown", policy, model, app, models, tags.get(device, none), groups
        )
        if grp == group or matches(subject):
            found.append(device)
    return found


def saved_groups(store: Store) -> dict[str, query.Query]:
    """By name; one that cannot be read any more matches nothing."""
    found: dict[str, query.Query] = {}
    for row in store.execute("SELECT name, query FROM groups ORDER BY name"):
        try:
            found[row["name"]] = query.parse(row["query"])
        except ToolError:
            found[row["name"]] = lambda subject: False
    return found


_MOST = 500
"""Names in one statement."""


def chosen(store: Store, select: str, names: Sequence[str] | None, extra: str = "") -> list[Row]:
    """Rows of a table with a column `device`; `names`: only these devices'. `extra`: a further
    condition."""
    if names is None:
        return store.execute(f"{select} WHERE {extra}" if extra else select)
    rows: list[Row] = []
    for start in range(0, len(names), _MOST):
        some = names[start : start + _MOST]
        marks = ", ".join("?" * len(some))
        also = f" AND {extra}" if extra else ""
        rows += store.execute(f"{select} WHERE device IN ({marks}){also}", some)
    return rows


def counts(store: Store, name: str) -> dict[str, int]:
    """Jobs of a roll-out by status; ROLLED_BACK beside FAILED, which includes it."""
    found: dict[str, Any] = {}
    for row in store.execute(
        "SELECT status, step, COUNT(*) AS n FROM jobs WHERE rollout = ? GROUP BY status, step",
        (name,),
    ):
        found[row["status"]] = found.get(row["status"], 0) + row["n"]
        if row["status"] == "FAILED" and row["step"] == "ROLLED_BACK":
            found["ROLLED_BACK"] = found.get("ROLLED_BACK", 0) + row["n"]
    return found
