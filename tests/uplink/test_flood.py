"""A taken-over perceive process against the printed day, through a real Mosquitto."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.base.config import AgentConfig
from agent.base.report import Event, SlotsInUse, SlotUse, Vitals
from agent.uplink.process import Uplink
from agent.wall.outbox import Outbox
from tests.uplink.conftest import DEVICE, Listen, agent_config, eventually
from tools.common.mosquitto import Mosquitto
from tools.robustness.flood.rows import Attacker, Row, insert
from tools.robustness.flood.run import configuration

NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def short_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.uplink.sender.GRID", 0.05)
    monkeypatch.setattr("agent.uplink.state.META_INTERVAL", 0.05)


def named(config: AgentConfig, **quotas: object) -> AgentConfig:
    return config.model_copy(
        update={"device": config.device.model_copy(update={"id": DEVICE}), **quotas}
    )


def write(config: AgentConfig, rows: Iterator[Row]) -> None:
    """As perceive could: past `Outbox.add`."""
    with Outbox(config.store) as outbox, outbox._database.transaction("flood") as database:
        for row in rows:
            insert(database, next(NUMBERS), row)


class Device:
    """An uplink in this process; `kill` is what kill -9 leaves behind."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._start()

    def _start(self) -> None:
        self.outbox = Outbox(self._config.store)
        self.uplink = Uplink(self._config, self.outbox, lambda _: None)

    def kill(self) -> None:
        if self.uplink._connection is not None:
            sock = self.uplink._connection._client.socket()
            assert sock is not None
            sock.close()
        self.outbox.close()
        self._start()

    def drain(self) -> None:
        for _ in range(3000):
            self.uplink.step(0.01)
            if self.outbox.depth() == 0 and self.uplink.connected:
                return
        raise AssertionError(f"{self.outbox.depth()} rows are left")


def remove(config: AgentConfig) -> None:
    for suffix in ("-wal", "-shm", ""):
        Path(f"{config.store.outbox}{suffix}").unlink(missing_ok=True)


@pytest.mark.slow
def test_a_flood_cannot_exceed_the_printed_day(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen
) -> None:
    """Killed, restarted, with the outbox deleted and replaced in between."""
    config = named(configuration(tmp_path, mosquitto.port))
    attacker = Attacker(config, 3)
    listener = listen(mosquitto.port)
    device = Device(config)
    quota = device.uplink.warden.quotas
    write(config, attacker.permitted(2 * quota.summary))
    disturbances: list[Callable[[], None]] = [
        lambda: None,
        device.kill,
        lambda: remove(config),
        device.kill,
        lambda: os.unlink(config.store.outbox),
    ]
    for disturb in disturbances:
        disturb()
        for make in attacker.waves.values():
            write(config, make(100))
        device.drain()
        with Outbox(config.store) as outbox, outbox._database.transaction("flood") as database:
            for kind, body in (("Birth", attacker.birth()), ("Vitals", attacker.vitals())):
                database.execute("REPLACE INTO latest VALUES (?, ?, 0)", (kind, body))
        time.sleep(0.1)
        device.drain()
    eventually(lambda: len(listener.summaries()) >= quota.summary, "the day arrives")
    time.sleep(0.5)
    assert len(set(listener.summaries())) == quota.summary
    assert quota.event - 4 <= len(set(listener.bodies("event"))) <= quota.event
    assert not listener.bodies("receipt")
    assert len(set(listener.bodies("meta"))) <= quota.meta
    assert len(listener.bodies("health")) <= quota.health
    codes = Counter(Event.model_validate_json(body).code for body in listener.bodies("event"))
    assert codes["quota_exceeded"] > 0
    device.uplink.stop()


def test_births_beyond_the_quota_leave_the_last_one_in_force(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen
) -> None:
    config = named(configuration(tmp_path, mosquitto.port))
    attacker = Attacker(config, 4)
    listener = listen(mosquitto.port)
    device = Device(config)
    quota = device.uplink.warden.quotas.meta
    for _ in range(quota + 5):
        with device.outbox._database.transaction("flood") as database:
            database.execute(
                "REPLACE INTO latest VALUES ('Birth', ?, ?)", (attacker.birth(), time.monotonic())
            )
        for _ in range(20):
            device.uplink.step(0.01)
    eventually(lambda: len(listener.bodies("meta")) >= quota, "they arrive")
    assert len(set(listener.bodies("meta"))) == quota
    last = listener.bodies("meta")[-1]
    device.kill()
    count = len(listener.bodies("meta"))
    for _ in range(30):
        device.uplink.step(0.01)
    eventually(lambda: len(listener.bodies("meta")) > count, "it is there after a restart")
    assert set(listener.bodies("meta")[count:]) == {last}
    device.uplink.stop()


