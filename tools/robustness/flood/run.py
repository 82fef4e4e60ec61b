"""The attack: a real uplink, a real Mosquitto, and a writer with every right to the outbox."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.base.config import AgentConfig, StoreConfig
from agent.base.report import Meta, Receipt, from_json
from agent.base.settings_file import as_toml, parse
from agent.wall.outbox import Outbox
from tools.common.agent_process import AgentProcess
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.machine import machine
from tools.common.mosquitto import Mosquitto, program
from tools.common.mqtt_loop import end_loop
from tools.robustness.flood.rows import Attacker, Row, insert

DEVICE = "flooded"
_BASE = f"fleeting/1/d/{DEVICE}/"
_SCHEMAS = {
    "summary": "summary-1",
    "event": "event-1",
    "receipt": "receipt-1",
    "meta": "meta-1",
    "health": "health-1",
    "shadow/reported": "reported-1",
    "state": "state",
}
"""Line of the printed day by topic."""
_RETAINED = ("meta", "shadow/reported")
_PATIENCE = 600.0
"""Seconds in which the uplink has to deal with one wave."""


def configuration(folder: Path, port: int) -> AgentConfig:
    """The default configuration, but for the broker and the folder."""
    return parse(
        {
            "device": {"id": DEVICE},
            "store": {"outbox": str(folder / "outbox" / "outbox.db")},
            "mqtt": {"host": "127.0.0.1", "port": port, "backoff_max": 0.5},
        },
        "the flood",
    )


def run(rows: int, seed: int) -> dict[str, Any]:
    """The report; `passed` says whether no more arrived than the printed day. `rows`: of each
    wave. Raises `ToolError`."""
    program()
    began, place = time.monotonic(), machine()
    with tempfile.TemporaryDirectory(prefix="fleeting-flood-") as name, _Flood(Path(name)) as flood:
        attacker = Attacker(flood.config, seed)
        for make in attacker.waves.values():
            flood.write(make(rows), attacker)
        flood.wait()
        for disturb in flood.disturbances.values():
            disturb()
            for make in attacker.waves.values():
                flood.write(make(rows // 4), attacker)
            flood.wait()
        waves = [*attacker.waves, *flood.disturbances]
        report = flood.report()
    return {
        "what": "flood",
        "machine": place,
        "seed": seed,
        "waves": waves,
        **report,
        "seconds": round(time.monotonic() - began, 1),
    }


class _Flood:
    """The processes and what arrived; a context manager that ends them."""

    def __init__(self, folder: Path) -> None:
        self._broker = Mosquitto(folder)
        self.config = configuration(folder, self._broker.port)
        self._settings = folder / "fleeting.toml"
        self._settings.write_text(as_toml(self.config), encoding="utf-8")
        self._path = self.config.store.outbox
        self._uplink = AgentProcess("uplink", self._settings, folder)
        self._arrived: list[tuple[str, bytes]] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._written = self._births = 0
        self.disturbances = {
            "after kill -9 of the uplink": self._kill,
            "after deleting the outbox": self._delete,
            "after replacing the outbox": self._replace,
            "after deleting and kill -9": self._delete_and_kill,
        }

    def __enter__(self) -> _Flood:
        self._broker.start()
        ready = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe(f"{_BASE}#", qos=1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self._arrived.append(
            (message.topic.removeprefix(_BASE), bytes(message.payload))
        )
        self._client.connect("127.0.0.1", self._broker.port)
        self._client.loop_start()
        if not ready.wait(20.0):
            raise ToolError("The broker does not answer. Try again.")
        with Outbox(self.config.store):
            pass
        self._uplink.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._uplink.kill()
        self._client.disconnect()
        end_loop(self._client)
        self._broker.stop()

    def write(self, rows: Iterator[Row], attacker: Attacker) -> None:
        """Put rows into the outbox, a birth and vitals every hundred."""
        with self._database() as database:
            for count, row in enumerate(rows):
                if count % 100 == 0:
                    database.execute("COMMIT")
                    self._write_latest(database, attacker)
                    database.execute("BEGIN IMMEDIATE")
                insert(database, self._written, row)
                self._written += 1

    def wait(self) -> None:
        """Until the uplink has sent or removed every row; started again where it ended, as a
        service is. Raises `ToolError`."""
        deadline = time.monotonic() + _PATIENCE
        while self._depth():
            if self._uplink.ended() is not None:
                self._uplink.start()
            if time.monotonic() > deadline:
                raise ToolError(
                    f"The uplink does not deal with the flood: {self._depth()} rows are left. Its "
                    f"log: {self._uplink.log.read_text(errors='replace')[-400:]}"
                )
            time.sleep(0.2)
        time.sleep(0.5)

    def report(self) -> dict[str, Any]:
        """What arrived against what is printed."""
        day = _printed(self._settings)
        kinds: dict[str, dict[str, int]] = {}
        problems = []
        topics = Counter(topic for topic, _ in self._arrived)
        for kind, name in _SCHEMAS.items():
            bodies = [body for topic, body in self._arrived if topic == kind]
            distinct = len(set(bodies))
            if kind in _RETAINED:
                distinct = sum(a != b for a, b in zip([b"", *bodies], bodies, strict=False))
            elif kind in ("state", "health"):
                distinct = len(bodies)
            line = day[name]
            kinds[kind] = {
                "arrived": distinct,
                "a_day": line["a_day"],
                "bytes": ceil(line["bytes_a_day"] * distinct / line["a_day"]),
                "bytes_a_day": line["bytes_a_day"],
            }
            if distinct > line["a_day"]:
                problems.append(f"{distinct} {kind} arrived, {line['a_day']} are printed")
        problems += [f"something arrived on {each}" for each in topics if each not in _SCHEMAS]
        forged = sum(
            not _signed(body, self._arrived) for t, body in self._arrived if t == "receipt"
        )
        if forged:
            problems.append(f"{forged} forged receipts arrived")
        if not topics["summary"]:
            problems.append("nothing arrived at all: the test sees nothing")
        rows = [each for each in self._arrived if each[0] in ("summary", "event", "receipt")]
        return {
            "written": self._written,
            "births": self._births,
            "kinds": kinds,
            "bytes": sum(each["bytes"] for each in kinds.values()),
            "bytes_a_day": sum(each["bytes_a_day"] for each in day.values()),
            "repeated": len(rows) - len(set(rows)),
            "problems": problems,
            "passed": not problems,
        }

    def _write_latest(self, database: sqlite3.Connection, attacker: Attacker) -> None:
        self._births += 1
        for kind, body in (("Birth", attacker.birth()), ("Vitals", attacker.vitals())):
            database.execute("REPLACE INTO latest VALUES (?, ?, ?)", (kind, body, time.monotonic()))

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=60.0, isolation_level=None)
        try:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        except sqlite3.Error as error:
            raise ToolError(f"The outbox cannot be written: {error}. Try again.") from None
        finally:
            database.close()

    def _depth(self) -> int:
        with Outbox(StoreConfig(outbox=self._path)) as outbox:
            return outbox.depth()

    def _kill(self) -> None:
        self._uplink.kill()
        self._uplink.start()

    def _delete(self) -> None:
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._path}{suffix}")
        with Outbox(self.config.store):
            pass

    def _delete_and_kill(self) -> None:
        self._delete()
        self._kill()

    def _replace(self) -> None:
        """By another file with other ids."""
        other = self._path.with_name("other.db")
        with Outbox(StoreConfig(outbox=other)):
            pass
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._path}{suffix}")
        os.replace(other, self._path)


def _printed(settings: Path) -> dict[str, dict[str, Any]]:
    """The day by message, as the capacity tool prints it."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.capacity", "--config", str(settings), "--json"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        raise ToolError(f"tools.capacity failed: {done.stderr.strip()}. Run it by itself.")
    return {line["message"]: line for line in json.loads(done.stdout)["messages"]}


def _signed(body: bytes, arrived: list[tuple[str, bytes]]) -> bool:
    """Whether a receipt names the key of the device's own birth certificate."""
    receipt = from_json(Receipt, body)
    metas = [from_json(Meta, each) for topic, each in arrived if topic == "meta"]
    keys = {each.key for each in metas if each}
    return receipt is not None and receipt.statement.key in keys
