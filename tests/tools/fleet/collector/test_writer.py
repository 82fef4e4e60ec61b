"""Batches into both databases: once, in order of nothing, whatever is in them."""

from __future__ import annotations

import concurrent.futures
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from agent.base.report import Event, Health, HeardSummary, Receipt, Statement, to_json
from agent.base.report.base import SEQ_LIMIT
from tests.summaries import LISTENING, summary
from tests.tools.fleet.collector.conftest import body
from tools.fleet.collector import columns, quarantine
from tools.fleet.collector import writer as writing
from tools.fleet.collector.intake import Incoming
from tools.fleet.collector.writer import Outcome, Writer
from tools.fleet.store import Store, open_store

NOW = 1_800_000_000


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def writer(store: Store) -> Writer:
    return Writer(store, lambda: NOW)


def came(payload: bytes, device: str = "box-7", kind: str = "summary") -> Incoming:
    return Incoming(f"fleeting/1/d/{device}/{kind}", payload, NOW)


def event(seq: int, boot: str = "0a1b2c3d", code: Any = "paused") -> bytes:
    return to_json(Event(boot=boot, seq=seq, code=code, count=1, at=None, offset=10))


def receipt(number: int, key: str = "ab" * 32) -> bytes:
    statement = Statement(
        number=number, previous="0" * 64, start=None, end=NOW, outbox="same", summaries=0,
        digest="0" * 64, messages=0, bytes=0, epsilon_milli=0, windows_withheld=0,
        visits_withheld=0, model=None, policy=None, units=None, schemas="0" * 16, key=key,
    )  # fmt: skip
    return to_json(Receipt(statement=statement, signature="0" * 128))


HEALTH = to_json(
    Health(
        boot=None, perception="running", fps=15, temperature=50, power="good", memory=64,
        disk="ample", waiting=0, trimmed=0, clock="ntp",
    )
)  # fmt: skip


def gaps(store: Store, stream: str = "summary") -> list[tuple[int, int, int]]:
    return store.tuples(
        "SELECT series, first_seq, last_seq FROM open_gaps WHERE stream = ? ORDER BY 1, 2",
        (stream,),
    )


def test_every_kind_has_its_table(store: Store, writer: Writer) -> None:
    outcome = writer.write(
        [came(body(1)), came(event(4), kind="event"), came(receipt(1), kind="receipt"),
         came(HEALTH, kind="health")]
    )  # fmt: skip
    assert outcome.stored == {"summary": 1, "event": 1, "receipt": 1, "health": 1}
    stored = store.execute("SELECT * FROM summaries")[0]
    assert stored["body"].encode() == body(1)
    assert (stored["device"], stored["seq"], stored["received"]) == ("box-7", 1, NOW)
    assert store.execute("SELECT code, seq FROM events") == [{"code": "paused", "seq": 4}]
    assert store.execute("SELECT number FROM receipts") == [{"number": 1}]
    assert store.execute("SELECT device, perception FROM latest_health") == [
        {"device": "box-7", "perception": "running"}
    ]
    assert store.tuples("SELECT device, first_seen, status FROM device_status") == [
        ("box-7", NOW, "unknown")
    ]


def test_counts_are_columns(store: Store, writer: Writer) -> None:
    """Every number of a summary stands in the column that has its name."""
    said = summary(3, policy=LISTENING)
    assert isinstance(said, HeardSummary)
    writer.write([came(to_json(said))])
    row = store.execute("SELECT * FROM slots")[0]
    assert set(columns.SLOT_COLUMNS) == set(row)
    message = json.loads(to_json(said))
    for cell in columns.SUMMARY_CELLS + columns.HEARD_CELLS:
        counts = (message if cell in message else message["heard"])[cell] or {}
        for name in columns.CELLS[cell]:
            assert row[f"{cell}_{name}"] == counts.get(name), f"{cell}_{name}"
    assert row["voice"] == message["heard"]["voice"]
    assert row["valence_sum"] == (message["valence"] or {"sum": None})["sum"]
    assert row["voice_valence_sum"] == (message["heard"]["voice_valence"] or {"sum": None})["sum"]
    assert row["withheld"] == ",".join(
        f"{each['cell']}:{each['reason']}" for each in message["withheld"]
    )


