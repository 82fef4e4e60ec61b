"""The outbox's pages, used or free, and its journal (sqlite.org/fileformat2.html).

Bytes that belong to no message, name or number of the tables are a finding, also in free pages and
deleted rows, which can be read from the disk.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agent.base import report
from agent.base.config import StoreConfig
from agent.base.report import ClosedModel, from_json
from agent.desk.audit._artifacts import Finding
from agent.wall.outbox import Budget, Outbox, harden

_HEAD = b"SQLite format 3\0"
_WAL = (0x377F0682, 0x377F0683)
_ROLLBACK = bytes.fromhex("d9d505f920a163d7")
_WAL_HEADER, _FRAME_HEADER = 32, 24
_HEADER_LENGTHS = {2: 12, 5: 12, 10: 8, 13: 8}
"""Bytes, by B-tree page type."""
_WORD = re.compile(rb"[A-Za-z][A-Za-z0-9_.-]{0,31}|[0-9a-f]{8}|[0-9a-f]{16}|[0-9a-f]{64}")
"""Names and hashes, allowed in text columns besides messages."""
_MODELS = [
    each
    for each in vars(report).values()
    if isinstance(each, type) and issubclass(each, ClosedModel)
]
"""Message models, and the internal models stored in the outbox."""
_MAX_VALUE = 1_000_000_000
"""Bytes: whatever is there is to be looked at."""
_GRAM = 6
"""Bytes per n-gram."""
_MIN_RUN = 32
"""Consecutive unknown bytes for a finding: longer than SQLite's data between values."""
_MIN_DISTINCT = 5
"""Distinct bytes in a finding: more than in padding."""
_WINDOW = 256
_MIN_DENSITY = 0.7
"""Share of unknown bytes in a window for a finding, where zeros interrupt the runs."""


def read_rows(path: Path) -> tuple[list[bytes], list[Finding]]:
    """All texts in the tables of a closed database and its journal, and findings among them."""
    texts: list[bytes] = [_HEAD]
    unexpected: list[str] = []
    try:
        expected = _new_outbox()
        with contextlib.closing(sqlite3.connect(path)) as database:
            harden(database, Budget(), _MAX_VALUE)
            for kind, name, sql in database.execute("SELECT type, name, sql FROM sqlite_master"):
                texts += [str(each).encode() for each in (kind, name, sql) if each]
                if (kind, name, sql) not in expected:
                    unexpected.append(f"{kind} {name!r} is not the outbox's")
                elif kind == "table":
                    for body in _texts(database, name):
                        if is_expected(body):
                            texts.append(body)
                        else:
                            unexpected.append(f"{len(body)} bytes in table {name} are no message "
                                              f"and no name: {body[:40]!r}…")  # fmt: skip
    except sqlite3.Error as error:
        unexpected.append(f"the outbox cannot be read: {error}")
    return texts, [Finding("residue", path.name, None, each) for each in unexpected]


def _texts(database: sqlite3.Connection, table: str) -> Iterator[bytes]:
    for row in database.execute(f'SELECT * FROM "{table}"'):
        for value in row:
            if isinstance(value, str | bytes):
                yield value.encode() if isinstance(value, str) else value


def is_expected(value: bytes) -> bool:
    """Whether it is a message of a known model, a name or a hash."""
    if value[:1] == b"{":
        return any(from_json(model, value) for model in _MODELS)
    return not value or _WORD.fullmatch(value) is not None


def _new_outbox() -> set[tuple[str, str, str | None]]:
    """Type, name and SQL of all schema objects of a new outbox."""
    with tempfile.TemporaryDirectory(prefix="fleeting-audit-") as folder:
        path = Path(folder) / "outbox.db"
        with Outbox(StoreConfig(outbox=path)):
            pass
        with contextlib.closing(sqlite3.connect(path)) as database:
            harden(database, Budget())
            return set(database.execute("SELECT type, name, sql FROM sqlite_master"))


def pages(data: bytes) -> Iterator[tuple[int, int]]:
    """(offset, size) of every page of a database file, write-ahead log, rollback journal or raw
    sequence of pages, then of any remaining bytes."""
    at, size, between = 0, 4096, 0
    if len(data) >= _WAL_HEADER and struct.unpack_from(">I", data)[0] in _WAL:
        size, at, between = struct.unpack_from(">I", data, 8)[0], _WAL_HEADER, _FRAME_HEADER
    elif data.startswith(_ROLLBACK) and len(data) >= 28:
        at, size = struct.unpack_from(">II", data, 20)
        between = 8  # page number before each page, checksum after it
    elif data.startswith(_HEAD):
        size = struct.unpack_from(">H", data, 16)[0]
        size = 65_536 if size == 1 else size
    if size < 512 or size & (size - 1) or at > len(data):
        yield 0, len(data)
        return
    lead = 4 if between == 8 else between
    end = 0
    for start in range(at + lead, len(data) - size + 1, size + between):
        yield start, size
        end = start + size
    if between == 0 and end < len(data):
        yield end, len(data) - end
    elif end == 0 and data:
        yield 0, len(data)


class KnownText:
    """N-grams of known texts, to find bytes of a file that belong to none."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        found = [_grams(np.frombuffer(each, np.uint8)) for each in set(texts)]
        self._grams = np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)

    def residue(self, page: bytes) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of unknown bytes too many to be part of the page structure."""
        data = np.frombuffer(page, np.uint8)
        known = (data == 0) | _structure(page)
        grams = _grams(data)
        if grams.size and self._grams.size:
            at = np.minimum(np.searchsorted(self._grams, grams), self._grams.size - 1)
            for start in range(_GRAM):
                known[start : start + grams.size] |= self._grams[at] == grams
        last = -1
        for start, end in _runs(~known):
            if end - start >= _MIN_RUN and len(np.unique(data[start:end])) >= _MIN_DISTINCT:
                yield start, page[start:end]
                last = end
        total = np.concatenate([[0], np.cumsum(~known)])
        for start in range(0, max(1, len(data) - _WINDOW + 1), _WINDOW // 2):
            end = min(len(data), start + _WINDOW)
            dense = total[end] - total[start] >= _MIN_DENSITY * _WINDOW
            if dense and start >= last and len(np.unique(data[start:end])) >= _MIN_DISTINCT:
                yield start, page[start:end]
                last = end


def _runs(mask: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        yield int(start), int(end)


def _grams(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    if len(data) < _GRAM:
        return np.empty(0, np.uint64)
    count = len(data) - _GRAM + 1
    found = np.zeros(count, np.uint64)
    for place in range(_GRAM):
        found = (found << np.uint64(8)) | data[place : place + count].astype(np.uint64)
    return found


def _structure(page: bytes) -> npt.NDArray[np.bool_]:
    """bool[N]: page header and array of cell pointers."""
    known = np.zeros(len(page), bool)
    at = 0
    if page.startswith(_HEAD):
        known[:100] = True
        at = 100
    header = _HEADER_LENGTHS.get(page[at]) if len(page) > at + 12 else None
    if header is None:
        return known
    cells = struct.unpack_from(">H", page, at + 3)[0]
    start = at + header
    end = start + 2 * cells
    if end > len(page):
        return known
    pointers = struct.unpack_from(f">{cells}H", page, start)
    # valid pointers are distinct and point behind the array; a forged page could hold other data
    if len(set(pointers)) == cells and all(end <= each < len(page) for each in pointers):
        # pointers of removed cells remain after the array
        while end + 2 <= len(page) and start < struct.unpack_from(">H", page, end)[0] < len(page):
            end += 2
        known[at:end] = True
    return known
