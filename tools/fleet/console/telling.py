"""Webhooks: who is told of alerts, whether he hears it, and what was given up. For operators only.

The console neither lifts the bars of `webhooks.address` (`--allow`) nor reads files of its machine
(`--ca`): that takes the command line.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tools.common.errors import ToolError
from tools.fleet.alerts import KINDS, SEVERITIES
from tools.fleet.alerts.webhooks import manage
from tools.fleet.alerts.webhooks.manage import Revealed
from tools.fleet.alerts.webhooks.request import Outcome
from tools.fleet.alerts.webhooks.vault import Vault
from tools.fleet.console import acts
from tools.fleet.console.accounts import Account
from tools.fleet.console.answers import Refused
from tools.fleet.console.guard import operator_of, visit_of
from tools.fleet.console.pages import render
from tools.fleet.console.place import Place, place_of
from tools.fleet.store import Row, Store

ACTS = ("test", "rotate", "finish", "remove")
_KINDS = [each.name for each in KINDS]


def exact(store: Store, webhook: str) -> Row:
    """Raises `Refused` where there is none."""
    try:
        return manage.one(store, webhook[:64])
    except ToolError:
        raise Refused(404, "There is no such webhook.") from None


def begin(
    store: Store, place: Place, account: Account, url: str, kinds: Sequence[str], severity: str,
    now: int,
) -> Revealed:  # fmt: skip
    """A new one. Raises `ToolError`."""
    with store.transaction():
        made = manage.add(store, Vault(place.folder), url, kinds, severity, now)
        acts.note(store, account, "added", f"webhook {made.webhook}", now)
    return made


def turn(store: Store, place: Place, account: Account, webhook: str, now: int) -> Revealed:
    """A new secret. Raises `Refused`, `ToolError`."""
    exact(store, webhook)
    made = manage.rotate(store, Vault(place.folder), webhook)
    acts.note(store, account, "gave a new secret to", f"webhook {webhook}", now)
    return made


def finish(store: Store, place: Place, account: Account, webhook: str, now: int) -> None:
    """The old secret signs no longer. Raises `Refused`, `ToolError`."""
    exact(store, webhook)
    manage.finish(store, Vault(place.folder), webhook)
    acts.note(store, account, "ended the old secret of", f"webhook {webhook}", now)


def remove(store: Store, place: Place, account: Account, webhook: str, now: int) -> None:
    """Raises `Refused`, `ToolError`."""
    exact(store, webhook)
    manage.remove(store, Vault(place.folder), webhook)
    acts.note(store, account, "removed", f"webhook {webhook}", now)


def attempt(
    store: Store, place: Place, account: Account, webhook: str, now: int
) -> tuple[str, Outcome]:
    """A message, sent now: its id, and how it went. Raises `Refused`, `ToolError`."""
    exact(store, webhook)
    if not place.testing.acquire(blocking=False):
        raise Refused(429, "Another test is under way. Try again in some seconds.")
    try:
        found = manage.test(store, Vault(place.folder), webhook, now)
    finally:
        place.testing.release()
    acts.note(store, account, "tested", f"webhook {webhook}", now)
    return found


def page(request: Request, store: Store) -> Response:
    """GET /webhooks"""
    return _page(request, store, {"url": "", "severity": "warning", "kinds": []})


def _page(
    request: Request, store: Store, given: dict[str, Any], said: str = "", status: int = 200
) -> Response:
    return render(
        request, "webhooks.html", status, rows=manage.listed(store), given=given, said=said,
        kinds=_KINDS, severities=SEVERITIES,
    )  # fmt: skip


def add(request: Request, store: Store) -> Response:
    """POST /webhooks: answers with the secret, this once."""
    form, account = visit_of(request.scope).form, operator_of(request.scope)
    kinds = [each for each in _KINDS if form.get(f"kind-{each}") == "1"]
    url, severity = form.get("url", "").strip()[:2001], form.get("severity", "")[:64]
    try:
        made = begin(store, place_of(request), account, url, kinds, severity, int(time.time()))
    except ToolError as error:
        given = {"url": url, "severity": severity, "kinds": kinds}
        return _page(request, store, given, str(error), 400)
    return _one(request, store, made.webhook, secret=made.secret)


def one(request: Request, store: Store) -> Response:
    """GET /webhooks/{webhook}"""
    return _one(request, store, request.path_params["webhook"])


def _one(
    request: Request, store: Store, webhook: str, status: int = 200, *, said: str = "",
    good: bool = False, secret: str = "",
) -> Response:  # fmt: skip
    dead = request.query_params.get("dead", "") == "1"
    found = exact(store, webhook)
    return render(
        request, "webhook.html", status, found=found, dead=dead, said=said, good=good,
        secret=secret, deliveries=manage.deliveries(store, found["webhook"], dead=dead),
    )  # fmt: skip


def act(request: Request, store: Store) -> Response:
    """POST /webhooks/{webhook}/{act}"""
    webhook, name = request.path_params["webhook"], request.path_params["act"]
    if name not in ACTS:
        raise Refused(404, "That cannot be done with a webhook.")
    given = (store, place_of(request), operator_of(request.scope), webhook, int(time.time()))
    try:
        if name == "remove":
            remove(*given)
            return RedirectResponse("/webhooks", 303)
        if name == "test":
            _, outcome = attempt(*given)
            said = f"{outcome.state}: {outcome.said}"
            return _one(request, store, webhook, said=said, good=outcome.state == "taken")
        if name == "rotate":
            return _one(request, store, webhook, secret=turn(*given).secret)
        finish(*given)
    except ToolError as error:
        return _one(request, store, webhook, 400, said=str(error))
    said = "Only the newest secret signs from now on."
    return _one(request, store, webhook, said=said, good=True)
