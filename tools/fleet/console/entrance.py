"""Signing in and out."""

from __future__ import annotations

import re
import time

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tools.fleet.console import accounts, acts, sessions
from tools.fleet.console.answers import Refused
from tools.fleet.console.guard import Reach, visit_of
from tools.fleet.console.pages import render
from tools.fleet.console.place import place_of
from tools.fleet.store import Store

HOME = "/"
_TARGET = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,1000}")
"""A path of this console: no `//host`, no backslash, no control characters."""


def form(request: Request, store: Store) -> Response:
    """GET /login"""
    visit = visit_of(request.scope)
    if visit.account is not None:
        return RedirectResponse(target(request.query_params.get("next", "")), 303)
    fresh = not visit.stranger
    if fresh:
        visit.stranger = sessions.new_id()
    made = render(
        request, "login.html", next=target(request.query_params.get("next", "")), said="", name=""
    )
    if fresh:
        reach = reach_of(request)
        _set(made, reach, reach.form_cookie, visit.stranger)
    return made


def sign_in(request: Request, store: Store) -> Response:
    """POST /login"""
    visit, throttle, reach = visit_of(request.scope), place_of(request).throttle, reach_of(request)
    name, password = visit.form.get("name", "")[:64], visit.form.get("password", "")
    after = target(visit.form.get("next", ""))
    wait = throttle.wait(name, visit.address)
    if wait > 0:
        said = f"Too many attempts. Try again in {_pause(wait)}."
        answer = render(request, "login.html", 429, next=after, said=said, name=name)
        answer.headers["retry-after"] = str(int(wait) + 1)
        return answer
    throttle.begun(name, visit.address)
    account = accounts.check(store, name, password)
    if account is None:
        said = "Name and password do not belong together."
        return render(request, "login.html", 403, next=after, said=said, name=name)
    throttle.succeeded(name, visit.address)
    if visit.session:
        sessions.end(store, visit.session)
    now = int(time.time())
    session = sessions.begin(store, account, now)
    acts.note(store, account, "signed in", f"from {visit.address}", now)
    inside = RedirectResponse(after, 303)
    _set(inside, reach, reach.cookie, session)
    inside.delete_cookie(reach.form_cookie, path="/", secure=reach.secure, samesite="strict")
    return inside


def sign_out(request: Request, store: Store) -> Response:
    """POST /logout"""
    visit, reach = visit_of(request.scope), reach_of(request)
    if visit.account is None:
        raise Refused(401, "Nobody is signed in.")
    sessions.end(store, visit.session)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(reach.cookie, path="/", secure=reach.secure, samesite="strict")
    answer.headers["clear-site-data"] = '"cache", "storage"'
    return answer


def target(text: str) -> str:
    """Where to go after signing in: a path of this console, else its first page."""
    return text if _TARGET.fullmatch(text) else HOME


def reach_of(request: Request) -> Reach:
    found = request.scope["reach"]
    assert isinstance(found, Reach)
    return found


def _set(answer: Response, reach: Reach, name: str, value: str) -> None:
    answer.set_cookie(name, value, path="/", secure=reach.secure, httponly=True, samesite="strict")


def _pause(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds > 90 else f"{seconds:.0f} seconds"
