"""A controller that dies between any two of its calls, over a broker in memory: in the end that
holds what the database wishes, and no device was ever given a second job."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from agent.base.report import Job, JobExecution, from_json, to_json
from tests.summaries import meta
from tests.tools.fleet.controller.devices import NEW
from tools.fleet.controller import rollouts
from tools.fleet.controller.lease import Lease
from tools.fleet.controller.link import Incoming
from tools.fleet.controller.meters import Meters
from tools.fleet.controller.plan import Gates, Plan, parse_waves
from tools.fleet.controller.process import Controller
from tools.fleet.controller.wanted import Post, job_topic
from tools.fleet.store import Store, open_store

NAMES = [f"box-{n}" for n in range(6)]


class DiedError(Exception):
    """kill -9."""


class Broker:
    """Keeps a session and retained messages; answers at once. Every call may be the last one."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.session: list[tuple[str, bytes]] = []
        """Not acknowledged yet."""
        self.left: int | None = None
        """Calls until the controller dies; null: it does not."""
        self.calls = 0
        self.given: dict[str, set[str]] = {name: set() for name in NAMES}

    def call(self) -> None:
        self.calls += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise DiedError

    def hear(self, post: Post) -> None:
        self.retained[post.topic] = post.body
        if post.topic.endswith("/job/next") and post.body:
            job = from_json(Job, post.body)
            assert job is not None
            name = post.topic.split("/")[3]
            self.given[name].add(job.job)
            for number, status in enumerate(("IN_PROGRESS", "SUCCEEDED")):
                said = JobExecution.model_validate(
                    {"job": job.job, "status": status, "step": None, "reason": None,
                     "number": number, "app": NEW, "models": NEW}
                )  # fmt: skip
                self.session.append((f"fleeting/1/d/{name}/job/{job.job}", to_json(said)))


class Wire:
    """A controller's connection to it."""

    connected = True

    def __init__(self, broker: Broker) -> None:
        self._broker, self._taken, self._answers = broker, 0, list[tuple[int, int]]()
        self.new_session = False

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def take(self, most: int, timeout: float) -> list[Incoming]:
        self._broker.call()
        new = self._broker.session[self._taken : self._taken + most]
        self._taken += len(new)
        return [Incoming(topic, body, n, 1, 1) for n, (topic, body) in enumerate(new)]

    def current(self, incoming: Incoming) -> bool:
        return True

    def acknowledge(self, incoming: Incoming) -> None:
        self._broker.call()
        self._broker.session.remove((incoming.topic, incoming.body))
        self._taken -= 1

    def publish(self, post: Post) -> int:
        self._broker.call()
        self._broker.hear(post)
        self._broker.call()  # it has arrived, and nobody knows
        self._answers.append((self._broker.calls, 0))
        return self._broker.calls

    def answers(self) -> list[tuple[int, int]]:
        self._broker.call()
        found, self._answers = self._answers, []
        return found


class World:
    """A database and a broker that outlive their controllers."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tools.fleet.controller.process.TICK", 0.0)
        monkeypatch.setattr("tools.fleet.controller.process.SOON", 0.0)
        self.url, self.broker = url, Broker()
        self.now = 1_790_000_000
        for name in NAMES:
            self.broker.session.append((f"fleeting/1/d/{name}/state", b"online"))
            self.broker.session.append((f"fleeting/1/d/{name}/meta", to_json(meta())))

    def run(self, until: Callable[[Store], bool], dies_after: int | None, steps: int = 400) -> bool:
        """One controller; whether it lived to see it."""
        self.broker.left = dies_after
        with open_store(self.url) as store:
            store.execute("UPDATE lease SET holder = ''")  # the one before is dead for long
            lease = Lease(store)
            wire: Any = Wire(self.broker)
            controller = Controller(
                store, lease, lambda: wire, Meters(), rate=1e6, sweep=0.0,
                clock=lambda: self.now,
            )  # fmt: skip
            try:
                for _ in range(steps):
                    controller.step()
                    self.now += 1
                    self.broker.left, left = None, self.broker.left
                    if until(store):
                        return True
                    self.broker.left = left
            except DiedError:
                return False
        raise AssertionError("it comes to no end")


def ended(rollout: str) -> Callable[[Store], bool]:
    def check(store: Store) -> bool:
        rows = store.execute("SELECT status FROM rollouts WHERE rollout = ?", (rollout,))
        return bool(rows[0]["status"] == "SUCCEEDED")

    return check


def start(url: str) -> str:
    plan = Plan(kind="app", version=NEW, waves=parse_waves("1,3,100%"),
                gates=Gates(soak=0, within=0))  # fmt: skip
    with open_store(url) as store:
        return rollouts.insert(store, plan, 1_790_000_000)


def _nothing_retained(retained: dict[str, bytes], _: Store) -> bool:
    return not any(retained.get(job_topic(name)) for name in NAMES)


@pytest.mark.slow
def test_it_may_die_anywhere(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each call of an undisturbed run, and again soon after."""
    whole = World(f"sqlite:///{tmp_path_factory.mktemp('whole') / 'fleet.db'}", monkeypatch)
    assert whole.run(ended(start(whole.url)), None)
    assert whole.broker.calls > 50
    for instant in range(0, whole.broker.calls, 2):
        world = World(f"sqlite:///{tmp_path_factory.mktemp('died') / 'fleet.db'}", monkeypatch)
        made = start(world.url)
        for after in (instant, 3, 9, None):
            if world.run(ended(made), after):
                break
        with open_store(world.url) as store:
            jobs = store.execute("SELECT * FROM jobs")
        assert len(jobs) == len(NAMES), instant
        assert {row["status"] for row in jobs} == {"SUCCEEDED"}
        assert all(len(given) == 1 for given in world.broker.given.values())


@pytest.mark.slow
def test_what_was_published_and_not_noted_is_taken_away_after_an_abort(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies with its job at the broker; an operator aborts; the next one takes the job away."""
    instant, held = 0, 0
    while True:
        world = World(f"sqlite:///{tmp_path_factory.mktemp('abort') / 'fleet.db'}", monkeypatch)
        made = start(world.url)
        if world.run(ended(made), instant):
            break
        retained = world.broker.retained
        held += any(retained.values())
        world.broker.session.clear()  # nobody has answered
        with open_store(world.url) as store:
            store.execute("UPDATE rollouts SET status = 'CANCELED' WHERE rollout = ?", (made,))
        world.run(lambda store: not store.execute("SELECT * FROM open_jobs"), None)
        world.run(partial(_nothing_retained, retained), None)
        instant += 3
    assert held > 3, "it died with jobs at the broker"
