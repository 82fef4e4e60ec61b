"""A real Mosquitto with the example configuration: who gets in, and what each may say and hear."""

from __future__ import annotations

import contextlib
import errno
import itertools
import socket
import ssl
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.base.report import Job, JobExecution, to_json
from agent.base.settings_file import load
from agent.uplink.process import run_uplink
from agent.wall.outbox import Outbox
from tests.summaries import meta, summary
from tests.uplink.conftest import eventually
from tools.common.mosquitto import free_port, installed, listens
from tools.common.mqtt_loop import end_loop
from tools.fleet.broker import certificates
from tools.fleet.broker.folder import HERE, add_device, add_operator, make_authorities, make_broker
from tools.fleet.broker.watch import line
from tools.fleet.cli import main

ROOT = Path(__file__).parents[4]
A, B = "box-7", "box-8"
VERSIONS = (mqtt.MQTTv5, mqtt.MQTTv311)
WRITABLE = (
    "fleeting/1/d/{}/state", "fleeting/1/d/{}/meta", "fleeting/1/d/{}/summary",
    "fleeting/1/d/{}/health", "fleeting/1/d/{}/event", "fleeting/1/d/{}/receipt",
    "fleeting/1/d/{}/shadow/reported", "fleeting/1/d/{}/res/ping",
    "fleeting/1/d/{}/job/0123456789abcdef",
    "homeassistant/device/{}/config", "fleeting/1/p/{}/renew",
)  # fmt: skip
READABLE = (
    "fleeting/1/d/{}/shadow/desired", "fleeting/1/d/{}/cmd/ping", "fleeting/1/d/{}/job/next",
    "fleeting/1/p/{}/cert",
)  # fmt: skip
SHARED = ("fleeting/1/g/shops/desired", "homeassistant/status")
_numbers = itertools.count()


