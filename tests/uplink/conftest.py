"""Mosquitto on a free loopback port, and a subscriber that records messages."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.base.config import AgentConfig
from agent.base.report import to_json
from agent.base.settings_file import parse
from agent.desk.loopback.broker import Broker
from agent.privacy.policy.rules import resolve
from agent.uplink.process import Uplink, run_uplink
from agent.wall.outbox import Outbox
from tests.fakes import untrusted_clock  # noqa: F401
from tests.summaries import summary
from tools.common.mosquitto import Mosquitto, installed
from tools.common.mqtt_loop import end_loop
from tools.common.processes import below

DEVICE = "box-7"


@pytest.fixture(autouse=True)
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter polling intervals."""
    monkeypatch.setattr("agent.uplink.sender.POLL_INTERVAL", 0.05)
    monkeypatch.setattr("agent.uplink.process.POLL_INTERVAL", 0.05)
    monkeypatch.setattr("agent.uplink.state.POLL_INTERVAL", 0.05)


@pytest.fixture(autouse=True)
def no_resolver_left() -> Iterator[None]:
    """Whoever makes an uplink stops it: the process that looks up names ends with it."""
    before = set(below(os.getpid()))
    yield
    left = set(below(os.getpid())) - before
    assert not [each for each in left if "agent.uplink.resolver" in _command(each)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.fixture
def broker() -> Iterator[Broker]:
    """The loopback broker of the demo."""
    with Broker() as started:
        yield started


@pytest.fixture
def make_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    if installed() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    brokers: list[Mosquitto] = []

    def make(extra: str = "allow_anonymous true") -> Mosquitto:
        brokers.append(Mosquitto(tmp_path, extra))
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.stop()


@pytest.fixture
def mosquitto(make_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    broker = make_mosquitto()
    broker.start()
    return broker


class Listener:
    """Subscribed to everything, over MQTT 5; reconnects by itself.

    Its session outlives a broker that keeps sessions, as that of a back end should.
    """

    def __init__(self, port: int, username: str = "", password: str = "") -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self._ready = threading.Event()
        name = f"reader-{secrets.token_hex(4)}"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("fleeting/#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _client, _data, message: self.messages.append(message)
        self._client.reconnect_delay_set(0.05, 0.05)  # type: ignore[arg-type]
        if username:
            self._client.username_pw_set(username, password)
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 3600
        self._client.connect("127.0.0.1", port, clean_start=False, properties=session)
        self._client.loop_start()
        assert self._ready.wait(60)

    def bodies(self, kind: str) -> list[bytes]:
        topic = f"fleeting/1/d/{DEVICE}/{kind}"
        return [bytes(message.payload) for message in list(self.messages) if message.topic == topic]

    def summaries(self) -> list[bytes]:
        return self.bodies("summary")

    def close(self) -> None:
        self._client.disconnect()
        end_loop(self._client)


Listen = Callable[..., Listener]


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def start(*args: Any) -> Listener:
        listeners.append(Listener(*args))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture
def running() -> Iterator[Callable[[AgentConfig], threading.Event]]:
    """`run_uplink` in threads that are stopped and joined at the end."""
    started: list[tuple[threading.Event, threading.Thread]] = []

    def start(config: AgentConfig) -> threading.Event:
        stop = threading.Event()
        thread = threading.Thread(target=run_uplink, args=(config, stop), daemon=True)
        thread.start()
        started.append((stop, thread))
        return stop

    yield start
    for stop, thread in started:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def agent_config(folder: Path, port: int, **mqtt_options: Any) -> AgentConfig:
    return parse(
        {
            "device": {"id": DEVICE},
            "privacy": {"policy": "demo", "microphone": False, "words": False},
            "store": {"outbox": str(folder / "outbox.db")},
            "mqtt": {
                "host": "127.0.0.1", "port": port, "backoff_max": 0.5, "keepalive": 5,
                **mqtt_options,
            },
        },
        "test",
    )  # fmt: skip


def eventually(true: Callable[[], object], what: str, within: float = 120.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.02)


def fill(config: AgentConfig, number: int, first: int = 0) -> list[bytes]:
    """Add summaries; returns their bytes."""
    policy = resolve(config, live=False)
    made = [summary(first + seq, policy=policy) for seq in range(number)]
    with Outbox(config.store) as outbox:
        for each in made:
            outbox.add(each)
    return [to_json(each) for each in made]


def depth(config: AgentConfig) -> int:
    with Outbox(config.store) as outbox:
        return outbox.depth()


def summaries(outbox: Outbox) -> int:
    return sum(row.kind == "summary" for row in outbox.peek(1000))


@contextlib.contextmanager
def stepped_uplink(config: AgentConfig) -> Iterator[tuple[Uplink, Outbox]]:
    """An uplink driven by `step`, without backoff delays."""
    with Outbox(config.store) as outbox:
        uplink = Uplink(config, outbox, lambda _: None)
        try:
            yield uplink, outbox
        finally:
            uplink.stop()


def until(uplink: Uplink, true: Callable[[], object], what: str, steps: int = 400) -> None:
    """Step until it is true."""
    for _ in range(steps):
        if true():
            return
        uplink.step(0.02)
    raise AssertionError(f"not after {steps} steps: {what}")
