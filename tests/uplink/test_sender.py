"""Publishing the outbox: at-least-once delivery despite failures of broker, disk and outbox."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from agent.base.config import AgentConfig
from agent.base.report import Event
from agent.base.schemas import registry as schemas
from agent.desk.loopback import packets
from agent.desk.loopback.broker import Broker, _Session
from tests.summaries import birth
from tests.uplink.conftest import (
    DEVICE,
    Listen,
    agent_config,
    depth,
    eventually,
    fill,
    stepped_uplink,
    summaries,
    until,
)  # fmt: skip
from tools.common.mosquitto import Mosquitto


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_summaries_arrive_schema_valid_and_byte_for_byte(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen, protocol: str,
    running: Callable[[AgentConfig], threading.Event],
) -> None:  # fmt: skip
    config = agent_config(tmp_path, mosquitto.port, protocol=protocol)
    listener = listen(mosquitto.port)
    expected = fill(config, 45)
    running(config)
    eventually(lambda: len(listener.summaries()) >= 45, "all summaries arrive")
    assert listener.summaries() == expected
    validator = jsonschema.Draft202012Validator(schemas.load("summary-1"))
    for body in listener.summaries():
        validator.validate(json.loads(body))
    eventually(lambda: depth(config) == 0, "the outbox is empty")
    later = fill(config, 1, 45)
    eventually(lambda: listener.summaries()[45:] == later, "a later summary arrives")
    message = next(m for m in listener.messages if m.topic.endswith("/summary"))
    assert message.qos == 1
    if protocol == "5":
        assert message.properties is not None
        properties = message.properties.json()  # type: ignore[no-untyped-call]
        assert properties["ContentType"] == "application/json"
        assert properties["UserProperty"] == [("schema", "urn:fleeting:summary:1")]
        assert 0 < properties["MessageExpiryInterval"] <= 7 * 86_400


@pytest.mark.slow
def test_after_the_broker_was_away_every_summary_arrives(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], listen: Listen,
    running: Callable[[AgentConfig], threading.Event],
) -> None:  # fmt: skip
    """The whole three minutes: FLEETING_BROKER_AWAY=180."""
    away = float(os.environ.get("FLEETING_BROKER_AWAY", "0.5"))
    broker = make_mosquitto(
        f"allow_anonymous true\npersistence true\npersistence_location {tmp_path}/"
    )
    broker.start()
    config = agent_config(tmp_path, broker.port)
    listener = listen(broker.port)
    expected = fill(config, 30)
    running(config)
    eventually(lambda: len(listener.summaries()) >= 30, "the first arrive")
    broker.stop()
    ends = time.monotonic() + away
    number = 30
    while time.monotonic() < ends:
        expected += fill(config, 1, number)
        number += 1
        time.sleep(min(1.0, away / 10))
    assert depth(config) == number - 30
    broker.start()
    eventually(lambda: set(expected) <= set(listener.summaries()), "the rest arrive", 90)
    eventually(lambda: depth(config) == 0, "the outbox is empty")
    assert set(listener.summaries()) == set(expected)
    assert listener.bodies("state")[-1] == b"online"


@pytest.mark.parametrize(("own", "brokers"), [(3, 20), (20, 1)])
def test_no_more_in_flight_than_both_allow(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], own: int, brokers: int
) -> None:
    broker = make_mosquitto(f"allow_anonymous true\nmax_inflight_messages {brokers}")
    broker.start()
    config = agent_config(tmp_path, broker.port, discovery=True, in_flight=own)
    fill(config, 20)
    with stepped_uplink(config) as (uplink, outbox):
        outbox.latest.put(birth())

        def drained() -> bool:
            if uplink._connection is not None:
                assert len(uplink._connection._in_flight) <= min(own, brokers)
            return not summaries(outbox)

        until(uplink, drained, "all is sent")


def test_rows_that_are_no_messages_are_removed_and_recorded(
    tmp_path: Path, broker: Broker, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compromised perceive process cannot publish other data."""
    monkeypatch.setattr("agent.uplink.inbound._FLUSH_INTERVAL", 0.05)
    config = agent_config(tmp_path, broker.port)
    listener = listen(broker.port)
    (good,) = fill(config, 1)
    bad = [
        ("picture", good), ("receipt", good), ("event", good), ("summary", b"\x89PNG and so on"),
        ("summary", good.replace(b'"v":1', b'"v":1,"face":"data"')),
        ("summary", good.replace(b",", b", ", 1)),
        ("summary", good.replace(b'"slot":0', b'"slot":999')),
    ]  # fmt: skip
    with stepped_uplink(config) as (uplink, outbox):
        with outbox._database.transaction("test") as database:
            for seq, (kind, body) in enumerate(bad):
                database.execute(
                    "INSERT INTO outbox (kind, boot, seq, body) VALUES (?, 'x', ?, ?)",
                    (kind, seq, body),
                )
        until(uplink, lambda: listener.bodies("event"), "an event")
        until(uplink, lambda: outbox.depth() == 0, "the outbox is empty")
    (event,) = (Event.model_validate_json(body) for body in listener.bodies("event"))
    assert (event.code, event.count) == ("row_refused", len(bad))
    assert listener.summaries() == [good]
    sent = {message.topic.rpartition("/")[2] for message in listener.messages}
    assert sent <= {"state", "reported", "summary", "event"}


