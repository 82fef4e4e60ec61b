"""Verb: seen."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from tools.fleet import settings


def add(verbs: Any) -> None:
    """Put the verb into `verbs`, an argparse subparsers action."""
    seen = verbs.add_parser(
        "seen", help="alert rules, dashboards and a flow, for this fleet's database and broker"
    )
    seen.add_argument("--out", type=Path, default=Path("fleet-seen"), metavar="DIR")
    for name, port in (("collector", 9464), ("controller", 9465)):
        seen.add_argument(
            f"--{name}", type=_address, action="append", default=[], metavar="HOST:PORT",
            help=f"where one's metrics are; repeat; default: 127.0.0.1:{port}",
        )  # fmt: skip
    seen.add_argument("--json", action="store_true", help="print what was written as JSON")
    seen.add_argument("--fleet", type=Path, default=settings.FOLDER, metavar="FOLDER")
    seen.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from tools.fleet.seen.copy import COLLECTOR, CONTROLLER, copy

    made = copy(
        args.out,
        settings.load(args.fleet),
        args.collector or [COLLECTOR],
        args.controller or [CONTROLLER],
    )
    if args.json:
        print(json.dumps([str(path) for path in made]))
        return
    for path in made:
        print(path)


def _address(text: str) -> str:
    if not re.fullmatch(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}", text):
        raise argparse.ArgumentTypeError("must be HOST:PORT")
    return text
