"""A fleet asks for updates through Mosquitto: the real uplink hands them to the real updater, which
fetches, tests and switches, and the fleet reads how it ended. The two services only stand for
themselves."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.base.report import Job, JobExecution, from_json, to_json
from agent.base.settings_file import as_toml, parse
from tests.uplink.conftest import DEVICE, Listener, agent_config, eventually
from tools.common.agent_process import AgentProcess
from tools.common.mosquitto import Mosquitto, installed
from tools.robustness.update import releases
from tools.robustness.update.device import Services
from tools.robustness.update.repository import SignedRepository
from tools.robustness.update.updater import RunningUpdater

BASE = "0.1.0"


class Fleet(Listener):
    def ask(self, name: str | None, version: str = "") -> None:
        body = to_json(Job(job=name, kind="app", version=version)) if name else b""
        self._client.publish(f"fleeting/1/d/{DEVICE}/job/next", body, qos=1, retain=True)

    def said(self, name: str) -> list[JobExecution]:
        found = [from_json(JobExecution, body) for body in self.bodies(f"job/{name}")]
        return [each for each in found if each is not None]

    def end(self, name: str) -> tuple[str, str | None, str | None, str] | None:
        for each in self.said(name):
            if each.status not in ("QUEUED", "IN_PROGRESS"):
                return each.status, each.step, each.reason, each.app
        return None


class Device:
    """Services, uplink and updater; `fleeting-update.path` is played by a thread."""

    def __init__(self, place: Path, port: int) -> None:
        for name in ("slots", "base", "alive", "jobs", "shared"):
            (place / name).mkdir()
        first = releases.small(BASE, 0)
        releases.write(first, place / "base")
        self._needs = releases.base_of(first)
        self._repository = SignedRepository(place / "repository")
        self._place, self._number = place, 0
        self.services = Services(place / "slots", place / "base", place / "alive")
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(_Quiet, directory=str(self._repository.folder))
        )
        self._settings = place / "fleeting.toml"
        update = {
            "url": f"http://127.0.0.1:{self._server.server_address[1]}",
            "root": str(self._repository.root),
            "folder": str(place / "slots"),
            "exchange": str(place / "jobs"),
        }
        config = agent_config(place / "shared", port)
        config = config.model_copy(update={"update": parse({"update": update}, "x").update})
        self._settings.write_text(as_toml(config))
        self.uplink = AgentProcess("uplink", self._settings, place)
        self._stop = threading.Event()

    def release(self, version: str, bad: bool = False) -> None:
        self._number += 1
        archive = self._place / "release.tar.gz"
        releases.pack(releases.small(version, self._number), archive)
        self._repository.add("app", version, archive, BASE, self._needs)
        if bad:
            self.services.bad.add(version)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=each) for each in (self._server.serve_forever, self._path)
        ]
        with self.services:
            self.uplink.start()
            for each in threads:
                each.start()
            try:
                yield
            finally:
                self._stop.set()
                self.uplink.stop()
                self._server.shutdown()
                for each in threads:
                    each.join()
                self._server.server_close()

    def _path(self) -> None:
        """Start the updater when job.json has changed, one at a time."""
        seen: tuple[int, int] | None = None
        updater: RunningUpdater | None = None
        while not self._stop.wait(0.05):
            try:
                found = os.stat(self._place / "jobs" / "job.json")
                mark: tuple[int, int] | None = (found.st_ino, found.st_mtime_ns)
            except OSError:
                mark = None
            if (updater is None or updater.ended) and mark != seen:
                seen = mark
                updater = RunningUpdater(
                    self._settings, self._place / "base", self._place / "alive",
                    self._place / "updater.log",
                )  # fmt: skip
        if updater is not None:
            updater.kill(whole_group=True)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.mark.slow
def test_updates_of_a_fleet(tmp_path: Path) -> None:
    if installed() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    broker = Mosquitto(tmp_path)
    broker.start()
    device, fleet = Device(tmp_path, broker.port), Fleet(broker.port)
    names = [f"{number:016x}" for number in range(1, 7)]
    try:
        with device.running():
            eventually(lambda: fleet.bodies("state"), "connected")
            # A good one, asked for before it is there, and again.
            fleet.ask(names[0], "0.2.0")
            eventually(lambda: fleet.end(names[0]), "it cannot be found")
            assert fleet.end(names[0]) == ("REJECTED", "DOWNLOADING", "unlisted", BASE)
            device.release("0.2.0")
            fleet.ask(names[1], "0.2.0")
            eventually(lambda: fleet.end(names[1]), "it is installed")
            assert fleet.end(names[1]) == ("SUCCEEDED", "SOAKING", None, "0.2.0")
            assert device.services.versions == {"0.2.0"}
            # One that does not start.
            device.release("0.3.0", bad=True)
            fleet.ask(names[2], "0.3.0")
            eventually(lambda: fleet.end(names[2]), "it is taken back")
            assert fleet.end(names[2]) == ("FAILED", "ROLLED_BACK", "crashed", "0.2.0")
            assert device.services.versions == {"0.2.0"}
            # Two at once: either the first is canceled in time, or it is finished first.
            device.release("0.4.0")
            device.release("0.5.0")
            fleet.ask(names[3], "0.4.0")
            eventually(lambda: fleet.said(names[3]), "begun")
            fleet.ask(names[4], "0.5.0")
            eventually(lambda: fleet.end(names[4]), "the second one's end")
            first = fleet.end(names[3])
            assert first is not None
            assert first[0] in ("CANCELED", "SUCCEEDED")
            assert fleet.end(names[4]) == ("SUCCEEDED", "SOAKING", None, "0.5.0")
            # A job that has ended, from a fleet that forgot, changes nothing.
            device.uplink.kill()
            device.uplink.start()
            before = len(fleet.said(names[4]))
            eventually(lambda: len(fleet.said(names[4])) > before, "said again")
            assert fleet.said(names[4])[-1].status == "SUCCEEDED"
            eventually(lambda: device.services.versions == {"0.5.0"}, "in force")
            events = b"".join(fleet.bodies("event"))
            assert b"update_installed" in events
            assert b"update_rolled_back" in events
        for name in names:
            numbers = [each.number for each in fleet.said(name)]
            assert numbers == sorted(numbers)
    except BaseException:
        print((tmp_path / "uplink.log").read_text())
        print((tmp_path / "updater.log").read_text())
        for name in names:
            print([(each.status, each.step, each.reason) for each in fleet.said(name)])
        raise
    finally:
        fleet.close()
        broker.stop()
