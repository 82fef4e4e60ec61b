"""Desired states, commands and retained state, through Mosquitto."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.base.config import AgentConfig
from agent.base.report import Event, Health, Meta, Receipt, Reported, Response, Vitals, to_json
from agent.base.schemas import registry as schemas
from agent.cli import main
from agent.wall.outbox import Outbox
from agent.wall.remote_settings import read
from tests.summaries import birth
from tests.uplink.conftest import DEVICE, Listen, Listener, agent_config, eventually
from tools.common.mosquitto import Mosquitto

BASE = f"fleeting/1/d/{DEVICE}"
Start = Callable[..., AgentConfig]


class Fleet(Listener):
    """Reads everything, and publishes desired states and commands."""

    def desire(self, topic: str, version: int, **config: Any) -> None:
        body = json.dumps({"version": version, "config": config})
        self._client.publish(topic, body, qos=1, retain=True)

    def ask(self, command: str, body: bytes = b"", **properties: Any) -> None:
        said = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        for name, value in properties.items():
            setattr(said, name, value)
        self._client.publish(f"{BASE}/cmd/{command}", body, qos=1, properties=said)

    def publish(self, topic: str, body: bytes, retain: bool = False) -> None:
        self._client.publish(topic, body, qos=1, retain=retain)

    def subscribe(self, topic: str) -> None:
        self._client.subscribe(topic, qos=1)

    @property
    def reported(self) -> list[Reported]:
        return [Reported.model_validate_json(body) for body in self.bodies("shadow/reported")]

    def answers(self, command: str) -> list[mqtt.MQTTMessage]:
        return [each for each in list(self.messages) if each.topic == f"{BASE}/res/{command}"]


@pytest.fixture
def fleet(mosquitto: Mosquitto) -> Iterator[Fleet]:
    reader = Fleet(mosquitto.port)
    yield reader
    reader.close()


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter intervals."""
    for name in ("META_INTERVAL", "STATE_INTERVAL", "FIRST_HEALTH_DELAY", "APPLY_TIMEOUT_ABSENT"):
        monkeypatch.setattr(f"agent.uplink.state.{name}", 0.1)
    monkeypatch.setattr("agent.uplink.inbound._FLUSH_INTERVAL", 0.1)


@pytest.fixture
def start(
    tmp_path: Path, mosquitto: Mosquitto, running: Callable[[AgentConfig], threading.Event]
) -> Start:
    """The uplink in a thread."""

    def run(group: str | None = None, **mqtt_options: Any) -> AgentConfig:
        config = agent_config(tmp_path, mosquitto.port, **mqtt_options)
        device = config.device.model_copy(update={"group": group})
        config = config.model_copy(update={"device": device})
        running(config)
        return config

    return run


def checked(name: str, body: bytes) -> None:
    jsonschema.validate(json.loads(body), schemas.load(name))


def test_birth_certificate_and_state_are_retained_and_offline_is_published(
    tmp_path: Path,
    mosquitto: Mosquitto,
    listen: Listen,
    running: Callable[[AgentConfig], threading.Event],
) -> None:
    config = agent_config(tmp_path, mosquitto.port)
    with Outbox(config.store) as outbox:
        outbox.latest.put(birth())
    stop = running(config)
    watcher = listen(mosquitto.port)
    eventually(lambda: watcher.bodies("meta") and watcher.bodies("state"), "the birth is seen")
    late = listen(mosquitto.port)
    eventually(lambda: late.bodies("meta") and late.bodies("state"), "both are retained")
    assert late.bodies("state") == [b"online"]
    first = Meta.model_validate_json(late.bodies("meta")[0])
    assert first.birth == birth()
    assert (len(first.key or ""), first.schemas) == (64, schemas.joint_hash())
    jsonschema.validate(json.loads(late.bodies("meta")[0]), schemas.load("meta-1"))
    with Outbox(config.store) as outbox:
        outbox.latest.put(birth("00000009"))
    eventually(lambda: len(late.bodies("meta")) == 2, "the new one")
    assert Meta.model_validate_json(late.bodies("meta")[1]).birth == birth("00000009")
    stop.set()
    eventually(lambda: late.bodies("state")[1:] == [b"offline"], "the goodbye is seen")


