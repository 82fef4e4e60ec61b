"""A Mosquitto, a fleet's folder, collectors as processes, and devices that say what they must."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from agent.base.report import to_json
from tests.summaries import summary
from tests.uplink.conftest import eventually
from tools.common.mosquitto import Mosquitto, die_with_parent, free_port, installed
from tools.common.mqtt_loop import end_loop
from tools.fleet.store import Store, StoreUnavailable, open_store

ROOT = Path(__file__).parents[4]
BROKER = """allow_anonymous true
persistence true
autosave_interval 1
max_inflight_messages 1000
max_queued_messages 100000
persistence_location {folder}/
"""
_BODY = to_json(summary(1)).decode()


def body(seq: int, boot: str = "0a1b2c3d", slot: int = 0) -> bytes:
    """A summary's bytes, as `to_json` would write them."""
    return (
        _BODY.replace('"seq":1,', f'"seq":{seq},', 1)
        .replace("0a1b2c3d", boot, 1)
        .replace('"slot":0,', f'"slot":{slot},', 1)
        .encode()
    )


class Site:
    """One broker and one database; collectors come and go."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.broker = Mosquitto(folder, BROKER.format(folder=folder))
        self.broker.start()
        self.metrics_port = free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.store: Store = open_store(url)
        (folder / "fleet.toml").write_text(
            f'[store]\nurl = "{url}"\n[broker]\nhost = "127.0.0.1"\n'
            f"port = {self.broker.port}\ntls = false\n"
        )

    def command(self, verb: str, *words: str) -> list[str]:
        return [sys.executable, "-m", "tools.fleet", verb, "--fleet", str(self.folder), *words]

    def collect(self, name: str = "a", *words: str) -> subprocess.Popen[bytes]:
        """A collector, once it has subscribed."""
        port = free_port()
        process = subprocess.Popen(
            self.command("collect", "--name", name, "--metrics", f"127.0.0.1:{port}", *words),
            cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=die_with_parent,
        )  # fmt: skip
        self.processes.append(process)
        self.metrics_port = port
        eventually(lambda: self.health() == 200, "a collector that is well")
        return process

    def health(self) -> int | None:
        """Of the last collector: HTTP status; None: it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/health") as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def metric(self, name: str) -> float:
        """A metric of the last collector, summed over its labels."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url) as answer:
            lines = answer.read().decode().splitlines()
        name = f"fleeting_collector_{name}"
        return sum(
            float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name
        )

    def numbers(self, device: str) -> list[int]:
        """Those that are stored, ascending."""
        rows = self.store.tuples(
            "SELECT seq FROM summaries WHERE device = ? ORDER BY seq", (device,)
        )
        return [row[0] for row in rows]

    def count(self, table: str) -> int:
        """Of rows; -1 while the database is away."""
        try:
            return int(self.store.tuples(f"SELECT COUNT(*) FROM {table}")[0][0])
        except StoreUnavailable:
            return -1

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()
        self.broker.stop()
        self.store.close()


class Devices:
    """A connection that speaks for any device, QoS 1; knows what the broker has taken."""

    def __init__(self, port: int) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.max_inflight_messages_set(500)
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(1, 1)
        self._said = 0
        self._taken: list[int] = []
        self._client.on_publish = lambda *args: self._taken.append(args[2])
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def say(self, device: str, payload: bytes, kind: str = "summary") -> None:
        self.publish(f"fleeting/1/d/{device}/{kind}", payload)

    def publish(self, topic: str, payload: bytes) -> None:
        """Sent again on the next connection while it is not acknowledged."""
        self._client.publish(topic, payload, qos=1)
        self._said += 1

    def settle(self) -> None:
        """Wait until the broker has acknowledged all of it."""
        eventually(lambda: len(self._taken) == self._said, "all acknowledged by the broker")

    def close(self) -> None:
        self._client.disconnect()
        end_loop(self._client)


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    if installed() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    made: list[Site] = []

    def make(url: str) -> Site:
        made.append(Site(tmp_path, url))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site: Callable[[str], Site], store_url: str) -> Site:
    """With each kind of database."""
    return make_site(store_url)


@pytest.fixture
def devices(site: Site) -> Iterator[Devices]:
    made = Devices(site.broker.port)
    yield made
    made.close()
