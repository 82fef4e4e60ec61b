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
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from agent.base.errors import AgentError
from tools.fleet.console import (
    acts,
    api,
    comparing,
    entrance,
    listing,
    one,
    openapi,
    proving,
    stream,
    telling,
    updating,
    watching,
    windows,
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
        Route(f"{api.ROOT}/openapi.json", _description),
        Route(f"{api.ROOT}/feed", stream.feed),
        Route(f"{api.ROOT}/rollouts/{{rollout}}/events", stream.rollout),
        *(
            Route(f"{api.ROOT}{each.path}", endpoint(api.endpoint(each)), methods=[each.method])
            for each in api.OPERATIONS
        ),
        Mount("/static", static),
    ]
    inner = Starlette(
        routes=routes,
        exception_handlers={
            Refused: _refused, AgentError: _refused, HTTPException: _refused, Exception: _failed,
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


async def _description(request: Request) -> Response:
    return JSONResponse(openapi.document())


def home(request: Request, store: Store) -> Response:
    raise Refused(303, "", {"location": "/alerts"})


def devices(request: Request, store: Store) -> Response:
    wanted, recent = listing.read(request.query_params), place_of(request).recent
    return render(
        request, "devices.html", wanted=wanted, found=listing.find(store, wanted),
        choices=recent.get("choices", lambda: listing.choices(store)),
        states=recent.get("states", lambda: listing.states(store)),
    )  # fmt: skip


def device(request: Request, store: Store) -> Response:
    found = one.facts(store, request.path_params["device"])
    name, query = found["row"]["device"], request.query_params
    slot = listing.whole(query.get("slot", ""), 0, 255, -1)
    figure = query.get("figure", "")[:64] or "visits"
    url = place_of(request).pool.url
    shown = windows.series(store, url, name, figure, None if slot < 0 else slot)
    return render(request, "device.html", windows=shown, **found)


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
    ("POST", "/alerts/{alert}/silence", watching.silence),
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
    ("GET", "/webhooks", telling.page),
    ("POST", "/webhooks", telling.add),
    ("GET", "/webhooks/{webhook}", telling.one),
    ("POST", "/webhooks/{webhook}/{act}", telling.act),
    ("GET", "/log", log_page),
)
