"""All bytes of a used outbox are explained; pictures, strange rows and numbers are found."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import random
import shutil
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.base.config import StoreConfig
from agent.base.report import Vitals
from agent.desk.audit import _log_index, _truth
from agent.desk.audit._artifacts import Artifact
from agent.desk.audit._btree import PageError, record, varint
from agent.desk.audit._database import DatabaseCheck, pages, read_rows
from agent.desk.demo import configuration
from agent.wall.outbox import Outbox
from tests.desk.audit.clip import frames
from tests.summaries import POLICY, birth, summary

FRAME = frames(1)[0]
PIXELS = FRAME[50].tobytes()


class Life:
    """Both processes' connections to an outbox; every state of its files is copied."""

    def __init__(self, folder: Path, trusted: bool = False) -> None:
        self.path = folder / "outbox.db"
        utc = time.time if trusted else lambda: None
        self.perceive = Outbox(StoreConfig(outbox=self.path), utc)
        self.uplink = Outbox(StoreConfig(outbox=self.path), utc)
        self.copies: list[Artifact] = []
        self.indexes: list[bytes] = []

    def copy(self) -> None:
        for path in sorted(self.path.parent.glob("outbox.db*")):
            if path.name.endswith("-shm"):
                self.indexes.append(path.read_bytes())
            elif not path.name.endswith(".lock"):
                kind = "database" if path.suffix == ".db" else "journal"
                self.copies.append(Artifact(path.name, kind, path.read_bytes()))  # type: ignore[arg-type]

    def live(self, count: int, seed: int = 1) -> Life:
        """`count` summaries, sent in batches of several sizes."""
        rng = random.Random(seed)
        every = rng.choice([1, 3, 30, 200])
        self.perceive.latest.put(birth())
        self.perceive.events.record("cage_open")
        self.uplink.events.record("cage_open")
        for number in range(count):
            self.perceive.add(summary(number))
            if number % 6 == 0:
                vitals = Vitals(perception="running", fps=5 * rng.randrange(8))
                self.perceive.latest.put(vitals)
            if number % every == 0:
                rows = self.uplink.peek(20)
                self.uplink.acknowledge(*(row.id for row in rows))
            if rng.random() < 0.2:
                self.copy()
        self.copy()
        return self

    def close(self) -> None:
        for each in (self.perceive, self.uplink):
            each.close()
            self.copy()

    def findings(self) -> list[str]:
        """What is wrong with the copies and the rows."""
        config = configuration(Path("video"), self.path, 1883)
        truth = dataclasses.replace(_truth.read(config, self.path), policy=POLICY)
        check = DatabaseCheck(truth)
        for each in self.copies:
            check.add(each)
        return [each.what for each in [*read_rows(self.path), *check.findings()]]


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    life = Life(tmp_path).live(20)
    yield life
    life.close()


@pytest.mark.slow
@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_every_byte_of_a_used_outbox_is_explained(tmp_path: Path, trusted: bool, seed: int) -> None:
    # beyond 330, where the ledger's index grows over several pages
    life = Life(tmp_path, trusted).live((120, 380)[seed % 2], seed)
    life.close()
    assert life.findings() == []
    assert len(life.copies) > 40
    assert life.indexes
    assert all(_log_index.explains(each) for each in life.indexes)


@pytest.mark.parametrize("secure", [False, True])
def test_a_picture_in_free_pages_is_found_unless_it_was_overwritten(
    life: Life, secure: bool
) -> None:
    life.close()
    with contextlib.closing(sqlite3.connect(life.path, isolation_level=None)) as store:
        store.execute(f"PRAGMA secure_delete = {'ON' if secure else 'OFF'}")
        store.execute("REPLACE INTO latest VALUES ('x', ?, 0)", (FRAME.tobytes(),))
        store.execute("DELETE FROM latest WHERE kind = 'x'")
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    life.copy()
    found = life.findings()
    assert bool(found) is not secure
    assert secure or sum(int(each.split()[0]) for each in found) > FRAME.size * 0.9


ROWS = {
    "CREATE TABLE notes (text)": "'notes'",
    "CREATE TRIGGER t AFTER DELETE ON outbox BEGIN SELECT 1; END": "trigger",
    "REPLACE INTO latest VALUES ('x', x'8080808080', 0)": "kind 'x'",
    "REPLACE INTO latest VALUES ('Vitals', x'8080808080', 0)": "no 'Vitals'",
    "UPDATE latest SET written = written + .3127": "time",
    "UPDATE latest SET written = 80816283": "time",
    "UPDATE spoken SET said = said + .3127": "time",
    "UPDATE spoken SET pending = 80816283": "event",
    "UPDATE outbox SET created = 1700080816": "time",
    "UPDATE outbox SET created = created + .3127": "time",
    "UPDATE outbox SET seq = 80816283 % 16777216 WHERE rowid = (SELECT MAX(rowid) FROM outbox)":
        "number",
    "UPDATE outbox SET id = id + 80816283": "ids of messages",
    "UPDATE sqlite_sequence SET seq = 80816283848586": "sequence",
    "INSERT INTO sqlite_sequence VALUES ('pixels', 1)": "counter",
    "REPLACE INTO counter VALUES ('cGl4ZWxz', 0)": "counter",
    "REPLACE INTO counter VALUES ('trimmed', 80816283)": "counter",
    "REPLACE INTO counter VALUES ('bytes', 80816283)": "counter",
    "UPDATE ledger SET visits = 80816283": "withheld",
    "UPDATE ledger SET policy_hash = '50515253'": "policy",
    "UPDATE ledger SET rowid = rowid + 80816283": "ledger",
    "PRAGMA application_id = 80816283": "header",
    "PRAGMA user_version = 80816283": "header",
}  # fmt: skip


