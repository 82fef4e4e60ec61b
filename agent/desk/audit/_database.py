"""The outbox's files: database, write-ahead log, rollback journal (sqlite.org/fileformat2.html).

Every byte must belong to a row that the outbox may hold, to the structure of a page, to a header
with its checksum, or be what a moved row has left behind; also in free pages and deleted rows,
which can be read from the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.base.config import StoreConfig
from agent.desk.audit._artifacts import Artifact, Finding
from agent.desk.audit._btree import HEAD, MAX_PAGES, Page, parse
from agent.desk.audit._rows import RowCheck, SchemaObject
from agent.desk.audit._truth import Truth
from agent.wall.outbox import Budget, Outbox, harden

_WAL = (0x377F0682, 0x377F0683)
_WAL_HEADER, _FRAME_HEADER = 32, 24
_MAX_VALUE = 1_000_000_000
"""Bytes: whatever is there is to be looked at."""
_ROLLBACK = bytes.fromhex("d9d505f920a163d7")
_JOURNAL_HEADER = 28
_PAGE = 4096
_BETWEEN = b"\xff\xfe" * 4
_MIN_LEFT = 4
"""Least bytes of an earlier row that are recognised as such."""
_MAX_HEADS, _MAX_PIECES = 8, 24
"""Heads of former free blocks, and pieces of earlier rows, in one region of free space."""
_MAX_OTHERS = 200
"""Messages beside summaries, and rows beside the ledger's, of one run."""
_MAX_BOOTS = 3
"""Of perceive, of uplink, and of receipts, which have their key's."""


def read_rows(path: Path) -> list[Finding]:
    """What is wrong with the schema of a closed database, and whether it can be read at all."""
    unexpected: list[str] = []
    try:
        expected, _ = layout()
        with contextlib.closing(sqlite3.connect(path)) as database:
            harden(database, Budget(), _MAX_VALUE)
            for row in database.execute("SELECT type, name, sql FROM sqlite_master"):
                if row not in expected:
                    unexpected.append(f"{row[0]} {row[1]!r} is not the outbox's")
    except sqlite3.Error as error:
        unexpected.append(f"the outbox cannot be read: {error}")
    return [Finding("residue", path.name, None, each) for each in unexpected]


def layout() -> tuple[frozenset[SchemaObject], int]:
    """Type, name and SQL of all schema objects of a new outbox, and its version."""
    with tempfile.TemporaryDirectory(prefix="fleeting-audit-") as folder:
        path = Path(folder) / "outbox.db"
        with Outbox(StoreConfig(outbox=path)):
            pass
        with contextlib.closing(sqlite3.connect(path)) as database:
            harden(database, Budget())
            version = int(database.execute("PRAGMA user_version").fetchone()[0])
            objects = database.execute("SELECT type, name, sql FROM sqlite_master")
            return frozenset(objects), version


def pages(data: bytes) -> Iterator[tuple[int, int]]:
    """(offset, size) of every page of a database file, write-ahead log, rollback journal or raw
    sequence of pages, then of any remaining bytes."""
    at, size, between = 0, _PAGE, 0
    if _is_log(data):
        size, at, between = struct.unpack_from(">I", data, 8)[0], _WAL_HEADER, _FRAME_HEADER
    elif _is_journal(data):
        at, size = struct.unpack_from(">II", data, 20)
        between = 8  # page number before each page, checksum after it
    elif data.startswith(HEAD):
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


def _is_log(data: bytes) -> bool:
    return len(data) >= _WAL_HEADER and struct.unpack_from(">I", data)[0] in _WAL


def _is_journal(data: bytes) -> bool:
    """Whether it is a rollback journal; its magic number is zero until the journal is whole."""
    if len(data) < _JOURNAL_HEADER or data[:8] not in (_ROLLBACK, bytes(8)):
        return False
    sector, size = struct.unpack_from(">II", data, 20)
    return bool(size == _PAGE and 512 <= sector <= 65_536 and sector & (sector - 1) == 0)


