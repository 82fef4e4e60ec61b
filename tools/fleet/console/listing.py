"""The list of devices: filtered, sorted and cut into pages by the database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tools.common.errors import ToolError
from tools.fleet.controller import rollouts
from tools.fleet.store import Row, Store

State = Literal["online", "offline", "stale", "unknown", "revoked"]
STATES: tuple[State, ...] = get_args(State)
Sort = Literal["device", "status", "heard_at", "app", "models", "policy"]
SORTS: tuple[Sort, ...] = get_args(Sort)
PAGE = 50
MOST = 200
"""Rows of a page at most."""
_ORDER = {
    "device": "device",
    "status": "CASE status WHEN 'offline' THEN 0 WHEN 'stale' THEN 1 WHEN 'unknown' THEN 2"
    " WHEN 'online' THEN 3 ELSE 4 END",
    "heard_at": "heard_at",
    "app": "app",
    "models": "models",
    "policy": "policy",
}
"""SQL of each order; nothing that was asked for gets into a statement."""
_ESCAPE = str.maketrans({"!": "!!", "%": "!%", "_": "!_"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; empty: everything."""

    text: str = ""
    """Part of the id."""
    group: str = ""
    tag: str = ""
    app: str = ""
    state: State | None = None
    sort: Sort = "device"
    down: bool = False
    """Highest first."""
    page: int = 1
    size: int = PAGE


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of devices."""

    rows: list[Row]
    total: int
    """On all pages."""
    pages: int


def find(store: Store, wanted: Wanted) -> Listed:
    """Raises `StoreUnavailable`."""
    where, params = _where(store, wanted)
    total = int(store.tuples(f"SELECT COUNT(*) FROM {_source(wanted)}{where}", params)[0][0])
    pages = max(1, -(-total // wanted.size))
    page = min(max(1, wanted.page), pages)
    direction = "DESC" if wanted.down else "ASC"
    order = f"{_ORDER[wanted.sort]} {direction}" + (", device" if wanted.sort != "device" else "")
    rows = store.execute(
        "SELECT device, status, heard_at, app, models, policy, grp, openings"
        f" FROM device_status{where} ORDER BY {order} LIMIT ? OFFSET ?",
        (*params, wanted.size, (page - 1) * wanted.size),
    )
    for row in rows:
        row["openings"] = _list(row["openings"])
    _add_tags(store, rows)
    return Listed(rows, total, pages)


def _source(wanted: Wanted) -> str:
    """Counting needs the view only for what it computes."""
    return "device_status" if wanted.state else "devices"


def _where(store: Store, wanted: Wanted) -> tuple[str, list[Any]]:
    parts: list[str] = []
    params: list[Any] = []
    if wanted.text:
        parts.append("LOWER(device) LIKE ? ESCAPE '!'")
        params.append(f"%{wanted.text.lower().translate(_ESCAPE)}%")
    if wanted.state:
        parts.append("status = ?")
        params.append(wanted.state)
    if wanted.tag:
        parts.append("device IN (SELECT device FROM tags WHERE tag = ?)")
        params.append(wanted.tag)
    if wanted.app:
        parts.append("app = ?")
        params.append(wanted.app)
    if wanted.group:
        part, value = store.among("device", rollouts.in_group(store, wanted.group))
        parts.append(part)
        params.append(value)
    return (f" WHERE {' AND '.join(parts)}" if parts else ""), params


def _add_tags(store: Store, rows: list[Row]) -> None:
    tags: dict[str, list[str]] = {}
    names = [row["device"] for row in rows]
    if names:
        for row in rollouts.chosen(store, "SELECT device, tag FROM tags", names):
            tags.setdefault(row["device"], []).append(row["tag"])
    for row in rows:
        row["tags"] = sorted(tags.get(row["device"], ()))


def _list(text: str | None) -> list[str]:
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [str(each) for each in found] if isinstance(found, list) else []


def choices(store: Store) -> dict[str, list[str]]:
    """What can be filtered by: groups, tags, versions in use."""
    groups = store.tuples(
        "SELECT name FROM groups UNION SELECT DISTINCT grp FROM devices"
        " WHERE grp IS NOT NULL AND grp <> '' ORDER BY 1"
    )
    tags = store.tuples("SELECT DISTINCT tag FROM tags ORDER BY tag")
    apps = store.tuples("SELECT DISTINCT app FROM devices WHERE app IS NOT NULL ORDER BY app DESC")
    return {
        name: [each for (each,) in rows]
        for name, rows in (("groups", groups), ("tags", tags), ("apps", apps))
    }


def states(store: Store) -> dict[str, int]:
    """Devices by state."""
    found = dict(store.tuples("SELECT status, COUNT(*) FROM device_status GROUP BY status"))
    return {name: int(found.get(name, 0)) for name in STATES}


def whole(text: str, least: int, most: int, otherwise: int) -> int:
    """A number that was typed into an address; `otherwise` where it is none."""
    return (
        min(max(int(text), least), most)
        if text.isascii() and text.isdecimal() and len(text) < 10
        else otherwise
    )


def read(query: Any) -> Wanted:
    """What an address asks for. Raises `ToolError` for a state or an order that there is not."""
    state, sort = query.get("state", ""), query.get("sort", "device")
    if state and state not in STATES:
        raise ToolError(f"A device's state is {', '.join(STATES)}.")
    if sort not in SORTS:
        raise ToolError(f"Devices are sorted by {', '.join(SORTS)}.")
    return Wanted(
        query.get("text", "")[:64], query.get("group", "")[:64], query.get("tag", "")[:64],
        query.get("app", "")[:64], state or None, sort, query.get("down", "") == "1",
        whole(query.get("page", "1"), 1, 1_000_000, 1), whole(query.get("size", ""), 1, MOST, PAGE),
    )  # fmt: skip
