"""The API: every operation with what it takes and gives; routes and description come from here."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tools.fleet.alerts.webhooks import manage
from tools.fleet.console import (
    comparing,
    hook_models,
    listing,
    models,
    one,
    proving,
    telling,
    updating,
    watching,
    windows,
    wishing,
)
from tools.fleet.console.accounts import Account
from tools.fleet.console.answers import Refused
from tools.fleet.console.guard import operator_of, visit_of
from tools.fleet.console.place import Endpoint, Place, place_of
from tools.fleet.store import Store

ROOT = "/api/v1"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read."""

    request: Request
    store: Store
    query: Any
    """Of the operation's model."""
    body: Any
    now: int

    @property
    def url(self) -> str:
        return place_of(self.request).pool.url

    @property
    def operator(self) -> Account:
        return operator_of(self.request.scope)

    @property
    def webhook(self) -> tuple[Store, Place, Account, str, int]:
        """Whose webhook it is about."""
        return self.store, place_of(self.request), self.operator, self.path("webhook"), self.now

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked for, or done."""

    method: str
    path: str
    about: str
    run: Callable[[Call], Any]
    answer: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None


def endpoint(operation: Operation) -> Endpoint:
    """Its route's."""

    def answer(request: Request, store: Store) -> Response:
        query = _read(operation.query, dict(request.query_params))
        body = None
        if operation.body is not None:
            body = _read(operation.body, _parsed(visit_of(request.scope).body))
        found = operation.run(Call(request, store, query, body, int(time.time())))
        made = operation.answer.model_validate(found)
        return JSONResponse(made.model_dump(mode="json"))

    return answer


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is no JSON.") from None


def _read(model: type[BaseModel] | None, given: Any) -> Any:
    if model is None:
        return None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, each['loc']))[:64]}: {each['msg']}" for each in error.errors()[:5]
        )
        raise Refused(422, said) from None


def _devices(call: Call) -> Any:
    found = listing.find(call.store, listing.Wanted(**call.query.model_dump()))
    return {"total": found.total, "pages": found.pages, "devices": found.rows}


def _device(call: Call) -> Any:
    found = one.facts(call.store, call.path("device"))
    row = found.pop("row")
    found.pop("meta")
    known = models.DeviceFacts.model_fields.keys() - found.keys()
    return {**found, **{name: row[name] for name in known}}


def _windows(call: Call) -> Any:
    device = one.device(call.store, call.path("device"))["device"]
    return windows.series(call.store, call.url, device, call.query.figure, call.query.slot)


def _alerts(call: Call) -> Any:
    given = {name: str(value) for name, value in call.query.model_dump().items()}
    found = watching.look(
        call.store, watching.filters(given), call.query.page, call.now, past=call.query.past
    )
    return {"total": found.total, "alerts": [_only(models.AlertRow, e) for e in found.alerts]}


def _only(model: type[BaseModel], found: Any) -> Any:
    return {name: getattr(found, name) for name in model.model_fields}


def _see_to(call: Call) -> Any:
    return _only(models.AlertRow, watching.see_to(call.store, call.operator, call.path("alert"),
                                                  call.now))  # fmt: skip


def _silence(call: Call) -> Any:
    done = watching.keep_quiet(
        call.store, call.operator, call.path("alert"), call.body.seconds, call.now
    )
    return _only(models.AlertRow, done)


def _compare(call: Call) -> Any:
    query = call.query
    asked = comparing.Asked(query.rate, f"{query.first}", f"{query.second}", query.since,
                            query.until, query.group, query.device, query.within)  # fmt: skip
    found = comparing.answer(call.store, call.url, asked)
    said = {name: getattr(found, name) for name in ("sentence", "told", "p", "days", "left_out")}
    return {**said, "lines": comparing.lines(found)}


def _settings(call: Call) -> Any:
    found, counts = wishing.answers(call.store, call.query.device, call.query.group)
    return {"counts": counts, "devices": found}


def _wish(call: Call) -> Any:
    wish, account = call.body, call.operator
    value = "" if wish.value is None else json.dumps(wish.value)
    said = wishing.set_one(call.store, account, wish.path, value, wish.device, wish.group, call.now)
    return {"path": wish.path, "value": wish.value, "devices": said.get("devices", []),
            "group": wish.group}  # fmt: skip


def _rollouts(call: Call) -> Any:
    return {"rollouts": updating.listed(call.store, call.now)}


def _rollout(call: Call) -> Any:
    return updating.state(call.store, call.path("rollout"), call.now)


