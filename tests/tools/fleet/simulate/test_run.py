"""Simulated devices on a real Mosquitto, with real collectors: nothing lost, and what is lost is
found."""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from agent.base.report import to_json
from agent.base.report.job import Job
from tools.common.errors import ToolError
from tools.common.mosquitto import Mosquitto, free_port, installed
from tools.common.mqtt_loop import end_loop
from tools.common.postgresql import programs
from tools.fleet.broker.watch import line
from tools.fleet.simulate import cli, compare, limits
from tools.fleet.simulate.cli import main
from tools.fleet.simulate.truth import Key, Truth, messages
from tools.fleet.store import open_store

needs_mosquitto = pytest.mark.skipif(installed() is None, reason="Mosquitto is not installed")


class Heard:
    """Everything that crosses a broker."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self._ready = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, "reader", protocol=mqtt.MQTTv5)
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe("fleeting/#", 1)
        assert self._ready.wait(10)

    def _on_message(self, client: mqtt.Client, data: Any, message: mqtt.MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload), message.retain))

    def of(self, end: str) -> list[bytes]:
        return [body for topic, body, _ in self.messages if topic.endswith(end)]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    found = Mosquitto(tmp_path)
    found.start()
    yield found
    found.stop()


def simulate(broker: Mosquitto, *words: str) -> int:
    return main(["--broker", f"127.0.0.1:{broker.port}", "--ramp", "0.2", *words])


@needs_mosquitto
@pytest.mark.slow
def test_everything_that_devices_say_is_what_it_must_be(broker: Mosquitto, tmp_path: Path) -> None:
    heard = Heard(broker.port)
    wished = b'{"version":4,"config":{"privacy":{"k":6}}}'
    heard.client.publish("fleeting/1/d/sim-00003/shadow/desired", wished, 1, retain=True)
    good, bad = (
        Job(job=16 * "1", kind="app", version="1.2.0"),
        Job(job=16 * "2", kind="app", version="1.3.0"),
    )
    heard.client.publish("fleeting/1/d/sim-00001/job/next", to_json(good), 1, retain=True)
    heard.client.publish("fleeting/1/d/sim-00002/job/next", to_json(bad), 1, retain=True)
    truth = tmp_path / "truth.db"
    assert simulate(
        broker, "--devices", "12", "--interval", "1", "--minutes", "0.15", "--health", "2",
        "--fault", "flapping=0.4:2,duplicates=0.2,late=0.2:0.1,clock=0.4,restarts=0.3:3",
        "--step", "0.1", "--soak", "0.3", "--release", "app-1.3.0=crashed", "--truth", str(truth),
    ) == 0  # fmt: skip
    end_loop(heard.client)
    kinds = ("state", "meta", "summary", "health", "event")
    said = [each for each in heard.messages if each[0].rpartition("/")[2] in kinds]
    assert len(said) > 100
    wrong = [text for topic, body, _ in said if "ok {" not in (text := line(topic, body))
             and "online" not in text and "offline" not in text]  # fmt: skip
    assert wrong == []
    assert any(b'"k":6' in body for body in heard.of("sim-00003/shadow/reported"))
    ends = [json.loads(heard.of(f"job/{16 * number}")[-1]) for number in ("1", "2")]
    assert [(each["status"], each["app"]) for each in ends] == [
        ("SUCCEEDED", "1.2.0"), ("FAILED", "0.9.0"),
    ]  # fmt: skip
    assert json.loads(heard.of("sim-00001/meta")[-1])["birth"]["software"] == "1.2.0"
    assert b"offline" in heard.of("state")
    summaries = set(heard.of("/summary"))
    known = list(messages(truth, "summary"))
    assert len(known) == len(summaries)
    assert all(acked for _, _, acked in known)
    numbers: dict[str, list[int]] = {}
    for key, _, _ in known:
        numbers.setdefault(key.device, []).append(key.seq)
    assert all(sorted(each) == list(range(len(each))) for each in numbers.values())
    assert len({key.boot for key, _, _ in known}) > 12  # some started again
    assert len(heard.of("/summary")) > len(summaries)  # and some were said twice


@needs_mosquitto
@pytest.mark.slow
@pytest.mark.parametrize("store", [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.skipif(
        programs() is None, reason="PostgreSQL is not installed")),
])  # fmt: skip
def test_a_killed_collector_and_a_stopped_database_lose_nothing(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([
        "run-scale", "--sizes", "40", "--interval", "1", "--minutes", "0.4", "--store", store,
        "--fault", "flapping=0.2:5,duplicates=0.1,late=0.05:1,restarts=0.1:8", "--json",
    ])  # fmt: skip
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    (result,) = report["results"]
    assert code == 0, result
    assert result["comparison"]["acknowledged"] > 500
    assert result["comparison"]["stored"] >= result["comparison"]["acknowledged"]
    assert result["comparison"]["duplicates"] > 0
    assert len(result["incidents"]) == 2
    assert {"mosquitto", "collector 1", "collector 2", "simulator"} <= result["cpu"].keys()


def test_what_is_lost_doubled_or_altered_is_found(tmp_path: Path) -> None:
    truth, url = tmp_path / "truth.db", f"sqlite:///{tmp_path / 'fleet.db'}"
    said = Truth(truth)
    for seq in range(6):
        key = Key("sim-1", "event", "00ff00ff", seq)
        said.made(key, bytes([seq]) * 32)
        if seq != 5:
            said.acked(key, 1.0)
    said.close()
    with open_store(url) as store:
        rows = [(0, 0), (1, 9), (2, 2), (7, 7)]  # 1 altered, 3 and 4 lost, 7 invented
        store.executemany(
            "INSERT INTO events(device, boot, seq, code, count, at, offset_s, received, sha256)"
            " VALUES ('sim-1', '00ff00ff', ?, 'paused', 1, NULL, 0, 1, ?)",
            [(seq, (bytes([content]) * 32).hex()) for seq, content in rows],
        )
        store.execute(
            "INSERT INTO gaps(device, stream, chain, series, boot, first_seq, last_seq, found_at)"
            " VALUES ('sim-1', 'event', '', 0, '00ff00ff', 2, 4, 1)"
        )
    found = compare.compare(truth, url)
    assert (found.acknowledged, found.stored, found.lost) == (5, 4, 2)
    assert (found.altered, found.invented, found.doubled) == (1, 1, 0)
    assert (found.gaps_missed, found.gaps_invented) == (2, 1)  # 5 and 6 unnamed; 2 is there
    assert not found.passed
    assert main(["compare", str(truth), url]) == 1


def test_a_file_of_something_else_is_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (x)")
    with pytest.raises(ToolError, match="something else"):
        Truth(path)


def test_a_broker_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--broker", "localhost"]) == 1
    assert "HOST:PORT" in capsys.readouterr().err


@pytest.mark.slow
def test_a_broker_that_does_not_answer_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.fleet.simulate.run._GIVE_UP", 2.0)
    port = free_port()
    assert main(["--broker", f"127.0.0.1:{port}", "--devices", "3", "--minutes", "0.5"]) == 1
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in said
    assert "ECONNREFUSED" in said


def test_too_few_open_files_are_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert limits.allow_open_files(before[0], "This") >= before[0]

    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    with pytest.raises(ToolError, match="ulimit -n 10000"):
        limits.allow_open_files(10_000, "Mosquitto")


def test_sizes_that_are_none_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run-scale", "--sizes", "10,x"]) == 1
    assert "--sizes" in capsys.readouterr().err


def test_the_command_line_makes_the_plan_it_says() -> None:
    args: argparse.Namespace = cli.parser().parse_args(
        ["--devices", "2000", "--broker", "[::1]:1884", "--user", "me:secret", "--app", "1.0.1"]
    )
    plan = cli.plan_of(args, Path("truth.db"))
    assert plan.brokers == (("::1", 1884),)
    assert (plan.ramp, plan.seconds, plan.window) == (4.0, 600.0, 60)
    assert plan.credentials == ("me", "secret")
