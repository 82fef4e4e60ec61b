"""The measurement stores what it says."""

from __future__ import annotations

from pathlib import Path

from tools.fleet.collector.__main__ import measure
from tools.fleet.store import open_store


def test_it_counts_what_is_in_the_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fleet.db'}"
    assert measure(url, 25, 10)["rows"] == 25
    with open_store(url) as store:
        assert store.tuples("SELECT COUNT(*) FROM slots") == [(25,)]
        assert store.tuples("SELECT COUNT(*) FROM open_gaps") == [(0,)]
