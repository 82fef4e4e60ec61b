"""Old, unreachable, hung and hostile brokers: one line in the log, and no message is lost."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.base.config import AgentConfig, PrivacyConfig
from agent.desk.loopback import packets
from agent.desk.loopback.broker import Broker, _Session
from agent.uplink.client import MAX_PACKET_BYTES
from agent.uplink.process import Uplink
from agent.uplink.resolver.lookup import Address
from agent.wall.outbox import Outbox
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
from tools.common.mosquitto import Mosquitto, free_port

DESIRED = f"fleeting/1/d/{DEVICE}/shadow/desired"


def test_the_will_is_seen_when_the_connection_is_cut(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen
) -> None:
    listener = listen(mosquitto.port)
    with stepped_uplink(agent_config(tmp_path, mosquitto.port)) as (uplink, _):
        until(uplink, lambda: listener.bodies("state") == [b"online"], "the birth is seen")
        assert uplink._connection is not None
        uplink._connection.close(graceful=False)  # as the kernel does when the process is killed
        eventually(lambda: listener.bodies("state")[1:] == [b"offline"], "the will is seen")
        late = listen(mosquitto.port)
        eventually(lambda: late.bodies("state") == [b"offline"], "the will is retained")
        until(uplink, lambda: late.bodies("state")[1:] == [b"online"], "the rebirth is seen")


def waited(config: AgentConfig, caplog: pytest.LogCaptureFixture, steps: int = 3) -> list[str]:
    """The log lines of some attempts, without their pauses; nothing may leave the outbox."""
    pauses: list[float] = []
    with caplog.at_level(logging.WARNING), Outbox(config.store) as outbox:
        before = outbox.depth()
        uplink = Uplink(config, outbox, pauses.append)
        try:
            for _ in range(50):  # the reply may take several steps
                if len(pauses) == steps:
                    break
                uplink.step(0.2)
            assert outbox.depth() == before
            assert not uplink.connected
        finally:
            uplink.stop()
    assert all(0 < pause <= config.mqtt.backoff_max for pause in pauses)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(pauses) == steps
    assert all("\n" not in line and record.exc_info is None
               for line, record in zip(lines, caplog.records, strict=True))  # fmt: skip
    return lines


def test_a_closed_port_is_one_clear_line_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    config = agent_config(tmp_path, port)
    fill(config, 2)
    for line in waited(config, caplog):
        assert f"The broker at 127.0.0.1:{port} cannot be reached" in line
        assert "Next try in" in line


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_refused_credentials_name_the_settings(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], listen: Listen,
    caplog: pytest.LogCaptureFixture, protocol: str,
    running: Callable[[AgentConfig], threading.Event],
) -> None:  # fmt: skip
    passwords = tmp_path / "passwords"
    passwords.write_text("box-7:right\n")
    if subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=False).returncode:
        pytest.skip("mosquitto_passwd does not work here")
    passwords.chmod(0o644)
    broker = make_mosquitto(f"allow_anonymous false\npassword_file {passwords}")
    broker.start()
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    secret.chmod(0o600)
    login = {"username": "box-7", "password_file": str(secret), "protocol": protocol}
    config = agent_config(tmp_path, broker.port, **login)
    fill(config, 1)
    for line in waited(config, caplog):
        assert "refuses us" in line
        assert "mqtt.username" in line
    secret.write_text("right\n")
    running(config)
    listener = listen(broker.port, "box-7", "right")
    eventually(lambda: listener.bodies("state") or listener.summaries(), "we are let in")


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A CA with certificates for broker and device, and another CA."""
    commands = [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        f" -keyout {name}.key -out {name}.pem -subj /CN={name}"
        # Python 3.13 and later ask for it
        " -addext keyUsage=critical,keyCertSign,cRLSign"
        for name in ("authority", "stranger")
    ] + [
        command
        for name in ("localhost", DEVICE)
        for command in (
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
            f" -keyout {name}.key -out {name}.csr -subj /CN={name}",
            f"x509 -req -in {name}.csr -CA authority.pem -CAkey authority.key -CAcreateserial"
            f" -days 2 -out {name}.pem -extfile names.txt",
        )
    ]
    (tmp_path / "names.txt").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    for command in commands:
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def test_tls_with_a_certificate_each_and_an_unknown_authority_is_refused(
    certificates: Path, make_mosquitto: Callable[..., Mosquitto],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """The certificate's common name is the user, and a pattern confines it to its own topics."""
    folder = certificates
    (folder / "acl").write_text("pattern write fleeting/1/d/%u/#\n")
    broker = make_mosquitto(
        f"cafile {folder}/authority.pem\ncertfile {folder}/localhost.pem\n"
        f"keyfile {folder}/localhost.key\nrequire_certificate true\n"
        f"use_identity_as_username true\nacl_file {folder}/acl"
    )
    broker.start()
    files = {
        "tls": True,
        "cert_file": str(folder / f"{DEVICE}.pem"),
        "key_file": str(folder / f"{DEVICE}.key"),
    }
    wrong = agent_config(folder, broker.port, ca_file=str(folder / "stranger.pem"), **files)
    fill(wrong, 5)
    (line,) = waited(wrong, caplog, steps=1)
    assert "not from an authority that this machine trusts" in line
    right = agent_config(folder, broker.port, ca_file=str(folder / "authority.pem"), **files)
    with stepped_uplink(right) as (uplink, outbox):
        until(uplink, lambda: summaries(outbox) == 0, "all is sent")


def named(folder: Path, port: int, host: str, **options: Any) -> AgentConfig:
    """With a policy that lets summaries leave this machine."""
    config = agent_config(folder, port, host=host, **options)
    return config.model_copy(update={"privacy": PrivacyConfig()})


def test_the_next_address_is_tried_and_the_name_is_what_tls_asks_for(
    certificates: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first address refuses; the server at the second is told the name (SNI), and shows a
    certificate for another one."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "localhost.pem", certificates / "localhost.key")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = named(
            certificates, server.getsockname()[1], "broker.example", tls=True,
            ca_file=str(certificates / "authority.pem"),
        )  # fmt: skip
        server.settimeout(60)
        addresses = tuple(Address(socket.AF_INET, host) for host in ("127.0.0.9", "127.0.0.1"))
        monkeypatch.setattr("agent.uplink.resolver.lookup._literal", lambda _: addresses)

        def greet() -> None:
            with contextlib.suppress(OSError):
                context.wrap_socket(server.accept()[0], server_side=True).close()

        thread = threading.Thread(target=greet)
        thread.start()
        (line,) = waited(config, caplog, steps=1)
        thread.join()
    assert asked == ["broker.example"]
    assert "for another host name" in line


def test_a_name_that_is_unknown_keeps_the_summaries_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = named(tmp_path, 1883, "nothing.invalid")
    fill(config, 2)
    (line,) = waited(config, caplog, steps=1)
    assert "nothing.invalid" in line
    assert "Next try in" in line


def test_a_broker_that_forbids_our_topic_keeps_the_summaries_here(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], caplog: pytest.LogCaptureFixture
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic read fleeting/#\n")
    broker = make_mosquitto(f"allow_anonymous true\nacl_file {rules}")
    broker.start()
    config = agent_config(tmp_path, broker.port)
    fill(config, 3)
    lines = waited(config, caplog, steps=1)
    assert "does not take our messages" in lines[0]
    assert f"fleeting/1/d/{DEVICE}/#" in lines[0]


def test_a_broker_that_accepts_connections_and_never_answers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.uplink.connection.CONNECT_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        config = agent_config(tmp_path, mute.getsockname()[1])
        fill(config, 1)
        (line,) = waited(config, caplog, steps=1)
    assert "does not answer" in line


def test_a_broker_that_never_acknowledges_counts_as_gone(
    tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("agent.uplink.connection.ACK_TIMEOUT", 0.1)
    monkeypatch.setattr(Broker, "_handle_packet", lambda *_: None)
    config = agent_config(tmp_path, broker.port)
    fill(config, 1)
    with stepped_uplink(config) as (uplink, outbox), caplog.at_level(logging.WARNING):
        until(uplink, lambda: caplog.records, "it is noticed")
        assert summaries(outbox) == 1
        assert not uplink.connected
    assert "has not acknowledged" in caplog.records[0].getMessage()


class Old(Broker):
    """Supports MQTT 3.1.1 only; `word`: its reply to other versions, if any."""

    word: bytes | None = packets.connack(4, 1)

    async def _accept(self, stream: Any, writer: Any) -> Any:
        first, body = await packets.read_packet(stream)
        connect = packets.parse_connect(body)
        assert first == 0x10
        if connect.version != 4:
            if self.word:
                writer.write(self.word)
            return None
        session = self._sessions[connect.client_id] = _Session(connect, writer)
        writer.write(packets.connack(4, 0))
        return session


@pytest.mark.parametrize("word", [packets.connack(4, 1), packets.packet(0x20, b"\0\x84\0"), None])
def test_a_broker_that_speaks_only_3_1_1_is_spoken_to_in_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    word: bytes | None,
) -> None:  # fmt: skip
    """It may reply in the format of 3.1.1 or 5.0, or close the connection."""
    monkeypatch.setattr(Old, "word", word)
    caplog.set_level(logging.INFO)
    with Old() as broker:
        config = agent_config(tmp_path, broker.port)
        fill(config, 5)
        with stepped_uplink(config) as (uplink, outbox):
            until(uplink, lambda: summaries(outbox) == 0, "all is sent")
    lines = [record.getMessage() for record in caplog.records]
    assert any("MQTT 3.1.1 is tried next" in line for line in lines)
    assert any("MQTT 3.1.1" in line and "Connected" in line for line in lines)
    assert f"fleeting/1/d/{DEVICE}/state" in broker._retained


def test_a_broker_that_hangs_up_once_is_still_spoken_to_in_5(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, hangups = Broker._accept, [None]

    async def hasty(self: Broker, stream: Any, writer: Any) -> Any:
        if hangups:
            hangups.pop()
            return None
        return await before(self, stream, writer)

    monkeypatch.setattr(Broker, "_accept", hasty)
    with stepped_uplink(agent_config(tmp_path, broker.port)) as (uplink, _):
        until(uplink, lambda: uplink.connected, "connected")
        assert uplink._connection is not None
        assert uplink._connection.version5


def test_a_half_open_connection_is_noticed(
    tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A dead peer is detected by keep-alive."""
    monkeypatch.setattr("agent.uplink.connection.ACK_TIMEOUT", 3600.0)
    with stepped_uplink(agent_config(tmp_path, broker.port)) as (uplink, _):
        until(uplink, lambda: uplink.connected, "connected")
        for _ in range(5):
            uplink.step(0.02)
        monkeypatch.setattr(Broker, "_handle_packet", lambda *_: None)
        assert uplink._connection is not None
        uplink._connection._client._keepalive = 0.1  # type: ignore[assignment] # the least that may be set is 5
        with caplog.at_level(logging.WARNING):
            until(uplink, lambda: caplog.records, "it is noticed")
        assert "went away" in caplog.records[0].getMessage()
        assert not uplink.connected


def test_ten_megabytes_over_3_1_1_end_the_connection_and_subscriptions_for_a_while(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    """MQTT 3.1.1 has no packet size limit: the retained message would be sent again each time."""
    listener = listen(mosquitto.port)
    listener._client.publish(DESIRED, b"A" * 10_000_000, qos=1, retain=True).wait_for_publish(30)
    config = agent_config(tmp_path, mosquitto.port, protocol="3.1.1")
    fill(config, 5)
    caplog.set_level(logging.WARNING)
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: not uplink.connected and caplog.records, "it is cut")
        until(uplink, lambda: summaries(outbox) == 0, "all is sent all the same")
        assert uplink.connected
        assert uplink._subscriptions.active == set()
        uplink._subscriptions._resume_at = 0.0
        uplink.step(0.0)
        assert DESIRED in uplink._subscriptions.active
    assert "far too long" in caplog.records[0].getMessage()


def test_ten_megabytes_over_5_are_kept_by_the_broker(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen
) -> None:
    listener = listen(mosquitto.port)
    listener._client.publish(DESIRED, b"A" * 10_000_000, qos=1, retain=True).wait_for_publish(30)
    config = agent_config(tmp_path, mosquitto.port)
    fill(config, 5)
    with stepped_uplink(config) as (uplink, outbox):
        until(uplink, lambda: summaries(outbox) == 0, "all is sent")
        assert uplink.connected
        assert uplink._events.total.total() == 0


def test_a_packet_within_the_limit_is_received(
    tmp_path: Path, broker: Broker, listen: Listen
) -> None:
    """A large packet below the limit is delivered to the handler."""
    with stepped_uplink(agent_config(tmp_path, broker.port)) as (uplink, _):
        listener = listen(broker.port)
        until(uplink, lambda: uplink.connected, "connected")
        until(uplink, lambda: listener.bodies("shadow/reported"), "it listens")
        listener._client.publish(DESIRED, b" " * (MAX_PACKET_BYTES - 200), qos=1)
        until(uplink, lambda: uplink._events.total["inbound_refused"] == 1, "it is refused as long")
        assert uplink.connected
