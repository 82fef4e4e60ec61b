"""The subscriber of the crash test: records every summary, byte by byte.

MQTT 5, QoS 1 and a session that outlives connections: what arrives while the broker or the
connection is away is delivered afterwards.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tools.common.errors import ToolError
from tools.common.mqtt_loop import end_loop
from tools.robustness.crash.check import Key, digest, key_of

_SESSION = 86_400
"""Seconds that the broker keeps the session of an absent reader."""


class Reader:
    """Records every copy of every summary of one device; use it as a context manager."""

    def __init__(self, port: int, device: str, journal: Path) -> None:
        """`journal`: one JSON line per copy, written as it comes."""
        self._port = port
        self._topic = f"fleeting/1/d/{device}/summary"
        self._journal = journal.open("a", encoding="utf-8")
        self._changed = threading.Condition()
        self._copies: dict[Key, list[str]] = {}
        self._unreadable: list[str] = []
        self._subscribed = threading.Event()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, "crash-reader", protocol=mqtt.MQTTv5
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(self._topic, qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message

    def arrived(self) -> dict[Key, tuple[str, ...]]:
        """SHA-256 of every copy so far, by (boot, seq)."""
        with self._changed:
            return {key: tuple(copies) for key, copies in self._copies.items()}

    def unreadable(self) -> list[str]:
        """What came on the summaries' topic and is none."""
        with self._changed:
            return list(self._unreadable)

    def wait_for(self, keys: Iterable[Key], timeout: float) -> set[Key]:
        """Wait until all `keys` arrived, at most `timeout` seconds; returns those that did not."""
        wanted = set(keys)
        deadline = time.monotonic() + timeout
        with self._changed:
            while wanted := {key for key in wanted if key not in self._copies}:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    break
        return wanted

    def __enter__(self) -> Reader:
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = _SESSION
        try:
            self._client.connect("127.0.0.1", self._port, 30, clean_start=False, properties=session)
        except OSError as error:
            raise ToolError(f"The reader cannot reach the broker: {error}. Try again.") from None
        self._client.loop_start()
        if not self._subscribed.wait(20.0):
            self.__exit__()
            raise ToolError("The broker does not confirm the reader's subscription. Try again.")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        end_loop(self._client)
        self._journal.close()

    def _on_message(self, client: mqtt.Client, data: Any, message: mqtt.MQTTMessage) -> None:
        body = bytes(message.payload)
        text = body.decode("utf-8", "backslashreplace")
        with self._changed:
            try:
                self._copies.setdefault(key_of(body), []).append(digest(body))
            except ValueError as error:
                self._unreadable.append(f"{error}: {text[:80]}")
            self._journal.write(json.dumps({"time": time.time(), "body": text}) + "\n")
            self._journal.flush()
            self._changed.notify_all()