def test_acknowledged_twice_is_removed_once(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch, listen: Listen
) -> None:
    before = Broker._handle_packet

    def twice(self: Broker, session: _Session, first: int, body: bytes) -> None:
        before(self, session, first, body)
        if first >> 4 == 3:
            _, number = packets.parse_publish(first, body, session.connect.version)
            for mid in (number, number, 777):
                session.writer.write(packets.packet(0x40, struct.pack("!H", mid)))

    monkeypatch.setattr(Broker, "_handle_packet", twice)
    config = agent_config(tmp_path, broker.port)
    listener = listen(broker.port)
    expected = fill(config, 60)
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: summaries(outbox) == 0, "all is sent")
        assert uplink.connected
    eventually(lambda: len(listener.summaries()) >= 60, "all arrive")
    assert listener.summaries() == expected


def test_a_broker_that_closes_at_random_gets_everything_in_the_end(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch, listen: Listen
) -> None:
    """At any packet, before or after the PUBACK: at least once, byte for byte."""
    before, seen = Broker._handle_packet, [0]

    def moody(self: Broker, session: _Session, first: int, body: bytes) -> None:
        if session.connect.client_id == DEVICE:
            seen[0] += 1
            if seen[0] % 17 == 0:
                session.writer.close()
                return
        before(self, session, first, body)
        if session.connect.client_id == DEVICE and seen[0] % 23 == 0:
            session.writer.transport.abort()

    monkeypatch.setattr(Broker, "_handle_packet", moody)
    config = agent_config(tmp_path, broker.port, in_flight=3)
    listener = listen(broker.port)
    expected = fill(config, 80)
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: summaries(outbox) == 0, "all is sent", 3000)
    eventually(lambda: set(expected) <= set(listener.summaries()), "all arrive")
    assert set(listener.summaries()) == set(expected)


def test_an_outbox_damaged_while_connected_is_replaced_and_recorded(
    tmp_path: Path, broker: Broker, listen: Listen
) -> None:
    config = agent_config(tmp_path, broker.port)
    listener = listen(broker.port)
    fill(config, 5)
    with stepped_uplink(config) as (uplink, outbox):
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


def test_an_outbox_replaced_by_one_with_older_row_ids_under_the_same_inode_is_sent(
    tmp_path: Path, broker: Broker, listen: Listen
) -> None:
    """An inode's number is given again as soon as the file is gone."""
    config = agent_config(tmp_path, broker.port)
    listener = listen(broker.port)
    fill(config, 5)
    other = agent_config(tmp_path / "other", broker.port)
    later = fill(other, 3, 50)
    with contextlib.closing(sqlite3.connect(other.store.outbox)) as database, database:
        database.execute("UPDATE outbox SET id = id - (SELECT MIN(id) FROM outbox) + 1")
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: summaries(outbox) == 0, "all is sent")
        outbox.close()
        inode = config.store.outbox.stat().st_ino
        config.store.outbox.write_bytes(other.store.outbox.read_bytes())
        assert config.store.outbox.stat().st_ino == inode
        outbox.peek(1)  # not the sender's own look is the first
        until(uplink, lambda: set(later) <= set(listener.summaries()), "the new one is sent")


