"""A broker, a database of each kind, a fleet's folder, and controllers that can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.fleet.controller.devices import Devices
from tests.uplink.conftest import eventually
from tools.common.mosquitto import Mosquitto, die_with_parent, installed
from tools.fleet import settings
from tools.fleet.cli import main
from tools.fleet.controller.intake import SUBSCRIPTIONS
from tools.fleet.controller.lease import Lease
from tools.fleet.controller.link import open_link
from tools.fleet.controller.meters import Meters
from tools.fleet.controller.process import Controller, run
from tools.fleet.store import Row, Store, open_store

ROOT = Path(__file__).parents[4]


class Fleet:
    """A folder with its database and broker."""

    def __init__(self, folder: Path, broker: Mosquitto, url: str) -> None:
        self.folder, self.broker, self.url = folder, broker, url
        folder.mkdir()
        (folder / "fleet.toml").write_text(
            f'[store]\nurl = "{url}"\n[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
            "tls = false\n"
        )
        self.store = open_store(url)
        self.stack = contextlib.ExitStack()

    def devices(self, names: Iterable[str]) -> Devices:
        made = Devices(self.broker.port, names)
        self.stack.callback(made.close)
        return made

    def run(self, *words: str) -> int:
        """An operator's command."""
        verb = [*words, "--fleet", str(self.folder)]
        return main(verb)

    def start(self, *words: str) -> str:
        """A roll-out; its id."""
        before = {row["rollout"] for row in self.rows("rollouts")}
        assert self.run("rollout", "start", *words) == 0
        (made,) = {row["rollout"] for row in self.rows("rollouts")} - before
        return str(made)

    def rows(self, table: str, where: str = "1 = 1", *params: Any) -> list[Row]:
        return self.store.execute(f"SELECT * FROM {table} WHERE {where}", params)

    def status(self, rollout: str) -> str:
        return str(self.rows("rollouts", "rollout = ?", rollout)[0]["status"])

    def jobs(self, *statuses: str) -> dict[str, Row]:
        """By device."""
        marks = ", ".join("?" * len(statuses))
        where = f"status IN ({marks})" if statuses else "1 = 1"
        return {row["device"]: row for row in self.rows("jobs", where, *statuses)}

    def controller(self, **options: Any) -> threading.Event:
        """In a thread; set what is returned to end it."""
        stop, ready = threading.Event(), threading.Event()
        meters = Meters()
        loaded = settings.load(self.folder)

        def work() -> None:
            with open_store(self.url) as store:
                lease = Lease(store, options.pop("lease", 1.0))
                made = Controller(
                    store, lease, lambda: open_link(self.folder, loaded.broker, SUBSCRIPTIONS),
                    meters, **({"sweep": 1.0} | options),
                )  # fmt: skip
                ready.set()
                run(made, stop, meters)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert ready.wait(60)

        def end() -> None:
            stop.set()
            thread.join(60)
            assert not thread.is_alive()

        self.stack.callback(end)
        return stop

    def process(self, *words: str) -> subprocess.Popen[bytes]:
        """`fleeting-fleet control`, to be killed."""
        log = (self.folder / "control.log").open("ab")
        made = subprocess.Popen(
            [sys.executable, "-m", "tools.fleet", "control", "--fleet", str(self.folder),
             "--sweep", "1", "--lease", "1", *words],
            cwd=ROOT, stdout=log, stderr=log, preexec_fn=die_with_parent,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        log.close()

        def end() -> None:
            made.kill()
            made.wait()

        self.stack.callback(end)
        return made

    def knows(self, number: int) -> None:
        eventually(
            lambda: len(self.rows("devices", "state IS NOT NULL AND meta IS NOT NULL")) >= number,
            f"{number} devices",
        )


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    if installed() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    broker = Mosquitto(tmp_path, "allow_anonymous true\nmax_queued_messages 100000")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def fleet(tmp_path: Path, mosquitto: Mosquitto, store_url: str) -> Iterator[Fleet]:
    made = Fleet(tmp_path / "fleet", mosquitto, store_url)
    with made.store, made.stack:
        yield made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come sooner than in the field."""
    monkeypatch.setattr("tools.fleet.controller.process.TICK", 0.3)
    monkeypatch.setattr("tools.fleet.controller.process.SOON", 0.1)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], Any]:
    """The JSON that a verb just printed."""

    def read() -> Any:
        return json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return read


def wait(seconds: float) -> None:
    time.sleep(seconds)


def database(url: str) -> Store:
    return open_store(url)
