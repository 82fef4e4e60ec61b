"""Where a broker says that nobody reads, what somebody used to read is kept for a while."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from agent.base.config import AgentConfig
from agent.uplink.audience import NOBODY, PATIENCE, Audience
from tests.uplink.conftest import agent_config, depth, eventually, fill
from tools.common.mosquitto import Mosquitto
from tools.common.mqtt_loop import end_loop


def test_what_nobody_ever_read_is_delivered_once_acknowledged() -> None:
    audience = Audience()
    assert all(audience.is_delivered("summary", NOBODY, now) for now in (0.0, 1.0, 1e6))


def test_readers_are_waited_for_by_kind_and_not_for_ever() -> None:
    audience = Audience()
    assert audience.is_delivered("summary", 0, 10.0)
    assert audience.is_delivered("event", NOBODY, 10.0)
    assert not audience.is_delivered("summary", NOBODY, 20.0)
    assert not audience.is_delivered("summary", NOBODY, 19.0 + PATIENCE)
    assert audience.is_delivered("summary", 0, 20.0 + PATIENCE), "they came back"
    assert not audience.is_delivered("summary", NOBODY, 1_000.0)
    assert audience.is_delivered("summary", NOBODY, 1_000.0 + PATIENCE), "gone for good"
    assert audience.is_delivered("summary", NOBODY, 1_001.0 + PATIENCE)


@pytest.mark.slow
def test_a_shared_subscription_that_a_broker_forgot_costs_nothing(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto],
    running: Callable[[AgentConfig], threading.Event], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """As after a broker's restart: the readers are away, then back."""
    monkeypatch.setattr("agent.uplink.sender.RETRY", 0.2)
    broker = make_mosquitto()
    broker.start()
    config = agent_config(tmp_path, broker.port)
    found: list[bytes] = []
    name = f"reader-{secrets.token_hex(4)}"
    reader = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5)
    reader.on_message = lambda _client, _data, message: found.append(bytes(message.payload))
    reader.connect("127.0.0.1", broker.port)
    reader.loop_start()
    topic = "$share/readers/fleeting/1/d/+/summary"
    reader.subscribe(topic, qos=1)
    time.sleep(0.3)
    expected = fill(config, 3)
    running(config)
    eventually(lambda: found == expected, "the first arrive")
    eventually(lambda: depth(config) == 0, "and leave the outbox")
    reader.unsubscribe(topic)
    time.sleep(0.3)
    expected += fill(config, 3, 3)
    time.sleep(1.5)
    assert depth(config) == 3, "acknowledged, and kept"
    assert found == expected[:3]
    reader.subscribe(topic, qos=1)
    eventually(lambda: sorted(set(found)) == sorted(expected), "the rest arrives")
    eventually(lambda: depth(config) == 0, "and leaves the outbox")
    reader.disconnect()
    end_loop(reader)
