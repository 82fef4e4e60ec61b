"""Takes requests in and hands answers out, where no controller does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tools.common.errors import ToolError
from tools.fleet.broker import certificates, reach
from tools.fleet.enrolment import answers
from tools.fleet.enrolment.intake import SUBSCRIPTIONS, Intake
from tools.fleet.settings import FleetSettings
from tools.fleet.store import Store, StoreUnavailable

OPERATOR = "enrolment"
_TICK = 0.5
_PAUSE = 2.0


class Service:
    """One connection, without threads; made again when it ends."""

    def __init__(
        self, store: Store, folder: Path, settings: FleetSettings, intake: Intake,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Raises `ToolError`."""
        self._store, self._intake, self._say = store, intake, say
        self._broker = settings.broker
        place = folder / "operators" / certificates.check_operator(OPERATOR)
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, OPERATOR, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        client.tls_set_context(reach.context(place))
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        self._client = client
        self._sent: dict[int, answers.Due] = {}
        self._refusal = ""

    def run(self, stop: Callable[[], bool]) -> None:
        """Until `stop` says so; waits for a broker and a database that are away. Raises `ToolError`
        where the broker refuses this operator."""
        while not stop():
            try:
                self._client.connect(self._broker.host, self._broker.port)
                code = mqtt.MQTT_ERR_SUCCESS
                while code == mqtt.MQTT_ERR_SUCCESS and not stop() and not self._refusal:
                    code = self._client.loop(_TICK)
                    self._hand_out()
            except OSError as error:
                self._say(f"The broker at {self._broker.host}:{self._broker.port}: {error}")
            except StoreUnavailable as error:
                self._say(str(error))  # devices ask again
                self._client.disconnect()
            if self._refusal:
                raise ToolError(f"The broker refuses {OPERATOR}: {self._refusal}.")
            self._sent.clear()
            if not stop():
                time.sleep(_PAUSE)
        self._client.disconnect()

    def _hand_out(self) -> None:
        if not self._client.is_connected():
            return
        waiting = {(each.device, each.number) for each in self._sent.values()}
        for each in answers.due(self._store):
            if (each.device, each.number) not in waiting:
                info = self._client.publish(each.topic, each.body, qos=1, retain=True)
                self._sent[info.mid] = each

    def _on_connect(self, client: Any, data: Any, flags: Any, code: Any, more: Any) -> None:
        if code.is_failure:
            self._refusal = str(code)
        else:
            client.subscribe([(topic, 1) for topic in SUBSCRIPTIONS])

    def _on_message(self, client: Any, data: Any, message: mqtt.MQTTMessage) -> None:
        taken = self._intake.take(message.topic, bytes(message.payload), int(time.time()))
        if taken.refused:
            self._say(f"{message.topic[:100]!a}: refused, {taken.refused}")
        elif taken.state:
            self._say(f"{taken.device}: {taken.state}")

    def _on_publish(self, client: Any, data: Any, number: int, code: Any, more: Any) -> None:
        sent = self._sent.pop(number, None)
        if sent is None:
            return
        if code.is_failure:
            self._refusal = f"{code} for {sent.topic}"
        else:
            answers.done(self._store, sent, int(time.time()))
