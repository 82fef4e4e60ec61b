"""A subscriber that notes which summaries arrive, and how often."""

from __future__ import annotations

import hashlib
import json
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tools.bench.soak.device import Device
from tools.common.errors import ToolError
from tools.common.mqtt_loop import end_loop

Key = tuple[str, int]
"""boot, seq"""


class Arrivals:
    """Connected as long as it is entered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._came: dict[str, list[tuple[Key, str]]] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)

    def __enter__(self) -> Arrivals:
        """Raises `ToolError`."""
        ready = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe("fleeting/1/d/#", qos=1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._note
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        if not ready.wait(20.0):
            raise ToolError("The broker does not answer. Try again.")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        end_loop(self._client)

    def count(self, device: Device) -> int:
        """Summaries of a device so far."""
        with self._lock:
            return len(self._came.get(device.id, ()))

    def compare(self, device: Device) -> dict[str, int]:
        """Those of a device with its ledger: `released`, `arrived`, `missing`, `repeated`, `other`
        (not the bytes that were released), `disordered`."""
        with self._lock:
            came = list(self._came.get(device.id, ()))
        rows = device.read("SELECT boot, seq, sha256 FROM ledger ORDER BY rowid")
        ledger = {(str(boot), int(seq)): str(digest) for boot, seq, digest in rows}
        first = dict(reversed(came))
        order = list(dict.fromkeys(key for key, _ in came))
        expected = [key for key in ledger if key in first]
        return {
            "released": len(ledger),
            "arrived": len(first),
            "missing": len(ledger.keys() - first.keys()),
            "repeated": len(came) - len(first),
            "other": sum(1 for key, digest in came if ledger.get(key) != digest),
            "disordered": sum(a != b for a, b in zip(order, expected, strict=False)),
        }

    def _note(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        parts = message.topic.split("/")
        if len(parts) < 5 or "summary" not in parts[4:]:
            return
        body = bytes(message.payload)
        said = json.loads(body)
        noted = (str(said["boot"]), int(said["seq"])), hashlib.sha256(body).hexdigest()
        with self._lock:
            self._came.setdefault(parts[3], []).append(noted)
