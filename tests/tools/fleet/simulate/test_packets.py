"""Packets made by hand are what paho and the demo's broker understand, and hostile ones are
refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.desk.loopback import packets as broker_side
from tools.fleet.simulate import packets
from tools.fleet.simulate.packets import MalformedError


def body_of(packet: bytes) -> tuple[int, bytes]:
    ((first, body),) = packets.split(bytearray(packet))
    return first, body


def test_a_broker_understands_connect() -> None:
    whole = packets.connect("box-7", 60, ("a/state", b"offline"), b"\x00", ("me", "secret"))
    first, body = body_of(whole)
    found = broker_side.parse_connect(body)
    assert first == 0x10
    assert (found.version, found.client_id, found.clean, found.keepalive) == (5, "box-7", True, 60)
    assert found.will is not None
    assert (found.will.topic, found.will.payload) == ("a/state", b"offline")
    assert (found.will.qos, found.will.retain) == (1, True)
    assert body.endswith(packets.text("me") + packets.text("secret"))


def test_a_broker_understands_subscribe() -> None:
    first, body = body_of(packets.subscribe(7, [("a/b", True), ("c/+", False)]))
    number, filters = broker_side.parse_filters(body, 5, options=True)
    assert (first, number) == (0x82, 7)
    assert [name for name, _ in filters] == ["a/b", "c/+"]
    assert [options & 0x33 for _, options in filters] == [0x01, 0x21]  # QoS 1; retained or not


@given(body=st.binary(max_size=70_000 - 40_000), packet_id=st.integers(0, 65_535))
def test_publish_comes_back_as_it_went(body: bytes, packet_id: int) -> None:
    made = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    made.UserProperty = ("schema", "urn:fleeting:summary:1")
    made.CorrelationData = b"\x01\x02"
    packed = packets.pack(made)
    first, raw = body_of(packets.publish(packets.text("a/é"), body, packed, packet_id))
    assert packets.parse_publish(first, raw) == ("a/é", packet_id, b"\x01\x02", body)


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 50))
def test_packets_are_found_however_the_bytes_arrive(bodies: list[bytes], chunk: int) -> None:
    stream = b"".join(packets.packet(0x30, body) for body in bodies)
    buffer, found = bytearray(), []
    for at in range(0, len(stream), chunk):
        buffer += stream[at : at + chunk]
        found += [body for _, body in packets.split(buffer)]
    assert found == bodies
    assert not buffer


@given(st.binary(max_size=60))
def test_hostile_bytes_are_packets_or_refused(data: bytes) -> None:
    try:
        for first, body in packets.split(bytearray(data)):
            for parse in (packets.parse_puback, packets.parse_connack, packets.parse_suback):
                parse(body)
            packets.parse_publish(first, body)
    except MalformedError:
        pass


def test_lengths_that_no_fleet_sends_are_refused() -> None:
    for head in (b"\x30\xff\xff\xff\xff\x7f", b"\x30\xff\xff\xff\x7f"):
        with pytest.raises(MalformedError):
            list(packets.split(bytearray(head)))


def test_connack_and_puback_say_what_they_say() -> None:
    made = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
    made.ReceiveMaximum = 5
    made.AssignedClientIdentifier = "x"
    assert packets.parse_connack(b"\x00\x87" + packets.pack(made)) == (0x87, 5)
    assert packets.parse_connack(b"\x00\x00\x00") == (0, 65_535)
    assert packets.parse_puback(struct.pack("!H", 300)) == (300, 0)
    assert packets.parse_puback(struct.pack("!HB", 300, 0x10)) == (300, packets.NOBODY)
