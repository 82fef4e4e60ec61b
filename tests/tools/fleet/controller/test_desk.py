"""The controller takes requests for certificates in, and hands out what was decided."""

from __future__ import annotations

import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from agent.base.report import from_json
from agent.uplink.enrol.messages import Answer
from tests.tools.fleet.controller.conftest import Fleet
from tests.tools.fleet.enrolment.conftest import ID, csr_for, key, pair_in, request
from tests.uplink.conftest import eventually
from tools.common.mqtt_loop import end_loop
from tools.fleet.broker.folder import make_authorities
from tools.fleet.controller.desk import open_desk
from tools.fleet.controller.intake import Taken
from tools.fleet.enrolment.authority import make_bundle

pytestmark = pytest.mark.slow


def bundle(fleet: Fleet, device: str = ID) -> Path:
    return make_bundle(
        fleet.folder, device, host="localhost", port=8883, enrol_port=8885, hours=72,
        now=int(time.time()),
    )  # fmt: skip


def test_a_request_waits_and_its_certificate_is_handed_out(fleet: Fleet) -> None:
    make_authorities(fleet.folder)
    fleet.process()
    heard: list[Answer] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, ID, protocol=mqtt.MQTTv5)

    def on_message(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        answer = from_json(Answer, bytes(message.payload))
        assert answer is not None
        heard.append(answer)

    client.on_message = on_message
    client.connect("127.0.0.1", fleet.broker.port)
    client.loop_start()
    try:
        client.subscribe(f"fleeting/1/p/{ID}/cert", 1)
        body = request(csr_for(key()), pair_in(bundle(fleet)))
        client.publish(f"fleeting/1/p/{ID}/csr", body, qos=1, retain=True)
        eventually(lambda: fleet.rows("enrolments", "state = 'waiting'"), "a request")
        client.publish(f"fleeting/1/p/{ID}/csr", b"x" * 50, qos=1)
        eventually(lambda: fleet.rows("quarantine", "reason = 'malformed'"), "the quarantine")
        assert fleet.run("approve", ID) == 0
        eventually(lambda: heard, "its certificate")
        assert heard[0].certificate is not None
        eventually(lambda: fleet.rows("enrolments", "answered_at IS NOT NULL"), "a note of it")
        assert len(heard) == 1, "said once"
        # Whoever asks again has not heard.
        client.publish(f"fleeting/1/p/{ID}/csr", body, qos=1, retain=True)
        eventually(lambda: len(heard) == 2, "the same once more")
        assert heard[0] == heard[1]
    finally:
        client.disconnect()
        end_loop(client)


def test_without_authorities_it_does_all_else(fleet: Fleet) -> None:
    assert open_desk(fleet.store, fleet.folder) is None


def test_without_a_revocation_list_nothing_is_certified(fleet: Fleet) -> None:
    make_authorities(fleet.folder)
    desk = open_desk(fleet.store, fleet.folder)
    assert desk is not None
    body = request(csr_for(key()), pair_in(bundle(fleet)))
    (fleet.folder / "ca" / "bootstrap-revoked.pem").unlink()
    taken = desk.take(f"fleeting/1/p/{ID}/csr", body, int(time.time()))
    assert taken == Taken(refused="authority")
    assert not fleet.rows("enrolments")
    assert desk.take("fleeting/1/d/x/state", b"online", 0) is None
