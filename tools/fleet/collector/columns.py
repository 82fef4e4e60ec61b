"""Messages as rows of the database."""

from __future__ import annotations

from types import NoneType
from typing import Any, get_args

from agent.base.report import Event, Health, Heard, HeardSummary, Receipt, Summary
from tools.fleet.collector.intake import Message

SUMMARY_CELLS = ("expression", "attention", "dwell", "micro", "tone")
SUMMARY_SUMS = ("valence", "arousal")
HEARD_CELLS = ("speech", "words", "fused", "channels", "room_tone", "room_words")
HEARD_SUMS = ("voice_valence", "voice_arousal")


def _counts(model: Any, cell: str) -> tuple[str, ...]:
    """The counts of one cell, in declared order."""
    kinds = get_args(model.model_fields[cell].annotation)
    return tuple(next(each for each in kinds if each is not NoneType).model_fields)


CELLS = {cell: _counts(Summary, cell) for cell in SUMMARY_CELLS} | {
    cell: _counts(Heard, cell) for cell in HEARD_CELLS
}
"""Counts of every cell; a column is called CELL_COUNT."""
NO_COUNTS = {cell: (None,) * len(names) for cell, names in CELLS.items()}


def _columns(cells: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{cell}_{name}" for cell in cells for name in CELLS[cell])


SLOT_COLUMNS = (
    "device", "boot", "seq", "received", "at", "timed", "length", "slot", "merged", "policy",
    "epsilon_milli", "k", "fps", "usable", "flags", "withheld", "shown", "visits", "passing",
    *(f"{cell}_sum" for cell in SUMMARY_SUMS),
    *_columns(SUMMARY_CELLS),
    "voice", "text", "sound_flags",
    *(f"{cell}_sum" for cell in HEARD_SUMS),
    *_columns(HEARD_CELLS),
)  # fmt: skip
_DEAF = (None,) * (3 + len(HEARD_SUMS) + len(_columns(HEARD_CELLS)))


def insert(table: str, columns: tuple[str, ...], keyed: bool = True) -> str:
    """SQL that adds a row; `keyed`: one that is there already stays as it is."""
    marks = ", ".join("?" * len(columns))
    conflict = " ON CONFLICT DO NOTHING" if keyed else ""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}){conflict}"


INSERT_SUMMARY = insert(
    "summaries",
    ("device", "boot", "seq", "received", "start_at", "offset_s", "length", "slot", "clock",
     "merged", "visits", "body", "sha256"),
)  # fmt: skip
INSERT_SLOT = insert("slots", SLOT_COLUMNS, keyed=False)
INSERT_EVENT = insert(
    "events",
    ("device", "boot", "seq", "code", "count", "at", "offset_s", "received", "sha256"),
)
INSERT_RECEIPT = insert("receipts", ("device", "key", "number", "body", "received", "sha256"))
INSERT_HEALTH = insert(
    "health",
    ("device", "received", "boot", "perception", "fps", "temperature", "power", "memory", "disk",
     "waiting", "trimmed", "clock"),
)  # fmt: skip


def summary_row(message: Message) -> tuple[Any, ...]:
    said: Summary = message.content
    window = said.window
    return (
        message.device, said.boot, said.seq, message.origin.received, window.start, window.offset,
        window.length, said.slot, window.clock, window.merged, said.visits,
        message.origin.body.decode(), message.sha256,
    )  # fmt: skip


def slot_row(message: Message) -> tuple[Any, ...]:
    """In the order of `SLOT_COLUMNS`."""
    said: Summary = message.content
    window, privacy, quality = said.window, said.privacy, said.quality
    received = message.origin.received
    row = [
        message.device, said.boot, said.seq, received,
        received if window.start is None else window.start, int(window.start is not None),
        window.length, said.slot, window.merged, said.policy, privacy.epsilon_milli, privacy.k,
        quality.fps, quality.usable, ",".join(quality.flags),
        ",".join(f"{each.cell}:{each.reason}" for each in said.withheld), said.shown,
        said.visits, said.passing,
    ]  # fmt: skip
    _add(row, said, SUMMARY_SUMS, SUMMARY_CELLS)
    if isinstance(said, HeardSummary):
        heard = said.heard
        row += (heard.voice, heard.text, ",".join(heard.flags))
        _add(row, heard, HEARD_SUMS, HEARD_CELLS)
    else:
        row += _DEAF
    return tuple(row)


def _add(row: list[Any], model: Any, sums: tuple[str, ...], cells: tuple[str, ...]) -> None:
    for name in sums:
        cell = getattr(model, name)
        row.append(None if cell is None else cell.sum)
    for name in cells:
        cell = getattr(model, name)
        if cell is None:
            row += NO_COUNTS[name]
        else:
            row += [getattr(cell, count) for count in CELLS[name]]


def event_row(message: Message) -> tuple[Any, ...]:
    said: Event = message.content
    return (
        message.device, said.boot, said.seq, said.code, said.count, said.at, said.offset,
        message.origin.received, message.sha256,
    )  # fmt: skip


def receipt_row(message: Message) -> tuple[Any, ...]:
    said: Receipt = message.content
    return (
        message.device, said.statement.key, said.statement.number, message.origin.body.decode(),
        message.origin.received, message.sha256,
    )  # fmt: skip


def health_row(message: Message) -> tuple[Any, ...]:
    said: Health = message.content
    return (
        message.device, message.origin.received, said.boot, said.perception, said.fps,
        said.temperature, said.power, said.memory, said.disk, said.waiting, said.trimmed,
        said.clock,
    )  # fmt: skip
