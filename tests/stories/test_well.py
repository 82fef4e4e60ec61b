"""Whether a service is well has one answer: for the watchdog, `fleeting check`, the health message
and the updater."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import __version__
from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.base.report import Vitals
from agent.base.settings_file import as_toml, parse
from agent.desk import check
from agent.host import health, heartbeat, launch, sd_notify
from agent.host.health import Limits
from agent.host.heartbeat import Beat
from agent.host.launch import Starts
from agent.update import soak
from agent.uplink.health import HealthReporter
from agent.wall.outbox import Outbox
from tests.stories.test_run import configured

NOBODY = None
CASES = [
    # condition; seconds since start, readiness and progress; alive; seconds since the last report,
    # what it said; what the health message says
    ("well", 300, 290, 1, True, 30, "running", "running"),
    ("well", 300, 290, 1, True, 30, "paused", "paused"),
    ("well", 300, 290, 1, True, 30, "quiet", "quiet"),
    ("well", 300, 290, 1, True, 30, "hot", "hot"),
    ("well", 300, 290, 59, True, 119, "running", "running"),
    ("stalled", 300, 290, 61, True, 121, "running", "stalled"),
    ("stalled", 300, 290, 61, True, 121, "hot", "stalled"),
    ("stalled", 300, 290, 61, True, 10, "stalled", "stalled"),  # no pictures come
    ("absent", NOBODY, None, None, False, None, "running", "absent"),
    ("starting", 300, None, None, True, None, "running", "absent"),
    ("no_start", 901, None, None, True, None, "running", "absent"),
    ("ended", 300, 290, 1, False, None, "running", "absent"),
    ("ended", 2000, 1990, 1000, False, 1000, "running", "absent"),  # killed, and not started again
]


@pytest.mark.parametrize(
    ("condition", "started", "ready", "moved", "alive", "reported", "said", "named"), CASES
)
def test_four_askers_get_one_answer(
    condition: health.Condition,
    started: float | None,
    ready: float | None,
    moved: float | None,
    alive: bool,
    reported: float | None,
    said: str,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 50_000.0
    monkeypatch.setattr(heartbeat, "boottime", lambda: now)
    monkeypatch.setenv(heartbeat.FOLDER, str(tmp_path))
    config = configured(tmp_path, 1)
    with (tmp_path / "perceive.starts").open("w+b") as file:
        if started is not None:
            file.write(Starts("base", "-", 1, os.getpid(), now - started).encode())
            file.flush()
            beat = Beat(
                os.getpid(), __version__, "starting" if ready is None else "ready", frozenset(),
                None, now - started, None if ready is None else now - ready,
                None if moved is None else now - moved,
            )  # fmt: skip
            (tmp_path / "perceive").write_bytes(beat.encode())
            if alive:
                fcntl.flock(file, fcntl.LOCK_EX)
                monkeypatch.setattr(heartbeat, "_beat", beat)
                assert health.own() == condition, "the watchdog"
        found = check.run_check(config, ["services"])["services"]
        if condition != "absent":  # then of both services, which it says in other words
            assert found.detail.startswith(f"perceive {check._CONDITIONS[condition]}")
        assert found.ok is (condition in ("well", "absent", "starting"))
        assert (soak.look(tmp_path)["perceive"] is not None) is (condition == "well")
    with Outbox(config.store) as outbox:
        if reported is not None:
            vitals = Vitals.model_validate({"perception": said, "fps": 30})
            monkeypatch.setattr(
                outbox.latest, "get", lambda kind: (vitals, reported) if kind is Vitals else None
            )
        assert HealthReporter(outbox, tmp_path)().perception == named


def test_a_process_that_is_not_well_does_not_feed_its_watchdog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "4000000")
    sent: list[str] = []
    monkeypatch.setattr(sd_notify, "_send", lambda *lines: sent.extend(lines))
    cases: tuple[tuple[heartbeat.State, float | None, int], ...] = (
        ("starting", None, 0), ("ready", 1.0, 1), ("stopping", 1.0, 0),
    )  # fmt: skip
    for state, ready, feeds in cases:
        monkeypatch.setattr(sd_notify, "_next_keepalive", 0.0)
        beat = Beat(os.getpid(), __version__, state, frozenset(), None, 0.0, ready, ready)
        monkeypatch.setattr(heartbeat, "_beat", beat)
        monkeypatch.setattr(heartbeat, "_next", 0.0)
        sent.clear()
        sd_notify.watchdog()
        assert sent.count("WATCHDOG=1") == feeds, state


class Perceive:
    """A perceive process as the units start it, a clip in place of a camera."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alive = folder / "alive"
        self.alive.mkdir()
        monkeypatch.setenv(heartbeat.FOLDER, str(self.alive))
        self.config: AgentConfig = parse(
            {
                "source": {"kind": "file", "target": str(CLIP), "loop": True},
                "privacy": {"policy": "demo"},
                "store": {"outbox": str(folder / "outbox.db")},
            },
            "the test",
        )
        settings = folder / "fleeting.toml"
        settings.write_text(as_toml(self.config))
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self._manager.setblocking(False)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": "1000000",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        environment.pop("WATCHDOG_PID", None)
        argv = [sys.executable, launch.__file__, str(folder / "slots"), "perceive"]
        self.process = subprocess.Popen([*argv, "--config", str(settings)], env=environment)

    def keepalives(self) -> int:
        """Since the last call."""
        count = 0
        while True:
            try:
                count += self._manager.recv(4096).split(b"\n").count(b"WATCHDOG=1")
            except BlockingIOError:
                return count

    def named(self) -> str:
        """What the uplink would say of it."""
        with Outbox(self.config.store) as outbox:
            return HealthReporter(outbox, self.alive)().perception

    def age(self) -> float:
        with Outbox(self.config.store) as outbox:
            found = outbox.latest.get(Vitals)
        assert found is not None
        return found[1]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._manager.close()


def eventually(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_a_perceive_that_hangs_is_seen_by_all_four(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by a signal, as a driver would: limits of seconds stand in for those of minutes."""
    perceive = Perceive(tmp_path, monkeypatch)
    try:
        eventually(lambda: perceive.named() == "running")
        eventually(lambda: perceive.keepalives() > 0)
        condition = check.run_check(perceive.config, ["services"])["services"].detail
        assert condition.startswith("perceive is well")
        assert soak.look(perceive.alive)["perceive"] is not None

        os.kill(perceive.process.pid, signal.SIGSTOP)
        time.sleep(0.5)  # what was sent before
        perceive.keepalives()
        short = Limits(progress=1.0)
        monkeypatch.setattr(health.examine, "__defaults__", (health.Expected(), short))
        monkeypatch.setattr(health, "REPORT_INTERVAL", perceive.age())
        monkeypatch.setattr(health, "PROGRESS_WITHIN", 1.0)
        eventually(lambda: perceive.named() == "stalled")
        found = check.run_check(perceive.config, ["services"])["services"]
        assert (found.ok, found.detail.split(",")[0]) == (False, "perceive makes no progress")
        assert soak.look(perceive.alive)["perceive"] is None
        assert perceive.keepalives() == 0

        os.kill(perceive.process.pid, signal.SIGKILL)
        perceive.process.wait()
        monkeypatch.setattr(health, "READY_WITHIN", perceive.age())
        eventually(lambda: perceive.named() == "absent")
        found = check.run_check(perceive.config, ["services"])["services"]
        assert found.detail.startswith("perceive has ended")
        assert soak.look(perceive.alive)["perceive"] is None
    finally:
        perceive.end()
