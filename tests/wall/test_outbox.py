"""The outbox survives kill -9, a full disk, damage and a second process."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import resource
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agent.base.config import StoreConfig
from agent.base.errors import StoreError
from agent.base.quotas import EVENTS_STORED
from agent.base.report import Birth, Event, EventCode, Vitals, to_json
from agent.wall.outbox import Outbox, _database, _inspection
from agent.wall.outbox._events import EVENT_INTERVAL
from tests.summaries import LISTENING, birth, summary


def box(folder: Path, **bounds: float) -> Outbox:
    return Outbox(StoreConfig.model_validate({"outbox": folder / "outbox.db", **bounds}))


def summaries(outbox: Outbox) -> list[bytes]:
    return [row.body for row in outbox.peek(1000) if row.kind == "summary"]


def codes(outbox: Outbox) -> list[str]:
    events = [row.body for row in outbox.peek(1000) if row.kind == "event"]
    return [Event.model_validate_json(body).code for body in events]


def _count(body: bytes) -> int:
    return Event.model_validate_json(body).count


def test_a_summary_with_voices_is_stored_with_its_line_in_the_ledger(tmp_path: Path) -> None:
    made = summary(0, policy=LISTENING)
    with box(tmp_path) as outbox:
        outbox.add(made)
        assert summaries(outbox) == [to_json(made)]
        (line,) = outbox.ledger.entries()
        assert line[3] == hashlib.sha256(to_json(made)).hexdigest()
        assert line[2] == made.privacy.epsilon_milli


def test_rows_leave_in_order_byte_for_byte_and_only_when_acknowledged(tmp_path: Path) -> None:
    with box(tmp_path) as outbox:
        for seq in range(5):
            outbox.add(summary(seq))
        rows = outbox.peek(3)
        assert [row.body for row in rows] == [to_json(summary(seq)) for seq in range(3)]
        assert [row.body for row in outbox.peek(9, rows[-1].id)] == [
            to_json(summary(seq)) for seq in (3, 4)
        ]
        outbox.acknowledge(rows[1].id, rows[0].id, 999)
        assert outbox.depth() == 3
        assert outbox.peek(1)[0].body == to_json(summary(2))


def test_a_summary_that_was_sent_leaves_its_ledger_line_and_is_not_added_again(
    tmp_path: Path,
) -> None:
    with box(tmp_path) as outbox:
        outbox.add(summary(0))
        (row,) = outbox.peek(2)
        outbox.acknowledge(row.id)
        outbox.add(summary(0))
        assert outbox.depth() == 0
        digest = hashlib.sha256(row.body).hexdigest()
        assert outbox.ledger.entries() == [("0a1b2c3d", 0, 0, digest)]
        outbox.add(summary(1))
        assert outbox.peek(1)[0].id > row.id  # never reused


def test_numbers_go_on_across_restarts_under_a_new_boot_id(tmp_path: Path) -> None:
    with box(tmp_path) as outbox:
        first = outbox.boot
        assert outbox.next_seq == 0
        outbox.add(summary(0, first))
        assert outbox.next_seq == 1
    with box(tmp_path) as outbox:
        assert outbox.boot != first
        assert outbox.next_seq == 1


def test_the_latest_value_of_a_kind_is_replaced_not_collected(tmp_path: Path) -> None:
    with box(tmp_path) as outbox:
        assert outbox.latest.get(Birth) is None
        outbox.latest.put(birth("00000001"))
        outbox.latest.put(birth("00000002"))
        outbox.latest.put(Vitals(perception="running", fps=30))
        found = outbox.latest.get(Birth)
        assert found is not None
        assert found[0] == birth("00000002")
        assert 0 <= found[1] < 60


def test_the_oldest_beyond_the_size_are_dropped_and_counted(tmp_path: Path) -> None:
    with box(tmp_path, max_bytes=100_000) as outbox:
        for seq in range(200):
            outbox.add(summary(seq))
        rows = outbox.peek(1000)
        left = summaries(outbox)
        size = sum(len(row.body) + 64 for row in rows)
        assert size <= 100_000 < size + 2000
        dropped = 200 - len(left)
        assert left[0] == to_json(summary(dropped))
        assert outbox.evicted == dropped
        (event,) = (Event.model_validate_json(row.body) for row in rows if row.kind == "event")
        assert (event.code, event.count) == ("outbox_trimmed", 1)
    with box(tmp_path) as outbox:
        assert outbox.evicted == dropped


def test_the_oldest_beyond_the_number_of_rows_are_dropped(tmp_path: Path) -> None:
    with box(tmp_path, max_rows=100) as outbox:
        for seq in range(120):
            outbox.add(summary(seq))
        assert outbox.depth() <= 101  # plus the event about it
        assert summaries(outbox)[-1] == to_json(summary(119))
        assert outbox.evicted >= 20


def test_a_repeated_event_is_stored_once_and_counted(tmp_path: Path) -> None:
    with box(tmp_path) as outbox:
        for _ in range(5):
            outbox.events.record("camera_stalled")
        outbox.events.record("paused")
        outbox.events.flush()
        first, second = (Event.model_validate_json(row.body) for row in outbox.peek(9))
        assert (first.code, first.count, second.code) == ("camera_stalled", 1, "paused")
        assert (first.boot, second.seq) == (outbox.boot, first.seq + 1)


def test_counted_events_are_stored_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with box(tmp_path) as outbox:
        for _ in range(5):
            outbox.events.record("camera_stalled")
        now = time.monotonic()
        monkeypatch.setattr("time.monotonic", lambda: now + EVENT_INTERVAL)
        outbox.events.flush()
        outbox.events.flush()
        assert [_count(row.body) for row in outbox.peek(9)] == [1, 4]


def test_heat_is_said_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board on the edge for a day neither says when nor hides what else happens."""
    now = 1_000_000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with box(tmp_path) as outbox:
        for _ in range(96):
            for code in ("hot", "cooled", "undervolt"):
                outbox.events.record(code)
            outbox.events.flush()
            now += 900.0
        outbox.events.record("cage_open")
        found = codes(outbox)
        assert [found.count(each) for each in ("hot", "cooled", "undervolt")] == [4, 4, 4]
        assert found[-1] == "cage_open"