def test_copies_and_conflicts(store: Store, writer: Writer) -> None:
    other = body(1, slot=3)
    first = writer.write([came(body(1)), came(body(1)), came(other)])
    again = writer.write([came(other), came(body(1)), came(body(1), device="box-8")])
    assert (first.stored["summary"], first.duplicates, first.refused["conflict"]) == (1, 1, 1)
    assert (again.stored["summary"], again.duplicates, again.refused["conflict"]) == (1, 1, 1)
    assert store.tuples("SELECT body FROM summaries WHERE device = 'box-7'") == [
        (body(1).decode(),)
    ]
    kept = store.execute("SELECT * FROM quarantine ORDER BY id")
    assert [each["reason"] for each in kept] == ["conflict", "conflict"]
    assert kept[0]["body"] == other.decode()[: len(kept[0]["body"])]
    assert dict(store.tuples("SELECT name, total FROM counts WHERE device = 'box-7'")) == {
        "conflict": 2, "duplicate": 2,
    }  # fmt: skip


def test_missing_numbers_and_late_ones(store: Store, writer: Writer) -> None:
    writer.write([came(body(seq)) for seq in (10, 11, 15)])
    assert gaps(store) == [(0, 12, 14)]
    assert writer.write([came(body(13))]).filled == 1
    assert gaps(store) == [(0, 12, 12), (0, 14, 14)]
    writer.write([came(body(14)), came(body(12)), came(body(13))])
    assert gaps(store) == []
    filled = store.tuples(
        "SELECT SUM(last_seq - first_seq + 1) FROM gaps WHERE filled_at = ?", (NOW,)
    )
    assert int(filled[0][0]) == 3


def test_weeks_that_come_late_and_in_order(store: Store, writer: Writer) -> None:
    writer.write([came(body(seq)) for seq in (0, 1000)])
    for first in range(1, 1000, 100):
        writer.write([came(body(seq)) for seq in range(first, min(first + 100, 1000))])
    assert gaps(store) == []
    assert len(store.tuples("SELECT * FROM gaps")) <= 2, "what was filled in a row is one range"


def test_numbers_go_on_over_a_restart(store: Store, writer: Writer) -> None:
    writer.write([came(body(5)), came(body(8, boot="bbbbbbbb")), came(body(9, boot="bbbbbbbb"))])
    assert gaps(store) == [(0, 6, 7)]
    writer.write([came(body(7, boot="bbbbbbbb")), came(body(6))])
    assert gaps(store) == []


def test_numbers_wrap(store: Store, writer: Writer) -> None:
    last = SEQ_LIMIT - 1
    writer.write([came(body(seq)) for seq in (last - 1, 1, last)])
    assert gaps(store) == [(0, SEQ_LIMIT, SEQ_LIMIT)], "counted on"
    writer.write([came(body(0))])
    assert gaps(store) == []


def test_a_lost_outbox_begins_a_new_series(store: Store, writer: Writer) -> None:
    writer.write([came(body(seq)) for seq in (500, 501, 505)])
    boot = "cccccccc"
    writer.write([came(body(seq, boot=boot)) for seq in (0, 1, 4)])
    assert gaps(store) == [(0, 502, 504), (1, 2, 3)]
    writer.write([came(body(503)), came(body(2, boot=boot))])
    assert gaps(store) == [(0, 502, 502), (0, 504, 504), (1, 3, 3)]
    writer.write([came(body(5, boot=boot))])
    assert gaps(store)[-1] == (1, 3, 3)


