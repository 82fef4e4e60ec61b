"""A fleet's database of each kind, filled through the collectors' and the controller's own intake,
and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.base.report import (
    ClosedModel,
    Event,
    EventCode,
    Health,
    JobExecution,
    Meta,
    Reported,
    to_json,
)
from tests.summaries import meta
from tests.tools.fleet import filled
from tests.tools.fleet.controller.devices import FORCE
from tools.fleet.alerts import Alert, Filters, current, history
from tools.fleet.alerts.book import Change
from tools.fleet.alerts.process import NAME, Alerts
from tools.fleet.collector.intake import Incoming
from tools.fleet.collector.writer import Writer
from tools.fleet.controller import intake
from tools.fleet.controller.lease import Lease
from tools.fleet.store import Store, open_store

MINUTE, HOUR, DAY = 60, 3600, 86_400
NOW = filled.NOW // DAY * DAY + 12 * HOUR


class World:
    """A fleet, its time, and who looks after its alerts."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = NOW
        self._seqs: dict[tuple[str, str], int] = {}
        self.alerts = self._start()

    def restart(self) -> None:
        """Another process, which knows nothing."""
        self.alerts.stop()
        self.alerts = self._start()

    def _start(self) -> Alerts:
        lease = Lease(self.store, name=NAME)
        assert lease.acquire()
        return Alerts(self.store, lease, lambda: self.now)

    def come(self, *names: str, **birth: Any) -> None:
        """Connected, born, well."""
        for name in names:
            self.control(name, "state", b"online")
            self.born(name, **birth)
            self.well(name)

    def born(self, name: str, **birth: Any) -> None:
        said = meta()
        changed = {**said.birth.model_dump(), "window": 900, "policy": "retail-eu", **birth}
        whole = Meta.model_validate({**said.model_dump(), "birth": changed}, strict=False)
        self.control(name, "meta", to_json(whole))

    def control(self, name: str, kind: str, body: bytes) -> intake.Taken:
        """A message that the controller takes in."""
        with self.store.transaction():
            done = intake.take(self.store, f"fleeting/1/d/{name}/{kind}", body, self.now)
        assert not done.refused, done
        return done

    def report(self, name: str, *rejected: tuple[str, str]) -> None:
        said = Reported.model_validate(
            {"version": 1, "defaults": 0, "config": FORCE.model_dump(),
             "rejected": [{"path": path, "reason": why} for path, why in rejected]},
            strict=False,
        )  # fmt: skip
        self.control(name, "shadow/reported", to_json(said))

    def answer(self, name: str, job: str, **said: Any) -> None:
        fields = {"job": job, "step": None, "reason": None, "number": 0, "app": "0.1.0",
                  "models": "0.1.0", **said}  # fmt: skip
        self.control(name, f"job/{job}", to_json(JobExecution.model_validate(fields)))

    def well(self, *names: str, **ill: Any) -> None:
        """A message of health."""
        for name in names:
            self.say(name, filled.WELL.model_copy(update=ill))

    def event(self, name: str, code: EventCode, count: int = 1) -> None:
        seq = self._next(name, "event")
        self.say(name, Event(boot="0a1b2c3d", seq=seq, code=code, count=count, at=None, offset=10))

    def say(self, name: str, message: ClosedModel) -> None:
        """A message that a collector stores; health of the same second is a later one's."""
        if isinstance(message, Health):
            self.store.execute(
                "DELETE FROM health WHERE device = ? AND received = ?", (name, self.now)
            )
        filled.say(self.store, name, message, self.now)

    def raw(self, name: str, kind: str, body: bytes) -> None:
        """Whatever bytes, through the collectors' intake."""
        incoming = Incoming(f"fleeting/1/d/{name}/{kind}", body, self.now)
        Writer(self.store, lambda: self.now).write([incoming])

    def _next(self, name: str, stream: str) -> int:
        number = self._seqs.get((name, stream), 0)
        self._seqs[name, stream] = number + 1
        return number

    def look(self, after: float = 0) -> list[Change]:
        """What changes when it is looked at, so many seconds later."""
        self.now += int(after)
        return self.alerts.look()

    def quiet(
        self, seconds: float, *names: str, step: int = 5 * MINUTE, **ill: Any
    ) -> list[Change]:
        """Time passes, devices say their health all the while, and it is looked at."""
        changes = []
        end = self.now + int(seconds)
        while self.now < end:
            self.now = min(end, self.now + step)
            self.well(*names, **ill)
            changes += self.alerts.look()
        return changes

    def open(self, **filters: Any) -> list[Alert]:
        return current(self.store, self.now, Filters(**filters)).alerts

    def kinds(self, device: str | None = None) -> set[str]:
        """Of the alerts that are open."""
        return {each.kind for each in self.open() if device in (None, each.device)}

    def past(self, **filters: Any) -> list[Alert]:
        return history(self.store, self.now, Filters(**filters)).alerts

    def rows(self) -> int:
        return int(self.store.tuples("SELECT COUNT(*) FROM alerts")[0][0])


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    with open_store(store_url) as store:
        yield World(store)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[World]:
    """On SQLite only: for what no database has to do with."""
    with open_store(f"sqlite:///{tmp_path / 'fleet.db'}") as store:
        yield World(store)


def told(changes: Iterable[Change]) -> list[tuple[str, str, str]]:
    """(event, device, kind) of each."""
    return [(each.event, each.device, each.kind) for each in changes]
