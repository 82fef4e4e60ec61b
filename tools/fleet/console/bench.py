"""How long the list of a large fleet takes the server: from a request's arrival to the last byte
of the page, with its session looked up, within one process."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tools.common.errors import ToolError
from tools.common.machine import line, machine
from tools.common.postgresql import Postgres
from tools.fleet.console import sessions
from tools.fleet.console.accounts import Account
from tools.fleet.console.app import build
from tools.fleet.console.guard import Reach
from tools.fleet.console.inside import Browser
from tools.fleet.console.place import Place
from tools.fleet.console.pool import Pool
from tools.fleet.store import Store, open_store

PAGES = (
    "/devices",
    "/devices?page=100",
    "/devices?sort=heard_at&down=1",
    "/devices?sort=status",
    "/devices?state=offline&sort=app",
    "/devices?tag=floor7",
    "/devices?group=saved",
    "/devices?text=99&app=0.2.1&group=group3",
    "/api/v1/devices?size=200",
)
_BATCH = 2000


def fill(store: Store, devices: int, now: int) -> None:
    """As many devices as a collector and a controller would have left them."""
    ids = [f"device-{number:06}" for number in range(devices)]
    rows = []
    for number, name in enumerate(ids):
        state = "offline" if number % 17 == 0 else None if number % 41 == 0 else "online"
        heard = now - (5 * 86_400 if number % 29 == 0 else number % 900)
        models = f"0.1.{number % 3}"
        rows.append((name, state, now - 1000, now - 30 * 86_400, heard, f"0.{number % 4}.1",
                     models, "retail-eu", f"group{number % 9}", 900, "[]"))  # fmt: skip
    with store.transaction():
        store.executemany(
            "INSERT INTO devices (device, state, state_at, first_seen, last_seen, app, models,"
            " policy, grp, window_length, openings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        store.executemany(
            "INSERT INTO tags (device, tag) VALUES (?, ?)",
            [(name, f"{tag}{number % size}") for number, name in enumerate(ids)
             for tag, size in (("floor", 20), ("town", 50))],
        )  # fmt: skip
        store.executemany(
            "INSERT INTO positions (device, stream, chain, series, boot, first_seq, last_seq,"
            " received) VALUES (?, ?, ?, 0, 'b', 0, 9, ?)",
            [(row[0], stream, chain, row[4]) for row in rows
             for stream, chain in (("summary", ""), ("event", ""), ("receipt", "0" * 64))],
        )  # fmt: skip
        store.execute(
            "INSERT INTO groups (name, query) VALUES ('saved', 'tag=floor3 and not app<0.2.0')"
        )
    if store.dialect == "postgresql":
        store.execute("ANALYZE")


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """A new one's URL; gone afterwards. Raises `ToolError`."""
    with tempfile.TemporaryDirectory(prefix="fleeting-console-") as made:
        if kind == "sqlite":
            yield f"sqlite:///{made}/fleet.db"
            return
        Path(made).chmod(0o711)
        server = Postgres(Path(made) / "postgresql")
        try:
            server.start()
            yield server.make_database("fleet")
        finally:
            server.stop("immediate")


def run(devices: int, kind: str, times: int, *, as_json: bool) -> None:
    """Print milliseconds of each page. Raises `ToolError`."""
    if devices < 1 or times < 1:
        raise ToolError("Give one device and one time or more.")
    now = int(time.time())
    with database(kind) as url, open_store(url) as store:
        fill(store, devices, now)
        store.execute(
            "INSERT INTO console_users (name, role, password, created_at)"
            " VALUES ('bench', 'viewer', '-', 0)"
        )
        pool = Pool(url)
        browser = Browser(build(Place(Path(), pool), Reach()))
        browser.cookies["fleeting"] = sessions.begin(store, Account("bench", "viewer"), now)
        found = {page: _measured(browser, page, times) for page in PAGES}
        pool.close()
    if as_json:
        print(json.dumps({"machine": machine(), "store": kind, "devices": devices, "ms": found}))
        return
    print(_table(found, devices, kind))


def _measured(browser: Browser, page: str, times: int) -> dict[str, float]:
    """Milliseconds: median, 95th percentile, longest; and of this process's processor time, which
    others on the machine lengthen less. With PostgreSQL the server's is not in that."""
    seconds, began = [], 0.0
    for number in range(times + 3):
        if number == 3:
            began = time.process_time()
        answer = browser.get(page)
        if answer.status != 200:
            raise ToolError(f"{page} answers {answer.status}.")
        if number >= 3:  # templates and statements are warm
            seconds.append(1000 * answer.seconds)
    cpu = 1000 * (time.process_time() - began) / times
    values = (*np.percentile(seconds, (50, 95, 100)), cpu)
    names = ("p50", "p95", "max", "cpu")
    return dict(zip(names, (round(float(each), 1) for each in values), strict=True))


def _table(found: dict[str, Any], devices: int, kind: str) -> str:
    from tools.common.tables import columns, text

    table = columns(
        "page", "median, ms", "p95, ms", "longest, ms", "processor, ms", words=("page",)
    )
    for page, each in found.items():
        table.add_row(page, f"{each['p50']}", f"{each['p95']}", f"{each['max']}", f"{each['cpu']}")
    return f"{text(table)}{devices} devices, {kind}; {line(machine())}"
