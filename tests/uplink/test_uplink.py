"""Against a real Mosquitto: everything arrives, once by (boot, seq), whatever happens between."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import paho.mqtt.client as mqtt
import pytest

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.report import Meta, to_json
from agent.base.schemas import registry as schemas
from agent.desk.loopback.broker import Broker
from agent.uplink.process import Uplink, run_uplink
from agent.wall.outbox import Outbox
from tests.summaries import birth, summary
from tests.uplink.conftest import DEVICE, Listener, Mosquitto, agent_config, eventually

Listen = Callable[..., Listener]


def fill(config: AgentConfig, first: int, number: int) -> list[bytes]:
    with Outbox(config.store) as outbox:
        made = [summary(seq) for seq in range(first, first + number)]
        for each in made:
            outbox.add(each)
    return [to_json(each) for each in made]


def depth(config: AgentConfig) -> int:
    with Outbox(config.store) as outbox:
        return outbox.depth()


def identities(bodies: list[bytes]) -> set[tuple[str, int]]:
    return {(body["boot"], body["seq"]) for body in map(json.loads, bodies)}


_CHILD = """
import sys, threading
from pathlib import Path
from tests.uplink.conftest import agent_config
from agent.uplink.process import run_uplink
run_uplink(agent_config(Path(sys.argv[1]), int(sys.argv[2])), threading.Event())
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[[int], subprocess.Popen[bytes]]]:
    """The uplink in a process of its own, to be killed."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(port: int) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", _CHILD, str(tmp_path), str(port)]
        processes.append(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_summaries_arrive_schema_valid_and_byte_for_byte(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen, protocol: str,
    running: Callable[[AgentConfig], threading.Event],
) -> None:  # fmt: skip
    config = agent_config(tmp_path, mosquitto.port, protocol=protocol)
    listener = listen(mosquitto.port)
    expected = fill(config, 0, 45)
    running(config)
    eventually(lambda: len(listener.summaries()) >= 45, "all summaries arrive")
    assert listener.summaries() == expected
    validator = jsonschema.Draft202012Validator(schemas.load("summary-1"))
    for body in listener.summaries():
        validator.validate(json.loads(body))
    eventually(lambda: depth(config) == 0, "the outbox is empty")
    later = fill(config, 45, 1)
    eventually(lambda: listener.summaries()[45:] == later, "a later summary arrives")
    message = next(m for m in listener.messages if m.topic.endswith("/summary"))
    assert message.qos == 1
    if protocol == "5":
        assert message.properties is not None
        said = message.properties.json()  # type: ignore[no-untyped-call]
        assert said["ContentType"] == "application/json"
        assert said["UserProperty"] == [("schema", "urn:fleeting:summary:1")]
        assert 0 < said["MessageExpiryInterval"] <= 7 * 86_400


def test_birth_certificate_and_state_are_retained_and_the_goodbye_is_said(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen, monkeypatch: pytest.MonkeyPatch,
    running: Callable[[AgentConfig], threading.Event],
) -> None:  # fmt: skip
    config = agent_config(tmp_path, mosquitto.port)
    with Outbox(config.store) as outbox:
        outbox.latest.put(birth())
    monkeypatch.setattr("agent.uplink.state.META_PAUSE", 0.1)
    stop = running(config)
    watcher = listen(mosquitto.port)
    eventually(lambda: watcher.bodies("meta") and watcher.bodies("state"), "the birth is seen")
    late = listen(mosquitto.port)
    eventually(lambda: late.bodies("meta") and late.bodies("state"), "both are retained")
    assert late.bodies("state") == [b"online"]
    first = Meta.model_validate_json(late.bodies("meta")[0])
    assert first.birth == birth()
    assert (len(first.key or ""), first.schemas) == (64, schemas.joint_hash())
    jsonschema.validate(json.loads(late.bodies("meta")[0]), schemas.load("meta-1"))
    with Outbox(config.store) as outbox:
        outbox.latest.put(birth("00000009"))
    eventually(lambda: len(late.bodies("meta")) == 2, "the new one")
    assert Meta.model_validate_json(late.bodies("meta")[1]).birth == birth("00000009")
    stop.set()
    eventually(lambda: late.bodies("state")[1:] == [b"offline"], "the goodbye is seen")


def test_the_will_is_seen_when_the_uplink_is_killed(
    mosquitto: Mosquitto, listen: Listen, child: Callable[[int], subprocess.Popen[bytes]]
) -> None:
    listener = listen(mosquitto.port)
    process = child(mosquitto.port)
    eventually(lambda: listener.bodies("state") == [b"online"], "the birth is seen")
    process.send_signal(signal.SIGKILL)
    eventually(lambda: listener.bodies("state") == [b"online", b"offline"], "the will is seen")
    late = listen(mosquitto.port)
    eventually(lambda: late.bodies("state") == [b"offline"], "the will is retained")
    child(mosquitto.port)
    eventually(lambda: late.bodies("state") == [b"offline", b"online"], "the rebirth is seen")


def test_after_the_broker_was_away_every_summary_arrives(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], listen: Listen,
    running: Callable[[AgentConfig], threading.Event],
) -> None:  # fmt: skip
    """The whole three minutes: FLEETING_BROKER_AWAY=180."""
    away = float(os.environ.get("FLEETING_BROKER_AWAY", "3"))
    broker = make_mosquitto(
        f"allow_anonymous true\npersistence true\npersistence_location {tmp_path}/"
    )
    broker.start()
    config = agent_config(tmp_path, broker.port)
    listener = listen(broker.port)
    expected = fill(config, 0, 30)
    running(config)
    eventually(lambda: len(listener.summaries()) >= 30, "the first arrive")
    broker.stop()
    ends = time.monotonic() + away
    number = 30
    while time.monotonic() < ends:
        expected += fill(config, number, 1)
        number += 1
        time.sleep(min(1.0, away / 10))
    assert depth(config) == number - 30
    broker.start()
    missing = identities(expected[30:])
    eventually(lambda: missing <= identities(listener.summaries()), "the rest arrive", 90)
    eventually(lambda: depth(config) == 0, "the outbox is empty")
    assert set(listener.summaries()) == set(expected)
    assert len(identities(expected)) == len(expected)
    assert listener.bodies("state")[-1] == b"online"


def test_kill_9_while_draining_loses_nothing(
    tmp_path: Path, mosquitto: Mosquitto, listen: Listen,
    child: Callable[[int], subprocess.Popen[bytes]],
) -> None:  # fmt: skip
    config = agent_config(tmp_path, mosquitto.port)
    expected = fill(config, 0, 200)
    listener = listen(mosquitto.port)
    for kill in range(4):
        process = child(mosquitto.port)
        while len(set(listener.summaries())) < 40 * kill + 10:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    child(mosquitto.port)
    eventually(lambda: set(listener.summaries()) == set(expected), "all arrive")
    eventually(lambda: depth(config) == 0, "the outbox is empty")


def test_no_more_in_flight_than_allowed(tmp_path: Path) -> None:
    config = agent_config(tmp_path, 1, in_flight=3)
    fill(config, 0, 20)
    with Broker() as broker, Outbox(config.store) as outbox:
        uplink = Uplink(agent_config(tmp_path, broker.port, in_flight=3), outbox)
        for _ in range(200):
            uplink.step(0.02)
            assert uplink._connection is not None
            assert len(uplink._connection._waiting) <= 3
            if outbox.depth() == 0:
                break
        assert outbox.depth() == 0
        uplink.stop()


def test_what_is_no_report_is_not_sent(
    tmp_path: Path, listen: Listen, running: Callable[[AgentConfig], threading.Event]
) -> None:
    """The wall's other side: even a process that sees and went rogue gets nothing through."""
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port)
        (good,) = fill(config, 0, 1)
        pictures = [
            b"\x89PNG and so on",
            good.replace(b'"v":1', b'"v":1,"face":"data"'),
            good.replace(b",", b", ", 1),
            good.replace(b'"slot":0', b'"slot":999'),
        ]
        with Outbox(config.store) as outbox, outbox._database.transaction("test") as database:
            for seq, body in enumerate(pictures, start=1):
                database.execute(
                    "INSERT INTO outbox (kind, boot, seq, body) VALUES ('summary', 'x', ?, ?)",
                    (seq, body),
                )
        listener = listen(broker.port)
        running(config)
        eventually(lambda: depth(config) == 0, "the outbox is empty")
        assert listener.summaries() == [good]


