"""The outbox's bytes: every page, used or free, and the journal (sqlite.org/fileformat2.html).

What is in a page and belongs to no message, name or number of the tables is a finding, whatever it
is. Free pages and deleted rows are treated as all others: their bytes can be read by whoever has
the disk.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import struct
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agent.base import report
from agent.base.report import ClosedModel, from_json
from agent.desk.audit.evidence import Finding
from agent.desk.audit.schema import Schema, problem
from agent.desk.audit.vocabulary import Vocabulary

_HEAD = b"SQLite format 3\0"
_WAL = (0x377F0682, 0x377F0683)
_ROLLBACK = bytes.fromhex("d9d505f920a163d7")
_WAL_HEADER, _FRAME_HEADER = 32, 24
_TREES = {2: 12, 5: 12, 10: 8, 13: 8}
"""B-tree page types, with the length of their headers."""
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}|[0-9a-f]{8}|[0-9a-f]{16}|[0-9a-f]{64}")
"""What a text column may hold beside messages: names and hashes."""


def live(path: Path, schemas: Mapping[str, Schema]) -> tuple[list[bytes], list[Finding]]:
    """Every text and blob in the tables of a database that nobody uses any more, and those among
    them that do not belong there. The journal beside it is read along."""
    texts: list[bytes] = [_HEAD]
    findings: list[Finding] = []
    expected = _expected_tables()
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            for kind, name, sql in database.execute("SELECT type, name, sql FROM sqlite_master"):
                texts += [str(each).encode() for each in (kind, name, sql) if each]
                if (kind, name, sql) not in expected:
                    findings.append(_stranger(path, f"{kind} {name!r} is not the outbox's"))
                    continue
                if kind == "table":
                    _table(database, name, path, schemas, texts, findings)
    except sqlite3.Error as error:
        findings.append(_stranger(path, f"the outbox cannot be read: {error}"))
    return texts, findings


def _table(
    database: sqlite3.Connection,
    name: str,
    path: Path,
    schemas: Mapping[str, Schema],
    texts: list[bytes],
    findings: list[Finding],
) -> None:
    for row in database.execute(f'SELECT * FROM "{name}"'):
        for value in row:
            if not isinstance(value, str | bytes):
                continue
            body = value.encode() if isinstance(value, str) else value
            if ordinary(body, schemas):
                texts.append(body)
            else:
                findings.append(
                    _stranger(path, f"{len(body)} bytes in table {name} are no message and no "
                              f"name: {body[:40]!r}…")
                )  # fmt: skip


def ordinary(value: bytes, schemas: Mapping[str, Schema]) -> bool:
    """Whether it is a message, as it may leave or pass between the halves, a name or a hash."""
    if value[:1] == b"{":
        return any(problem(each, value) is None for each in schemas.values()) or any(
            from_json(kind, value) for kind in _CLOSED
        )
    try:
        return not value or bool(_WORD.fullmatch(value.decode("ascii")))
    except UnicodeDecodeError:
        return False


def pages(data: bytes) -> Iterator[tuple[int, int]]:
    """(offset, size) of every page in a database file, a write-ahead log, a rollback journal or a
    bare stream of pages; then those of what lies between or is left over."""
    at, size, between = 0, 4096, 0
    if len(data) >= _WAL_HEADER and struct.unpack_from(">I", data)[0] in _WAL:
        size, at, between = struct.unpack_from(">I", data, 8)[0], _WAL_HEADER, _FRAME_HEADER
    elif data.startswith(_ROLLBACK) and len(data) >= 28:
        at, size = struct.unpack_from(">II", data, 20)
        between = 8  # a page number before each page, a checksum behind it
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


def residue(page: bytes, vocabulary: Vocabulary) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of what no message explains in one page, used or free."""
    data = np.frombuffer(page, np.uint8)
    for start, end in vocabulary.residue(data, _structure(page)):
        yield start, page[start:end]


def _structure(page: bytes) -> npt.NDArray[np.bool_]:
    """bool[N]: the page's own headers, and its array of places."""
    known = np.zeros(len(page), bool)
    at = 0
    if page.startswith(_HEAD):
        known[:100] = True
        at = 100
    header = _TREES.get(page[at]) if len(page) > at + 12 else None
    if header is None:
        return known
    cells = struct.unpack_from(">H", page, at + 3)[0]
    places = at + header
    if places + 2 * cells > len(page):
        return known
    pointers = struct.unpack_from(f">{cells}H", page, places)
    # a forged page could call anything an array of places: real ones lie behind it, each once
    if all(places + 2 * cells <= each < len(page) for each in pointers) and (
        len(set(pointers)) == cells
    ):
        end = places + 2 * cells
        # places of cells that were removed stay behind the array
        while end + 2 <= len(page) and places < struct.unpack_from(">H", page, end)[0] < len(page):
            end += 2
        known[at:end] = True
    return known


def _expected_tables() -> set[tuple[str, str, str | None]]:
    """What a new outbox consists of."""
    from agent.base.config import StoreConfig
    from agent.wall.outbox import Outbox

    with tempfile.TemporaryDirectory(prefix="fleeting-audit-") as folder:
        path = Path(folder) / "outbox.db"
        with Outbox(StoreConfig(outbox=path)):
            pass
        with contextlib.closing(sqlite3.connect(path)) as database:
            return set(database.execute("SELECT type, name, sql FROM sqlite_master"))


def _stranger(path: Path, what: str) -> Finding:
    return Finding("residue", path.name, None, what)


_CLOSED = tuple(
    each
    for each in vars(report).values()
    if isinstance(each, type) and issubclass(each, ClosedModel)
)
"""Every message, and what the halves tell each other through the outbox."""
