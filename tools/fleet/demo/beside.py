"""What stands beside the fleet's side in a demo: `fleeting-fleet`, simulated devices, the console,
alerts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

from agent import __version__
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.mosquitto import die_with_parent, listens, terminate
from tools.fleet.alerts import kinds, process
from tools.fleet.controller.lease import Lease
from tools.fleet.simulate import compare
from tools.fleet.simulate.deployment import Deployment
from tools.fleet.simulate.truth import messages
from tools.fleet.store import open_store

DEVICES = 20
INTERVAL = 10
"""Seconds between a device's summaries."""
Check = Callable[[], None]
"""Raises `ToolError` where something has ended that must not."""
_PATIENCE = 3
"""Seconds, in place of ten minutes, until a device that is gone is told of, or one that is back."""


class Verbs:
    """`fleeting-fleet` with this fleet's folder."""

    def __init__(self, side: Deployment) -> None:
        self._fleet = side.fleet

    def __call__(self, *words: str) -> str:
        """What it prints. Raises `ToolError`."""
        command = [sys.executable, "-m", "tools.fleet", *words, "--fleet", str(self._fleet)]
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise ToolError(f"fleeting-fleet {' '.join(words[:2])}: {' '.join(said[-2:])}")
        return done.stdout


class Simulator:
    """`python -m tools.fleet.simulate` beside the real device. Use as a context manager."""

    def __init__(self, folder: Path, side: Deployment, *more: str) -> None:
        """`more`: options of the simulator."""
        self.truth = folder / "truth.db"
        self._log = folder / "simulator.log"
        command = [
            sys.executable, "-m", "tools.fleet.simulate", "--devices", f"{DEVICES}",
            "--broker", f"localhost:{side.port}", "--tls", str(side.fleet), "--interval",
            f"{INTERVAL}", "--health", "10", "--app", __version__,
            "--fault", "flapping=0.1:40,duplicates=0.05", "--truth", str(self.truth),
            "--minutes", "60", *more,
        ]  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            terminate(self._process)

    def check(self) -> None:
        """Raises `ToolError` where it has ended."""
        if self._process.poll() is not None:
            words = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise ToolError(f"The simulated devices ended: {' | '.join(words[-3:])}")

    def stop(self) -> None:
        """Let what they still have to say be acknowledged. Raises `ToolError`."""
        self._process.terminate()
        try:
            code = self._process.wait(120)
        except subprocess.TimeoutExpired:
            raise ToolError("The simulated devices do not end.") from None
        if code:
            raise ToolError(f"Not all of their messages were acknowledged; see {self._log}.")

    def acknowledged(self) -> int:
        """Summaries and events."""
        return sum(acked for kind in compare.KINDS for _, _, acked in messages(self.truth, kind))


@contextlib.contextmanager
def console(folder: Path, side: Deployment, port: int) -> Iterator[str]:
    """`fleeting-fleet console` on a port of this machine; its address. Raises `ToolError`."""
    with (folder / "console.log").open("ab") as log:
        served = subprocess.Popen(
            [sys.executable, "-m", "tools.fleet", "console", "--fleet", str(side.fleet),
             "--listen", f"127.0.0.1:{port}"],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        until(lambda: listens(port), 60.0, side.check, "The console does not start.")
        yield f"http://localhost:{port}"
    finally:
        terminate(served)


@contextlib.contextmanager
def alerts(url: str) -> Iterator[None]:
    """As `fleeting-fleet alerts run`, but for its patience. `url`: of the fleet's database."""
    by_name = cast(dict[str, kinds.Kind], kinds.BY_NAME)
    known = by_name["offline"]
    by_name["offline"] = replace(known, raise_after=_PATIENCE, end_after=_PATIENCE, every=1)
    stop = threading.Event()

    def run() -> None:
        with open_store(url) as store:
            process.run(process.Alerts(store, Lease(store, process.LEASE, process.NAME)), stop)

    thread = threading.Thread(target=run, name="alerts")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        by_name["offline"] = known


def until(ready: Callable[[], bool], most: float, check: Check, what: str) -> None:
    """Wait; `check` raises where it is in vain. Raises `ToolError` after `most` seconds."""
    deadline = time.monotonic() + most
    while not ready():
        check()
        if time.monotonic() > deadline:
            raise ToolError(f"{what} Waited {most:.0f} s.")
        time.sleep(0.5)