def test_there_are_only_so_many_events_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with box(tmp_path) as outbox:
        for _ in range(23):
            for code in get_args(EventCode):
                outbox.events.record(code)
            now += EVENT_INTERVAL
        assert outbox.depth() == EVENTS_STORED
        now += 86_400
        outbox.events.record("paused")
        assert outbox.depth() == EVENTS_STORED + 1


def test_delivered_messages_are_metered(tmp_path: Path) -> None:
    with box(tmp_path) as outbox:
        for seq in range(3):
            outbox.add(summary(seq))
        rows = outbox.peek(9)
        outbox.acknowledge(rows[0].id, rows[0].id, 999)
        outbox.acknowledge(rows[1].id, delivered=False)
        outbox.ledger.meter(2, 50)
        basis = outbox.ledger.receipt_basis()
        assert (basis.messages, basis.bytes) == (3, len(rows[0].body) + 50)
        assert [release.seq for release in basis.releases] == [0, 1, 2]


def test_the_too_old_are_dropped_once_the_clock_can_be_trusted(tmp_path: Path) -> None:
    now: float | None = None
    params = StoreConfig(outbox=tmp_path / "outbox.db", max_age=3600)
    with Outbox(params, utc=lambda: now, boottime=lambda: now or 0.0) as outbox:
        outbox.add(summary(0))  # made before the clock was set: its age is unknown
        now = 1_800_000_000.0
        outbox.add(summary(1))
        now += 3000
        outbox.add(summary(2))
        assert (outbox.depth(), outbox.evicted) == (3, 0)
        now += 1000
        outbox.add(summary(3))
        assert (len(summaries(outbox)), outbox.evicted) == (2, 2)


steps = st.lists(
    st.one_of(
        st.just(("add", 0)),
        st.tuples(st.just("acknowledge"), st.integers(0, 5)),
        st.just(("reopen", 0)),
    ),
    max_size=40,
)


