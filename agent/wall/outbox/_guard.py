"""Opens the outbox so that SQLite never plays back a rollback journal.

Such a journal may name another file, a super-journal, which SQLite then deletes
(sqlite.org/atomiccommit.html, 5.4): whoever may write the folder could have the uplink delete its
own key. The outbox has a write-ahead log and no such journal. While a connection reads the file for
the first time, a lock on the byte that SQLite's writers reserve makes any journal look like that of
a living writer, which SQLite leaves alone; from then on it only looks at the log.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import stat
import struct
import threading
from collections import Counter
from pathlib import Path

from agent.base.files import remove_leftovers, write_atomically

_RESERVED_BYTE = 0x40000001
"""sqlite.org/src, os.h: PENDING_BYTE + 1."""
_FORMAT_VERSIONS = slice(18, 20)
"""Of the header; 2: write-ahead log (sqlite.org/fileformat2.html, 1.3.3)."""
_FileId = tuple[int, int]
_mutex = threading.Lock()
_users: Counter[_FileId] = Counter()
_unused: dict[_FileId, list[int]] = {}
"""Descriptors to be closed with the last connection to a file: closing any earlier would drop this
process's locks on it (fcntl(2))."""


class Guard:
    """One connection's hold on the file; between opening and `unlock` no other may reserve it."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError`, `sqlite3.DatabaseError` where it is no ordinary file."""
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self._number = os.open(path, flags)
        found = os.fstat(self._number)
        self.file = found.st_dev, found.st_ino
        """Device and inode, not given to another file while this one is held."""
        with _mutex:
            _users[self.file] += 1
        try:
            if not stat.S_ISREG(found.st_mode):
                raise sqlite3.DatabaseError(f"{path} is no ordinary file")
            self._set(fcntl.F_WRLCK)
        except BaseException:
            self.close()
            raise

    def unlock(self) -> None:
        """Once the file has been read."""
        self._set(fcntl.F_UNLCK)

    def close(self) -> None:
        """Once the connection is closed."""
        with _mutex:
            _users[self.file] -= 1
            _unused.setdefault(self.file, []).append(self._number)
            if not _users[self.file]:
                del _users[self.file]
                for number in _unused.pop(self.file):
                    os.close(number)

    def _set(self, kind: int) -> None:
        # A lock of this open file, not of the process: SQLite's own is to see it.
        lock = struct.pack("hhqqi", kind, os.SEEK_SET, _RESERVED_BYTE, 1, 0)
        fcntl.fcntl(self._number, fcntl.F_OFD_SETLK, lock)


def create(path: Path, script: str) -> None:
    """Write a new database, made in memory, with a write-ahead log. Raises `OSError`."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.executescript(script)
        content = bytearray(database.serialize())
    content[_FORMAT_VERSIONS] = b"\x02\x02"
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")
    remove_leftovers(path)
    write_atomically(path, bytes(content))
