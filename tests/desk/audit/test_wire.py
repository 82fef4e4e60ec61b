"""Normal traffic of uplink is accepted; any other byte is a finding."""

from __future__ import annotations

import json
import struct

import pytest

from agent.base.report import to_json
from agent.desk.audit._artifacts import Artifact
from agent.desk.audit._wire import WireCheck, problem
from agent.desk.loopback import packets
from agent.desk.loopback.packets import Message
from tests.summaries import summary

DEVICE = "audit"
BASE = f"fleeting/1/d/{DEVICE}"
URN = b"\x26\x00\x06schema\x00\x16urn:fleeting:summary:1"
KIND = b"\x03\x00\x10application/json"


def text(content: str) -> bytes:
    return struct.pack("!H", len(content)) + content.encode()


def connect(client: str = DEVICE, will: bytes = b"offline", flags: int = 0x2E) -> bytes:
    return packets.packet(
        0x10, text("MQTT"), bytes([5, flags]), struct.pack("!H", 60), b"\x05\x27\x00\x00\x40\x00",
        text(client), b"\x00", text(f"{BASE}/state"), text(will.decode()),
    )  # fmt: skip


def block(*properties: bytes) -> bytes:
    content = b"".join(properties)
    return bytes([len(content)]) + content


def publish(
    number: int,
    topic: str = f"{BASE}/summary",
    body: bytes | None = None,
    properties: bytes = block(KIND, URN),
) -> bytes:
    body = to_json(summary(1)) if body is None else body
    return packets.publish(Message(topic, body, 1, False, properties), 5, 1, number, False)


def findings(*parts: bytes) -> list[str]:
    wire = WireCheck(DEVICE)
    wire.check(Artifact("test", "wire", b"".join(parts)))
    return [each.what for each in wire.findings]


def test_a_normal_connection_has_no_findings() -> None:
    subscribe = packets.packet(0x82, b"\x00\x02\x00", text(f"{BASE}/shadow/desired"), b"\x01")
    state = publish(1, f"{BASE}/state", b"online", block())
    sent = [connect(), state, subscribe, publish(3), publish(4), b"\xc0\x00", b"\xe0\x00"]
    assert findings(*sent) == []


def test_all_summaries_of_a_long_day_pass() -> None:
    sent = [publish(n, body=to_json(summary(n))) for n in range(1, 201)]
    assert findings(connect(), *sent) == []


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([connect(client="c2VjcmV0IHBpeGVscw")], "client id"),
        ([connect(will=b"pixels")], "the will"),
        ([connect(), publish(7)], "packet id 7"),
        ([connect(), publish(1, f"{BASE}/summary/AAECAw")], "topic"),
        ([connect(), publish(1, "other/topic")], "topic"),
        ([connect(), publish(1, f"{BASE}/preview")], "topic"),
        ([connect(), publish(1, body=b'{"v":1}')], "is a required property"),
        ([connect(), publish(1, f"{BASE}/state", b"AAECAwQF", block())], "neither online nor"),
        ([connect(), publish(1, properties=block(KIND, URN, b"\x26\x00\x01a\x00\x01b"))], "user"),
        ([connect(), publish(1, properties=block(b"\x03\x00\x05AAECA", URN))], "content type"),
        ([connect(), publish(1, properties=block(b"\x09\x00\x05AAECA", URN))], "property 0x09"),
        (
            [
                connect(),
                publish(1, properties=block(KIND, URN, b"\x02\x00\x01\x02\x03")),
                publish(2, properties=block(KIND, URN, b"\x02\x00\x01\x02\x04")),
            ],
            "expiry",
        ),
        ([connect(), b"\x82\x0b\x00\x01\x00\x00\x05AAEC/\x00"], "asks for"),
        ([connect(), b"\xc0\x04abcd"], "type 12"),
        ([connect(), b"\xe0\x06\x00\x04pixe"], "type 14"),
        ([connect(), bytes(range(40, 240))], "no MQTT"),
        ([connect(), publish(1)[:-3]], "no MQTT packet"),
    ],
)
def test_whatever_else_is_sent_is_named(parts: list[bytes], why: str) -> None:
    assert any(why in each for each in findings(*parts)), findings(*parts)


BODY = to_json(summary(3))


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(BODY), **fields}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (changed(note="hello"), "'note' was unexpected"),
        (changed(seq=-1), "less than the minimum"),
        (changed(seq=True), "not of type 'integer'"),
        (changed(seq=1.0), "valid integer"),
        (changed(boot="0A1B2C3D"), "does not match"),
        (changed(boot="0a1b2c3d\n"), "is too long"),
        (changed(policy="mine"), "not one of"),
        (changed(v=2), "1 was expected"),
        (changed(withheld=[[1, 2]] * 50), "is too long"),
        (BODY.replace(b'"seq":3', b'"seq": 3'), "the one form"),
        (BODY.replace(b'"seq":3', b'"seq":3,"seq":3'), "the one form"),
        (BODY.replace(b'{"v":1,', b"{")[:-1] + b',"v":1}', "the one form"),
        (BODY.replace(b"_for_micro", b'_for_micro","low_light'), "order"),
        (BODY.replace(b'"seq":3', b'"seq":NaN'), "not of type 'integer'"),
        (b"[" * 100_000, "nested"),
        (b"\xff\xfe", "no JSON"),
        (b"", "no JSON"),
    ],
)
def test_every_other_summary_is_not(body: bytes, why: str) -> None:
    assert why in str(problem("summary", body))