def _begin(call: Call) -> Any:
    given = call.body.model_dump()
    return updating.begin(call.request, call.store, call.operator, given, call.now)


def _move(call: Call) -> Any:
    name = call.path("rollout")
    status = updating.move(call.store, call.operator, name, call.path("act"), call.now)
    return {"rollout": name, "status": status}


def _receipts(call: Call) -> Any:
    found = proving.stored(call.store, call.path("device")[:64])
    problems, notes = proving.told(found, found.examined)
    return {
        "device": found.device, "verdict": found.verdict, "summaries": found.summaries,
        "problems": problems, "notes": notes,
        "receipts": proving.rows(found.examined) if found.examined else [],
    }  # fmt: skip


def _webhooks(call: Call) -> Any:
    return {"webhooks": manage.listed(call.store)}


def _new_webhook(call: Call) -> Any:
    place, asked = place_of(call.request), call.body
    return telling.begin(
        call.store, place, call.operator, asked.url, asked.kinds, asked.severity, call.now
    )


def _deliveries(call: Call) -> Any:
    name = telling.exact(call.store, call.path("webhook"))["webhook"]
    found = manage.deliveries(call.store, name, dead=call.query.dead, limit=call.query.limit)
    return {"deliveries": found}


def _test(call: Call) -> Any:
    delivery, outcome = telling.attempt(*call.webhook)
    return {"delivery": delivery, "state": outcome.state, "said": outcome.said}


def _rotate(call: Call) -> Any:
    return telling.turn(*call.webhook)


def _finish(call: Call) -> Any:
    telling.finish(*call.webhook)
    return {"webhook": call.path("webhook")}


def _remove(call: Call) -> Any:
    telling.remove(*call.webhook)
    return {"webhook": call.path("webhook")}


OPERATIONS = (
    Operation("GET", "/devices", "Devices, a page of them.", _devices, models.Devices,
              models.DevicesQuery),
    Operation("GET", "/devices/{device}", "All that is known of one.", _device,
              models.DeviceFacts),
    Operation("GET", "/devices/{device}/windows", "A figure, window by window, with intervals.",
              _windows, models.Windows, models.WindowsQuery),
    Operation("GET", "/alerts", "What is wrong, the most urgent first.", _alerts, models.Alerts,
              models.AlertsQuery),
    Operation("POST", "/alerts/{alert}/acknowledge", "Say that you see to it.", _see_to,
              models.AlertRow),
    Operation("POST", "/alerts/{alert}/silence", "Tell no webhook of it for a while.", _silence,
              models.AlertRow, body=models.Silence),
    Operation("GET", "/compare", "Two contents compared, with intervals.", _compare,
              models.Compared, models.CompareQuery),
    Operation("GET", "/settings", "Who has what was wished, and who refused.", _settings,
              models.Answers, models.SettingsQuery),
    Operation("POST", "/settings", "Wish a setting for a device or a group.", _wish,
              models.Wished, body=models.Wish),
    Operation("GET", "/rollouts", "The newest fifty.", _rollouts, models.Rollouts),
    Operation("POST", "/rollouts", "Start one.", _begin, models.Begun, body=models.NewRollout),
    Operation("GET", "/rollouts/{rollout}", "How far it is.", _rollout, models.RolloutState),
    Operation("POST", "/rollouts/{rollout}/{act}", "pause, resume or abort.", _move,
              models.Moved),
    Operation("GET", "/receipts/{device}", "A device's receipts against what is stored.",
              _receipts, models.Receipts),
    Operation("GET", "/webhooks", "Who is told of alerts. All of webhooks is for operators.",
              _webhooks, hook_models.Webhooks),
    Operation("POST", "/webhooks", "Add one; answers with its secret, this once.", _new_webhook,
              hook_models.WebhookSecret, body=hook_models.NewWebhook),
    Operation("GET", "/webhooks/{webhook}/deliveries", "What was sent, waits, was given up.",
              _deliveries, hook_models.Deliveries, hook_models.DeliveriesQuery),
    Operation("POST", "/webhooks/{webhook}/test", "Send it a message now.", _test,
              hook_models.WebhookTest),
    Operation("POST", "/webhooks/{webhook}/rotate", "A new secret, this once; the old one signs, "
              "too.", _rotate, hook_models.WebhookSecret),
    Operation("POST", "/webhooks/{webhook}/finish", "The old secret signs no longer.", _finish,
              hook_models.WebhookName),
    Operation("POST", "/webhooks/{webhook}/remove", "And what waits for it.", _remove,
              hook_models.WebhookName),
)  # fmt: skip