@given(steps)
@hypothesis_settings(max_examples=20)
def test_nothing_is_lost_or_doubled_whatever_the_order(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outbox, expected = box(Path(folder)), list[bytes]()
        for number, (what, place) in enumerate(steps):
            rows = outbox.peek(100)
            if what == "add":
                made = summary(outbox.next_seq, f"{number:08x}")
                outbox.add(made)
                expected.append(to_json(made))
            elif what == "acknowledge" and place < len(rows):
                outbox.acknowledge(rows[place].id)
                del expected[place]
            elif what == "reopen":
                outbox.close()
                outbox = box(Path(folder))
            assert [row.body for row in outbox.peek(100)] == expected
        assert len(outbox.ledger.entries()) == sum(what == "add" for what, _ in steps)
        outbox.close()


def test_kill_9_at_random_instants_loses_no_summary_that_was_taken(tmp_path: Path) -> None:
    """More rounds: FLEETING_KILLS=1000."""
    stored: list[tuple[str, int]] = []
    for kill in range(int(os.environ.get("FLEETING_KILLS", "8"))):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:  # adds summaries and reports each until it is killed
                outbox = box(tmp_path)
                while True:
                    seq = outbox.next_seq
                    outbox.add(summary(seq, outbox.boot))
                    os.write(writer, f"{outbox.boot} {seq}\n".encode())
            finally:
                os._exit(1)
        os.close(writer)
        with open(reader, "rb") as lines:
            stored.append(_pair(lines.readline()))
            time.sleep(0.003 * (kill * 7 % 23))
            os.kill(child, signal.SIGKILL)
            stored += [_pair(line) for line in lines if line.endswith(b"\n")]
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    with box(tmp_path) as outbox:
        assert outbox.moved_aside is None
        ledger = [(boot, seq) for boot, seq, _, _ in outbox.ledger.entries()]
        assert set(stored) <= set(ledger)
        assert len(set(ledger)) == len(ledger) == outbox.depth()
        assert [seq for _, seq in ledger] == list(range(len(ledger)))


def _pair(line: bytes) -> tuple[str, int]:
    boot, seq = line.decode().split()
    return boot, int(seq)


@pytest.mark.parametrize("damage", [b"this is no database at all" * 400, b""])
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "outbox.db"
    with box(tmp_path) as outbox:
        for seq in range(50):
            outbox.add(summary(seq))
    if damage:
        path.write_bytes(damage)
    else:  # the middle of the file is overwritten, as a dying card does
        with path.open("r+b") as file:
            file.seek(8192)
            file.write(os.urandom(16_384))
    with box(tmp_path) as outbox:
        assert outbox.moved_aside is not None
        assert outbox.moved_aside.is_file()
        outbox.add(summary(0))
        assert summaries(outbox) == [to_json(summary(0))]
        assert codes(outbox) == ["outbox_damaged"]


@pytest.mark.parametrize("damaged", [False, True])
def test_a_new_file_can_be_written_by_the_whole_group(tmp_path: Path, damaged: bool) -> None:
    if damaged:
        (tmp_path / "outbox.db").write_bytes(b"not a database" * 100)
    before = os.umask(0o007)  # as both units set it
    try:
        with box(tmp_path) as outbox:
            outbox.add(summary(0))
            modes = {
                file.name: file.stat().st_mode & 0o777
                for file in tmp_path.iterdir()
                if "damaged" not in file.name
            }
    finally:
        os.umask(before)
    assert "outbox.db" in modes
    assert set(modes.values()) == {0o660}, modes


def test_damage_while_running_is_reported_and_survived(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with box(tmp_path) as outbox:
        for seq in range(50):
            outbox.add(summary(seq))
        sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(60_000))
        with contextlib.suppress(StoreError):
            outbox.peek(100)
        outbox.close()
        outbox.add(summary(50))
        assert outbox.moved_aside is not None
        assert summaries(outbox) == [to_json(summary(50))]
        assert codes(outbox) == ["outbox_damaged"]


def test_a_file_that_was_moved_away_is_noticed(tmp_path: Path) -> None:
    with box(tmp_path) as perceive, box(tmp_path) as uplink:
        perceive.add(summary(0))
        for name in ("outbox.db", "outbox.db-wal", "outbox.db-shm"):
            (tmp_path / name).rename(tmp_path / f"old-{name}")
        uplink.events.flush()
        perceive.add(summary(1))
        assert [row.body for row in uplink.peek(5)] == [to_json(summary(1))]


def test_few_damaged_files_are_kept(tmp_path: Path) -> None:
    for _ in range(6):
        (tmp_path / "outbox.db").write_bytes(b"no database" * 1000)
        box(tmp_path).close()
    assert len(list(tmp_path.glob("outbox.db.damaged-*"))) <= 9


def test_a_folder_that_cannot_be_written_is_a_named_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StoreError, match=r"outbox\.db"):
        box(blocked)


