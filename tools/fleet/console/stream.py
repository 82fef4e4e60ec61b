"""Server-sent events: summaries as they were released, and how a roll-out goes.

The database is asked every second or two. A stream ends when whoever reads it may no longer; a
browser tries again by itself, and is sent away then.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tools.fleet.console import listing, updating
from tools.fleet.console.answers import Refused
from tools.fleet.console.guard import Visit, visit_of
from tools.fleet.console.place import Place, place_of
from tools.fleet.controller import rollouts
from tools.fleet.controller.decide import ENDED
from tools.fleet.store import Store, StoreUnavailable

MOST = 64
"""Streams at once."""
OVERLAP = 60
"""Seconds: a summary that came so much earlier than others may be committed after them."""
BATCH = 1000
_CHECK = 15.0
"""Seconds between two looks whether the reader still may; and between signs of life."""
Events = list[tuple[str, str, Any]]
"""Id (empty: none), name, and what is said as JSON."""


def answer(request: Request, every: float, look: Callable[[Store], Events | None]) -> Response:
    """A stream of what `look` finds, asked every so many seconds; None: it is over."""
    place, visit = place_of(request), visit_of(request.scope)
    if place.streams >= MOST:
        raise Refused(503, "Too many streams are open. Close one.", {"retry-after": "60"})
    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(
        _events(place, visit, every, look), media_type="text/event-stream", headers=headers
    )


async def _events(
    place: Place, visit: Visit, every: float, look: Callable[[Store], Events | None]
) -> AsyncIterator[str]:
    def work(check: bool) -> Events | None:
        with place.pool.store() as store:
            if check and (visit.again is None or visit.again(store, int(time.time())) is None):
                return None
            return look(store)

    place.streams += 1
    try:
        yield "retry: 5000\n\n"
        checked = said = time.monotonic()
        while True:
            now = time.monotonic()
            check = now - checked >= _CHECK
            checked = now if check else checked
            try:
                found = await anyio.to_thread.run_sync(work, check)
            except StoreUnavailable:
                found = []
            if found is None:
                return
            for event in found:
                yield _written(*event)
            if found:
                said = now
            elif now - said >= _CHECK:
                said = now
                yield ": nothing new\n\n"
            await anyio.sleep(every)
    finally:
        place.streams -= 1


def _written(number: str, name: str, value: Any) -> str:
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n"


@dataclass(slots=True)
class Feed:
    """Summaries from one time on, each at least once; `since`: Unix seconds of their arrival."""

    since: int
    group: str = ""
    _sent: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """When each of the last minute came."""

    def look(self, store: Store) -> Events:
        """Those that are new. Raises `StoreUnavailable`."""
        start = max(self.since - OVERLAP, 0)
        where, params = "", []
        if self.group:
            part, value = store.among("device", rollouts.in_group(store, self.group))
            where, params = f" AND {part}", [value]
        rows = store.execute(
            "SELECT device, boot, seq, received, body FROM summaries WHERE received >= ?"
            f"{where} ORDER BY received, device, boot, seq LIMIT ?",
            (start, *params, BATCH + len(self._sent)),
        )
        found: Events = []
        for row in rows:
            key = (row["device"], row["boot"], row["seq"])
            if key in self._sent:
                continue
            self._sent[key] = row["received"]
            self.since = max(self.since, row["received"])
            said = {"device": row["device"], "received": row["received"],
                    "summary": _summary(row["body"])}  # fmt: skip
            found.append((f"{row['received']}", "summary", said))
        oldest = self.since - OVERLAP
        self._sent = {key: at for key, at in self._sent.items() if at >= oldest}
        return found


def _summary(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


async def feed(request: Request) -> Response:
    """GET /api/v1/feed"""
    now = int(time.time())
    given = request.headers.get("last-event-id") or request.query_params.get("since", "")
    since = listing.whole(given[:10], 0, now, -1) if len(given) < 10 else _seconds(given, now)
    source = Feed(now if since < 0 else since, request.query_params.get("group", "")[:64])
    return answer(request, 2.0, source.look)


def _seconds(text: str, now: int) -> int:
    return min(int(text), now) if text.isascii() and text.isdecimal() and len(text) == 10 else -1


async def rollout(request: Request) -> Response:
    """GET /api/v1/rollouts/{rollout}/events"""
    name = request.path_params["rollout"]
    place = place_of(request)

    def check() -> None:
        with place.pool.store() as store:
            updating.exact(store, name)

    await anyio.to_thread.run_sync(check)
    last: list[Any] = [None, False]

    def look(store: Store) -> Events | None:
        if last[1]:
            return None
        row = updating.exact(store, name)
        said = {"rollout": name, "status": row["status"], "wave": row["wave"],
                "jobs": rollouts.counts(store, name), "ended": row["status"] in ENDED}  # fmt: skip
        last[1] = said["ended"]
        if said == last[0]:
            return []
        last[0] = said
        return [("", "state", said)]

    return answer(request, 1.0, look)
