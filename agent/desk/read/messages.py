"""One line of a capture, or one row of a database, as a window's row. Hostile until it has passed
here: a message that is not byte for byte what its model allows is refused and counted."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import ValidationError

from agent.base.report import HeardSummary, Meta, Summary, from_json, summary_form, to_json
from agent.base.vocabulary import AnyCell, Cell, HeardCell
from agent.desk.read.figures import CELL_FIGURES
from agent.desk.read.noise import Told, scales

MAX_BYTES = 4096
"""Of a message's body."""
MAX_LINE = 16_384
"""Of a line of a capture: a body with its topic, escaped."""
Refusal = Literal["line", "topic", "size", "json", "fields", "not_canonical", "conflict"]
"""No line of a capture; no topic of a device; too long; no JSON; not what its model says; other
bytes than its model's one form; other bytes than an earlier message of the same number."""
TOPIC = re.compile(r"fleeting/1/d/([A-Za-z0-9_-]{1,64})/([a-z]{1,16}(?:/[a-z0-9]{1,32})?)")
_WATCHED = re.compile(r"([A-Za-z0-9_-]{1,64}) +([a-z/]{1,16}) +(?:ok (\{.*)|(.*))")
_SUMMARY_START = (b'{"v":1,"boot":"', b'{"v":2,"boot":"')

ROW = (
    "device", "boot", "seq", "slot", "shown", "start", "offset", "length", "clock", "merged",
    "policy", "policy_hash", "model", "epsilon_milli", "k", "fps", "usable", "flags",
    "sound_flags", "withheld",
)  # fmt: skip
"""What a row says beside its numbers. `start`: UTC seconds, None while the clock was not trusted;
then `offset`, seconds since the machine's start, has a value."""
NUMBERS: tuple[str, ...] = (
    *(name for names in CELL_FIGURES.values() for name in names),
    *(f"{cell}_b" for cell in CELL_FIGURES),
)
"""The figures, then b of each cell."""


@dataclass(slots=True)
class Said:
    """One message taken from a line."""

    device: str
    kind: str
    body: bytes
    received: float = math.nan
    """Unix seconds; NaN: not known."""


