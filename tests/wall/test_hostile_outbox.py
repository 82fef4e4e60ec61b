"""An outbox file, and a folder around it, that the other process has tampered with."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.base.config import StoreConfig
from agent.base.errors import StoreError
from agent.base.report import Birth
from agent.wall.outbox import Outbox, _database, _inspection
from agent.wall.outbox import _hardening as hardening
from agent.wall.outbox._hardening import Budget
from agent.wall.outbox._inspection import check_opened
from tests.summaries import birth, summary


def box(folder: Path, **bounds: float) -> Outbox:
    return Outbox(StoreConfig.model_validate({"outbox": folder / "outbox.db", **bounds}))


def filled(folder: Path, number: int = 20) -> Path:
    folder.mkdir(exist_ok=True)
    with box(folder) as outbox:
        for seq in range(number):
            outbox.add(summary(seq))
        outbox.latest.put(birth())
        outbox.events.record("paused")
    return folder / "outbox.db"


@contextlib.contextmanager
def other_process(path: Path) -> Iterator[sqlite3.Connection]:
    """The file in the hands of somebody with all of SQLite's features."""
    database = sqlite3.connect(path, isolation_level=None)
    try:
        yield database
    finally:
        database.close()


def use_everything(outbox: Outbox) -> None:
    rows = outbox.peek(100)
    outbox.add(summary(outbox.next_seq, outbox.boot))
    outbox.events.record("resumed")
    outbox.events.flush()
    outbox.latest.put(birth())
    outbox.latest.get(Birth)
    outbox.ledger.receipt_basis()
    outbox.ledger.entries()
    outbox.ledger.meter(1, 1)
    if rows:
        outbox.acknowledge(rows[0].id)
    outbox.depth()
    assert outbox.evicted >= 0


