"""How long the list of a large fleet takes the server: from a request's arrival to the last byte
of the page, with its session looked up, within one process."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from tools.common.command import positive
from tools.common.errors import ToolError
from tools.common.machine import line, machine
from tools.common.postgresql import scratch
from tools.common.tables import columns, text
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


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    one = verbs.add_parser("bench", parents=[shared], help="server time of the list of devices")
    one.add_argument("--devices", type=positive, default=10_000, metavar="N")
    one.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    one.add_argument("--times", type=positive, default=40, metavar="N", help="of each page")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Milliseconds of each page. Raises `ToolError`."""
    here, now = machine(), int(time.time())
    with scratch(args.store) as url, open_store(url) as store:
        fill(store, args.devices, now)
        store.execute(
            "INSERT INTO console_users (name, role, password, created_at)"
            " VALUES ('bench', 'viewer', '-', 0)"
        )
        pool = Pool(url)
        browser = Browser(build(Place(Path(), pool), Reach()))
        browser.cookies["fleeting"] = sessions.begin(store, Account("bench", "viewer"), now)
        found = {page: _measured(browser, page, args.times) for page in PAGES}
        pool.close()
    report = {"machine": here, "store": args.store, "devices": args.devices, "times": args.times,
              "ms": found}  # fmt: skip
    return report, _text(report)


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


def _text(report: dict[str, Any]) -> str:
    table = columns("page", "median, ms", "p95, ms", "longest, ms", "processor, ms")
    for page, each in report["ms"].items():
        table.add_row(page, f"{each['p50']}", f"{each['p95']}", f"{each['max']}", f"{each['cpu']}")
    return (
        f"{line(report['machine'])}{text(table)}"
        f"{report['devices']} devices, {report['store']}, {report['times']} times each\n"
    )
