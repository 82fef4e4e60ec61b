"""All bytes of a normal outbox are explained; pictures and unexpected rows are found."""

from __future__ import annotations

import base64
import contextlib
import sqlite3
from pathlib import Path

import pytest

from agent.base.config import StoreConfig
from agent.base.report import to_json
from agent.desk.audit._database import KnownText, is_expected, pages, read_rows
from agent.wall.outbox import Outbox
from tests.desk.audit.clip import frames
from tests.summaries import summary

FRAME = frames(1)[0]


def outbox(folder: Path, count: int) -> tuple[Path, list[bytes]]:
    """A used outbox: some summaries were sent, some wait."""
    path = folder / "outbox.db"
    bodies = [summary(n) for n in range(count)]
    with Outbox(StoreConfig(outbox=path)) as store:
        for each in bodies:
            store.add(each)
        store.acknowledge(*(row.id for row in store.peek(count - 20)))
    return path, [to_json(each) for each in bodies]


def residue(path: Path, bodies: list[bytes]) -> list[bytes]:
    """What no text explains in the database and its journal; nothing in its rows is strange."""
    texts, strange = read_rows(path)
    assert strange == []
    known = KnownText([*texts, *bodies])
    return [
        rest
        for each in path.parent.glob("outbox.db*")
        if not each.name.endswith("-shm")
        for data in [each.read_bytes()]
        for start, size in pages(data)
        for _, rest in known.residue(data[start : start + size])
    ]


def test_a_normal_outbox_has_no_residue(tmp_path: Path) -> None:
    assert residue(*outbox(tmp_path, 150)) == []


@pytest.mark.parametrize("secure", [False, True])
def test_a_picture_in_free_pages_is_found_unless_it_was_overwritten(
    tmp_path: Path, secure: bool
) -> None:
    path, bodies = outbox(tmp_path, 30)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as store:
        store.execute(f"PRAGMA secure_delete = {'ON' if secure else 'OFF'}")
        store.execute("REPLACE INTO latest VALUES ('x', ?, 0)", (FRAME.tobytes(),))
        store.execute("DELETE FROM latest WHERE kind = 'x'")
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    found = residue(path, bodies)
    assert bool(found) is not secure
    assert secure or sum(map(len, found)) > FRAME.size * 0.9


def test_strange_rows_and_tables_are_named(tmp_path: Path) -> None:
    path, _ = outbox(tmp_path, 5)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as store:
        store.execute("CREATE TABLE notes (text)")
        store.execute("REPLACE INTO latest VALUES ('x', ?, 0)", (b"\x80" * 50,))
        store.execute("REPLACE INTO counter VALUES (?, 0)", (base64.b64encode(b"pixels" * 9),))
    what = [each.what for each in read_rows(path)[1]]
    assert len(what) == 3
    assert sum("table 'notes'" in each for each in what) == 1


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"no database " * 100)
    assert "cannot be read" in read_rows(path)[1][0].what


def test_messages_names_and_hashes_are_ordinary() -> None:
    assert is_expected(b"store_failed")
    assert is_expected(bytes(32).hex().encode())
    assert is_expected(to_json(summary(1)))
    for strange in (bytes(range(20)).hex().encode(), b"two words", b'{"v": 1}', b"\xff\xfe"):
        assert not is_expected(strange)
