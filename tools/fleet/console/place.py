"""What the pages of one console share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from tools.fleet.console.pool import Pool
from tools.fleet.console.recent import Recent
from tools.fleet.console.throttle import Throttle
from tools.fleet.store import Store


@dataclass(slots=True)
class Place:
    """One console."""

    folder: Path
    """The fleet's."""
    pool: Pool
    throttle: Throttle = field(default_factory=Throttle)
    recent: Recent = field(default_factory=Recent)
    streams: int = 0
    """That are open."""
    testing: threading.Lock = field(default_factory=threading.Lock)
    """Held while a webhook is tried, which may take its time: one after the other."""


Endpoint = Callable[[Request, Store], Response]
"""A page: a request and a connection to the database to its answer. Runs in a thread."""


def place_of(request: Request) -> Place:
    """Of a request."""
    found = request.app.state.place
    assert isinstance(found, Place)
    return found