def waited(config: AgentConfig, caplog: pytest.LogCaptureFixture, steps: int = 3) -> list[str]:
    """The log lines of some attempts, without their pauses; nothing may leave the outbox."""
    pauses: list[float] = []
    with caplog.at_level(logging.WARNING), Outbox(config.store) as outbox:
        before = outbox.depth()
        uplink = Uplink(config, outbox, pauses.append)
        for _ in range(50):  # a busy machine takes more than one step to hear the answer
            if len(pauses) == steps:
                break
            uplink.step(0.2)
        assert outbox.depth() == before
        assert not uplink.connected
    assert all(0 < pause <= config.mqtt.backoff_max for pause in pauses)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(pauses) == steps
    assert all("\n" not in line and record.exc_info is None
               for line, record in zip(lines, caplog.records, strict=True))  # fmt: skip
    return lines


def test_a_closed_port_is_one_clear_line_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Broker() as broker:
        port = broker.port
    config = agent_config(tmp_path, port)
    fill(config, 0, 2)
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
    login = {"username": "box-7", "password_file": str(secret), "protocol": protocol}
    config = agent_config(tmp_path, broker.port, **login)
    fill(config, 0, 1)
    for line in waited(config, caplog):
        assert "refuses us" in line
        assert "mqtt.username" in line
    secret.write_text("right\n")
    running(config)
    listener = listen(broker.port, "box-7", "right")
    eventually(lambda: listener.bodies("state") or listener.summaries(), "we are let in")


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """An authority of our own with a certificate each for broker and device; another authority."""
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
    fill(wrong, 0, 5)
    (line,) = waited(wrong, caplog, steps=1)
    assert "certificate verify failed" in line
    right = agent_config(folder, broker.port, ca_file=str(folder / "authority.pem"), **files)
    with Outbox(right.store) as outbox:
        uplink = Uplink(right, outbox)
        for _ in range(40):
            uplink.step(0.05)
        assert outbox.depth() == 0
        uplink.stop()


