"""What a person does with webhooks, from the command line or the console."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.fleet.alerts.kinds import SEVERITIES
from tools.fleet.alerts.webhooks import address, outbox, request
from tools.fleet.alerts.webhooks.request import Outcome
from tools.fleet.alerts.webhooks.signature import new_secret
from tools.fleet.alerts.webhooks.vault import Kept, Vault
from tools.fleet.store import Row, Store

MOST = 1000
"""Deliveries in one answer."""


@dataclass(frozen=True, slots=True)
class Revealed:
    """A secret, which is shown this once."""

    webhook: str
    secret: str


def add(
    store: Store, vault: Vault, url: str, kinds: Sequence[str], severity: str, now: int,
    allow: Sequence[str] = (), ca: Path | None = None,
) -> Revealed:  # fmt: skip
    """A new one. `kinds`: none means all; `severity`: the least severe that it is told; `allow`:
    networks that it may reach although they are barred. Raises `ToolError` for an address that no
    webhook may have."""
    target = address.parse(url)
    if severity not in SEVERITIES:
        raise ToolError(f"{severity!a} is no severity. There are {', '.join(SEVERITIES)}.")
    networks = tuple(_network(each) for each in allow)
    if ca is not None and not ca.is_file():
        raise ToolError(f"{ca} is no file of certificates.")
    kept = Kept(url, (new_secret(),), networks, str(ca.resolve()) if ca else None)
    try:
        address.choose(target, kept.networks)
    except OSError as error:
        raise ToolError(
            f"{target.host} cannot be found: {error.strerror}. Correct the name, or add it when "
            "its server is there."
        ) from None
    with store.transaction():
        webhook = outbox.add(store, target.origin, kinds, severity, now)
        vault.write(webhook, kept)
    return Revealed(webhook, kept.secrets[0])


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ToolError(f"{text!a} is no network. Give such as 169.254.10.0/24.") from None


def listed(store: Store) -> list[Row]:
    """All of them, the oldest first, and how they do."""
    return [_state(store, row) for row in
            store.execute("SELECT * FROM webhooks ORDER BY created_at, webhook")]  # fmt: skip


def one(store: Store, webhook: str) -> Row:
    """One of them. Raises `ToolError`."""
    return _state(store, outbox.one(store, webhook))


def _state(store: Store, row: Row) -> dict[str, Any]:
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


def remove(store: Store, vault: Vault, webhook: str) -> None:
    """With what waits for it. Raises `ToolError`."""
    outbox.remove(store, webhook)
    vault.remove(webhook)


def test(store: Store, vault: Vault, webhook: str, now: int) -> tuple[str, Outcome]:
    """One message, sent at once and not kept: its id, and how it went. Raises `ToolError`."""
    outbox.one(store, webhook)
    delivery, body = outbox.written("test", None, now)
    message = outbox.Message(delivery, webhook, "test", body.encode(), now, 0)
    return delivery, request.send(vault.read(webhook), message, now)


def rotate(store: Store, vault: Vault, webhook: str) -> Revealed:
    """A new secret; the old one signs, too, until `finish`. Raises `ToolError`."""
    outbox.one(store, webhook)
    kept = vault.read(webhook)
    if len(kept.secrets) > 1:
        raise ToolError(
            f"Two secrets sign already. End the last change first: webhooks rotate {webhook} "
            "--finish."
        )
    secret = new_secret()
    vault.write(webhook, replace(kept, secrets=(secret, *kept.secrets)))
    return Revealed(webhook, secret)


def finish(store: Store, vault: Vault, webhook: str) -> None:
    """Only the newest secret signs from now on. Raises `ToolError`."""
    outbox.one(store, webhook)
    kept = vault.read(webhook)
    vault.write(webhook, replace(kept, secrets=kept.secrets[:1]))


def deliveries(
    store: Store, webhook: str = "", *, dead: bool = False, limit: int = 100
) -> list[Row]:
    """The newest first, with their `state`: taken, given up, waits. `webhook`: empty, of all;
    `dead`: only those that were given up."""
    where = " WHERE 1 = 1" + " AND dead_at IS NOT NULL" * dead + " AND webhook = ?" * bool(webhook)
    rows = store.execute(
        "SELECT delivery, webhook, event, created_at, attempts, due_at, delivered_at, dead_at, said"
        f" FROM deliveries{where} ORDER BY created_at DESC, delivery LIMIT ?",
        (*[webhook] * bool(webhook), max(1, min(limit, MOST))),
    )
    for row in rows:
        row["state"] = "taken" if row["delivered_at"] else "given up" if row["dead_at"] else "waits"
    return rows
