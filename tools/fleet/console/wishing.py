"""Settings: what devices are wished to have, who has it, who refused and why."""

from __future__ import annotations

import json
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from agent.base.config import remote_fields
from tools.common.errors import ToolError
from tools.fleet.console import acts, listing
from tools.fleet.console.accounts import Account
from tools.fleet.console.answers import Refused
from tools.fleet.console.guard import operator_of, visit_of
from tools.fleet.console.pages import link, render
from tools.fleet.controller import rollouts, wishes
from tools.fleet.operate import change, look
from tools.fleet.store import Row, Store

MOST = 200
"""Devices shown; those that refused come first."""
REASONS = {
    "unknown_key": "it knows no such setting; its version is older",
    "not_remote": "this is decided on site",
    "wrong_value": "the value is none for this setting",
    "weaker_than_policy": "its policy does not permit it",
    "weaker_than_site": "the site's own file is stricter, and wins",
    "version_jump": "the wish's number is too far ahead",
}
"""What a device's reason of a refusal means."""
STATES = ("refused", "waiting", "in force", "nothing wished")


def described() -> dict[str, str]:
    """What each setting that a fleet may change means."""
    return {path: info.description or "" for path, info in remote_fields().items()}


def set_one(
    store: Store, account: Account, path: str, value: str, device: str, group: str, now: int
) -> dict[str, Any]:
    """As `fleeting-fleet config set` does. Raises `ToolError`."""
    key, parsed = wishes.parse_assignment(f"{path}={value}")
    if bool(device) == bool(group):
        raise ToolError("Choose a group or a device, one of them.")
    if device:
        look.device(store, device)
    with store.transaction():
        said = change.wish(store, {key: parsed}, now, devices=[device] * bool(device), group=group)
        whom = f"device {device}" if device else f"group {group}"
        acts.note(store, account, "set", f"{key} = {json.dumps(parsed)} for {whom}", now)
    return said


def answers(store: Store, device: str, group: str) -> tuple[list[Row], dict[str, int]]:
    """What devices made of their wishes, those that refused first; and how many of each state."""
    names = [device] if device else rollouts.in_group(store, group) if group else None
    select = (
        "SELECT d.device, d.reported, d.reported_version, s.status, w.version, w.config"
        " FROM devices d JOIN device_status s ON s.device = d.device"
        " LEFT JOIN desired w ON w.device = d.device"
    )
    if names is None:
        rows = store.execute(f"{select} WHERE w.version IS NOT NULL")
    else:
        part, value = store.among("d.device", names)
        rows = store.execute(f"{select} WHERE {part}", (value,))
    found = [_answer(row) for row in rows]
    found.sort(key=lambda each: (STATES.index(each["state"]), each["device"]))
    counts = dict.fromkeys(STATES, 0)
    for each in found:
        counts[each["state"]] += 1
    return found[:MOST], counts


def _answer(row: Row) -> Row:
    reported = wishes.parse_reported(row["reported"])
    wished = wishes.from_text(row["config"]) if row["config"] else {}
    refused = {each.path: each.reason for each in reported.rejected} if reported else {}
    if refused and (not wished or "other" in refused or set(refused) & set(wished)):
        state = "refused"
    elif not wished:
        state = "nothing wished"
    elif (
        reported is None
        or wishes.contradicts(wished, reported)
        or (reported.version != row["version"])
    ):
        state = "waiting"
    else:
        state = "in force"
    return {
        "device": row["device"], "status": row["status"], "state": state, "wished": wished,
        "version": row["version"], "reported_version": row["reported_version"],
        "refused": refused, "why": {path: REASONS.get(why, why) for path, why in refused.items()},
    }  # fmt: skip


def page(request: Request, store: Store) -> Response:
    """GET /settings"""
    query = request.query_params
    return _page(request, store, query.get("device", "")[:64], query.get("group", "")[:64])


def _page(
    request: Request, store: Store, device: str, group: str, said: str = "", status: int = 200,
    path: str = "", value: str = "",
) -> Response:  # fmt: skip
    found, counts = answers(store, device, group)
    groups = store.execute("SELECT name, version, config, changed_at FROM group_desired"
                           " ORDER BY name")  # fmt: skip
    for each in groups:
        each["config"] = wishes.from_text(each["config"])
    return render(
        request, "settings.html", status, device=device, group=group, said=said, path=path,
        value=value, settings=described(), found=found, counts=counts, groups=groups, most=MOST,
        saved=sorted(rollouts.saved_groups(store)), choices=listing.choices(store),
    )  # fmt: skip


def save(request: Request, store: Store) -> Response:
    """POST /settings"""
    visit, account = visit_of(request.scope), operator_of(request.scope)
    path, value, device, group = (
        visit.form.get(name, "").strip()[:64] for name in ("path", "value", "device", "group")
    )
    try:
        set_one(store, account, path, value, device, group, int(time.time()))
    except (ToolError, Refused) as error:
        return _page(request, store, device, group, str(error), 400, path, value)
    return RedirectResponse(link("/settings", device=device, group=group), 303)
