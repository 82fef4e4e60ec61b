"""Messages that are to be sent: written with the change that they tell, so that neither is without
the other, and kept until a receiver has taken them or a day has passed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tools.common.errors import ToolError
from tools.fleet.alerts import query
from tools.fleet.alerts.book import Change
from tools.fleet.alerts.kinds import BY_NAME, DAY, SEVERITIES
from tools.fleet.store import Row, Store

DEAD_AFTER = DAY
"""Seconds after which a message is given up."""
KEEP_SENT, KEEP_DEAD = 7 * DAY, 30 * DAY
_FIRST, _LONGEST = 10, 900
"""Seconds between attempts: the first, and at most."""
PAGE = 50
"""Messages of one webhook that are sent in one go."""


@dataclass(frozen=True, slots=True)
class Message:
    """One that is due."""

    delivery: str
    webhook: str
    event: str
    body: bytes
    created_at: int
    attempts: int


def add(store: Store, host: str, kinds: Sequence[str], least: str, now: int) -> str:
    """A new webhook's id. `least`: the least severe alerts that it is told; `kinds`: none means
    all. Raises `ToolError`."""
    if unknown := sorted(set(kinds) - set(BY_NAME)):
        raise ToolError(f"{unknown[0]!a} is no kind of alert. There are {', '.join(BY_NAME)}.")
    webhook = secrets.token_hex(4)
    store.execute(
        "INSERT INTO webhooks (webhook, host, kinds, severity_rank, created_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (webhook, host, json.dumps(sorted(set(kinds))), SEVERITIES.index(least), now),
    )
    return webhook


def one(store: Store, webhook: str) -> Row:
    """Raises `ToolError` where there is none."""
    rows = store.execute("SELECT * FROM webhooks WHERE webhook = ?", (webhook,))
    if not rows:
        raise ToolError(f"{webhook!a} is no webhook. `fleeting-fleet webhooks list` has them.")
    return rows[0]


def remove(store: Store, webhook: str) -> None:
    """With everything that waits for it. Raises `ToolError`."""
    with store.transaction():
        one(store, webhook)
        store.execute("DELETE FROM deliveries WHERE webhook = ?", (webhook,))
        store.execute("DELETE FROM webhooks WHERE webhook = ?", (webhook,))


def tell(store: Store, changes: Sequence[Change], now: int) -> None:
    """Put these changes down for every webhook that wants them; within their transaction."""
    heard = [each for each in changes if not each.silenced]
    if not heard:
        return
    hooks = [
        (row["webhook"], set(json.loads(row["kinds"])), row["severity_rank"])
        for row in store.execute("SELECT webhook, kinds, severity_rank FROM webhooks")
    ]
    for change in heard:
        rank = SEVERITIES.index(change.severity)
        wanting = [
            hook for hook, kinds, least in hooks
            if rank <= least and (not kinds or change.kind in kinds)
        ]  # fmt: skip
        if wanting:
            said = asdict(query.one(store, change.alert))
            for hook in wanting:
                put(store, hook, change.event, said, now)


def put(store: Store, webhook: str, event: str, alert: dict[str, Any] | None, now: int) -> str:
    """One message; returns its id."""
    delivery, body = written(event, alert, now)
    store.execute(
        "INSERT INTO deliveries (delivery, webhook, event, body, created_at, due_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (delivery, webhook, event, body, now, now),
    )
    return delivery


def written(event: str, alert: dict[str, Any] | None, now: int) -> tuple[str, str]:
    """A message's id and body."""
    delivery = secrets.token_hex(16)
    said = {"v": 1, "delivery": delivery, "event": event, "at": now, "alert": alert}
    return delivery, json.dumps(said, separators=(",", ":"))


def due(store: Store, now: int) -> dict[str, list[Message]]:
    """By webhook, oldest first."""
    found: dict[str, list[Message]] = {}
    for (hook,) in store.tuples("SELECT webhook FROM webhooks WHERE retry_at <= ?", (now,)):
        rows = store.execute(
            "SELECT delivery, webhook, event, body, created_at, attempts FROM deliveries"
            " WHERE webhook = ? AND due_at <= ? AND delivered_at IS NULL AND dead_at IS NULL"
            " ORDER BY created_at, delivery LIMIT ?",
            (hook, now, PAGE),
        )
        if rows:
            found[hook] = [Message(**{**row, "body": row["body"].encode()}) for row in rows]
    return found


def delivered(store: Store, message: Message, said: str, now: int) -> None:
    """It was taken, and the webhook works."""
    with store.transaction():
        store.execute(
            "UPDATE deliveries SET delivered_at = ?, attempts = attempts + 1, said = ?"
            " WHERE delivery = ?",
            (now, said, message.delivery),
        )
        store.execute(
            "UPDATE webhooks SET failures = 0, retry_at = 0 WHERE webhook = ? AND failures > 0",
            (message.webhook,),
        )


def failed(store: Store, message: Message, said: str, now: int, jitter: float, whole: bool) -> None:
    """Not taken. `whole`: nothing else will be either, the receiver is away; `jitter`: 0 to 1."""
    with store.transaction():
        dead = now if now - message.created_at >= DEAD_AFTER else None
        wait = pause(message.attempts, jitter)
        store.execute(
            "UPDATE deliveries SET attempts = attempts + 1, said = ?, due_at = ?, dead_at = ?"
            " WHERE delivery = ?",
            (said, now + wait, dead, message.delivery),
        )
        if whole:
            failures = one(store, message.webhook)["failures"]
            store.execute(
                "UPDATE webhooks SET failures = ?, retry_at = ? WHERE webhook = ?",
                (failures + 1, now + pause(failures, jitter), message.webhook),
            )


def pause(before: int, jitter: float) -> int:
    """Seconds after the attempt that follows `before` others: doubled each time, and spread."""
    return int(min(_LONGEST, _FIRST * 2 ** min(before, 16)) * (0.75 + 0.5 * jitter))


def clean(store: Store, now: int) -> None:
    """Give up what is a day old, delete what is older still."""
    store.execute(
        "UPDATE deliveries SET dead_at = ? WHERE delivered_at IS NULL AND dead_at IS NULL"
        " AND attempts > 0 AND created_at < ?",
        (now, now - DEAD_AFTER),
    )
    store.execute(
        "DELETE FROM deliveries WHERE (delivered_at < ?) OR (dead_at < ?)",
        (now - KEEP_SENT, now - KEEP_DEAD),
    )