class DatabaseCheck:
    """Accounts for all bytes of all copies of the outbox's files; pages are parsed once."""

    def __init__(self, truth: Truth, messages: int = 10_000, size: int = 10_000_000) -> None:
        """`messages`, `size`: the most that were delivered, and their bytes."""
        self._rows = RowCheck(truth, *layout(), messages, size)
        self._pages: dict[bytes, tuple[Page, list[tuple[Artifact, int]]]] = {}
        """By content: the page, and where it was."""
        self._findings: list[Finding] = []
        self.strange: list[tuple[Artifact, int, bytes]] = []
        """(artifact, offset, bytes) of each finding in a page."""

    def add(self, artifact: Artifact) -> None:
        """Parse one copy of a database, log or journal, or a sequence of pages."""
        data = artifact.data
        if _is_journal(data):
            self._journal(artifact)
        for at, size in pages(data):
            part = data[at : at + size]
            if size != _PAGE:
                if any(part) and not (_is_log(data) or _is_journal(data)):
                    self._add(artifact, at, f"{size} bytes that are no page: {part[:16].hex(' ')}…")
                continue
            mark = hashlib.sha256(part + bytes([artifact.planted])).digest()
            if mark not in self._pages:
                self._pages[mark] = parse(part, self._rows), []
            self._pages[mark][1].append((artifact, at))

    def findings(self) -> list[Finding]:
        """All that is wrong. Call once, when everything was added."""
        parsed = list(self._pages.values())
        left = _Left(
            page.data[start:end]
            for page, places in parsed
            if not places[0][0].planted
            for start, end in page.cells
        )
        for page, _ in parsed:
            for start, end in page.rest:
                found = left.strange(page.data, start, end)
                if found is not None:
                    page.wrong.append((*found, "in free space"))
        torn = _Torn([page.data for page, _ in parsed if not page.wrong])
        for page, places in parsed:
            if not page.wrong or torn(page.data):
                continue
            artifact, at = places[0]
            for start, end, what in page.wrong:
                part = page.data[start:end]
                text = f"{end - start} bytes that belong to no row: {what}: {part[:16].hex(' ')}…"
                self._add(artifact, at + start, text)
                self.strange.append((artifact, at + start, part))
        self._check_run()
        return self._findings

    def _check_run(self) -> None:
        """What holds over all rows: ids and process starts are few."""
        rows, where = self._rows, "outbox/outbox.db"
        most = len(rows.truth.ledger) + _MAX_OTHERS
        if rows.ids and max(rows.ids) - min(rows.ids) > most:
            what = f"ids of messages between {min(rows.ids)} and {max(rows.ids)}"
            self._findings.append(Finding("residue", where, None, what))
        big = [each for each in rows.rowids if each > most]
        known = rows.ids and min(big, default=0) >= min(rows.ids) - _MAX_OTHERS
        if big and not (known and max(big) <= max(rows.ids) + _MAX_OTHERS):
            what = f"index entries of {len(big)} rows that never were"
            self._findings.append(Finding("residue", where, None, what))
        if len(rows.boots) > _MAX_BOOTS:
            what = f"{len(rows.boots)} process starts: {', '.join(sorted(rows.boots)[:5])}"
            self._findings.append(Finding("residue", where, None, what))

    def _add(self, artifact: Artifact, at: int, what: str) -> None:
        self._findings.append(Finding("residue", artifact.name, at, what, artifact.planted))

    def _journal(self, artifact: Artifact) -> None:
        """A rollback journal's header and checksums (section 3)."""
        data = artifact.data
        head = data[8:_JOURNAL_HEADER].ljust(20, b"\0")
        count, nonce, before, sector, size = struct.unpack(">IIIII", head)
        plausible = count in (0, 0xFFFFFFFF) or count < MAX_PAGES
        if not plausible or before >= MAX_PAGES or any(data[_JOURNAL_HEADER:sector]):
            self._add(artifact, 8, "the journal's header has other values")
        for at in range(sector, len(data) - size - 7, size + 8) if size else ():
            number, page = struct.unpack_from(">I", data, at)[0], data[at + 4 : at + 4 + size]
            total = nonce + sum(page[size - 200 : 0 : -200])
            if number >= MAX_PAGES or data[at + 4 + size :][:4] != struct.pack(
                ">I", total & 0xFFFFFFFF
            ):
                self._add(artifact, at, "a page of the journal with another checksum")


