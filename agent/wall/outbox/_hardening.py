"""Limits on what SQLite may do with a file that another process may have tampered with
(sqlite.org/security.html).

The other process may write any bytes. Nothing in the file may be executed: no trigger, view,
virtual table or extension, no other file attached; no statement may run without end.
"""

from __future__ import annotations

import sqlite3
import sys
import time

_LIMITS = {
    # 0 attached files, 0 levels of triggers; the rest is several times what the statements need.
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 8192,
    sqlite3.SQLITE_LIMIT_COLUMN: 64,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 32,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 8,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 16,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 64,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 64,
}
_MAX_VALUE_BYTES = 32_768
_PRAGMAS = ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "foreign_keys = OFF")
_ALLOWED = frozenset({
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_DELETE, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_FUNCTION,
})  # fmt: skip
_ALLOWED_PRAGMAS = frozenset({"schema_version"})
_INSTRUCTIONS = 50_000
"""Of SQLite's virtual machine, between two looks at the clock."""
_MAX_SECONDS = 30.0
"""Of one transaction, or of opening and checking the file."""


class Budget:
    """A progress handler (sqlite.org/c3ref/progress_handler.html) that interrupts statements beyond
    `_MAX_SECONDS` after `begin`."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._end = time.monotonic() + _MAX_SECONDS

    def __call__(self) -> bool:
        return time.monotonic() > self._end


def harden(database: sqlite3.Connection, budget: Budget, max_value: int = _MAX_VALUE_BYTES) -> None:
    """Set the limits; call before the first statement, which would read the file's schema.
    `max_value`: bytes of one value."""
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max_value)
    for limit, value in _LIMITS.items():
        database.setlimit(limit, value)
    if sys.version_info >= (3, 12):
        for option, on in (
            (sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True),
            (sqlite3.SQLITE_DBCONFIG_TRUSTED_SCHEMA, False),
            (sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False),
            (sqlite3.SQLITE_DBCONFIG_ENABLE_VIEW, False),
            (sqlite3.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, False),
            (sqlite3.SQLITE_DBCONFIG_WRITABLE_SCHEMA, False),
        ):
            database.setconfig(option, on)
    database.set_progress_handler(budget, _INSTRUCTIONS)
    for pragma in _PRAGMAS:
        database.execute(f"PRAGMA {pragma}")


def forbid_all_but_rows(database: sqlite3.Connection) -> None:
    """From now on statements may read and change rows and nothing else, and not by way of a trigger
    or view. Where Python knows no defensive mode (before 3.12) this stands in for it."""
    database.set_authorizer(_authorize)


def _authorize(
    action: int, first: str | None, second: str | None, schema: str | None, source: str | None
) -> int:
    """`source`: the trigger or view that asks; see sqlite.org/c3ref/set_authorizer.html."""
    if source is None and (
        action in _ALLOWED
        or (action == sqlite3.SQLITE_PRAGMA and first in _ALLOWED_PRAGMAS and second is None)
    ):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
