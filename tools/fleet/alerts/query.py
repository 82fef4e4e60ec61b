"""What is wrong, ranked; what was; and what a person says about it. Paged by the database."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.common.errors import ToolError
from tools.fleet.alerts.kinds import BY_NAME, SEVERITIES, Severity, advice, sentence
from tools.fleet.controller import rollouts
from tools.fleet.store import Row, Store

MOST = 500
"""Alerts of one page."""
LONGEST_SILENCE = 90 * 86_400
"""Seconds."""
_COLUMNS = "a.*, d.grp, d.app"
_FROM = " FROM alerts a LEFT JOIN devices d ON d.device = a.device WHERE a.raised_at IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. Times are Unix seconds."""

    id: int
    device: str
    """Empty: the fleet as a whole."""
    kind: str
    severity: Severity
    what: str
    """What happened, a sentence."""
    todo: str
    """What to do next."""
    since: int
    last: int
    """Seen to hold, to ten minutes."""
    raised_at: int
    going: bool
    """Whether it is about to end: its condition does not hold at the moment."""
    ended: int | None
    detail: dict[str, Any]
    acknowledged_by: str | None
    acknowledged_at: int | None
    silenced_until: int | None
    group: str | None
    app: str | None
    """Of the device, as they are now."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which; empty ones leave nothing out. Alerts of the whole fleet pass `group`, `tag` and
    `version`: they concern every device."""

    device: str = ""
    kinds: Collection[str] = ()
    severities: Collection[str] = ()
    group: str = ""
    """That of a device's own configuration, or a saved query's name."""
    tag: str = ""
    version: str = ""
    """Of the package."""
    acknowledged: bool | None = None
    """None: both."""
    silenced: bool | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list."""

    alerts: list[Alert] = field(default_factory=list)
    total: int = 0
    """In all pages."""


def current(
    store: Store, now: int, filters: Filters = Filters(), limit: int = 100, offset: int = 0
) -> Page:
    """Alerts that have not ended: not acknowledged first, then the most severe, those of the whole
    fleet, the newest. `now`: Unix seconds, for silences. Raises `ToolError` for filters that name
    nothing, `StoreUnavailable`."""
    where, values = _conditions(store, filters, now)
    order = (
        " ORDER BY CASE WHEN a.acknowledged_at IS NULL THEN 0 ELSE 1 END, a.severity_rank,"
        " CASE WHEN a.device = '' THEN 0 ELSE 1 END, a.since DESC, a.id DESC"
    )
    return _page(store, f" AND a.ended IS NULL{where}", values, order, limit, offset)


def history(
    store: Store,
    now: int,
    filters: Filters = Filters(),
    since: int = 0,
    until: int | None = None,
    limit: int = 100,
    offset: int = 0,
) -> Page:
    """Alerts that were raised, ended or not, newest first. `since`, `until`: they were open at some
    time of these, Unix seconds; `until` is left out of it."""
    where, values = _conditions(store, filters, now)
    where += " AND (a.ended IS NULL OR a.ended >= ?)"
    values.append(since)
    if until is not None:
        where += " AND a.raised_at < ?"
        values.append(until)
    return _page(store, where, values, " ORDER BY a.raised_at DESC, a.id DESC", limit, offset)


def counts(store: Store) -> dict[str, int]:
    """Alerts that have not ended by severity, every severity named."""
    rows = store.tuples(
        "SELECT severity, COUNT(*) FROM alerts WHERE ended IS NULL AND raised_at IS NOT NULL"
        " GROUP BY severity"
    )
    return dict.fromkeys(SEVERITIES, 0) | {str(name): int(number) for name, number in rows}


def one(store: Store, number: int) -> Alert:
    """An alert. Raises `ToolError` where there is none."""
    rows = store.execute(f"SELECT {_COLUMNS}{_FROM} AND a.id = ?", (number,))
    if not rows:
        raise ToolError(f"There is no alert {number}. `fleeting-fleet alerts list` shows them.")
    return _alert(rows[0])


def acknowledge(store: Store, number: int, by: str, now: int) -> Alert:
    """Somebody sees to it. Until it ends it goes to the end of the list. Raises `ToolError`."""
    name = "".join(each for each in by if each.isprintable()).strip()[:64]
    if not name:
        raise ToolError("Say who acknowledges it: --by NAME.")
    _change(store, number, "acknowledged_by = ?, acknowledged_at = ?", (name, now))
    return one(store, number)


def silence(store: Store, number: int, seconds: int, now: int) -> Alert:
    """No webhook hears of it for so long; 0: they do again. Raises `ToolError`."""
    if not 0 <= seconds <= LONGEST_SILENCE:
        raise ToolError("An alert is silenced for 0 seconds to 90 days. Give --for 8h.")
    until = now + seconds if seconds else None
    _change(store, number, "silenced_until = ?", (until,))
    return one(store, number)


def _change(store: Store, number: int, setting: str, values: Sequence[Any]) -> None:
    with store.transaction():
        if one(store, number).ended is not None:
            raise ToolError(f"Alert {number} has ended already: nothing is left to say about it.")
        store.execute(
            f"UPDATE alerts SET {setting} WHERE id = ? AND ended IS NULL", (*values, number)
        )


def _conditions(store: Store, filters: Filters, now: int) -> tuple[str, list[Any]]:
    where = ""
    values: list[Any] = []
    for name, given, known in (
        ("kind", filters.kinds, BY_NAME),
        ("severity", filters.severities, SEVERITIES),
    ):
        if unknown := sorted(set(given) - set(known)):
            raise ToolError(f"{unknown[0]!a} is no {name} of alert. There are {', '.join(known)}.")
        if given:
            where += f" AND a.{name} IN ({', '.join('?' * len(given))})"
            values += sorted(given)
    if filters.device:
        where += " AND a.device = ?"
        values.append(filters.device)
    if filters.tag:
        where += (
            " AND (a.device = '' OR EXISTS"
            " (SELECT 1 FROM tags t WHERE t.device = a.device AND t.tag = ?))"
        )
        values.append(filters.tag)
    if filters.version:
        where += " AND (a.device = '' OR d.app = ?)"
        values.append(filters.version)
    if filters.group:
        condition, more = _group(store, filters.group)
        where += f" AND (a.device = '' OR {condition})"
        values += more
    if filters.acknowledged is not None:
        where += f" AND a.acknowledged_at IS {'NOT ' * filters.acknowledged}NULL"
    if filters.silenced is not None:
        where += f" AND {'' if filters.silenced else 'NOT '}COALESCE(a.silenced_until, 0) > ?"
        values.append(now)
    return where, values


def _group(store: Store, name: str) -> tuple[str, list[Any]]:
    """A saved query is asked of every device, and its answer goes to the database as one value."""
    if not store.tuples("SELECT 1 FROM groups WHERE name = ?", (name,)):
        return "d.grp = ?", [name]
    among, value = store.among("a.device", rollouts.in_group(store, name))
    return among, [value]


def _page(store: Store, where: str, values: list[Any], order: str, limit: int, offset: int) -> Page:
    if not (1 <= limit <= MOST and 0 <= offset < 2**31):
        raise ToolError(f"A page has 1 to {MOST} alerts and begins at 0 or later.")
    with store.transaction():
        total = int(store.tuples(f"SELECT COUNT(*){_FROM}{where}", values)[0][0])
        rows = store.execute(
            f"SELECT {_COLUMNS}{_FROM}{where}{order} LIMIT ? OFFSET ?", (*values, limit, offset)
        )
    return Page([_alert(row) for row in rows], total)


def _alert(row: Row) -> Alert:
    detail = json.loads(row["detail"])
    return Alert(
        id=row["id"],
        device=row["device"],
        kind=row["kind"],
        severity=row["severity"],
        what=sentence(row["kind"], row["device"], detail),
        todo=advice(row["kind"], row["device"]),
        since=row["since"],
        last=row["last"],
        raised_at=row["raised_at"],
        going=row["gone_at"] is not None and row["ended"] is None,
        ended=row["ended"],
        detail=detail,
        acknowledged_by=row["acknowledged_by"],
        acknowledged_at=row["acknowledged_at"],
        silenced_until=row["silenced_until"],
        group=row["grp"],
        app=row["app"],
    )
