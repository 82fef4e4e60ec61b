"""Brokers that offer less than MQTT permits: they get what they take, and the log says the rest."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.base.config import AgentConfig
from agent.base.report.device import Command
from agent.desk.check_broker import Offer, connect, longest_packets, shortcomings
from agent.desk.loopback import packets
from agent.desk.loopback.broker import Broker, _Session
from agent.uplink.abilities import WANTED, Abilities, Learnt, packet_bytes
from agent.uplink.topics import MESSAGE_KINDS, Topics
from agent.uplink.unreachable import Trouble
from agent.wall.outbox import Outbox
from tests.summaries import birth
from tests.uplink.conftest import (
    DEVICE,
    Listen,
    agent_config,
    eventually,
    fill,
    stepped_uplink,
    summaries,
    until,
)  # fmt: skip
from tools.common.mosquitto import Mosquitto

Make = Callable[..., Mosquitto]
ANYONE = "allow_anonymous true\n"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("META_INTERVAL", "FIRST_HEALTH_DELAY", "APPLY_TIMEOUT_ABSENT"):
        monkeypatch.setattr(f"agent.uplink.state.{name}", 0.05)


def said(caplog: pytest.LogCaptureFixture, text: str) -> int:
    return sum(text in record.getMessage() for record in caplog.records)


def offered(config: AgentConfig) -> Offer:
    found = connect(config.mqtt, f"{DEVICE}-check")
    assert isinstance(found, Offer), found
    return found


def lacking(config: AgentConfig) -> tuple[bool, str]:
    whole, troubles = shortcomings(config, offered(config))
    return whole, " ".join(f"{each.what}. {each.advice}" for each in troubles)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_without_retain_all_is_sent_and_nothing_retained(
    tmp_path: Path, make_mosquitto: Make, listen: Listen, caplog: pytest.LogCaptureFixture,
    protocol: str,
) -> None:  # fmt: skip
    broker = make_mosquitto(f"{ANYONE}retain_available false")
    broker.start()
    config = agent_config(tmp_path, broker.port, protocol=protocol)
    fill(config, 3)
    reader = listen(broker.port)
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: summaries(outbox) == 0, "all is sent")
        until(uplink, lambda: reader.bodies("shadow/reported"), "and the settings are said")
        assert uplink._connection is not None
        uplink._connection.close(graceful=False)
        eventually(lambda: b"offline" in reader.bodies("state"), "the will is there, not retained")
    assert not any(message.retain for message in reader.messages)
    assert said(caplog, "keeps no retained messages") >= 1
    if protocol == "5":
        whole, text = lacking(config)
        assert whole
        assert "retains nothing" in text


def test_without_acknowledgements_the_outbox_keeps_what_must_not_be_lost(
    tmp_path: Path, make_mosquitto: Make, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    broker = make_mosquitto(f"{ANYONE}max_qos 0")
    broker.start()
    config = agent_config(tmp_path, broker.port)
    fill(config, 2)
    with Outbox(config.store) as store:
        store.latest.put(birth())
    reader = listen(broker.port)
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: reader.bodies("meta") and reader.bodies("health"), "the rest is sent")
        until(uplink, lambda: uplink._sender.drained, "it does not try for ever")
        assert uplink.connected
        assert summaries(outbox) == 2
    assert reader.summaries() == []
    assert said(caplog, "acknowledges nothing") == 1
    whole, text = lacking(config)
    assert not whole
    assert "maximum QoS is 0" in text
    assert "summaries" in text


def test_short_packets_let_pass_what_fits_and_the_rest_is_named_once(
    tmp_path: Path, make_mosquitto: Make, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    broker = make_mosquitto(f"{ANYONE}max_packet_size 400")
    broker.start()
    config = agent_config(tmp_path, broker.port)
    fill(config, 2)
    reader = listen(broker.port)
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: reader.bodies("health") and uplink._sender.drained, "the rest")
        assert uplink.connected
        assert summaries(outbox) == 2
        uplink._disconnect()
        until(uplink, lambda: uplink.connected, "once more")
        until(uplink, lambda: uplink._sender.drained, "and looked through")
    assert said(caplog, "as long as this message, summary") == 1
    whole, text = lacking(config)
    assert not whole
    assert "summary (up to " in text
    assert "health" not in text


def test_over_3_1_1_where_the_broker_cuts_without_a_word(
    tmp_path: Path, make_mosquitto: Make, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    broker = make_mosquitto(f"{ANYONE}max_packet_size 400")
    broker.start()
    config = agent_config(tmp_path, broker.port, protocol="3.1.1")
    fill(config, 2)
    reader = listen(broker.port)
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: said(caplog, "this message, summary"), "it is learnt", 3000)
        until(uplink, lambda: reader.bodies("health") and uplink._sender.drained, "the rest", 3000)
        assert uplink.connected
        assert summaries(outbox) == 2
    assert said(caplog, "another client") == 0


def test_messages_refused_as_too_long_stay_and_the_others_go(
    tmp_path: Path, make_mosquitto: Make, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker says nothing of it beforehand."""
    broker = make_mosquitto(f"{ANYONE}message_size_limit 400")
    broker.start()
    config = agent_config(tmp_path, broker.port)
    fill(config, 2)
    reader = listen(broker.port)
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: said(caplog, "this message, summary"), "it is said")
        until(uplink, lambda: reader.bodies("health") and uplink._sender.drained, "the rest")
        assert uplink.connected
        assert summaries(outbox) == 2
    assert said(caplog, "this message, summary") == 1