def test_before_the_first_that_was_seen(store: Store, writer: Writer) -> None:
    """A collector that is younger than its devices misses nothing; what overtook is in order."""
    writer.write([came(body(seq)) for seq in (900, 898, 901)])
    assert gaps(store) == [(0, 899, 899)]
    writer.write([came(body(899, boot="bbbbbbbb"))])
    assert gaps(store) == []


def test_each_numbering_is_its_own(store: Store, writer: Writer) -> None:
    writer.write(
        [came(body(1)), came(event(7), kind="event"), came(event(9, "dddddddd"), kind="event"),
         came(receipt(1), kind="receipt"), came(receipt(3), kind="receipt"),
         came(receipt(9, "cd" * 32), kind="receipt"), came(body(2))]
    )  # fmt: skip
    assert gaps(store, "summary") == []
    assert gaps(store, "event") == [(0, 8, 8)], "both processes number events in one series"
    assert gaps(store, "receipt") == [(0, 2, 2)]


def test_any_order_misses_nothing(store: Store, writer: Writer) -> None:
    rng = random.Random(7)
    numbers = [*range(200), *range(0, 200, 3)]
    rng.shuffle(numbers)
    lost = {17, 18, 90}
    sent = [came(body(seq)) for seq in [100, *numbers] if seq not in lost]
    while sent:
        part = rng.randrange(1, 20)
        writer.write(sent[:part])
        del sent[:part]
    assert gaps(store) == [(0, 17, 18), (0, 90, 90)]


@pytest.mark.slow
def test_collectors_at_the_same_time(store_url: str) -> None:
    """Both are given everything, in another order; each message is stored once."""
    numbers = [(device, seq) for device in range(20) for seq in range(40)]

    def collect(seed: int) -> Outcome:
        mine = list(numbers)
        random.Random(seed).shuffle(mine)
        whole = Outcome()
        with open_store(store_url) as own:
            writer = Writer(own)
            for first in range(0, len(mine), 50):
                done = writer.write(
                    [came(body(seq), f"box-{device}") for device, seq in mine[first : first + 50]]
                )
                whole.stored += done.stored
                whole.duplicates += done.duplicates
        return whole

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        done = list(pool.map(collect, range(3)))
    assert sum(each.stored["summary"] for each in done) == len(numbers)
    assert sum(each.duplicates for each in done) == 2 * len(numbers)
    with open_store(store_url) as store:
        assert gaps(store) == []
        assert store.tuples("SELECT COUNT(*) FROM slots") == [(len(numbers),)]


def test_the_quarantine_is_bounded(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "PER_DEVICE", 5)
    monkeypatch.setattr(quarantine, "IN_TOTAL", 12)
    writer.write([came(body(1))])
    for device in ("box-7", "x-1", "x-2", "x-3"):
        for _ in range(3):
            writer.write([came(b"\x00%d" % number, device) for number in range(4)])
    assert store.tuples("SELECT COUNT(*) FROM quarantine") == [(12,)]
    per_device = store.tuples("SELECT device, COUNT(*) FROM quarantine GROUP BY device")
    assert max(count for _, count in per_device) == 5
    assert store.tuples("SELECT device, name, total FROM counts ORDER BY device") == [
        ("", "json", 36), ("box-7", "json", 12),
    ], "devices that never sent a sound message are counted together"  # fmt: skip


def test_what_the_database_refuses_is_found_and_set_aside(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = columns.summary_row

    def row(message: Any) -> tuple[Any, ...]:
        made = genuine(message)
        return (*made[:-1], None) if message.content.seq == 6 else made  # sha256 NOT NULL

    rows = [(kind, sql, row if each is genuine else each) for kind, sql, each in writing._ROWS]
    monkeypatch.setattr(writing, "_ROWS", rows)
    outcome = writer.write([came(body(seq)) for seq in range(10)])
    assert outcome.stored["summary"] == 9
    assert outcome.refused == {"unstorable": 1}
    assert store.tuples("SELECT reason FROM quarantine") == [("unstorable",)]
    assert gaps(store) == [(0, 6, 6)]