_ENDLESS = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
SCHEMAS = {
    "trigger": "CREATE TRIGGER t AFTER INSERT ON ledger BEGIN"
    " INSERT INTO counter VALUES ('seen', 1); END",
    "trigger on delete": "CREATE TRIGGER t BEFORE DELETE ON outbox BEGIN SELECT RAISE(IGNORE); END",
    "view": "CREATE VIEW v AS SELECT * FROM ledger",
    "view in place of a table": f"DROP TABLE spoken; CREATE VIEW spoken AS {_ENDLESS}",
    "more tables": "CREATE TABLE pictures (body BLOB)",
    "more columns": "ALTER TABLE ledger ADD COLUMN who TEXT",
    "generated column": "ALTER TABLE counter ADD COLUMN g AS (abs(value) + length(name))",
    "check": "DROP TABLE counter; CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT"
    " NULL CHECK (length(randomblob(100000)) > value))",
    "default": "DROP TABLE latest; CREATE TABLE latest (kind TEXT PRIMARY KEY, body BLOB NOT NULL"
    " DEFAULT (randomblob(9)), written REAL NOT NULL)",
    "foreign key": "DROP TABLE latest; CREATE TABLE latest (kind TEXT PRIMARY KEY REFERENCES"
    " counter, body BLOB NOT NULL, written REAL NOT NULL)",
    "index on an expression": "CREATE INDEX i ON outbox (length(hex(body)))",
    "partial index": "CREATE INDEX i ON outbox (seq) WHERE abs(seq) > 7",
    "missing index": "DROP INDEX outbox_created",
    "missing table": "DROP TABLE spoken",
    "other case": "DROP TABLE spoken; CREATE TABLE spoken (CODE TEXT PRIMARY KEY,"
    " pending INTEGER NOT NULL, said REAL NOT NULL)",
    "virtual table": "CREATE VIRTUAL TABLE f USING fts5(body)",
    "virtual table by hand": "PRAGMA writable_schema = ON; INSERT INTO sqlite_master VALUES"
    " ('table', 'z', 'z', 0, 'CREATE VIRTUAL TABLE z USING zipfile(''/etc/passwd'')')",
    "schema that does not parse": "PRAGMA writable_schema = ON; UPDATE sqlite_master SET"
    " sql = 'CREATE TABLE ledger (' WHERE name = 'ledger'",
    "schema that is no text": "PRAGMA writable_schema = ON; UPDATE sqlite_master SET"
    " sql = x'c3c4' WHERE name = 'ledger'",
    "very long schema": "PRAGMA writable_schema = ON; UPDATE sqlite_master SET"
    " sql = sql || replace(hex(zeroblob(50000)), '0', ' ') WHERE name = 'ledger'",
    "swapped tables": "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = (SELECT"
    " rootpage FROM sqlite_master WHERE name = 'counter') WHERE name = 'latest'",
    "layout": "PRAGMA user_version = 77",
    "statistics": "ANALYZE",
}
ROWS = {
    "body is a number": "UPDATE outbox SET body = 900000000",
    "body is text": "UPDATE outbox SET body = CAST(body AS TEXT)",
    "kind is a blob": "UPDATE outbox SET kind = x'00ff'",
    "hash is short": "UPDATE ledger SET sha256 = 'ab'",
    "hash is none": f"UPDATE ledger SET sha256 = '{'z' * 64}'",
    "seq is text": "UPDATE ledger SET seq = 'x' || rowid",
    "seq is huge": "UPDATE ledger SET seq = 1000000000000 + rowid",
    "visits": "UPDATE ledger SET visits = 9223372036854775807",
    "counter is text": "UPDATE counter SET value = 'many'",
    "counter is huge": "UPDATE counter SET value = 9223372036854775807",
    "event number": "INSERT OR REPLACE INTO counter VALUES ('event_seq', 99999999999)",
    "said is text": "UPDATE spoken SET said = 'yesterday'",
    "written is text": "UPDATE latest SET written = 'now'",
    "no ids left": "UPDATE sqlite_sequence SET seq = 9223372036854775807",
    "the last id": "UPDATE outbox SET id = 9223372036854775807 WHERE id = (SELECT MAX(id)"
    " FROM outbox)",
    "an event that is there already": "INSERT INTO outbox VALUES (1, 'event', '00000000', 1, NULL,"
    " x'00')",
}


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("running", [False, True])
def test_a_schema_that_is_not_ours_is_never_used(tmp_path: Path, name: str, running: bool) -> None:
    path = filled(tmp_path)
    with contextlib.ExitStack() as stack:
        if running:
            uplink = stack.enter_context(box(tmp_path))
            use_everything(uplink)
        with other_process(path) as database, contextlib.suppress(sqlite3.OperationalError):
            database.execute("PRAGMA trusted_schema = ON")
            before = database.execute("PRAGMA schema_version").fetchone()
            database.executescript(SCHEMAS[name])
            if "writable_schema" in SCHEMAS[name]:  # as a schema change of SQLite's own
                database.execute(f"PRAGMA schema_version = {before[0] + 1}")
        if running:
            try:
                use_everything(uplink)
            except StoreError:
                use_everything(uplink)
        else:
            uplink = stack.enter_context(box(tmp_path))
            use_everything(uplink)
        if running and name == "layout":
            return  # is read when the file is opened
        assert uplink.moved_aside is not None
        assert all(row.kind != "altered" for row in uplink.peek(100))
        rows = [row.kind for row in uplink.peek(100)]
        assert rows.count("event") >= 1  # that it was damaged


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("running", [False, True])
def test_values_that_are_never_written_stop_nothing(
    tmp_path: Path, name: str, running: bool
) -> None:
    path = filled(tmp_path)
    uplink = box(tmp_path) if running else None
    if uplink is not None:
        uplink.depth()
    with other_process(path) as database:
        database.execute(ROWS[name])
    if uplink is None:
        uplink = box(tmp_path)
    for _ in range(2):
        with contextlib.suppress(StoreError):
            use_everything(uplink)
    use_everything(uplink)
    with box(tmp_path) as again:
        use_everything(again)
    uplink.close()


def test_a_row_that_is_there_already_does_not_stop_a_message(tmp_path: Path) -> None:
    filled(tmp_path)
    with box(tmp_path) as uplink, other_process(tmp_path / "outbox.db") as database:
        database.execute(
            "INSERT INTO outbox (kind, boot, seq, body) VALUES ('event', ?, 1, x'00')",
            (uplink.boot,),
        )
        uplink.events.record("camera_stalled")
        assert b"camera_stalled" in uplink.peek(100)[-1].body


