"""Templates, and what they may call. Everything that is put into one is escaped."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from tools.fleet.console.guard import FOR_OPERATORS, visit_of
from tools.fleet.operate.output import ago

PLACES = (
    ("/alerts", "Alerts"),
    ("/devices", "Devices"),
    ("/compare", "Compare"),
    ("/settings", "Settings"),
    ("/rollouts", "Roll-outs"),
    ("/receipts", "Receipts"),
    ("/webhooks", "Webhooks"),
    ("/log", "Log"),
)
"""The pages of the menu."""
_LONG = 200


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page."""
    visit = visit_of(request.scope)
    places = [each for each in PLACES if visit.operates or each[0] not in FOR_OPERATORS]
    made = environment().get_template(template).render(
        visit=visit, here=request.url.path, places=places, now=time.time(), **values
    )  # fmt: skip
    return HTMLResponse(made, status)


@cache
def environment() -> Environment:
    """Of all templates."""
    made = Environment(
        loader=PackageLoader("tools.fleet.console"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    made.filters |= {"ago": ago, "cut": cut, "utc": utc, "said": said, "number": number,
                     "percent": percent, "pairs": pairs}  # fmt: skip
    made.globals["link"] = link
    return made


def cut(value: object, most: int = _LONG) -> str:
    """No longer than that."""
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def said(value: object) -> str:
    """A cell; `-` where there is nothing."""
    return "-" if value is None or value == "" else cut(value)


def utc(seconds: float | None) -> str:
    """`2026-11-28 12:00`, or `-`."""
    if seconds is None:
        return "-"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "-"


def number(value: float | None, digits: int = 0) -> str:
    """`1,234`, or `-`."""
    return "-" if value is None else f"{round(value, digits) + 0.0:,.{digits}f}"  # no -0


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def pairs(values: dict[str, Any]) -> str:
    """`privacy.k = 5, micro.enabled = true`."""
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) or "-"


def link(path: str, **query: Any) -> str:
    """A path with those parameters that say something."""
    given = {
        key: value
        for key, value in query.items()
        if value not in (None, "", False) or key == "within"
    }
    return f"{path}?{urlencode(given)}" if given else path
