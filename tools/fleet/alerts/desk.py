"""The verbs of a person: list, ack, silence."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from tools.fleet.alerts import query
from tools.fleet.alerts.query import Alert, Filters
from tools.fleet.operate.output import ago, as_json, console, shown, table
from tools.fleet.store import Store


def add_row(made: Table, *cells: str) -> None:
    """As they are: no brackets of theirs are taken for rich's."""
    made.add_row(*map(Text, cells))


def show(args: argparse.Namespace, store: Store) -> int:
    """Exit code 1 where a critical one has not ended and nobody sees to it."""
    now = int(time.time())
    filters = Filters(
        device=args.device, kinds=args.kind, severities=args.severity, group=args.group,
        tag=args.tag, version=args.version,
    )  # fmt: skip
    if args.history:
        page = query.history(
            store, now, filters, since=now - args.since, limit=args.limit, offset=args.offset
        )
    else:
        page = query.current(store, now, filters, args.limit, args.offset)
    if args.json:
        as_json({"total": page.total, "alerts": [asdict(each) for each in page.alerts]})
    else:
        _print(page.alerts, page.total, now)
    urgent = any(
        each.severity == "critical" and each.ended is None and each.acknowledged_at is None
        for each in page.alerts
    )
    return int(urgent and not args.history)


def _print(alerts: list[Alert], total: int, now: int) -> None:
    if not alerts:
        print("nothing is wrong that was looked for")
        return
    made = table(
        "", "alert", "severity", "device", "since", "what, and what to do", right=("alert",)
    )
    for each in alerts:
        add_row(made,
            str(each.id), each.severity, shown(each.device or "the fleet"), ago(each.since, now),
            f"{each.what} {each.todo}{_state(each, now)}",
        )  # fmt: skip
    out = console()
    out.print(made)
    if total > len(alerts):
        out.print(f"{len(alerts)} of {total}")


def _state(alert: Alert, now: int) -> str:
    said = []
    if alert.ended is not None:
        said.append(f"ended {ago(alert.ended, now)}")
    elif alert.going:
        said.append("about to end")
    if alert.acknowledged_by:
        said.append(f"{alert.acknowledged_by} sees to it")
    if (alert.silenced_until or 0) > now:
        said.append("silenced")
    return f" ({', '.join(said)})" if said else ""


def acknowledge(args: argparse.Namespace, store: Store) -> None:
    _say(args, query.acknowledge(store, args.alert, args.by, int(time.time())))


def silence(args: argparse.Namespace, store: Store) -> None:
    _say(args, query.silence(store, args.alert, args.length, int(time.time())))


def _say(args: argparse.Namespace, alert: Alert) -> None:
    if args.json:
        as_json(asdict(alert))
    else:
        print(f"{alert.id}: {alert.device or 'the fleet'}, {alert.kind}"
              f"{_state(alert, int(time.time()))}")  # fmt: skip
