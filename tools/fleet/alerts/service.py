"""The verbs that raise and end: run, once."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
import time
from typing import Any

from tools.common.errors import ToolError
from tools.fleet import settings
from tools.fleet.alerts import process
from tools.fleet.alerts.webhooks import request, sender
from tools.fleet.alerts.webhooks.vault import Vault
from tools.fleet.controller.lease import Lease
from tools.fleet.operate.output import as_json
from tools.fleet.store import Store, open_store


def run(args: argparse.Namespace, store: Store) -> None:
    """Until SIGTERM."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    alerts = process.Alerts(store, Lease(store, process.LEASE, process.NAME))
    thread = threading.Thread(target=_send, args=(args, alerts, stop), name="webhooks", daemon=True)
    thread.start()
    try:
        process.run(alerts, stop)
    finally:
        stop.set()
        thread.join(2 * request.LIMIT)


def _send(args: argparse.Namespace, alerts: process.Alerts, stop: threading.Event) -> None:
    """On a connection of its own: a receiver that hangs holds no look up."""
    url = settings.store_url(args.fleet, settings.load(args.fleet))
    with open_store(url, up_to_date=False) as store:
        sender.run(sender.Sender(store, Vault(args.fleet), may=lambda: alerts.acts), stop)


def once(args: argparse.Namespace, store: Store) -> None:
    """One round, what is to be sent included. Raises `ToolError` where another one is at work."""
    lease = Lease(store, process.LEASE, process.NAME)
    _acquire(lease)
    alerts = process.Alerts(store, lease)
    try:
        changes: list[Any] = alerts.look()
        sent = sender.Sender(store, Vault(args.fleet)).step()
    finally:
        alerts.stop()
    if args.json:
        as_json({"changes": [_as_dict(each) for each in changes], "sent": sent})
        return
    for each in changes:
        print(f"{each.event}: {each.device or 'the fleet'}, {each.kind} ({each.severity})")
    print(f"{len(changes)} changes, {sent} messages sent")


def _acquire(lease: Lease) -> None:
    """One that was killed holds it for a while."""
    end = time.monotonic() + lease.expiry + 5
    while not lease.acquire():
        if time.monotonic() > end:
            raise ToolError(
                "`fleeting-fleet alerts run` is at work: what it found is in `alerts list`."
            )
        time.sleep(0.5)


def _as_dict(change: Any) -> dict[str, Any]:
    return {name: getattr(change, name) for name in change.__slots__}
