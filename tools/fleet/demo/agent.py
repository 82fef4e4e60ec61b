"""The real device of the demo: `fleeting run` on the bundled clip, with its updater."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from agent import __version__
from agent.base.assets import CLIP
from agent.base.settings_file import as_toml, parse
from tools.common.clock import with_trusted_clock
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.mosquitto import die_with_parent, terminate
from tools.fleet.broker.folder import add_device

NAME = "agent"
"""Its id."""
SOAK = 10.0
"""Seconds; ten minutes by default, which no demo has."""
_SEALED = "    # Imported here, so that threads of NumPy"
_FAULT = '    raise RuntimeError("a fault, planted by the demo")\n'
"""A release with this crashes whenever the process that sees starts."""


class Agent:
    """Use as a context manager."""

    def __init__(self, folder: Path, fleet: Path, port: int, url: str) -> None:
        """`port`: of the broker's listener for devices; `url`: of the update repository."""
        self.log = folder / "agent.log"
        self._folder, self._fleet = folder / "device", fleet
        self._screen = self._folder / "content.sock"
        # A socket's path is short (unix(7)): in a deep folder there is none.
        self._screened = len(os.fsencode(self._screen)) < 108
        self._port, self._url = port, url
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Agent:
        for name in ("outbox", "update", "exchange"):
            (self._folder / name).mkdir(parents=True)
        (self._folder / "fleeting.toml").write_text(self._settings(), encoding="utf-8")
        self.start()
        return self

    def start(self) -> None:
        """Also again, after `kill`."""
        settings = self._folder / "fleeting.toml"
        command = [sys.executable, "-P", "-m", "agent.cli", "run", "--config", str(settings)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                with_trusted_clock(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    def kill(self) -> None:
        """End it; what it has not said yet stays in its outbox."""
        if self._process is not None:
            terminate(self._process)
            self._process = None

    def show(self, slot: int) -> None:
        """Another content on its screen, as a kiosk would say. Raises `ToolError`."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as kiosk:
            try:
                kiosk.sendto(f"{slot}\n".encode(), str(self._screen))
            except OSError as error:
                raise ToolError(f"The agent cannot be told what is on show: {error}") from None

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def check(self) -> None:
        """Raises `ToolError` where it has ended."""
        if self._process is None or self._process.poll() is None:
            return
        words = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ToolError(f"The agent ended by itself: {' | '.join(words[-3:])}")

    def _settings(self) -> str:
        place = add_device(self._fleet, NAME, host="localhost", port=self._port)
        return as_toml(parse({
            "device": {"id": NAME},
            "source": {"kind": "file", "target": str(CLIP), "pace": "realtime", "loop": True},
            "privacy": {"policy": "demo", "window": 10},
            **({"content": {"socket": str(self._screen)}} if self._screened else {}),
            "store": {"outbox": str(self._folder / "outbox" / "outbox.db")},
            "mqtt": {
                "host": "localhost", "port": self._port, "tls": True, "backoff_max": 2.0,
                "ca_file": str(place / "ca.pem"), "cert_file": str(place / "device.pem"),
                "key_file": str(place / "device.key"),
            },
            "update": {
                "url": self._url, "root": str(self._fleet / "root.json"), "soak": SOAK,
                "folder": str(self._folder / "update"),
                "exchange": str(self._folder / "exchange"),
            },
        }, "the demo's device"))  # fmt: skip


def next_versions() -> tuple[str, str]:
    """Of a good and of a bad release after what runs here."""
    major, minor, patch = (int(each) for each in __version__.split("."))
    return f"{major}.{minor}.{patch + 1}", f"{major}.{minor}.{patch + 2}"


def make_release(folder: Path, version: str, *, bad: bool) -> Path:
    """This clone's package and models under another version; a bad one crashes at start. Raises
    `ToolError`."""
    ignored = shutil.ignore_patterns("__pycache__", "*.nb[ci]")
    for name in ("agent", "models"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "requirements.txt", folder / "requirements.txt")
    _change(folder / "agent/__init__.py", r'__version__ = "[^"]*"', f'__version__ = "{version}"')
    if bad:
        _change(folder / "agent/perceive/start.py", re.escape(_SEALED), _FAULT + _SEALED)
    return folder


def _change(path: Path, pattern: str, text: str) -> None:
    before = path.read_text(encoding="utf-8")
    after, times = re.subn(pattern, lambda _: text, before)
    if times != 1:
        raise ToolError(
            f"{path.name} is not as the demo expects it: {pattern!r} is not in it once."
        )
    path.write_text(after, encoding="utf-8")