def test_a_desired_state_comes_back_as_reported(fleet: Fleet, start: Start) -> None:
    fleet.desire(f"{BASE}/shadow/desired", 7, tracking={"max_faces": 5}, privacy={"k": 200}, x={})
    config = start()
    eventually(lambda: fleet.reported and fleet.reported[-1].version == 7, "it is reported")
    last = fleet.reported[-1]
    assert last.config.tracking.max_faces == 5
    assert {(each.path, each.reason) for each in last.rejected} == {
        ("privacy.k", "wrong_value"),
        ("other", "unknown_key"),
    }
    checked("reported-1", fleet.bodies("shadow/reported")[-1])
    assert read(config.store.settings).patch.tracking.max_faces == 5
    fleet.desire(f"{BASE}/shadow/desired", 6, tracking={"max_faces": 6})
    fleet.desire(f"{BASE}/shadow/desired", 8, tracking={"max_faces": 8})
    eventually(lambda: fleet.reported[-1].version == 8, "the next is reported")
    assert 6 not in [each.version for each in fleet.reported]
    eventually(lambda: any(Event.model_validate_json(body).code == "settings_refused"
                           for body in fleet.bodies("event")), "the refusal is said")  # fmt: skip


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_groups_defaults_hold_where_the_device_has_no_desired_value(
    fleet: Fleet, start: Start, protocol: str
) -> None:
    fleet.desire("fleeting/1/g/shop/desired", 40, tracking={"max_faces": 4}, detection={"tiles": 0})
    fleet.desire(f"{BASE}/shadow/desired", 2, tracking={"max_faces": 9})
    start("shop", protocol=protocol)
    eventually(
        lambda: any((each.version, each.defaults) == (2, 40) for each in fleet.reported), "both"
    )
    config = fleet.reported[-1].config
    assert (config.tracking.max_faces, config.detection.tiles) == (9, 0)