def test_an_altered_summary_is_not_handed_out_as_one(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with other_process(path) as database:
        database.execute(
            "UPDATE outbox SET body = replace(body, '\"k\":1', '\"k\":9') WHERE seq = 3"
        )
        database.execute("UPDATE outbox SET body = CAST(body AS BLOB)")
        database.execute("INSERT INTO outbox (kind, boot, seq, body) SELECT kind, boot, 99, body"
                         " FROM outbox WHERE seq = 4")  # fmt: skip
    with box(tmp_path) as uplink:
        kinds = [row.kind for row in uplink.peek(100)]
        assert uplink.moved_aside is None
        assert (kinds.count("altered"), kinds.count("summary")) == (2, 19)


def test_no_statement_runs_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardening, "_MAX_SECONDS", 0.1)
    database = sqlite3.connect(":memory:", isolation_level=None)
    budget = Budget()
    hardening.harden(database, budget)
    budget.begin()
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        database.execute(_ENDLESS.replace("SELECT i FROM n", "SELECT COUNT(*) FROM n")).fetchall()


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '/etc/passwd' AS other", "VACUUM INTO '/tmp/copy.db'", "SELECT load_extension('x')",
        "PRAGMA writable_schema = ON", "PRAGMA journal_mode = DELETE", "CREATE TABLE x (y)",
        "PRAGMA temp_store_directory = '/tmp'", "DROP TABLE ledger", "CREATE TEMP TABLE x (y)",
    ],
)  # fmt: skip
def test_the_connection_can_do_no_more_than_rows(tmp_path: Path, statement: str) -> None:
    filled(tmp_path)
    with (
        box(tmp_path) as outbox,
        outbox._database.reading() as database,
        pytest.raises(sqlite3.Error),
    ):
        database.execute(statement).fetchall()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", ".lock"])
@pytest.mark.parametrize("how", ["link", "pipe", "folder", "name"])
def test_the_file_of_another_cannot_be_put_in_place(tmp_path: Path, suffix: str, how: str) -> None:
    """As a taken-over perceive process could, to have the uplink's own key overwritten or read."""
    key = tmp_path / "own" / "receipt.key"
    key.parent.mkdir()
    key.write_bytes(b"secret" * 100)
    folder = tmp_path / "shared"
    filled(folder)
    at = folder / f"outbox.db{suffix}"
    at.unlink(missing_ok=True)
    if how == "link":
        at.symlink_to(key)
    elif how == "pipe":
        os.mkfifo(at)
    elif how == "folder":
        at.mkdir()
    else:
        os.link(key, at)
    try:
        with box(folder) as outbox:
            use_everything(outbox)
    except StoreError:
        assert (suffix, how) == (".lock", "folder")  # needs a person
    assert key.read_bytes() == b"secret" * 100
    assert [each.name for each in key.parent.iterdir()] == ["receipt.key"]


