"""The store of everything written, and the check of the write-ahead log."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.desk.audit._system_calls import Judge, Run, Tracer, strace
from agent.desk.audit._written import PAGE, WrittenStore


def test_the_same_content_is_kept_once() -> None:
    store, page = WrittenStore(), bytes(range(256)) * 16
    for number in range(50):
        store.write("perceive", "outbox/outbox.db", page, number * PAGE)
        store.copy("outbox/outbox.db", page * 3)
        store.copy("outbox/other", b"text")
    assert sorted(len(each.data) for each in store.artifacts()) == [4, PAGE]
    assert not store.lost


def test_what_is_no_page_is_kept_as_it_is() -> None:
    store = WrittenStore()
    store.write("perceive", "outbox/outbox.db", b"pixels", 100)
    store.write("perceive", "outbox/outbox.db-wal", b"more", 7)
    store.copy("outbox/outbox.db", bytes(PAGE) + b"behind")
    kept = b"".join(each.data for each in store.artifacts())
    assert all(each in kept for each in (b"pixels", b"more", b"behind"))


def test_too_much_is_said() -> None:
    store = WrittenStore()
    for _ in range(5):
        store.write("perceive", "outbox/receipt.key", bytes(20_000_000), None)
    assert store.lost == {"perceive wrote to outbox/receipt.key"}


CODE = """
import sqlite3, sys
path = sys.argv[1] + "/outbox/outbox.db"
first, second = (sqlite3.connect(path, isolation_level=None) for _ in range(2))
first.execute("PRAGMA journal_mode = WAL")
first.execute("PRAGMA wal_autocheckpoint = 8")
first.execute("CREATE TABLE t (a)")
for number in range(60):
    (first, second)[number % 2].execute("INSERT INTO t VALUES (?)", ("x" * number * 9,))
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing")
def test_a_log_that_sqlite_wrote_verifies_and_another_does_not(tmp_path: Path) -> None:
    """Two connections take turns, and the log begins anew several times."""
    run, store = tmp_path / "run", WrittenStore()
    (run / "outbox").mkdir(parents=True)
    prefix = strace(tmp_path / "fifo")
    judge = Judge(Run("perceive", run, 1883, "pipe:[1]"), store)
    with Tracer(tmp_path / "fifo", tmp_path / "kept", judge):
        subprocess.run([*prefix, sys.executable, "-I", "-c", CODE, str(run)], check=True)
    assert store.findings() == []
    with sqlite3.connect(run / "outbox" / "outbox.db") as database:
        assert database.execute("SELECT COUNT(*) FROM t").fetchone() == (60,)
    pages = [each for each in store.artifacts() if each.kind == "journal"]
    assert len(pages[0].data) > 30 * PAGE

    rng = np.random.default_rng(0)
    header = (2).to_bytes(4, "big") + bytes(4) + rng.bytes(16)
    store.write("perceive", "outbox/outbox.db-wal", header, 32)
    store.write("perceive", "outbox/outbox.db-wal", rng.bytes(PAGE), 56)
    store.write("perceive", "outbox/outbox.db-wal", rng.bytes(24), 32 + 24 + PAGE)
    assert [each.detector for each in store.findings()] == ["residue"] * 2
