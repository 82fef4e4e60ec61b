"""Jobs through Mosquitto and a real uplink in its sandbox, which is killed at random instants."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.base.config import AgentConfig
from agent.base.report import Event, Job, JobExecution, from_json, to_json
from agent.base.schemas import registry as schemas
from agent.base.settings_file import as_toml, parse
from tests.uplink.conftest import DEVICE, Listen, Listener, agent_config, eventually
from tools.common.agent_process import AgentProcess
from tools.common.mosquitto import Mosquitto

NEXT = f"fleeting/1/d/{DEVICE}/job/next"
STEPS = ("DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING", "UPDATED", "SOAKING")


class Fleet(Listener):
    """Asks for jobs, and reads what becomes of them."""

    def ask(self, name: str | None, topic: str = NEXT) -> None:
        body = b"" if name is None else to_json(Job(job=name, kind="app", version="9.0.0"))
        self._client.publish(topic, body, qos=1, retain=True)

    def publish(self, topic: str, body: bytes) -> None:
        self._client.publish(topic, body, qos=1, retain=True)

    def said(self, name: str) -> list[JobExecution]:
        found = [from_json(JobExecution, body) for body in self.bodies(f"job/{name}")]
        assert None not in found
        return [each for each in found if each is not None]

    def status(self, name: str) -> str | None:
        said = self.said(name)
        return said[-1].status if said else None


@pytest.fixture
def fleet(mosquitto: Mosquitto) -> Iterator[Fleet]:
    reader = Fleet(mosquitto.port)
    yield reader
    reader.close()


@pytest.fixture(params=["5", "3.1.1"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def with_updates(config: AgentConfig, exchange: Path) -> AgentConfig:
    update = {"url": "https://updates.example/", "exchange": str(exchange)}
    return config.model_copy(update={"update": parse({"update": update}, "test").update})


@pytest.fixture
def config(tmp_path: Path, mosquitto: Mosquitto) -> AgentConfig:
    """Every folder apart, as on a device."""
    (tmp_path / "shared").mkdir()
    found = agent_config(tmp_path / "shared", mosquitto.port)
    return with_updates(found, tmp_path / "jobs")


@pytest.fixture
def uplink(config: AgentConfig, tmp_path: Path) -> Iterator[AgentProcess]:
    file = tmp_path / "fleeting.toml"
    file.write_text(as_toml(config))
    process = AgentProcess("uplink", file, tmp_path)
    process.start()
    yield process
    process.stop()


def tell(config: AgentConfig, name: str, status: str, step: str, number: int) -> None:
    made = JobExecution.model_validate({
        "job": name, "status": status, "step": step, "reason": None, "number": number,
        "app": "9.0.0", "models": "9.0.0",
    })  # fmt: skip
    temporary = config.update.exchange / ".progress.tmp"
    temporary.write_bytes(to_json(made))
    os.replace(temporary, config.update.exchange / "progress.json")


def handed_over(config: AgentConfig) -> str | None:
    try:
        found = from_json(Job, (config.update.exchange / "job.json").read_bytes())
    except FileNotFoundError:
        return None
    assert found is not None, "never half-written"
    return found.job


def test_a_job_through_the_broker(
    tmp_path: Path,
    mosquitto: Mosquitto,
    fleet: Fleet,
    running: Callable[[AgentConfig], threading.Event],
    protocol: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.uplink.jobs.INTERVAL", 0.05)
    monkeypatch.setattr("agent.uplink.jobs.GRACE", 0.2)
    name, other = "0" * 15 + "1", "0" * 15 + "2"
    fleet.ask(other, NEXT.replace(DEVICE, "box-8"))  # another device's
    fleet.ask(name)
    config = with_updates(
        agent_config(tmp_path, mosquitto.port, protocol=protocol), tmp_path / "jobs"
    )
    stop = running(config)
    eventually(lambda: fleet.status(name) == "QUEUED", "it is queued")
    assert handed_over(config) == name
    tell(config, name, "SUCCEEDED", "SOAKING", 6)
    eventually(lambda: fleet.status(name) == "SUCCEEDED", "its end is said")
    assert not fleet.bodies(f"job/{other}")
    if protocol == "5":
        (message, *_) = [each for each in fleet.messages if each.topic.endswith(name)]
        assert message.properties is not None
        said = message.properties.json()  # type: ignore[no-untyped-call]
        assert said["UserProperty"] == [("schema", schemas.urn("job-1"))]
        assert not message.retain
    fleet.ask(None)
    eventually(lambda: handed_over(config) is None, "it is taken back")
    stop.set()
    eventually(lambda: fleet.bodies("state")[-1] == b"offline", "gone")
    before = len(fleet.said(name))
    running(config)
    eventually(lambda: len(fleet.said(name)) > before, "said again on a new connection")
    assert fleet.said(name)[-1] == fleet.said(name)[before - 1]
    eventually(
        lambda: (
            [from_json(Event, each) for each in fleet.bodies("event")]
            and "update_installed" in b"".join(fleet.bodies("event")).decode()
        ),
        "an event says so",
    )


def test_a_job_that_was_taken_back_while_the_device_was_away(
    tmp_path: Path,
    mosquitto: Mosquitto,
    fleet: Fleet,
    running: Callable[[AgentConfig], threading.Event],
    protocol: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for what, seconds in (("INTERVAL", 0.05), ("GRACE", 0.2), ("SETTLE", 1.0)):
        monkeypatch.setattr(f"agent.uplink.jobs.{what}", seconds)
    name = "0" * 15 + "1"
    config = with_updates(
        agent_config(tmp_path, mosquitto.port, protocol=protocol), tmp_path / "jobs"
    )
    fleet.ask(name)
    stop = running(config)
    eventually(lambda: fleet.status(name) == "QUEUED", "it is queued")
    stop.set()
    eventually(lambda: fleet.bodies("state")[-1] == b"offline", "gone")
    fleet.ask(None)
    running(config)
    eventually(lambda: fleet.status(name) == "CANCELED", "it is canceled")
    assert handed_over(config) is None


@pytest.mark.slow
def test_a_flood_of_jobs_ends_with_the_newest(
    config: AgentConfig, uplink: AgentProcess, fleet: Fleet
) -> None:
    """Also where the flood itself was dropped unread: the broker has the newest retained."""
    eventually(lambda: fleet.bodies("shadow/reported"), "it listens")
    for number in range(1, 1500):
        fleet.ask(f"{number:016x}")
        fleet.publish(NEXT, b"{" * 3000 + b"%d" % number)
    last = "f" * 16
    fleet.ask(last)
    eventually(lambda: fleet.status(last) == "QUEUED", "the newest is queued", 300.0)
    assert handed_over(config) == last
    assert uplink.ended() is None
    topics = {each.topic for each in fleet.messages if "/job/" in each.topic} - {NEXT}
    assert len(topics) < 40, "the others were passed over"


@pytest.mark.slow
def test_a_job_survives_kills_at_random_instants(
    config: AgentConfig, uplink: AgentProcess, fleet: Fleet, listen: Listen, tmp_path: Path
) -> None:
    """Six jobs, each followed to its end while the uplink is killed again and again."""
    draw = random.Random(7)
    names = [f"{draw.getrandbits(64):016x}" for _ in range(6)]
    over = threading.Event()
    stick = threading.Lock()

    def kills() -> None:
        while not over.wait(draw.uniform(0.1, 2.5)):
            with stick:
                uplink.kill()
                uplink.start()

    killer = threading.Thread(target=kills)
    eventually(lambda: fleet.bodies("state"), "connected")
    killer.start()
    try:
        for number, name in enumerate(names):
            fleet.ask(name)
            eventually(lambda name=name: handed_over(config) == name, "handed over", 300.0)  # type: ignore[misc]
            for at, step in enumerate(STEPS):
                tell(config, name, "IN_PROGRESS", step, at + 1)
                time.sleep(draw.uniform(0.0, 0.5))
            tell(config, name, "SUCCEEDED", "SOAKING", 7)
            eventually(lambda name=name: fleet.status(name) == "SUCCEEDED", "its end", 300.0)  # type: ignore[misc]
            if number % 2:
                fleet.ask(None)
    finally:
        over.set()
        killer.join()
    for name in names:
        said = fleet.said(name)
        numbers = [each.number for each in said]
        assert numbers == sorted(numbers), "they never fall"
        by_number: dict[int, JobExecution] = {}
        for each in said:
            assert by_number.setdefault(each.number, each) == each, "one word for each number"
        assert [each.status for each in said if each.status == "SUCCEEDED"], name
        assert {each.status for each in said} <= {"QUEUED", "IN_PROGRESS", "SUCCEEDED"}
    assert uplink.starts > 5
    litter = [each.name for each in config.update.exchange.iterdir() if each.suffix == ".tmp"]
    assert len(litter) <= 1, litter
    log = uplink.log.read_text()
    assert "cannot be changed" not in log, log
    assert "Permission denied" not in log, log
    assert "Traceback" not in log, log
