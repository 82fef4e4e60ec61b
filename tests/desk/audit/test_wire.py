"""Normal traffic of uplink is accepted, byte for byte; any other byte is a finding."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.base.report import (
    Event,
    Health,
    Meta,
    Receipt,
    Reported,
    Statement,
    UplinkCage,
    to_json,
)
from agent.base.schemas.registry import joint_hash
from agent.desk.audit._artifacts import Artifact
from agent.desk.audit._packets import HonestUplink, answers, whole_packets
from agent.desk.audit._payloads import problem
from agent.desk.audit._truth import Truth
from agent.desk.audit._wire import WireCheck
from agent.desk.demo import configuration
from agent.desk.loopback import packets
from agent.desk.loopback.packets import Message, packet
from agent.uplink.receipt.book import ZEROS, units_hash
from agent.uplink.receipt.continuity import digest
from agent.uplink.receipt.key import public_hex
from agent.uplink.settings import in_force
from agent.uplink.topics import MESSAGE_KINDS
from tests.summaries import LISTENING, MODEL, POLICY, birth, summary

DEVICE = "audit"
CONFIG = configuration(Path("video"), Path("outbox.db"), 1883, DEVICE)
BOOT = "0a1b2c3d"
SUMMARIES = [to_json(summary(n)) for n in range(200)]
KEY = Ed25519PrivateKey.generate()
TRUTH = Truth(
    CONFIG,
    POLICY,
    MODEL,
    {hashlib.sha256(each).hexdigest(): n for n, each in enumerate(SUMMARIES)},
    BOOT,
    birth(),
    public_hex(KEY),
    span=(1000.0, 1200.0),
)
BASE = f"fleeting/1/d/{DEVICE}"
UPLINK = HonestUplink(CONFIG, 5)
OLD = HonestUplink(CONFIG, 4)
FIRST = 5
"""Id of the first packet after `online` and the subscriptions."""
PING, BYE = b"\xc0\x00", b"\xe0\x00"
CAGE = UplinkCage(devices="closed", egress="confined", writes="confined", found_open=(), layers=())
META = Meta(birth=birth(), uplink=CAGE, key=TRUTH.key, receipt=None, schemas=joint_hash())
HEALTH = Health(
    boot=BOOT, perception="running", fps=30, temperature=None, power="unknown", memory=64,
    disk="ample", waiting=0, trimmed=0, clock="none",
)  # fmt: skip
EVENT = Event(boot=BOOT, seq=0, code="cage_open", count=1, at=None, offset=1100)
REPORTED = Reported(version=0, defaults=0, config=in_force(CONFIG, listens=False), rejected=())


def opening(uplink: HonestUplink = UPLINK) -> list[bytes]:
    return [uplink.connect(), *uplink.opening()]


def sent(kind: str, body: bytes, number: int, uplink: HonestUplink = UPLINK) -> bytes:
    return uplink.publish(MESSAGE_KINDS[kind], uplink.topics.of(kind), body, number)


def closing(number: int, uplink: HonestUplink = UPLINK) -> list[bytes]:
    return [sent("state", b"offline", number, uplink), BYE]


def receipt(
    hashes: list[str],
    previous: bytes | None = None,
    number: int = 1,
    model: str | None = MODEL,
) -> bytes:
    statement = Statement(
        number=number, previous=hashlib.sha256(previous).hexdigest() if previous else ZEROS,
        start=None, end=None, outbox="same" if previous else "new",
        summaries=len(hashes), digest=digest(hashes),
        messages=9, bytes=99, epsilon_milli=0, windows_withheld=0, visits_withheld=0, model=model,
        policy=model and POLICY.hash, units=units_hash(), schemas=joint_hash(), key=public_hex(KEY),
    )  # fmt: skip
    signature = KEY.sign(to_json(statement)).hex()
    return to_json(Receipt(statement=statement, signature=signature))


def findings(*parts: bytes, truth: Truth = TRUTH) -> list[str]:
    wire = WireCheck(truth)
    clean = wire.check(Artifact("test", "wire", b"".join(parts)))
    assert clean is not bool(wire.findings)
    return [each.what for each in wire.findings]


@pytest.mark.parametrize("uplink", [UPLINK, OLD], ids=["5.0", "3.1.1"])
def test_a_normal_connection_has_no_findings(uplink: HonestUplink) -> None:
    receipts = [receipt(list(TRUTH.ledger)[:2])]
    bodies = [
        ("shadow/reported", to_json(REPORTED)), ("event", to_json(EVENT)), ("meta", to_json(META)),
        ("summary", SUMMARIES[0]), ("health", to_json(HEALTH)), ("summary", SUMMARIES[1]),
        ("receipt", receipts[0]),
    ]  # fmt: skip
    packets_sent = [sent(kind, body, n, uplink) for n, (kind, body) in enumerate(bodies, FIRST)]
    assert findings(*opening(uplink), *packets_sent, PING, *closing(FIRST + 7, uplink)) == []


def test_all_summaries_of_a_long_day_pass() -> None:
    messages = [sent("summary", each, n) for n, each in enumerate(SUMMARIES, FIRST)]
    assert findings(*opening(), *messages, *closing(FIRST + 200)) == []


def test_packet_ids_wrap_as_they_do_in_the_client() -> None:
    wire = WireCheck(TRUTH)
    wire.check(
        Artifact("test", "wire", b"".join([*opening(), sent("summary", SUMMARIES[0], FIRST)]))
    )
    assert wire.findings == []
    assert f"packet id {FIRST + 5} where {FIRST + 1} follows" in findings(
        *opening(), sent("summary", SUMMARIES[0], FIRST), sent("summary", SUMMARIES[1], FIRST + 5)
    )


def test_a_second_connection_may_send_again_but_not_a_tenth() -> None:
    wire = WireCheck(TRUTH)
    data = b"".join([*opening(), sent("summary", SUMMARIES[0], FIRST), *closing(FIRST + 1)])
    for number in range(10):
        wire.check(Artifact(f"{number}", "wire", data))
    assert [each.what[:12] for each in wire.findings][:1] == ["connection 7"]


URN = b"\x26\x00\x06schema\x00\x16urn:fleeting:summary:1"
JSON = b"\x03\x00\x10application/json"
WEEK = b"\x02\x00\x09\x3a\x80"


def text(content: str) -> bytes:
    return struct.pack("!H", len(content)) + content.encode()


def block(*properties: bytes) -> bytes:
    content = b"".join(properties)
    return bytes([len(content)]) + content


def connect(
    client: str = DEVICE,
    keepalive: int = 60,
    properties: bytes = b"\x0f\x11\0\0\0\0\x17\0\x21\0\x14\x27\0\0\x40\0",
    will_properties: bytes = b"\x00",
    will: str = "offline",
    flags: int = 0x2E,
    more: bytes = b"",
) -> bytes:
    return packet(
        0x10, text("MQTT"), bytes([5, flags]), struct.pack("!H", keepalive), properties,
        text(client), will_properties, text(f"{BASE}/state"), text(will), more,
    )  # fmt: skip


def publish(
    properties: bytes = block(WEEK, JSON, URN), first: int = 0x32, number: int = FIRST
) -> bytes:
    message = Message(f"{BASE}/summary", SUMMARIES[0], 1, False, properties)
    whole = packets.publish(message, 5, 1, number, False)
    return bytes([first]) + whole[1:]


def test_the_samples_below_are_changed_in_one_place_only() -> None:
    assert connect() == UPLINK.connect()
    assert publish() == sent("summary", SUMMARIES[0], FIRST)


PROPERTIES = b"\x11\0\0\0\0\x17\0\x21\0\x14\x27\0\0\x40\0"


@pytest.mark.parametrize(
    "first",
    [
        connect(client="c2VjcmV0IHBpeGVscw"),
        connect(keepalive=0x7F80),
        connect(will="pixels"),
        connect(flags=0x36),
        connect(flags=0xAE, more=text("pixels")),
        connect(more=b"pixels"),
        connect(properties=block(PROPERTIES.replace(b"\x11\0\0\0\0", b"\x11\x50\x51\x52\x53"))),
        connect(properties=block(PROPERTIES.replace(b"\x21\0\x14", b"\x21\x50\x51"))),
        connect(properties=block(PROPERTIES.replace(b"\x27\0\0\x40\0", b"\x27\0\x50\x51\x52"))),
        connect(properties=block(PROPERTIES[5:], PROPERTIES[:5])),
        connect(properties=block(PROPERTIES, b"\x22\x50\x51")),
        connect(properties=block(PROPERTIES, b"\x26", text("pixels"), text("1"))),
        connect(will_properties=block(b"\x18\x50\x51\x52\x53")),
        bytes([0x10, 0x80 | UPLINK.connect()[1], 0]) + UPLINK.connect()[2:],
    ],
)
def test_every_field_of_connect_is_as_configured(first: bytes) -> None:
    found = findings(first, *UPLINK.opening())
    assert any("CONNECT is not as configured" in each for each in found), found


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([publish(number=7)], "packet id 7"),
        ([publish(block(WEEK, JSON, URN, b"\x26\x00\x01a\x00\x01b"))], "not the packet of"),
        ([publish(block(b"\x02\x50\x51\x52\x53", JSON, URN))], "not the packet of"),
        ([publish(block(WEEK, b"\x03\x00\x05AAECA", URN))], "not the packet of"),
        ([publish(block(WEEK, JSON, URN, b"\x09\x00\x05AAECA"))], "not the packet of"),
        ([publish(block(JSON, WEEK, URN))], "not the packet of"),
        ([publish(block(WEEK, JSON, URN, b"\x01\x01"))], "not the packet of"),
        ([publish(first=0x3A)], "not the packet of"),
        ([publish(first=0x33)], "not the packet of"),
        ([packets.publish(Message("other/topic", b"", 1, False), 5, 1, FIRST, False)], "topic"),
        (
            [packets.publish(Message(f"{BASE}/summary/A", b"", 1, False), 5, 1, FIRST, False)],
            "topic",
        ),
        (
            [packets.publish(Message(f"{BASE}/res/ping", b"{}", 1, False), 5, 1, FIRST, False)],
            "asked",
        ),
        (
            [
                packets.publish(
                    Message(f"{BASE}/job/{'a' * 16}", b"{}", 1, False), 5, 1, FIRST, False
                )
            ],
            "does not belong",
        ),
        ([sent("job", b'{"v":1}', FIRST)], "is a required property"),
        (
            [sent("summary", SUMMARIES[0], FIRST), sent("summary", SUMMARIES[0], FIRST + 1)],
            "number 0 of",
        ),
        (
            [sent("summary", SUMMARIES[1], FIRST), sent("summary", SUMMARIES[0], FIRST + 1)],
            "number 0 of",
        ),
        ([sent("summary", to_json(summary(300)), FIRST)], "not in the ledger"),
        ([sent("summary", b'{"v":1}', FIRST)], "is a required property"),
        ([sent("state", b"AAECAwQF", FIRST)], "neither online nor"),
        ([sent("state", b"online", FIRST)], "second time"),
        ([packet(0x82, b"\x00\x04\x00", text("AAEC/#"), b"\x01")], "asks for"),
        ([packet(0xA2, b"\x00\x04\x00", text("AAEC/#"))], "asks for"),
        ([b"\xc0\x04abcd"], "type 12"),
        ([b"\xe0\x06\x00\x04pixe"], "type 14"),
        ([b"\xe0\x01\x04"], "type 14"),
        ([b"\x40\x02\x50\x51"], "type 4"),
        ([b"\xf0\x02\x00\x00"], "type 15"),
        ([BYE], "before the state is offline"),
        ([*closing(FIRST), PING], "after DISCONNECT"),
        ([connect()], "second CONNECT"),
        ([bytes(range(40, 240))], "no MQTT"),
        ([publish()[:-3]], "no MQTT packet"),
        ([PING] * 30, "more often"),
    ],
)
def test_whatever_else_is_sent_is_named(parts: list[bytes], why: str) -> None:
    found = findings(*opening(), *parts)
    assert any(why in each for each in found), found


def test_the_first_packets_have_one_order() -> None:
    first, state, *subscriptions = opening()
    assert findings(state, first, *subscriptions)
    assert findings(first, *subscriptions, state)
    assert findings(first, state, *reversed(subscriptions))
    assert any("asks for" not in each for each in findings(b"pixels" * 40))


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        ("meta", META.model_copy(update={"schemas": "0" * 16}), "schemas"),
        ("meta", META.model_copy(update={"key": "0" * 64}), "key"),
        ("meta", META.model_copy(update={"birth": birth("00112233")}), "boot"),
        (
            "meta",
            META.model_copy(update={"birth": birth().model_copy(update={"model": "ab" * 8})}),
            "model",
        ),
        (
            "meta",
            META.model_copy(update={"birth": birth().model_copy(update={"epoch": 1_700_000_010})}),
            "epoch",
        ),
        ("health", HEALTH.model_copy(update={"trimmed": 200}), "dropped"),
        ("health", HEALTH.model_copy(update={"boot": "00112233"}), "boot"),
        ("event", EVENT.model_copy(update={"seq": 77}), "number 77"),
        ("event", EVENT.model_copy(update={"offset": 990}), None),
        ("event", EVENT.model_copy(update={"offset": 90_990}), "its time"),
        ("event", EVENT.model_copy(update={"at": 1_700_000_010}), "its time"),
        ("shadow/reported", REPORTED.model_copy(update={"version": 7}), "version"),
    ],
)
def test_what_can_be_computed_of_a_message_is(kind: str, body: Meta, why: str | None) -> None:
    found = findings(*opening(), sent(kind, to_json(body), FIRST))
    assert [why in each for each in found] == [True] if why else not found, found


def test_state_that_did_not_change_and_health_too_often_are_named() -> None:
    meta, health = to_json(META), to_json(HEALTH)
    assert (
        "before"
        in findings(*opening(), sent("meta", meta, FIRST), sent("meta", meta, FIRST + 1))[0]
    )
    often = [sent("health", health, n) for n in range(FIRST, FIRST + 5)]
    assert "more often" in findings(*opening(), *often)[0]


def test_a_receipt_is_verified_and_chained() -> None:
    hashes = list(TRUTH.ledger)
    first = receipt(hashes[:3])
    second = receipt(hashes[3:5], first, 2)
    good = [sent("receipt", first, FIRST), sent("receipt", second, FIRST + 1)]
    assert findings(*opening(), *good) == []
    early = receipt([], model=None)
    assert findings(*opening(), sent("receipt", early, FIRST)) == []
    other = receipt([], model="00" * 8)
    assert "model" in findings(*opening(), sent("receipt", other, FIRST))[0]
    unsigned = json.loads(first)
    unsigned["signature"] = "ab" * 64
    forged = json.dumps(unsigned, separators=(",", ":")).encode()
    assert "signature" in findings(*opening(), sent("receipt", forged, FIRST))[0]
    assert "digest" in findings(*opening(), sent("receipt", receipt(hashes[1:4]), FIRST))[0]
    assert "number" in findings(*opening(), sent("receipt", second, FIRST))[0]


def test_only_two_processes_have_events() -> None:
    events = [EVENT.model_copy(update={"boot": f"{n:08x}", "seq": n}) for n in range(4)]
    found = findings(
        *opening(), *(sent("event", to_json(e), n) for n, e in enumerate(events, FIRST))
    )
    assert "more than two processes" in found[0]


def reply(data: bytes, sent_by: bytes) -> list[str]:
    wire = WireCheck(TRUTH)
    known = wire.check_answers(Artifact("s", "wire", sent_by), Artifact("r", "reply", data))
    assert known is not bool(wire.findings)
    return [each.what for each in wire.findings]


@pytest.mark.parametrize("uplink", [UPLINK, OLD], ids=["5.0", "3.1.1"])
def test_only_the_broker_s_own_answers_are_expected(uplink: HonestUplink) -> None:
    messages = [sent("summary", each, n, uplink) for n, each in enumerate(SUMMARIES, FIRST)]
    stream = b"".join([*opening(uplink), *messages, PING])
    honest = answers(stream)
    assert honest.count(b"\x40\x02") >= 200
    assert reply(honest, stream) == []
    assert reply(honest[:-3], stream) == []  # cut when the connection ended
    for strange in (honest + b"\x40\x02\x50\x51", honest[:40] + bytes(8) + honest[40:], b"pixels"):
        assert "did not send" in reply(strange, stream)[0]


def test_packets_end_where_they_say() -> None:
    data = b"".join(opening())
    assert whole_packets(data + b"\x32\x50half") == len(data)
    assert whole_packets(b"\x32\xff\xff\xff\xff\x7f") == 0


def test_without_facts_only_form_is_compared() -> None:
    unknown = dataclasses.replace(TRUTH, ledger={}, boot=None, birth=None, key=None, span=None)
    health = sent("health", to_json(HEALTH), FIRST)
    assert findings(*opening(), health, truth=unknown) == []


BODY = to_json(summary(3))


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(BODY), **fields}, separators=(",", ":")).encode()


def test_the_form_of_a_summary_is_the_one_of_its_device() -> None:
    heard = to_json(summary(3, policy=LISTENING))
    assert problem("summary", heard, listens=True) is None
    assert problem("summary", BODY) is None
    assert "unexpected" in str(problem("summary", heard))
    assert "required" in str(problem("summary", BODY, listens=True))


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
