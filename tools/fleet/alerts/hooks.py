"""The verbs of webhooks: add, list, remove, test, rotate, deliveries."""

from __future__ import annotations

import argparse
import time

from tools.fleet.alerts.desk import add_row
from tools.fleet.alerts.webhooks import manage
from tools.fleet.alerts.webhooks.manage import Revealed
from tools.fleet.alerts.webhooks.vault import Vault
from tools.fleet.operate.output import ago, as_json, console, shown, table
from tools.fleet.store import Store


def add(args: argparse.Namespace, store: Store) -> None:
    """Raises `ToolError` for an address that no webhook may have."""
    kinds = [each.strip() for each in args.kinds.split(",") if each.strip()]
    _reveal(args, manage.add(store, Vault(args.fleet), args.url, kinds, args.severity,
                             int(time.time()), args.allow, args.ca))  # fmt: skip


def _reveal(args: argparse.Namespace, made: Revealed) -> None:
    if args.json:
        as_json({"webhook": made.webhook, "secret": made.secret})
        return
    print(f"webhook {made.webhook}")
    print(f"secret  {made.secret}")
    print("Give the secret to the receiver now; it is not shown again.")


def show(args: argparse.Namespace, store: Store) -> None:
    now, found = int(time.time()), manage.listed(store)
    if args.json:
        as_json(found)
        return
    made = table("", "webhook", "to", "kinds", "from", "waiting", "dead", "last", "failures",
                 right=("waiting", "dead", "failures"))  # fmt: skip
    for each in found:
        add_row(made,
            each["webhook"], each["host"], ", ".join(each["kinds"]) or "all", each["severity"],
            str(each["waiting"]), str(each["dead"]), ago(each["delivered_at"], now),
            shown(each["failures"] or None),
        )  # fmt: skip
    console().print(made)


def remove(args: argparse.Namespace, store: Store) -> None:
    manage.remove(store, Vault(args.fleet), args.webhook)
    print(f"webhook {args.webhook} is removed")


def test(args: argparse.Namespace, store: Store) -> int:
    """Exit code 1 where it was not taken."""
    delivery, outcome = manage.test(store, Vault(args.fleet), args.webhook, int(time.time()))
    if args.json:
        as_json({"delivery": delivery, "state": outcome.state, "said": outcome.said})
    else:
        print(f"{outcome.state}: {outcome.said}")
    return int(outcome.state != "taken")


def rotate(args: argparse.Namespace, store: Store) -> None:
    vault = Vault(args.fleet)
    if args.finish:
        manage.finish(store, vault, args.webhook)
        print(f"webhook {args.webhook}: only the newest secret signs from now on")
        return
    _reveal(args, manage.rotate(store, vault, args.webhook))


def deliveries(args: argparse.Namespace, store: Store) -> None:
    rows = manage.deliveries(store, dead=args.dead, limit=args.limit)
    if args.json:
        as_json(rows)
        return
    made = table("", "delivery", "webhook", "event", "created", "attempts", "state", "last answer",
                 right=("attempts",))  # fmt: skip
    for row in rows:
        add_row(made,
            row["delivery"], row["webhook"], row["event"], ago(row["created_at"]),
            str(row["attempts"]), row["state"], shown(row["said"]),
        )  # fmt: skip
    console().print(made)
