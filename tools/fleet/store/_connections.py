"""Opening either database, and telling what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError

_BUSY = 10.0
"""Seconds to wait for another writer of an SQLite file."""
_SQLITE_AWAY = frozenset({
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
})  # fmt: skip
"""Primary result codes (sqlite.org/rescode.html) that say nothing of the statement."""
_POSTGRESQL_AWAY = ("08", "25006", "40", "53", "55", "57", "58")
"""Beginnings of SQLSTATE (PostgreSQL manual, appendix A): connection, read-only standby, serialised
or deadlocked, no resources (disk full), locked, shut down, system error."""
_CONNECT = {
    "application_name": "fleeting-fleet",
    "client_encoding": "UTF8",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""libpq's parameters: a host that went away is noticed within half a minute."""


def connect(dialect: str, url: str, name: str) -> Any:
    """A connection in autocommit mode whose commits survive a power cut."""
    if dialect == "sqlite":
        return _sqlite(Path(name))
    return _postgresql(url)


def _sqlite(path: Path) -> sqlite3.Connection:
    if not path.parent.is_dir():
        raise ToolError(
            f"The folder {path.parent} of the database is not there. Make it first: "
            "fleeting-fleet ca FOLDER."
        )
    # Numbers of a shop's visitors are nobody else's business.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
    except BaseException:
        connection.close()
        raise
    return connection


def _postgresql(url: str) -> Any:
    try:
        import psycopg
    except ImportError:
        raise ToolError(
            "A PostgreSQL database needs psycopg. Install it: pip install 'fleeting[fleet]'."
        ) from None
    given = {key: value for key, value in _CONNECT.items() if f"{key}=" not in url}
    connection = psycopg.connect(url, autocommit=True, **given)
    try:
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', FALSE)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
    except BaseException:
        connection.close()
        raise
    return connection


def unavailable(error: Exception) -> str | None:
    """What is wrong, where the database is away and the same may succeed later; else None."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return str(error) if code is not None and code & 0xFF in _SQLITE_AWAY else None
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if type(error).__module__.split(".")[0] != "psycopg":
        return None
    import psycopg

    state = getattr(error, "sqlstate", None)
    if state is None:
        # The connection could not be made, or broke.
        away = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    else:
        away = state.startswith(_POSTGRESQL_AWAY)
    return " ".join(str(error).split())[:300] if away else None


def damaged(error: sqlite3.DatabaseError) -> bool:
    """Whether an SQLite file is none, or is corrupt."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
