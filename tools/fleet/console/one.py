"""Everything that is known of one device, for its page."""

from __future__ import annotations

import json
from typing import Any

from tools.fleet.console.answers import Refused
from tools.fleet.controller import rollouts
from tools.fleet.operate.change import device_config
from tools.fleet.store import Row, Store


def device(store: Store, name: str) -> Row:
    """Its row with its state. Raises `Refused` where there is none."""
    rows = store.execute("SELECT * FROM device_status WHERE device = ?", (name[:64],))
    if not rows:
        raise Refused(404, "There is no such device. It appears when it first connects.")
    return rows[0]


def facts(store: Store, name: str) -> dict[str, Any]:
    """State, birth certificate, health, settings, jobs, events, what was refused. Raises
    `Refused`."""
    row = device(store, name)
    (_, subject), *_ = rollouts.subjects(store, [name])
    health = store.execute(
        "SELECT * FROM health WHERE device = ? ORDER BY received DESC LIMIT 1", (name,)
    )
    return {
        "row": row,
        "tags": sorted(subject.tags),
        "groups": sorted(subject.groups),
        "openings": _parsed(row["openings"], list),
        "meta": _parsed(row["meta"], dict),
        "settings": device_config(store, name, row["reported"]),
        "health": health[0] if health else None,
        "events": store.execute(
            "SELECT code, count, at, received FROM events WHERE device = ?"
            " ORDER BY received DESC, seq DESC LIMIT 20",
            (name,),
        ),
        "jobs": store.execute(
            "SELECT job, rollout, kind, version, status, step, reason, created_at, ended_at"
            " FROM jobs WHERE device = ? ORDER BY created_at DESC LIMIT 10",
            (name,),
        ),
        "counts": store.execute(
            "SELECT name, total, last_at FROM counts WHERE device = ? ORDER BY name", (name,)
        ),
        "gaps": store.execute(
            "SELECT stream, first_seq, last_seq, missing, found_at FROM open_gaps WHERE device = ?"
            " ORDER BY found_at DESC LIMIT 20",
            (name,),
        ),
        "summaries": int(
            store.tuples("SELECT COUNT(*) FROM summaries WHERE device = ?", (name,))[0][0]
        ),
    }


def _parsed(text: str | None, kind: type) -> Any:
    """JSON of the database; empty where it is not of that kind."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        found = None
    return found if isinstance(found, kind) else kind()