@pytest.mark.parametrize("statement", ROWS)
def test_strange_rows_and_values_are_named(life: Life, statement: str) -> None:
    life.perceive = Outbox(StoreConfig(outbox=life.path), time.time)
    life.perceive.add(summary(20))
    life.copy()
    assert life.findings() == []
    with contextlib.closing(sqlite3.connect(life.path, isolation_level=None)) as store:
        store.execute(statement)
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    life.copy()
    found = life.findings()
    assert any(ROWS[statement] in each for each in found), found


def test_text_in_a_column_of_names_is_named(life: Life) -> None:
    name = base64.b64encode(PIXELS).decode()
    with contextlib.closing(sqlite3.connect(life.path, isolation_level=None)) as store:
        store.execute("REPLACE INTO counter VALUES (?, 0)", (name,))
    life.copy()
    assert any("counter" in each for each in life.findings())


def gap(page: bytes | bytearray) -> tuple[int, int]:
    start = 100 if page.startswith(b"SQLite") else 0
    count, content = struct.unpack_from(">HH", page, start + 3)
    return start + 8 + 2 * count, content


def in_gap(page: bytearray) -> None:
    _, end = gap(page)
    page[end - 60 : end - 20] = PIXELS[:40]


def as_pointers(page: bytearray) -> None:
    start, _ = gap(page)
    pixels = [16 * int(each) for each in FRAME[30, :80]]
    page[start : start + 160] = struct.pack(">80H", *(max(each, start + 200) for each in pixels))


def in_reserve(page: bytearray) -> None:
    page[72:92] = PIXELS[:20]


def in_a_cell(page: bytearray) -> None:
    _, content = gap(page)
    page[content + 20 : content + 60] = PIXELS[:40]


def whole(page: bytearray) -> None:
    page[:] = FRAME.reshape(-1)[:4096].tobytes()


@pytest.mark.parametrize(
    ("number", "change"),
    [(0, in_gap), (0, in_reserve), (0, in_a_cell), (3, in_gap), (3, as_pointers), (4, whole)],
)
def test_bytes_past_sqlite_are_found_in_every_part_of_a_page(
    life: Life, number: int, change: Callable[[bytearray], None]
) -> None:
    life.close()
    data = bytearray(life.path.read_bytes())
    page = data[4096 * number : 4096 * (number + 1)]
    change(page)
    data[4096 * number : 4096 * (number + 1)] = page
    assert life.findings() == []
    life.copies.append(Artifact("outbox.db", "database", bytes(data)))
    found = life.findings()
    assert found
    assert "bytes that belong to no row" in found[0]


def test_a_page_torn_by_copying_is_no_finding(life: Life) -> None:
    life.close()
    data = life.path.read_bytes()
    known = [each for each in life.copies if each.name == "outbox.db"]
    first, second = known[0].data[4096:8192], known[-1].data[8192:12288]
    torn = first[:2048] + second[2048:]
    life.copies.append(Artifact("outbox.db", "database", data[:4096] + torn))
    assert life.findings() == []


def test_a_strange_index_of_the_log_is_not_explained(life: Life) -> None:
    honest = life.indexes[-1]
    assert _log_index.explains(honest)
    for at in (8, 60, 110, 122, 132, 136 + 4 * 3000, 136 + 4 * 4062 + 2 * 5000):
        changed = bytearray(honest)
        changed[at : at + 24] = PIXELS[:24]
        assert not _log_index.explains(bytes(changed)), at


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"no database " * 100)
    assert "cannot be read" in read_rows(path)[0].what


def test_pages_of_every_container(life: Life) -> None:
    life.close()
    data = life.path.read_bytes()
    assert list(pages(data)) == [(at, 4096) for at in range(0, len(data), 4096)]
    assert list(pages(data + b"tail"))[-1] == (len(data), 4)
    log = next(each.data for each in life.copies if each.name.endswith("-wal") and each.data)
    assert next(pages(log)) == (56, 4096)


def test_records_are_exact() -> None:
    assert varint(b"\x81\x00", 0) == (128, 2)
    assert record(b"\x03\x01\x15\x07abc"[:2] + b"\x0f\x07a") == [7, "a"]
    for wrong in (b"", b"\x09\x01", b"\x02\x01\x07\x00", b"\x02\x0a", b"\x02\x0f\xff"):
        with pytest.raises(PageError):
            record(wrong)
    with pytest.raises(PageError, match="longer"):
        varint(b"\x80\x05", 0)


def test_random_pages_are_never_explained() -> None:
    rng = np.random.default_rng(4)
    config = configuration(Path("video"), Path("outbox.db"), 1883)
    for kind in (0, 2, 5, 10, 13):
        page = bytes([kind]) + rng.integers(0, 256, 4095, np.uint8).tobytes()
        check = DatabaseCheck(_truth.Truth(config, POLICY))
        check.add(Artifact("page", "database", page))
        assert check.findings()


def test_a_copy_of_another_folder_reads_the_same(life: Life, tmp_path: Path) -> None:
    life.close()
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(life.path, other / "outbox.db")
    assert read_rows(other / "outbox.db") == []
