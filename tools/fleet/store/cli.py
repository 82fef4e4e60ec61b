"""Verbs: migrate, prune, gaps, quarantine."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from tools.fleet import settings

_GAPS = (
    "SELECT device, stream, series, first_seq, last_seq, missing, found_at FROM open_gaps"
    " ORDER BY found_at DESC, device LIMIT ?"
)
_QUARANTINE = (
    "SELECT device, received, reason, size, topic, body FROM quarantine ORDER BY id DESC LIMIT ?"
)
_MOST = 1000
"""Rows shown."""


def add(verbs: Any) -> None:
    """Put the verbs into `verbs`, an argparse subparsers action."""
    migrate = verbs.add_parser("migrate", help="bring the database's layout up to date")
    prune = verbs.add_parser("prune", help="delete what is old")
    prune.add_argument("--older-than", required=True, metavar="AGE", help="such as 400d")
    gaps = verbs.add_parser("gaps", help="numbers that are missing, newest first")
    quarantine = verbs.add_parser("quarantine", help="messages that were refused, newest first")
    for verb, run in (
        (migrate, _migrate), (prune, _prune), (gaps, _gaps), (quarantine, _quarantine),
    ):  # fmt: skip
        verb.add_argument("--fleet", type=Path, default=settings.FOLDER, metavar="FOLDER")
        verb.add_argument("--json", action="store_true", help="for programs")
        verb.set_defaults(run=run)


def open_of(folder: Path) -> Any:
    """The `Store` of a fleet's folder. Raises `ToolError`."""
    from tools.fleet.store import open_store

    return open_store(settings.store_url(folder, settings.load(folder)))


def _migrate(args: argparse.Namespace) -> None:
    from tools.fleet.store.migrate import make_hypertables, version

    with open_of(args.fleet) as store:
        with store.transaction():
            hypertables = make_hypertables(store)
        found = {"database": store.name, "layout": version(store), "hypertables": hypertables}
    if args.json:
        print(json.dumps(found))
        return
    chunks = f"; hypertables: {', '.join(hypertables)}" if hypertables else ""
    print(f"{found['database']}: layout {found['layout']}{chunks}")


def _prune(args: argparse.Namespace) -> None:
    from tools.fleet.store.retention import parse_age, prune

    before = int(time.time()) - parse_age(args.older_than)
    with open_of(args.fleet) as store:
        deleted = prune(store, before)
    if args.json:
        print(json.dumps(deleted))
        return
    print(", ".join(f"{table}: {rows}" for table, rows in deleted.items()))


def _gaps(args: argparse.Namespace) -> None:
    _show(args, _GAPS, "nothing is missing")


def _quarantine(args: argparse.Namespace) -> None:
    _show(args, _QUARANTINE, "nothing was refused")


def _show(args: argparse.Namespace, sql: str, nothing: str) -> None:
    with open_of(args.fleet) as store:
        rows = store.execute(sql, (_MOST,))
    if args.json:
        print(json.dumps(rows))
        return
    if not rows:
        print(nothing)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*(Text("" if each is None else str(each)[:60]) for each in row.values()))
    Console().print(table)
