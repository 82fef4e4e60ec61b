"""Which rows: from, to, devices, a group; read in constant memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tools.common.errors import ToolError
from tools.fleet.export.columns import Kind
from tools.fleet.store import Store

_DEVICE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST = 30_000
"""Parameters of a statement: SQLite takes 32,766, PostgreSQL 65,535."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Of rows; everything by default."""

    since: int | None = None
    """UTC seconds, included."""
    until: int | None = None
    """UTC seconds, not included."""
    devices: tuple[str, ...] = ()
    """Empty: all."""

    def __post_init__(self) -> None:
        """Raises `ToolError`."""
        for name in self.devices:
            if not _DEVICE.fullmatch(name):
                raise ToolError(f"{name!a} is no device's id: letters, digits, - and _.")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ToolError("--from is not before --to. Exchange them.")

    def where(self, time: str, table: str) -> tuple[str, list[Any]]:
        """SQL's condition with its parameters; empty: none."""
        parts: list[str] = []
        params: list[Any] = []
        for sql, value in ((f"{time} >= ?", self.since), (f"{time} < ?", self.until)):
            if value is not None:
                parts.append(sql)
                params.append(value)
        if self.devices:
            parts.append(f"{table}.device IN ({', '.join('?' * len(self.devices))})")
            params += self.devices
        return (f" WHERE {' AND '.join(parts)}" if parts else ""), params


def refuse_unknown(store: Store, devices: Sequence[str]) -> None:
    """Raises `ToolError` where a device is none of the fleet's: an empty file would look like an
    answer."""
    for name in devices:
        if not store.tuples("SELECT 1 FROM devices WHERE device = ?", (name,)):
            raise ToolError(f"The database knows no device {name}. See: fleeting-fleet devices.")


def members(store: Store, group: str, devices: Sequence[str] = ()) -> tuple[str, ...]:
    """Devices that are in a group, saved or their own, and of `devices` where there are some.
    Raises `ToolError`."""
    from tools.fleet.controller.rollouts import in_group

    found = set(in_group(store, group))
    found &= set(devices) or found
    if not found:
        raise ToolError(
            f"No such device is in the group {group!a}. See: fleeting-fleet group list."
        )
    if len(found) > _MOST:
        raise ToolError(
            f"{len(found)} devices are in {group}, more than one query takes ({_MOST}). Leave "
            "--group out, and choose from the file."
        )
    return tuple(sorted(found))


def count(store: Store, kind: Kind, selection: Selection) -> int:
    """Rows that `rows` will give, roughly: devices go on talking."""
    where, params = selection.where(kind.time, kind.source)
    return int(store.tuples(f"SELECT COUNT(*) FROM {kind.source}{where}", params)[0][0])


def rows(store: Store, kind: Kind, selection: Selection) -> Iterator[list[tuple[Any, ...]]]:
    """Batches of rows, each with a value for every column of the kind."""
    read: dict[str, str] = {
        column.name: column.sql or column.name for column in kind.columns if not column.computed
    } | {name: name for name in kind.hidden}
    where, params = selection.where(kind.time, kind.source)
    quoted = ", ".join(f'{sql} AS "{name}"' for name, sql in read.items())
    sql = f"SELECT {quoted} FROM {kind.source}{where} ORDER BY {kind.order}"
    names = [column.name for column in kind.columns]
    computes = any(column.computed for column in kind.columns)
    for batch in store.stream(sql, params):
        if not computes:
            yield batch
            continue
        made = []
        for values in batch:
            row = dict(zip(read, values, strict=True))
            row |= kind.compute(row)
            made.append(tuple(row[name] for name in names))
        yield made


def instant(text: str, *, end: bool = False) -> int:
    """UTC seconds of a day such as 2026-11-28, or of an instant such as 2026-11-28T12:00. `end`:
    of a day its end. Raises `ToolError`."""
    try:
        day = date.fromisoformat(text) + timedelta(days=end)
        found = datetime(day.year, day.month, day.day, tzinfo=UTC)
    except (ValueError, OverflowError):
        try:
            given = datetime.fromisoformat(text)
            found = given if given.tzinfo else given.replace(tzinfo=UTC)
        except ValueError:
            raise ToolError(
                f"{text!a} is no time. Give a day such as 2026-11-28, or 2026-11-28T12:00 (UTC)."
            ) from None
    return int(found.timestamp())
