"""The loopback broker with paho clients of both versions and with malformed packets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.base.errors import PublishError
from agent.desk.loopback import packets
from agent.desk.loopback.broker import Broker

BOTH = pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["3.1.1", "5"])


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as each:
        yield each


class Client:
    """A paho client that remembers what it got."""

    def __init__(self, broker: Broker, version: Any, client_id: str = "", **will: Any) -> None:
        self.got: list[mqtt.MQTTMessage] = []
        self.granted: list[list[Any]] = []
        self.lost = threading.Event()
        self.welcome: list[Any] = []
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=version, reconnect_on_failure=False
        )
        self.client.on_message = lambda _c, _d, message: self.got.append(message)
        self.client.on_subscribe = lambda _c, _d, _m, codes, _p: self.granted.append(codes)
        self.client.on_connect = lambda _c, _d, _f, code, _p: self.welcome.append(code)
        self.client.on_disconnect = lambda *_: self.lost.set()
        if will:
            self.client.will_set(**will)
        self.client.connect("127.0.0.1", broker.port, keepalive=5)
        self.client.loop_start()
        eventually(lambda: self.welcome)

    def subscribe(self, text: str, qos: int = 1) -> list[int]:
        before = len(self.granted)
        self.client.subscribe(text, qos)
        eventually(lambda: len(self.granted) > before)
        return [code.value for code in self.granted[-1]]

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos, retain).wait_for_publish(5)

    def payloads(self) -> list[tuple[str, bytes, bool]]:
        return [(m.topic, bytes(m.payload), m.retain) for m in list(self.got)]

    def vanish(self) -> None:
        """As when the power goes: no DISCONNECT."""
        sock = self.client.socket()
        assert sock is not None
        assert isinstance(sock, socket.socket)
        sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def eventually(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@BOTH
def test_messages_reach_matching_subscribers_once(broker: Broker, version: Any) -> None:
    reader, writer = Client(broker, version), Client(broker, version)
    assert reader.subscribe("a/+/c") == [1]
    assert reader.subscribe("a/#", 0) == [0]
    for topic in ("a/b/c", "a", "b/a/c", "a/b/c/d"):
        writer.publish(topic, topic.encode())
    eventually(lambda: len(reader.got) >= 3)
    assert reader.payloads() == [(t, t.encode(), False) for t in ("a/b/c", "a", "a/b/c/d")]
    assert [message.qos for message in reader.got] == [1, 0, 0]
    reader.client.unsubscribe("a/#")
    writer.publish("a/x/c", b"still")
    eventually(lambda: len(reader.got) == 4)
    reader.close()
    writer.close()


@BOTH
def test_retained_messages_wait_for_late_readers_until_emptied(
    broker: Broker, version: Any
) -> None:
    writer = Client(broker, version)
    writer.publish("r/1", b"one", retain=True)
    writer.publish("r/2", b"two", retain=True)
    writer.publish("r/2", b"", retain=True)
    reader = Client(broker, version)
    reader.subscribe("r/#")
    writer.publish("r/3", b"three")
    eventually(lambda: len(reader.got) == 2)
    assert reader.payloads() == [("r/1", b"one", True), ("r/3", b"three", False)]


@BOTH
def test_the_will_is_published_on_connection_loss_only(broker: Broker, version: Any) -> None:
    reader = Client(broker, version)
    reader.subscribe("state/#")
    polite = Client(broker, version, "p", topic="state/p", payload=b"off", qos=1, retain=True)
    abrupt = Client(broker, version, "a", topic="state/a", payload=b"off", qos=1, retain=True)
    polite.close()
    abrupt.vanish()
    eventually(lambda: reader.got)
    assert reader.payloads() == [("state/a", b"off", False)]
    late = Client(broker, version)
    late.subscribe("state/#")
    eventually(lambda: late.got)
    assert late.payloads() == [("state/a", b"off", True)]


def test_properties_pass_from_5_to_5_and_versions_mix(broker: Broker) -> None:
    new, old = Client(broker, mqtt.MQTTv5), Client(broker, mqtt.MQTTv311)
    new.subscribe("t")
    old.subscribe("t")
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = "application/json"
    properties.UserProperty = ("schema", "urn:x:1")
    new.client.publish("t", b"1", 1, properties=properties).wait_for_publish(5)
    old.publish("t", b"2")
    eventually(lambda: len(new.got) == len(old.got) == 2)
    properties_received = new.got[0].properties
    assert properties_received is not None
    assert properties_received.json() == {  # type: ignore[no-untyped-call]
        "ContentType": "application/json",
        "UserProperty": [("schema", "urn:x:1")],
    }
    assert [m.payload for m in old.got] == [b"1", b"2"]


@BOTH
def test_a_second_client_of_the_same_name_takes_over(broker: Broker, version: Any) -> None:
    first = Client(broker, version, "same")
    second = Client(broker, version, "same")
    assert first.lost.wait(10)
    second.subscribe("x")
    second.publish("x", b"here")
    eventually(lambda: second.got)


@BOTH
def test_a_wrong_filter_is_refused(broker: Broker, version: Any) -> None:
    client = Client(broker, version)
    refused = 0x8F if version == mqtt.MQTTv5 else 0x80
    assert client.subscribe("$share/g/a") == [refused]


@pytest.mark.slow
def test_a_silent_client_is_dropped_and_a_pinging_one_is_not(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.desk.loopback.broker._KEEP_ALIVES", 0.3)
    with socket.create_connection(("127.0.0.1", broker.port)) as raw:
        raw.settimeout(10)
        raw.sendall(connect_packet(keepalive=1))
        assert raw.recv(4) == b"\x20\x02\x00\x00"
        for _ in range(3):
            time.sleep(0.12)
            raw.sendall(b"\xc0\x00")
            assert raw.recv(2) == b"\xd0\x00"
        assert raw.recv(1) == b""


def connect_packet(keepalive: int = 60, level: int = 4, name: bytes = b"raw") -> bytes:
    body = b"\x00\x04MQTT" + bytes([level, 2]) + struct.pack("!HH", keepalive, len(name)) + name
    return packets.packet(0x10, body)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\xff\x7f",
        packets.packet(0x10, b"\x00\x04MQTT"),
        connect_packet(level=9),
        connect_packet() + b"\x30\xff\xff\x7f" + b"x" * 70_000,
        connect_packet() + packets.packet(0x34, b"\x00\x01a\x00\x01hello"),
        connect_packet() + packets.packet(0x30, b"\x00\x03a/#x"),
        connect_packet() + packets.packet(0x82, b"\x00\x01"),
        connect_packet() + packets.packet(0x82, b"\x00\x01\x00\xff"),
        connect_packet() + connect_packet(),
    ],
)
def test_nonsense_ends_the_connection_and_nothing_else(
    broker: Broker, nonsense: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.desk.loopback.broker._TIMEOUT", 0.2)
    with socket.create_connection(("127.0.0.1", broker.port)) as raw:
        raw.settimeout(20)
        raw.sendall(nonsense)
        try:
            while raw.recv(1000):
                pass
        except ConnectionResetError:
            pass
    client = Client(broker, mqtt.MQTTv5)
    client.subscribe("x")
    client.publish("x", b"alive")
    eventually(lambda: client.got)


@given(st.binary(max_size=200), st.integers(0, 255), st.sampled_from([4, 5]))
@hypothesis_settings(max_examples=300)
def test_parsing_ends_in_a_packet_or_in_one_error(body: bytes, first: int, version: int) -> None:
    for parse in (
        lambda: packets.parse_connect(body),
        lambda: packets.parse_connect(b"\x00\x04MQTT" + bytes([version]) + body),
        lambda: packets.parse_publish(first, body, version),
        lambda: packets.parse_filters(body, version, options=bool(first & 1)),
    ):
        with contextlib.suppress(packets.MalformedError):
            parse()


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="+#\0"), min_size=1, max_size=300),
    st.binary(max_size=300),
    st.sampled_from([0, 1]),
    st.integers(1, 65_535),
    st.booleans(),
    st.sampled_from([4, 5]),
)
def test_a_message_survives_the_wire(
    topic: str, payload: bytes, qos: int, number: int, retain: bool, version: int
) -> None:
    sent = packets.Message(topic, payload, qos, retain)

    async def read() -> tuple[int, bytes]:
        stream = asyncio.StreamReader()
        stream.feed_data(packets.publish(sent, version, qos, number, retain))
        return await packets.read_packet(stream)

    first, body = asyncio.run(read())
    assert packets.parse_publish(first, body, version) == (sent, number if qos else 0)


def test_a_taken_port_is_a_named_error(broker: Broker) -> None:
    with pytest.raises(PublishError, match=f"cannot listen on 127.0.0.1:{broker.port}"):
        Broker(port=broker.port).start()


def test_stopping_closes_the_port_and_twice_is_harmless() -> None:
    broker = Broker()
    broker.start()
    client = Client(broker, mqtt.MQTTv5)
    broker.stop()
    broker.stop()
    assert client.lost.wait(10)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", broker.port))
