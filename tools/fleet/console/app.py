"""The console as an ASGI application: routes, and the pages behind them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from tools.common.errors import ToolError
from tools.fleet.console import (
    acts,
    comparing,
    entrance,
    listing,
    one,
    proving,
    updating,
    watching,
    wishing,
)
from tools.fleet.console.answers import Refused, refuse
from tools.fleet.console.guard import Guard, Reach
from tools.fleet.console.pages import render
from tools.fleet.console.place import Endpoint, Place, place_of
from tools.fleet.store import Store, StoreUnavailable

log = logging.getLogger(__name__)


def build(place: Place, reach: Reach) -> ASGIApp:
    """The whole console on a database whose layout is up to date."""
    static = StaticFiles(directory=str(files(__package__).joinpath("static")))
    routes = [
        *(Route(path, endpoint(run), methods=[method]) for method, path, run in PAGES),
        Mount("/static", static),
    ]
    inner = Starlette(
        routes=routes,
        exception_handlers={
            Refused: _refused, ToolError: _refused, HTTPException: _refused, Exception: _failed,
        },
    )  # fmt: skip
    inner.router.redirect_slashes = False
    inner.state.place = place
    return Guard(inner, place.pool, reach)


def endpoint(run: Endpoint) -> Callable[[Request], Any]:
    """Runs it in a thread with a connection to the database."""

    def work(request: Request) -> Response:
        with place_of(request).pool.store() as store:
            return run(request, store)

    async def answer(request: Request) -> Response:
        return await anyio.to_thread.run_sync(work, request)

    return answer


def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        said = "There is no such page." if error.status_code == 404 else error.detail
        error = Refused(error.status_code, said)
    elif isinstance(error, StoreUnavailable):
        error = Refused(503, str(error))
    elif not isinstance(error, Refused):
        error = Refused(400, str(error))
    return refuse(error, request.scope)


def _failed(request: Request, error: Exception) -> Response:
    log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
    return refuse(Refused(500, "This could not be shown; the console's log says why."),
                  request.scope)  # fmt: skip


def home(request: Request, store: Store) -> Response:
    raise Refused(303, "", {"location": "/alerts"})


def devices(request: Request, store: Store) -> Response:
    wanted = listing.read(request.query_params)
    return render(
        request, "devices.html", wanted=wanted, found=listing.find(store, wanted),
        choices=listing.choices(store), states=listing.states(store),
    )  # fmt: skip


def device(request: Request, store: Store) -> Response:
    return render(request, "device.html", **one.facts(store, request.path_params["device"]))


def log_page(request: Request, store: Store) -> Response:
    return render(request, "log.html", rows=acts.newest(store))


PAGES: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/", home),
    ("GET", "/login", entrance.form),
    ("POST", "/login", entrance.sign_in),
    ("POST", "/logout", entrance.sign_out),
    ("GET", "/devices", devices),
    ("GET", "/devices/{device}", device),
    ("GET", "/alerts", watching.page),
    ("POST", "/alerts/{alert}", watching.acknowledge),
    ("GET", "/compare", comparing.page),
    ("GET", "/compare.csv", comparing.as_csv),
    ("GET", "/settings", wishing.page),
    ("POST", "/settings", wishing.save),
    ("GET", "/rollouts", updating.page),
    ("POST", "/rollouts", updating.start),
    ("GET", "/rollouts/{rollout}", updating.one),
    ("POST", "/rollouts/{rollout}/{act}", updating.act),
    ("GET", "/receipts", proving.page),
    ("POST", "/receipts", proving.verify),
    ("GET", "/log", log_page),
)
