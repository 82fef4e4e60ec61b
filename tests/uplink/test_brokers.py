"""Brokers old, forgetful, hasty or hostile; clocks and disks that fail: nothing is lost."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tools.bench.fuzz_streams import Rogue, streams

from agent.base.config import AgentConfig
from agent.base.report import Event, Summary, to_json
from agent.desk.loopback import packets
from agent.desk.loopback.broker import Broker, _Session
from agent.uplink.loop import Uplink
from agent.uplink.wire import MOST_INBOUND
from agent.wall.outbox import Outbox
from tests.summaries import birth, summary
from tests.uplink.conftest import DEVICE, Listener, Mosquitto, agent_config, eventually

DESIRED = f"fleeting/1/d/{DEVICE}/shadow/desired"
Listen = Callable[..., Listener]


def fill(config: AgentConfig, number: int, first: int = 0) -> list[bytes]:
    made = [summary(first + seq) for seq in range(number)]
    with Outbox(config.store) as outbox:
        for each in made:
            outbox.add(each)
    return [to_json(each) for each in made]


@contextlib.contextmanager
def talking(config: AgentConfig) -> Iterator[tuple[Uplink, Outbox]]:
    with Outbox(config.store) as outbox:
        yield Uplink(config, outbox, lambda _: None), outbox


def until(uplink: Uplink, true: Callable[[], object], what: str, steps: int = 400) -> None:
    for _ in range(steps):
        if true():
            return
        uplink.step(0.02)
    raise AssertionError(f"not after {steps} steps: {what}")


def summaries(outbox: Outbox) -> int:
    return sum(row.kind == "summary" for row in outbox.peek(1000))


class Old(Broker):
    """Knows MQTT 3.1.1 only; `word`: what it says to the others, if anything."""

    word: bytes | None = packets.connack(4, 1)

    async def _welcome(self, stream: Any, writer: Any) -> Any:
        first, body = await packets.read_packet(stream)
        connect = packets.parse_connect(body)
        assert first == 0x10
        if connect.version != 4:
            if self.word:
                writer.write(self.word)
            return None
        session = self._sessions[connect.client_id] = _Session(connect, writer)
        writer.write(packets.connack(4, 0))
        return session


@pytest.mark.parametrize("word", [packets.connack(4, 1), packets.packet(0x20, b"\0\x84\0"), None])
def test_a_broker_that_speaks_only_3_1_1_is_spoken_to_in_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    word: bytes | None,
) -> None:  # fmt: skip
    """It may say so, in the old way or the new, or just hang up."""
    monkeypatch.setattr(Old, "word", word)
    caplog.set_level(logging.INFO)
    with Old() as broker:
        config = agent_config(tmp_path, broker.port)
        fill(config, 5)
        with talking(config) as (uplink, outbox):
            until(uplink, lambda: summaries(outbox) == 0, "all is sent")
            uplink.stop()
    lines = [record.getMessage() for record in caplog.records]
    assert any("MQTT 3.1.1 is tried next" in line for line in lines)
    assert any("MQTT 3.1.1" in line and "Connected" in line for line in lines)
    assert f"fleeting/1/d/{DEVICE}/state" in broker._retained


def test_a_broker_that_hangs_up_once_is_still_spoken_to_in_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, hangups = Broker._welcome, [None]

    async def hasty(self: Broker, stream: Any, writer: Any) -> Any:
        if hangups:
            hangups.pop()
            return None
        return await before(self, stream, writer)

    monkeypatch.setattr(Broker, "_welcome", hasty)
    with Broker() as broker, talking(agent_config(tmp_path, broker.port)) as (uplink, _):
        until(uplink, lambda: uplink.connected, "connected")
        assert uplink._connection is not None
        assert uplink._connection.version5
        uplink.stop()


def test_acknowledged_twice_is_removed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listen: Listen
) -> None:
    before = Broker._serve_packet

    def twice(self: Broker, session: _Session, first: int, body: bytes) -> None:
        before(self, session, first, body)
        if first >> 4 == 3:
            _, number = packets.parse_publish(first, body, session.connect.version)
            for mid in (number, number, 777):
                session.writer.write(packets.packet(0x40, struct.pack("!H", mid)))

    monkeypatch.setattr(Broker, "_serve_packet", twice)
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port)
        listener = listen(broker.port)
        expected = fill(config, 60)
        with talking(config) as (uplink, outbox):
            until(uplink, lambda: summaries(outbox) == 0, "all is sent")
            assert uplink.connected
            uplink.stop()
        eventually(lambda: len(listener.summaries()) >= 60, "all arrive")
        assert listener.summaries() == expected


def test_a_broker_that_closes_at_random_gets_everything_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listen: Listen
) -> None:
    """At any packet, before or after the PUBACK: at least once, byte for byte."""
    before, seen = Broker._serve_packet, [0]

    def moody(self: Broker, session: _Session, first: int, body: bytes) -> None:
        if session.connect.client_id == DEVICE:
            seen[0] += 1
            if seen[0] % 17 == 0:
                session.writer.close()
                return
        before(self, session, first, body)
        if session.connect.client_id == DEVICE and seen[0] % 23 == 0:
            session.writer.transport.abort()

    monkeypatch.setattr(Broker, "_serve_packet", moody)
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port, in_flight=3)
        listener = listen(broker.port)
        expected = fill(config, 80)
        with talking(config) as (uplink, outbox):
            until(uplink, lambda: summaries(outbox) == 0, "all is sent", 3000)
        eventually(lambda: set(expected) <= set(listener.summaries()), "all arrive")
        assert set(listener.summaries()) == set(expected)


def test_a_half_open_connection_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other end is gone and no packet says so: keep-alive finds out."""
    monkeypatch.setattr("agent.uplink.client.ACK_TIMEOUT", 3600.0)
    with Broker() as broker, talking(agent_config(tmp_path, broker.port)) as (uplink, _):
        until(uplink, lambda: uplink.connected, "connected")
        for _ in range(20):
            uplink.step(0.02)
        monkeypatch.setattr(Broker, "_serve_packet", lambda *_: None)
        assert uplink._connection is not None
        uplink._connection._client._keepalive = 1  # seconds; the least that may be set is 5
        with caplog.at_level(logging.WARNING):
            deadline = time.monotonic() + 20
            while not caplog.records and time.monotonic() < deadline:
                uplink.step(0.1)
        assert "went away" in caplog.records[0].getMessage()
        assert not uplink.connected


