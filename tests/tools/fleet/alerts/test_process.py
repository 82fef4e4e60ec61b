"""Two may run and one acts; one that is killed leaves everything in order; what a verb prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.fleet.alerts.conftest import World
from tests.tools.fleet.alerts.receiver import Receiver, receiver
from tests.uplink.conftest import eventually
from tools.common.errors import ToolError
from tools.common.mosquitto import die_with_parent
from tools.fleet.alerts.process import NAME, Alerts
from tools.fleet.cli import main
from tools.fleet.controller.lease import Lease, LeaseLostError
from tools.fleet.store import open_store

ROOT = Path(__file__).parents[4]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_acts_and_the_other_takes_over(world: World, store_url: str) -> None:
    world.come("box-7")
    world.event("box-7", "quota_exceeded")
    clock = Clock()
    with open_store(store_url) as other:
        second = Alerts(other, Lease(other, 60, NAME, clock), lambda: world.now)
        assert second.step() == []
        assert not second.acts
        assert [each.kind for each in world.look()] == ["quota"]
        clock.now += 10
        assert second.step() == [], "the first one lives"
        clock.now += 61
        assert second.step() == [], "it is all settled"
        assert second.acts
        world.event("box-7", "summaries_lost")
        with pytest.raises(LeaseLostError):
            world.look()
        assert world.kinds() == {"quota"}, "one that was overtaken changes nothing"
        assert [each.kind for each in second.look()] == ["lost"]


class Folder:
    """A fleet's folder, and verbs in it."""

    def __init__(self, world: World, path: Path) -> None:
        self.world, self.path = world, path
        name = json.dumps(f"sqlite:///{world.store.name}")
        (path / "fleet.toml").write_text(f"[store]\nurl = {name}\n")
        world.alerts.stop()

    def run(self, *words: str) -> int:
        return main([*words, "--fleet", str(self.path)])

    def process(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tools.fleet", *words, "--fleet", str(self.path)],
            cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip


@pytest.fixture
def folder(lite: World, tmp_path: Path) -> Folder:
    return Folder(lite, tmp_path)


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], Any]:
    def read() -> Any:
        return json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return read


def ill(world: World) -> None:
    """Now, by the clock that a process has."""
    world.now = int(time.time())
    world.come("box-7")
    world.event("box-7", "quota_exceeded")
    world.event("box-7", "summaries_lost")


def test_the_verbs_of_a_person(folder: Folder, said: Callable[[], Any], there: Receiver) -> None:
    ill(folder.world)
    assert folder.run("webhooks", "add", there.url, "--kinds", "quota,lost", "--json") == 0
    hook = said()
    assert hook["secret"].startswith("fws_")
    assert folder.run("alerts", "once", "--json") == 0
    found = said()
    assert sorted(each["kind"] for each in found["changes"]) == ["lost", "quota"]
    assert found["sent"] == len(there.heard) == 2
    assert folder.run("alerts", "list", "--json") == 1, "a critical one that nobody sees to"
    listed = said()
    assert listed["total"] == 2
    assert listed["alerts"][0]["kind"] == "lost"
    for number, words in enumerate((("ack", "--by", "ada"), ("silence", "--for", "8h"))):
        verb, *rest = words
        alert = str(listed["alerts"][0]["id"])
        assert folder.run("alerts", verb, alert, *rest, "--json") == 0
        assert said()["acknowledged_by"] == "ada", number
    assert folder.run("alerts", "list") == 0
    assert folder.run("alerts", "list", "--history", "--device", "box-7", "--json") == 0
    assert said()["total"] == 2
    assert folder.run("webhooks", "test", hook["webhook"], "--json") == 0
    assert said()["state"] == "taken"
    assert there.heard[-1].said["event"] == "test"
    there.does = 500
    assert folder.run("webhooks", "test", hook["webhook"]) == 1
    assert folder.run("webhooks", "rotate", hook["webhook"], "--json") == 0
    assert said()["secret"] != hook["secret"]
    assert folder.run("webhooks", "rotate", hook["webhook"]) == 1
    assert folder.run("webhooks", "rotate", hook["webhook"], "--finish") == 0
    for act in ("list", "deliveries"):
        assert folder.run("webhooks", act) == 0
    assert folder.run("webhooks", "deliveries", "--json") == 0
    assert {row["event"] for row in said()} == {"raised"}
    assert folder.run("webhooks", "remove", hook["webhook"]) == 0
    assert list((folder.path / "webhooks").iterdir()) == []
    assert folder.run("webhooks", "test", hook["webhook"]) == 1


def test_verbs_that_are_wrong(folder: Folder) -> None:
    for words in (
        ("webhooks", "add", "http://169.254.169.254/"), ("webhooks", "add", "ftp://x/"),
        ("webhooks", "add", "http://127.0.0.1:1/", "--kinds", "x"),
        ("webhooks", "add", "http://127.0.0.1:1/", "--allow", "x"),
        ("webhooks", "remove", "1a2b3c4d"), ("webhooks", "rotate", "x"),
        ("alerts", "ack", "7", "--by", "ada"), ("alerts", "list", "--kind", "x"),
    ):  # fmt: skip
        assert folder.run(*words) == 1, words
    assert not (folder.path / "webhooks").exists() or not list((folder.path / "webhooks").iterdir())


def test_one_at_work_keeps_once_away(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.fleet.alerts.process.LEASE", 0.1)
    lease = Lease(folder.world.store, name=NAME)
    assert lease.acquire()
    from tools.fleet.alerts import service

    class Busy(Lease):
        def acquire(self) -> bool:
            lease.prove()
            return super().acquire()

    monkeypatch.setattr(service, "Lease", Busy)
    monkeypatch.setattr("time.monotonic", iter(range(0, 10_000, 4)).__next__)
    with pytest.raises(ToolError, match="is at work"):
        service._acquire(Busy(folder.world.store, 10.0, NAME))


@pytest.mark.slow
def test_a_service_that_is_killed_in_a_delivery_sends_it_again(
    folder: Folder, there: Receiver
) -> None:
    """kill -9 between a request and its answer: nothing is lost, nothing is raised twice."""
    ill(folder.world)
    there.does = "hang"
    assert folder.run("webhooks", "add", there.url) == 0
    first = folder.process("alerts", "run")
    eventually(lambda: there.heard, "a request")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert folder.world.kinds() == {"quota", "lost"}
    there.does = 200
    folder.world.store.execute("UPDATE lease SET holder = '' WHERE name = 'alerts'")
    second = folder.process("alerts", "run")

    def all_sent() -> bool:
        rows = folder.world.store.tuples("SELECT delivered_at FROM deliveries")
        return len(rows) == 2 and all(row[0] for row in rows)

    eventually(all_sent, "both delivered")
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0
    ids = [each.said["delivery"] for each in there.heard]
    assert len(set(ids)) == 2
    assert len(ids) >= 3, "the one that was under way came again, under its id"
    assert folder.world.rows() == 2
    (holder,) = folder.world.store.tuples("SELECT holder FROM lease WHERE name = 'alerts'")
    assert holder == ("",), "another one may begin at once"
