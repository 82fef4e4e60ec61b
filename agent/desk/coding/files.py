"""Which format a file of coded events has, by its ending; reading and writing it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.base.files import refuse_endless
from agent.base.names import one_line
from agent.desk.coding import boris, elan, table
from agent.desk.coding.event import CodingError, Event
from agent.desk.trace.output import check_target, write_whole

_MOST = 64_000_000
"""Bytes of a file that is read."""


class _Format(NamedTuple):
    name: str
    read: Callable[[bytes], list[Event]]
    write: Callable[[Sequence[Event], str, float | None], bytes]


FORMATS = {
    ".eaf": _Format("ELAN", elan.read, lambda events, film, _: elan.write(events, film)),
    ".boris": _Format("BORIS", boris.read, boris.write),
    ".tsv": _Format("BIDS events", table.read_bids, lambda events, *_: table.write_bids(events)),
    ".csv": _Format("CSV", table.read_csv, lambda events, *_: table.write_csv(events)),
}


def format_of(path: Path) -> _Format:
    """Raises `CodingError`."""
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        known = ", ".join(f"{ending} ({each.name})" for ending, each in FORMATS.items())
        raise CodingError(
            f"{one_line(path)}: its ending says no format of coded events. Known are {known}."
        )
    return found


def read_events(path: Path, fps: float | None = None) -> list[Event]:
    """The events of a file; `fps`: of the film, for tables that count in frames. Raises
    `CodingError`."""
    form = format_of(path)
    try:
        refuse_endless(path)
        if path.stat().st_size > _MOST:
            raise CodingError(f"{one_line(path)} has more than {_MOST // 1_000_000} MB.")
        data = path.read_bytes()
    except OSError as error:
        raise CodingError(
            f"{one_line(path)} cannot be read: {error.strerror}. Check the path."
        ) from None
    try:
        return table.read_csv(data, fps) if path.suffix.lower() == ".csv" else form.read(data)
    except CodingError as error:
        raise CodingError(f"{one_line(path)}, read as {form.name}: {error}.") from None


def convert(source: Path, target: Path, *, fps: float | None, film: str, as_json: bool) -> int:
    """`fleeting convert`. Raises `CodingError`, `StoreError`."""
    check_target(target)
    form = format_of(target)
    events = read_events(source, fps)
    write_events(target, events, film)
    if as_json:
        print(json.dumps({"events": len(events), "from": format_of(source).name, "to": form.name}))
    else:
        print(f"{len(events)} events: {one_line(target)} ({form.name})")
    return 0


def write_events(
    path: Path, events: Sequence[Event], film: str = "", seconds: float | None = None
) -> None:
    """Write the events, atomically; for BIDS also the sidecar. `film`: name of the video they are
    of; `seconds`: its length. Raises `CodingError`, `StoreError`."""
    form = format_of(path)
    write_whole(path, form.write(events, film, seconds), "file of events")
    if path.suffix.lower() == ".tsv":
        columns = json.dumps(table.SIDECAR, indent=2).encode()
        write_whole(path.with_suffix(".json"), columns, "description of the events")
