"""Fuzzing through a real Mosquitto to a real, sandboxed uplink; then by a malicious broker."""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.base.settings_file import as_toml
from agent.wall.outbox import Outbox
from agent.wall.remote_settings import read
from tools.common.agent_process import AgentProcess
from tools.common.errors import ToolError
from tools.common.mosquitto import Mosquitto, installed
from tools.common.mqtt_loop import end_loop
from tools.robustness.fuzz.cases import BASE, Case, Cases
from tools.robustness.fuzz.run import MOST_RESIDENT, configuration, resident
from tools.robustness.fuzz.streams import Rogue, streams

_PATIENCE = 90.0
"""Seconds for the uplink to answer; its own limits make it wait after a flood."""
_MOST_TOPIC = 1000
_DRAWN = 20


def run(messages: int, seed: int) -> dict[str, Any]:
    """The report, with `problems`; where there is no Mosquitto it says so and holds nothing else.
    Raises `ToolError`."""
    if installed() is None:
        return {"broker": "", "problems": []}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        return _Wire(Path(name)).run(messages, seed)


class _Wire:
    """One broker, one uplink, and a client that publishes and listens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._broker = Mosquitto(folder)
        self._config = configuration(
            folder, host="127.0.0.1", port=self._broker.port, backoff_max=0.1, keepalive=5
        )
        settings = folder / "fleeting.toml"
        settings.write_text(as_toml(self._config), encoding="utf-8")
        self._uplink = AgentProcess("uplink", settings, folder)
        self._heard: list[str] = []
        self._problems: list[str] = []

    def run(self, messages: int, seed: int) -> dict[str, Any]:
        self._broker.start()
        self._uplink.start()
        try:
            with self._client() as stranger:
                self._ask(stranger, "before")
                sent, growth = self._flood(stranger, messages, seed)
                self._ask(stranger, "after the flood")
            self._broker.stop()
            given = list(streams(seed, _DRAWN))
            rogue = Rogue(self._broker.port, given)
            rogue.done.wait(30.0 + 5.0 * len(given))
            served = rogue.served
            rogue.close()
            self._broker.start()
            self._deliver()
        finally:
            code = self._uplink.ended()
            self._uplink.stop()
            self._broker.stop()
        if code is not None:
            self._problems.append(f"the uplink ended with code {code}")
        if served < len(given):
            self._problems.append(f"the uplink came back {served} times, not {len(given)}")
        words = self._uplink.log.read_text(errors="replace")
        if "Traceback" in words:
            self._problems.append(f"a traceback: {words[words.index('Traceback') :][-600:]}")
        return {
            "broker": "Mosquitto",
            "messages": sent,
            "streams": served,
            "resident_growth": growth,
            "problems": self._problems,
        }

    @contextlib.contextmanager
    def _client(self) -> Any:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        ready = threading.Event()

        def subscribe(*_: Any) -> None:
            client.subscribe(f"{BASE}/#", qos=1)

        client.on_connect = subscribe
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = lambda _client, _data, message: self._hear(message)
        client.connect("127.0.0.1", self._broker.port)
        client.loop_start()
        try:
            if not ready.wait(20):
                raise ToolError("The broker does not answer the fuzzer. Try again.")
            yield client
        finally:
            client.disconnect()
            end_loop(client)

    def _hear(self, message: mqtt.MQTTMessage) -> None:
        with contextlib.suppress(UnicodeDecodeError):
            if not message.retain and message.topic in (f"{BASE}/res/ping", f"{BASE}/event"):
                self._heard.append(message.topic)

    def _ask(self, client: mqtt.Client, when: str) -> None:
        """A ping must be answered, in the end."""
        count = self._heard.count(f"{BASE}/res/ping")

        def answered() -> bool:
            client.publish(f"{BASE}/cmd/ping", b"", qos=1)
            time.sleep(0.5)
            return self._heard.count(f"{BASE}/res/ping") > count

        if not _eventually(answered):
            self._problems.append(f"the uplink does not answer, {when}")

    def _flood(self, client: mqtt.Client, messages: int, seed: int) -> tuple[int, int]:
        """Only what must be refused: the settings file must stay as it is, byte for byte."""
        self._desire(client)
        path = self._config.store.settings
        before = path.read_bytes() if path.exists() else b""
        held = read(path)
        cases = Cases(seed, lambda: (held.version, held.defaults_version))
        sent, early = 0, 0
        while sent < messages:
            case = cases.draw()
            if not _can_be_sent(case) or (len(case.payload) > 100_000 and sent % 100):
                continue
            with contextlib.suppress(ValueError):
                client.publish(case.topic or "", case.payload, qos=sent % 2, retain=case.retain)
                sent += 1
            if sent % 100 == 0:
                time.sleep(0.05)
            if sent == messages // 5:
                early = resident(self._uplink.pid)
        self._ask(client, "at the end of the flood")
        if (path.read_bytes() if path.exists() else b"") != before:
            self._problems.append("the settings file changed")
        growth = resident(self._uplink.pid) - early
        if growth > MOST_RESIDENT:
            self._problems.append(f"the uplink grew by {growth} bytes")
        return sent, growth

    def _desire(self, client: mqtt.Client) -> None:
        """One valid desired state first: it must be applied."""
        body = json.dumps({"version": 5, "config": {"tracking": {"max_faces": 9}}})
        client.publish(f"{BASE}/shadow/desired", body, qos=1, retain=True)
        if not _eventually(lambda: read(self._config.store.settings).version == 5):
            self._problems.append("a valid desired state had no effect")

    def _deliver(self) -> None:
        """After everything: what is put into the outbox arrives."""
        with self._client(), Outbox(self._config.store) as outbox:
            outbox.events.record("camera_stalled")
            if not _eventually(lambda: f"{BASE}/event" in self._heard and outbox.depth() == 0):
                self._problems.append("the uplink delivers nothing after the rogue broker")


def _can_be_sent(case: Case) -> bool:
    """What a broker passes on and must change nothing."""
    topic = case.topic
    return (
        case.refused
        and topic is not None
        and 0 < len(topic) < _MOST_TOPIC
        and not any(each in topic for each in "+#$\0\n")
    )


def _eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.1)
    return False
