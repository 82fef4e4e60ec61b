"""A device as it is installed: perceive, with its camera's processes, and uplink."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.base.settings_file import as_toml, parse
from tools.common.agent_process import AgentProcess
from tools.common.errors import ToolError
from tools.common.processes import Held, below, held, state

STARTS_WITHIN = 300.0
"""Seconds until the first summary: kernels may have to be compiled."""
PARTS = ("perceive", "spawner", "reader", "uplink")
"""The processes of a device; spawner and reader are the camera's."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a device."""

    at: float
    """Monotonic seconds."""
    held: Mapping[str, Held]
    """By the names in `PARTS`."""
    rows: int
    """Of the outbox: messages that wait."""
    released: int
    """Summaries so far, by the ledger."""
    database: int
    """Bytes of the outbox's file."""
    wal: int
    """Bytes of its write-ahead log."""
    others: int
    """Processes beside those, zombies among them."""


class Device:
    """Starts both processes and looks at what they hold; a context manager that ends them."""

    def __init__(
        self,
        folder: Path,
        port: int,
        source: Mapping[str, Any],
        *,
        window: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`port`: of the broker on this machine; `source`: the section of the configuration."""
        folder.mkdir()
        self.id = folder.name
        self.window = window
        config = parse(
            {
                "device": {"id": self.id},
                "source": dict(source),
                "privacy": {"policy": "demo", "window": window, "microphone": False},
                "store": {"outbox": str(folder / "outbox" / "outbox.db")},
                "mqtt": {"host": "127.0.0.1", "port": port, "backoff_max": 2.0},
            },
            "the soak",
        )
        self.store = config.store
        settings = folder / "fleeting.toml"
        settings.write_text(as_toml(config), encoding="utf-8")
        self.perceive = AgentProcess("perceive", settings, folder, environment)
        self.uplink = AgentProcess("uplink", settings, folder)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self.perceive.kill()
        self.uplink.kill()

    def start(self) -> None:
        """Until a first summary was released. Raises `ToolError`."""
        self.perceive.start()
        self.uplink.start()
        deadline = time.monotonic() + STARTS_WITHIN
        while not self.count("ledger"):
            self.look_after(perceive_may_end=True)
            if self.perceive.ended() is not None and not self.count("ledger"):
                raise ToolError(f"perceive ended without a summary: {_end_of(self.perceive.log)}")
            if time.monotonic() > deadline:
                raise ToolError(f"No summary in {STARTS_WITHIN:g} s: {_end_of(self.perceive.log)}")
            time.sleep(0.1)

    def look_after(self, *, perceive_may_end: bool = False) -> None:
        """Raises `ToolError` where a process has ended that should not have."""
        for process in (self.uplink, self.perceive):
            code = process.ended()
            fine = perceive_may_end and process is self.perceive and code == 0
            if code is not None and not fine:
                raise ToolError(f"A process ended with code {code}: {_end_of(process.log)}")

    def sample(self) -> Sample:
        """What it holds now."""
        children = list(below(self.perceive.pid))
        pids = {"perceive": self.perceive.pid, "uplink": self.uplink.pid}
        pids |= dict(zip(("spawner", "reader"), children, strict=False))
        found = {name: held(pid) for name, pid in pids.items()}
        more = [each for each in below(self.uplink.pid) if state(each)]
        return Sample(
            at=time.monotonic(),
            held={name: each for name, each in found.items() if each is not None},
            rows=self.count("outbox"),
            released=self.count("ledger"),
            database=_size(self.store.outbox),
            wal=_size(self.store.outbox.with_name(f"{self.store.outbox.name}-wal")),
            others=len(children[2:]) + len(more),
        )

    def count(self, table: str, where: str = "1") -> int:
        """Rows of a table of the outbox; 0 where there is none yet."""
        rows = self.read(f"SELECT COUNT(*) FROM {table} WHERE {where}")
        return int(rows[0][0]) if rows else 0

    def read(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the outbox's file; none while it cannot be read."""
        try:
            with closing(sqlite3.connect(f"file:{self.store.outbox}?mode=ro", uri=True)) as file:
                return file.execute(query).fetchall()
        except sqlite3.Error:
            return []

    def stop(self, wait: Callable[[], None] = lambda: None) -> None:
        """End perceive, which releases what is open, `wait`, and end uplink. Raises `ToolError`
        where one does not end well."""
        for process, name in ((self.perceive, "perceive"), (self.uplink, "uplink")):
            if process is self.uplink:
                wait()
            code = process.stop()
            if code != 0:
                raise ToolError(f"{name} ended with code {code}: {_end_of(process.log)}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-400:].strip()
