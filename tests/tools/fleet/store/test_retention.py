"""What is old is deleted, and nothing else."""

from __future__ import annotations

import pytest

from tests.tools.fleet.collector.conftest import body
from tools.common.errors import ToolError
from tools.fleet.collector.intake import Incoming
from tools.fleet.collector.writer import Writer
from tools.fleet.store import open_store
from tools.fleet.store.retention import LEAST, parse_age, prune


def test_old_rows_go_and_young_ones_stay(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.fleet.store.retention._CHUNK", 3)
    with open_store(store_url) as store:
        for received, numbers in ((1_000, range(7)), (2_000, range(10, 14))):
            writer = Writer(store, lambda received=received: received)  # type: ignore[misc]
            topic = "fleeting/1/d/box-7/summary"
            writer.write([Incoming(topic, body(seq), received) for seq in numbers])
            writer.write([Incoming(topic, b"{", received)])
        assert prune(store, 2_000) == {
            "slots": 7, "summaries": 7, "events": 0, "health": 0, "quarantine": 1, "gaps": 0,
            "alerts": 0,
        }  # fmt: skip
        assert [row[0] for row in store.tuples("SELECT seq FROM slots ORDER BY seq")] == [
            10, 11, 12, 13,
        ]  # fmt: skip
        assert store.tuples("SELECT first_seq, last_seq FROM open_gaps") == [(7, 9)]
        assert prune(store, 2_001)["gaps"] == 1
        assert store.tuples("SELECT COUNT(*) FROM summaries") == [(0,)]


def test_ages() -> None:
    assert parse_age("400d") == 400 * 86_400
    assert parse_age("9600h") == 400 * 86_400
    assert parse_age("8d") == LEAST
    for text in ("", "7d", "400", "-9d", "1e9d", "9999999d", "400D"):
        with pytest.raises(ToolError, match="no age"):
            parse_age(text)
