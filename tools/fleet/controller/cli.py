"""Verb: control."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from pathlib import Path
from typing import Any

from tools.fleet import settings


def _run(args: argparse.Namespace) -> None:
    from tools.fleet.controller import desk, intake
    from tools.fleet.controller.lease import Lease
    from tools.fleet.controller.link import open_link
    from tools.fleet.controller.meters import Meters
    from tools.fleet.controller.process import Controller, run
    from tools.fleet.store import open_store

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    loaded = settings.load(args.fleet)
    topics = (*intake.SUBSCRIPTIONS, *desk.SUBSCRIPTIONS)
    open_link(args.fleet, loaded.broker, topics)  # tells now what is wrong
    meters = Meters(args.fleet / "repository" / "metadata")
    if args.metrics:
        meters.serve(args.metrics)
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    with open_store(settings.store_url(args.fleet, loaded)) as store:
        controller = Controller(
            store,
            Lease(store, args.lease),
            lambda: open_link(args.fleet, loaded.broker, topics),
            meters,
            rate=args.rate,
            sweep=args.sweep,
            desk=desk.open_desk(store, args.fleet),
        )
        run(controller, stop, meters)


def add(verbs: Any) -> None:
    """Put the verb into `verbs`, an argparse subparsers action."""
    control = verbs.add_parser("control", help="run the controller: settings, jobs, roll-outs")
    control.add_argument("--fleet", type=Path, default=settings.FOLDER, metavar="FOLDER")
    control.add_argument("--metrics", metavar="HOST:PORT", help="for Prometheus: 127.0.0.1:9465")
    control.add_argument(
        "--rate", type=_positive, default=200.0, metavar="N", help="messages published a second"
    )
    control.add_argument(
        "--sweep", type=_positive, default=60.0, metavar="S",
        help="seconds between comparisons of the whole fleet",
    )  # fmt: skip
    control.add_argument(
        "--lease", type=_positive, default=10.0, metavar="S",
        help="seconds of silence after which another controller takes over",
    )  # fmt: skip
    control.set_defaults(run=_run)


def _positive(text: str) -> float:
    value = float(text)
    if not 0.5 <= value <= 86_400:
        raise argparse.ArgumentTypeError("must be 0.5 to 86400")
    return value
