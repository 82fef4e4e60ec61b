"""Releases of this clone with a fault planted, given to a real `fleeting run` on the bundled clip:
each has to be taken back, by the device itself."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import __version__
from agent.base.assets import CLIP
from agent.base.files import write_atomically
from agent.base.report import TERMINAL, Job, JobExecution, from_json, to_json
from agent.base.report.job import JobReason
from agent.base.settings_file import as_toml, parse
from agent.host import heartbeat
from agent.host.health import SERVICES, examine
from agent.host.launch import CONFIRMED, CURRENT, slot_of
from tools.common.clock import with_trusted_clock
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.machine import machine
from tools.common.mosquitto import terminate
from tools.robustness.update import releases
from tools.robustness.update.repository import SignedRepository

WITHIN = 180.0
"""Seconds from the new version's first step to the old one's being well again."""
_SOAK = 5.0
_PATIENCE = 900.0
"""Seconds for one case: kernels may be compiled first."""
_TICK = 0.2
_MODEL = "models/expression/model.tflite"

Change = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Case:
    """A release, and how its job has to end."""

    name: str
    changes: Mapping[str, Change]
    reason: JobReason | None
    """Null: it is a good one."""
    switched: bool
    """Whether it comes to run at all."""


def _replaced(old: str, new: str) -> Change:
    return lambda data: data.replace(old.encode(), new.encode(), 1)


def _other_weights(data: bytes) -> bytes:
    """As a conversion that went wrong: every byte of the middle half turned over."""
    start, end = len(data) // 4, len(data) * 3 // 4
    return data[:start] + bytes(each ^ 0x55 for each in data[start:end]) + data[end:]


def _manifest(data: bytes) -> bytes:
    """Signed and hashed as if all was well."""
    before = (ROOT / _MODEL).read_bytes()
    old = hashlib.sha256(before).hexdigest()
    return data.replace(old.encode(), hashlib.sha256(_other_weights(before)).hexdigest().encode())


_READY = '        sd_notify.ready("running")\n'
CASES = (
    Case("a good release", {}, None, True),
    Case(
        "a model fails its golden vectors",
        {_MODEL: _other_weights, "models/manifest.toml": _manifest},
        "model_self_test",
        False,
    ),
    Case(
        "the sandbox fails its self-test",
        {
            "agent/host/sandbox/seccomp.py": _replaced(
                "    code = b", "    return  # a fault\n    code = b"
            )
        },
        "sandbox_self_test",
        False,
    ),
    Case(
        "the sandbox is entered half, at start only",
        {
            "agent/perceive/start.py": _replaced(
                "    sandbox = enter_perceive(",
                "    from agent.host.sandbox import seccomp\n\n"
                "    seccomp.install = lambda program: None  # a fault\n"
                "    sandbox = enter_perceive(",
            )
        },
        "sandbox_self_test",
        True,
    ),
    Case(
        "perceive crashes at start",
        {
            "agent/perceive/process.py": _replaced(
                _READY, f'        raise RuntimeError("a fault")\n{_READY}'
            )
        },
        "crashed",
        True,
    ),
    Case(
        "the uplink's configuration is refused",
        {
            "agent/uplink/process.py": _replaced(
                "    sd_notify.connect()\n",
                "    from agent.base.errors import ConfigError\n\n"
                '    raise ConfigError("a fault")\n    sd_notify.connect()\n',
            )
        },
        "crashed",
        True,
    ),
    Case(
        "the watchdog starves",
        {
            "agent/perceive/process.py": _replaced(
                _READY, f"{_READY}        stop.wait()  # a fault\n"
            )
        },
        "stalled",
        True,
    ),
)


def run(
    names: tuple[str, ...] = (), progress: Callable[[int, str], None] = lambda done, word: None
) -> dict[str, Any]:
    """Try each case, or those that hold one of `names`; the report. Raises `ToolError`."""
    cases = [c for c in CASES if not names or any(each in c.name for each in names)]
    place, begun = machine(), time.monotonic()
    results = []
    with (
        tempfile.TemporaryDirectory(prefix="fleeting-bad-") as folder,
        _Device(Path(folder)) as device,
    ):
        for number, case in enumerate(cases):
            progress(number, case.name)
            results.append(device.try_(case, number))
        log = device.log.read_text(encoding="utf-8", errors="replace")
    violations = [f"{each['case']}: {v}" for each in results for v in each["violations"]]
    return {
        "what": "update --bad",
        "machine": place,
        "cases": results,
        "seconds": round(time.monotonic() - begun, 1),
        "violations": violations,
        "log": log[-8000:] if violations else "",
        "passed": not violations,
    }


class _Device:
    """`fleeting run` with a repository of its own; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place, self._exchange = folder / "device", folder / "exchange"
        self._alive = self._place / "alive"
        self.log = folder / "run.log"
        for each in (self._place, self._exchange, self._alive, folder / "outbox"):
            each.mkdir(parents=True)
        self._repository = SignedRepository(folder / "repository")
        self._stack = ExitStack()
        self._version = __version__
        self._slot = "base"

    def __enter__(self) -> _Device:
        handler = functools.partial(_Quiet, directory=str(self._repository.folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)
        settings = self._folder / "fleeting.toml"
        settings.write_text(as_toml(parse(self._settings(server.server_port), "the test")))
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            heartbeat.FOLDER: str(self._alive),
        }
        command = [sys.executable, "-P", "-m", "agent.cli", "run", "--config", str(settings)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                with_trusted_clock(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment,
            )  # fmt: skip
        self._stack.callback(terminate, process)
        until = time.monotonic() + _PATIENCE
        while self._conditions() != {"well"}:
            if time.monotonic() > until or process.poll() is not None:
                self._stack.close()
                raise ToolError(f"The agent does not work here: {self.log.read_text()[-2000:]}")
            time.sleep(_TICK)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _settings(self, port: int) -> dict[str, Any]:
        return {
            "source": {"kind": "file", "target": str(CLIP), "pace": "realtime", "loop": True},
            "privacy": {"policy": "demo", "window": 10},
            "store": {"outbox": str(self._folder / "outbox" / "outbox.db")},
            # Nobody listens there: the uplink is well, and knows that its broker is away.
            "mqtt": {"host": "127.0.0.1", "port": 1, "backoff_max": 5.0},
            "update": {
                "url": f"http://127.0.0.1:{port}",
                "root": str(self._repository.root),
                "folder": str(self._place),
                "exchange": str(self._exchange),
                "soak": _SOAK,
            },
        }

    def _conditions(self) -> set[str]:
        return {examine(self._alive, name)[0] for name in SERVICES}

    def _versions(self) -> set[str]:
        beats = [heartbeat.read(self._alive / name) for name in SERVICES]
        return {beat.version if beat is not None else "" for beat in beats}

    def try_(self, case: Case, number: int) -> dict[str, Any]:
        """Release it, ask for it, and see how it ends."""
        version = f"0.2.{number}"
        files = releases.real(version, case.changes)
        archive = self._folder / "release.tar.gz"
        releases.pack(files, archive)
        self._repository.add("app", version, archive, __version__, releases.base_of(files))
        job = Job(job=secrets.token_hex(8), kind="app", version=version)
        begun = time.monotonic()
        write_atomically(self._exchange / "job.json", to_json(job))
        steps: dict[str, float] = {}
        found: JobExecution | None = None
        while time.monotonic() - begun < _PATIENCE:
            found = self._progress(job)
            if found is not None and found.step is not None:
                steps.setdefault(found.step, time.monotonic())
            if found is not None and found.status in TERMINAL:
                break
            time.sleep(_TICK)
        ended = time.monotonic()
        while self._conditions() != {"well"} and time.monotonic() - ended < WITHIN:
            time.sleep(_TICK)
        back = time.monotonic() - steps.get("UPDATING", steps.get("DOWNLOADED", begun))
        result = {
            "case": case.name,
            "status": found.status if found else None,
            "step": found.step if found else None,
            "reason": found.reason if found else None,
            "seconds": round(back, 1),
            "steps": {name: round(at - begun, 1) for name, at in steps.items()},
        }
        wrong = self._wrong(case, version, found)
        if case.reason is not None and back > WITHIN:
            wrong.append(f"the old version was back after {back:.0f} s")
        if not wrong and case.reason is None:
            self._version, self._slot = version, slot_of(self._place, CURRENT)
        return {**result, "violations": wrong}

    def _wrong(self, case: Case, version: str, found: JobExecution | None) -> list[str]:
        wanted = ("SUCCEEDED", None) if case.reason is None else ("FAILED", case.reason)
        wrong = []
        if found is None or (found.status, found.reason) != wanted:
            wrong.append(f"the fleet is told {found}")
        elif case.reason and (found.step == "ROLLED_BACK") is not case.switched:
            wrong.append(f"it ended with step {found.step}")
        runs = version if case.reason is None else self._version
        if self._conditions() != {"well"} or self._versions() != {runs}:
            wrong.append(f"{self._versions()} run, {self._conditions()}, instead of {runs}")
        links = {slot_of(self._place, link) for link in (CURRENT, CONFIRMED)}
        if len(links) != 1 or (case.reason is not None and links != {self._slot}):
            wrong.append(f"the links lead to {links}")
        installed = json.loads((self._exchange / "installed.json").read_bytes())
        if installed["app"] != runs:
            wrong.append(f"{installed} is told, and {runs} runs")
        return wrong

    def _progress(self, job: Job) -> JobExecution | None:
        try:
            found = from_json(JobExecution, (self._exchange / "progress.json").read_bytes())
        except OSError:
            return None
        return found if found is not None and found.job == job.job else None


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass
