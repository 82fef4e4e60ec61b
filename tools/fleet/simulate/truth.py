"""What a comparison starts from: every message that was made, and which the broker acknowledged.

One SQLite file, written by all processes of a simulation in one transaction a second each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tools.common.errors import ToolError

_TABLES = """
CREATE TABLE IF NOT EXISTS messages (
    device TEXT NOT NULL, kind TEXT NOT NULL, boot TEXT NOT NULL, seq INTEGER NOT NULL,
    sha256 BLOB NOT NULL, acked REAL, acks INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, kind, boot, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    device TEXT NOT NULL, job TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (device, job)
) WITHOUT ROWID;
"""
_APPLICATION = 0x466C7401
"""Marks the file as one of these, so that no other is written into."""


class Key(NamedTuple):
    """What a message is known by."""

    device: str
    kind: str
    """`summary` or `event`."""
    boot: str
    seq: int


class Truth:
    """Collects in memory; `flush` writes."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises `ToolError`."""
        self.path = path
        self._made: list[tuple[str, str, str, int, bytes]] = []
        self._acked: list[tuple[float, str, str, str, int]] = []
        self._jobs: dict[tuple[str, str], str] = {}
        try:
            self._file = sqlite3.connect(path, timeout=60, isolation_level=None)
            found = self._file.execute("PRAGMA application_id").fetchone()[0]
            tables = self._file.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
            if tables and found != _APPLICATION:
                raise ToolError(f"{path} is a database of something else. Name another --truth.")
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = OFF")
            self._file.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._file.executescript(_TABLES)
        except sqlite3.Error as error:
            raise ToolError(f"{path} cannot be written: {error}.") from None

    def made(self, key: Key, sha256: bytes) -> None:
        """A message exists; it may be sent more than once."""
        self._made.append((*key, sha256))

    def acked(self, key: Key, at: float) -> None:
        """The broker has acknowledged it; `at`: UTC."""
        self._acked.append((at, *key))

    def job(self, device: str, job: str, body: str) -> None:
        """How far a job is."""
        self._jobs[device, job] = body

    def flush(self) -> None:
        """Write what was collected. Raises `ToolError`."""
        made, self._made = self._made, []
        acked, self._acked = self._acked, []
        jobs, self._jobs = self._jobs, {}
        if not (made or acked or jobs):
            return
        try:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany(
                "INSERT OR IGNORE INTO messages(device, kind, boot, seq, sha256)"
                " VALUES (?, ?, ?, ?, ?)", made,
            )  # fmt: skip
            self._file.executemany(
                "UPDATE messages SET acked = COALESCE(acked, ?), acks = acks + 1"
                " WHERE device = ? AND kind = ? AND boot = ? AND seq = ?", acked,
            )  # fmt: skip
            self._file.executemany(
                "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?)",
                [(device, job, body) for (device, job), body in jobs.items()],
            )
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            raise ToolError(f"{self.path} cannot be written: {error}.") from None

    def close(self) -> None:
        """Raises `ToolError`."""
        self.flush()
        self._file.close()


def messages(path: Path, kind: str) -> Iterator[tuple[Key, bytes, bool]]:
    """Every message that was made: key, SHA-256, whether it was acknowledged. Raises
    `ToolError`."""
    if not path.is_file():
        raise ToolError(f"{path} is not there. It is what a simulation writes with --truth.")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
            rows = file.execute(
                "SELECT device, kind, boot, seq, sha256, acked IS NOT NULL FROM messages"
                " WHERE kind = ?", (kind,),
            )  # fmt: skip
            for device, kind, boot, seq, sha256, acked in rows:
                yield Key(device, kind, boot, seq), sha256, bool(acked)
    except sqlite3.Error as error:
        raise ToolError(f"{path} cannot be read: {error}.") from None
