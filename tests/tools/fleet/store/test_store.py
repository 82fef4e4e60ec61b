"""Both databases: the layout, transactions, what is said when one is away."""

from __future__ import annotations

import concurrent.futures
import sqlite3
from pathlib import Path

import pytest

from tests.tools.fleet.postgres import Postgres
from tools.common.errors import ToolError
from tools.fleet.store import Store, StoreUnavailable, open_store
from tools.fleet.store.migrate import migrate, migrations, version


def test_a_new_database_gets_the_newest_layout_once(store_url: str) -> None:
    with open_store(store_url) as store:
        assert version(store) == migrations()[-1][0]
        store.execute("INSERT INTO tags VALUES (?, ?)", ("box-7", "shop"))
    with open_store(store_url) as again:
        assert again.execute("SELECT * FROM tags") == [{"device": "box-7", "tag": "shop"}]
        views = ("device_status", "latest_health", "open_gaps", "open_jobs", "content_slots")
        for view in (*views, "content_played"):
            assert again.execute(f"SELECT * FROM {view}") == []


def test_starters_at_the_same_time_agree(store_url: str) -> None:
    def start(_: int) -> int:
        with open_store(store_url) as store:
            return version(store)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert set(pool.map(start, range(6))) == {migrations()[-1][0]}
    with open_store(store_url) as store:
        assert len(store.execute("SELECT * FROM schema_version")) == len(migrations())


def test_a_newer_database_is_left_alone(store_url: str) -> None:
    with open_store(store_url) as store:
        store.execute("INSERT INTO schema_version VALUES (9999, 0)")
    with pytest.raises(ToolError, match=r"layout 9999.*newer"):
        open_store(store_url)


def test_a_migration_that_fails_leaves_nothing(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = migrations()[0][1]
    broken = [(1, text), (2, "CREATE TABLE extra (a BIGINT);\nCREATE TABLE extra (a BIGINT);\n")]
    monkeypatch.setattr("tools.fleet.store.migrate.migrations", lambda: broken)
    store = Store(store_url)
    with pytest.raises(Exception, match="extra"):
        migrate(store)
    assert version(store) == 0
    assert not store.has_table("extra")
    assert not store.has_table("devices")


def test_a_transaction_is_stored_whole_or_not_at_all(store_url: str) -> None:
    with open_store(store_url) as store:
        with pytest.raises(KeyError), store.transaction():  # noqa: PT012
            store.execute("INSERT INTO tags VALUES (?, ?)", ("a", "100% ours?"))
            with store.transaction():
                store.executemany("INSERT INTO tags VALUES (?, ?)", [("b", "1"), ("c", "2")])
            raise KeyError
        assert store.tuples("SELECT * FROM tags") == []
        with store.transaction():
            store.execute("INSERT INTO tags VALUES (?, ?)", ("a", "100% ours?"))
        assert store.tuples("SELECT tag FROM tags WHERE tag LIKE '100%'") == [("100% ours?",)]


def test_a_mistake_in_a_statement_is_no_outage(store_url: str) -> None:
    with open_store(store_url) as store:
        with pytest.raises(Exception, match="nowhere") as caught:
            store.execute("SELECT * FROM nowhere")
        assert not isinstance(caught.value, StoreUnavailable)
        assert store.execute("SELECT 1 AS one") == [{"one": 1}]


def test_status_of_devices(store_url: str) -> None:
    with open_store(store_url) as store:
        now = store.tuples("SELECT MAX(applied_at) FROM schema_version")[0][0]
        add = "INSERT INTO devices (device, state, first_seen, last_seen) VALUES (?, ?, ?, ?)"
        old = now - 100_000
        store.executemany(
            add,
            [("new", None, old, old), ("off", "offline", old, now), ("on", "online", old, now),
             ("still", "online", old, old), ("talks", "online", old, old)],
        )  # fmt: skip
        store.execute(
            "INSERT INTO positions VALUES ('talks', 'summary', '', 0, '0a1b2c3d', 0, 5, ?)", (now,)
        )
        found = store.tuples("SELECT device, status FROM device_status ORDER BY device")
        assert found == [
            ("new", "unknown"), ("off", "offline"), ("on", "online"),
            ("still", "stale"), ("talks", "online"),
        ]  # fmt: skip


@pytest.mark.slow
def test_postgresql_goes_and_comes_back(own_postgres: Postgres) -> None:
    with open_store(own_postgres.url()) as store:
        own_postgres.stop("immediate")
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="cannot be used"), store.transaction():
                store.execute("INSERT INTO tags VALUES ('a', 'b')")
        own_postgres.start()
        with store.transaction():
            store.execute("INSERT INTO tags VALUES ('a', 'b')")
        assert len(store.execute("SELECT * FROM tags")) == 1


def test_a_locked_sqlite_file_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.fleet.store._connections._BUSY", 0.05)
    path = tmp_path / "fleet.db"
    with open_store(f"sqlite:///{path}") as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"), store.transaction():
            pass
        other.execute("ROLLBACK")
        other.close()
        with store.transaction():
            store.execute("INSERT INTO tags VALUES ('a', 'b')")


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"not a database at all, but long enough to look" * 9)
    with pytest.raises(ToolError, match="damaged"):
        open_store(f"sqlite:///{tmp_path / 'text'}")
    with pytest.raises(ToolError, match="Make it first"):
        open_store(f"sqlite:///{tmp_path / 'no' / 'fleet.db'}")
    for url in ("", "sqlite:///", "mysql://x/y", "fleet.db"):
        with pytest.raises(ToolError, match="names no database"):
            open_store(url)
    assert Store("postgresql://me:secret@host/db?sslmode=require").name == "postgresql://me@host/db"