class Poor(Broker):
    """Scripted: what it offers, how it refuses."""

    offer: ClassVar[dict[str, int]] = {}
    refusal: int | None = None
    """Reason code of the first CONNACK."""
    ends: ClassVar[dict[int, int]] = {}
    """By packet type: reason of a DISCONNECT in answer to it."""
    wills: list[Any]

    async def _accept(self, stream: Any, writer: Any) -> Any:
        _, body = await packets.read_packet(stream)
        session = _Session(packets.parse_connect(body), writer)
        self.wills = [*getattr(self, "wills", []), session.connect.will]
        if self.refusal is not None:
            code, self.refusal = self.refusal, None
            writer.write(packets.packet(0x20, bytes([0, code, 0])))
            return None
        properties = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
        for name, value in self.offer.items():
            setattr(properties, name, value)
        packed = properties.pack()  # type: ignore[no-untyped-call]
        writer.write(packets.packet(0x20, b"\0\0", packed))
        self._sessions[session.connect.client_id] = session
        return session

    def __enter__(self) -> Poor:
        self.start()
        return self

    def _handle_packet(self, session: Any, first: int, body: bytes) -> None:
        code = self.ends.get(first >> 4)
        wild = first == 0x82 and b"+" in body
        if code is not None and (first >> 4 != 8 or wild) and (first >> 4 != 3 or len(body) > 600):
            session.writer.write(packets.packet(0xE0, bytes([code, 0])))
            session.disconnected = True
            return
        super()._handle_packet(session, first, body)


def poor(**given: Any) -> Poor:
    made = Poor()
    for name, value in given.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(("code", "qos", "retain"), [(0x9A, 1, False), (0x9B, 0, True)])
def test_a_will_that_is_refused_is_lowered(
    tmp_path: Path, code: int, qos: int, retain: bool
) -> None:
    with (
        poor(refusal=code) as broker,
        stepped_uplink(agent_config(tmp_path, broker.port)) as (
            uplink,
            _,
        ),
    ):
        until(uplink, lambda: uplink.connected, "it is let in")
    before, after = broker.wills[:2]
    assert (before.qos, before.retain) == (1, True)
    assert (after.qos, after.retain) == (qos, retain)


@pytest.mark.parametrize("offer", [{"WildcardSubscriptionAvailable": 0}, {}])
def test_without_wildcards_every_command_is_asked_for_by_name(
    tmp_path: Path, offer: dict[str, int]
) -> None:
    """Whether the broker says so beforehand or ends the connection."""
    with (
        poor(offer=offer, ends={8: 0xA2}) as broker,
        stepped_uplink(agent_config(tmp_path, broker.port)) as (uplink, _),
    ):
        base = f"fleeting/1/d/{DEVICE}/cmd/"
        wanted = {f"{base}{name}" for name in get_args(Command)}
        until(uplink, lambda: wanted <= uplink._subscriptions.active, "they are")
        until(
            uplink,
            lambda: uplink._connection is not None and wanted <= uplink._connection.granted.keys(),
            "and granted",
        )
        assert uplink.connected


def test_a_broker_that_ends_the_connection_over_a_long_packet_is_spared_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with poor(ends={3: 0x95}) as broker:
        config = agent_config(tmp_path, broker.port)
        fill(config, 1)
        with stepped_uplink(config) as (uplink, outbox):
            until(uplink, lambda: said(caplog, "this message, summary"), "it is learnt")
            until(uplink, lambda: uplink.connected and uplink._sender.drained, "and goes on")
            assert summaries(outbox) == 1
    assert said(caplog, "longer than it takes") >= 1


@pytest.mark.parametrize(
    ("code", "text"),
    [(0x8A, "banned"), (0x97, "quota"), (0x9C, "another server"), (0x9F, "too fast")],
)
def test_every_refusal_has_a_sentence_of_our_own_in_both(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int, text: str
) -> None:
    with poor(refusal=code) as broker:
        config = agent_config(tmp_path, broker.port)
        found = connect(config.mqtt, "x-check")
        assert isinstance(found, Trouble)
        broker.refusal = code
        with caplog.at_level(logging.WARNING), stepped_uplink(config) as (uplink, _):
            uplink.step(0.2)
        assert text in found.what
        what = found.what.removeprefix("the broker says: ")
        assert f"refuses us: {what}. {found.advice}" in caplog.records[0].getMessage()


def test_every_message_fits_into_the_packet_that_is_asked_for(tmp_path: Path) -> None:
    config = agent_config(tmp_path, 1, discovery=True)
    device = config.device.model_copy(update={"id": "x" * 64})
    config = config.model_copy(update={"device": device})
    sizes = longest_packets(config, Offer("5", Abilities()))
    assert set(sizes) == set(MESSAGE_KINDS)
    assert max(sizes.values()) <= WANTED


def test_the_length_of_a_packet_is_what_is_sent() -> None:
    topic = Topics(agent_config(Path("/nowhere"), 1)).of("summary")
    for body in (0, 80, 81, 127, 128, 16_340, 16_383, 16_400):
        message = packets.Message(topic, bytes(body), 1, False, b"")
        sent = packets.publish(message, 4, 1, 7, False)
        assert packet_bytes(topic, body, 1, None) == len(sent)
        assert struct.unpack("!H", sent[-body - 2 : len(sent) - body])[0] == 7


def test_what_was_refused_is_tried_again_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("agent.uplink.abilities.time.monotonic", lambda: now[0])
    learnt = Learnt()
    learnt.refuse(0x9A, 0)
    learnt.refuse(0x95, 701)
    now[0] = 3599.0
    learnt.expire()
    assert learnt.within(Abilities(packet=900)) == Abilities(retain=False, packet=700)
    now[0] = 3601.0
    learnt.expire()
    assert learnt.within(Abilities()) == Abilities()