def _journal(names: Path, pages: int) -> bytes:
    """A rollback journal of no pages that names a super-journal (sqlite.org/fileformat2.html)."""
    magic = bytes.fromhex("d9d505f920a163d7")
    name = str(names).encode()
    head = magic + struct.pack(">IIIII", 0, 0, pages, 512, 4096)
    tail = struct.pack(">I", 0x40000000 // 4096 + 1) + name
    tail += struct.pack(">II", len(name), sum(name)) + magic
    return head.ljust(512, b"\0") + tail


def test_a_rollback_journal_cannot_delete_another_file(tmp_path: Path) -> None:
    for hardened in (False, True):
        victim = tmp_path / "receipt.key"
        victim.write_bytes(b"secret")
        path = filled(tmp_path / f"{hardened}")
        pages = path.stat().st_size // 4096
        Path(f"{path}-journal").write_bytes(_journal(victim, pages))
        if hardened:
            with box(path.parent) as outbox:
                use_everything(outbox)
                assert outbox.moved_aside is None
        else:
            with other_process(path) as database:
                database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        assert victim.exists() == hardened


def test_a_journal_put_there_in_the_last_instant_is_not_played_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the look at the folder: the lock alone keeps SQLite from it."""
    victim = tmp_path / "receipt.key"
    victim.write_bytes(b"secret")
    path = filled(tmp_path / "shared")
    connect: Any = sqlite3.connect

    def late(database: object, *args: Any, **more: Any) -> Any:
        if database == path:
            pages = path.stat().st_size // 4096
            Path(f"{path}-journal").write_bytes(_journal(victim, pages))
        return connect(database, *args, **more)

    monkeypatch.setattr(sqlite3, "connect", late)
    with box(path.parent) as outbox:
        use_everything(outbox)
        assert outbox.moved_aside is None
        assert victim.exists()
        assert Path(f"{path}-journal").exists()


def test_connections_of_one_process_keep_each_others_locks(tmp_path: Path) -> None:
    """Closing a descriptor drops all locks of a process (fcntl(2)); another process would then
    take itself for the last and remove the journal."""
    path = filled(tmp_path)
    with box(tmp_path) as first:
        use_everything(first)
        box(tmp_path).close()
        ends = subprocess.run(
            [sys.executable, "-c", "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]);"
             " d.execute('SELECT COUNT(*) FROM ledger').fetchone(); d.close()", str(path)],
            check=False,
        )  # fmt: skip
        assert ends.returncode == 0
        assert Path(f"{path}-wal").exists()
        use_everything(first)
    assert not Path(f"{path}-wal").exists()


def test_a_file_swapped_while_it_is_opened_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the folder and SQLite's own."""
    key = tmp_path / "receipt.key"
    key.write_bytes(b"secret" * 100)
    look = _inspection.check_files
    for suffix in ("", "-wal"):
        folder = tmp_path / f"shared{suffix}"
        path = filled(folder)

        def swap(*_: object, at: Path = Path(f"{path}{suffix}")) -> None:
            monkeypatch.setattr("agent.wall.outbox._database.check_files", look)
            at.unlink(missing_ok=True)
            at.symlink_to(key)

        monkeypatch.setattr("agent.wall.outbox._database.check_files", swap)
        with contextlib.suppress(StoreError):  # SQLite follows no link for its journal
            box(folder)
        with box(folder) as outbox:
            use_everything(outbox)
        assert list(folder.glob("outbox.db.damaged-*"))
        assert key.read_bytes() == b"secret" * 100


@pytest.mark.parametrize("swapped", ["outbox.db", "outbox.db-wal"])
def test_a_file_swapped_and_put_back_is_noticed(tmp_path: Path, swapped: str) -> None:
    path = filled(tmp_path)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL").fetchone()
    database.execute("SELECT COUNT(*) FROM ledger").fetchone()
    check_opened(path)
    opened = (tmp_path / swapped).rename(tmp_path / "elsewhere")
    with pytest.raises(sqlite3.DatabaseError, match="removed"):
        check_opened(path)
    (tmp_path / swapped).write_bytes(opened.read_bytes())
    with pytest.raises(sqlite3.DatabaseError, match="replaced"):
        check_opened(path)
    database.close()


def test_a_file_that_has_grown_without_bound_is_not_read(tmp_path: Path) -> None:
    path = filled(tmp_path)
    os.truncate(path, 20_000_000_000)  # a hole: it takes no room
    before = bytes_read()
    with box(tmp_path) as outbox:
        assert outbox.moved_aside is not None
        use_everything(outbox)
    assert bytes_read() - before < 100_000_000


def bytes_read() -> int:
    """By this process, from whatever file, since it began; see proc(5)."""
    (words,) = (
        line.split() for line in Path("/proc/self/io").read_text().splitlines() if "rchar" in line
    )
    return int(words[1])


def test_a_lock_that_is_never_let_go_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    filled(tmp_path)
    monkeypatch.setattr(_database, "_LOCK_TIMEOUT", 0.1)
    with open(tmp_path / "outbox.db.lock", "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StoreError):
            box(tmp_path)
