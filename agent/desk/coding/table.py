"""Events as tables: BIDS `_events.tsv` (bids-specification.readthedocs.io, task events), and CSV.

Columns: `onset` and `duration` in seconds; `trial_type`, the kind; `apex` in seconds; `polarity`;
`action_units`, a FACS code; `score`; `coder`; `verdict`; `comment`. What is not there is `n/a` in
BIDS, empty in CSV. A cell with a tab, a line break or a quote is a JSON string in BIDS, which has
no quoting of its own. Text in CSV that a spreadsheet would take for a formula has an apostrophe
before it.

Of other CSV files the columns of the micro-expression databases are read (CASME II, SAMM: `Onset`
or `OnsetFrame`, `Apex`, `Offset`, `Action Units`, …), in frames, which take `fps`.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.desk.coding.event import CodingError, Event, in_order, units

COLUMNS = (
    "onset", "duration", "trial_type", "apex", "polarity", "action_units", "score", "coder",
    "verdict", "comment",
)  # fmt: skip
_MISSING = "n/a"
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""What a spreadsheet computes (OWASP, CSV Injection), perhaps with apostrophes before it: one more
is put there, and taken off again."""
_ALIASES = {
    "onset": ("onset", "onsetframe", "onset_frame", "onset frame"),
    "apex": ("apex", "apexframe", "apex_frame", "apex frame", "apex1"),
    "offset": ("offset", "offsetframe", "offset_frame", "offset frame"),
    "units": ("action units", "action_units", "au", "aus", "actionunits"),
    "label": ("estimated emotion", "emotion", "estimatedemotion", "expression", "type"),
}
_NUMBERS = {"duration", "score"}.union(*(_ALIASES[each] for each in ("onset", "apex", "offset")))
"""Columns of numbers."""
SIDECAR: dict[str, Any] = {
    "onset": {"Description": "First frame of the movement", "Units": "s"},
    "duration": {"Description": "From onset to offset, its last frame", "Units": "s"},
    "trial_type": {
        "Description": "Kind of movement",
        "Levels": {
            "micro": "micro-expression, up to half a second",
            "macro": "longer facial movement",
            "blink": "blink",
            "speech": "movement of speech",
            "head": "movement of the head",
            "other": "another movement",
        },
    },
    "apex": {"Description": "Frame of the greatest extent", "Units": "s"},
    "polarity": {"Description": "positive, negative, surprise or unspecified"},
    "action_units": {"Description": "FACS code (Ekman, Friesen & Hager 2002), such as 1+2+L12C"},
    "score": {"Description": "Probability in [0, 1], where a program coded it"},
    "coder": {"Description": "Who or what coded it"},
    "verdict": {"Description": "What a coder says of it: agree, disagree or cannot tell"},
    "comment": {"Description": "Free text"},
}
"""What `_events.json` says of the columns."""


