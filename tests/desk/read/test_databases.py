"""A collector's database is read as what the collector was told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.desk import read
from tests.desk.read.site import frame
from tests.desk.read.test_captures import told
from tests.tools.fleet.filled import NOW, fill, say
from tools.fleet.store import open_store


def opened(url: str, **more: Any) -> Any:
    if url.startswith("sqlite:///"):
        return read.sqlite(url.removeprefix("sqlite:///"), **more)
    return read.postgresql(url, **more)


def test_a_database_gives_the_rows_of_its_messages(store_url: str) -> None:
    said = told()
    with open_store(store_url) as store:
        for each in said:
            say(store, "box-1", each.summary, NOW)
    found = opened(store_url)
    expected = frame(said, bounds=True)
    for name in expected:
        if name != "received":
            assert found[name].equals(expected[name]), name
    assert set(found["received"]) == {datetime.fromtimestamp(NOW, UTC)}


def test_rows_are_chosen_by_time_and_device(store_url: str) -> None:
    with open_store(store_url) as store:
        fill(store)
        count = store.tuples("SELECT COUNT(*) FROM summaries")[0][0]
        stored = dict(store.tuples("SELECT device, COUNT(*) FROM summaries GROUP BY device"))
    every = opened(store_url)
    assert len(every) == count
    assert set(every["group"]) == {"shops", "offices"}
    one = opened(store_url, devices=("box-2",))
    assert len(one) == stored["box-2"]
    since, until = (datetime.fromtimestamp(NOW - 3600 * each, UTC) for each in (4, 2))
    some = opened(store_url, since=since, until=until)
    starts = some["start"].dropna()
    assert 0 < len(some) < count
    assert starts.min() >= since
    assert starts.max() < until
    by_group = read.totals(every, "visits", "group")
    assert list(by_group["group"]) == ["offices", "shops"]


def test_a_forged_row_is_refused(store_url: str) -> None:
    with open_store(store_url) as store:
        say(store, "box-1", told(1)[0].summary, NOW)
        store.execute("UPDATE summaries SET body = replace(body, '\"visits\":', '\"visits\":9')")
    found = opened(store_url)
    assert len(found) == 0
    assert found.attrs["reading"]["refused"] == {"fields": 1}


def test_reading_changes_nothing_while_a_collector_writes(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    with open_store(f"sqlite:///{path}") as store:
        say(store, "box-1", told(1)[0].summary, NOW)
        files = {each.name: each.read_bytes() for each in tmp_path.glob("*.db*")}
        assert len(read.sqlite(path)) == 1
        files.pop("fleet.db-shm")  # readers mark there how far they have read
        assert all((tmp_path / name).read_bytes() == was for name, was in files.items())
        say(store, "box-1", told(2)[1].summary, NOW)
        assert len(read.sqlite(path)) == 2


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(read.ReadError, match="There is no database"):
        read.sqlite(tmp_path / "none.db")
    other = tmp_path / "other.db"
    other.write_bytes(b"no database at all, but long enough to look at" * 10)
    with pytest.raises(read.ReadError, match="not a database"):
        read.sqlite(other)
    (tmp_path / "empty.db").touch()
    with pytest.raises(read.ReadError, match="no such table"):
        read.sqlite(tmp_path / "empty.db")
    with pytest.raises(read.ReadError, match="cannot be read as a collector's"):
        read.postgresql("postgresql://nobody@127.0.0.1:1/none")
