"""The verbs of webhooks: add, list, remove, test, rotate, deliveries."""

from __future__ import annotations

import argparse
import ipaddress
import json
import time
from typing import Any

from tools.common.errors import ToolError
from tools.fleet.alerts.desk import add_row
from tools.fleet.alerts.kinds import SEVERITIES
from tools.fleet.alerts.webhooks import address, outbox, request
from tools.fleet.alerts.webhooks.signature import new_secret
from tools.fleet.alerts.webhooks.vault import Kept, Vault
from tools.fleet.operate.output import ago, as_json, console, shown, table
from tools.fleet.store import Store


def add(args: argparse.Namespace, store: Store) -> None:
    """Raises `ToolError` for an address that no webhook may have."""
    target = address.parse(args.url)
    allow = tuple(_network(each) for each in args.allow)
    if args.ca is not None and not args.ca.is_file():
        raise ToolError(f"{args.ca} is no file of certificates.")
    kept = Kept(args.url, (new_secret(),), allow, str(args.ca.resolve()) if args.ca else None)
    try:
        address.choose(target, kept.networks)
    except OSError as error:
        raise ToolError(
            f"{target.host} cannot be found: {error.strerror}. Correct the name, or add it when "
            "its server is there."
        ) from None
    kinds = [each.strip() for each in args.kinds.split(",") if each.strip()]
    with store.transaction():
        webhook = outbox.add(store, target.origin, kinds, args.severity, int(time.time()))
        Vault(args.fleet).write(webhook, kept)
    _reveal(args, webhook, kept.secrets[0])


def _reveal(args: argparse.Namespace, webhook: str, secret: str) -> None:
    if args.json:
        as_json({"webhook": webhook, "secret": secret})
        return
    print(f"webhook {webhook}")
    print(f"secret  {secret}")
    print("Give the secret to the receiver now; it is not shown again.")


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ToolError(f"{text!a} is no network. Give such as 169.254.10.0/24.") from None


def show(args: argparse.Namespace, store: Store) -> None:
    now = int(time.time())
    found = [_state(store, row) for row in
             store.execute("SELECT * FROM webhooks ORDER BY created_at, webhook")]  # fmt: skip
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


def _state(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    ((waiting, dead, last),) = store.tuples(
        "SELECT SUM(CASE WHEN delivered_at IS NULL AND dead_at IS NULL THEN 1 ELSE 0 END),"
        " SUM(CASE WHEN dead_at IS NOT NULL THEN 1 ELSE 0 END), MAX(delivered_at)"
        " FROM deliveries WHERE webhook = ?",
        (row["webhook"],),
    )
    return {
        "webhook": row["webhook"], "host": row["host"], "kinds": json.loads(row["kinds"]),
        "severity": SEVERITIES[row["severity_rank"]], "created_at": row["created_at"],
        "failures": row["failures"], "retry_at": row["retry_at"] or None,
        "waiting": int(waiting or 0), "dead": int(dead or 0), "delivered_at": last,
    }  # fmt: skip


def remove(args: argparse.Namespace, store: Store) -> None:
    outbox.remove(store, args.webhook)
    Vault(args.fleet).remove(args.webhook)
    print(f"webhook {args.webhook} is removed")


def test(args: argparse.Namespace, store: Store) -> int:
    """One message, sent at once and not kept: exit code 1 where it was not taken."""
    outbox.one(store, args.webhook)
    now = int(time.time())
    with store.transaction():
        delivery = outbox.put(store, args.webhook, "test", None, now)
        rows = store.tuples("SELECT body FROM deliveries WHERE delivery = ?", (delivery,))
        store.execute("DELETE FROM deliveries WHERE delivery = ?", (delivery,))
    message = outbox.Message(delivery, args.webhook, "test", rows[0][0].encode(), now, 0)
    outcome = request.send(Vault(args.fleet).read(args.webhook), message, now)
    if args.json:
        as_json({"delivery": delivery, "state": outcome.state, "said": outcome.said})
    else:
        print(f"{outcome.state}: {outcome.said}")
    return int(outcome.state != "taken")


def rotate(args: argparse.Namespace, store: Store) -> None:
    outbox.one(store, args.webhook)
    vault = Vault(args.fleet)
    kept = vault.read(args.webhook)
    if args.finish:
        vault.write(args.webhook, Kept(kept.url, kept.secrets[:1], kept.allow, kept.ca))
        print(f"webhook {args.webhook}: only the newest secret signs from now on")
        return
    if len(kept.secrets) > 1:
        raise ToolError(
            f"Two secrets sign already. End the last change first: webhooks rotate {args.webhook} "
            "--finish."
        )
    secret = new_secret()
    vault.write(args.webhook, Kept(kept.url, (secret, *kept.secrets), kept.allow, kept.ca))
    _reveal(args, args.webhook, secret)


def deliveries(args: argparse.Namespace, store: Store) -> None:
    where = " WHERE dead_at IS NOT NULL" if args.dead else ""
    rows = store.execute(
        "SELECT delivery, webhook, event, created_at, attempts, due_at, delivered_at, dead_at, said"
        f" FROM deliveries{where} ORDER BY created_at DESC, delivery LIMIT ?",
        (max(1, min(args.limit, 1000)),),
    )
    if args.json:
        as_json(rows)
        return
    made = table("", "delivery", "webhook", "event", "created", "attempts", "state", "last answer",
                 right=("attempts",))  # fmt: skip
    for row in rows:
        state = "taken" if row["delivered_at"] else "given up" if row["dead_at"] else "waits"
        add_row(made,
            row["delivery"], row["webhook"], row["event"], ago(row["created_at"]),
            str(row["attempts"]), state, shown(row["said"]),
        )  # fmt: skip
    console().print(made)
