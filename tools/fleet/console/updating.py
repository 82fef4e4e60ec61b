"""Roll-outs: started, watched, paused, ended."""

from __future__ import annotations

import argparse
import time

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tools.common.errors import ToolError
from tools.fleet.console import acts, listing
from tools.fleet.console.accounts import Account
from tools.fleet.console.answers import Refused
from tools.fleet.console.guard import operator_of, visit_of
from tools.fleet.console.pages import render
from tools.fleet.console.place import place_of
from tools.fleet.controller.decide import ENDED
from tools.fleet.operate import look, rollout, watch
from tools.fleet.operate.rollout import Begun
from tools.fleet.store import Row, Store

ACTS = ("pause", "resume", "abort")
WAVES = "1%,10%,50%,100%"
_FIELDS = ("kind", "version", "waves", "select", "group", "tag", "device", "succeeded", "abort")
MOST = 200
"""Jobs shown; those that went wrong come first."""
_ORDER = (
    "CASE status WHEN 'FAILED' THEN 0 WHEN 'REJECTED' THEN 1 WHEN 'TIMED_OUT' THEN 2"
    " WHEN 'IN_PROGRESS' THEN 3 WHEN 'QUEUED' THEN 4 ELSE 5 END"
)


def listed(store: Store, now: int) -> list[Row]:
    """The newest fifty."""
    rows = store.execute("SELECT * FROM rollouts ORDER BY created_at DESC LIMIT 50")
    return [look.summary(store, row, now) for row in rows]


def exact(store: Store, name: str) -> Row:
    """By its whole id. Raises `Refused`."""
    rows = store.execute("SELECT * FROM rollouts WHERE rollout = ?", (name[:64],))
    if not rows:
        raise Refused(404, "There is no such roll-out.")
    return rows[0]


def state(store: Store, name: str, now: int) -> Row:
    """How far it is, wave by wave; of one whose plan cannot be read, what can be told. Raises
    `Refused`."""
    row = exact(store, name)
    try:
        return watch.state(store, name, now)
    except ToolError:
        return look.summary(store, row, now) | {"already": 0, "devices": 0, "by_wave": []}


def begin(
    request: Request, store: Store, account: Account, given: dict[str, str], now: int
) -> Begun:
    """As `fleeting-fleet rollout start`. Raises `ToolError`."""
    gates = [f"succeeded={given['succeeded']}"] if given["succeeded"] else []
    plan = rollout.plan(
        argparse.Namespace(
            kind=given["kind"], version=given["version"], waves=given["waves"] or WAVES,
            select=given["select"], group=given["group"], tag=given["tag"],
            device=given["device"].split(), gate=gates, abort=given["abort"].split(),
            timeout=7200, away=600, continuous=False,
        )
    )  # fmt: skip
    with store.transaction():
        made = rollout.begin(store, place_of(request).folder, plan, now)
        acts.note(store, account, "started", f"roll-out {made.rollout}: {plan.kind} "
                  f"{plan.version} for {plan.selection}", now)  # fmt: skip
    return made


def move(store: Store, account: Account, name: str, act: str, now: int) -> str:
    """Its new status. Raises `Refused`, `ToolError`."""
    if act not in ACTS:
        raise Refused(404, "That cannot be done with a roll-out.")
    exact(store, name)
    with store.transaction():
        _, status = rollout.move(store, name, act, now)
        acts.note(store, account, act, f"roll-out {name}", now)
    return status


def page(request: Request, store: Store) -> Response:
    """GET /rollouts"""
    return _page(request, store, dict.fromkeys(_FIELDS, "") | {"kind": "app", "waves": WAVES})


def _page(
    request: Request, store: Store, given: dict[str, str], said: str = "", status: int = 200
) -> Response:
    return render(
        request, "rollouts.html", status, rows=listed(store, int(time.time())), given=given,
        said=said, choices=listing.choices(store),
    )  # fmt: skip


def start(request: Request, store: Store) -> Response:
    """POST /rollouts"""
    visit, account = visit_of(request.scope), operator_of(request.scope)
    given = {name: visit.form.get(name, "").strip()[:1000] for name in _FIELDS}
    try:
        made = begin(request, store, account, given, int(time.time()))
    except ToolError as error:
        return _page(request, store, given, str(error), 400)
    return RedirectResponse(f"/rollouts/{made.rollout}", 303)


def one(request: Request, store: Store) -> Response:
    """GET /rollouts/{rollout}"""
    name = request.path_params["rollout"]
    found = state(store, name, int(time.time()))
    jobs = store.execute(
        "SELECT job, device, status, step, reason, wave, created_at, ended_at FROM jobs"
        f" WHERE rollout = ? ORDER BY {_ORDER}, device LIMIT ?",
        (name, MOST),
    )
    return render(request, "rollout.html", found=found, jobs=jobs, ended=found["status"] in ENDED,
                  most=MOST)  # fmt: skip


def act(request: Request, store: Store) -> Response:
    """POST /rollouts/{rollout}/{act}"""
    account, name = operator_of(request.scope), request.path_params["rollout"]
    move(store, account, name, request.path_params["act"], int(time.time()))
    return RedirectResponse(f"/rollouts/{name}", 303)
