"""Two contents compared: what was asked, the answer as tables, and as CSV."""

from __future__ import annotations

import csv
import io
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from agent.desk.read.rates import RATES
from tools.common.errors import ToolError
from tools.fleet.console import listing, windows
from tools.fleet.console.answers import Refused
from tools.fleet.console.pages import render
from tools.fleet.console.place import place_of
from tools.fleet.content import catalogue
from tools.fleet.controller import rollouts
from tools.fleet.store import Store

if TYPE_CHECKING:
    from agent.desk.read import Difference, Interval

Within = Literal["device,hour", "device", ""]
WITHIN: dict[Within, str] = {
    "device,hour": "device and hour of day",
    "device": "device; contents took turns",
    "": "nothing; as if all were alike",
}
"""What windows must share to be compared."""
HEADER = ("what", "question", "value", "low", "high", "level", "windows", "visits")
_QUESTIONS = {
    "visitors": "what these visitors did",
    "population": "what is to be expected of visitors like these",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A number with its interval. None: not known, or without bound."""

    what: str
    question: str
    value: float | None
    low: float | None
    high: float | None
    level: float
    windows: int | None = None
    visits: float | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for."""

    rate: str
    first: str
    second: str
    since: str
    until: str
    group: str
    device: str
    within: Within

    @property
    def complete(self) -> bool:
        return bool(self.rate and self.first and self.second)


def asked(query: Any) -> Asked:
    def get(name: str) -> str:
        return str(query.get(name, ""))[:64]

    given = get("within") if "within" in query else "device,hour"
    within: Within = next((each for each in WITHIN if each == given), "device,hour")
    return Asked(
        get("rate") or "attention", get("first"), get("second"), get("from"), get("to"),
        get("group"), get("device"), within,
    )  # fmt: skip


def answer(store: Store, url: str, wanted: Asked) -> Difference:
    """Raises `Refused`, `ToolError`."""
    slots = [listing.whole(each, 0, 255, -1) for each in (wanted.first, wanted.second)]
    if -1 in slots:
        raise Refused(400, "A slot is a number from 0 to 255.")
    devices: list[str] = []
    if wanted.group:
        devices = rollouts.in_group(store, wanted.group)
    if wanted.device:
        devices = [wanted.device] if not wanted.group or wanted.device in devices else []
    if (wanted.group or wanted.device) and not devices:
        raise Refused(400, "No device is chosen by this.")
    return windows.compare(
        store, url, wanted.rate, slots[0], slots[1], windows.day(wanted.since),
        windows.day(wanted.until, end=True), devices,
        tuple(filter(None, wanted.within.split(","))),
    )  # fmt: skip


def lines(found: Difference) -> list[Line]:
    """Both contents, then the difference."""
    made = []
    for name, measured in zip((found.first, found.second), found.rates, strict=True):
        for key, interval in (("visitors", measured.visitors), ("population", measured.population)):
            made.append(_line(name, key, interval, measured.windows, round(measured.visits)))
    for key, interval in (("visitors", found.visitors), ("population", found.population)):
        made.append(_line(f"{found.first} less {found.second}", key, interval))
    return made


def _line(what: str, key: str, found: Interval, *more: Any) -> Line:
    low, value, high = (
        each if math.isfinite(each) else None for each in (found.low, found.value, found.high)
    )
    return Line(what, _QUESTIONS[key], value, low, high, found.level, *more)


def page(request: Request, store: Store) -> Response:
    """GET /compare"""
    wanted = asked(request.query_params)
    found, said, status = None, "", 200
    if wanted.complete:
        try:
            found = answer(store, place_of(request).pool.url, wanted)
        except (Refused, ToolError) as error:
            said, status = str(error), 400
    return render(
        request, "compare.html", status, wanted=wanted, found=found, said=said, rates=RATES,
        withins=WITHIN,
        lines=lines(found) if found else [], slots=windows.slots_in_use(store),
        names=catalogue.names(store, int(time.time())),
        choices=listing.choices(store),
    )  # fmt: skip


def as_csv(request: Request, store: Store) -> Response:
    """GET /compare.csv"""
    found = answer(store, place_of(request).pool.url, asked(request.query_params))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow((*HEADER, "rate", "p"))
    for each in lines(found):
        row = [getattr(each, name) for name in HEADER]
        writer.writerow([*("" if value is None else value for value in row), found.rate.name,
                         f"{found.p:.4g}"])  # fmt: skip
    return Response(
        text.getvalue(), media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="comparison.csv"'},
    )  # fmt: skip