def test_bytes_that_are_no_mqtt_raise_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.uplink.client.CONNECT_TIMEOUT", 1.0)
    monkeypatch.setattr("agent.uplink.loop.DEAF", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = agent_config(tmp_path, port)
    fill(config, 3)
    given = list(streams(5, 10))
    rogue = Rogue(port, given)
    caplog.set_level(logging.WARNING)
    with talking(config) as (uplink, outbox):
        deadline = time.monotonic() + 120
        while not rogue.done.is_set() and time.monotonic() < deadline:
            uplink.step(0.05)
        assert rogue.served == len(given)
        rogue.close()
        assert summaries(outbox) == 3
    assert all(record.exc_info is None for record in caplog.records)
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_ten_megabytes_over_3_1_1_end_the_connection_and_then_we_are_deaf_for_a_while(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    """Before MQTT 5 nobody can ask a broker for less: retained, it would come again each time."""
    listener = listen(mosquitto.port)
    listener._client.publish(DESIRED, b"A" * 10_000_000, qos=1, retain=True).wait_for_publish(30)
    config = agent_config(tmp_path, mosquitto.port, protocol="3.1.1")
    fill(config, 5)
    caplog.set_level(logging.WARNING)
    with talking(config) as (uplink, outbox):
        until(uplink, lambda: not uplink.connected and caplog.records, "it is cut")
        until(uplink, lambda: summaries(outbox) == 0, "all is sent all the same")
        assert uplink.connected
        assert uplink._subscribed == set()
        uplink._deaf_until = 0.0
        uplink.step(0.0)
        assert DESIRED in uplink._subscribed
        uplink.stop()
    assert "far too long" in caplog.records[0].getMessage()


def test_ten_megabytes_over_5_are_kept_by_the_broker(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen
) -> None:
    listener = listen(mosquitto.port)
    listener._client.publish(DESIRED, b"A" * 10_000_000, qos=1, retain=True).wait_for_publish(30)
    config = agent_config(tmp_path, mosquitto.port)
    fill(config, 5)
    with talking(config) as (uplink, outbox):
        until(uplink, lambda: summaries(outbox) == 0, "all is sent")
        assert uplink.connected
        assert uplink._tally.total.total() == 0
        uplink.stop()


def test_a_packet_within_the_limit_is_heard(tmp_path: Path, listen: Listen) -> None:
    """The limit is on what is too much, not on what is large."""
    with Broker() as broker, talking(agent_config(tmp_path, broker.port)) as (uplink, _):
        listener = listen(broker.port)
        until(uplink, lambda: uplink.connected, "connected")
        until(uplink, lambda: listener.bodies("shadow/reported"), "it listens")
        listener._client.publish(DESIRED, b" " * (MOST_INBOUND - 200), qos=1)
        until(uplink, lambda: uplink._tally.total["inbound_refused"] == 1, "it is refused as long")
        assert uplink.connected
        uplink.stop()


def test_a_broker_that_wants_one_at_a_time_gets_it(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = make_mosquitto("allow_anonymous true\nmax_inflight_messages 1")
    broker.start()
    config = agent_config(tmp_path, broker.port, discovery=True)
    fill(config, 10)
    with talking(config) as (uplink, outbox):
        outbox.put(birth())
        for _ in range(400):
            uplink.step(0.02)
            assert uplink._connection is not None
            assert len(uplink._connection._waiting) <= 1
            if not summaries(outbox):
                break
        assert summaries(outbox) == 0
        uplink.stop()


def test_a_wall_clock_that_steps_two_weeks_changes_nothing(
    tmp_path: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, step = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: now() + step)
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port)
        listener = listen(broker.port)
        with talking(config) as (uplink, outbox):
            expected = []
            for number, step in enumerate((0.0, 14 * 86_400.0, -14 * 86_400.0, 0.0)):  # noqa: B007
                expected += fill(config, 5, 5 * number)
                until(uplink, lambda: summaries(outbox) == 0, "all is sent")
            assert uplink._failures == 0
            uplink.stop()
        eventually(lambda: listener.summaries() == expected, "all arrive")
        assert listener.bodies("state") == [b"online", b"offline"]


def test_an_outbox_damaged_while_connected_is_replaced_and_that_is_said(
    tmp_path: Path, listen: Listen
) -> None:
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port)
        listener = listen(broker.port)
        fill(config, 5)
        with talking(config) as (uplink, outbox):
            until(uplink, lambda: summaries(outbox) == 0, "all is sent")
            outbox.close()
            for suffix in ("-wal", "-shm"):
                config.store.outbox.with_name(config.store.outbox.name + suffix).unlink(True)
            config.store.outbox.write_bytes(os.urandom(20_000))
            uplink._store_retry = 0.0
            until(uplink, lambda: outbox.moved_aside is not None, "it is moved aside")
            later = fill(config, 3, 50)
            until(uplink, lambda: set(later) <= set(listener.summaries()), "the new one is sent")
            until(uplink, lambda: summaries(outbox) == 0, "and emptied")
            assert uplink.connected
            uplink.stop()


def test_what_was_taken_from_a_lost_outbox_removes_nothing_from_the_next(
    tmp_path: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers of rows begin anew with the file: a late PUBACK must not hit another message."""
    before, late = Broker._serve_packet, []

    def slow(self: Broker, session: _Session, first: int, body: bytes) -> None:
        if first >> 4 == 3 and b"/summary" in body and session.connect.client_id == DEVICE:
            message, number = packets.parse_publish(first, body, session.connect.version)
            self._route(message)
            late.append((session, packets.packet(0x40, struct.pack("!H", number))))
        else:
            before(self, session, first, body)

    monkeypatch.setattr(Broker, "_serve_packet", slow)
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port)
        listener = listen(broker.port)
        fill(config, 5)
        with talking(config) as (uplink, outbox):
            until(uplink, lambda: len(late) == 5, "five are in flight")
            outbox.close()
            for suffix in ("-wal", "-shm", ""):
                old = config.store.outbox.with_name(config.store.outbox.name + suffix)
                if old.exists():
                    old.rename(f"{old}.moved")  # as the other half would
            later = fill(config, 5, 50)
            for session, puback in late:
                broker._loop.call_soon_threadsafe(session.writer.write, puback)
            monkeypatch.setattr(Broker, "_serve_packet", before)
            until(uplink, lambda: summaries(outbox) == 0, "the new one is sent")
            uplink.stop()
        eventually(lambda: set(later) <= set(listener.summaries()), "none of them is missing")


def test_a_disk_that_becomes_read_only_while_connected(
    tmp_path: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """What the broker took cannot be removed: it is remembered and not sent again."""
    monkeypatch.setattr("agent.uplink.loop._STORE_DELAY", 0.05)
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port)
        listener = listen(broker.port)
        with talking(config) as (uplink, outbox):
            until(uplink, lambda: listener.bodies("shadow/reported"), "it is there")
            expected = fill(config, 10)
            lock = sqlite3.connect(config.store.outbox, isolation_level=None)
            monkeypatch.setattr("agent.wall.outbox.file._WAIT", 0.05)
            outbox.close()
            lock.execute("BEGIN IMMEDIATE")  # nobody else can write; everybody can read
            until(uplink, lambda: listener.summaries() == expected, "they are sent")
            for _ in range(30):
                uplink.step(0.02)
            assert uplink.connected
            assert listener.summaries() == expected
            lock.execute("ROLLBACK")
            lock.close()
            until(uplink, lambda: summaries(outbox) == 0, "they are removed")
            assert listener.summaries() == expected
            uplink.stop()
    assert all(record.exc_info is None for record in caplog.records)


def test_rows_that_are_no_messages_are_removed_and_that_is_said(
    tmp_path: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.uplink.limits._FLUSH", 0.05)
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port)
        listener = listen(broker.port)
        (good,) = fill(config, 1)
        bad = [("summary", b"\x89PNG"), ("picture", good), ("receipt", good), ("event", good)]
        with talking(config) as (uplink, outbox):
            with outbox._database.transaction("test") as database:
                for seq, (kind, body) in enumerate(bad):
                    database.execute(
                        "INSERT INTO outbox (kind, boot, seq, body) VALUES (?, 'x', ?, ?)",
                        (kind, seq, body),
                    )
            until(uplink, lambda: listener.bodies("event"), "an event")
            until(uplink, lambda: outbox.depth() == 0, "the outbox is empty")
            uplink.stop()
        said = [Event.model_validate_json(body) for body in listener.bodies("event")]
        assert [each.code for each in said] == ["row_refused"]
        assert said[0].count == len(bad)
        assert Summary.model_validate_json(listener.summaries()[0])
        assert listener.summaries() == [good]
        sent = {message.topic.rpartition("/")[2] for message in listener.messages}
        assert sent <= {"state", "reported", "summary", "event"}


def test_signs_of_life_only_with_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outbox drained, a PUBACK, or a broker that is known to be away; not a silent broker."""
    signs: list[float] = []
    monkeypatch.setattr("agent.host.sd_notify.alive", lambda: signs.append(time.monotonic()))
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port)
        with talking(config) as (uplink, _):
            until(uplink, lambda: signs, "drained")
            monkeypatch.setattr(Broker, "_serve_packet", lambda *_: None)
            fill(config, 3)
            for _ in range(3):
                uplink.step(0.3)  # sent by now
            signs.clear()
            for _ in range(20):
                uplink.step(0.05)
            assert uplink.connected
            assert signs == []
        broker.stop()
        with talking(config) as (uplink, _):
            uplink.step(0.05)
            assert not uplink.connected
            assert signs


def test_a_long_wait_for_the_broker_is_cut_short_by_a_stop(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = agent_config(tmp_path, port, backoff_max=3600.0)
    stop = threading.Event()
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return stop.is_set()

    with Outbox(config.store) as outbox:
        uplink = Uplink(config, outbox, wait)
        uplink._failures = 16
        uplink.step(0.0)
        assert len(waits) > 100  # in slices, so that the watchdog hears of it
        assert max(waits) <= 10.0
        stop.set()
        waits.clear()
        uplink.step(0.0)
        assert len(waits) == 1