class Fleet:
    """A folder of the tool's, and its broker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clients: list[Client] = []
        self.port, self.operator_port, self.bootstrap_port = (free_port() for _ in range(3))
        make_authorities(folder)
        make_broker(
            folder, ["127.0.0.1"], bind="127.0.0.1", port=self.port,
            operator_port=self.operator_port, bootstrap_port=self.bootstrap_port,
        )  # fmt: skip
        for name in (A, B):
            add_device(folder, name, host="localhost", port=self.port)
        for name in ("fleet", "reader", "homeassistant", "enrolment"):
            add_operator(folder, name)

    def context(self, kind: str, name: str) -> ssl.SSLContext:
        place = self.folder / {"device": "devices", "operator": "operators"}[kind] / name
        context = ssl.create_default_context(cafile=str(place / "ca.pem"))
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does
        context.load_cert_chain(place / f"{kind}.pem", place / f"{kind}.key")
        return context

    def device(self, name: str, version: int = mqtt.MQTTv5, **options: Any) -> Client:
        self.clients.append(Client(self.context("device", name), self.port, version, **options))
        return self.clients[-1]

    def bootstrap(self, name: str, version: int = mqtt.MQTTv5) -> Client:
        """A client with a bootstrap certificate of that name."""
        ca = self.folder / "ca"
        signer = certificates.load(ca / "bootstrap-ca.pem", ca / "bootstrap-ca.key")
        context = _context(self.folder, self, certificates.client(signer, name, 3))
        self.clients.append(Client(context, self.bootstrap_port, version))
        return self.clients[-1]

    def operator(self, name: str) -> Client:
        context = self.context("operator", name)
        self.clients.append(Client(context, self.operator_port, mqtt.MQTTv5))
        return self.clients[-1]


class Client:
    """A connection with a thread of its own, which remembers all that was said to it."""

    def __init__(
        self,
        context: ssl.SSLContext, port: int, version: int, client_id: str = "any", will: str = "",
    ) -> None:  # fmt: skip
        self.messages: list[tuple[str, bytes]] = []
        self.codes: dict[int, int] = {}
        """Message number -> reason code of its acknowledgement."""
        self.ended: list[Any] = []
        """Reason code of a connection that is no more."""
        self._subscribed: set[int] = set()
        welcome: list[Any] = []
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id,
            protocol=MQTTProtocolVersion(version), reconnect_on_failure=False,
        )  # fmt: skip
        self._client.tls_set_context(context)
        self._client.on_connect = lambda *args: welcome.append(args[3])
        self._client.on_disconnect = lambda *args: self.ended.append(args[3])
        self._client.on_publish = lambda *args: self.codes.__setitem__(args[2], args[3].value)
        self._client.on_subscribe = lambda *args: self._subscribed.add(args[2])
        self._client.on_message = lambda *args: self.messages.append(
            (args[2].topic, bytes(args[2].payload))
        )
        if will:
            self._client.will_set(will, b"will", qos=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        eventually(lambda: welcome or self.ended, "an answer")
        self.refused = not welcome or welcome[0].is_failure

    def subscribe(self, *filters: str) -> None:
        wanted = len(self._subscribed) + len(filters)
        for each in filters:
            self._client.subscribe(each, qos=1)
        eventually(lambda: len(self._subscribed) >= wanted or self.ended, "subscriptions")

    def publish(self, topic: str, body: bytes, retain: bool = False) -> int | None:
        """Send with QoS 1; the reason code, or None when the connection ended instead."""
        info = self._client.publish(topic, body, qos=1, retain=retain)
        eventually(lambda: info.mid in self.codes or self.ended, f"an answer to {topic}")
        return self.codes.get(info.mid)

    def topics(self) -> list[str]:
        return [topic for topic, _ in list(self.messages)]

    def drop(self) -> None:
        """End without a word, as a power cut would: the broker publishes the will."""
        sock = self._client.socket()
        assert isinstance(sock, socket.socket)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        eventually(lambda: self.ended, "an end")
        end_loop(self._client)

    def close(self) -> None:
        self._client.disconnect()
        end_loop(self._client)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    if installed() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    made = Fleet(tmp_path_factory.mktemp("fleet") / "fleet")
    broker = subprocess.Popen(
        [sys.executable, "-m", "tools.fleet", "serve", str(made.folder)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ports = made.port, made.operator_port, made.bootstrap_port
    eventually(lambda: all(map(listens, ports)), "Mosquitto listens")
    yield made
    broker.terminate()
    broker.wait(10)


@pytest.fixture
def watcher(fleet: Fleet) -> Iterator[Client]:
    """Sees everything that the broker let through, retained messages of other tests left out."""
    client = fleet.operator("fleet")
    client.subscribe("fleeting/#", "homeassistant/#")
    _settle(client)
    client.messages.clear()
    yield client
    while fleet.clients:
        fleet.clients.pop().close()


def _settle(watcher: Client) -> None:
    """Wait until the watcher has heard all that the broker took before now: it keeps the order."""
    mark = b"mark %d" % next(_numbers)
    assert watcher.publish("fleeting/1/d/mark/cmd/mark", mark) == 0
    eventually(lambda: any(body == mark for _, body in list(watcher.messages)), "the mark")


def heard(watcher: Client) -> list[str]:
    """Topics of all that the broker let through."""
    _settle(watcher)
    return [topic for topic in watcher.topics() if not topic.endswith("/cmd/mark")]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_device_writes_its_own_topics(fleet: Fleet, watcher: Client, version: int) -> None:
    device = fleet.device(A, version)
    own = [topic.format(A) for topic in WRITABLE]
    assert [device.publish(topic, b"x") for topic in own] == [0] * len(own)
    assert heard(watcher) == own


@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.slow
def test_a_device_writes_nothing_else(
    fleet: Fleet, watcher: Client, version: int, retain: bool
) -> None:
    device = fleet.device(A, version)
    others = [topic.format(B) for topic in (*WRITABLE, *READABLE)]
    own = [
        f"fleeting/1/d/{A}/{kind}"
        for kind in ("shadow/desired", "cmd/ping", "cmd/a/b", "job", "job/a/b", "x")
    ]
    strange = ["fleeting/1/d/state", f"fleeting/2/d/{A}/state", f"fleeting/1/d/{A}", "$SYS/x", "x"]
    denied = [*others, *own, *strange, *SHARED]
    codes = [device.publish(topic, b"x", retain) for topic in denied]
    if version == mqtt.MQTTv5:  # 3.1.1 has no word for it: acknowledged, and thrown away
        assert set(codes) == {0x87}
    assert device.publish(f"fleeting/1/d/{A}/event", b"mine") == 0
    assert heard(watcher) == [f"fleeting/1/d/{A}/event"]
    watcher.messages.clear()
    watcher.subscribe(*denied)  # brings what is retained there
    assert not [topic for topic in heard(watcher) if (topic, b"x") in watcher.messages]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_will_speaks_for_its_own_device_only(fleet: Fleet, watcher: Client, version: int) -> None:
    for name in (B, A):
        device = fleet.device(A, version, will=f"fleeting/1/d/{name}/state")
        if not device.refused:  # newer versions refuse such a will at once
            device.drop()
        fleet.device(A, version)  # the one before, of the same name, is over by now
    assert heard(watcher) == [f"fleeting/1/d/{A}/state"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.slow
def test_a_device_hears_itself_and_its_groups_only(
    fleet: Fleet, watcher: Client, version: int
) -> None:
    neighbour = fleet.device(B)
    kept = ("state", "meta")
    for kind in kept:
        assert neighbour.publish(f"fleeting/1/d/{B}/{kind}", b"kept", retain=True) == 0
    assert watcher.publish(f"fleeting/1/d/{B}/shadow/desired", b"kept", retain=True) == 0
    device = fleet.device(A, version)
    device.subscribe(
        "#", "fleeting/#", "+/+/+/+/+", f"fleeting/1/d/{B}/#", "fleeting/1/d/+/summary",
        "fleeting/1/d/+/cmd/+", "fleeting/1/d/+/shadow/desired", "homeassistant/#", "$SYS/#",
        "$share/thieves/fleeting/#", "$share/thieves/fleeting/1/d/+/summary",
        f"fleeting/1/d/{B}/state",
    )  # fmt: skip
    for topic in WRITABLE:
        assert neighbour.publish(topic.format(B), b"secret") == 0
    for topic in READABLE:
        assert watcher.publish(topic.format(B), b"secret") == 0
    mine = [*(topic.format(A) for topic in READABLE), "fleeting/1/g/shops/desired"]
    for topic in mine:
        assert watcher.publish(topic, b"for me") == 0
    house = fleet.operator("homeassistant")
    assert house.publish("homeassistant/status", b"online") == 0
    eventually(lambda: "homeassistant/status" in device.topics(), "the last of its own")
    assert set(device.topics()) == {*mine, "homeassistant/status"}
    assert len(heard(watcher)) >= len(WRITABLE) + len(READABLE) + len(mine), "it was all sent"
    for kind in kept:
        neighbour.publish(f"fleeting/1/d/{B}/{kind}", b"", retain=True)
    watcher.publish(f"fleeting/1/d/{B}/shadow/desired", b"", retain=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_device_takes_anothers_connection_over(
    fleet: Fleet, watcher: Client, version: int
) -> None:
    neighbour = fleet.device(B, client_id=B)
    device = fleet.device(A, version, client_id=B)
    assert device.publish(f"fleeting/1/d/{A}/event", b"x") == 0
    assert neighbour.publish(f"fleeting/1/d/{B}/event", b"x") == 0
    assert not neighbour.ended
    assert heard(watcher) == [f"fleeting/1/d/{each}/event" for each in (A, B)]


@pytest.mark.parametrize("version", VERSIONS)
def test_five_kilobytes_are_refused(fleet: Fleet, watcher: Client, version: int) -> None:
    device = fleet.device(A, version)
    topic = f"fleeting/1/d/{A}/summary"
    assert device.publish(topic, b"x" * 4000) == 0, "as long as a message may be"
    assert device.publish(topic, b"x" * 5000) is None, "the connection ends instead"
    if version == mqtt.MQTTv5:
        assert device.ended[0].value == 0x95  # packet too large
    assert heard(watcher) == [topic]
    assert len(watcher.messages[0][1]) == 4000


@pytest.mark.slow
def test_operators_have_different_rights(fleet: Fleet, watcher: Client) -> None:
    reader, device = fleet.operator("reader"), fleet.device(A)
    for topic in ("cmd/ping", "shadow/desired", "summary", "state", "job/next", "job/1"):
        assert reader.publish(f"fleeting/1/d/{A}/{topic}", b"x", retain=True) == 0x87
    reader.subscribe("#", "$SYS/#")
    assert watcher.publish(f"fleeting/1/d/{A}/cmd/ping", b"x") == 0
    assert watcher.publish(f"fleeting/1/d/{A}/job/next", b"which") == 0
    kinds = (
        *("meta", "summary", "health", "event", "receipt", "state"),
        *("job/next", "job/0123456789abcdef"),
    )
    for topic in WRITABLE:
        assert device.publish(topic.format(A), b"x") == 0
    wanted = {f"fleeting/1/d/{A}/{kind}" for kind in kinds}
    eventually(lambda: wanted <= set(reader.topics()), "what a reader may hear")
    _settle(watcher)
    assert set(reader.topics()) == wanted
    house = fleet.operator("homeassistant")
    assert house.publish(f"fleeting/1/d/{A}/cmd/pause", b"{}") == 0
    for topic in ("cmd/content", "shadow/desired", "state", "job/next"):
        assert house.publish(f"fleeting/1/d/{A}/{topic}", b"x") == 0x87
    for topic in ("summary", "state", "shadow/reported", "job/0123456789abcdef"):
        assert watcher.publish(f"fleeting/1/d/{A}/{topic}", b"x") == 0x87, "not even the fleet"
    assert watcher.publish(f"fleeting/1/p/{A}/csr", b"x") == 0x87


def welcomed(context: ssl.SSLContext, port: int) -> bool:
    """Whether the broker answers CONNECT with a welcome."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as bare:  # noqa: SIM117
        with context.wrap_socket(bare, server_hostname="127.0.0.1") as stream:
            name = b"box-7"
            body = b"\0\4MQTT\4\2\0\x3c" + struct.pack("!H", len(name)) + name
            stream.sendall(bytes([0x10, len(body)]) + body)
            return stream.recv(4) == b"\x20\x02\0\0"
    return False


