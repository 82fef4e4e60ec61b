"""A whole fleet's side on this machine, to be measured and to be broken: Mosquitto with the fleet's
own configuration (TLS, a certificate each), a database, collectors, and perhaps the controller."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.mosquitto import die_with_parent, listens, program, terminate
from tools.common.postgresql import Postgres
from tools.fleet.broker.folder import add_operator, make_authorities, make_broker
from tools.fleet.simulate.meter import Meter

StoreKind = Literal["sqlite", "postgresql"]
_START = 30.0
"""Seconds that a process has to be ready."""


class Deployment:
    """Use as a context manager. Every process is ended by its id; `folder` keeps the logs."""

    def __init__(
        self, folder: Path, store: StoreKind, collectors: int = 2, *, controller: bool = False
    ) -> None:
        self.folder = folder
        self.fleet = folder / "fleet"
        """The fleet's folder: authorities, broker, operators."""
        self.kind = store
        self.meter = Meter()
        self.port, self.operator_port, self._bootstrap_port = quiet_ports(3)
        self.url = f"sqlite:///{folder / 'fleet.db'}"
        self._collectors = collectors
        self._controller = controller
        self._postgres: Postgres | None = None
        self._lock: sqlite3.Connection | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Deployment:
        try:
            self._make()
            self.start_broker()
            self.start_database()
            if self._postgres is not None:
                self.url = self._postgres.make_database("fleet")
            self._settings()
            for place in range(self._collectors):
                self.start_collector(place)
            if self._controller:
                self._start("controller", *self._verb("control"))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_broker(self) -> None:
        """Raises `ToolError`."""
        self._start("mosquitto", program(), "-c", str(self.fleet / "broker" / "mosquitto.conf"))
        self._wait_for("mosquitto", lambda: listens(self.port) and listens(self.operator_port))

    def stop_broker(self) -> None:
        """In order: it writes its sessions down."""
        terminate(self._processes.pop("mosquitto"))

    def start_database(self) -> None:
        """Raises `ToolError`."""
        if self.kind == "sqlite":
            lock, self._lock = self._lock, None
            if lock is not None:
                lock.execute("ROLLBACK")
                lock.close()
        elif self._postgres is not None:
            self._postgres.start()
            self.meter.watch("database", self._postgres.pid)

    def stop_database(self) -> None:
        """PostgreSQL is stopped as in a crash; a lock keeps everybody out of SQLite's file."""
        if self._postgres is not None:
            self.meter.look()
            self._postgres.stop("immediate")
            return
        path = self.url.removeprefix("sqlite:///")
        self._lock = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._lock.execute("BEGIN EXCLUSIVE")

    def start_collector(self, place: int, *, again: bool = False) -> None:
        """Start it and, unless it has been there before, wait until it has subscribed: until then
        a broker throws away what it acknowledges. `place`: from 0."""
        (port,) = quiet_ports(1)
        name = f"collector {place + 1}"
        self._start(name, *self._verb("collect", "--name", f"{place + 1}",
                                      "--metrics", f"127.0.0.1:{port}"))  # fmt: skip
        if not again:
            self._wait_for(name, lambda: _is_well(port))

    def kill_collector(self, place: int) -> None:
        """kill -9."""
        self.meter.look()
        process = self._processes.pop(f"collector {place + 1}")
        process.kill()
        process.wait()

    def check(self) -> None:
        """Raises `ToolError` where something ended by itself."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise ToolError(
                    f"The {name} ended by itself, code {process.returncode}: {self._words(name)}"
                )

    def close(self) -> None:
        """End everything."""
        for name in reversed(list(self._processes)):
            process = self._processes.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._lock is not None:
            self._lock.close()
        if self._postgres is not None:
            self._postgres.stop("immediate")

    def _make(self) -> None:
        make_authorities(self.fleet)
        make_broker(
            self.fleet, ["localhost"], bind="127.0.0.1",
            port=self.port, operator_port=self.operator_port,
            bootstrap_port=self._bootstrap_port,
        )  # fmt: skip
        for place in range(self._collectors):
            add_operator(self.fleet, f"reader-{place + 1}")
        add_operator(self.fleet, "fleet")
        if self.kind == "postgresql":
            self._postgres = Postgres(self.folder / "postgresql")

    def _settings(self) -> None:
        (self.fleet / "fleet.toml").write_text(
            f'[store]\nurl = "{self.url}"\n\n[broker]\nhost = "localhost"\n'
            f"port = {self.operator_port}\n",
            encoding="utf-8",
        )

    def _verb(self, verb: str, *words: str) -> list[str]:
        return [sys.executable, "-m", "tools.fleet", verb, "--fleet", str(self.fleet), *words]

    def _start(self, name: str, *command: str) -> None:
        log = self.folder / f"{name.replace(' ', '-')}.log"
        with log.open("ab") as output:
            self._processes[name] = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                preexec_fn=die_with_parent, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        self.meter.watch(name, self._processes[name].pid)

    def _wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START
        while not ready():
            if self._processes[name].poll() is not None or time.monotonic() > deadline:
                raise ToolError(f"The {name} does not start: {self._words(name)}")
            time.sleep(0.05)

    def _words(self, name: str) -> str:
        text = ""
        with contextlib.suppress(OSError):
            path = self.folder / f"{name.replace(' ', '-')}.log"
            text = path.read_text(encoding="utf-8", errors="replace")
        return " | ".join(text.strip().splitlines()[-3:]) or "no reason given"


def _is_well(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def quiet_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing uses, below those that thousands of outgoing connections
    take (ip(7): ip_local_port_range begins at 32768)."""
    found: list[int] = []
    for port in random.sample(range(15_000, 32_000), 1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == number:
            return found
    raise ToolError("No port of this machine is free.")
