"""ELAN's `.eaf` files (Max Planck Institute for Psycholinguistics; schema EAFv3.0).

A tier for each kind and coder holds the events, its annotations the FACS codes. Tiers below it
(symbolic association) hold what else is known of each. ELAN's annotations of one tier do not
overlap and last a millisecond at least, so that events at once lie on tiers numbered 2, 3 … Times
are whole milliseconds. Of a file of somebody else's each aligned tier is read: its name says the
kind where it is one of ours, its annotations are FACS codes, else comments.
"""

from __future__ import annotations

import contextlib
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePath
from typing import Any, get_args

from agent.desk.coding.event import CodingError, Event, Kind, in_order, lanes, units

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_DETAILS = ("apex", "polarity", "score", "verdict", "comment")
_NUMBERED = re.compile(r"(?P<kind>\w+)(?: (?P<number>\d+))?(?: \((?P<coder>.*)\))?\Z", re.DOTALL)
_NO_CODE = "-"
"""Of an event without units: ELAN shows an empty annotation as nothing."""


def write(events: Iterable[Event], film: str = "") -> bytes:
    """The file. `film`: name of the video, beside which ELAN looks for it."""
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "Fleeting",
            "DATE": "2000-01-01T00:00:00+00:00",
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{_XSI}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = ET.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    if film:
        name = PurePath(film).name
        place = {
            "MEDIA_URL": f"./{name}",
            "RELATIVE_MEDIA_URL": f"./{name}",
            "MIME_TYPE": "video/*",
        }
        ET.SubElement(header, "MEDIA_DESCRIPTOR", place)
    slots = ET.SubElement(root, "TIME_ORDER")
    body = _Body(root, slots)
    groups: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events:
        groups[event.kind, event.coder].append(event)
    for (kind, coder), group in sorted(groups.items()):
        for number, lane in enumerate(lanes([_in_milliseconds(event) for event in group])):
            name = kind + (f" {number + 1}" if number else "") + (f" ({coder})" if coder else "")
            body.tier(name, coder, lane)
    _types(root)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


