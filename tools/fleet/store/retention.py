"""How long a fleet's data are kept."""

from __future__ import annotations

import re

from tools.common.errors import ToolError
from tools.fleet.store.migrate import has_timescale
from tools.fleet.store.store import Store

_UNITS = {"d": 86_400, "h": 3_600}
LEAST = 8 * 86_400
"""Seconds. A message may come a week late; what is forgotten before would be stored again."""
_CHUNK = 5_000
"""Rows of one transaction, so that a collector never waits long."""
_ROWS = (
    ("slots", ("device", "boot", "seq"), "received < ?"),
    ("summaries", ("device", "boot", "seq"), "received < ?"),
    ("events", ("device", "boot", "seq"), "received < ?"),
    ("health", ("device", "received"), "received < ?"),
    ("quarantine", ("id",), "received < ?"),
    ("gaps", ("id",), "found_at < ?"),
    ("alerts", ("id",), "ended < ?"),
)
"""Tables, their keys, and what is old. Receipts stay: each proves the one before."""


def parse_age(text: str) -> int:
    """`400d` or `9600h` as seconds. Raises `ToolError`."""
    match = re.fullmatch(r"([0-9]{1,6})([dh])", text)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if seconds < LEAST:
        raise ToolError(
            f"{text!r} is no age of 8 days or more, such as 400d. Messages of the last week may "
            "still come a second time."
        )
    return seconds


def prune(store: Store, before: int) -> dict[str, int]:
    """Delete what was received before `before`, Unix seconds. Returns the rows of each table; of a
    hypertable, whose chunks go whole, the number of chunks. Raises `StoreUnavailable`."""
    hypertables = _hypertables(store)
    return {
        table: _drop(store, table, before)
        if table in hypertables
        else _delete(store, table, keys, condition, before)
        for table, keys, condition in _ROWS
    }


def _hypertables(store: Store) -> set[str]:
    if not has_timescale(store):
        return set()
    rows = store.tuples("SELECT hypertable_name FROM timescaledb_information.hypertables")
    return {row[0] for row in rows}


def _drop(store: Store, table: str, before: int) -> int:
    sql = "SELECT drop_chunks(CAST(? AS regclass), older_than => CAST(? AS BIGINT))"
    return len(store.tuples(sql, (table, before)))


def _delete(store: Store, table: str, keys: tuple[str, ...], condition: str, before: int) -> int:
    key, deleted = ", ".join(keys), 0
    while True:
        found = store.tuples(
            f"DELETE FROM {table} WHERE ({key}) IN"
            f" (SELECT {key} FROM {table} WHERE {condition} LIMIT {_CHUNK}) RETURNING 1",
            (before,),
        )
        deleted += len(found)
        if not found:
            return deleted
