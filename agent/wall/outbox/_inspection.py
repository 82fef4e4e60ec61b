"""Is this file the outbox? Checks when it is opened, on a file that another process may have
tampered with: which files are opened, the schema, the pages, the types and ranges of all values.

Every problem is a `sqlite3.DatabaseError`, for which the file is moved aside.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import stat
from pathlib import Path

_MAX_EXTRA_BYTES = 64_000_000
"""Of file and journal, beyond twice the bound on the messages: ledger, indexes, free pages."""
_MAX_ID = 2**62
"""Beyond, SQLite would soon have no row id left and refuse every message."""
_MAX_DESCRIPTOR = 4096
_VALID = {
    "outbox": "typeof(kind) = 'text' AND typeof(boot) = 'text' AND typeof(seq) = 'integer'"
    " AND typeof(body) = 'blob' AND typeof(created) IN ('real', 'integer', 'null')"
    f" AND id BETWEEN 0 AND {_MAX_ID}",
    "ledger": "typeof(boot) = 'text' AND length(boot) = 8 AND typeof(seq) = 'integer'"
    " AND seq BETWEEN 0 AND 16777215 AND typeof(slot) = 'integer'"
    " AND typeof(epsilon_milli) = 'integer' AND epsilon_milli BETWEEN 0 AND 1000000"
    " AND typeof(policy_hash) = 'text' AND typeof(withheld) = 'integer'"
    " AND typeof(visits) = 'integer' AND abs(visits) <= 1000000 AND typeof(sha256) = 'text'"
    f" AND length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*' AND rowid BETWEEN 0 AND {_MAX_ID}",
    "latest": "typeof(kind) = 'text' AND typeof(body) = 'blob' AND typeof(written) = 'real'",
    "counter": "typeof(name) = 'text' AND typeof(value) = 'integer'"
    f" AND value BETWEEN -{_MAX_ID} AND {_MAX_ID}",
    "spoken": "typeof(code) = 'text' AND typeof(pending) = 'integer'"
    " AND pending BETWEEN 0 AND 1000000000 AND typeof(said) = 'real'"
    " AND abs(said) < 1e12",
    "sqlite_sequence": "name = 'outbox' AND typeof(seq) = 'integer'"
    f" AND seq BETWEEN 0 AND {_MAX_ID}",
}
"""What holds for every row, by table."""


def most_bytes(max_bytes: int) -> int:
    """Of an outbox's file or journal, where its messages have `max_bytes` at most."""
    return 2 * max_bytes + _MAX_EXTRA_BYTES


def check_files(path: Path, max_bytes: int) -> None:
    """Only ordinary files under their own name may be opened: a link could lead SQLite to a file
    that only this process may read or write. `max_bytes`: the bound on the messages."""
    for suffix in ("", "-wal", "-shm"):
        name = f"{path}{suffix}"
        try:
            found = os.lstat(name)
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode):
            raise sqlite3.DatabaseError(f"{name} is no ordinary file")
        if found.st_nlink != 1:
            raise sqlite3.DatabaseError(f"{name} has a second name")
        if found.st_size > most_bytes(max_bytes):
            raise sqlite3.DatabaseError(f"{name} has grown to {found.st_size} bytes")
    # There is none beside a write-ahead log; see `_guard`.
    with contextlib.suppress(FileNotFoundError):
        try:
            os.unlink(f"{path}-journal")
        except IsADirectoryError:
            raise sqlite3.DatabaseError(f"{path}-journal is a folder") from None


def check_opened(path: Path) -> None:
    """Whether SQLite has opened the very files that lie under these names, whatever was swapped
    between `check_files` and the opening. Call before anything is written."""
    for name in (str(path), f"{path}-wal"):
        try:
            found = os.lstat(name)
        except FileNotFoundError:
            raise sqlite3.DatabaseError(f"{name} was removed meanwhile") from None
        if not stat.S_ISREG(found.st_mode) or not _is_open(found):
            raise sqlite3.DatabaseError(f"{name} was replaced meanwhile")


def _is_open(wanted: os.stat_result) -> bool:
    """Whether a descriptor of this process refers to this file; /proc may be out of reach."""
    for number in range(3, _MAX_DESCRIPTOR):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(number), wanted):
                return True
    return False


def check_schema(database: sqlite3.Connection, script: str) -> None:
    """Whether the schema is exactly that which `script` makes: no trigger, view, other table, no
    expression that would be evaluated."""
    if _schema(database) != _expected(script):
        raise sqlite3.DatabaseError("its tables are not the outbox's")


def check_content(database: sqlite3.Connection) -> None:
    """Pages and indexes (sqlite.org/pragma.html#pragma_integrity_check), then every value; after
    `check_schema`, since this would evaluate a schema's expressions."""
    verdict = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    for table, valid in _VALID.items():
        # IS NOT TRUE: also where a value is null.
        wrong = f"SELECT 1 FROM {table} WHERE ({valid}) IS NOT TRUE LIMIT 1"
        if database.execute(wrong).fetchone():
            raise sqlite3.DatabaseError(f"its table {table} holds what the agent never writes")


def _schema(database: sqlite3.Connection) -> frozenset[tuple[object, ...]]:
    rows = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return frozenset(rows) | {("rows", len(rows))}


@functools.cache
def _expected(script: str) -> frozenset[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.executescript(script)
        return _schema(database)