def write_bids(events: Iterable[Event]) -> bytes:
    """`_events.tsv`; its `_events.json` is `SIDECAR`."""
    rows = [COLUMNS, *(tuple(map(_bids_cell, _row(event))) for event in in_order(events))]
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def write_csv(events: Iterable[Event]) -> bytes:
    """CSV after RFC 4180."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for event in in_order(events):
        writer.writerow([f"'{cell}" if _FORMULA.match(cell) else cell for cell in _row(event)])
    return text.getvalue().encode()


def _row(event: Event) -> tuple[str, ...]:
    return (
        _seconds(event.onset),
        _seconds(event.offset - event.onset),
        event.kind,
        "" if event.apex is None else _seconds(event.apex),
        event.polarity or "",
        event.code,
        "" if event.score is None else f"{event.score:.6g}",
        event.coder,
        event.verdict or "",
        event.comment,
    )


def _seconds(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _bids_cell(text: str) -> str:
    if not text:
        return _MISSING
    if text == _MISSING or text.startswith('"') or any(each in text for each in "\t\n\r"):
        return json.dumps(text, ensure_ascii=False)
    return text


def read_bids(data: bytes) -> list[Event]:
    """Raises `CodingError`."""
    lines = re.split(r"\r\n|\r|\n", _text(data))
    rows = [
        (number, [_from_bids(cell, number) for cell in line.split("\t")])
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    return _events(rows, None)


def _from_bids(cell: str, line: int) -> str:
    if not cell.startswith('"'):
        return "" if cell == _MISSING else cell
    try:
        return str(json.loads(cell))
    except json.JSONDecodeError:
        raise CodingError(f"line {line}: a quote opens a cell and does not close it") from None


def read_csv(data: bytes, fps: float | None = None) -> list[Event]:
    """Separated by commas, or by semicolons or tabs, where the comma may be the decimal mark.
    `fps`: for files that count in frames, from 1. Raises `CodingError`."""
    text = _text(data)
    head = re.split(r"[\r\n]", text, maxsplit=1)[0]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = [
            (reader.line_num, list(map(_unescaped, row)))
            for row in reader
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise CodingError(f"line {reader.line_num}: {error}") from None
    return _events(rows, fps, comma=separator != ",")


def _unescaped(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _text(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # a spreadsheet's Unicode text
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise CodingError("it is no UTF-16, as it begins: save it as UTF-8") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CodingError(f"line {line} is no UTF-8: save it as such") from None


def _events(
    rows: list[tuple[int, list[str]]], fps: float | None, *, comma: bool = False
) -> list[Event]:
    """`comma`: it may be the decimal mark."""
    if not rows:
        raise CodingError("it is empty: the first line names the columns")
    names = [name.strip().lower() for name in rows[0][1]]
    make: Callable[[Mapping[str, str]], Event]
    if {"onset", "duration"} <= set(names):
        make = _own
    elif all(set(_ALIASES[name]) & set(names) for name in ("onset", "offset")):
        if fps is None:
            raise CodingError("it counts in frames: say how many there are in a second with --fps")
        make = _in_frames(fps)
    else:
        raise CodingError(
            f"its columns are {', '.join(names)[:200]}; onset and duration are needed (seconds), "
            "or onset and offset (frames)"
        )
    found = []
    for line, cells in rows[1:]:
        if len(cells) > len(names):
            raise CodingError(f"line {line} has {len(cells)} cells, the first {len(names)}")
        row = dict(zip(names, cells, strict=False))
        if comma:
            row |= {name: row[name].replace(",", ".") for name in _NUMBERS & set(row)}
        try:
            found.append(make(row))
        except ValueError as error:
            raise CodingError(f"line {line}: {error}") from None
    return in_order(found)


def _own(row: Mapping[str, str]) -> Event:
    def cell(name: str) -> str:
        return row.get(name, "").strip()

    onset = _number(cell("onset"), "onset")
    duration = _number(cell("duration"), "duration")
    apex, score = cell("apex"), cell("score")
    offset = round(onset + duration, 6)
    value = _number(apex, "apex") if apex else None
    if value is not None and offset < value < offset + 1e-5:
        offset = value  # both were rounded
    return Event(
        onset,
        offset,
        value,
        cell("trial_type") or "other",  # type: ignore[arg-type]
        cell("polarity") or None,  # type: ignore[arg-type]
        units(cell("action_units")),
        _number(score, "score") if score else None,
        cell("coder"),
        cell("verdict") or None,  # type: ignore[arg-type]
        row.get("comment", "").replace("\r\n", "\n"),
    )


def _in_frames(fps: float) -> Callable[[Mapping[str, str]], Event]:
    def make(row: Mapping[str, str]) -> Event:
        def cell(name: str) -> str:
            return next((row[each].strip() for each in _ALIASES[name] if row.get(each)), "")

        times = {}
        for name in ("onset", "apex", "offset"):
            text = cell(name)
            # databases write "/" or 0 where there is none
            times[name] = None if text in ("", "/", "0") else (_number(text, name) - 1) / fps
        onset, apex, offset = times["onset"], times["apex"], times["offset"]
        if onset is None or offset is None:
            raise ValueError("onset or offset is missing")
        label = cell("label")
        kind: Any = "macro" if "macro" in label.lower() else "micro"
        return Event(onset, offset, apex, kind, None, units(cell("units")), comment=label)

    return make


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} is {text[:20]!r}, no number") from None