class _Body:
    """Tiers, with running numbers of time slots and annotations."""

    def __init__(self, root: ET.Element, slots: ET.Element) -> None:
        self._root, self._slots = root, slots
        self._annotations = 0

    def tier(self, name: str, coder: str, events: list[Event]) -> None:
        """The tier of events that do not overlap, and those below it."""
        attributes = {"TIER_ID": name, "LINGUISTIC_TYPE_REF": "event"}
        if coder:
            attributes["ANNOTATOR"] = coder
        tier = ET.SubElement(self._root, "TIER", attributes)
        numbered = [(self._aligned(tier, event), event) for event in events]
        for detail in _DETAILS:
            values = [(at, _told(event, detail)) for at, event in numbered]
            if not any(value for _, value in values):
                continue
            below = ET.SubElement(
                self._root, "TIER",
                {"TIER_ID": f"{detail} of {name}", "LINGUISTIC_TYPE_REF": "detail",
                 "PARENT_REF": name},
            )  # fmt: skip
            for at, value in values:
                if value:
                    self._referring(below, at, value)

    def _aligned(self, tier: ET.Element, event: Event) -> str:
        holder = ET.SubElement(ET.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION")
        holder.attrib = {
            "ANNOTATION_ID": self._next(),
            "TIME_SLOT_REF1": self._slot(event.onset),
            "TIME_SLOT_REF2": self._slot(event.offset),
        }
        ET.SubElement(holder, "ANNOTATION_VALUE").text = event.code or _NO_CODE
        return holder.attrib["ANNOTATION_ID"]

    def _referring(self, tier: ET.Element, to: str, value: str) -> None:
        holder = ET.SubElement(ET.SubElement(tier, "ANNOTATION"), "REF_ANNOTATION")
        holder.attrib = {"ANNOTATION_ID": self._next(), "ANNOTATION_REF": to}
        ET.SubElement(holder, "ANNOTATION_VALUE").text = value

    def _slot(self, seconds: float) -> str:
        name = f"ts{len(self._slots) + 1}"
        value = str(round(1000 * seconds))
        ET.SubElement(self._slots, "TIME_SLOT", {"TIME_SLOT_ID": name, "TIME_VALUE": value})
        return name

    def _next(self) -> str:
        self._annotations += 1
        return f"a{self._annotations}"


def _in_milliseconds(event: Event) -> Event:
    """Rounded, and lasting one at least."""
    onset = round(event.onset, 3)
    offset = max(round(event.offset, 3), round(onset + 0.001, 3))
    apex = None if event.apex is None else min(max(round(event.apex, 3), onset), offset)
    return replace(event, onset=onset, offset=offset, apex=apex)


def _told(event: Event, detail: str) -> str:
    value = getattr(event, detail)
    if value is None:
        return ""
    return f"{value:.3f}" if detail == "apex" else f"{value:.4f}" if detail == "score" else value


def _types(root: ET.Element) -> None:
    ET.SubElement(
        root, "LINGUISTIC_TYPE",
        {"LINGUISTIC_TYPE_ID": "event", "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"},
    )  # fmt: skip
    ET.SubElement(
        root, "LINGUISTIC_TYPE",
        {"LINGUISTIC_TYPE_ID": "detail", "TIME_ALIGNABLE": "false", "GRAPHIC_REFERENCES": "false",
         "CONSTRAINTS": "Symbolic_Association"},
    )  # fmt: skip
    for stereotype, text in (
        ("Time_Subdivision", "Time subdivision of parent annotation's time interval, no time gaps "
                             "allowed within this interval"),
        ("Symbolic_Subdivision", "Symbolic subdivision of a parent annotation. Annotations "
                                 "refering to the same parent are ordered"),
        ("Symbolic_Association", "1-1 association with a parent annotation"),
        ("Included_In", "Time alignable annotations within the parent annotation's time interval, "
                        "gaps are allowed"),
    ):  # fmt: skip
        ET.SubElement(root, "CONSTRAINT", {"STEREOTYPE": stereotype, "DESCRIPTION": text})


def read(data: bytes) -> list[Event]:
    """The events of a file. Raises `CodingError`."""
    try:
        root = ET.fromstring(data)
    except ET.ParseError as error:
        line, column = error.position
        raise CodingError(f"it is no XML from line {line}, column {column} on") from None
    except (LookupError, ValueError):
        raise CodingError("its encoding is not read: save it as UTF-8, as ELAN does") from None
    if root.tag != "ANNOTATION_DOCUMENT":
        raise CodingError(f"it is XML of another kind ({root.tag[:40]}), not ELAN's")
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    below: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for tier in root.iter("TIER"):
        parent = tier.get("PARENT_REF")
        detail = tier.get("TIER_ID", "").removesuffix(f" of {parent}") if parent else ""
        for each in tier.iter("REF_ANNOTATION"):
            if detail in _DETAILS:
                below[each.get("ANNOTATION_REF", "")][detail] = _value(each)
    found = [
        _event(tier, each, slots, below[each.get("ANNOTATION_ID", "")])
        for tier in root.iter("TIER")
        for each in tier.iter("ALIGNABLE_ANNOTATION")
    ]
    return in_order(found)


def _event(
    tier: ET.Element, of: ET.Element, slots: dict[str | None, str | None], details: dict[str, str]
) -> Event:
    name = tier.get("TIER_ID", "")
    where = f"annotation {of.get('ANNOTATION_ID')} of tier {name[:60]!r}"
    times = [slots.get(of.get(f"TIME_SLOT_REF{end}")) for end in (1, 2)]
    if None in times:
        raise CodingError(f"{where} has no time: align it in ELAN")
    match = _NUMBERED.match(name)
    ours = match is not None and match["kind"] in get_args(Kind)
    kind: Any = match["kind"] if match is not None and ours else "other"
    coder = tier.get("ANNOTATOR") or tier.get("PARTICIPANT") or ""
    values: dict[str, Any] = {"comment": details.get("comment", "")}
    text = _value(of)
    try:
        if text not in ("", _NO_CODE):
            values["units"] = units(text)
    except ValueError:
        # somebody else's words
        values["comment"] = "\n".join(each for each in (text.strip(), values["comment"]) if each)
    if not ours and "units" not in values:
        values["comment"] = f"{name}: {values['comment']}".strip()
    try:
        for detail in ("apex", "score"):
            if details.get(detail):
                values[detail] = float(details[detail])
        for detail in ("polarity", "verdict"):
            if details.get(detail):
                values[detail] = details[detail]
        onset, offset = map(_seconds, times)
        return Event(onset, offset, kind=kind, coder=coder.strip(), **values)
    except ValueError as error:
        raise CodingError(f"{where}: {error}") from None


def _seconds(time: str | None) -> float:
    try:
        return float(str(time)) / 1000
    except ValueError:
        raise ValueError(f"its time {str(time)[:20]!r} is no number of milliseconds") from None


def _value(annotation: ET.Element) -> str:
    with contextlib.suppress(AttributeError):
        return annotation.find("ANNOTATION_VALUE").text or ""  # type: ignore[union-attr]
    return ""