@pytest.mark.slow
def test_days_without_a_broker_lose_nothing_that_was_admitted(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], listen: Listen,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """An uplink that runs admits each day's windows as they appear, though none can be sent."""
    away = {"seconds": 0.0}
    boottime = time.clock_gettime
    monkeypatch.setattr(
        "agent.base.device_time._boottime",
        lambda: boottime(time.CLOCK_BOOTTIME) + away["seconds"],
    )
    broker = make_mosquitto()
    config = named(configuration(tmp_path, broker.port))
    device = Device(config)
    attacker = Attacker(config, 5)
    for _ in range(4):
        write(config, attacker.permitted(400))
        for _ in range(10):
            device.uplink.step(0.01)
        away["seconds"] += 86_400.0
    device.kill()
    broker.start()
    listener = listen(broker.port)
    device.drain()
    eventually(lambda: len(listener.summaries()) >= 1600, "all of them arrive")
    device.uplink.stop()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE outbox SET body = 12345678901",
        "UPDATE outbox SET body = 'text', kind = x'00'",
        "UPDATE outbox SET body = zeroblob(50000000)",
        "UPDATE latest SET body = 99999999999, written = 'now'",
        "INSERT INTO latest VALUES ('Vitals', 5, 'x')",
        "INSERT INTO counter VALUES ('trimmed', 'many'), ('event_day', x'00')",
        "INSERT INTO spoken VALUES ('paused', 'x', 'y')",
        "INSERT INTO ledger VALUES ('b', 0, 0, 'x', 'y', 0, 0, 'no hash')",
        "DROP TABLE outbox",
    ],
)
def test_values_of_other_types_do_not_end_the_uplink(
    tmp_path: Path, mosquitto: Mosquitto, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its restarts would say something."""
    monkeypatch.setattr("agent.uplink.inbound._FLUSH_INTERVAL", 0.05)
    config = agent_config(tmp_path, mosquitto.port)
    device = Device(config)
    with contextlib.closing(sqlite3.connect(config.store.outbox)) as database, database:
        database.execute("INSERT INTO outbox (kind, boot, seq, body) VALUES ('event', 'b', 1, '')")
        database.execute("INSERT INTO latest VALUES ('Birth', x'00', 1.0)")
        database.execute(statement)
    for _ in range(15):
        device.uplink.step(0.01)
        device.uplink._store_retry = device.uplink._next_housekeeping = 0.0
    assert device.uplink.connected
    device.uplink.stop()


def test_a_slot_beyond_the_days_is_answered(tmp_path: Path, mosquitto: Mosquitto) -> None:
    config = agent_config(tmp_path, mosquitto.port)
    used = tuple(SlotUse(slot=slot, at=0) for slot in range(255))
    with Outbox(config.store) as outbox:
        outbox.latest.put(Vitals(perception="running", fps=30))
        outbox.latest.put(
            SlotsInUse(elapsed=0, machine="", boottime=0, utc=None, open=False, used=used)
        )
        uplink = Uplink(config, outbox, lambda _: None)
        inbound = uplink._inbound
        assert inbound._set_content(7) == "done"
        assert inbound._set_content(255) == "done"
        outbox.latest.put(
            SlotsInUse(
                elapsed=0, machine="", boottime=0, utc=None, open=False,
                used=(*used, SlotUse(slot=0, at=1)),
            )
        )  # fmt: skip
        uplink.stop()
    shop = named(configuration(tmp_path / "shop", mosquitto.port))
    with Outbox(shop.store) as outbox:
        outbox.latest.put(
            SlotsInUse(
                elapsed=0, machine="", boottime=0, utc=None, open=False,
                used=tuple(SlotUse(slot=slot, at=0) for slot in range(1, 8)),
            )
        )  # fmt: skip
        uplink = Uplink(shop, outbox, lambda _: None)
        assert uplink._inbound._set_content(7) == "done"
        assert uplink._inbound._set_content(0) == "done"
        assert uplink._inbound._set_content(8) == "too_many_slots"
        assert json.loads(shop.store.settings.read_bytes())["content"] == 0
        uplink.stop()


def test_an_admitted_row_that_changes_is_not_sent(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen
) -> None:
    config = named(configuration(tmp_path, mosquitto.port))
    attacker = Attacker(config, 6)
    listener = listen(mosquitto.port)
    device = Device(config)
    write(config, attacker.permitted(1))
    device.uplink._with_store(device.uplink._judge)
    (row,) = device.outbox.peek(9)
    assert device.uplink.warden.remembers(row)
    _, other = next(attacker.permitted(1))
    assert other != row.body
    with device.outbox._database.transaction("flood") as database:
        database.execute("UPDATE outbox SET body = ?", (other,))
        sha256 = hashlib.sha256(other).hexdigest()
        database.execute("UPDATE ledger SET sha256 = ?", (sha256,))
    for _ in range(20):
        device.uplink.step(0.01)
    assert not listener.summaries()
    device.uplink._sender._rescan()
    device.drain()
    eventually(lambda: listener.summaries() == [other], "it is judged anew, and counted")
    device.uplink.stop()
