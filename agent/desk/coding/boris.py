"""BORIS projects, `.boris` (Friard and Gamba 2016, Methods in Ecology and Evolution 7, 1325-1330;
project format 7.0).

The whole project: an ethogram with a state behaviour per kind of event, its polarity and units as
modifiers, and one observation. An event is a START and a STOP, which BORIS tells apart by turns, so
that events at once have behaviours numbered 2, 3 …; the coder is the subject's name. What BORIS has
no field for (apex, score, verdict) stands before the comment. Of a project of somebody else's each
state or point behaviour is read: kind by its name where it is one of ours, else in the comment.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, get_args

from agent.desk.coding.event import (
    CodingError,
    Event,
    Kind,
    Polarity,
    in_order,
    lanes,
    units,
)

_VERSION = "7.0"
_SUBJECT = "No focal subject"
"""BORIS's own word for events of nobody."""
_NONE = "None"
"""BORIS's own word for a modifier that was not chosen."""
_NUMBERED = re.compile(r"(\w+?)(?: \d+)?\Z")
_END_OF_DETAILS = " | "


def write(events: Iterable[Event], film: str = "", seconds: float | None = None) -> bytes:
    """The project. `film`: name of the video, beside which BORIS looks for it; `seconds`: its
    length."""
    groups: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events:
        groups[event.kind, event.coder].append(event)
    rows: list[tuple[float, int, list[Any]]] = []
    behaviours: dict[str, str] = {}
    for (kind, coder), group in sorted(groups.items()):
        for number, lane in enumerate(lanes(group)):
            name = f"{kind} {number + 1}" if number else kind
            behaviours[name] = kind
            for event in lane:
                modifier = "|".join((event.polarity or _NONE, event.code or _NONE))
                start = [event.onset, coder, name, modifier, _comment(event), ""]
                stop = [event.offset, coder, name, modifier, "", ""]
                rows += [(event.onset, 0, start), (event.offset, 1, stop)]
    coders = sorted({coder for _, coder in groups if coder})
    codes = sorted({event.code for group in groups.values() for event in group if event.code})
    file = PurePath(film).name
    observation = {
        "file": {str(player): [file] if player == 1 and file else [] for player in range(1, 9)},
        "type": "MEDIA",
        "date": "2000-01-01T00:00:00",
        "description": "",
        "time offset": 0.0,
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_creation_date_as_offset": False,
        "close_behaviors_between_videos": False,
        "events": [row for _, _, row in sorted(rows, key=lambda each: each[:2])],
        "media_info": {
            "length": {file: seconds} if file and seconds is not None else {},
            "fps": {},
            "hasVideo": {file: True} if file else {},
            "hasAudio": {},
            "offset": {"1": 0.0},
        },
    }
    project = {
        "time_format": "hh:mm:ss",
        "project_date": "2000-01-01T00:00:00",
        "project_name": "Fleeting",
        "project_description": "",
        "project_format_version": _VERSION,
        "subjects_conf": {
            str(n): {"key": "", "name": coder, "description": ""} for n, coder in enumerate(coders)
        },
        "behaviors_conf": {
            str(n): _behaviour(name, kind, codes)
            for n, (name, kind) in enumerate(sorted(behaviours.items()))
        },
        "observations": {PurePath(film).stem or "film": observation},
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    return json.dumps(project, indent=1, ensure_ascii=False).encode()


def _behaviour(name: str, kind: str, codes: list[str]) -> dict[str, Any]:
    return {
        "type": "State event",
        "key": "",
        "code": name,
        "description": kind,
        "color": "",
        "category": "",
        "modifiers": {
            "0": {"name": "polarity", "description": "", "type": 0, "ask at stop": False,
                  "values": list(get_args(Polarity))},
            "1": {"name": "action units", "description": "FACS", "type": 0, "ask at stop": False,
                  "values": codes},
        },
        "excluded": "",
        "coding map": "",
    }  # fmt: skip


def _comment(event: Event) -> str:
    known = [
        ("apex", None if event.apex is None else repr(event.apex)),
        ("score", None if event.score is None else repr(event.score)),
        ("verdict", event.verdict),
    ]
    details = "; ".join(f"{name}={value}" for name, value in known if value is not None)
    return f"{details}{_END_OF_DETAILS}{event.comment}" if details or event.comment else ""


def read(data: bytes) -> list[Event]:
    """The events of all observations of a project, in order. Raises `CodingError`."""
    try:
        project = json.loads(data)
        observations = project["observations"]
        ethogram = {
            each["code"]: each["type"].lower() for each in project["behaviors_conf"].values()
        }
        told = {name: observation["events"] for name, observation in observations.items()}
    except UnicodeDecodeError as error:
        raise CodingError(f"its byte {error.start} is no {error.encoding.upper()}") from None
    except json.JSONDecodeError as error:
        raise CodingError(f"it is no JSON from line {error.lineno} on") from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise CodingError("it is JSON, but no project of BORIS 4 or newer") from None
    found: list[Event] = []
    for name, rows in told.items():
        found += _events(f"observation {str(name)[:60]!r}", rows, ethogram)
    return in_order(found)


def _events(where: str, rows: Any, ethogram: Mapping[str, str]) -> list[Event]:
    found = []
    open_: dict[tuple[str, str], list[Any]] = {}
    if not isinstance(rows, list):
        raise CodingError(f"{where} has no list of events")
    for number, row in enumerate(rows, 1):
        here = f"{where}, event {number}"
        try:
            fields = [*row, "", ""]
            time = float(fields[0])
            subject, code, modifiers, comment = map(str, fields[1:5])
        except (TypeError, ValueError, OverflowError):
            raise CodingError(f"{here} has no time, subject and behaviour") from None
        subject = "" if subject == _SUBJECT else subject
        begun = [time, modifiers, comment]
        if "state" not in ethogram.get(code, ""):
            found.append(_event(here, code, subject, begun, time))
        elif (subject, code) in open_:
            found.append(_event(here, code, subject, open_.pop((subject, code)), time))
        else:
            open_[subject, code] = begun
    if open_:
        subject, code = next(iter(open_))
        raise CodingError(
            f"{where}: {code[:60]!r} begins at {open_[subject, code][0]:g} s and never ends: "
            "fix unpaired state events in BORIS"
        )
    return found


def _event(where: str, code: str, coder: str, begun: list[Any], end: float) -> Event:
    onset, modifiers, comment = begun
    match = _NUMBERED.match(code)
    ours = match is not None and match[1] in get_args(Kind)
    kind: Any = match[1] if match is not None and ours else "other"
    values: dict[str, Any] = {}
    left = [] if ours else [code]
    for part in modifiers.split("|"):
        if part in ("", _NONE):
            continue
        if part in get_args(Polarity):
            values["polarity"] = part
            continue
        try:
            values["units"] = values.get("units", ()) + units(part)
        except ValueError:
            left.append(part)
    said, comment = _split(comment)
    values |= said
    left += [comment] if comment else []
    try:
        return Event(onset, end, kind=kind, coder=coder.strip(), comment=": ".join(left), **values)
    except ValueError as error:
        raise CodingError(f"{where}: {error}") from None


def _split(comment: str) -> tuple[dict[str, Any], str]:
    """What stands before a comment of ours, and the comment."""
    details, bar, rest = comment.partition(_END_OF_DETAILS)
    if not bar:
        return {}, comment
    values: dict[str, Any] = {}
    for part in details.split("; ") if details else ():
        name, _, value = part.partition("=")
        if name not in ("apex", "score", "verdict"):
            return {}, comment
        values[name] = value if name == "verdict" else _number(value)
    return values, rest


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