def _context(folder: Path, fleet: Fleet, pair: certificates.Pair | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(fleet.folder / "ca" / "ca.pem"))
    if pair is not None:
        (folder / "its.pem").write_bytes(pair.certificate_pem)
        (folder / "its.key").write_bytes(pair.key_pem)
        context.load_cert_chain(folder / "its.pem", folder / "its.key")
    return context


def test_only_the_right_certificate_opens(fleet: Fleet, tmp_path: Path) -> None:
    ca = certificates.load(fleet.folder / "ca" / "ca.pem", fleet.folder / "ca" / "ca.key")
    fake = certificates.authority(
        ca.certificate.subject.rfc4514_string().removeprefix("CN=")
    )  # of the same name
    ours = _context(tmp_path, fleet, certificates.client(ca, A))
    assert welcomed(ours, fleet.port)
    assert not welcomed(ours, fleet.operator_port), "a device at the operators' port"
    assert not welcomed(fleet.context("operator", "fleet"), fleet.port), "an operator as a device"
    for pair in (
        None,
        certificates.client(fake, A),
        certificates.client(ca, A, days=-1),  # expired
        certificates.server(ca, ["127.0.0.1"]),  # of the broker's kind
        certificates.client(certificates.client(ca, A), B),  # a device as an authority
    ):
        assert not welcomed(_context(tmp_path, fleet, pair), fleet.port)
        assert not welcomed(_context(tmp_path, fleet, pair), fleet.operator_port)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.slow
