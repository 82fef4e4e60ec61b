"""Brokers that do not do, disks that are full, messages that are none."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.fleet.collector.conftest import Devices, Site, body
from tests.tools.fleet.collector.test_intake import HOSTILE
from tests.uplink.conftest import eventually
from tools.common.errors import ToolError
from tools.common.mosquitto import free_port
from tools.fleet.cli import main
from tools.fleet.collector.mqtt import MqttSource
from tools.fleet.settings import BrokerSettings

SHARED_AVAILABLE, MAXIMUM_QOS = 0x2A, 0x24
"""Properties of CONNACK (OASIS MQTT 5.0, table 2-4)."""


class Refuser:
    """Answers every CONNECT with one CONNACK and reads on: no broker, only its first packet."""

    def __init__(self, code: int, *properties: int) -> None:
        rest = bytes([0, code, len(properties), *properties])
        self._answer = bytes([0x20, len(rest)]) + rest
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                assert connection.recv(4096)[0] == 0x10  # CONNECT
                connection.sendall(self._answer)
                while connection.recv(4096):
                    pass

    def close(self) -> None:
        self._listener.close()


@pytest.mark.parametrize(
    ("code", "properties", "words"),
    [
        (0, (SHARED_AVAILABLE, 0), r'no shared subscriptions.*RabbitMQ.*broker\.kind = "amqp"'),
        (0, (MAXIMUM_QOS, 0), "QoS 0 only"),
        (0x87, (), "refuses reader-a: Not authorized"),
    ],
)
def test_brokers_that_do_not_do(
    tmp_path: Path,
    code: int,
    properties: tuple[int, ...],
    words: str,
) -> None:
    broker = Refuser(code, *properties)
    settings = BrokerSettings(host="127.0.0.1", port=broker.port, tls=False)
    source = MqttSource(settings, "reader-a", tmp_path)
    source.start()
    eventually(lambda: source.inbox.error, "a reason")
    with pytest.raises(ToolError, match=words):
        raise source.inbox.error or AssertionError
    source.close()
    broker.close()


def test_without_tls_only_nearby(tmp_path: Path) -> None:
    for host in ("broker.example", "192.0.2.7", "10.0.0.1"):
        with pytest.raises(ToolError, match="without TLS"):
            MqttSource(BrokerSettings(host=host, tls=False), "reader-a", tmp_path)
    with pytest.raises(ToolError, match="fleeting-fleet operator reader-a"):
        MqttSource(BrokerSettings(), "reader-a", tmp_path / "operators" / "reader-a")


def test_names_and_addresses_that_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fleet.toml").write_text("[broker]\ntls = false\nhost = '127.0.0.1'\n")
    collect = ["collect", "--fleet", str(tmp_path)]
    assert main([*collect, "--name", "a/b"]) == 1
    assert "cannot be an operator's name" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for each in (address, "127.0.0.1:x", "127.0.0.1:99999"):
            assert main([*collect, "--metrics", each]) == 1
            assert "Metrics cannot be served" in capsys.readouterr().err


@pytest.mark.slow
def test_hostile_payloads_end_in_the_quarantine(site: Site, devices: Devices) -> None:
    process = site.collect()
    for payload in HOSTILE:
        devices.say("box-7", payload)
    devices.publish("fleeting/1/d/b\u00f6x/summary", body(1))
    devices.say("box-7", body(1))
    devices.settle()
    eventually(lambda: site.count("summaries") == 1, "the one that is sound")
    eventually(lambda: site.metric("quarantined_total") == len(HOSTILE) + 1, "the others")
    assert site.count("quarantine") == len(HOSTILE) + 1
    assert process.poll() is None
    assert site.health() == 200


@pytest.mark.slow
def test_an_sqlite_file_that_is_locked(make_site: Callable[[str], Site], tmp_path: Path) -> None:
    site = make_site(f"sqlite:///{tmp_path / 'fleet.db'}")
    devices = Devices(site.broker.port)
    site.collect()
    other = sqlite3.connect(tmp_path / "fleet.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for seq in range(1500):
        devices.say("box-7", body(seq))
    devices.settle()
    eventually(lambda: site.health() == 503, "trouble is said")
    assert site.count("summaries") == 0
    other.execute("ROLLBACK")
    other.close()
    eventually(lambda: site.count("summaries") == 1500, "all rows")
    devices.close()


@pytest.mark.slow
def test_a_disk_that_is_full(make_site: Callable[[str], Site], tmp_path: Path) -> None:
    """A bound on the size of files stands for it: SQLite cannot grow its journal."""
    site = make_site(f"sqlite:///{tmp_path / 'fleet.db'}")
    devices = Devices(site.broker.port)
    port = site.metrics_port = free_port()
    command = site.command("collect", "--name", "a", "--metrics", f"127.0.0.1:{port}")
    bounded = subprocess.Popen(
        ["prlimit", "--fsize=600000:", *command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    site.processes.append(bounded)
    eventually(lambda: site.health() == 200, "a collector that is well")
    for seq in range(3000):
        devices.say("box-7", body(seq))
    devices.settle()
    eventually(lambda: site.health() == 503, "trouble is said")
    assert bounded.poll() is None
    subprocess.run(["prlimit", f"--pid={bounded.pid}", "--fsize=unlimited:"], check=True)
    eventually(lambda: site.count("summaries") == 3000, "all rows")
    assert site.numbers("box-7") == list(range(3000))
    devices.close()