@contextlib.contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    """As on a full disk: writes past `size` bytes fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def fill(outbox: Outbox) -> int:
    """Add until the disk takes no more; returns the number of the summary that was refused."""
    for seq in range(outbox.next_seq, outbox.next_seq + 10_000):
        try:
            outbox.add(summary(seq))
        except StoreError:
            return seq
    raise AssertionError("the disk never filled up")


def test_a_write_limit_leaves_nothing_half_written_and_the_call_can_be_repeated(
    tmp_path: Path,
) -> None:
    with box(tmp_path) as outbox:
        outbox.add(summary(0))
        with no_file_grows_beyond(250_000):
            refused = fill(outbox)
            assert refused > 20
            with contextlib.suppress(StoreError):  # closing the file may have made some room
                outbox.add(summary(refused))
        outbox.add(summary(refused))
        bodies = [row.body for row in outbox.peek(10_000)]
        assert bodies == [to_json(summary(seq)) for seq in range(refused + 1)]
        assert len(outbox.ledger.entries()) == refused + 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing_that_was_taken(small_disk: Path) -> None:
    with box(small_disk) as outbox:
        refused = fill(outbox)
        assert outbox.depth() == refused > 20
        for row in outbox.peek(refused):
            with contextlib.suppress(StoreError):
                outbox.acknowledge(row.id)
        subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
        outbox.add(summary(refused))
        assert outbox.peek(10_000)[-1].body == to_json(summary(refused))
        ledger = [(boot, seq) for boot, seq, _, _ in outbox.ledger.entries()]
        assert [seq for _, seq in ledger] == list(range(refused + 1))


@pytest.mark.parametrize("step", [4 * 365 * 86_400.0, -400 * 86_400.0])
def test_a_step_of_the_clock_makes_nothing_too_old_or_young(tmp_path: Path, step: float) -> None:
    """Time goes on by the machine's own count, whatever the wall clock is set to."""
    boottime, offset = 100.0, 1_800_000_000.0
    params = StoreConfig(outbox=tmp_path / "outbox.db", max_age=3600)
    with Outbox(params, utc=lambda: offset + boottime, boottime=lambda: boottime) as outbox:
        outbox.add(summary(0))
        boottime += 1800
        outbox.add(summary(1))
        offset += step
        for seq in range(2, 5):
            outbox.add(summary(seq))
        assert (len(summaries(outbox)), outbox.evicted) == (5, 0)
        boottime += 2000
        outbox.add(summary(5))
        assert (len(summaries(outbox)), outbox.evicted) == (5, 1)
        boottime += 1900
        outbox.add(summary(6))
        assert (len(summaries(outbox)), outbox.evicted) == (2, 5)


def test_a_start_with_a_wrong_clock_costs_no_more_than_half_the_time(tmp_path: Path) -> None:
    params, year = StoreConfig(outbox=tmp_path / "outbox.db", max_age=3600), 365 * 86_400
    for seq, years in enumerate((0, 10, 7)):
        utc = partial(float, 1.8e9 + years * year)
        with Outbox(params, utc, lambda: 20.0, str(seq)) as outbox:
            outbox.add(summary(seq))
            assert (len(summaries(outbox)), outbox.evicted) == (seq + 1, 0)


def test_an_error_of_the_disk_does_not_cost_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SQLite's check reports once, and not again, was the disk's."""
    with box(tmp_path) as outbox:
        outbox.add(summary(0))
    checks: list[int] = []
    check = _inspection.check_content

    def fail_once(database: sqlite3.Connection) -> None:
        checks.append(1)
        if len(checks) == 1:
            raise sqlite3.DatabaseError("a page cannot be read")
        check(database)

    monkeypatch.setattr(_database, "check_content", fail_once)
    with box(tmp_path) as outbox:
        assert outbox.moved_aside is None
        assert outbox.depth() == 1


def test_sqlite_keeps_a_bounded_part_of_the_file_in_memory(tmp_path: Path) -> None:
    """Its own account, of pages that were read or written, after far more than the bound."""
    with box(tmp_path) as outbox:
        outbox.add(summary(0))
        before = sqlite_memory()
        for number in range(1, 1000):
            outbox.add(summary(number))
        assert (tmp_path / "outbox.db").stat().st_size > 1_000_000
        assert sqlite_memory() - before < 400_000


def sqlite_memory() -> int:
    """Bytes that SQLite has allocated in this process, whoever's connections they serve."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        libraries = {line.split()[-1] for line in maps if "sqlite3" in line}
    for each in sorted(libraries):
        with contextlib.suppress(OSError, AttributeError):
            used = ctypes.CDLL(each).sqlite3_memory_used
            used.restype = ctypes.c_int64
            return int(used())
    pytest.skip("SQLite is part of the interpreter")