def test_a_bootstrap_certificate_opens_two_topics(
    fleet: Fleet, watcher: Client, version: int
) -> None:
    box = fleet.bootstrap(A, version)
    denied = [
        *(topic.format(name) for name in (A, B) for topic in (*WRITABLE, *READABLE)),
        f"fleeting/1/p/{B}/csr", f"fleeting/1/p/{A}/x", f"fleeting/1/p/{A}", "x", *SHARED,
    ]  # fmt: skip
    codes = [box.publish(topic, b"x") for topic in denied]
    if version == mqtt.MQTTv5:
        assert set(codes) == {0x87}
    assert box.publish(f"fleeting/1/p/{A}/csr", b"mine") == 0
    assert heard(watcher) == [f"fleeting/1/p/{A}/csr"]
    box.subscribe("#", "fleeting/#", f"fleeting/1/d/{A}/#", f"fleeting/1/p/{B}/cert", "$SYS/#",
                  f"fleeting/1/p/{A}/#", "$share/thieves/fleeting/#")  # fmt: skip
    for topic in (*READABLE, *WRITABLE):
        for name in (A, B):
            watcher.publish(topic.format(name), b"secret")
    device = fleet.device(B, version)
    for topic in WRITABLE:
        device.publish(topic.format(B), b"secret")
    assert watcher.publish(f"fleeting/1/p/{A}/cert", b"last") in (0, 16)
    eventually(lambda: (f"fleeting/1/p/{A}/cert", b"last") in box.messages, "its answer")
    assert set(box.topics()) == {f"fleeting/1/p/{A}/cert"}