class _Left:
    """Recognises what moved and removed rows, and the heads of free blocks, left in free space."""

    def __init__(self, cells: Iterable[bytes]) -> None:
        # Between them, so that nothing is found across two that were no neighbours.
        self._joined = _BETWEEN.join(set(cells))

    def strange(self, data: bytes, start: int, end: int) -> tuple[int, int] | None:
        """(start, end) of the bytes of a free region that are not left by any row; None: all are
        known."""
        heads = pieces = 0
        at, first = self._cut(data, start, end), -1
        while at < end:
            if not data[at]:
                at = end - len(data[at:end].lstrip(b"\0"))
                continue
            size = self._piece(data, at, end)
            if size:
                pieces += 1
                at += size
                continue
            first = at if first < 0 else first
            begin = _block_head(data, at, start, end)
            if begin is None:
                break
            heads += 1
            at = begin + 4
        if at >= end and heads <= _MAX_HEADS and pieces <= _MAX_PIECES:
            return None
        first = start if first < 0 else first
        return first, first + len(data[first:end].rstrip(b"\0"))

    def _cut(self, data: bytes, start: int, end: int) -> int:
        """Where the rows begin in a free region: what grew up to `start` may have left the last few
        bytes of one."""
        for at in range(start, min(start + _MIN_LEFT, end)):
            if not data[at] or self._piece(data, at, end):
                return at
        return start

    def _piece(self, data: bytes, at: int, end: int) -> int:
        """Bytes from `at` that are what is left of a row; shorter than `_MIN_LEFT` only where zeros
        or the region's end follow."""
        size = self._longest(data, at, end)
        return size if size >= _MIN_LEFT or at + size == end or not data[at + size] else 0

    def _longest(self, data: bytes, at: int, end: int) -> int:
        """Bytes from `at` that some row holds in a row."""
        low, high = 0, end - at
        while low < high:
            middle = (low + high + 1) // 2
            if data[at : at + middle] in self._joined:
                low = middle
            else:
                high = middle - 1
        return low


def _block_head(data: bytes, at: int, start: int, end: int) -> int | None:
    """Begin of a former free block's head whose first bytes but zeros are at `at`: the next block's
    offset, and its own size."""
    for begin in range(at, max(start, at - 3) - 1, -1):
        if any(data[begin:at]):
            continue
        head = data[begin : min(begin + 4, end)].ljust(4, b"\0")
        following, size = struct.unpack(">HH", head)
        inside = following == 0 or begin < following <= len(data) - 4
        if inside and begin + size <= len(data) and (size >= 4 or begin + 4 > end):
            return begin
    return None


class _Torn:
    """Recognises copies of pages that were taken while the page was written."""

    def __init__(self, whole: list[bytes]) -> None:
        self._whole = whole

    def __call__(self, data: bytes) -> bool:
        """Whether a page begins as one known page and goes on as another."""
        begin = max((_common(data, each) for each in self._whole), default=0)
        back = data[::-1]
        rest = max((_common(back, each[::-1]) for each in self._whole), default=0)
        return bool(begin and rest) and begin + rest >= len(data)


def _common(one: bytes, other: bytes) -> int:
    """Length of the common prefix."""
    if one == other:
        return len(one)
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