@dataclass(slots=True)
class Tally:
    """What was read and what was not."""

    lines: int = 0
    summaries: int = 0
    """Distinct ones."""
    copies: int = 0
    """Summaries that came again, byte for byte the same."""
    others: int = 0
    """Messages of other kinds."""
    refused: dict[str, int] = field(default_factory=dict)
    """By reason (`Refusal`)."""
    first_refused: list[str] = field(default_factory=list)
    """Place and reason of the first twenty."""

    def refuse(self, reason: Refusal, place: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
        if len(self.first_refused) < 20:
            self.first_refused.append(f"{place}: {reason}")


def said(line: bytes, device: str) -> Said | Refusal | None:
    """The message of one line, as `fleeting-fleet watch`, `mosquitto_sub -v`, `-F %J`, `-F %j` or
    an outbox prints it; None for a line that holds none. `device`: of lines that name none."""
    line = line.strip()
    if not line or line.startswith(b"#"):
        return None
    if len(line) > MAX_LINE:
        return "size"
    if line.startswith(_SUMMARY_START):
        return Said(device, "summary", line)
    if line.startswith(b"{"):
        return _of_json(line)
    topic, _, body = line.partition(b" ")
    match = TOPIC.fullmatch(topic.decode("ascii", "replace"))
    if match:
        return Said(match[1], match[2], body)
    watched = _WATCHED.fullmatch(line.decode("utf-8", "replace"))
    if watched is None:
        return "topic" if topic.startswith(b"fleeting/") else "line"
    if watched[3] is None:  # state, or a refusal of its own
        return Said(watched[1], watched[2], b"") if watched[2] != "summary" else "fields"
    return Said(watched[1], watched[2], watched[3].encode())


def _of_json(line: bytes) -> Said | Refusal:
    """`mosquitto_sub -F %J` and `%j`: topic, time and payload in one object."""
    try:
        wrapped = json.loads(line)
    except (ValueError, RecursionError):
        return "json"
    if not isinstance(wrapped, dict) or "payload" not in wrapped:
        return "fields"  # a message without a topic that is no summary
    match = TOPIC.fullmatch(str(wrapped.get("topic", "")))
    if match is None:
        return "topic"
    payload = wrapped["payload"]
    if not isinstance(payload, str):
        payload = json.dumps(payload, separators=(",", ":"))
    return Said(match[1], match[2], payload.encode(), _time(wrapped.get("tst")))


def _time(value: Any) -> float:
    """Unix seconds of mosquitto's `tst`, such as 2026-11-30T08:03:42.430042Z+0000."""
    try:
        return datetime.fromisoformat(str(value).replace("Z+", "+").replace("Z-", "-")).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def examine(body: bytes) -> Summary | Refusal:
    """A body as a summary, or why it is none. Never raises."""
    if len(body) > MAX_BYTES:
        return "size"
    try:
        summary = summary_form(body).model_validate_json(body)
        return summary if to_json(summary) == body else "not_canonical"
    except ValidationError as error:
        malformed = any(each["type"] == "json_invalid" for each in error.errors(include_url=False))
        return "json" if malformed else "fields"
    except (ValueError, RecursionError):
        return "fields"


def epoch(body: bytes) -> tuple[str, int] | None:
    """Boot and UTC of its monotonic zero, from a `meta` message; None where it says neither."""
    meta = from_json(Meta, body)
    if meta is None or meta.birth.epoch is None:
        return None
    return meta.birth.boot, meta.birth.epoch


def row(device: str, summary: Summary) -> tuple[Any, ...]:
    """In the order of `ROW`."""
    window = summary.window
    heard = summary.heard if isinstance(summary, HeardSummary) else None
    return (
        device, summary.boot, summary.seq, summary.slot, summary.shown, window.start,
        window.offset, window.length, window.clock, window.merged, summary.policy,
        summary.policy_hash, summary.model, summary.privacy.epsilon_milli, summary.privacy.k,
        summary.quality.fps, summary.quality.usable, ",".join(summary.quality.flags),
        ",".join(heard.flags) if heard else "",
        ",".join(f"{each.cell}:{each.reason}" for each in summary.withheld),
    )  # fmt: skip


_PLACES: dict[str, int] = {name: place for place, name in enumerate(NUMBERS)}
_FIELDS: dict[AnyCell, tuple[tuple[int, str], ...]] = {
    cell: tuple((_PLACES[name], name.removeprefix(f"{cell}_")) for name in names)
    for cell, names in CELL_FIGURES.items()
}
_SEEN: tuple[AnyCell, ...] = get_args(Cell)
_HEARD: tuple[AnyCell, ...] = get_args(HeardCell)
_B = {cell: _PLACES[f"{cell}_b"] for cell in CELL_FIGURES}


def numbers(summary: Summary) -> list[float]:
    """In the order of `NUMBERS`; NaN where withheld."""
    found = [math.nan] * len(NUMBERS)
    heard = summary.heard if isinstance(summary, HeardSummary) else None
    present: list[AnyCell] = []
    for source, cells in ((summary, _SEEN), (heard, _HEARD)):
        for cell in cells if source is not None else ():
            content = getattr(source, cell)
            if content is None:
                continue
            present.append(cell)
            for place, name in _FIELDS[cell]:
                value = content if isinstance(content, int) else getattr(content, name)
                found[place] = math.nan if value is None else value
    told = Told(
        summary.policy,
        summary.privacy.epsilon_milli,
        frozenset(each.cell for each in summary.withheld if each.reason == "policy"),
        frozenset(present),
        heard.voice if heard else None,
        heard.text if heard else None,
    )
    for cell, scale in scales(told).items():
        found[_B[cell]] = scale
    return found