def test_what_was_taken_from_a_lost_outbox_removes_nothing_from_the_next(
    tmp_path: Path, broker: Broker, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late PUBACK for the replaced file must not remove a row of the new one."""
    before, late = Broker._handle_packet, []

    def slow(self: Broker, session: _Session, first: int, body: bytes) -> None:
        if first >> 4 == 3 and b"/summary" in body and session.connect.client_id == DEVICE:
            message, number = packets.parse_publish(first, body, session.connect.version)
            self._route(message)
            late.append((session, packets.packet(0x40, struct.pack("!H", number))))
        else:
            before(self, session, first, body)

    monkeypatch.setattr(Broker, "_handle_packet", slow)
    config = agent_config(tmp_path, broker.port)
    listener = listen(broker.port)
    fill(config, 5)
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: len(late) == 5, "five are in flight")
        outbox.close()
        for suffix in ("-wal", "-shm", ""):
            old = config.store.outbox.with_name(config.store.outbox.name + suffix)
            if old.exists():
                old.rename(f"{old}.moved")  # as the perceive process would
        later = fill(config, 5, 50)
        for session, puback in late:
            broker._loop.call_soon_threadsafe(session.writer.write, puback)
        monkeypatch.setattr(Broker, "_handle_packet", before)
        until(uplink, lambda: summaries(outbox) == 0, "the new one is sent")
    eventually(lambda: set(later) <= set(listener.summaries()), "none of them is missing")


@pytest.mark.slow
def test_a_disk_that_becomes_read_only_while_connected(
    tmp_path: Path, broker: Broker, listen: Listen, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Acknowledged rows that cannot be removed are not sent again."""
    monkeypatch.setattr("agent.uplink.process._STORE_RETRY_DELAY", 0.05)
    config = agent_config(tmp_path, broker.port)
    listener = listen(broker.port)
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: listener.bodies("shadow/reported"), "it is there")
        expected = fill(config, 10)
        lock = sqlite3.connect(config.store.outbox, isolation_level=None)
        monkeypatch.setattr("agent.wall.outbox._database._BUSY_TIMEOUT", 0.05)
        outbox.close()
        lock.execute("BEGIN IMMEDIATE")  # nobody else can write; everybody can read
        until(uplink, lambda: listener.summaries() == expected, "they are sent")
        for _ in range(10):
            uplink.step(0.02)
        assert uplink.connected
        assert listener.summaries() == expected
        lock.execute("ROLLBACK")
        lock.close()
        until(uplink, lambda: summaries(outbox) == 0, "they are removed")
        assert listener.summaries() == expected
    assert any("Could not" in record.getMessage() for record in caplog.records)
    assert all(record.exc_info is None for record in caplog.records)


def test_a_wall_clock_that_steps_two_weeks_changes_nothing(
    tmp_path: Path, broker: Broker, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, step = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: now() + step)
    config = agent_config(tmp_path, broker.port)
    listener = listen(broker.port)
    with stepped_uplink(config) as (uplink, outbox):
        expected = []
        for number, step in enumerate((0.0, 14 * 86_400.0, -14 * 86_400.0, 0.0)):  # noqa: B007
            expected += fill(config, 5, 5 * number)
            until(uplink, lambda: summaries(outbox) == 0, "all is sent")
        assert uplink._failures == 0
    eventually(lambda: listener.summaries() == expected, "all arrive")
    eventually(lambda: listener.bodies("state")[-1] == b"offline", "the goodbye is seen")
    assert listener.bodies("state") == [b"online", b"offline"]


def test_stopping_sends_what_is_left(tmp_path: Path, broker: Broker, listen: Listen) -> None:
    config = agent_config(tmp_path, broker.port)
    listener = listen(broker.port)
    with stepped_uplink(config) as (uplink, outbox):
        uplink.step(0.1)
        expected = fill(config, 60)
        uplink.stop()
        assert outbox.depth() == 0
    eventually(lambda: listener.summaries() == expected, "all arrive")
    eventually(lambda: listener.bodies("state")[-1] == b"offline", "the goodbye is seen")