def test_a_broker_that_forbids_our_topic_keeps_the_summaries_here(
    tmp_path: Path, make_mosquitto: Callable[..., Mosquitto], caplog: pytest.LogCaptureFixture
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic read fleeting/#\n")
    broker = make_mosquitto(f"allow_anonymous true\nacl_file {rules}")
    broker.start()
    config = agent_config(tmp_path, broker.port)
    fill(config, 0, 3)
    lines = waited(config, caplog, steps=1)
    assert "does not take our messages" in lines[0]
    assert f"fleeting/1/d/{DEVICE}/#" in lines[0]


def test_a_broker_that_takes_connections_and_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr("agent.uplink.connection.CONNECT_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        config = agent_config(tmp_path, mute.getsockname()[1])
        fill(config, 0, 1)
        (line,) = waited(config, caplog, steps=1)
    assert "does not answer" in line


def test_a_broker_that_never_acknowledges_counts_as_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.uplink.connection.ACK_TIMEOUT", 0.3)
    monkeypatch.setattr("agent.desk.loopback.broker.Broker._serve_packet", lambda *_: None)
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port)
        fill(config, 0, 1)
        with Outbox(config.store) as outbox, caplog.at_level(logging.WARNING):
            uplink = Uplink(config, outbox, lambda _: None)
            for _ in range(20):
                uplink.step(0.1)
                if caplog.records:
                    break
            assert outbox.depth() == 1
            uplink.stop()
    assert "has not acknowledged" in caplog.records[0].getMessage()


def test_a_device_with_an_outbox_that_breaks_stays_connected_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.base.errors import StoreError

    monkeypatch.setattr("agent.uplink.process._STORE_DELAY", 0.1)
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port)
        fill(config, 0, 5)
        with Outbox(config.store) as outbox, caplog.at_level(logging.ERROR):
            uplink = Uplink(config, outbox)
            for _ in range(3):
                uplink.step(0.05)
            with monkeypatch.context() as broken:

                def fail(*_: int) -> None:
                    raise StoreError("the disk is full.")

                broken.setattr(outbox, "acknowledge", fail)
                fill(config, 5, 1)
                for _ in range(20):
                    uplink.step(0.05)
                assert uplink.connected
                assert any("the disk is full" in r.getMessage() for r in caplog.records)
            for _ in range(40):
                uplink.step(0.05)
            assert outbox.depth() == 0
            uplink.stop()


def test_the_demo_profile_does_not_leave_this_machine(tmp_path: Path) -> None:
    config = agent_config(tmp_path, 1883, host="broker.example")
    with pytest.raises(ConfigError, match="may not leave this machine"):
        run_uplink(config, threading.Event())


@pytest.mark.parametrize("key", ["password_file", "ca_file"])
def test_a_missing_file_is_named_at_the_start(tmp_path: Path, key: str) -> None:
    config = agent_config(
        tmp_path, 1883, tls=True, username="box", **{key: str(tmp_path / "nowhere.pem")}
    )
    with pytest.raises(ConfigError, match=r"nowhere\.pem"):
        run_uplink(config, threading.Event())


def test_stopping_sends_what_is_left(tmp_path: Path, listen: Listen) -> None:
    with Broker() as broker:
        config = agent_config(tmp_path, broker.port)
        listener = listen(broker.port)
        with Outbox(config.store) as outbox:
            uplink = Uplink(config, outbox)
            uplink.step(0.1)
            expected = fill(config, 0, 60)
            uplink.stop()
            assert outbox.depth() == 0
        eventually(lambda: listener.summaries() == expected, "all arrive")
        assert mqtt.topic_matches_sub("fleeting/+/d/+/state", f"fleeting/1/d/{DEVICE}/state")
        eventually(lambda: listener.bodies("state")[-1] == b"offline", "the goodbye is seen")
