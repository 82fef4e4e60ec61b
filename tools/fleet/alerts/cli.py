"""Verbs: alerts, webhooks."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.fleet import settings

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add(verbs: Any) -> None:
    """Put the verbs into `verbs`, an argparse subparsers action."""
    alerts = verbs.add_parser("alerts", help="what is wrong, ranked; raise and end alerts")
    acts = alerts.add_subparsers(dest="act", required=True, metavar="ACT")
    one = acts.add_parser("run", help="raise and end them, and tell webhooks, until stopped")
    _common(one, "service", "run")
    one = acts.add_parser("once", help="the same, one time")
    _common(one, "service", "once")
    one = acts.add_parser("list", help="those that have not ended, the most urgent first")
    one.add_argument("--history", action="store_true", help="all that were, the newest first")
    one.add_argument("--since", type=_age, default=7 * 86_400, metavar="AGE",
                     help="of the history: such as 30d")  # fmt: skip
    one.add_argument("--device", default="", metavar="ID")
    one.add_argument("--kind", action="append", default=[], metavar="KIND", help="repeat")
    one.add_argument("--severity", action="append", default=[], metavar="SEVERITY", help="repeat")
    one.add_argument("--group", default="", metavar="NAME")
    one.add_argument("--tag", default="", metavar="TAG")
    one.add_argument("--version", default="", metavar="X.Y.Z")
    one.add_argument("--limit", type=int, default=100, metavar="N")
    one.add_argument("--offset", type=int, default=0, metavar="N")
    _common(one, "desk", "show")
    one = acts.add_parser("ack", help="say that somebody sees to it")
    one.add_argument("alert", type=int, metavar="NUMBER")
    one.add_argument("--by", required=True, metavar="NAME")
    _common(one, "desk", "acknowledge")
    one = acts.add_parser("silence", help="tell no webhook of it for a while")
    one.add_argument("alert", type=int, metavar="NUMBER")
    one.add_argument("--for", dest="length", type=_age, required=True, metavar="AGE",
                     help="such as 8h; 0h: no longer")  # fmt: skip
    _common(one, "desk", "silence")
    _add_webhooks(verbs)


def _add_webhooks(verbs: Any) -> None:
    webhooks = verbs.add_parser("webhooks", help="tell other programs of alerts")
    acts = webhooks.add_subparsers(dest="act", required=True, metavar="ACT")
    one = acts.add_parser("add", help="an address; prints its secret, once")
    one.add_argument(
        "url", metavar="URL", help="https://HOST/PATH; http only within private networks"
    )
    one.add_argument("--kinds", default="", metavar="KIND,...", help="default: all")
    one.add_argument("--severity", default="warning", choices=("critical", "warning", "info"),
                     help="the least severe that is told; default: warning")  # fmt: skip
    one.add_argument("--allow", action="append", default=[], metavar="NETWORK",
                     help="that it may reach although it is link-local; repeat")  # fmt: skip
    one.add_argument("--ca", type=Path, metavar="FILE", help="authorities of its certificate")
    _common(one, "hooks", "add")
    _common(acts.add_parser("list", help="all of them, and how they do"), "hooks", "show")
    for act, text in (
        ("remove", "and what waits for it"),
        ("test", "send it a message now"),
        ("rotate", "a new secret; the old one signs, too, until --finish"),
    ):
        one = acts.add_parser(act, help=text)
        one.add_argument("webhook", metavar="ID")
        if act == "rotate":
            one.add_argument("--finish", action="store_true", help="only the new one from now on")
        _common(one, "hooks", act)
    one = acts.add_parser("deliveries", help="what was sent, what waits, what was given up")
    one.add_argument("--dead", action="store_true", help="only what was given up")
    one.add_argument("--limit", type=int, default=100, metavar="N")
    _common(one, "hooks", "deliveries")


def _common(parser: Any, module: str, function: str) -> None:
    parser.add_argument("--fleet", type=Path, default=settings.FOLDER, metavar="FOLDER")
    parser.add_argument("--json", action="store_true", help="for a program")
    parser.set_defaults(run=_verb(module, function))


def _verb(module: str, function: str) -> Callable[[argparse.Namespace], int | None]:
    """Runs a function of a module of this room with the fleet's database."""

    def run(args: argparse.Namespace) -> int | None:
        from tools.fleet.store import open_store

        act = getattr(importlib.import_module(f"tools.fleet.alerts.{module}"), function)
        with open_store(settings.store_url(args.fleet, settings.load(args.fleet))) as store:
            code: int | None = act(args, store)
        return code

    return run


def _age(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError("must be such as 30m, 8h or 7d")
    return int(match[1]) * _UNITS[match[2]]
