"""Alerts: what is wrong, ranked; what was; somebody sees to it."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tools.fleet import alerts
from tools.fleet.console import acts, listing
from tools.fleet.console.accounts import Account
from tools.fleet.console.answers import Refused
from tools.fleet.console.guard import operator_of, visit_of
from tools.fleet.console.pages import link, render, utc
from tools.fleet.console.place import place_of
from tools.fleet.console.recent import Recent
from tools.fleet.controller import lease
from tools.fleet.store import Store

SIZE = 50
LENGTHS = {3600: "1 hour", 8 * 3600: "8 hours", 86_400: "1 day", 7 * 86_400: "1 week",
           30 * 86_400: "30 days"}  # fmt: skip
"""Seconds that an alert is silenced for, as they are offered."""
_WEEK = 7 * 86_400


def filters(query: object) -> alerts.Filters:
    """Of an address. Raises `ToolError` for a kind or severity that there is not."""
    get = query.get  # type: ignore[attr-defined]
    kind, severity = get("kind", "")[:64], get("severity", "")[:64]
    return alerts.Filters(
        device=get("device", "")[:64],
        kinds=[kind] if kind else (),
        severities=[severity] if severity else (),
        group=get("group", "")[:64],
        tag=get("tag", "")[:64],
        version=get("version", "")[:64],
    )


def look(
    store: Store, wanted: alerts.Filters, page: int, now: int, *, past: bool = False
) -> alerts.Page:
    """A page of alerts. `past`: those of the last week, ended or not. Raises `ToolError`."""
    offset = (page - 1) * SIZE
    if past:
        return alerts.history(store, now, wanted, now - _WEEK, None, SIZE, offset)
    return alerts.current(store, now, wanted, SIZE, offset)


def page(request: Request, store: Store) -> Response:
    """GET /alerts"""
    query = request.query_params
    number = listing.whole(query.get("page", "1"), 1, 100_000, 1)
    past = query.get("past", "") == "1"
    wanted = filters(query)
    found, recent = look(store, wanted, number, int(time.time()), past=past), _recent(request)
    return render(
        request, "alerts.html", wanted=wanted, found=found, past=past, page=number,
        pages=max(1, -(-found.total // SIZE)), counts=alerts.counts(store),
        kinds=[each.name for each in alerts.KINDS], severities=alerts.SEVERITIES,
        choices=recent.get("choices", lambda: listing.choices(store)),
        states=recent.get("states", lambda: listing.states(store)),
        watched=lease.holder(store, "alerts"), lengths=LENGTHS,
        kind=next(iter(wanted.kinds), ""), severity=next(iter(wanted.severities), ""),
    )  # fmt: skip


def _recent(request: Request) -> Recent:
    return place_of(request).recent


def see_to(store: Store, account: Account, given: str, now: int) -> alerts.Alert:
    """The user sees to it. Raises `Refused`, `ToolError`."""
    with store.transaction():
        done = alerts.acknowledge(store, _number(given), account.name, now)
        acts.note(store, account, "acknowledged", _named(done), now)
    return done


def keep_quiet(store: Store, account: Account, given: str, seconds: int, now: int) -> alerts.Alert:
    """No webhook hears of it for so long; 0: they do again. Raises `Refused`, `ToolError`."""
    with store.transaction():
        done = alerts.silence(store, _number(given), seconds, now)
        if done.silenced_until is None:
            acts.note(store, account, "ended the silence of", _named(done), now)
        else:
            until = f"{_named(done)} until {utc(done.silenced_until)}"
            acts.note(store, account, "silenced", until, now)
    return done


def _number(given: str) -> int:
    number = listing.whole(given, 0, 2**31, -1)
    if number < 0:
        raise Refused(404, "There is no such alert.")
    return number


def _named(alert: alerts.Alert) -> str:
    return f"{alert.kind} of {alert.device or 'the fleet'}"


def acknowledge(request: Request, store: Store) -> Response:
    """POST /alerts/{alert}"""
    see_to(store, operator_of(request.scope), request.path_params["alert"], int(time.time()))
    return RedirectResponse(link("/alerts"), 303)


def silence(request: Request, store: Store) -> Response:
    """POST /alerts/{alert}/silence"""
    length = listing.whole(visit_of(request.scope).form.get("length", ""), 0, 2**31, -1)
    if length < 0:
        raise Refused(400, "Say for how many seconds; 0 ends a silence.")
    account = operator_of(request.scope)
    keep_quiet(store, account, request.path_params["alert"], length, int(time.time()))
    return RedirectResponse(link("/alerts"), 303)