def test_each_authority_opens_its_own_listener(fleet: Fleet, tmp_path: Path) -> None:
    ca = fleet.folder / "ca"
    ports = {"ca": fleet.port, "operators-ca": fleet.operator_port,
             "bootstrap-ca": fleet.bootstrap_port}  # fmt: skip
    for name in ports:
        pair = certificates.client(certificates.load(ca / f"{name}.pem", ca / f"{name}.key"), A)
        context = _context(tmp_path, fleet, pair)
        assert {other for other, port in ports.items() if welcomed(context, port)} == {name}


@pytest.mark.slow
def test_whoever_takes_requests_in_hears_nothing_else(fleet: Fleet, watcher: Client) -> None:
    desk, device = fleet.operator("enrolment"), fleet.device(A)
    desk.subscribe("#", "fleeting/1/d/+/summary", "fleeting/1/p/+/csr", "fleeting/1/p/+/renew")
    for topic in WRITABLE:
        device.publish(topic.format(A), b"x")
    fleet.bootstrap(B).publish(f"fleeting/1/p/{B}/csr", b"x")
    wanted = {f"fleeting/1/p/{A}/renew", f"fleeting/1/p/{B}/csr"}
    eventually(lambda: wanted <= set(desk.topics()), "both requests")
    _settle(watcher)
    assert set(desk.topics()) == wanted
    assert desk.publish(f"fleeting/1/p/{A}/cert", b"x") in (0, 16)
    for topic in ("shadow/desired", "cmd/ping"):
        assert desk.publish(f"fleeting/1/d/{A}/{topic}", b"x") == 0x87


def test_certificates_stand_the_strict_examination(fleet: Fleet) -> None:
    """What the broker presents is examined so by every client here; a device's by this one."""
    broker = fleet.folder / "broker"
    inside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(broker / "ca.pem"))
    inside.load_cert_chain(broker / "broker.pem", broker / "broker.key")
    inside.verify_mode = ssl.CERT_REQUIRED
    inside.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = fleet.context("device", A).wrap_bio(back, there, server_hostname="localhost")
    server = inside.wrap_bio(there, back, server_side=True)
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    certificate = server.getpeercert()
    assert certificate is not None
    assert certificate["subject"] == ((("commonName", A),),)


DEAF = 'policy = "demo"\nmicrophone = false\nwords = false\n'


@pytest.mark.slow
def test_the_uplink_works_through_it(fleet: Fleet, watcher: Client, tmp_path: Path) -> None:
    settings = tmp_path / "fleeting.toml"
    lines = (fleet.folder / "devices" / A / "mqtt.toml").read_text()
    store = f'[store]\noutbox = "{tmp_path / "outbox.db"}"\n'
    settings.write_text(f"{lines}\n[privacy]\n{DEAF}\n{store}")
    config = load(settings)
    with Outbox(config.store) as outbox:
        for seq in range(3):
            outbox.add(summary(seq))
    stop = threading.Event()
    uplink = threading.Thread(target=run_uplink, args=(config, stop))
    uplink.start()
    topic = f"fleeting/1/d/{A}/summary"
    try:
        eventually(lambda: watcher.topics().count(topic) >= 3, "three summaries")
        assert watcher.publish(f"fleeting/1/d/{A}/cmd/ping", b"{}") == 0
        answer = f"fleeting/1/d/{A}/res/ping"
        eventually(lambda: answer in watcher.topics(), "an answer")
        wish = b'{"version":1,"config":{"micro":{"enabled":false}}}'
        assert watcher.publish(f"fleeting/1/d/{A}/shadow/desired", wish) == 0
        reported = f"fleeting/1/d/{A}/shadow/reported"
        eventually(
            lambda: any(t == reported and b'"version":1' in b for t, b in list(watcher.messages)),
            "settings in force",
        )
    finally:
        stop.set()
        uplink.join(20)
    bodies = [body for each, body in watcher.messages if each == topic]
    assert bodies == [to_json(summary(seq)) for seq in range(3)]
    state = f"fleeting/1/d/{A}/state"
    assert [body for each, body in watcher.messages if each == state] == [b"online", b"offline"]
    devices = {each.split("/")[3] for each in watcher.topics() if each.startswith("fleeting/1/d")}
    assert devices <= {A, "mark"}


