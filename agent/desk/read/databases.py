"""A collector's database as a frame, read only: SQLite or PostgreSQL."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.base.names import one_line
from agent.desk.read.contents import Content, named
from agent.desk.read.errors import ReadError
from agent.desk.read.frame import Collector
from agent.desk.read.messages import Said, Tally

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 2_000
_SUMMARIES = "SELECT device, received, body FROM summaries"
_DEVICES = "SELECT device, grp, meta FROM devices"
_CONTENTS = "SELECT slot, from_at, until_at, name, campaign FROM contents"
_HAS_CONTENTS = {
    "?": "SELECT 1 FROM sqlite_master WHERE name = 'contents'",
    "%s": "SELECT 1 FROM pg_class WHERE relname = 'contents' AND pg_table_is_visible(oid)",
}
"""By the mark of a parameter."""


def sqlite(
    path: str | Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    devices: Sequence[str] = (),
    level: float = 0.95,
) -> pd.DataFrame:
    """The summaries in a collector's SQLite file, as described in `frame`, with `content` and
    `campaign` (`contents.named`) where the fleet has a catalogue. Opened read only; a
    collector may go on writing.

    Parameters
    ----------
    since, until
        Of the window's start, where that is unknown of its arrival; `until` is not included. A time
        without a zone is UTC.
    devices
        Empty: all.

    Raises
    ------
    ReadError
        There is no such file, or it is no collector's database, or pandas is not installed.
    """
    place = Path(path)
    if not place.is_file():
        raise ReadError(f"There is no database {one_line(place)}. Name the collector's file.")
    try:
        uri = f"{place.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
            return _read(connection, "?", connection.execute, since, until, devices, level)
    except sqlite3.Error as error:
        raise ReadError(
            f"{one_line(place)} cannot be read as a collector's database: {error}."
        ) from None


def postgresql(
    dsn: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    devices: Sequence[str] = (),
    level: float = 0.95,
) -> pd.DataFrame:
    """The same from PostgreSQL or TimescaleDB. `dsn`: libpq's, `postgresql://USER@HOST/NAME`; a
    user that may only read will do. The others: as for `sqlite`. Raises `ReadError`."""
    try:
        import psycopg
    except ImportError:
        raise ReadError(
            "PostgreSQL needs psycopg. Install it: pip install 'fleeting[read]'."
        ) from None
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            connection.read_only = True
            with connection.cursor("fleeting_read") as cursor:  # held by the server
                cursor.itersize = _BATCH

                def stream(sql: str, values: Sequence[Any]) -> Any:
                    if _SUMMARIES not in sql:
                        return connection.execute(sql, values)
                    return cursor.execute(sql, values)

                return _read(connection, "%s", stream, since, until, devices, level)
    except psycopg.Error as error:
        said = " ".join(str(error).split())[:300]
        raise ReadError(f"The database cannot be read as a collector's: {said}.") from None


def _read(
    connection: Any,
    mark: str,
    execute: Any,
    since: datetime | None,
    until: datetime | None,
    devices: Sequence[str],
    level: float,
) -> pd.DataFrame:
    tally = Tally()
    collector = Collector(tally)
    groups: dict[str, str] = {}
    for device, group, meta in execute(_DEVICES, ()).fetchall():
        groups[str(device)] = str(group or "")
        if meta:
            collector.place(str(device), str(meta).encode())
    parts: list[str] = []
    values: list[Any] = []
    for sign, moment in ((">=", since), ("<", until)):
        if moment is not None:
            parts.append(f"COALESCE(start_at, received) {sign} {mark}")
            values.append(_seconds(moment))
    if devices:
        parts.append(f"device IN ({', '.join([mark] * len(devices))})")
        values += list(devices)
    where = f" WHERE {' AND '.join(parts)}" if parts else ""
    cursor = execute(f"{_SUMMARIES}{where}", values)
    for number, (device, received, body) in enumerate(_batches(cursor), 1):
        tally.lines += 1
        found = Said(str(device), "summary", str(body).encode(), float(received))
        collector.add(found, f"row {number}")
    made = collector.frame(level, groups)
    if not execute(_HAS_CONTENTS[mark], ()).fetchall():
        return made
    held = [Content(*entry) for entry in execute(_CONTENTS, ()).fetchall()]
    return named(made, held) if held else made


def _batches(cursor: Any) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(_BATCH):
        yield from rows


def _seconds(moment: datetime) -> int:
    from datetime import UTC

    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
