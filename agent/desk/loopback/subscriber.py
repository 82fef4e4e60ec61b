"""MQTT subscriber that collects and validates the summaries of one device."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import ValidationError

from agent.base.errors import PublishError
from agent.base.report import Summary, summary_form


class Subscriber:
    """Subscribes to all topics of one device over MQTT 5 and collects its summaries.

    A context manager; entering waits for the broker's SUBACK and raises `PublishError` without it.
    """

    def __init__(self, host: str, port: int, device: str, timeout: float = 10.0) -> None:
        """`timeout`: seconds to wait for the broker."""
        self._where = f"{host}:{port}"
        self._address = (host, port)
        self._timeout = timeout
        self._prefix = f"fleeting/1/d/{device}/"
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._summaries: dict[tuple[str, int], Summary] = {}
        self._refused: list[str] = []
        self._states: list[str] = []
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="fleeting-demo-reader", protocol=mqtt.MQTTv5
        )
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    @property
    def summaries(self) -> list[Summary]:
        """Valid summaries so far, without duplicates, by sequence number."""
        with self._changed:
            return sorted(self._summaries.values(), key=lambda summary: summary.seq)

    @property
    def refused(self) -> list[str]:
        """Validation errors of invalid summaries."""
        with self._changed:
            return list(self._refused)

    @property
    def states(self) -> list[str]:
        """Messages on the state topic (`online`, `offline`), in order of arrival."""
        with self._changed:
            return list(self._states)

    def wait(self, count: int, timeout: float) -> bool:
        """Wait up to `timeout` seconds for `count` summaries; return whether they arrived."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while len(self._summaries) < count:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    return len(self._summaries) >= count
        return True

    def __enter__(self) -> Subscriber:
        try:
            self._client.connect(*self._address, keepalive=30)
        except OSError as error:
            raise PublishError(f"{self._lost} ({error.strerror or error}).") from None
        self._client.loop_start()
        if not self._subscribed.wait(self._timeout):
            self._close()
            raise PublishError(f"{self._lost} within {self._timeout:.0f} s.")
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @property
    def _lost(self) -> str:
        return f"The reader could not subscribe at the broker {self._where}"

    def _close(self) -> None:
        self._client.disconnect()
        with contextlib.suppress(AttributeError):  # paho 2.1, where its thread ends at that moment
            self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe(self._prefix + "#", qos=1)

    def _on_subscribe(
        self, client: mqtt.Client, userdata: Any, mid: int, codes: list[Any], *_: Any
    ) -> None:
        if not any(code.is_failure for code in codes):
            self._subscribed.set()

    def _on_message(self, client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        kind = message.topic.removeprefix(self._prefix)
        with self._changed:
            if kind == "state":
                self._states.append(message.payload.decode("utf-8", "replace"))
            elif kind == "summary":
                try:
                    body = bytes(message.payload)
                    summary = summary_form(body).model_validate_json(body)
                except ValidationError as error:
                    self._refused.append(f"{error.error_count()} fields are not as they must be")
                else:
                    # QoS 1 may deliver duplicates
                    self._summaries[(summary.boot, summary.seq)] = summary
            self._changed.notify_all()