def test_nothing_is_overwritten_and_keys_are_secret(tmp_path: Path) -> None:
    place = str(tmp_path / "fleet")
    given = (["ca"], ["device", A, "--installed", "/etc/x"], ["operator", "reader"], ["broker"])
    assert [main([*words, place]) for words in given] == [0] * 4
    before = {path: path.read_bytes() for path in Path(place).rglob("*") if path.is_file()}
    assert [main([*words, place]) for words in given] == [1] * 4
    after = {path: path.read_bytes() for path in Path(place).rglob("*") if path.is_file()}
    assert after == before, "not a byte changed, not a file half written"
    for path in before:
        if path.suffix == ".key":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    settings = (Path(place) / "devices" / A / "mqtt.toml").read_text()
    assert 'cert_file = "/etc/x/device.pem"' in settings


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a+", "..", "é", "x" * 65, "a\n", "fleet",
                                  "reader", "reader-2", "homeassistant", "enrolment",
                                  "a b"])  # fmt: skip
def test_no_certificate_for_a_name_that_could_pass_for_another(tmp_path: Path, name: str) -> None:
    make_authorities(tmp_path)
    assert main(["device", name, str(tmp_path)]) == 1
    assert not (tmp_path / "devices").exists()


@pytest.mark.parametrize("name", [A, "root", "reader-", "reader-+", "fleet-2"])
def test_operators_have_set_names(tmp_path: Path, name: str) -> None:
    make_authorities(tmp_path)
    assert main(["operator", name, str(tmp_path)]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["device", A], "fleeting-fleet ca"),
        (["serve"], "fleeting-fleet broker"),
        (["broker", "--host", "not a name"], "neither a host name"),
    ],
)
def test_what_is_missing_is_named(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if words[0] == "broker":
        make_authorities(tmp_path)
    assert main([*words, str(tmp_path)]) == 1
    assert said in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Mock(side_effect=PermissionError(errno.EACCES, "Permission denied"))
    monkeypatch.setattr("tools.fleet.broker.folder.os.rename", refused)
    assert main(["ca", str(tmp_path / "fleet")]) == 1
    assert "cannot be written: Permission denied" in capsys.readouterr().err
    assert list((tmp_path / "fleet").iterdir()) == []


def test_the_watcher_shows_nothing_that_is_not_sound() -> None:
    body = to_json(summary(3))
    assert line(f"fleeting/1/d/{A}/summary", body) == f"{A:<16} summary  ok {body.decode()}"
    assert line(f"fleeting/1/d/{A}/meta", to_json(meta())).startswith(f"{A:<16} meta     ok ")
    assert line(f"fleeting/1/d/{A}/state", b"online").endswith("state    online")
    for kind, bad in (
        ("summary", b"\x1b[31mred"), ("summary", b" " + body), ("summary", b"[" * 4000),
        ("state", b"\x1b]0;title"), ("meta", body), ("health", b""), ("event", b"x" * 5000),
    ):  # fmt: skip
        shown = line(f"fleeting/1/d/{A}/{kind}", bad)
        assert "REFUSED" in shown
        assert "\x1b" not in shown
    assert "\x1b" not in line("fleeting/1/d/\x1b/state", b"online")
    job, topic = Job(job="a" * 16, kind="app", version="2.0.0"), f"fleeting/1/d/{A}/job"
    said = to_json(JobExecution(
        job=job.job, status="QUEUED", step=None, reason=None, number=0, app="1.0.0", models="1.0.0"
    ))  # fmt: skip
    assert line(f"{topic}/{job.job}", said) == f"{A:<16} job      ok {said.decode()}"
    assert line(f"{topic}/next", to_json(job)).startswith(f"{A:<16} job/next ok ")
    assert line(f"{topic}/next", b"").endswith("taken back")
    for last, bad in ((job.job, to_json(job)), ("next", said), ("b" * 16, said), (job.job, b"")):
        assert "REFUSED" in line(f"{topic}/{last}", bad)
    assert line(topic, said).endswith("not a topic of ours")
    assert line(f"{topic}/a/b", said).endswith("not a topic of ours")
    assert line(f"fleeting/1/d/{A}/cmd", b"{}").endswith("not a topic of ours")


def test_the_example_is_what_the_tool_writes(tmp_path: Path) -> None:
    """Only paths, addresses and the user differ."""
    make_authorities(tmp_path)
    made = make_broker(tmp_path, ["broker.example"])
    example = (HERE / "mosquitto.conf").read_text().replace("/etc/mosquitto/fleeting", str(made))
    lines = [each for each in (made / "mosquitto.conf").read_text().splitlines()
             if not each.startswith("user ")]  # fmt: skip
    assert lines == example.replace("/var/lib/mosquitto/", f"{made}/data/").splitlines()