def test_reported_waits_for_perceive(
    fleet: Fleet, start: Start, tmp_path: Path, mosquitto: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with Outbox(agent_config(tmp_path, mosquitto.port).store) as outbox:
        outbox.latest.put(birth())
        outbox.latest.put(Vitals(perception="running", fps=30))
        start()
        eventually(lambda: fleet.reported, "what is in force")
        fleet.desire(f"{BASE}/shadow/desired", 3, tracking={"max_faces": 5})
        eventually(lambda: outbox.depth() == 0, "all is sent")
        time.sleep(0.3)
        assert [each.version for each in fleet.reported] == [0]
        outbox.latest.put(birth().model_copy(update={"settings": 3}))
        eventually(lambda: fleet.reported[-1].version == 3, "confirmed")


def test_commands_are_answered_on_our_own_topic_only(fleet: Fleet, start: Start) -> None:
    config = start()
    eventually(lambda: fleet.bodies("shadow/reported"), "it listens")
    fleet.subscribe("elsewhere/#")
    fleet.ask("ping", ResponseTopic="elsewhere/ping", CorrelationData=b"a token")
    fleet.ask("content", b"9", ResponseTopic=f"{BASE}/shadow/desired", CorrelationData=b"x" * 65)
    fleet.ask("dance", ResponseTopic="fleeting/1/d/another/res/dance")
    eventually(lambda: fleet.answers("other"), "all are answered")
    (ping,), (content,) = fleet.answers("ping"), fleet.answers("content")
    assert Response.model_validate_json(ping.payload).answer == "done"
    assert ping.properties is not None
    said = ping.properties.json()  # type: ignore[no-untyped-call]
    assert bytes.fromhex(said["CorrelationData"]) == b"a token"
    assert said["UserProperty"] == [("schema", "urn:fleeting:response:1")]
    assert not hasattr(content.properties, "CorrelationData")  # too long
    assert read(config.store.settings).content == 9
    for message in (*fleet.answers("ping"), *fleet.answers("other")):
        checked("response-1", bytes(message.payload))
        assert not message.retain
    assert {each.topic for each in fleet.messages if each.topic.startswith("elsewhere")} == set()


def test_a_command_left_behind_as_retained_is_never_carried_out(fleet: Fleet, start: Start) -> None:
    fleet.publish(f"{BASE}/cmd/pause", b"", retain=True)
    config = start()
    eventually(lambda: fleet.bodies("shadow/reported"), "it listens")
    fleet.publish(f"{BASE}/cmd/pause", b"", retain=True)  # and one while it is there
    fleet.ask("ping")
    eventually(lambda: fleet.answers("ping"), "answered")
    assert not fleet.answers("pause")
    assert not read(config.store.settings).paused


def test_report_republishes_everything(
    fleet: Fleet, start: Start, tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with Outbox(agent_config(tmp_path, mosquitto.port).store) as outbox:
        outbox.latest.put(birth())
    start()
    kinds = ("meta", "shadow/reported", "health")
    eventually(lambda: all(fleet.bodies(kind) for kind in kinds), "all is said")
    fleet.ask("report")
    eventually(lambda: all(len(fleet.bodies(kind)) == 2 for kind in kinds), "and again")
    for kind in ("meta", "shadow/reported"):
        assert fleet.bodies(kind)[0] == fleet.bodies(kind)[1]
    checked("health-1", fleet.bodies("health")[0])
    health = next(each for each in fleet.messages if each.topic == f"{BASE}/health")
    assert health.qos == 0
    assert Health.model_validate_json(health.payload).perception == "absent"


@pytest.mark.slow
def test_health_is_not_republished_on_every_connection(
    fleet: Fleet, start: Start, mosquitto: Mosquitto
) -> None:
    start()
    eventually(lambda: fleet.bodies("health"), "health is said")
    states = len(fleet.bodies("state"))
    mosquitto.stop(kill=True)
    mosquitto.start()
    eventually(lambda: len(fleet.bodies("state")) > states, "it is back")
    eventually(lambda: len(fleet.bodies("shadow/reported")) > 1, "the settings are said again")
    time.sleep(0.2)
    assert len(fleet.bodies("health")) == 1


def test_home_assistant_discovery_is_published_repeated_and_deleted(
    fleet: Fleet, start: Start
) -> None:
    topic = f"homeassistant/device/{DEVICE}/config"
    fleet.subscribe("homeassistant/#")
    config = start(discovery=True)

    def announcements() -> list[bytes]:
        return [bytes(each.payload) for each in list(fleet.messages) if each.topic == topic]

    eventually(lambda: len(announcements()) == 1, "it is announcements")
    fleet.publish("homeassistant/status", b"online")
    eventually(lambda: len(announcements()) == 2, "and again")
    assert announcements()[0] == announcements()[1] != b""
    assert read(config.store.settings).announced
    fleet.desire(f"{BASE}/shadow/desired", 1, mqtt={"discovery": False})
    eventually(lambda: announcements()[-1] == b"", "it is taken away")
    eventually(lambda: not read(config.store.settings).announced, "and that is remembered")
    late = Fleet(config.mqtt.port)
    late.subscribe(topic)
    late.ask("ping")
    eventually(lambda: late.answers("ping"), "later")
    assert not [each for each in late.messages if each.topic == topic]
    late.close()


def test_the_first_receipt_is_delivered_and_its_key_is_in_meta(
    fleet: Fleet, start: Start, tmp_path: Path, mosquitto: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("agent.base.clock._synchronised", lambda: True)
    with Outbox(agent_config(tmp_path, mosquitto.port).store) as outbox:
        outbox.latest.put(birth())
    start()
    eventually(lambda: fleet.bodies("receipt") and fleet.bodies("meta"), "both arrive")
    receipt = Receipt.model_validate_json(fleet.bodies("receipt")[0])
    meta = Meta.model_validate_json(fleet.bodies("meta")[0])
    assert receipt.statement.key == meta.key
    assert to_json(receipt) == fleet.bodies("receipt")[0]
    assert meta.receipt is not None
    digest = hashlib.sha256(fleet.bodies("receipt")[0]).hexdigest()
    assert (meta.receipt.number, meta.receipt.sha256) == (1, digest)
    captured = [tmp_path / "receipts", tmp_path / "metas"]
    for path, kind in zip(captured, ("receipt", "meta"), strict=True):
        path.write_bytes(b"".join(body + b"\n" for body in fleet.bodies(kind)))
    asked = ["receipt", "verify", str(captured[0]), "--meta", str(captured[1])]
    assert main(asked) == 0
    captured[1].write_bytes(captured[1].read_bytes().replace(digest.encode(), b"0" * 64))
    assert main(asked) == 1
